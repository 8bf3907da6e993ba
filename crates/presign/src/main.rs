//! The `presign` function on Lambda.

use upreel_core::{App, http};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let app = App::from_env().await?;
    let config = app.config.clone();
    lambda_http::run(http::serve(upreel_presign::router(app), &config)).await
}
