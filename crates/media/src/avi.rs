//! Reads AVI by its index: `idx1`, or the `OpenDML` index of large files.
//!
//! Keyframes are wrapped with the original headers, so palettes and upside-down frames stay as they are.

use std::ops::Range;

use bytes::Bytes;
use upreel_core::video::MediaInfo;

use crate::index::StreamId;
use crate::keyframe::{Error, HEAD, Keyframe};
use crate::matroska::spread;
use crate::source::{Source, in_parallel};

/// Limit of the headers before the frames, in bytes.
const MAX_HEADERS: u64 = 1 << 20;
/// Limit of an index, in bytes: a day of video and audio.
const MAX_INDEX: u64 = 48 << 20;
/// Limit of the parts of an `OpenDML` index.
const MAX_PARTS: usize = 1000;
/// The longest time for which audio is believed to continue after the last frame, in milliseconds.
const MAX_REST: u64 = 3_600_000;
/// The flag of keyframes in `idx1`.
const KEYFRAME: u32 = 0x10;

/// The video stream and its keyframes.
#[derive(Debug)]
pub(crate) struct Track {
    /// Everything before the list of frames, with a rate of one frame a second.
    headers: Bytes,
    /// The identifier of the chunks.
    chunk: [u8; 4],
    pub(crate) stream: StreamId,
    pub(crate) keyframes: Vec<Keyframe>,
    duration_ms: u64,
}

/// A chunk of a RIFF file.
#[derive(Debug)]
struct Chunk {
    id: [u8; 4],
    /// The range of its data. That of a list begins with the list's type.
    data: Range<u64>,
}

/// The header of the video stream (`strh`), and where it is.
#[derive(Debug, Default)]
struct Stream {
    /// When the longest audio stream ends, in milliseconds.
    audio_end: u64,
    number: usize,
    /// The offset of the data of `strh`.
    header: usize,
    scale: u32,
    rate: u32,
    /// The offsets and sizes of the parts of an `OpenDML` index.
    parts: Vec<(u64, u64)>,
}

/// An entry of an index.
struct Entry {
    at: u64,
    len: u64,
    key: bool,
}

pub(crate) async fn open(source: &Source) -> Result<(MediaInfo, Track), Error> {
    // Cached, as one read.
    source.read(0..HEAD).await?;
    let (movi, after) = find_movi(source).await?;
    let headers = source.read(0..movi.start.saturating_sub(8)).await?;
    let stream = stream(&headers).ok_or(Error::NoVideo)?;
    let digits = [
        b'0' + u8::try_from(stream.number / 10).unwrap_or(0),
        b'0' + u8::try_from(stream.number % 10).unwrap_or(0),
    ];
    let mut entries = parts(source, &stream).await?;
    if entries.is_empty() {
        let index = read_chunk(source, after, *b"idx1").await?;
        entries = idx1(&index, digits);
        let absolute = offsets_are_absolute(source, &entries, digits, movi.start).await?;
        for entry in &mut entries {
            // Offsets count from the type of the list, and lead to the header of a chunk.
            let base = if absolute { 8 } else { movi.start + 8 };
            entry.at = entry.at.saturating_add(base);
        }
    }
    let ms = |frames: usize| {
        u64::try_from(frames as u128 * 1000 * u128::from(stream.scale) / u128::from(stream.rate))
    };
    let picture_ms = ms(entries.len()).unwrap_or(u64::MAX);
    // The length of the audio comes from a header, which can be wrong. That of the video follows from the number of
    // entries in the index, one for each frame.
    let audio_ms = Some(stream.audio_end).filter(|end| *end <= picture_ms.saturating_add(MAX_REST));
    let duration_ms = picture_ms.max(audio_ms.unwrap_or(0));
    let numbered = entries.iter().zip(0..).filter(|(entry, _)| entry.key && entry.len > 0);
    let keyframes = numbered.filter_map(|(entry, number)| {
        Some(Keyframe::new(ms(number).ok()?, entry.at..entry.at.checked_add(entry.len)?))
    });
    let keyframes: Vec<Keyframe> = keyframes.filter(|keyframe| keyframe.range.end <= source.size()).collect();
    if keyframes.is_empty() {
        return Err(Error::Unknown("no keyframes in the index"));
    }
    let media_info = MediaInfo {
        duration_ms: Some(duration_ms),
        frame_rate: Some((f64::from(stream.rate) * 1000.0 / f64::from(stream.scale)).round() / 1000.0),
        ..MediaInfo::default()
    };
    let mut headers = headers.to_vec();
    if let Some(rate) = headers.get_mut(stream.header + 20..stream.header + 28) {
        rate.copy_from_slice(&[1, 0, 0, 0, 1, 0, 0, 0]);
    }
    let chunk = [digits[0], digits[1], b'd', b'c'];
    let stream = StreamId::Position(u32::try_from(stream.number).unwrap_or(u32::MAX));
    Ok((media_info, Track { headers: headers.into(), chunk, stream, keyframes, duration_ms }))
}

impl Track {
    pub(crate) fn keyframes(&self, n: usize) -> Vec<Keyframe> {
        let times: Vec<u64> = self.keyframes.iter().map(|keyframe| keyframe.time_ms).collect();
        let chosen = spread(&times, self.duration_ms, n).into_iter();
        chosen.filter_map(|i| self.keyframes.get(i).cloned()).collect()
    }

    /// See [`Index::wrap`](crate::Index::wrap).
    pub(crate) fn wrap(&self, samples: Vec<Bytes>) -> Vec<Bytes> {
        let size = |len: usize| u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes();
        // Each chunk has a header of 8 bytes and an even length.
        let total: usize = samples.iter().map(|sample| 8 + sample.len().next_multiple_of(2)).sum();
        let list = [&b"LIST"[..], &size(4 + total), b"movi"].concat();
        let mut pieces = vec![self.headers.clone(), list.into()];
        for sample in samples {
            pieces.push([&self.chunk[..], &size(sample.len())].concat().into());
            let padding = sample.len() % 2;
            pieces.push(sample);
            if padding > 0 {
                pieces.push(Bytes::from_static(&[0]));
            }
        }
        pieces
    }
}

/// Returns the data of the list of frames, without its type, and the offset after it.
async fn find_movi(source: &Source) -> Result<(Range<u64>, u64), Error> {
    let mut at = 12;
    for _ in 0..16 {
        let Some(chunk) = header(source, at).await? else { break };
        let end = chunk.data.end.next_multiple_of(2);
        let kind = source.read(chunk.data.start..chunk.data.start + 4).await?;
        if chunk.id == *b"LIST" && *kind == *b"movi" {
            return Ok((chunk.data.start..chunk.data.end, end));
        }
        if end > MAX_HEADERS {
            break;
        }
        at = end;
    }
    Err(Error::Unknown("no list of frames near the start"))
}

/// Reads the header of a chunk.
async fn header(source: &Source, at: u64) -> Result<Option<Chunk>, Error> {
    let bytes = source.read_ahead(at, 8, HEAD).await?;
    let Some([a, b, c, d, size @ ..]) = bytes.first_chunk::<8>() else { return Ok(None) };
    let start = at + 8;
    Ok(Some(Chunk { id: [*a, *b, *c, *d], data: start..start + u64::from(u32::from_le_bytes(*size)) }))
}

/// Reads the data of the chunk at an offset. Returns nothing if it is another one.
async fn read_chunk(source: &Source, at: u64, id: [u8; 4]) -> Result<Bytes, Error> {
    match header(source, at).await? {
        Some(chunk) if chunk.id == id && chunk.data.end - chunk.data.start <= MAX_INDEX => {
            Ok(source.read(chunk.data).await?)
        }
        _ => Ok(Bytes::new()),
    }
}

/// Returns the chunks in a list, and their offsets.
fn chunks(bytes: &[u8], mut at: usize) -> impl Iterator<Item = ([u8; 4], usize, &[u8])> {
    std::iter::from_fn(move || {
        let [a, b, c, d, size @ ..] = bytes.get(at..)?.first_chunk::<8>()?;
        let start = at + 8;
        let end = start.checked_add(usize::try_from(u32::from_le_bytes(*size)).ok()?)?;
        at = end.checked_next_multiple_of(2)?;
        Some(([*a, *b, *c, *d], start, bytes.get(start..end.min(bytes.len()))?))
    })
}

/// Finds the first video stream in the headers.
fn stream(headers: &[u8]) -> Option<Stream> {
    let (_, start, list) =
        chunks(headers, 12).find(|(id, _, data)| id == b"LIST" && data.starts_with(b"hdrl"))?;
    let streams = || chunks(list, 4).filter(|(id, _, data)| id == b"LIST" && data.starts_with(b"strl"));
    let audio_end = streams().take(100).filter_map(|(.., data)| audio_end(data)).max().unwrap_or(0);
    streams().zip(0..100).find_map(|((_, at, data), number)| {
        let (_, header, fields) = chunks(data, 4).find(|(id, ..)| id == b"strh")?;
        let field = |offset: usize| Some(u32::from_le_bytes(*fields.get(offset..)?.first_chunk()?));
        if !fields.starts_with(b"vids") {
            return None;
        }
        let (scale, rate) = (field(20)?, field(24)?);
        let index = chunks(data, 4).find(|(id, ..)| id == b"indx").map_or(&[][..], |(.., data)| data);
        let plausible = scale > 0 && rate > 0;
        plausible.then(|| Stream {
            audio_end,
            number,
            header: start + at + header,
            scale,
            rate,
            parts: index_of_parts(index),
        })
    })
}

/// Returns when an audio stream ends, in milliseconds, from the start and the length in its header. Returns `None` for
/// a stream of another kind.
fn audio_end(stream: &[u8]) -> Option<u64> {
    let (.., fields) = chunks(stream, 4).find(|(id, ..)| id == b"strh")?;
    let field = |offset: usize| Some(u32::from_le_bytes(*fields.get(offset..)?.first_chunk()?));
    let units = u64::from(field(28)?) + u64::from(field(32)?);
    let ms = u128::from(units) * 1000 * u128::from(field(20)?) / u128::from(field(24)?.max(1));
    u64::try_from(ms).ok().filter(|_| fields.starts_with(b"auds"))
}

/// Parses the index of the parts of an `OpenDML` index.
fn index_of_parts(index: &[u8]) -> Vec<(u64, u64)> {
    // Four 32-bit values for each entry, and the type of an index of indexes.
    let [4, 0, _, 0, count @ ..] = index.first_chunk::<8>().copied().unwrap_or_default() else {
        return Vec::new();
    };
    let count = usize::try_from(u32::from_le_bytes(count)).unwrap_or(MAX_PARTS).min(MAX_PARTS);
    let entries = index.get(24..).unwrap_or_default().as_chunks::<16>().0.iter().take(count);
    let parts = entries.filter_map(|entry| {
        let at = u64::from_le_bytes(*entry.first_chunk()?);
        Some((at, u64::from(u32::from_le_bytes(*entry.get(8..)?.first_chunk()?))))
    });
    parts.filter(|(at, size)| *at > 0 && *size > 32).collect()
}

/// Reads the parts of an `OpenDML` index.
async fn parts(source: &Source, stream: &Stream) -> Result<Vec<Entry>, Error> {
    if stream.parts.iter().map(|(_, size)| size).sum::<u64>() > MAX_INDEX {
        return Err(Error::Unknown("the index is too large"));
    }
    let reads = stream.parts.iter().map(|(at, size)| source.fetch(*at..at.saturating_add(*size))).collect();
    let mut entries = Vec::new();
    for part in in_parallel(reads).await? {
        let (Some([b'i' | b'0'..=b'9', ..]), Some(base)) =
            (part.first_chunk::<4>(), part.get(20..).and_then(|rest| rest.first_chunk()))
        else {
            return Ok(Vec::new());
        };
        let base = u64::from_le_bytes(*base);
        let count = part.get(12..16).and_then(|count| count.try_into().ok()).map_or(0, u32::from_le_bytes);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        for entry in part.get(32..).unwrap_or_default().as_chunks::<8>().0.iter().take(count) {
            let [a, b, c, d, size @ ..] = *entry;
            let size = u32::from_le_bytes(size);
            let at = base.saturating_add(u32::from_le_bytes([a, b, c, d]).into());
            // The highest bit marks frames that are not keyframes.
            entries.push(Entry { at, len: u64::from(size & 0x7FFF_FFFF), key: size >> 31 == 0 });
        }
    }
    Ok(entries)
}

/// Parses `idx1`. The offsets are those in the file.
fn idx1(index: &[u8], digits: [u8; 2]) -> Vec<Entry> {
    let entries = index.as_chunks::<16>().0.iter().filter(|entry| entry[..2] == digits && entry[2] == b'd');
    let field = |entry: &[u8; 16], at: usize| {
        u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]])
    };
    let entries = entries.map(|entry| Entry {
        at: field(entry, 8).into(),
        len: field(entry, 12).into(),
        key: field(entry, 4) & KEYFRAME != 0,
    });
    entries.collect()
}

/// Returns whether the offsets in `idx1` count from the start of the file instead of that of the list.
async fn offsets_are_absolute(
    source: &Source,
    entries: &[Entry],
    digits: [u8; 2],
    list: u64,
) -> Result<bool, Error> {
    let Some(first) = entries.iter().find(|entry| entry.len > 0) else { return Ok(false) };
    for (base, absolute) in [(list, false), (0, true)] {
        let start = first.at.saturating_add(base);
        let id = source.read(start..start.saturating_add(4)).await?;
        if id.starts_with(&digits) {
            return Ok(absolute);
        }
    }
    Err(Error::Unknown("the index does not lead to frames"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(id: [u8; 4], data: &[u8]) -> Vec<u8> {
        let size = u32::try_from(data.len()).unwrap().to_le_bytes();
        [&id[..], &size, data, &vec![0; data.len() % 2]].concat()
    }

    fn list(kind: [u8; 4], parts: &[Vec<u8>]) -> Vec<u8> {
        chunk(*b"LIST", &[kind.to_vec(), parts.concat()].concat())
    }

    /// The header of a stream with 25 frames a second.
    fn header(kind: [u8; 4]) -> Vec<u8> {
        let mut data = [&kind[..], &[0; 52]].concat();
        data[20..28].copy_from_slice(&[1, 0, 0, 0, 25, 0, 0, 0]);
        chunk(*b"strh", &data)
    }

    fn words(values: &[u32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    /// A file of 100 frames of odd length, of which every 25th is a keyframe, with an index of either kind.
    fn file(open_dml: bool, absolute: bool) -> Vec<u8> {
        let made = |part: u32, base: u32| {
            let video = if open_dml {
                let mut super_index = vec![4, 0, 0, 0, 1, 0, 0, 0];
                super_index.extend(b"01dc");
                super_index.extend(words(&[0, 0, 0, part, 0, 32 + 800, 100]));
                list(*b"strl", &[header(*b"vids"), chunk(*b"indx", &super_index)])
            } else {
                list(*b"strl", &[header(*b"vids")])
            };
            let headers = list(*b"hdrl", &[list(*b"strl", &[header(*b"auds")]), video]);
            let mut frames = b"movi".to_vec();
            let (mut idx1, mut ix) = (Vec::new(), Vec::new());
            for n in 0..100u32 {
                let at = u32::try_from(frames.len()).unwrap();
                let key = n.is_multiple_of(25);
                idx1.extend([b"01dc".to_vec(), words(&[if key { 0x10 } else { 0 }, at + base, 9])].concat());
                ix.extend(words(&[at + 8, if key { 9 } else { 9 | 1 << 31 }]));
                frames.extend(chunk(*b"00wb", b"audio"));
                idx1.extend([b"00wb".to_vec(), words(&[0x10, at, 5])].concat());
                // The index leads to the video after the audio.
                let entry = idx1.len() - 32;
                idx1[entry + 8..entry + 12].copy_from_slice(&(at + base + 14).to_le_bytes());
                let entry = ix.len() - 8;
                ix[entry..entry + 4].copy_from_slice(&(at + 14 + 8).to_le_bytes());
                frames.extend(chunk(*b"01dc", &[u8::try_from(n).unwrap(); 9]));
            }
            (headers, frames, idx1, ix)
        };
        // The offset of the list's type.
        let (headers, ..) = made(0, 0);
        let movi = u32::try_from(12 + headers.len() + 8).unwrap();
        let (_, frames, ..) = made(0, 0);
        let part = movi + u32::try_from(frames.len()).unwrap();
        let (headers, frames, idx1, ix) = made(part, if absolute { movi } else { 0 });
        let index = if open_dml {
            let head = [vec![2, 0, 0, 1], words(&[100]), b"01dc".to_vec(), words(&[movi, 0, 0])].concat();
            chunk(*b"ix01", &[head, ix].concat())
        } else {
            chunk(*b"idx1", &idx1)
        };
        let body = [b"AVI ".to_vec(), headers, chunk(*b"LIST", &frames), index].concat();
        chunk(*b"RIFF", &body)
    }

    #[tokio::test]
    async fn reads_both_kinds_of_indexes() {
        for (open_dml, absolute) in [(false, false), (false, true), (true, false)] {
            let source =
                Source::new(file(open_dml, absolute).len() as u64, Bytes::from(file(open_dml, absolute)));
            let (media_info, track) = open(&source).await.unwrap();
            assert_eq!((media_info.duration_ms, media_info.frame_rate), (Some(4000), Some(25.0)));
            let keyframes = track.keyframes(100);
            let times: Vec<_> = keyframes.iter().map(|keyframe| keyframe.time_ms).collect();
            assert_eq!(times, [0, 1000, 2000, 3000]);
            let mut samples = Vec::new();
            for keyframe in keyframes {
                samples.push(source.fetch(keyframe.range).await.unwrap());
            }
            assert_eq!(samples, [0, 25, 50, 75].map(|n| Bytes::from(vec![n; 9])), "{open_dml} {absolute}");
            let wrapped = track.wrap(samples).concat();
            let header = wrapped.windows(4).rposition(|id| id == b"vids").unwrap();
            assert_eq!(wrapped[header + 20..header + 28], [1, 0, 0, 0, 1, 0, 0, 0], "one frame a second");
            assert!(wrapped.ends_with(&[chunk(*b"01dc", &[50; 9]), chunk(*b"01dc", &[75; 9])].concat()));
        }
    }

    #[tokio::test]
    async fn a_video_lasts_as_long_as_its_audio() {
        for (start, length, duration) in [(25, 125, 6000), (0, 50, 4000), (u32::MAX, u32::MAX, 4000)] {
            let mut bytes = file(false, false);
            let at = bytes.windows(4).position(|id| id == b"auds").unwrap();
            bytes[at + 28..at + 36].copy_from_slice(&words(&[start, length]));
            let (media_info, _) = open(&Source::new(bytes.len() as u64, Bytes::from(bytes))).await.unwrap();
            assert_eq!(media_info.duration_ms, Some(duration));
        }
    }

    #[tokio::test]
    async fn damaged_files_never_panic() {
        let mut seed = 1u64;
        for i in 0..2000 {
            let mut bytes = file(i % 2 == 0, false);
            for _ in 0..=i % 4 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = usize::try_from(seed >> 33).unwrap() % bytes.len();
                // Mostly in the headers.
                let at = if i % 3 == 0 { at } else { at % 600 };
                bytes[at] = [0, 1, 0x7F, 0xFF][i % 4];
            }
            let source = Source::new(bytes.len() as u64, Bytes::from(bytes));
            let Ok((_, track)) = open(&source).await else { continue };
            for keyframe in track.keyframes(8) {
                assert!(keyframe.range.end <= source.size());
            }
        }
    }
}
