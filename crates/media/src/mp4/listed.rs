//! Samples that movie fragments list, searched by their times.

use std::ops::Range;

use crate::remux::Sample;

/// The samples of a track at their media times, in the order of decoding.
pub(super) struct Listed {
    samples: Vec<Sample>,
    /// For each sample, the latest time of those up to it.
    latest: Vec<i64>,
    /// For each sample, the earliest time of those from it on.
    earliest: Vec<i64>,
}

impl Listed {
    pub(super) fn new(samples: Vec<Sample>) -> Self {
        let times = || samples.iter().map(|sample| sample.time);
        let latest = times().scan(i64::MIN, |latest, time| {
            *latest = time.max(*latest);
            Some(*latest)
        });
        let latest = latest.collect();
        let earliest = times().rev().scan(i64::MAX, |earliest, time| {
            *earliest = time.min(*earliest);
            Some(*earliest)
        });
        let mut earliest: Vec<i64> = earliest.collect();
        earliest.reverse();
        Self { samples, latest, earliest }
    }

    /// Returns the samples with times from `start` (inclusive) to `end` (exclusive), and those between them in the order of
    /// decoding. With `keyframe`, it also returns the samples before them from the last keyframe on that is not later
    /// than any of them.
    pub(super) fn between(&self, start: i64, end: i64, keyframe: bool) -> &[Sample] {
        let mut first = self.latest.partition_point(|latest| *latest < start);
        let last = self.earliest.partition_point(|earliest| *earliest < end);
        let samples = |range: Range<usize>| self.samples.get(range).unwrap_or_default();
        if keyframe && first < last {
            let times = samples(first..last).iter().map(|sample| sample.time);
            let earliest = times.filter(|time| *time >= start).min().unwrap_or(start);
            let before = self.samples.get(..=first).unwrap_or_default();
            let found = before.iter().rposition(|sample| sample.is_sync && sample.time <= earliest);
            first = found.unwrap_or(0).min(first);
        }
        samples(first..last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample((time, is_sync): (i64, bool)) -> Sample {
        Sample { offset: 0, size: 1, duration: 10, time, is_sync }
    }

    #[test]
    fn samples_are_found_in_the_order_of_decoding() {
        // The second group of pictures is open: two of its frames are presented before its keyframe.
        let all = [
            (0, true),
            (30, false),
            (10, false),
            (20, false),
            (60, true),
            (40, false),
            (50, false),
            (90, true),
        ];
        let listed = Listed::new(all.map(sample).to_vec());
        let times = |start, end, keyframe| {
            listed.between(start, end, keyframe).iter().map(|sample| sample.time).collect::<Vec<_>>()
        };
        assert_eq!(times(0, 30, false), [0, 30, 10, 20]);
        assert_eq!(times(60, 90, true), [60, 40, 50]);
        assert_eq!(times(40, 60, true), [0, 30, 10, 20, 60, 40, 50]);
        assert_eq!(times(90, i64::MAX, true), [90]);
        assert_eq!((times(100, 200, true), times(-5, 0, true)), (vec![], vec![]));
        assert!(Listed::new(Vec::new()).between(0, 9, true).is_empty());
    }
}
