//! `GET /usage`, `GET /videos`, `GET`, `PATCH` and `DELETE /videos/{videoId}`, its captions, and its HLS playlists. A caller
//! can access only their own videos.
//!
//! IAM: `dynamodb:GetItem` and `UpdateItem` on the table, `Query` on its index; `s3:GetObject` and `s3:DeleteObject` on
//! `videos/*`, `thumbnails/*`, `storyboards/*`, `hls/*`, `playback/*`, `segments/*` and `captions/*` (whose URLs are
//! signed here), `s3:PutObject` on `captions/*`, `s3:DeleteObject` on `work/*`; `s3:ListBucket` on the thumbnails and
//! the processed bucket, to find the objects to delete. With a CDN, `secretsmanager:GetSecretValue` on its secret and
//! `cloudfront:CreateInvalidation`. If videos are transcoded when they are watched, `states:StartExecution`.

mod captions;
mod cdn;
mod change;
mod cursor;
mod delete;
mod etag;
mod gaps;
mod hls;
mod playlist;
mod usage;

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::response::Response;
use axum::routing::{get, put};
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};
use upreel_core::details::MAX_TITLE;
use upreel_core::fetch::Copied;
use upreel_core::transcode::{Run, Transcode, TranscodeStatus};
use upreel_core::video::{PreviewKeys, Progress, Record};
use upreel_core::{Fault, MediaType, Status, UserId, Video, VideoId, filename};
use upreel_function::App;
use upreel_http::{BaseUrl, Caller, Code, Path, Problem, Query};
use upreel_store::videos::Search;

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 100;
/// When to poll again for a video that is being processed, in seconds. A poster takes one or two.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// Starts an execution of a run, unless it was started before. The number counts the earlier executions of the run.
pub type Start = Arc<dyn Fn(Run, u32) -> BoxFuture<'static, Result<(), Fault>> + Send + Sync>;

/// The state of the router.
#[derive(Clone)]
struct Shared {
    app: App,
    start: Option<Start>,
}

impl FromRef<Shared> for App {
    fn from_ref(shared: &Shared) -> Self {
        shared.app.clone()
    }
}

/// Returns the routes of this function. `start` transcodes what is transcoded only when it is watched.
pub fn router(app: App, start: Option<Start>) -> Router {
    Router::new()
        .route("/usage", get(usage::usage))
        .route("/videos", get(list))
        .route("/videos/{videoId}", get(detail).patch(change::change).delete(delete::delete))
        .route("/videos/{videoId}/captions/{language}", put(captions::put).delete(captions::delete))
        .route("/videos/{videoId}/hls/master.m3u8", get(hls::master))
        .route("/videos/{videoId}/hls/{rendition}/{playlist}", get(hls::media))
        .with_state(Shared { app, start })
}

/// A video with the presigned URLs of its previews, as an item of a list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VideoSummary {
    #[serde(flatten)]
    video: Video,
    #[serde(skip_serializing_if = "Option::is_none")]
    thumbnail_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thumbnail_large_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storyboard_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storyboard_image_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peaks_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blur_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hls_url: Option<String>,
    /// `PENDING` while the upload waits for the verdict of a check.
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<&'static str>,
    /// The progress of the copy, if the service copies the video from a URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    fetch: Option<Copied>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transcode: Option<Progress>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    renditions: Vec<Rung>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    captions: Vec<captions::Caption>,
}

/// A rendition that is encoded when it is watched.
#[derive(Serialize)]
struct Rung {
    name: String,
    status: TranscodeStatus,
}

impl VideoSummary {
    async fn new(app: &App, base: &BaseUrl, record: Record) -> Result<Self, Fault> {
        // What is offered starts only if it can be started.
        let is_shown = |status| app.config.transcodes_when_watched || status != TranscodeStatus::Offered;
        let transcode = Progress::from_record(&record).filter(|transcode| is_shown(transcode.status));
        let (is_readable, is_held) = (record.is_readable(app.config.checks), record.is_held());
        let hls_url = if is_readable { hls::url(app, base, &record).await? } else { None };
        let captions = captions::of(&record);
        let is_pending = record.video.status == Status::Pending;
        let fetch = record.fetch.as_ref().filter(|_| is_pending).map(Copied::from);
        let Record { video, previews, rungs, .. } = record;
        let previews = if is_readable { previews } else { PreviewKeys::default() };
        let rung = |(name, transcode): (String, Transcode)| Rung { name, status: transcode.status };
        let sign = async |key: Option<String>| match key.as_deref().map(str::parse) {
            Some(Ok(key)) => app.objects.sign_get(&key).await.map(Some),
            _ => Ok(None),
        };
        let image = previews.storyboard_image().map(|key| key.to_string());
        Ok(Self {
            thumbnail_url: sign(previews.thumbnail_key).await?,
            thumbnail_large_url: sign(previews.thumbnail_large_key).await?,
            storyboard_url: sign(previews.storyboard_key).await?,
            storyboard_image_url: sign(image).await?,
            peaks_url: sign(previews.peaks_key).await?,
            blur_hash: previews.blur_hash,
            hls_url,
            check: is_held.then_some("PENDING"),
            fetch,
            transcode,
            renditions: rungs.into_iter().flatten().map(rung).filter(|rung| is_shown(rung.status)).collect(),
            captions,
            video,
        })
    }
}

/// A video with all presigned URLs. Lists leave out the URLs of the original, because nobody plays a whole list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VideoDetail {
    #[serde(flatten)]
    summary: VideoSummary,
    /// The original, to play it in the browser.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// The original, to save it with its file name.
    #[serde(skip_serializing_if = "Option::is_none")]
    download_url: Option<String>,
}

impl VideoDetail {
    async fn new(app: &App, base: &BaseUrl, record: Record) -> Result<Self, Fault> {
        let video = &record.video;
        let is_readable = video.status != Status::Pending && record.is_readable(app.config.checks);
        let key = record.key.parse().ok().filter(|_| is_readable);
        let sign = async |kind| match &key {
            Some(key) => {
                let media_type = MediaType::servable(&video.content_type);
                let disposition = filename::disposition(kind, &video.filename);
                app.objects.sign_get_as(key, &media_type, &disposition).await.map(Some)
            }
            None => Ok(None),
        };
        // A browser shows only what was found to be a video. A player ignores the disposition.
        let shown = if video.status == Status::Processed { "inline" } else { "attachment" };
        let (url, download_url) = (sign(shown).await?, sign("attachment").await?);
        let captions = captions::signed(app, &record).await?;
        let summary = VideoSummary { captions, ..VideoSummary::new(app, base, record).await? };
        Ok(Self { summary, url, download_url })
    }
}

#[derive(Deserialize)]
struct ListQuery {
    limit: Option<String>,
    cursor: Option<String>,
    title: Option<String>,
    tag: Option<String>,
}

#[derive(Serialize)]
struct VideoList {
    videos: Vec<VideoSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

async fn list(
    State(app): State<App>,
    Caller(user): Caller,
    base: BaseUrl,
    Query(query): Query<ListQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let invalid = |detail: String| Problem::new(Code::InvalidRequest, detail);
    let limit = match query.limit.as_deref().map(str::parse) {
        None => DEFAULT_LIMIT,
        Some(Ok(limit @ 1..=MAX_LIMIT)) => limit,
        Some(_) => return Err(invalid(format!("The limit must be from 1 to {MAX_LIMIT}."))),
    };
    let from = match query.cursor.as_deref().map(cursor::decode) {
        Some(None) => {
            return Err(invalid(
                "The cursor is not valid. Send one that this route has returned.".to_owned(),
            ));
        }
        Some(cursor) => cursor,
        None => None,
    };
    for text in [&query.title, &query.tag].into_iter().flatten() {
        if text.chars().nth(MAX_TITLE).is_some() {
            return Err(invalid(format!("A search may have {MAX_TITLE} characters.")));
        }
    }
    let search = Search::new(query.title.as_deref(), query.tag.as_deref());
    let page = if search.is_empty() {
        app.videos.list(&user, limit, from.as_ref()).await?
    } else {
        app.videos.search(&user, &search, limit, from.as_ref()).await?
    };
    let mut videos = Vec::with_capacity(page.records.len());
    for record in page.records {
        videos.push(VideoSummary::new(&app, &base, record).await?);
    }
    let list = VideoList { videos, cursor: page.next.as_ref().map(cursor::encode) };
    etag::respond(&list, None, &headers, HeaderMap::new())
}

async fn detail(
    State(app): State<App>,
    Caller(user): Caller,
    base: BaseUrl,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let record = find_own(&app, &user, &id).await?;
    show(&app, &base, record, &headers).await
}

/// Returns a response with a video.
async fn show(app: &App, base: &BaseUrl, record: Record, request: &HeaderMap) -> Result<Response, Problem> {
    let revision = record.revision;
    let detail = VideoDetail::new(app, base, record).await?;
    let VideoSummary { video, transcode, renditions, .. } = &detail.summary;
    let states = transcode.iter().map(|it| it.status).chain(renditions.iter().map(|it| it.status));
    let is_transcoding = states.into_iter().any(|status| status == TranscodeStatus::Running);
    let mut response_headers = HeaderMap::new();
    if is_transcoding || !video.status.is_final() {
        response_headers.insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    etag::respond(&detail, Some(revision), request, response_headers)
}

/// Returns a video of the caller. The response for another user's video is the same as for a missing one.
async fn find_own(app: &App, user: &UserId, id: &str) -> Result<Record, Problem> {
    let record = app.videos.get(parse(id)?).await?;
    record.filter(|record| is_own(app, user, record)).ok_or_else(not_found)
}

/// Returns a video of the caller whose content can be read.
async fn find_readable(app: &App, user: &UserId, id: &str) -> Result<Record, Problem> {
    let record = find_own(app, user, id).await?;
    let held = record.is_held().then(|| Problem::new(Code::NotReady, "The video is being checked."));
    let readable = Some(record).filter(|record| record.is_readable(app.config.checks));
    readable.ok_or_else(|| held.unwrap_or_else(not_found))
}

fn is_own(app: &App, user: &UserId, record: &Record) -> bool {
    record.is_visible(app.videos.now()) && record.video.user_id == *user
}

fn parse(id: &str) -> Result<VideoId, Problem> {
    id.parse().map_err(|_| not_found())
}

fn not_found() -> Problem {
    Problem::new(Code::NotFound, "There is no such video.")
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn a_304_means_that_the_urls_are_the_same() {
        let send = |url: &str, tag: Option<HeaderValue>| {
            let request = HeaderMap::from_iter(tag.map(|tag| (header::IF_NONE_MATCH, tag)));
            etag::respond(&serde_json::json!({ "url": url }), None, &request, HeaderMap::new()).unwrap()
        };
        let first = send("?X-Amz-Date=1", None);
        let tag = first.headers()[header::ETAG].clone();
        assert_eq!(send("?X-Amz-Date=1", Some(tag.clone())).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(send("?X-Amz-Date=2", Some(tag)).status(), StatusCode::OK);
    }
}
