//! HLS playlists, in which the segments are signed: the bucket is private, and so is the video.
//!
//! The playlists name each other relatively, so a player asks this function for each of them, with the same
//! `Authorization`; the segments come from S3. Behind `CloudFront` all of it comes from there, see [`cdn`].

use std::time::SystemTime;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use upreel_core::transcode::TranscodeStatus;
use upreel_core::video::Record;
use upreel_core::{Key, Sequencer, UserId, VideoId};
use upreel_function::App;
use upreel_http::Base;
use upreel_http::{Caller, Problem};

use crate::{cdn, not_found, own};

/// What a player is given, once there is something to play.
pub(crate) fn url(app: &App, base: &Base, record: &Record) -> Option<String> {
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
    let mut signed = String::with_capacity(text.len() * 4);
    for line in text.lines() {
        let name = named(line).filter(|name| !is_playlist(name));
        match name.and_then(|name| Some((name, place.key(name)?))) {
            Some((name, key)) => {
                let url = app.objects.sign_rendition(&key).await?;
                signed.push_str(&line.replacen(name, &url, 1));
            }
            None => signed.push_str(line),
        }
        signed.push('\n');
    }
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

fn is_playlist(file: &str) -> bool {
    file.rsplit_once('.').is_some_and(|(_, extension)| extension == "m3u8")
}

/// The file that a line of our own playlists names: the line itself, or its `URI` attribute.
fn named(line: &str) -> Option<&str> {
    if line.starts_with('#') {
        line.split_once("URI=\"")?.1.split('"').next()
    } else {
        (!line.is_empty()).then_some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn what_a_line_names() {
        assert_eq!(named("0001-02.m4s"), Some("0001-02.m4s"));
        assert_eq!(named("#EXT-X-MAP:URI=\"init.mp4\""), Some("init.mp4"));
        assert_eq!(named("#EXT-X-MEDIA:TYPE=AUDIO,URI=\"audio/index.m3u8\",X=1"), Some("audio/index.m3u8"));
        assert_eq!([named("#EXTINF:4.0,"), named("")], [None, None]);
    }
}
