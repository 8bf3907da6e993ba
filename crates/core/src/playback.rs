//! How a video can be played without transcoding.

use serde::{Deserialize, Serialize};

/// How a video can be played from its original.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Playback {
    /// How.
    pub mode: Mode,
    /// Why not by HLS: a stable code, such as `OPEN_GOP`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A way to play the original of a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Mode {
    /// As HLS. Its segments are made of the original when they are first requested.
    Hls,
    /// As the uploaded file.
    Original,
}

impl Playback {
    /// The original can be played as HLS.
    #[must_use]
    pub const fn hls() -> Self {
        Self { mode: Mode::Hls, reason: None }
    }

    /// The original cannot be played as HLS, for this reason.
    #[must_use]
    pub fn original(reason: &str) -> Self {
        Self { mode: Mode::Original, reason: Some(reason.to_owned()) }
    }

    /// Returns whether the original can be played as HLS.
    #[must_use]
    pub fn is_hls(&self) -> bool {
        self.mode == Mode::Hls
    }
}
