//! Quotas: with them off, nothing here sends a request, unless a row was counted while they were on.

use upreel_core::quota::{Change, Limits, Refusal};
use upreel_core::video::Record;
use upreel_core::{Details, Failure, Fault, Key, Status, UserId, VideoId};
use upreel_store::videos::UpdateOutcome;

use crate::App;

impl App {
    /// Returns the limits of a user, or `None` if quotas are off.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn limits(&self, user: &UserId) -> Result<Option<Limits>, Fault> {
        let defaults = &self.config.quotas;
        if defaults.is_off() {
            return Ok(None);
        }
        self.videos.account(user).await.map(|account| Some(account.limits(defaults)))
    }

    /// Adds the row of an upload of `size` bytes, if that is known, and reserves `reserved` bytes for it.
    ///
    /// # Errors
    /// When `DynamoDB` fails. The inner error is the reason why the upload is refused.
    pub async fn create_video(
        &self,
        key: &Key,
        about: (UserId, String, String),
        (size, reserved): (Option<u64>, u64),
        details: &Details,
    ) -> Result<Result<(), Refusal>, Fault> {
        let Some(limits) = self.limits(&about.0).await? else {
            return self.videos.create(key, about, size, details).await.map(Ok);
        };
        if let Key::Video { container, .. } = key
            && let Err(refusal) = limits.check_type(*container)
        {
            return Ok(Err(refusal));
        }
        let created = self.videos.create_counted(key, about, (size, reserved), details, &limits).await?;
        Ok(created.map_err(Refusal::Exceeded))
    }

    /// Makes the row of an upload that is about to be completed count its size, which may exceed what was reserved.
    ///
    /// # Errors
    /// When `DynamoDB` fails. The inner error is the reason why the upload is refused.
    pub async fn reserve(&self, key: &Key, user: &UserId, size: u64) -> Result<Result<(), Refusal>, Fault> {
        let Some(limits) = self.limits(user).await? else { return Ok(Ok(())) };
        let reserved = match self.videos.get(key.video_id()).await? {
            Some(record) if record.video.user_id == *user => {
                self.videos.reserve(record, size, &limits).await?.map_err(Refusal::Exceeded)
            }
            Some(_) => Ok(()),
            // The row has expired before the upload is complete. Its event would recreate the row, too.
            None => {
                let about = (user.clone(), key.file_name(), media_type(key));
                self.create_video(key, about, (Some(size), size), &Details::default()).await?
            }
        };
        Ok(reserved)
    }

    /// Ends the reservation of an upload that was aborted, or is about to be.
    ///
    /// # Errors
    /// When `DynamoDB` fails. The reservation then ends with the row.
    pub async fn release(&self, key: &Key, user: &UserId) -> Result<(), Fault> {
        if self.config.quotas.is_off() {
            return Ok(());
        }
        match self.videos.get(key.video_id()).await? {
            Some(record) if record.video.user_id == *user => self.videos.release(&record).await,
            _ => Ok(()),
        }
    }

    /// Makes a row count as what it is: the upload has arrived, failed, was deleted, or did not come in time. Returns
    /// whether its object exceeds a limit.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn settle(&self, record: &Record) -> Result<bool, Fault> {
        let is_on = !self.config.quotas.is_off();
        let counted = record.to_count(self.videos.now(), is_on);
        let change = Change::between(record.counted.as_ref(), counted.as_ref());
        let limits = if is_on && change.is_increase() {
            self.limits(&record.video.user_id).await?
        } else {
            is_on.then(Limits::default)
        };
        self.videos.settle(record, limits.as_ref()).await
    }

    /// Records that the source of a video cannot be fetched.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn abandon(&self, id: VideoId, failure: &Failure) -> Result<UpdateOutcome, Fault> {
        let outcome = self.videos.abandon(id, failure).await?;
        if outcome == UpdateOutcome::Recorded
            && let Some(record) = self.videos.get(id).await?
        {
            self.settle(&record).await?;
        }
        Ok(outcome)
    }

    /// Frees what a video counted that has just become a tombstone. `previous` is the row before that.
    pub(crate) async fn free(&self, previous: &Record) -> Result<(), Fault> {
        let mut tombstone = previous.clone();
        tombstone.video.status = Status::Deleted;
        self.settle(&tombstone).await.map(drop)
    }
}

fn media_type(key: &Key) -> String {
    let Key::Video { container, .. } = key else { return String::new() };
    container.map_or(upreel_core::media_type::UNKNOWN, upreel_core::Container::media_type).to_owned()
}
