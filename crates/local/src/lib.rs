//! The whole backend on one machine: the API with its page, S3, DynamoDB, and the thumbnail function
//! started by events. No Docker, no account.
//!
//! The functions are the deployed ones; what is local are the three services around them, each behind
//! its real protocol.

mod dynamodb;
mod gateway;
mod multipart;
mod openapi;
pub mod queue;
mod s3;
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
use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use futures_util::FutureExt;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower::ServiceExt;
use upreel_function::{App, Config};
use upreel_store::Buckets;
use upreel_store::sdk::{self, Endpoints, Roots};

use crate::queue::{Handler, Queue};
use crate::s3::Storage;
use crate::webhook::Webhook;

/// The credentials of the local S3, for the AWS CLI and the SDKs.
pub const ACCESS_KEY: &str = "upreel";
/// See [`ACCESS_KEY`]; no secret, as nothing outside of this machine reaches the port.
pub const SECRET_KEY: &str = "upreel-local";
/// The region that everything claims to be in.
pub const REGION: &str = "us-east-1";
/// The bucket of the originals.
pub const UPLOADS: &str = "uploads";
/// The bucket of the posters.
pub const THUMBNAILS: &str = "thumbnails";
/// The bucket of the HLS renditions.
pub const PROCESSED: &str = "processed";
const TABLE: &str = "VideoMetadata";
/// The thumbnail function's timeout in the template.
const TIMEOUT: Duration = Duration::from_mins(2);

/// How to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// The API's port; 0 for any free one, also below.
    pub port: u16,
    /// The S3 port.
    pub s3_port: u16,
    /// The DynamoDB port.
    pub dynamodb_port: u16,
    /// Where everything is kept; `None` forgets it at the end.
    pub data: Option<PathBuf>,
    /// The ffmpeg program.
    pub ffmpeg: PathBuf,
    /// Larger videos are refused.
    pub max_upload_bytes: u64,
    /// The waits between the attempts at an event.
    pub back_off: [Duration; 2],
    /// Who is told of changes; nobody by default.
    pub webhook: Option<Webhook>,
    /// How many chunks are transcoded at a time; nothing is by default.
    pub transcode: Option<usize>,
}

/// Why it does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port is taken.
    #[error(
        "port {port} for {service} cannot be used: {source}. Is Upreel running already? Choose another with {flag}"
    )]
    Port {
        /// The port.
        port: u16,
        /// What it is for.
        service: &'static str,
        /// The flag that sets it.
        flag: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// Another process uses the data.
    #[error("{0} is in use by another process: choose another folder with --data, or --ephemeral")]
    Locked(PathBuf),
    /// The data cannot be used.
    #[error("the data in {0} cannot be used: {1}")]
    Data(PathBuf, String),
}

/// The running backend; it stops when it is dropped. What was under way goes on at the next start.
pub struct Local {
    /// The API and the page, as a URL.
    pub api: String,
    /// The S3 endpoint.
    pub s3: String,
    /// The DynamoDB endpoint.
    pub dynamodb: String,
    /// The stores and settings, as the functions have them.
    pub app: App,
    /// The events.
    pub queue: Arc<Queue>,
    /// How many events an earlier process had left.
    pub resumed: usize,
    _servers: JoinSet<()>,
    _lock: Lock,
    _temporary: Option<TempDir>,
}

impl Local {
    /// Starts everything; it is ready when this returns.
    ///
    /// # Errors
    /// When a port is taken or the data cannot be used.
    pub async fn start(options: Options) -> Result<Self, Error> {
        Self::start_with(options, |handler| handler).await
    }

    /// Like [`Local::start`], with something around the thumbnail function: a test makes it fail.
    ///
    /// # Errors
    /// When a port is taken or the data cannot be used.
    pub async fn start_with(options: Options, wrap: impl FnOnce(Handler) -> Handler) -> Result<Self, Error> {
        let temporary = options.data.is_none().then(TempDir::new).transpose();
        let temporary =
            temporary.map_err(|error| Error::Data("the temporary folder".into(), error.to_string()))?;
        let data = match (&options.data, &temporary) {
            (Some(data), _) => data.clone(),
            (None, Some(temporary)) => temporary.path().to_owned(),
            (None, None) => PathBuf::new(),
        };
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
        let database = dynamodb::open(options.data.as_ref().map(|_| data.join("dynamodb.sqlite")).as_deref());
        let database = database.map_err(|e| unusable(&e))?;
        servers.spawn(dynamodb::serve(dynamodb, database.clone()));
        dynamodb::create_table(&dynamodb_sdk, TABLE).await.map_err(|e| unusable(&e))?;
        let told = options.webhook.is_some();
        dynamodb::set_stream(&dynamodb_sdk, TABLE, told).await.map_err(|e| unusable(&e))?;

        let queue = Arc::new(Queue::open(&data).map_err(|e| unusable(&e))?);
        let storage = Storage::new(&data, [UPLOADS, THUMBNAILS, PROCESSED], queue.clone());
        let service = {
            let mut builder = S3ServiceBuilder::new(storage.map_err(|e| unusable(&e))?);
            builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
            builder.build()
        };
        let storage = Router::new()
            .fallback(move |request: Request| {
                let service = service.clone();
                async move {
                    match service.oneshot(request).await {
                        Ok(response) => response.map(axum::body::Body::new).into_response(),
                        Err(error) => {
                            tracing::warn!(?error, "S3 request failed");
                            axum::http::StatusCode::BAD_REQUEST.into_response()
                        }
                    }
                }
            })
            .layer(cors);
        servers.spawn(axum::serve(s3, storage).into_future().map(drop));

        let mut resumed = queue.resume(&app.objects, UPLOADS).await.map_err(|e| unusable(&e))?;
        let mut queues = vec![queue.clone()];
        let mut transcodes = None;
        if let Some(workers) = options.transcode {
            let runs = Arc::new(Queue::open(&data.join("transcode")).map_err(|e| unusable(&e))?);
            resumed += runs.resume(&app.objects, UPLOADS).await.map_err(|e| unusable(&e))?;
            let handler = transcode::handler(app.clone(), workers);
            servers.spawn(runs.clone().run(handler, options.back_off.to_vec()));
            queues.push(runs.clone());
            transcodes = Some(runs);
        }
        let handler = wrap(thumbnail(app.clone(), transcodes));
        servers.spawn(queue.clone().run(handler, options.back_off.to_vec()));
        if let Some(Webhook { endpoint, back_off }) = options.webhook {
            let folder = data.join("webhooks");
            let events = Arc::new(Queue::open(&folder).map_err(|e| unusable(&e))?);
            resumed += events.resume(&app.objects, UPLOADS).await.map_err(|e| unusable(&e))?;
            servers.spawn(events.clone().run(webhook::handler(endpoint), back_off));
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

/// Of the data folder. Closing the file is not enough: a child that is just being started has a copy of it.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the data folder stays locked until this process ends");
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
        // Whatever port the page that is being written runs on, and no page from elsewhere.
        allowed_origins: ["http://localhost:*", "http://127.0.0.1:*"].map(str::to_owned).to_vec(),
        max_upload_bytes: options.max_upload_bytes,
        transfer_acceleration: false,
        ffmpeg: options.ffmpeg.clone(),
        log_level: String::new(),
        aws: Endpoints::default(),
    }
}

/// The function, as Lambda would invoke it; what may be transcoded is put into that queue.
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

/// Only this machine may connect.
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
