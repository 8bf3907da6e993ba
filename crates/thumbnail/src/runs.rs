//! What is or may be transcoded of a video that was processed.

use upreel_core::playback::Playback;
use upreel_core::transcode::{Renditions, Run, Transcode};
use upreel_core::video::MediaInfo;
use upreel_core::{Fault, Status};
use upreel_media::ladder;

use crate::job::Job;

impl Job<'_> {
    /// Returns the run to transcode, if the video is processed and its transcoding has not begun. A repeated event
    /// returns it as well, because the previous attempt may have ended before it started the execution.
    pub(crate) async fn pending_run(&self) -> Result<Option<Run>, Fault> {
        let config = &self.app.config;
        if config.state_machine.is_none() || config.transcodes_when_watched {
            return Ok(None);
        }
        let record = self.app.videos.get(self.id).await?.filter(|record| {
            record.video.status == Status::Processed
                && record.sequencer.as_ref() == Some(self.sequencer)
                && !record.video.media_info.is_audio()
                && record.transcode.as_ref().is_none_or(Transcode::is_waiting)
        });
        let sequencer = self.sequencer.clone();
        Ok(record.map(|record| Run { video_id: self.id, key: record.key, sequencer, rung: None }))
    }

    /// Returns what is or may be transcoded. When renditions are encoded only if a player requests them, these are
    /// the rungs smaller than the original, and one of its size if it is not H.264; or the whole ladder, if players cannot
    /// play the original. Without a film, there is nothing to transcode.
    pub(crate) fn renditions(&self, playback: Option<&Playback>, media_info: &MediaInfo) -> Renditions {
        let (config, sequencer) = (&self.app.config, || self.sequencer.clone());
        let whole = |transcode| Renditions { transcode: Some(transcode), rungs: None };
        match playback {
            _ if config.state_machine.is_none() || media_info.is_audio() => Renditions::default(),
            _ if !config.transcodes_when_watched => whole(Transcode::waiting(sequencer())),
            None => Renditions::default(),
            Some(playback) if !playback.is_hls() => whole(Transcode::offered(sequencer())),
            Some(_) => {
                let rungs = ladder::beside_original(media_info);
                let rungs = rungs.into_iter().map(|rung| (rung.name, Transcode::offered(sequencer())));
                Renditions { transcode: None, rungs: Some(rungs.collect()) }
            }
        }
    }
}
