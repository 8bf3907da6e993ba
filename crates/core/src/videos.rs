//! The `VideoMetadata` table: key `videoId`, index `byUser` on `userId` and `uploadTime`.
//!
//! Every status move is one conditional write, so that duplicate, late and reordered events change
//! nothing. The condition is built from [`Status::sources`], the one place that knows the moves.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure as OnFailure,
};
use sha2::{Digest, Sha256};

use crate::Fault;
use crate::config::Config;
use crate::id::{Sequencer, UserId, VideoId};
use crate::key::Key;
use crate::video::{Facts, Failure, Record, Status};

/// A row whose upload never came is dropped. Longer than a signed URL lives and an upload takes.
const PENDING_LIFE: Duration = Duration::from_hours(24);
/// A tombstone outlives every event that may still be on its way (retries, dead-letter queue).
const DELETED_LIFE: Duration = Duration::from_hours(30 * 24);
/// How long an `Idempotency-Key` is remembered.
const IDEMPOTENCY_LIFE: Duration = Duration::from_hours(24);

const INDEX: &str = "byUser";

type Item = HashMap<String, AttributeValue>;

/// `DynamoDB`, as the functions use it.
#[derive(Debug, Clone)]
pub struct Videos {
    client: Client,
    table: String,
}

/// What became of an attempt to take an event on.
#[derive(Debug)]
pub enum Claim {
    /// The row follows the event now; `attempt` counts from 1.
    Granted {
        /// How often this event was tried, this time included.
        attempt: u32,
    },
    /// The row follows this event or a newer one already, and has nothing left to do for it.
    Stale,
    /// The video was deleted.
    Deleted,
    /// There is no row.
    Missing,
}

/// What became of the record of a finished piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// It is in the row.
    Recorded,
    /// A newer event owns the row.
    Superseded,
    /// The video was deleted meanwhile.
    Deleted,
}

/// One page of a user's videos.
#[derive(Debug)]
pub struct Page {
    /// Newest first.
    pub records: Vec<Record>,
    /// Where the next page starts, if there may be one.
    pub next: Option<Cursor>,
}

/// A place in a user's list of videos.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The time of the last video that was seen.
    pub upload_time: String,
    /// The last video that was seen.
    pub id: VideoId,
}

/// What an `Idempotency-Key` stands for.
#[derive(Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The video of the first request with this key.
    pub id: VideoId,
    /// Whether that request had the same body.
    pub same_body: bool,
}

impl Videos {
    /// The table of `config`, reached through `sdk`.
    #[must_use]
    pub fn new(sdk: &SdkConfig, config: &Config) -> Self {
        Self { client: Client::new(sdk), table: config.table.clone() }
    }

    /// Adds a row, unless there is one: then that one is left as it is.
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

    /// The row of a video, which may be a tombstone.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn get(&self, id: VideoId) -> Result<Option<Record>, Fault> {
        let get =
            self.client.get_item().table_name(&self.table).key("videoId", text(id)).consistent_read(true);
        let output = get.send().await.map_err(|e| Fault::new("dynamodb:GetItem", &e))?;
        output.item.map(decode).transpose()
    }

    /// A user's videos, newest first.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn list(&self, user: &UserId, limit: usize, from: Option<&Cursor>) -> Result<Page, Fault> {
        let mut start = from.map(|cursor| cursor.index_key(user));
        let mut records = Vec::new();
        // A page of the index may hold rows that have expired and not yet been dropped.
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

    /// The bytes are in S3. A row that has moved on already stays where it is.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn uploaded(&self, id: VideoId) -> Result<(), Fault> {
        let condition = may_become(Status::Uploaded);
        let update = self
            .update(id, Status::Uploaded)
            .update_expression("SET #status = :status REMOVE #ttl")
            .expression_attribute_names("#ttl", "ttl")
            .condition_expression(condition);
        self.apply(update).await.map(|_| ())
    }

    /// Takes an event on: the row follows it from now on.
    ///
    /// Granted for an event newer than the one that the row follows, and again for the same event
    /// while its work is not done: Lambda's retries, and a replay from the dead-letter queue, come
    /// with the same sequencer.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn claim(
        &self,
        id: VideoId,
        user: &UserId,
        sequencer: &Sequencer,
        size: u64,
    ) -> Result<Claim, Fault> {
        let condition = format!(
            "userId = :user AND {} AND (attribute_not_exists(sequencer) OR sequencer < :sequencer OR \
             (sequencer = :sequencer AND (#status = :status OR #error.#code = :internal)))",
            may_become(Status::Processing)
        );
        let update = self
            .update(id, Status::Processing)
            .update_expression(
                "SET #status = :status, sequencer = :sequencer, #size = :size REMOVE #ttl, #error ADD attempts :one",
            )
            .expression_attribute_names("#size", "size")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_names("#error", "error")
            .expression_attribute_names("#code", "code")
            .expression_attribute_values(":user", text(user))
            .expression_attribute_values(":sequencer", text(sequencer.as_str()))
            .expression_attribute_values(":internal", text(Failure::INTERNAL))
            .expression_attribute_values(":size", number(size))
            .expression_attribute_values(":one", number(1))
            .condition_expression(condition)
            .return_values(ReturnValue::AllNew);
        Ok(match self.apply(update).await? {
            Applied::Yes(record) => Claim::Granted { attempt: record.map_or(1, |record| record.attempts) },
            Applied::No(None) => Claim::Missing,
            Applied::No(Some(record)) if record.video.status == Status::Deleted => Claim::Deleted,
            Applied::No(Some(_)) => Claim::Stale,
        })
    }

    /// Whether the row still follows this event.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn follows(&self, id: VideoId, sequencer: &Sequencer) -> Result<bool, Fault> {
        let record = self.get(id).await?;
        Ok(record
            .is_some_and(|r| r.video.status == Status::Processing && r.sequencer.as_ref() == Some(sequencer)))
    }

    /// The work for an event is done.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn processed(
        &self,
        id: VideoId,
        sequencer: &Sequencer,
        size: u64,
        facts: &Facts,
        thumbnail: &Key,
    ) -> Result<Finish, Fault> {
        let mut item: Item = serde_dynamo::to_item(facts).map_err(|e| Fault::new("encode facts", &e))?;
        item.insert("size".to_owned(), number(size));
        item.insert("thumbnailKey".to_owned(), text(thumbnail));
        if let Some(container) = facts.container {
            item.insert("contentType".to_owned(), text(container.media_type()));
        }
        self.finish(id, sequencer, Status::Processed, item).await
    }

    /// The video cannot be processed.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn failed(
        &self,
        id: VideoId,
        sequencer: &Sequencer,
        failure: &Failure,
    ) -> Result<Finish, Fault> {
        let error =
            serde_dynamo::to_attribute_value(failure).map_err(|e| Fault::new("encode a failure", &e))?;
        self.finish(id, sequencer, Status::Failed, Item::from([("error".to_owned(), error)])).await
    }

    /// Writes the outcome of an event; what an earlier upload left and this one lacks is removed.
    async fn finish(
        &self,
        id: VideoId,
        sequencer: &Sequencer,
        status: Status,
        item: Item,
    ) -> Result<Finish, Fault> {
        const OUTCOME: [&str; 10] = [
            "durationMs",
            "width",
            "height",
            "rotation",
            "frameRate",
            "videoCodec",
            "audioCodec",
            "container",
            "thumbnailKey",
            "error",
        ];
        let removed: Vec<&str> = OUTCOME.into_iter().filter(|name| !item.contains_key(*name)).collect();
        let mut update = self.update(id, status);
        let mut set = "SET #status = :status".to_owned();
        for (name, value) in item {
            set = format!("{set}, #{name} = :{name}");
            update = update
                .expression_attribute_names(format!("#{name}"), &name)
                .expression_attribute_values(format!(":{name}"), value);
        }
        let mut remove = "REMOVE attempts".to_owned();
        for name in removed {
            remove = format!("{remove}, #{name}");
            update = update.expression_attribute_names(format!("#{name}"), name);
        }
        let update = update
            .update_expression(format!("{set} {remove}"))
            .expression_attribute_values(":sequencer", text(sequencer.as_str()))
            .condition_expression(format!("{} AND sequencer = :sequencer", may_become(status)));
        Ok(match self.apply(update).await? {
            Applied::Yes(_) => Finish::Recorded,
            Applied::No(Some(record)) if record.video.status != Status::Deleted => Finish::Superseded,
            Applied::No(_) => Finish::Deleted,
        })
    }

    /// Makes the row a tombstone, without the name that the user gave it, and tells what it was;
    /// `None` when it is not the user's.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn delete(&self, id: VideoId, user: &UserId) -> Result<Option<Record>, Fault> {
        let update = self
            .update(id, Status::Deleted)
            .update_expression("SET #status = :status, #ttl = :ttl, filename = :gone REMOVE uploadTime")
            .expression_attribute_values(":gone", text(""))
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":ttl", number(expiry(DELETED_LIFE)))
            .expression_attribute_values(":user", text(user))
            .condition_expression(format!("userId = :user AND {}", may_become(Status::Deleted)))
            .return_values(ReturnValue::AllOld);
        Ok(match self.apply(update).await? {
            Applied::Yes(record) => record,
            Applied::No(_) => None,
        })
    }

    /// Ties an `Idempotency-Key` to a video; the first request with the key decides.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn remember(
        &self,
        user: &UserId,
        key: &str,
        body: &[u8],
        id: VideoId,
    ) -> Result<Remembered, Fault> {
        let name =
            hex(&Sha256::new().chain_update(user.as_str()).chain_update("\n").chain_update(key).finalize());
        let body = hex(&Sha256::digest(body));
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("videoId", text(format!("idempotency#{name}")))
            .item("target", text(id))
            .item("body", text(&body))
            .item("ttl", number(expiry(IDEMPOTENCY_LIFE)))
            .condition_expression("attribute_not_exists(videoId) OR #ttl < :now")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":now", number(now()))
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .send()
            .await;
        let Err(error) = put else { return Ok(Remembered { id, same_body: true }) };
        let Some(PutItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() else {
            return Err(Fault::new("dynamodb:PutItem", &error));
        };
        let get = |name| failed.item().and_then(|item| item.get(name)).and_then(|value| value.as_s().ok());
        match get("target").and_then(|id| id.parse().ok()) {
            Some(id) => Ok(Remembered { id, same_body: get("body") == Some(&body) }),
            None => Err(Fault::new("dynamodb:PutItem", &error)),
        }
    }

    fn update(&self, id: VideoId, status: Status) -> UpdateItemFluentBuilder {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("videoId", text(id))
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":status", text(status.as_str()))
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        status.sources().iter().fold(update, |update, source| {
            let source = source.as_str();
            update.expression_attribute_values(format!(":{source}"), text(source))
        })
    }

    async fn apply(&self, update: UpdateItemFluentBuilder) -> Result<Applied, Fault> {
        match update.send().await {
            Ok(output) => Ok(Applied::Yes(output.attributes.map(decode).transpose()?)),
            Err(error) => match failed_condition(&error) {
                Some(failed) => Ok(Applied::No(failed.item().cloned().map(decode).transpose()?)),
                None => Err(Fault::new("dynamodb:UpdateItem", &error)),
            },
        }
    }
}

impl Record {
    /// A new row, without bytes yet; it expires unless they come.
    #[must_use]
    pub fn pending(key: &Key, id: VideoId, user: UserId, filename: String, content_type: String) -> Self {
        Self {
            video: crate::Video {
                video_id: id,
                user_id: user,
                filename,
                content_type,
                size: None,
                status: Status::Pending,
                upload_time: Some(humantime::format_rfc3339_millis(SystemTime::now()).to_string()),
                facts: Facts::default(),
                error: None,
            },
            key: key.to_string(),
            sequencer: None,
            attempts: 0,
            thumbnail_key: None,
            ttl: Some(expiry(PENDING_LIFE)),
        }
    }

    /// Whether users may see it: no tombstone, and not expired (`DynamoDB` drops expired rows within
    /// days, not at once).
    #[must_use]
    pub fn is_visible(&self) -> bool {
        self.video.status != Status::Deleted && self.ttl.is_none_or(|ttl| ttl > now())
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

enum Applied {
    Yes(Option<Record>),
    No(Option<Record>),
}

fn failed_condition(error: &SdkError<UpdateItemError>) -> Option<&ConditionalCheckFailedException> {
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(failed)) => Some(failed),
        _ => None,
    }
}

/// The condition that the present status may be followed by `status`.
fn may_become(status: Status) -> String {
    let sources: Vec<String> =
        status.sources().iter().map(|source| format!(":{}", source.as_str())).collect();
    format!("#status IN ({})", sources.join(", "))
}

fn decode(item: Item) -> Result<Record, Fault> {
    serde_dynamo::from_item(item).map_err(|e| Fault::new("decode a record", &e))
}

#[expect(clippy::needless_pass_by_value, reason = "references and values alike, without a & at every call")]
fn text(value: impl ToString) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn expiry(life: Duration) -> u64 {
    now() + life.as_secs()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
