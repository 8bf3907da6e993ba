//! One video to HLS renditions: planned by its index, encoded in parts side by side, packaged to the tick.
//!
//! IAM: `dynamodb:GetItem` and `UpdateItem`; `s3:GetObject` on `videos/*` and `work/*`; `s3:PutObject` and
//! `s3:DeleteObject` on `hls/*` and `work/*`; `s3:ListBucket` on the buckets, without which a missing object is a
//! 403, and to delete what is in a folder.

pub mod encode;
mod error;
pub mod ladder;
pub mod plan;
pub mod playlist;
pub mod task;

pub use encode::{Manifest, Object, encode};
pub use plan::Plan;
pub use task::{Task, handle};
