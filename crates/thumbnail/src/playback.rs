//! Prepares the playback from the original: the segment index and the playlists.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;
use upreel_core::playback::Playback;
use upreel_core::{Container, Fault, Key, ReadError, Version, VideoId};
use upreel_media::hls::{self, Audio, Rendition, Segment, Sound, Video};
use upreel_media::keyframe::{self, HEAD};
use upreel_media::remux::{Kind, ORIGINAL, Original, Track};
use upreel_media::{Error, Index, Remux, Source, source};

use crate::previews::millis;

const PLAYLIST: &str = "application/vnd.apple.mpegurl";
const MP4: &str = "video/mp4";
const BINARY: &str = "application/octet-stream";

/// What is known about the playback of an object.
pub enum Prepared {
    /// It can be played as HLS.
    Hls(Box<Remux>),
    /// It can be played only as a file, for this reason.
    Original(&'static str),
    /// A fault on our or AWS's side. It can be prepared later.
    Fault,
}

impl Prepared {
    /// Returns what the row says; `None` after a fault.
    pub(crate) fn playback(&self) -> Option<Playback> {
        match self {
            Self::Hls(_) => Some(Playback::hls()),
            Self::Original(reason) => Some(Playback::original(reason)),
            Self::Fault => None,
        }
    }
}

/// Reads the index of an object as a whole, and returns it with what can be played. `with_audio` says whether a file with
/// audio alone can be played. A video is usable without it, so only [`Error::Gone`] is an error: the object was replaced.
///
/// # Errors
/// Only [`Error::Gone`].
pub async fn prepare(
    id: VideoId,
    source: &Arc<Source>,
    etag: &str,
    with_audio: bool,
) -> Result<(Prepared, Option<Index>), Error> {
    let (start, before) = (Instant::now(), source.stats());
    let mut index = None;
    let prepared = match read(source, etag, with_audio, &mut index).await {
        Ok(prepared) => prepared,
        Err(keyframe::Error::Source(source::Error::Read(ReadError::Gone))) => return Err(Error::Gone),
        Err(keyframe::Error::Source(source::Error::Read(ReadError::Fault(fault)))) => {
            tracing::warn!(videoId = %id, %fault, "playback is prepared later");
            Prepared::Fault
        }
        Err(keyframe::Error::Source(source::Error::Limit)) => Prepared::Original("INDEX_TOO_LARGE"),
        Err(keyframe::Error::Encrypted) => Prepared::Original("ENCRYPTED"),
        Err(keyframe::Error::NoVideo | keyframe::Error::Unknown(_)) => Prepared::Original("NO_INDEX"),
    };
    let (bytes, requests, ms) =
        (source.stats().bytes - before.bytes, source.stats().requests - before.requests, millis(start));
    match &prepared {
        Prepared::Hls(remux) => {
            let segments = remux.tracks.first().map_or(0, |track| track.segments.len());
            let size = remux.records.len();
            tracing::info!(videoId = %id, segments, size, bytes, requests, ms, "playback prepared");
        }
        Prepared::Original(reason) => {
            tracing::info!(videoId = %id, reason, bytes, requests, ms, "original cannot be played by HLS");
        }
        Prepared::Fault => {}
    }
    Ok((prepared, index))
}

async fn read(
    source: &Source,
    etag: &str,
    with_audio: bool,
    opened: &mut Option<Index>,
) -> Result<Prepared, keyframe::Error> {
    let head = source.read(0..HEAD).await?;
    let audio = || Container::sniff_audio(&head).filter(|_| with_audio);
    let Some(container) = Container::sniff(&head).or_else(audio) else {
        return Ok(Prepared::Original("NO_INDEX"));
    };
    let index = if container.is_audio() {
        Err(keyframe::Error::NoVideo)
    } else {
        Index::open(source, container).await
    };
    let remux = match index {
        Ok(Some(index)) => {
            let remux = index.remux(source, etag).await?;
            *opened = Some(index);
            remux
        }
        Ok(None) => return Ok(Prepared::Original("CONTAINER")),
        Err(keyframe::Error::NoVideo) if with_audio => {
            upreel_media::remux::audio_alone(source, container, etag).await?
        }
        Err(error) => return Err(error),
    };
    Ok(match remux {
        Ok(remux) => Prepared::Hls(Box::new(remux)),
        Err(refusal) => Prepared::Original(refusal.0),
    })
}

/// Returns the objects to store: the segment index, the initialization segments, the playlists, and what rungs need.
///
/// # Errors
/// When they cannot be written.
pub fn objects(
    id: VideoId,
    version: &Version,
    remux: Remux,
) -> Result<Vec<(Key, &'static str, Bytes)>, Fault> {
    let Remux { records, tracks, timeline } = remux;
    let mut files = vec![(upreel_media::remux::RECORDS.to_owned(), BINARY, records)];
    let (mut video, mut audio) = (Vec::new(), Vec::new());
    for (position, Track { kind, codec, scale, init, segments }) in tracks.into_iter().enumerate() {
        let folder = upreel_media::remux::folder(position);
        let segments = segments.into_iter().map(|segment| Segment {
            name: upreel_media::remux::segment_name(&segment.record),
            duration: segment.duration,
            bytes: segment.bytes,
            first: 0,
        });
        let rendition = Rendition { name: folder.clone(), codec, scale, segments: segments.collect() };
        files.push((format!("{folder}/init.mp4"), MP4, init));
        files.push((format!("{folder}/index.m3u8"), PLAYLIST, rendition.media_playlist().into()));
        match kind {
            Kind::Video { width, height, frame_rate, range } => {
                video.push(Video { rendition, width, height, frame_rate, range });
            }
            Kind::Audio { language, channels } => audio.push(Audio { rendition, language, channels }),
        }
    }
    files.push((hls::MASTER.to_owned(), PLAYLIST, hls::master(&video, &audio).into()));
    let original = serde_json::to_vec(&Original { timeline, sound: Sound::of(&audio) });
    let original = original.map_err(|error| Fault::new("write the timeline", &error))?;
    files.push((ORIGINAL.to_owned(), "application/json", original.into()));
    let key = |name: &str| {
        let name = name.parse().ok()?;
        Some(Key::Playback { id, version: version.clone(), name })
    };
    Ok(files.into_iter().filter_map(|(name, kind, bytes)| Some((key(&name)?, kind, bytes))).collect())
}
