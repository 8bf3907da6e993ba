//! Renditions that are encoded when they are watched.

use bytes::Bytes;
use http::{Method, Request};

use super::Client;
use super::player::uris;
use crate::content;

impl Client<'_> {
    /// Asks for the first `count` renditions, and plays those that are ready.
    pub(super) async fn watch(&mut self, count: usize) {
        let Some(video) = self.get(&format!("/videos/{}", self.intent.id)).await else { return };
        let rungs = video["renditions"].as_array().cloned().unwrap_or_default();
        let mut files: Vec<String> =
            rungs.iter().filter_map(|rung| Some(format!("{}/index.m3u8", rung["name"].as_str()?))).collect();
        if video["transcode"].is_object() {
            files.push("master.m3u8".to_owned());
        }
        for (file, number) in files.into_iter().zip(1..=count) {
            let path = format!("/videos/{}/hls/{file}", self.intent.id);
            let Some(response) = self.call(&Method::GET, &path, &[], &Bytes::new()).await else { return };
            match response.status {
                404 if response.body["code"] == "NOT_READY" => {
                    self.intent.watched = self.intent.watched.max(number);
                }
                200 if file != "master.m3u8" => self.play_rung(&response.text).await,
                _ => {}
            }
        }
    }

    /// All segments of a rung exist, and belong to the version that their URLs name.
    async fn play_rung(&self, playlist: &str) {
        let expected = |url: &str| {
            let version = url.split("/playback/").nth(1)?.split('/').nth(1)?;
            let contents = &self.world.network.services().s3.contents;
            contents.get(version.split_once('-')?.1).copied()
        };
        for url in uris(playlist) {
            let sent = self.s3(|| Request::get(url).body(Bytes::new()).unwrap()).await;
            let Some(stored) = sent.filter(|stored| stored.status() == 200) else { continue };
            let length =
                stored.headers().get("content-length").and_then(|length| length.to_str().ok()?.parse().ok());
            let (played, expected) = (content::number(stored.body()), expected(url));
            if length == Some(stored.body().len()) && (played.is_none() || played != expected) {
                self.world.violation(&format!("{url} plays content {played:?} instead of {expected:?}"));
            }
        }
    }
}
