//! The `transcode` and `encode` functions: they transcode a video to HLS renditions. One task plans chunks from the
//! container's index, one task for each chunk encodes it, and a last one writes the playlists.
//!
//! IAM: `dynamodb:GetItem` and `UpdateItem`; `s3:GetObject` on `videos/*` and `work/*`; `s3:PutObject` and
//! `s3:DeleteObject` on `hls/*` and `work/*`; `s3:ListBucket` on the buckets, without which a missing object is a
//! 403, and which lists the objects to delete.

pub mod encode;
mod error;
pub mod plan;
pub mod playlist;
pub mod task;

pub use encode::{Engine, Manifest, Object, encode};
pub use error::Error;
pub use plan::Plan;
pub use task::{Task, handle, handle_with};
