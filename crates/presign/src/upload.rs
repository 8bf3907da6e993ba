//! Upload, key and part of a request, once it is known that the caller may name them.

use upreel_core::{Key, UserId};
use upreel_function::App;
use upreel_http::{Code, Problem};
use upreel_store::objects::{NamedPart, StoredPart};

use crate::declared::{invalid, too_large};

/// S3's.
pub(crate) const MAX_PARTS: u16 = 10_000;
/// All parts but the last have at least so many bytes.
const MIN_PART: u64 = 5 << 20;

/// A multipart upload of the caller's: the user in the key is the proof.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) key: Key,
    pub(crate) id: String,
}

impl Upload {
    /// Of somebody else's key, of a key that is none, and of an upload that is not there, the caller
    /// learns the same.
    pub(crate) fn new(user: &UserId, key: Option<&str>, id: &str) -> Result<Self, Problem> {
        let key = key.filter(|key| !key.is_empty());
        let key =
            key.ok_or_else(|| invalid("Say the key that the upload was begun with: ?key=videos/..."))?;
        // What S3 makes, and nothing that means anything in a URL.
        let is_id = (1..=1024).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        match key.parse() {
            Ok(key @ Key::Video { .. })
                if is_id && matches!(&key, Key::Video { user: of, .. } if of == user) =>
            {
                Ok(Self { key, id: id.to_owned() })
            }
            _ => Err(no_such_upload()),
        }
    }

    /// What is there of it, in order.
    pub(crate) async fn parts(&self, app: &App) -> Result<Vec<StoredPart>, Problem> {
        app.objects.list_parts(&self.key, &self.id).await?.ok_or_else(no_such_upload)
    }

    /// Removes an upload that would be too large, and says so.
    pub(crate) async fn refuse(&self, app: &App) -> Result<Problem, Problem> {
        app.objects.abort_multipart(&self.key, &self.id).await?;
        tracing::info!(key = %self.key, "aborted: too large");
        Ok(too_large(app.config.max_upload_bytes))
    }
}

pub(crate) fn no_such_upload() -> Problem {
    Problem::new(Code::NotFound, "There is no such upload: it was completed or aborted, or it is not yours.")
}

pub(crate) fn part_number(text: &str) -> Result<u16, Problem> {
    text.parse().map_err(|_| bad_part_number()).and_then(in_range)
}

pub(crate) fn in_range(number: u16) -> Result<u16, Problem> {
    if (1..=MAX_PARTS).contains(&number) { Ok(number) } else { Err(bad_part_number()) }
}

fn bad_part_number() -> Problem {
    invalid(format!("A part number is a number from 1 to {MAX_PARTS}."))
}

/// The bytes of the object that would be made of these parts: each of them is there, is the one that was
/// meant, and none but the last is small. What S3 would refuse without a word for the user, too.
pub(crate) fn total(named: &[NamedPart], stored: &[StoredPart]) -> Result<u64, Problem> {
    let mut total = 0_u64;
    for (i, part) in named.iter().enumerate() {
        let number = part.number;
        if i > 0 && named[i - 1].number >= number {
            return Err(invalid("The parts are not in ascending order."));
        }
        let found = stored.iter().find(|stored| stored.number == number);
        let found = found.filter(|stored| bare(&stored.etag) == bare(&part.etag));
        let found = found.ok_or_else(|| invalid(format!("Part {number} is not there with this ETag.")))?;
        if i + 1 < named.len() && found.size < MIN_PART {
            return Err(invalid(format!("Part {number} has less than 5 MiB; only the last one may.")));
        }
        total = total.saturating_add(found.size);
    }
    Ok(total)
}

fn bare(etag: &str) -> &str {
    etag.trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_is_the_key_s_user_s() {
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
    fn part_numbers_are_s3_s() {
        let number = |text: &str| part_number(text).map_err(|p| p.code());
        assert_eq!((number("1"), number("10000")), (Ok(1), Ok(10_000)));
        for bad in ["", "0", "-1", "10001", "65537", "1.0", "1e3", "x", " 1"] {
            assert_eq!(number(bad), Err(Code::InvalidRequest), "{bad}");
        }
    }

    #[test]
    fn the_parts_of_an_object_are_checked() {
        let stored = [(1, 5 << 20), (2, 5 << 20), (3, 7), (4, 1)].map(|(number, size)| StoredPart {
            number,
            size,
            etag: format!("\"e{number}\""),
        });
        let sum = |named: &[(u16, &str)]| {
            let named: Vec<_> =
                named.iter().map(|&(number, etag)| NamedPart { number, etag: etag.into() }).collect();
            total(&named, &stored).ok()
        };
        assert_eq!(sum(&[(1, "\"e1\""), (2, "e2"), (3, "e3")]), Some((10 << 20) + 7));
        assert_eq!(sum(&[(3, "e3")]), Some(7), "the last one may be small");
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
