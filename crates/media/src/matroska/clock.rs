//! The times of audio, counted in audio samples. Those of a file are rounded, mostly to milliseconds.

use super::clusters::Start;
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
    pub(crate) frames: Frames,
}

/// How many audio samples frames have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frames {
    /// They tell it themselves.
    Opus,
    /// All have this number; never zero.
    Equal(u32),
    /// A multiple of this number; never zero.
    MultipleOf(u32),
}

impl Frames {
    /// Samples of a frame of AAC.
    pub(crate) const AAC: Self = Self::Equal(1024);
}

impl Clock {
    /// Returns the clock of the audio track with this `TrackEntry`.
    pub(super) fn of(track: &[u8], tick: u64, frames: Frames) -> Option<Self> {
        let delay = child(track, id::CODEC_DELAY).and_then(ebml::uint).unwrap_or(0);
        Some(Self { tick, delay, scale: entries::sample_rate(track)?, frames })
    }

    /// Returns the time of the first frame of a track, whose frames have times in ticks. Those of frames that only have a
    /// multiple of few samples are a whole number of such multiples after it, within their rounding. Returns `None` if
    /// rounding hides how many.
    pub(super) fn origin(&self, frames: &[Sample]) -> Option<i64> {
        let first = self.stated(frames.first()?.time);
        let Frames::MultipleOf(step) = self.frames else { return Some(first) };
        let (step, tick) = (i64::from(step), self.slack() * 2 / 3);
        if step >= 4 * tick {
            return Some(first);
        }
        let mut rests: Vec<i64> =
            frames.iter().map(|frame| self.stated(frame.time).wrapping_sub(first).rem_euclid(step)).collect();
        rests.sort_unstable();
        // With some samples that rounding to samples adds.
        if tick + 8 > step {
            return None;
        }
        if rests.iter().all(|rest| (*rest).min(step - rest) <= tick / 2 + 2) {
            return Some(first);
        }
        // The remainders lie in an arc that is as long as a tick. Its middle is where they would be without rounding.
        rests.dedup();
        let next = rests.iter().skip(1).copied().chain(rests.first().map(|first| first + step));
        let (gap, start) = rests.iter().zip(next).map(|(rest, next)| (next - rest, next)).max()?;
        let arc = step - gap;
        let middle = (start + arc / 2).rem_euclid(step);
        let middle = if middle > step / 2 { middle - step } else { middle };
        (arc <= tick + 4).then(|| first.saturating_add(middle))
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
            let step = if let Frames::MultipleOf(step) = self.frames { step } else { length };
            // Blocks have headers.
            let follows = before.filter(|before| *before == (ticks, sample.offset)).and(next);
            sample.time = follows.unwrap_or_else(|| self.exact(ticks, first, step));
            sample.duration = length;
            sample.is_sync = true;
            next = Some(sample.end());
            before = Some((ticks, sample.offset.saturating_add(sample.size.into())));
        }
        if let Frames::MultipleOf(step) = self.frames {
            let mut duration = step;
            for i in 0..samples.len() {
                if let Some(next) = samples.get(i + 1) {
                    duration = u32::try_from(next.time.saturating_sub(samples[i].time)).unwrap_or(0);
                }
                samples[i].duration = duration;
            }
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

    /// Returns the length of a frame that starts with these bytes, or 0 if it is not known.
    fn length(&self, start: Start) -> u32 {
        match self.frames {
            Frames::Opus => entries::opus_length([start[0], start[1]]),
            Frames::Equal(length) => length,
            Frames::MultipleOf(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounded_times_become_exact() {
        let clock = Clock { tick: 1_000_000, delay: 0, scale: 44_100, frames: Frames::AAC };
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
        Listed { number: 1, starts: vec![Start::default(); samples.len()], samples }
    }

    #[test]
    fn frames_of_a_block_follow_each_other() {
        let clock = Clock { tick: 1_000_000, delay: 0, scale: 48_000, frames: Frames::AAC };
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
    fn times_of_many_hours_become_exact() {
        for (scale, length) in
            [(48_000u32, 1536), (44_100, 1152), (22_050, 576), (48_000, 512), (96_000, 4608)]
        {
            let clock = Clock { tick: 1_000_000, delay: 0, scale, frames: Frames::Equal(length) };
            let rate = i64::from(scale);
            for frame in (0..24 * 3600 * rate / i64::from(length)).step_by(97) {
                let exact = 23 * rate / 1000 + frame * i64::from(length);
                let ms = (2 * exact * 1000 + rate) / (2 * rate);
                assert_eq!(
                    clock.exact(ms, clock.stated(23), length) - exact,
                    clock.stated(23) - 23 * rate / 1000
                );
            }
        }
    }

    /// Frames of 128, 576 or 1024 samples, as of Vorbis, whose times are rounded to the nearest millisecond or down.
    #[test]
    fn frames_of_other_lengths_have_times_of_their_multiples() {
        for (scale, start, half) in
            [(48_000u32, 0, 1), (48_000, 31, 1), (44_100, 777, 1), (44_100, 0, 0), (48_000, 5, 0)]
        {
            let clock = Clock { tick: 1_000_000, delay: 0, scale, frames: Frames::MultipleOf(64) };
            let rate = i64::from(scale);
            let mut random = 1u32;
            let mut exact = vec![start];
            for _ in 0..20_000 {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let length = [128, 576, 1024, 1024][usize::try_from(random >> 30).unwrap()];
                exact.push(exact.last().unwrap() + length);
            }
            let frame = |time: &i64| Sample {
                offset: time.unsigned_abs(),
                size: 9,
                duration: 0,
                time: (2 * time * 1000 + half * rate) / (2 * rate),
                is_sync: true,
            };
            let all: Vec<Sample> = exact.iter().map(frame).collect();
            // The first one, and those at the end, are known.
            let known: Vec<Sample> = all[..1].iter().chain(&all[19_800..]).copied().collect();
            let origin = clock.origin(&known).unwrap();
            let times = |from: usize| {
                let samples = all[from..from + 200].to_vec();
                clock.times(Listed { number: 1, starts: vec![Start::default(); 200], samples }, origin)
            };
            let off = times(0)[0].time - exact[0];
            assert!(off.abs() <= rate / 900, "{off}");
            for from in [0, 7, 5000, 19_801] {
                for (sample, exact) in times(from).iter().zip(&exact[from..]) {
                    assert_eq!(sample.time - exact, off);
                }
            }
        }
        let fine = Clock { tick: 1_000_000, delay: 0, scale: 48_000, frames: Frames::MultipleOf(32) };
        let frame = Sample { offset: 0, size: 1, duration: 0, time: 5, is_sync: true };
        assert_eq!(fine.origin(&[frame]), None, "rounding is coarser");
        assert_eq!(fine.origin(&[]), None);
    }

    #[test]
    fn a_delay_is_not_presented() {
        let clock = Clock { tick: 1_000_000, delay: 6_500_000, scale: 48_000, frames: Frames::Opus };
        assert_eq!((clock.stated(0), clock.stated(7), clock.slack()), (-312, 24, 73));
        assert_eq!(clock.exact(20, -312, 960), 648);
        assert_eq!((clock.length([0xFC, 0, 0, 0, 0, 0]), clock.length([0xFD, 0, 0, 0, 0, 0])), (960, 1920));
    }
}
