//! The `VideoMetadata` table: key `videoId`, index `byUser` on `userId` and `uploadTime`.
//!
//! Every write is one conditional request. A repetition finds:
//!
//! - [`VideoStore::create`]: the row exists. It stays unchanged, and the result is the same.
//! - [`VideoStore::reserve_idempotency_key`]: the key is reserved. The first reservation is returned, for 24 hours.
//! - the transitions of the status and of the transcode: see the modules `transitions` and `transcodes`.

mod transcodes;
mod transitions;

use std::collections::HashMap;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure as OnFailure};
use sha2::{Digest, Sha256};
use upreel_core::video::{Record, expiry, now};
use upreel_core::{Fault, UserId, VideoId};

pub use transitions::{Claim, UpdateOutcome};

/// The lifetime of an idempotency record.
const IDEMPOTENCY_TTL: Duration = Duration::from_hours(24);

const INDEX: &str = "byUser";

type Item = HashMap<String, AttributeValue>;

/// The `VideoMetadata` table.
#[derive(Debug, Clone)]
pub struct VideoStore {
    client: Client,
    table: String,
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
    /// Creates the client for the table named `table`.
    #[must_use]
    pub fn new(sdk: &SdkConfig, table: String) -> Self {
        Self { client: Client::new(sdk), table }
    }

    /// Adds a row. An existing row of the video stays unchanged.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn create(&self, record: &Record) -> Result<(), Fault> {
        let item: Item = serde_dynamo::to_item(record).map_err(|e| Fault::new("encode a record", &e))?;
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(videoId)")
            .send()
            .await;
        match put {
            Err(error)
                if !matches!(
                    error.as_service_error(),
                    Some(PutItemError::ConditionalCheckFailedException(_))
                ) =>
            {
                Err(Fault::new("dynamodb:PutItem", &error))
            }
            _ => Ok(()),
        }
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
        let mut start = from.map(|cursor| cursor.index_key(user));
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
            for item in output.items.into_iter().flatten() {
                records.push(decode(item)?);
            }
            records.retain(Record::is_visible);
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
            .item("ttl", number(expiry(IDEMPOTENCY_TTL)))
            .condition_expression("attribute_not_exists(videoId) OR #ttl < :now")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":now", number(now()))
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

impl Cursor {
    fn index_key(&self, user: &UserId) -> Item {
        Item::from([
            ("userId".to_owned(), text(user)),
            ("uploadTime".to_owned(), text(&self.upload_time)),
            ("videoId".to_owned(), text(self.id)),
        ])
    }

    fn from_index_key(key: &Item) -> Option<Self> {
        let get = |name| key.get(name).and_then(|value| value.as_s().ok());
        Some(Self { upload_time: get("uploadTime")?.clone(), id: get("videoId")?.parse().ok()? })
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
