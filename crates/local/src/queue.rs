//! Asynchronous invocation as in Lambda: an event that fails is retried with back-off (twice for S3 events), and then
//! stays in the dead-letter queue until it is replayed.
//!
//! Events are stored as files, so that they survive a restart: `queue/` holds pending events, `dlq/` failed ones. An event
//! is read when its turn comes, so events that wait take hardly any memory. A file in `queue/` without an event is an
//! intent: a write to S3 that had begun. At the next start it becomes an event if the object exists.

mod dead_letters;

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
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use upreel_core::{Fault, Sequencer};
use upreel_store::ObjectStore;
use uuid::Uuid;

pub use self::dead_letters::DeadLetter;
use crate::files::{load, path, read, remove_temporary, save};
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
    /// The identifiers of pending events.
    sender: mpsc::UnboundedSender<String>,
    receiver: Mutex<Option<mpsc::UnboundedReceiver<String>>>,
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
        // Counts the event first, so that the same event, which may end now, does not remove the file.
        self.count(&job.id);
        if let Err(error) = save(&self.waiting, &job.id, &job) {
            self.finish(&job.id, |_| {});
            return Err(error);
        }
        self.enqueue(job.id);
        Ok(())
    }

    fn count(&self, id: &str) {
        *lock(&self.pending).entry(id.to_owned()).or_default() += 1;
    }

    fn enqueue(&self, id: String) {
        // Sending fails while the backend shuts down. The file remains and is read at the next start.
        let _ = self.sender.send(id);
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
                self.count(&job.id);
                self.enqueue(job.id);
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
        while let Some(id) = receiver.recv().await {
            // The semaphore is never closed.
            let Ok(slot) = slots.clone().acquire_owned().await else { return };
            let (queue, handler, slots) = (self.clone(), handler.clone(), slots.clone());
            let (back_off, give_up) = (back_off.clone(), give_up.clone());
            tasks.spawn(async move {
                queue.process(&id, &handler, (slot, &slots), &back_off, give_up.as_ref()).await;
            });
            while tasks.try_join_next().is_some() {}
        }
    }

    /// Handles one event, with retries, until it succeeds or becomes a dead letter. A slot is occupied during an attempt.
    async fn process(
        &self,
        id: &str,
        handler: &Handler,
        (slot, slots): (OwnedSemaphorePermit, &Arc<Semaphore>),
        back_off: &[Duration],
        give_up: Option<&Handler>,
    ) {
        let job = match read::<Job>(&path(&self.waiting, id)) {
            Ok(job) => job,
            Err(error) => {
                // The file stays in the queue and is read again at the next start.
                tracing::error!(id, %error, "could not read a pending event");
                return;
            }
        };
        let Some(event) = job.event else { return };
        let mut delays = back_off.iter();
        let mut slot = Some(slot);
        loop {
            let result = handler(event.clone()).await;
            drop(slot.take());
            let fault = match result {
                Ok(()) => break,
                Err(fault) => fault,
            };
            let Some(delay) = delays.next() else {
                tracing::error!(key = job.key, %fault, "all attempts failed, the event is now a dead letter");
                let attempts = back_off.len() + 1;
                let letter = DeadLetter {
                    id: job.id,
                    key: job.key,
                    error: fault.to_string(),
                    attempts,
                    event: event.clone(),
                };
                if let Err(error) = save(&self.dead, id, &letter) {
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
            slot = slots.clone().acquire_owned().await.ok();
        }
        self.finish(id, |file| {
            if let Err(error) = fs::remove_file(file) {
                tracing::warn!(%error, "could not remove a finished event from the queue");
            }
        });
    }

    /// Counts an event as finished. Calls `last` with its file, unless the same event was sent again.
    fn finish(&self, id: &str, last: impl FnOnce(&Path)) {
        let mut pending = lock(&self.pending);
        if let Some(times @ 2..) = pending.get_mut(id) {
            *times -= 1;
            return;
        }
        pending.remove(id);
        last(&path(&self.waiting, id));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Runs a queue whose handler reports the number of each event and waits for permission to end.
    fn started(queue: &Arc<Queue>) -> (mpsc::UnboundedReceiver<i64>, mpsc::UnboundedSender<()>) {
        let (begun, numbers) = mpsc::unbounded_channel();
        let (permission, permitted) = mpsc::unbounded_channel();
        let permitted = Arc::new(tokio::sync::Mutex::new(permitted));
        let handler: Handler = Arc::new(move |event| {
            begun.send(event["number"].as_i64().unwrap()).unwrap();
            let permitted = permitted.clone();
            Box::pin(async move {
                permitted.lock().await.recv().await;
                Ok(())
            })
        });
        tokio::spawn(queue.clone().run(handler, Vec::new(), None));
        (numbers, permission)
    }

    #[tokio::test]
    async fn an_event_that_is_sent_again_while_it_is_handled_is_handled_again() {
        let data = tempfile::tempdir().unwrap();
        let queue = Arc::new(Queue::open(data.path()).unwrap());
        let (mut numbers, permission) = started(&queue);
        let file = path(&data.path().join("queue"), "run");
        for number in 0..4 {
            queue.send("run".to_owned(), "key".to_owned(), json!({"number": number})).unwrap();
            assert_eq!(numbers.recv().await, Some(number), "with the present file");
            if number > 0 {
                permission.send(()).unwrap();
            }
            assert!(file.exists());
        }
        permission.send(()).unwrap();
        while queue.is_pending("run") {
            tokio::task::yield_now().await;
        }
        assert!(!file.exists());
    }

    #[tokio::test]
    async fn events_are_handled_in_the_order_of_sending_and_wait_as_files() {
        let data = tempfile::tempdir().unwrap();
        let queue = Arc::new(Queue::open(data.path()).unwrap());
        for number in 0..20 {
            queue.send(format!("{number:02}"), "key".to_owned(), json!({"number": number})).unwrap();
        }
        let (mut numbers, permission) = started(&queue);
        for number in 0..20 {
            assert_eq!(numbers.recv().await, Some(number));
            if number > 0 {
                permission.send(()).unwrap();
            }
        }
        permission.send(()).unwrap();
        while queue.is_pending("18") || queue.is_pending("19") {
            tokio::task::yield_now().await;
        }
        assert_eq!(load::<Job>(&data.path().join("queue")).unwrap().len(), 0);
    }

    #[tokio::test]
    async fn an_event_that_cannot_be_stored_is_not_pending() {
        let data = tempfile::tempdir().unwrap();
        let queue = Queue::open(data.path()).unwrap();
        fs::remove_dir(data.path().join("queue")).unwrap();
        queue.send("run".to_owned(), "key".to_owned(), json!({})).unwrap_err();
        assert!(!queue.is_pending("run"));
    }
}
