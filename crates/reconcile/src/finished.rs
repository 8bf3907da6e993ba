//! Rows whose processing has ended: their transcoding, the objects of earlier uploads, and deletions.

use upreel_core::limits::{MAX_REPLAYS, Wait};
use upreel_core::playback::Playback;
use upreel_core::transcode::{Run, Transcode, TranscodeStatus};
use upreel_core::video::Record;
use upreel_core::{Failure, Fault, Key, Status};
use upreel_store::videos::Attention;

use crate::Workers;
use crate::sweep::{Examined, Sweep};

impl<W: Workers> Sweep<'_, W> {
    /// Handles a row whose processing has ended: the objects of earlier uploads, and the transcoding.
    pub(crate) async fn finished(&self, record: &Record) -> Result<Examined, Fault> {
        let superseded = self.delete_superseded(record).await?;
        let can_run = self.app.config.state_machine.is_some() && record.video.status == Status::Processed;
        let unfinished = record.transcodes().filter(|(_, transcode)| can_run && transcode.can_resume());
        let unfinished: Vec<_> = unfinished.collect();
        if !unfinished.is_empty() {
            return self.transcoding(record, unfinished).await;
        }
        self.postpone(record, None, Attention::CleanedUp).await?;
        Ok(if superseded > 0 { Examined::Healed } else { Examined::Nothing })
    }

    /// Starts the first of the runs again that neither is running nor was started too often. The others follow in the next
    /// sweep that examines the row.
    async fn transcoding(
        &self,
        record: &Record,
        unfinished: Vec<(Run, &Transcode)>,
    ) -> Result<Examined, Fault> {
        let wait = self.limits().get(Wait::Transcode);
        let mut is_running = false;
        for (run, transcode) in &unfinished {
            if self.workers.is_transcoding(run, transcode.restarts).await? {
                is_running = true;
            } else if transcode.restarts < MAX_REPLAYS {
                if self.postpone(record, wait, Attention::Restart(run, transcode.restarts)).await? {
                    self.workers.transcode(run, transcode.restarts + 1).await?;
                }
                return Ok(Examined::Healed);
            } else if transcode.status == TranscodeStatus::Running {
                let message = "Transcoding failed on our side.";
                let failure = Failure::new(Failure::INTERNAL, message);
                self.app.videos.mark_transcode_failed(run, &failure, Some(transcode)).await?;
                return Ok(Examined::stuck(record));
            }
        }
        if is_running {
            self.postpone(record, wait, Attention::CleanedUp).await?;
            return Ok(Examined::Nothing);
        }
        self.postpone(record, None, Attention::CleanedUp).await?;
        Ok(Examined::stuck(record))
    }

    /// Deletes what was made for earlier events of the row, and previews that it does not name. Returns the number of
    /// deleted objects.
    async fn delete_superseded(&self, record: &Record) -> Result<usize, Fault> {
        let mut deleted = 0;
        if record.superseded().is_empty() {
            return Ok(deleted);
        }
        for folder in Key::folders(record.video.video_id) {
            let is_superseded = |key: &str| match key.parse::<Key>() {
                // A request may be about to name it. The row was read before the folder.
                Ok(Key::Thumbnail(_, version, Some(_)) | Key::ThumbnailLarge(_, version, Some(_)))
                    if record.version().as_ref() == Some(&version) =>
                {
                    false
                }
                Ok(key) => !is_named(record, &key) && key.sequencer() <= record.sequencer.as_ref(),
                Err(_) => false,
            };
            deleted += self.app.objects.delete_folder(&folder, is_superseded).await?;
        }
        Ok(deleted)
    }

    pub(crate) async fn deleted(&self, record: &Record) -> Result<Examined, Fault> {
        let key: Option<Key> = record.key.parse().ok();
        let exists = match &key {
            Some(key) => self.app.objects.head(key).await?.is_some(),
            None => false,
        };
        let key = key.filter(|_| exists);
        let found = self.app.objects.delete_video(record.video.video_id, key.as_ref()).await?;
        let found = found + usize::from(exists);
        // Again after each pass that has found objects.
        let is_invalidated = record.clean_passes > 0 || self.app.invalidate_again(record).await?;
        let deletion = self.limits().deletion;
        let (next, passes) = match (found, record.clean_passes) {
            _ if !is_invalidated => (Some(deletion), 0),
            (0, 0) => (Some(deletion * 3), 1),
            (0, passes) => (None, passes + 1),
            _ => (Some(deletion), 0),
        };
        self.postpone(record, next, Attention::CleanPasses(passes)).await?;
        Ok(if found > 0 { Examined::Healed } else { Examined::Nothing })
    }
}

/// Returns whether a row refers to an object, or may soon: what is made for its present event.
pub(crate) fn is_named(record: &Record, key: &Key) -> bool {
    let is_own = key.sequencer() == record.sequencer.as_ref();
    let is_present = |version| record.version().as_ref() == Some(version);
    match key {
        _ if record.video.status == Status::Deleted => false,
        Key::Video { .. } => true,
        Key::Captions(_, id) => record.captions.iter().flatten().any(|(_, track)| track.id == *id),
        Key::Rendition { .. } => is_own && record.transcode.is_some(),
        Key::Work { .. } => is_own && record.transcodes().next().is_some(),
        Key::Playback { name, .. } if name.is_of_captions() => {
            record.embedded_captions().any(|(_, _, named)| named == *key)
                || (is_own && is_in_progress(record))
        }
        Key::Playback { version, .. } => {
            let is_played = record.video.playback.as_ref().is_some_and(Playback::is_hls);
            (is_played && is_present(version)) || (is_own && is_in_progress(record))
        }
        // Also the images of an original that cannot be played by HLS.
        Key::Segment { version, .. } => {
            let is_processed = record.video.status == Status::Processed;
            (is_processed && is_present(version)) || (is_own && is_in_progress(record))
        }
        _ => record.previews.contains(key) || (is_own && is_in_progress(record)),
    }
}

/// Returns whether objects may be made for the row that it does not name yet.
fn is_in_progress(record: &Record) -> bool {
    record.is_in_progress() || record.incomplete
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use upreel_core::id::Choice;
    use upreel_core::video::PreviewKeys;
    use upreel_core::{Sequencer, UserId, Version, VideoId};

    use super::*;

    #[test]
    fn images_and_the_poster_of_the_present_version_are_named() {
        let (id, user): (_, UserId) = (VideoId::new(), "u".parse().unwrap());
        let key = Key::Video { user: user.clone(), id, container: None };
        let now = SystemTime::now();
        let mut record = Record::pending(&key, (user, "a.ts".to_owned(), "video/mp2t".to_owned()), now, now);
        let version = |etag| Version::new(Sequencer::lowest(), etag);
        record.video.status = Status::Processed;
        record.video.playback = Some(Playback::original("CONTAINER"));
        record.sequencer = Some(Sequencer::lowest());
        record.etag = Some("a".to_owned());
        let choices = [Some(Choice::random()), Some(Choice::random()), None];
        let [chosen, other, automatic] = choices.map(|choice| Key::Thumbnail(id, version("a"), choice));
        record.previews = PreviewKeys { thumbnail_key: Some(chosen.to_string()), ..PreviewKeys::default() };
        let image = |etag| {
            let name = "images/0-640x360.jpg".parse().unwrap();
            Key::Segment { id, version: version(etag), name }
        };
        for (key, expected) in
            [(chosen, true), (other, false), (automatic, false), (image("a"), true), (image("b"), false)]
        {
            assert_eq!(is_named(&record, &key), expected, "{key}");
        }
        record.video.status = Status::Failed;
        assert!(!is_named(&record, &image("a")));
    }
}
