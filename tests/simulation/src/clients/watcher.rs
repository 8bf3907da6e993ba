//! Renditions that are encoded when they are watched.

use bytes::Bytes;
use http::{Method, Request};
use serde_json::Value;
use upreel_core::Version;

use super::Client;
use crate::content;
use crate::s3::PROCESSED;

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
            let from = self.world.draw(|rng| rng.u32(0..150));
            let path = format!("/videos/{}/hls/{file}?gaps=true&from={from}", self.intent.id);
            let upload = self.world.upload(&self.intent.id);
            let Some(response) = self.call(&Method::GET, &path, &[], &Bytes::new()).await else { return };
            match response.status {
                // The renditions of a new upload, even of the same content, are not encoded before they are watched.
                404 if response.body["code"] == "NOT_READY"
                    && self.world.upload(&self.intent.id) == upload =>
                {
                    let watched = self.intent.watched.entry(upload.unwrap_or_default()).or_default();
                    *watched = number.max(*watched);
                }
                200 if file != "master.m3u8" => {
                    self.check_stored(&response.text);
                    self.play_rung(&response.text).await;
                }
                _ => {}
            }
        }
    }

    /// A playlist names only segments that exist, except where it says that there is a gap, unless the video was
    /// deleted or uploaded again meanwhile.
    fn check_stored(&self, playlist: &str) {
        let services = self.world.network.services();
        let row = services.table.rows.get(&self.intent.id).cloned().map(Value::Object).unwrap_or_default();
        let (Some(etag), Ok(sequencer)) =
            (row["etag"]["S"].as_str(), row["sequencer"]["S"].as_str().unwrap_or_default().parse())
        else {
            return;
        };
        let folder = format!("playback/{}/{}/", self.intent.id, Version::new(sequencer, etag));
        let keys = stored(playlist)
            .filter_map(|url| Some(url[url.find("playback/")?..].split('?').next()?.to_owned()));
        let keys: Vec<String> = keys.collect();
        let is_missing = |key: &&String| {
            key.starts_with(&folder)
                && !services.s3.objects.contains_key(&(PROCESSED.to_owned(), (*key).clone()))
        };
        let missing = keys.iter().find(is_missing).filter(|_| row["status"]["S"] == "PROCESSED").cloned();
        drop(services);
        if keys.is_empty() || missing.is_some() {
            self.world.violation(&format!("{missing:?} is missing, or nothing is stored of {playlist}"));
        }
    }

    /// All segments of a rung that exist belong to the version that their URLs name.
    async fn play_rung(&self, playlist: &str) {
        let expected = |url: &str| {
            let version = url.split("/playback/").nth(1)?.split('/').nth(1)?;
            let contents = &self.world.network.services().s3.contents;
            contents.get(version.split_once('-')?.1).copied()
        };
        for url in stored(playlist) {
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

/// Returns the URLs of the segments that are not gaps.
fn stored(playlist: &str) -> impl Iterator<Item = &str> {
    let lines: Vec<&str> = playlist.lines().collect();
    let is_gap = |i: usize| i.checked_sub(1).is_some_and(|i| lines[i] == "#EXT-X-GAP");
    let is_url = |line: &str| !line.is_empty() && !line.starts_with('#');
    let urls: Vec<&str> =
        (0..lines.len()).filter(|i| is_url(lines[*i]) && !is_gap(*i)).map(|i| lines[i]).collect();
    urls.into_iter()
}
