//! What `s3s-fs` does not know of a multipart upload: its key, and the entity tags of its parts.
//!
//! Without them an upload could be completed under any key, with parts that nobody checked, and one that
//! is not there would be forbidden or empty instead of not found.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use s3s::dto::{CompletedPart, ETag, ListPartsOutput, Part};
use s3s::{S3Result, s3_error};
use uuid::Uuid;

const MIN_PART: i64 = 5 << 20;
const PAGE: usize = 1000;

/// A folder for each upload, with a file for its key and one for each part's entity tag.
#[derive(Clone)]
pub(crate) struct Multipart {
    root: PathBuf,
}

impl Multipart {
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        Ok(Self { root: root.to_owned() })
    }

    pub(crate) fn begin(&self, upload: &str, bucket: &str, key: &str) -> S3Result<()> {
        let folder = self.root.join(upload);
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join("key"), format!("{bucket}/{key}")))
            .map_err(|error| s3_error!(error, InternalError))
    }

    /// The folder of an upload, if it is one of this object.
    pub(crate) fn find(&self, upload: &str, bucket: &str, key: &str) -> S3Result<PathBuf> {
        let folder = Uuid::try_parse(upload).map(|id| self.root.join(id.to_string()));
        let folder = folder.map_err(|_| s3_error!(NoSuchUpload))?;
        match fs::read_to_string(folder.join("key")) {
            Ok(text) if text == format!("{bucket}/{key}") => Ok(folder),
            _ => Err(s3_error!(NoSuchUpload)),
        }
    }
}

/// Keeps a part's entity tag.
pub(crate) fn stored(folder: &Path, number: i32, etag: Option<&ETag>) -> S3Result<()> {
    let etag = etag.map(ETag::value).unwrap_or_default();
    fs::write(folder.join(number.to_string()), etag).map_err(|error| s3_error!(error, InternalError))
}

pub(crate) fn end(folder: &Path) {
    // What is left keeps a name that no upload gets again.
    let _ = fs::remove_dir_all(folder);
}

/// All parts that `s3s-fs` lists, in order and with their entity tags.
pub(crate) fn all(folder: &Path, output: ListPartsOutput) -> Vec<Part> {
    let mut parts = output.parts.unwrap_or_default();
    parts.sort_by_key(|part| part.part_number);
    for part in &mut parts {
        let number = part.part_number.unwrap_or_default().to_string();
        part.e_tag = fs::read_to_string(folder.join(number)).ok().map(ETag::Strong);
    }
    parts
}

/// One page of them.
pub(crate) fn page(parts: Vec<Part>, marker: Option<i32>, max: Option<i32>) -> ListPartsOutput {
    let max = max.and_then(|max| usize::try_from(max).ok()).unwrap_or(PAGE).min(PAGE);
    let mut rest = parts.into_iter().filter(|part| part.part_number > marker);
    let parts: Vec<_> = rest.by_ref().take(max).collect();
    ListPartsOutput {
        is_truncated: Some(rest.next().is_some()),
        next_part_number_marker: parts.last().and_then(|part| part.part_number),
        parts: Some(parts),
        ..Default::default()
    }
}

/// What S3 checks before it makes the object. `s3s-fs` does so half way, when the upload is lost.
pub(crate) fn check(named: &[CompletedPart], there: &[Part]) -> S3Result<()> {
    let there: BTreeMap<_, _> = there.iter().map(|part| (part.part_number, part)).collect();
    for (i, part) in named.iter().enumerate() {
        if i > 0 && named[i - 1].part_number >= part.part_number {
            return Err(s3_error!(InvalidPartOrder));
        }
        let found = there.get(&part.part_number).ok_or_else(|| s3_error!(InvalidPart))?;
        let wanted = part.e_tag.as_ref().map(ETag::value);
        if wanted != found.e_tag.as_ref().map(ETag::value) {
            return Err(s3_error!(InvalidPart));
        }
        if i + 1 < named.len() && found.size < Some(MIN_PART) {
            return Err(s3_error!(EntityTooSmall));
        }
    }
    // S3 takes numbers with gaps; the files below do not.
    let gaps = named.iter().zip(1..).any(|(part, number)| part.part_number != Some(number));
    if named.is_empty() || gaps { Err(s3_error!(InvalidPart)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(number: i32, size: i64) -> Part {
        let e_tag = Some(ETag::Strong(format!("e{number}")));
        Part { part_number: Some(number), size: Some(size), e_tag, ..Default::default() }
    }

    #[test]
    fn parts_come_in_pages() {
        let parts = || (1..=5).map(|number| part(number, 1)).collect();
        let numbers = |page: ListPartsOutput| {
            let parts = page.parts.unwrap_or_default();
            (
                parts.iter().filter_map(|p| p.part_number).collect::<Vec<_>>(),
                page.is_truncated,
                page.next_part_number_marker,
            )
        };
        assert_eq!(numbers(page(parts(), None, Some(2))), (vec![1, 2], Some(true), Some(2)));
        assert_eq!(numbers(page(parts(), Some(2), Some(3))), (vec![3, 4, 5], Some(false), Some(5)));
        assert_eq!(numbers(page(parts(), Some(5), None)), (vec![], Some(false), None));
    }

    #[test]
    fn what_s3_would_refuse_is_refused() {
        let there = [part(1, MIN_PART), part(2, 1), part(3, 1)];
        let named = |parts: &[(i32, &str)]| {
            let named: Vec<_> = parts
                .iter()
                .map(|&(number, etag)| CompletedPart {
                    part_number: Some(number),
                    e_tag: Some(ETag::Strong(etag.to_owned())),
                    ..Default::default()
                })
                .collect();
            check(&named, &there).is_ok()
        };
        assert!(named(&[(1, "e1")]) && named(&[(1, "e1"), (2, "e2")]));
        for bad in [
            &[][..],
            &[(1, "e2")],
            &[(4, "e4")],
            &[(2, "e2")],
            &[(1, "e1"), (1, "e1")],
            &[(1, "e1"), (2, "e2"), (3, "e3")],
        ] {
            assert!(!named(bad), "{bad:?}");
        }
    }
}
