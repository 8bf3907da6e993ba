//! Compares the rows, the objects, the webhooks and the clients' knowledge after the last kill.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use upreel_tests::signature;
use upreel_webhook::{Event, Kind};

use crate::backend::{Backend, SECRET};
use crate::receiver::Receiver;
use crate::world::{Deletion, WIDTHS, World};

/// The queues, by their folders in the data folder.
const QUEUES: [&str; 3] = ["queue", "transcode/queue", "webhooks/queue"];
/// Age at which incomplete multipart uploads are removed.
const DAY: Duration = Duration::from_hours(25);

pub(crate) struct Audit<'a> {
    world: &'a World,
    /// The rows of videos, by identifier.
    rows: BTreeMap<String, Value>,
    /// The objects as the API names them: a video's representation, by identifier.
    videos: BTreeMap<String, Value>,
    dead_letters: Value,
    queued: Vec<PathBuf>,
    /// The events that were published, with their identifiers.
    published: BTreeMap<String, String>,
    accepted: BTreeSet<String>,
    ffmpegs: Vec<String>,
    data: PathBuf,
}

impl<'a> Audit<'a> {
    /// Waits until nothing is left to do, or nothing changes for the time `stall`. Then collects what is to be checked.
    pub(crate) async fn settled(
        backend: &Backend,
        world: &'a World,
        receiver: &Receiver,
        stall: Duration,
    ) -> Audit<'a> {
        let mut changed = Instant::now();
        let mut last = String::new();
        loop {
            let mut audit = Self::collect(backend, world, receiver).await;
            let left = audit.unfinished();
            let state = format!("{left:?} {}", serde_json::to_string(&audit.rows).unwrap());
            if state != last {
                (last, changed) = (state, Instant::now());
            }
            if left.is_empty() || changed.elapsed() > stall {
                audit.published = published(world, backend).await;
                // Webhooks are late by one poll of the stream.
                if audit.unfinished().is_empty() || changed.elapsed() > stall {
                    audit.videos = videos(world, &audit.rows).await;
                    return audit;
                }
            }
            sleep(Duration::from_secs(1)).await;
        }
    }

    async fn collect(backend: &Backend, world: &'a World, receiver: &Receiver) -> Audit<'a> {
        let dead_letters = world.http.get(format!("{}/_local/dlq", world.api)).send().await.unwrap();
        let queued = QUEUES.map(|queue| files(&backend.data.join(queue)));
        Self {
            world,
            rows: rows(world, backend).await,
            videos: BTreeMap::new(),
            dead_letters: dead_letters.json::<Value>().await.unwrap()["messages"].take(),
            queued: queued.concat(),
            published: BTreeMap::new(),
            accepted: receiver.accepted(),
            ffmpegs: backend.ffmpegs(),
            data: backend.data.clone(),
        }
    }

    /// Returns what is not in a final state.
    fn unfinished(&self) -> Vec<String> {
        let mut left: Vec<_> = self.queued.iter().map(|file| format!("queued: {}", file.display())).collect();
        for (id, row) in &self.rows {
            let status = text(row, "status");
            let is_waiting = status == "PENDING" && self.original(row).is_none();
            let is_final = matches!(status, "PROCESSED" | "FAILED" | "DELETED") || is_waiting;
            let transcode = row["transcode"]["M"]["status"]["S"].as_str().unwrap_or_default();
            if !is_final {
                left.push(format!("{id} is {status}"));
            } else if !is_waiting && !row["due"].is_null() {
                left.push(format!("{id} is {status} and waits for the reconciler"));
            } else if transcode == "RUNNING" && status != "DELETED" {
                left.push(format!(
                    "{id}: the transcode is RUNNING with {} chunks",
                    row["transcode"]["M"]["chunks"]
                ));
            }
        }
        let lost = self.published.iter().filter(|(id, _)| !self.accepted.contains(*id));
        left.extend(lost.map(|(id, name)| format!("webhook {name} {id} was not delivered")));
        left.extend(self.ffmpegs.iter().map(|id| format!("ffmpeg process {id} is left")));
        left
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        let mut found = self.world.broken.lock().unwrap().clone();
        found.extend(self.unfinished());
        let letters = self.dead_letters.as_array().unwrap().iter();
        found.extend(letters.map(|letter| format!("dead letter of {}: {}", letter["key"], letter["error"])));
        for (id, video) in self.world.videos.lock().unwrap().iter() {
            match self.rows.get(id) {
                Some(row) if video.deletion == Deletion::Acknowledged && text(row, "status") != "DELETED" => {
                    found.push(format!("{id} was deleted and is {}", text(row, "status")));
                }
                Some(row) if video.is_stored && video.deletion == Deletion::None => {
                    self.check_stored(id, row, &video.clips, &mut found);
                }
                None if video.is_stored && video.deletion == Deletion::None => {
                    found.push(format!("{id} was acknowledged and has no row"));
                }
                _ => {}
            }
        }
        self.check_objects(&mut found);
        self.check_leftovers(&mut found);
        found
    }

    /// Checks a video whose upload was acknowledged.
    fn check_stored(&self, id: &str, row: &Value, clips: &[usize], found: &mut Vec<String>) {
        let status = text(row, "status");
        let Some(original) = self.original(row) else {
            found.push(format!("{id} was acknowledged and has no object, {status}"));
            return;
        };
        let bytes = fs::read(original).unwrap();
        let Some(stored) = clips.iter().find(|clip| self.world.clips[**clip] == bytes) else {
            found.push(format!("{id} has other contents than were acknowledged"));
            return;
        };
        let width = row["width"]["N"].as_str().unwrap_or_default();
        if status != "PROCESSED" {
            found.push(format!("{id} was acknowledged and is {status} {}", row["error"]));
        } else if width != WIDTHS[*stored].to_string() {
            found.push(format!("{id} has a width of {width}, its object one of {}", WIDTHS[*stored]));
        }
        let transcode = &row["transcode"]["M"];
        if transcode["status"]["S"] != "DONE" {
            found.push(format!("{id} was not transcoded: {transcode}"));
        } else if transcode["run"]["S"] != row["sequencer"]["S"] {
            found.push(format!("{id} has the renditions of another upload"));
        }
    }

    /// Checks that the buckets contain the objects that the rows name, and no others.
    fn check_objects(&self, found: &mut Vec<String>) {
        let mut expected = BTreeSet::new();
        for (id, row) in &self.rows {
            if text(row, "status") != "DELETED" {
                expected.insert(format!("uploads/{}", text(row, "key")));
            }
            let video = self.videos.get(id).unwrap_or(&Value::Null);
            let object = |field: &str| {
                let path = video[field].as_str().and_then(|url| url.split('?').next());
                path.and_then(|path| path.splitn(4, '/').nth(3)).map(str::to_owned)
            };
            match (object("thumbnailUrl"), object("storyboardUrl")) {
                (Some(poster), Some(storyboard)) => {
                    let (poster, _) = poster.rsplit_once('.').unwrap();
                    let (storyboard, _) = storyboard.rsplit_once('.').unwrap();
                    let names = [format!("{poster}.jpg"), format!("{poster}-w1280.jpg")];
                    expected.extend(
                        names.into_iter().chain([format!("{storyboard}.jpg"), format!("{storyboard}.vtt")]),
                    );
                }
                _ if text(row, "status") == "PROCESSED" => {
                    found.push(format!("{id} has no previews: {video}"));
                }
                _ => {}
            }
        }
        let buckets = self.data.join("s3");
        let names = files(&buckets)
            .into_iter()
            .map(|path| path.strip_prefix(&buckets).unwrap().to_string_lossy().into_owned());
        let objects: BTreeSet<_> = names.filter(|name| !name.starts_with('.')).collect();
        // Files that no row names, by their folder.
        let mut folders = BTreeMap::<_, usize>::new();
        for name in objects.difference(&expected) {
            let Some((id, folder)) = folder(name) else {
                found.push(format!("no row names {name}"));
                continue;
            };
            let row = self.rows.get(id).filter(|row| text(row, "status") != "DELETED");
            if !row.is_some_and(|row| folders_of(row).iter().any(|name| name == folder)) {
                *folders.entry(folder).or_default() += 1;
            }
        }
        found.extend(folders.iter().map(|(folder, files)| format!("no row names {folder}: {files} files")));
        // A row without an object was reported if its upload was acknowledged.
        let missing = expected.difference(&objects).filter(|name| !name.starts_with("uploads/"));
        found.extend(missing.map(|name| format!("{name} is missing")));
        for row in self.rows.values().filter(|row| text(row, "status") == "PROCESSED") {
            let [transcoded, _, original, _] = folders_of(row);
            let is_transcoded = row["transcode"]["M"]["status"]["S"] == "DONE";
            for folder in [is_transcoded.then_some(transcoded), Some(original)].into_iter().flatten() {
                let master = format!("processed/{folder}/master.m3u8");
                if !objects.contains(&master) {
                    found.push(format!("{master} is missing"));
                }
            }
        }
    }

    /// Checks that there are no temporary files, and no sidecar files without an object.
    fn check_leftovers(&self, found: &mut Vec<String>) {
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        for path in files(&self.data) {
            let extension = path.extension().unwrap_or_default();
            if name(&path).starts_with(".tmp.") || extension == "part" || extension == "unreadable" {
                found.push(format!("temporary file {}", path.display()));
            }
        }
        let buckets = self.data.join("s3");
        let count = |name: &str| files(&buckets.join(name)).len();
        let objects = count("uploads") + count("thumbnails") + count("processed");
        let entries = fs::read_dir(&buckets).unwrap().map(|entry| name(&entry.unwrap().path()));
        let hidden: Vec<_> = entries.filter(|name| name.starts_with('.') && name != ".staged").collect();
        let sidecars = hidden.iter().filter(|name| name.starts_with(".bucket-")).count();
        if sidecars != 2 * objects {
            found.push(format!("{sidecars} sidecar files of {objects} objects"));
        }
        found.extend(hidden.iter().filter(|name| name.starts_with(".upload")).cloned());
        found
            .extend(files(&buckets.join(".staged")).iter().map(|path| format!("staged: {}", path.display())));
    }

    /// Returns the file of the uploaded object.
    fn original(&self, row: &Value) -> Option<PathBuf> {
        Some(self.data.join("s3/uploads").join(text(row, "key"))).filter(|path| path.is_file())
    }

    pub(crate) fn figures(&self) -> String {
        let mut statuses = BTreeMap::<_, usize>::new();
        for row in self.rows.values() {
            *statuses.entry(text(row, "status")).or_default() += 1;
        }
        let mut text = String::from("rows:");
        for (status, count) in statuses {
            write!(text, " {status}: {count},").unwrap();
        }
        let (published, accepted) = (self.published.len(), self.accepted.len());
        write!(text, " webhooks: {published} published, {accepted} different ones accepted").unwrap();
        text
    }
}

/// Makes all multipart uploads a day older, and returns what a restart leaves of them and of ffmpeg.
pub(crate) async fn after_a_day(backend: &mut Backend) -> Vec<String> {
    backend.kill();
    let uploads = backend.data.join("multipart");
    for file in files(&uploads) {
        File::options().append(true).open(file).unwrap().set_modified(SystemTime::now() - DAY).unwrap();
    }
    backend.start().await;
    backend.kill();
    let left = files(&uploads).into_iter().map(|file| format!("left after a day: {}", file.display()));
    let ffmpegs = backend.ffmpegs().into_iter().map(|id| format!("ffmpeg process {id} is left at the end"));
    left.chain(ffmpegs).collect()
}

/// Returns the video and the folder of a file that belongs to a run or to a version of a video.
fn folder(name: &str) -> Option<(&str, &str)> {
    let path = name.strip_prefix("processed/")?;
    let mut parts = path.splitn(4, '/');
    let (_, id, _, file) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    Some((id, path.strip_suffix(file)?.trim_end_matches('/')))
}

/// Returns the folders of the run and of the version that a row names.
fn folders_of(row: &Value) -> [String; 4] {
    let (id, run) = (text(row, "videoId"), row["transcode"]["M"]["run"]["S"].as_str().unwrap_or_default());
    let version = format!("{}-{}", text(row, "sequencer"), text(row, "etag"));
    [
        format!("hls/{id}/{run}"),
        format!("work/{id}/{run}"),
        format!("playback/{id}/{version}"),
        format!("segments/{id}/{version}"),
    ]
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name]["S"].as_str().unwrap_or_default()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Returns the API's representation of the videos that are PROCESSED.
async fn videos(world: &World, rows: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let mut videos = BTreeMap::new();
    for (id, _) in rows.iter().filter(|(_, row)| text(row, "status") == "PROCESSED") {
        let video = world.http.get(format!("{}/videos/{id}", world.api)).send().await.unwrap();
        videos.insert(id.clone(), video.json().await.unwrap());
    }
    videos
}

/// Returns the rows of all videos.
async fn rows(world: &World, backend: &Backend) -> BTreeMap<String, Value> {
    let mut rows = BTreeMap::new();
    let mut request = json!({"TableName": "VideoMetadata", "ConsistentRead": true});
    loop {
        let mut page = dynamodb(world, backend, "DynamoDB_20120810.Scan", &request).await;
        for row in page["Items"].as_array().unwrap() {
            // The table also holds the idempotency keys.
            if row["status"]["S"].is_string() {
                rows.insert(text(row, "videoId").to_owned(), row.clone());
            }
        }
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"].take();
        if request["ExclusiveStartKey"].is_null() {
            return rows;
        }
    }
}

/// Returns the identifiers and the types of the events that the table's stream has for webhooks.
async fn published(world: &World, backend: &Backend) -> BTreeMap<String, String> {
    let call = async |action: &str, request: Value| {
        dynamodb(world, backend, &format!("DynamoDBStreams_20120810.{action}"), &request).await
    };
    let streams = call("ListStreams", json!({"TableName": "VideoMetadata"})).await;
    let arn = &streams["Streams"][0]["StreamArn"];
    let described = call("DescribeStream", json!({"StreamArn": arn})).await;
    let shard = &described["StreamDescription"]["Shards"][0]["ShardId"];
    let iterator = json!({"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
    let mut iterator = call("GetShardIterator", iterator).await["ShardIterator"].take();
    let mut events = BTreeMap::new();
    loop {
        let mut page = call("GetRecords", json!({"ShardIterator": iterator, "Limit": 1000})).await;
        let records = page["Records"].as_array().unwrap();
        for record in records {
            if Kind::from_record(record).is_some()
                && let Ok(event) = Event::from_record(record)
            {
                let name = serde_json::to_value(event.kind).unwrap();
                events.insert(event.id.to_string(), format!("{name} of {}", event.object.id));
            }
        }
        if records.is_empty() {
            return events;
        }
        iterator = page["NextShardIterator"].take();
    }
}

async fn dynamodb(world: &World, backend: &Backend, target: &str, request: &Value) -> Value {
    let (url, body) = (backend.dynamodb(), request.to_string());
    let headers = [("x-amz-target", target), ("content-type", "application/x-amz-json-1.0")];
    let signed = signature(("dynamodb", SECRET), ("POST", &url), &headers, body.as_bytes()).unwrap();
    let mut response = world.http.post(&url).body(body);
    for (name, value) in
        headers.into_iter().chain(signed.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    {
        response = response.header(name, value);
    }
    let response = response.send().await.unwrap();
    let status = response.status();
    let body: Value = response.json().await.unwrap();
    assert!(status.is_success(), "{target}: {body}");
    body
}
