//! Asynchronous invocation as in Lambda: an event that fails is retried with back-off (twice for S3 events), and then
//! stays in the dead-letter queue until it is replayed.
//!
//! Events are stored as files, so that they survive a restart: `queue/` holds pending events, `dlq/` failed ones. A
//! file in `queue/` without an event is an intent: a write to S3 that had begun. At the next start it becomes an event
//! if the object exists.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use upreel_core::Fault;
use upreel_store::ObjectStore;
use uuid::Uuid;

/// Maximum number of events that are handled at the same time.
const CONCURRENCY: usize = 2;
/// Everything that S3 encodes in the keys of events.
const NOT_IN_EVENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/');

/// The function that handles events.
pub type Handler = Arc<dyn Fn(Value) -> BoxFuture<'static, Result<(), Fault>> + Send + Sync>;

/// Delays between the attempts. Lambda waits one minute, then two.
pub const BACK_OFF: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

/// The pending events of one function, and its dead-letter queue.
pub struct Queue {
    waiting: PathBuf,
    dead: PathBuf,
    sender: mpsc::UnboundedSender<Job>,
    receiver: Mutex<Option<mpsc::UnboundedReceiver<Job>>>,
    sequence: AtomicU64,
}

/// The contents of a file in `queue/`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Job {
    id: Uuid,
    key: String,
    /// `None` for an intent.
    event: Option<Value>,
}

/// An event that failed on every attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// The identifier of the message.
    pub id: Uuid,
    /// The key of the S3 object that the event is about.
    pub key: String,
    /// The error of the last attempt.
    pub error: String,
    /// The number of attempts.
    pub attempts: usize,
    /// The event, as the function received it.
    pub event: Value,
}

/// A completed write to S3.
pub(crate) struct CompletedWrite<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    /// The `eventName`, such as `ObjectCreated:Put`.
    pub(crate) event_name: &'static str,
    pub(crate) size: u64,
    pub(crate) etag: &'a str,
}

/// The stored intent of a write to S3 that has begun. Its file is removed when it is dropped before the write is done.
pub(crate) struct Intent {
    path: PathBuf,
    id: Uuid,
    done: bool,
}

impl Drop for Intent {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Queue {
    /// Opens the queue whose files are in `data`. It handles no events until [`Queue::run`] is called.
    ///
    /// # Errors
    /// When the folders cannot be created.
    pub fn open(data: &Path) -> io::Result<Self> {
        let (waiting, dead) = (data.join("queue"), data.join("dlq"));
        fs::create_dir_all(&waiting)?;
        fs::create_dir_all(&dead)?;
        let (sender, receiver) = mpsc::unbounded_channel();
        Ok(Self { waiting, dead, sender, receiver: Mutex::new(Some(receiver)), sequence: AtomicU64::new(0) })
    }

    /// Stores the intent to write an object.
    pub(crate) fn intend(&self, key: &str) -> io::Result<Intent> {
        let job = Job { id: Uuid::now_v7(), key: key.to_owned(), event: None };
        let path = save(&self.waiting, job.id, &job)?;
        Ok(Intent { path, id: job.id, done: false })
    }

    /// Replaces an intent by the event of the write, and sends it.
    pub(crate) fn send_created(&self, mut intent: Intent, object: &CompletedWrite<'_>) -> io::Result<()> {
        let job = Job { id: intent.id, key: object.key.to_owned(), event: Some(self.event(object)) };
        save(&self.waiting, job.id, &job)?;
        intent.done = true;
        // Sending fails while the backend shuts down. The file remains and is read at the next start.
        let _ = self.sender.send(job);
        Ok(())
    }

    /// Sends an event. It replaces a pending event with the same identifier.
    pub(crate) fn send(&self, id: Uuid, key: String, event: Value) -> io::Result<()> {
        let job = Job { id, key, event: Some(event) };
        save(&self.waiting, id, &job)?;
        let _ = self.sender.send(job);
        Ok(())
    }

    /// Returns the S3 event notification for a write.
    fn event(&self, object: &CompletedWrite<'_>) -> Value {
        json!({"Records": [{
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": "us-east-1",
            "eventName": object.event_name,
            "s3": {
                "s3SchemaVersion": "1.0",
                "bucket": {"name": object.bucket, "arn": format!("arn:aws:s3:::{}", object.bucket)},
                "object": {
                    "key": form_encode(object.key),
                    "size": object.size,
                    "eTag": object.etag,
                    "sequencer": format!("{:016X}", self.sequencer()),
                },
            },
        }]})
    }

    /// Returns a number greater than all earlier ones, including those of an earlier process: the time in nanoseconds,
    /// or one more than the last number.
    fn sequencer(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        let last = self.sequence.fetch_max(now, Ordering::Relaxed);
        if last < now { now } else { self.sequence.fetch_add(1, Ordering::Relaxed) + 1 }
    }

    /// Sends the events that an earlier process left pending, and returns their number.
    ///
    /// # Errors
    /// When a file cannot be read, or a HEAD request to the bucket fails.
    pub async fn resume(&self, objects: &ObjectStore, bucket: &str) -> Result<usize, Fault> {
        let jobs: Vec<Job> = load(&self.waiting).map_err(|error| Fault::new("read the queue", &error))?;
        let mut resumed = 0;
        for job in jobs {
            if job.event.is_some() {
                resumed += 1;
                let _ = self.sender.send(job);
                continue;
            }
            let intent = Intent { path: path(&self.waiting, job.id), id: job.id, done: false };
            let Ok(key) = job.key.parse() else { continue };
            if let Some(head) = objects.head(&key).await? {
                let etag = head.etag.trim_matches('"');
                let (key, event_name) = (&job.key, "ObjectCreated:Put");
                let object = CompletedWrite { bucket, key, event_name, size: head.size, etag };
                self.send_created(intent, &object).map_err(|error| Fault::new("write the queue", &error))?;
                resumed += 1;
            }
        }
        Ok(resumed)
    }

    /// Handles events until the future is dropped. Only the first call has an effect.
    pub async fn run(self: Arc<Self>, handler: Handler, back_off: Vec<Duration>) {
        let slots = Arc::new(Semaphore::new(CONCURRENCY));
        let receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut receiver) = receiver else { return };
        let mut tasks = JoinSet::<()>::new();
        while let Some(job) = receiver.recv().await {
            let (queue, handler, slots) = (self.clone(), handler.clone(), slots.clone());
            let back_off = back_off.clone();
            tasks.spawn(async move {
                queue.process(job, &handler, &slots, &back_off).await;
            });
            while tasks.try_join_next().is_some() {}
        }
    }

    /// Handles one event, with retries, until it succeeds or becomes a dead letter.
    async fn process(&self, job: Job, handler: &Handler, slots: &Semaphore, back_off: &[Duration]) {
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
                    id: job.id,
                    key: job.key.clone(),
                    error: fault.to_string(),
                    attempts,
                    event,
                };
                if let Err(error) = save(&self.dead, job.id, &letter) {
                    // The event stays in the queue and is sent again at the next start.
                    tracing::error!(%error, "could not write to the dead-letter queue");
                    return;
                }
                break;
            };
            tokio::time::sleep(*delay).await;
        }
        if let Err(error) = fs::remove_file(path(&self.waiting, job.id)) {
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

    /// Sends the events of all dead letters again, and returns their number.
    ///
    /// # Errors
    /// When a file cannot be moved.
    pub fn replay(&self) -> io::Result<usize> {
        let letters = self.dead_letters()?;
        let count = letters.len();
        for letter in letters {
            let job = Job { id: letter.id, key: letter.key, event: Some(letter.event) };
            save(&self.waiting, job.id, &job)?;
            fs::remove_file(path(&self.dead, letter.id))?;
            let _ = self.sender.send(job);
        }
        Ok(count)
    }
}

fn path(folder: &Path, id: Uuid) -> PathBuf {
    folder.join(format!("{id}.json"))
}

/// Writes a file atomically: to a temporary name, then renamed.
fn save(folder: &Path, id: Uuid, value: &impl Serialize) -> io::Result<PathBuf> {
    let path = path(folder, id);
    let temporary = path.with_extension("part");
    fs::write(&temporary, serde_json::to_vec(value)?)?;
    fs::rename(&temporary, &path)?;
    Ok(path)
}

/// Reads every file of a folder, oldest first: the names are `UUIDv7`, which sort by time.
fn load<T: for<'a> Deserialize<'a>>(folder: &Path) -> io::Result<Vec<T>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths.iter().map(|path| Ok(serde_json::from_slice(&fs::read(path)?)?)).collect()
}

/// Encodes a key as S3 does in events: as form data, but with slashes.
fn form_encode(key: &str) -> String {
    // A percent sign in the key is encoded too, so every `%20` is a space.
    utf8_percent_encode(key, NOT_IN_EVENT).to_string().replace("%20", "+")
}

#[cfg(test)]
mod tests {
    use super::form_encode;

    #[test]
    fn encodes_keys_as_s3_does() {
        assert_eq!(form_encode("videos/a b/c+d%20é*.mp4"), "videos/a+b/c%2Bd%2520%C3%A9*.mp4");
        assert_eq!(form_encode("eu-central-1:x_y~"), "eu-central-1%3Ax_y%7E");
    }
}
