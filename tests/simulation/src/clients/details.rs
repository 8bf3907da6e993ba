//! What clients say about their videos.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use upreel_core::details::Expiry;

use super::Client;

/// What a client has said about its video.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    /// The titles, in the order in which they were sent.
    pub(crate) titles: Vec<String>,
    /// The position of the last title that was acknowledged.
    pub(crate) known: Option<usize>,
    /// Whether a time of deletion was sent that may still count.
    pub(crate) may_expire: bool,
    /// Whether the last time of deletion was acknowledged, and nothing was sent after it.
    pub(crate) must_expire: bool,
}

impl Client<'_> {
    pub(super) async fn rename(&mut self) {
        let title = format!("title {}", self.world.next_content());
        self.intent.details.titles.push(title.clone());
        if self.change(&json!({"title": title})).await {
            self.intent.details.known = Some(self.intent.details.titles.len() - 1);
        }
    }

    pub(super) async fn expire(&mut self, minutes: u64) {
        let time = self.world.network.clock.now() + Duration::from_mins(minutes);
        let time = Expiry::at(time).unwrap().to_string();
        self.intent.details.may_expire = true;
        self.intent.details.must_expire = self.change(&json!({"expiresAt": time})).await;
    }

    pub(super) async fn keep(&mut self) {
        let was_known = self.intent.details.must_expire;
        self.intent.details.must_expire = false;
        // A time of deletion whose request was lost can still arrive after this.
        if self.change(&json!({"expiresAt": null})).await && was_known {
            self.intent.details.may_expire = false;
        }
    }

    /// Sends a change, and returns whether it was acknowledged.
    async fn change(&self, change: &Value) -> bool {
        if self.intent.id.is_empty() {
            return false;
        }
        let path = format!("/videos/{}", self.intent.id);
        let body = Bytes::from(change.to_string());
        let response = self.call(&Method::PATCH, &path, &[], &body).await;
        response.is_some_and(|response| response.status == 200)
    }
}
