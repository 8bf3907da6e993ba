//! Parsers for the values of command-line options.

use std::net::IpAddr;

use clap::Args;
use upreel_core::Container;
use upreel_core::limits::MAX_OBJECT;
use upreel_core::quota::{self, Limits};

/// The limits of each user. A number of 0 means no limit.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Quotas of each user (off unless set; `GET /usage` shows what is used)")]
pub struct Quotas {
    /// Maximum size of all videos of a user, such as 10GB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    quota_bytes: Option<u64>,
    /// Maximum number of videos of a user
    #[arg(long, value_name = "NUMBER")]
    quota_videos: Option<u64>,
    /// Maximum number of uploads of a user at the same time
    #[arg(long, value_name = "NUMBER")]
    quota_uploads: Option<u64>,
    /// Maximum duration of a video in seconds
    #[arg(long, value_name = "SECONDS")]
    max_duration_seconds: Option<u64>,
    /// Containers that are accepted, such as mp4,mov,webm [default: all]
    #[arg(long, value_name = "LIST", value_parser = types)]
    allowed_types: Option<Types>,
}

/// The checks that an upload has to pass before it can be read.
#[derive(Args, Debug, Clone, Copy)]
#[command(next_help_heading = "Checks (see \"Hold until checked\" in the README)")]
pub struct Checks {
    /// Hold uploads until they are scanned. This is no virus scanner: it knows the EICAR test file only
    #[arg(long)]
    scan: bool,
    /// Hold uploads until a moderator has approved them
    #[arg(long)]
    moderation: bool,
}

impl From<Checks> for upreel_core::Checks {
    fn from(Checks { scan, moderation }: Checks) -> Self {
        Self { scan, moderation }
    }
}

/// A list of containers.
pub type Types = std::sync::Arc<[Container]>;

impl From<Quotas> for Limits {
    fn from(quotas: Quotas) -> Self {
        let limits = Self {
            bytes: quotas.quota_bytes,
            videos: quotas.quota_videos,
            uploads: quotas.quota_uploads,
            max_duration_seconds: quotas.max_duration_seconds,
            types: quotas.allowed_types.map(|types| types.to_vec()),
        };
        limits.normalized()
    }
}

fn types(text: &str) -> Result<Types, String> {
    let types = quota::parse_types(text).ok_or("use names of containers, such as mp4,mov,webm")?;
    Ok(types.into())
}

use crate::import::Source;

/// Parses the value of `--host`. The signed URLs of S3 contain it, so it cannot be 0.0.0.0.
///
/// # Errors
/// When the text is malformed. The error is a sentence for the user.
pub fn address(text: &str) -> Result<IpAddr, String> {
    match text.parse::<IpAddr>() {
        Ok(address) if address.is_unspecified() => {
            Err("signed URLs contain this address: use one that other devices can reach, such as 192.168.1.5"
                .to_owned())
        }
        other => other.map_err(|_| {
            "use an IP address of this machine, such as 192.168.1.5, without a port. To let clients use a name, add \
             --allow-host NAME"
                .to_owned()
        }),
    }
}

/// Parses a size: a number of bytes, or a number with a unit, which is a power of 1000 (`MB`) or of 1024 (`MiB`).
///
/// # Errors
/// When the text is malformed. The error is a sentence for the user.
pub fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let unit = unit.trim().to_ascii_lowercase();
    let factor = match unit.as_str() {
        "" | "b" => Some(1),
        "kb" => Some(1000_u64),
        "mb" => Some(1000_u64.pow(2)),
        "gb" => Some(1000_u64.pow(3)),
        "tb" => Some(1000_u64.pow(4)),
        "kib" => Some(1 << 10),
        "mib" => Some(1 << 20),
        "gib" => Some(1 << 30),
        "tib" => Some(1 << 40),
        _ => None,
    };
    let bytes =
        number.parse().ok().zip(factor).and_then(|(number, factor): (u64, u64)| number.checked_mul(factor));
    bytes.filter(|bytes| (1..=MAX_OBJECT).contains(bytes)).ok_or_else(|| {
        "use a size from 1 byte to 5 TiB, in bytes or with a unit: kB, MB, GB, TB, KiB, MiB, GiB, TiB"
            .to_owned()
    })
}

/// Parses the value of `--allow-origin`.
///
/// # Errors
/// When the text is malformed. The error is a sentence for the user.
pub fn origin(text: &str) -> Result<String, String> {
    let origin = text.trim_end_matches('/');
    let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['/', '?', '#', '@']) => Ok(origin.to_owned()),
        _ if origin == "null" => Err("pages that are files, and sandboxed frames, cannot be told from foreign pages. \
                                      Serve the page, for example with python3 -m http.server 5173, and name its \
                                      origin: http://localhost:5173"
            .to_owned()),
        _ => Err("use a scheme, a host and, if needed, a port, such as http://localhost:5173".to_owned()),
    }
}

/// Parses a bucket and the start of the keys in it, `s3://bucket/prefix`.
///
/// # Errors
/// When the text is malformed. The error is a sentence for the user.
pub fn source(text: &str) -> Result<Source, String> {
    let rest = text.strip_prefix("s3://").filter(|rest| !rest.starts_with('/') && !rest.is_empty());
    let rest = rest.ok_or("use the URL of a bucket or of a folder in it, such as s3://my-videos/2025/")?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    Ok(Source { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_have_a_bucket_and_may_have_a_prefix() {
        let parsed = |text| source(text).map(|source| (source.bucket, source.prefix)).ok();
        let expected = |bucket: &str, prefix: &str| Some((bucket.to_owned(), prefix.to_owned()));
        assert_eq!(parsed("s3://videos"), expected("videos", ""));
        assert_eq!(parsed("s3://videos/2025/a b"), expected("videos", "2025/a b"));
        for bad in ["videos", "s3://", "s3:///key", "https://videos.s3.amazonaws.com/"] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("1", 1),
            ("1000000", 1_000_000),
            ("7B", 7),
            ("500kB", 500_000),
            ("500 MB", 500_000_000),
            ("5GB", 5_000_000_000),
            ("5gb", 5_000_000_000),
            ("1KiB", 1024),
            ("5GiB", 5 << 30),
            ("5TiB", MAX_OBJECT),
            ("5TB", 5_000_000_000_000),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for bad in [
            "",
            "0",
            "GB",
            "-1",
            "1.5GB",
            "5G",
            "5 X",
            "6TiB",
            "99999999999999999999",
            "99999999999TB",
            "5GB5",
        ] {
            assert!(size(bad).is_err_and(|error| error.contains("GiB")), "{bad}");
        }
    }

    #[test]
    fn an_address_is_one_that_others_can_use() {
        assert_eq!(address("192.168.1.5"), Ok("192.168.1.5".parse().unwrap()));
        assert_eq!(address("::1"), Ok("::1".parse().unwrap()));
        for bad in ["0.0.0.0", "::", "my-laptop.local", "192.168.1.5:3000", ""] {
            assert!(address(bad).is_err_and(|error| error.contains("192.168.1.5")), "{bad}");
        }
        assert!(address("my-laptop.local").is_err_and(|error| error.contains("--allow-host")));
    }

    #[test]
    fn an_origin_has_no_path() {
        assert_eq!(origin("http://localhost:5173/").as_deref(), Ok("http://localhost:5173"));
        assert_eq!(origin("https://dev.example:*").as_deref(), Ok("https://dev.example:*"));
        for bad in ["*", "null", "localhost:5173", "http://", "http://a/b", "ftp://a", "http://a@b"] {
            assert!(origin(bad).is_err_and(|error| error.contains("http://localhost:5173")), "{bad}");
        }
        assert!(origin("null").is_err_and(|error| error.contains("Serve the page")));
    }
}
