//! The frames of AAC in ADTS (ISO/IEC 14496-3, 1.A.2.2).

use super::synced;
use crate::matroska::AudioCodec;
use crate::remux::{Audio, Refusal, Sample};

const SAMPLE_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000, 7350];

/// What all frames have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    /// The audio object type, less one.
    profile: u8,
    /// The index of the sample rate.
    rate: u8,
    channels: u8,
    /// Whether a frame has several blocks, whose lengths are not known.
    has_several: bool,
}

pub(super) struct Header {
    format: Format,
    len: usize,
    skipped: usize,
}

impl synced::Header for Header {
    type Format = Format;

    fn read(bytes: &[u8]) -> Option<Self> {
        let [0xFF, second, third, fourth, fifth, sixth, seventh] = *bytes.first_chunk()? else { return None };
        let rate = third >> 2 & 15;
        if second & 0xF6 != 0xF0 || usize::from(rate) >= SAMPLE_RATES.len() {
            return None;
        }
        let channels = (third & 1) << 2 | fourth >> 6;
        let has_several = seventh & 3 > 0;
        // With a checksum, unless a bit says that there is none.
        let skipped = if second & 1 == 1 { 7 } else { 9 };
        let len = usize::from(fourth & 3) << 11 | usize::from(fifth) << 3 | usize::from(sixth >> 5);
        let format = Format { profile: third >> 6, rate, channels, has_several };
        (len > skipped).then_some(Self { format, len, skipped })
    }

    fn format(&self) -> Format {
        self.format
    }

    fn len(&self) -> usize {
        self.len
    }

    fn skipped(&self) -> usize {
        self.skipped
    }

    fn duration(_: Format) -> u32 {
        1024
    }

    fn audio(format: Format, _: &[u8], samples: Vec<Sample>) -> Result<Audio, Refusal> {
        let Format { profile, rate, channels, has_several } = format;
        // Without a configuration of channels, the first frame describes them.
        if has_several || channels == 0 {
            return Err(Refusal("AUDIO_CODEC"));
        }
        // An AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1).
        let private = vec![(profile + 1) << 3 | rate >> 1, (rate & 1) << 7 | channels << 3];
        let channels = if channels == 7 { 8 } else { channels };
        let rate = *SAMPLE_RATES.get(usize::from(rate)).ok_or(Refusal("AUDIO_CODEC"))?;
        super::audio(&AudioCodec { id: "A_AAC", private, rate, channels }, samples, 0..i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::super::synced::{Header as _, Synced};
    use super::super::tests::{assail, listed, rows};
    use super::*;

    type Adts = Synced<Header>;

    /// A frame of this length, with the rest of its header: AAC-LC, 44.1 kHz, stereo.
    fn frame(len: u16, second: u8, blocks: u8) -> Vec<u8> {
        let [high, low] = (len << 5).to_be_bytes();
        let head = [0xFF, second, 0x50, 0x80 | (len >> 11).to_be_bytes()[1], high, low, 0xFC | blocks];
        [&head[..], &vec![0; usize::from(len) - 7]].concat()
    }

    #[tokio::test]
    async fn frames_lose_their_headers() {
        let file =
            [frame(300, 0xF1, 0), frame(20, 0xF0, 0), frame(8191, 0xF9, 0), frame(9, 0xF1, 0)].concat();
        let audio = listed::<Adts>(&file).await.unwrap();
        let expected = [(7, 293, 0), (309, 11, 1024), (327, 8184, 2048), (8518, 2, 3072)];
        assert_eq!(rows(&audio), expected.map(|(at, size, time)| (at, size, time, 1024)));
        assert_eq!((audio.track.scale, audio.track.entry.codec.as_str()), (44_100, "mp4a.40.2"));
        assert!(audio.track.entry.decoding.is_none());
        // What is cut off, and what follows.
        for more in [&frame(300, 0xF1, 0)[..200], &[0xFF; 5], b"ID3\x04\0\0\0\0\0\x03abc"] {
            let found = rows(&listed::<Adts>(&[&file[..], more].concat()).await.unwrap());
            assert_eq!(found.len(), 4);
        }
    }

    #[tokio::test]
    async fn what_players_do_not_play_is_encoded_or_refused() {
        let changed = |at: usize, byte: u8| {
            let mut frame = frame(100, 0xF1, 0);
            frame[at] = byte;
            frame.repeat(5)
        };
        let main = listed::<Adts>(&changed(2, 0x10)).await.unwrap();
        assert!(main.track.entry.decoding.is_some(), "AAC Main");
        assert_eq!(listed::<Adts>(&changed(3, 0)).await.err(), Some("AUDIO_CODEC"), "no channels");
        assert_eq!(listed::<Adts>(&frame(100, 0xF1, 1).repeat(5)).await.err(), Some("AUDIO_CODEC"));
        assert_eq!(listed::<Adts>(&changed(2, 0x7C)).await.err(), Some("NO_INDEX"), "no sample rate");
        assert!(Header::read(&frame(7, 0xF1, 0)).is_none() && Header::read(&frame(9, 0xF0, 0)).is_none());
        let both = [frame(100, 0xF1, 0).repeat(5), changed(2, 0x4C)].concat();
        assert_eq!(listed::<Adts>(&both).await.err(), Some("SEVERAL_SAMPLE_DESCRIPTIONS"));
    }

    #[tokio::test]
    async fn damaged_files_do_no_harm() {
        assail::<Adts>(&[frame(60, 0xF1, 0), frame(80, 0xF0, 0), frame(90, 0xF1, 0)].concat()).await;
    }
}
