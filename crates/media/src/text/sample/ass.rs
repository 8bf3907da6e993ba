//! Texts of Advanced Substation Alpha, without the styles that only its players know.

/// The number of commas before the text in an event of Matroska.
const FIELDS: usize = 8;

/// Returns the settings and the text of an event: its order, its layer, its style, ... and its text. Returns `None` if
/// it has no text.
pub(super) fn text(event: &str) -> Option<(&'static str, String)> {
    let event = event.splitn(FIELDS + 1, ',').nth(FIELDS)?;
    let mut text = String::new();
    let mut settings = "";
    let mut is_drawing = false;
    let mut rest = event;
    loop {
        let (shown, after) = rest.split_once('{').unwrap_or((rest, ""));
        if !is_drawing {
            text.push_str(shown);
        }
        let Some((code, after)) = after.split_once('}') else {
            // Without an end, it is text.
            if !is_drawing && shown.len() < rest.len() {
                text.push_str(&rest[shown.len()..]);
            }
            break;
        };
        for tag in code.split('\\').skip(1) {
            match tag.trim() {
                "an7" | "an8" | "an9" => settings = "line:0",
                tag => is_drawing = draws(tag).unwrap_or(is_drawing),
            }
        }
        rest = after;
    }
    let text = text.replace(r"\N", "\n").replace(r"\n", "\n").replace(r"\h", "\u{a0}");
    // The tags of `WebVTT` are none of these texts.
    Some((settings, text.replace('<', "&lt;")))
}

/// Returns whether a drawing follows a tag, such as `p1`, if it says so.
fn draws(tag: &str) -> Option<bool> {
    let scale = tag.strip_prefix('p')?;
    scale.parse().ok().map(|scale: u8| scale > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> (&'static str, String) {
        super::text(&format!("1,0,Default,,0,0,0,,{text}")).unwrap()
    }

    #[test]
    fn texts_lose_their_tags() {
        for (event, settings, text) in [
            ("Hello, world", "", "Hello, world"),
            (r"{\i1}Hello{\i0}\Nyou\nthere\hnow", "", "Hello\nyou\nthere\u{a0}now"),
            (r"{\an8\pos(1,2)}{a comment}top", "line:0", "top"),
            (r"{\p1}m 0 0 l 100 0{\p0} shown {\p4}m 0 0{\pos(1,1)} 1 1", "", " shown "),
            (r"a {unclosed", "", "a {unclosed"),
            ("1 < 2 <i>", "", "1 &lt; 2 &lt;i>"),
            ("", "", ""),
        ] {
            assert_eq!(shown(event), (settings, text.to_owned()), "{event}");
        }
        assert_eq!(text("1,0,Default,,0,0,0"), None);
    }
}
