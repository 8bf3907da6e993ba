//! The AWS SDK, set up once for all clients of a process.

mod trust;

use std::path::PathBuf;
use std::time::Duration;

use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::meta::region::ProvideRegion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::sdk_config::Builder;

pub use trust::Roots;

/// How the environment asks for AWS to be reached, with the names of the AWS CLI and SDKs.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    /// `AWS_ENDPOINT_URL`: one endpoint for all services, such as an emulator.
    pub endpoint_url: Option<String>,
    /// `AWS_USE_FIPS_ENDPOINT`.
    pub use_fips: bool,
    /// `AWS_USE_DUALSTACK_ENDPOINT`.
    pub use_dual_stack: bool,
    /// `AWS_CA_BUNDLE`, else `SSL_CERT_FILE`: a PEM file with the only root certificates to trust.
    pub ca_bundle: Option<PathBuf>,
}

/// Within a region a connection takes milliseconds; the kernel repeats a lost first packet after a second.
const CONNECT: Duration = Duration::from_secs(2);
/// Until an answer begins: S3 may think about an object of many parts.
const ANSWER: Duration = Duration::from_secs(20);
/// With all attempts: API Gateway gives up after 29 seconds, and its own answer would say nothing.
const OPERATION: Duration = Duration::from_secs(25);
/// Twice again: throttling, a 503, a connection that was closed while the sandbox was frozen.
const ATTEMPTS: u32 = 3;
/// Drawn between nothing and this, then twice this. The SDK's one second is long for somebody who waits.
const BACK_OFF: Duration = Duration::from_millis(100);

/// Settings for Lambda, where region and credentials are in the environment.
///
/// Not by way of `aws_config::defaults`: the other sources that it may ask (profiles, STS, ECS, EC2) would all be in
/// the binary.
pub async fn from_env(endpoints: &Endpoints, roots: &Roots) -> SdkConfig {
    let mut sdk = defaults(roots)
        .region(EnvironmentVariableRegionProvider::new().region().await)
        .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()))
        .use_fips(endpoints.use_fips)
        .use_dual_stack(endpoints.use_dual_stack);
    sdk.set_endpoint_url(endpoints.endpoint_url.clone());
    sdk.build()
}

/// What every configuration shares: one connector, and limits on how long a call may take.
#[must_use]
pub fn defaults(roots: &Roots) -> Builder {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(trust::client(roots))
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(BACK_OFF))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT)
                .read_timeout(ANSWER)
                .operation_timeout(OPERATION)
                .build(),
        )
}
