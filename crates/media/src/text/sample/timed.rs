//! 3GPP timed text (TS 26.245, 5.17).

use bytes::Bytes;

use crate::mp4::boxes::Fields;

/// The tags of a style, and the bit of its flag.
const TAGS: [(u8, &str); 3] = [(1, "b"), (2, "i"), (4, "u")];
/// Limit of styles of a text.
const MAX_STYLES: u16 = 1000;

/// A part of a text, by its characters.
struct Style {
    start: usize,
    end: usize,
    flags: u8,
}

/// Returns the text of a sample, with tags for bold, italic and underlined parts. Returns `None` if it is damaged.
pub(super) fn text(sample: Bytes) -> Option<String> {
    let mut fields = Fields(sample);
    // Some programs write no bytes where nothing is shown.
    if fields.0.is_empty() {
        return Some(String::new());
    }
    let len = fields.u16()?;
    let text = decoded(&fields.take(len.into())?);
    let styles = fields.child(*b"styl").map(styles).unwrap_or_default();
    if styles.is_empty() {
        return Some(text);
    }
    let mut marked = String::new();
    for (at, character) in text.chars().enumerate() {
        for style in styles.iter().filter(|style| style.start == at) {
            TAGS.iter().filter(|(flag, _)| style.flags & flag != 0).for_each(|(_, tag)| {
                marked.extend(["<", tag, ">"]);
            });
        }
        marked.push(character);
        for style in styles.iter().filter(|style| style.end == at + 1) {
            TAGS.iter().rev().filter(|(flag, _)| style.flags & flag != 0).for_each(|(_, tag)| {
                marked.extend(["</", tag, ">"]);
            });
        }
    }
    Some(marked)
}

/// Decodes a text, which is in UTF-8 or begins with the byte order mark of UTF-16.
fn decoded(bytes: &[u8]) -> String {
    let from = |bytes: &[u8], read: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|unit| read([unit[0], unit[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xFE, 0xFF, text @ ..] => from(text, u16::from_be_bytes),
        [0xFF, 0xFE, text @ ..] => from(text, u16::from_le_bytes),
        text => String::from_utf8_lossy(text).into_owned(),
    }
}

/// Reads the body of a `styl` box. Parts that have no style or contradict each other are left out.
fn styles(mut styl: Fields) -> Vec<Style> {
    let mut styles: Vec<Style> = Vec::new();
    for _ in 0..styl.u16().unwrap_or(0).min(MAX_STYLES) {
        let mut next = || {
            let (start, end) = (styl.u16()?.into(), styl.u16()?.into());
            let _font = styl.u16()?;
            let flags = styl.u8()? & 7;
            styl.skip(5)?;
            Some(Style { start, end, flags })
        };
        let Some(style) = next() else { break };
        let follows = styles.last().is_none_or(|last| last.end <= style.start);
        if style.flags != 0 && style.start < style.end && follows {
            styles.push(style);
        }
    }
    styles
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mp4::boxes::atom;

    fn sample(text: &[u8], more: &[u8]) -> Option<String> {
        let len = u16::try_from(text.len()).unwrap().to_be_bytes();
        super::text([&len[..], text, more].concat().into())
    }

    #[test]
    fn styles_become_tags() {
        let style = |start: u8, end: u8, flags: u8| [0, start, 0, end, 0, 1, flags, 18, 0, 0, 0, 0];
        let styles =
            [style(0, 2, 2), style(2, 4, 0), style(4, 6, 5), style(5, 6, 1), style(7, 99, 4)].concat();
        let styl = atom(*b"styl", &[&[0, 5], &styles]);
        let text = sample("äbcdefgh".as_bytes(), &[&atom(*b"hlit", &[&[0; 4]])[..], &styl].concat());
        assert_eq!(text.as_deref(), Some("<i>äb</i>cd<b><u>ef</u></b>g<u>h"));
        assert_eq!(sample(b"abc", &styl[..20]).as_deref(), Some("abc"), "a damaged box");
    }

    #[test]
    fn texts_have_two_encodings() {
        assert_eq!(sample("a\u{e9}".as_bytes(), &[]).as_deref(), Some("aé"));
        assert_eq!(sample(&[0xFE, 0xFF, 0, b'a', 0, 0xE9], &[]).as_deref(), Some("aé"));
        assert_eq!(sample(&[0xFF, 0xFE, b'a', 0], &[]).as_deref(), Some("a"));
        assert_eq!((sample(b"", &[]).as_deref(), text(Bytes::new()).as_deref()), (Some(""), Some("")));
        assert_eq!(text(Bytes::from_static(&[0, 9, b'a'])), None);
    }
}
