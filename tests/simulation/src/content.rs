//! Videos that carry a number instead of frames, and what the functions make of them without ffmpeg.
//!
//! Everything that is made of a video names its number, so that the oracle can tell whether it belongs to the upload.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use upreel_core::video::MediaInfo;
use upreel_core::{Container, VideoId};
use upreel_function::App;
use upreel_media::{Error, Poster, Source, Storyboard};
use upreel_thumbnail::{Previews, Storyboarding};
use upreel_transcode::Plan;
use upreel_transcode::encode::{Manifest, Object, SegmentEntry, Track};

/// The start of an MP4 file, by which the functions recognise the container.
const HEAD: &[u8] = b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2";
/// The bytes that one read asks for.
const READ: usize = 24;

/// Returns the bytes of a video.
pub(crate) fn video(number: u64) -> Bytes {
    [HEAD, format!("content {number} ").as_bytes()].concat().into()
}

/// Returns the bytes of a file that is not a video.
pub(crate) fn text(number: u64) -> Bytes {
    format!("This is content {number} and not a video.").into()
}

/// Returns the number in the bytes of a video, or of something that was made of it.
pub(crate) fn number(bytes: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(bytes);
    text.split("content ").nth(1)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Reads the whole object in small ranges, and returns its number.
async fn read(source: &Source) -> Result<u64, Error> {
    let mut bytes = Vec::new();
    for start in (0..source.size().min(100)).step_by(READ) {
        bytes.extend_from_slice(&source.read(start..start + READ as u64).await?);
    }
    if !bytes.starts_with(HEAD) {
        return Err(Error::Unsupported);
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
    let number = read(source).await?;
    let media_info = MediaInfo {
        duration_ms: Some(number),
        width: Some(640),
        height: Some(360),
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
    let storyboard = Storyboard {
        jpeg: format!("tiles of content {number}").into(),
        vtt: format!("cues of content {number}"),
    };
    Ok(Previews { poster, storyboard: Storyboarding::Made(storyboard) })
}

/// Takes the place of the encoder: each rung has one segment.
pub(crate) fn encode<'a>(
    source: &'a Arc<Source>,
    plan: &'a Plan,
    index: usize,
    _: &'a Path,
    _: Instant,
) -> BoxFuture<'a, Result<(Manifest, Vec<Object>), Error>> {
    Box::pin(make_segments(source, plan, index))
}

async fn make_segments(source: &Source, plan: &Plan, index: usize) -> Result<(Manifest, Vec<Object>), Error> {
    let number = read(source).await?;
    let mut objects = Vec::new();
    let tracks = plan.rungs.iter().map(|rung| {
        let name = format!("{index:04}-00.m4s");
        let bytes = Bytes::from(format!("segment of content {number}"));
        objects.push(Object {
            name: format!("{}/init.mp4", rung.name),
            bytes: Bytes::from(format!("init of content {number}")),
        });
        objects.push(Object { name: format!("{}/{name}", rung.name), bytes: bytes.clone() });
        let segment = SegmentEntry { name, duration: 1000, bytes: bytes.len(), first: 1 };
        Track {
            name: rung.name.clone(),
            codec: "avc1".to_owned(),
            init: "x".to_owned(),
            segments: vec![segment],
        }
    });
    let tracks = tracks.collect();
    Ok((Manifest { index, plan: String::new(), frames: 1, tracks }, objects))
}
