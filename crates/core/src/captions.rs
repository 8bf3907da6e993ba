//! Captions of a video: one track for each language, stored as `WebVTT`.
//!
//! Those that the user has uploaded belong to the video, not to its content: another upload of the video keeps them. The
//! functions that process a video never write them. Those that are a track of the video's file ([`EmbeddedTrack`]) belong
//! to its content, and are shown in the languages in which the user has uploaded none.

mod cue_text;
mod embedded;
mod file;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::details::{self, MAX_LABEL};
use crate::id::{Invalid, parse_uuid};
use crate::language::LanguageTag;

pub use embedded::{EmbeddedTrack, EmbeddedTracks, Shown};
pub use file::{Cue, InvalidFile, Text};

/// The most tracks of a video.
pub const MAX_TRACKS: usize = 50;
/// The most bytes of a file.
pub const MAX_BYTES: usize = 1 << 20;

/// The tracks of a video by their language.
pub type Tracks = BTreeMap<LanguageTag, Track>;

/// What a track is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// What is said, for people who do not understand the language.
    #[default]
    Subtitles,
    /// What is said and heard, for people who cannot hear it.
    Captions,
}

/// A track in the row of its video.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Track {
    /// The name of the stored file. Each upload has its own.
    pub id: TrackId,
    /// The hash of the stored file, by which a repeated upload is recognised.
    pub digest: String,
    /// What it is for.
    pub kind: Kind,
    /// The name that the user has chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// When the last cue ends, in milliseconds.
    pub end_ms: u64,
}

impl Track {
    /// Returns whether this is the same track, apart from the name of its file.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        (&self.digest, self.kind, &self.label) == (&other.digest, other.kind, &other.label)
    }
}

/// Checks the name of a track, which is one line.
///
/// # Errors
/// When it is empty, too long, or has control characters.
pub fn label(text: &str) -> Result<String, details::Invalid> {
    details::line("The label", text, MAX_LABEL)
}

/// The identifier of a stored track: a `UUIDv7`, in lower case with hyphens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrackId(Uuid);

impl TrackId {
    /// Creates an identifier. None occurs twice, so a late deletion of a file never affects the one that replaced it.
    #[must_use]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl Default for TrackId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for TrackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for TrackId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        parse_uuid(text).map(Self).ok_or(Invalid("track"))
    }
}
