//! The webhook function's two triggers: the table's stream is followed, and what it tells waits in a queue of
//! its own until it is delivered.
//!
//! How far the stream was followed is written down after the queue has what it told, so a kill repeats some
//! and loses nothing.

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

/// The waits between the attempts; deployed they begin with half a minute, and end after 17 hours.
pub const BACK_OFF: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
    Duration::from_secs(32),
];
/// As often as Lambda looks.
const LOOK: Duration = Duration::from_millis(250);
const BATCH: usize = 100;

/// Who is told of changes, and how patiently.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// The receiver.
    pub endpoint: Endpoint,
    /// The waits between the attempts.
    pub back_off: Vec<Duration>,
}

/// The function, as the queue invokes it.
pub(crate) fn handler(endpoint: Endpoint) -> Handler {
    Arc::new(move |record| {
        let endpoint = endpoint.clone();
        Box::pin(async move { deliver(&endpoint, &record).await })
    })
}

/// Puts what the table's stream tells into the queue, until it is dropped.
pub(crate) async fn follow(database: Database, table: &str, queue: Arc<Queue>, place: &Path) {
    loop {
        match step(&database, table, &queue, place).await {
            Ok(BATCH) => continue,
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "the table's stream cannot be followed"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// One batch; tells how many records it had.
async fn step(database: &Database, table: &str, queue: &Queue, place: &Path) -> io::Result<usize> {
    let last = match fs::read_to_string(place) {
        Ok(last) => Some(last),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let (database, table) = (database.clone(), table.to_owned());
    let records = tokio::task::spawn_blocking(move || read(&database, &table, last)).await??;
    for record in &records {
        if Kind::from_record(record).is_some() {
            // One that cannot be understood fails at its delivery, and is a dead letter then.
            let id = Event::from_record(record).map_or_else(|_| Uuid::now_v7(), |event| event.id);
            let key = record["dynamodb"]["NewImage"]["key"]["S"].as_str().unwrap_or_default();
            queue.send(id, key.to_owned(), record.clone())?;
        }
    }
    if let Some(last) = records.last().and_then(|record| record["dynamodb"]["SequenceNumber"].as_str()) {
        let part = place.with_extension("part");
        fs::write(&part, last)?;
        fs::rename(part, place)?;
    }
    Ok(records.len())
}

/// The records after the last one, in the words of AWS.
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
    let answer = database.get_records(request).map_err(io::Error::other)?;
    Ok(answer.records.iter().map(|record| json!(record)).collect())
}
