//! The peaks of a waveform: the smallest and the greatest sample of each of many short spans.

use std::fmt::Write;

/// Limit of the pairs of peaks, which is even. More than that are merged two by two, so there are at least half of them
/// unless the audio is short.
const MAX_PAIRS: usize = 1800;
/// The samples of a pair at first, in each channel.
const FIRST_SPAN: u64 = 64;

/// Reduces samples to peaks as they arrive, in constant memory, whatever the duration.
#[derive(Debug)]
pub(super) struct Peaks {
    channels: usize,
    sample_rate: u32,
    /// Samples of a pair, in each channel.
    span: u64,
    /// The smallest and the greatest sample of each span, over all channels.
    pairs: Vec<[i16; 2]>,
    /// The span that is not complete, and the number of samples in it.
    current: [i16; 2],
    filled: u64,
    /// All samples, in each channel.
    samples: u64,
    /// Bytes of the next samples, which are not complete.
    rest: Vec<u8>,
}

const EMPTY: [i16; 2] = [i16::MAX, i16::MIN];

impl Peaks {
    pub(super) fn new(channels: u32, sample_rate: u32) -> Self {
        Self {
            channels: usize::try_from(channels).unwrap_or(1).max(1),
            sample_rate,
            span: FIRST_SPAN,
            pairs: Vec::with_capacity(MAX_PAIRS),
            current: EMPTY,
            filled: 0,
            samples: 0,
            rest: Vec::new(),
        }
    }

    /// Adds samples of 16 bits, little-endian, of all channels one after the other. Pieces can end within a sample.
    pub(super) fn push(&mut self, piece: &[u8]) {
        let mut bytes = std::mem::take(&mut self.rest);
        bytes.extend_from_slice(piece);
        let frame = 2 * self.channels;
        let (whole, rest) = bytes.split_at(bytes.len() / frame * frame);
        self.rest = rest.to_vec();
        let mut left = whole;
        while !left.is_empty() {
            let wanted = usize::try_from(self.span - self.filled).unwrap_or(usize::MAX);
            let count = wanted.min(left.len() / frame);
            let (now, later) = left.split_at(count * frame);
            left = later;
            let samples = now.as_chunks::<2>().0.iter().map(|sample| i16::from_le_bytes(*sample));
            self.current =
                samples.fold(self.current, |[low, high], sample| [low.min(sample), high.max(sample)]);
            self.filled += count as u64;
            self.samples += count as u64;
            if self.filled == self.span {
                self.close();
            }
        }
    }

    /// Adds the current span to the pairs.
    fn close(&mut self) {
        if self.pairs.len() == MAX_PAIRS {
            // The current span was as long as those before, so it is the first half of a longer one.
            self.pairs = self.pairs.as_chunks::<2>().0.iter().map(|[a, b]| merged(*a, *b)).collect();
            self.span *= 2;
            return;
        }
        self.pairs.push(std::mem::replace(&mut self.current, EMPTY));
        self.filled = 0;
    }

    /// Ends with a span that can be shorter than the others.
    pub(super) fn finish(mut self) -> Self {
        if self.filled > 0 {
            if self.pairs.len() == MAX_PAIRS {
                self.close();
            }
            self.pairs.push(self.current);
        }
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.samples == 0
    }

    /// Returns the duration in milliseconds, rounded.
    pub(super) fn duration_ms(&self) -> u64 {
        let rate = u64::from(self.sample_rate.max(1));
        (self.samples.saturating_mul(1000) + rate / 2) / rate
    }

    /// Returns how loud each of `count` equal parts is: its greatest sample, whatever the sign, from 0 to 1.
    pub(super) fn levels(&self, count: usize) -> Vec<f64> {
        let level = |[low, high]: &[i16; 2]| f64::from(low.unsigned_abs().max(high.unsigned_abs())) / 32768.0;
        let at = |part: usize| part * self.pairs.len() / count.max(1);
        let part = |i: usize| {
            let pairs = self.pairs.get(at(i)..at(i + 1).max(at(i) + 1)).unwrap_or_default();
            pairs.iter().map(level).fold(0.0, f64::max)
        };
        (0..count).map(part).collect()
    }

    /// Writes the format of `audiowaveform` (<https://github.com/bbc/audiowaveform>, version 2, 8 bits), which players of
    /// waveforms read. All channels are one.
    pub(super) fn json(&self) -> String {
        let Self { sample_rate, span, pairs, .. } = self;
        let length = pairs.len();
        let mut json = format!(
            "{{\"version\":2,\"channels\":1,\"sample_rate\":{sample_rate},\"samples_per_pixel\":{span},\"bits\":8,\
             \"length\":{length},\"data\":["
        );
        for (i, value) in pairs.iter().flatten().enumerate() {
            // Writing to a `String` can't fail.
            let _ = write!(json, "{}{}", if i == 0 { "" } else { "," }, value / 256);
        }
        json + "]}"
    }
}

fn merged([a, b]: [i16; 2], [c, d]: [i16; 2]) -> [i16; 2] {
    [a.min(c), b.max(d)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reduces samples that arrive in pieces of this many bytes.
    fn reduced(channels: u32, samples: &[i16], piece: usize) -> Peaks {
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let mut peaks = Peaks::new(channels, 8000);
        bytes.chunks(piece).for_each(|piece| peaks.push(piece));
        peaks.finish()
    }

    #[test]
    fn pieces_can_end_anywhere() {
        let samples: Vec<i16> = (0..1000).map(|i| i * 30 - 15_000).collect();
        let whole = reduced(2, &samples, 1 << 20);
        assert_eq!((whole.samples, whole.pairs.len(), whole.duration_ms()), (500, 8, 63));
        assert_eq!(whole.pairs[0], [-15_000, 127 * 30 - 15_000]);
        assert_eq!(whole.pairs[7], [896 * 30 - 15_000, 999 * 30 - 15_000]);
        for piece in [1, 2, 3, 5, 7, 64, 255, 256, 257] {
            assert_eq!(reduced(2, &samples, piece).pairs, whole.pairs, "{piece}");
        }
        assert!(reduced(2, &[1], 1).is_empty(), "half a sample of two channels");
    }

    #[test]
    fn peaks_are_where_the_sound_is_whatever_the_duration() {
        for seconds in [1, 20, 100, 1000] {
            // Silence, then one loud sample in the middle.
            let mut samples = vec![0; seconds * 8000];
            samples[seconds * 4000] = -25_600;
            let peaks = reduced(1, &samples, 9999);
            let length = peaks.pairs.len();
            assert!(length <= MAX_PAIRS && (length >= MAX_PAIRS / 2 || peaks.span == FIRST_SPAN), "{length}");
            assert_eq!(length as u64, (peaks.samples).div_ceil(peaks.span));
            let loud: Vec<usize> = (0..length).filter(|i| peaks.pairs[*i] != [0, 0]).collect();
            assert_eq!(loud, [usize::try_from(seconds as u64 * 4000 / peaks.span).unwrap()]);
            assert_eq!(peaks.duration_ms(), seconds as u64 * 1000);
            let levels = peaks.levels(100);
            assert!((levels[50] - 0.78125).abs() < 1e-9 && levels.iter().sum::<f64>() < 0.79, "{levels:?}");
        }
    }

    #[test]
    fn the_last_pair_is_within_the_limit() {
        let full = MAX_PAIRS * 64;
        for (samples, pairs) in
            [(full, MAX_PAIRS), (full + 1, MAX_PAIRS / 2 + 1), (full + 64, MAX_PAIRS / 2 + 1)]
        {
            let peaks = reduced(1, &vec![7; samples], 4096);
            assert_eq!((peaks.pairs.len(), peaks.samples), (pairs, samples as u64));
            assert!(peaks.pairs.iter().all(|pair| *pair == [7, 7]));
        }
    }

    #[test]
    fn json_has_eight_bits() {
        let json = reduced(1, &[-32_768, 32_767, 255, -255], 8).json();
        let head = "{\"version\":2,\"channels\":1,\"sample_rate\":8000,\"samples_per_pixel\":64,\"bits\":8,";
        assert_eq!(json, format!("{head}\"length\":1,\"data\":[-128,127]}}"));
        assert!(reduced(1, &[], 8).json().ends_with("\"length\":0,\"data\":[]}"));
    }
}
