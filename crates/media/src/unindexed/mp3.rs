//! The frames of MP3 (ISO/IEC 11172-3, 2.4.1.3; ISO/IEC 13818-3 for half the sample rates), and what the encoder tells about
//! the samples that it added.

use super::synced;
use crate::matroska::AudioCodec;
use crate::remux::{Audio, Refusal, Sample};

/// Kilobits per second by their index, of both versions.
const BIT_RATES: [[u32; 15]; 2] = [
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];
const SAMPLE_RATES: [u32; 3] = [44_100, 48_000, 32_000];
/// Samples by which every decoder is late.
const DECODER_DELAY: i64 = 528 + 1;

/// What all frames have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    rate: u32,
    channels: u8,
    /// Whether frames are half as long.
    is_low: bool,
}

pub(super) struct Header {
    format: Format,
    len: usize,
}

impl synced::Header for Header {
    type Format = Format;

    fn read(bytes: &[u8]) -> Option<Self> {
        let [0xFF, second, third, fourth] = *bytes.first_chunk()? else { return None };
        // Layer III.
        if second & 0xE6 != 0xE2 {
            return None;
        }
        let shift = match second >> 3 & 3 {
            0 => 2,
            2 => 1,
            3 => 0,
            _ => return None,
        };
        let is_low = shift > 0;
        // A free format, whose frames do not tell their length, has the index 0.
        let kilobits =
            *BIT_RATES[usize::from(is_low)].get(usize::from(third >> 4)).filter(|rate| **rate > 0)?;
        let rate = SAMPLE_RATES.get(usize::from(third >> 2 & 3))? >> shift;
        let bytes = if is_low { 72_000 } else { 144_000 } * kilobits / rate + u32::from(third >> 1 & 1);
        let channels = if fourth >> 6 == 3 { 1 } else { 2 };
        Some(Self { format: Format { rate, channels, is_low }, len: usize::try_from(bytes).ok()? })
    }

    fn format(&self) -> Format {
        self.format
    }

    fn len(&self) -> usize {
        self.len
    }

    fn skipped(&self) -> usize {
        0
    }

    fn duration(format: Format) -> u32 {
        if format.is_low { 576 } else { 1152 }
    }

    fn audio(format: Format, first: &[u8], mut samples: Vec<Sample>) -> Result<Audio, Refusal> {
        let duration = i64::from(Self::duration(format));
        let mut presented = 0..i64::MAX;
        if let Some(info) = Info::read(format, first) {
            samples.remove(0);
            for sample in &mut samples {
                sample.time -= duration;
            }
            if let Some((before, after)) = info.added {
                presented.start = before + DECODER_DELAY;
                let count = i64::try_from(samples.len()).unwrap_or(i64::MAX);
                // Of a part of a file, the end is another one.
                if i64::from(info.frames) == count {
                    let end = count * duration + (DECODER_DELAY - after).min(0);
                    presented.end = end.max(presented.start);
                }
            }
        }
        let codec =
            AudioCodec { id: "A_MPEG/L3", private: Vec::new(), rate: format.rate, channels: format.channels };
        super::audio(&codec, samples, presented)
    }
}

/// What a first frame without audio tells.
#[derive(Debug, PartialEq, Eq)]
struct Info {
    /// The number of the frames after it; 0 if it is not known.
    frames: u32,
    /// The samples that the encoder added before and after those of its input.
    added: Option<(i64, i64)>,
}

impl Info {
    /// Reads a Xing frame with the extension of LAME (<http://gabriel.mp3-tech.org/mp3infotag.html>), or a VBRI frame.
    fn read(format: Format, frame: &[u8]) -> Option<Self> {
        const FRAMES: u32 = 1;
        const BYTES: u32 = 2;
        const TABLE: u32 = 4;
        const QUALITY: u32 = 8;
        let field = |at: usize| Some(u32::from_be_bytes(*frame.get(at..)?.first_chunk()?));
        if frame.get(36..)?.starts_with(b"VBRI") {
            let frames = field(50)?;
            return Some(Self { frames, added: None }).filter(|info| info.frames > 0);
        }
        // After the side information.
        let start = match (format.is_low, format.channels) {
            (false, 2) => 36,
            (false, _) | (true, 2) => 21,
            (true, _) => 13,
        };
        if !matches!(frame.get(start..)?.first_chunk()?, b"Xing" | b"Info") {
            return None;
        }
        let flags = field(start + 4)?;
        let mut at = start + 8;
        let frames = if flags & FRAMES == 0 { 0 } else { field(at)? };
        for (flag, len) in [(FRAMES, 4), (BYTES, 4), (TABLE, 100), (QUALITY, 4)] {
            at += if flags & flag == 0 { 0 } else { len };
        }
        let has_lengths = frame.get(at..).and_then(<[u8]>::first_chunk);
        let has_lengths = matches!(has_lengths, Some(b"LAME" | b"Lavf" | b"Lavc"));
        let added = field(at + 20).filter(|_| has_lengths).map(|delays| delays & 0x00FF_FFFF);
        let added = added.map(|delays| (i64::from(delays >> 12), i64::from(delays & 0xFFF)));
        (frames > 0 || flags & BYTES != 0).then_some(Self { frames, added })
    }
}

#[cfg(test)]
mod tests {
    use super::super::synced::{Header as _, Synced};
    use super::super::tests::{assail, listed, rows};
    use super::*;

    type Mp3 = Synced<Header>;

    /// A frame of 128 kbit/s at 44.1 kHz.
    fn frame(fill: u8) -> Vec<u8> {
        [&b"\xFF\xFB\x90\x64"[..], &[fill; 413]].concat()
    }

    fn info(frames: u32, (before, after): (u32, u32)) -> Vec<u8> {
        let mut frame = frame(0);
        frame[36..44].copy_from_slice(b"Info\0\0\0\x0F");
        frame[44..48].copy_from_slice(&frames.to_be_bytes());
        frame[156..160].copy_from_slice(b"LAME");
        frame[176..180].copy_from_slice(&(before << 12 | after).to_be_bytes());
        frame
    }

    #[test]
    fn lengths_of_frames() {
        let read = |bytes: &[u8; 4]| {
            let header = Header::read(bytes)?;
            Some((
                header.len(),
                header.format().rate,
                header.format().channels,
                Header::duration(header.format()),
            ))
        };
        assert_eq!(read(b"\xFF\xFB\x90\x64"), Some((417, 44_100, 2, 1152)));
        assert_eq!(read(b"\xFF\xFB\x92\x64"), Some((418, 44_100, 2, 1152)), "padded");
        assert_eq!(read(b"\xFF\xFA\xE8\xC0"), Some((1440, 32_000, 1, 1152)));
        assert_eq!(read(b"\xFF\xF3\x80\xC4"), Some((208, 22_050, 1, 576)));
        assert_eq!(read(b"\xFF\xE3\x18\x00"), Some((72, 8000, 2, 576)));
        for bad in [
            b"\xFF\xFB\x00\x64",
            b"\xFF\xFB\xF0\x64",
            b"\xFF\xFB\x9C\x64",
            b"\xFF\xEB\x90\x64",
            b"\xFF\xFD\x90\x64",
            b"\xFE\xFB\x90\x64",
        ] {
            assert_eq!(read(bad), None, "{bad:x?}");
        }
    }

    #[tokio::test]
    async fn frames_follow_each_other() {
        let found = rows(&listed::<Mp3>(&frame(0).repeat(100)).await.unwrap());
        assert_eq!((found.len(), found[99]), (100, (99 * 417, 417, 99 * 1152, 1152)));
        let one = rows(&listed::<Mp3>(&frame(0)).await.unwrap());
        assert_eq!(one, [(0, 417, 0, 1152)]);
        let cut = [frame(0).repeat(3), frame(0)[..400].to_vec()].concat();
        assert_eq!(rows(&listed::<Mp3>(&cut).await.unwrap()).len(), 3);
    }

    #[tokio::test]
    async fn samples_that_the_encoder_added_are_not_presented() {
        let presented = async |file: Vec<u8>| {
            let audio = listed::<Mp3>(&file).await.unwrap();
            (rows(&audio)[0], audio.track.samples.len(), audio.track.entry.decoding.unwrap().presented)
        };
        let audio = frame(0).repeat(9);
        let first = (417, 417, 0, 1152);
        assert_eq!(presented([info(9, (576, 1000)), audio.clone()].concat()).await, (first, 9, 1105..9897));
        assert_eq!(presented([info(9, (576, 100)), audio.clone()].concat()).await, (first, 9, 1105..10_368));
        assert_eq!(
            presented([info(8, (576, 900)), audio.clone()].concat()).await,
            (first, 9, 1105..i64::MAX)
        );
        let mut other = info(9, (1, 0));
        other[156] = b'X';
        assert_eq!(presented([other, audio.clone()].concat()).await, (first, 9, 0..i64::MAX));
        let mut vbri = frame(0);
        vbri[36..54].copy_from_slice(b"VBRI\0\x01\0\0\0\0\0\0\0\0\0\0\0\x09");
        assert_eq!(presented([vbri, audio.clone()].concat()).await, (first, 9, 0..i64::MAX));
        assert_eq!(presented(audio).await, ((0, 417, 0, 1152), 9, 0..i64::MAX));
    }

    #[tokio::test]
    async fn bytes_between_frames_are_left_out() {
        let tag = [&b"ID3\x04\0\0\0\0\x02\x2C"[..], &frame(0)[..300]].concat();
        let noise: Vec<u8> =
            (0..3000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[0]).collect();
        for junk in [tag, noise, b"\xFF\xFB\x00\x64".to_vec()] {
            let file = [&frame(0).repeat(4)[..], &junk, &frame(0).repeat(4)].concat();
            let found = rows(&listed::<Mp3>(&file).await.unwrap());
            assert_eq!(found.len(), 8);
            assert_eq!(found[4], (4 * 417 + junk.len() as u64, 417, 4 * 1152, 1152));
        }
        let long = [frame(0).repeat(4), vec![0xFF; 1_100_000], frame(0).repeat(4)].concat();
        assert_eq!(listed::<Mp3>(&long).await.err(), Some("NO_INDEX"));
    }

    #[tokio::test]
    async fn other_formats_in_the_middle_are_refused() {
        let other = [&b"\xFF\xFB\x94\x64"[..], &[0; 380]].concat().repeat(4);
        let code = Some("SEVERAL_SAMPLE_DESCRIPTIONS");
        assert_eq!(listed::<Mp3>(&[frame(0).repeat(4), other.clone()].concat()).await.err(), code);
        let apart = [frame(0).repeat(4), vec![1; 99], other].concat();
        assert_eq!(listed::<Mp3>(&apart).await.err(), code);
        let free = [&b"\xFF\xFB\x00\x64"[..], &[0; 380]].concat().repeat(9);
        assert_eq!(listed::<Mp3>(&free).await.err(), Some("NO_INDEX"));
        assert_eq!(listed::<Mp3>(&[]).await.err(), Some("NO_INDEX"));
    }

    #[tokio::test]
    async fn damaged_files_do_no_harm() {
        assail::<Mp3>(&[info(3, (576, 900)), frame(0).repeat(3)].concat()).await;
    }
}
