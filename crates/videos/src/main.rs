//! The `videos` function on Lambda.

use std::process::ExitCode;
use std::sync::Arc;

use axum::middleware::{Next, from_fn};
use upreel_function::{App, Invoker, measured};
use upreel_store::Executions;
use upreel_videos::Start;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    upreel_function::run(async {
        let (app, sdk) = App::with_sdk().await?;
        let start = app.config.state_machine.clone().map(|arn| -> Start {
            let executions = Executions::new(&sdk, arn);
            Arc::new(move |run, restarts| {
                let executions = executions.clone();
                Box::pin(async move { executions.start(&run, restarts).await })
            })
        });
        let router = upreel_videos::router(app.clone(), start);
        let router =
            router.layer(from_fn(|request, next: Next| measured("videos", Invoker::Api, next.run(request))));
        upreel_http::run(router, &app.config.allowed_origins).await
    })
    .await
}
