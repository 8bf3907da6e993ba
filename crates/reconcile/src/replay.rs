//! Events that were given up: their replay, and the dead-letter queue.

use upreel_core::limits::{MAX_REPLAYS, Wait};
use upreel_core::video::Record;
use upreel_core::{Fault, Key, Status};
use upreel_events::Event;
use upreel_events::s3::{self, Created};
use upreel_store::videos::Attention;

use crate::sweep::{Examined, Sweep, Swept};
use crate::{Workers, give_up};

impl<W: Workers> Sweep<'_, W> {
    /// Replays events that were given up. The first one is the canary: unless it succeeds, the others wait, because the
    /// cause is still there.
    pub(crate) async fn replay(&self, records: Vec<Record>, swept: &mut Swept) -> Result<(), Fault> {
        let mut is_canary = true;
        let mut records = records.into_iter();
        while let Some(record) = records.next() {
            let created = Created::of(&record).filter(|_| record.replays() < MAX_REPLAYS);
            let Some(created) = created else {
                self.postpone(&record, None, Attention::None).await?;
                swept.add(&Examined::stuck(&record));
                continue;
            };
            let next = self.limits().get(Wait::Result);
            if !self.postpone(&record, next, Attention::Replay).await? {
                continue;
            }
            if !is_canary {
                self.send(&created).await?;
                swept.add(&Examined::Healed);
                continue;
            }
            if self.workers.attempt(s3::event(&created)).await? {
                is_canary = false;
                swept.add(&Examined::Healed);
                continue;
            }
            // The single attempt was not made by Lambda's queue, so nobody else gives it up.
            give_up::give_up(self.app, &created).await?;
            for record in records.by_ref() {
                self.postpone(&record, self.limits().get(Wait::Replay(0)), Attention::None).await?;
            }
        }
        Ok(())
    }

    /// Deletes the events from the dead-letter queue whose videos have been processed or deleted since.
    pub(crate) async fn delete_settled_letters(&self) -> Result<(), Fault> {
        for letter in self.workers.dead_letters().await? {
            let Ok(events) = upreel_events::parse(&letter.event) else { continue };
            let mut is_settled = !events.is_empty();
            for event in &events {
                is_settled &= match event {
                    Event::Created(created) => self.is_settled(created).await?,
                    // Nothing waits for the verdict any more.
                    Event::Checked(checked) => give_up::checked(self.app, checked).await?.is_none(),
                };
            }
            if is_settled {
                self.workers.delete_dead_letter(&letter.receipt).await?;
            }
        }
        Ok(())
    }

    /// Returns whether an event has nothing left to do.
    async fn is_settled(&self, created: &Created) -> Result<bool, Fault> {
        let Ok(key) = created.key.parse::<Key>() else { return Ok(false) };
        let Some(record) = self.app.videos.get(key.video_id()).await? else { return Ok(false) };
        let is_older = record.sequencer.as_ref() > Some(&created.sequencer);
        let is_done = record.sequencer.as_ref() == Some(&created.sequencer)
            && record.video.status.is_final()
            && !record.is_in_progress();
        Ok(record.video.status == Status::Deleted || is_older || is_done)
    }
}
