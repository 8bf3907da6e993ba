//! Places decoded audio on the samples of a chunk: fills gaps with silence and drops what overlaps.

use bytes::{Buf, Bytes};

use super::pcm::{SAMPLE_SIZE, Samples};

/// Samples by which timestamps may differ from the number of samples without a correction: 10 ms. Many containers
/// round timestamps to milliseconds, or state only those of some frames.
const JITTER: i64 = 480;
/// Samples of silence that are written at a time.
const SILENT_SAMPLES: i64 = 8192;
static SILENCE: [u8; 8192 * SAMPLE_SIZE] = [0; 8192 * SAMPLE_SIZE];

/// Places frames of audio, in the order of time, from a first sample on.
#[derive(Debug)]
pub(super) struct Placer {
    /// The time of the next sample to write.
    next: i64,
    /// The time at which the last sample ends that was audible, or [`i64::MIN`].
    audio_end: i64,
    /// No sample at or after this time is written.
    limit: i64,
}

impl Placer {
    /// Creates a placer whose first sample has the time `start`. No sample is placed at or after `limit`.
    pub(super) const fn new(start: i64, limit: i64) -> Self {
        Self { next: start, audio_end: i64::MIN, limit }
    }

    /// Returns the time at which the audio ends so far, or `None` if there is none.
    pub(super) fn audio_end(&self) -> Option<i64> {
        (self.audio_end > i64::MIN).then_some(self.audio_end)
    }

    /// Returns what to write for a frame: a number of silent samples, and then these samples of it.
    pub(super) fn place(&mut self, Samples { time, mut data }: Samples) -> (i64, Bytes) {
        // The first frame is placed exactly. From then on the number of samples is more precise than timestamps.
        let jitter = if self.audio_end > i64::MIN { JITTER } else { 0 };
        let distance = time.saturating_sub(self.next);
        let mut silence = 0;
        if distance > jitter {
            silence = distance.min(self.limit.saturating_sub(self.next)).max(0);
        } else if distance < -jitter {
            let overlap = usize::try_from(distance.unsigned_abs()).unwrap_or(usize::MAX);
            data.advance(overlap.saturating_mul(SAMPLE_SIZE).min(data.len()));
        }
        self.next = self.next.saturating_add(silence);
        let room = usize::try_from(self.limit.saturating_sub(self.next)).unwrap_or(0);
        data.truncate(room.saturating_mul(SAMPLE_SIZE));
        if !data.is_empty() {
            self.next = self.next.saturating_add(i64::try_from(data.len() / SAMPLE_SIZE).unwrap_or(0));
            self.audio_end = self.next;
        }
        (silence, data)
    }

    /// Returns the number of silent samples that are missing until `end`.
    pub(super) fn finish(&mut self, end: i64) -> i64 {
        let silence = end.saturating_sub(self.next).max(0);
        self.next = self.next.saturating_add(silence);
        silence
    }
}

/// Returns this number of silent samples, in pieces.
pub(super) fn silence(samples: i64) -> impl Iterator<Item = Bytes> {
    let pieces = 0..samples.max(0).cast_unsigned().div_ceil(SILENT_SAMPLES.cast_unsigned());
    pieces.map(move |piece| {
        let left = samples - piece.cast_signed() * SILENT_SAMPLES;
        let length = usize::try_from(left.min(SILENT_SAMPLES)).unwrap_or(0) * SAMPLE_SIZE;
        Bytes::from_static(&SILENCE).slice(..length)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places frames of ten samples each at these times, and returns the times of the samples that are written: those of
    /// a frame have its number, silence has the number -1.
    fn placed(start: i64, limit: i64, frames: &[(i64, usize)]) -> (Vec<i8>, Placer) {
        let mut placer = Placer::new(start, limit);
        let mut samples = Vec::new();
        for ((time, count), number) in frames.iter().zip(0u8..) {
            let data = Bytes::from(vec![number; count * SAMPLE_SIZE]);
            let (silent, data) = placer.place(Samples { time: *time, data });
            samples.extend(vec![-1; usize::try_from(silent).unwrap()]);
            samples.extend(data.iter().step_by(SAMPLE_SIZE).map(|number| number.cast_signed()));
        }
        (samples, placer)
    }

    fn runs(samples: &[i8]) -> Vec<(i8, usize)> {
        samples.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect()
    }

    #[test]
    fn first_frame_is_placed_exactly() {
        assert_eq!(runs(&placed(0, 99, &[(3, 10)]).0), [(-1, 3), (0, 10)]);
        assert_eq!(runs(&placed(0, 99, &[(-3, 10)]).0), [(0, 7)]);
        assert_eq!(runs(&placed(0, 99, &[(-30, 10), (-20, 10), (-1, 10)]).0), [(2, 9)]);
    }

    #[test]
    fn jitter_changes_no_sample() {
        let (samples, placer) = placed(0, 99_999, &[(0, 1000), (1010, 1000), (1560, 1000), (3400, 1000)]);
        assert_eq!(runs(&samples), [(0, 1000), (1, 1000), (2, 1000), (3, 1000)]);
        assert_eq!(placer.audio_end(), Some(4000));
    }

    #[test]
    fn gaps_are_silent_and_overlaps_are_dropped() {
        let (samples, _) = placed(0, 99_999, &[(0, 1000), (2000, 1000), (2000, 1000), (2500, 1000)]);
        assert_eq!(runs(&samples), [(0, 1000), (-1, 1000), (1, 1000), (3, 500)]);
    }

    #[test]
    fn nothing_is_placed_after_the_limit() {
        let (samples, mut placer) = placed(0, 1500, &[(0, 1000), (i64::MAX, 1000)]);
        assert_eq!(runs(&samples), [(0, 1000), (-1, 500)]);
        assert_eq!((placer.audio_end(), placer.finish(1700), placer.finish(1600)), (Some(1000), 200, 0));
        let mut placer = Placer::new(i64::MIN, i64::MAX);
        for time in [i64::MAX, i64::MIN] {
            placer.place(Samples { time, data: Bytes::from_static(&[0; 80]) });
        }
    }

    #[test]
    fn silence_has_the_requested_length() {
        for samples in [-5, 0, 1, SILENT_SAMPLES, SILENT_SAMPLES + 1, 100_000] {
            let bytes: usize = silence(samples).map(|piece| piece.len()).sum();
            assert_eq!(bytes, usize::try_from(samples).unwrap_or(0) * SAMPLE_SIZE);
        }
    }
}
