//! URLs of renditions behind `CloudFront`: who holds one may play that one video, for some hours.
//!
//! The signature stands in front of the path, so all that a playlist names relatively has it too, in every player and
//! without cookies. The distribution's function (`CdnFunction` in `template.yaml`) verifies it and takes it off.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use upreel_core::{Key, Sequencer, VideoId};
use upreel_function::config::Cdn;

/// How long a URL may be used at least; a film, and a pause.
const LIFE: u64 = 6 * 3600;
/// They expire on the hour, so that a page that polls gets the same one again.
const STEP: u64 = 3600;

/// Where the master playlist is.
pub(crate) fn master(cdn: &Cdn, id: VideoId, run: &Sequencer, now: SystemTime) -> Option<String> {
    let name = "master.m3u8";
    let key = Key::Rendition { id, run: run.clone(), name: name.parse().ok()? }.to_string();
    let folder = key.strip_suffix(name)?;
    let now = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let expires = (now + LIFE).next_multiple_of(STEP);
    let mut mac = Hmac::<Sha256>::new_from_slice(cdn.secret.as_bytes()).ok()?;
    mac.update(format!("{expires}/{folder}").as_bytes());
    let signature = base64_simd::URL_SAFE_NO_PAD.encode_to_string(mac.finalize().into_bytes());
    Some(format!("https://{}/{expires}.{signature}/{key}", cdn.domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_signed_for_one_upload_of_one_video() {
        let cdn = Cdn { domain: "d1.cloudfront.net".into(), secret: "0123456789abcdef".into() };
        let id = "019ad2f4-5c3e-7b21-8f60-1d2c3b4a5f6e".parse().unwrap_or_else(|e| panic!("{e}"));
        let run = "0055".parse().unwrap_or_else(|e| panic!("{e}"));
        let at =
            |seconds| master(&cdn, id, &run, UNIX_EPOCH + Duration::from_secs(seconds)).unwrap_or_default();
        // As Python's hmac has it.
        let expected = "1800025200.o8fDTZFwy8ZijEw0he65XMpXX2mwFWxfO2hiXjyjmNA";
        let path = format!("hls/{id}/{}/master.m3u8", run.as_str());
        assert_eq!(at(1_800_000_001), format!("https://d1.cloudfront.net/{expected}/{path}"));
        assert_eq!(at(1_800_000_001), at(1_800_003_600));
        assert_ne!(at(1_800_000_001), at(1_800_003_601));
    }
}
