//! HLS playlists with presigned URLs of the segments, because the bucket is private.
//!
//! The playlists refer to each other by relative URLs, so a player requests each of them from this function, with the
//! same `Authorization` header. The segments come from S3. With `CloudFront`, playlists and segments come from there,
//! see [`cdn`].

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, header};
use quick_m3u8::{HlsLine, Writer};
use serde::Deserialize;
use upreel_core::playback::Playback;
use upreel_core::transcode::TranscodeStatus;
use upreel_core::video::Record;
use upreel_core::{Fault, Key, Sequencer, Version, VideoId};
use upreel_function::App;
use upreel_http::{BaseUrl, Caller, Code, Path, Problem, Query};
use upreel_store::videos::UpdateOutcome;

use crate::playlist::{is_playlist, media_file, parse, set_uri};
use crate::{Shared, captions, cdn, find_readable, gaps, not_found};

const MASTER: &str = "master.m3u8";
/// The playlist of a rendition.
const MEDIA: &str = "index.m3u8";
/// When to ask again for renditions that are being encoded, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");
/// The headers of a playlist.
const HEADERS: [(HeaderName, HeaderValue); 2] = [
    (header::CONTENT_TYPE, HeaderValue::from_static("application/vnd.apple.mpegurl")),
    (header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
];
/// The names of the renditions that are the original begin with it.
const SOURCE: &str = "source";

/// The files that a player gets: the renditions once they are complete, until then the original.
pub(crate) enum Played {
    Renditions(Sequencer),
    Original(Version),
}

impl Played {
    fn of(record: &Record) -> Option<Self> {
        let done = record.transcode.as_ref().filter(|transcode| transcode.status == TranscodeStatus::Done);
        done.map(|done| Self::Renditions(done.run.clone())).or_else(|| Self::original(record))
    }

    fn original(record: &Record) -> Option<Self> {
        let is_hls = record.video.playback.as_ref().is_some_and(Playback::is_hls);
        record.version().filter(|_| is_hls).map(Self::Original)
    }

    /// Returns the name of the master playlist.
    fn master(&self, record: &Record) -> String {
        match self {
            Self::Renditions(_) => MASTER.to_owned(),
            Self::Original(_) => record.master(),
        }
    }

    /// Returns the key of a file, such as `v720/index.m3u8`.
    pub(crate) fn key(&self, id: VideoId, file: &str) -> Option<Key> {
        let name = file.parse().ok()?;
        Some(match self {
            Self::Renditions(run) => Key::Rendition { id, run: run.clone(), name },
            Self::Original(version) => Key::Playback { id, version: version.clone(), name },
        })
    }
}

/// Returns the URL of the master playlist; `None` until the video can be played by HLS.
pub(crate) async fn url(app: &App, base: &BaseUrl, record: &Record) -> Result<Option<String>, Fault> {
    let Some(played) = Played::of(record) else { return Ok(None) };
    let id = record.video.video_id;
    Ok(match (&app.config.cdn_domain, &app.cdn_secret) {
        (Some(domain), Some(secret)) => {
            let secrets = secret.all().await?;
            let key = played.key(id, &played.master(record));
            let signed = secrets.first().zip(key);
            signed.and_then(|(secret, key)| cdn::url(domain, secret, &key, app.videos.now()))
        }
        _ => Some(format!("{base}/videos/{id}/hls/{MASTER}")),
    })
}

#[derive(Deserialize)]
pub(crate) struct Options {
    /// Whether the player knows `EXT-X-GAP`, so that it can play renditions that are being encoded.
    #[serde(default)]
    gaps: bool,
    /// The position of the player, in seconds.
    from: Option<f64>,
}

pub(crate) async fn master(
    State(shared): State<Shared>,
    Caller(user): Caller,
    base: BaseUrl,
    Path(id): Path<String>,
    Query(options): Query<Options>,
) -> Result<Response, Problem> {
    let record = find_readable(&shared.app, &user, &id).await?;
    let Some(played) = Played::of(&record) else { return want(&shared, &record, None, 0).await };
    let mut text = load(&shared.app, &record, &played, &played.master(&record)).await?;
    if options.gaps && matches!(played, Played::Original(_)) {
        text.push_str(&gaps::variants(&shared.app, &record, &played).await?);
    }
    captions::add_to_master(&record, &mut text);
    respond(&shared.app, &base, &record, &played, "", parse(&text)?).await
}

pub(crate) async fn media(
    State(shared): State<Shared>,
    Caller(user): Caller,
    base: BaseUrl,
    Path((id, rendition, file)): Path<(String, String, String)>,
    Query(options): Query<Options>,
) -> Result<Response, Problem> {
    let from = Duration::try_from_secs_f64(options.from.unwrap_or(0.0)).map_err(|_| {
        let detail = "`from` must be a position in the video, in seconds.";
        Problem::new(Code::InvalidRequest, detail)
    })?;
    let record = find_readable(&shared.app, &user, &id).await?;
    if file == MEDIA
        && let Some(text) = captions::playlist(&shared.app, &record, &rendition).await?
    {
        return Ok((HEADERS, text).into_response());
    }
    let folder = format!("{rendition}/");
    let rung = record.rungs.as_ref().and_then(|rungs| rungs.get(&rendition));
    if rung.is_some_and(|rung| rung.status != TranscodeStatus::Done) {
        if let Some(played) = Played::original(&record).filter(|_| options.gaps && file == MEDIA)
            && let Some(text) = gaps::planned(&shared.app, &record, &played, &rendition).await?
        {
            let lines = gaps::tagged(&record, &rendition, parse(&text)?);
            return respond(&shared.app, &base, &record, &played, &folder, lines).await;
        }
        let from = u64::try_from(from.as_millis()).unwrap_or(u64::MAX);
        return want(&shared, &record, Some(rendition), from).await;
    }
    // A player that began with the original goes on with it when the renditions are complete.
    let is_beside = rung.is_some() || rendition.starts_with(SOURCE);
    let played = if is_beside { Played::original(&record) } else { Played::of(&record) };
    let played = played.ok_or_else(not_found)?;
    let text = load(&shared.app, &record, &played, &format!("{folder}{file}")).await?;
    respond(&shared.app, &base, &record, &played, &folder, parse(&text)?).await
}

/// Starts the encoding of renditions that are encoded only when they are requested: of one rung, or of the whole ladder.
/// Responds that they are not ready yet.
///
/// One conditional write of all requests starts it. The others, and those that follow until the execution has planned
/// its work, start it too, in case that the first one died before it could: the name of the execution is the same, so
/// it runs once. If no request follows, the reconciler starts it. The position `from`, in milliseconds, is that of the
/// first one.
async fn want(
    shared: &Shared,
    record: &Record,
    rung: Option<String>,
    from: u64,
) -> Result<Response, Problem> {
    let Some(start) = &shared.start else { return Err(not_found()) };
    let wanted = record.transcodes().find(|(run, _)| run.rung == rung).ok_or_else(not_found)?;
    let (run, transcode) = wanted;
    let is_offered = transcode.status == TranscodeStatus::Offered;
    if is_offered && shared.app.videos.mark_transcode_wanted(&run, from).await? == UpdateOutcome::Deleted {
        return Err(not_found());
    }
    if is_offered || transcode.is_waiting() {
        start(run, transcode.restarts).await?;
    }
    if transcode.status == TranscodeStatus::Failed && !transcode.can_resume() {
        return Err(not_found());
    }
    let problem =
        Problem::new(Code::NotReady, "The renditions are being encoded. Ask again in some seconds.");
    Ok(([(header::RETRY_AFTER, RETRY_AFTER)], problem).into_response())
}

/// Loads a playlist.
async fn load(app: &App, record: &Record, played: &Played, file: &str) -> Result<String, Problem> {
    let key = played.key(record.video.video_id, file).filter(|_| is_playlist(file));
    let bytes = app.objects.load(&key.ok_or_else(not_found)?).await?.ok_or_else(not_found)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Responds with a playlist of a folder, with signed URLs of the media files.
async fn respond(
    app: &App,
    base: &BaseUrl,
    record: &Record,
    played: &Played,
    folder: &str,
    lines: Vec<HlsLine<'_>>,
) -> Result<Response, Problem> {
    let id = record.video.video_id;
    let playing_time = record.video.media_info.duration_ms.map(Duration::from_millis);
    let mut signed = Writer::new(Vec::with_capacity(lines.len() * 256));
    for mut line in lines {
        let media = media_file(&line).map(|name| (is_segment(name), format!("{folder}{name}")));
        if let Some((is_segment, name)) = media
            && let Some(key) = played.key(id, &name)
        {
            let url = match key {
                Key::Playback { id, version, name } if is_segment => {
                    let key = Key::Segment { id, version, name };
                    let signed = app.objects.sign_rendition(&key, playing_time).await?;
                    // Segments of the original are made when they are requested, see the crate `playback`.
                    let query = signed.split_once('?').map_or("", |(_, query)| query);
                    format!("{base}/{key}?{query}")
                }
                key => app.objects.sign_rendition(&key, playing_time).await?,
            };
            set_uri(&mut line, url);
        }
        signed.write_line(line).map_err(|error| Fault::new("write the playlist", &error))?;
    }
    Ok((HEADERS, signed.into_inner()).into_response())
}

fn is_segment(file: &str) -> bool {
    file.rsplit_once('.').is_some_and(|(_, extension)| extension == "m4s")
}
