//! Images of a video.

use bytes::Bytes;
use http::{Method, Request};

use super::Client;
use crate::content;

impl Client<'_> {
    /// Asks for an image of the video. It is complete, and shows the version that its URL names.
    pub(super) async fn image(&self) {
        let was_deleted = self.intent.is_deleted;
        let time = self.world.draw(|rng| rng.u8(..2));
        let path = format!("/videos/{}/thumbnail.jpg?time={time}", self.intent.id);
        let Some(response) = self.call(&Method::GET, &path, &[], &Bytes::new()).await else { return };
        if was_deleted && response.status != 404 {
            self.world.violation(&format!("{path} is {} after the deletion", response.status));
        }
        let Some(location) = response.location else { return };
        let sent = self.s3(|| Request::get(&location).body(Bytes::new()).unwrap()).await;
        let Some(stored) = sent.filter(|stored| stored.status() == 200) else { return };
        let length =
            stored.headers().get("content-length").and_then(|length| length.to_str().ok()?.parse().ok());
        let version = location.split("/segments/").nth(1).and_then(|key| key.split('/').nth(1));
        let tag = version.and_then(|version| version.split_once('-')).map(|(_, tag)| tag);
        let expected = tag.and_then(|tag| self.world.network.services().s3.contents.get(tag).copied());
        let shown = content::number(stored.body());
        if length == Some(stored.body().len()) && (shown.is_none() || shown != expected) {
            self.world.violation(&format!("{location} shows content {shown:?} instead of {expected:?}"));
        }
    }

    /// Chooses a poster. Whatever happens, the row names one that exists.
    pub(super) async fn choose(&self) {
        let time = self.world.draw(|rng| rng.u8(..2));
        let path = format!("/videos/{}/poster", self.intent.id);
        let body = Bytes::from(format!("{{\"time\": {time}}}"));
        let was_deleted = self.intent.is_deleted;
        let Some(response) = self.call(&Method::PUT, &path, &[], &body).await else { return };
        if was_deleted && response.status != 404 {
            self.world.violation(&format!("{path} is {} after the deletion", response.status));
        }
    }
}
