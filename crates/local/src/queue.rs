//! Asynchronous invocation as in Lambda: an event that fails is retried with back-off (twice for S3 events), and then
//! stays in the dead-letter queue until it is replayed.
//!
//! Events are stored as files, so that they survive a restart: `queue/` holds pending events, `dlq/` failed ones. A
//! file in `queue/` without an event is an intent: a write to S3 that had begun. At the next start it becomes an event
//! if the object exists.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use upreel_core::{Fault, Sequencer};
use upreel_store::ObjectStore;
use uuid::Uuid;

use crate::files::{load, path, remove_temporary, save};
use crate::notification::{CompletedWrite, Intent};

/// Maximum number of events that are handled at the same time.
const CONCURRENCY: usize = 2;
/// The function that handles events.
pub type Handler = Arc<dyn Fn(Value) -> BoxFuture<'static, Result<(), Fault>> + Send + Sync>;

/// Delays between the attempts. Lambda waits one minute, then two.
pub const BACK_OFF: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

/// The pending events of one function, and its dead-letter queue.
pub struct Queue {
    waiting: PathBuf,
    dead: PathBuf,
    /// The files that an earlier process left, until [`Queue::resume`] sends them.
    left: Mutex<Vec<Job>>,
    /// Number of times that each pending event was sent. Its file is removed when the last of them is done.
    pending: Mutex<HashMap<String, usize>>,
    sender: mpsc::UnboundedSender<Job>,
    receiver: Mutex<Option<mpsc::UnboundedReceiver<Job>>>,
    sequence: AtomicU64,
}

/// The contents of a file in `queue/`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Job {
    id: String,
    key: String,
    /// `None` for an intent.
    event: Option<Value>,
}

/// An event that failed on every attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// The identifier of the message.
    pub id: String,
    /// The key of the S3 object that the event is about.
    pub key: String,
    /// The error of the last attempt.
    pub error: String,
    /// The number of attempts.
    pub attempts: usize,
    /// The event, as the function received it.
    pub event: Value,
}

impl Queue {
    /// Opens the queue whose files are in `data`. It handles no events until [`Queue::run`] is called.
    ///
    /// # Errors
    /// When the folders cannot be created or read.
    pub fn open(data: &Path) -> io::Result<Self> {
        let (waiting, dead) = (data.join("queue"), data.join("dlq"));
        fs::create_dir_all(&waiting)?;
        fs::create_dir_all(&dead)?;
        remove_temporary(&waiting)?;
        remove_temporary(&dead)?;
        let left = Mutex::new(load(&waiting)?);
        let (sender, receiver) = mpsc::unbounded_channel();
        let receiver = Mutex::new(Some(receiver));
        Ok(Self {
            waiting,
            dead,
            left,
            pending: Mutex::default(),
            sender,
            receiver,
            sequence: AtomicU64::new(0),
        })
    }

    /// Stores the intent to write an object.
    pub(crate) fn intend(&self, key: &str) -> io::Result<Intent> {
        let job = Job { id: Uuid::now_v7().to_string(), key: key.to_owned(), event: None };
        let path = save(&self.waiting, &job.id, &job)?;
        Ok(Intent { path, id: job.id, done: false })
    }

    /// Replaces an intent by the event of the write, and sends it.
    pub(crate) fn send_created(&self, mut intent: Intent, object: &CompletedWrite<'_>) -> io::Result<()> {
        // If the event cannot be stored, the intent remains and becomes an event at the next start.
        intent.done = true;
        self.send(intent.id.clone(), object.key.to_owned(), object.event(self.sequencer()))
    }

    /// Stores an event and sends it. It replaces a pending event with the same identifier.
    pub(crate) fn send(&self, id: String, key: String, event: Value) -> io::Result<()> {
        let job = Job { id, key, event: Some(event) };
        save(&self.waiting, &job.id, &job)?;
        self.enqueue(job);
        Ok(())
    }

    fn enqueue(&self, job: Job) {
        *lock(&self.pending).entry(job.id.clone()).or_default() += 1;
        // Sending fails while the backend shuts down. The file remains and is read at the next start.
        let _ = self.sender.send(job);
    }

    /// Sends an event notification of S3 again, unless it still waits since the last time: a queue that is behind must not
    /// become longer.
    pub(crate) fn send_again(&self, event: Value) -> io::Result<()> {
        let object = &event["Records"][0]["s3"]["object"];
        let text = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
        let (key, sequencer) = (text("key"), text("sequencer"));
        let file = key.rsplit('/').next().unwrap_or_default();
        let id = format!("{file}-{sequencer}");
        if self.is_pending(&id) { Ok(()) } else { self.send(id, key, event) }
    }

    /// Returns whether an event is pending.
    pub(crate) fn is_pending(&self, id: &str) -> bool {
        lock(&self.pending).contains_key(id)
    }

    /// Returns a sequencer greater than all earlier ones, including those of an earlier process.
    fn sequencer(&self) -> Sequencer {
        // 16 digits are always a sequencer.
        format!("{:016X}", self.next_number()).parse().unwrap_or_else(|_| Sequencer::lowest())
    }

    /// Returns a number greater than all earlier ones: the time in nanoseconds, or one more than the last number.
    fn next_number(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        let last = self.sequence.fetch_max(now, Ordering::Relaxed);
        if last < now { now } else { self.sequence.fetch_add(1, Ordering::Relaxed) + 1 }
    }

    /// Sends the events that an earlier process left pending, and returns their number.
    ///
    /// # Errors
    /// When a file cannot be written, or a HEAD request to the bucket fails.
    pub async fn resume(&self, objects: &ObjectStore, bucket: &str) -> Result<usize, Fault> {
        let jobs = std::mem::take(&mut *lock(&self.left));
        let mut resumed = 0;
        for job in jobs {
            if job.event.is_some() {
                resumed += 1;
                self.enqueue(job);
                continue;
            }
            let intent = Intent { path: path(&self.waiting, &job.id), id: job.id, done: false };
            let Ok(key) = job.key.parse() else { continue };
            if let Some(head) = objects.head(&key).await? {
                let (key, event_name) = (&job.key, "ObjectCreated:Put");
                let object = CompletedWrite { bucket, key, event_name, size: head.size, etag: &head.etag };
                self.send_created(intent, &object).map_err(|error| Fault::new("write the queue", &error))?;
                resumed += 1;
            }
        }
        Ok(resumed)
    }

    /// Handles events until the future is dropped. Only the first call has an effect. `give_up` handles the events that
    /// become dead letters, as Lambda's destination of failed events does.
    pub async fn run(self: Arc<Self>, handler: Handler, back_off: Vec<Duration>, give_up: Option<Handler>) {
        let slots = Arc::new(Semaphore::new(CONCURRENCY));
        let receiver = lock(&self.receiver).take();
        let Some(mut receiver) = receiver else { return };
        let mut tasks = JoinSet::<()>::new();
        while let Some(job) = receiver.recv().await {
            let (queue, handler, slots) = (self.clone(), handler.clone(), slots.clone());
            let (back_off, give_up) = (back_off.clone(), give_up.clone());
            tasks.spawn(async move {
                queue.process(job, &handler, &slots, &back_off, give_up.as_ref()).await;
            });
            while tasks.try_join_next().is_some() {}
        }
    }

    /// Handles one event, with retries, until it succeeds or becomes a dead letter.
    async fn process(
        &self,
        job: Job,
        handler: &Handler,
        slots: &Semaphore,
        back_off: &[Duration],
        give_up: Option<&Handler>,
    ) {
        let Some(event) = job.event.clone() else { return };
        let mut delays = back_off.iter();
        loop {
            let result = {
                let _slot = slots.acquire().await;
                handler(event.clone()).await
            };
            let fault = match result {
                Ok(()) => break,
                Err(fault) => fault,
            };
            let Some(delay) = delays.next() else {
                tracing::error!(key = job.key, %fault, "all attempts failed, the event is now a dead letter");
                let attempts = back_off.len() + 1;
                let letter = DeadLetter {
                    id: job.id.clone(),
                    key: job.key.clone(),
                    error: fault.to_string(),
                    attempts,
                    event: event.clone(),
                };
                if let Err(error) = save(&self.dead, &job.id, &letter) {
                    // The event stays in the queue and is sent again at the next start.
                    tracing::error!(%error, "could not write to the dead-letter queue");
                    return;
                }
                if let Some(give_up) = give_up
                    && let Err(fault) = give_up(event).await
                {
                    tracing::warn!(%fault, "the failure could not be recorded, the reconciler will");
                }
                break;
            };
            tokio::time::sleep(*delay).await;
        }
        self.remove(&job.id);
    }

    /// Removes the file of a finished event, unless the same event was sent again.
    fn remove(&self, id: &str) {
        let mut pending = lock(&self.pending);
        if let Some(times @ 2..) = pending.get_mut(id) {
            *times -= 1;
            return;
        }
        pending.remove(id);
        if let Err(error) = fs::remove_file(path(&self.waiting, id)) {
            tracing::warn!(%error, "could not remove a finished event from the queue");
        }
    }

    /// Returns the dead letters, oldest first.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn dead_letters(&self) -> io::Result<Vec<DeadLetter>> {
        load(&self.dead)
    }

    /// Deletes a dead letter. Succeeds if there is none.
    ///
    /// # Errors
    /// When its file cannot be removed.
    pub fn delete_dead_letter(&self, id: &str) -> io::Result<()> {
        match fs::remove_file(path(&self.dead, id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Sends the events of all dead letters again, and returns their number.
    ///
    /// # Errors
    /// When a file cannot be moved.
    pub fn replay(&self) -> io::Result<usize> {
        let letters = self.dead_letters()?;
        let count = letters.len();
        for letter in letters {
            self.send(letter.id.clone(), letter.key, letter.event)?;
            fs::remove_file(path(&self.dead, &letter.id))?;
        }
        Ok(count)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_finished_event_leaves_the_file_of_the_same_event_sent_again() {
        let data = tempfile::tempdir().unwrap();
        let queue = Arc::new(Queue::open(data.path()).unwrap());
        for _ in 0..2 {
            queue.send("run".to_owned(), "key".to_owned(), json!({})).unwrap();
        }
        let file = path(&data.path().join("queue"), "run");
        queue.remove("run");
        assert!(file.exists(), "the second one is pending");
        queue.remove("run");
        assert!(!file.exists());
    }
}
