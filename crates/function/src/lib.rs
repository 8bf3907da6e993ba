//! The common set-up of all functions: settings, stores, log, metrics and traces.
//!
//! A function's `main` reads the settings ([`App::from_env`]), and hands its handler to `lambda_runtime` or its router
//! to [`upreel_http`](../upreel_http/index.html). `std::env` is read in [`config`] only.

pub mod app;
pub mod cdn;
pub mod config;
mod cost;
mod invocation;
mod quota;
pub mod telemetry;
mod trace;

pub use app::App;
pub use config::Config;
pub use cost::{Invoker, measured};
pub use invocation::{deadline, diagnostic, run};
