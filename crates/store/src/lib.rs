//! The DynamoDB table, the S3 buckets, the state machine and the cache of the CDN with the types of `upreel-core`, presigned
//! requests, secrets, and the set-up of AWS clients.
//!
//! Every write to the table is one conditional request, which can be repeated safely: see [`videos`].

pub mod executions;
mod invalidations;
pub mod objects;
pub mod sdk;
mod secret;
pub mod videos;

pub use executions::Executions;
pub use invalidations::Invalidations;
pub use objects::{Buckets, ObjectStore};
pub use secret::Secret;
pub use videos::VideoStore;
