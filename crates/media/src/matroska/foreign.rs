//! Describes audio of other containers, as a track of Matroska.

use std::ops::Range;

use super::ebml::{id, put};
use super::{decoding, entries};
use crate::mp4::{Decoding, Entry, encoded_entry};

/// The highest sample rate that is encoded.
const MAX_RATE: u32 = 768_000;

/// The codec of audio, as Matroska names it (<https://www.matroska.org/technical/codec_specs.html>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AudioCodec {
    /// The `CodecID`.
    pub(crate) id: &'static str,
    /// The `CodecPrivate`: the decoder's configuration. Empty if the frames contain it.
    pub(crate) private: Vec<u8>,
    /// Samples per second.
    pub(crate) rate: u32,
    pub(crate) channels: u8,
}

impl AudioCodec {
    /// Returns the sample entry, which is that of encoded audio if players do not play this one. Then only the samples in
    /// `presented` are. Returns `None` if it cannot be encoded, either.
    pub(crate) fn entry(&self, presented: Range<i64>) -> Option<Entry> {
        let mut settings = Vec::new();
        put(&mut settings, id::SAMPLING_FREQUENCY, &f64::from(self.rate).to_be_bytes());
        put(&mut settings, id::CHANNELS, &[self.channels]);
        let mut track = Vec::new();
        put(&mut track, id::CODEC_ID, self.id.as_bytes());
        if !self.private.is_empty() {
            put(&mut track, id::CODEC_PRIVATE, &self.private);
        }
        put(&mut track, id::AUDIO, &settings);
        if let Some(played) = entries::audio(&track) {
            return Some(played);
        }
        let decoding = Decoding { init: decoding::header(&track), tick_bytes: None, presented };
        let is_possible = (1..=MAX_RATE).contains(&self.rate) && self.private.len() <= decoding::MAX_PRIVATE;
        Some(Entry { decoding: Some(decoding), ..encoded_entry()? }).filter(|_| is_possible)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &'static str, private: &[u8]) -> Option<Entry> {
        AudioCodec { id, private: private.to_vec(), rate: 44_100, channels: 2 }.entry(5..9)
    }

    #[test]
    fn players_get_what_they_play() {
        let opus = entry("A_OPUS", b"OpusHead\x01\x06\x38\x01\x80\xBB\0\0\0\0\0").unwrap();
        assert_eq!((opus.codec.as_str(), opus.channels, opus.decoding), ("opus", 6, None));
        let aac = entry("A_AAC", &[0x12, 0x10]).unwrap();
        assert_eq!((aac.codec.as_str(), aac.channels, aac.decoding), ("mp4a.40.2", 2, None));
    }

    #[test]
    fn other_audio_is_encoded() {
        for (id, private) in [("A_MPEG/L3", &b""[..]), ("A_FLAC", b"fLaC"), ("A_AAC", &[0x0A, 0x10])] {
            let entry = entry(id, private).unwrap();
            assert_eq!((entry.codec.as_str(), entry.channels), ("mp4a.40.2", 2), "{id}");
            let decoding = entry.decoding.unwrap();
            assert_eq!(decoding.presented, 5..9);
            assert!(decoding.init.windows(id.len()).any(|found| found == id.as_bytes()), "{id}");
        }
        assert_eq!(entry("A_VORBIS", &vec![0; 9000]), None);
        for rate in [0, MAX_RATE + 1] {
            let flac = AudioCodec { id: "A_FLAC", private: Vec::new(), rate, channels: 2 };
            assert_eq!(flac.entry(0..9), None, "{rate}");
        }
    }
}
