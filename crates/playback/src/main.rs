//! The `playback` function on Lambda.

use std::process::ExitCode;

use axum::middleware::{Next, from_fn};
use upreel_function::{App, Invoker, measured};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    upreel_function::run(async {
        let app = App::from_env().await?;
        let router = upreel_playback::router(app.clone());
        let router = router
            .layer(from_fn(|request, next: Next| measured("playback", Invoker::Api, next.run(request))));
        upreel_http::run(router, &app.config.allowed_origins).await
    })
    .await
}
