//! Events: the bodies of webhooks, each created from one change of the table.
//!
//! The same change always gives the same bytes, so a repeated delivery is identical.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use aws_lambda_events::dynamodb::EventRecord;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use upreel_core::transcode::TranscodeStatus;
use upreel_core::video::{Progress, Record};
use upreel_core::{Fault, Status, Video, VideoId};
use uuid::{Builder, Uuid};

/// The type of an event. The names are those of Mux.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Kind {
    /// An upload was authorised, and has not arrived yet.
    #[serde(rename = "video.upload.created")]
    UploadCreated,
    /// The upload has arrived.
    #[serde(rename = "video.asset.created")]
    Created,
    /// The previews and the media info are available.
    #[serde(rename = "video.asset.ready")]
    Ready,
    /// The video cannot be processed; `error` has the reason.
    #[serde(rename = "video.asset.errored")]
    Errored,
    /// Transcoding has ended; `transcode` has the outcome.
    #[serde(rename = "video.asset.updated")]
    Updated,
    /// The video was deleted.
    #[serde(rename = "video.asset.deleted")]
    Deleted,
}

impl Kind {
    /// Returns the type of event for a record of the table's stream, or `None` if the change has no event, as most do.
    #[must_use]
    pub fn from_record(record: &Value) -> Option<Self> {
        let (old, new) = (&record["dynamodb"]["OldImage"], &record["dynamodb"]["NewImage"]);
        let has_ended =
            |status: &TranscodeStatus| matches!(status, TranscodeStatus::Done | TranscodeStatus::Failed);
        let ended = transcode_status(new).filter(has_ended);
        let updated = ended.is_some() && ended != transcode_status(old);
        Self::for_transition(status(old), status(new)?).or(updated.then_some(Self::Updated))
    }

    fn for_transition(old: Option<Status>, new: Status) -> Option<Self> {
        use Status::{Deleted, Failed, Pending, Processed, Processing, Uploaded};
        match (old, new) {
            (None, Pending) => Some(Self::UploadCreated),
            (Some(Pending), Uploaded | Processing) => Some(Self::Created),
            (Some(old), Processed) if old != new => Some(Self::Ready),
            (Some(old), Failed) if old != new => Some(Self::Errored),
            (Some(old), Deleted) if old != new => Some(Self::Deleted),
            // A newer upload of the video, or a replay, has an event only for its outcome.
            _ => None,
        }
    }
}

/// Returns the status in an image of a row, or `None` if the row is not a video, or its status is unknown.
fn status(image: &Value) -> Option<Status> {
    Status::deserialize(&image["status"]["S"]).ok()
}

fn transcode_status(image: &Value) -> Option<TranscodeStatus> {
    TranscodeStatus::deserialize(&image["transcode"]["M"]["status"]["S"]).ok()
}

/// An event, in the format of Mux's events.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// The type of event.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The identifier, which is the same for each delivery. A `UUIDv7`, so events sort by time.
    pub id: Uuid,
    /// The time of the change, RFC 3339, to the second.
    pub created_at: String,
    /// The position among the events of the video, which can arrive in any order: digits, to be compared as text.
    pub sequence: String,
    /// The upload or asset.
    pub object: Object,
    /// The video after the change.
    pub data: Data,
}

/// The upload or asset of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Object {
    /// `upload` or `asset`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The video's identifier.
    pub id: VideoId,
}

/// The API's representation of a video without URLs. These are valid for some minutes while an event can be delivered
/// after hours, and readers of a receiver's log must not be able to watch the video.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Data {
    #[serde(flatten)]
    video: Video,
    #[serde(skip_serializing_if = "Option::is_none")]
    blur_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transcode: Option<Progress>,
}

impl Event {
    /// Creates the event for a record of the table's stream.
    ///
    /// # Errors
    /// When the record is malformed, or has no event (see [`Kind::from_record`]).
    pub fn from_record(record: &Value) -> Result<Self, Fault> {
        let kind = Kind::from_record(record).ok_or_else(|| malformed("no event for this change"))?;
        let record =
            EventRecord::deserialize(record).map_err(|e| Fault::new("parse the stream record", &e))?;
        let change = record.change;
        let row: Record =
            serde_dynamo::from_item(change.new_image).map_err(|e| Fault::new("parse the row", &e))?;
        let sequence = change.sequence_number.ok_or_else(|| malformed("missing SequenceNumber"))?;
        let time = u64::try_from(change.approximate_creation_date_time.timestamp())
            .map(Duration::from_secs)
            .map_err(|error| Fault::new("parse the stream record", &error))?;
        Ok(Self {
            kind,
            id: id(time, &record.event_id),
            created_at: humantime::format_rfc3339_seconds(UNIX_EPOCH + time).to_string(),
            sequence: format!("{sequence:0>40}"),
            object: Object {
                kind: if kind == Kind::UploadCreated { "upload" } else { "asset" },
                id: row.video.video_id,
            },
            data: Data {
                transcode: Progress::from_record(&row),
                video: row.video,
                blur_hash: row.previews.blur_hash,
            },
        })
    }
}

impl fmt::Display for Event {
    /// Writes the JSON body of the webhook, which is signed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// Creates the identifier of an event from the time and the identifier of the change.
fn id(time: Duration, change: &str) -> Uuid {
    let digest = Sha256::digest(change);
    let mut random = [0; 10];
    random.copy_from_slice(&digest[..10]);
    Builder::from_unix_timestamp_millis(time.as_secs() * 1000, &random).into_uuid()
}

fn malformed(cause: &str) -> Fault {
    Fault::message("parse the stream record", cause)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use upreel_core::Transition;

    use super::*;

    /// Returns the records of `events/dynamodb-stream.json`: a row that is not a video, a transition, an outcome.
    fn records() -> Vec<Value> {
        let file: Value = serde_json::from_str(include_str!("../../../events/dynamodb-stream.json")).unwrap();
        file["Records"].as_array().unwrap().clone()
    }

    #[test]
    fn each_transition_has_at_most_one_event() {
        let name = |status: Option<Status>| status.map_or("none", Status::as_str);
        let mut events = Vec::new();
        for old in Status::ALL.map(Some).into_iter().chain([None]) {
            for new in Status::ALL {
                if let Some(kind) = Kind::for_transition(old, new) {
                    // Ignore transitions that are not allowed.
                    let allows = |old, it: Transition| it.rule().to == new && it.rule().from.contains(&old);
                    if old.is_none_or(|old| Transition::ALL.into_iter().any(|it| allows(old, it))) {
                        events.push((name(old), name(Some(new)), kind));
                    }
                }
            }
        }
        let expected = [
            ("PENDING", "UPLOADED", Kind::Created),
            ("PENDING", "PROCESSING", Kind::Created),
            ("PENDING", "FAILED", Kind::Errored),
            ("PENDING", "DELETED", Kind::Deleted),
            ("UPLOADED", "FAILED", Kind::Errored),
            ("UPLOADED", "DELETED", Kind::Deleted),
            ("PROCESSING", "PROCESSED", Kind::Ready),
            ("PROCESSING", "FAILED", Kind::Errored),
            ("PROCESSING", "DELETED", Kind::Deleted),
            ("PROCESSED", "FAILED", Kind::Errored),
            ("PROCESSED", "DELETED", Kind::Deleted),
            ("FAILED", "PROCESSED", Kind::Ready),
            ("FAILED", "DELETED", Kind::Deleted),
            ("none", "PENDING", Kind::UploadCreated),
        ];
        assert_eq!(events, expected);
    }

    #[test]
    fn other_changes_have_no_event() {
        let kinds: Vec<Option<Kind>> = records().iter().map(Kind::from_record).collect();
        assert_eq!(kinds, [None, Some(Kind::Created), Some(Kind::Ready)]);
        let mut expired = records().remove(2);
        expired["eventName"] = json!("REMOVE");
        expired["dynamodb"]["OldImage"] = expired["dynamodb"]["NewImage"].take();
        assert_eq!(Kind::from_record(&expired), None);
        let mut newer = records().remove(2);
        newer["dynamodb"]["NewImage"]["status"]["S"] = json!("STATUS_OF_A_LATER_RELEASE");
        assert_eq!(Kind::from_record(&newer), None, "a status of a later release");
        assert!(Event::from_record(&newer).is_err() && Event::from_record(&json!({})).is_err());
    }

    #[test]
    fn end_of_transcoding_has_one_event() {
        let with = |old: &str, new: &str| {
            let mut record = records().remove(2);
            let images = [("OldImage", old), ("NewImage", new)];
            for (image, status) in images {
                let transcode =
                    json!({"M": {"run": {"S": "0055"}, "status": {"S": status}, "chunks": {"N": "3"}}});
                record["dynamodb"][image] = record["dynamodb"]["NewImage"].clone();
                record["dynamodb"][image]["transcode"] =
                    if status.is_empty() { Value::Null } else { transcode };
            }
            record
        };
        for (old, new, has_event) in [
            ("", "RUNNING", false),
            ("RUNNING", "RUNNING", false),
            ("RUNNING", "DONE", true),
            ("RUNNING", "FAILED", true),
            ("FAILED", "RUNNING", false),
            ("DONE", "DONE", false),
            ("DONE", "", false),
        ] {
            assert_eq!(Kind::from_record(&with(old, new)), has_event.then_some(Kind::Updated), "{old} {new}");
        }
        let sent = json!(Event::from_record(&with("RUNNING", "DONE")).unwrap());
        assert_eq!(
            (&sent["type"], &sent["data"]["transcode"]),
            (&json!("video.asset.updated"), &json!({"status": "DONE", "chunksDone": 3, "chunksTotal": 3}))
        );
    }

    #[test]
    fn event_has_the_format_of_mux_and_the_data_of_the_api() {
        let record = records().remove(2);
        let event = Event::from_record(&record).unwrap();
        assert_eq!(event.to_string(), Event::from_record(&record).unwrap().to_string());
        let sent: Value = serde_json::from_str(&event.to_string()).unwrap();
        assert_eq!(
            sent,
            json!({
                "type": "video.asset.ready",
                "id": event.id,
                "created_at": "2026-11-23T07:41:52Z",
                "sequence": "0000000000000000004421584500000000017450",
                "object": {"type": "asset", "id": "019ad2f4-5c3e-7b21-8f60-1d2c3b4a5f6e"},
                "data": {
                    "videoId": "019ad2f4-5c3e-7b21-8f60-1d2c3b4a5f6e",
                    "userId": "0a4e6b7c-70f1-70c1-9a1b-2f7d3c5e8a90",
                    "filename": "clip.mp4",
                    "contentType": "video/mp4",
                    "size": 1_048_576,
                    "status": "PROCESSED",
                    "uploadTime": "2026-11-23T07:41:47.123Z",
                    "durationMs": 10000,
                    "width": 1280,
                    "height": 720,
                    "frameRate": 29.97,
                    "videoCodec": "h264",
                    "container": "mp4",
                    "blurHash": "LEHV6nWB2yk8pyo0adR*.7kCMdnj",
                },
            })
        );
    }

    #[test]
    fn identifiers_are_stable_and_ordered() {
        let [first, second] = [1, 2].map(|at| Event::from_record(&records().remove(at)).unwrap());
        assert_eq!(first.id, Event::from_record(&records().remove(1)).unwrap().id);
        assert!(first.id < second.id, "{} {}", first.id, second.id);
        assert!(first.sequence < second.sequence);
        assert_eq!(first.id.get_version_num(), 7);
    }
}
