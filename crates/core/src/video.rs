//! The record of a video, as a row of the table and as users see it.
//!
//! Rows outlive the release that wrote them, and after a rollback an older release reads rows of a newer one. So readers
//! ignore attributes that they do not know, and treat an unknown container or transcode as missing.

mod plausible;
mod record;

use std::time::{SystemTime, UNIX_EPOCH};

use serde::de::{Deserializer, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::container::Container;
use crate::details::Details;
use crate::failure::Failure;
use crate::id::{UserId, Version, VideoId};
use crate::key::Key;
use crate::playback::Playback;
use crate::transcode::TranscodeStatus;

pub use record::{Record, Replays};

/// The status of a video. `docs/ARCHITECTURE.md` has a diagram of the transitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// The record exists; the upload has not arrived yet.
    Pending,
    /// The object is in S3, and has not been examined yet.
    Uploaded,
    /// The thumbnail function has claimed the event of the object.
    Processing,
    /// The previews and the media info are available.
    Processed,
    /// The video cannot be processed; `error` has the reason.
    Failed,
    /// A tombstone: the video was deleted, and late events must not bring it back.
    Deleted,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Uploaded, Self::Processing, Self::Processed, Self::Failed, Self::Deleted];

    /// Returns the text in the table and in responses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Uploaded => "UPLOADED",
            Self::Processing => "PROCESSING",
            Self::Processed => "PROCESSED",
            Self::Failed => "FAILED",
            Self::Deleted => "DELETED",
        }
    }

    /// Returns whether processing has ended. The status then changes only by a new upload, a replay or a deletion.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Processed | Self::Failed | Self::Deleted)
    }
}

/// What a file has that is no video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Kind {
    /// Audio alone: there is no film, though there may be cover art.
    Audio,
}

/// The properties of a video, as read from its bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MediaInfo {
    /// Missing for a video.
    #[serde(default, deserialize_with = "known", skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Playing time in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Width in pixels, as shown: after rotation and with square pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Height in pixels, as shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Clockwise rotation in degrees that a player applies to the stored frames: 0, 90, 180 or 270.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation: Option<u16>,
    /// Whether a player mirrors the stored frames, left to right, before it rotates them. Missing unless it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirrored: Option<bool>,
    /// Frames per second, on average.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame_rate: Option<f64>,
    /// `FFmpeg`'s name of the video codec: `h264`, `hevc`, `av1`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_codec: Option<String>,
    /// `FFmpeg`'s name of the transfer characteristics: `bt709`, `smpte2084` (PQ), `arib-std-b67` (HLG), ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color_transfer: Option<String>,
    /// The Dolby Vision profile, if the video has Dolby Vision metadata. The metadata is not applied: a video of
    /// profile 8 is shown as its base layer (PQ, HLG or SDR), and one of profile 5 in wrong colours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dolby_vision_profile: Option<u8>,
    /// `FFmpeg`'s name of the audio codec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_codec: Option<String>,
    /// The number of audio channels. Only of a file with audio alone, as the sample rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_channels: Option<u32>,
    /// Audio samples per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_sample_rate: Option<u32>,
    /// The format detected in the bytes; the file name is ignored.
    #[serde(default, deserialize_with = "known", skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
}

impl MediaInfo {
    /// Returns whether the file has audio alone.
    #[must_use]
    pub fn is_audio(&self) -> bool {
        self.kind == Some(Kind::Audio)
    }

    /// Returns the media type of the file, if its format is known.
    #[must_use]
    pub fn media_type(&self) -> Option<&'static str> {
        let container = self.container?;
        Some(if self.is_audio() { container.audio_media_type() } else { container.media_type() })
    }
}

/// The previews of a video, as keys in the thumbnails bucket.
///
/// The keys contain the version of the object that the previews were made of. A preview without a key in the row is not
/// shown, and the reconciler removes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviewKeys {
    /// The poster, 640 pixels wide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail_key: Option<String>,
    /// The poster, 1280 pixels wide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail_large_key: Option<String>,
    /// The storyboard's `WebVTT` file. The image has the same name with the extension `.jpg`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storyboard_key: Option<String>,
    /// The peaks of the waveform, of a file with audio alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peaks_key: Option<String>,
    /// A placeholder for the poster while it loads: the poster in a few characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blur_hash: Option<String>,
    /// The time of the poster that the user has chosen, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poster_ms: Option<u64>,
}

impl PreviewKeys {
    /// Returns the keys of a poster in both sizes and, if `storyboard` is set, of a storyboard. An empty hash becomes
    /// `None`.
    #[must_use]
    pub fn new(id: VideoId, version: &Version, storyboard: bool, blur_hash: String) -> Self {
        let [poster, large, _, track] = Key::previews(id, version).map(|key| key.to_string());
        Self {
            thumbnail_key: Some(poster),
            thumbnail_large_key: Some(large),
            storyboard_key: storyboard.then_some(track),
            peaks_key: None,
            blur_hash: Some(blur_hash).filter(|hash| !hash.is_empty()),
            poster_ms: None,
        }
    }

    /// Adds the key of the peaks.
    #[must_use]
    pub fn with_peaks(self, key: Option<&Key>) -> Self {
        Self { peaks_key: key.map(Key::to_string), ..self }
    }

    /// Returns the keys of the poster in both sizes.
    pub fn poster(&self) -> impl Iterator<Item = &String> {
        [&self.thumbnail_key, &self.thumbnail_large_key].into_iter().flatten()
    }

    /// Returns the key of the storyboard's image, which the `WebVTT` file refers to.
    #[must_use]
    pub fn storyboard_image(&self) -> Option<Key> {
        match self.storyboard_key.as_deref()?.parse() {
            Ok(Key::StoryboardTrack(id, version)) => Some(Key::StoryboardImage(id, version)),
            _ => None,
        }
    }

    /// Returns whether the row refers to the object with this key.
    #[must_use]
    pub fn contains(&self, key: &Key) -> bool {
        let text = Some(key.to_string());
        [&self.thumbnail_key, &self.thumbnail_large_key, &self.storyboard_key, &self.peaks_key]
            .contains(&&text)
            || self.storyboard_image().as_ref() == Some(key)
    }
}

/// The part of a record that users see. The function that responds adds the URLs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Video {
    /// The video's identifier.
    pub video_id: VideoId,
    /// The owner.
    pub user_id: UserId,
    /// The user's name of the file, sanitised.
    pub filename: String,
    /// The media type: as declared, and after processing as detected in the bytes.
    pub content_type: String,
    /// The size in bytes, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The status.
    pub status: Status,
    /// The creation time, RFC 3339 with milliseconds. Tombstones do not have it, which removes them from the `byUser`
    /// index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload_time: Option<String>,
    /// What users say about the video.
    #[serde(flatten)]
    pub details: Details,
    /// The properties read from the bytes.
    #[serde(flatten)]
    pub media_info: MediaInfo,
    /// How the original can be played, once the video is processed.
    #[serde(default, deserialize_with = "known", skip_serializing_if = "Option::is_none")]
    pub playback: Option<Playback>,
    /// The reason of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// The state of a video's renditions, as users see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Whether the renditions can be played.
    pub status: TranscodeStatus,
    chunks_done: usize,
    chunks_total: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

impl Progress {
    /// Returns the progress of a video's renditions, or `None` if the video is not transcoded.
    #[must_use]
    pub fn from_record(record: &Record) -> Option<Self> {
        let transcode = record.transcode.clone()?;
        let done = transcode.status == TranscodeStatus::Done;
        Some(Self {
            status: transcode.status,
            chunks_done: if done { transcode.chunks } else { record.transcode_chunks.len() },
            chunks_total: transcode.chunks,
            error: transcode.error,
        })
    }
}

/// Returns the seconds since 1970, as `DynamoDB` expects them for its time to live.
#[must_use]
pub fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Returns the milliseconds since 1970.
#[must_use]
pub fn millis(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// Reads a value that a newer release may have written: one that is not known becomes `None`.
pub(crate) fn known<'de, D: Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<Option<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Known<T> {
        Yes(T),
        No(IgnoredAny),
    }
    match Option::<Known<T>>::deserialize(value)? {
        Some(Known::Yes(value)) => Ok(Some(value)),
        Some(Known::No(_)) | None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use serde_json::json;

    use super::record::PENDING_TTL;
    use super::*;
    use crate::check::Checks;
    use crate::id::Sequencer;
    use crate::transcode::Transcode;

    fn record() -> Record {
        let id = VideoId::new();
        let user: UserId = "u".parse().unwrap_or_else(|e| panic!("{e}"));
        let key = Key::Video { user: user.clone(), id, container: None };
        let about = (user, "a.mp4".to_owned(), "video/mp4".to_owned());
        Record::pending(&key, about, SystemTime::now(), SystemTime::now())
    }

    #[test]
    fn status_text_is_its_json() {
        for status in Status::ALL {
            assert_eq!(serde_json::json!(status), status.as_str());
        }
    }

    #[test]
    fn rows_of_a_newer_release_can_be_read() {
        let mut row = json!(record());
        row["mood"] = json!("good");
        row["container"] = json!("hologram");
        row["transcode"] = json!({"status": "DREAMING"});
        row["replays"] = json!("many");
        let read: Record = serde_json::from_value(row).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((read.video.media_info.container, read.transcode, read.replays), (None, None, None));
    }

    #[test]
    fn rows_round_trip() {
        let mut row = record();
        let sequencer: Sequencer = "0055".parse().unwrap_or_else(|e| panic!("{e}"));
        row.sequencers = BTreeSet::from([sequencer.clone(), Sequencer::lowest()]);
        row.replays = Some(Replays { sequencer: sequencer.clone(), count: 2 });
        row.transcode = Some(Transcode::waiting(sequencer.clone()));
        row.video.media_info.container = Some(Container::Mp4);
        let read: Record = serde_json::from_value(json!(row)).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(read, row);
        assert_eq!(read.replays(), 0, "the replays of another event do not count");
        let read = Record { sequencer: Some(sequencer), ..read };
        assert_eq!((read.replays(), read.superseded()), (2, vec![&Sequencer::lowest()]));
    }

    #[test]
    fn previews_belong_to_one_version() {
        let (id, sequencer) = (VideoId::new(), Sequencer::lowest());
        let [first, second] = ["a", "b"].map(|etag| Version::new(sequencer.clone(), etag));
        let keys = PreviewKeys::new(id, &first, true, String::new());
        assert!(Key::previews(id, &first).iter().all(|key| keys.contains(key)));
        assert!(!Key::previews(id, &second).iter().any(|key| keys.contains(key)));
        let poster_only = PreviewKeys::new(id, &first, false, String::new());
        assert_eq!(
            Key::previews(id, &first).map(|key| poster_only.contains(&key)),
            [true, true, false, false]
        );
    }

    #[test]
    fn only_what_has_passed_the_checks_can_be_read() {
        let (on, off) = (Checks { scan: true, moderation: false }, Checks::default());
        let row = |status, code: Option<&str>| {
            let error = code.map(|code| Failure::new(code, ""));
            Record { video: Video { status, error, ..record().video }, ..record() }
        };
        for (status, code, checked, unchecked) in [
            (Status::Pending, None, false, true),
            (Status::Uploaded, None, false, true),
            (Status::Processing, None, true, true),
            (Status::Processed, None, true, true),
            (Status::Deleted, None, false, false),
            (Status::Failed, Some(Failure::NO_VIDEO), true, true),
            (Status::Failed, Some(Failure::INTERNAL), false, true),
            (Status::Failed, Some(Failure::LOST), false, true),
            (Status::Failed, Some(Failure::INFECTED), false, false),
            (Status::Failed, Some(Failure::REJECTED), false, false),
            (Status::Failed, Some(Failure::NOT_CHECKED), false, false),
        ] {
            let row = row(status, code);
            assert_eq!(
                (row.is_readable(on), row.is_readable(off)),
                (checked, unchecked),
                "{status:?} {code:?}"
            );
        }
    }

    #[test]
    fn expired_rows_and_tombstones_are_hidden() {
        let (row, now) = (record(), SystemTime::now());
        assert!(row.is_visible(now) && !row.is_visible(now + PENDING_TTL + Duration::from_secs(1)));
        let uploaded = Record { ttl: None, ..row.clone() };
        assert!(uploaded.is_visible(now + PENDING_TTL * 2));
        let deleted = Video { status: Status::Deleted, ..row.video };
        assert!(!Record { video: deleted, ..uploaded }.is_visible(now));
    }
}
