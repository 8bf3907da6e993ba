//! Objects made of a video: written unconditionally and read as a whole.

use std::time::Duration;

use bytes::Bytes;
use upreel_core::{Fault, Key};

use super::{ObjectStore, status};

/// The lifetime of the presigned URLs in a playlist: a film and a pause.
const PLAYLIST_URL_TTL: Duration = Duration::from_hours(6);

impl ObjectStore {
    /// Writes an object unconditionally. A repetition writes the same content.
    ///
    /// # Errors
    /// When S3 fails.
    pub async fn store(&self, key: &Key, content_type: &str, body: Bytes) -> Result<(), Fault> {
        let put = self.client.put_object().bucket(self.bucket(key)).key(key.to_string());
        let put = put.content_type(content_type).body(body.into()).send().await;
        put.map(drop).map_err(|error| Fault::new("s3:PutObject", &error))
    }

    /// Reads a whole object. Returns `None` if there is no object. Asks twice before that.
    ///
    /// # Errors
    /// When S3 fails.
    pub async fn load(&self, key: &Key) -> Result<Option<Bytes>, Fault> {
        match self.load_once(key).await? {
            None => self.load_once(key).await,
            found => Ok(found),
        }
    }

    async fn load_once(&self, key: &Key) -> Result<Option<Bytes>, Fault> {
        let get = self.client.get_object().bucket(self.bucket(key)).key(key.to_string());
        let object = match get.send().await {
            Ok(object) => object,
            Err(error) if status(&error) == Some(404) => return Ok(None),
            Err(error) => return Err(Fault::new("s3:GetObject", &error)),
        };
        let body = object.body.collect().await.map_err(|error| Fault::new("s3:GetObject", &error))?;
        Ok(Some(body.into_bytes()))
    }

    /// Signs a GET request for a file of a rendition. The URL is valid for 6 hours, or until the credentials expire.
    ///
    /// # Errors
    /// When there are no credentials.
    pub async fn sign_rendition(&self, key: &Key) -> Result<String, Fault> {
        self.sign_get_for(key, self.url_ttl(PLAYLIST_URL_TTL).await?, None).await
    }
}
