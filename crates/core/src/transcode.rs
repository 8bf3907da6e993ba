//! The state of a video's HLS renditions, which is separate from its status.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::id::{Sequencer, VideoId};

/// A run: one upload of a video, or one rung of it, as transcoding identifies it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// The video.
    pub video_id: VideoId,
    /// The key of the upload, as text.
    pub key: String,
    /// The sequencer of the upload.
    pub sequencer: Sequencer,
    /// The rung to encode beside the original; `None` for the whole ladder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rung: Option<String>,
}

/// The name of the run, which is that of its first execution. Step Functions accepts 80 characters, so the sequencer of a rung
/// is without the zeros that fill it up; they mean nothing.
impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, sequencer) = (self.video_id, self.sequencer.as_str());
        match &self.rung {
            Some(rung) => write!(f, "{id}-{}-{rung}", sequencer.trim_end_matches('0')),
            None => write!(f, "{id}-{sequencer}"),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(crate) const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The state of a video's HLS renditions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transcode {
    /// The sequencer of the upload that is transcoded.
    pub run: Sequencer,
    /// Whether the renditions can be played.
    pub status: TranscodeStatus,
    /// The number of chunks; 0 until it is known.
    pub chunks: usize,
    /// How often the reconciler has started transcoding again.
    #[serde(default)]
    pub restarts: u32,
    /// The position in the film, in milliseconds, from which on a rung is encoded first: that of the player that asked
    /// for it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub from: u64,
    /// The reason of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

impl Transcode {
    /// Returns whether the transcode is running, or failed only because of a fault: then a retry may complete it.
    #[must_use]
    pub fn can_resume(&self) -> bool {
        let is_fault = self.error.as_ref().is_some_and(|error| error.code == Failure::INTERNAL);
        self.status == TranscodeStatus::Running || is_fault
    }

    /// Creates the state of a run whose transcoding has not started yet.
    #[must_use]
    pub const fn waiting(run: Sequencer) -> Self {
        Self { run, status: TranscodeStatus::Running, chunks: 0, restarts: 0, from: 0, error: None }
    }

    /// Creates the state of a run that starts when its renditions are first requested.
    #[must_use]
    pub fn offered(run: Sequencer) -> Self {
        Self { status: TranscodeStatus::Offered, ..Self::waiting(run) }
    }

    /// Returns whether transcoding has not started yet.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.status == TranscodeStatus::Running && self.chunks == 0
    }
}

/// Returns how [`Record::rung_chunks`](crate::video::Record::rung_chunks) names a chunk. Its segments are
/// `{chunk}-00.mp4`, `{chunk}-01.mp4` and so on.
#[must_use]
pub fn chunk_of_rung(rung: &str, chunk: &str) -> String {
    format!("{rung}/{chunk}")
}

/// What is or may be transcoded of a video.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Renditions {
    /// The state of the whole ladder.
    pub transcode: Option<Transcode>,
    /// The rungs beside the original.
    pub rungs: Option<BTreeMap<String, Transcode>>,
}

/// The status of a [`Transcode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TranscodeStatus {
    /// It starts when the renditions are first requested.
    Offered,
    /// It waits for its start, or chunks are being encoded.
    Running,
    /// The renditions can be played.
    Done,
    /// The video cannot be transcoded.
    Failed,
}

impl TranscodeStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Offered, Self::Running, Self::Done, Self::Failed];

    /// Returns the text in the table and in responses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Offered => "OFFERED",
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
    fn names_of_runs_are_short_enough() {
        let sequencer: Sequencer = "0055AED6DCD90281E5".parse().unwrap_or_else(|e| panic!("{e}"));
        let run = |rung: Option<&str>| {
            let (video_id, rung) = (VideoId::new(), rung.map(str::to_owned));
            Run { video_id, key: String::new(), sequencer: sequencer.clone(), rung }.to_string()
        };
        assert!(run(Some("v1080")).ends_with("-0055AED6DCD90281E5-v1080"));
        // With the number of a restart.
        assert!([None, Some("v1080")].into_iter().all(|rung| run(rung).len() + "-4".len() <= 80));
    }

    #[test]
    fn status_text_is_its_json() {
        for status in TranscodeStatus::ALL {
            assert_eq!(serde_json::json!(status), status.as_str());
        }
    }
}
