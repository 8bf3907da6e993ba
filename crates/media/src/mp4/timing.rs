//! The timing of a track: its timescale, its duration, and its edits.

use super::boxes::{Fields, Header, Reader, find};
use super::edits::Edits;
use super::headers::media_header;
use super::movie::{BOX_READ, MAX_BODY, Media};
use super::tables::Tables;
use crate::keyframe::Error;

/// Largest edit list that is read, in bytes.
const MAX_ELST: u64 = 96 * 1024;

/// The timing of a track (ISO/IEC 14496-12, 8.4.2 and 8.6.6). Times are in units of `scale`.
#[derive(Debug, Clone, Default)]
pub(super) struct Timing {
    /// Units per second; never zero.
    pub(super) scale: u32,
    /// The duration of the media; 0 if unknown.
    pub(super) media_duration: u64,
    pub(super) edits: Edits,
    /// The presentation time that is 0 for users. It differs from 0 if the start of a live stream is missing.
    pub(super) origin: i64,
}

impl Media {
    /// Reads the media header. The edits are not read yet.
    pub(super) async fn media_timing(&self, reader: &Reader<'_>) -> Result<Timing, Error> {
        let mdhd = find(&self.mdia, *b"mdhd").ok_or(Error::Unknown("required box missing in a track"))?;
        let mut body = reader.body(mdhd, MAX_BODY).await?;
        media_header(&mut body).ok_or(Error::Unknown("malformed media header"))
    }

    /// Returns the body of the edit list, if there is one.
    pub(super) async fn edit_list(&self, reader: &mut Reader<'_>) -> Result<Option<Fields>, Error> {
        let Some(edts) = find(&self.boxes, *b"edts") else { return Ok(None) };
        let boxes = reader.children(&edts.body, BOX_READ).await?;
        let Some(Header { body, .. }) = find(&boxes, *b"elst") else { return Ok(None) };
        let len = (body.end - body.start).min(MAX_ELST);
        reader.read(body.start..body.start + len, len).await.map(|bytes| Some(Fields(bytes)))
    }

    /// Reads the timing of a track whose samples are not read.
    pub(super) async fn timing(&self, reader: &mut Reader<'_>, movie_scale: u32) -> Result<Timing, Error> {
        let mut timing = self.media_timing(reader).await?;
        let elst = self.edit_list(reader).await?;
        timing.read_edits(elst, movie_scale, 0);
        Ok(timing)
    }

    /// Reads the timing of a track whose samples are listed in `tables`.
    pub(super) async fn timing_of(
        &self,
        reader: &mut Reader<'_>,
        tables: &Tables,
        movie_scale: u32,
    ) -> Result<Timing, Error> {
        let mut timing = self.media_timing(reader).await?;
        if let Some(duration) = tables.duration(reader.source).await? {
            timing.media_duration = duration;
        }
        let elst = self.edit_list(reader).await?;
        timing.read_edits(elst, movie_scale, tables.first_offset.into());
        Ok(timing)
    }
}

impl Timing {
    /// Reads the body of an edit list. `first` is the media time of the first sample, so the media ends that much later
    /// than its duration says.
    pub(super) fn read_edits(&mut self, elst: Option<Fields>, movie_scale: u32, first: i64) {
        let duration = Some(self.media_duration).filter(|duration| *duration > 0);
        let media_end = duration.map(|duration| signed(duration).saturating_add(first.max(0)));
        let edits = elst.and_then(|mut elst| Edits::read(&mut elst, self.scale, movie_scale, media_end));
        self.edits = edits.unwrap_or_default();
    }

    /// Returns the presentation time at which the track ends.
    pub(super) fn end(&self) -> i64 {
        match self.edits.end() {
            i64::MAX => {
                let rest = |media: i64| signed(self.media_duration).saturating_sub(media);
                self.edits.iter().last().map_or(0, |edit| edit.start.saturating_add(rest(edit.media).max(0)))
            }
            end => end,
        }
    }

    /// Returns a presentation time at a fraction of the presentation.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "an approximate time is enough, and f64 is exact up to 2^53 units"
    )]
    pub(super) fn time_at(&self, fraction: f64) -> i64 {
        let (start, end) = (self.start(), self.end());
        start.saturating_add((end.saturating_sub(start).max(0) as f64 * fraction) as i64)
    }

    /// Returns the presentation time at which the track starts.
    fn start(&self) -> i64 {
        self.edits.iter().next().map_or(0, |edit| edit.start).max(self.origin)
    }

    /// Returns the presentation time of a playing time in milliseconds, the inverse of [`Timing::ms`].
    pub(super) fn time_of(&self, ms: u64) -> i64 {
        rescaled(signed(ms), 1000, self.scale).saturating_add(self.origin)
    }

    /// Converts a presentation time to milliseconds for users.
    pub(super) fn ms(&self, time: i64) -> u64 {
        to_ms(u64::try_from(time.saturating_sub(self.origin)).unwrap_or(0), self.scale)
    }
}

/// Converts units of `scale` to milliseconds.
pub(super) fn to_ms(time: u64, scale: u32) -> u64 {
    let ms = u128::from(time) * 1000 / u128::from(scale.max(1));
    u64::try_from(ms).unwrap_or(u64::MAX)
}

/// Returns the longest time, in ticks, by which audio starts before the film or ends after it only because of its
/// encoder's delay or its last block: two of the longest AAC frames.
pub(super) fn padding(scale: u32) -> i64 {
    i64::from(scale / 10)
}

/// Converts a time to another timescale.
pub(super) fn rescaled(time: i64, from: u32, to: u32) -> i64 {
    let time = i128::from(time) * i128::from(to);
    i64::try_from(time.div_euclid(i128::from(from.max(1)))).unwrap_or(i64::MAX)
}

/// Converts a time to a signed number. Larger than `i64` saturates.
pub(super) fn signed(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presentation_is_what_the_edits_leave() {
        let mut timing = Timing { scale: 100, media_duration: 500, ..Timing::default() };
        assert_eq!((timing.end(), timing.time_at(0.5), timing.ms(250)), (500, 250, 2500));
        let words = [0u32, 1, 0, 100, 0x1_0000];
        let elst: Vec<u8> = words.into_iter().flat_map(u32::to_be_bytes).collect();
        timing.read_edits(Some(Fields(elst.into())), 1000, 20);
        assert_eq!((timing.end(), timing.time_at(0.5)), (420, 210));
        assert_eq!(to_ms(u64::MAX, 1), u64::MAX);
    }

    #[test]
    fn a_live_stream_starts_at_its_origin() {
        let timing = Timing { scale: 10, media_duration: 1200, origin: 1000, ..Timing::default() };
        assert_eq!((timing.time_at(0.0), timing.time_at(0.5)), (1000, 1100));
        assert_eq!((timing.ms(1100), timing.ms(0)), (10_000, 0));
    }
}
