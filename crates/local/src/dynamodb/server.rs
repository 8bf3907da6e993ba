//! The HTTP protocol of DynamoDB. This server replaces the one of `dynoxide`, which checks no signatures and lets every
//! web page in.

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::signature::{self, Refusal};

/// DynamoDB's limit for the body of a request, in bytes.
const MAX_BODY: usize = 16 << 20;

/// Returns the routes. Requests have to be signed with the secret.
pub(crate) fn router(database: Database, secret: &str) -> Router {
    Router::new()
        .route("/", post(handle))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state((database, secret.to_owned()))
}

async fn handle(State((database, secret)): State<(Database, String)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return refuse(
            "SerializationException",
            "The body is incomplete, or larger than 16 MiB. Send it again, or less at once.",
        );
    };
    if let Err(refusal) = signature::verify(&parts, &body, "dynamodb", &secret) {
        let (kind, message) = explain(refusal);
        return refuse(kind, message);
    }
    let Some(operation) = operation(&parts) else {
        return refuse(
            "UnknownOperationException",
            "Name an operation of DynamoDB in the header X-Amz-Target, such as DynamoDB_20120810.GetItem.",
        );
    };
    match execute(&database, &operation, &body) {
        Ok(output) => respond(StatusCode::OK, output),
        Err(error) => {
            let status = StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::BAD_REQUEST);
            respond(status, error.to_json())
        }
    }
}

/// Returns the operation, such as `PutItem`.
fn operation(request: &Parts) -> Option<String> {
    let target = request.headers.get("x-amz-target")?.to_str().ok()?;
    let (version, operation) = target.split_once('.')?;
    matches!(version, "DynamoDB_20120810" | "DynamoDBStreams_20120810").then(|| operation.to_owned())
}

fn explain(refusal: Refusal) -> (&'static str, &'static str) {
    match refusal {
        Refusal::Unsigned => (
            "MissingAuthenticationTokenException",
            "The request is not signed. Use the credentials that Upreel printed when it started.",
        ),
        Refusal::UnknownKey => (
            "UnrecognizedClientException",
            "This access key ID is unknown. Use the credentials that Upreel printed when it started.",
        ),
        Refusal::Mismatch => (
            "InvalidSignatureException",
            "The signature does not match the request. Use the credentials that Upreel printed when it started.",
        ),
    }
}

fn refuse(kind: &str, message: &str) -> Response {
    respond(StatusCode::BAD_REQUEST, error_body(kind, message))
}

fn error_body(kind: &str, message: &str) -> String {
    json!({"__type": format!("com.amazon.coral.service#{kind}"), "message": message}).to_string()
}

fn respond(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.0")], body).into_response()
}

/// Calls the method of the database that belongs to the operation.
macro_rules! call {
    ($database:ident, $operation:ident, $body:ident, $($name:literal => $method:ident,)*) => {
        match $operation {
            $($name => perform($body, |input| $database.$method(input)),)*
            _ => {
                let message = format!("The local DynamoDB does not support {}.", $operation);
                Err(DynoxideError::ValidationException(message))
            }
        }
    };
}

/// Executes an operation, and blocks the thread for about a millisecond. The database executes one operation at a time
/// anyway.
fn execute(database: &Database, operation: &str, body: &Bytes) -> Result<String, DynoxideError> {
    call!(database, operation, body,
        "CreateTable" => create_table,
        "DeleteTable" => delete_table,
        "DescribeTable" => describe_table,
        "UpdateTable" => update_table,
        "ListTables" => list_tables,
        "DescribeTimeToLive" => describe_time_to_live,
        "UpdateTimeToLive" => update_time_to_live,
        "TagResource" => tag_resource,
        "UntagResource" => untag_resource,
        "ListTagsOfResource" => list_tags_of_resource,
        "PutItem" => put_item,
        "GetItem" => get_item,
        "UpdateItem" => update_item,
        "DeleteItem" => delete_item,
        "Query" => query,
        "Scan" => scan,
        "BatchGetItem" => batch_get_item,
        "BatchWriteItem" => batch_write_item,
        "TransactGetItems" => transact_get_items,
        "TransactWriteItems" => transact_write_items,
        "ExecuteStatement" => execute_statement,
        "BatchExecuteStatement" => batch_execute_statement,
        "ExecuteTransaction" => execute_transaction,
        "ListStreams" => list_streams,
        "DescribeStream" => describe_stream,
        "GetShardIterator" => get_shard_iterator,
        "GetRecords" => get_records,
    )
}

fn perform<I: DeserializeOwned, O: Serialize>(
    body: &[u8],
    call: impl FnOnce(I) -> Result<O, DynoxideError>,
) -> Result<String, DynoxideError> {
    let input = serde_json::from_slice(body).map_err(|error| malformed(&error))?;
    let output = call(input)?;
    serde_json::to_string(&output).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// Converts an error of the request. `dynoxide` begins some messages with the kind of the error.
fn malformed(error: &serde_json::Error) -> DynoxideError {
    let message = error.to_string();
    match message.split_once(':') {
        Some((kind, rest)) if kind.starts_with("VALIDATION") => {
            DynoxideError::ValidationException(rest.to_owned())
        }
        Some((kind, rest)) if kind.starts_with("SERIALIZATION") => {
            DynoxideError::SerializationException(rest.to_owned())
        }
        _ => DynoxideError::ValidationException(message),
    }
}
