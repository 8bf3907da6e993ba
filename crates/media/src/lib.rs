//! Reads a video by byte ranges and drives the ffmpeg child.
//!
//! [`poster::make`] is the way in: it takes a [`Source`] (an object of which any range can be read),
//! and gives a JPEG and the facts. The whole object is never read: a loopback server hands ffmpeg the
//! ranges that it seeks to, in blocks, and counts them.

mod child;
pub mod poster;
mod report;
mod server;
pub mod source;

pub use poster::Poster;
pub use source::Source;
