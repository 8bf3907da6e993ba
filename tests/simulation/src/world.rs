//! The world of a schedule: the services, the functions, and the tasks that run.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{SharedHttpClient, SharedHttpConnector};
use aws_types::sdk_config::SharedTimeSource;
use axum::Router;
use fastrand::Rng;
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::sleep;
use upreel_core::Checks;
use upreel_core::limits::Limits;
use upreel_core::quota;
use upreel_function::config::Reconcile;
use upreel_function::{App, Config};
use upreel_reconcile::Functions;
use upreel_store::sdk::{self, Endpoints, Roots};
use upreel_store::{Buckets, Executions};
use upreel_videos::Start;
use upreel_webhook::{Endpoint, Webhook};

use crate::clock::Clock;
use crate::content;
use crate::faults::Plan;
use crate::network::{Invocation, Network};
use crate::oracle::Oracle;
use crate::s3;
use crate::services::{DEAD_LETTERS, STATE_MACHINE, Services, WEBHOOK_QUEUE};
use crate::trace::Trace;

/// Numbers the worlds of the process. The SDK shares the quota of retries between the clients of a region, so each world
/// has a region of its own.
static WORLDS: AtomicUsize = AtomicUsize::new(0);

/// The quotas of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quotas {
    /// None.
    Off,
    /// Of any size: the clients do not say how large their files are.
    Wide,
    /// So few that clients are refused.
    Tight,
}

impl Quotas {
    pub(crate) fn limits(self) -> quota::Limits {
        let limits = |bytes, number| quota::Limits {
            bytes: Some(bytes),
            videos: Some(number),
            uploads: Some(number),
            ..quota::Limits::default()
        };
        match self {
            Self::Off => quota::Limits::default(),
            Self::Wide => limits(1 << 50, 1000),
            Self::Tight => limits(12 << 20, 2),
        }
    }
}

/// The settings of a world.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "independent settings")]
pub struct Settings {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// How far the functions' clock is behind that of AWS, in seconds; negative if it is ahead.
    pub(crate) skew: i64,
    /// Which calls have a fault.
    pub(crate) plan: Plan,
    /// Whether videos are transcoded.
    pub transcodes: bool,
    /// Whether they are transcoded only when they are watched.
    pub watched: bool,
    /// The checks that an upload has to pass before it can be read.
    pub checks: Checks,
    /// Whether webhooks are sent.
    pub webhooks: bool,
    /// Whether things besides calls go wrong: events that are late, lost or repeated, invocations that never start,
    /// clients that give up.
    pub(crate) chaos: bool,
    /// Whether the notifications of S3 are lost.
    pub(crate) loses_events: bool,
    /// What users may store.
    pub(crate) quotas: Quotas,
    /// Whether to keep a trace.
    pub trace: bool,
}

/// The world.
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) network: Network,
    pub(crate) app: App,
    pub(crate) routes: Router,
    pub(crate) executions: Option<Executions>,
    pub(crate) webhook: Webhook,
    /// What the reconciler starts.
    pub(crate) workers: Functions,
    pub(crate) oracle: RefCell<Oracle>,
    /// Whether the time of faults is over.
    pub(crate) is_calm: Cell<bool>,
    invocations: Cell<usize>,
    /// The number of killed invocations of each function.
    pub(crate) kills: RefCell<BTreeMap<&'static str, usize>>,
    tasks: Cell<usize>,
    idle: Notify,
}

impl World {
    pub(crate) fn new(settings: Settings) -> Rc<Self> {
        let mut rng = Rng::with_seed(settings.seed);
        // The SDK draws its back-off from the thread's generator.
        fastrand::seed(rng.u64(..));
        let mut services = Services::new(rng, settings.plan, Trace::new(settings.trace));
        services.s3.remembers_completions = settings.chaos && services.rng.bool();
        services.is_index_late = settings.chaos && services.rng.bool();
        let network = Network::new(services, Clock::start(settings.skew));
        let sdk = sdk_config(&network);
        let config = config(settings);
        network.services().s3.checks = settings.checks;
        let app = App::new(&sdk, &sdk, config);
        let start = settings.watched.then(|| -> Start {
            let executions = Executions::new(&sdk, STATE_MACHINE.to_owned());
            Arc::new(move |run, restarts| {
                let executions = executions.clone();
                Box::pin(async move { executions.start(&run, restarts).await })
            })
        });
        let routes = Router::new()
            .merge(upreel_upload::router(app.clone()))
            .merge(upreel_presign::router(app.clone(), None))
            .merge(upreel_videos::router(app.clone(), start))
            .merge(upreel_playback::router_with(app.clone(), content::IMAGES));
        let endpoint = Endpoint::local("https://receiver.example/hook", "secret").unwrap();
        let endpoint = endpoint.with_connector(SharedHttpConnector::new(network.clone()));
        let reconcile = Reconcile {
            thumbnail_function: "thumbnail".to_owned(),
            dead_letter_queue_url: DEAD_LETTERS.to_owned(),
        };
        Rc::new(Self {
            settings,
            executions: settings.transcodes.then(|| Executions::new(&sdk, STATE_MACHINE.to_owned())),
            workers: Functions::new(&sdk, reconcile, settings.transcodes.then(|| STATE_MACHINE.to_owned())),
            webhook: Webhook::with_endpoint(&sdk, WEBHOOK_QUEUE, endpoint),
            network,
            routes,
            app,
            oracle: RefCell::default(),
            is_calm: Cell::new(false),
            invocations: Cell::new(0),
            kills: RefCell::default(),
            tasks: Cell::new(0),
            idle: Notify::new(),
        })
    }

    /// Runs a task of the world. [`World::settle`] waits for it.
    pub(crate) fn spawn(self: &Rc<Self>, task: impl Future<Output = ()> + 'static) {
        self.tasks.set(self.tasks.get() + 1);
        let world = self.clone();
        spawn_local(async move {
            task.await;
            world.tasks.set(world.tasks.get() - 1);
            world.idle.notify_one();
        });
    }

    /// Waits until no task runs.
    pub(crate) async fn settle(&self) {
        while self.tasks.get() > 0 {
            self.idle.notified().await;
        }
    }

    /// Returns an invocation with a number of its own.
    pub(crate) fn invocation(&self, function: &str) -> Arc<Invocation> {
        self.invocations.set(self.invocations.get() + 1);
        Invocation::new(format!("{function}#{}", self.invocations.get()))
    }

    /// Draws from the generator of the schedule.
    pub(crate) fn draw<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut self.network.services().rng)
    }

    /// Returns true with this probability in percent, if things go wrong in this world at this time.
    pub(crate) fn mishap(&self, percent: u8) -> bool {
        self.settings.chaos && !self.is_calm.get() && self.draw(|rng| rng.u8(..100)) < percent
    }

    /// Sleeps a random time.
    pub(crate) async fn pause(&self, range: std::ops::Range<Duration>) {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap();
        let time = self.draw(|rng| rng.u64(millis(range.start)..millis(range.end)));
        sleep(Duration::from_millis(time)).await;
    }

    /// Adds a line to the trace.
    pub(crate) fn note(&self, text: impl FnOnce() -> String) {
        let at = self.network.clock.elapsed();
        self.network.services().note(at, text);
    }

    /// Returns which upload the row of a video belongs to: the event of S3, and the entity tag. Events that are made up
    /// by the reconciler have the same number as the one that they repeat, but another entity tag when they stand for an
    /// upload whose event was lost.
    pub(crate) fn upload(&self, id: &str) -> Option<(String, String)> {
        let services = self.network.services();
        let row = services.table.rows.get(id)?;
        let text = |name: &str| row.get(name).and_then(|value| value["S"].as_str());
        Some((text("sequencer")?.get(..16)?.to_owned(), text("etag").unwrap_or_default().to_owned()))
    }

    /// Reports that an invariant does not hold.
    pub(crate) fn violation(&self, text: &str) {
        let text = self.network.services().names.replace(text);
        self.note(|| format!("VIOLATION: {text}"));
        self.oracle.borrow_mut().violations.push(text);
    }
}

fn sdk_config(network: &Network) -> SdkConfig {
    let world = WORLDS.fetch_add(1, Ordering::Relaxed);
    let credentials = Credentials::new("access", "secret", None, None, "simulation");
    let clock = sdk::Clock::new(SharedTimeSource::new(network.clock));
    sdk::defaults(&Roots::Known)
        .http_client(clock.observe(SharedHttpClient::new(network.clone())))
        .time_source(clock)
        .region(Region::new(format!("world-{world}")))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

fn config(settings: Settings) -> Config {
    let Settings { transcodes, watched, quotas, checks, .. } = settings;
    Config {
        fetch_function: None,
        audio: false,
        table: "VideoMetadata".to_owned(),
        buckets: Buckets {
            uploads: s3::UPLOADS.to_owned(),
            thumbnails: s3::THUMBNAILS.to_owned(),
            processed: s3::PROCESSED.to_owned(),
        },
        state_machine: transcodes.then(|| STATE_MACHINE.to_owned()),
        transcodes_when_watched: watched,
        checks,
        cdn_domain: None,
        cdn_distribution: None,
        cdn_secret_arn: None,
        allowed_origins: Vec::new(),
        max_upload_bytes: 5 << 40,
        quotas: quotas.limits(),
        transfer_acceleration: false,
        ffmpeg: "/nonexistent".into(),
        log_level: String::new(),
        stack: String::new(),
        aws: Endpoints::default(),
        limits: Limits::default(),
    }
}
