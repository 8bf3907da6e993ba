//! How a video can be played without transcoding.

use serde::{Deserialize, Serialize};

/// Returns the name of the master playlist with the original and these rungs, in the order of their names. Each set of
/// rungs has its own playlist, so that none ever changes.
pub fn master<'a>(rungs: impl Iterator<Item = &'a str>) -> String {
    rungs.fold("master".to_owned(), |name, rung| name + "-" + rung) + ".m3u8"
}

/// The file with the playlist of a rung that is being encoded. It names all segments, also those that are not stored
/// yet.
pub const PLANNED: &str = "planned.m3u8";
/// The file with the lines of such a rung in a master playlist.
pub const VARIANT: &str = "variant.txt";

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::FileName;

    #[test]
    fn each_set_of_rungs_has_its_playlist() {
        assert_eq!(master([].into_iter()), "master.m3u8");
        let all = master(["v1080", "v360", "v480", "v720"].into_iter());
        assert_eq!(all, "master-v1080-v360-v480-v720.m3u8");
        assert!(all.parse::<FileName>().is_ok());
    }
}
