//! Captions that clients upload and remove.

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use super::Client;
use crate::s3::PROCESSED;

/// The captions that a client has sent for its video, in one language.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sent {
    /// The numbers of the files in the order in which they were sent; `None` for a removal.
    pub(crate) files: Vec<Option<u64>>,
    /// The position of the last one that was acknowledged.
    pub(crate) known: Option<usize>,
    /// Whether a removal of the captions of the file was sent.
    pub(crate) is_text_removed: bool,
}

/// Returns the number of a file.
pub(crate) fn number(file: &[u8]) -> Option<u64> {
    std::str::from_utf8(file).ok()?.lines().find_map(|line| line.strip_prefix("captions ")?.parse().ok())
}

fn path(id: &str, language: &str) -> String {
    format!("/videos/{id}/captions/{language}")
}

impl Client<'_> {
    /// Uploads captions.
    pub(super) async fn caption(&mut self) {
        if self.intent.id.is_empty() {
            return;
        }
        let number = self.world.next_content();
        self.intent.captions.files.push(Some(number));
        let file = Bytes::from(format!("1\n00:00:01,000 --> 00:00:02,000\ncaptions {number}\n"));
        let response = self.call(&Method::PUT, &path(&self.intent.id, "en"), &[], &file).await;
        let Some(response) = response.filter(|response| response.status == 200) else { return };
        self.intent.captions.known = Some(self.intent.captions.files.len() - 1);
        self.check_captions(&response.body, number);
    }

    pub(super) async fn remove_captions(&mut self) {
        if self.intent.id.is_empty() {
            return;
        }
        self.intent.captions.files.push(None);
        let response = self.call(&Method::DELETE, &path(&self.intent.id, "en"), &[], &Bytes::new()).await;
        if response.is_some_and(|response| response.status == 204) {
            self.intent.captions.known = Some(self.intent.captions.files.len() - 1);
        }
        self.intent.captions.is_text_removed = true;
        self.call(&Method::DELETE, &path(&self.intent.id, "sv"), &[], &Bytes::new()).await;
    }

    /// No 2xx for what is not durable: the response to an upload refers to a stored file with what was uploaded.
    fn check_captions(&self, video: &Value, number: u64) {
        let url = video["captions"][0]["url"].as_str().unwrap_or_default();
        // A video that was not checked has no URLs.
        if url.is_empty() && self.world.settings.checks.any() {
            return;
        }
        let key = url.split_once("/captions/").and_then(|(_, key)| key.split('?').next());
        let key = format!("captions/{}", key.unwrap_or_default());
        let stored = self.world.network.services().s3.body(PROCESSED, &key);
        if stored.and_then(|file| self::number(&file)) != Some(number) {
            self.world.violation(&format!("{key} does not have the captions {number} after their upload"));
        }
    }
}
