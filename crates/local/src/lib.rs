//! The whole backend on one machine: the API and the web page, S3, DynamoDB, and the functions that events start.
//! It needs no Docker and no AWS account.
//!
//! The functions are the deployed ones. API Gateway, S3 and DynamoDB are replaced by local implementations that speak
//! the same protocols.

mod dynamodb;
mod files;
mod gateway;
mod multipart;
mod notification;
mod openapi;
pub mod queue;
mod reconcile;
mod s3;
mod staging;
mod storage;
pub mod transcode;
pub mod webhook;

use std::fs::{File, TryLockError};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use futures_util::FutureExt;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;
use upreel_core::limits::Limits;
use upreel_function::{App, Config};
use upreel_store::Buckets;
use upreel_store::sdk::{self, Endpoints, Roots};

use crate::queue::{Handler, Queue};
use crate::reconcile::Queues;
pub use crate::reconcile::{SWEEP_INTERVAL, limits};
use crate::storage::Storage;
use crate::webhook::Webhook;

/// The access key ID of the local S3, for the AWS CLI and SDKs.
pub const ACCESS_KEY: &str = "upreel";
/// The secret that belongs to [`ACCESS_KEY`]. It can be public: the ports accept connections from this machine only.
pub const SECRET_KEY: &str = "upreel-local";
/// The AWS region of the local services.
pub const REGION: &str = "us-east-1";
/// The bucket of the originals.
pub const UPLOADS: &str = "uploads";
/// The bucket of the previews.
pub const THUMBNAILS: &str = "thumbnails";
/// The bucket of the HLS renditions.
pub const PROCESSED: &str = "processed";
const TABLE: &str = "VideoMetadata";
/// The thumbnail function's timeout in `template.yaml`.
const TIMEOUT: Duration = Duration::from_mins(2);

/// The settings of [`Local`].
#[derive(Debug, Clone)]
pub struct Options {
    /// The API's port; 0 picks a free port, as for the other ports.
    pub port: u16,
    /// The S3 port.
    pub s3_port: u16,
    /// The DynamoDB port.
    pub dynamodb_port: u16,
    /// The folder that stores all data; with `None`, a temporary folder that is removed at the end.
    pub data: Option<PathBuf>,
    /// Path of the ffmpeg program.
    pub ffmpeg: PathBuf,
    /// Maximum size of a video, in bytes.
    pub max_upload_bytes: u64,
    /// Delays between the three attempts to process an event.
    pub back_off: [Duration; 2],
    /// The receiver of webhooks; `None` turns webhooks off.
    pub webhook: Option<Webhook>,
    /// Number of chunks encoded at the same time; `None` turns transcoding off.
    pub transcode: Option<usize>,
    /// How long a row may stay in a state before the reconciler examines it.
    pub limits: Limits,
    /// Interval in which the reconciler examines the rows.
    pub sweep_interval: Duration,
}

/// An error that prevents the start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port cannot be bound.
    #[error(
        "port {port} for {service} cannot be used: {source}. Is Upreel already running? Choose another port with {flag}"
    )]
    Port {
        /// The port.
        port: u16,
        /// The service that needs the port.
        service: &'static str,
        /// The command line flag that sets the port.
        flag: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Another process uses the data folder.
    #[error("{0} is in use by another process: choose another folder with --data, or use --ephemeral")]
    Locked(PathBuf),
    /// The data folder cannot be read or written.
    #[error("the data in {0} cannot be used: {1}")]
    Data(PathBuf, String),
}

/// The running backend. Dropping it stops it; unfinished work resumes at the next start on the same data.
pub struct Local {
    /// URL of the API and the web page.
    pub api: String,
    /// The S3 endpoint.
    pub s3: String,
    /// The DynamoDB endpoint.
    pub dynamodb: String,
    /// The stores and the configuration that the functions use.
    pub app: App,
    /// The queue of S3 events.
    pub queue: Arc<Queue>,
    /// Number of unfinished events from an earlier process.
    pub resumed: usize,
    _servers: JoinSet<()>,
    _lock: Lock,
    _temporary: Option<TempDir>,
}

impl Local {
    /// Starts the backend. All servers accept connections when this returns.
    ///
    /// # Errors
    /// When a port is taken or the data cannot be used.
    pub async fn start(options: Options) -> Result<Self, Error> {
        Self::start_with(options, |handler| handler).await
    }

    /// Starts the backend as [`Local::start`] does, with a wrapper around the thumbnail function. Tests use it to make
    /// the function fail.
    ///
    /// # Errors
    /// When a port is taken or the data cannot be used.
    pub async fn start_with(options: Options, wrap: impl FnOnce(Handler) -> Handler) -> Result<Self, Error> {
        upreel_media::end_children_with_this_process();
        let temporary = options.data.is_none().then(TempDir::new).transpose();
        let temporary =
            temporary.map_err(|error| Error::Data("the temporary folder".into(), error.to_string()))?;
        let temporary_data = temporary.as_ref().map(|folder| folder.path().to_owned());
        let data = options.data.clone().or(temporary_data).unwrap_or_default();
        let unusable = |error: &dyn ToString| Error::Data(data.clone(), error.to_string());
        std::fs::create_dir_all(&data).map_err(|e| unusable(&e))?;
        let lock = Lock(File::create(data.join("lock")).map_err(|e| unusable(&e))?);
        match lock.0.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Locked(data)),
            Err(TryLockError::Error(error)) => return Err(unusable(&error)),
        }

        let (api, api_url) = bind(options.port, "the API", "--port").await?;
        let (s3, s3_url) = bind(options.s3_port, "S3", "--s3-port").await?;
        let (dynamodb, dynamodb_url) = bind(options.dynamodb_port, "DynamoDB", "--dynamodb-port").await?;

        let config = config(&options);
        let cors = upreel_http::cors(&config.allowed_origins);
        let (s3_sdk, dynamodb_sdk) = (client_config(&s3_url), client_config(&dynamodb_url));
        let app = App::new(&s3_sdk, &dynamodb_sdk, config);

        let mut servers = JoinSet::new();
        let file = options.data.is_some().then(|| data.join("dynamodb.sqlite"));
        let database = dynamodb::open(file.as_deref()).map_err(|e| unusable(&e))?;
        servers.spawn(dynamodb::serve(dynamodb, database.clone()));
        dynamodb::create_table(&dynamodb_sdk, TABLE).await.map_err(|e| unusable(&e))?;
        file.iter().try_for_each(|file| dynamodb::created(file)).map_err(|e| unusable(&e))?;
        let stream = options.webhook.is_some();
        dynamodb::set_stream(&dynamodb_sdk, TABLE, stream).await.map_err(|e| unusable(&e))?;

        let queue = Arc::new(Queue::open(&data).map_err(|e| unusable(&e))?);
        let storage = Storage::new(&data, [UPLOADS, THUMBNAILS, PROCESSED], queue.clone());
        let storage = storage.map_err(|e| unusable(&e))?;
        servers.spawn(storage.clone().sweep());
        servers.spawn(axum::serve(s3, s3::router(storage).layer(cors)).into_future().map(drop));

        let mut resumed = queue.resume(&app.objects, UPLOADS).await.map_err(|e| unusable(&e))?;
        let mut queues = vec![queue.clone()];
        let mut transcodes = None;
        if let Some(workers) = options.transcode {
            let runs = Arc::new(Queue::open(&data.join("transcode")).map_err(|e| unusable(&e))?);
            resumed += runs.resume(&app.objects, UPLOADS).await.map_err(|e| unusable(&e))?;
            let handler = transcode::handler(app.clone(), workers);
            let give_up = transcode::give_up(app.clone());
            servers.spawn(runs.clone().run(handler, options.back_off.to_vec(), Some(give_up)));
            queues.push(runs.clone());
            transcodes = Some(runs);
        }
        let thumbnail = wrap(thumbnail(app.clone(), transcodes.clone()));
        let all = Queues { videos: queue.clone(), transcodes, thumbnail: thumbnail.clone() };
        let give_up = reconcile::give_up(app.clone(), all.clone());
        servers.spawn(queue.clone().run(thumbnail, options.back_off.to_vec(), Some(give_up)));
        servers.spawn(reconcile::run(app.clone(), all, options.sweep_interval));
        if let Some(Webhook { endpoint, back_off }) = options.webhook {
            let folder = data.join("webhooks");
            let events = Arc::new(Queue::open(&folder).map_err(|e| unusable(&e))?);
            resumed += events.resume(&app.objects, UPLOADS).await.map_err(|e| unusable(&e))?;
            servers.spawn(events.clone().run(webhook::handler(endpoint), back_off, None));
            queues.push(events.clone());
            servers.spawn(async move {
                webhook::follow(database, TABLE, events, &folder.join("sequence")).await;
            });
        }
        servers.spawn(axum::serve(api, gateway::router(&app, queues)).into_future().map(drop));
        Ok(Self {
            api: api_url,
            s3: s3_url,
            dynamodb: dynamodb_url,
            app,
            queue,
            resumed,
            _servers: servers,
            _lock: lock,
            _temporary: temporary,
        })
    }
}

/// The lock of the data folder. It is released explicitly: closing the file doesn't release it while a child process
/// that is being spawned still holds a copy of the descriptor.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the data folder could not be unlocked and stays locked until this process exits");
        }
    }
}

fn config(options: &Options) -> Config {
    Config {
        table: TABLE.to_owned(),
        buckets: Buckets {
            uploads: UPLOADS.to_owned(),
            thumbnails: THUMBNAILS.to_owned(),
            processed: PROCESSED.to_owned(),
        },
        state_machine: options.transcode.map(|_| "crates/local/src/transcode.rs".to_owned()),
        cdn: None,
        // Pages under development on any port of this machine, but no others.
        allowed_origins: ["http://localhost:*", "http://127.0.0.1:*"].map(str::to_owned).to_vec(),
        max_upload_bytes: options.max_upload_bytes,
        transfer_acceleration: false,
        ffmpeg: options.ffmpeg.clone(),
        log_level: String::new(),
        stack: String::new(),
        aws: Endpoints::default(),
        limits: options.limits,
    }
}

/// Returns the thumbnail function as the handler of a queue. The videos that it accepts for transcoding are sent to
/// `transcodes`.
fn thumbnail(app: App, transcodes: Option<Arc<Queue>>) -> Handler {
    Arc::new(move |event| {
        let (app, transcodes) = (app.clone(), transcodes.clone());
        Box::pin(async move {
            let runs = upreel_thumbnail::handle(&app, &event, Instant::now() + TIMEOUT).await?;
            transcodes
                .iter()
                .try_for_each(|queue| runs.iter().try_for_each(|run| transcode::send(queue, run)))
        })
    })
}

/// Binds a port of the loopback interface, so that only this machine can connect. Returns the listener and its URL.
async fn bind(port: u16, service: &'static str, flag: &'static str) -> Result<(TcpListener, String), Error> {
    let bound = async {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        let address = listener.local_addr()?;
        Ok((listener, format!("http://{address}")))
    };
    bound.await.map_err(|source| Error::Port { port, service, flag, source })
}

fn client_config(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "local");
    sdk::defaults(&Roots::Known)
        .region(Region::new(REGION))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(endpoint)
        .build()
}
