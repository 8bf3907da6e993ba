//! Reads a video by byte ranges and drives the ffmpeg child.
//!
//! [`poster::make`] is the way in: it takes a [`Source`] (an object of which any range can be read),
//! and gives pictures and facts; [`storyboard::make`] makes the pictures for scrubbing. The whole object is
//! never read: an [`Index`] tells where a few keyframes are. For containers without a reader here, a
//! loopback server hands ffmpeg the ranges that it seeks to.

mod child;
pub mod cmaf;
mod colour;
mod error;
mod ffmpeg;
mod filters;
mod frame;
pub mod index;
pub mod keyframe;
mod matroska;
mod mp4;
pub mod poster;
pub mod rendition;
mod report;
mod sandbox;
mod server;
pub mod source;
pub mod storyboard;

pub use error::Error;
pub use index::Index;
pub use mp4::{boxes, runs};
pub use poster::Poster;
pub use source::Source;
pub use storyboard::Storyboard;
