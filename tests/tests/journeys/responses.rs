//! Responses of S3 after which the state of an object is not known yet: a single 404, a conflict, a lost completion.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_config::Region;
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use axum::Router;
use axum::response::IntoResponse;
use reqwest::StatusCode;
use upreel_core::{Key, VideoId};
use upreel_store::objects::{Buckets, Completion, NamedPart, ObjectStore};
use upreel_store::sdk;

const BODY: &str = "abc";
const PLAIN: &str = "\"9a0364b9e99bb480dd25e1f0284c8555\"";
const JOINED: &str = "\"9a0364b9e99bb480dd25e1f0284c8555-1\"";

type Responses = Arc<Mutex<VecDeque<(u16, &'static str)>>>;

/// Starts an S3 that gives these responses one after another: a status, and an entity tag or the code of an error.
async fn s3(responses: &[(u16, &'static str)]) -> (ObjectStore, Responses) {
    let responses: Responses = Arc::new(Mutex::new(responses.iter().copied().collect()));
    let next = responses.clone();
    let router = Router::new().fallback(move || {
        let (status, text) = next.lock().unwrap().pop_front().unwrap_or((500, ""));
        let error = format!("<Error><Code>{text}</Code></Error>");
        let body = if status == 200 { BODY.to_owned() } else { error };
        std::future::ready((StatusCode::from_u16(status).unwrap(), [("etag", text)], body).into_response())
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router).into_future());
    let credentials = Credentials::new("key", "secret", None, None, "test");
    let sdk = sdk::defaults(&sdk::Roots::Known)
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(endpoint)
        .build();
    let [uploads, thumbnails, processed] = ["uploads", "thumbnails", "processed"].map(str::to_owned);
    (ObjectStore::new(&sdk, Buckets { uploads, thumbnails, processed }, false), responses)
}

fn key() -> Key {
    Key::Video { user: "u".parse().unwrap(), id: VideoId::new(), container: None }
}

#[tokio::test]
async fn object_is_missing_after_two_responses() {
    let (objects, _) = s3(&[(404, PLAIN), (200, PLAIN)]).await;
    assert_eq!(objects.head(&key()).await.unwrap().unwrap().size, 3);
    let (objects, _) = s3(&[(404, PLAIN), (404, PLAIN)]).await;
    assert_eq!(objects.head(&key()).await.unwrap(), None);
    let (objects, _) = s3(&[(404, PLAIN), (200, PLAIN)]).await;
    assert_eq!(objects.load(&key()).await.unwrap().unwrap(), BODY);
}

#[tokio::test]
async fn conflict_is_repeated_until_the_object_is_stored() {
    for responses in [&[(409, PLAIN), (200, PLAIN)][..], &[(409, PLAIN), (412, PLAIN), (200, PLAIN)]] {
        let (objects, left) = s3(responses).await;
        objects.put_upload(&key(), "video/mp4", BODY.into()).await.unwrap();
        assert!(left.lock().unwrap().is_empty(), "{responses:?}");
    }
    let (objects, _) = s3(&[(412, PLAIN), (404, PLAIN), (404, PLAIN)]).await;
    assert!(objects.put_upload(&key(), "video/mp4", BODY.into()).await.is_err());
}

#[tokio::test]
async fn lost_completion_is_recognised_by_the_object() {
    let parts = [NamedPart { number: 1, etag: PLAIN.into() }];
    for (etag, expected) in [(JOINED, Completion::Done), (PLAIN, Completion::NoSuchUpload)] {
        let (objects, _) = s3(&[(404, "NoSuchUpload"), (200, etag)]).await;
        assert_eq!(objects.complete_multipart(&key(), "upload", &parts).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn only_its_own_error_code_says_that_an_upload_does_not_exist() {
    let parts = [NamedPart { number: 1, etag: PLAIN.into() }];
    for code in ["NoSuchUpload", "NoSuchKey", "NoSuchBucket", ""] {
        let is_gone = code == "NoSuchUpload";
        let (objects, _) = s3(&[(404, code), (404, code), (404, code), (404, ""), (404, "")]).await;
        assert_eq!(objects.list_parts(&key(), "upload").await.ok(), is_gone.then_some(None), "{code}");
        assert_eq!(objects.abort_multipart(&key(), "upload").await.ok(), is_gone.then_some(false), "{code}");
        let completed = objects.complete_multipart(&key(), "upload", &parts).await.ok();
        assert_eq!(completed, is_gone.then_some(Completion::NoSuchUpload), "{code}");
    }
}
