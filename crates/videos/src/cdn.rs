//! Signed URLs of the CDN, which serves playlists and segments. A URL allows everyone who has it to play one video for
//! some hours.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use upreel_core::Key;
use upreel_function::cdn::sign;

/// The minimum lifetime of a URL in seconds: a film and a pause.
const URL_TTL: u64 = 6 * 3600;
/// Expiry times are rounded up to a multiple of this many seconds, so that a page that polls receives the same URL
/// again.
const EXPIRY_STEP: u64 = 3600;

/// Returns the signed URL of a playlist. It is valid for the whole folder.
pub(crate) fn url(domain: &str, secret: &str, key: &Key, now: SystemTime) -> Option<String> {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let expires = (now + URL_TTL).next_multiple_of(EXPIRY_STEP);
    let signature = sign(secret, key, expires)?;
    Some(format!("https://{domain}/{signature}/{key}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use upreel_core::{Sequencer, VideoId};

    #[test]
    fn signs_urls_for_one_run_of_one_video() {
        let id: VideoId = "019ad2f4-5c3e-7b21-8f60-1d2c3b4a5f6e".parse().unwrap_or_else(|e| panic!("{e}"));
        let run: Sequencer = "0055".parse().unwrap_or_else(|e| panic!("{e}"));
        let name = "master.m3u8".parse().unwrap_or_else(|e| panic!("{e}"));
        let key = Key::Rendition { id, run: run.clone(), name };
        let at = |seconds| {
            let now = UNIX_EPOCH + Duration::from_secs(seconds);
            url("d1.cloudfront.net", "0123456789abcdef", &key, now).unwrap_or_default()
        };
        // Computed with Python's `hmac`.
        let expected = "1800025200.o8fDTZFwy8ZijEw0he65XMpXX2mwFWxfO2hiXjyjmNA";
        let path = format!("hls/{id}/{}/master.m3u8", run.as_str());
        assert_eq!(at(1_800_000_001), format!("https://d1.cloudfront.net/{expected}/{path}"));
        assert_eq!(at(1_800_000_001), at(1_800_003_600));
        assert_ne!(at(1_800_000_001), at(1_800_003_601));
    }
}
