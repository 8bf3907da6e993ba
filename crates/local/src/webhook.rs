//! The two triggers of the webhook function: a poller of the table's stream, and the queue of webhooks to deliver.
//!
//! The position in the stream is stored after the records are in the queue. If the process is killed, some webhooks may
//! be sent twice, but none is lost.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dynoxide::actions::get_records::GetRecordsRequest;
use dynoxide::actions::get_shard_iterator::GetShardIteratorRequest;
use dynoxide::{Database, streams};
use serde_json::{Value, json};
use upreel_webhook::{Endpoint, Event, Kind, deliver};
use uuid::Uuid;

use crate::queue::{Handler, Queue};

/// Delays between the attempts. When deployed, they begin at half a minute and end after 17 hours.
pub const BACK_OFF: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
    Duration::from_secs(32),
];
/// Interval between polls of the stream; the same as Lambda's.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Maximum number of records read at a time.
const BATCH: usize = 100;

/// The receiver of webhooks, and the retries.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// The receiver.
    pub endpoint: Endpoint,
    /// Delays between the attempts.
    pub back_off: Vec<Duration>,
}

/// Returns the handler of the queue, which delivers one webhook.
pub(crate) fn handler(endpoint: Endpoint) -> Handler {
    Arc::new(move |record| {
        let endpoint = endpoint.clone();
        Box::pin(async move { deliver(&endpoint, &record).await })
    })
}

/// Polls the table's stream and sends its records to the queue, until the future is dropped. The file `position` holds
/// the sequence number of the last record.
pub(crate) async fn follow(database: Database, table: &str, queue: Arc<Queue>, position: &Path) {
    // The temporary file of a process that was killed.
    let _ = fs::remove_file(position.with_extension("part"));
    loop {
        match poll(&database, table, &queue, position).await {
            Ok(BATCH) => continue,
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "could not read the table's stream"),
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Sends one batch to the queue, and returns the number of records that were read.
async fn poll(database: &Database, table: &str, queue: &Queue, position: &Path) -> io::Result<usize> {
    let last = match fs::read_to_string(position) {
        Ok(last) => Some(last),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let (database, table) = (database.clone(), table.to_owned());
    let records = tokio::task::spawn_blocking(move || read(&database, &table, last)).await??;
    for record in &records {
        if Kind::from_record(record).is_some() {
            // A record that cannot be parsed fails on delivery and becomes a dead letter.
            let id = Event::from_record(record).map_or_else(|_| Uuid::now_v7(), |event| event.id);
            let key = record["dynamodb"]["NewImage"]["key"]["S"].as_str().unwrap_or_default();
            queue.send(id.to_string(), key.to_owned(), record.clone())?;
        }
    }
    if let Some(last) = records.last().and_then(|record| record["dynamodb"]["SequenceNumber"].as_str()) {
        let temporary = position.with_extension("part");
        fs::write(&temporary, last)?;
        fs::rename(temporary, position)?;
    }
    Ok(records.len())
}

/// Reads the records after `last`, in the JSON format of DynamoDB Streams.
fn read(database: &Database, table: &str, last: Option<String>) -> io::Result<Vec<Value>> {
    let kind = if last.is_some() { "AFTER_SEQUENCE_NUMBER" } else { "TRIM_HORIZON" };
    let request = GetShardIteratorRequest {
        stream_arn: streams::stream_arn(table, ""),
        shard_id: streams::shard_id(table),
        shard_iterator_type: kind.to_owned(),
        sequence_number: last,
    };
    let shard_iterator = database.get_shard_iterator(request).map_err(io::Error::other)?.shard_iterator;
    let request =
        GetRecordsRequest { shard_iterator: shard_iterator.unwrap_or_default(), limit: Some(BATCH) };
    let response = database.get_records(request).map_err(io::Error::other)?;
    Ok(response.records.iter().map(|record| json!(record)).collect())
}
