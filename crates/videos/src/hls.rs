//! HLS playlists, in which the segments are signed: the bucket is private, and so is the video.
//!
//! The playlists name each other relatively, so a player asks this function for each of them, with the same
//! `Authorization`; the segments come from S3. Behind `CloudFront` all of it comes from there, see [`cdn`].

use std::collections::{BTreeSet, HashMap};
use std::time::SystemTime;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use upreel_core::transcode::TranscodeStatus;
use upreel_core::video::Record;
use upreel_core::{Key, Sequencer, UserId, VideoId};
use upreel_function::App;
use upreel_http::BaseUrl;
use upreel_http::{Caller, Problem};

use crate::playlist::{is_playlist, rewrite};
use crate::{cdn, not_found, own};

/// What a player is given, once there is something to play.
pub(crate) fn url(app: &App, base: &BaseUrl, record: &Record) -> Option<String> {
    let done = record.transcode.as_ref().filter(|transcode| transcode.status == TranscodeStatus::Done)?;
    let id = record.video.video_id;
    match &app.config.cdn {
        Some(cdn) => cdn::master(cdn, id, &done.run, SystemTime::now()),
        None => Some(format!("{base}/videos/{id}/hls/master.m3u8")),
    }
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
    let record = own(app, user, id).await?;
    let transcode = record.transcode.filter(|transcode| transcode.status == TranscodeStatus::Done);
    let run = transcode.ok_or_else(not_found)?.run;
    let place = Place { id: record.video.video_id, run: &run, folder };
    let key = place.key(file).filter(|_| is_playlist(file)).ok_or_else(not_found)?;
    let bytes = app.objects.load(&key).await?.ok_or_else(not_found)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut names = BTreeSet::new();
    rewrite(&text, |name| {
        names.insert(name.to_owned());
        None
    })?;
    let mut urls = HashMap::with_capacity(names.len());
    for name in names {
        if let Some(key) = place.key(&name) {
            urls.insert(name, app.objects.sign_rendition(&key).await?);
        }
    }
    let signed = rewrite(&text, |name| urls.get(name).cloned())?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/vnd.apple.mpegurl")),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
    ];
    Ok((headers, signed).into_response())
}

struct Place<'a> {
    id: VideoId,
    run: &'a Sequencer,
    folder: &'a str,
}

impl Place<'_> {
    fn key(&self, file: &str) -> Option<Key> {
        let name = format!("{}{file}", self.folder).parse().ok()?;
        Some(Key::Rendition { id: self.id, run: self.run.clone(), name })
    }
}
