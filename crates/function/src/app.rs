//! The state shared by all invocations of a function.

use std::sync::Arc;

use aws_config::SdkConfig;
use lambda_runtime::Error;
use upreel_core::key::Folder;
use upreel_core::video::Record;
use upreel_core::{Details, Fault, Key, MediaType, UserId};
use upreel_store::sdk::{self, Endpoints, Roots};
use upreel_store::{Invalidations, ObjectStore, Secret, VideoStore};

use crate::config::Config;
use crate::telemetry;

/// The stores and the settings. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    /// The S3 buckets.
    pub objects: ObjectStore,
    /// The DynamoDB table.
    pub videos: VideoStore,
    /// The secret that signs the URLs of the CDN, if there is one.
    pub cdn_secret: Option<Secret>,
    /// The cache of the CDN, if there is one and this function deletes videos.
    pub invalidations: Option<Invalidations>,
    /// The settings.
    pub config: Arc<Config>,
}

impl App {
    /// Creates the stores of a function on Lambda: reads the environment and starts the log.
    ///
    /// # Errors
    /// When a setting is missing or malformed, or the root certificates cannot be read.
    pub async fn from_env() -> Result<Self, Error> {
        Self::with_sdk().await.map(|(app, _)| app)
    }

    /// Like [`App::from_env`], for functions that create clients of other services: returns the SDK configuration too.
    ///
    /// # Errors
    /// As [`App::from_env`].
    pub async fn with_sdk() -> Result<(Self, SdkConfig), Error> {
        let config = Config::from_env()?;
        telemetry::init(&config.log_level, &config.stack);
        let sdk = sdk_config(&config.aws).await?;
        Ok((Self::new(&sdk, &sdk, config), sdk))
    }

    /// Adds the row of an uploaded object whose row is missing: it has expired, or was lost. Returns whether the object
    /// exists.
    ///
    /// # Errors
    /// When S3 or `DynamoDB` fails.
    pub async fn recreate_row(&self, key: &Key, user: &UserId) -> Result<bool, Fault> {
        let Some(head) = self.objects.head(key).await? else { return Ok(false) };
        let media_type = MediaType::servable(head.content_type.as_deref().unwrap_or_default());
        self.videos
            .create(key, (user.clone(), key.file_name(), media_type), None, &Details::default())
            .await?;
        Ok(true)
    }

    /// Frees what a video counted that has just become a tombstone, and deletes its objects, also from the cache of the CDN.
    /// `previous` is the row before that.
    ///
    /// # Errors
    /// When a service fails. The reconciler deletes what is left.
    pub async fn delete_objects(&self, previous: &Record) -> Result<(), Fault> {
        let id = previous.video.video_id;
        let freed = self.free(previous).await;
        self.objects.delete_video(id, previous.key.parse().ok().as_ref()).await?;
        // If the CDN is busy, the reconciler tries it again.
        self.invalidate(previous, &Key::served_folders(id), &id.to_string()).await?;
        freed
    }

    /// Repeats the invalidation of [`App::delete_objects`], which may be lost, in a pass of the reconciler. Returns
    /// whether that is done; if not, it has to be tried again later.
    ///
    /// A segment that was being made during the deletion may have been cached after it, so each pass invalidates
    /// segments anew. The time at which the pass is due identifies that, if it is repeated.
    ///
    /// # Errors
    /// When `CloudFront` fails.
    pub async fn invalidate_again(&self, tombstone: &Record) -> Result<bool, Fault> {
        let id = tombstone.video.video_id;
        let folders = Key::served_folders(id);
        let [.., segments] = &folders;
        let pass = format!("{id}-{}", tombstone.due.unwrap_or_default());
        Ok(self.invalidate(tombstone, &folders, &id.to_string()).await?
            && self.invalidate(tombstone, std::slice::from_ref(segments), &pass).await?)
    }

    async fn invalidate(&self, record: &Record, folders: &[Folder], reference: &str) -> Result<bool, Fault> {
        // Nothing was made of a video without an event.
        match &self.invalidations {
            Some(invalidations) if record.sequencer.is_some() => {
                invalidations.create(folders, reference).await
            }
            _ => Ok(true),
        }
    }

    /// Creates the stores with an SDK configuration for each service, which may differ in their endpoint.
    #[must_use]
    pub fn new(s3: &SdkConfig, dynamodb: &SdkConfig, config: Config) -> Self {
        Self {
            objects: ObjectStore::new(s3, config.buckets.clone(), config.transfer_acceleration)
                .with_scan(config.checks.scan),
            videos: VideoStore::new(dynamodb, config.table.clone(), config.limits),
            invalidations: config.cdn_distribution.as_ref().map(|id| Invalidations::new(dynamodb, id)),
            cdn_secret: config.cdn_secret_arn.as_ref().map(|arn| Secret::stored(dynamodb, arn)),
            config: Arc::new(config),
        }
    }
}

/// Creates the SDK configuration of a function on Lambda.
///
/// # Errors
/// When the root certificates cannot be read.
pub async fn sdk_config(endpoints: &Endpoints) -> Result<SdkConfig, Fault> {
    let roots = Roots::new(endpoints.ca_bundle.as_deref());
    let roots = roots.map_err(|error| Fault::new("read the root certificates", &error))?;
    Ok(sdk::from_env(endpoints, &roots).await)
}
