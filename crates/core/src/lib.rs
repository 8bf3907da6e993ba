//! What every function shares: keys, the video record and its status machine, the stores, the
//! caller, problems, configuration, telemetry, and the loop of a function on Lambda.
//!
//! The AWS SDK appears here and nowhere else, but for what only one function has (a queue, a state machine), and
//! `std::env` is read only in [`config`].

mod app;
pub mod caller;
pub mod clients;
pub mod config;
pub mod container;
pub mod filename;
pub mod gateway;
pub mod http;
pub mod id;
pub mod key;
pub mod objects;
pub mod problem;
pub mod runtime;
pub mod telemetry;
pub mod transcode;
pub mod video;
pub mod videos;

use std::error::Error;

pub use app::App;
pub use caller::Caller;
pub use config::Config;
pub use container::Container;
pub use id::{Sequencer, UserId, VideoId};
pub use key::Key;
pub use objects::ObjectStore;
pub use problem::{Code, Problem};
pub use video::{Failure, Status, Video};
pub use videos::VideoStore;

/// A failure of AWS, of the network or of ours: the request may be tried again.
///
/// What a user did wrong is a [`Problem`]; what is wrong with a video is a [`Failure`].
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {cause}")]
pub struct Fault {
    operation: &'static str,
    cause: String,
}

impl Fault {
    /// Wraps what went wrong while doing `operation`, with every cause behind it.
    pub fn new(operation: &'static str, error: &(dyn Error + 'static)) -> Self {
        let mut cause = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            cause = format!("{cause}: {error}");
            source = error.source();
        }
        Self { operation, cause }
    }
}
