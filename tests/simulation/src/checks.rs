//! The checks of uploads: the scanner, which tags objects and sends its results, and the moderator. Both are slow, and their
//! events are lost, late or repeated.
//!
//! The scanner tags the object that it finds under the key, which may be another one than it has scanned: S3 has no
//! condition for that.

use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use upreel_core::check::{CLEAN, Check, CheckResult, INFECTED};
use upreel_events::check::{Checked, event};

use crate::content;
use crate::events::asynchronous;
use crate::s3::{Notification, UPLOADS};
use crate::world::World;

/// Starts the checks of a written object.
pub(crate) fn start(world: &Rc<World>, notification: &Notification) {
    let (checks, key) = (world.settings.checks, &notification.key);
    if checks.scan {
        world.spawn(scan(world.clone(), key.clone()));
    }
    if checks.moderation {
        world.spawn(moderate(world.clone(), key.clone()));
    }
}

/// The operators have everything checked again that has no clean verdict: a check may have failed.
pub(crate) async fn check_again(world: &Rc<World>) {
    let checks = world.settings.checks;
    let rows = world.network.services().table.rows.clone();
    let waits = |row: &&serde_json::Map<String, Value>| {
        let code = row.get("error").and_then(|error| error["M"]["code"]["S"].as_str());
        let is_failed = row.get("status").is_some_and(|status| status["S"] == "FAILED");
        is_failed && code.is_some_and(|code| ["NOT_CHECKED", "INTERNAL"].contains(&code))
    };
    for row in rows.values().filter(waits) {
        let Some(key) = row.get("key").and_then(|key| key["S"].as_str()).map(str::to_owned) else { continue };
        if checks.scan {
            world.spawn(scan(world.clone(), key.clone()));
        }
        if checks.moderation {
            world.spawn(moderate(world.clone(), key));
        }
    }
    world.settle().await;
}

/// Returns the entity tag of an object, and whether it is infected.
fn look(world: &World, key: &str) -> Option<(String, bool)> {
    let services = world.network.services();
    let object = services.s3.objects.get(&(UPLOADS.to_owned(), key.to_owned()))?;
    Some((object.etag.trim_matches('"').to_owned(), content::is_infected(&object.body)))
}

async fn scan(world: Rc<World>, key: String) {
    world.pause(Duration::from_millis(100)..Duration::from_secs(3)).await;
    let Some((etag, is_infected)) = look(&world, &key) else { return };
    let limit = if world.mishap(15) { Duration::from_mins(50) } else { Duration::from_secs(20) };
    world.pause(Duration::from_millis(200)..limit).await;
    let value = if is_infected { INFECTED } else { CLEAN };
    let value = if world.mishap(3) { "FAILED" } else { value };
    let is_tagged = !world.mishap(2);
    {
        let mut services = world.network.services();
        if value == CLEAN {
            services.s3.scanned.insert(etag.clone());
        }
        if let Some(object) = services.s3.objects.get_mut(&(UPLOADS.to_owned(), key.clone()))
            && is_tagged
        {
            object.scan_tag = Some(value);
        }
    }
    world.note(|| format!("scan of {key}: {value}"));
    let result = CheckResult { etag, value: value.to_owned() };
    send(&world, &Checked { key, check: Check::Scan, result });
}

async fn moderate(world: Rc<World>, key: String) {
    world.pause(Duration::from_millis(100)..Duration::from_secs(5)).await;
    let Some((etag, is_infected)) = look(&world, &key) else { return };
    world.pause(Duration::from_secs(1)..Duration::from_hours(3)).await;
    let value = if is_infected { "REJECTED" } else { "APPROVED" };
    if !is_infected {
        world.network.services().s3.approved.insert(etag.clone());
    }
    world.note(|| format!("moderation of {key}: {value}"));
    let result = CheckResult { etag, value: value.to_owned() };
    send(&world, &Checked { key, check: Check::Moderation, result });
}

/// Sends a verdict: late, twice, or not at all.
fn send(world: &Rc<World>, checked: &Checked) {
    if world.mishap(5) {
        world.note(|| format!("verdict on {} lost", checked.key));
        return;
    }
    let copies = if world.mishap(10) { 2 } else { 1 };
    for _ in 0..copies {
        let limit = if world.mishap(10) { Duration::from_hours(2) } else { Duration::from_secs(2) };
        let (world, event) = (world.clone(), event(UPLOADS, checked));
        world.clone().spawn(async move {
            world.pause(Duration::from_millis(10)..limit).await;
            asynchronous(world, event).await;
        });
    }
}
