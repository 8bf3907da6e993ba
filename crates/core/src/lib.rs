//! S3 keys and video metadata, shared by every other crate. This crate does no I/O.
//!
//! Text from outside (identifiers, keys, file names) is parsed here once; from then on its type proves that it is
//! valid. The clock is the only system state that is read: for new identifiers, for times in rows, and for expiry.

pub mod captions;
pub mod check;
pub mod container;
pub mod details;
pub mod failure;
pub mod fault;
pub mod fetch;
pub mod filename;
pub mod id;
pub mod key;
pub mod language;
pub mod limits;
pub mod media_type;
pub mod playback;
pub mod quota;
pub mod range;
pub mod transcode;
pub mod transition;
pub mod video;

pub use check::Checks;
pub use container::Container;
pub use details::Details;
pub use failure::Failure;
pub use fault::Fault;
pub use fetch::{Fetch, SourceUrl};
pub use id::{Sequencer, UserId, Version, VideoId};
pub use key::{Bucket, Folder, Key};
pub use language::LanguageTag;
pub use media_type::MediaType;
pub use range::{RangeReader, ReadError};
pub use transition::Transition;
pub use video::{Status, Video};
