//! Reads WAV (RIFF; EBU Tech 3306 for `RF64`) whose samples are PCM.

use bytes::Bytes;

use crate::cmaf;
use crate::mp4::boxes::{atom, words};
use crate::mp4::{Decoding, encoded_entry};
use crate::remux::{Audio, Refusal, Sample, TrackSamples, Unplayable};
use crate::source::Source;

/// Limit of chunks before the samples.
const MAX_CHUNKS: usize = 64;
/// Bytes to read at the header of a chunk: those of the format are among them.
const CHUNK_READ: u64 = 4096;
/// Ticks of a group of samples.
const GROUP: u32 = 4096;

/// Lists the samples.
pub(crate) async fn audio_alone(source: &Source) -> Result<Audio, Unplayable> {
    let (mut at, mut format, mut long) = (12u64, None, None);
    for _ in 0..MAX_CHUNKS {
        let head = source.read_ahead(at, 64, CHUNK_READ).await?;
        let (Some(name), Some(size)) = (head.first_chunk::<4>(), u32_at(&head, 4)) else { break };
        let body = head.slice(8..);
        match name {
            b"fmt " => format = Some(Format::read(&body).ok_or(Refusal("AUDIO_CODEC"))?),
            // The size of the samples, if it has more than 32 bits.
            b"ds64" => long = u64_at(&body, 8),
            b"data" => {
                let format = format.ok_or(Refusal("NO_INDEX"))?;
                let size = if size == u32::MAX { long.unwrap_or(u64::MAX) } else { size.into() };
                let start = at.saturating_add(8);
                let end = start.saturating_add(size).min(source.size());
                return Ok(format.audio(start, end.saturating_sub(start))?);
            }
            _ => {}
        }
        // Chunks begin at even offsets.
        at = at.saturating_add(8).saturating_add(u64::from(size).next_multiple_of(2));
    }
    Err(Refusal("NO_INDEX").into())
}

/// The format of PCM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Format {
    is_float: bool,
    channels: u16,
    rate: u32,
    bits: u16,
}

impl Format {
    /// Reads the body of a chunk `fmt `. Returns `None` if the samples are not PCM.
    fn read(body: &Bytes) -> Option<Self> {
        const PCM: u16 = 1;
        const FLOAT: u16 = 3;
        const EXTENSIBLE: u16 = 0xFFFE;
        let mut tag = u16_at(body, 0)?;
        if tag == EXTENSIBLE {
            tag = u16_at(body, 24)?;
        }
        let is_float = match tag {
            PCM => false,
            FLOAT => true,
            _ => return None,
        };
        let (channels, rate, bits) = (u16_at(body, 2)?, u32_at(body, 4)?, u16_at(body, 14)?);
        let is_depth = if is_float { [32, 64].contains(&bits) } else { [8, 16, 24, 32].contains(&bits) };
        let is_possible = is_depth && (1..=64).contains(&channels) && (1000..=768_000).contains(&rate);
        let format = Self { is_float, channels, rate, bits };
        (is_possible && u32::from(u16_at(body, 12)?) == format.tick_bytes()).then_some(format)
    }

    /// Bytes of a tick: a sample of each channel.
    fn tick_bytes(self) -> u32 {
        u32::from(self.channels) * u32::from(self.bits / 8)
    }

    /// Returns the samples in `size` bytes from `start` on, in groups.
    fn audio(self, start: u64, size: u64) -> Result<Audio, Refusal> {
        let tick_bytes = self.tick_bytes();
        let ticks = i64::try_from(size / u64::from(tick_bytes)).map_err(|_| Refusal("TOO_LONG"))?;
        let group = |i: i64| {
            let time = i.checked_mul(GROUP.into())?;
            let duration = u32::try_from((ticks - time).min(GROUP.into())).ok()?;
            let offset = start.checked_add(u64::try_from(time).ok()?.checked_mul(tick_bytes.into())?)?;
            Some(Sample { offset, size: duration * tick_bytes, duration, time, is_sync: true })
        };
        let count = ticks.saturating_add(i64::from(GROUP) - 1) / i64::from(GROUP);
        if count > 2 << 20 {
            return Err(Refusal("TOO_LONG"));
        }
        let samples = (0..count).map(group).collect::<Option<_>>().ok_or(Refusal("TOO_LONG"))?;
        let decoding = Decoding {
            init: cmaf::init_for_decoder(self.rate, &self.stsd()),
            tick_bytes: Some(tick_bytes),
            presented: 0..ticks,
        };
        let entry = encoded_entry().ok_or(Refusal("AUDIO_CODEC"))?;
        let entry = crate::mp4::Entry { decoding: Some(decoding), ..entry };
        Ok(Audio {
            track: TrackSamples { entry, scale: self.rate, samples, gaps: Vec::new() },
            language: None,
        })
    }

    /// Returns the body of an `stsd` box with a sound description of version 2 (`QuickTime` File Format).
    fn stsd(self) -> Vec<u8> {
        const FLOAT: u32 = 1;
        const SIGNED: u32 = 4;
        const PACKED: u32 = 8;
        let signed = if self.bits > 8 { SIGNED } else { 0 };
        let flags = PACKED | if self.is_float { FLOAT } else { signed };
        let (channels, bits) = (u32::from(self.channels), u32::from(self.bits));
        let entry = atom(
            *b"lpcm",
            &[
                &[0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0],
                // Placeholders of version 2.
                &[0, 3, 0, 16, 0xFF, 0xFE, 0, 0, 0, 1, 0, 0],
                &words(&[72]),
                &f64::from(self.rate).to_be_bytes(),
                &words(&[channels, 0x7F00_0000, bits, flags, self.tick_bytes(), 1]),
            ],
        );
        [&words(&[0, 1])[..], &entry].concat()
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fmt(tag: u16, channels: u16, rate: u32, bits: u16, rest: &[u8]) -> Vec<u8> {
        let align = channels * bits / 8;
        let fields: [&[u8]; 7] = [
            &tag.to_le_bytes(),
            &channels.to_le_bytes(),
            &rate.to_le_bytes(),
            &(rate * u32::from(align)).to_le_bytes(),
            &align.to_le_bytes(),
            &bits.to_le_bytes(),
            rest,
        ];
        fields.concat()
    }

    fn chunk(name: [u8; 4], size: u32, body: &[u8]) -> Vec<u8> {
        [&name[..], &size.to_le_bytes(), body].concat()
    }

    fn wav(chunks: &[Vec<u8>]) -> Source {
        let bytes = Bytes::from([&b"RIFF\0\0\0\0WAVE"[..], &chunks.concat()].concat());
        Source::new(bytes.len() as u64, bytes)
    }

    async fn samples(chunks: &[Vec<u8>]) -> Result<Vec<(u64, u32, i64)>, &'static str> {
        match audio_alone(&wav(chunks)).await {
            Ok(audio) => Ok(audio.track.samples.iter().map(|s| (s.offset, s.size, s.time)).collect()),
            Err(Unplayable::Refused(refusal)) => Err(refusal.0),
            Err(error) => panic!("{error}"),
        }
    }

    #[tokio::test]
    async fn samples_are_grouped() {
        let format = fmt(1, 2, 44_100, 16, &[]);
        let fmt = chunk(*b"fmt ", 16, &format);
        let list = chunk(*b"LIST", 3, b"abc\0");
        let data = |size, body: usize| chunk(*b"data", size, &vec![0; body]);
        let found = samples(&[fmt.clone(), list, data(20_000, 20_000)]).await.unwrap();
        assert_eq!(found, [(56, 16_384, 0), (16_440, 3616, 4096)]);
        let unknown = [(44, 400, 0)];
        for size in [0xFFFF_FFFF, 500] {
            assert_eq!(samples(&[fmt.clone(), data(size, 402)]).await.unwrap(), unknown, "{size}");
        }
        let long = chunk(*b"ds64", 28, &[&[0; 8][..], &396u64.to_le_bytes(), &[0; 12]].concat());
        assert_eq!(samples(&[long, fmt.clone(), data(u32::MAX, 402)]).await.unwrap(), [(80, 396, 0)]);
        assert_eq!(samples(&[data(4, 4), fmt.clone()]).await, Err("NO_INDEX"));
        assert_eq!(samples(&[fmt, chunk(*b"LIST", u32::MAX, b"")]).await, Err("NO_INDEX"));
        assert_eq!(samples(&[]).await, Err("NO_INDEX"));
    }

    #[test]
    fn only_pcm_is_read() {
        let read = |bytes: Vec<u8>| Format::read(&bytes.into());
        let guid = [&[22, 0, 24, 0, 0x3F, 0, 0, 0, 1, 0][..], &[0; 14]].concat();
        let extensible = read(fmt(0xFFFE, 6, 48_000, 24, &guid)).unwrap();
        assert_eq!((extensible.tick_bytes(), extensible.is_float), (18, false));
        assert!(read(fmt(3, 1, 48_000, 32, &[])).unwrap().is_float);
        for bad in [
            fmt(2, 1, 48_000, 16, &[]),
            fmt(1, 0, 48_000, 16, &[]),
            fmt(1, 1, 0, 16, &[]),
            fmt(1, 1, 48_000, 12, &[]),
            fmt(3, 1, 48_000, 16, &[]),
            fmt(0xFFFE, 1, 48_000, 16, &[]),
            fmt(1, 1, 48_000, 16, &[])[..15].to_vec(),
        ] {
            assert_eq!(read(bad), None);
        }
        let mut misaligned = fmt(1, 1, 48_000, 16, &[]);
        misaligned[12] = 3;
        assert_eq!(read(misaligned), None);
    }
}
