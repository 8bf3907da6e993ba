//! What is counted for each user. The account is the row `usage#` and the user.
//!
//! Each write is one transaction of a video's row and the account: the attribute `counted` of the row changes, on condition
//! that it is the one that was read, and the account by the difference. So the account is always the sum over the rows, and
//! a limit is a condition on the account. A repetition finds:
//!
//! - [`VideoStore::create_counted`]: the row exists. Nothing changes, and the result is the same.
//! - [`VideoStore::reserve`] and [`VideoStore::settle`]: the row has another `counted`, so the transaction is cancelled and
//!   returns the row, which counts as intended by then.

use std::time::Duration;

use aws_sdk_dynamodb::config::AsyncSleep;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    CancellationReason, Put, ReturnValuesOnConditionCheckFailure as OnFailure, TransactWriteItem,
    Update as UpdatePart,
};
use upreel_core::quota::{Account, Change, Counted, Exceeded, Limits, Usage};
use upreel_core::video::{Record, seconds};
use upreel_core::{Details, Fault, Key, Status, UserId};

use super::update::{Update, encode};
use super::{AttributeValue, RESERVATION_TTL, VideoStore, decode, number, text};

/// How often a transaction is sent while others change the same account.
const ATTEMPTS: u32 = 8;
/// The delay before the first repetition. The average doubles with each one, up to the 16-fold.
const BACK_OFF: Duration = Duration::from_millis(25);
/// How often a row is read again that others change at the same time.
const CHANGES: usize = 5;

/// Outcome of a transaction.
enum Written {
    Yes,
    /// The account has no room.
    Exceeded(Exceeded),
    /// The condition on the row does not hold. Includes the row, if there is one.
    Changed(Option<Box<Record>>),
}

impl VideoStore {
    /// Returns the account of a user.
    ///
    /// # Errors
    /// When `DynamoDB` fails, or the row cannot be read.
    pub async fn account(&self, user: &UserId) -> Result<Account, Fault> {
        let get = self.client.get_item().table_name(&self.table).key("videoId", account_key(user));
        let output = get.consistent_read(true).send().await;
        let output = output.map_err(|error| Fault::new("dynamodb:GetItem", &error))?;
        let account = output.item.map(serde_dynamo::from_item).transpose();
        account.map(Option::unwrap_or_default).map_err(|error| Fault::new("decode an account", &error))
    }

    /// Like [`VideoStore::create`], with a reservation of `reserved` bytes, one video and one upload.
    ///
    /// # Errors
    /// When `DynamoDB` fails. The inner error is a limit that would be exceeded; nothing was written.
    pub async fn create_counted(
        &self,
        key: &Key,
        about: (UserId, String, String),
        (size, reserved): (Option<u64>, u64),
        details: &Details,
        limits: &Limits,
    ) -> Result<Result<(), Exceeded>, Fault> {
        let record = self.new_record(key, about, size).reserving(reserved);
        let change = Change::between(None, record.counted.as_ref());
        let user = record.video.user_id.clone();
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(super::new_row(record, details)?))
            .condition_expression("attribute_not_exists(videoId)")
            .build()
            .map_err(|error| Fault::new("build a put", &error))?;
        let put = TransactWriteItem::builder().put(put).build();
        match self.transact(put, &user, change, Some(limits)).await? {
            Written::Exceeded(exceeded) => Ok(Err(exceeded)),
            Written::Yes | Written::Changed(_) => Ok(Ok(())),
        }
    }

    /// Makes a live row count at least `bytes`, which the object is going to have. A row that has expired counts again.
    ///
    /// # Errors
    /// When `DynamoDB` fails. The inner error is a limit that would be exceeded; nothing was written.
    pub async fn reserve(
        &self,
        mut record: Record,
        bytes: u64,
        limits: &Limits,
    ) -> Result<Result<(), Exceeded>, Fault> {
        for _ in 0..CHANGES {
            let is_pending = record.video.status == Status::Pending;
            let until = seconds(self.now() + RESERVATION_TTL);
            let counted = match record.to_count(self.now(), true) {
                _ if record.video.status == Status::Deleted => return Ok(Ok(())),
                Some(counted) if counted.bytes >= bytes => counted,
                Some(counted) => Counted { bytes, ..counted },
                None => Counted { bytes, until: is_pending.then_some(until), over: false },
            };
            if record.counted.as_ref() == Some(&counted) {
                return Ok(Ok(()));
            }
            match self.recount(&record, Some(&counted), Some(limits)).await? {
                Written::Yes | Written::Changed(None) => return Ok(Ok(())),
                Written::Exceeded(exceeded) => return Ok(Err(exceeded)),
                Written::Changed(Some(now)) => record = *now,
            }
        }
        Err(Fault::message("reserve bytes", "the row keeps changing"))
    }

    /// Ends the reservation of an upload that was aborted. The row expires as it would have.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn release(&self, record: &Record) -> Result<(), Fault> {
        if record.video.status != Status::Pending || record.counted.is_none() {
            return Ok(());
        }
        self.recount(record, None, None).await.map(drop)
    }

    /// Makes a row count as [`Record::to_count`] says, and returns whether it is over a limit. `limits` are those of the
    /// user; without them, quotas are off, and only rows that count already are changed.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn settle(&self, record: &Record, limits: Option<&Limits>) -> Result<bool, Fault> {
        let mut record = record.clone();
        for _ in 0..CHANGES {
            let counted = record.to_count(self.now(), limits.is_some());
            if record.counted == counted {
                return Ok(counted.is_some_and(|counted| counted.over));
            }
            let mut written = self.recount(&record, counted.as_ref(), limits).await?;
            let mut over = false;
            if let (Written::Exceeded(exceeded), Some(counted)) = (&written, counted) {
                // The object is stored, so it counts all the same.
                tracing::warn!(videoId = %record.video.video_id, ?exceeded, "an object exceeds a limit");
                written = self.recount(&record, Some(&Counted { over: true, ..counted }), None).await?;
                over = true;
            }
            match written {
                Written::Changed(Some(now)) => record = *now,
                _ => return Ok(over),
            }
        }
        Err(Fault::message("count a video", "the row keeps changing"))
    }

    /// Replaces `counted` of a row that has not changed since it was read, and changes the account by the difference.
    async fn recount(
        &self,
        record: &Record,
        counted: Option<&Counted>,
        limits: Option<&Limits>,
    ) -> Result<Written, Fault> {
        let row = Update::new(self, record.video.video_id)
            .condition("#status = :before")
            .value(":before", text(record.video.status.as_str()));
        let row = match &record.counted {
            Some(old) => row.condition("#counted = :old").value(":old", encode(old)?),
            None => row.condition("attribute_not_exists(#counted)"),
        };
        let row = match record.video.size {
            Some(size) => row.condition("#size = :size").value(":size", number(size)),
            None => row.condition("attribute_not_exists(#size)"),
        };
        let is_pending = record.video.status == Status::Pending;
        let row = match counted {
            // It is examined before it expires again.
            Some(new) if is_pending && record.counted.is_none() => {
                let due = self.due(upreel_core::limits::Wait::Upload);
                row.set("counted", encode(new)?).remove(&["ttl"]).due_at(due)
            }
            Some(new) => row.set("counted", encode(new)?),
            None if is_pending => {
                let until = record.expiry().unwrap_or_else(|| seconds(self.now()));
                row.remove(&["counted"]).set("ttl", number(until))
            }
            None => row.remove(&["counted"]),
        };
        let change = Change::between(record.counted.as_ref(), counted);
        self.transact(row.into_part()?, &record.video.user_id, change, limits).await
    }

    /// Writes a row and changes the account, if both may be. `limits` are checked for what increases.
    async fn transact(
        &self,
        row: TransactWriteItem,
        user: &UserId,
        change: Change,
        limits: Option<&Limits>,
    ) -> Result<Written, Fault> {
        let account = self.account_part(user, change, limits)?;
        let mut attempt = 0;
        loop {
            let sent = self.client.transact_write_items().transact_items(row.clone());
            let Err(error) = sent.transact_items(account.clone()).send().await else {
                return Ok(Written::Yes);
            };
            let fault = || Fault::new("dynamodb:TransactWriteItems", &error);
            let reasons = match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    cancelled.cancellation_reasons()
                }
                Some(other) if other.code() == Some("TransactionInProgressException") => &[],
                _ => return Err(fault()),
            };
            let has = |reason: &CancellationReason, code| reason.code() == Some(code);
            if let [row, account] = reasons {
                if has(row, REFUSED) {
                    let row = row.item().filter(|item| !item.is_empty()).cloned();
                    return Ok(Written::Changed(row.map(decode).transpose()?.map(Box::new)));
                }
                if has(account, REFUSED) {
                    let item = account.item().cloned().unwrap_or_default();
                    let usage: Usage = serde_dynamo::from_item(item)
                        .map_err(|error| Fault::new("decode an account", &error))?;
                    if let Some(Err(exceeded)) = limits.map(|limits| limits.check(&usage, &change)) {
                        return Ok(Written::Exceeded(exceeded));
                    }
                }
            }
            let is_busy = |reason| RETRIED.iter().any(|code| has(reason, code));
            attempt += 1;
            if attempt == ATTEMPTS || !(reasons.is_empty() || reasons.iter().any(is_busy)) {
                return Err(fault());
            }
            self.pause(attempt).await;
        }
    }

    /// Waits until others have changed an account that many change at the same time.
    async fn pause(&self, attempt: u32) {
        let delay = BACK_OFF * 2_u32.pow(attempt.min(4));
        if let Some(sleep) = self.client.config().sleep_impl() {
            sleep.sleep(delay.mul_f64(fastrand::f64())).await;
        }
    }

    /// Returns the update of an account.
    fn account_part(
        &self,
        user: &UserId,
        change: Change,
        limits: Option<&Limits>,
    ) -> Result<TransactWriteItem, Fault> {
        let mut update = UpdatePart::builder()
            .table_name(&self.table)
            .key("videoId", account_key(user))
            .update_expression("ADD #bytes :bytes, #videos :videos, #uploads :uploads")
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        for (name, value) in [("bytes", change.bytes), ("videos", change.videos), ("uploads", change.uploads)]
        {
            update = update
                .expression_attribute_names(format!("#{name}"), name)
                .expression_attribute_values(format!(":{name}"), AttributeValue::N(value.to_string()));
        }
        let mut conditions = Vec::new();
        for (name, room) in limits.into_iter().flat_map(|limits| limits.rooms(&change)) {
            let room = room.map_or_else(|| "-1".to_owned(), |room| room.to_string());
            update =
                update.expression_attribute_values(format!(":{name}Room"), AttributeValue::N(room.clone()));
            // An account that does not exist yet has room for everything that the limit allows.
            let is_new = if room == "-1" { "" } else { &format!("attribute_not_exists(#{name}) OR ") };
            conditions.push(format!("({is_new}#{name} <= :{name}Room)"));
        }
        let condition = Some(conditions.join(" AND ")).filter(|condition| !condition.is_empty());
        let update = update.set_condition_expression(condition).build();
        let update = update.map_err(|error| Fault::new("build an update", &error))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

/// The code of a condition that does not hold.
const REFUSED: &str = "ConditionalCheckFailed";
/// The codes after which the same transaction may succeed.
const RETRIED: [&str; 3] = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];

fn account_key(user: &UserId) -> AttributeValue {
    text(format!("usage#{user}"))
}
