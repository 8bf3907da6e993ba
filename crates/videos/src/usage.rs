//! `GET /usage`: what the caller has, and may have.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use upreel_core::Container;
use upreel_function::App;
use upreel_http::{Caller, Problem};

/// Empty if quotas are off: then nothing is counted.
#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Usage {
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    videos: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uploads: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_duration_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    types: Option<Vec<Container>>,
}

#[derive(Serialize)]
struct Quantity {
    used: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<u64>,
}

impl Quantity {
    fn new(used: u64, limit: Option<u64>) -> Self {
        Self { used, limit, left: limit.map(|limit| limit.saturating_sub(used)) }
    }
}

pub(crate) async fn usage(State(app): State<App>, Caller(user): Caller) -> Result<Json<Usage>, Problem> {
    let defaults = &app.config.quotas;
    if defaults.is_off() {
        return Ok(Json(Usage::default()));
    }
    let account = app.videos.account(&user).await?;
    let limits = account.limits(defaults);
    Ok(Json(Usage {
        bytes: Some(Quantity::new(account.usage.bytes, limits.bytes)),
        videos: Some(Quantity::new(account.usage.videos, limits.videos)),
        uploads: Some(Quantity::new(account.usage.uploads, limits.uploads)),
        max_duration_seconds: limits.max_duration_seconds,
        types: limits.types,
    }))
}
