//! The two triggers of the webhook function: the table's stream, and the queue of the webhooks.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::functions::Function;
use crate::world::World;

/// The most records of one invocation.
const BATCH: usize = 10;
/// The number of times that SQS delivers a message before it moves it to the dead-letter queue.
const MAX_RECEIVES: u32 = 12;
/// The queue's visibility timeout.
const VISIBILITY: Duration = Duration::from_mins(3);

/// Passes the records of the stream from `position` on to the function.
pub(crate) fn follow(world: &Rc<World>, position: &mut usize) {
    let records = world.network.services().table.stream[*position..].to_vec();
    *position += records.len();
    for batch in records.chunks(BATCH) {
        world.spawn(enqueue(world.clone(), batch.to_vec()));
    }
}

/// Repeats a batch until the function has taken all its records.
async fn enqueue(world: Rc<World>, mut records: Vec<Value>) {
    let number = |record: &Value| record["dynamodb"]["SequenceNumber"].clone();
    loop {
        let result = world.invoke(Function::Webhook, json!({"Records": records})).await;
        if let Ok(result) = &result {
            let failed = &result["batchItemFailures"][0]["itemIdentifier"];
            let Some(at) = records.iter().position(|record| number(record) == *failed) else { return };
            records.drain(..at);
        }
        world.pause(Duration::from_millis(200)..Duration::from_secs(20)).await;
    }
}

/// Delivers a message of the queue until it is accepted, or has been received too often.
pub(crate) async fn deliver(world: Rc<World>, body: String) {
    let receipt = world.draw(|rng| rng.u64(..)).to_string();
    for attempt in 1..=MAX_RECEIVES {
        let message = json!({
            "eventSource": "aws:sqs",
            "messageId": receipt,
            "receiptHandle": receipt,
            "body": body,
            "attributes": {"ApproximateReceiveCount": attempt.to_string()},
        });
        if let Ok(result) = world.invoke(Function::Webhook, json!({"Records": [message]})).await
            && result["batchItemFailures"].as_array().is_none_or(Vec::is_empty)
        {
            return;
        }
        let set = world.network.services().visibility.remove(&receipt);
        sleep(set.map_or(VISIBILITY, Duration::from_secs)).await;
    }
    world.note(|| "webhook is a dead letter".to_owned());
    let record = serde_json::from_str(&body).unwrap_or_default();
    world.oracle.borrow_mut().undelivered.push(record);
}
