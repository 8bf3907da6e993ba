//! S3 keys and video metadata: what every other crate shares, and no I/O.
//!
//! Text from outside (identifiers, keys, file names) is parsed here once; after that its type is proof that it is
//! valid. Time is the one thing that is read from the system, when a [`Record`](video::Record) is created.

pub mod container;
pub mod failure;
pub mod fault;
pub mod filename;
pub mod id;
pub mod key;
pub mod limits;
pub mod range;
pub mod transcode;
pub mod video;

pub use container::Container;
pub use failure::Failure;
pub use fault::Fault;
pub use id::{Sequencer, UserId, VideoId};
pub use key::Key;
pub use range::{RangeReader, ReadError};
pub use video::{Status, Video};
