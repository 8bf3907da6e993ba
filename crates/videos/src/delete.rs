//! `DELETE /videos/{videoId}`.

use std::time::Duration;

use axum::extract::State;
use http::StatusCode;
use tokio::time::timeout;
use upreel_function::App;
use upreel_http::{Caller, Path, Problem};

use crate::{not_found, parse};

/// How long a DELETE request deletes objects itself.
const DELETION_TIMEOUT: Duration = Duration::from_secs(6);

pub(crate) async fn delete(
    State(app): State<App>,
    Caller(user): Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = parse(&id)?;
    // The tombstone decides: a function that is still working on the video finds it and deletes what it has written, and
    // the reconciler deletes until nothing is left. So the response depends neither on S3 nor on the number of objects.
    let record = app.videos.delete(id, &user).await?.ok_or_else(not_found)?;
    match timeout(DELETION_TIMEOUT, app.delete_objects(&record)).await {
        Ok(Ok(())) => tracing::info!(videoId = %id, "deleted"),
        Ok(Err(fault)) => tracing::warn!(videoId = %id, %fault, "deleted, objects will be removed later"),
        Err(_) => tracing::warn!(videoId = %id, "deleted, the remaining objects will be removed later"),
    }
    Ok(StatusCode::NO_CONTENT)
}
