//! One decoded keyframe: its pictures, and whether it is one that people want to see.

use bytes::Bytes;

/// Pixels across and down of the picture that is judged.
pub(crate) const SMALL: usize = 48;
/// Bytes of that picture, red, green and blue.
const SMALL_BYTES: usize = SMALL * SMALL * 3;
/// `BlurHash` components across and down.
const COMPONENTS: (u32, u32) = (4, 3);

/// What ffmpeg makes of one keyframe.
#[derive(Debug)]
pub(crate) struct Frame {
    /// The poster, and the larger one.
    pub(crate) jpeg: Bytes,
    pub(crate) large: Bytes,
    /// `SMALL` x `SMALL` pixels, whatever the shape of the video.
    pixels: Bytes,
}

impl Frame {
    /// Takes what came out of the three pipes apart. A frame of which a part is missing is left out.
    pub(crate) fn split(jpegs: Vec<u8>, large: Vec<u8>, pixels: Vec<u8>) -> Vec<Self> {
        let pixels = Bytes::from(pixels);
        let pixels =
            (0..pixels.len() / SMALL_BYTES).map(|i| pixels.slice(i * SMALL_BYTES..(i + 1) * SMALL_BYTES));
        let pictures = split_jpegs(jpegs.into()).into_iter().zip(split_jpegs(large.into())).zip(pixels);
        pictures.map(|((jpeg, large), pixels)| Self { jpeg, large, pixels }).collect()
    }

    /// How much there is to see: bits of a pixel's brightness, less for what is very dark or bright.
    pub(crate) fn score(&self) -> f64 {
        LuminanceStats::of(&self.pixels).score()
    }

    /// Black, white, or one flat colour: any other frame is better.
    pub(crate) fn is_dull(&self) -> bool {
        LuminanceStats::of(&self.pixels).is_dull()
    }

    /// See <https://blurha.sh>.
    pub(crate) fn blur_hash(&self) -> String {
        let rgba: Vec<u8> =
            self.pixels.as_chunks::<3>().0.iter().flat_map(|[r, g, b]| [*r, *g, *b, u8::MAX]).collect();
        let side = u32::try_from(SMALL).unwrap_or(u32::MAX);
        blurhash::encode(COMPONENTS.0, COMPONENTS.1, side, side, &rgba).unwrap_or_default()
    }
}

/// Brightness and colours over a picture, from 0 to 255.
struct LuminanceStats {
    mean: f64,
    /// Of the colours, so that a picture of one brightness is not taken for a flat one.
    deviation: f64,
    /// Of the brightness in 64 steps, in bits.
    entropy: f64,
}

impl LuminanceStats {
    fn of(pixels: &[u8]) -> Self {
        let mut steps = [0u32; 64];
        let (mut sums, mut squares, mut total, mut count) = ([0.0; 3], [0.0; 3], 0.0, 0.0);
        for pixel in pixels.as_chunks::<3>().0 {
            let [red, green, blue] = pixel.map(u32::from);
            // Rec. 601, in 256ths.
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

/// Frames one after the other (ITU-T T.81, B.1); what is cut off at the end is left out.
fn split_jpegs(mut data: Bytes) -> Vec<Bytes> {
    let mut found = Vec::new();
    while let Some(len) = jpeg_len(&data) {
        found.push(data.split_to(len));
    }
    found
}

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
    // In the scan, a zero follows each 0xFF that is no marker.
    let end = data.get(at..)?.windows(2).position(|pair| pair == END_OF_IMAGE)?;
    Some(at + end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(pixel: impl Fn(usize) -> [u8; 3]) -> Frame {
        let pixels = (0..SMALL * SMALL).flat_map(pixel).collect();
        Frame { jpeg: Bytes::new(), large: Bytes::new(), pixels }
    }

    fn grey(level: usize) -> [u8; 3] {
        [u8::try_from(level).unwrap(); 3]
    }

    #[test]
    fn black_white_and_slates_are_dull() {
        for dull in [[0; 3], [255; 3], [16; 3], [0, 0, 255], [200, 30, 30]] {
            assert!(frame(|_| dull).is_dull(), "{dull:?}");
        }
        assert!(frame(|i| if i == 0 { [255; 3] } else { [0; 3] }).is_dull(), "a spot on black");
        assert!(!frame(|i| grey(i % 256)).is_dull());
        assert!(!frame(|i| if i % SMALL < SMALL / 2 { [224, 32, 32] } else { [32, 160, 32] }).is_dull());
    }

    #[test]
    fn more_to_see_scores_higher() {
        let scores = [
            frame(|_| [0; 3]).score(),
            frame(|i| grey(i % 8)).score(),
            frame(|i| grey(100 + i % 8)).score(),
            frame(|i| grey(i % 256)).score(),
        ];
        assert!(scores.is_sorted() && scores[0] < scores[3], "{scores:?}");
    }

    #[test]
    fn the_hash_has_the_average_colour() {
        let hash = frame(|_| [255, 0, 0]).blur_hash();
        let pixels = blurhash::decode(&hash, 1, 1, 1.0).unwrap();
        assert!(pixels[0] > 250 && pixels[1] < 5 && pixels[2] < 5, "{pixels:?}");
    }

    #[test]
    fn pictures_are_told_apart() {
        // The end marker within a segment is none.
        let jpeg = b"\xFF\xD8\xFF\xE0\0\x04\xFF\xD9\xFF\xDA\0\x03!scan\xFF\0scan\xFF\xD9";
        let two = [&jpeg[..], &jpeg[..]].concat();
        assert_eq!(split_jpegs(two.clone().into()), [&jpeg[..], &jpeg[..]]);
        assert_eq!(split_jpegs(two[..two.len() - 1].to_vec().into()).len(), 1, "cut off");
        assert_eq!(split_jpegs(Bytes::from_static(b"\xFF\xD8\xFF\xE0\xFF\xFF")).len(), 0);
        assert_eq!(split_jpegs(Bytes::from_static(b"no picture")).len(), 0);
    }
}
