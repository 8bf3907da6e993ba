//! Multipart uploads of the caller, and the validation of their parts.

use upreel_core::{Key, UserId};
use upreel_function::App;
use upreel_http::{Code, Problem};
use upreel_store::objects::{NamedPart, StoredPart};

use crate::declared::{invalid, too_large};

/// S3's limit on the number of parts.
pub(crate) const MAX_PARTS: u16 = 10_000;
/// S3's minimum size of all parts but the last, in bytes.
const MIN_PART: u64 = 5 << 20;

/// A multipart upload that belongs to the caller, as the user in the key proves.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) key: Key,
    pub(crate) id: String,
}

impl Upload {
    /// Checks the key and the identifier of an upload. The error for another user's key, for a malformed key and for a
    /// missing upload is the same, so that it does not reveal which uploads exist.
    pub(crate) fn new(user: &UserId, key: Option<&str>, id: &str) -> Result<Self, Problem> {
        let key = key.filter(|key| !key.is_empty());
        let key = key
            .ok_or_else(|| invalid("The key of the upload is missing. Send it as `key`: ?key=videos/..."))?;
        // The characters of S3's identifiers, which have no special meaning in a URL.
        let is_id = (1..=1024).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        match key.parse() {
            Ok(key @ Key::Video { .. })
                if is_id && matches!(&key, Key::Video { user: owner, .. } if owner == user) =>
            {
                Ok(Self { key, id: id.to_owned() })
            }
            _ => Err(no_such_upload()),
        }
    }

    /// Returns the received parts in ascending order.
    pub(crate) async fn parts(&self, app: &App) -> Result<Vec<StoredPart>, Problem> {
        app.objects.list_parts(&self.key, &self.id).await?.ok_or_else(no_such_upload)
    }

    /// Aborts an upload that would be too large, and returns the problem to respond with.
    pub(crate) async fn abort_too_large(&self, app: &App, user: &UserId) -> Result<Problem, Problem> {
        app.objects.abort_multipart(&self.key, &self.id).await?;
        app.release(&self.key, user).await?;
        tracing::info!(key = %self.key, "multipart upload aborted: too large");
        Ok(too_large(app.config.max_upload_bytes))
    }
}

pub(crate) fn no_such_upload() -> Problem {
    Problem::new(Code::NotFound, "There is no such upload. It was completed or aborted, or it is not yours.")
}

pub(crate) fn part_number(text: &str) -> Result<u16, Problem> {
    text.parse().map_err(|_| bad_part_number()).and_then(in_range)
}

pub(crate) fn in_range(number: u16) -> Result<u16, Problem> {
    if (1..=MAX_PARTS).contains(&number) { Ok(number) } else { Err(bad_part_number()) }
}

fn bad_part_number() -> Problem {
    invalid(format!("The part number must be from 1 to {MAX_PARTS}."))
}

/// Returns the size of the object that these parts would give. `stored` is in ascending order.
///
/// Also checks what S3 would reject without a message for users: that the parts are in ascending order, have been
/// received with these entity tags, and that all but the last have the minimum size.
pub(crate) fn checked_size(named: &[NamedPart], stored: &[StoredPart]) -> Result<u64, Problem> {
    let mut total = 0_u64;
    for (i, part) in named.iter().enumerate() {
        let number = part.number;
        if i > 0 && named[i - 1].number >= number {
            return Err(invalid("The parts must be in ascending order."));
        }
        let found = stored.binary_search_by_key(&number, |stored| stored.number).ok().map(|at| &stored[at]);
        let found = found.filter(|stored| unquoted(&stored.etag) == unquoted(&part.etag));
        let found =
            found.ok_or_else(|| invalid(format!("Part {number} was not received with this ETag.")))?;
        if i + 1 < named.len() && found.size < MIN_PART {
            return Err(invalid(format!(
                "Part {number} has less than 5 MiB. Only the last part may be smaller."
            )));
        }
        total = total.saturating_add(found.size);
    }
    Ok(total)
}

fn unquoted(etag: &str) -> &str {
    etag.trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_belong_to_the_user_in_the_key() {
        let user: UserId = "u".parse().unwrap();
        let key = format!("videos/u/{}.mp4", upreel_core::VideoId::new());
        let upload =
            |key: &str, id: &str| Upload::new(&user, Some(key), id).map(|u| u.id).map_err(|p| p.code());
        assert_eq!(upload(&key, "aB3._-"), Ok("aB3._-".into()));
        for other in [key.replace("/u/", "/v/"), key.replace(".mp4", ".exe"), "x".into(), "../x".into()] {
            assert_eq!(upload(&other, "a"), Err(Code::NotFound), "{other}");
        }
        for bad in ["", "a&key=x", "a/b", "é", &"x".repeat(1025)] {
            assert_eq!(upload(&key, bad), Err(Code::NotFound), "{bad}");
        }
        assert_eq!(Upload::new(&user, None, "a").unwrap_err().code(), Code::InvalidRequest);
    }

    #[test]
    fn part_numbers_have_the_range_of_s3() {
        let number = |text: &str| part_number(text).map_err(|p| p.code());
        assert_eq!((number("1"), number("10000")), (Ok(1), Ok(10_000)));
        for bad in ["", "0", "-1", "10001", "65537", "1.0", "1e3", "x", " 1"] {
            assert_eq!(number(bad), Err(Code::InvalidRequest), "{bad}");
        }
    }

    #[test]
    fn rejects_missing_or_mismatched_parts() {
        let stored = [(1, 5 << 20), (2, 5 << 20), (3, 7), (4, 1)].map(|(number, size)| StoredPart {
            number,
            size,
            etag: format!("\"e{number}\""),
        });
        let sum = |named: &[(u16, &str)]| {
            let named: Vec<_> =
                named.iter().map(|&(number, etag)| NamedPart { number, etag: etag.into() }).collect();
            checked_size(&named, &stored).ok()
        };
        assert_eq!(sum(&[(1, "\"e1\""), (2, "e2"), (3, "e3")]), Some((10 << 20) + 7));
        assert_eq!(sum(&[(3, "e3")]), Some(7), "the last part may be small");
        for bad in [
            &[(2, "e2"), (1, "e1")][..],
            &[(1, "e1"), (1, "e1")],
            &[(1, "e2")],
            &[(5, "e5")],
            &[(3, "e3"), (4, "e4")],
        ] {
            assert_eq!(sum(bad), None, "{bad:?}");
        }
    }
}
