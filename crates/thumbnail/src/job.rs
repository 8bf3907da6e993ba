//! One attempt to process an object: what is made of it, what is stored, and what the row says then.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{join, join_all};
use tokio::time::Instant;
use upreel_core::captions::EmbeddedTracks;
use upreel_core::playback::Playback;
use upreel_core::quota::Limits;
use upreel_core::transcode::Renditions;
use upreel_core::video::{PreviewKeys, Record};
use upreel_core::{Bucket, Failure, Fault, Key, Sequencer, Status, Version, VideoId};
use upreel_events::s3::Created;
use upreel_function::App;
use upreel_media::keyframe::HEAD;
use upreel_media::{Error, Source};
use upreel_store::objects::{Head, StoredObject};
use upreel_store::videos::{Processed, UpdateOutcome};

use crate::captions;
use crate::check::replacement;
use crate::failure::failure;
use crate::playback::{self, Prepared};
use crate::previews::{MakePreviews, Previews, Storyboarding};

/// The number of times that one attempt starts over because the object was replaced while it was being read.
const MAX_CHANGES: u32 = 3;
const JPEG: &str = "image/jpeg";

/// An object to process, with the event that announced it.
pub(crate) struct Job<'a> {
    pub(crate) app: &'a App,
    pub(crate) key: &'a Key,
    pub(crate) id: VideoId,
    pub(crate) sequencer: &'a Sequencer,
    pub(crate) deadline: Instant,
    pub(crate) make: MakePreviews,
    /// Whether the reconciler has to examine the row afterwards: it belonged to an earlier event.
    pub(crate) is_examined: bool,
    /// The limits of the user.
    pub(crate) limits: Limits,
}

/// An object to store: its key, its media type and its content.
type Object = (Key, &'static str, Bytes);

/// What was stored for the playback of an object.
#[derive(Default)]
struct Published {
    /// How it can be played; `None` after a fault.
    playback: Option<Playback>,
    /// The captions of the file; none after a fault.
    captions: EmbeddedTracks,
    keys: Vec<Key>,
    /// Whether the object was still there.
    is_current: bool,
    /// Why the video is not accepted.
    refusal: Option<Failure>,
}

impl Job<'_> {
    /// Runs the attempt. With checks, an object that has replaced the one of the event has to pass them first: returns the
    /// event for it.
    pub(crate) async fn run(&mut self, mut head: Head) -> Result<Option<Created>, Fault> {
        for _ in 0..MAX_CHANGES {
            let (previews, published) = self.make(&head).await;
            let published = match published {
                Ok(published) => published,
                Err(Error::Fault(fault)) => return Err(fault),
                Err(_) => Published::default(),
            };
            match previews {
                Ok(previews) if published.is_current => {
                    match &published.refusal {
                        Some(failure) => self.fail(&head, failure).await?,
                        None => self.succeed(previews, published, head).await?,
                    }
                    return Ok(None);
                }
                Err(Error::Fault(fault)) => return Err(fault),
                Ok(_) | Err(Error::Gone) => self.remove_unnamed(&self.version(&head), published.keys).await?,
                Err(error) => {
                    self.fail(&head, &failure(&error, self.app.config.audio)).await?;
                    self.remove_unnamed(&self.version(&head), published.keys).await?;
                    return Ok(None);
                }
            }
            // The object was replaced since the event. The event of the new object may be late or lost, so this attempt
            // processes the new object.
            // The sweep that examines the row then sets right what it counts.
            self.is_examined |= !self.app.config.quotas.is_off();
            let Some(now) = self.app.objects.head(self.key).await? else {
                return self.fail(&head, &Failure::lost()).await.map(|()| None);
            };
            if self.app.config.checks.any() {
                return replacement(self.key, self.sequencer, now).map(Some);
            }
            head = now;
        }
        Err(Fault::message("read the object", "it keeps changing"))
    }

    /// Makes the previews of the object described by `head`, and what its playback needs meanwhile.
    async fn make(&self, head: &Head) -> (Result<Previews, Error>, Result<Published, Error>) {
        let source = match self.source(head).await {
            Ok(source) => source,
            Err(error) => return (Err(error), Ok(Published::default())),
        };
        let image = Key::StoryboardImage(self.id, self.version(head)).file_name();
        let previews = (self.make)(self.app, self.id, &source, &image, self.deadline);
        if self.limits.max_duration_seconds.is_none() && self.limits.types.is_none() {
            return join(previews, self.publish(&source, head)).await;
        }
        // A video that is not accepted must not be playable meanwhile.
        let previews = previews.await;
        let published = match &previews {
            Ok(previews) => match self.limits.refuse(&previews.poster.media_info) {
                None => self.publish(&source, head).await,
                refusal => Ok(Published { is_current: true, refusal, ..Published::default() }),
            },
            Err(_) => Ok(Published::default()),
        };
        (previews, published)
    }

    async fn source(&self, head: &Head) -> Result<Arc<Source>, Error> {
        let max = self.app.config.max_upload_bytes;
        if head.size == 0 || head.size > max {
            return Err(Error::Size { size: head.size, max });
        }
        let object = StoredObject::new(&self.app.objects, self.key, &head.etag);
        Ok(Arc::new(Source::new(head.size, object).without_tag(HEAD).await?))
    }

    /// Stores what the playback needs and records it, so that the video can be played before its previews are made. If the
    /// row belongs to another event by now, whoever records the result finds that, too.
    async fn publish(&self, source: &Arc<Source>, head: &Head) -> Result<Published, Error> {
        let (prepared, index) = playback::prepare(self.id, source, &head.etag, self.app.config.audio).await?;
        let playback = prepared.playback();
        let mut keys = Vec::new();
        if let (Prepared::Hls(remux), Some(playback)) = (prepared, &playback) {
            let objects = playback::objects(self.id, &self.version(head), *remux).map_err(Error::Fault)?;
            keys = self.store(objects).await.map_err(Error::Fault)?;
            let object = (head.size, head.etag.as_str());
            let marked = self.app.videos.mark_playable(self.id, self.sequencer, object, playback);
            marked.await.map_err(Error::Fault)?;
        }
        // The video can be played meanwhile: the texts of a film are in thousands of places.
        let text = captions::read(self.id, source, index.as_ref()).await?;
        let (captions, files) = captions::objects(self.id, &self.version(head), text);
        keys.extend(self.store(files).await.map_err(Error::Fault)?);
        Ok(Published { playback, captions, keys, is_current: true, refusal: None })
    }

    fn version(&self, head: &Head) -> Version {
        Version::new(self.sequencer.clone(), &head.etag)
    }

    /// Stores the previews and records the success.
    async fn succeed(&self, previews: Previews, published: Published, head: Head) -> Result<(), Fault> {
        let version = self.version(&head);
        let has_storyboard = matches!(previews.storyboard, Storyboarding::Made(_));
        let Published { playback, captions, mut keys, .. } = published;
        let incomplete = matches!(previews.storyboard, Storyboarding::Fault) || playback.is_none();
        let hash = previews.poster.blur_hash.clone();
        let peaks = previews.peaks.map(|it| (Key::Peaks(self.id, version.clone()), "application/json", it));
        let names = PreviewKeys::new(self.id, &version, has_storyboard, hash)
            .with_peaks(peaks.as_ref().map(|(key, ..)| key));
        let media_info = previews.poster.media_info.clone();
        let Previews { poster, storyboard, .. } = previews;
        let mut objects = self.storyboard(storyboard, &version);
        objects.extend(peaks);
        let [small, large] = Key::posters(self.id, &version, None);
        objects.extend([(small, JPEG, poster.jpeg), (large, JPEG, poster.large)]);
        keys.extend(self.store(objects).await?);
        let renditions = self.renditions(playback.as_ref(), &media_info);
        let Head { size, etag, .. } = head;
        let processed =
            Processed { size, etag, media_info, previews: names, playback, captions, incomplete, renditions };
        let videos = &self.app.videos;
        match videos.mark_processed(self.id, self.sequencer, &processed, self.is_examined).await? {
            UpdateOutcome::Recorded => Ok(()),
            UpdateOutcome::Superseded => self.remove_unnamed(&version, keys).await,
            UpdateOutcome::Deleted => self.clean_up().await,
        }
    }

    /// Makes what was left out because of a fault: the storyboard or the playback.
    pub(crate) async fn complete(&self, record: &Record) -> Result<(), Fault> {
        let (size, etag) = (record.video.size.unwrap_or_default(), record.etag.clone().unwrap_or_default());
        let head = Head { size, etag, content_type: None };
        let (previews, published) = match self.make(&head).await {
            (Ok(previews), Ok(published)) => (previews, published),
            (Err(Error::Gone), _) | (_, Err(Error::Gone)) => {
                return Err(Fault::message("read the object", "it was replaced"));
            }
            (Err(Error::Fault(fault)), _) | (_, Err(Error::Fault(fault))) => return Err(fault),
            (Err(_), _) | (_, Err(_)) => return self.complete_with(None, None, None).await,
        };
        let Published { playback, captions, mut keys, .. } = published;
        if matches!(previews.storyboard, Storyboarding::Fault) || playback.is_none() {
            return Err(Fault::message("make what was left out", "it failed again"));
        }
        let version = self.version(&head);
        // All videos are transcoded, or nothing is known yet.
        let renditions = if record.transcode.is_none() && record.rungs.is_none() {
            self.renditions(playback.as_ref(), &previews.poster.media_info)
        } else {
            Renditions::default()
        };
        let track = matches!(previews.storyboard, Storyboarding::Made(_))
            .then(|| Key::StoryboardTrack(self.id, version.clone()));
        keys.extend(self.store(self.storyboard(previews.storyboard, &version)).await?);
        // The row has the captions already if it has the playback, without those that the user has removed.
        let captions = if record.video.playback.is_none() { captions } else { EmbeddedTracks::new() };
        let playback = playback.map(|playback| (playback, renditions, captions));
        self.complete_with(track, playback, Some((version, keys))).await
    }

    async fn complete_with(
        &self,
        track: Option<Key>,
        playback: Option<(Playback, Renditions, EmbeddedTracks)>,
        stored: Option<(Version, Vec<Key>)>,
    ) -> Result<(), Fault> {
        let videos = &self.app.videos;
        match videos.complete(self.id, self.sequencer, track.as_ref(), playback).await? {
            UpdateOutcome::Recorded => Ok(()),
            UpdateOutcome::Superseded => match stored {
                Some((version, keys)) => self.remove_unnamed(&version, keys).await,
                None => Ok(()),
            },
            UpdateOutcome::Deleted => self.clean_up().await,
        }
    }

    fn storyboard(&self, storyboard: Storyboarding, version: &Version) -> Vec<Object> {
        let [.., image, track] = Key::previews(self.id, version);
        match storyboard {
            Storyboarding::Made(storyboard) => {
                vec![(image, JPEG, storyboard.jpeg), (track, "text/vtt", storyboard.vtt.into())]
            }
            Storyboarding::None | Storyboarding::Fault => Vec::new(),
        }
    }

    /// Writes objects, and returns their keys. All writes end, even if one fails, so that none is in flight during a later
    /// clean-up.
    async fn store(&self, objects: Vec<Object>) -> Result<Vec<Key>, Fault> {
        let stored = objects.into_iter().map(async |(key, content_type, body)| {
            self.app.objects.store(&key, content_type, body).await.map(|()| key)
        });
        join_all(stored).await.into_iter().collect()
    }

    /// Deletes the objects that this attempt has written, unless the record names them: it no longer belongs to the event,
    /// or another attempt has processed the same object.
    async fn remove_unnamed(&self, version: &Version, stored: Vec<Key>) -> Result<(), Fault> {
        if stored.is_empty() {
            return Ok(());
        }
        let record = self.app.videos.get(self.id).await?;
        if record.as_ref().is_some_and(|record| record.video.status == Status::Deleted) {
            return self.clean_up().await;
        }
        tracing::info!(videoId = %self.id, "superseded by a newer upload, or already processed");
        let is_processed = record.as_ref().is_some_and(|record| {
            record.video.status == Status::Processed && record.version().as_ref() == Some(version)
        });
        let is_kept = |key: &Key| match key {
            // The user has chosen another poster meanwhile, if the row does not name this one.
            Key::Thumbnail(..) | Key::ThumbnailLarge(..) => false,
            // What the row does not name yet may be made by another worker that is about to record it.
            _ => is_processed,
        };
        let is_named = |key: &Key| record.as_ref().is_some_and(|record| record.previews.contains(key));
        let unnamed: Vec<Key> = stored.into_iter().filter(|key| !is_named(key) && !is_kept(key)).collect();
        self.remove(&unnamed).await
    }

    async fn remove(&self, keys: &[Key]) -> Result<(), Fault> {
        for bucket in [Bucket::Thumbnails, Bucket::Processed] {
            let keys = keys.iter().filter(|key| key.bucket() == bucket);
            let keys: Vec<String> = keys.map(ToString::to_string).collect();
            self.app.objects.delete_keys(bucket, &keys).await?;
        }
        Ok(())
    }

    /// Records the failure.
    pub(crate) async fn fail(&self, head: &Head, failure: &Failure) -> Result<(), Fault> {
        let (videos, result) = (&self.app.videos, ((head.size, head.etag.as_str()), failure));
        match videos.mark_failed(self.id, self.sequencer, result, self.is_examined).await? {
            UpdateOutcome::Deleted => self.clean_up().await,
            UpdateOutcome::Recorded | UpdateOutcome::Superseded => Ok(()),
        }
    }
}
