//! Deletions: a row becomes a tombstone, so that late events do not bring the video back.
//!
//! A repetition finds a tombstone. [`VideoStore::delete`] writes it again with new times, and returns it;
//! [`VideoStore::expire`] leaves it as it is, because it has no time of deletion any more.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnValue;
use upreel_core::transition::Transition;
use upreel_core::video::{Record, seconds};
use upreel_core::{Fault, UserId, VideoId};

use super::content::EMBEDDED;
use super::details::{CAPTIONS, DETAILS};
use super::update::{Applied, Update};
use super::{VideoStore, number, text};

/// The lifetime of a tombstone: longer than every event that may still arrive (retries, dead-letter queue).
const DELETED_TTL: Duration = Duration::from_hours(30 * 24);

impl VideoStore {
    /// Makes the row a tombstone without what users said about the video, and returns the previous row, or `None` if there
    /// is no row or it belongs to another user.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn delete(&self, id: VideoId, user: &UserId) -> Result<Option<Record>, Fault> {
        self.bury(id, |update| update.condition("#userId = :user").value(":user", text(user))).await
    }

    /// The same for a video whose time has come, whoever owns it. Returns `None` if the time has not come or was changed.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn expire(&self, id: VideoId) -> Result<Option<Record>, Fault> {
        let now = text(humantime::format_rfc3339_millis(self.now()));
        self.bury(id, |update| update.condition("#expiresAt <= :now").value(":now", now)).await
    }

    async fn bury(
        &self,
        id: VideoId,
        only_if: impl FnOnce(Update<'_>) -> Update<'_>,
    ) -> Result<Option<Record>, Fault> {
        let update = only_if(self.transition(id, Transition::Delete, None))
            .set("filename", text(""))
            .set("ttl", number(seconds(self.now() + DELETED_TTL)))
            .remove(&["uploadTime", "cleanPasses", "error", CAPTIONS, EMBEDDED])
            .remove(&DETAILS)
            .due(Transition::Delete.wait())
            .returns(ReturnValue::AllOld);
        Ok(match update.send().await? {
            Applied::Yes(record) => record.map(|record| *record),
            Applied::No(_) => None,
        })
    }
}
