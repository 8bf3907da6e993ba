//! `PUT` and `DELETE /videos/{videoId}/captions/{language}`, and the captions in HLS.
//!
//! A file is stored under a key that nobody has used before, and then named by the row, with a conditional write; then
//! the file that it replaces is deleted. If the function dies or a response is lost, a repetition finds:
//!
//! | after | a repetition finds |
//! |---|---|
//! | nothing, or the file is stored | the row as it was. It stores the file under another key. |
//! | the row is written | the same captions in the row, which is a success without a write. |
//! | the replaced file is deleted | the same. |
//!
//! No row names what is left then: the file of the first attempt, or the replaced one. Neither is named later, because
//! a write applies only to the row that it has read, so nothing is deleted that could be shown. The listing of the
//! reconciler deletes such files when they are a day old, and a deletion of the video deletes all of them.

use std::fmt::Write;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::Response;
use base64_simd::URL_SAFE_NO_PAD;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use upreel_core::captions::{self, InvalidFile, Kind, MAX_BYTES, MAX_TRACKS, Text, Track, TrackId};
use upreel_core::video::Record;
use upreel_core::{Fault, Key, LanguageTag, UserId};
use upreel_function::App;
use upreel_http::{BaseUrl, Caller, Code, Path, Problem, Query};
use upreel_store::videos::Changed;

use crate::{etag, find_own, is_own, not_found, show};

/// How often a change is tried when others change the video at the same time. Each time, one of them succeeds.
const ATTEMPTS: usize = 20;
const MEDIA_TYPE: &str = "text/vtt";
/// The group of the renditions in the master playlist, and the start of their names.
const GROUP: &str = "captions";

/// Captions as users see them.
#[derive(Serialize)]
pub(crate) struct Caption {
    language: LanguageTag,
    label: String,
    kind: Kind,
    /// The file. Lists leave it out: with 50 tracks for each video they could exceed the size of a response.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Options {
    label: Option<String>,
    #[serde(default)]
    kind: Kind,
}

/// Returns the captions of a video.
pub(crate) fn of(record: &Record) -> Vec<Caption> {
    let shown = record.shown_captions().into_iter().map(|(language, track)| Caption {
        language: language.clone(),
        label: track.label(language),
        kind: track.kind,
        url: None,
    });
    shown.collect()
}

/// Returns the captions of a video, with signed URLs if the video can be read.
pub(crate) async fn signed(app: &App, record: &Record) -> Result<Vec<Caption>, Fault> {
    let mut captions = of(record);
    if !record.is_readable(app.config.checks) {
        return Ok(captions);
    }
    for (caption, track) in captions.iter_mut().zip(record.shown_captions().values()) {
        caption.url = Some(app.objects.sign_get(&track.key).await?);
    }
    Ok(captions)
}

pub(crate) async fn put(
    State(app): State<App>,
    Caller(user): Caller,
    base: BaseUrl,
    Path((id, language)): Path<(String, String)>,
    Query(options): Query<Options>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let language = parse(&language)?;
    let label =
        options.label.as_deref().filter(|label| !label.is_empty()).map(captions::label).transpose()?;
    let Text { text, end_ms } = read(body)?;
    let digest = URL_SAFE_NO_PAD.encode_to_string(Sha256::digest(&text));
    let track = Track { id: TrackId::new(), digest, kind: options.kind, label, end_ms };
    let record = find_own(&app, &user, &id).await?;
    let change = Change { app: &app, user: &user, language: &language, new: Some((track, text.into())) };
    let record = change.make(record, &headers).await?;
    show(&app, &base, record, &HeaderMap::new()).await
}

pub(crate) async fn delete(
    State(app): State<App>,
    Caller(user): Caller,
    Path((id, language)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let language = parse(&language)?;
    let record = find_own(&app, &user, &id).await?;
    Change { app: &app, user: &user, language: &language, new: None }.make(record, &headers).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn parse(language: &str) -> Result<LanguageTag, Problem> {
    let detail = "The language must be a tag of RFC 5646 (BCP 47), such as en, pt-BR or zh-Hant.";
    language.parse().map_err(|_| Problem::new(Code::InvalidRequest, detail))
}

fn read(body: Result<Bytes, BytesRejection>) -> Result<Text, Problem> {
    let too_large =
        || Problem::new(Code::TooLarge, format!("A file of captions can have at most {MAX_BYTES} bytes."));
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        _ => Problem::new(Code::MalformedBody, "The body could not be read. Send it again."),
    })?;
    if body.len() > MAX_BYTES {
        return Err(too_large());
    }
    Text::read(&body).map_err(|error| {
        let code = if error == InvalidFile::Empty { Code::EmptyFile } else { Code::InvalidCaptions };
        Problem::new(code, error.to_string())
    })
}

/// A change of the captions in one language.
struct Change<'a> {
    app: &'a App,
    user: &'a UserId,
    language: &'a LanguageTag,
    /// The new track with its file, or `None` to remove the present one.
    new: Option<(Track, Bytes)>,
}

impl Change<'_> {
    /// Makes the change, and returns the row after it.
    async fn make(&self, mut record: Record, headers: &HeaderMap) -> Result<Record, Problem> {
        let mut is_stored = false;
        let changed = self.write(&mut record, headers, &mut is_stored).await;
        // After a fault, nobody knows whether the row names the new file.
        let is_unnamed = match &changed {
            Ok(()) => record.uploaded_track(self.language) != self.new_id(),
            Err(problem) => problem.code() != Code::Internal,
        };
        if let Some(new) = self.new_id().filter(|_| is_stored && is_unnamed) {
            self.discard(&[Key::Captions(record.video.video_id, new)]).await;
        }
        changed.map(|()| record)
    }

    async fn write(
        &self,
        record: &mut Record,
        headers: &HeaderMap,
        is_stored: &mut bool,
    ) -> Result<(), Problem> {
        let id = record.video.video_id;
        for _ in 0..ATTEMPTS {
            let old = record.captions.as_ref().and_then(|tracks| tracks.get(self.language));
            let is_done = match &self.new {
                Some((new, _)) => old.is_some_and(|old| old.says_the_same(new)),
                None => !record.shown_captions().contains_key(self.language),
            };
            if is_done {
                return Ok(());
            }
            if !etag::allows(headers, record.revision) {
                let detail =
                    "The video was changed meanwhile. Get it again, and send the change with its new ETag.";
                return Err(Problem::new(Code::PreconditionFailed, detail));
            }
            let mut tracks = record.captions.clone().unwrap_or_default();
            let mut embedded = record.embedded.clone().unwrap_or_default();
            let mut replaced: Vec<Key> =
                tracks.remove(self.language).map(|track| Key::Captions(id, track.id)).into_iter().collect();
            if let Some((track, file)) = &self.new {
                if tracks.len() >= MAX_TRACKS {
                    let detail = format!("A video can have captions in at most {MAX_TRACKS} languages.");
                    return Err(Problem::new(Code::InvalidRequest, detail));
                }
                if !*is_stored {
                    let key = Key::Captions(id, track.id);
                    self.app.objects.store(&key, MEDIA_TYPE, file.clone()).await?;
                    *is_stored = true;
                }
                tracks.insert(self.language.clone(), track.clone());
            } else {
                // What a user removes does not come back from under it.
                replaced.extend(
                    embedded.remove(self.language).and_then(|it| Some(it.key(id, record.version()?))),
                );
            }
            let is_changed = match self.app.videos.change_captions(record, &tracks, &embedded).await? {
                Changed::Yes(row) => {
                    *record = *row;
                    true
                }
                Changed::Conflict(row) => {
                    let row = row.filter(|row| is_own(self.app, self.user, row)).ok_or_else(not_found)?;
                    *record = *row;
                    // The response to the write was lost, and the SDK has repeated it.
                    match self.new_id() {
                        Some(new) => record.uploaded_track(self.language) == Some(new),
                        None => !record.shown_captions().contains_key(self.language),
                    }
                }
            };
            if is_changed {
                tracing::info!(videoId = %id, language = %self.language, "captions changed");
                self.discard(&replaced).await;
                return Ok(());
            }
        }
        Err(Problem::new(Code::Conflict, "Other requests change this video at the same time. Send it again."))
    }

    fn new_id(&self) -> Option<TrackId> {
        self.new.as_ref().map(|(track, _)| track.id)
    }

    /// Deletes files that the row does not name. If that fails, the reconciler does.
    async fn discard(&self, files: &[Key]) {
        for key in files {
            if let Err(fault) = self.app.objects.delete(key).await {
                tracing::warn!(%fault, "file of captions will be removed later");
            }
        }
    }
}

/// Adds the captions to a master playlist (RFC 8216bis, section 4.4.6.1).
pub(crate) fn add_to_master(record: &Record, master: &mut String) {
    let mut group = String::new();
    let mut names: Vec<String> = Vec::new();
    for (language, track) in record.shown_captions() {
        // The names in a group are unique, and have no quotes.
        let mut name = track.label(language).replace('"', "'");
        if names.contains(&name) {
            name = format!("{name} ({language})");
        }
        let characteristics = match track.kind {
            Kind::Subtitles => "",
            Kind::Captions => {
                "CHARACTERISTICS=\"public.accessibility.transcribes-spoken-dialog,\
                 public.accessibility.describes-music-and-sound\","
            }
        };
        // Writing to a `String` can't fail, here and below.
        let _ = writeln!(
            group,
            "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"{GROUP}\",NAME=\"{name}\",LANGUAGE=\"{language}\",DEFAULT=NO,\
             AUTOSELECT=YES,FORCED=NO,{characteristics}URI=\"{GROUP}-{language}/index.m3u8\""
        );
        names.push(name);
    }
    if group.is_empty() {
        return;
    }
    let lines = master.lines().map(|line| {
        let is_variant = line.starts_with("#EXT-X-STREAM-INF:");
        line.to_owned() + if is_variant { ",SUBTITLES=\"captions\"\n" } else { "\n" }
    });
    *master = lines.collect::<String>() + "\n" + &group;
}

/// Returns the media playlist of captions, if a rendition is one: a single segment for the whole video.
pub(crate) async fn playlist(app: &App, record: &Record, rendition: &str) -> Result<Option<String>, Fault> {
    let language = rendition.strip_prefix(GROUP).and_then(|name| name.strip_prefix('-'));
    let language: Option<LanguageTag> = language.and_then(|tag| tag.parse().ok());
    let track = language.and_then(|language| record.shown_captions().remove(&language));
    let Some(track) = track else { return Ok(None) };
    let playing_time = record.video.media_info.duration_ms.map(Duration::from_millis);
    let url = app.objects.sign_rendition(&track.key, playing_time).await?;
    // The duration of the video is not known before it is processed.
    let duration = playing_time.unwrap_or_default().max(Duration::from_millis(track.end_ms.max(1)));
    let target = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    Ok(Some(format!(
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n\
         #EXTINF:{:.3},\n{url}\n#EXT-X-ENDLIST\n",
        duration.as_secs_f64()
    )))
}
