//! What users said about their videos: no change is lost, and no video is deleted before its time.

use serde_json::Value;

use super::text;
use crate::clients::Intent;
use crate::dynamodb::Item;
use crate::world::World;

impl World {
    /// A video that nobody deletes is deleted at its time, and not before.
    pub(super) fn check_expired(&self, id: &str, old: &Value, new: &Value) {
        let is_buried = text(new, "status") == "DELETED" && text(old, "status") != "DELETED";
        if !is_buried || self.oracle.borrow().deletions.contains(id) {
            return;
        }
        let now = self.network.clock.millis();
        // A function whose clock is wrong learns the time from its first response.
        let tolerance = self.settings.skew.unsigned_abs() * 1000;
        let expiry = old.as_object().and_then(crate::events::expiry);
        if expiry.is_none_or(|expiry| expiry > now + tolerance) {
            self.violation(&format!("{id} is deleted at {now}, but its time is {expiry:?}"));
        }
    }

    /// Checks what a client has said about its video.
    pub(super) fn check_details(&self, intent: &Intent, row: Option<&Item>) {
        let (id, said) = (&intent.id, &intent.details);
        let row = row.cloned().map(Value::Object).filter(|row| text(row, "status") != "DELETED");
        let Some(row) = row else { return };
        if said.must_expire {
            self.violation(&format!("{id} is not deleted at its time"));
        }
        let title = text(&row, "title");
        let at = said.titles.iter().position(|sent| sent == title);
        if at < said.known || (at.is_none() && !title.is_empty()) {
            self.violation(&format!("the title of {id} is {title:?}, but {said:?} were sent"));
        }
    }
}
