//! The event files in `events/`, passed through the conversion and the router that the functions use on Lambda.

use std::path::Path;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Query;
use axum::http::Uri;
use serde_json::Value;
use tokio::time::Instant;
use tower::ServiceExt;

use crate::harness::Backend;

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("events").join(name);
    std::fs::read_to_string(path).unwrap()
}

async fn invoke(routes: Router, backend: &Backend, event: &str) -> (u16, Value) {
    let request = upreel_http::request(serde_json::from_str(&file(event)).unwrap());
    let functions = upreel_http::complete(routes, &backend.local.app.config.allowed_origins);
    let response = functions.oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn api_events_are_handled() {
    let backend = Backend::start().await;
    let app = &backend.local.app;
    let (status, uploaded) = invoke(upreel_upload::router(app.clone()), &backend, "upload.json").await;
    assert_eq!((status, &uploaded["status"]), (200, &"UPLOADED".into()), "{uploaded}");
    let (_, again) = invoke(upreel_upload::router(app.clone()), &backend, "upload.json").await;
    assert_eq!(again["videoId"], uploaded["videoId"], "the same Idempotency-Key");

    let (status, signed) = invoke(upreel_presign::router(app.clone(), None), &backend, "presign.json").await;
    assert_eq!((status, &signed["method"]), (200, &"PUT".into()));
    assert!(signed["key"].as_str().unwrap().starts_with("videos/0a4e6b7c-70f1-70c1-9a1b-2f7d3c5e8a90/"));

    let (status, list) = invoke(upreel_videos::router(app.clone(), None), &backend, "list-videos.json").await;
    assert_eq!(
        (status, list["videos"].as_array().unwrap().len()),
        (200, 2),
        "the videos of the event's user"
    );
    for (event, routes) in [
        ("get-video.json", upreel_videos::router(app.clone(), None)),
        ("change-video.json", upreel_videos::router(app.clone(), None)),
        ("delete-video.json", upreel_videos::router(app.clone(), None)),
        ("get-segment.json", upreel_playback::router(app.clone())),
    ] {
        let (status, problem) = invoke(routes, &backend, event).await;
        assert_eq!((status, &problem["code"]), (404, &"NOT_FOUND".into()), "{event}");
    }
}

/// The redirect to a segment repeats the query, which API Gateway passes on decoded. S3 has to read the same from it.
#[test]
fn query_of_a_signed_url_is_encoded_again() {
    let request = upreel_http::request(serde_json::from_str(&file("get-segment.json")).unwrap());
    let query = request.uri().query().unwrap();
    for pair in [
        "X-Amz-Credential=ASIAEXAMPLE%2F20261123%2Feu-central-1%2Fs3%2Faws4_request",
        "X-Amz-Security-Token=IQoJb3JpZ2luX2VjEA%2B%2Fredacted%3D%3D",
        "x-id=GetObject",
    ] {
        assert!(query.split('&').any(|found| found == pair), "{pair} in {query}");
    }
}

/// `upreel_http::request` changes an event before `lambda_http` converts it, and decodes the body itself. For events
/// that `lambda_http` can convert alone, the method, path, query, headers and body must be the same.
#[tokio::test]
async fn requests_equal_those_of_lambda_http() {
    for name in [
        "upload.json",
        "presign.json",
        "list-videos.json",
        "get-video.json",
        "change-video.json",
        "delete-video.json",
        "get-segment.json",
    ] {
        // lambda_http prefixes the path with any other stage.
        let event = file(name).replace("\"stage\": \"v1\"", "\"stage\": \"$default\"");
        let theirs = lambda_http::request::from_str(&event).unwrap();
        let ours = upreel_http::request(serde_json::from_str(&event).unwrap());
        assert_eq!(ours.method(), theirs.method(), "{name}");
        assert_eq!(ours.uri().path(), theirs.uri().path(), "{name}");
        assert_eq!(query(ours.uri()), query(theirs.uri()), "{name}");
        assert_eq!(ours.headers(), theirs.headers(), "{name}");
        let body = to_bytes(ours.into_body(), usize::MAX).await.unwrap();
        assert_eq!(body, theirs.body()[..], "{name}");
    }
}

fn query(address: &Uri) -> Vec<(String, String)> {
    let Query(mut pairs) = Query::<Vec<(String, String)>>::try_from_uri(address).unwrap();
    pairs.sort();
    pairs
}

#[tokio::test]
async fn malformed_base64_body_is_a_400() {
    let backend = Backend::start().await;
    let app = &backend.local.app;
    for (name, routes) in [
        ("upload.json", upreel_upload::router(app.clone())),
        ("presign.json", upreel_presign::router(app.clone(), None)),
    ] {
        let mut event: Value = serde_json::from_str(&file(name)).unwrap();
        event["httpMethod"] = "POST".into();
        event["body"] = "not base64!".into();
        event["isBase64Encoded"] = true.into();
        event["multiValueHeaders"]["Origin"] = serde_json::json!(["http://localhost:5173"]);
        let request = upreel_http::request(serde_json::from_value(event).unwrap());
        let response =
            upreel_http::complete(routes, &app.config.allowed_origins).oneshot(request).await.unwrap();
        assert_eq!(response.status(), 400, "{name}");
        assert_eq!(response.headers()["access-control-allow-origin"], "http://localhost:5173", "{name}");
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["code"], "MALFORMED_BODY", "{name}");
    }
}

#[tokio::test]
async fn s3_events_are_handled() {
    let backend = Backend::start().await;
    let keys = |name: &str| {
        let event = serde_json::from_str(&file(name)).unwrap();
        let events = upreel_events::parse(&event).unwrap().into_iter();
        let key = |event| match event {
            upreel_events::Event::Created(created) => created.key,
            upreel_events::Event::Checked(checked) => checked.key,
        };
        events.map(key).collect::<Vec<_>>()
    };
    let id = "019ad2f4-5c3e-7b21-8f60-1d2c3b4a5f6e";
    let user = "0a4e6b7c-70f1-70c1-9a1b-2f7d3c5e8a90";
    for name in ["s3-put.json", "s3-copy.json", "dlq-message.json"] {
        assert_eq!(keys(name), [format!("videos/{user}/{id}.mp4")], "{name}");
    }
    assert_eq!(keys("s3-multipart.json"), [format!("videos/eu-central-1:{user}/{id}.mov")]);
    assert_eq!(keys("s3-test.json"), [""; 0]);
    // The objects don't exist: each event is acknowledged, and no preview is written.
    for name in ["s3-put.json", "s3-copy.json", "s3-multipart.json", "s3-test.json", "dlq-message.json"] {
        let event = serde_json::from_str(&file(name)).unwrap();
        upreel_thumbnail::handle(&backend.local.app, &event, Instant::now()).await.unwrap();
    }
    assert_eq!(backend.objects("thumbnails").len(), 0);
}

#[tokio::test]
async fn webhook_events_are_handled() {
    let event = |name: &str| serde_json::from_str::<Value>(&file(name)).unwrap();
    let stream = event("dynamodb-stream.json");
    let message = event("webhook-message.json");
    // The message is the last record of the stream.
    let record: Value = serde_json::from_str(message["Records"][0]["body"].as_str().unwrap()).unwrap();
    assert_eq!(record, stream["Records"][2]);

    // Neither SQS nor the endpoint can be reached: the records must be reported as failed, so that Lambda retries them.
    let config = upreel_function::config::Webhook {
        url: "https://127.0.0.1:1/".to_owned(),
        secret_arn: "arn:aws:secretsmanager:eu-central-1:1:secret:webhook".to_owned(),
        queue_url: "http://127.0.0.1:1/queue".to_owned(),
        log_level: String::new(),
        stack: String::new(),
        aws: upreel_store::sdk::Endpoints::default(),
    };
    let sdk = upreel_store::sdk::defaults(&upreel_store::sdk::Roots::Known).build();
    let webhook = upreel_webhook::Webhook::new(&sdk, &config).unwrap();
    let failed = |item: &str| serde_json::json!({"batchItemFailures": [{"itemIdentifier": item}]});
    assert_eq!(webhook.handle(&stream).await.unwrap(), failed("4421584500000000017449"));
    assert_eq!(webhook.handle(&message).await.unwrap(), failed("059f36b4-87a3-44ab-83d2-661975830a7d"));
    // The first record causes no webhook, so nothing is sent and nothing can fail.
    let mut irrelevant = stream.clone();
    irrelevant["Records"].as_array_mut().unwrap().truncate(1);
    assert_eq!(webhook.handle(&irrelevant).await.unwrap(), serde_json::json!({"batchItemFailures": []}));
    for other in ["s3-put.json", "presign.json"] {
        assert!(webhook.handle(&event(other)).await.is_err(), "{other}");
    }
}
