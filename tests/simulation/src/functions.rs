//! Invocations of the functions, as Lambda and API Gateway do them: with a timeout, and killed at any call.

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use tower::ServiceExt;
use upreel_core::Fault;
use upreel_http::{ApiGatewayProxyRequestContext, RequestContext};
use upreel_transcode::Task;

use crate::content;
use crate::network::INVOCATION;
use crate::world::World;

/// The functions behind events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Thumbnail,
    Transcode,
    Encode,
    Webhook,
    Reconcile,
}

impl Function {
    fn name(self) -> &'static str {
        match self {
            Self::Thumbnail => "thumbnail",
            Self::Transcode => "transcode",
            Self::Encode => "encode",
            Self::Webhook => "webhook",
            Self::Reconcile => "reconcile",
        }
    }

    /// The timeout in `template.yaml`.
    fn timeout(self) -> Duration {
        Duration::from_secs(match self {
            Self::Thumbnail | Self::Transcode => 120,
            Self::Encode => 900,
            Self::Webhook => 30,
            Self::Reconcile => 300,
        })
    }
}

/// A response of the API.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: Value,
    /// The body as text.
    pub(crate) text: String,
    pub(crate) location: Option<String>,
}

impl World {
    /// Invokes a function. Returns `Err` if it fails, is killed, or runs into its timeout.
    pub(crate) async fn invoke(self: &Rc<Self>, function: Function, event: Value) -> Result<Value, String> {
        let limit = function.timeout();
        // The margins of the functions: the time to record the outcome.
        let deadline = Instant::now() + limit - Duration::from_secs(5);
        let world = self.clone();
        let handler = async move {
            match function {
                Function::Thumbnail => {
                    let runs = upreel_thumbnail::handle_with(&world.app, &event, deadline, content::previews)
                        .await?;
                    if let Some(executions) = &world.executions {
                        for run in &runs {
                            executions.start(run, 0).await?;
                        }
                    }
                    Ok(Value::Null)
                }
                Function::Transcode | Function::Encode => {
                    let task = Task::from_event(event)?;
                    upreel_transcode::handle_with(&world.app, &task, deadline, content::ENGINE).await
                }
                Function::Webhook => world.webhook.handle(&event).await,
                Function::Reconcile => upreel_reconcile::handle(&world.app, &world.workers, &event, deadline)
                    .await
                    .map(|()| Value::Null),
            }
        };
        match self.run(function.name(), limit, Box::pin(handler)).await {
            Some(result) => result.map_err(|fault: Fault| fault.to_string()),
            None => Err("killed".to_owned()),
        }
    }

    /// Sends a request to the API. `None` means that no response arrived.
    pub(crate) async fn api(
        self: &Rc<Self>,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Option<Response> {
        let mut request = Request::builder().method(method.clone()).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::from(body)).unwrap();
        let mut context = ApiGatewayProxyRequestContext::default();
        context.authorizer.fields.insert("claims".to_owned(), json!({"sub": "user"}));
        context.http_method = method.clone();
        request.extensions_mut().insert(RequestContext::ApiGatewayV1(context));
        let (function, limit) = match path.split(['/', '?']).nth(1) {
            Some("upload") => ("upload", 28),
            Some("videos") if path.contains("/thumbnail.") || path.ends_with("/poster") => ("playback", 28),
            Some("videos" | "usage") => ("videos", 10),
            Some("segments") => ("playback", 28),
            _ => ("presign", 28),
        };
        let routes = self.routes.clone();
        let handler = async move {
            let response = routes.oneshot(request).await.unwrap_or_else(|never| match never {});
            let status = response.status().as_u16();
            let location = response.headers().get("location").and_then(|location| location.to_str().ok());
            let location = location.map(str::to_owned);
            let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
            let text = String::from_utf8_lossy(&body).into_owned();
            Response { status, body: serde_json::from_slice(&body).unwrap_or_default(), text, location }
        };
        // API Gateway answers 502 or 504 if the function is killed.
        let response = self.run(function, Duration::from_secs(limit), handler).await;
        if let Some(response) = &response {
            self.check_urls(response);
        }
        self.note(|| {
            let status = response.as_ref().map_or(0, |response| response.status);
            // The query of a signed URL has the region, which each world has for itself.
            let path = path.split('?').next().unwrap_or_default();
            format!("client: {method} {path} {status}")
        });
        response
    }

    /// Runs an invocation until it ends, is killed, or runs into its timeout (`None`).
    async fn run<T>(
        &self,
        function: &'static str,
        limit: Duration,
        handler: impl Future<Output = T>,
    ) -> Option<T> {
        let invocation = self.invocation(function);
        let handler = INVOCATION.scope(invocation.clone(), timeout(limit, handler));
        tokio::select! {
            biased;
            () = invocation.killed.notified() => {
                *self.kills.borrow_mut().entry(function).or_default() += 1;
                None
            }
            result = handler => {
                if result.is_err() {
                    self.note(|| format!("{}: timed out", invocation.name));
                }
                result.ok()
            }
        }
    }
}
