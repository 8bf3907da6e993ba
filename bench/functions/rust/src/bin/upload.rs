//! `POST /upload`.

use std::convert::Infallible;

use bytes::Bytes;
use lambda_http::{Body, Error, Request, Response, service_fn, tracing};
use serde_json::json;
use usual::{App, caller, pending, respond, text};
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
    let content_type =
        request.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Ok(boundary) = multer::parse_boundary(content_type) else {
        return respond(400, &json!({"message": "Send multipart/form-data."}));
    };
    let body = match request.into_body() {
        Body::Binary(bytes) => Bytes::from(bytes),
        Body::Text(text) => Bytes::from(text),
        _ => Bytes::new(),
    };
    let stream = futures_util::stream::once(async { Ok::<_, Infallible>(body) });
    let mut form = multer::Multipart::new(stream, boundary);
    let mut file = None;
    while let Some(field) = form.next_field().await? {
        if field.name() == Some("file") {
            let name = field.file_name().unwrap_or_default().to_owned();
            file = Some((name, field.bytes().await?));
        }
    }
    let Some((name, bytes)) = file else {
        return respond(400, &json!({"message": "The form has no field `file`."}));
    };
    if bytes.get(4..8) != Some(b"ftyp") {
        return respond(415, &json!({"message": "The file is not an MP4 video."}));
    }
    let id = Uuid::new_v4();
    let key = format!("videos/{user}/{id}.mp4");
    app.create(&pending(id, &user, &key, &name, "video/mp4", Some(bytes.len() as u64))).await?;
    let put = app.s3.put_object().bucket(&app.uploads).key(&key).content_type("video/mp4");
    put.if_none_match("*").body(bytes.into()).send().await?;
    app.dynamodb
        .update_item()
        .table_name(&app.table)
        .key("videoId", text(id))
        .update_expression("SET #status = :uploaded REMOVE #ttl")
        .condition_expression("#status = :pending")
        .expression_attribute_names("#status", "status")
        .expression_attribute_names("#ttl", "ttl")
        .expression_attribute_values(":uploaded", text("UPLOADED"))
        .expression_attribute_values(":pending", text("PENDING"))
        .send()
        .await?;
    let url = app.sign_get(&app.uploads, &key).await?;
    respond(200, &json!({"success": true, "videoId": id, "status": "UPLOADED", "url": url}))
}
