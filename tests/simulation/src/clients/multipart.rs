//! Multipart uploads by Companion's routes.

use bytes::{Bytes, BytesMut};
use http::{Method, Request};
use serde_json::{Value, json};

use super::{Client, MP4};

/// S3's minimum size of all parts but the last, in bytes.
const MIN_PART: usize = 5 << 20;

impl Client<'_> {
    /// Uploads a file of `count` parts. All but the last are filled up with zeros.
    pub(super) async fn multipart(&mut self, number: u64, bytes: &Bytes, count: usize) {
        let mut file = json!({"filename": "clip.mp4", "type": MP4});
        // Otherwise the size is known when the upload is completed.
        if self.says_size() && count == 1 {
            file["size"] = bytes.len().into();
        }
        let file = Bytes::from(file.to_string());
        let created = self.call(&Method::POST, "/s3/multipart", &[], &file).await;
        let Some(created) = created.filter(|created| created.status == 200) else { return };
        self.created(&Value::Null, &created.body["key"]);
        let upload = created.body["uploadId"].as_str().unwrap_or_default().to_owned();
        let mut parts = Vec::new();
        for (index, part) in split(bytes, count).into_iter().enumerate() {
            let Some(etag) = self.part(&upload, index + 1, part).await else { return };
            parts.push(json!({"PartNumber": index + 1, "ETag": etag}));
        }
        let key = self.intent.key.clone();
        if self.world.mishap(10) {
            let path = format!("/s3/multipart/{upload}?key={key}");
            self.call(&Method::DELETE, &path, &[], &Bytes::new()).await;
            return;
        }
        self.intent.sent.push(number);
        let parts = Bytes::from(json!({"parts": parts}).to_string());
        let path = format!("/s3/multipart/{upload}/complete?key={key}");
        match self.call(&Method::POST, &path, &[], &parts).await {
            Some(response) if response.status == 200 => self.acknowledged("complete"),
            Some(response) if self.says_size() && response.body["quota"] == "bytes" => {}
            Some(response) => {
                self.world
                    .violation(&format!("completion of the parts of {key} is refused: {}", response.status));
            }
            None => {}
        }
    }

    /// Uploads a part, and returns its entity tag.
    async fn part(&self, upload: &str, number: usize, bytes: Bytes) -> Option<String> {
        let part = self.get(&format!("/s3/multipart/{upload}/{number}?key={}", self.intent.key)).await?;
        let url = part["url"].as_str()?;
        let stored = self.s3(|| Request::put(url).body(bytes.clone()).unwrap()).await?;
        Some(stored.headers().get("etag")?.to_str().ok()?.to_owned())
    }
}

/// Cuts a file into parts, of which the first has its content.
fn split(bytes: &Bytes, count: usize) -> Vec<Bytes> {
    if count < 2 {
        return vec![bytes.clone()];
    }
    let mut first = BytesMut::zeroed(MIN_PART);
    first[..bytes.len()].copy_from_slice(bytes);
    let mut parts = vec![first.freeze()];
    parts.extend(vec![Bytes::from(vec![0; MIN_PART]); count - 2]);
    parts.push(Bytes::from_static(b"the end"));
    parts
}
