//! Where the HLS renditions of a video stand, beside its status.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::id::{Sequencer, VideoId};

/// Which upload of a video is transcoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Which video.
    pub video_id: VideoId,
    /// The text of its key.
    pub key: String,
    /// Which upload of it.
    pub sequencer: Sequencer,
}

/// Where the HLS renditions of a video stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transcode {
    /// Which upload is transcoded.
    pub run: Sequencer,
    /// Where it stands.
    pub status: TranscodeStatus,
    /// In how many chunks; 0 until that is known.
    pub chunks: usize,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

impl Transcode {
    /// It is under way, or was given up for a fault of ours: then it may go on when the cause is gone.
    #[must_use]
    pub fn can_resume(&self) -> bool {
        let ours = self.error.as_ref().is_some_and(|error| error.code == Failure::INTERNAL);
        self.status == TranscodeStatus::Running || ours
    }

    /// It is to be transcoded, and waits for that.
    #[must_use]
    pub fn waiting(run: Sequencer) -> Self {
        Self { run, status: TranscodeStatus::Running, chunks: 0, error: None }
    }

    /// Whether nobody has begun yet.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.status == TranscodeStatus::Running && self.chunks == 0
    }
}

/// See [`Transcode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TranscodeStatus {
    /// It waits for it, or chunks are being encoded.
    Running,
    /// It can be played.
    Done,
    /// It cannot be transcoded.
    Failed,
}

impl TranscodeStatus {
    /// The text in the table and in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Done => "DONE",
            Self::Failed => "FAILED",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_status_is_the_same_everywhere() {
        for status in [TranscodeStatus::Running, TranscodeStatus::Done, TranscodeStatus::Failed] {
            assert_eq!(serde_json::json!(status), status.as_str());
        }
    }
}
