//! Captions: the storage has what the rows name, and a row has what its user has sent last.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::text;
use crate::clients::{Intent, captions};
use crate::dynamodb::Item;
use crate::s3::{Object, PROCESSED};
use crate::world::World;

/// Returns the key of a row's captions.
fn key(row: &Value) -> Option<String> {
    let track = row["captions"]["M"]["en"]["M"].as_object()?;
    Some(format!("captions/{}/{}.vtt", text(row, "videoId"), track["id"]["S"].as_str()?))
}

impl World {
    /// Checks that the captions of a row are stored.
    pub(super) fn check_captions(
        &self,
        row: &Value,
        objects: &BTreeMap<(String, String), Object>,
        named: &mut BTreeSet<(String, String)>,
    ) {
        let Some(key) = key(row) else { return };
        let object = (PROCESSED.to_owned(), key);
        if !objects.contains_key(&object) {
            self.violation(&format!("{} is missing, but its row names it", object.1));
        }
        named.insert(object);
    }

    /// Checks that no captions are lost, and that none come back. Those of the file are there unless they were removed.
    pub(super) fn check_sent_captions(&self, intent: &Intent, row: Option<&Item>) {
        let row = row.cloned().map(Value::Object).filter(|row| text(row, "status") != "DELETED");
        let Some(row) = row else { return };
        let is_played = text(&row, "status") == "PROCESSED" && row["playback"]["M"]["mode"]["S"] == "HLS";
        if is_played && row["embedded"]["M"]["sv"].is_null() && !intent.captions.is_text_removed {
            self.violation(&format!("{} has lost the captions of its file", intent.id));
        }
        let stored = key(&row).and_then(|key| self.network.services().s3.body(PROCESSED, &key));
        let shown = stored.and_then(|file| captions::number(&file));
        let sent = &intent.captions;
        let may_be_shown = match sent.known {
            Some(known) => sent.files[known..].contains(&shown),
            None => shown.is_none() || sent.files.contains(&shown),
        };
        if !may_be_shown {
            self.violation(&format!("{} has the captions {shown:?}, but {sent:?} were sent", intent.id));
        }
    }
}
