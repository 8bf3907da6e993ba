//! Compares the objects in the buckets with the rows, once a week: the last resort for what no row remembers.
//!
//! - An uploaded file without a row comes back as a video: its event is sent.
//! - An uploaded file that is not the one that its row describes is processed again: its event was lost. So is one
//!   that its row calls lost.
//! - A derived object that no row names is deleted, and so is the uploaded file of a deleted video.
//!
//! Objects that are younger than a day are left alone. The listing ends at its deadline or after 1,000 deletions, and the
//! next run continues where it ended.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use upreel_core::video::Record;
use upreel_core::{Bucket, Failure, Fault, Key, Sequencer, Status, VideoId};
use upreel_events::s3::{self, Created};
use upreel_function::App;
use upreel_store::objects::{Head, Listed};

use crate::finished::is_named;
use crate::{Workers, count};

/// Younger objects may belong to work that is not finished.
const MIN_AGE: Duration = Duration::from_hours(24);
/// Maximum number of deletions in a run. More orphans are a sign of a fault that an operator should look at.
const MAX_DELETIONS: usize = 1000;
/// The name of the note with the position of the listing.
const POSITION: &str = "reconcile#listing";

/// What a listing has found and done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// Objects that no row names.
    pub orphans: usize,
    /// Uploaded files whose event was sent.
    pub healed: usize,
    /// Objects whose key is none of Upreel's. They are left alone.
    pub unknown: usize,
}

/// Lists the buckets. A dry run only reports.
///
/// # Errors
/// Returns a fault if S3 or `DynamoDB` fails. The next run continues at the last page.
pub async fn run(
    app: &App,
    workers: &impl Workers,
    is_dry_run: bool,
    deadline: Instant,
) -> Result<Found, Fault> {
    let mut listing = Listing { app, is_dry_run, found: Found::default(), record: None };
    let (mut bucket, mut after) =
        if is_dry_run { (0, String::new()) } else { position(app.videos.load_note(POSITION).await?) };
    while let Some(&current) = Bucket::ALL.get(bucket) {
        if Instant::now() >= deadline || listing.found.orphans >= MAX_DELETIONS {
            tracing::warn!("listing is not complete, the next one continues");
            break;
        }
        let objects = app.objects.list(current, &after).await?;
        if let Some(last) = objects.last() {
            after.clone_from(&last.key);
        } else {
            (bucket, after) = (bucket + 1, String::new());
        }
        listing.examine(workers, current, objects).await?;
        if !is_dry_run {
            let next = if bucket == Bucket::ALL.len() { 0 } else { bucket };
            app.videos.save_note(POSITION, &json!({"bucket": next, "after": after}).to_string()).await?;
        }
    }
    let Found { orphans, healed, unknown } = listing.found;
    if !is_dry_run {
        count(&[("Orphans", orphans), ("Healed", healed)]);
    }
    tracing::info!(orphans, healed, unknown, is_dry_run, "buckets listed");
    Ok(listing.found)
}

/// Returns the saved position: the number of the bucket, and the last key.
fn position(note: Option<String>) -> (usize, String) {
    let note: Value = note.and_then(|note| serde_json::from_str(&note).ok()).unwrap_or_default();
    let bucket = note["bucket"].as_u64().and_then(|bucket| usize::try_from(bucket).ok()).unwrap_or_default();
    (bucket, note["after"].as_str().unwrap_or_default().to_owned())
}

struct Listing<'a> {
    app: &'a App,
    is_dry_run: bool,
    found: Found,
    /// The row that was read last: the objects of one video follow each other.
    record: Option<(VideoId, Option<Record>)>,
}

impl Listing<'_> {
    async fn examine(
        &mut self,
        workers: &impl Workers,
        bucket: Bucket,
        objects: Vec<Listed>,
    ) -> Result<(), Fault> {
        let old = self.app.videos.now() - MIN_AGE;
        let mut orphans = Vec::new();
        for object in objects.into_iter().filter(|object| object.modified <= old) {
            let Ok(key) = object.key.parse::<Key>() else {
                tracing::warn!(key = object.key, "unknown key, leaving it alone");
                self.found.unknown += 1;
                continue;
            };
            let record = self.record(key.video_id()).await?;
            match (bucket, &record) {
                (Bucket::Uploads, None) => self.send(workers, &key, None, Sequencer::lowest()).await?,
                (Bucket::Uploads, Some(record)) if record.video.status != Status::Deleted => {
                    if let Some(sequencer) = next_event(record, &object) {
                        let known = record.etag.as_deref().filter(|_| !is_lost(record));
                        self.send(workers, &key, known, sequencer).await?;
                    }
                }
                (_, Some(record)) if is_named(record, &key) => {}
                _ => orphans.push(object.key),
            }
        }
        orphans.truncate(MAX_DELETIONS - self.found.orphans.min(MAX_DELETIONS));
        self.found.orphans += orphans.len();
        for key in &orphans {
            tracing::warn!(key, self.is_dry_run, "orphan");
        }
        if self.is_dry_run { Ok(()) } else { self.app.objects.delete_keys(bucket, &orphans).await }
    }

    async fn record(&mut self, id: VideoId) -> Result<Option<Record>, Fault> {
        if self.record.as_ref().is_none_or(|(last, _)| *last != id) {
            self.record = Some((id, self.app.videos.get(id).await?));
        }
        Ok(self.record.as_ref().and_then(|(_, record)| record.clone()))
    }

    /// Sends the event of an object, unless it is the one with the entity tag `known`. The listing may be outdated or
    /// damaged, so the object itself is asked.
    async fn send(
        &mut self,
        workers: &impl Workers,
        key: &Key,
        known: Option<&str>,
        sequencer: Sequencer,
    ) -> Result<(), Fault> {
        let Some(head) = self.app.objects.head(key).await? else { return Ok(()) };
        let Head { size, etag, .. } = head;
        if known == Some(&etag) {
            return Ok(());
        }
        self.found.healed += 1;
        tracing::warn!(%key, self.is_dry_run, "object without a processed row");
        if self.is_dry_run {
            return Ok(());
        }
        workers.send(s3::event(&Created { key: key.to_string(), size, etag, sequencer })).await
    }
}

/// Returns a sequencer to process the object with, if the row describes another object or none.
fn next_event(record: &Record, object: &Listed) -> Option<Sequencer> {
    let is_finished = record.video.status.is_final() && !record.state().is_unfinished();
    let is_described = record.etag.as_deref() == Some(&object.etag) && !is_lost(record);
    match &record.sequencer {
        _ if !is_finished || is_described || record.key != object.key => None,
        Some(sequencer) => sequencer.successor(),
        None => Some(Sequencer::lowest()),
    }
}

/// Returns whether the row calls its object lost.
fn is_lost(record: &Record) -> bool {
    record.video.error.as_ref().is_some_and(|error| error.code == Failure::LOST)
}
