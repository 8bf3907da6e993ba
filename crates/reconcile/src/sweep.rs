//! Examines the rows that have been in a state for too long.
//!
//! | row | what is done |
//! |---|---|
//! | `PENDING`, `UPLOADED`, the object exists | The event is sent, with a sequencer that every real event outranks. |
//! | `PENDING`, no object | Nothing; the row expires. Its reservation ends then. |
//! | `UPLOADED`, no object | `FAILED` with the code `LOST`. |
//! | `UPLOADED`, held until checked | The event is sent again, at most three times; then `FAILED` with the code `NOT_CHECKED`. |
//! | `PROCESSING` | The event is sent again, at most three times. |
//! | `FAILED` with the code `INTERNAL` | The event is sent again, at most three times. |
//! | `PROCESSED`, the storyboard is missing after a fault | The event is sent again, at most three times. |
//! | `PROCESSED`, transcoding does not run, or failed with the code `INTERNAL` | A new execution, at most three times. |
//! | objects of earlier uploads | They are deleted. |
//! | `DELETED` | All objects are deleted, also from the cache of the CDN, until two passes find none. |
//!
//! Of each row, what it counts for its user's quota is set right first.
//!
//! Each row is postponed before it is handled: if the handler dies, the row is due again later.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;
use upreel_core::check::Verdict;
use upreel_core::limits::{Limits, MAX_REPLAYS, Wait};
use upreel_core::video::{Record, millis, seconds};
use upreel_core::{Failure, Fault, Key, Sequencer, Status};
use upreel_events::s3::{self, Created};
use upreel_function::App;
use upreel_store::objects::Head;
use upreel_store::videos::{Attention, Due};

use crate::{Workers, count, expiry, give_up};

/// Maximum number of rows of one shard in a sweep; the rest follows in the next one.
const MAX_ROWS: usize = 200;
/// Maximum number of rows that are handled at the same time.
const PARALLEL: usize = 8;
/// Time before the row of an unused upload expires at which it is examined for the last time.
const BEFORE_EXPIRY: Duration = Duration::from_mins(15);

/// What a sweep has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Rows that were set going again, or cleaned up.
    pub healed: usize,
    /// Rows that cannot be healed: the cause is still there after all replays.
    pub stuck: usize,
    /// Rows of objects whose events had not arrived, which are healed too.
    pub unprocessed: usize,
}

/// The result of examining one row.
#[derive(Debug)]
pub(crate) enum Examined {
    Nothing,
    Healed,
    Stuck,
    /// Its object was stored, and its event has not arrived: it was sent again.
    Unprocessed,
    /// Its event was given up. All such rows are handled together, see `replay`.
    GivenUp(Box<Record>),
}

impl Examined {
    /// Names the row in the log: operators have to look at it.
    pub(crate) fn stuck(record: &Record) -> Self {
        tracing::error!(videoId = %record.video.video_id, "video is stuck, no further attempt is made");
        Self::Stuck
    }
}

/// Examines the rows that are due.
///
/// # Errors
/// Returns the first fault. The other rows are examined all the same.
pub async fn run(app: &App, workers: &impl Workers, deadline: Instant) -> Result<Swept, Fault> {
    let sweep = Sweep { app, workers };
    let mut swept = Swept::default();
    let mut first_fault = sweep.delete_settled_letters().await.err();
    let due = stream::iter(Record::shards())
        .map(|shard| async move { app.videos.list_due(&shard, MAX_ROWS).await })
        .buffered(PARALLEL);
    let due: Vec<Vec<Due>> = due.try_collect().await?;
    let mut given_up = Vec::new();
    let mut records = stream::iter(due.into_iter().flatten())
        .map(|due| async move {
            if Instant::now() >= deadline {
                return Ok(Examined::Nothing);
            }
            match sweep.still_due(due).await? {
                Some(record) => sweep.examine(record).await,
                None => Ok(Examined::Nothing),
            }
        })
        .buffer_unordered(PARALLEL);
    while let Some(result) = records.next().await {
        match result {
            Ok(Examined::GivenUp(record)) => given_up.push(*record),
            Ok(examined) => swept.add(&examined),
            Err(fault) => {
                tracing::warn!(%fault, "row could not be examined");
                first_fault.get_or_insert(fault);
            }
        }
    }
    drop(records);
    if let Err(fault) = Box::pin(sweep.replay(given_up, &mut swept)).await {
        first_fault.get_or_insert(fault);
    }
    if let Err(fault) = expiry::delete_expired(app, deadline).await {
        first_fault.get_or_insert(fault);
    }
    count(&[("Sweeps", 1), ("Healed", swept.healed), ("Stuck", swept.stuck)]);
    // A metric of its own, and only then: idle stacks would pay for it.
    if swept.unprocessed > 0 {
        count(&[("Unprocessed", swept.unprocessed)]);
    }
    if swept != Swept::default() {
        tracing::info!(healed = swept.healed, stuck = swept.stuck, "swept");
    }
    first_fault.map_or(Ok(swept), Err)
}

impl Swept {
    pub(crate) fn add(&mut self, examined: &Examined) {
        match examined {
            Examined::Nothing | Examined::GivenUp(_) => {}
            Examined::Healed => self.healed += 1,
            Examined::Stuck => self.stuck += 1,
            Examined::Unprocessed => {
                self.healed += 1;
                self.unprocessed += 1;
            }
        }
    }
}

pub(crate) struct Sweep<'a, W> {
    pub(crate) app: &'a App,
    pub(crate) workers: &'a W,
}

impl<W> Clone for Sweep<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W> Copy for Sweep<'_, W> {}

impl<W: Workers> Sweep<'_, W> {
    pub(crate) fn limits(&self) -> &Limits {
        self.app.videos.limits()
    }

    /// Returns the row, unless it has changed since it was listed: the index is updated later than the table.
    async fn still_due(&self, due: Due) -> Result<Option<Record>, Fault> {
        let now = millis(self.app.videos.now());
        let record = self.app.videos.get(due.id).await?;
        Ok(record.filter(|record| record.due.is_some_and(|due| due <= now)))
    }

    async fn examine(&self, record: Record) -> Result<Examined, Fault> {
        // A reservation ends only if there is no object, whose event would find no room then.
        if record.video.status != Status::Pending {
            self.app.settle(&record).await?;
        }
        if record.video.status == Status::Failed && record.is_in_progress() {
            return Ok(Examined::GivenUp(Box::new(record)));
        }
        let record = &record;
        match record.video.status {
            Status::Pending => self.pending(record).await,
            Status::Uploaded if record.is_held() => self.held(record).await,
            Status::Uploaded => self.uploaded(record).await,
            Status::Processing => self.processing(record).await,
            Status::Processed if record.incomplete => self.incomplete(record).await,
            Status::Processed | Status::Failed => self.finished(record).await,
            Status::Deleted => self.deleted(record).await,
        }
    }

    async fn pending(&self, record: &Record) -> Result<Examined, Fault> {
        if self.send_unseen(record, self.limits().upload_again).await? {
            return Ok(Examined::Unprocessed);
        }
        let left = record.expiry().unwrap_or_default().saturating_sub(seconds(self.app.videos.now()));
        let left = Duration::from_secs(left);
        // DynamoDB does not delete a row that counts. So it is examined once more, after it has expired.
        let left = if record.counted.is_some() { Some(left) } else { left.checked_sub(BEFORE_EXPIRY) };
        let next = left.filter(|left| !left.is_zero()).map(|left| left.min(self.limits().upload_again));
        if next.is_none() {
            self.app.settle(record).await?;
        }
        self.postpone(record, next, Attention::None).await?;
        Ok(Examined::Nothing)
    }

    async fn uploaded(&self, record: &Record) -> Result<Examined, Fault> {
        if self.send_unseen(record, self.limits().event).await? {
            return Ok(Examined::Unprocessed);
        }
        self.app.videos.mark_lost(record.video.video_id, record.counted.is_some()).await?;
        Ok(Examined::Healed)
    }

    /// Sends the event of an object that waits for a verdict, which may be lost. In the end there is none: a verdict that comes
    /// later is still followed. If another object is there, whose event is lost, sends that event.
    async fn held(&self, record: &Record) -> Result<Examined, Fault> {
        let (Some(mut created), Ok(key)) = (Created::of(record), record.key.parse::<Key>()) else {
            return Ok(Examined::stuck(record));
        };
        let id = record.video.video_id;
        let Some(Head { size, etag, .. }) = self.app.objects.head(&key).await? else {
            self.app.videos.mark_lost(id, record.counted.is_some()).await?;
            return Ok(Examined::Healed);
        };
        let replays = record.replays();
        if etag != created.etag
            && let Some(sequencer) = created.sequencer.successor()
        {
            created = Created { size, etag, sequencer, ..created };
        } else if replays >= MAX_REPLAYS && record.verdict(self.app.config.checks, &etag) != Verdict::Pending
        {
            give_up::give_up(self.app, &created).await?;
            return Ok(Examined::stuck(record));
        } else if replays >= MAX_REPLAYS {
            let failure = Failure::not_checked("There is no verdict in time.");
            let is_examined = !record.superseded().is_empty();
            let result = ((created.size, created.etag.as_str()), &failure);
            self.app.videos.refuse(id, &created.sequencer, result, is_examined).await?;
            return Ok(Examined::stuck(record));
        }
        let next = self.limits().get(Wait::Replay(replays + 1)).unwrap_or(self.limits().event);
        if self.postpone(record, Some(next), Attention::Replay).await? {
            self.send(&created).await?;
        }
        Ok(Examined::Nothing)
    }

    /// Sends the event of an object whose own event has not arrived. Returns whether the object exists. The row is examined
    /// again when it is twice as old: if events wait for hours, more of them would only make it worse.
    async fn send_unseen(&self, record: &Record, next: Duration) -> Result<bool, Fault> {
        let Ok(key) = record.key.parse::<Key>() else { return Ok(false) };
        let Some(head) = self.app.objects.head(&key).await? else { return Ok(false) };
        let created =
            record.video.upload_time.as_deref().and_then(|time| humantime::parse_rfc3339(time).ok());
        let age = created.and_then(|created| self.app.videos.now().duration_since(created).ok());
        if self.postpone(record, Some(next.max(age.unwrap_or_default())), Attention::None).await? {
            let Head { size, etag, .. } = head;
            self.send(&Created { key: record.key.clone(), size, etag, sequencer: Sequencer::lowest() })
                .await?;
        }
        Ok(true)
    }

    async fn processing(&self, record: &Record) -> Result<Examined, Fault> {
        let Some(created) = Created::of(record) else { return Ok(Examined::stuck(record)) };
        if record.replays() >= MAX_REPLAYS {
            give_up::give_up(self.app, &created).await?;
            return Ok(Examined::stuck(record));
        }
        if self.postpone(record, Some(self.limits().result), Attention::Replay).await? {
            self.send(&created).await?;
        }
        Ok(Examined::Healed)
    }

    async fn incomplete(&self, record: &Record) -> Result<Examined, Fault> {
        match Created::of(record) {
            Some(created) if record.replays() < MAX_REPLAYS => {
                if self.postpone(record, Some(self.limits().storyboard), Attention::Replay).await? {
                    self.send(&created).await?;
                }
                Ok(Examined::Healed)
            }
            Some(Created { sequencer, .. }) => {
                self.app.videos.complete(record.video.video_id, &sequencer, None, None).await?;
                Ok(Examined::stuck(record))
            }
            None => Ok(Examined::stuck(record)),
        }
    }

    pub(crate) async fn postpone(
        &self,
        record: &Record,
        delay: Option<Duration>,
        attention: Attention<'_>,
    ) -> Result<bool, Fault> {
        self.app.videos.postpone(record, delay, attention).await
    }

    pub(crate) async fn send(&self, created: &Created) -> Result<(), Fault> {
        tracing::warn!(key = created.key, "event sent again");
        self.workers.send(s3::event(created)).await
    }
}
