//! Language tags (RFC 5646).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{LANGUAGES, Language};
use crate::id::Invalid;

/// A well-formed language tag (RFC 5646, section 2.1), in the case that its section 2.1.1 recommends, such as `pt-BR`
/// and `zh-Hant-TW`. A code of ISO 639-2 becomes the shorter one of ISO 639-1, as section 2.2.1 demands: `eng` is `en`.
///
/// The irregular tags that the grammar only lists, such as `i-klingon`, are refused. They are deprecated.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LanguageTag(String);

impl LanguageTag {
    /// The longest tag, in characters (RFC 5646, section 4.4.1).
    pub const MAX: usize = 35;

    /// Returns the tag as text: letters, digits and hyphens.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the language's name in English, or the tag if the name is not known.
    #[must_use]
    pub fn name(&self) -> String {
        Language::parse(&self.0).map_or_else(|| self.0.clone(), |language| language.name)
    }
}

impl fmt::Display for LanguageTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for LanguageTag {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<LanguageTag> for String {
    fn from(tag: LanguageTag) -> Self {
        tag.0
    }
}

impl FromStr for LanguageTag {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        const INVALID: Invalid = Invalid("language tag");
        let words: Vec<String> = text.split('-').map(str::to_ascii_lowercase).collect();
        let is_word =
            |word: &String| (1..=8).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_alphanumeric());
        if text.len() > Self::MAX || !words.iter().all(is_word) {
            return Err(INVALID);
        }
        let mut tag = Vec::new();
        let mut rest = words.as_slice();
        // A tag can be private as a whole.
        if words.first().is_some_and(|word| word != "x") {
            let language = take(&mut rest, |word| is_alpha(word, 2..=8)).ok_or(INVALID)?;
            let known = LANGUAGES.iter().find(|(codes, ..)| codes.split(' ').any(|code| code == language));
            tag.push(known.map_or(language, |(_, code, _)| code).to_owned());
            // Extended languages, such as `zh-yue`, follow only the codes of ISO 639.
            for _ in 0..if language.len() <= 3 { 3 } else { 0 } {
                tag.extend(take(&mut rest, |word| is_alpha(word, 3..=3)).map(str::to_owned));
            }
            let script = take(&mut rest, |word| is_alpha(word, 4..=4));
            tag.extend(script.map(|script| script[..1].to_ascii_uppercase() + &script[1..]));
            let region = take(&mut rest, |word| is_alpha(word, 2..=2) || is_number(word));
            tag.extend(region.map(str::to_ascii_uppercase));
            let variants = tag.len();
            while let Some(variant) = take(&mut rest, is_variant) {
                if tag[variants..].iter().any(|other| other == variant) {
                    return Err(INVALID);
                }
                tag.push(variant.to_owned());
            }
            let mut singletons: Vec<&str> = Vec::new();
            while let Some(singleton) = take(&mut rest, |word| word.len() == 1 && word != "x") {
                let before = tag.len();
                tag.push(singleton.to_owned());
                while let Some(word) = take(&mut rest, |word| word.len() >= 2) {
                    tag.push(word.to_owned());
                }
                if tag.len() == before + 1 || singletons.contains(&singleton) {
                    return Err(INVALID);
                }
                singletons.push(singleton);
            }
        }
        match rest {
            [] => {}
            [x, _, ..] if x == "x" => tag.extend_from_slice(rest),
            _ => return Err(INVALID),
        }
        Ok(Self(tag.join("-")))
    }
}

/// Takes the first word if it fits.
fn take<'a>(words: &mut &'a [String], fits: impl Fn(&str) -> bool) -> Option<&'a str> {
    let (first, rest) = words.split_first()?;
    if !fits(first) {
        return None;
    }
    *words = rest;
    Some(first)
}

fn is_alpha(word: &str, lengths: std::ops::RangeInclusive<usize>) -> bool {
    lengths.contains(&word.len()) && word.bytes().all(|b| b.is_ascii_alphabetic())
}

fn is_number(word: &str) -> bool {
    word.len() == 3 && word.bytes().all(|b| b.is_ascii_digit())
}

fn is_variant(word: &str) -> bool {
    word.len() >= 5 || (word.len() == 4 && word.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_formed_tags_are_brought_into_one_form() {
        // Most are the examples of RFC 5646, appendix A.
        for (text, expected) in [
            ("de", "de"),
            ("DE", "de"),
            ("eng", "en"),
            ("ger-at", "de-AT"),
            ("yue", "yue"),
            ("und", "und"),
            ("zh-hant", "zh-Hant"),
            ("sr-latn-rs", "sr-Latn-RS"),
            ("zh-cmn-Hans-CN", "zh-cmn-Hans-CN"),
            ("zh-yue-HK", "zh-yue-HK"),
            ("sl-rozaj-biske", "sl-rozaj-biske"),
            ("de-CH-1901", "de-CH-1901"),
            ("hy-Latn-IT-arevela", "hy-Latn-IT-arevela"),
            ("es-419", "es-419"),
            ("de-CH-x-phonebk", "de-CH-x-phonebk"),
            ("x-whatever", "x-whatever"),
            ("qaa-Qaaa-QM-x-southern", "qaa-Qaaa-QM-x-southern"),
            ("en-US-u-islamcal", "en-US-u-islamcal"),
            ("zh-CN-a-myext-x-private", "zh-CN-a-myext-x-private"),
            ("EN-a-BBB-X-a-CCC", "en-a-bbb-x-a-ccc"),
        ] {
            let tag: LanguageTag = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(tag.as_str(), expected);
            assert_eq!(expected.parse(), Ok(tag), "the form is stable");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "d",
            "-de",
            "de-",
            "de--DE",
            "de_DE",
            "de-419-DE",
            "a-DE",
            "ar-a-aaa-b-bbb-a-ccc",
            "de-1996-1996",
            "de-u",
            "de-x",
            "x",
            "i-klingon",
            "english-US-toolong99",
            "german1",
            "de/..",
            "de\n",
            "d\u{e9}",
            "x-1234567-1234567-1234567-1234567-12345",
        ] {
            assert!(text.parse::<LanguageTag>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn names_are_in_english() {
        let name = |text: &str| text.parse::<LanguageTag>().unwrap_or_else(|e| panic!("{e}")).name();
        assert_eq!(name("deu"), "German");
        assert_eq!(name("pt-BR"), "Portuguese (BR)");
        assert_eq!(name("x-elvish"), "x-elvish");
        assert_eq!(name("und"), "und");
    }
}
