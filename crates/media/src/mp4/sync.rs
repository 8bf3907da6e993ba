//! Chooses keyframes by their presentation times.

use super::boxes::Fields;
use super::edits::{Edit, Edits};
use super::times::SampleTimes;

/// Keyframes to compare on each side. Times ascend from one to the next, but their number in the list is found by an
/// estimate.
const NEIGHBOURS: usize = 4;
/// Limit of samples that are decoded only because a frame depends on them, for all frames together.
const MAX_LEAD_IN: u64 = 1000;
/// Largest distance in which frames are reordered, in samples. Codecs allow up to 16.
pub(super) const MAX_REORDER: u64 = 32;

/// A frame to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice {
    /// Its presentation time.
    pub(super) time: i64,
    /// The sample to decode first: the keyframe that it depends on.
    pub(super) first: u64,
    /// Its sample.
    pub(super) shown: u64,
}

/// The sync samples of a track, which can be decoded without others.
pub(super) struct Sync {
    /// Their numbers from 0, ascending; `None` if every sample is one.
    list: Option<Vec<u64>>,
}

impl Sync {
    pub(super) fn every_sample() -> Self {
        Self { list: None }
    }

    /// Reads the entries of an `stss` box. An empty table means that there is no sync sample. Then the first sample is
    /// the best guess.
    pub(super) fn read(mut entries: Fields) -> Self {
        let numbers = std::iter::from_fn(|| entries.u32());
        let mut list: Vec<u64> = numbers.map(|number| u64::from(number).saturating_sub(1)).collect();
        list.sort_unstable();
        if list.is_empty() {
            list.push(0);
        }
        Self { list: Some(list) }
    }

    /// Returns whether a sample is a sync sample.
    pub(super) fn contains(&self, sample: u64) -> bool {
        self.list.as_ref().is_none_or(|list| list.binary_search(&sample).is_ok())
    }

    /// Returns a frame for each of the `wanted` presentation times, in the order of time, each once.
    ///
    /// It is the nearest keyframe that the edit at that time presents. An edit that presents none, because it begins
    /// after a keyframe and ends before the next, is shown by its first frame.
    pub(super) fn choose(
        &self,
        times: &SampleTimes,
        edits: &Edits,
        wanted: impl Iterator<Item = i64>,
    ) -> Vec<Choice> {
        let mut choices: Vec<Choice> = Vec::new();
        let mut lead_in = 0;
        for time in wanted {
            let Some(edit) = edits.at(time) else { continue };
            if let Some(sample) = self.nearest(times, edit, edit.media_at(time)) {
                let time = edit.time_of(times.media_time(sample));
                choices.push(Choice { time, first: sample, shown: sample });
            } else if choices.last().is_none_or(|last| last.time < edit.start)
                && let Some(choice) = self.first_frame(times, edit)
            {
                lead_in += choice.shown - choice.first;
                if lead_in <= MAX_LEAD_IN {
                    choices.push(choice);
                }
            }
        }
        choices.sort_unstable_by_key(|choice| choice.time);
        choices.dedup();
        choices
    }

    /// Returns the sync sample that the edit presents nearest to `media`, the lower one of two.
    fn nearest(&self, times: &SampleTimes, edit: &Edit, media: i64) -> Option<u64> {
        let near = times.sample_near(media);
        let distance = |sample: &u64| times.media_time(*sample).abs_diff(media);
        let presented = |sample: &u64| *sample < times.count && edit.contains(times.media_time(*sample));
        match &self.list {
            None => {
                let reach = NEIGHBOURS as u64;
                let around = near.saturating_sub(reach)..=near.saturating_add(reach);
                around.filter(presented).min_by_key(distance)
            }
            Some(list) => {
                let next = list.partition_point(|sample| *sample < near);
                let around = next.saturating_sub(NEIGHBOURS)..(next + NEIGHBOURS).min(list.len());
                list.get(around)?.iter().copied().filter(presented).min_by_key(distance)
            }
        }
    }

    /// Returns the frame with which an edit starts: the first one in it, or, if there is none, the one that lasts into
    /// it.
    fn first_frame(&self, times: &SampleTimes, edit: &Edit) -> Option<Choice> {
        let first = self.last_before(times, edit.media)?;
        let mut inside: Option<(i64, u64)> = None;
        let mut before: Option<(i64, u64)> = None;
        for sample in first..times.count {
            if sample - first > MAX_LEAD_IN {
                return None;
            }
            let media = times.media_time(sample);
            if edit.contains(media) {
                inside = inside.into_iter().chain([(media, sample)]).min();
            } else if media <= edit.media {
                before = before.into_iter().chain([(media, sample)]).max();
            }
            let found = inside.or(before.filter(|_| media >= edit.media_end()));
            if found.is_some_and(|(_, found)| sample - found > MAX_REORDER) {
                break;
            }
        }
        let (media, shown) = inside.or(before)?;
        Some(Choice { time: edit.time_of(media.max(edit.media)), first, shown })
    }

    /// Returns the last sync sample whose composition time is at most `media`.
    pub(super) fn last_before(&self, times: &SampleTimes, media: i64) -> Option<u64> {
        let near = times.sample_near(media).saturating_add(MAX_REORDER);
        let before = |sample: &u64| *sample < times.count && times.media_time(*sample) <= media;
        match &self.list {
            None => (near.saturating_sub(2 * MAX_REORDER)..=near).rev().find(before),
            Some(list) => {
                let next = list.partition_point(|sample| *sample <= near);
                list.get(..next)?.iter().rev().copied().find(before)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::times::{DecodeTimes, Offsets};
    use super::*;

    fn table(words: &[u32]) -> Fields {
        Fields(words.iter().flat_map(|word| word.to_be_bytes()).collect())
    }

    /// Forty frames of 10 ticks with a keyframe every ten. Each second frame is stored after the next one, as B-frames
    /// are.
    fn frames() -> (Sync, SampleTimes) {
        let offsets = [[1, 10, 1, 20, 1, 0].as_slice(), &[1, 20, 1, 0].repeat(3), &[1, 10]].concat();
        let offsets: Vec<u32> = offsets.repeat(4).chunks(2).flat_map(|pair| [pair[0], pair[1]]).collect();
        let times = SampleTimes {
            decode: DecodeTimes::constant(10),
            offsets: Offsets::read(table(&offsets)),
            count: 40,
        };
        (Sync::read(table(&[1, 11, 21, 31])), times)
    }

    fn edits(list: &[[u32; 2]]) -> Edits {
        let mut words = vec![0, u32::try_from(list.len()).unwrap()];
        words.extend(list.iter().flat_map(|[duration, media]| [*duration, *media, 0x1_0000]));
        Edits::read(&mut table(&words), 100, 100, Some(410)).unwrap()
    }

    fn chosen(edits: &Edits, wanted: &[i64]) -> Vec<(i64, u64, u64)> {
        let (sync, times) = frames();
        let choices = sync.choose(&times, edits, wanted.iter().copied());
        choices.into_iter().map(|Choice { time, first, shown }| (time, first, shown)).collect()
    }

    #[test]
    fn keyframes_nearest_to_the_wanted_times_are_chosen_once() {
        let whole = edits(&[[400, 10]]);
        assert_eq!(chosen(&whole, &[0, 40, 60, 390]), [(0, 0, 0), (100, 10, 10), (300, 30, 30)]);
        assert_eq!(chosen(&Edits::default(), &[0, 115]), [(10, 0, 0), (110, 10, 10)]);
    }

    #[test]
    fn only_keyframes_inside_the_edits_are_chosen() {
        let cut = edits(&[[150, 10], [120, 280]]);
        assert_eq!(
            chosen(&cut, &[0, 90, 149, 151, 260]),
            [(0, 0, 0), (100, 10, 10), (150 + 30, 30, 30)],
            "the keyframe at 210 was cut out"
        );
    }

    #[test]
    fn an_edit_without_a_keyframe_is_shown_by_its_first_frame() {
        // The frame at 40 is stored as the sample after that at 50.
        assert_eq!(chosen(&edits(&[[50, 40]]), &[10, 40]), [(0, 0, 4)]);
        assert_eq!(chosen(&edits(&[[50, 50]]), &[10, 40]), [(0, 0, 3)]);
        assert_eq!(chosen(&edits(&[[100, 10], [50, 240]]), &[10, 140]), [(0, 0, 0), (100, 20, 24)]);
    }

    #[test]
    fn an_edit_within_one_frame_shows_that_frame() {
        let times = SampleTimes {
            decode: DecodeTimes::read(table(&[3, 10, 1, 500])),
            offsets: Offsets::constant(0),
            count: 4,
        };
        let edits = Edits::read(&mut table(&[0, 1, 100, 200, 0x1_0000]), 100, 100, Some(530)).unwrap();
        let sync = Sync::read(table(&[1]));
        let choice = Choice { time: 0, first: 0, shown: 3 };
        assert_eq!(sync.choose(&times, &edits, [50].into_iter()), [choice]);
    }

    #[test]
    fn lead_in_is_limited() {
        let times =
            SampleTimes { decode: DecodeTimes::constant(1), offsets: Offsets::constant(0), count: 9000 };
        let sync = Sync::read(table(&[1]));
        let at = |media| {
            let edits = Edits::read(&mut table(&[0, 1, 10, media, 0x1_0000]), 100, 100, None).unwrap();
            sync.choose(&times, &edits, [5].into_iter()).len()
        };
        assert_eq!((at(900), at(2000)), (1, 0));
    }

    #[test]
    fn without_a_list_every_sample_is_a_keyframe() {
        let times =
            SampleTimes { decode: DecodeTimes::constant(10), offsets: Offsets::constant(0), count: 40 };
        let sync = Sync::every_sample();
        let choose = |edits: &Edits, time| sync.choose(&times, edits, [time].into_iter());
        assert_eq!(choose(&Edits::default(), 206), [Choice { time: 210, first: 21, shown: 21 }]);
        assert_eq!(choose(&edits(&[[100, 200]]), 0), [Choice { time: 0, first: 20, shown: 20 }]);
        assert_eq!(sync.choose(&times, &Edits::default(), [9999].into_iter())[0].shown, 39);
    }
}
