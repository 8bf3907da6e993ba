//! The language of a track.

use super::boxes::{Reader, find};
use super::movie::{MAX_BODY, Media};
use crate::keyframe::Error;

/// The first language codes of the Macintosh (`QuickTime` File Format, appendix).
const MACINTOSH: [&str; 34] = [
    "en", "fr", "de", "it", "nl", "sv", "es", "da", "pt", "no", "he", "ja", "ar", "fi", "el", "is", "mt",
    "tr", "hr", "zh-Hant", "ur", "hi", "th", "ko", "lt", "pl", "hu", "et", "lv", "se", "fo", "fa", "ru",
    "zh-Hans",
];

impl Media {
    /// Returns the language of a track: a BCP 47 tag (`elng`, 8.4.6), or a code of ISO 639-2 (`mdhd`, 8.4.2). Returns
    /// `None` if it is undetermined. A file of `QuickTime` can have a code of the Macintosh.
    pub(super) async fn language(
        &self,
        reader: &Reader<'_>,
        is_quicktime: bool,
    ) -> Result<Option<String>, Error> {
        if let Some(elng) = find(&self.mdia, *b"elng") {
            let body = reader.body(elng, MAX_BODY).await?;
            let tag: String =
                body.0.iter().skip(4).take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect();
            let plain = |tag: &&String| tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            return Ok(Some(&tag).filter(|tag| (1..=35).contains(&tag.len())).filter(plain).cloned());
        }
        let Some(mdhd) = find(&self.mdia, *b"mdhd") else { return Ok(None) };
        let mut body = reader.body(mdhd, MAX_BODY).await?;
        let Some((version, _)) = body.version_and_flags() else { return Ok(None) };
        let code = body.skip(if version == 0 { 16 } else { 28 }).and_then(|()| body.u16());
        let of_macintosh = |code: u16| MACINTOSH.get(usize::from(code)).map(|&language| language.to_owned());
        Ok(code.and_then(|code| language(code).or_else(|| of_macintosh(code).filter(|_| is_quicktime))))
    }
}

/// Decodes a packed language code: three letters of five bits. `QuickTime`'s own codes are not letters.
fn language(code: u16) -> Option<String> {
    let letters = [10, 5, 0].map(|shift| (code >> shift & 0x1F) + 0x60);
    let text: String = letters.into_iter().filter_map(|letter| char::from_u32(letter.into())).collect();
    (text.bytes().all(|byte| byte.is_ascii_lowercase()) && text != "und").then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn language_codes() {
        assert_eq!(language(0x15C7).as_deref(), Some("eng"));
        assert_eq!(language(0x55C4), None, "undetermined");
        assert_eq!([language(0), language(0x7FFF)], [None, None], "QuickTime's English, unspecified");
    }
}
