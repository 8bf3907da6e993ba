//! The `VideoMetadata` table: key `videoId`, index `byUser` on `userId` and `uploadTime`, sparse indexes `byDue` on `shard`
//! and `due`, and `byExpiry` on `expiryShard` and `expiresAt`.
//!
//! Every write is one conditional request. Its response can be lost after it was executed; then the SDK or the caller
//! repeats it. A repetition finds:
//!
//! - [`VideoStore::create`]: the row exists. It stays unchanged, and the result is the same.
//! - [`VideoStore::reserve_idempotency_key`]: the key is reserved. The first reservation is returned, for 24 hours.
//! - the transitions of the status and of the transcode, what the reconciler writes, and what users write: see the modules
//!   `transitions`, `checks`, `transcodes`, `deletions`, `due`, `details`, `fetches` and `posters`. What counts for
//!   a user's quota: `quota`.

mod checks;
mod content;
mod deletions;
mod details;
mod due;
mod fetches;
mod imports;
mod outcome;
mod posters;
mod quota;
mod search;
mod transcodes;
mod transitions;
mod update;

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure as OnFailure};
use aws_types::sdk_config::SharedTimeSource;
use sha2::{Digest, Sha256};
use upreel_core::limits::{Limits, Wait};
use upreel_core::video::{Record, millis, seconds};
use upreel_core::{Details, Fault, Key, UserId, VideoId};

use crate::sdk;

pub use content::Processed;
pub use details::Changed;
pub use due::{Attention, Due};
pub use outcome::{Claim, UpdateOutcome};
pub use posters::Choosing;
pub use search::Search;

/// The lifetime of an idempotency record.
const IDEMPOTENCY_TTL: Duration = Duration::from_hours(24);

/// How long a reservation lasts that is made for a row without one.
const RESERVATION_TTL: Duration = Duration::from_hours(24);
const INDEX: &str = "byUser";
/// Timeout of one attempt. `DynamoDB` responds within milliseconds.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// Timeout of an operation with all its attempts.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(6);

type Item = HashMap<String, AttributeValue>;

/// The `VideoMetadata` table.
#[derive(Debug, Clone)]
pub struct VideoStore {
    client: Client,
    table: String,
    limits: Limits,
    time: SharedTimeSource,
}

/// One page of a user's videos.
#[derive(Debug)]
pub struct Page {
    /// The videos, newest first.
    pub records: Vec<Record>,
    /// The start of the next page; `None` after the last page. The next page may be empty.
    pub next: Option<Cursor>,
}

/// A position in a user's list of videos.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The upload time of the last video of the previous page.
    pub upload_time: String,
    /// The last video of the previous page.
    pub id: VideoId,
}

/// The reservation of an `Idempotency-Key`.
#[derive(Debug, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// The video of the first request with this key.
    pub id: VideoId,
    /// Whether that request had the same body.
    pub same_body: bool,
}

impl VideoStore {
    /// Creates the client for the table named `table`. The clock is the one of the SDK's configuration.
    #[must_use]
    pub fn new(sdk: &SdkConfig, table: String, limits: Limits) -> Self {
        let time = sdk.time_source().unwrap_or_default();
        let timeouts = sdk::service_timeouts(sdk, ATTEMPT_TIMEOUT, OPERATION_TIMEOUT);
        let config = aws_sdk_dynamodb::config::Builder::from(sdk).timeout_config(timeouts).build();
        Self { client: Client::from_conf(config), table, limits, time }
    }

    /// Returns the current time.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.time.now()
    }

    /// Returns how long a row may stay in each state.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Adds the row of an upload that has not arrived yet. An existing row of the video stays unchanged.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn create(
        &self,
        key: &Key,
        about: (UserId, String, String),
        size: Option<u64>,
        details: &Details,
    ) -> Result<(), Fault> {
        let item = new_row(self.new_record(key, about, size), details)?;
        self.put_new(item).await.map(drop)
    }

    /// Adds a row, unless there is one of the video. Returns whether it was added.
    async fn put_new(&self, item: Item) -> Result<bool, Fault> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        match put.condition_expression("attribute_not_exists(videoId)").send().await {
            Ok(_) => Ok(true),
            Err(error) if is_refused(&error) => Ok(false),
            Err(error) => Err(Fault::new("dynamodb:PutItem", &error)),
        }
    }

    fn new_record(&self, key: &Key, about: (UserId, String, String), size: Option<u64>) -> Record {
        let now = self.now();
        let mut record = Record::pending(key, about, now, now + self.limits.upload);
        record.video.size = size;
        record
    }

    /// Returns the row of a video, which may be a tombstone.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn get(&self, id: VideoId) -> Result<Option<Record>, Fault> {
        let get =
            self.client.get_item().table_name(&self.table).key("videoId", text(id)).consistent_read(true);
        let output = get.send().await.map_err(|e| Fault::new("dynamodb:GetItem", &e))?;
        output.item.map(decode).transpose()
    }

    /// Returns a page of a user's videos, newest first.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn list(&self, user: &UserId, limit: usize, from: Option<&Cursor>) -> Result<Page, Fault> {
        let (now, mut start) = (self.now(), from.map(|cursor| cursor.index_key(user)));
        let mut records = Vec::new();
        // The index may still contain rows that have expired, so one query may not fill the page.
        while records.len() < limit {
            let query = self
                .client
                .query()
                .table_name(&self.table)
                .index_name(INDEX)
                .key_condition_expression("userId = :user")
                .expression_attribute_values(":user", text(user))
                .scan_index_forward(false)
                .limit(i32::try_from(limit - records.len()).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start.take());
            let output = query.send().await.map_err(|e| Fault::new("dynamodb:Query", &e))?;
            records.extend(output.items.into_iter().flatten().filter_map(|item| decode_visible(item, now)));
            start = output.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(Page { records, next: start.as_ref().and_then(Cursor::from_index_key) })
    }

    /// Reserves an `Idempotency-Key` for a video. If the key is reserved already, returns the first reservation.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn reserve_idempotency_key(
        &self,
        user: &UserId,
        key: &str,
        body: &[u8],
        id: VideoId,
    ) -> Result<IdempotencyRecord, Fault> {
        let name = hex::encode(
            Sha256::new().chain_update(user.as_str()).chain_update("\n").chain_update(key).finalize(),
        );
        let body = hex::encode(Sha256::digest(body));
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("videoId", text(format!("idempotency#{name}")))
            .item("target", text(id))
            .item("body", text(&body))
            .item("ttl", number(seconds(self.now() + IDEMPOTENCY_TTL)))
            .condition_expression("attribute_not_exists(videoId) OR #ttl < :now")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":now", number(seconds(self.now())))
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .send()
            .await;
        let Err(error) = put else { return Ok(IdempotencyRecord { id, same_body: true }) };
        let Some(PutItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() else {
            return Err(Fault::new("dynamodb:PutItem", &error));
        };
        let get = |name| failed.item().and_then(|item| item.get(name)).and_then(|value| value.as_s().ok());
        match get("target").and_then(|id| id.parse().ok()) {
            Some(id) => Ok(IdempotencyRecord { id, same_body: get("body") == Some(&body) }),
            None => Err(Fault::new("dynamodb:PutItem", &error)),
        }
    }
}

impl VideoStore {
    /// Returns the value of `due` for a row that waits for `wait`, or `None` if it is not examined again.
    fn due(&self, wait: Wait) -> Option<AttributeValue> {
        self.limits.get(wait).map(|limit| number(millis(self.now() + limit)))
    }
}

impl Cursor {
    fn index_key(&self, user: &UserId) -> Item {
        Item::from([
            ("userId".to_owned(), text(user)),
            ("uploadTime".to_owned(), text(&self.upload_time)),
            ("videoId".to_owned(), text(self.id)),
        ])
    }

    /// Returns the position after a video.
    fn after(record: &Record) -> Option<Self> {
        Some(Self { upload_time: record.video.upload_time.clone()?, id: record.video.video_id })
    }

    fn from_index_key(key: &Item) -> Option<Self> {
        let get = |name| key.get(name).and_then(|value| value.as_s().ok());
        Some(Self { upload_time: get("uploadTime")?.clone(), id: get("videoId")?.parse().ok()? })
    }
}

fn new_row(record: Record, details: &Details) -> Result<Item, Fault> {
    let id = record.video.video_id;
    let mut item: Item = serde_dynamo::to_item(record).map_err(|e| Fault::new("encode a record", &e))?;
    item.extend(details::attributes(id, details)?);
    Ok(item)
}

/// Returns whether the condition of a `PutItem` does not hold.
fn is_refused(error: &SdkError<PutItemError>) -> bool {
    matches!(error.as_service_error(), Some(PutItemError::ConditionalCheckFailedException(_)))
}

/// Decodes a row of a list, or leaves it out.
fn decode_visible(item: Item, now: SystemTime) -> Option<Record> {
    match decode(item) {
        Ok(record) => Some(record).filter(|record| record.is_visible(now)),
        // A newer release has written it. The other videos can be listed all the same.
        Err(fault) => {
            tracing::warn!(%fault, "row cannot be read, leaving it out of the list");
            None
        }
    }
}

fn decode(item: Item) -> Result<Record, Fault> {
    serde_dynamo::from_item(item).map_err(|e| Fault::new("decode a record", &e))
}

#[expect(clippy::needless_pass_by_value, reason = "accepts references and values without a & at every call")]
fn text(value: impl ToString) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
