//! The poster that a user chooses. It belongs to the upload: a claim of another one removes it from the row.
//!
//! A repetition of the write finds the row that names the poster already, or that of a later choice. It changes
//! nothing, because the write is conditional on the poster that it replaces, and no poster is named twice. So it never
//! names objects that the later choice has deleted.

use upreel_core::video::Record;
use upreel_core::{Fault, Key, Status};

use super::update::{Applied, Update};
use super::{VideoStore, number, text};

/// Outcome of [`VideoStore::choose_poster`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choosing {
    /// The row names the poster, and not the one of the record any more.
    Named,
    /// The row names the poster of another request, which was sent at the same time and counts as the later one.
    Overtaken,
    /// The row describes another upload, or the video was deleted.
    Superseded,
}

impl VideoStore {
    /// Replaces the poster that `record` names by the one with these keys, a placeholder and a time in milliseconds.
    /// Unless it is [`Choosing::Named`], the row does not name the poster, and never will.
    ///
    /// # Errors
    /// When `DynamoDB` fails. It is not known then which poster the row names.
    pub async fn choose_poster(
        &self,
        record: &Record,
        [small, large]: &[Key; 2],
        blur_hash: &str,
        ms: u64,
    ) -> Result<Choosing, Fault> {
        let Some(former) = &record.previews.thumbnail_key else { return Ok(Choosing::Superseded) };
        let update = Update::new(self, record.video.video_id)
            // The key contains the version, so it is the same upload.
            .condition("#status = :PROCESSED AND #thumbnailKey = :former")
            .value(":former", text(former))
            .set("thumbnailKey", text(small))
            .set("thumbnailLargeKey", text(large))
            .set("blurHash", text(blur_hash))
            .set("posterMs", number(ms));
        Ok(match update.send().await? {
            Applied::Yes(_) => Choosing::Named,
            // The response to the first attempt was lost.
            Applied::No(Some(row)) if row.previews.contains(small) => Choosing::Named,
            Applied::No(Some(row))
                if row.video.status == Status::Processed && row.version() == record.version() =>
            {
                Choosing::Overtaken
            }
            Applied::No(_) => Choosing::Superseded,
        })
    }
}
