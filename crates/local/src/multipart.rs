//! The data of multipart uploads that `s3s-fs` doesn't store: the key of an upload and the entity tags of its parts.
//!
//! Without them, an upload could be completed under any key and with any entity tags, and requests for a missing upload
//! would get 403 or an empty list instead of 404.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use s3s::dto::{CompletedPart, ETag, ListPartsOutput, Part};
use s3s::{S3Result, s3_error};
use uuid::Uuid;

/// S3's minimum size of every part but the last, in bytes.
const MIN_PART: i64 = 5 << 20;
/// S3's maximum number of parts in one response.
const PAGE: usize = 1000;

/// The folder of all uploads. Each upload has a folder in it, with a file for its key and one for the entity tag of
/// each part.
#[derive(Clone)]
pub(crate) struct Multipart {
    root: PathBuf,
}

impl Multipart {
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        Ok(Self { root: root.to_owned() })
    }

    /// Stores the key of a new upload.
    pub(crate) fn begin(&self, upload: &str, bucket: &str, key: &str) -> S3Result<()> {
        let folder = self.root.join(upload);
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join("key"), format!("{bucket}/{key}")))
            .map_err(|error| s3_error!(error, InternalError))
    }

    /// Returns the folder of an upload, or `NoSuchUpload` if there is no such upload for this object.
    pub(crate) fn find(&self, upload: &str, bucket: &str, key: &str) -> S3Result<PathBuf> {
        let folder = Uuid::try_parse(upload).map(|id| self.root.join(id.to_string()));
        let folder = folder.map_err(|_| s3_error!(NoSuchUpload))?;
        match fs::read_to_string(folder.join("key")) {
            Ok(text) if text == format!("{bucket}/{key}") => Ok(folder),
            _ => Err(s3_error!(NoSuchUpload)),
        }
    }
}

/// Stores the entity tag of a part.
pub(crate) fn store_etag(folder: &Path, number: i32, etag: Option<&ETag>) -> S3Result<()> {
    let etag = etag.map(ETag::value).unwrap_or_default();
    fs::write(folder.join(number.to_string()), etag).map_err(|error| s3_error!(error, InternalError))
}

/// Removes the data of an upload that was completed or aborted.
pub(crate) fn end(folder: &Path) {
    // A leftover folder does no harm: upload IDs are never reused.
    let _ = fs::remove_dir_all(folder);
}

/// Returns the parts that `s3s-fs` lists, sorted by number and with their entity tags.
pub(crate) fn all(folder: &Path, output: ListPartsOutput) -> Vec<Part> {
    let mut parts = output.parts.unwrap_or_default();
    parts.sort_by_key(|part| part.part_number);
    for part in &mut parts {
        let number = part.part_number.unwrap_or_default().to_string();
        part.e_tag = fs::read_to_string(folder.join(number)).ok().map(ETag::Strong);
    }
    parts
}

/// Returns the page of at most `max` parts after the part number `marker`.
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

/// Checks the parts of a completion request, as S3 does before it creates the object. `s3s-fs` would detect such errors
/// only after it has consumed some of the parts.
pub(crate) fn check(requested: &[CompletedPart], stored: &[Part]) -> S3Result<()> {
    let stored: BTreeMap<_, _> = stored.iter().map(|part| (part.part_number, part)).collect();
    for (i, part) in requested.iter().enumerate() {
        if i > 0 && requested[i - 1].part_number >= part.part_number {
            return Err(s3_error!(InvalidPartOrder));
        }
        let found = stored.get(&part.part_number).ok_or_else(|| s3_error!(InvalidPart))?;
        let etag = part.e_tag.as_ref().map(ETag::value);
        if etag != found.e_tag.as_ref().map(ETag::value) {
            return Err(s3_error!(InvalidPart));
        }
        if i + 1 < requested.len() && found.size < Some(MIN_PART) {
            return Err(s3_error!(EntityTooSmall));
        }
    }
    // S3 accepts gaps between part numbers; `s3s-fs` doesn't.
    let gaps = requested.iter().zip(1..).any(|(part, number)| part.part_number != Some(number));
    if requested.is_empty() || gaps { Err(s3_error!(InvalidPart)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(number: i32, size: i64) -> Part {
        let e_tag = Some(ETag::Strong(format!("e{number}")));
        Part { part_number: Some(number), size: Some(size), e_tag, ..Default::default() }
    }

    #[test]
    fn parts_are_listed_in_pages() {
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
    fn rejects_missing_mismatched_unordered_and_small_parts() {
        let stored = [part(1, MIN_PART), part(2, 1), part(3, 1)];
        let is_accepted = |parts: &[(i32, &str)]| {
            let requested: Vec<_> = parts
                .iter()
                .map(|&(number, etag)| CompletedPart {
                    part_number: Some(number),
                    e_tag: Some(ETag::Strong(etag.to_owned())),
                    ..Default::default()
                })
                .collect();
            check(&requested, &stored).is_ok()
        };
        assert!(is_accepted(&[(1, "e1")]) && is_accepted(&[(1, "e1"), (2, "e2")]));
        for bad in [
            &[][..],
            &[(1, "e2")],
            &[(4, "e4")],
            &[(2, "e2")],
            &[(1, "e1"), (1, "e1")],
            &[(1, "e1"), (2, "e2"), (3, "e3")],
        ] {
            assert!(!is_accepted(bad), "{bad:?}");
        }
    }
}
