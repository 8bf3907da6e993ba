//! Objects of a video that was deleted.

use upreel_core::{Bucket, Fault};

use crate::job::Job;

impl Job<'_> {
    /// Deletes the objects of a video that was deleted while it was being processed. The reconciler deletes the rest.
    pub(crate) async fn clean_up(&self) -> Result<(), Fault> {
        let previews = self.app.objects.delete_made(self.id, Bucket::Thumbnails).await;
        let playback = self.app.objects.delete_made(self.id, Bucket::Processed).await;
        self.app.objects.delete(self.key).await?;
        previews.and(playback).map(drop)
    }
}
