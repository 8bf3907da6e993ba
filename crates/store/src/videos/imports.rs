//! Rows of videos that are copied from another bucket.
//!
//! A repetition of [`VideoStore::import`] finds the row of the first one, which stays unchanged.

use std::time::SystemTime;

use upreel_core::video::Status;
use upreel_core::{Fault, Key, UserId};

use super::{Item, VideoStore};

impl VideoStore {
    /// Adds the row of a video that was stored elsewhere at `time`, unless there is one. Returns whether its object is still
    /// to be copied.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn import(
        &self,
        key: &Key,
        about: (UserId, String, String),
        size: u64,
        time: SystemTime,
    ) -> Result<bool, Fault> {
        let mut record = self.new_record(key, about, Some(size));
        record.video.upload_time = Some(humantime::format_rfc3339_millis(time).to_string());
        let item: Item = serde_dynamo::to_item(record).map_err(|e| Fault::new("encode a record", &e))?;
        if self.put_new(item).await? {
            return Ok(true);
        }
        let found = self.get(key.video_id()).await?;
        Ok(found.is_none_or(|record| record.video.status == Status::Pending))
    }
}
