//! Imports the videos of another bucket, for a migration.
//!
//! For each object with the file name of a video: a row, then a copy inside S3, whose event starts the processing as that
//! of an upload does. The identifier of the video is derived from the source, so a repetition finds what an earlier one has
//! done, wherever that was interrupted:
//!
//! - the copy, in the listing of the user's uploads: nothing is left to do;
//! - a row that waits for its object: it is copied;
//! - any other row, such as that of a video that was deleted since: it is left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};
use tokio::time::{MissedTickBehavior, interval};
use upreel_core::{Container, Fault, Key, UserId, VideoId, filename};
use upreel_store::objects::Listed;
use upreel_store::{ObjectStore, VideoStore};

/// How often the progress is reported.
const REPORT: Duration = Duration::from_secs(5);

/// Where the videos are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The name of the bucket.
    pub bucket: String,
    /// What the keys begin with.
    pub prefix: String,
}

/// What to import, and for whom.
#[derive(Debug, Clone)]
pub struct Import {
    /// Where the videos are.
    pub source: Source,
    /// The user who gets the videos.
    pub user: UserId,
    /// Whether files with audio alone are imported, too.
    pub audio: bool,
    /// Number of objects that are copied at the same time.
    pub concurrency: usize,
}

/// A video to import.
#[derive(Debug, Clone)]
struct Video {
    object: Listed,
    key: Key,
    container: Container,
}

/// What there is to import.
#[derive(Debug, Clone)]
pub struct Plan {
    import: Import,
    videos: Vec<Video>,
    /// Number of videos that were copied before.
    pub copied_before: usize,
    /// Number of objects whose names are not those of videos, by extension.
    pub others: BTreeMap<String, usize>,
}

/// How far an import has come.
#[derive(Debug, Default)]
pub struct Progress {
    /// Number of videos that were copied.
    pub copied: usize,
    /// Their size in bytes.
    pub bytes: u64,
    /// Number of videos that were left alone, because they were imported and deleted before.
    pub left: usize,
    /// The keys of the objects that could not be copied, with the reason.
    pub failed: Vec<(String, Fault)>,
    total: usize,
}

impl Plan {
    /// Lists what there is to import.
    ///
    /// # Errors
    /// When S3 fails.
    pub async fn new(objects: &ObjectStore, import: Import) -> Result<Self, Fault> {
        let Import { source, user, .. } = &import;
        let uploads = list(objects, objects.uploads(), &Key::uploads(user).prefix).await?;
        let present: BTreeSet<String> = uploads.into_iter().map(|object| object.key).collect();
        let mut plan =
            Self { import: import.clone(), videos: Vec::new(), copied_before: 0, others: BTreeMap::new() };
        for object in list(objects, &source.bucket, &source.prefix).await? {
            let Some(container) = Container::from_file_name(&object.key, import.audio) else {
                *plan.others.entry(extension(&object.key)).or_default() += 1;
                continue;
            };
            let key = Key::Video { user: user.clone(), id: import.id(&object), container: Some(container) };
            if present.contains(&key.to_string()) {
                plan.copied_before += 1;
            } else {
                plan.videos.push(Video { object, key, container });
            }
        }
        Ok(plan)
    }

    /// Returns the number of the videos to copy, and their size in bytes.
    #[must_use]
    pub fn size(&self) -> (usize, u64) {
        (self.videos.len(), self.videos.iter().map(|video| video.object.size).sum())
    }

    /// Imports the videos. Calls `report` every five seconds. An object that cannot be copied does not stop the others.
    pub async fn run(
        &self,
        objects: &ObjectStore,
        videos: &VideoStore,
        mut report: impl FnMut(&Progress),
    ) -> Progress {
        let mut progress = Progress { total: self.videos.len(), ..Progress::default() };
        let import = |video: Video| async move { (self.import(objects, videos, &video).await, video) };
        let mut imports =
            stream::iter(self.videos.clone()).map(import).buffer_unordered(self.import.concurrency.max(1));
        let mut reports = interval(REPORT);
        reports.set_missed_tick_behavior(MissedTickBehavior::Skip);
        reports.reset();
        loop {
            tokio::select! {
                imported = imports.next() => match imported {
                    Some((Ok(true), video)) => {
                        progress.copied += 1;
                        progress.bytes += video.object.size;
                    }
                    Some((Ok(false), _)) => progress.left += 1,
                    Some((Err(fault), video)) => progress.failed.push((video.object.key, fault)),
                    None => return progress,
                },
                _ = reports.tick() => report(&progress),
            }
        }
    }

    /// Imports a video. Returns whether it was copied.
    async fn import(&self, objects: &ObjectStore, videos: &VideoStore, video: &Video) -> Result<bool, Fault> {
        let Video { object, key, container } = video;
        let name = filename::sanitize(object.key.rsplit('/').next().unwrap_or_default());
        let about = (self.import.user.clone(), name, container.media_type().to_owned());
        let is_waiting = videos.import(key, about, object.size, object.modified).await?;
        if is_waiting {
            objects.copy(&self.import.source.bucket, object, key, container.media_type()).await?;
        }
        Ok(is_waiting)
    }
}

impl Import {
    /// Returns the identifier of the video that is made of an object.
    fn id(&self, object: &Listed) -> VideoId {
        let digest = Sha256::new()
            .chain_update(self.user.as_str())
            .chain_update("\n")
            .chain_update(&self.source.bucket)
            .chain_update("\n")
            .chain_update(&object.key)
            .finalize();
        let mut start = [0; 10];
        start.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        VideoId::imported(object.modified, &start)
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { copied, bytes, left, failed, total } = self;
        write!(f, "{copied} of {total} videos copied, {}", Size(*bytes))?;
        if *left > 0 {
            write!(f, ", {left} left out: they were deleted after an earlier import")?;
        }
        if !failed.is_empty() {
            write!(f, ", {} failed", failed.len())?;
        }
        Ok(())
    }
}

/// A number of bytes, for people.
#[derive(Debug, Clone, Copy)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    #[expect(clippy::cast_precision_loss, reason = "one digit after the point")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        match self.0 {
            0..1_000_000 => write!(f, "{:.1} kB", bytes / 1e3),
            1_000_000..1_000_000_000 => write!(f, "{:.1} MB", bytes / 1e6),
            _ => write!(f, "{:.1} GB", bytes / 1e9),
        }
    }
}

/// Returns all objects whose keys begin with `prefix`.
async fn list(objects: &ObjectStore, bucket: &str, prefix: &str) -> Result<Vec<Listed>, Fault> {
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let (page, is_truncated) = objects.list_bucket(bucket, prefix, &after).await?;
        let Some(last) = page.last() else { return Ok(found) };
        after.clone_from(&last.key);
        found.extend(page);
        if !is_truncated {
            return Ok(found);
        }
    }
}

/// Returns the extension of a file name, with the period, or the empty string.
fn extension(key: &str) -> String {
    let name = key.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map_or_else(String::new, |(_, extension)| format!(".{}", extension.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn import(user: &str) -> Import {
        let source = Source { bucket: "archive".to_owned(), prefix: String::new() };
        Import { source, user: user.parse().unwrap(), audio: false, concurrency: 1 }
    }

    fn object(key: &str, seconds: u64) -> Listed {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        Listed { key: key.to_owned(), etag: String::new(), modified, size: 1 }
    }

    #[test]
    fn an_object_is_the_same_video_each_time() {
        let id = |user: &str, key: &str, seconds| import(user).id(&object(key, seconds));
        assert_eq!(id("a", "x.mp4", 1), id("a", "x.mp4", 1));
        assert_ne!(id("a", "x.mp4", 1), id("b", "x.mp4", 1), "another user");
        assert_ne!(id("a", "x.mp4", 1), id("a", "y.mp4", 1), "another object");
        assert!(id("a", "y.mp4", 1) < id("a", "x.mp4", 2), "in the order of time");
        let text = id("a", "x.mp4", 1_700_000_000).to_string();
        assert_eq!(
            (&text[..15], text.parse().ok()),
            ("018bcfe5-6800-7", Some(id("a", "x.mp4", 1_700_000_000)))
        );
    }

    #[test]
    fn sizes_have_units() {
        let text = |bytes| Size(bytes).to_string();
        assert_eq!([text(100), text(2_500_000), text(1_200_000_000_000)], ["0.1 kB", "2.5 MB", "1200.0 GB"]);
    }

    #[test]
    fn extensions_are_in_lower_case() {
        assert_eq!(["a/b.JPG", "a.b/c", "x.tar.gz"].map(extension), [".jpg", "", ".gz"]);
    }
}
