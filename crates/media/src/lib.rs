//! Reads videos by byte ranges and runs ffmpeg on them as a child process.
//!
//! [`poster::make`] is the entry point: it takes a [`Source`] (an object that is read by byte ranges) and returns
//! the poster and the media info. [`storyboard::make`] makes the preview frames for scrubbing. Neither downloads
//! the whole object: an [`Index`] locates a few keyframes. For containers that have no index reader here, a
//! loopback HTTP server serves ffmpeg the byte ranges that it requests.

pub mod audio;
mod avi;
mod child;
pub mod cmaf;
mod colour;
mod error;
mod ffmpeg;
mod filters;
mod frame;
pub mod hls;
pub mod image;
pub mod index;
pub mod inspect;
pub mod keyframe;
pub mod ladder;
mod matroska;
mod mp4;
mod nal;
pub mod poster;
pub mod remux;
pub mod rendition;
mod report;
mod sandbox;
mod server;
pub mod slice;
pub mod source;
pub mod storyboard;
mod stream;
pub mod text;
mod unindexed;
mod vpx;
mod watchdog;
mod wav;

pub use error::Error;
pub use index::Index;
pub use mp4::{boxes, runs};
pub use poster::Poster;
pub use remux::{Record, Remux};
pub use source::Source;
pub use storyboard::Storyboard;
pub use watchdog::end_children_with_this_process;
