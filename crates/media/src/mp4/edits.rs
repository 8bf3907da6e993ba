//! The edit list of a track (ISO/IEC 14496-12, 8.6.6): which parts of the media are presented, and when.
//!
//! Times are in units of the media's timescale. A media time is a composition time: that of a sample before the edits. A
//! frame that starts before an edit is not part of it, as in ffmpeg and browsers, even if it lasts into the edit.

use super::boxes::Fields;

/// Limit of edits read. An editor that saves without encoding writes one per cut.
const MAX_EDITS: u32 = 4096;
/// The rate 1, as a fixed-point number.
const RATE_1: i64 = 0x0001_0000;
/// The start of an empty edit.
const EMPTY: i64 = -1;

/// A part of the media that is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edit {
    /// The presentation time at which it starts.
    pub(super) start: i64,
    /// How long it is presented; `i64::MAX` is until the end of the media.
    duration: i64,
    /// The part of the duration for which there is media, if known, otherwise the whole. The last frame can end later,
    /// because the duration of the media is the sum of the decode durations.
    filled: i64,
    /// The media time at which it starts.
    pub(super) media: i64,
    /// The speed, a fixed-point number with 16 fractional bits. 0 is a dwell: one frame is presented all the time.
    rate: i64,
}

impl Edit {
    /// Returns the media time at which it ends (exclusive). A dwell has a single tick.
    pub(super) fn media_end(&self) -> i64 {
        self.media.saturating_add(scaled(self.duration, self.rate, RATE_1).max(i64::from(self.is_dwell())))
    }

    /// Returns the presentation time at which its media ends.
    pub(super) fn end(&self) -> i64 {
        self.start.saturating_add(self.filled)
    }

    /// Returns the presentation time at which it ends, with or without media.
    pub(super) fn limit(&self) -> i64 {
        self.start.saturating_add(self.duration)
    }

    pub(super) fn is_dwell(&self) -> bool {
        self.rate == 0
    }

    pub(super) fn plays_normally(&self) -> bool {
        self.rate == RATE_1
    }

    /// Returns whether it presents the frame with this media time.
    pub(super) fn contains(&self, media: i64) -> bool {
        (self.media..self.media_end()).contains(&media)
    }

    /// Returns the presentation time of a media time.
    pub(super) fn time_of(&self, media: i64) -> i64 {
        if self.is_dwell() {
            return self.start;
        }
        self.start.saturating_add(scaled(media.saturating_sub(self.media), RATE_1, self.rate))
    }

    /// Returns the media time that is presented at `time`.
    pub(super) fn media_at(&self, time: i64) -> i64 {
        self.media.saturating_add(scaled(time.saturating_sub(self.start), self.rate, RATE_1))
    }
}

/// The edits of a track that present media, in the order of presentation. Empty edits are the gaps between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edits(Vec<Edit>);

impl Default for Edits {
    /// Presents the whole media, as a track without an edit list does.
    fn default() -> Self {
        Self(vec![Edit { start: 0, duration: i64::MAX, filled: i64::MAX, media: 0, rate: RATE_1 }])
    }
}

impl Edits {
    /// Reads the body of an `elst` box, whose durations are in units of `movie_scale`. `media_end` is the end of the
    /// media, if it is known: an edit ends there at the latest.
    ///
    /// An edit list that presents nothing is ignored, as is a malformed one.
    pub(super) fn read(
        elst: &mut Fields,
        scale: u32,
        movie_scale: u32,
        media_end: Option<i64>,
    ) -> Option<Self> {
        let (version, _) = elst.version_and_flags()?;
        let count = elst.u32()?.min(MAX_EDITS);
        let mut edits = Vec::new();
        let mut start = 0i64;
        for nth in 1..=count {
            let declared = elst.u32_or_u64(version)?;
            let media = if version == 0 { i64::from(elst.i32()?) } else { elst.u64()?.cast_signed() };
            // Players do not play backwards.
            let rate = Some(i64::from(elst.i32()?)).filter(|rate| *rate >= 0).unwrap_or(RATE_1);
            let mut duration = rescaled(declared, scale, movie_scale);
            if media == EMPTY {
                start = start.saturating_add(duration);
                continue;
            }
            // A last edit of no length presents the rest of the media, fragments included.
            if nth == count && declared == 0 && rate > 0 {
                duration = i64::MAX;
            }
            let mut edit = Edit { start, duration, filled: duration, media: media.max(0), rate };
            if let Some(end) = media_end
                && rate > 0
            {
                edit.filled = duration.min(scaled(end.saturating_sub(edit.media).max(0), RATE_1, rate));
            }
            if edit.filled > 0 {
                edits.push(edit);
            }
            start = start.saturating_add(duration);
        }
        (!edits.is_empty()).then_some(Self(edits))
    }

    /// Returns whether there is an edit list.
    pub(super) fn are_listed(&self) -> bool {
        *self != Self::default()
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Edit> {
        self.0.iter()
    }

    /// Returns the edit that is presented at `time`: the last one that starts before it, or the first.
    pub(super) fn at(&self, time: i64) -> Option<&Edit> {
        let next = self.0.partition_point(|edit| edit.start <= time);
        self.0.get(next.saturating_sub(1))
    }

    /// Returns the presentation time at which the last edit ends.
    pub(super) fn end(&self) -> i64 {
        self.0.last().map_or(0, Edit::end)
    }

    /// Returns the presentation times of a media time, one for each edit that contains it.
    pub(super) fn times_of(&self, media: i64) -> impl Iterator<Item = i64> {
        self.0.iter().filter(move |edit| edit.contains(media)).map(move |edit| edit.time_of(media))
    }

    /// Removes the end of the last edit, because fragments follow that the edit list does not know.
    pub(super) fn extend(&mut self) {
        if let Some(last) = self.0.last_mut().filter(|last| !last.is_dwell()) {
            (last.duration, last.filled) = (i64::MAX, i64::MAX);
        }
    }

    /// Returns the presentation time of a media time that may be outside the edits.
    pub(super) fn time_after(&self, media: i64) -> i64 {
        let last = self.0.iter().rev().find(|edit| edit.media <= media).or(self.0.first());
        last.map_or(media, |edit| edit.time_of(media))
    }

    /// Returns the only edit that presents media, if it plays at the normal speed.
    pub(super) fn only(&self) -> Option<&Edit> {
        match &self.0[..] {
            [edit] if edit.plays_normally() => Some(edit),
            _ => None,
        }
    }

    /// Returns the difference of presentation and media time, if it is the same for all of the media that is presented.
    pub(super) fn shift(&self) -> Option<i64> {
        self.only().map(|edit| edit.start.saturating_sub(edit.media))
    }

    /// Returns whether every frame of the media from `first` to `last` (media times) is presented, one after the other.
    pub(super) fn present_all(&self, first: i64, last: i64) -> bool {
        self.shift().is_some() && self.0.iter().all(|edit| edit.media <= first && edit.media_end() >= last)
    }
}

/// Converts a duration to another timescale, rounded to the nearest unit.
fn rescaled(duration: u64, to: u32, from: u32) -> i64 {
    let from = u128::from(from.max(1));
    i64::try_from((u128::from(duration) * u128::from(to) + from / 2) / from).unwrap_or(i64::MAX)
}

/// Returns `value` times a fraction, rounded down. The largest value is unlimited and stays so, unless it becomes 0.
fn scaled(value: i64, numerator: i64, denominator: i64) -> i64 {
    if value == i64::MAX && numerator > 0 {
        return i64::MAX;
    }
    let product = i128::from(value) * i128::from(numerator);
    let result = product.div_euclid(i128::from(denominator.max(1)));
    i64::try_from(result).unwrap_or(if result < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: u32 = 0x1_0000;

    /// Reads a list of version 0 for a media of 500 ticks, 100 per second; the movie has 1000 per second.
    fn edits(list: &[[u32; 3]]) -> Option<Edits> {
        let head = [0, u32::try_from(list.len()).unwrap()];
        let words = head.into_iter().chain(list.iter().flatten().copied());
        let elst: Vec<u8> = words.flat_map(u32::to_be_bytes).collect();
        Edits::read(&mut Fields(elst.into()), 100, 1000, Some(500))
    }

    fn times(edits: &Edits, media: i64) -> Vec<i64> {
        edits.times_of(media).collect()
    }

    #[test]
    fn a_track_without_edits_is_presented_as_it_is() {
        let whole = Edits::default();
        assert_eq!((times(&whole, 0), times(&whole, 499)), (vec![0], vec![499]));
        assert_eq!((whole.shift(), whole.end()), (Some(0), i64::MAX));
        assert!(whole.present_all(0, i64::MAX));
    }

    #[test]
    fn one_edit_trims_both_ends() {
        let trimmed = edits(&[[2000, 100, ONE]]).unwrap();
        assert_eq!(times(&trimmed, 99), []);
        assert_eq!((times(&trimmed, 100), times(&trimmed, 299)), (vec![0], vec![199]));
        assert_eq!(times(&trimmed, 300), []);
        assert_eq!((trimmed.end(), trimmed.shift()), (200, Some(-100)));
        assert!(trimmed.present_all(100, 300) && !trimmed.present_all(99, 300));
        assert!(!trimmed.present_all(100, 301));
    }

    #[test]
    fn a_cut_in_the_middle_leaves_two_parts() {
        let cut = edits(&[[1000, 0, ONE], [1000, 300, ONE]]).unwrap();
        assert_eq!((times(&cut, 99), times(&cut, 100), times(&cut, 300)), (vec![99], vec![], vec![100]));
        assert_eq!((cut.end(), cut.shift()), (200, None));
        let at = |time| cut.at(time).map(|edit| edit.media_at(time));
        assert_eq!([at(-5), at(0), at(99), at(100), at(250)], [-5, 0, 99, 300, 450].map(Some));
    }

    #[test]
    fn a_part_can_be_presented_twice() {
        let twice = edits(&[[1000, 100, ONE], [1000, 100, ONE]]).unwrap();
        assert_eq!(times(&twice, 150), [50, 150]);
    }

    #[test]
    fn empty_edits_are_gaps() {
        let gaps = edits(&[[500, u32::MAX, ONE], [1000, 0, ONE], [1000, u32::MAX, ONE], [1000, 100, ONE]]);
        let gaps = gaps.unwrap();
        assert_eq!((times(&gaps, 0), times(&gaps, 100), gaps.end()), (vec![50], vec![250], 350));
        let at = |time| gaps.at(time).unwrap().start;
        assert_eq!([at(0), at(50), at(200), at(250)], [50, 50, 50, 250]);
    }

    #[test]
    fn rate_changes_the_speed_and_a_dwell_stops() {
        let edits = edits(&[[1000, 0, 2 * ONE], [1000, 200, 0], [1000, 200, ONE / 2]]).unwrap();
        assert_eq!((times(&edits, 0), times(&edits, 100), times(&edits, 199)), (vec![0], vec![50], vec![99]));
        assert_eq!(times(&edits, 200), [100, 200]);
        assert_eq!(
            (times(&edits, 201), times(&edits, 249), times(&edits, 250)),
            (vec![202], vec![298], vec![])
        );
        assert_eq!(edits.at(150).unwrap().media_at(150), 200);
    }

    #[test]
    fn an_edit_ends_with_the_media() {
        assert_eq!(edits(&[[99_000, 100, ONE]]).unwrap().end(), 400);
        assert_eq!(edits(&[[0, 100, ONE]]).unwrap().end(), 400, "a duration of 0 is the rest");
        let past = edits(&[[1000, 0, ONE], [1000, 900, ONE], [1000, 100, ONE]]).unwrap();
        assert_eq!((times(&past, 100), past.end()), (vec![200], 300), "one that has no media is a gap");
    }

    #[test]
    fn a_list_that_presents_nothing_is_ignored() {
        assert_eq!(edits(&[]), None);
        assert_eq!(edits(&[[1000, u32::MAX, ONE]]), None);
        assert_eq!(edits(&[[1000, 700, ONE]]), None);
        assert_eq!(Edits::read(&mut Fields(vec![0, 0, 0, 0, 0, 0, 0, 1, 0].into()), 1, 1, None), None);
    }

    #[test]
    fn extreme_numbers_do_not_overflow() {
        let words = [0x0100_0000, 3, u32::MAX, u32::MAX, i32::MAX.cast_unsigned(), u32::MAX, ONE];
        let words =
            [&words[..], &[0, 1, 0, 0, i32::MAX.cast_unsigned()], &[u32::MAX; 2], &[0x8000_0000, 0, 1]];
        let elst: Vec<u8> = words.concat().into_iter().flat_map(u32::to_be_bytes).collect();
        let edits = Edits::read(&mut Fields(elst.into()), u32::MAX, 1, None).unwrap();
        for time in [i64::MIN, -1, 0, i64::MAX] {
            let edit = edits.at(time).unwrap();
            let _ = (edit.media_at(time), edit.time_of(time), edit.contains(time), edits.end());
        }
    }
}
