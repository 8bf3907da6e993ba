//! One video to HLS renditions: planned by its index, encoded in parts side by side, packaged to the tick.

mod cmaf;
pub mod encode;
pub mod ladder;
mod mp4;
pub mod plan;
pub mod playlist;
pub mod task;

pub use encode::{Manifest, Object, encode};
pub use plan::Plan;
pub use task::{Task, handle};
