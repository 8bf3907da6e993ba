//! Replays and restarts whose cause is still there, by the times of the reconciler's rows. The stores have a clock of their
//! own, which is ahead of that of the backend, so that only the tests find these rows due.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_types::sdk_config::TimeSource;
use serde_json::Value;
use tokio::time::Instant;
use upreel_core::limits::Limits;
use upreel_core::transcode::{Renditions, Run, Transcode, TranscodeStatus};
use upreel_core::video::{Record, millis};
use upreel_core::{Details, Fault, Key, Sequencer, Status, UserId, VideoId};
use upreel_events::Event;
use upreel_function::App;
use upreel_function::config::Config;
use upreel_reconcile::{DeadLetter, Workers, sweep};
use upreel_store::videos::{Attention, Processed, VideoStore};

use crate::harness::{Backend, client_config};

/// A clock that stands still, in milliseconds since 1970.
#[derive(Debug, Clone)]
pub(crate) struct Clock(Arc<AtomicU64>);

impl Clock {
    pub(crate) fn advance(&self, hours: u64) {
        self.0.fetch_add(hours * 3_600_000, SeqCst);
    }

    /// Returns the hours until a row is due.
    fn hours_until(&self, record: &Record) -> Option<f64> {
        let left = record.due?.checked_sub(self.0.load(SeqCst)).unwrap();
        Some(Duration::from_millis(left).as_secs_f64() / 3600.0)
    }
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.load(SeqCst))
    }
}

pub(crate) async fn start() -> (Backend, App, Clock) {
    let backend = Backend::start().await;
    let clock = Clock(Arc::new(AtomicU64::new(millis(SystemTime::now()))));
    clock.advance(1000);
    let sdk = client_config(&backend.local.dynamodb, &backend.local.secret);
    let sdk = sdk.into_builder().time_source(clock.clone()).build();
    let mut app = backend.local.app.clone();
    app.videos = VideoStore::new(&sdk, "VideoMetadata".to_owned(), Limits::default());
    (backend, app, clock)
}

fn user() -> UserId {
    "local".parse().unwrap()
}

fn sequencer() -> Sequencer {
    "0A".parse().unwrap()
}

async fn create(app: &App) -> Key {
    let key = Key::Video { user: user(), id: VideoId::new(), container: None };
    app.videos.create(&key, (user(), "a".into(), "b".into()), None, &Details::default()).await.unwrap();
    key
}

async fn get(app: &App, key: &Key) -> Record {
    app.videos.get(key.video_id()).await.unwrap().unwrap()
}

pub(crate) async fn sweep(workers: &Broken<'_>) {
    sweep::run(workers.app, workers, Instant::now() + Duration::from_hours(1)).await.unwrap();
}

#[tokio::test]
async fn other_replays_wait_until_the_canary_succeeds() {
    let (_backend, app, clock) = start().await;
    let keys = [create(&app).await, create(&app).await];
    for key in &keys {
        app.videos.give_up(key, &user(), &sequencer(), (7, "e"), (0, false)).await.unwrap();
    }
    let workers = Broken::new(&app);
    sweep(&workers).await;
    assert_eq!(workers.attempts.load(SeqCst), 0, "nothing is due yet");
    clock.advance(1);
    sweep(&workers).await;
    assert_eq!((workers.attempts.load(SeqCst), workers.sent.load(SeqCst)), (1, 0));
    let mut records = [get(&app, &keys[0]).await, get(&app, &keys[1]).await];
    records.sort_by_key(Record::replays);
    let found = records.map(|it| (it.video.status, it.replays(), clock.hours_until(&it)));
    assert_eq!(found, [(Status::Failed, 0, Some(1.0)), (Status::Failed, 1, Some(6.0))]);
}

#[tokio::test]
async fn killed_attempts_are_replayed_three_times() {
    let (_backend, app, clock) = start().await;
    let key = create(&app).await;
    app.videos.claim(&key, &user(), &sequencer(), (7, "e")).await.unwrap();
    let workers = Broken::new(&app);
    for _ in 0..4 {
        let record = get(&app, &key).await;
        assert_eq!((record.video.status, clock.hours_until(&record)), (Status::Processing, Some(7.0)));
        clock.advance(7);
        sweep(&workers).await;
    }
    assert_eq!(workers.sent.load(SeqCst), 3);
    let record = get(&app, &key).await;
    assert_eq!((record.video.status, record.due, record.replays()), (Status::Failed, None, 3));
}

#[tokio::test]
async fn transcoding_is_started_again_three_times_with_other_names() {
    let (_backend, mut app, clock) = start().await;
    app.config = Arc::new(Config { state_machine: Some("arn".into()), ..(*app.config).clone() });
    let key = create(&app).await;
    app.videos.claim(&key, &user(), &sequencer(), (7, "e")).await.unwrap();
    let transcode = Some(Transcode::waiting(sequencer()));
    let renditions = Renditions { transcode, rungs: None };
    let processed = Processed { renditions, ..Processed::default() };
    app.videos.mark_processed(key.video_id(), &sequencer(), &processed, false).await.unwrap();
    let workers = Broken::new(&app);
    for _ in 0..5 {
        clock.advance(1);
        sweep(&workers).await;
    }
    assert_eq!(*workers.executions.lock().unwrap(), [1, 2, 3]);
    let record = get(&app, &key).await;
    assert_eq!((record.transcode.unwrap().status, record.due), (TranscodeStatus::Failed, None));
}

#[tokio::test]
async fn repeated_postponement_is_recognised() {
    let (_backend, app, _) = start().await;
    let record = get(&app, &create(&app).await).await;
    let postpone = async |hours| {
        let delay = Some(Duration::from_hours(hours));
        app.videos.postpone(&record, delay, Attention::None).await.unwrap()
    };
    assert!(postpone(2).await && postpone(2).await, "the SDK repeats the request after a lost response");
    assert!(!postpone(3).await, "another sweep has postponed it");
}

/// A thumbnail function that claims events, and then fails or is killed.
pub(crate) struct Broken<'a> {
    app: &'a App,
    attempts: AtomicU32,
    sent: AtomicU32,
    /// The number of restarts of each execution.
    executions: Mutex<Vec<u32>>,
}

impl<'a> Broken<'a> {
    pub(crate) fn new(app: &'a App) -> Self {
        Self { app, attempts: AtomicU32::new(0), sent: AtomicU32::new(0), executions: Mutex::default() }
    }
}

impl Workers for Broken<'_> {
    async fn send(&self, _: Value) -> Result<(), Fault> {
        self.sent.fetch_add(1, SeqCst);
        Ok(())
    }

    async fn attempt(&self, event: Value) -> Result<bool, Fault> {
        self.attempts.fetch_add(1, SeqCst);
        for event in upreel_events::parse(&event)? {
            let Event::Created(created) = event else { panic!("there is no check") };
            let key = created.key.parse().unwrap();
            self.app.videos.claim(&key, &user(), &created.sequencer, (created.size, &created.etag)).await?;
        }
        Ok(false)
    }

    async fn is_transcoding(&self, _: &Run, _: u32) -> Result<bool, Fault> {
        Ok(false)
    }

    async fn transcode(&self, _: &Run, restarts: u32) -> Result<(), Fault> {
        self.executions.lock().unwrap().push(restarts);
        Ok(())
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, Fault> {
        Ok(Vec::new())
    }

    async fn delete_dead_letter(&self, _: &str) -> Result<(), Fault> {
        panic!("there are no dead letters")
    }
}
