//! The record of a video, and its status with the allowed transitions.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::container::Container;
use crate::failure::Failure;
use crate::id::{Sequencer, UserId, VideoId};
use crate::key::Key;
use crate::transcode::{Transcode, TranscodeStatus};

/// The lifetime of a row without an upload. It exceeds the lifetime of a presigned URL plus the time of an upload.
const PENDING_TTL: Duration = Duration::from_hours(24);

/// The status of a video. `docs/ARCHITECTURE.md` has a diagram of the transitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

    /// Returns the statuses from which a transition to this one is allowed.
    ///
    /// A newer upload of the same object starts over, so `Processing` can follow every status but `Deleted`. The
    /// sequencer decides whether an event is newer.
    #[must_use]
    pub const fn sources(self) -> &'static [Self] {
        use Status::{Deleted, Failed, Pending, Processed, Processing, Uploaded};
        match self {
            Pending => &[],
            Uploaded => &[Pending],
            Processing => &[Pending, Uploaded, Processing, Processed, Failed],
            Processed | Failed => &[Processing],
            Deleted => &[Pending, Uploaded, Processing, Processed, Failed, Deleted],
        }
    }
}

/// The properties of a video, as read from its bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MediaInfo {
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
    /// Frames per second, on average.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame_rate: Option<f64>,
    /// `FFmpeg`'s name of the video codec: `h264`, `hevc`, `av1`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_codec: Option<String>,
    /// `FFmpeg`'s name of the transfer characteristics: `bt709`, `smpte2084` (PQ), `arib-std-b67` (HLG), ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color_transfer: Option<String>,
    /// `FFmpeg`'s name of the audio codec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_codec: Option<String>,
    /// The format detected in the bytes; the file name is ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
}

/// The previews of a video, as keys in the thumbnails bucket.
///
/// A preview without a key in the row is not shown, even if an earlier upload left the object in the bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviewKeys {
    /// The poster, 640 pixels wide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail_key: Option<String>,
    /// The poster, 1280 pixels wide. Rows of an earlier release do not have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail_large_key: Option<String>,
    /// The storyboard's `WebVTT` file. The image has the same name with the extension `.jpg`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storyboard_key: Option<String>,
    /// A placeholder for the poster while it loads: the poster in a few characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blur_hash: Option<String>,
}

impl PreviewKeys {
    /// Returns the keys of a poster in both sizes and, if `storyboard` is set, of a storyboard. An empty hash becomes
    /// `None`.
    #[must_use]
    pub fn new(id: VideoId, storyboard: bool, blur_hash: String) -> Self {
        Self {
            thumbnail_key: Some(Key::Thumbnail(id).to_string()),
            thumbnail_large_key: Some(Key::ThumbnailLarge(id).to_string()),
            storyboard_key: storyboard.then(|| Key::StoryboardTrack(id).to_string()),
            blur_hash: Some(blur_hash).filter(|hash| !hash.is_empty()),
        }
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
    /// The properties read from the bytes.
    #[serde(flatten)]
    pub media_info: MediaInfo,
    /// The reason of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// A row of the `VideoMetadata` table: the video, and fields that only the functions need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The part that users see.
    #[serde(flatten)]
    pub video: Video,
    /// The object's key in the uploads bucket.
    pub key: String,
    /// The event that last claimed the row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequencer: Option<Sequencer>,
    /// How many times the row was claimed since its last outcome.
    #[serde(default)]
    pub attempts: u32,
    /// The keys of the previews.
    #[serde(flatten)]
    pub previews: PreviewKeys,
    /// The state of the renditions, if transcoding is enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transcode: Option<Transcode>,
    /// The chunks that are encoded so far, while transcoding runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transcode_chunks: Vec<usize>,
    /// When `DynamoDB` may delete the row, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u64>,
}

impl Record {
    /// Creates the row of an upload that has not arrived yet. The row expires after 24 hours without one.
    #[must_use]
    pub fn pending(key: &Key, id: VideoId, user: UserId, filename: String, content_type: String) -> Self {
        Self {
            video: Video {
                video_id: id,
                user_id: user,
                filename,
                content_type,
                size: None,
                status: Status::Pending,
                upload_time: Some(humantime::format_rfc3339_millis(SystemTime::now()).to_string()),
                media_info: MediaInfo::default(),
                error: None,
            },
            key: key.to_string(),
            sequencer: None,
            attempts: 0,
            previews: PreviewKeys::default(),
            transcode: None,
            transcode_chunks: Vec::new(),
            ttl: Some(expiry(PENDING_TTL)),
        }
    }

    /// Returns whether users may see the row: it is not a tombstone and has not expired. `DynamoDB` deletes expired
    /// rows only within days.
    #[must_use]
    pub fn is_visible(&self) -> bool {
        self.video.status != Status::Deleted && self.ttl.is_none_or(|ttl| ttl > now())
    }
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

/// Returns the current time in seconds since 1970, as `DynamoDB` expects it for its time to live.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Returns the time `ttl` from now, in seconds since 1970.
#[must_use]
pub fn expiry(ttl: Duration) -> u64 {
    now() + ttl.as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deleted_is_terminal() {
        for status in Status::ALL {
            let from_deleted = status.sources().contains(&Status::Deleted);
            assert_eq!(from_deleted, status == Status::Deleted, "{status:?}");
        }
    }

    #[test]
    fn every_status_is_reachable_and_deletable() {
        for status in Status::ALL {
            assert!(status == Status::Pending || !status.sources().is_empty());
            assert!(Status::Deleted.sources().contains(&status));
        }
    }

    #[test]
    fn status_text_is_its_json() {
        for status in Status::ALL {
            assert_eq!(serde_json::json!(status), status.as_str());
        }
    }
}
