//! The invariants. Some are checked when a response arrives or a row changes, the others at the end, when all faults
//! are over and the reconciler has run.

mod captions;
mod checks;
mod details;
mod leftovers;
mod playback;
mod quotas;
mod renditions;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use upreel_webhook::{Event, Kind};

use crate::clients::Intent;
use crate::content;
use crate::dynamodb::Item;
use crate::s3::{THUMBNAILS, UPLOADS};
use crate::world::World;

/// What the oracle has seen.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    pub(crate) violations: Vec<String>,
    /// The clients' videos.
    pub(crate) intents: Vec<Intent>,
    /// The records of webhooks that are in the dead-letter queue.
    pub(crate) undelivered: Vec<Value>,
    /// The videos whose users have sent a deletion.
    pub(crate) deletions: BTreeSet<String>,
    contents: u64,
    /// The position in the table's stream.
    position: usize,
    /// The identifiers of the webhooks that are due, with their description.
    published: BTreeMap<String, String>,
}

fn text<'a>(item: &'a Value, name: &str) -> &'a str {
    item[name]["S"].as_str().unwrap_or_default()
}

fn error_code(item: &Value) -> &str {
    item["error"]["M"]["code"]["S"].as_str().unwrap_or_default()
}

impl World {
    /// Returns a number for a content that no other upload has.
    pub(crate) fn next_content(&self) -> u64 {
        let mut oracle = self.oracle.borrow_mut();
        oracle.contents += 1;
        oracle.contents
    }

    /// No 2xx for what is not durable: the object and the row exist when the response arrives.
    pub(crate) fn check_durable(&self, what: &str, intent: &Intent) {
        let (object, row) = {
            let services = self.network.services();
            let object = services.s3.body(UPLOADS, &intent.key).and_then(|body| content::number(&body));
            (object, services.table.rows.get(&intent.id).cloned())
        };
        if !object.is_some_and(|number| intent.sent.contains(&number)) {
            self.violation(&format!("{what} succeeds, but {} is not stored", intent.key));
        }
        if row.is_none() {
            self.violation(&format!("{what} succeeds, but {} has no row", intent.id));
        }
    }

    /// After 204, the video is deleted for its user.
    pub(crate) fn check_deleted(&self, id: &str) {
        let row = self.network.services().table.rows.get(id).cloned();
        if let Some(row) = row.map(Value::Object)
            && text(&row, "status") != "DELETED"
        {
            self.violation(&format!("DELETE of {id} succeeds, but it is {}", text(&row, "status")));
        }
    }

    /// Follows the table's stream: the status never goes back, and each published transition needs a webhook.
    pub(crate) fn observe(&self) {
        let records = {
            let services = self.network.services();
            let position = self.oracle.borrow().position;
            services.table.stream[position..].to_vec()
        };
        if records.is_empty() {
            return;
        }
        self.oracle.borrow_mut().position += records.len();
        self.check_account();
        for record in records {
            let (old, new) = (&record["dynamodb"]["OldImage"], &record["dynamodb"]["NewImage"]);
            let id = text(&record["dynamodb"]["Keys"], "videoId");
            self.note(|| format!("row {id}: {} -> {}", summary(old), summary(new)));
            if old.is_object() && new.is_object() && !is_forward(old, new) {
                self.violation(&format!("status of {id} goes back: {} -> {}", summary(old), summary(new)));
            }
            self.check_expired(id, old, new);
            self.check_cleared(id, new);
            if is_given_up(new) && !is_given_up(old) && !self.was_given_up(id, new) {
                self.violation(&format!("{id} is {}, but its event was not given up", summary(new)));
            }
            if self.settings.webhooks
                && Kind::from_record(&record).is_some()
                && let Ok(event) = Event::from_record(&record)
            {
                let what = format!("{:?} of {id}", event.kind);
                self.oracle.borrow_mut().published.insert(event.id.to_string(), what);
            }
        }
    }

    /// Checks what must hold at the end.
    pub(crate) fn check_end(&self) {
        self.observe();
        let (rows, objects) = {
            let services = self.network.services();
            let objects = services.s3.objects.iter();
            let objects =
                objects.map(|(id, object)| (id.clone(), object.clone())).collect::<BTreeMap<_, _>>();
            (services.table.rows.clone(), objects)
        };
        let mut named = BTreeSet::new();
        for (id, row) in rows.iter().filter(|(id, _)| !id.contains('#')) {
            self.check_row(id, row, &objects, &mut named);
            self.check_counted(id, row);
        }
        for ((bucket, key), _) in objects.iter().filter(|((_, key), _)| !key.starts_with("work/")) {
            if !named.contains(&(bucket.clone(), key.clone())) {
                self.violation(&format!("no row names {bucket}/{key}"));
            }
        }
        for ((_, key), _) in objects.iter().filter(|((_, key), _)| key.starts_with("work/")) {
            let id = key.split('/').nth(1).unwrap_or_default();
            let is_alive = rows.get(id).is_some_and(|row| row["status"]["S"] != "DELETED");
            if !is_alive {
                self.violation(&format!("{key} remains after the deletion"));
            }
        }
        let numbers = objects.iter().filter(|((bucket, _), _)| bucket == UPLOADS);
        let numbers: Vec<u64> = numbers.filter_map(|(_, object)| content::number(&object.body)).collect();
        let intents = self.oracle.borrow().intents.clone();
        for intent in intents {
            self.check_intent(&intent, rows.get(&intent.id), &numbers);
        }
        self.check_webhooks();
        self.check_reads();
    }

    /// Checks a row and what it names: nothing waits, and everything belongs to the same upload.
    fn check_row(
        &self,
        id: &str,
        row: &Item,
        objects: &BTreeMap<(String, String), crate::s3::Object>,
        named: &mut BTreeSet<(String, String)>,
    ) {
        let row = &Value::Object(row.clone());
        let (status, key) = (text(row, "status"), text(row, "key"));
        let number_of = |bucket: &str, key: &str| {
            objects.get(&(bucket.to_owned(), key.to_owned())).and_then(|object| content::number(&object.body))
        };
        let original = number_of(UPLOADS, key);
        let is_infected = objects.get(&(UPLOADS.to_owned(), key.to_owned()));
        let is_infected = is_infected.is_some_and(|object| content::is_infected(&object.body));
        let is_refused = ["INFECTED", "REJECTED"].contains(&error_code(row));
        if status != "DELETED" && is_infected != is_refused {
            self.violation(&format!("{id} stays {}, but infected is {is_infected}", summary(row)));
        }
        let letters = self.network.services().dead_letters.clone();
        let in_queue = || letters.values().any(|(letter, _)| letter.to_string().contains(id));
        if status != "DELETED" {
            named.insert((UPLOADS.to_owned(), key.to_owned()));
        }
        match status {
            "PENDING" if original.is_none() && row["ttl"]["N"].is_string() => {}
            "FAILED" if error_code(row) == "INTERNAL" && in_queue() => {}
            "PROCESSED" | "DELETED" => {}
            "FAILED" if !["INTERNAL", "NOT_CHECKED"].contains(&error_code(row)) => {}
            _ => self.violation(&format!("{id} stays {}, object {original:?}", summary(row))),
        }
        if let Some(due) = crate::events::due(row.as_object().unwrap())
            && due < self.network.clock.millis()
            && !in_queue()
        {
            self.violation(&format!("{id} is overdue: {}", summary(row)));
        }
        if crate::events::expiry(row.as_object().unwrap())
            .is_some_and(|time| time < self.network.clock.millis())
        {
            self.violation(&format!("{id} is still there after its time: {}", summary(row)));
        }
        if status != "DELETED" {
            self.check_captions(row, objects, named);
        }
        if status != "PROCESSED" {
            return;
        }
        let number = row["durationMs"]["N"].as_str().and_then(|n| content::number_of(n.parse().ok()?));
        if original.is_none() || original != number {
            self.violation(&format!(
                "{id} is processed as content {number:?}, but its object is {original:?}"
            ));
        }
        if row["storyboardKey"]["S"].is_null() {
            self.violation(&format!("{id} has no storyboard"));
        }
        for name in ["thumbnailKey", "thumbnailLargeKey", "storyboardKey"] {
            let track = text(row, name).to_owned();
            let image = track.strip_suffix(".vtt").map(|name| format!("{name}.jpg"));
            for key in [Some(track), image].into_iter().flatten().filter(|key| !key.is_empty()) {
                let shown = number_of(THUMBNAILS, &key);
                if shown != number {
                    self.violation(&format!("{key} shows content {shown:?}, but {id} is content {number:?}"));
                }
                named.insert((THUMBNAILS.to_owned(), key));
            }
        }
        self.check_transcode(id, row, number, objects, named);
        self.check_playback(id, row, number, objects, named);
    }

    /// Checks what a client was told. `stored` are the numbers of all stored uploads.
    fn check_intent(&self, intent: &Intent, row: Option<&Item>, stored: &[u64]) {
        let status = row.and_then(|row| row["status"]["S"].as_str());
        let Intent { id, is_stored, is_delete_sent, is_deleted, .. } = intent;
        let copies = stored.iter().filter(|number| intent.sent.contains(number)).count();
        if intent.is_idempotent && copies > 1 {
            self.violation(&format!("{copies} videos for one idempotency key"));
        }
        if *is_deleted && !matches!(status, None | Some("DELETED")) {
            self.violation(&format!("{id} was deleted, but is {status:?}"));
        }
        // `check_row` has compared the failure with the object.
        let is_refused = row
            .is_some_and(|row| ["INFECTED", "REJECTED"].contains(&error_code(&Value::Object(row.clone()))));
        let expected = if intent.is_video && !is_refused { "PROCESSED" } else { "FAILED" };
        self.check_details(intent, row);
        self.check_sent_captions(intent, row);
        let may_be_deleted =
            *is_delete_sent || intent.details.may_expire && matches!(status, None | Some("DELETED"));
        if *is_stored && !may_be_deleted && status != Some(expected) {
            self.violation(&format!("{id} was stored, but is {status:?}"));
        }
    }

    /// Whether the event of a row is a dead letter, or was replayed as often as the reconciler does.
    fn was_given_up(&self, id: &str, row: &Value) -> bool {
        let sequencer = text(row, "sequencer");
        let letters = &self.network.services().dead_letters;
        let verdicts = letters.values().map(|(letter, _)| &letter["detail"]["s3ObjectDetails"]);
        let mut verdicts = verdicts.filter(|object| object["eTag"].as_str() == Some(text(row, "etag")));
        if verdicts.any(|object| object["objectKey"].as_str().is_some_and(|key| key.contains(id))) {
            return true;
        }
        let mut letters = letters.values().map(|(letter, _)| &letter["Records"][0]["s3"]["object"]);
        let is_own = |object: &Value| {
            let own = object["sequencer"].as_str().is_some_and(|own| sequencer.contains(own));
            own && object["key"].as_str().is_some_and(|key| key.contains(id))
        };
        row["replays"]["M"]["count"]["N"] == "3" || letters.any(is_own)
    }

    /// Returns whether the reconciler has given up on an event after its last replay, so that only operators can replay
    /// it.
    pub(crate) fn needs_operators(&self) -> bool {
        let rows = self.network.services().table.rows.clone();
        rows.into_values().any(|row| crate::events::due(&row).is_none() && is_given_up(&Value::Object(row)))
    }

    /// After a replay without a fault, no video waits for another one.
    pub(crate) fn check_replayed(&self) {
        let rows = self.network.services().table.rows.clone();
        for (id, row) in rows {
            let row = Value::Object(row);
            if is_given_up(&row) {
                self.violation(&format!("{id} is {} after the replay", summary(&row)));
            }
        }
    }

    /// At least one webhook for each published transition.
    fn check_webhooks(&self) {
        let oracle = self.oracle.borrow();
        let dead = oracle.undelivered.iter().filter_map(|record| Event::from_record(record).ok());
        let mut known: BTreeSet<String> = dead.map(|event| event.id.to_string()).collect();
        let received = self.network.services().received.clone();
        known.extend(received.iter().filter_map(|event| event["id"].as_str().map(str::to_owned)));
        let missing = oracle.published.iter().filter(|(id, _)| !known.contains(*id));
        let missing: Vec<String> = missing.map(|(_, what)| what.clone()).collect();
        drop(oracle);
        for what in missing {
            self.violation(&format!("no webhook for {what}"));
        }
    }
}

fn is_given_up(row: &Value) -> bool {
    text(row, "status") == "FAILED" && error_code(row) == "INTERNAL"
}

/// Returns whether a change of a row is allowed: within an upload, the status only advances.
fn is_forward(old: &Value, new: &Value) -> bool {
    const ORDER: [&str; 5] = ["PENDING", "UPLOADED", "PROCESSING", "FAILED", "PROCESSED"];
    let (before, after) = (text(old, "status"), text(new, "status"));
    let (old_event, new_event) = (text(old, "sequencer"), text(new, "sequencer"));
    if after == "DELETED" || old_event < new_event {
        return before != "DELETED" || after == "DELETED";
    }
    let rank = |status: &str| ORDER.iter().position(|known| *known == status);
    let is_repeated = before == "FAILED"
        && ["INTERNAL", "LOST", "INFECTED", "REJECTED", "NOT_CHECKED"].contains(&error_code(old));
    old_event == new_event && (rank(before) <= rank(after) || is_repeated)
}

/// Describes a row.
fn summary(row: &Value) -> String {
    let mut summary = text(row, "status").to_owned();
    let sequencer = text(row, "sequencer").trim_end_matches('0');
    let incomplete = if row["incomplete"]["BOOL"] == true { "incomplete" } else { "" };
    for part in [error_code(row), sequencer, incomplete, text(&row["transcode"]["M"], "status")] {
        if !part.is_empty() {
            summary = format!("{summary} {part}");
        }
    }
    summary
}
