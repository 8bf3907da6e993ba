//! The clock of the AWS clients and of presigned URLs: the machine's clock, corrected by the `Date` of AWS's responses.
//!
//! AWS rejects requests that are signed more than 5 to 15 minutes in the past or the future, and a presigned URL of 5
//! minutes that is signed with a clock 10 minutes slow has expired before anybody receives it. With a wrong clock, the
//! first request to AWS may fail. Its response shows the difference, and all later signatures are right.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_types::sdk_config::{SharedTimeSource, TimeSource};

use crate::sdk::Usage;

/// Differences up to this many seconds are not corrected: a response takes time, and its `Date` has whole seconds.
const TOLERANCE: i64 = 60;

/// The corrected clock. Clones share the correction.
#[derive(Debug, Clone)]
pub struct Clock {
    machine: SharedTimeSource,
    /// The time of AWS minus that of the machine, in seconds, if it exceeds the tolerance.
    offset: Arc<AtomicI64>,
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        shifted(self.machine.now(), self.offset.load(Relaxed))
    }
}

impl Clock {
    /// Creates a clock from that of the machine.
    #[must_use]
    pub fn new(machine: SharedTimeSource) -> Self {
        Self { machine, offset: Arc::default() }
    }

    /// Wraps a client so that each of its responses can correct the clock.
    #[must_use]
    pub fn observe(&self, client: SharedHttpClient) -> SharedHttpClient {
        SharedHttpClient::new(Observed { inner: client, clock: self.clone() })
    }

    /// Takes over the time of a response. Logs a difference once, and again when it has changed.
    fn correct(&self, date: Option<&str>) {
        let date = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        let Some(date) = date else { return };
        let difference = date.secs().saturating_sub(seconds(self.machine.now()));
        let offset = if difference.abs() > TOLERANCE { difference } else { 0 };
        if (offset - self.offset.load(Relaxed)).abs() <= TOLERANCE {
            return;
        }
        self.offset.store(offset, Relaxed);
        if offset == 0 {
            tracing::info!("the machine's clock is right again");
            return;
        }
        let (seconds, direction) = (offset.abs(), if offset > 0 { "behind" } else { "ahead of" });
        tracing::error!(
            seconds,
            "the machine's clock is {seconds} s {direction} AWS's: requests and presigned URLs are signed with AWS's \
             time from now on; set the clock (NTP), because other programs of this machine have the wrong time, too"
        );
    }
}

/// Returns the time in whole seconds since 1970; negative before.
fn seconds(time: SystemTime) -> i64 {
    DateTime::from(time).secs()
}

fn shifted(time: SystemTime, offset: i64) -> SystemTime {
    let distance = Duration::from_secs(offset.unsigned_abs());
    let shifted = if offset < 0 { time.checked_sub(distance) } else { time.checked_add(distance) };
    shifted.unwrap_or(UNIX_EPOCH)
}

#[derive(Debug)]
struct Observed<T> {
    inner: T,
    clock: Clock,
}

impl HttpClient for Observed<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Observed { inner, clock: self.clock.clone() })
    }
}

impl HttpConnector for Observed<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        Usage::count(&request);
        let (response, clock) = (self.inner.call(request), self.clock.clone());
        HttpConnectorFuture::new(async move {
            let response = response.await?;
            clock.correct(response.headers().get("date"));
            Ok(response)
        })
    }
}

#[cfg(test)]
mod tests {
    use aws_credential_types::Credentials;
    use aws_credential_types::provider::SharedCredentialsProvider;
    use aws_types::region::Region;
    use axum::Router;
    use axum::routing::any;
    use tokio::net::TcpListener;
    use upreel_core::limits::Limits;

    use super::*;
    use crate::objects::{Buckets, ObjectStore};
    use crate::sdk::{Roots, defaults};
    use crate::videos::VideoStore;

    #[derive(Debug, Clone)]
    struct Fixed(Arc<AtomicI64>);

    impl TimeSource for Fixed {
        fn now(&self) -> SystemTime {
            shifted(UNIX_EPOCH, self.0.load(Relaxed))
        }
    }

    #[test]
    fn differences_beyond_the_tolerance_are_corrected() {
        const DATE: &str = "Sat, 01 Jan 2000 00:00:00 GMT";
        const THEN: i64 = 946_684_800;
        let machine = Fixed(Arc::default());
        let clock = Clock::new(SharedTimeSource::new(machine.clone()));
        let shown = || seconds(clock.now()) - THEN;
        for (slow, corrected) in [
            (0, 0),
            (60, -60),
            (-60, 60),
            (600, 0),
            // The difference has changed by less than the tolerance.
            (630, -30),
            (700, 0),
            (-3600, 0),
            (1, -1),
            (THEN, 0),
        ] {
            machine.0.store(THEN - slow, Relaxed);
            clock.correct(Some(DATE));
            assert_eq!(shown(), corrected, "{slow} s slow");
        }
        for invalid in [None, Some(""), Some("2000-01-01"), Some("Sat, 99 Jan 2000 00:00:00 GMT")] {
            clock.correct(invalid);
            assert_eq!(shown(), 0, "{invalid:?}");
        }
        assert_eq!(shifted(UNIX_EPOCH + Duration::from_secs(1), i64::MAX), UNIX_EPOCH, "out of range");
    }

    /// A response to any client corrects the signatures of all: of DynamoDB, even if it is an error, those of S3.
    #[tokio::test]
    async fn signatures_have_the_time_of_the_server() {
        const DATE: &str = "Sat, 01 Jan 2000 00:07:00 GMT";
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(any(|| async { ([("date", DATE)], "no JSON") }));
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        let credentials = Credentials::new("a", "b", None, None, "test");
        let sdk = defaults(&Roots::Known)
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url(url)
            .build();
        let bucket = || "b".to_owned();
        let buckets = Buckets { uploads: bucket(), thumbnails: bucket(), processed: bucket() };
        let objects = ObjectStore::new(&sdk, buckets, false);
        let id = upreel_core::VideoId::new();
        let key = upreel_core::Key::Video { user: "u".parse().unwrap(), id, container: None };
        let sign = async || objects.sign_put(&key, "video/mp4", None).await.unwrap().url;
        assert!(!sign().await.contains("X-Amz-Date=2000"));
        VideoStore::new(&sdk, "t".to_owned(), Limits::default()).get(id).await.unwrap_err();
        let url = sign().await;
        assert!(url.contains("X-Amz-Date=20000101T0007"), "{url}");
    }
}
