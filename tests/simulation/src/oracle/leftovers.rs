//! What must be gone before the weekly listing of the buckets, which deletes what nothing else has deleted.

use crate::clients::Intent;
use crate::s3::THUMBNAILS;
use crate::world::World;

impl World {
    /// After DELETE, nothing remains of a video, even before the listing. Only an upload that follows the deletion, with a
    /// lost event, has to wait for that.
    pub(crate) fn check_deletions(&self) {
        let intents = self.oracle.borrow().intents.clone();
        for Intent { id, .. } in intents.iter().filter(|intent| !intent.is_late) {
            let services = self.network.services();
            let is_deleted = services.table.rows.get(id).is_some_and(|row| row["status"]["S"] == "DELETED");
            let keys = services.s3.objects.keys().filter(|(_, key)| is_deleted && key.contains(id.as_str()));
            let keys: Vec<String> = keys.map(|(_, key)| key.clone()).collect();
            drop(services);
            for key in keys {
                self.violation(&format!("{key} remains after the deletion"));
            }
        }
    }

    /// Without a fault, every preview is named by a row: workers delete what they have made for nothing.
    pub(crate) fn check_unnamed(&self) {
        let services = self.network.services();
        if services.faults > 0 {
            return;
        }
        let rows: Vec<String> =
            services.table.rows.values().filter_map(|row| serde_json::to_string(row).ok()).collect();
        let previews = services.s3.objects.keys().filter(|(bucket, _)| bucket == THUMBNAILS);
        let previews: Vec<String> = previews.map(|(_, key)| key.clone()).collect();
        drop(services);
        for key in previews {
            let track = key.replace(".jpg", ".vtt");
            if !rows.iter().any(|row| row.contains(&key) || row.contains(&track)) {
                self.violation(&format!("no row names {key}, although nothing has failed"));
            }
        }
    }
}
