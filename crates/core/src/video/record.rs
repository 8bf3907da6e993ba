//! A row of the table.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::{MediaInfo, PreviewKeys, Status, Video, known, millis, seconds};
use crate::captions::{EmbeddedTracks, Tracks};
use crate::check::CheckResult;
use crate::details::Details;
use crate::failure::Failure;
use crate::fetch::Started;
use crate::id::{Sequencer, UserId, Version, VideoId};
use crate::key::Key;
use crate::playback;
use crate::quota::Counted;
use crate::transcode::{self, Run, Transcode, TranscodeStatus, is_zero};
use crate::transition::State;

/// The lifetime of a row without an upload. It exceeds the lifetime of a presigned URL plus the time of an upload.
pub(super) const PENDING_TTL: Duration = Duration::from_hours(24);

/// A row of the `VideoMetadata` table: the video, and fields that only the functions need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The part that users see.
    #[serde(flatten)]
    pub video: Video,
    /// The captions that the user has uploaded.
    #[serde(default, deserialize_with = "known", skip_serializing_if = "Option::is_none")]
    pub captions: Option<Tracks>,
    /// The captions that are tracks of the object.
    #[serde(default, deserialize_with = "known", skip_serializing_if = "Option::is_none")]
    pub embedded: Option<EmbeddedTracks>,
    /// How often the user has changed the details or the captions.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub revision: u64,
    /// The object's key in the uploads bucket.
    pub key: String,
    /// The multipart upload that the source is copied to, if the backend fetches the video itself.
    #[serde(default, deserialize_with = "known", skip_serializing_if = "Option::is_none")]
    pub fetch: Option<Started>,
    /// The event that the row belongs to: the newest one that was held, claimed or given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequencer: Option<Sequencer>,
    /// The entity tag of the object that the row describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The last result of a scan.
    #[serde(default, deserialize_with = "known", skip_serializing_if = "Option::is_none")]
    pub scan_result: Option<CheckResult>,
    /// The last result of a moderation.
    #[serde(default, deserialize_with = "known", skip_serializing_if = "Option::is_none")]
    pub moderation_result: Option<CheckResult>,
    /// Every event that the row has belonged to, until the objects made of the earlier ones are removed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub sequencers: BTreeSet<Sequencer>,
    /// How often the reconciler has replayed an event that was given up.
    #[serde(default, deserialize_with = "known", skip_serializing_if = "Option::is_none")]
    pub replays: Option<Replays>,
    /// Whether the storyboard was left out because of a fault, and has to be made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
    /// For a tombstone: how many passes in a row have found no object.
    #[serde(default)]
    pub clean_passes: u32,
    /// When the reconciler examines the row, in milliseconds since 1970. Only rows that need attention have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<u64>,
    /// The partition of the index `byDue`. Only rows with `due` have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// The keys of the previews.
    #[serde(flatten)]
    pub previews: PreviewKeys,
    /// The state of the renditions, if transcoding is enabled.
    #[serde(default, deserialize_with = "known", skip_serializing_if = "Option::is_none")]
    pub transcode: Option<Transcode>,
    /// The rungs of the ladder beside the original, and the state of each, if they are encoded when they are watched.
    #[serde(default, deserialize_with = "known", skip_serializing_if = "Option::is_none")]
    pub rungs: Option<BTreeMap<String, Transcode>>,
    /// The chunks that are encoded so far, while transcoding runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transcode_chunks: Vec<usize>,
    /// The chunks of rungs that are stored so far, while the rungs are encoded, see [`transcode::chunk_of_rung`].
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub rung_chunks: BTreeSet<String>,
    /// What the row counts as in the account of its user, if there are quotas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<Counted>,
    /// When `DynamoDB` may delete the row, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u64>,
}

/// How often the reconciler has replayed an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replays {
    /// The event.
    pub sequencer: Sequencer,
    /// The number of replays.
    pub count: u32,
}

/// The number of partitions of the indexes `byDue` and `byExpiry`.
const SHARDS: u128 = 8;

impl Record {
    /// Creates the row of an upload that has not arrived yet. The row expires after 24 hours without one, and is first
    /// examined at `due`.
    #[must_use]
    pub fn pending(
        key: &Key,
        (user, filename, content_type): (UserId, String, String),
        now: SystemTime,
        due: SystemTime,
    ) -> Self {
        let id = key.video_id();
        Self {
            video: Video {
                video_id: id,
                user_id: user,
                filename,
                content_type,
                size: None,
                status: Status::Pending,
                upload_time: Some(humantime::format_rfc3339_millis(now).to_string()),
                details: Details::default(),
                media_info: MediaInfo::default(),
                playback: None,
                error: None,
            },
            captions: None,
            embedded: None,
            revision: 0,
            key: key.to_string(),
            fetch: None,
            sequencer: None,
            etag: None,
            scan_result: None,
            moderation_result: None,
            sequencers: BTreeSet::new(),
            replays: None,
            incomplete: false,
            clean_passes: 0,
            due: Some(millis(due)),
            shard: Some(Self::shard(id)),
            previews: PreviewKeys::default(),
            transcode: None,
            rungs: None,
            transcode_chunks: Vec::new(),
            rung_chunks: BTreeSet::new(),
            counted: None,
            ttl: Some(seconds(now + PENDING_TTL)),
        }
    }

    /// Returns the partition of the indexes `byDue` and `byExpiry` for a video.
    #[must_use]
    pub fn shard(id: VideoId) -> String {
        (id.as_u128() % SHARDS).to_string()
    }

    /// Returns every partition of the indexes `byDue` and `byExpiry`.
    pub fn shards() -> impl Iterator<Item = String> {
        (0..SHARDS).map(|shard| shard.to_string())
    }

    /// Makes the row count, until the upload arrives or the row expires.
    #[must_use]
    pub fn reserving(self, bytes: u64) -> Self {
        let counted = Counted { bytes, until: self.ttl, over: false };
        Self { counted: Some(counted), ttl: None, ..self }
    }

    /// Returns when the row expires, in seconds since 1970.
    #[must_use]
    pub fn expiry(&self) -> Option<u64> {
        let until = self.counted.as_ref().and_then(|counted| counted.until);
        self.ttl.or(until.filter(|_| self.video.status == Status::Pending))
    }

    /// Returns whether users may see the row: it is not a tombstone, it has not expired, and it is not time to delete
    /// the video. `DynamoDB` deletes expired rows only within days, and the reconciler deletes videos within minutes.
    #[must_use]
    pub fn is_visible(&self, now: SystemTime) -> bool {
        self.video.status != Status::Deleted
            && self.expiry().is_none_or(|expiry| expiry > seconds(now))
            && self.video.details.expires_at.is_none_or(|expiry| !expiry.has_passed(now))
    }

    /// Returns the attributes that decide which transitions are allowed.
    #[must_use]
    pub fn state(&self) -> State<Sequencer> {
        State {
            status: self.video.status,
            sequencer: self.sequencer.clone(),
            is_repeatable: self.video.error.as_ref().is_some_and(Failure::is_repeatable),
        }
    }

    /// Returns whether the row's event is being processed, or going to be. A check that has refused the object may change its
    /// verdict, but nothing waits for that.
    #[must_use]
    pub fn is_in_progress(&self) -> bool {
        self.state().is_unfinished() && !self.video.error.as_ref().is_some_and(Failure::is_of_check)
    }

    /// Returns the version of the object that the row describes.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        Some(Version::new(self.sequencer.clone()?, self.etag.as_deref()?))
    }

    /// Returns everything that is or may be transcoded: the whole ladder, or single rungs.
    pub fn transcodes(&self) -> impl Iterator<Item = (Run, &Transcode)> {
        let rungs = self.rungs.iter().flatten().map(|(name, transcode)| (Some(name.clone()), transcode));
        self.transcode.iter().map(|transcode| (None, transcode)).chain(rungs).map(|(rung, transcode)| {
            let (video_id, key, sequencer) = (self.video.video_id, self.key.clone(), transcode.run.clone());
            (Run { video_id, key, sequencer, rung }, transcode)
        })
    }

    /// Returns the state of a run's renditions.
    #[must_use]
    pub fn transcode_of(&self, run: &Run) -> Option<&Transcode> {
        match &run.rung {
            Some(rung) => self.rungs.as_ref()?.get(rung),
            None => self.transcode.as_ref(),
        }
    }

    /// Returns the names of the rungs that can be played beside the original.
    pub fn playable_rungs(&self) -> impl Iterator<Item = &str> {
        let rungs = self.rungs.iter().flatten();
        rungs.filter(|(_, rung)| rung.status == TranscodeStatus::Done).map(|(name, _)| name.as_str())
    }

    /// Returns the name of the master playlist for the playback from the original.
    #[must_use]
    pub fn master(&self) -> String {
        playback::master(self.playable_rungs())
    }

    /// Returns the stored chunks of a rung that is not complete yet.
    pub fn stored_chunks<'a>(&'a self, rung: &'a str) -> impl Iterator<Item = &'a String> {
        self.rung_chunks
            .iter()
            .filter(move |chunk| chunk.split_once('/').is_some_and(|(name, _)| name == rung))
    }

    /// Returns whether a segment of a rung is stored, if the rung is not complete yet.
    #[must_use]
    pub fn has_segment(&self, rung: &str, segment: &str) -> bool {
        let chunk = segment.rsplit_once('-').map(|(chunk, _)| transcode::chunk_of_rung(rung, chunk));
        chunk.is_some_and(|chunk| self.rung_chunks.contains(&chunk))
    }

    /// Returns how often the reconciler has replayed the row's event.
    #[must_use]
    pub fn replays(&self) -> u32 {
        let replays = self.replays.as_ref().filter(|it| Some(&it.sequencer) == self.sequencer.as_ref());
        replays.map_or(0, |replays| replays.count)
    }

    /// Returns the earlier events whose objects may still exist.
    #[must_use]
    pub fn superseded(&self) -> Vec<&Sequencer> {
        self.sequencers.iter().filter(|it| Some(*it) != self.sequencer.as_ref()).collect()
    }
}
