//! What is known about a video, and the status machine that it moves through.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::container::Container;
use crate::failure::Failure;
use crate::id::{Sequencer, UserId, VideoId};
use crate::key::Key;
use crate::transcode::{Transcode, TranscodeStatus};

/// A row whose upload never came is dropped. Longer than a signed URL lives and an upload takes.
const PENDING_TTL: Duration = Duration::from_hours(24);

/// Where a video stands. `docs/ARCHITECTURE.md` draws the moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// The record exists; the bytes are not there yet.
    Pending,
    /// The bytes are in S3; nothing has looked at them.
    Uploaded,
    /// The thumbnail function has claimed the object.
    Processing,
    /// Frames and facts are there.
    Processed,
    /// It cannot be processed; `error` says why.
    Failed,
    /// Gone for good: a tombstone against late events.
    Deleted,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Uploaded, Self::Processing, Self::Processed, Self::Failed, Self::Deleted];

    /// The text in the table and in answers.
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

    /// Whether work has come to an end: nothing changes until somebody uploads, replays or deletes.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Processed | Self::Failed | Self::Deleted)
    }

    /// The statuses from which this one may be reached.
    ///
    /// A newer upload of the same object starts over, so `Processing` follows every living status;
    /// the sequencer decides whether an event is newer.
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

/// What was read out of the bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MediaInfo {
    /// Playing time in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Pixels across, as shown: after rotation and with square pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Pixels down, as shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Clockwise degrees that a player turns the stored picture: 0, 90, 180 or 270.
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
    /// What the bytes are, whatever the name says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
}

/// What was made of the bytes. The keys are in the thumbnails bucket; what a row does not name is not
/// shown, also if an earlier upload left it there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviewKeys {
    /// The poster, 640 pixels wide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail_key: Option<String>,
    /// The poster, 1280 pixels wide; rows of an earlier release have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail_large_key: Option<String>,
    /// The storyboard's `WebVTT` file; its picture lies beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storyboard_key: Option<String>,
    /// The poster in a few characters, to be shown until it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blur_hash: Option<String>,
}

impl PreviewKeys {
    /// A poster in both sizes, and perhaps a storyboard; an empty hash is none.
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

/// What users see of a video. URLs are added by the function that answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Video {
    /// Its identifier.
    pub video_id: VideoId,
    /// Whose it is.
    pub user_id: UserId,
    /// The user's name for it, made safe.
    pub filename: String,
    /// The media type: declared at first, then what the bytes are.
    pub content_type: String,
    /// Bytes, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Where it stands.
    pub status: Status,
    /// When it was created, RFC 3339 with milliseconds. A tombstone has none, which takes it out of
    /// the `byUser` index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload_time: Option<String>,
    /// What was read out of the bytes.
    #[serde(flatten)]
    pub media_info: MediaInfo,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// A row of the `VideoMetadata` table: the video and what only the functions need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// What users see.
    #[serde(flatten)]
    pub video: Video,
    /// The object's key in the uploads bucket.
    pub key: String,
    /// The event that the row follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequencer: Option<Sequencer>,
    /// How often the current event was tried.
    #[serde(default)]
    pub attempts: u32,
    /// What was made of the video.
    #[serde(flatten)]
    pub previews: PreviewKeys,
    /// Where its renditions stand, if there are to be any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transcode: Option<Transcode>,
    /// The chunks that are encoded, while it is transcoded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transcode_chunks: Vec<usize>,
    /// When `DynamoDB` may drop the row, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u64>,
}

impl Record {
    /// A new row, without bytes yet; it expires unless they come.
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

    /// Whether users may see it: no tombstone, and not expired (`DynamoDB` drops expired rows within
    /// days, not at once).
    #[must_use]
    pub fn is_visible(&self) -> bool {
        self.video.status != Status::Deleted && self.ttl.is_none_or(|ttl| ttl > now())
    }
}

/// Where the renditions of a video stand, as users are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Whether they can be played.
    pub status: TranscodeStatus,
    chunks_done: usize,
    chunks_total: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

impl Progress {
    /// Of a video for which there are to be renditions.
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

/// Seconds since 1970, as `DynamoDB` counts for its time to live.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// When something that may live so long from now is to be dropped.
#[must_use]
pub fn expiry(life: Duration) -> u64 {
    now() + life.as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deleted_video_stays_deleted() {
        for status in Status::ALL {
            let from_deleted = status.sources().contains(&Status::Deleted);
            assert_eq!(from_deleted, status == Status::Deleted, "{status:?}");
        }
    }

    #[test]
    fn every_living_status_is_reached_and_can_be_deleted() {
        for status in Status::ALL {
            assert!(status == Status::Pending || !status.sources().is_empty());
            assert!(Status::Deleted.sources().contains(&status));
        }
    }

    #[test]
    fn the_text_in_the_table_is_the_text_in_answers() {
        for status in Status::ALL {
            assert_eq!(serde_json::json!(status), status.as_str());
        }
    }
}
