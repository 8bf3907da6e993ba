//! `GET /presign`: a URL to PUT one video to, past the API and its limits.
//!
//! What a plain `fetch(uploadUrl, {method: "PUT", headers, body: file})` or `curl -T` sends is all that
//! the signature asks for: the content type, and the length when it was given.
//!
//! IAM: `s3:PutObject` on `videos/*` of the uploads bucket; `dynamodb:PutItem`.

use std::collections::BTreeMap;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use upreel_core::config::MAX_PUT;
use upreel_core::video::Record;
use upreel_core::{App, Caller, Code, Container, Key, Problem, VideoId, filename};

/// The routes of this function.
pub fn router(app: App) -> Router {
    Router::new().route("/presign", get(presign)).with_state(app)
}

#[derive(Deserialize)]
struct Wish {
    name: Option<String>,
    #[serde(rename = "type")]
    media_type: Option<String>,
    size: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Presigned {
    upload_url: String,
    video_id: VideoId,
    method: &'static str,
    /// Exactly what the client has to set. It sends the length by itself.
    headers: BTreeMap<&'static str, String>,
    key: String,
    expires_in: u64,
}

async fn presign(
    State(app): State<App>,
    Caller(user): Caller,
    wish: Result<Query<Wish>, QueryRejection>,
) -> Result<Json<Presigned>, Problem> {
    let Query(wish) = wish.map_err(|error| Problem::new(Code::InvalidRequest, error.body_text()))?;
    let name = wish.name.filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| invalid("Say the file's name: /presign?name=clip.mp4"))?;
    let declared = Declared::new(&name, wish.media_type.as_deref())?;
    let size = wish.size.map(|size| parse_size(&size, app.config.max_upload_bytes)).transpose()?;

    let id = VideoId::new();
    let key = Key::Video { user: user.clone(), id, container: declared.container };
    let signed = app.objects.sign_put(&key, &declared.media_type, size).await?;
    let mut record = Record::pending(&key, id, user, filename::sanitize(&name), declared.media_type.clone());
    record.video.size = size;
    app.videos.create(&record).await?;
    tracing::info!(videoId = %id, "presigned");
    Ok(Json(Presigned {
        upload_url: signed.url,
        video_id: id,
        method: "PUT",
        headers: BTreeMap::from([("Content-Type", declared.media_type)]),
        key: key.to_string(),
        expires_in: signed.expires_in.as_secs(),
    }))
}

/// What the client says that the file is. The bytes are looked at when they are there.
struct Declared {
    media_type: String,
    container: Option<Container>,
}

impl Declared {
    fn new(name: &str, media_type: Option<&str>) -> Result<Self, Problem> {
        let by_name = Container::from_file_name(name);
        let Some(text) = media_type.map(str::trim).filter(|text| !text.is_empty()) else {
            let media_type = by_name.map_or("application/octet-stream", Container::media_type);
            return Ok(Self { media_type: media_type.to_owned(), container: by_name });
        };
        let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let container = Container::from_media_type(&essence);
        let is_video =
            container.is_some() || essence.starts_with("video/") || (essence == "application/octet-stream");
        let is_text = text.len() <= 255 && text.bytes().all(|b| (0x20..0x7f).contains(&b));
        if !is_video || !is_text {
            return Err(Problem::new(
                Code::UnsupportedMedia,
                "This type is no video. Leave it out, or send the file's own, such as video/mp4.",
            ));
        }
        // As the client wrote it, because it will send it like that.
        Ok(Self { media_type: text.to_owned(), container: container.or(by_name) })
    }
}

fn parse_size(text: &str, max: u64) -> Result<u64, Problem> {
    match text.parse::<u64>() {
        Err(_) => Err(invalid("The size is a number of bytes.")),
        Ok(0) => Err(Problem::new(Code::EmptyFile, "The file is empty.")),
        Ok(size) if size > max => {
            Err(Problem::new(Code::TooLarge, format!("A video has at most {max} bytes here.")))
        }
        Ok(size) if size > MAX_PUT => Err(Problem::new(
            Code::TooLarge,
            format!("One PUT takes at most {MAX_PUT} bytes (5 GiB); a larger file needs a multipart upload."),
        )),
        Ok(size) => Ok(size),
    }
}

fn invalid(detail: &str) -> Problem {
    Problem::new(Code::InvalidRequest, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(name: &str, media_type: Option<&str>) -> Result<(String, Option<Container>), Code> {
        Declared::new(name, media_type).map(|d| (d.media_type, d.container)).map_err(|p| p.code())
    }

    #[test]
    fn the_type_comes_from_the_client_else_from_the_name() {
        let mp4 = Some(Container::Mp4);
        assert_eq!(declared("a.mp4", None), Ok(("video/mp4".into(), mp4)));
        assert_eq!(declared("a.mp4", Some("")), Ok(("video/mp4".into(), mp4)));
        assert_eq!(declared("a", None), Ok(("application/octet-stream".into(), None)));
        assert_eq!(declared("a.mp4", Some("video/webm")), Ok(("video/webm".into(), Some(Container::Webm))));
        assert_eq!(declared("a.mp4", Some("application/octet-stream")).unwrap().1, mp4);
        assert_eq!(declared("a", Some("Video/MP4; codecs=avc1")), Ok(("Video/MP4; codecs=avc1".into(), mp4)));
    }

    #[test]
    fn what_is_no_video_is_refused() {
        for bad in ["text/html", "image/svg+xml", "application/pdf", "video/mp4\r\nX: y", "vidéo/mp4"] {
            assert_eq!(declared("a.mp4", Some(bad)), Err(Code::UnsupportedMedia), "{bad}");
        }
    }

    #[test]
    fn sizes_have_limits() {
        let size = |text: &str, max| parse_size(text, max).map_err(|p| p.code());
        assert_eq!(size("1", 10), Ok(1));
        assert_eq!(size("0", 10), Err(Code::EmptyFile));
        assert_eq!(size("11", 10), Err(Code::TooLarge));
        assert_eq!(size("5368709121", u64::MAX), Err(Code::TooLarge));
        for bad in ["", "-1", "1.5", "1e3", "99999999999999999999"] {
            assert_eq!(size(bad, 10), Err(Code::InvalidRequest), "{bad}");
        }
    }
}
