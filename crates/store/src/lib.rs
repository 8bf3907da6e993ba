//! The DynamoDB table, the S3 buckets and the state machine with the types of `upreel-core`, presigned requests, secrets,
//! and the set-up of AWS clients.
//!
//! Every write to the table is one conditional request, which can be repeated safely: see [`videos`].

pub mod executions;
pub mod objects;
pub mod sdk;
mod secret;
pub mod videos;

pub use executions::Executions;
pub use objects::{Buckets, ObjectStore};
pub use secret::Secret;
pub use videos::VideoStore;
