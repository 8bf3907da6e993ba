//! The settings of all functions, read once from the environment.

use std::env;
use std::path::PathBuf;

use upreel_core::Checks;
use upreel_core::limits::{Limits, MAX_OBJECT};
use upreel_core::quota;
use upreel_store::Buckets;
use upreel_store::sdk::Endpoints;

/// The settings of all functions except `webhook`.
#[derive(Debug, Clone)]
pub struct Config {
    /// `TABLE_NAME`: the `DynamoDB` table.
    pub table: String,
    /// `UPLOADS_BUCKET`, `THUMBNAILS_BUCKET` and `PROCESSED_BUCKET`.
    pub buckets: Buckets,
    /// `STATE_MACHINE_ARN`: the state machine that transcodes videos. Without it, transcoding is off.
    pub state_machine: Option<String>,
    /// `TRANSCODE`: whether renditions are encoded only when a player requests them (`watched`). The other values, `all` and
    /// `off` or `true` and `false`, do not matter here: without `STATE_MACHINE_ARN`, transcoding is off.
    pub transcodes_when_watched: bool,
    /// `FETCH_FUNCTION`: the name or ARN of the function that fetches videos from URLs. Without it, none are fetched.
    pub fetch_function: Option<String>,
    /// `AUDIO`: whether files with audio alone are accepted (`true`). Otherwise they are no videos.
    pub audio: bool,
    /// `CDN_DOMAIN`: the host name of the distribution in front of the processed bucket. Without it, S3 serves its files.
    pub cdn_domain: Option<String>,
    /// `CDN_SECRET_ARN`: the ARN of the secret that signs the URLs of the distribution.
    pub cdn_secret_arn: Option<String>,
    /// `CDN_DISTRIBUTION_ID`: the distribution from whose cache deleted videos are removed.
    pub cdn_distribution: Option<String>,
    /// `ALLOWED_ORIGINS`: the origins allowed by CORS, separated by commas; `*` allows all.
    pub allowed_origins: Vec<String>,
    /// `MAX_UPLOAD_BYTES`: the largest accepted video, whatever the way of uploading.
    pub max_upload_bytes: u64,
    /// `QUOTA_BYTES`, `QUOTA_VIDEOS`, `QUOTA_UPLOADS`, `MAX_DURATION_SECONDS` and `ALLOWED_TYPES`: the limits of each user,
    /// unless the user's account has others. Without any of them, nothing is counted.
    pub quotas: quota::Limits,
    /// `TRANSFER_ACCELERATION`: whether presigned uploads use S3 Transfer Acceleration, which costs extra.
    pub transfer_acceleration: bool,
    /// `SCAN` and `MODERATION`: the checks that an upload has to pass before it can be read.
    pub checks: Checks,
    /// `FFMPEG_PATH`: the ffmpeg program; by default `/opt/bin/ffmpeg`, from the layer.
    pub ffmpeg: PathBuf,
    /// `LOG_LEVEL`: a level, or levels by target such as `info,aws_config=debug`; by default `info`.
    pub log_level: String,
    /// `STACK_NAME`: the name of the stack, a dimension of the metrics.
    pub stack: String,
    /// How to reach AWS.
    pub aws: Endpoints,
    /// How long a row may stay in a state before the reconciler examines it. Not in the environment; the local backend
    /// and tests shorten it.
    pub limits: Limits,
}

/// The error for a missing or malformed setting.
#[derive(Debug, thiserror::Error)]
#[error("the environment variable {name} {complaint}")]
pub struct InvalidSetting {
    name: &'static str,
    complaint: &'static str,
}

/// The settings of the `webhook` function.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// `WEBHOOK_URL`: the receiver of the webhooks.
    pub url: String,
    /// `WEBHOOK_SECRET_ARN`: the ARN of the secret that signs the webhooks.
    pub secret_arn: String,
    /// `WEBHOOK_QUEUE_URL`: the queue of events to deliver.
    pub queue_url: String,
    /// `LOG_LEVEL`, see [`Config::log_level`].
    pub log_level: String,
    /// `STACK_NAME`: the name of the stack, a dimension of the metrics.
    pub stack: String,
    /// How to reach AWS.
    pub aws: Endpoints,
}

impl Webhook {
    /// Reads the settings from the environment.
    ///
    /// # Errors
    /// When a setting is missing.
    pub fn from_env() -> Result<Self, InvalidSetting> {
        Self::from(variable)
    }

    fn from(get: impl Fn(&'static str) -> Option<String>) -> Result<Self, InvalidSetting> {
        let need = |name| get(name).ok_or(InvalidSetting { name, complaint: "is not set" });
        Ok(Self {
            url: need("WEBHOOK_URL")?,
            secret_arn: need("WEBHOOK_SECRET_ARN")?,
            queue_url: need("WEBHOOK_QUEUE_URL")?,
            log_level: log_level(&get),
            stack: stack(&get),
            aws: endpoints(get),
        })
    }
}

/// The settings that only the `reconcile` function has.
#[derive(Debug, Clone)]
pub struct Reconcile {
    /// `THUMBNAIL_FUNCTION`: the name or ARN of the thumbnail function.
    pub thumbnail_function: String,
    /// `DEAD_LETTER_QUEUE_URL`: the dead-letter queue of the thumbnail function.
    pub dead_letter_queue_url: String,
}

impl Reconcile {
    /// Reads the settings from the environment.
    ///
    /// # Errors
    /// When a setting is missing.
    pub fn from_env() -> Result<Self, InvalidSetting> {
        let need = |name| variable(name).ok_or(InvalidSetting { name, complaint: "is not set" });
        Ok(Self {
            thumbnail_function: need("THUMBNAIL_FUNCTION")?,
            dead_letter_queue_url: need("DEAD_LETTER_QUEUE_URL")?,
        })
    }
}

/// Returns how to reach S3 and DynamoDB from a program outside of Lambda, which may have an endpoint of their own:
/// `AWS_ENDPOINT_URL_S3` and `AWS_ENDPOINT_URL_DYNAMODB`, else `AWS_ENDPOINT_URL`.
///
/// # Errors
/// When there are no credentials or no region, which the SDK reads from the environment.
pub fn endpoints_of_services() -> Result<[Endpoints; 2], InvalidSetting> {
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"] {
        variable(name).ok_or(InvalidSetting { name, complaint: "is not set" })?;
    }
    let own = |own| {
        endpoints(|name| variable(own).filter(|_| name == "AWS_ENDPOINT_URL").or_else(|| variable(name)))
    };
    Ok(["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_DYNAMODB"].map(own))
}

/// Returns the value of an environment variable, or `None` if it is unset or empty.
#[expect(clippy::disallowed_methods, reason = "the one place that reads settings")]
fn variable(name: &'static str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns the memory of the function in GB, which Lambda sets; 0 outside of Lambda.
pub(crate) fn memory_gb() -> f64 {
    let megabytes = variable("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").and_then(|text| text.parse().ok());
    megabytes.unwrap_or(0.0) / 1024.0
}

/// `TRACES`: returns the address of X-Ray's daemon, which Lambda sets, if traces are on.
pub(crate) fn xray_daemon() -> Option<String> {
    variable("TRACES").filter(|value| value == "true")?;
    variable("AWS_XRAY_DAEMON_ADDRESS")
}

fn endpoints(get: impl Fn(&'static str) -> Option<String>) -> Endpoints {
    let is_true = |name| get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    Endpoints {
        endpoint_url: get("AWS_ENDPOINT_URL"),
        use_fips: is_true("AWS_USE_FIPS_ENDPOINT"),
        use_dual_stack: is_true("AWS_USE_DUALSTACK_ENDPOINT"),
        ca_bundle: get("AWS_CA_BUNDLE").or_else(|| get("SSL_CERT_FILE")).map(PathBuf::from),
    }
}

/// Returns the value of a setting that is off unless it is `true`.
fn is_true(get: impl Fn(&'static str) -> Option<String>, name: &'static str) -> Result<bool, InvalidSetting> {
    match get(name).as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(InvalidSetting { name, complaint: "must be true or false" }),
    }
}

fn log_level(get: impl Fn(&'static str) -> Option<String>) -> String {
    get("LOG_LEVEL").unwrap_or_else(|| "info".to_owned())
}

fn stack(get: impl Fn(&'static str) -> Option<String>) -> String {
    get("STACK_NAME").unwrap_or_else(|| "upreel".to_owned())
}

fn quotas(get: impl Fn(&'static str) -> Option<String>) -> Result<quota::Limits, InvalidSetting> {
    let number = |name| {
        let complaint = "must be a whole number, or 0 for no limit";
        let parse = |text: String| text.parse().map_err(|_| InvalidSetting { name, complaint });
        get(name).map(parse).transpose()
    };
    let complaint = "must be a list of containers such as mp4,mov";
    let types =
        |text: String| quota::parse_types(&text).ok_or(InvalidSetting { name: "ALLOWED_TYPES", complaint });
    let limits = quota::Limits {
        bytes: number("QUOTA_BYTES")?,
        videos: number("QUOTA_VIDEOS")?,
        uploads: number("QUOTA_UPLOADS")?,
        max_duration_seconds: number("MAX_DURATION_SECONDS")?,
        types: get("ALLOWED_TYPES").map(types).transpose()?,
    };
    Ok(limits.normalized())
}

impl Config {
    /// Reads the settings from the environment.
    ///
    /// # Errors
    /// When a setting without a default is missing, or one is malformed.
    pub fn from_env() -> Result<Self, InvalidSetting> {
        Self::from(variable)
    }

    fn from(get: impl Fn(&'static str) -> Option<String>) -> Result<Self, InvalidSetting> {
        let need = |name| get(name).ok_or(InvalidSetting { name, complaint: "is not set" });
        let max_upload_bytes = match get("MAX_UPLOAD_BYTES") {
            None => MAX_OBJECT,
            Some(text) => {
                text.parse().ok().filter(|max| (1..=MAX_OBJECT).contains(max)).ok_or(InvalidSetting {
                    name: "MAX_UPLOAD_BYTES",
                    complaint: "must be a number of bytes from 1 to 5497558138880 (5 TiB)",
                })?
            }
        };
        let origins = get("ALLOWED_ORIGINS").unwrap_or_default();
        Ok(Self {
            table: need("TABLE_NAME")?,
            buckets: Buckets {
                uploads: need("UPLOADS_BUCKET")?,
                thumbnails: need("THUMBNAILS_BUCKET")?,
                processed: need("PROCESSED_BUCKET")?,
            },
            state_machine: get("STATE_MACHINE_ARN"),
            transcodes_when_watched: match get("TRANSCODE").as_deref() {
                None | Some("off" | "false" | "all" | "true") => false,
                Some("watched") => true,
                Some(_) => {
                    let complaint = "must be off, all or watched";
                    return Err(InvalidSetting { name: "TRANSCODE", complaint });
                }
            },
            fetch_function: get("FETCH_FUNCTION"),
            audio: is_true(&get, "AUDIO")?,
            // A function that signs URLs needs both, one that verifies them only the secret.
            cdn_secret_arn: match get("CDN_DOMAIN") {
                Some(_) => need("CDN_SECRET_ARN").map(Some)?,
                None => get("CDN_SECRET_ARN"),
            },
            cdn_domain: get("CDN_DOMAIN"),
            cdn_distribution: get("CDN_DISTRIBUTION_ID"),
            allowed_origins: origins
                .split(',')
                .map(|origin| origin.trim().trim_end_matches('/').to_owned())
                .filter(|origin| !origin.is_empty())
                .collect(),
            max_upload_bytes,
            quotas: quotas(&get)?,
            transfer_acceleration: is_true(&get, "TRANSFER_ACCELERATION")?,
            checks: Checks { scan: is_true(&get, "SCAN")?, moderation: is_true(&get, "MODERATION")? },
            ffmpeg: get("FFMPEG_PATH").unwrap_or_else(|| "/opt/bin/ffmpeg".to_owned()).into(),
            log_level: log_level(&get),
            stack: stack(&get),
            aws: endpoints(get),
            limits: Limits::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(extra: &[(&str, &str)]) -> Result<Config, InvalidSetting> {
        let base = [
            ("TABLE_NAME", "t"),
            ("UPLOADS_BUCKET", "u"),
            ("THUMBNAILS_BUCKET", "b"),
            ("PROCESSED_BUCKET", "p"),
        ];
        let all: Vec<_> = extra.iter().chain(&base).copied().collect();
        Config::from(|name| all.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn defaults_are_safe() {
        let config = config(&[]).unwrap_or_else(|e| panic!("{e}"));
        assert!(config.allowed_origins.is_empty(), "no CORS");
        assert_eq!(config.max_upload_bytes, 5 << 40);
        assert!(!config.transfer_acceleration && !config.checks.any(), "cost extra");
        assert!(!config.audio, "not every application can show it");
        assert!(
            config.state_machine.is_none() && config.cdn_domain.is_none() && config.cdn_secret_arn.is_none(),
            "cost extra"
        );
    }

    #[test]
    fn splits_and_trims_origins() {
        let config = config(&[("ALLOWED_ORIGINS", "https://a.example/, http://b.example:8080,")]);
        let origins = config.unwrap_or_else(|e| panic!("{e}")).allowed_origins;
        assert_eq!(origins, ["https://a.example", "http://b.example:8080"]);
    }

    #[test]
    fn aws_ca_bundle_precedes_ssl_cert_file() {
        let bundle = |extra: &[(&str, &str)]| config(extra).unwrap_or_else(|e| panic!("{e}")).aws.ca_bundle;
        assert_eq!(bundle(&[]), None);
        assert_eq!(bundle(&[("SSL_CERT_FILE", "/b")]), Some("/b".into()));
        assert_eq!(bundle(&[("SSL_CERT_FILE", "/b"), ("AWS_CA_BUNDLE", "/a")]), Some("/a".into()));
    }

    #[test]
    fn errors_name_the_setting() {
        for bad in ["0", "-1", "1e9", "5497558138881", "x"] {
            let error = config(&[("MAX_UPLOAD_BYTES", bad)]).err().map(|e| e.to_string());
            assert!(error.is_some_and(|e| e.contains("MAX_UPLOAD_BYTES")), "{bad}");
        }
        assert!(config(&[("TRANSFER_ACCELERATION", "yes")]).is_err());
        assert!(config(&[("TRANSCODE", "maybe")]).is_err());
        assert!(config(&[("AUDIO", "1")]).is_err());
        assert!(config(&[("SCAN", "yes")]).is_err() && config(&[("MODERATION", "1")]).is_err());
        let checks = config(&[("SCAN", "true")]).map(|config| config.checks);
        assert_eq!(checks.ok(), Some(Checks { scan: true, moderation: false }));
        let error = Config::from(|_| None).err().map(|e| e.to_string());
        assert_eq!(error.as_deref(), Some("the environment variable TABLE_NAME is not set"));
        let error = config(&[("CDN_DOMAIN", "d.cloudfront.net")]).err().map(|e| e.to_string());
        assert_eq!(error.as_deref(), Some("the environment variable CDN_SECRET_ARN is not set"));
        let unsigned =
            Webhook::from(|name| (name != "WEBHOOK_SECRET_ARN").then(|| "https://a.example".to_owned()));
        let error = unsigned.err().map(|e| e.to_string());
        assert_eq!(error.as_deref(), Some("the environment variable WEBHOOK_SECRET_ARN is not set"));
    }
}
