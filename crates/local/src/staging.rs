//! Atomic writes of objects.
//!
//! `s3s-fs` stores an object as three files: its contents, its headers and its entity tag. It replaces them one after
//! another, so a process that is killed between two of them, or a concurrent read, would combine the contents of one
//! write with the entity tag of another. Every write therefore creates a staged object in a hidden bucket. Committing
//! it stores a commit record, renames the three files, and removes the record. The next start finishes the commits
//! whose record it finds, and removes all other staged objects.
//!
//! Renames are enough to survive a killed process. Nothing is flushed to the disk, so the guarantee doesn't cover a
//! power failure.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use base64_simd::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// The bucket of the staged objects. Clients cannot address it: the name of a bucket never starts with a dot.
const STAGED: &str = ".staged";
/// The extension of commit records.
const RECORD: &str = "commit";

/// The folder of the buckets.
#[derive(Clone)]
pub(crate) struct Staging {
    root: PathBuf,
}

/// The destination of a staged object.
#[derive(Serialize, Deserialize)]
struct Record {
    bucket: String,
    key: String,
}

/// The tags of an object.
pub(crate) type Tags = BTreeMap<String, String>;

/// What the storage knows about an object besides its contents and headers.
pub(crate) struct Info {
    pub(crate) etag: String,
    /// The multipart upload that created the object.
    pub(crate) upload: Option<String>,
}

impl Staging {
    /// Opens the folder, finishes the commits of an earlier process, and removes what belongs to no object.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let staging = Self { root: root.to_owned() };
        fs::create_dir_all(root.join(STAGED))?;
        for entry in fs::read_dir(root.join(STAGED))? {
            let path = entry?.path();
            if let (Some(name), Some(RECORD)) = (stem(&path), path.extension().and_then(|name| name.to_str()))
            {
                let record: Record = serde_json::from_slice(&fs::read(&path)?)?;
                if let Err(error) = staging.rename(name, &record.bucket, &record.key) {
                    tracing::error!(%error, record.key, "could not finish a write of an earlier process");
                }
                fs::remove_file(&path)?;
            }
        }
        for entry in fs::read_dir(root.join(STAGED))? {
            fs::remove_file(entry?.path())?;
        }
        staging.remove_orphans()?;
        Ok(staging)
    }

    /// Removes the files of headers and entity tags whose object doesn't exist, and those of multipart uploads that an
    /// earlier version of Upreel stored here.
    fn remove_orphans(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.root)? {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let orphan = match owner(name) {
                Some((bucket, key)) => !self.object(&bucket, &key).is_file(),
                None => name.starts_with(".bucket-") || name.starts_with(".upload"),
            };
            if orphan {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// Returns the name of a new staged object, which the caller creates.
    pub(crate) fn stage(&self) -> Staged {
        Staged { staging: self.clone(), name: Uuid::now_v7().to_string() }
    }

    /// Returns the entity tag of an object and its upload, or `None` for an object that Upreel didn't write.
    pub(crate) fn info(&self, bucket: &str, key: &str) -> Option<Info> {
        let [_, _, info] = self.files(bucket, key);
        let info: BTreeMap<String, Value> = serde_json::from_slice(&fs::read(info).ok()?).ok()?;
        let text = |name| info.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Info { etag: text("e_tag")?, upload: text("upload") })
    }

    /// Returns the tags of an object. They belong to its present content: another write removes them.
    pub(crate) fn tags(&self, bucket: &str, key: &str) -> Tags {
        let [_, _, info] = self.files(bucket, key);
        let info = fs::read(info).ok().and_then(|info| serde_json::from_slice::<Value>(&info).ok());
        info.and_then(|info| serde_json::from_value(info["tags"].clone()).ok()).unwrap_or_default()
    }

    /// Replaces the tags of an object. The caller excludes all other operations on objects meanwhile.
    pub(crate) fn set_tags(&self, bucket: &str, key: &str, tags: &Tags) -> io::Result<()> {
        let [_, _, path] = self.files(bucket, key);
        let mut info: BTreeMap<String, Value> = serde_json::from_slice(&fs::read(&path)?)?;
        info.insert("tags".to_owned(), json!(tags));
        let temporary = self.root.join(STAGED).join(format!("{}.part", Uuid::now_v7()));
        fs::write(&temporary, serde_json::to_vec(&info)?)?;
        fs::rename(temporary, path)
    }

    /// Returns the keys of all objects of a bucket that Upreel wrote.
    pub(crate) fn keys(&self, bucket: &str) -> io::Result<Vec<String>> {
        let mut keys = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let name = entry?.file_name();
            let owner = name.to_str().filter(|name| name.ends_with(".internal.json")).and_then(owner);
            keys.extend(owner.filter(|(owner, _)| owner == bucket).map(|(_, key)| key));
        }
        Ok(keys)
    }

    /// Removes an object, if it exists, and the folders that this leaves empty.
    pub(crate) fn remove(&self, bucket: &str, key: &str) -> io::Result<()> {
        let files = self.files(bucket, key);
        for file in &files {
            match fs::remove_file(file) {
                Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    return Err(error);
                }
                _ => {}
            }
        }
        let bucket = self.root.join(bucket);
        let folders = files[0].ancestors().skip(1).take_while(|folder| **folder != *bucket);
        for folder in folders.filter(|folder| folder.starts_with(&bucket)) {
            // Fails if the folder is not empty.
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Moves the files of a staged object to their destination. Files that were moved already are skipped.
    fn rename(&self, name: &str, bucket: &str, key: &str) -> io::Result<()> {
        for (from, to) in self.files(STAGED, name).iter().zip(self.files(bucket, key)) {
            if from.exists() {
                if let Some(folder) = to.parent() {
                    fs::create_dir_all(folder)?;
                }
                fs::rename(from, to)?;
            }
        }
        Ok(())
    }

    /// Returns the path of the contents of an object.
    pub(crate) fn object(&self, bucket: &str, key: &str) -> PathBuf {
        self.root.join(bucket).join(key)
    }

    /// Whether there is an object.
    pub(crate) fn exists(&self, bucket: &str, key: &str) -> bool {
        self.object(bucket, key).is_file()
    }

    /// Whether the bucket exists.
    pub(crate) fn has(&self, bucket: &str) -> bool {
        self.root.join(bucket).is_dir()
    }

    /// Returns the paths that `s3s-fs` uses for the contents, the headers and the entity tag of an object.
    fn files(&self, bucket: &str, key: &str) -> [PathBuf; 3] {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode_to_string(text);
        let name = format!(".bucket-{}.object-{}", encode(bucket), encode(key));
        let sidecar = |kind: &str| self.root.join(format!("{name}.{kind}.json"));
        [self.object(bucket, key), sidecar("metadata"), sidecar("internal")]
    }
}

/// A staged object. Dropping it removes it, unless it was committed.
pub(crate) struct Staged {
    staging: Staging,
    name: String,
}

impl Staged {
    /// Returns the bucket and the key of the staged object.
    pub(crate) fn target(&self) -> (String, String) {
        (STAGED.to_owned(), self.name.clone())
    }

    /// Returns the paths of the contents and of the headers.
    pub(crate) fn paths(&self) -> (PathBuf, PathBuf) {
        let [contents, headers, _] = self.staging.files(STAGED, &self.name);
        (contents, headers)
    }

    /// Returns the size in bytes and the entity tag.
    pub(crate) fn describe(&self) -> io::Result<(u64, String)> {
        let info = self.staging.info(STAGED, &self.name).ok_or(ErrorKind::NotFound)?;
        Ok((fs::metadata(self.paths().0)?.len(), info.etag))
    }

    /// Stores the entity tag of an object that was joined from the parts of an upload.
    pub(crate) fn set_info(&self, etag: &str, upload: &str) -> io::Result<()> {
        let [_, _, info] = self.staging.files(STAGED, &self.name);
        fs::write(info, json!({"e_tag": etag, "upload": upload}).to_string())
    }

    /// Makes the object visible under its key. The caller excludes all other operations on objects meanwhile.
    pub(crate) fn commit(&self, bucket: &str, key: &str) -> io::Result<()> {
        let folder = self.staging.root.join(STAGED);
        let (temporary, record) =
            (folder.join(format!("{}.part", self.name)), folder.join(format!("{}.{RECORD}", self.name)));
        fs::write(
            &temporary,
            serde_json::to_vec(&Record { bucket: bucket.to_owned(), key: key.to_owned() })?,
        )?;
        fs::rename(&temporary, &record)?;
        let renamed = self.staging.rename(&self.name, bucket, key);
        // A failed commit, such as one to a key that is a folder, must not be repeated by the next start.
        fs::remove_file(&record)?;
        renamed
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        for file in self.staging.files(STAGED, &self.name) {
            let _ = fs::remove_file(file);
        }
    }
}

fn stem(path: &Path) -> Option<&str> {
    path.file_stem().and_then(|name| name.to_str())
}

/// Returns the bucket and the key of the object that a file of headers or of an entity tag belongs to.
fn owner(name: &str) -> Option<(String, String)> {
    let names = name.strip_suffix(".metadata.json").or_else(|| name.strip_suffix(".internal.json"))?;
    let (bucket, key) = names.strip_prefix(".bucket-")?.split_once(".object-")?;
    let decode = |text: &str| String::from_utf8(URL_SAFE_NO_PAD.decode_to_vec(text).ok()?).ok();
    Some((decode(bucket)?, decode(key)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates a staged object and returns its name. The object stays when the process is killed.
    fn stage(staging: &Staging, text: &str) -> String {
        let staged = staging.stage();
        for file in staging.files(STAGED, &staged.name) {
            fs::write(file, json!({"e_tag": text}).to_string()).unwrap();
        }
        let name = staged.name.clone();
        std::mem::forget(staged);
        name
    }

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_commit_is_finished_at_the_next_start() {
        // The number of renames that the killed process did.
        for done in 0..=3 {
            let folder = tempfile::tempdir().unwrap();
            let staging = Staging::open(folder.path()).unwrap();
            let old = stage(&staging, "old");
            staging.rename(&old, "b", "k/k").unwrap();
            let new = stage(&staging, "new");
            let record = json!({"bucket": "b", "key": "k/k"}).to_string();
            fs::write(folder.path().join(STAGED).join(format!("{new}.commit")), record).unwrap();
            let renames = staging.files(STAGED, &new).into_iter().zip(staging.files("b", "k/k"));
            renames.take(done).for_each(|(from, to)| fs::rename(from, to).unwrap());

            let staging = Staging::open(folder.path()).unwrap();
            assert_eq!(staging.info("b", "k/k").unwrap().etag, "new");
            let contents = staging.files("b", "k/k").map(|file| fs::read_to_string(file).unwrap());
            assert!(contents.iter().all(|text| text.contains("new")), "{done}: {contents:?}");
            assert_eq!(names(&folder.path().join(STAGED)), [""; 0]);
        }
    }

    #[test]
    fn an_uncommitted_object_and_orphans_are_removed_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let staging = Staging::open(folder.path()).unwrap();
        let kept = stage(&staging, "kept");
        staging.rename(&kept, "b", "k").unwrap();
        stage(&staging, "staged");
        let [_, headers, info] = staging.files("b", "gone");
        for file in
            [headers, info, folder.path().join(".upload-1.json"), folder.path().join(".upload_id-1.part-1")]
        {
            fs::write(file, "{}").unwrap();
        }
        let staging = Staging::open(folder.path()).unwrap();
        let mut left = names(folder.path());
        left.sort();
        assert_eq!(left.len(), 4, "the two folders, headers and entity tag of the object: {left:?}");
        assert_eq!(staging.info("b", "k").unwrap().etag, "kept");
        assert_eq!(names(&folder.path().join(STAGED)), [""; 0]);
    }

    #[test]
    fn removing_an_object_leaves_nothing_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let staging = Staging::open(folder.path()).unwrap();
        let (one, two) = (stage(&staging, "1"), stage(&staging, "2"));
        staging.rename(&one, "b", "x/y/1").unwrap();
        staging.rename(&two, "b", "x/2").unwrap();
        staging.remove("b", "x/y/1").unwrap();
        assert_eq!(names(&folder.path().join("b/x")), ["2"]);
        staging.remove("b", "x/2").unwrap();
        staging.remove("b", "x/2").unwrap();
        let mut left = names(folder.path());
        left.sort();
        assert_eq!(left, [STAGED, "b"], "the bucket stays");
        assert_eq!(names(&folder.path().join("b")), [""; 0]);
    }
}
