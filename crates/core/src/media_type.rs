//! Media types (RFC 9110, section 8.3.1), as clients declare them for a file.
//!
//! S3 sends a declared type as the `Content-Type` of its responses. The type is therefore parsed and formatted again:
//! a browser would take the text `video/mp4, text/html` for the type `text/html`.

use std::fmt;
use std::str::FromStr;

use crate::container::Container;
use crate::id::Invalid;

/// The longest media type that is accepted, in bytes.
const MAX: usize = 255;
/// The media type of a file whose type is unknown.
pub const UNKNOWN: &str = "application/octet-stream";
/// The characters of optional whitespace (RFC 9110, section 5.6.3).
const BLANKS: [char; 2] = [' ', '\t'];

/// A media type with its parameters. Formatting and parsing round-trip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType {
    essence: String,
    parameters: Vec<(String, String)>,
}

impl MediaType {
    /// Returns the type and the subtype in lower case, such as `video/mp4`.
    #[must_use]
    pub fn essence(&self) -> &str {
        &self.essence
    }

    /// Returns the media type to serve a file with: `text` if it is the type of a supported format, otherwise
    /// `application/octet-stream`.
    #[must_use]
    pub fn servable(text: &str) -> String {
        let known =
            text.parse().ok().filter(|parsed: &Self| Container::from_media_type(parsed, true).is_some());
        known.map_or_else(|| UNKNOWN.to_owned(), |known| known.to_string())
    }
}

impl FromStr for MediaType {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        parse(text).filter(|_| text.len() <= MAX).ok_or(Invalid("media type"))
    }
}

fn parse(text: &str) -> Option<MediaType> {
    let (essence, mut rest) = text.split_at(text.find(';').unwrap_or(text.len()));
    let essence = essence.trim_matches(BLANKS).to_ascii_lowercase();
    let (kind, subtype) = essence.split_once('/')?;
    if !is_token(kind) || !is_token(subtype) {
        return None;
    }
    let mut parameters: Vec<(String, String)> = Vec::new();
    loop {
        rest = rest.trim_matches(BLANKS);
        if rest.is_empty() {
            return Some(MediaType { essence, parameters });
        }
        rest = rest.strip_prefix(';')?.trim_start_matches(BLANKS);
        // A parameter is optional after each semicolon.
        if rest.is_empty() || rest.starts_with(';') {
            continue;
        }
        let (name, after) = rest.split_once('=')?;
        let name = name.to_ascii_lowercase();
        if !is_token(&name) || parameters.iter().any(|(other, _)| *other == name) {
            return None;
        }
        let (value, after) = if let Some(quoted) = after.strip_prefix('"') {
            unquote(quoted)?
        } else {
            let (value, after) = after.split_at(after.find([';', ' ', '\t']).unwrap_or(after.len()));
            (is_token(value).then(|| value.to_owned())?, after)
        };
        parameters.push((name, value));
        rest = after;
    }
}

/// Parses a quoted string after its opening quote. Returns the value and the text after the closing quote.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        let c = match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => chars.next()?,
            other => other,
        };
        value.push((c == ' ' || c.is_ascii_graphic()).then_some(c)?);
    }
}

fn is_token(text: &str) -> bool {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(is_token)
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.essence)?;
        for (name, value) in &self.parameters {
            if is_token(value) {
                write!(f, "; {name}={value}")?;
            } else {
                let value = value.replace('\\', "\\\\").replace('"', "\\\"");
                write!(f, "; {name}=\"{value}\"")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rebuilt(text: &str) -> Option<String> {
        text.parse().ok().map(|parsed: MediaType| parsed.to_string())
    }

    #[test]
    fn types_are_rebuilt_from_their_parts() {
        for (text, expected) in [
            ("video/mp4", "video/mp4"),
            (" Video/MP4 ", "video/mp4"),
            ("video/webm;codecs=vp9", "video/webm; codecs=vp9"),
            (
                "video/mp4 ;\tCodecs=\"avc1.4d002a, mp4a.40.2\" ;; a=B;",
                "video/mp4; codecs=\"avc1.4d002a, mp4a.40.2\"; a=B",
            ),
            ("video/mp4; a=\"b\"", "video/mp4; a=b"),
            ("video/mp4; a=\"\\\"\\\\;\"", "video/mp4; a=\"\\\"\\\\;\""),
            ("video/mp4; a=\"\"", "video/mp4; a=\"\""),
            ("text/vnd.trolltech.linguist", "text/vnd.trolltech.linguist"),
        ] {
            assert_eq!(rebuilt(text).as_deref(), Some(expected), "{text}");
            assert_eq!(rebuilt(expected).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn rejects_malformed_types() {
        for bad in [
            "",
            "video",
            "video/",
            "/mp4",
            "video/mp4, text/html",
            "video/mp4 text/html",
            "video/mp4/html",
            "video/mp4; a",
            "video/mp4; =b",
            "video/mp4; a=",
            "video/mp4; a =b",
            "video/mp4; a= b",
            "video/mp4; a=b c",
            "video/mp4; a=b, text/html",
            "video/mp4; a=\"b",
            "video/mp4; a=\"b\\",
            "video/mp4; a=\"b\"c",
            "video/mp4; a=b; A=c",
            "video/mp4\r\nX: y",
            "video/mp4; a=\"\r\n\"",
            "vidéo/mp4",
            "video/mp4; a=\"é\"",
            "video/mp4,text/html",
            "video/mp4;a=\"x\", text/html",
        ] {
            assert_eq!(rebuilt(bad), None, "{bad}");
        }
        assert!(rebuilt(&format!("video/mp4; a={}", "x".repeat(MAX - 13))).is_some());
        assert_eq!(rebuilt(&format!("video/mp4; a={}", "x".repeat(MAX - 12))), None, "too long");
    }

    #[test]
    fn only_types_of_videos_are_servable() {
        assert_eq!(MediaType::servable("Video/WebM;codecs=vp9"), "video/webm; codecs=vp9");
        assert_eq!(MediaType::servable("audio/mpeg"), "audio/mpeg");
        for other in ["text/html", "video/mp4, text/html", "image/svg+xml", "video/x-unknown", ""] {
            assert_eq!(MediaType::servable(other), UNKNOWN, "{other}");
        }
    }
}
