//! The configuration of the AWS SDK, shared by all clients of a process.

mod clock;
mod trust;
mod usage;

use std::path::PathBuf;
use std::time::Duration;

use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::meta::region::ProvideRegion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::sdk_config::{Builder, SharedTimeSource};

pub use clock::Clock;
pub use trust::Roots;
pub use usage::Usage;

/// How to reach AWS, by the environment variables of the AWS CLI and SDKs.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    /// `AWS_ENDPOINT_URL`: one endpoint for all services, such as an emulator.
    pub endpoint_url: Option<String>,
    /// `AWS_USE_FIPS_ENDPOINT`: use FIPS endpoints.
    pub use_fips: bool,
    /// `AWS_USE_DUALSTACK_ENDPOINT`: use endpoints with IPv4 and IPv6.
    pub use_dual_stack: bool,
    /// `AWS_CA_BUNDLE`, else `SSL_CERT_FILE`: a PEM file with root certificates, the only ones to trust.
    pub ca_bundle: Option<PathBuf>,
}

/// Connect timeout. Within a region a connection takes milliseconds; the kernel resends a lost SYN after one second.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Timeout of one attempt, for services that do not set another.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout of an operation with all its attempts. Like those of the other services it leaves time for the function's
/// response before API Gateway's 29 seconds, because that one's error response has no useful detail.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(12);
/// How much longer the timeouts of local services are.
const LOCAL_FACTOR: u32 = 4;
/// One attempt and two retries: for throttling, a 503, or a connection that was closed while the sandbox was frozen.
const MAX_ATTEMPTS: u32 = 3;
/// The first retry waits for a random time up to this, the second up to twice this. The SDK's default of one second is
/// long for a waiting user.
const INITIAL_BACKOFF: Duration = Duration::from_millis(100);

/// Creates the configuration for Lambda, where region and credentials are in the environment.
///
/// Does not use `aws_config::defaults`, which would add the code of all other credential sources (profiles, STS, ECS,
/// EC2) to the binary.
pub async fn from_env(endpoints: &Endpoints, roots: &Roots) -> SdkConfig {
    let mut sdk = defaults(roots)
        .region(EnvironmentVariableRegionProvider::new().region().await)
        .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()))
        .use_fips(endpoints.use_fips)
        .use_dual_stack(endpoints.use_dual_stack);
    sdk.set_endpoint_url(endpoints.endpoint_url.clone());
    sdk.build()
}

/// Returns a builder with the settings that all configurations share: HTTP client, clock, retries and timeouts.
#[must_use]
pub fn defaults(roots: &Roots) -> Builder {
    let clock = Clock::new(SharedTimeSource::default());
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(clock.observe(trust::client(roots)))
        .time_source(clock)
        .retry_config(
            RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS).with_initial_backoff(INITIAL_BACKOFF),
        )
        .timeout_config(timeouts(ATTEMPT_TIMEOUT, OPERATION_TIMEOUT))
}

/// Returns the timeouts of a service of `sdk`. The services of the local backend and of emulators share a machine with
/// their clients, so they are given more time.
#[must_use]
pub(crate) fn service_timeouts(sdk: &SdkConfig, attempt: Duration, operation: Duration) -> TimeoutConfig {
    let is_local = sdk.endpoint_url().is_some_and(|endpoint| endpoint.starts_with("http://"));
    let factor = if is_local { LOCAL_FACTOR } else { 1 };
    timeouts(attempt * factor, operation * factor)
}

/// Returns the timeouts of one attempt, and of an operation with all its attempts. One attempt that hangs must leave time
/// for another one.
#[must_use]
pub fn timeouts(attempt: Duration, operation: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(attempt)
        .operation_timeout(operation)
        .build()
}
