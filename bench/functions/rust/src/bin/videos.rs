//! `GET /videos` and `GET /videos/{videoId}`.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD, Engine};
use lambda_http::{Body, Error, Request, RequestExt, Response, http::HeaderValue, service_fn, tracing};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use usual::{App, caller, respond, text};

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
    match request.uri().path().strip_prefix("/videos/") {
        None => list(app, &user, &request).await,
        Some(id) => get(app, &user, id, &request).await,
    }
}

async fn get(app: &App, user: &str, id: &str, request: &Request) -> Result<Response<Body>, Error> {
    let get = app.dynamodb.get_item().table_name(&app.table).key("videoId", text(id)).consistent_read(true);
    let row: Option<Value> = get.send().await?.item.map(serde_dynamo::from_item).transpose()?;
    let Some(row) = row.filter(|row| row["userId"] == user) else {
        return respond(404, &json!({"message": "Video not found."}));
    };
    let body = view(app, row).await?;
    let etag =
        format!("\"{:x?}\"", &Sha256::digest(body.to_string())[..16]).replace([',', ' ', '[', ']'], "");
    if request.headers().get("if-none-match").is_some_and(|tag| tag == etag.as_str()) {
        return respond(304, &Value::Null);
    }
    let mut response = respond(200, &body)?;
    response.headers_mut().insert("etag", HeaderValue::from_str(&etag)?);
    Ok(response)
}

async fn list(app: &App, user: &str, request: &Request) -> Result<Response<Body>, Error> {
    let limit = request.query_string_parameters().first("limit").and_then(|limit| limit.parse().ok());
    let query = app.dynamodb.query().table_name(&app.table).index_name("byUser");
    let query =
        query.key_condition_expression("userId = :user").expression_attribute_values(":user", text(user));
    let page = query.scan_index_forward(false).limit(limit.unwrap_or(20)).send().await?;
    let mut videos = Vec::new();
    for item in page.items.unwrap_or_default() {
        videos.push(view(app, serde_dynamo::from_item(item)?).await?);
    }
    let last: Option<Value> = page.last_evaluated_key.map(serde_dynamo::from_item).transpose()?;
    let cursor = last.map(|last| URL_SAFE_NO_PAD.encode(last.to_string()));
    respond(200, &json!({"videos": videos, "cursor": cursor}))
}

/// Returns the row with URLs in place of keys.
async fn view(app: &App, mut row: Value) -> Result<Value, Error> {
    let Some(fields) = row.as_object_mut() else { return Err("the row is not an object".into()) };
    for (key, url) in [("thumbnailKey", "thumbnailUrl"), ("thumbnailLargeKey", "thumbnailLargeUrl")] {
        if let Some(Value::String(key)) = fields.remove(key) {
            fields.insert(url.to_owned(), app.sign_get(&app.thumbnails, &key).await?.into());
        }
    }
    if let Some(Value::String(key)) = fields.remove("storyboardKey") {
        let image = key.replace(".vtt", ".jpg");
        fields.insert("storyboardUrl".to_owned(), app.sign_get(&app.thumbnails, &key).await?.into());
        fields.insert("storyboardImageUrl".to_owned(), app.sign_get(&app.thumbnails, &image).await?.into());
    }
    for internal in ["key", "sequencer", "attempts", "ttl"] {
        fields.remove(internal);
    }
    Ok(row)
}
