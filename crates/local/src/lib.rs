//! The whole backend on one machine: the API and the web page, S3, DynamoDB, and the functions that events start.
//! It needs no Docker and no AWS account.
//!
//! The functions are the deployed ones. API Gateway, S3 and DynamoDB are replaced by local implementations that speak
//! the same protocols.

pub mod arguments;
mod dynamodb;
mod fetch;
pub mod ffmpeg;
mod files;
mod gateway;
mod guard;
pub mod import;
pub mod log;
mod multipart;
mod notification;
mod openapi;
mod options;
pub mod queue;
mod reconcile;
mod rules;
mod s3;
mod scan;
mod secret;
mod serve;
mod signature;
mod staging;
mod storage;
pub mod transcode;
pub mod webhook;

use std::fs::{File, TryLockError};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;
use upreel_function::App;
use upreel_store::sdk::{self, Roots};

use crate::guard::{Allowed, Port};
pub use crate::options::{Error, Options};
use crate::queue::{Handler, Queue};
use crate::reconcile::Queues;
pub use crate::reconcile::{SWEEP_INTERVAL, limits};
use crate::storage::Storage;
use crate::webhook::Webhook;

/// The access key ID of the local S3 and DynamoDB, for the AWS CLI and SDKs. Its secret is that of [`Local`].
pub const ACCESS_KEY: &str = "upreel";
/// The AWS region of the local services.
pub const REGION: &str = "us-east-1";
/// The bucket of the originals.
pub const UPLOADS: &str = "uploads";
/// The bucket of the previews.
pub const THUMBNAILS: &str = "thumbnails";
/// The bucket of the HLS renditions.
pub const PROCESSED: &str = "processed";
const TABLE: &str = "VideoMetadata";
/// The file that locks the data folder.
const LOCK: &str = "lock";
/// The thumbnail function's timeout in `template.yaml`.
const TIMEOUT: Duration = Duration::from_mins(2);

/// The running backend. Dropping it stops it; unfinished work resumes at the next start on the same data.
pub struct Local {
    /// URL of the API and the web page.
    pub api: String,
    /// The S3 endpoint.
    pub s3: String,
    /// The DynamoDB endpoint.
    pub dynamodb: String,
    /// The secret that signs requests to S3 and DynamoDB.
    pub secret: String,
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
        secret::open_folder(&data, LOCK).map_err(|e| unusable(&e))?;
        let lock = Lock::take(&data)?;
        let secret = options.secret.clone().map_or_else(|| secret::load_or_create(&data), Ok);
        let secret = secret.map_err(|e| unusable(&e))?;

        let (host, localhost) = (options.host, IpAddr::V4(Ipv4Addr::LOCALHOST));
        let (api, api_address) = bind(host, options.port, "the API", "--port").await?;
        let (s3, s3_address) = bind(host, options.s3_port, "S3", "--s3-port").await?;
        let (dynamodb, dynamodb_address) =
            bind(localhost, options.dynamodb_port, "DynamoDB", "--dynamodb-port").await?;
        let [api_url, s3_url, dynamodb_url] =
            [api_address, s3_address, dynamodb_address].map(|address| format!("http://{address}"));

        let (hosts, origins) = (&options.allowed_hosts, &options.allowed_origins);
        let allowed = Allowed::new(host, hosts, origins, api_address.port());
        let readers = [&allowed.origins[..], &[guard::NULL.to_owned()]].concat();
        let cors = upreel_http::cors(&readers);
        let client = |url: &str| client_config(url, &secret);
        let (s3_sdk, dynamodb_sdk) = (client(&s3_url), client(&dynamodb_url));
        let app = App::new(&s3_sdk, &dynamodb_sdk, options::config(&options, allowed.origins.clone()));

        let mut servers = JoinSet::new();
        let file = options.data.is_some().then(|| data.join("dynamodb.sqlite"));
        let database = dynamodb::open(file.as_deref()).map_err(|e| unusable(&e))?;
        let routes = allowed.guard(Port::DynamoDb, dynamodb::server::router(database.clone(), &secret));
        servers.spawn(serve::serve(dynamodb, routes));
        servers.spawn(dynamodb::sweep(database.clone()));
        dynamodb::create_table(&dynamodb_sdk, TABLE).await.map_err(|e| unusable(&e))?;
        file.iter().try_for_each(|file| dynamodb::created(file)).map_err(|e| unusable(&e))?;
        let stream = options.webhook.is_some();
        dynamodb::set_stream(&dynamodb_sdk, TABLE, stream).await.map_err(|e| unusable(&e))?;

        let queue = Arc::new(Queue::open(&data).map_err(|e| unusable(&e))?);
        let storage = Storage::new(&data, [UPLOADS, THUMBNAILS, PROCESSED], queue.clone(), options.checks);
        let storage = storage.map_err(|e| unusable(&e))?;
        servers.spawn(storage.clone().sweep());
        storage.resume_scans().map_err(|e| unusable(&e))?;
        let routes = allowed.guard(Port::S3, s3::router(storage, &secret).layer(cors));
        servers.spawn(serve::serve(s3, routes));

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
        let watched = transcodes.clone().filter(|_| options.transcodes_when_watched);
        let start = watched.map(transcode::starter);
        let thumbnail = wrap(thumbnail(app.clone(), transcodes.clone()));
        let all = Queues { videos: queue.clone(), transcodes, thumbnail: thumbnail.clone() };
        let give_up = reconcile::give_up(app.clone(), all.clone());
        servers.spawn(queue.clone().run(thumbnail, options.back_off.to_vec(), Some(give_up.clone())));
        servers.spawn(reconcile::run(app.clone(), all, options.sweep_interval));
        let mut fetch = None;
        if let Some(client) = options.fetch {
            let fetches = Arc::new(Queue::open(&data.join("fetch")).map_err(|e| unusable(&e))?);
            resumed += fetches.resume(&app.objects, UPLOADS).await.map_err(|e| unusable(&e))?;
            let handler = fetch::handler(app.clone(), client);
            servers.spawn(fetches.clone().run(handler, options.back_off.to_vec(), Some(give_up)));
            queues.push(fetches.clone());
            fetch = Some(fetch::starter(fetches));
        }
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
        servers
            .spawn(serve::serve(api, allowed.guard(Port::Api, gateway::router(&app, queues, start, fetch))));
        Ok(Self {
            api: api_url,
            s3: s3_url,
            dynamodb: dynamodb_url,
            secret,
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

impl Lock {
    fn take(data: &Path) -> Result<Self, Error> {
        let unusable = |error: io::Error| Error::Data(data.to_owned(), error.to_string());
        let lock = Self(File::create(data.join(LOCK)).map_err(unusable)?);
        match lock.0.try_lock() {
            Ok(()) => Ok(lock),
            Err(TryLockError::WouldBlock) => Err(Error::Locked(data.to_owned())),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the data folder could not be unlocked and stays locked until this process exits");
        }
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

/// Binds a port, and returns the listener and its address.
async fn bind(
    host: IpAddr,
    port: u16,
    service: &'static str,
    flag: &'static str,
) -> Result<(TcpListener, SocketAddr), Error> {
    let bound = async {
        let listener = TcpListener::bind(SocketAddr::from((host, port))).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound.await.map_err(|source| Error::Port { port, service, flag, source })
}

fn client_config(endpoint: &str, secret: &str) -> SdkConfig {
    let credentials = Credentials::new(ACCESS_KEY, secret, None, None, "local");
    sdk::defaults(&Roots::Known)
        .region(Region::new(REGION))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(endpoint)
        .build()
}
