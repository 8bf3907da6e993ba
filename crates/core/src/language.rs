//! Languages of audio streams and captions: containers state codes of ISO 639-2, playlists tags of RFC 5646.

mod tag;

pub use tag::LanguageTag;

/// Codes of ISO 639-2 (that of the language's own name and, if it differs, the English one) with the code of ISO 639-1,
/// which RFC 5646 prefers, and the name.
const LANGUAGES: [(&str, &str, &str); 75] = [
    ("afr", "af", "Afrikaans"),
    ("amh", "am", "Amharic"),
    ("ara", "ar", "Arabic"),
    ("aze", "az", "Azerbaijani"),
    ("bel", "be", "Belarusian"),
    ("ben", "bn", "Bengali"),
    ("bos", "bs", "Bosnian"),
    ("bul", "bg", "Bulgarian"),
    ("cat", "ca", "Catalan"),
    ("ces cze", "cs", "Czech"),
    ("cym wel", "cy", "Welsh"),
    ("dan", "da", "Danish"),
    ("deu ger", "de", "German"),
    ("ell gre", "el", "Greek"),
    ("eng", "en", "English"),
    ("est", "et", "Estonian"),
    ("eus baq", "eu", "Basque"),
    ("fas per", "fa", "Persian"),
    ("fin", "fi", "Finnish"),
    ("fra fre", "fr", "French"),
    ("gla", "gd", "Scottish Gaelic"),
    ("gle", "ga", "Irish"),
    ("glg", "gl", "Galician"),
    ("guj", "gu", "Gujarati"),
    ("hau", "ha", "Hausa"),
    ("heb", "he", "Hebrew"),
    ("hin", "hi", "Hindi"),
    ("hrv", "hr", "Croatian"),
    ("hun", "hu", "Hungarian"),
    ("hye arm", "hy", "Armenian"),
    ("ibo", "ig", "Igbo"),
    ("ind", "id", "Indonesian"),
    ("isl ice", "is", "Icelandic"),
    ("ita", "it", "Italian"),
    ("jpn", "ja", "Japanese"),
    ("kan", "kn", "Kannada"),
    ("kat geo", "ka", "Georgian"),
    ("kaz", "kk", "Kazakh"),
    ("khm", "km", "Khmer"),
    ("kor", "ko", "Korean"),
    ("lat", "la", "Latin"),
    ("lav", "lv", "Latvian"),
    ("lit", "lt", "Lithuanian"),
    ("ltz", "lb", "Luxembourgish"),
    ("mal", "ml", "Malayalam"),
    ("mar", "mr", "Marathi"),
    ("mkd mac", "mk", "Macedonian"),
    ("mon", "mn", "Mongolian"),
    ("msa may", "ms", "Malay"),
    ("nep", "ne", "Nepali"),
    ("nld dut", "nl", "Dutch"),
    ("nob", "nb", "Norwegian Bokm\u{e5}l"),
    ("nor", "no", "Norwegian"),
    ("pan", "pa", "Punjabi"),
    ("pol", "pl", "Polish"),
    ("por", "pt", "Portuguese"),
    ("ron rum", "ro", "Romanian"),
    ("rus", "ru", "Russian"),
    ("sin", "si", "Sinhala"),
    ("slk slo", "sk", "Slovak"),
    ("slv", "sl", "Slovenian"),
    ("spa", "es", "Spanish"),
    ("sqi alb", "sq", "Albanian"),
    ("srp", "sr", "Serbian"),
    ("swa", "sw", "Swahili"),
    ("swe", "sv", "Swedish"),
    ("tam", "ta", "Tamil"),
    ("tel", "te", "Telugu"),
    ("tha", "th", "Thai"),
    ("tur", "tr", "Turkish"),
    ("ukr", "uk", "Ukrainian"),
    ("urd", "ur", "Urdu"),
    ("vie", "vi", "Vietnamese"),
    ("yor", "yo", "Yoruba"),
    ("zho chi", "zh", "Chinese"),
];

/// A language for a playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Language {
    /// The tag of RFC 5646.
    pub tag: String,
    /// The name in English, or the tag if it is not known.
    pub name: String,
}

impl Language {
    /// Reads a code of ISO 639-2 or a tag of RFC 5646. Returns `None` if it does not state a language.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (primary, more) =
            text.split_once('-').map_or((text, None), |(primary, more)| (primary, Some(more)));
        let primary = primary.to_ascii_lowercase();
        let is_word = |word: &str, lengths: std::ops::RangeInclusive<usize>| {
            lengths.contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        let is_tag = is_word(&primary, 2..=3) && primary.bytes().all(|byte| byte.is_ascii_lowercase());
        if !is_tag || more.is_some_and(|more| !more.split('-').all(|word| is_word(word, 1..=8))) {
            return None;
        }
        // Undetermined, several, none, and without a code.
        if matches!(primary.as_str(), "und" | "mul" | "zxx" | "mis") {
            return None;
        }
        let known = LANGUAGES
            .iter()
            .find(|(codes, code, _)| *code == primary || codes.split(' ').any(|code| code == primary));
        let (primary, name) =
            known.map_or((primary.clone(), None), |(_, code, name)| ((*code).to_owned(), Some(name)));
        let tag = more.map_or_else(|| primary.clone(), |more| format!("{primary}-{more}"));
        let name = match (name, more) {
            (Some(name), None) => (*name).to_owned(),
            (Some(name), Some(more)) => format!("{name} ({more})"),
            (None, _) => tag.clone(),
        };
        Some(Self { tag, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_the_shortest_tag() {
        let parsed = |text| Language::parse(text).map(|language| (language.tag, language.name));
        let language = |tag: &str, name: &str| Some((tag.to_owned(), name.to_owned()));
        assert_eq!(parsed("eng"), language("en", "English"));
        for german in ["deu", "ger", "de", "GER"] {
            assert_eq!(parsed(german), language("de", "German"));
        }
        assert_eq!(parsed("por-BR"), language("pt-BR", "Portuguese (BR)"));
        assert_eq!(parsed("yue"), language("yue", "yue"));
        for unknown in
            ["und", "mul", "zxx", "", "e", "english", "e1", "en-", "en-toolongasubtag", "\"", "en\n"]
        {
            assert_eq!(parsed(unknown), None, "{unknown:?}");
        }
    }
}
