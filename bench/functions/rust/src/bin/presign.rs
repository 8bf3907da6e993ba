//! `GET /presign` and `GET /s3/multipart/{uploadId}/{partNumber}`.

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use lambda_http::{Body, Error, Request, RequestExt, Response, service_fn, tracing};
use serde_json::json;
use usual::{App, caller, pending, respond};
use uuid::Uuid;

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let app = &App::from_env().await?;
    lambda_http::run(service_fn(move |request| handle(app, request))).await
}

async fn handle(app: &App, request: Request) -> Result<Response<Body>, Error> {
    let Some(user) = caller(&request) else {
        return respond(401, &json!({"message": "Sign in first."}));
    };
    match request.uri().path().strip_prefix("/s3/multipart/") {
        None => presign(app, &user, &request).await,
        Some(rest) => {
            let Some((upload, Ok(part))) = rest.split_once('/').map(|(upload, part)| (upload, part.parse()))
            else {
                return respond(404, &json!({"message": "Route not found."}));
            };
            sign_part(app, &user, upload, part, &request).await
        }
    }
}

async fn presign(app: &App, user: &str, request: &Request) -> Result<Response<Body>, Error> {
    let query = request.query_string_parameters();
    let Some(name) = query.first("name") else {
        return respond(400, &json!({"message": "The parameter name is required."}));
    };
    let media_type = query.first("type").unwrap_or("application/octet-stream");
    let size: Option<u64> = query.first("size").and_then(|size| size.parse().ok());
    let id = Uuid::new_v4();
    let key = format!("videos/{user}/{id}.mp4");
    let put = app.s3.put_object().bucket(&app.uploads).key(&key).content_type(media_type);
    let put = put.set_content_length(size.and_then(|size| size.try_into().ok()));
    let signed = put.presigned(PresigningConfig::expires_in(Duration::from_secs(300))?).await?;
    app.create(&pending(id, user, &key, name, media_type, size)).await?;
    let headers = json!({"Content-Type": media_type});
    let body = json!({"uploadUrl": signed.uri(), "videoId": id, "method": "PUT", "headers": headers, "key": key,
        "expiresIn": 300});
    respond(200, &body)
}

async fn sign_part(
    app: &App,
    user: &str,
    upload: &str,
    part: i32,
    request: &Request,
) -> Result<Response<Body>, Error> {
    let query = request.query_string_parameters();
    let key = query.first("key").unwrap_or_default();
    if !key.starts_with(&format!("videos/{user}/")) {
        return respond(404, &json!({"message": "Upload not found."}));
    }
    let request = app.s3.upload_part().bucket(&app.uploads).key(key).upload_id(upload).part_number(part);
    let signed = request.presigned(PresigningConfig::expires_in(Duration::from_secs(900))?).await?;
    respond(200, &json!({"url": signed.uri(), "expires": 900}))
}
