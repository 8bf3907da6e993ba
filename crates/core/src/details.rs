//! What users say about a video: its title, description and tags, metadata of their own, and when it is deleted.
//!
//! These fields belong to the video, not to its content: another upload of the video keeps them. The functions that
//! process a video never write them.

mod expiry;

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::filename::is_format;
use crate::video::known;

pub use expiry::Expiry;

/// The most characters (Unicode scalar values) of a title.
pub const MAX_TITLE: usize = 200;
/// The most characters of a description.
pub const MAX_DESCRIPTION: usize = 5000;
/// The most tags of a video.
pub const MAX_TAGS: usize = 10;
/// The most characters of a tag.
pub const MAX_TAG: usize = 50;
/// The most bytes of the metadata, as JSON without spaces.
pub const MAX_METADATA: usize = 4096;
/// The most characters of the name of captions.
pub const MAX_LABEL: usize = 100;
/// The most characters of a name in the metadata.
pub const MAX_NAME: usize = 64;

/// What users say about a video. Fields without a value are left out of rows and responses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// The title; without one, clients show the file name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The description, of several lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The tags, in the user's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Texts that only the user's application understands.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// When the video is deleted.
    #[serde(default, deserialize_with = "known", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Expiry>,
}

/// A change of [`Details`] by the rules of a JSON merge patch (RFC 7396): `None` keeps a field, `Some(None)` removes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// The new title.
    pub title: Option<Option<String>>,
    /// The new description.
    pub description: Option<Option<String>>,
    /// All tags; an empty list removes them.
    pub tags: Option<Vec<String>>,
    /// The entries to set, and without a text those to remove; `Some(None)` removes all entries.
    pub metadata: Option<Option<BTreeMap<String, Option<String>>>>,
    /// The new time of deletion.
    pub expires_at: Option<Option<Expiry>>,
}

/// Why a field is not valid. The messages are for users, and repeat nothing of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A text is empty or too long.
    #[error("{0} must have 1 to {1} characters.")]
    Length(&'static str, usize),
    /// A text has control characters.
    #[error("{0} must not contain control characters.")]
    Control(&'static str),
    /// A tag has a comma, which separates tags in forms.
    #[error("A tag must not contain a comma.")]
    Comma,
    /// Two tags are the same, apart from their case.
    #[error("Each tag may occur once; upper and lower case are the same.")]
    DuplicateTag,
    /// There are too many tags.
    #[error("A video can have at most {MAX_TAGS} tags.")]
    TooManyTags,
    /// The metadata is too large.
    #[error(
        "The metadata, with the entries that are stored already, must have at most {MAX_METADATA} bytes as JSON."
    )]
    MetadataSize,
    /// The time of deletion has passed.
    #[error("The time of deletion, `expiresAt`, must be in the future.")]
    Past,
}

impl Change {
    /// Returns the details after the change.
    ///
    /// # Errors
    /// When a new value is not valid.
    pub fn apply(&self, old: &Details, now: SystemTime) -> Result<Details, Invalid> {
        let mut new = old.clone();
        if let Some(title) = &self.title {
            new.title = title.as_deref().map(|title| line("The title", title, MAX_TITLE)).transpose()?;
        }
        if let Some(description) = &self.description {
            new.description = description.as_deref().map(lines).transpose()?;
        }
        if let Some(tags) = &self.tags {
            new.tags = checked_tags(tags)?;
        }
        match &self.metadata {
            None => {}
            Some(None) => new.metadata.clear(),
            Some(Some(entries)) => {
                for (name, text) in entries {
                    match text {
                        Some(text) => new.metadata.insert(name.clone(), text.clone()),
                        None => new.metadata.remove(name),
                    };
                }
                check_metadata(&new.metadata)?;
            }
        }
        if let Some(expires_at) = self.expires_at {
            new.expires_at = expires_at;
            if new.expires_at != old.expires_at && expires_at.is_some_and(|expiry| expiry.has_passed(now)) {
                return Err(Invalid::Past);
            }
        }
        Ok(new)
    }
}

/// Checks a text of one line. It is stored in NFC, without white space around it and without characters that hide or
/// reorder text.
pub(crate) fn line(field: &'static str, text: &str, max: usize) -> Result<String, Invalid> {
    if text.chars().any(char::is_control) {
        return Err(Invalid::Control(field));
    }
    sized(field, &shown(text), max)
}

/// Checks the description. Line ends become line feeds.
fn lines(text: &str) -> Result<String, Invalid> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err(Invalid::Control("The description"));
    }
    sized("The description", &shown(&text), MAX_DESCRIPTION)
}

fn shown(text: &str) -> String {
    // Normalise last: removing a character can make two composable characters adjacent.
    text.chars().filter(|c| !is_format(*c)).nfc().collect()
}

fn sized(field: &'static str, text: &str, max: usize) -> Result<String, Invalid> {
    let text = text.trim();
    if text.is_empty() || text.chars().nth(max).is_some() {
        return Err(Invalid::Length(field, max));
    }
    Ok(text.to_owned())
}

fn checked_tags(tags: &[String]) -> Result<Vec<String>, Invalid> {
    if tags.len() > MAX_TAGS {
        return Err(Invalid::TooManyTags);
    }
    if tags.iter().any(|tag| tag.contains(',')) {
        return Err(Invalid::Comma);
    }
    let tags = tags.iter().map(|tag| line("A tag", tag, MAX_TAG)).collect::<Result<Vec<_>, _>>()?;
    let distinct: BTreeSet<String> = tags.iter().map(|tag| fold(tag)).collect();
    if distinct.len() < tags.len() { Err(Invalid::DuplicateTag) } else { Ok(tags) }
}

/// Checks the metadata, which is stored as it is.
fn check_metadata(metadata: &BTreeMap<String, String>) -> Result<(), Invalid> {
    let mut size = 2;
    for (name, text) in metadata {
        if name.is_empty() || name.chars().nth(MAX_NAME).is_some() {
            return Err(Invalid::Length("A name in the metadata", MAX_NAME));
        }
        let is_bad = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        if name.chars().any(char::is_control) || text.chars().any(is_bad) {
            return Err(Invalid::Control("The metadata"));
        }
        // A colon and a comma; the last entry has no comma.
        size += json_size(name) + json_size(text) + 2;
    }
    if size - usize::from(!metadata.is_empty()) > MAX_METADATA { Err(Invalid::MetadataSize) } else { Ok(()) }
}

/// Returns the size of a text as JSON, in bytes.
fn json_size(text: &str) -> usize {
    let escaped = text.bytes().filter(|byte| matches!(byte, b'"' | b'\\' | b'\n' | b'\r' | b'\t')).count();
    text.len() + escaped + 2
}

/// Returns the form of a text in which titles and tags are compared: without differences of case, of composed and
/// decomposed characters, and of compatible ones, such as full-width letters.
#[must_use]
pub fn fold(text: &str) -> String {
    // To upper case first, so that all lower-case forms of a letter become the same, such as both sigmas.
    text.nfkd().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfkd().collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::json;

    use super::*;

    const NOW: SystemTime = UNIX_EPOCH;

    fn title(text: &str) -> Result<Option<String>, Invalid> {
        let change = Change { title: Some(Some(text.to_owned())), ..Change::default() };
        change.apply(&Details::default(), NOW).map(|details| details.title)
    }

    fn tags(tags: &[&str]) -> Result<Vec<String>, Invalid> {
        let tags = tags.iter().map(|&tag| tag.to_owned()).collect();
        let change = Change { tags: Some(tags), ..Change::default() };
        change.apply(&Details::default(), NOW).map(|details| details.tags)
    }

    fn metadata(old: &Details, entries: &[(&str, Option<&str>)]) -> Result<Details, Invalid> {
        let entries = entries.iter().map(|&(name, text)| (name.to_owned(), text.map(str::to_owned)));
        let change = Change { metadata: Some(Some(entries.collect())), ..Change::default() };
        change.apply(old, NOW)
    }

    #[test]
    fn titles_are_one_clean_line() {
        let clean = |text: &str| title(text).map(Option::unwrap_or_default);
        assert_eq!(clean("  My holiday "), Ok("My holiday".into()));
        assert_eq!(clean("e\u{301}t\u{e9}"), Ok("\u{e9}t\u{e9}".into()), "NFC");
        assert_eq!(clean("exe.\u{202e}4pm"), Ok("exe.4pm".into()), "nothing reorders the text");
        assert_eq!(clean("👨\u{200d}👩"), Ok("👨\u{200d}👩".into()));
        assert_eq!(clean(&"🎬".repeat(200)), Ok("🎬".repeat(200)), "characters, not bytes");
        for bad in ["", " ", "\u{200b}", &"x".repeat(201)] {
            assert_eq!(clean(bad), Err(Invalid::Length("The title", 200)), "{bad:?}");
        }
        for bad in ["a\nb", "a\0", "\u{7f}", "\u{85}", "a\tb"] {
            assert_eq!(clean(bad), Err(Invalid::Control("The title")), "{bad:?}");
        }
    }

    #[test]
    fn descriptions_have_lines() {
        let description = |text: &str| {
            let change = Change { description: Some(Some(text.to_owned())), ..Change::default() };
            change.apply(&Details::default(), NOW).map(|details| details.description.unwrap_or_default())
        };
        assert_eq!(description("a\r\nb\rc\n\td\n"), Ok("a\nb\nc\n\td".into()));
        assert_eq!(description("a\u{1b}[31m"), Err(Invalid::Control("The description")));
        assert!(description(&"ß".repeat(5000)).is_ok());
        assert_eq!(description(&"ß".repeat(5001)), Err(Invalid::Length("The description", 5000)));
    }

    #[test]
    fn tags_are_few_and_distinct() {
        assert_eq!(
            tags(&["b", " a ", "C"]),
            Ok(vec!["b".into(), "a".into(), "C".into()]),
            "their order is kept"
        );
        assert_eq!(tags(&[]), Ok(Vec::new()));
        assert_eq!(tags(&["Été", "ÉTÉ"]), Err(Invalid::DuplicateTag));
        assert_eq!(tags(&["a,b"]), Err(Invalid::Comma));
        assert_eq!(tags(&[""]), Err(Invalid::Length("A tag", 50)));
        assert_eq!(tags(&["x"; 11]), Err(Invalid::TooManyTags));
        let ten: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        assert!(tags(&ten.iter().map(String::as_str).collect::<Vec<_>>()).is_ok());
    }

    #[test]
    fn metadata_is_merged_and_limited_as_a_whole() {
        let old = metadata(&Details::default(), &[("a", Some("1")), ("b", Some("2"))]).unwrap();
        let new = metadata(&old, &[("a", None), ("c", Some("\n\"\\")), ("x", None)]).unwrap();
        assert_eq!(json!(new), json!({"metadata": {"b": "2", "c": "\n\"\\"}}));
        assert_eq!(metadata(&old, &[]), Ok(old.clone()), "an empty object changes nothing");
        let none = Change { metadata: Some(None), ..Change::default() };
        assert_eq!(none.apply(&old, NOW), Ok(Details::default()));

        for text in ["x", "é", "\"", "\\", "\n", "\t\r"] {
            let fits = |n: usize| {
                let details = metadata(&Details::default(), &[("k", Some(&text.repeat(n))), ("l", Some(""))]);
                (details.clone().is_ok(), details.map_or(0, |it| json!(it.metadata).to_string().len()))
            };
            let (mut most, mut too_many) = (0, 5000);
            while most + 1 < too_many {
                let middle = usize::midpoint(most, too_many);
                if fits(middle).0 { most = middle } else { too_many = middle }
            }
            let (_, size) = fits(most);
            assert!(size <= MAX_METADATA && size + 2 * text.len() > MAX_METADATA, "{text:?}: {size} bytes");
        }
        let full = metadata(&Details::default(), &[("k", Some(&"x".repeat(4000)))]).unwrap();
        assert_eq!(metadata(&full, &[("l", Some(&"x".repeat(100)))]), Err(Invalid::MetadataSize));
        assert!(metadata(&full, &[("k", None), ("l", Some(&"x".repeat(4000)))]).is_ok());
        for name in ["", &"x".repeat(65)] {
            assert!(matches!(metadata(&old, &[(name, Some(""))]), Err(Invalid::Length(..))), "{name}");
        }
        assert_eq!(metadata(&old, &[("a", Some("\0"))]), Err(Invalid::Control("The metadata")));
    }

    #[test]
    fn repeated_change_changes_nothing() {
        let change = Change {
            title: Some(Some(" A ".into())),
            tags: Some(vec!["x".into()]),
            metadata: Some(Some(BTreeMap::from([("k".into(), Some("v".into()))]))),
            expires_at: Some(Expiry::at(UNIX_EPOCH + Duration::from_secs(10))),
            ..Change::default()
        };
        let once = change.apply(&Details::default(), NOW).unwrap();
        assert_eq!(change.apply(&once, NOW), Ok(once.clone()));
        let later = NOW + Duration::from_secs(10);
        assert_eq!(change.apply(&once, later), Ok(once.clone()), "even when the time has come");
        assert_eq!(change.apply(&Details::default(), later), Err(Invalid::Past));
        let never = Change { expires_at: Some(None), ..Change::default() };
        assert_eq!(never.apply(&once, later).map(|details| details.expires_at), Ok(None));
        assert_eq!(Change::default().apply(&once, later), Ok(once));
    }

    #[test]
    fn details_without_a_value_leave_nothing_in_the_row() {
        assert_eq!(json!(Details::default()), json!({}));
        let row = json!({"title": "a", "expiresAt": "a time that a newer release writes"});
        let read: Details = serde_json::from_value(row).unwrap();
        assert_eq!((read.title.as_deref(), read.expires_at), (Some("a"), None));
    }

    #[test]
    fn folded_texts_ignore_case_and_composition() {
        for (a, b) in [
            ("Holiday", "hOLIDAY"),
            ("\u{e9}t\u{e9}", "E\u{301}TE\u{301}"),
            ("Straße", "STRASSE"),
            ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
            ("Ｆｕｌｌ", "full"),
            ("ﬁlm", "FILM"),
        ] {
            assert_eq!(fold(a), fold(b), "{a} {b}");
        }
        for (text, prefix) in
            [("Été à la mer", "éT"), ("ΟΔΥΣΣΕΥΣ", "οδυς"), ("한국", "하"), ("İstanbul", "i")]
        {
            assert!(fold(text).starts_with(&fold(prefix)), "{text} {prefix}");
        }
        assert_ne!(fold("a"), fold("b"));
    }
}
