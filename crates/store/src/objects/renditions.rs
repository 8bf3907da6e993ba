//! Renditions and work files: written unconditionally, read as a whole, and deleted by folder.

use std::time::Duration;

use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use bytes::Bytes;
use upreel_core::{Fault, Key, VideoId};

use super::{ObjectStore, status};

/// The lifetime of the presigned URLs in a playlist: a film and a pause.
const PLAYLIST_URL_TTL: Duration = Duration::from_hours(6);

impl ObjectStore {
    /// Writes an object unconditionally. A repeated task writes the same bytes.
    ///
    /// # Errors
    /// When S3 fails.
    pub async fn store(&self, key: &Key, content_type: &str, body: Bytes) -> Result<(), Fault> {
        let put = self.client.put_object().bucket(self.bucket(key)).key(key.to_string());
        let put = put.content_type(content_type).body(body.into()).send().await;
        put.map(drop).map_err(|error| Fault::new("s3:PutObject", &error))
    }

    /// Reads a whole object. Returns `None` if there is no object.
    ///
    /// # Errors
    /// When S3 fails.
    pub async fn load(&self, key: &Key) -> Result<Option<Bytes>, Fault> {
        let object = match self.client.get_object().bucket(self.bucket(key)).key(key.to_string()).send().await
        {
            Ok(object) => object,
            Err(error) if status(&error) == Some(404) => return Ok(None),
            Err(error) => return Err(Fault::new("s3:GetObject", &error)),
        };
        let body = object.body.collect().await.map_err(|error| Fault::new("s3:GetObject", &error))?;
        Ok(Some(body.into_bytes()))
    }

    /// Deletes all renditions and work files of a video, of every run.
    ///
    /// # Errors
    /// When S3 fails. Some objects may then still exist.
    pub async fn delete_renditions(&self, id: VideoId) -> Result<(), Fault> {
        for folder in Key::rendition_folders(id) {
            loop {
                let list = self
                    .client
                    .list_objects_v2()
                    .bucket(&self.buckets.processed)
                    .prefix(&folder)
                    .send()
                    .await;
                let list = list.map_err(|error| Fault::new("s3:ListObjectsV2", &error))?;
                let keys = list.contents().iter().filter_map(|object| object.key());
                let keys = keys.map(|key| ObjectIdentifier::builder().key(key).build());
                let keys =
                    keys.collect::<Result<Vec<_>, _>>().map_err(|e| Fault::new("s3:DeleteObjects", &e))?;
                if keys.is_empty() {
                    break;
                }
                let delete = Delete::builder().set_objects(Some(keys)).quiet(true).build();
                let delete = delete.map_err(|error| Fault::new("s3:DeleteObjects", &error))?;
                let deleted =
                    self.client.delete_objects().bucket(&self.buckets.processed).delete(delete).send().await;
                let deleted = deleted.map_err(|error| Fault::new("s3:DeleteObjects", &error))?;
                if let Some(error) = deleted.errors().first() {
                    let why = error.message().unwrap_or("an object could not be deleted").to_owned();
                    return Err(Fault::message("s3:DeleteObjects", why));
                }
            }
        }
        Ok(())
    }

    /// Signs a GET request for a file of a rendition. The URL is valid for 6 hours, or until the credentials expire.
    ///
    /// # Errors
    /// When there are no credentials.
    pub async fn sign_rendition(&self, key: &Key) -> Result<String, Fault> {
        self.sign_get_for(key, self.url_ttl(PLAYLIST_URL_TTL).await?, None).await
    }
}
