//! The time at which a video is deleted.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The end of the year 9999, the last one in RFC 3339, in milliseconds since 1970.
const END: u128 = 253_402_300_800_000;
/// The longest text of a time that is accepted.
const MAX_TEXT: usize = 40;

/// A time in whole milliseconds, from 1970 to 9999. As text, in UTC (`2027-01-31T12:00:00.000Z`), it sorts by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Expiry(SystemTime);

/// A text that is no time of RFC 3339 between 1970 and 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time of RFC 3339")]
pub struct NotATime;

impl Expiry {
    /// Creates an expiry. Rounds up to a millisecond, so that nothing is deleted early. Returns `None` before 1970 and
    /// after 9999.
    #[must_use]
    pub fn at(time: SystemTime) -> Option<Self> {
        let millis = time.duration_since(UNIX_EPOCH).ok()?.as_nanos().div_ceil(1_000_000);
        let millis = u64::try_from(millis).ok().filter(|millis| u128::from(*millis) < END)?;
        UNIX_EPOCH.checked_add(Duration::from_millis(millis)).map(Self)
    }

    /// Returns the time.
    #[must_use]
    pub const fn time(self) -> SystemTime {
        self.0
    }

    /// Returns whether it is time to delete the video.
    #[must_use]
    pub fn has_passed(self, now: SystemTime) -> bool {
        self.0 <= now
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_millis(self.0).fmt(f)
    }
}

impl From<Expiry> for String {
    fn from(expiry: Expiry) -> Self {
        expiry.to_string()
    }
}

impl TryFrom<String> for Expiry {
    type Error = NotATime;

    fn try_from(text: String) -> Result<Self, NotATime> {
        text.parse()
    }
}

impl FromStr for Expiry {
    type Err = NotATime;

    /// Parses a time of RFC 3339 with any offset from UTC.
    fn from_str(text: &str) -> Result<Self, NotATime> {
        parse(text).and_then(Self::at).ok_or(NotATime)
    }
}

fn parse(text: &str) -> Option<SystemTime> {
    if text.len() > MAX_TEXT || !text.is_ascii() {
        return None;
    }
    let text = text.to_ascii_uppercase();
    let utc = |local: &str| humantime::parse_rfc3339(&format!("{local}Z")).ok();
    if let Some(local) = text.strip_suffix('Z') {
        return utc(local);
    }
    let (local, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let [sign @ (b'+' | b'-'), digits @ ..] = offset.as_bytes() else { return None };
    let [h1, h2, b':', m1, m2] = digits else { return None };
    let two = |a: &u8, b: &u8| {
        let is_number = a.is_ascii_digit() && b.is_ascii_digit();
        is_number.then(|| u64::from(a - b'0') * 10 + u64::from(b - b'0'))
    };
    let (hours, minutes) = (two(h1, h2).filter(|it| *it < 24)?, two(m1, m2).filter(|it| *it < 60)?);
    let offset = Duration::from_mins(hours * 60 + minutes);
    let local = utc(local)?;
    if *sign == b'+' { local.checked_sub(offset) } else { local.checked_add(offset) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_times_of_rfc_3339() {
        for (text, utc) in [
            ("2027-01-31T12:00:00Z", "2027-01-31T12:00:00.000Z"),
            ("2027-01-31t12:00:00.5z", "2027-01-31T12:00:00.500Z"),
            ("2027-01-31T12:00:00.0001Z", "2027-01-31T12:00:00.001Z"),
            ("2027-01-01T00:30:00+01:00", "2026-12-31T23:30:00.000Z"),
            ("2027-01-31T12:00:00-05:30", "2027-01-31T17:30:00.000Z"),
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
            ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
        ] {
            let expiry: Expiry = text.parse().unwrap_or_else(|_| panic!("{text}"));
            assert_eq!(expiry.to_string(), utc, "{text}");
            assert_eq!(utc.parse(), Ok(expiry));
        }
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "Z",
            "2027",
            "2027-01-31",
            "2027-01-31 12:00:00Z",
            "2027-01-31T12:00:00",
            "2027-02-30T12:00:00Z",
            "2027-01-31T25:00:00Z",
            "2027-01-31T12:00:00+24:00",
            "2027-01-31T12:00:00+1:000",
            "2027-01-31T12:00:00+01:60",
            "2027-01-31T12:00:00é01:00",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59.9999Z",
            "9999-12-31T23:59:59-00:01",
            "99999-12-31T23:59:59Z",
            "1800000000",
            &format!("2027-01-31T12:00:00.{}Z", "0".repeat(100)),
        ] {
            assert_eq!(text.parse::<Expiry>(), Err(NotATime), "{text}");
        }
    }

    #[test]
    fn texts_sort_by_time() {
        let texts: Vec<String> = [0, 999, 1000, 86_400_000, 253_402_300_799_999]
            .map(|millis| Expiry::at(UNIX_EPOCH + Duration::from_millis(millis)).unwrap().to_string())
            .to_vec();
        assert!(texts.is_sorted(), "{texts:?}");
    }

    #[test]
    fn passes_at_its_time() {
        let time = UNIX_EPOCH + Duration::from_secs(1);
        let expiry = Expiry::at(time).unwrap();
        assert!(expiry.has_passed(time) && !expiry.has_passed(time - Duration::from_nanos(1)));
    }
}
