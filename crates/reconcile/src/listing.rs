//! Compares the objects in the buckets with the rows, once a week: the last resort for what no row remembers.
//!
//! - An uploaded file without a row comes back as a video: its event is sent.
//! - An uploaded file that is not the one that its row describes is processed again: its event was lost. So is one
//!   that its row calls lost.
//! - A derived object that no row names is deleted, and so is the uploaded file of a deleted video.
//!
//! Of each row with an uploaded file, what it counts for its user's quota is set right. So videos of the time before quotas
//! count once they are listed.
//!
//! Objects that are younger than a day are left alone. The listing ends at its deadline or after 1,000 deletions, and the
//! next run continues where it ended. If two listings run at the same time, one of them stops.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
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
    let mut note = if is_dry_run { None } else { app.videos.load_note(POSITION).await? };
    let mut position = Position::parse(note.as_deref());
    let pass = position.pass;
    while let Some(&bucket) = Bucket::ALL.get(position.bucket).filter(|_| position.pass == pass) {
        if Instant::now() >= deadline || listing.found.orphans >= MAX_DELETIONS {
            tracing::warn!("listing is not complete, the next one continues");
            break;
        }
        let objects = app.objects.list(bucket, &position.after).await?;
        let last = objects.last().map(|last| last.key.clone());
        Box::pin(listing.examine(workers, bucket, objects)).await?;
        position = position.next(last);
        if !is_dry_run {
            let next = position.to_string();
            if !app.videos.save_note(POSITION, note.as_deref(), &next).await? {
                tracing::warn!("another listing is running, this one stops");
                break;
            }
            note = Some(next);
        }
    }
    let Found { orphans, healed, unknown } = listing.found;
    if !is_dry_run {
        count(&[("Orphans", orphans), ("Healed", healed)]);
    }
    tracing::info!(orphans, healed, unknown, is_dry_run, "buckets listed");
    Ok(listing.found)
}

/// Where the listing continues.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Position {
    /// The number of complete listings before this one: no two positions are equal.
    pass: u64,
    /// The number of the bucket.
    bucket: usize,
    /// The key of the last object that was examined, or empty.
    after: String,
}

impl Position {
    fn parse(note: Option<&str>) -> Self {
        let position: Self = note.and_then(|note| serde_json::from_str(note).ok()).unwrap_or_default();
        if position.bucket < Bucket::ALL.len() { position } else { Self::default() }
    }

    /// Returns the position after a page that ends with the key `last`, or after an empty page, which ends a bucket.
    fn next(self, last: Option<String>) -> Self {
        let Self { pass, bucket, .. } = self;
        match last {
            Some(after) => Self { after, ..self },
            None if bucket + 1 < Bucket::ALL.len() => Self { pass, bucket: bucket + 1, after: String::new() },
            None => Self { pass: pass + 1, ..Self::default() },
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
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
            if let (Bucket::Uploads, Some(record), false) = (bucket, &record, self.is_dry_run)
                && record.video.status != Status::Pending
            {
                self.app.settle(record).await?;
            }
            match (bucket, &record) {
                (Bucket::Uploads, None) => self.send(workers, &key, None, Sequencer::lowest()).await?,
                (Bucket::Uploads, Some(record)) if record.video.status != Status::Deleted => {
                    if let Some(sequencer) = next_event(record, &object) {
                        let known = record.etag.as_deref().filter(|_| !is_lost(record));
                        self.send(workers, &key, known, sequencer).await?;
                    }
                }
                // A row that has expired counts as gone: DynamoDB deletes it later, without the objects.
                (_, Some(record)) if is_named(record, &key) && record.is_visible(self.app.videos.now()) => {}
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
    let is_finished = record.video.status.is_final() && !record.is_in_progress();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_position_occurs_twice() {
        let mut position = Position::parse(None);
        let mut notes = Vec::new();
        for page in (0..2).flat_map(|_| Bucket::ALL).flat_map(|_| [Some("a/1"), Some("a/2"), None]) {
            position = position.next(page.map(ToOwned::to_owned));
            notes.push(position.to_string());
        }
        assert_eq!(position, Position { pass: 2, ..Position::default() });
        assert_eq!(Position::parse(notes.last().map(String::as_str)), position);
        assert!(notes.iter().enumerate().all(|(at, note)| !notes[..at].contains(note)), "{notes:?}");
    }

    #[test]
    fn unknown_note_starts_from_the_beginning() {
        for note in ["", "x", "{}", r#"{"bucket":9}"#] {
            assert_eq!(Position::parse(Some(note)), Position::default(), "{note}");
        }
    }
}
