//! Signatures in the URLs of the CDN: `/{expires}.{signature}/{folder}{file}`. Whoever has a URL can read one folder until
//! it expires.
//!
//! The signature is a prefix of the path, so relative URLs in a playlist include it, in every player and without
//! cookies. The distribution's function (`CdnFunction` in `template.yaml`) verifies and removes it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use upreel_core::Key;

/// Returns the signature of the folder that a file is in, with the time at which it expires, in seconds since 1970:
/// `{expires}.{signature}`.
#[must_use]
pub fn sign(secret: &str, file: &Key, expires: u64) -> Option<String> {
    let mac = mac(secret, file, expires)?.finalize();
    let signature = base64_simd::URL_SAFE_NO_PAD.encode_to_string(mac.into_bytes());
    Some(format!("{expires}.{signature}"))
}

/// Returns whether a signature is that of the file's folder with one of the secrets, and has not expired. Takes the same time
/// for every wrong signature.
#[must_use]
pub fn verify(secrets: &[String], file: &Key, signature: &str, now: SystemTime) -> bool {
    let Some((expires, signature)) = signature.split_once('.') else { return false };
    let (Ok(expires), Ok(signature)) =
        (expires.parse(), base64_simd::URL_SAFE_NO_PAD.decode_to_vec(signature))
    else {
        return false;
    };
    let has_expired = UNIX_EPOCH.checked_add(Duration::from_secs(expires)).is_none_or(|time| time < now);
    let is_of =
        |secret: &String| mac(secret, file, expires).is_some_and(|mac| mac.verify_slice(&signature).is_ok());
    !has_expired && secrets.iter().any(is_of)
}

fn mac(secret: &str, file: &Key, expires: u64) -> Option<Hmac<Sha256>> {
    let (file, name) = (file.to_string(), file.file_name());
    let folder = file.strip_suffix(&name)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(format!("{expires}/{folder}").as_bytes());
    Some(mac)
}

#[cfg(test)]
mod tests {
    use upreel_core::{Sequencer, VideoId};

    use super::*;

    #[test]
    fn signatures_are_of_one_folder_and_expire() {
        let secrets = ["another".to_owned(), "0123456789abcdef".to_owned()];
        let id: VideoId = "019ad2f4-5c3e-7b21-8f60-1d2c3b4a5f6e".parse().unwrap_or_else(|e| panic!("{e}"));
        let run: Sequencer = "0055".parse().unwrap_or_else(|e| panic!("{e}"));
        let of = |name: &str| {
            let name = name.parse().unwrap_or_else(|e| panic!("{e}"));
            Key::Rendition { id, run: run.clone(), name }
        };
        let (file, elsewhere) = (of("master.m3u8"), of("v720/index.m3u8"));
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let signed = sign(&secrets[1], &file, 1_800_025_200).unwrap_or_default();
        // Computed with Python's `hmac`.
        let mac = "o8fDTZFwy8ZijEw0he65XMpXX2mwFWxfO2hiXjyjmNA";
        assert_eq!(signed, format!("1800025200.{mac}"));
        assert!(verify(&secrets, &file, &signed, at(1_800_025_200)));
        assert!(verify(&secrets, &of("index.m3u8"), &signed, at(0)), "another file of the folder");
        assert!(!verify(&secrets, &file, &signed, at(1_800_025_201)), "expired");
        assert!(!verify(&secrets[..1], &file, &signed, at(0)), "another secret");
        assert!(!verify(&secrets, &elsewhere, &signed, at(0)), "another folder");
        for other in [
            String::new(),
            mac.to_owned(),
            format!(".{mac}"),
            format!("1800025201.{mac}"),
            format!("1800025200.{}", &mac[1..]),
            format!("1800025200.{mac}A"),
            format!("1800025200.{mac}="),
            "1800025200.".to_owned(),
            format!("{}.{mac}", u64::MAX),
            format!("{}0.{mac}", u64::MAX),
        ] {
            assert!(!verify(&secrets, &file, &other, at(0)), "{other}");
        }
    }
}
