//! The load. Each client repeats the operations of its mix until it is told to stop, and repeats a request until it
//! gets a response, as a client does that wants its upload to arrive.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use reqwest::multipart::{Form, Part};
use reqwest::{RequestBuilder, header};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::world::{Deletion, Random, World};

#[derive(Clone, Copy)]
pub(crate) enum Operation {
    Upload,
    Put,
    Replace,
    Multipart,
    Delete,
    Read,
    Play,
}

use Operation::{Delete, Multipart, Play, Put, Read, Replace, Upload};

/// The clients that change something, each with the operations that it repeats.
pub(crate) const CLIENTS: [&[Operation]; 6] = [
    &[Upload, Put, Read],
    &[Put, Replace],
    &[Put, Replace, Delete],
    &[Multipart],
    &[Upload, Delete, Read],
    &[Replace, Put],
];
/// The operations of a player.
pub(crate) const PLAYER: &[Operation] = &[Play];

/// The size of all parts but the last.
const PART: usize = 5 << 20;
/// Time after which a client gives up.
const PATIENCE: Duration = Duration::from_mins(2);
/// Time during which presigned URLs are used again. They expire after five minutes.
const REPLACE_FOR: Duration = Duration::from_mins(2);

/// Repeats the operations of a mix, with pauses that are `pace` times as long as usual.
pub(crate) async fn run(world: Arc<World>, mix: &[Operation], pace: u64, mut random: Random) {
    while !world.stopped.load(Ordering::Relaxed) {
        // A step that fails has counted or reported its response.
        let _ = match random.pick(mix) {
            Upload => world.upload(&mut random).await,
            Put => world.put(&mut random).await,
            Replace => world.replace(&mut random).await,
            Multipart => world.multipart(&mut random).await,
            Delete => world.delete(&mut random).await,
            Read => world.read(&mut random).await,
            Play => world.play(&mut random).await,
        };
        sleep(Duration::from_millis(pace * random.between(200, 1200))).await;
    }
}

struct Answer {
    status: u16,
    etag: String,
    bytes: Bytes,
    body: Value,
}

impl Answer {
    fn text(&self, name: &str) -> Option<String> {
        self.body[name].as_str().map(str::to_owned)
    }
}

impl World {
    /// Sends a request until it is answered with a status below 500. `None` if that takes too long.
    async fn send(
        &self,
        name: &str,
        random: &mut Random,
        request: impl Fn() -> RequestBuilder,
    ) -> Option<Answer> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Ok(response) = request().send().await {
                let status = response.status().as_u16();
                let etag = response.headers().get(header::ETAG);
                let etag = etag.and_then(|etag| etag.to_str().ok()).unwrap_or_default().to_owned();
                if status < 500
                    && let Ok(body) = response.bytes().await
                {
                    self.count(name, status);
                    return Some(Answer {
                        status,
                        etag,
                        body: serde_json::from_slice(&body).unwrap_or_default(),
                        bytes: body,
                    });
                }
                self.count(name, status);
            }
            sleep(Duration::from_millis(random.between(50, 400))).await;
        }
        self.report(format!("{name}: no response below 500 in {PATIENCE:?}"));
        None
    }

    /// Sends a request that must succeed.
    async fn succeed(
        &self,
        name: &str,
        random: &mut Random,
        request: impl Fn() -> RequestBuilder,
    ) -> Option<Answer> {
        let answer = self.send(name, random, request).await?;
        if !(200..300).contains(&answer.status) {
            self.report(format!("{name}: {} {}", answer.status, answer.body));
            return None;
        }
        Some(answer)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.api)
    }

    async fn upload(&self, random: &mut Random) -> Option<()> {
        let clip = usize::try_from(random.below(3)).unwrap();
        let idempotency_key = format!("{:016x}", random.next());
        let request = || {
            let part = Part::bytes(self.clips[clip].clone()).file_name("upload.mp4");
            let post = self.http.post(self.url("/upload")).header("Idempotency-Key", &idempotency_key);
            post.multipart(Form::new().part("file", part))
        };
        let id = self.succeed("upload", random, request).await?.text("videoId")?;
        self.begin(&id, None, clip);
        self.stored(&id, clip);
        Some(())
    }

    async fn put(&self, random: &mut Random) -> Option<()> {
        let clip = usize::try_from(random.below(4)).unwrap();
        let presign = || self.http.get(self.url("/presign?name=put.mp4"));
        let signed = self.succeed("presign", random, presign).await?;
        let (id, url) = (signed.text("videoId")?, signed.text("uploadUrl")?);
        let video = self.begin(&id, Some(url.clone()), clip);
        let _busy = video.busy.lock().await;
        self.send_clip("put", random, &url, clip).await?;
        self.stored(&id, clip);
        Some(())
    }

    /// Uploads another clip with the presigned URL of a video.
    async fn replace(&self, random: &mut Random) -> Option<()> {
        let can_be_replaced = |video: &crate::world::Video| {
            video.url.is_some()
                && video.is_stored
                && video.deletion == Deletion::None
                && video.begun.elapsed() < REPLACE_FOR
        };
        let (id, video) = self.pick(random, can_be_replaced)?;
        let clip = usize::try_from(random.below(4)).unwrap();
        let _busy = video.busy.lock().await;
        if self.videos.lock().unwrap()[&id].deletion != Deletion::None {
            return None;
        }
        self.change(&id, |video| video.clips.push(clip));
        self.send_clip("replace", random, video.url.as_deref()?, clip).await?;
        self.stored(&id, clip);
        Some(())
    }

    async fn send_clip(&self, name: &str, random: &mut Random, url: &str, clip: usize) -> Option<()> {
        let put = || self.http.put(url).header("Content-Type", "video/mp4").body(self.clips[clip].clone());
        self.succeed(name, random, put).await.map(drop)
    }

    async fn multipart(&self, random: &mut Random) -> Option<()> {
        let file = json!({"filename": "parts.mp4", "type": "video/mp4"});
        let create = || self.http.post(self.url("/s3/multipart")).json(&file);
        let created = self.succeed("create", random, create).await?;
        let (key, upload) = (created.text("key")?, created.text("uploadId")?);
        let id = key.rsplit('/').next()?.split('.').next()?.to_owned();
        let clip = self.clips.len() - 1;
        let video = self.begin(&id, None, clip);
        let _busy = video.busy.lock().await;
        let path = |rest: &str| self.url(&format!("/s3/multipart/{upload}{rest}"));
        let mut parts = Vec::new();
        for (bytes, number) in self.clips[clip].chunks(PART).zip(1..) {
            let sign = || self.http.get(path(&format!("/{number}"))).query(&[("key", &key)]);
            let url = self.succeed("sign part", random, sign).await?.text("url")?;
            let put = self.succeed("part", random, || self.http.put(&url).body(bytes.to_vec())).await?;
            parts.push(json!({"PartNumber": number, "ETag": put.etag}));
        }
        let complete =
            || self.http.post(path("/complete")).query(&[("key", &key)]).json(&json!({"parts": parts}));
        self.succeed("complete", random, complete).await?;
        self.stored(&id, clip);
        Some(())
    }

    async fn delete(&self, random: &mut Random) -> Option<()> {
        let is_there = |video: &crate::world::Video| video.is_stored && video.deletion == Deletion::None;
        let (id, video) = self.pick(random, is_there)?;
        // The upload may go on meanwhile, but no upload begins after a deletion.
        self.change(&id, |video| video.deletion = Deletion::Requested);
        let _busy = video.busy.lock().await;
        let delete = || self.http.delete(self.url(&format!("/videos/{id}")));
        self.succeed("delete", random, delete).await?;
        self.change(&id, |video| video.deletion = Deletion::Acknowledged);
        Some(())
    }

    async fn read(&self, random: &mut Random) -> Option<()> {
        self.succeed("list", random, || self.http.get(self.url("/videos?limit=20"))).await?;
        let (id, _) = self.pick(random, |video| video.is_stored && video.deletion == Deletion::None)?;
        // Another client can delete it meanwhile.
        self.send("get", random, || self.http.get(self.url(&format!("/videos/{id}")))).await.map(drop)
    }

    /// Plays a video from its original. Another client can delete or replace it meanwhile.
    async fn play(&self, random: &mut Random) -> Option<()> {
        let (id, _) = self.pick(random, |video| video.is_stored && video.deletion == Deletion::None)?;
        let playlist = self.url(&format!("/videos/{id}/hls/source/index.m3u8"));
        let playlist = self.send("playlist", random, || self.http.get(&playlist)).await?;
        if playlist.status != 200 {
            return None;
        }
        let playlist = String::from_utf8_lossy(&playlist.bytes).into_owned();
        let mut played = Vec::new();
        for url in upreel_tests::urls(&playlist) {
            let file = self.send("segment", random, || self.http.get(&url)).await?;
            if file.status != 200 {
                return None;
            }
            played.push(file.bytes);
        }
        if !self.segments.contains(&played) {
            self.report(format!("{id}: a player gets something else than the segments of a clip"));
        }
        Some(())
    }
}
