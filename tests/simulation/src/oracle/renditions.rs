//! The invariants of transcoding.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use upreel_core::check::CLEAN;
use upreel_core::{Version, playback};

use super::{error_code, text};
use crate::content;
use crate::s3::{Object, PROCESSED, UPLOADS};
use crate::world::World;

impl World {
    /// Checks the transcode of a processed video: it ends, and the renditions are those of the upload.
    pub(super) fn check_transcode(
        &self,
        id: &str,
        row: &Value,
        number: Option<u64>,
        objects: &BTreeMap<(String, String), Object>,
        named: &mut BTreeSet<(String, String)>,
    ) {
        let transcode = &row["transcode"]["M"];
        let is_hls = text(&row["playback"]["M"], "mode") == "HLS";
        match text(transcode, "status") {
            "" if self.settings.watched && is_hls => {
                self.check_rungs(id, row, number, objects, named);
            }
            "" if self.settings.transcodes => self.violation(&format!("{id} is not transcoded")),
            "RUNNING" => self.violation(&format!("{id} is transcoded for ever: {transcode}")),
            "FAILED" if error_code(transcode) == "INTERNAL" && !self.is_closed(row, objects) => {
                self.violation(&format!("transcoding of {id} failed and is not repeated"));
            }
            "DONE" => {
                let folder = format!("hls/{id}/{}/", text(transcode, "run"));
                self.check_renditions(&folder, "master.m3u8", (id, number), objects, named);
            }
            _ => {}
        }
    }

    /// Whether the scanner has closed the object of a row: the scan of the same bytes, uploaded again, has failed. The
    /// operators have to have it scanned again.
    fn is_closed(&self, row: &Value, objects: &BTreeMap<(String, String), Object>) -> bool {
        let object = objects.get(&(UPLOADS.to_owned(), text(row, "key").to_owned()));
        self.settings.checks.scan && object.is_some_and(|object| object.scan_tag != Some(CLEAN))
    }

    /// Checks the rungs beside the original: those that were wanted are complete, and the master playlist names them.
    fn check_rungs(
        &self,
        id: &str,
        row: &Value,
        number: Option<u64>,
        objects: &BTreeMap<(String, String), Object>,
        named: &mut BTreeSet<(String, String)>,
    ) {
        let (Ok(sequencer), Some(rungs)) = (text(row, "sequencer").parse(), row["rungs"]["M"].as_object())
        else {
            return self.violation(&format!("{id} has no rungs"));
        };
        let folder = format!("playback/{id}/{}/", Version::new(sequencer, text(row, "etag")));
        for (_, key) in objects.keys().filter(|(_, key)| key.starts_with(&folder)) {
            named.insert((PROCESSED.to_owned(), key.clone()));
        }
        let intents = self.oracle.borrow().intents.clone();
        let upload = self.upload(id).unwrap_or_default();
        let settled = intents.iter().filter(|intent| intent.id == id && !intent.is_delete_sent);
        let wanted = settled.filter_map(|intent| intent.watched.get(&upload)).max().copied().unwrap_or(0);
        let mut playable = Vec::new();
        for (i, (name, rung)) in rungs.iter().enumerate() {
            let rung = &rung["M"];
            match text(rung, "status") {
                "DONE" => playable.push(name.as_str()),
                "OFFERED" if i >= wanted => {}
                "FAILED" if self.is_closed(row, objects) => {}
                _ => self.violation(&format!("{name} of {id} is not encoded: {rung}")),
            }
        }
        let unfinished = row["rungChunks"]["SS"].as_array().cloned().unwrap_or_default();
        let is_done = |chunk: &Value| {
            playable.iter().any(|rung| chunk.as_str().is_some_and(|chunk| chunk.starts_with(rung)))
        };
        if unfinished.iter().any(is_done) {
            self.violation(&format!("{id} still lists the chunks of a complete rung: {unfinished:?}"));
        }
        let master = playback::master(playable.iter().copied());
        self.check_renditions(&folder, &master, (id, number), objects, named);
        let text = objects.get(&(PROCESSED.to_owned(), format!("{folder}{master}")));
        let text = text.map(|object| String::from_utf8_lossy(&object.body).into_owned()).unwrap_or_default();
        for name in rungs.keys() {
            let count = text.lines().filter(|line| *line == format!("{name}/index.m3u8")).count();
            if count != usize::from(playable.contains(&name.as_str())) {
                self.violation(&format!("{master} of {id} names {name} {count} times"));
            }
        }
    }

    /// Checks that the files of the playlists exist, and belong to the upload.
    fn check_renditions(
        &self,
        folder: &str,
        master: &str,
        (id, number): (&str, Option<u64>),
        objects: &BTreeMap<(String, String), Object>,
        named: &mut BTreeSet<(String, String)>,
    ) {
        let mut playlists = vec![master.to_owned()];
        while let Some(playlist) = playlists.pop() {
            let key = (PROCESSED.to_owned(), format!("{folder}{playlist}"));
            let Some(object) = objects.get(&key) else {
                self.violation(&format!("{} is missing", key.1));
                continue;
            };
            named.insert(key);
            let text = String::from_utf8_lossy(&object.body).into_owned();
            if text.contains("#EXT-X-GAP") {
                self.violation(&format!("{folder}{playlist} has gaps"));
            }
            let uris = text.split("URI=\"").skip(1).filter_map(|rest| rest.split('"').next());
            let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
            let parent =
                playlist.rsplit_once('/').map(|(parent, _)| format!("{parent}/")).unwrap_or_default();
            for file in uris.chain(lines) {
                if Path::new(file).extension().is_some_and(|extension| extension == "m3u8") {
                    playlists.push(format!("{parent}{file}"));
                    continue;
                }
                // The original, which `check_playback` examines.
                if parent.starts_with("source") {
                    continue;
                }
                let key = (PROCESSED.to_owned(), format!("{folder}{parent}{file}"));
                let shown = objects.get(&key).and_then(|object| content::number(&object.body));
                if shown != number {
                    self.violation(&format!(
                        "{} shows content {shown:?}, but {id} is content {number:?}",
                        key.1
                    ));
                }
                named.insert(key);
            }
        }
    }
}
