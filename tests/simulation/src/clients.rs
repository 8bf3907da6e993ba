//! Clients: what users do with the API and S3. They repeat a request whose response is lost or an error of the server,
//! or give up.

pub(crate) mod captions;
mod details;
mod images;
mod multipart;
mod player;
mod watcher;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::Value;
use tokio::time::timeout;

use crate::content;
use crate::functions;
use crate::network::{INVOCATION, Outcome};
use crate::world::{Quotas, World};

/// How often a client sends a request at most.
const ATTEMPTS: usize = 6;
/// How long a client waits for S3.
const PATIENCE: Duration = Duration::from_mins(1);
const MP4: &str = "video/mp4";

/// A way to upload a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upload {
    /// `POST /upload`.
    Api,
    /// `POST /upload` with an `Idempotency-Key`.
    Idempotent,
    /// `GET /presign`, then a PUT request.
    Put,
    /// `GET /s3/params`, then a POST form.
    Form,
    /// `POST /s3/multipart`, the parts, and their completion.
    Multipart,
}

/// What a client does.
#[derive(Debug, Clone)]
pub struct Script {
    pub(crate) upload: Upload,
    /// Whether the file is a video.
    pub(crate) is_video: bool,
    /// Whether the video is long enough to be cut into chunks.
    pub(crate) is_long: bool,
    /// The number of parts of a multipart upload.
    pub(crate) parts: usize,
    pub(crate) then: Vec<Step>,
}

/// What a client does after the upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Uploads another video with the same URL.
    UploadAgain,
    /// Deletes the video.
    Delete,
    /// Reads the video and the list.
    Read,
    /// Plays a part of the video, if it can be played from its original.
    Play,
    /// Asks for an image of the video.
    Image,
    /// Chooses a poster.
    Choose,
    /// Asks for this number of renditions that are encoded when they are watched, and plays those that are ready.
    Watch(usize),
    /// Gives the video another title.
    Rename,
    /// Has the video deleted in this number of minutes.
    Expire(u64),
    /// Does not have the video deleted any more.
    Keep,
    /// Uploads captions.
    Caption,
    /// Removes the captions.
    RemoveCaptions,
    /// Waits up to this number of minutes.
    Wait(u64),
}

/// A video of a client, as far as the client knows.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(crate) struct Intent {
    pub(crate) id: String,
    pub(crate) key: String,
    /// The contents that were sent.
    pub(crate) sent: Vec<u64>,
    /// Whether the files are videos.
    pub(crate) is_video: bool,
    /// Whether the request had an idempotency key.
    pub(crate) is_idempotent: bool,
    /// Whether a content was acknowledged.
    pub(crate) is_stored: bool,
    /// For each upload, see [`World::upload`], the number of renditions of which the client was told that they are being
    /// encoded.
    pub(crate) watched: BTreeMap<(String, String), usize>,
    /// Whether a deletion was sent, and whether it was acknowledged.
    pub(crate) is_delete_sent: bool,
    pub(crate) is_deleted: bool,
    /// Whether a content may have been sent after a deletion: one was sent before, or its time was set.
    pub(crate) is_late: bool,
    /// What was said about the video.
    pub(crate) details: details::Said,
    /// The captions that were sent.
    pub(crate) captions: captions::Sent,
}

/// A target of uploads: it can be used again.
struct Target {
    /// The requests: method, URL and content type or form key.
    request: Box<dyn Fn(Bytes) -> Request<Bytes>>,
}

/// Runs a script.
pub(crate) async fn run(world: Rc<World>, script: Script) {
    let bytes = |number| {
        let bytes =
            if script.is_video { content::video(number, script.is_long) } else { content::text(number) };
        // Draws only where it matters, so that the other schedules stay what they were.
        let is_infected = world.settings.checks.any() && world.draw(|rng| rng.u8(..6) == 0);
        if is_infected { content::infected(&bytes) } else { bytes }
    };
    let first = world.next_content();
    let is_idempotent = script.upload == Upload::Idempotent;
    let intent = Intent { is_video: script.is_video, is_idempotent, ..Intent::default() };
    let mut client = Client { world: &world, intent, segment: None };
    let target = match script.upload {
        Upload::Api | Upload::Idempotent => {
            client.post(first, bytes(first)).await;
            None
        }
        Upload::Multipart => {
            client.multipart(first, &bytes(first), script.parts).await;
            None
        }
        Upload::Put | Upload::Form => {
            let target = client.target(script.upload, bytes(first).len()).await;
            if let Some(target) = &target {
                client.send(target, first, bytes(first)).await;
            }
            target
        }
    };
    for step in script.then {
        match (step, &target) {
            (Step::Wait(minutes), _) => {
                world.pause(Duration::from_millis(1)..Duration::from_mins(minutes)).await;
            }
            (Step::UploadAgain, Some(target)) => {
                let number = world.next_content();
                client.send(target, number, bytes(number)).await;
            }
            (Step::UploadAgain, None) => {}
            (Step::Delete, _) => client.delete().await,
            (Step::Read, _) => client.read().await,
            (Step::Play, _) => client.play().await,
            (Step::Image, _) => client.image().await,
            (Step::Choose, _) => client.choose().await,
            (Step::Watch(count), _) => client.watch(count).await,
            (Step::Rename, _) => client.rename().await,
            (Step::Expire(minutes), _) => client.expire(minutes).await,
            (Step::Keep, _) => client.keep().await,
            (Step::Caption, _) => client.caption().await,
            (Step::RemoveCaptions, _) => client.remove_captions().await,
        }
    }
    client.finish();
}

struct Client<'a> {
    world: &'a Rc<World>,
    intent: Intent,
    /// The URL of a segment that was played.
    segment: Option<String>,
}

impl Client<'_> {
    /// Sends a request to the API until there is a response below 500.
    async fn call(
        &self,
        method: &Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &Bytes,
    ) -> Option<functions::Response> {
        for _ in 0..ATTEMPTS {
            let response = self.world.api(method.clone(), path, headers, body.clone()).await;
            // The response can also be lost between API Gateway and the client.
            let response = response.filter(|response| response.status < 500 && !self.world.mishap(3));
            if response.is_some() || self.world.mishap(20) {
                return response;
            }
            self.world.pause(Duration::from_millis(100)..Duration::from_secs(20)).await;
        }
        None
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let response = self.call(&Method::GET, path, &[], &Bytes::new()).await?;
        (response.status == 200).then_some(response.body)
    }

    /// Sends a request to S3 until there is a response below 500.
    async fn s3(&self, request: impl Fn() -> Request<Bytes>) -> Option<Response<Bytes>> {
        for _ in 0..ATTEMPTS {
            let invocation = self.world.invocation("client");
            let network = &self.world.network;
            let sent = INVOCATION
                .scope(invocation, async { timeout(PATIENCE, network.send(request())).await })
                .await;
            if let Ok(Ok(Outcome::Response(response))) = sent
                && response.status().as_u16() < 500
                && response.status() != 409
            {
                return Some(response);
            }
            if self.world.mishap(20) {
                break;
            }
            self.world.pause(Duration::from_millis(100)..Duration::from_secs(20)).await;
        }
        None
    }

    /// `POST /upload`. Each success is checked at once: the object and the row must exist.
    async fn post(&mut self, number: u64, bytes: Bytes) {
        let head = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"clip.mp4\"\r\n\r\n";
        let body = Bytes::from([head.as_bytes(), &bytes, b"\r\n--b--\r\n"].concat());
        let key = format!("key-{number}");
        let mut headers = vec![("content-type", "multipart/form-data; boundary=b")];
        if self.intent.is_idempotent {
            headers.push(("idempotency-key", &key));
        }
        let response = self.call(&Method::POST, "/upload", &headers, &body).await;
        self.intent.sent.push(number);
        let Some(response) = response.filter(|response| response.status == 200) else { return };
        response.body["videoId"].as_str().unwrap_or_default().clone_into(&mut self.intent.id);
        self.intent.key = format!("videos/user/{}.mp4", self.intent.id);
        self.acknowledged("POST /upload");
    }

    /// Asks for a presigned URL or a form.
    async fn target(&mut self, upload: Upload, size: usize) -> Option<Target> {
        let size = if self.says_size() { format!("&size={size}") } else { String::new() };
        if upload == Upload::Put {
            let knows_time = self.world.network.knows_time();
            let signed = self.get(&format!("/presign?name=clip.mp4{size}")).await?;
            self.created(&signed["videoId"], &signed["key"]);
            let url = signed["uploadUrl"].as_str()?.to_owned();
            if knows_time {
                self.world.check_signature(&url);
            }
            let request = move |body| Request::put(&url).header("content-type", MP4).body(body).unwrap();
            return Some(Target { request: Box::new(request) });
        }
        let form = self.get(&format!("/s3/params?filename=clip.mp4&type=video/mp4{size}")).await?;
        let key = form["fields"]["key"].as_str()?.to_owned();
        self.created(&Value::Null, &form["fields"]["key"]);
        let url = form["url"].as_str()?.to_owned();
        let request = move |body| {
            let form = Request::post(&url).header("x-form-key", &key).header("content-type", MP4);
            form.body(body).unwrap()
        };
        Some(Target { request: Box::new(request) })
    }

    /// With tight quotas, an upload of unknown size is refused.
    fn says_size(&self) -> bool {
        self.world.settings.quotas == Quotas::Tight
    }

    fn created(&mut self, id: &Value, key: &Value) {
        let key = key.as_str().unwrap_or_default();
        let file = key.rsplit('/').next().and_then(|file| file.split('.').next());
        id.as_str().or(file).unwrap_or_default().clone_into(&mut self.intent.id);
        key.clone_into(&mut self.intent.key);
    }

    async fn send(&mut self, target: &Target, number: u64, bytes: Bytes) {
        self.intent.sent.push(number);
        self.intent.is_late |= self.intent.is_delete_sent || self.intent.details.may_expire;
        // A signature has to be valid when the request begins. The upload may take hours.
        let begun = self.world.network.clock.millis().to_string();
        if self.world.mishap(5) {
            self.world.pause(Duration::from_mins(1)..Duration::from_hours(5)).await;
        }
        let request = || {
            let mut request = (target.request)(bytes.clone());
            request.headers_mut().insert("x-begun", begun.parse().unwrap());
            request
        };
        let response = self.s3(request).await;
        if response.is_some_and(|response| response.status().is_success()) {
            self.intent.is_stored = true;
        }
    }

    async fn delete(&mut self) {
        if self.intent.id.is_empty() {
            return;
        }
        self.intent.is_delete_sent = true;
        self.world.oracle.borrow_mut().deletions.insert(self.intent.id.clone());
        let path = format!("/videos/{}", self.intent.id);
        let response = self.call(&Method::DELETE, &path, &[], &Bytes::new()).await;
        if response.is_some_and(|response| response.status == 204) {
            self.intent.is_deleted = true;
            self.world.check_deleted(&self.intent.id);
        }
    }

    async fn read(&self) {
        if self.intent.id.is_empty() {
            return;
        }
        self.get(&format!("/videos/{}", self.intent.id)).await;
        self.get("/videos").await;
        self.get("/usage").await;
    }

    /// Notes that the API has acknowledged an upload, which must be durable now.
    fn acknowledged(&mut self, what: &str) {
        self.intent.is_stored = true;
        self.world.check_durable(what, &self.intent);
    }

    fn finish(self) {
        if !self.intent.id.is_empty() {
            self.world.oracle.borrow_mut().intents.push(self.intent);
        }
    }
}
