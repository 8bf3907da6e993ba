//! Runs the `fetch` function with a queue of its own, as Lambda does asynchronously.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use upreel_core::Fault;
use upreel_fetch::Client;
use upreel_function::App;
use upreel_presign::Start;
use uuid::Uuid;

use crate::queue::{Handler, Queue};

/// The function's timeout in `template.yaml`.
const TIMEOUT: Duration = Duration::from_mins(15);

/// Returns what invokes the function.
pub(crate) fn starter(queue: Arc<Queue>) -> Start {
    Arc::new(move |fetch| {
        let fault = |error: &(dyn std::error::Error + 'static)| Fault::new("write the queue", error);
        let sent = serde_json::to_value(&fetch).map_err(|error| fault(&error)).and_then(|event| {
            queue.send(Uuid::now_v7().to_string(), fetch.key, event).map_err(|error| fault(&error))
        });
        Box::pin(ready(sent))
    })
}

/// Returns the handler of the queue.
pub(crate) fn handler(app: App, client: Client) -> Handler {
    Arc::new(move |event| {
        let (app, client) = (app.clone(), client.clone());
        Box::pin(async move { upreel_fetch::handle(&app, &client, event, Instant::now() + TIMEOUT).await })
    })
}
