//! Reads AVI by its index: `idx1`, or the `OpenDML` index of large files. Without a usable index, the frames are searched.
//!
//! Keyframes are wrapped with the original headers, so palettes and upside-down frames stay as they are.

mod chunks;
mod listed;

use std::ops::Range;

use bytes::Bytes;
use upreel_core::video::MediaInfo;

use self::chunks::{Found, Frames, Search};
use self::listed::{index_of_parts, is_complete, is_reliable, listed};
use crate::index::StreamId;
use crate::keyframe::{self, Error, HEAD, Keyframe};
use crate::matroska::spread;
use crate::source::{self, Source};

/// Limit of the headers before the frames, in bytes.
const MAX_HEADERS: u64 = 1 << 20;
/// Limit of an index, in bytes: a day of video and audio.
const MAX_INDEX: u64 = 48 << 20;
/// The longest time for which audio is believed to continue after the last frame, in milliseconds.
const MAX_REST: u64 = 3_600_000;

/// The video stream and its keyframes.
#[derive(Debug)]
pub(crate) struct Track {
    /// Everything before the list of frames, with a rate of one frame a second.
    headers: Bytes,
    /// The identifier of the chunks.
    chunk: [u8; 4],
    pub(crate) stream: StreamId,
    keyframes: Keyframes,
    duration_ms: u64,
    /// The duration of a frame, in seconds, as a fraction.
    pace: (u32, u32),
}

#[derive(Debug)]
enum Keyframes {
    Known(Vec<Keyframe>),
    Searched(Search),
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
    /// The same offsets of the other video streams.
    others: Vec<usize>,
    scale: u32,
    rate: u32,
    /// The number of frames that the header states.
    len: u32,
    /// The code of the codec.
    codec: [u8; 4],
    /// The offsets and sizes of the parts of an `OpenDML` index.
    parts: Vec<(u64, u64)>,
}

/// A frame, as an index lists it.
struct Entry {
    at: u64,
    len: u64,
    key: bool,
}

/// The codecs of still images. A stream with one of them is a preview of the film, unless it is the only one.
pub(crate) const PICTURES: [&[u8; 4]; 4] = [b"MJPG", b"mjpg", b"JPEG", b"MPNG"];

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
    let mut entries = match listed(source, &stream, digits, movi.start, after).await {
        Err(Error::Source(error)) => return Err(error.into()),
        listed => listed.unwrap_or_default(),
    };
    // A camera that loses power leaves the length of the list open.
    let is_open = movi.end <= movi.start + 4 || movi.end > source.size();
    let end = if is_open || !stream.parts.is_empty() { source.size() } else { movi.end };
    let list = movi.start + 4..end;
    let mut search = None;
    if !is_reliable(&entries, &stream, &list) {
        let listed: &[Entry] = if is_complete(&entries, &stream, &list) { &entries } else { &[] };
        let stated = (!is_open).then_some(stream.len as usize);
        let frames = Frames { digits, codec: stream.codec, list };
        match frames.find(source, listed, stated).await? {
            Some(Found::All(found)) if found.len() >= entries.len() => entries = found,
            Some(Found::Search(found)) => search = Some(found),
            _ => {}
        }
    }
    let pace = (stream.scale, stream.rate);
    let count = search.as_ref().map_or(entries.len(), |search| search.count);
    let picture_ms = ms(count, pace).unwrap_or(u64::MAX);
    // The length of the audio comes from a header, which can be wrong. That of the video follows from the number of
    // entries in the index, one for each frame.
    let audio_ms = Some(stream.audio_end).filter(|end| *end <= picture_ms.saturating_add(MAX_REST));
    let duration_ms = picture_ms.max(audio_ms.filter(|_| !is_open).unwrap_or(0));
    let numbered = entries.iter().zip(0..).filter(|(entry, _)| entry.key && entry.len > 0);
    let keyframes = numbered.filter_map(|(entry, number)| {
        Some(Keyframe::new(ms(number, pace)?, entry.at..entry.at.checked_add(entry.len)?))
    });
    let keyframes: Vec<Keyframe> = keyframes.filter(|keyframe| keyframe.range.end <= source.size()).collect();
    let keyframes = match search {
        Some(search) => Keyframes::Searched(search),
        None if keyframes.is_empty() => return Err(Error::Unknown("no keyframes in the index")),
        None => Keyframes::Known(keyframes),
    };
    let media_info = MediaInfo {
        duration_ms: Some(duration_ms),
        frame_rate: Some((f64::from(stream.rate) * 1000.0 / f64::from(stream.scale)).round() / 1000.0),
        ..MediaInfo::default()
    };
    let mut headers = headers.to_vec();
    if let Some(rate) = headers.get_mut(stream.header + 20..stream.header + 28) {
        rate.copy_from_slice(&[1, 0, 0, 0, 1, 0, 0, 0]);
    }
    // ffmpeg decodes the first video stream of the wrapped keyframes.
    for other in stream.others {
        if let Some(kind) = headers.get_mut(other..other + 4) {
            kind.copy_from_slice(b"dats");
        }
    }
    let chunk = [digits[0], digits[1], b'd', b'c'];
    let stream = StreamId::Position(u32::try_from(stream.number).unwrap_or(u32::MAX));
    Ok((media_info, Track { headers: headers.into(), chunk, stream, keyframes, duration_ms, pace }))
}

/// Returns the time of a frame in milliseconds, by its number.
fn ms(number: usize, (scale, rate): (u32, u32)) -> Option<u64> {
    u64::try_from(number as u128 * 1000 * u128::from(scale) / u128::from(rate)).ok()
}

impl Track {
    pub(crate) async fn keyframes(&self, source: &Source, n: usize) -> Result<Vec<Keyframe>, source::Error> {
        let keyframes = match &self.keyframes {
            Keyframes::Known(keyframes) => keyframes,
            Keyframes::Searched(search) => {
                return search.keyframes(source, n, |number| ms(number, self.pace)).await;
            }
        };
        let times: Vec<u64> = keyframes.iter().map(|keyframe| keyframe.time_ms).collect();
        let chosen = spread(&times, self.duration_ms, n).into_iter();
        Ok(chosen.filter_map(|i| keyframes.get(i).cloned()).collect())
    }

    /// Returns the keyframe nearest to a playing time, if all are known.
    pub(crate) fn nearest(&self, time_ms: u64) -> Option<&Keyframe> {
        match &self.keyframes {
            Keyframes::Known(keyframes) => keyframe::nearest(keyframes, time_ms),
            Keyframes::Searched(_) => None,
        }
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

/// Finds the first video stream in the headers that is not a preview.
fn stream(headers: &[u8]) -> Option<Stream> {
    let (_, start, list) =
        chunks(headers, 12).find(|(id, _, data)| id == b"LIST" && data.starts_with(b"hdrl"))?;
    let streams = || chunks(list, 4).filter(|(id, _, data)| id == b"LIST" && data.starts_with(b"strl"));
    let audio_end = streams().take(100).filter_map(|(.., data)| audio_end(data)).max().unwrap_or(0);
    let videos = streams().zip(0..100).filter_map(|((_, at, data), number)| {
        let (_, header, fields) = chunks(data, 4).find(|(id, ..)| id == b"strh")?;
        let field = |offset: usize| Some(u32::from_le_bytes(*fields.get(offset..)?.first_chunk()?));
        if !fields.starts_with(b"vids") {
            return None;
        }
        let (scale, rate, len) = (field(20)?, field(24)?, field(32)?);
        let format = chunks(data, 4).find(|(id, ..)| id == b"strf").map_or(&[][..], |(.., data)| data);
        let codec = format.get(16..20).and_then(|code| code.first_chunk()).copied().unwrap_or_default();
        let index = chunks(data, 4).find(|(id, ..)| id == b"indx").map_or(&[][..], |(.., data)| data);
        let plausible = scale > 0 && rate > 0;
        plausible.then(|| Stream {
            audio_end,
            number,
            header: start + at + header,
            others: Vec::new(),
            scale,
            rate,
            len,
            codec,
            parts: index_of_parts(index),
        })
    });
    let videos: Vec<Stream> = videos.collect();
    let all: Vec<usize> = videos.iter().map(|stream| stream.header).collect();
    let film = videos.into_iter().min_by_key(|stream| PICTURES.contains(&&stream.codec))?;
    let others = all.into_iter().filter(|header| *header != film.header).collect();
    Some(Stream { others, ..film })
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

    /// The format of MPEG-4 part 2.
    fn format() -> Vec<u8> {
        chunk(*b"strf", &[&[0; 16][..], b"XVID", &[0; 20]].concat())
    }

    fn frame(n: u8) -> [u8; 9] {
        [0, 0, 1, 0xB6, if n.is_multiple_of(25) { 0x10 } else { 0x50 }, n, n, n, n]
    }

    /// A file of 100 frames of odd length, of which every 25th is a keyframe, with an index of either kind.
    fn file(open_dml: bool, absolute: bool) -> Vec<u8> {
        let made = |part: u32, base: u32| {
            let video = if open_dml {
                let mut super_index = vec![4, 0, 0, 0, 1, 0, 0, 0];
                super_index.extend(b"01dc");
                super_index.extend(words(&[0, 0, 0, part, 0, 32 + 800, 100]));
                list(*b"strl", &[header(*b"vids"), format(), chunk(*b"indx", &super_index)])
            } else {
                list(*b"strl", &[header(*b"vids"), format()])
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
                frames.extend(chunk(*b"01dc", &frame(u8::try_from(n).unwrap())));
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
            let keyframes = track.keyframes(&source, 100).await.unwrap();
            let times: Vec<_> = keyframes.iter().map(|keyframe| keyframe.time_ms).collect();
            assert_eq!(times, [0, 1000, 2000, 3000]);
            let mut samples = Vec::new();
            for keyframe in keyframes {
                samples.push(source.fetch(keyframe.range).await.unwrap());
            }
            assert_eq!(
                samples,
                [0, 25, 50, 75].map(|n| Bytes::from(frame(n).to_vec())),
                "{open_dml} {absolute}"
            );
            let wrapped = track.wrap(samples).concat();
            let header = wrapped.windows(4).rposition(|id| id == b"vids").unwrap();
            assert_eq!(wrapped[header + 20..header + 28], [1, 0, 0, 0, 1, 0, 0, 0], "one frame a second");
            assert!(wrapped.ends_with(&[chunk(*b"01dc", &frame(50)), chunk(*b"01dc", &frame(75))].concat()));
        }
    }

    #[tokio::test]
    async fn frames_are_found_without_a_usable_index() {
        let whole = file(false, false);
        let index = whole.windows(4).rposition(|id| id == b"idx1").unwrap();
        let movi = whole.windows(4).position(|id| id == b"movi").unwrap();
        let marked = |flags: u8| {
            let mut bytes = whole.clone();
            for entry in bytes[index + 8..].chunks_mut(16) {
                entry[4] = flags;
            }
            bytes
        };
        let with = |at: usize, bytes: &[u8]| [&whole[..at], bytes, &whole[at + bytes.len()..]].concat();
        let half = u32::try_from((whole.len() - index - 8) / 32 * 16).unwrap().to_le_bytes();
        let files = [
            ("without an index", whole[..index].to_vec()),
            ("an open list", [&with(movi - 4, &[0; 4])[..index], b"01dc\x09\0\0"].concat()),
            ("an index of another kind", with(index, b"JUNK")),
            ("an index to nowhere", with(index + 16, &[7, 0, 0, 0])),
            ("an index of one half", with(index + 4, &half)),
            ("no keyframes", marked(0)),
            ("keyframes only", marked(0x10)),
        ];
        for (name, bytes) in files {
            let source = Source::new(bytes.len() as u64, Bytes::from(bytes));
            let (media_info, track) = open(&source).await.unwrap();
            let keyframes = track.keyframes(&source, 100).await.unwrap();
            let times: Vec<_> = keyframes.iter().map(|keyframe| keyframe.time_ms).collect();
            assert_eq!((media_info.duration_ms, times), (Some(4000), vec![0, 1000, 2000, 3000]), "{name}");
            let sample = source.fetch(keyframes[2].range.clone()).await.unwrap();
            assert_eq!(sample, Bytes::from(frame(50).to_vec()), "{name}");
        }
    }

    #[test]
    fn a_still_before_the_film_is_not_the_film() {
        let stills = [header(*b"vids"), chunk(*b"strf", &[&[0; 16][..], b"MJPG", &[0; 20]].concat())];
        let headers = list(
            *b"hdrl",
            &[
                list(*b"strl", &stills),
                list(*b"strl", &[header(*b"vids"), format()]),
                list(*b"strl", &stills),
            ],
        );
        let bytes = [b"RIFF\0\0\0\0AVI ".to_vec(), headers].concat();
        let film = stream(&bytes).unwrap();
        let others = film.others.iter().map(|at| &bytes[*at..at + 4]).collect::<Vec<_>>();
        assert_eq!((film.number, others), (1, vec![&b"vids"[..]; 2]));
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
            for keyframe in track.keyframes(&source, 8).await.unwrap() {
                assert!(keyframe.range.end <= source.size());
            }
        }
    }
}
