//! Captions that are a track of the video's file, and which captions players get.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Kind, TrackId};
use crate::id::{Version, VideoId};
use crate::key::{FileName, Key};
use crate::language::LanguageTag;
use crate::video::Record;

/// The tracks of a file by their language.
pub type EmbeddedTracks = BTreeMap<LanguageTag, EmbeddedTrack>;

/// A track of the file in the row of its video.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EmbeddedTrack {
    /// The number of the stored file.
    pub number: usize,
    /// What it is for.
    pub kind: Kind,
    /// The name of the track in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// When the last cue ends, in milliseconds.
    pub end_ms: u64,
}

impl EmbeddedTrack {
    /// Returns the key of the stored file.
    #[must_use]
    pub fn key(&self, id: VideoId, version: Version) -> Key {
        Key::Playback { id, version, name: FileName::of_captions(self.number) }
    }
}

/// A track as players get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown<'a> {
    /// The stored file.
    pub key: Key,
    /// What it is for.
    pub kind: Kind,
    /// When the last cue ends, in milliseconds.
    pub end_ms: u64,
    label: Option<&'a str>,
}

impl Shown<'_> {
    /// Returns the name that players show: that of the track, or that of its language.
    #[must_use]
    pub fn label(&self, language: &LanguageTag) -> String {
        self.label.map_or_else(|| language.name(), str::to_owned)
    }
}

impl Record {
    /// Returns the identifier of the captions that the user has uploaded in a language.
    #[must_use]
    pub fn uploaded_track(&self, language: &LanguageTag) -> Option<TrackId> {
        self.captions.as_ref()?.get(language).map(|track| track.id)
    }

    /// Returns the captions that players get, by language: those that the user has uploaded, and in other languages those
    /// of the file.
    #[must_use]
    pub fn shown_captions(&self) -> BTreeMap<&LanguageTag, Shown<'_>> {
        let id = self.video.video_id;
        let embedded = self.embedded_captions().map(|(language, track, key)| {
            let (kind, label, end_ms) = (track.kind, track.label.as_deref(), track.end_ms);
            (language, Shown { key, kind, end_ms, label })
        });
        let uploaded = self.captions.iter().flatten().map(|(language, track)| {
            let (kind, label, end_ms) = (track.kind, track.label.as_deref(), track.end_ms);
            (language, Shown { key: Key::Captions(id, track.id), kind, end_ms, label })
        });
        embedded.chain(uploaded).collect()
    }

    /// Returns the tracks of the file with their language and the key of the stored file.
    pub fn embedded_captions(&self) -> impl Iterator<Item = (&LanguageTag, &EmbeddedTrack, Key)> {
        let version = self.version();
        let tracks = self.embedded.iter().flatten();
        tracks.filter_map(move |(language, track)| {
            Some((language, track, track.key(self.video.video_id, version.clone()?)))
        })
    }
}
