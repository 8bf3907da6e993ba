//! Captions that are text tracks of the original.

use bytes::Bytes;
use upreel_core::captions::{EmbeddedTrack, EmbeddedTracks};
use upreel_core::{Key, Version, VideoId};
use upreel_function::telemetry::{self, Unit};
use upreel_media::text::TextTracks;
use upreel_media::{Error, Index, Source};

const WEBVTT: &str = "text/vtt";

/// Reads the text tracks of a file. Those that cannot be read are left out.
///
/// # Errors
/// If S3 fails, or the object was replaced.
pub(crate) async fn read(id: VideoId, source: &Source, index: Option<&Index>) -> Result<TextTracks, Error> {
    let Some(index) = index else { return Ok(TextTracks::default()) };
    let found = index.text_tracks(source).await?;
    report(id, &found);
    Ok(found)
}

/// Reports the text tracks of a video and their cost, if it has any.
#[expect(clippy::cast_precision_loss, reason = "metrics are floating-point numbers")]
fn report(id: VideoId, found: &TextTracks) {
    if found.tracks.is_empty() && found.left_out.is_empty() {
        return;
    }
    let (tracks, bytes, requests) = (found.tracks.len(), found.stats.bytes, found.stats.requests);
    tracing::info!(videoId = %id, tracks, bytes, requests, "captions of the file read");
    for (language, reason) in &found.left_out {
        tracing::warn!(videoId = %id, %language, %reason, "captions of the file left out");
    }
    telemetry::metrics(
        "thumbnail",
        &[
            ("CaptionsBytesRead", Unit::Bytes, bytes as f64),
            ("CaptionsRangeRequests", Unit::Count, requests as f64),
            ("CaptionsLeftOut", Unit::Count, found.left_out.len() as f64),
        ],
        &[("videoId", &id.to_string())],
    );
}

/// Returns what the row says of the captions, and the objects to store.
pub(crate) fn objects(
    id: VideoId,
    version: &Version,
    found: TextTracks,
) -> (EmbeddedTracks, Vec<(Key, &'static str, Bytes)>) {
    let tracks = found.tracks.into_iter().enumerate().map(|(number, track)| {
        let embedded =
            EmbeddedTrack { number, kind: track.kind, label: track.label, end_ms: track.text.end_ms };
        let object = (embedded.key(id, version.clone()), WEBVTT, track.text.text.into());
        ((track.language, embedded), object)
    });
    tracks.unzip()
}
