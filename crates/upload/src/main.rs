//! The `upload` function on Lambda.

use std::process::ExitCode;

use upreel_function::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    upreel_function::run(async {
        let app = App::from_env().await?;
        upreel_http::run(upreel_upload::router(app.clone()), &app.config.allowed_origins).await
    })
    .await
}
