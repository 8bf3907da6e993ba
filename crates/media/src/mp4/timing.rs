//! The time of a track: its scale, its length, what of it is shown, and which sample is when.

use super::boxes::{Fields, Reader, find};
use super::headers::{edits, media_header};
use super::movie::{MAX_BODY, Media, STEP};
use crate::keyframe::Error;

/// One track's time (ISO/IEC 14496-12, 8.4.2 and 8.6.6).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Timing {
    /// Units in a second; never zero.
    pub(super) scale: u32,
    /// All of the media, in those units.
    pub(super) media_duration: u64,
    /// Where the first edit begins in the media, and how long after the start of the movie it is shown.
    pub(super) skipped: u64,
    pub(super) delayed: u64,
    /// How much later than in the media a moment is in the movie, by the edits.
    pub(super) shift: i64,
    /// There are edits beyond that, so that media and movie do not go side by side.
    pub(super) montage: bool,
}

impl Media {
    /// What its headers and its edit list say.
    pub(super) async fn timing(&self, reader: &mut Reader<'_>, movie_scale: u32) -> Result<Timing, Error> {
        let mdhd = find(&self.mdia, *b"mdhd").ok_or(Error::Unknown("a track without a part"))?;
        let mut timing = media_header(&mut reader.body(mdhd, MAX_BODY).await?)
            .ok_or(Error::Unknown("a broken media header"))?;
        if let Some(edts) = find(&self.boxes, *b"edts") {
            let elst = reader.children(&edts.body, STEP).await?;
            if let Some(elst) = find(&elst, *b"elst") {
                let len = (elst.body.end - elst.body.start).min(256);
                let fields = reader.read(elst.body.start..elst.body.start + len, len).await?;
                edits(&mut Fields(fields), &mut timing, movie_scale);
            }
        }
        Ok(timing)
    }
}

impl Timing {
    /// The media's time at a fraction of what is shown.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place in a video need not be exact to the last of 2^53 units"
    )]
    pub(super) fn at(&self, fraction: f64) -> u64 {
        let shown = self.media_duration.saturating_sub(self.skipped);
        self.skipped.saturating_add((shown as f64 * fraction) as u64)
    }

    /// When a moment of the media is shown, in milliseconds.
    pub(super) fn shown_at(&self, time: u64) -> u64 {
        to_ms(time.saturating_sub(self.skipped).saturating_add(self.delayed), self.scale)
    }
}

/// Units of a scale as milliseconds.
pub(super) fn to_ms(time: u64, scale: u32) -> u64 {
    let ms = u128::from(time) * 1000 / u128::from(scale.max(1));
    u64::try_from(ms).unwrap_or(u64::MAX)
}

/// Tells samples from times, in the media's own scale.
pub(super) struct Clock {
    pub(super) steps: Vec<Step>,
}

pub(super) struct Step {
    pub(super) sample: u64,
    pub(super) time: u64,
    pub(super) delta: u64,
}

impl Clock {
    pub(super) fn sample_at(&self, time: u64) -> u64 {
        let next = self.steps.partition_point(|step| step.time <= time);
        let Some(step) = next.checked_sub(1).and_then(|i| self.steps.get(i)) else { return 0 };
        let sample = step.sample.saturating_add((time - step.time).checked_div(step.delta).unwrap_or(0));
        self.steps.get(next).map_or(sample, |end| sample.min(end.sample))
    }

    pub(super) fn time_of(&self, sample: u64) -> u64 {
        let next = self.steps.partition_point(|step| step.sample <= sample);
        let Some(step) = next.checked_sub(1).and_then(|i| self.steps.get(i)) else { return 0 };
        step.time.saturating_add((sample - step.sample).saturating_mul(step.delta))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_of_several_speeds() {
        let step = |sample, time, delta| Step { sample, time, delta };
        let clock = Clock { steps: vec![step(0, 0, 10), step(5, 50, 100), step(7, 250, 0)] };
        for (time, sample) in [(0, 0), (9, 0), (49, 4), (50, 5), (149, 5), (150, 6), (9999, 7)] {
            assert_eq!(clock.sample_at(time), sample, "{time}");
        }
        for (sample, time) in [(0, 0), (4, 40), (5, 50), (6, 150), (9, 250)] {
            assert_eq!(clock.time_of(sample), time, "{sample}");
        }
    }

    #[test]
    fn an_edit_skips_the_beginning() {
        let timing = Timing { scale: 100, media_duration: 500, skipped: 100, ..Timing::default() };
        assert_eq!((timing.at(0.0), timing.at(0.5)), (100, 300));
        assert_eq!((timing.shown_at(0), timing.shown_at(100), timing.shown_at(300)), (0, 0, 2000));
        assert_eq!(to_ms(u64::MAX, 1), u64::MAX);
    }
}
