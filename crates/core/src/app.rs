//! What every function is given.

use std::sync::Arc;

use aws_config::SdkConfig;

use crate::clients::Roots;
use crate::config::Config;
use crate::objects::ObjectStore;
use crate::runtime::BoxError;
use crate::videos::VideoStore;
use crate::{Fault, clients, telemetry};

/// The stores and the settings. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    /// The S3 buckets.
    pub objects: ObjectStore,
    /// The `DynamoDB` table.
    pub videos: VideoStore,
    /// The settings.
    pub config: Arc<Config>,
}

impl App {
    /// For a function on Lambda: reads the environment and starts the log.
    ///
    /// # Errors
    /// When a setting is missing or malformed, or the roots to trust cannot be read.
    pub async fn from_env() -> Result<Self, BoxError> {
        Self::with_sdk().await.map(|(app, _)| app)
    }

    /// The same, with what a client of another service is made of.
    ///
    /// # Errors
    /// As above.
    pub async fn with_sdk() -> Result<(Self, SdkConfig), BoxError> {
        let config = Config::from_env()?;
        telemetry::init(&config.log_level);
        let roots = Roots::new(config.aws.ca_bundle.as_deref());
        let roots = roots.map_err(|error| Fault::new("read the roots to trust", &error))?;
        let sdk = clients::from_env(&config.aws, &roots).await;
        Ok((Self::new(&sdk, &sdk, config), sdk))
    }

    /// With clients that may have endpoints of their own.
    #[must_use]
    pub fn new(s3: &SdkConfig, dynamodb: &SdkConfig, config: Config) -> Self {
        Self {
            objects: ObjectStore::new(s3, &config),
            videos: VideoStore::new(dynamodb, &config),
            config: Arc::new(config),
        }
    }
}
