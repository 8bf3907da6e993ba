//! Playback from the original: the playlists, and a segment.

use bytes::Bytes;
use http::{Method, Request};

use super::Client;
use crate::content;
use crate::functions;

impl Client<'_> {
    /// Plays a part of the video: one that was played before, or one that a playlist names.
    pub(super) async fn play(&mut self) {
        if self.segment.is_none() || self.world.draw(fastrand::Rng::bool) {
            self.segment = self.find_segment().await.or(self.segment.take());
        }
        let Some(url) = self.segment.clone() else { return };
        let was_deleted = self.intent.is_deleted;
        let Some(response) = self.fetch(&url).await else { return };
        if was_deleted && response.status != 404 {
            self.world.violation(&format!("{url} is {} after the deletion", response.status));
        }
        let Some(location) = response.location else { return };
        let Some(stored) = self.s3(|| Request::get(&location).body(Bytes::new()).unwrap()).await else {
            return;
        };
        // A player notices that a response was cut off.
        let length =
            stored.headers().get("content-length").and_then(|length| length.to_str().ok()?.parse().ok());
        if stored.status() == 200 && length == Some(stored.body().len()) {
            self.check_segment(&url, stored.body());
        }
    }

    /// Returns the URL of one of the segments, without its host.
    async fn find_segment(&self) -> Option<String> {
        let video = self.get(&format!("/videos/{}", self.intent.id)).await?;
        let master = self.fetch(local(video["hlsUrl"].as_str()?, "/videos/")?).await?;
        let name = uris(&master.text).find(|name| name.starts_with("source/"))?;
        let path = format!("/videos/{}/hls/{name}", self.intent.id);
        let playlist = self.fetch(&path).await.filter(|playlist| playlist.status == 200)?;
        let segments: Vec<&str> = uris(&playlist.text).collect();
        let url = self.world.draw(|rng| rng.choice(segments))?;
        local(url, "/segments/").map(str::to_owned)
    }

    async fn fetch(&self, path: &str) -> Option<functions::Response> {
        self.call(&Method::GET, path, &[], &Bytes::new()).await
    }

    /// A segment is complete, and belongs to the version that its URL names.
    fn check_segment(&self, url: &str, bytes: &[u8]) {
        let tag = url.split('/').nth(3).and_then(|version| version.split_once('-')).map(|(_, tag)| tag);
        let contents = self.world.network.services().s3.contents.clone();
        let expected = tag.and_then(|tag| contents.get(tag).copied());
        let played = content::number_of_segment(bytes);
        if played.is_none() || played != expected {
            self.world.violation(&format!("{url} plays content {played:?} instead of {expected:?}"));
        }
    }
}

/// Returns the path and query of a URL whose path begins with `folder`.
fn local<'a>(url: &'a str, folder: &str) -> Option<&'a str> {
    url.find(folder).map(|at| &url[at..])
}

pub(super) fn uris(playlist: &str) -> impl Iterator<Item = &str> {
    playlist.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}
