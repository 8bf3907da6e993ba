//! HLS playlists with presigned URLs of the segments, because the bucket is private.
//!
//! The playlists refer to each other by relative URLs, so a player requests each of them from this function, with the
//! same `Authorization` header. The segments come from S3. With `CloudFront`, playlists and segments come from there,
//! see [`cdn`].

use std::time::{Duration, SystemTime};

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use quick_m3u8::Writer;
use upreel_core::transcode::TranscodeStatus;
use upreel_core::video::Record;
use upreel_core::{Fault, Key, Sequencer, UserId, VideoId};
use upreel_function::App;
use upreel_http::{BaseUrl, Caller, Problem};

use crate::playlist::{is_playlist, media_file, parse, set_uri};
use crate::{cdn, find_own, not_found};

/// Returns the URL of the master playlist; `None` until the renditions can be played.
pub(crate) async fn url(app: &App, base: &BaseUrl, record: &Record) -> Result<Option<String>, Fault> {
    let done = record.transcode.as_ref().filter(|transcode| transcode.status == TranscodeStatus::Done);
    let Some(done) = done else { return Ok(None) };
    let id = record.video.video_id;
    Ok(match (&app.config.cdn, &app.cdn_secret) {
        (Some(cdn), Some(secret)) => {
            let secrets = secret.all().await?;
            let first = secrets.first();
            first.and_then(|secret| cdn::master(&cdn.domain, secret, id, &done.run, SystemTime::now()))
        }
        _ => Some(format!("{base}/videos/{id}/hls/master.m3u8")),
    })
}

pub(crate) async fn master(
    State(app): State<App>,
    Caller(user): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    playlist(&app, &user, &id, "", "master.m3u8").await
}

pub(crate) async fn media(
    State(app): State<App>,
    Caller(user): Caller,
    Path((id, rendition, file)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    playlist(&app, &user, &id, &format!("{rendition}/"), &file).await
}

async fn playlist(app: &App, user: &UserId, id: &str, folder: &str, file: &str) -> Result<Response, Problem> {
    let record = find_own(app, user, id).await?;
    let playing_time = record.video.media_info.duration_ms.map(Duration::from_millis);
    let transcode = record.transcode.filter(|transcode| transcode.status == TranscodeStatus::Done);
    let run = transcode.ok_or_else(not_found)?.run;
    let folder = Folder { id: record.video.video_id, run: &run, name: folder };
    let key = folder.key(file).filter(|_| is_playlist(file)).ok_or_else(not_found)?;
    let bytes = app.objects.load(&key).await?.ok_or_else(not_found)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut signed = Writer::new(Vec::with_capacity(text.len() * 4));
    for mut line in parse(&text)? {
        if let Some(key) = media_file(&line).and_then(|name| folder.key(name)) {
            set_uri(&mut line, app.objects.sign_rendition(&key, playing_time).await?);
        }
        signed.write_line(line).map_err(|error| Fault::new("write the playlist", &error))?;
    }
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/vnd.apple.mpegurl")),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
    ];
    Ok((headers, signed.into_inner()).into_response())
}

/// The folder of a playlist and its segments.
struct Folder<'a> {
    id: VideoId,
    run: &'a Sequencer,
    /// The rendition with a trailing slash; empty for the master playlist.
    name: &'a str,
}

impl Folder<'_> {
    fn key(&self, file: &str) -> Option<Key> {
        let name = format!("{}{file}", self.name).parse().ok()?;
        Some(Key::Rendition { id: self.id, run: self.run.clone(), name })
    }
}
