//! The timing of a track: timescale, duration, edits, and the decode times of its samples.

use super::boxes::{Fields, Reader, find};
use super::headers::{media_header, read_edits};
use super::movie::{BOX_READ, MAX_BODY, Media};
use crate::keyframe::Error;

/// The timing of a track (ISO/IEC 14496-12, 8.4.2 and 8.6.6). Times are in units of `scale`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Timing {
    /// Units per second; never zero.
    pub(super) scale: u32,
    /// The duration of the media.
    pub(super) media_duration: u64,
    /// The start of the first media edit, in media time.
    pub(super) media_start: u64,
    /// The start of the first media edit, in movie time.
    pub(super) initial_delay: u64,
    /// Movie time minus media time, as the edits define it.
    pub(super) shift: i64,
    /// Whether there are further edits, so that `shift` does not apply to the whole media.
    pub(super) complex_edits: bool,
}

impl Media {
    /// Reads the timing from the media header and the edit list.
    pub(super) async fn timing(&self, reader: &mut Reader<'_>, movie_scale: u32) -> Result<Timing, Error> {
        let mdhd = find(&self.mdia, *b"mdhd").ok_or(Error::Unknown("required box missing in a track"))?;
        let mut timing = media_header(&mut reader.body(mdhd, MAX_BODY).await?)
            .ok_or(Error::Unknown("malformed media header"))?;
        if let Some(edts) = find(&self.boxes, *b"edts") {
            let elst = reader.children(&edts.body, BOX_READ).await?;
            if let Some(elst) = find(&elst, *b"elst") {
                let len = (elst.body.end - elst.body.start).min(256);
                let fields = reader.read(elst.body.start..elst.body.start + len, len).await?;
                read_edits(&mut Fields(fields), &mut timing, movie_scale);
            }
        }
        Ok(timing)
    }
}

impl Timing {
    /// Returns the media time at a fraction of the presentation.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an approximate time is enough, and f64 is exact up to 2^53 units"
    )]
    pub(super) fn media_time_at(&self, fraction: f64) -> u64 {
        let presented = self.media_duration.saturating_sub(self.media_start);
        self.media_start.saturating_add((presented as f64 * fraction) as u64)
    }

    /// Returns the presentation time of a media time, in milliseconds.
    pub(super) fn presentation_ms(&self, time: u64) -> u64 {
        to_ms(time.saturating_sub(self.media_start).saturating_add(self.initial_delay), self.scale)
    }
}

/// Converts units of `scale` to milliseconds.
pub(super) fn to_ms(time: u64, scale: u32) -> u64 {
    let ms = u128::from(time) * 1000 / u128::from(scale.max(1));
    u64::try_from(ms).unwrap_or(u64::MAX)
}

/// Maps between sample numbers and decode times (`stts`), in units of the media's timescale.
pub(super) struct DecodeTimes {
    pub(super) runs: Vec<DurationRun>,
}

/// Samples with the same duration, up to the next run.
pub(super) struct DurationRun {
    /// The number of the first sample, from 0.
    pub(super) sample: u64,
    /// The decode time of the first sample.
    pub(super) time: u64,
    /// The duration of each sample.
    pub(super) delta: u64,
}

impl DecodeTimes {
    pub(super) fn sample_at(&self, time: u64) -> u64 {
        let next = self.runs.partition_point(|run| run.time <= time);
        let Some(run) = next.checked_sub(1).and_then(|i| self.runs.get(i)) else { return 0 };
        let sample = run.sample.saturating_add((time - run.time).checked_div(run.delta).unwrap_or(0));
        self.runs.get(next).map_or(sample, |end| sample.min(end.sample))
    }

    pub(super) fn time_of(&self, sample: u64) -> u64 {
        let next = self.runs.partition_point(|run| run.sample <= sample);
        let Some(run) = next.checked_sub(1).and_then(|i| self.runs.get(i)) else { return 0 };
        run.time.saturating_add((sample - run.sample).saturating_mul(run.delta))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_times_with_varying_sample_durations() {
        let run = |sample, time, delta| DurationRun { sample, time, delta };
        let decode_times = DecodeTimes { runs: vec![run(0, 0, 10), run(5, 50, 100), run(7, 250, 0)] };
        for (time, sample) in [(0, 0), (9, 0), (49, 4), (50, 5), (149, 5), (150, 6), (9999, 7)] {
            assert_eq!(decode_times.sample_at(time), sample, "{time}");
        }
        for (sample, time) in [(0, 0), (4, 40), (5, 50), (6, 150), (9, 250)] {
            assert_eq!(decode_times.time_of(sample), time, "{sample}");
        }
    }

    #[test]
    fn edit_skips_the_start_of_the_media() {
        let timing = Timing { scale: 100, media_duration: 500, media_start: 100, ..Timing::default() };
        assert_eq!((timing.media_time_at(0.0), timing.media_time_at(0.5)), (100, 300));
        assert_eq!(
            (timing.presentation_ms(0), timing.presentation_ms(100), timing.presentation_ms(300)),
            (0, 0, 2000)
        );
        assert_eq!(to_ms(u64::MAX, 1), u64::MAX);
    }
}
