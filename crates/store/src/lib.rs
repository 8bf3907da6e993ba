//! The DynamoDB table and the S3 buckets behind types of `upreel-core`, presigned requests, and the set-up of AWS clients.
//!
//! Every write to the table is one conditional request, so that each can be repeated: see [`videos`].

pub mod objects;
pub mod sdk;
pub mod videos;

pub use objects::{Buckets, ObjectStore};
pub use videos::VideoStore;
