//! The `presign` function on Lambda.

use std::process::ExitCode;
use std::sync::Arc;

use axum::middleware::{Next, from_fn};
use upreel_function::{App, Invoker, measured};
use upreel_presign::{Functions, Start};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    upreel_function::run(async {
        let (app, sdk) = App::with_sdk().await?;
        let start = app.config.fetch_function.clone().map(|name| -> Start {
            let functions = Functions::new(&sdk, name);
            Arc::new(move |fetch| {
                let functions = functions.clone();
                Box::pin(async move { functions.start(&fetch).await })
            })
        });
        let router = upreel_presign::router(app.clone(), start);
        let router =
            router.layer(from_fn(|request, next: Next| measured("presign", Invoker::Api, next.run(request))));
        upreel_http::run(router, &app.config.allowed_origins).await
    })
    .await
}
