//! A user's name for a file: kept as metadata, never part of a key or a command.

use std::fmt::Write;

use unicode_normalization::UnicodeNormalization;

/// As long as a name may be on the usual file systems.
const MAX_BYTES: usize = 255;

/// Makes a name safe to store and to show: NFC, the part after the last slash or backslash, no
/// control or bidirectional characters, at most 255 bytes with the extension kept. `video` when
/// nothing is left.
#[must_use]
pub fn sanitize(name: &str) -> String {
    let base = name.rsplit(['/', '\\']).next().unwrap_or_default();
    // Composed last: what was apart may be side by side now.
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

/// The `Content-Disposition` (RFC 6266) that gives a browser this name: `inline` to show, `attachment` to save.
#[must_use]
pub fn disposition(kind: &str, name: &str) -> String {
    let mut text = format!("{kind}; filename*=UTF-8''");
    for byte in name.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => text.push(byte.into()),
            _ => {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

/// Characters that reorder or hide text: bidirectional controls, zero-width spaces, the byte order
/// mark, line and paragraph separators. The zero-width joiner stays: emoji are made with it.
const fn is_format(c: char) -> bool {
    matches!(c,
        '\u{061C}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}'
        | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_become_plain_ones() {
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
    fn a_name_is_encoded_in_a_header() {
        assert_eq!(disposition("inline", "clip.mp4"), "inline; filename*=UTF-8''clip.mp4");
        let hostile = disposition("attachment", "é \"; x='1'%.mp4");
        assert_eq!(hostile, "attachment; filename*=UTF-8''%C3%A9%20%22%3B%20x%3D%271%27%25.mp4");
    }

    #[test]
    fn a_long_name_keeps_its_extension_and_its_characters_whole() {
        let name = sanitize(&format!("{}.webm", "ü".repeat(300)));
        assert!(name.len() <= MAX_BYTES && name.ends_with("ü.webm"), "{name}");
        assert!(sanitize(&"é".repeat(300)).len() <= MAX_BYTES);
        assert_eq!(
            sanitize(&format!("{} and more", "x".repeat(254))),
            "x".repeat(254),
            "no blank at the end"
        );
        assert_eq!(sanitize(&format!("{}and much more", ".".repeat(255))), "video");
    }
}
