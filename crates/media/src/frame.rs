//! A decoded keyframe: its two posters, its `BlurHash`, and a score for how much it shows.

use bytes::Bytes;

/// Width and height, in pixels, of the downscaled frame that is scored.
pub(crate) const SCORED_SIDE: usize = 48;
/// Bytes of the downscaled frame, in RGB.
const SCORED_BYTES: usize = SCORED_SIDE * SCORED_SIDE * 3;
/// Horizontal and vertical `BlurHash` components.
const COMPONENTS: (u32, u32) = (4, 3);

/// A keyframe in the three sizes that ffmpeg scales it to.
#[derive(Debug)]
pub(crate) struct Frame {
    /// The poster.
    pub(crate) jpeg: Bytes,
    /// The large poster.
    pub(crate) large: Bytes,
    /// `SCORED_SIDE` x `SCORED_SIDE` RGB pixels, whatever the video's aspect ratio.
    pixels: Bytes,
}

impl Frame {
    /// Splits the contents of the three output pipes into frames. Frames that are missing in any pipe are dropped.
    pub(crate) fn split(jpegs: Vec<u8>, large: Vec<u8>, pixels: Vec<u8>) -> Vec<Self> {
        let pixels = Bytes::from(pixels);
        let pixels =
            (0..pixels.len() / SCORED_BYTES).map(|i| pixels.slice(i * SCORED_BYTES..(i + 1) * SCORED_BYTES));
        let frames = split_jpegs(jpegs.into()).into_iter().zip(split_jpegs(large.into())).zip(pixels);
        frames.map(|((jpeg, large), pixels)| Self { jpeg, large, pixels }).collect()
    }

    /// Returns a score for how much the frame shows: the entropy of its brightness, in bits, reduced if it is very dark
    /// or very bright.
    pub(crate) fn score(&self) -> f64 {
        LuminanceStats::of(&self.pixels).score()
    }

    /// Returns whether the frame is black, white or of one flat colour, so that any other frame is a better poster.
    pub(crate) fn is_dull(&self) -> bool {
        LuminanceStats::of(&self.pixels).is_dull()
    }

    /// Returns the frame's `BlurHash` (<https://blurha.sh>).
    pub(crate) fn blur_hash(&self) -> String {
        let rgba: Vec<u8> =
            self.pixels.as_chunks::<3>().0.iter().flat_map(|[r, g, b]| [*r, *g, *b, u8::MAX]).collect();
        let side = u32::try_from(SCORED_SIDE).unwrap_or(u32::MAX);
        blurhash::encode(COMPONENTS.0, COMPONENTS.1, side, side, &rgba).unwrap_or_default()
    }
}

/// Statistics of a frame's brightness and colours, on a scale from 0 to 255.
struct LuminanceStats {
    /// Mean brightness.
    mean: f64,
    /// Standard deviation over the colour channels. It detects frames with several colours of the same brightness.
    deviation: f64,
    /// Entropy of the brightness in 64 steps, in bits.
    entropy: f64,
}

impl LuminanceStats {
    fn of(pixels: &[u8]) -> Self {
        let mut steps = [0u32; 64];
        let (mut sums, mut squares, mut total, mut count) = ([0.0; 3], [0.0; 3], 0.0, 0.0);
        for pixel in pixels.as_chunks::<3>().0 {
            let [red, green, blue] = pixel.map(u32::from);
            // Rec. 601 weights, in 256ths.
            let luma = (77 * red + 150 * green + 29 * blue) >> 8;
            steps[(luma >> 2) as usize & 63] += 1;
            total += f64::from(luma);
            count += 1.0;
            for (i, value) in pixel.iter().enumerate() {
                sums[i] += f64::from(*value);
                squares[i] += f64::from(*value) * f64::from(*value);
            }
        }
        let variances =
            sums.iter().zip(squares).map(|(sum, squares)| squares / count - (sum / count).powi(2));
        let shares = steps.iter().filter(|n| **n > 0).map(|n| f64::from(*n) / count);
        Self {
            mean: total / count,
            deviation: (variances.sum::<f64>() / 3.0).max(0.0).sqrt(),
            entropy: shares.map(|share| -share * share.log2()).sum(),
        }
    }

    fn score(&self) -> f64 {
        let off = (self.mean - 118.0) / 137.0;
        self.entropy * (1.0 - off * off).max(0.1)
    }

    fn is_dull(&self) -> bool {
        self.deviation < 10.0 || self.entropy < 0.8 || self.mean < 16.0 || self.mean > 245.0
    }
}

/// Splits concatenated JPEG images (ITU-T T.81, B.1). A truncated last image is dropped.
fn split_jpegs(mut data: Bytes) -> Vec<Bytes> {
    let mut found = Vec::new();
    while let Some(len) = jpeg_len(&data) {
        found.push(data.split_to(len));
    }
    found
}

/// Returns the length of the JPEG image at the start of `data`, or `None` if there is none or it is truncated.
fn jpeg_len(data: &[u8]) -> Option<usize> {
    const START_OF_SCAN: u8 = 0xDA;
    const END_OF_IMAGE: [u8; 2] = [0xFF, 0xD9];
    let mut at = data.starts_with(&[0xFF, 0xD8]).then_some(2)?;
    loop {
        let &[marker, kind, high, low] = data.get(at..)?.first_chunk()?;
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
        match (marker, kind) {
            (0xFF, START_OF_SCAN) => break,
            (0xFF, _) => {}
            _ => return None,
        }
    }
    // Within the scan, every 0xFF that doesn't start a marker is followed by a zero.
    let end = data.get(at..)?.windows(2).position(|pair| pair == END_OF_IMAGE)?;
    Some(at + end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(pixel: impl Fn(usize) -> [u8; 3]) -> Frame {
        let pixels = (0..SCORED_SIDE * SCORED_SIDE).flat_map(pixel).collect();
        Frame { jpeg: Bytes::new(), large: Bytes::new(), pixels }
    }

    fn grey(level: usize) -> [u8; 3] {
        [u8::try_from(level).unwrap(); 3]
    }

    #[test]
    fn black_white_and_flat_frames_are_dull() {
        for dull in [[0; 3], [255; 3], [16; 3], [0, 0, 255], [200, 30, 30]] {
            assert!(frame(|_| dull).is_dull(), "{dull:?}");
        }
        assert!(frame(|i| if i == 0 { [255; 3] } else { [0; 3] }).is_dull(), "one white pixel on black");
        assert!(!frame(|i| grey(i % 256)).is_dull());
        assert!(
            !frame(|i| if i % SCORED_SIDE < SCORED_SIDE / 2 { [224, 32, 32] } else { [32, 160, 32] })
                .is_dull()
        );
    }

    #[test]
    fn score_grows_with_detail() {
        let scores = [
            frame(|_| [0; 3]).score(),
            frame(|i| grey(i % 8)).score(),
            frame(|i| grey(100 + i % 8)).score(),
            frame(|i| grey(i % 256)).score(),
        ];
        assert!(scores.is_sorted() && scores[0] < scores[3], "{scores:?}");
    }

    #[test]
    fn blur_hash_has_the_average_colour() {
        let hash = frame(|_| [255, 0, 0]).blur_hash();
        let pixels = blurhash::decode(&hash, 1, 1, 1.0).unwrap();
        assert!(pixels[0] > 250 && pixels[1] < 5 && pixels[2] < 5, "{pixels:?}");
    }

    #[test]
    fn splits_concatenated_jpegs() {
        // The bytes of an end marker within a segment don't end the image.
        let jpeg = b"\xFF\xD8\xFF\xE0\0\x04\xFF\xD9\xFF\xDA\0\x03!scan\xFF\0scan\xFF\xD9";
        let two = [&jpeg[..], &jpeg[..]].concat();
        assert_eq!(split_jpegs(two.clone().into()), [&jpeg[..], &jpeg[..]]);
        assert_eq!(split_jpegs(two[..two.len() - 1].to_vec().into()).len(), 1, "truncated");
        assert_eq!(split_jpegs(Bytes::from_static(b"\xFF\xD8\xFF\xE0\xFF\xFF")).len(), 0);
        assert_eq!(split_jpegs(Bytes::from_static(b"no JPEG")).len(), 0);
    }
}
