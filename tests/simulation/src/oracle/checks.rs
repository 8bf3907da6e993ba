//! Nothing of an upload is read before it has passed the checks.

use serde_json::Value;

use super::{summary, text};
use crate::functions::Response;
use crate::world::World;

impl World {
    /// A row that is processed, or names what was made, describes an object that has passed the checks by then. A webhook
    /// `ready` is sent for such a row only.
    pub(super) fn check_cleared(&self, id: &str, row: &Value) {
        let names = ["thumbnailKey", "storyboardKey", "peaksKey", "playback", "transcode", "rungs"];
        let is_shown = ["PROCESSING", "PROCESSED"].contains(&text(row, "status"))
            || names.iter().any(|name| !row[name].is_null());
        let is_deleted = text(row, "status") == "DELETED";
        let etag = text(row, "etag");
        if self.settings.checks.any()
            && is_shown
            && !is_deleted
            && !self.network.services().s3.is_cleared(etag)
        {
            self.violation(&format!("{id} is {} before the checks are passed", summary(row)));
        }
    }

    /// A response has URLs only of what has passed the checks.
    pub(crate) fn check_urls(&self, response: &Response) {
        let videos = response.body["videos"].as_array().into_iter().flatten().chain([&response.body]);
        for video in videos.filter(|video| self.settings.checks.any() && video["videoId"].is_string()) {
            let code = video["error"]["code"].as_str().unwrap_or_default();
            let is_unknown = ["INTERNAL", "LOST", "INFECTED", "REJECTED", "NOT_CHECKED"].contains(&code);
            let status = video["status"].as_str().unwrap_or_default();
            let is_closed = ["PENDING", "UPLOADED"].contains(&status) || status == "FAILED" && is_unknown;
            let fields = video.as_object().into_iter().flatten();
            let mut urls = fields.filter(|(name, _)| *name == "url" || name.ends_with("Url"));
            let has_captions = video["captions"]
                .as_array()
                .is_some_and(|tracks| tracks.iter().any(|it| it["url"].is_string()));
            if is_closed && (urls.next().is_some() || has_captions) {
                self.violation(&format!("{} has URLs, but is {status} {code}", video["videoId"]));
            }
        }
    }

    /// Functions read no bytes of an upload before.
    pub(super) fn check_reads(&self) {
        let early = self.network.services().s3.read_unchecked.clone();
        for etag in early {
            self.violation(&format!("object {etag} is read before the checks are passed"));
        }
    }
}
