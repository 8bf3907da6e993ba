//! Signed `CloudFront` URLs of renditions. A URL allows everyone who has it to play one video for some hours.
//!
//! The signature is a prefix of the path, so relative URLs in a playlist include it, in every player and without
//! cookies. The distribution's function (`CdnFunction` in `template.yaml`) verifies and removes it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use upreel_core::{Key, Sequencer, VideoId};

/// The minimum lifetime of a URL in seconds: a film and a pause.
const URL_TTL: u64 = 6 * 3600;
/// Expiry times are rounded up to a multiple of this many seconds, so that a page that polls receives the same URL
/// again.
const EXPIRY_STEP: u64 = 3600;

/// Returns the signed URL of the master playlist.
pub(crate) fn master(
    domain: &str,
    secret: &str,
    id: VideoId,
    run: &Sequencer,
    now: SystemTime,
) -> Option<String> {
    let name = "master.m3u8";
    let key = Key::Rendition { id, run: run.clone(), name: name.parse().ok()? }.to_string();
    let folder = key.strip_suffix(name)?;
    let now = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let expires = (now + URL_TTL).next_multiple_of(EXPIRY_STEP);
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(format!("{expires}/{folder}").as_bytes());
    let signature = base64_simd::URL_SAFE_NO_PAD.encode_to_string(mac.finalize().into_bytes());
    Some(format!("https://{domain}/{expires}.{signature}/{key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_urls_for_one_run_of_one_video() {
        let id = "019ad2f4-5c3e-7b21-8f60-1d2c3b4a5f6e".parse().unwrap_or_else(|e| panic!("{e}"));
        let run = "0055".parse().unwrap_or_else(|e| panic!("{e}"));
        let at = |seconds| {
            let now = UNIX_EPOCH + Duration::from_secs(seconds);
            master("d1.cloudfront.net", "0123456789abcdef", id, &run, now).unwrap_or_default()
        };
        // Computed with Python's `hmac`.
        let expected = "1800025200.o8fDTZFwy8ZijEw0he65XMpXX2mwFWxfO2hiXjyjmNA";
        let path = format!("hls/{id}/{}/master.m3u8", run.as_str());
        assert_eq!(at(1_800_000_001), format!("https://d1.cloudfront.net/{expected}/{path}"));
        assert_eq!(at(1_800_000_001), at(1_800_003_600));
        assert_ne!(at(1_800_000_001), at(1_800_003_601));
    }
}
