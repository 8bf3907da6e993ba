//! Videos that carry a number instead of frames, and what the functions make of them without ffmpeg.
//!
//! Everything that is made of a video names its number, so that the oracle can tell whether it belongs to the upload.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use upreel_core::video::MediaInfo;
use upreel_core::{Container, VideoId};
use upreel_function::App;
use upreel_media::image::Chosen;
use upreel_media::inspect::Inspection;
use upreel_media::{Error, Poster, Source, Storyboard};
use upreel_thumbnail::{Previews, Storyboarding};
use upreel_transcode::Plan;
use upreel_transcode::encode::{Engine, Manifest, Object, SegmentEntry, Track};

use crate::movie;

/// The start of an MP4 file, by which the functions recognise the container.
const HEAD: &[u8] = b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2";
/// The header of the box that has the number twice: for the poster and for the storyboard.
const BOX: &[u8] = b"\0\0\0\x60free";
/// The bytes that the poster needs, and those that the storyboard needs.
const PARTS: [Range<u64>; 2] = [0..72, 72..120];
/// The bytes that one read asks for.
const READ: usize = 24;
/// The duration of a video with the number 0, in milliseconds.
const DURATION: u64 = 130_000;

/// Returns the bytes of a video. A long one has an index, by which it can be cut into chunks and segments.
pub(crate) fn video(number: u64, is_long: bool) -> Bytes {
    let content = format!("{:40}{:48}", format!("content {number} "), format!("content {number} "));
    let file = [HEAD, BOX, content.as_bytes()].concat();
    if !is_long {
        return file.into();
    }
    let frame = format!("{:1$}", format!("content {number} "), movie::FRAME as usize);
    let text = format!("{:1$}", format!("content {number} "), movie::TEXT as usize - 2);
    let text = [&[0, text.len().to_le_bytes()[0]], text.as_bytes()].concat();
    let media = [frame.repeat(movie::frames(DURATION) as usize).into_bytes(), text].concat();
    let offset = file.len() + movie::index(DURATION, 0).len() + 8;
    let index = movie::index(DURATION, u32::try_from(offset).unwrap());
    [file, index, movie::atom(*b"mdat", &[media])].concat().into()
}

/// Returns a content that the checks refuse: the same with a mark.
pub(crate) fn infected(content: &Bytes) -> Bytes {
    let (mark, text) = (b" infected", content.to_vec());
    let start = text.windows(8).position(|window| window == b"content ").unwrap() + 8;
    let end = start + text[start..].iter().position(|byte| !byte.is_ascii_digit()).unwrap();
    [&text[..end], mark, &text[end + mark.len()..]].concat().into()
}

/// Returns whether the checks refuse a content.
pub(crate) fn is_infected(content: &[u8]) -> bool {
    content[..content.len().min(100)].windows(9).any(|window| window == b" infected")
}

/// Returns the number in a segment, if it is complete.
pub(crate) fn number_of_segment(bytes: &[u8]) -> Option<u64> {
    let mut at = 0;
    let mut media = None;
    while at < bytes.len() {
        let size = u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize;
        let body = bytes.get(at + 8..at + size)?;
        if &bytes[at + 4..at + 8] == b"mdat" {
            media = Some(body);
        }
        at += size;
    }
    number(media?)
}

/// Returns the number of the video with this duration.
pub(crate) fn number_of(duration: u64) -> Option<u64> {
    duration.checked_sub(DURATION)
}

/// Returns the bytes of a file that is not a video.
pub(crate) fn text(number: u64) -> Bytes {
    format!("This is content {number} and not a video.").into()
}

/// Returns the number in the bytes of a video, or of something that was made of it.
pub(crate) fn number(bytes: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
    text.split("content ").nth(1)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Reads a part of an object in small ranges, and returns the number in it.
async fn read(source: &Source, part: &Range<u64>) -> Result<u64, Error> {
    let mut bytes = Vec::new();
    for start in part.clone().step_by(READ) {
        bytes.extend_from_slice(&source.read(start..start + READ as u64).await?);
    }
    if part.start == 0 && !bytes.starts_with(HEAD) {
        return Err(Error::Unsupported(None));
    }
    number(&bytes).ok_or_else(|| Error::Unreadable("no number".to_owned()))
}

/// Takes the place of the preview engine.
pub(crate) fn previews<'a>(
    _: &'a App,
    _: VideoId,
    source: &'a Arc<Source>,
    _: &'a str,
    _: Instant,
) -> BoxFuture<'a, Result<Previews, Error>> {
    Box::pin(make_previews(source))
}

async fn make_previews(source: &Source) -> Result<Previews, Error> {
    let number = read(source, &PARTS[0]).await?;
    let media_info = MediaInfo {
        duration_ms: Some(DURATION + number),
        width: Some(854),
        height: Some(480),
        container: Some(Container::Mp4),
        ..MediaInfo::default()
    };
    let poster = Poster {
        jpeg: format!("poster of content {number}").into(),
        large: format!("large poster of content {number}").into(),
        blur_hash: format!("hash of content {number}"),
        media_info,
        index: None,
    };
    let storyboard = match read(source, &PARTS[1]).await {
        Ok(number) => Storyboarding::Made(Storyboard {
            jpeg: format!("tiles of content {number}").into(),
            vtt: format!("cues of content {number}"),
        }),
        Err(Error::Fault(_)) => Storyboarding::Fault,
        Err(error) => return Err(error),
    };
    Ok(Previews { poster, storyboard, peaks: None })
}

/// Takes the place of ffmpeg in making images and posters that are chosen.
pub(crate) const IMAGES: upreel_playback::Engine = upreel_playback::Engine {
    image: |_, _, source, _| {
        Box::pin(async { Ok(format!("image of content {}", read(source, &PARTS[0]).await?).into()) })
    },
    poster: |_, _, source, ms| {
        Box::pin(async move {
            let number = read(source, &PARTS[0]).await?;
            Ok(Chosen {
                jpeg: format!("poster of content {number} at {ms}").into(),
                large: format!("large poster of content {number} at {ms}").into(),
                blur_hash: format!("hash of content {number} at {ms}"),
            })
        })
    },
};

/// Takes the place of ffmpeg in transcoding: there is no audio. A chunk of the whole ladder has one segment.
pub(crate) const ENGINE: Engine = Engine {
    inspect: |_, _, _, _, _| Box::pin(async { Ok(Inspection::default()) }),
    encode: |source, plan, index, _, _, _| Box::pin(make_segments(source, plan, index)),
};

async fn make_segments(source: &Source, plan: &Plan, index: usize) -> Result<(Manifest, Vec<Object>), Error> {
    let number = read(source, &PARTS[0]).await?;
    let mut objects = Vec::new();
    let tracks = plan.rungs.iter().map(|rung| {
        let bytes = Bytes::from(format!("segment of content {number}"));
        if index == plan.first {
            let bytes = Bytes::from(format!("init of content {number}"));
            objects.push(Object { name: format!("{}/init.mp4", rung.name), bytes });
        }
        let of_ladder = || vec![(plan.segment_name(index, 0), 1000)];
        let segments = if plan.cuts.is_empty() { of_ladder() } else { plan.segments(index) };
        let segments = segments.into_iter().map(|(name, duration)| {
            objects.push(Object { name: format!("{}/{name}", rung.name), bytes: bytes.clone() });
            SegmentEntry { name, duration, bytes: bytes.len(), first: 1 }
        });
        let (name, codec, init) = (rung.name.clone(), "avc1".to_owned(), "x".to_owned());
        Track { name, codec, init, segments: segments.collect() }
    });
    let tracks = tracks.collect();
    Ok((Manifest { index, plan: String::new(), frames: 1, tracks }, objects))
}
