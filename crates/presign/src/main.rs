//! The `presign` function on Lambda.

use lambda_runtime::Error;
use upreel_function::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env().await?;
    upreel_http::run(upreel_http::complete(upreel_presign::router(app.clone()), &app.config.allowed_origins))
        .await
}
