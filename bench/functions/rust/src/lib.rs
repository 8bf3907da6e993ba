//! Code shared by the three functions.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::presigning::PresigningConfig;
use lambda_http::request::RequestContext;
use lambda_http::{Body, Error, Request, RequestExt, Response};
use serde_dynamo::to_item;
use serde_json::{Value, json};
use uuid::Uuid;

/// The clients, created once, and the names from the environment.
pub struct App {
    pub s3: aws_sdk_s3::Client,
    pub dynamodb: aws_sdk_dynamodb::Client,
    pub table: String,
    pub uploads: String,
    pub thumbnails: String,
}

impl App {
    pub async fn from_env() -> Result<Self, Error> {
        let sdk = aws_config::load_defaults(BehaviorVersion::latest()).await;
        let s3 = aws_sdk_s3::config::Builder::from(&sdk).force_path_style(sdk.endpoint_url().is_some());
        Ok(Self {
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            dynamodb: aws_sdk_dynamodb::Client::new(&sdk),
            table: std::env::var("TABLE_NAME")?,
            uploads: std::env::var("UPLOADS_BUCKET")?,
            thumbnails: std::env::var("THUMBNAILS_BUCKET")?,
        })
    }

    /// Creates the row of a video that is not uploaded yet.
    pub async fn create(&self, row: &Value) -> Result<(), Error> {
        let put = self.dynamodb.put_item().table_name(&self.table).set_item(Some(to_item(row)?));
        put.condition_expression("attribute_not_exists(videoId)").send().await?;
        Ok(())
    }

    pub async fn sign_get(&self, bucket: &str, key: &str) -> Result<String, Error> {
        let signing = PresigningConfig::expires_in(Duration::from_secs(900))?;
        let signed = self.s3.get_object().bucket(bucket).key(key).presigned(signing).await?;
        Ok(signed.uri().to_owned())
    }
}

pub fn pending(id: Uuid, user: &str, key: &str, name: &str, media_type: &str, size: Option<u64>) -> Value {
    let now = SystemTime::now();
    let mut row = json!({
        "videoId": id, "userId": user, "key": key, "filename": name, "contentType": media_type, "status": "PENDING",
        "uploadTime": humantime::format_rfc3339_millis(now).to_string(), "attempts": 0,
        "ttl": now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() + 86_400,
    });
    if let Some(size) = size {
        row["size"] = size.into();
    }
    row
}

/// Returns the signed-in user, from the claims of the API's authorizer.
pub fn caller(request: &Request) -> Option<String> {
    let RequestContext::ApiGatewayV1(context) = request.request_context_ref()? else { return None };
    context.authorizer.fields.get("claims")?.get("sub")?.as_str().map(str::to_owned)
}

pub fn respond(status: u16, body: &Value) -> Result<Response<Body>, Error> {
    println!("{}", json!({"level": "INFO", "status": status, "message": "responded"}));
    let response = Response::builder().status(status).header("content-type", "application/json");
    Ok(response.header("access-control-allow-origin", "*").body(body.to_string().into())?)
}

pub fn text(value: impl ToString) -> AttributeValue {
    AttributeValue::S(value.to_string())
}
