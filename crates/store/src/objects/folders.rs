//! Objects by the start of their key: listing and deleting them.

use std::time::SystemTime;

use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use futures_util::future::{join_all, join3};
use upreel_core::{Bucket, Fault, Folder, Key, VideoId};

use super::{Missing, ObjectStore, unquoted};

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The key, as text: it may be none of Upreel's.
    pub key: String,
    /// The entity tag, without quotes; empty if the listing has none.
    pub etag: String,
    /// When it was written.
    pub modified: SystemTime,
    /// The size in bytes.
    pub size: u64,
}

impl ObjectStore {
    /// Returns up to 1,000 objects of a bucket whose keys follow `after`, in the order of the keys. The last page is
    /// empty.
    ///
    /// # Errors
    /// When S3 fails.
    pub async fn list(&self, bucket: Bucket, after: &str) -> Result<Vec<Listed>, Fault> {
        let all = Folder { bucket, prefix: String::new() };
        self.list_page(&all, after).await.map(|(objects, _)| objects)
    }

    /// Returns up to 1,000 objects of a folder whose keys follow `after`, and whether there are more.
    async fn list_page(&self, folder: &Folder, after: &str) -> Result<(Vec<Listed>, bool), Fault> {
        self.list_bucket(self.bucket_name(folder.bucket), &folder.prefix, after).await
    }

    /// Returns up to 1,000 objects of any bucket whose keys begin with `prefix` and follow `after`, and whether there are
    /// more.
    ///
    /// # Errors
    /// When S3 fails.
    pub async fn list_bucket(
        &self,
        bucket: &str,
        prefix: &str,
        after: &str,
    ) -> Result<(Vec<Listed>, bool), Fault> {
        let list = self.client.list_objects_v2().bucket(bucket).prefix(prefix).start_after(after);
        let list = list.send().await;
        let list = list.map_err(|error| Fault::new("s3:ListObjectsV2", &error))?;
        // A damaged response may have ended early.
        let missing = |name| Fault::new("s3:ListObjectsV2", &Missing(name));
        let is_truncated = list.is_truncated.ok_or_else(|| missing("IsTruncated"))?;
        let objects = list.contents.into_iter().flatten().map(|object| {
            let modified = object.last_modified().and_then(|time| (*time).try_into().ok());
            Ok(Listed {
                modified: modified.ok_or_else(|| missing("LastModified"))?,
                etag: unquoted(object.e_tag().unwrap_or_default()),
                size: object.size().and_then(|size| size.try_into().ok()).unwrap_or(0),
                key: object.key.ok_or_else(|| missing("key"))?,
            })
        });
        Ok((objects.collect::<Result<_, Fault>>()?, is_truncated))
    }

    /// Deletes everything that was made of a video, its captions, and the uploaded file if `key` is set. Returns the
    /// number of deleted objects, without the uploaded file.
    ///
    /// # Errors
    /// When S3 fails. The remaining objects are deleted all the same.
    pub async fn delete_video(&self, id: VideoId, key: Option<&Key>) -> Result<usize, Fault> {
        let upload = async {
            match key {
                Some(key) => self.delete(key).await.map(|()| 0),
                None => Ok(0),
            }
        };
        let made =
            join_all([Bucket::Thumbnails, Bucket::Processed].map(|bucket| self.delete_made(id, bucket)));
        // All deletions end, even if one fails.
        let captions = Key::captions(id);
        let captions = self.delete_folder(&captions, |_| true);
        let (upload, made, captions) = join3(upload, made, captions).await;
        made.into_iter().chain([upload, captions]).sum()
    }

    /// Deletes everything in one bucket that was made of a video, and returns the number of deleted objects.
    ///
    /// # Errors
    /// When S3 fails. The remaining objects are deleted all the same.
    pub async fn delete_made(&self, id: VideoId, bucket: Bucket) -> Result<usize, Fault> {
        let folders = Key::folders(id).into_iter().filter(|folder| folder.bucket == bucket);
        let deleted = folders.map(async |folder| self.delete_folder(&folder, |_| true).await);
        join_all(deleted).await.into_iter().sum()
    }

    /// Deletes the objects of a folder that `is_unwanted` selects, and returns their number. Keys that are none of
    /// Upreel's are deleted too.
    ///
    /// # Errors
    /// When S3 fails. Some objects may then still exist.
    pub async fn delete_folder(
        &self,
        folder: &Folder,
        is_unwanted: impl Fn(&str) -> bool,
    ) -> Result<usize, Fault> {
        let (mut after, mut deleted) = (String::new(), 0);
        loop {
            let (objects, is_truncated) = self.list_page(folder, &after).await?;
            let keys: Vec<String> = objects.into_iter().map(|object| object.key).collect();
            let Some(end) = keys.last().cloned() else { return Ok(deleted) };
            let unwanted: Vec<String> = keys.into_iter().filter(|key| is_unwanted(key)).collect();
            self.delete_keys(folder.bucket, &unwanted).await?;
            deleted += unwanted.len();
            if !is_truncated {
                return Ok(deleted);
            }
            after = end;
        }
    }

    /// Deletes up to 1,000 objects of a bucket.
    ///
    /// # Errors
    /// When S3 fails, or does not delete one of them.
    pub async fn delete_keys(&self, bucket: Bucket, keys: &[String]) -> Result<(), Fault> {
        const OPERATION: &str = "s3:DeleteObjects";
        if keys.is_empty() {
            return Ok(());
        }
        let keys = keys.iter().map(|key| ObjectIdentifier::builder().key(key).build());
        let keys = keys.collect::<Result<Vec<_>, _>>().map_err(|error| Fault::new(OPERATION, &error))?;
        let delete = Delete::builder().set_objects(Some(keys)).quiet(true).build();
        let delete = delete.map_err(|error| Fault::new(OPERATION, &error))?;
        let deleted =
            self.client.delete_objects().bucket(self.bucket_name(bucket)).delete(delete).send().await;
        let deleted = deleted.map_err(|error| Fault::new(OPERATION, &error))?;
        match deleted.errors().first() {
            Some(error) => {
                Err(Fault::message(OPERATION, error.message().unwrap_or("an object could not be deleted")))
            }
            None => Ok(()),
        }
    }
}
