//! Multipart uploads. `s3s-fs` consumes the parts while it joins them, so a completion that was killed could never be
//! repeated. Here the parts stay until the object is complete.
//!
//! Each upload is a folder that holds everything about it: the file `key` with its bucket and key, the headers of the
//! object, and its parts. The name of a part's file is its number and its entity tag, so that one rename stores both.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use s3s::crypto::{Checksum, Md5};
use s3s::dto::{
    CompletedPart, CreateMultipartUploadInput, ETag, ListPartsOutput, Part, PutObjectInput, StreamingBlob,
};
use s3s::{Body, S3Result, s3_error};
use uuid::Uuid;

use crate::staging::Staging;

/// S3's minimum size of every part but the last, in bytes.
const MIN_PART: i64 = 5 << 20;
/// S3's maximum number of parts in one response.
const PAGE: usize = 1000;
/// Age at which incomplete uploads are removed, as by `AbortIncompleteMultipartUpload` in `template.yaml`.
pub(crate) const TTL: Duration = Duration::from_hours(24);
/// The file that holds the bucket and the key.
const KEY: &str = "key";
/// The file that holds the headers of the object.
const HEADERS: &str = "headers";

/// The folder of all uploads.
#[derive(Clone)]
pub(crate) struct Multipart {
    root: PathBuf,
}

impl Multipart {
    /// Opens the folder, and removes the uploads that an earlier process has ended or not begun completely.
    pub(crate) fn open(root: &Path, staging: &Staging) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        for folder in folders(root)? {
            let key = fs::read_to_string(folder.join(KEY)).ok();
            let key = key.as_deref().and_then(|key| key.split_once('/'));
            let upload = folder.file_name().and_then(|name| name.to_str());
            let ended = match key {
                Some((bucket, key)) => {
                    staging.info(bucket, key).is_some_and(|info| info.upload.as_deref() == upload)
                }
                None => true,
            };
            if ended {
                end(&folder)?;
            }
        }
        let multipart = Self { root: root.to_owned() };
        multipart.sweep(SystemTime::now());
        Ok(multipart)
    }

    /// Removes the uploads that were begun more than [`TTL`] before `now`. Of all others, removes the parts that have
    /// been replaced by a later upload of the same part.
    pub(crate) fn sweep(&self, now: SystemTime) {
        let is_old = |folder: &PathBuf| {
            let begun = fs::metadata(folder.join(KEY)).and_then(|file| file.modified());
            begun.is_ok_and(|begun| now.duration_since(begun).is_ok_and(|age| age > TTL))
        };
        let (mut uploads, mut failed) = (0, None);
        for folder in folders(&self.root).unwrap_or_default() {
            let swept = if is_old(&folder) {
                end(&folder).map(|()| uploads += 1)
            } else {
                replaced(&folder).and_then(|parts| parts.iter().try_for_each(fs::remove_file))
            };
            failed = swept.err().or(failed);
        }
        if uploads > 0 {
            tracing::info!(uploads, "removed incomplete multipart uploads");
        }
        if let Some(error) = failed {
            tracing::warn!(%error, "could not remove all incomplete multipart uploads");
        }
    }

    /// Stores a new upload, whose headers are those of a staged object, and returns its identifier.
    pub(crate) fn begin(&self, headers: &Path, bucket: &str, key: &str) -> io::Result<String> {
        let upload = Uuid::now_v7().to_string();
        let folder = self.root.join(&upload);
        fs::create_dir_all(&folder)?;
        fs::rename(headers, folder.join(HEADERS))?;
        let temporary = folder.join("key.part");
        fs::write(&temporary, format!("{bucket}/{key}"))?;
        fs::rename(temporary, folder.join(KEY))?;
        Ok(upload)
    }

    /// Returns the folder of an upload, or `NoSuchUpload` if there is no such upload for this object.
    pub(crate) fn find(&self, upload: &str, bucket: &str, key: &str) -> S3Result<PathBuf> {
        let folder = Uuid::try_parse(upload).map(|id| self.root.join(id.to_string()));
        let folder = folder.map_err(|_| s3_error!(NoSuchUpload))?;
        match fs::read_to_string(folder.join(KEY)) {
            Ok(text) if text == format!("{bucket}/{key}") => Ok(folder),
            _ => Err(s3_error!(NoSuchUpload)),
        }
    }
}

/// Returns the folders of the uploads.
fn folders(root: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(root)?.map(|entry| Ok(entry?.path())).collect()
}

/// Returns the request that stages an object with the headers of a new upload and without contents.
pub(crate) fn headers(input: CreateMultipartUploadInput, (bucket, key): (String, String)) -> PutObjectInput {
    PutObjectInput {
        bucket,
        key,
        body: Some(StreamingBlob::from(Body::empty())),
        metadata: input.metadata,
        content_encoding: input.content_encoding,
        content_type: input.content_type,
        content_disposition: input.content_disposition,
        content_language: input.content_language,
        cache_control: input.cache_control,
        expires: input.expires,
        website_redirect_location: input.website_redirect_location,
        ..Default::default()
    }
}

/// Moves the contents of a part into the folder of its upload. The newest part of each number counts.
pub(crate) fn store(folder: &Path, number: i32, etag: &str, contents: &Path) -> S3Result<()> {
    fs::rename(contents, part_path(folder, number, etag)).map_err(|error| {
        if error.kind() == ErrorKind::NotFound {
            s3_error!(NoSuchUpload)
        } else {
            s3_error!(error, InternalError)
        }
    })
}

fn part_path(folder: &Path, number: i32, etag: &str) -> PathBuf {
    folder.join(format!("{number}.{etag}"))
}

/// Returns the number, the entity tag and the file of each part.
fn parts(folder: &Path) -> io::Result<Vec<(i32, String, PathBuf)>> {
    let mut parts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split_once('.'));
        if let Some((number, etag)) = name
            && let Ok(number) = number.parse()
        {
            parts.push((number, etag.to_owned(), path));
        }
    }
    Ok(parts)
}

/// Returns the files of the parts that have a newer part of the same number.
fn replaced(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for (number, _, path) in parts(folder)? {
        all.push((number, fs::metadata(&path)?.modified()?, path));
    }
    all.sort();
    let older = all.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    Ok(older.map(|pair| pair[0].2.clone()).collect())
}

/// Ends an upload that was completed or aborted. A process that is killed meanwhile leaves a folder without a key, which
/// no request finds and the next start removes.
pub(crate) fn end(folder: &Path) -> io::Result<()> {
    match fs::remove_file(folder.join(KEY)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => fs::remove_dir_all(folder),
    }
}

/// Returns the stored parts, sorted by number.
pub(crate) fn all(folder: &Path) -> S3Result<Vec<Part>> {
    let mut newest = BTreeMap::new();
    for (number, etag, path) in parts(folder).map_err(|error| s3_error!(error, NoSuchUpload))? {
        let Ok(file) = fs::metadata(&path) else { continue };
        let modified = file.modified().map_err(|error| s3_error!(error, InternalError))?;
        let part = Part {
            part_number: Some(number),
            size: i64::try_from(file.len()).ok(),
            e_tag: Some(ETag::Strong(etag)),
            last_modified: Some(modified.into()),
            ..Default::default()
        };
        let earlier = newest.get(&number).is_some_and(|(other, _)| *other > modified);
        if !earlier {
            newest.insert(number, (modified, part));
        }
    }
    Ok(newest.into_values().map(|(_, part)| part).collect())
}

/// Returns the entity tag of an object: a hash of the hashes of its parts, and their number.
pub(crate) fn etag(parts: &[CompletedPart]) -> S3Result<String> {
    let mut hash = Md5::new();
    for part in parts {
        let etag = part.e_tag.as_ref().map(ETag::value).unwrap_or_default();
        hash.update(&hex::decode(etag).map_err(|error| s3_error!(error, InvalidPart))?);
    }
    Ok(format!("{}-{}", hex::encode(hash.finalize()), parts.len()))
}

/// Joins the parts in a new file, and copies the headers. The parts stay.
pub(crate) fn join(
    folder: &Path,
    parts: &[CompletedPart],
    contents: &Path,
    headers: &Path,
) -> io::Result<()> {
    let mut joined = File::create(contents)?;
    for part in parts {
        let etag = part.e_tag.as_ref().map(ETag::value).unwrap_or_default();
        let path = part_path(folder, part.part_number.unwrap_or_default(), etag);
        io::copy(&mut File::open(path)?, &mut joined)?;
    }
    fs::copy(folder.join(HEADERS), headers).map(drop)
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

/// Checks the parts of a completion request, as S3 does before it creates the object.
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
    if requested.is_empty() { Err(s3_error!(InvalidPart)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(number: i32, size: i64) -> Part {
        let e_tag = Some(ETag::Strong(format!("e{number}")));
        Part { part_number: Some(number), size: Some(size), e_tag, ..Default::default() }
    }

    #[test]
    fn old_uploads_and_replaced_parts_are_swept() {
        let data = tempfile::tempdir().unwrap();
        let staging = Staging::open(&data.path().join("s3")).unwrap();
        let multipart = Multipart::open(&data.path().join("multipart"), &staging).unwrap();
        let now = SystemTime::now();
        let headers = data.path().join("headers");
        let begin = |age: Duration| {
            fs::write(&headers, "{}").unwrap();
            let id = multipart.begin(&headers, "uploads", "k").unwrap();
            let folder = multipart.find(&id, "uploads", "k").unwrap();
            File::options().append(true).open(folder.join(KEY)).unwrap().set_modified(now - age).unwrap();
            for (i, name) in ["1.b", "1.a", "2.a", "11.a"].iter().enumerate() {
                let seconds = Duration::from_secs(10 - i as u64);
                File::create(folder.join(name)).unwrap().set_modified(now - seconds).unwrap();
            }
            folder
        };
        let (old, new) = (begin(TTL + Duration::from_secs(1)), begin(TTL));
        multipart.sweep(now);
        assert!(!old.exists() && new.exists());
        let mut names: Vec<_> =
            parts(&new).unwrap().into_iter().map(|(number, tag, _)| (number, tag)).collect();
        names.sort();
        assert_eq!(names, [(1, "a".to_owned()), (2, "a".to_owned()), (11, "a".to_owned())]);
        // The file of the key is the one whose age counts, so parts of an old upload expire with it.
        multipart.sweep(now + Duration::from_secs(2));
        assert!(!new.exists());
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
        assert!(is_accepted(&[(2, "e2")]) && is_accepted(&[(1, "e1"), (3, "e3")]), "numbers may have gaps");
        for bad in
            [&[][..], &[(1, "e2")], &[(4, "e4")], &[(1, "e1"), (1, "e1")], &[(1, "e1"), (2, "e2"), (3, "e3")]]
        {
            assert!(!is_accepted(bad), "{bad:?}");
        }
    }
}
