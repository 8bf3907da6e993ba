//! The settings of the local backend.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use upreel_core::Checks;
use upreel_core::limits::Limits;
use upreel_core::quota;
use upreel_fetch::Client;
use upreel_function::Config;
use upreel_store::Buckets;
use upreel_store::sdk::Endpoints;

use crate::webhook::Webhook;
use crate::{PROCESSED, TABLE, THUMBNAILS, UPLOADS};

/// The settings of [`Local`].
#[derive(Debug, Clone)]
pub struct Options {
    /// The address of the API and of S3. DynamoDB is always at 127.0.0.1.
    pub host: IpAddr,
    /// The API's port; 0 picks a free port, as for the other ports.
    pub port: u16,
    /// The S3 port.
    pub s3_port: u16,
    /// The DynamoDB port.
    pub dynamodb_port: u16,
    /// Further names of this machine by which clients address the API and S3.
    pub allowed_hosts: Vec<String>,
    /// Origins of web pages that may use the API and S3, besides the page of the local backend.
    pub allowed_origins: Vec<String>,
    /// The secret that signs requests to S3 and DynamoDB; with `None`, a random one that is stored with the data.
    pub secret: Option<String>,
    /// The folder that stores all data; with `None`, a temporary folder that is removed at the end.
    pub data: Option<PathBuf>,
    /// Path of the ffmpeg program.
    pub ffmpeg: PathBuf,
    /// Maximum size of a video, in bytes.
    pub max_upload_bytes: u64,
    /// The limits of each user.
    pub quotas: quota::Limits,
    /// Delays between the three attempts to process an event.
    pub back_off: [Duration; 2],
    /// The receiver of webhooks; `None` turns webhooks off.
    pub webhook: Option<Webhook>,
    /// Number of chunks encoded at the same time; `None` turns transcoding off.
    pub transcode: Option<usize>,
    /// Whether videos are transcoded only when they are watched.
    pub transcodes_when_watched: bool,
    /// The client that fetches videos from URLs; `None` turns this off.
    pub fetch: Option<Client>,
    /// Whether files with audio alone are accepted.
    pub audio: bool,
    /// The checks that an upload has to pass before it can be read. The scan is made here; it knows the EICAR test file only.
    pub checks: Checks,
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
    #[error("the data in {0} cannot be used: {1}. Repair this, or choose another folder with --data")]
    Data(PathBuf, String),
}

/// Returns the configuration of the functions.
pub(crate) fn config(options: &Options, allowed_origins: Vec<String>) -> Config {
    Config {
        table: TABLE.to_owned(),
        buckets: Buckets {
            uploads: UPLOADS.to_owned(),
            thumbnails: THUMBNAILS.to_owned(),
            processed: PROCESSED.to_owned(),
        },
        state_machine: options.transcode.map(|_| "crates/local/src/transcode.rs".to_owned()),
        transcodes_when_watched: options.transcodes_when_watched,
        fetch_function: options.fetch.as_ref().map(|_| "crates/local/src/fetch.rs".to_owned()),
        audio: options.audio,
        cdn_domain: None,
        cdn_distribution: None,
        cdn_secret_arn: None,
        allowed_origins,
        max_upload_bytes: options.max_upload_bytes,
        quotas: options.quotas.clone(),
        transfer_acceleration: false,
        checks: options.checks,
        ffmpeg: options.ffmpeg.clone(),
        log_level: String::new(),
        stack: String::new(),
        aws: Endpoints::default(),
        limits: options.limits,
    }
}
