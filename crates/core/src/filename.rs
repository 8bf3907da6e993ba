//! File names chosen by users. They are metadata only: never part of a key or a command.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use unicode_normalization::UnicodeNormalization;

/// The longest name that common file systems accept.
const MAX_BYTES: usize = 255;
/// Everything but the unreserved characters of RFC 3986.
const UNSAFE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns a name that is safe to store and to show: the text after the last slash or backslash, in NFC, without
/// control or bidirectional characters, shortened to 255 bytes (the extension is kept). Returns `video` if nothing is
/// left.
#[must_use]
pub fn sanitize(name: &str) -> String {
    let base = name.rsplit(['/', '\\']).next().unwrap_or_default();
    // Normalise last: removing a character can make two composable characters adjacent.
    let clean: String = base.chars().filter(|c| !c.is_control() && !is_format(*c)).nfc().collect();
    let mut clean = shorten(clean.trim());
    clean.truncate(clean.trim_end().len());
    if clean.bytes().all(|b| b == b'.') { "video".to_owned() } else { clean }
}

fn shorten(name: &str) -> String {
    if name.len() <= MAX_BYTES {
        return name.to_owned();
    }
    let extension = name.rfind('.').map(|dot| &name[dot..]).filter(|e| e.len() <= 10).unwrap_or("");
    let mut end = MAX_BYTES - extension.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{extension}", &name[..end])
}

/// Returns a `Content-Disposition` header (RFC 6266) with this file name. `kind` is `inline` to show the file or
/// `attachment` to save it. Clients that don't know `filename*` use `filename`, which has an underscore in place of each
/// character that they could misread.
#[must_use]
pub fn disposition(kind: &str, name: &str) -> String {
    let is_plain = |c: char| c == ' ' || (c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%'));
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{}", utf8_percent_encode(name, UNSAFE))
}

/// Returns whether a character reorders or hides text: bidirectional controls, zero-width spaces, the byte order mark,
/// line and paragraph separators. The zero-width joiner is allowed, because emoji sequences need it.
pub(crate) const fn is_format(c: char) -> bool {
    matches!(c,
        '\u{061C}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}'
        | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sanitizes_hostile_names() {
        let cases = [
            ("holiday.mp4", "holiday.mp4"),
            ("../../etc/passwd", "passwd"),
            ("C:\\fakepath\\clip.mov", "clip.mov"),
            ("a\r\nSet-Cookie: x.mp4", "aSet-Cookie: x.mp4"),
            ("exe.\u{202E}4pm", "exe.4pm"),
            ("e\u{0301}.mp4", "\u{e9}.mp4"),
            ("e\u{200B}\u{0301}.mp4", "\u{e9}.mp4"),
            ("👨\u{200D}👩.mp4", "👨\u{200D}👩.mp4"),
            ("$(rm -rf).mp4", "$(rm -rf).mp4"),
            ("\"quoted\".mp4", "\"quoted\".mp4"),
            ("", "video"),
            ("..", "video"),
            ("a/", "video"),
            ("\0", "video"),
        ];
        for (name, safe) in cases {
            assert_eq!(sanitize(name), safe);
        }
    }

    #[test]
    fn disposition_percent_encodes_the_name() {
        let expected = "inline; filename=\"clip.mp4\"; filename*=UTF-8''clip.mp4";
        assert_eq!(disposition("inline", "clip.mp4"), expected);
        let hostile = disposition("attachment", "é \"; x='1'%\\.mp4");
        let expected = "attachment; filename=\"_ _; x='1'__.mp4\"; \
                        filename*=UTF-8''%C3%A9%20%22%3B%20x%3D%271%27%25%5C.mp4";
        assert_eq!(hostile, expected);
    }

    #[test]
    fn shortened_names_keep_their_extension_and_whole_characters() {
        let name = sanitize(&format!("{}.webm", "ü".repeat(300)));
        assert!(name.len() <= MAX_BYTES && name.ends_with("ü.webm"), "{name}");
        assert!(sanitize(&"é".repeat(300)).len() <= MAX_BYTES);
        assert_eq!(sanitize(&format!("{} and more", "x".repeat(254))), "x".repeat(254), "no trailing space");
        assert_eq!(sanitize(&format!("{}and much more", ".".repeat(255))), "video");
    }
}
