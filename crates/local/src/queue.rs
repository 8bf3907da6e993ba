//! Asynchronous invocation as Lambda does it: an event is tried, tried again twice with back-off, and
//! then lies in the dead-letter queue until somebody replays it.
//!
//! Events are files, so that they outlive the process: `queue/` holds what is to be done, `dlq/` what
//! failed. A file in `queue/` without an event is an intent: a write to S3 had begun. At the next start
//! it becomes an event if the object is there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use upreel_core::Fault;
use upreel_store::ObjectStore;
use uuid::Uuid;

/// How many events are worked on at the same time.
const CONCURRENCY: usize = 2;

/// What Lambda would invoke.
pub type Handler = Arc<dyn Fn(Value) -> BoxFuture<'static, Result<(), Fault>> + Send + Sync>;

/// The waits between the attempts; Lambda's are a minute and two.
pub const BACK_OFF: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

/// The events under way, and the dead letters.
pub struct Queue {
    waiting: PathBuf,
    dead: PathBuf,
    sender: mpsc::UnboundedSender<Job>,
    receiver: Mutex<Option<mpsc::UnboundedReceiver<Job>>>,
    sequence: AtomicU64,
}

/// A file of the queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Job {
    id: Uuid,
    key: String,
    /// `None` while it is an intent.
    event: Option<Value>,
}

/// An event that failed on every attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// Names it.
    pub id: Uuid,
    /// The object that it is about.
    pub key: String,
    /// What the last attempt said.
    pub error: String,
    /// How many there were.
    pub attempts: usize,
    /// The event, as the function got it.
    pub event: Value,
}

/// A finished write to S3.
pub(crate) struct StoredObject<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    pub(crate) name: &'static str,
    pub(crate) size: u64,
    pub(crate) etag: &'a str,
}

/// A write to S3 that has begun; taken back when it is dropped.
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
    /// The queue whose files are under `data`. Nothing runs until [`Queue::run`].
    ///
    /// # Errors
    /// When the folders cannot be made.
    pub fn open(data: &Path) -> io::Result<Self> {
        let (waiting, dead) = (data.join("queue"), data.join("dlq"));
        fs::create_dir_all(&waiting)?;
        fs::create_dir_all(&dead)?;
        let (sender, receiver) = mpsc::unbounded_channel();
        Ok(Self { waiting, dead, sender, receiver: Mutex::new(Some(receiver)), sequence: AtomicU64::new(0) })
    }

    pub(crate) fn intend(&self, key: &str) -> io::Result<Intent> {
        let job = Job { id: Uuid::now_v7(), key: key.to_owned(), event: None };
        let path = save(&self.waiting, job.id, &job)?;
        Ok(Intent { path, id: job.id, done: false })
    }

    pub(crate) fn written(&self, mut intent: Intent, written: &StoredObject<'_>) -> io::Result<()> {
        let job = Job { id: intent.id, key: written.key.to_owned(), event: Some(self.event(written)) };
        save(&self.waiting, job.id, &job)?;
        intent.done = true;
        // Nobody receives while the backend is shutting down; the file is there at the next start.
        let _ = self.sender.send(job);
        Ok(())
    }

    /// Puts an event in that is there already; one with the same identifier is replaced.
    pub(crate) fn send(&self, id: Uuid, key: String, event: Value) -> io::Result<()> {
        let job = Job { id, key, event: Some(event) };
        save(&self.waiting, id, &job)?;
        let _ = self.sender.send(job);
        Ok(())
    }

    /// The event, in the words of S3.
    fn event(&self, written: &StoredObject<'_>) -> Value {
        json!({"Records": [{
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": "us-east-1",
            "eventName": written.name,
            "s3": {
                "s3SchemaVersion": "1.0",
                "bucket": {"name": written.bucket, "arn": format!("arn:aws:s3:::{}", written.bucket)},
                "object": {
                    "key": form_encode(written.key),
                    "size": written.size,
                    "eTag": written.etag,
                    "sequencer": format!("{:016X}", self.sequencer()),
                },
            },
        }]})
    }

    /// Greater than every one before, also those of an earlier process.
    fn sequencer(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        let last = self.sequence.fetch_max(now, Ordering::Relaxed);
        if last < now { now } else { self.sequence.fetch_add(1, Ordering::Relaxed) + 1 }
    }

    /// Takes up what an earlier process left; tells how many events.
    ///
    /// # Errors
    /// When a file cannot be read, or the bucket not be asked.
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
                let written =
                    StoredObject { bucket, key: &job.key, name: "ObjectCreated:Put", size: head.size, etag };
                self.written(intent, &written).map_err(|error| Fault::new("write the queue", &error))?;
                resumed += 1;
            }
        }
        Ok(resumed)
    }

    /// Works on the events until it is dropped; may be called once.
    pub async fn run(self: Arc<Self>, handler: Handler, back_off: Vec<Duration>) {
        let slots = Arc::new(Semaphore::new(CONCURRENCY));
        let receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut receiver) = receiver else { return };
        let mut work = JoinSet::<()>::new();
        while let Some(job) = receiver.recv().await {
            let (queue, handler, slots) = (self.clone(), handler.clone(), slots.clone());
            let back_off = back_off.clone();
            work.spawn(async move {
                queue.work(job, &handler, &slots, &back_off).await;
            });
            while work.try_join_next().is_some() {}
        }
    }

    async fn work(&self, job: Job, handler: &Handler, slots: &Semaphore, back_off: &[Duration]) {
        let Some(event) = job.event.clone() else { return };
        let mut waits = back_off.iter();
        loop {
            let result = {
                let _slot = slots.acquire().await;
                handler(event.clone()).await
            };
            let fault = match result {
                Ok(()) => break,
                Err(fault) => fault,
            };
            let Some(wait) = waits.next() else {
                tracing::error!(key = job.key, %fault, "gave up: the event is in the dead-letter queue");
                let attempts = back_off.len() + 1;
                let letter = DeadLetter {
                    id: job.id,
                    key: job.key.clone(),
                    error: fault.to_string(),
                    attempts,
                    event,
                };
                if let Err(error) = save(&self.dead, job.id, &letter) {
                    // The event stays in the queue, for the next start.
                    tracing::error!(%error, "the dead-letter queue cannot be written");
                    return;
                }
                break;
            };
            tokio::time::sleep(*wait).await;
        }
        if let Err(error) = fs::remove_file(path(&self.waiting, job.id)) {
            tracing::warn!(%error, "an event that is done stays in the queue");
        }
    }

    /// The dead letters, oldest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn dead_letters(&self) -> io::Result<Vec<DeadLetter>> {
        load(&self.dead)
    }

    /// Puts the dead letters back into the queue; tells how many.
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

/// Whole or not at all: written beside, then renamed.
fn save(folder: &Path, id: Uuid, value: &impl Serialize) -> io::Result<PathBuf> {
    let path = path(folder, id);
    let part = path.with_extension("part");
    fs::write(&part, serde_json::to_vec(value)?)?;
    fs::rename(&part, &path)?;
    Ok(path)
}

/// Every file of a folder; identifiers are in the order of time.
fn load<T: for<'a> Deserialize<'a>>(folder: &Path) -> io::Result<Vec<T>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths.iter().map(|path| Ok(serde_json::from_slice(&fs::read(path)?)?)).collect()
}

/// As S3 writes keys in events.
fn form_encode(key: &str) -> String {
    key.bytes().fold(String::new(), |text, byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => {
            text + &char::from(byte).to_string()
        }
        b' ' => text + "+",
        other => text + &format!("%{other:02X}"),
    })
}
