//! The invariants of playback from the original.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use upreel_core::Version;

use super::text;
use crate::content;
use crate::s3::{Object, PROCESSED};
use crate::world::World;

impl World {
    /// Checks that it is known how a processed video is played, and that what a player needs exists and belongs to the
    /// upload. Segments and images may be missing: they are made when they are requested.
    pub(super) fn check_playback(
        &self,
        id: &str,
        row: &Value,
        number: Option<u64>,
        objects: &BTreeMap<(String, String), Object>,
        named: &mut BTreeSet<(String, String)>,
    ) {
        let playback = &row["playback"]["M"];
        let is_hls = match text(playback, "mode") {
            "HLS" => true,
            "ORIGINAL" => false,
            _ => return self.violation(&format!("{id} does not say how it is played")),
        };
        let has_index = objects
            .get(&("uploads".to_owned(), text(row, "key").to_owned()))
            .is_some_and(|object| object.body.windows(4).any(|name| name == b"moov"));
        if is_hls != has_index {
            self.violation(&format!("{id} is played {playback}, and its index is there: {has_index}"));
        }
        let Ok(sequencer) = text(row, "sequencer").parse() else { return };
        let version = Version::new(sequencer, text(row, "etag"));
        let folder = format!("segments/{id}/{version}/");
        for ((_, key), object) in objects.iter().filter(|((_, key), _)| key.starts_with(&folder)) {
            let shown = if key.contains("/images/") {
                content::number(&object.body)
            } else {
                content::number_of_segment(&object.body)
            };
            if shown != number {
                self.violation(&format!("{key} shows content {shown:?}, but {id} is content {number:?}"));
            }
            named.insert((PROCESSED.to_owned(), key.clone()));
        }
        if !is_hls {
            return;
        }
        let track = &row["embedded"]["M"]["sv"]["M"];
        if let Some(place) = track["number"]["N"].as_str() {
            let key = (PROCESSED.to_owned(), format!("playback/{id}/{version}/captions/{place}.vtt"));
            let shown = objects.get(&key).and_then(|object| content::number(&object.body));
            if shown != number {
                self.violation(&format!("{} shows content {shown:?}, but {id} is content {number:?}", key.1));
            }
            named.insert(key);
        }
        for file in ["master.m3u8", "original.json", "records", "source/init.mp4", "source/index.m3u8"] {
            let key = (PROCESSED.to_owned(), format!("playback/{id}/{version}/{file}"));
            if !objects.contains_key(&key) {
                self.violation(&format!("{} is missing", key.1));
            }
            named.insert(key);
        }
    }
}
