//! The `upload` function on Lambda.

use upreel_core::{App, gateway, http};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let app = App::from_env().await?;
    let config = app.config.clone();
    gateway::run(http::serve(upreel_upload::router(app), &config)).await
}
