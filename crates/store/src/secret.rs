//! The secrets that sign webhooks and the URLs of the CDN.
//!
//! The value of a secret in Secrets Manager is one secret, or several that are separated by commas while one replaces
//! another. Verifiers accept all of them; see "Replace a secret" in docs/OPERATIONS.md. A function reads the value when
//! it first needs it, so that no cold start waits for it, and again every five minutes.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use tokio::sync::Mutex;
use upreel_core::Fault;

/// How long a value is used before it is read again: a changed value takes effect everywhere within this time.
const MAX_AGE: Duration = Duration::from_mins(5);
/// How long to wait before the next attempt if the value could not be read again.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// A secret. Clones share the value that was read. `Debug` does not show it.
#[derive(Clone)]
pub struct Secret(Source);

#[derive(Clone)]
enum Source {
    Fixed(Arc<[String]>),
    Stored(Arc<Stored>),
}

/// A secret in Secrets Manager.
struct Stored {
    sdk: SdkConfig,
    arn: String,
    /// The value that was read last. Locked while it is read, so that concurrent requests read it once.
    value: Mutex<Option<Value>>,
}

struct Value {
    secrets: Arc<[String]>,
    /// When it has to be read again.
    expires: SystemTime,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").finish_non_exhaustive()
    }
}

impl Secret {
    /// Creates a secret with this value, for the local backend and tests.
    #[must_use]
    pub fn fixed(value: &str) -> Self {
        Self(Source::Fixed([value.to_owned()].into()))
    }

    /// Creates a secret that is stored under this ARN. Reads nothing yet.
    #[must_use]
    pub fn stored(sdk: &SdkConfig, arn: &str) -> Self {
        Self(Source::Stored(Arc::new(Stored {
            sdk: sdk.clone(),
            arn: arn.to_owned(),
            value: Mutex::default(),
        })))
    }

    /// Returns the secrets, at least one. Where only one can be used to sign, it is the first.
    ///
    /// # Errors
    /// When the value cannot be read, and none was read before.
    pub async fn all(&self) -> Result<Arc<[String]>, Fault> {
        match &self.0 {
            Source::Fixed(secrets) => Ok(secrets.clone()),
            Source::Stored(stored) => stored.all().await,
        }
    }
}

impl Stored {
    async fn all(&self) -> Result<Arc<[String]>, Fault> {
        let mut value = self.value.lock().await;
        // Not the monotonic clock, which may stand still while Lambda has frozen the process.
        let now = self.sdk.time_source().map_or_else(SystemTime::now, |clock| clock.now());
        if let Some(known) = value.as_ref().filter(|known| now < known.expires) {
            return Ok(known.secrets.clone());
        }
        let (secrets, age) = match (self.read().await, value.as_ref()) {
            (Ok(secrets), _) => (secrets, MAX_AGE),
            (Err(fault), None) => return Err(fault),
            (Err(fault), Some(known)) => {
                tracing::warn!(%fault, "could not read the secret again, using the previous value");
                (known.secrets.clone(), RETRY_AFTER)
            }
        };
        *value = Some(Value { secrets: secrets.clone(), expires: now + age });
        Ok(secrets)
    }

    async fn read(&self) -> Result<Arc<[String]>, Fault> {
        const OPERATION: &str = "secretsmanager:GetSecretValue";
        // The client is created only here: most cold starts need none, and a process needs one every five minutes.
        let response = Client::new(&self.sdk).get_secret_value().secret_id(&self.arn).send().await;
        let response = response.map_err(|error| Fault::new(OPERATION, &error))?;
        let secrets = parse(response.secret_string().unwrap_or_default());
        if secrets.is_empty() { Err(Fault::message(OPERATION, "the secret is empty")) } else { Ok(secrets) }
    }
}

/// Returns the secrets of a value, without white space around them.
fn parse(value: &str) -> Arc<[String]> {
    value.split(',').map(str::trim).filter(|secret| !secret.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex as StdMutex;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use std::time::UNIX_EPOCH;

    use aws_credential_types::Credentials;
    use aws_credential_types::provider::SharedCredentialsProvider;
    use aws_smithy_runtime_api::client::http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
    };
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
    use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
    use aws_types::region::Region;
    use aws_types::sdk_config::{SharedTimeSource, TimeSource};

    use super::*;
    use crate::sdk::{Roots, defaults};

    const ARN: &str = "arn:aws:secretsmanager:eu-central-1:1:secret:upreel-cdn-1";

    /// Secrets Manager with these responses, one for each request, and a clock in seconds.
    #[derive(Debug, Clone, Default)]
    struct Fake {
        responses: Arc<StdMutex<VecDeque<Option<&'static str>>>>,
        requests: Arc<AtomicU64>,
        clock: Arc<AtomicU64>,
    }

    impl TimeSource for Fake {
        fn now(&self) -> SystemTime {
            UNIX_EPOCH + Duration::from_secs(self.clock.load(Relaxed))
        }
    }

    impl HttpClient for Fake {
        fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
            SharedHttpConnector::new(self.clone())
        }
    }

    impl HttpConnector for Fake {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            assert!(request.uri().starts_with("https://secretsmanager.eu-central-1."), "{}", request.uri());
            let body = std::str::from_utf8(request.body().bytes().unwrap_or_default()).unwrap_or_default();
            assert!(body.contains(ARN), "{body}");
            self.requests.fetch_add(1, Relaxed);
            let answer = self.responses.lock().unwrap().pop_front().flatten();
            let response = http::Response::builder().status(if answer.is_some() { 200 } else { 400 });
            let body = match answer {
                Some(value) => serde_json::json!({"SecretString": value}).to_string(),
                None => r#"{"__type": "AccessDeniedException"}"#.to_owned(),
            };
            let response = response.body(body.into()).unwrap();
            HttpConnectorFuture::ready(Ok(HttpResponse::try_from(response).unwrap()))
        }
    }

    impl Fake {
        fn secret(&self) -> Secret {
            let credentials = Credentials::new("a", "b", None, None, "test");
            let sdk = defaults(&Roots::Known)
                .region(Region::new("eu-central-1"))
                .credentials_provider(SharedCredentialsProvider::new(credentials))
                .http_client(self.clone())
                .time_source(SharedTimeSource::new(self.clone()))
                .build();
            Secret::stored(&sdk, ARN)
        }
    }

    /// Returns what a stored secret has at these times, for these responses; and the number of requests.
    async fn at(times: &[u64], responses: &[Option<&'static str>]) -> (Vec<Option<String>>, u64) {
        let fake = Fake {
            responses: Arc::new(StdMutex::new(responses.iter().copied().collect())),
            ..Fake::default()
        };
        let secret = fake.secret();
        assert_eq!(fake.requests.load(Relaxed), 0, "nothing is read before it is needed");
        let mut found = Vec::new();
        for time in times {
            fake.clock.store(1_800_000_000 + time, Relaxed);
            found.push(secret.clone().all().await.ok().map(|secrets| secrets.join(" ")));
        }
        (found, fake.requests.load(Relaxed))
    }

    fn some(values: &[&str]) -> Vec<Option<String>> {
        values.iter().map(|value| Some((*value).to_owned())).collect()
    }

    #[tokio::test]
    async fn changed_value_is_used_within_five_minutes() {
        let (found, requests) = at(&[0, 1, 299, 300, 301], &[Some("a"), Some("b,a")]).await;
        assert_eq!((found, requests), (some(&["a", "a", "a", "b a", "b a"]), 2));
    }

    #[tokio::test]
    async fn last_value_is_used_while_the_secret_cannot_be_read() {
        let (found, requests) = at(&[0, 300, 301, 330, 331], &[Some("a"), None, Some("b")]).await;
        assert_eq!((found, requests), (some(&["a", "a", "a", "b", "b"]), 3));
    }

    #[tokio::test]
    async fn missing_value_is_a_fault_and_read_again() {
        for bad in [None, Some(""), Some(" , ")] {
            let (found, requests) = at(&[0, 0], &[bad, Some("a")]).await;
            assert_eq!((found, requests), (vec![None, Some("a".to_owned())], 2), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn concurrent_requests_read_the_value_once() {
        let fake = Fake { responses: Arc::new(StdMutex::new([Some("a")].into())), ..Fake::default() };
        let secret = fake.secret();
        let (one, other) = tokio::join!(secret.all(), secret.all());
        assert_eq!((one.unwrap().join(" "), other.unwrap().join(" ")), ("a".into(), "a".into()));
        assert_eq!(fake.requests.load(Relaxed), 1);
    }

    #[test]
    fn debug_output_hides_the_secret() {
        assert!(!format!("{:?}", Secret::fixed("very-secret")).contains("very-secret"));
        assert_eq!(parse(" new , old\n,").join(" "), "new old");
    }
}
