//! The times of audio, counted in audio samples. Those of a file are rounded, mostly to milliseconds.

use super::ebml::{self, child, id};
use super::listed::Listed;
use super::{SECOND, entries};
use crate::remux::Sample;

/// Converts the times of an audio track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock {
    /// Nanoseconds per tick of the file.
    pub(crate) tick: u64,
    /// Nanoseconds at the start of the track that are not presented.
    pub(crate) delay: u64,
    /// Audio samples per second.
    pub(crate) scale: u32,
    /// Whether frames state their length themselves.
    pub(crate) is_opus: bool,
}

impl Clock {
    /// Returns the clock of the audio track with this `TrackEntry`.
    pub(super) fn of(track: &[u8], tick: u64) -> Option<Self> {
        let delay = child(track, id::CODEC_DELAY).and_then(ebml::uint).unwrap_or(0);
        Some(Self { tick, delay, scale: entries::sample_rate(track)?, is_opus: entries::is_opus(track) })
    }

    /// Returns the time that a number of ticks states.
    pub(crate) fn stated(&self, ticks: i64) -> i64 {
        let ns = i128::from(ticks) * i128::from(self.tick) - i128::from(self.delay);
        let second = i128::from(SECOND);
        let rounded = (2 * ns * i128::from(self.scale) + second).div_euclid(2 * second);
        i64::try_from(rounded).unwrap_or(i64::MAX)
    }

    /// Returns how much a stated time can differ from the exact one: a tick and a half.
    pub(crate) fn slack(&self) -> i64 {
        self.stated(3).saturating_sub(self.stated(0)) / 2 + 1
    }

    /// Returns the exact time of a frame: a whole number of frames after the `first` one of the track. If audio is missing
    /// before it, the stated time counts.
    pub(crate) fn exact(&self, ticks: i64, first: i64, length: u32) -> i64 {
        let (stated, length) = (self.stated(ticks), i64::from(length.max(1)));
        let frames = stated.saturating_sub(first).saturating_add(length / 2).div_euclid(length);
        let exact = frames.checked_mul(length).and_then(|distance| first.checked_add(distance));
        exact.filter(|exact| self.are_near(*exact, stated)).unwrap_or(stated)
    }

    /// Returns frames at their exact times. That of a frame does not depend on which ones are listed before it.
    pub(crate) fn times(&self, listed: Listed, first: i64) -> Vec<Sample> {
        let Listed { mut samples, starts, .. } = listed;
        let (mut next, mut before) = (None, None);
        for (sample, start) in samples.iter_mut().zip(starts) {
            let (ticks, length) = (sample.time, self.length(start));
            // Blocks have headers.
            let follows = before.filter(|before| *before == (ticks, sample.offset)).and(next);
            sample.time = follows.unwrap_or_else(|| self.exact(ticks, first, length));
            sample.duration = length;
            sample.is_sync = true;
            next = Some(sample.end());
            before = Some((ticks, sample.offset.saturating_add(sample.size.into())));
        }
        samples
    }

    /// Moves each sample to the end of the one before it, if they differ only by rounding. Where several files
    /// were joined, samples can have the same time; they become a tick apart.
    pub(crate) fn adjoin(&self, samples: &mut [Sample]) {
        let (mut end, mut earliest) = (None, i64::MIN);
        for sample in samples {
            sample.time = end.filter(|end| self.are_near(*end, sample.time)).unwrap_or(sample.time);
            end = Some(sample.end());
            sample.time = sample.time.max(earliest);
            earliest = sample.time.saturating_add(1);
        }
    }

    /// Returns whether two times can be the same.
    pub(crate) fn are_near(&self, a: i64, b: i64) -> bool {
        a.abs_diff(b) <= self.slack().unsigned_abs()
    }

    /// Returns the length of a frame that starts with these bytes.
    pub(crate) fn length(&self, start: [u8; 2]) -> u32 {
        entries::frame_length(self.is_opus, start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounded_times_become_exact() {
        let clock = Clock { tick: 1_000_000, delay: 0, scale: 44_100, is_opus: false };
        for frame in 0..100_000i64 {
            let exact = 441 + frame * 1024;
            let ms = (2 * exact * 1000 + 44_100) / (2 * 44_100);
            assert_eq!(clock.exact(ms, 441, 1024), exact);
            assert_eq!(clock.exact(exact * 1000 / 44_100, 441, 1024), exact, "rounded down");
        }
        assert_eq!(clock.exact(510, 441, 1024), 22_491, "10 ms are missing");
        assert_eq!(clock.exact(i64::MAX, i64::MIN, 0), i64::MAX);
    }

    fn listed(frames: &[(i64, u64)]) -> Listed {
        let sample = |(time, offset): &(i64, u64)| Sample {
            offset: *offset,
            size: 9,
            duration: 0,
            time: *time,
            is_sync: true,
        };
        let samples: Vec<Sample> = frames.iter().map(sample).collect();
        Listed { number: 1, starts: vec![[0, 0]; samples.len()], samples }
    }

    #[test]
    fn frames_of_a_block_follow_each_other() {
        let clock = Clock { tick: 1_000_000, delay: 0, scale: 48_000, is_opus: false };
        let times = |frames: &[(i64, u64)]| {
            let mut samples = clock.times(listed(frames), 0);
            let exact: Vec<i64> = samples.iter().map(|sample| sample.time).collect();
            clock.adjoin(&mut samples);
            (exact, samples.into_iter().map(|sample| sample.time).collect::<Vec<_>>())
        };
        let whole = vec![1024, 2048, 3072];
        assert_eq!(times(&[(21, 0), (21, 9), (64, 30)]), (whole.clone(), whole), "a block of two frames");
        let joined = times(&[(21, 0), (21, 11), (43, 30)]);
        assert_eq!(joined, (vec![1024, 1024, 2048], vec![1024, 1025, 2048]), "two blocks at the same time");
        // 10 ms are missing: times are rounded, but frames adjoin.
        let (exact, adjoined) = times(&[(21, 0), (53, 20), (74, 40), (96, 60)]);
        assert_eq!(exact, [1024, 2544, 3552, 4608]);
        assert_eq!(adjoined, [1024, 2544, 3568, 4592]);
    }

    #[test]
    fn a_delay_is_not_presented() {
        let clock = Clock { tick: 1_000_000, delay: 6_500_000, scale: 48_000, is_opus: true };
        assert_eq!((clock.stated(0), clock.stated(7), clock.slack()), (-312, 24, 73));
        assert_eq!(clock.exact(20, -312, 960), 648);
        assert_eq!((clock.length([0xFC, 0]), clock.length([0xFD, 0])), (960, 1920));
    }
}
