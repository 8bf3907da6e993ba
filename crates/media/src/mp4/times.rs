//! The times of samples: decoding times (`stts`, ISO/IEC 14496-12, 8.6.1.2) and composition offsets (`ctts`, 8.6.1.3), in
//! units of the media's timescale.

use super::boxes::Fields;
use super::timing::signed;

/// The decoding and composition times of all samples of a track.
pub(super) struct SampleTimes {
    pub(super) decode: DecodeTimes,
    pub(super) offsets: Offsets,
    /// The number of samples.
    pub(super) count: u64,
}

impl SampleTimes {
    /// Returns the composition time of a sample (number from 0), which is its media time for the edits.
    pub(super) fn media_time(&self, sample: u64) -> i64 {
        signed(self.decode.time_of(sample)).saturating_add(self.offsets.of(sample).into())
    }

    /// Returns the decoding time, the duration and the composition time of each sample, in order.
    pub(super) fn all(&self) -> impl Iterator<Item = (u64, u64, i64)> {
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        let times = self.decode.all().zip(self.offsets.all()).take(count);
        times.map(|((time, delta), offset)| (time, delta, signed(time).saturating_add(offset.into())))
    }

    /// Returns a sample whose composition time is about `media`.
    pub(super) fn sample_near(&self, media: i64) -> u64 {
        let guess = |media: i64| self.decode.sample_at(u64::try_from(media).unwrap_or(0));
        let first = guess(media);
        let offset = self.offsets.of(first.min(self.count.saturating_sub(1)));
        guess(media.saturating_sub(offset.into())).min(self.count.saturating_sub(1))
    }
}

/// Maps between sample numbers and decoding times.
pub(super) struct DecodeTimes {
    runs: Vec<DurationRun>,
}

/// Samples with the same duration, up to the next run.
struct DurationRun {
    /// The number of the first sample, from 0.
    sample: u64,
    /// The decoding time of the first sample.
    time: u64,
    /// The duration of each sample.
    delta: u64,
}

impl DecodeTimes {
    /// Reads the entries of an `stts` box.
    pub(super) fn read(mut entries: Fields) -> Self {
        let mut runs = Vec::new();
        let (mut sample, mut time) = (0u64, 0u64);
        while let (Some(count), Some(delta)) = (entries.u32(), entries.u32()) {
            runs.push(DurationRun { sample, time, delta: u64::from(delta) });
            sample = sample.saturating_add(u64::from(count));
            time = time.saturating_add(u64::from(count).saturating_mul(u64::from(delta)));
        }
        Self { runs }
    }

    /// Assumes the same duration for every sample.
    pub(super) fn constant(delta: u64) -> Self {
        Self { runs: vec![DurationRun { sample: 0, time: 0, delta }] }
    }

    /// Returns whether every sample lasts one tick.
    pub(super) fn is_one_tick(&self) -> bool {
        matches!(self.runs[..], [DurationRun { delta: 1, .. }])
    }

    /// Returns the time and the duration of each sample, without end.
    fn all(&self) -> impl Iterator<Item = (u64, u64)> {
        let ends = self.runs.iter().skip(1).map(|next| next.sample).chain([u64::MAX]);
        self.runs.iter().zip(ends).flat_map(|(run, end)| {
            let count = end.saturating_sub(run.sample);
            (0..count).map(|i| (run.time.saturating_add(i.saturating_mul(run.delta)), run.delta))
        })
    }

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

/// The composition offsets: composition time minus decoding time.
pub(super) struct Offsets {
    /// The number of the first sample that has an offset, and the offset.
    runs: Vec<(u64, i32)>,
}

impl Offsets {
    /// Reads the entries of a `ctts` box. Offsets are signed in both versions, because some muxers write negative ones
    /// in version 0, too.
    pub(super) fn read(mut entries: Fields) -> Self {
        let mut runs = Vec::new();
        let mut sample = 0u64;
        while let (Some(count), Some(offset)) = (entries.u32(), entries.i32()) {
            runs.push((sample, offset));
            sample = sample.saturating_add(u64::from(count));
        }
        Self { runs }
    }

    /// Assumes the same offset for every sample.
    pub(super) fn constant(offset: i32) -> Self {
        Self { runs: vec![(0, offset)] }
    }

    /// Returns the offset of each sample, without end.
    fn all(&self) -> impl Iterator<Item = i32> {
        let ends = self.runs.iter().skip(1).map(|(next, _)| *next).chain([u64::MAX]);
        let offsets = self.runs.iter().zip(ends);
        let offsets = offsets.flat_map(|((first, offset), end)| {
            std::iter::repeat_n(*offset, usize::try_from(end.saturating_sub(*first)).unwrap_or(usize::MAX))
        });
        offsets.chain(std::iter::repeat(0))
    }

    fn of(&self, sample: u64) -> i32 {
        let next = self.runs.partition_point(|(first, _)| *first <= sample);
        next.checked_sub(1).and_then(|i| self.runs.get(i)).map_or(0, |(_, offset)| *offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(words: &[u32]) -> Fields {
        Fields(words.iter().flat_map(|word| word.to_be_bytes()).collect())
    }

    #[test]
    fn decode_times_with_varying_sample_durations() {
        let decode_times = DecodeTimes::read(table(&[5, 10, 2, 100, 9, 0]));
        for (time, sample) in [(0, 0), (9, 0), (49, 4), (50, 5), (149, 5), (150, 6), (9999, 7)] {
            assert_eq!(decode_times.sample_at(time), sample, "{time}");
        }
        for (sample, time) in [(0, 0), (4, 40), (5, 50), (6, 150), (9, 250)] {
            assert_eq!(decode_times.time_of(sample), time, "{sample}");
            assert_eq!(decode_times.all().nth(usize::try_from(sample).unwrap()).unwrap().0, time);
        }
        assert_eq!(decode_times.all().skip(4).take(3).collect::<Vec<_>>(), [(40, 10), (50, 100), (150, 100)]);
    }

    #[test]
    fn each_sample_has_its_own_composition_offset() {
        let offsets = Offsets::read(table(&[1, 20, 2, 40, 3, (-10i32).cast_unsigned()]));
        let times = SampleTimes { decode: DecodeTimes::constant(10), offsets, count: 6 };
        let media: Vec<i64> = (0..6).map(|sample| times.media_time(sample)).collect();
        assert_eq!(media, [20, 50, 60, 20, 30, 40]);
        let all: Vec<_> = times.all().collect();
        assert_eq!(all.iter().map(|(.., media)| *media).collect::<Vec<_>>(), media);
        assert_eq!((all[0], all[5]), ((0, 10, 20), (50, 10, 40)));
        assert_eq!([times.sample_near(20), times.sample_near(1000), times.sample_near(-5)], [0, 5, 0]);
    }
}
