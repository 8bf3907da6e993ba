//! The identifiers in keys, rows and URLs. Each is parsed once, where it enters the system.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The error for text that is not a valid identifier of this kind.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a valid {0}")]
pub struct Invalid(pub &'static str);

/// A video's identifier: a `UUIDv7`, in lower case with hyphens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VideoId(Uuid);

impl VideoId {
    /// Creates an identifier that sorts after every earlier one of this process.
    #[must_use]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// Returns the identifier of a video that was stored elsewhere at `time`: the same one each time for the same
    /// `digest` of what identifies it there.
    #[must_use]
    pub fn imported(time: SystemTime, digest: &[u8; 10]) -> Self {
        let millis = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, digest).into_uuid())
    }

    /// Returns the identifier as a number.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0.as_u128()
    }
}

impl Default for VideoId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for VideoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for VideoId {
    type Err = Invalid;

    /// Accepts only the spelling that [`VideoId`] prints, so that each video has exactly one key.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        parse_uuid(text).map(Self).ok_or(Invalid("videoId"))
    }
}

/// Parses a UUID in lower case with hyphens. Returns `None` for other spellings of it.
pub(crate) fn parse_uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|id| id.hyphenated().to_string() == text)
}

/// The identifier of a poster that a user has chosen: a random number. Each request has its own, so that only one write
/// of the row can name the objects, and only the next choice deletes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Choice(u64);

impl Choice {
    /// Creates an identifier.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4().as_u64_pair().1)
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Choice {
    type Err = Invalid;

    /// Accepts only the spelling that [`Choice`] prints.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let choice = u64::from_str_radix(text, 16).map(Self).map_err(|_| Invalid("choice"))?;
        if choice.to_string() == text { Ok(choice) } else { Err(Invalid("choice")) }
    }
}

/// The caller's identifier: a Cognito `sub` or identity id.
///
/// It is a folder in a key, so it is limited to characters without a special meaning in paths, URLs and headers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserId(String);

impl UserId {
    /// A Cognito identity id (`eu-central-1:` and a UUID) has up to 55 characters.
    const MAX: usize = 64;

    /// Returns the identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for UserId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let fits = (1..=Self::MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_:@.".contains(&b))
            && text.bytes().any(|b| b != b'.');
        if fits { Ok(Self(text.to_owned())) } else { Err(Invalid("user")) }
    }
}

impl TryFrom<String> for UserId {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<UserId> for String {
    fn from(user: UserId) -> Self {
        user.0
    }
}

/// The position of an S3 event among the events of the same key: a later write has a greater sequencer.
///
/// S3 sends hexadecimal text of varying length, and compares the shorter text as if it were padded with zeros on the
/// right. It is stored padded, so that `DynamoDB` can compare it as a string.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sequencer(String);

impl Sequencer {
    const WIDTH: usize = 40;

    /// Returns the lowest sequencer, for an event that S3 did not send. Every event of S3 is newer.
    #[must_use]
    pub fn lowest() -> Self {
        Self("0".repeat(Self::WIDTH))
    }

    /// Returns a sequencer after this one and before that of any later event of S3, whose sequencers differ in one of
    /// the first digits. Returns `None` if there is none.
    #[must_use]
    pub fn successor(&self) -> Option<Self> {
        let mut digits = self.0.clone().into_bytes();
        for digit in digits.iter_mut().rev() {
            match *digit {
                b'F' => *digit = b'0',
                b'9' => {
                    *digit = b'A';
                    return String::from_utf8(digits).ok().map(Self);
                }
                _ => {
                    *digit += 1;
                    return String::from_utf8(digits).ok().map(Self);
                }
            }
        }
        None
    }

    /// Returns the padded text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Parses the padded text that [`Sequencer::as_str`] returns.
    ///
    /// # Errors
    /// When the text is not padded, not in upper case or not hexadecimal.
    pub fn from_stored(text: &str) -> Result<Self, Invalid> {
        text.parse().ok().filter(|sequencer: &Self| sequencer.0 == text).ok_or(Invalid("sequencer"))
    }
}

impl FromStr for Sequencer {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let fits = (1..=Self::WIDTH).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
        if fits {
            let text = text.to_ascii_uppercase();
            Ok(Self(format!("{text:0<width$}", width = Self::WIDTH)))
        } else {
            Err(Invalid("sequencer"))
        }
    }
}

impl TryFrom<String> for Sequencer {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Sequencer> for String {
    fn from(sequencer: Sequencer) -> Self {
        sequencer.0
    }
}

impl fmt::Display for Sequencer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One version of a video's object: the event that announced it, and its entity tag.
///
/// The keys of everything that is made of the version contain it, so that two workers that write the same key write the
/// same content, even if the object was replaced between their reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The event that announced the object.
    pub sequencer: Sequencer,
    /// The entity tag: hexadecimal digits and hyphens.
    tag: String,
}

impl Version {
    /// The longest entity tag, in characters: an MD5 digest and a number of parts has up to 38.
    const MAX_TAG: usize = 64;

    /// Creates the version of the object with this entity tag, which may be in quotes.
    #[must_use]
    pub fn new(sequencer: Sequencer, etag: &str) -> Self {
        let tag = etag.chars().filter(|c| c.is_ascii_hexdigit() || *c == '-').take(Self::MAX_TAG);
        let tag: String = tag.map(|c| c.to_ascii_lowercase()).collect();
        Self { sequencer, tag: if tag.is_empty() { "0".to_owned() } else { tag } }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.sequencer, self.tag)
    }
}

impl FromStr for Version {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (sequencer, tag) = text.split_once('-').ok_or(Invalid("version"))?;
        let version = Self::new(Sequencer::from_stored(sequencer)?, tag);
        if version.tag == tag { Ok(version) } else { Err(Invalid("version")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn video_ids_have_one_spelling() {
        let id = VideoId::new();
        assert_eq!(id.to_string().parse(), Ok(id));
        for other in [
            id.to_string().to_uppercase(),
            id.to_string().replace('-', ""),
            format!("{{{id}}}"),
            format!("urn:uuid:{id}"),
            String::new(),
            "../x".into(),
        ] {
            assert!(other.parse::<VideoId>().is_err(), "{other}");
        }
    }

    #[test]
    fn user_ids_cannot_leave_their_folder() {
        for good in ["local", "eu-central-1:0195d3b2-1c3b-7cc0-a6a4-3d6e7f8a9b0c", "a@b.c"] {
            assert_eq!(good.parse::<UserId>().map(String::from), Ok(good.to_owned()));
        }
        for bad in ["", ".", "..", "a/b", "a b", "a\0", "ü", "a%2f", &"x".repeat(65)] {
            assert!(bad.parse::<UserId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn successors_lie_between_the_events_of_s3() {
        let seq = |text: &str| text.parse::<Sequencer>().unwrap_or_else(|e| panic!("{e}"));
        assert!(Sequencer::lowest() < seq("0000000000000001"));
        let (first, second) = (seq("0055AED6DCD90281E5"), seq("0055AED6DCD90281E6"));
        let mut last = first;
        for _ in 0..300 {
            let next = last.successor().unwrap_or_else(|| panic!("{last:?}"));
            assert!(last < next && next < second, "{next:?}");
            assert_eq!(Sequencer::from_stored(next.as_str()), Ok(next.clone()));
            last = next;
        }
        assert_eq!(seq(&"F".repeat(40)).successor(), None);
    }

    #[test]
    fn versions_round_trip() {
        let seq: Sequencer = "0055".parse().unwrap_or_else(|e| panic!("{e}"));
        for etag in ["\"9a0364b9e99bb480dd25e1f0284c8555\"", "ABC-12", "", "\"a/../b?\""] {
            let version = Version::new(seq.clone(), etag);
            assert_eq!(version.to_string().parse(), Ok(version), "{etag}");
        }
        assert_ne!(Version::new(seq.clone(), "a"), Version::new(seq, "b"));
        for bad in ["", "-a", "0055-a", &format!("{:0<40}-A", "1"), &format!("{:0<40}-", "1")] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
    }

    #[test]
    fn sequencers_compare_as_s3_documents() {
        let seq = |text: &str| text.parse::<Sequencer>();
        assert!(seq("0055AED6DCD90281E5").unwrap() < seq("0055AED6DCD90281E6").unwrap());
        assert!(seq("00A").unwrap() > seq("0055AED6DCD90281E5").unwrap());
        assert_eq!(seq("0f"), seq("0F0"));
        assert!(seq("").is_err() && seq("xyz").is_err() && seq(&"0".repeat(41)).is_err());
        assert_eq!(serde_json::from_str::<Sequencer>("\"0f\"").unwrap(), seq("0F").unwrap());
        assert!(serde_json::from_str::<Sequencer>("\"xyz\"").is_err());
    }
}
