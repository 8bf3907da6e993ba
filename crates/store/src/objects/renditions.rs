//! Objects made of a video: written unconditionally and read as a whole.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use upreel_core::{Fault, Key};

use super::{ObjectStore, status};

/// The lifetime of the presigned URLs in a playlist, in addition to the video's playing time: a pause.
///
/// A presigned URL also ends with the credentials that signed it. On Lambda they are in the environment, which doesn't
/// tell when that is, and AWS doesn't document how long they last. So a short lifetime is more likely to be kept. But
/// players load the playlist of a finished video only once, so its URLs have to last as long as the video. If they end
/// early, S3 answers 403, and the player has to load the playlist again (the README has an example).
const PLAYLIST_URL_TTL: Duration = Duration::from_hours(1);
/// The longest lifetime of these URLs, also if the playing time is unknown.
const MAX_PLAYLIST_URL_TTL: Duration = Duration::from_hours(6);

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

    /// Writes an object, unless it exists: then it has the same content.
    ///
    /// # Errors
    /// When S3 fails.
    pub async fn store_once(&self, key: &Key, content_type: &str, body: Bytes) -> Result<(), Fault> {
        self.put_once(key, content_type, body).await.map(drop)
    }

    /// Reads a byte range of an object. Returns `None` if there is no object, or if it ends before the range.
    ///
    /// # Errors
    /// When S3 fails.
    pub async fn load_range(&self, key: &Key, range: Range<u64>) -> Result<Option<Bytes>, Fault> {
        let bytes = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        let body = self.get(key, Some(bytes)).await?;
        Ok(body.filter(|body| body.len() as u64 == range.end.saturating_sub(range.start)))
    }

    /// Reads a whole object. Returns `None` if there is no object. Asks twice before that.
    ///
    /// # Errors
    /// When S3 fails.
    pub async fn load(&self, key: &Key) -> Result<Option<Bytes>, Fault> {
        match self.get(key, None).await? {
            None => self.get(key, None).await,
            found => Ok(found),
        }
    }

    /// Reads an object, or a range of it. Returns `None` if there is no object, or if it ends before the range.
    async fn get(&self, key: &Key, range: Option<String>) -> Result<Option<Bytes>, Fault> {
        let get = self.client.get_object().bucket(self.bucket(key)).key(key.to_string());
        let object = match get.set_range(range).send().await {
            Ok(object) => object,
            Err(error) if matches!(status(&error), Some(404 | 416)) => return Ok(None),
            Err(error) => return Err(Fault::new("s3:GetObject", &error)),
        };
        let body = object.body.collect().await.map_err(|error| Fault::new("s3:GetObject", &error))?;
        Ok(Some(body.into_bytes()))
    }

    /// Returns the URL of an object without a signature.
    ///
    /// # Errors
    /// When there are no credentials.
    pub async fn address(&self, key: &Key) -> Result<String, Fault> {
        let signed = self.sign_get(key).await?;
        Ok(signed.split('?').next().unwrap_or_default().to_owned())
    }

    /// Signs a GET request for a file of a rendition of a video with this playing time. The URL is valid for about an
    /// hour longer, at most 6 hours, or until the credentials expire.
    ///
    /// # Errors
    /// When there are no credentials.
    pub async fn sign_rendition(&self, key: &Key, playing_time: Option<Duration>) -> Result<String, Fault> {
        self.sign_get_for(key, self.url_ttl(playlist_url_ttl(playing_time)).await?, None).await
    }
}

fn playlist_url_ttl(playing_time: Option<Duration>) -> Duration {
    let ttl = playing_time.map(|time| time.saturating_add(PLAYLIST_URL_TTL));
    // A signature has whole seconds.
    Duration::from_secs(ttl.unwrap_or(MAX_PLAYLIST_URL_TTL).min(MAX_PLAYLIST_URL_TTL).as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_a_playlist_last_as_long_as_the_video() {
        let minutes = |playing: u64| playlist_url_ttl(Some(Duration::from_secs(playing * 60))).as_secs() / 60;
        assert_eq!(
            [minutes(0), minutes(10), minutes(90), minutes(300), minutes(301)],
            [60, 70, 150, 360, 360]
        );
        assert_eq!(playlist_url_ttl(Some(Duration::MAX)), MAX_PLAYLIST_URL_TTL);
        assert_eq!(playlist_url_ttl(Some(Duration::from_millis(1500))).subsec_millis(), 0);
        assert_eq!(playlist_url_ttl(None), MAX_PLAYLIST_URL_TTL);
    }
}
