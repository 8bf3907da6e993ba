//! Events: the notifications of S3, the table's stream, queues, schedules, and Lambda's asynchronous invocations.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::sleep;
use upreel_core::details::Expiry;
use upreel_core::video::millis;

use crate::checks;
use crate::dynamodb::Item;
use crate::functions::Function;
use crate::http_api::respond;
use crate::s3::Notification;
use crate::transcodes;
use crate::webhooks;
use crate::world::World;

/// Lambda's delays before the second and third attempt of an asynchronous event.
const RETRY_DELAYS: [Duration; 2] = [Duration::from_mins(1), Duration::from_mins(2)];
/// `MaximumEventAgeInSeconds`, after which Lambda gives up an event that it could not start.
const MAX_EVENT_AGE: Duration = Duration::from_hours(6);
/// The interval of the reconciler's schedule.
const SWEEP_INTERVAL: Duration = Duration::from_mins(15);

/// Follows the services, and starts what their changes cause.
pub(crate) async fn pump(world: Rc<World>) {
    let mut position = 0;
    let executed = world.network.executed.clone();
    loop {
        executed.notified().await;
        world.observe();
        let (notifications, started, invocations, messages) = {
            let mut services = world.network.services();
            (
                std::mem::take(&mut services.s3.notifications),
                std::mem::take(&mut services.started),
                std::mem::take(&mut services.invocations),
                std::mem::take(&mut services.messages),
            )
        };
        for notification in notifications {
            notify(&world, &notification);
            checks::start(&world, &notification);
        }
        for name in started {
            world.spawn(transcodes::execute(world.clone(), name));
        }
        for (event, response) in invocations {
            world.spawn(invoked(world.clone(), event, response));
        }
        if world.settings.webhooks {
            webhooks::follow(&world, &mut position);
            for message in messages {
                world.spawn(webhooks::deliver(world.clone(), message));
            }
        }
    }
}

/// Sends the notification of a written object: late, twice, or not at all.
fn notify(world: &Rc<World>, notification: &Notification) {
    let Notification { key, size, etag, sequencer } = notification;
    let event = json!({"Records": [{
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "uploads"}, "object": {"key": key, "size": size, "eTag": etag, "sequencer": sequencer}},
    }]});
    if world.settings.loses_events || world.mishap(3) {
        world.note(|| format!("event of {key} lost"));
        return;
    }
    let copies = if world.mishap(10) { 2 } else { 1 };
    for _ in 0..copies {
        let (late, event, world) = (world.mishap(10), event.clone(), world.clone());
        world.clone().spawn(async move {
            let range = if late { 1_000..7_200_000 } else { 100..2_000 };
            world.pause(Duration::from_millis(range.start)..Duration::from_millis(range.end)).await;
            asynchronous(world, event).await;
        });
    }
}

/// Invokes the thumbnail function asynchronously: three attempts, then the dead-letter queue and the destination.
pub(crate) async fn asynchronous(world: Rc<World>, event: Value) {
    let mut error = String::new();
    let mut attempts = 0;
    if world.mishap(2) {
        world.note(|| "event expires before an attempt".to_owned());
        sleep(MAX_EVENT_AGE).await;
    } else {
        for delay in [Duration::ZERO].into_iter().chain(RETRY_DELAYS) {
            sleep(delay).await;
            attempts += 1;
            match world.invoke(Function::Thumbnail, event.clone()).await {
                Ok(_) => return,
                Err(cause) => error = cause,
            }
        }
    }
    world.note(|| format!("dead letter after {attempts} attempts: {error}"));
    let now = world.network.clock.now();
    world.network.services().bury(event.clone(), now);
    let condition = if attempts > 0 { "RetriesExhausted" } else { "EventAgeExceeded" };
    let record = json!({
        "version": "1.0",
        "requestContext": {"condition": condition, "approximateInvokeCount": attempts},
        "requestPayload": event,
        "responsePayload": {"errorType": "Function.Fault", "errorMessage": error},
    });
    for delay in [Duration::ZERO].into_iter().chain(RETRY_DELAYS) {
        sleep(delay).await;
        if world.invoke(Function::Reconcile, record.clone()).await.is_ok() {
            return;
        }
    }
}

/// Runs an invocation that a function asked for.
async fn invoked(world: Rc<World>, event: Value, response: Option<oneshot::Sender<Response<Bytes>>>) {
    let Some(response) = response else { return asynchronous(world, event).await };
    let result = world.invoke(Function::Thumbnail, event).await;
    let mut answer = respond(200, "null");
    if result.is_err() {
        answer.headers_mut().insert("x-amz-function-error", "Unhandled".parse().unwrap());
    }
    // The caller may be gone.
    let _ = response.send(answer);
}

/// Replays the dead-letter queue. What fails again stays in the queue.
pub(crate) async fn replay(world: &Rc<World>) {
    let letters = world.network.services().dead_letters.clone();
    for (receipt, (letter, _)) in letters {
        let event = json!({"Records": [{"eventSource": "aws:sqs", "body": letter.to_string()}]});
        if world.invoke(Function::Thumbnail, event).await.is_ok() {
            world.network.services().dead_letters.remove(&receipt);
        }
    }
}

/// Deletes expired rows, as DynamoDB does at some time.
pub(crate) fn expire(world: &World) {
    let now = world.network.clock.now();
    let seconds = world.network.clock.millis() / 1000;
    let mut services = world.network.services();
    let ttl = |item: &Item| item.get("ttl").and_then(|ttl| ttl["N"].as_str()?.parse::<u64>().ok());
    let expired = services.table.rows.iter().filter(|(_, row)| ttl(row).is_some_and(|ttl| ttl < seconds));
    let expired: Vec<String> = expired.map(|(id, _)| id.clone()).collect();
    for id in expired {
        services.table.expire(&id, now);
    }
}

/// Runs the reconciler on its schedule until `end`, or until nothing is due any more. A sweep without a row that is due
/// changes nothing, so most of them are left out.
pub(crate) async fn sweep_until(world: &Rc<World>, end: Duration) {
    loop {
        let due = next_due(world);
        let Some(due) = due else { break };
        let wait = Duration::from_millis(due.saturating_sub(world.network.clock.millis()));
        let at = world.network.clock.elapsed() + wait;
        if at > end {
            break;
        }
        sleep(wait + SWEEP_INTERVAL).await;
        sweep(world).await;
    }
}

/// Runs the reconciler every 15 minutes, from a random time on, without end.
pub(crate) async fn sweep_regularly(world: &Rc<World>) {
    world.pause(Duration::from_millis(1)..SWEEP_INTERVAL).await;
    loop {
        let due = next_due(world);
        if due.is_some_and(|due| due <= world.network.clock.millis()) {
            sweep(world).await;
        }
        sleep(SWEEP_INTERVAL).await;
    }
}

/// Runs one sweep of the reconciler. The next one comes anyway, so a failure does not matter.
pub(crate) async fn sweep(world: &Rc<World>) {
    let _ = world.invoke(Function::Reconcile, json!({"task": "sweep"})).await;
}

/// Runs the weekly listing of the buckets until one succeeds.
pub(crate) async fn list(world: &Rc<World>) {
    for _ in 0..3 {
        if world.invoke(Function::Reconcile, json!({"task": "list"})).await.is_ok() {
            return;
        }
    }
}

/// Returns when the first row is due or expires, in milliseconds since 1970.
fn next_due(world: &World) -> Option<u64> {
    let services = world.network.services();
    services.table.rows.values().flat_map(|row| [due(row), expiry(row)]).flatten().min()
}

/// Returns when a video is to be deleted, in milliseconds since 1970.
pub(crate) fn expiry(row: &Item) -> Option<u64> {
    let expiry: Expiry = row.get("expiresAt")?["S"].as_str()?.parse().ok()?;
    Some(millis(expiry.time()))
}

/// Returns when a row is due, in milliseconds since 1970.
pub(crate) fn due(row: &Item) -> Option<u64> {
    row.get("due").and_then(|due| due["N"].as_str()?.parse().ok())
}
