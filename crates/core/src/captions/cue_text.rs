//! The text of a cue, with the tags of `WebVTT` and no others.
//!
//! Browsers make no other elements of it, but some players in JavaScript insert it as HTML. So other tags are removed,
//! and what is left has no attribute with a value.

use super::file::{parse_time, time};

/// The longest tag, code or reference, in bytes. So the time to find their ends is limited, too.
const MAX_MARKUP: usize = 256;
/// The tags of `WebVTT`.
const TAGS: [&str; 8] = ["b", "c", "i", "lang", "rt", "ruby", "u", "v"];

/// Returns the text of a cue without other markup and without empty lines.
pub(super) fn clean(text: &str, is_webvtt: bool) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['<', '&', '{']) {
        let (before, from) = rest.split_at(at);
        clean.push_str(before);
        let (kept, length) = match from.as_bytes()[0] {
            b'<' => tag(from, is_webvtt),
            b'&' => (if is_entity(from) { "&" } else { "&amp;" }.to_owned(), 1),
            // SubRip files have codes of other formats, such as `{\an8}`.
            _ => match code(from).filter(|_| !is_webvtt) {
                Some(code) => (String::new(), code.len()),
                None => ("{".to_owned(), 1),
            },
        };
        clean.push_str(&kept);
        rest = &from[length..];
    }
    clean.push_str(rest);
    // A cue ends at a line with an arrow.
    let clean = clean.replace("-->", "--&gt;");
    let lines = clean.lines().map(str::trim_end).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the settings of a cue of a `SubRip` file: at the top if a code says so.
pub(super) fn position(lines: &[String]) -> &'static str {
    let is_top = |line: &String| [r"{\an7", r"{\an8", r"{\an9"].iter().any(|code| line.contains(code));
    if lines.iter().any(is_top) { " line:0" } else { "" }
}

/// Returns what is written in place of a text that begins with `<`, and how many bytes of it that replaces.
fn tag(text: &str, is_webvtt: bool) -> (String, usize) {
    let literal = ("&lt;".to_owned(), 1);
    let text = start(&text[1..]);
    let Some(inner) =
        text.find(['<', '>']).filter(|end| text[*end..].starts_with('>')).map(|end| &text[..end])
    else {
        return literal;
    };
    let length = inner.len() + 2;
    if let Some(millis) = parse_time(inner).filter(|_| is_webvtt) {
        return (format!("<{}>", time(millis)), length);
    }
    // Anything else between these signs is text, such as `1 < 2 > 0`.
    if !inner.starts_with(|c: char| c.is_ascii_alphabetic() || "/!?".contains(c)) {
        return literal;
    }
    let (head, note) = inner.split_once(char::is_whitespace).unwrap_or((inner, ""));
    let mut classes = head.split('.');
    // Tags of SubRip may be in upper case.
    let name = classes.next().unwrap_or_default().to_ascii_lowercase();
    let kept = if let Some(name) = name.strip_prefix('/').filter(|name| TAGS.contains(name)) {
        format!("</{name}>")
    } else if TAGS.contains(&name.as_str()) {
        // Two hyphens before the end of the tag would be an arrow.
        let classes = classes.map(|class| class.trim_end_matches('-'));
        let is_class = |class: &&str| {
            !class.is_empty() && class.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
        };
        let classes = classes.filter(is_class).fold(String::new(), |text, class| text + "." + class);
        // Only these tags have a note: the name of a speaker, and a language.
        let note = if ["v", "lang"].contains(&name.as_str()) { note } else { "" };
        let note: String = note.chars().filter(|c| !"=\"'`&".contains(*c)).collect();
        let words = note.trim_end_matches(|c: char| c == '-' || c.is_whitespace()).split_whitespace();
        let note = words.fold(String::new(), |text, word| text + " " + word);
        format!("<{name}{classes}{note}>")
    } else {
        String::new()
    };
    (kept, length)
}

/// Returns whether a text begins with a character reference, such as `&amp;`.
fn is_entity(text: &str) -> bool {
    let text = start(&text[1..]);
    let name = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '#').next().unwrap_or_default();
    let digits = name.trim_start_matches('#');
    text[name.len()..].starts_with(';')
        && (1..=10).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Returns the code with which a text begins, such as `{\an8}`.
fn code(text: &str) -> Option<&str> {
    let text = start(text);
    let end = text.find(['}', '\n'])?;
    text.get(..=end).filter(|code| code.starts_with(r"{\") && code.ends_with('}'))
}

/// Returns the start of a text, in which its markup ends.
fn start(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_MARKUP)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_tags_of_webvtt_and_no_others() {
        for (text, expected) in [
            ("Hello", "Hello"),
            ("a\n\n b \nc", "a\n b\nc"),
            ("<v.loud Mary>Hi</v>", "<v.loud Mary>Hi</v>"),
            ("<v Mary O'Neil  Smith>", "<v Mary ONeil Smith>"),
            ("<c.yellow.bg_blue>x</c>", "<c.yellow.bg_blue>x</c>"),
            ("<ruby>\u{6f22}<rt>kan</rt></ruby>", "<ruby>\u{6f22}<rt>kan</rt></ruby>"),
            ("<lang en-GB>x</lang>", "<lang en-GB>x</lang>"),
            ("a <00:00:01.000>b", "a <00:00:01.000>b"),
            ("<script>alert(1)</script>", "alert(1)"),
            ("<img src=x onerror=alert(1)>", ""),
            ("<scr<script>ipt>", "&lt;script>"),
            ("<v x onclick=\"alert(1)\">a", "<v x onclickalert(1)>a"),
            ("<b onclick=alert(1)>a</b>", "<b>a</b>"),
            ("<b/onclick=alert(1)>a", "a"),
            ("<!-- x --> y", " y"),
            ("--<i>>", "--<i>>"),
            ("--<x>>", "--&gt;"),
            ("<v a --->b", "<v a>b"),
            ("<c.a-->b", "<c.a>b"),
            ("1 < 2 > 0 <3", "1 &lt; 2 > 0 &lt;3"),
            ("<", "&lt;"),
            ("Q&A &amp; &#39; &x", "Q&amp;A &amp; &#39; &amp;x"),
            ("{\\an8}x {y}", "{\\an8}x {y}"),
        ] {
            assert_eq!(clean(text, true), expected, "{text}");
        }
    }

    #[test]
    fn subrip_has_tags_in_any_case_and_codes() {
        assert_eq!(clean("{\\an8}<I>Hi</I> <font color=\"red\">you</font> {x}", false), "<i>Hi</i> you {x}");
        assert_eq!(clean("{\\an8", false), "{\\an8");
        assert_eq!(clean("<00:00:01.000>", false), "&lt;00:00:01.000>");
        assert_eq!(position(&["a".to_owned(), r"{\an8}b".to_owned()]), " line:0");
        assert_eq!(position(&[r"{\an2}b".to_owned()]), "");
    }

    /// The time does not grow with the square of the size.
    #[test]
    fn markup_without_an_end_is_text() {
        for (sign, expected) in
            [("<", "&lt;"), ("&", "&amp;"), ("{\\", "{\\"), ("<a", "&lt;a"), ("&#", "&amp;#")]
        {
            let text = sign.repeat(1 << 15);
            assert!(clean(&text, false) == expected.repeat(1 << 15), "{sign}");
        }
        let long = format!("<v {}>", "a".repeat(MAX_MARKUP));
        assert_eq!(clean(&long, true), format!("&lt;{}", &long[1..]));
    }

    #[test]
    fn cleaning_again_changes_nothing() {
        for text in ["<scr<script>ipt>", "--<x>>", "a & b", "<v x=y- ->z", "<c.a--.-b->z", "1 < 2"] {
            let once = clean(text, true);
            assert_eq!(clean(&once, true), once);
        }
    }
}
