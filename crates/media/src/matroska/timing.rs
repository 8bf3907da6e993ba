//! When a file begins, and its frame rate, by the timestamps of its first blocks.

use bytes::Bytes;

use super::clusters::Blocks;
use super::window::Window;
use super::{Track, ticks_to_ms};
use crate::source::{self, Source};

/// Bytes to read from the first Cluster on, if the start of the file is not enough.
const READ: u64 = 1 << 20;
/// A file that begins earlier, in milliseconds, begins at 0: its audio and video do not start at the same time.
const LATE: u64 = 1000;
/// If audio begins before the video by at most this, in milliseconds, the cause is the delay of its encoder.
const DELAY: u64 = 100;
/// Frame rates that a `DefaultDuration` can state without being checked. Some files have a placeholder.
const PLAUSIBLE: std::ops::RangeInclusive<f64> = 10.0..=120.0;
/// The frame rates that cameras and films have.
const COMMON: [f64; 11] = [
    24_000.0 / 1001.0,
    24.0,
    25.0,
    30_000.0 / 1001.0,
    30.0,
    48.0,
    50.0,
    60_000.0 / 1001.0,
    60.0,
    100.0,
    120.0,
];

/// The timestamps of the first blocks, in ticks.
#[derive(Debug, Default)]
struct Seen {
    /// The first of any track.
    first: Option<u64>,
    /// Those of the video.
    video: Vec<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Rate {
    frames_per_second: f64,
    /// Most frames last equally long.
    regular: bool,
}

impl Track {
    /// Returns the time in ticks that becomes 0, and the measured frame rate if the `declared` one is missing or wrong.
    pub(super) async fn start(
        &self,
        source: &Source,
        declared: Option<f64>,
    ) -> Result<(u64, Option<f64>), source::Error> {
        let mut seen = self.seen(source, source.cached(self.clusters_start)).await?;
        // Where frames are irregular, the declared rate is that of the source.
        let contradicts = |measured: Rate, declared: f64| {
            measured.regular && (measured.frames_per_second / declared - 1.0).abs() > 0.2
        };
        let is_late = |seen: &Seen| seen.first.and_then(|first| ticks_to_ms(first, self.scale)) >= Some(LATE);
        let wrong = declared.is_none_or(|declared| {
            !PLAUSIBLE.contains(&declared)
                || self.rate(&seen.video).is_some_and(|measured| contradicts(measured, declared))
        });
        if wrong || seen.first.is_none() || (is_late(&seen) && seen.video.is_empty()) {
            let end = self.clusters_start.saturating_add(READ).min(self.segment.end);
            seen = self.seen(source, source.fetch(self.clusters_start..end).await?).await?;
        }
        let first = seen.first.unwrap_or(0);
        let film = seen.video.first().copied().unwrap_or(first);
        // Audio that begins earlier only by its encoder's delay is not presented.
        let begins_with_audio = ticks_to_ms(film.saturating_sub(first), self.scale) > Some(DELAY);
        let origin = match is_late(&seen) {
            true if begins_with_audio => first,
            true => film,
            false => 0,
        };
        let measured = self.rate(&seen.video);
        let is_wrong = |measured: &Rate| declared.is_none_or(|declared| contradicts(*measured, declared));
        Ok((origin, measured.filter(is_wrong).map(|rate| rate.frames_per_second)))
    }

    async fn seen(&self, source: &Source, bytes: Bytes) -> Result<Seen, source::Error> {
        let mut seen = Seen::default();
        let window = Window::new(source, 0, 0, 0).over(self.clusters_start, bytes);
        let mut blocks = Blocks::new(self, window, self.clusters_start);
        while let Some(block) = blocks.next().await? {
            seen.first = seen.first.or(Some(block.time));
            if block.track == self.number {
                seen.video.push(block.time);
            }
        }
        Ok(seen)
    }

    /// Measures the frames per second. Returns `None` if there are too few.
    #[expect(clippy::cast_precision_loss, reason = "a few seconds of ticks")]
    fn rate(&self, times: &[u64]) -> Option<Rate> {
        let mut times = times.to_vec();
        times.sort_unstable();
        times.dedup();
        let mut gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        if gaps.len() < 8 {
            return None;
        }
        let all = times.last()? - times.first()?;
        let typical = *gaps.select_nth_unstable(times.len() / 2 - 1).1;
        // The last frames in the order of the file can be presented before others.
        gaps.retain(|gap| (typical.div_ceil(2)..=typical.saturating_mul(2)).contains(gap));
        let regular = gaps.len() * 10 >= times.len() * 7;
        let (span, count) = if regular { (gaps.iter().sum(), gaps.len()) } else { (all, times.len() - 1) };
        let rate = 1e9 * count as f64 / (span as f64 * self.scale as f64);
        // Timestamps are rounded, mostly to milliseconds.
        let nearest = COMMON.into_iter().min_by(|a, b| (a - rate).abs().total_cmp(&(b - rate).abs()))?;
        let rate = if (rate / nearest - 1.0).abs() < 0.004 { nearest } else { rate };
        let frames_per_second = (rate * 1000.0).round() / 1000.0;
        let plausible = frames_per_second > 0.0 && frames_per_second <= 1000.0;
        plausible.then_some(Rate { frames_per_second, regular })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{cluster, entry, file, info, master, simple, size, source, uint};
    use super::super::{ebml::id, open};

    /// A file whose video begins at `start` milliseconds, with frames at 1000/30 ms rounded.
    fn recorded(start: u64, duration: f64, declared: Option<u64>) -> Vec<u8> {
        let declared = declared.map(|nanoseconds| uint(id::DEFAULT_DURATION, nanoseconds));
        let video = entry(2, 1, "V_VP8", &[declared.unwrap_or_default(), size(320, 180)]);
        let tracks = master(id::TRACKS, &[entry(1, 2, "A_OPUS", &[]), video]);
        let clusters = (0..3u64).map(|second| {
            let mut blocks = vec![simple(1, 0, true, b"audio")];
            // The order of the file is that of decoding.
            let order = (0..30).map(|n| {
                if n % 3 == 1 {
                    n + 1
                } else if n % 3 == 2 {
                    n - 1
                } else {
                    n
                }
            });
            blocks.extend(order.map(|n| simple(2, (n * 1000 + 15) / 30, n == 0, &[7; 500])));
            cluster(start + second * 1000, &blocks)
        });
        file(&[info(duration), tracks, clusters.collect::<Vec<_>>().concat()])
    }

    #[tokio::test]
    async fn a_late_start_becomes_zero() {
        for (start, duration, expected, times) in [
            (3_600_000, 3_603_000.0, 3000, [0, 1000, 2000]),
            (3_600_000, 3000.0, 3000, [0, 1000, 2000]),
            (3_600_000, 0.0, 3000, [0, 1000, 2000]),
            (500, 3500.0, 3500, [500, 1500, 2500]),
            (0, 3000.0, 3000, [0, 1000, 2000]),
        ] {
            let source = source(recorded(start, duration, Some(33_333_333)));
            let (media_info, track) = open(&source).await.unwrap();
            let keyframes = track.keyframes(&source, 3).await.unwrap();
            let found: Vec<_> = keyframes.iter().map(|keyframe| keyframe.time_ms).collect();
            assert_eq!(found, times, "{start} {duration}");
            let ms = media_info.duration_ms.unwrap();
            assert!(ms.abs_diff(expected) <= 1, "{ms} {start} {duration}");
        }
    }

    #[tokio::test]
    async fn a_missing_or_wrong_frame_rate_is_measured() {
        for declared in [None, Some(1_000_000), Some(1_000_000_000), Some(66_666_666)] {
            let (media_info, _) = open(&source(recorded(0, 3000.0, declared))).await.unwrap();
            assert_eq!(media_info.frame_rate, Some(30.0), "{declared:?}");
        }
        let (media_info, _) = open(&source(recorded(0, 3000.0, Some(33_366_667)))).await.unwrap();
        assert_eq!(media_info.frame_rate, Some(29.97), "a declared rate that is near is exact");
    }
}
