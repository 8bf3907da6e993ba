//! The invariants of transcoding.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::{error_code, text};
use crate::content;
use crate::s3::{Object, PROCESSED};
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
        match text(transcode, "status") {
            "" if self.settings.transcodes => self.violation(&format!("{id} is not transcoded")),
            "RUNNING" => self.violation(&format!("{id} is transcoded for ever: {transcode}")),
            "FAILED" if error_code(transcode) == "INTERNAL" => {
                self.violation(&format!("transcoding of {id} failed and is not repeated"));
            }
            "DONE" => self.check_renditions(id, text(transcode, "run"), number, objects, named),
            _ => {}
        }
    }

    /// Checks that the files of the playlists exist, and belong to the upload.
    fn check_renditions(
        &self,
        id: &str,
        run: &str,
        number: Option<u64>,
        objects: &BTreeMap<(String, String), Object>,
        named: &mut BTreeSet<(String, String)>,
    ) {
        let folder = format!("hls/{id}/{run}/");
        let mut playlists = vec!["master.m3u8".to_owned()];
        while let Some(playlist) = playlists.pop() {
            let key = (PROCESSED.to_owned(), format!("{folder}{playlist}"));
            let Some(object) = objects.get(&key) else {
                self.violation(&format!("{} is missing", key.1));
                continue;
            };
            named.insert(key);
            let text = String::from_utf8_lossy(&object.body).into_owned();
            let uris = text.split("URI=\"").skip(1).filter_map(|rest| rest.split('"').next());
            let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
            let parent =
                playlist.rsplit_once('/').map(|(parent, _)| format!("{parent}/")).unwrap_or_default();
            for file in uris.chain(lines) {
                if Path::new(file).extension().is_some_and(|extension| extension == "m3u8") {
                    playlists.push(format!("{parent}{file}"));
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
