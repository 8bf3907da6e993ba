//! What a rung needs of the original, and how players learn about it.

use upreel_core::Fault;
use upreel_core::playback::{self, PLANNED, VARIANT};
use upreel_media::hls::{self, Video};
use upreel_media::remux::{ORIGINAL, Original};
use upreel_store::videos::UpdateOutcome;

use super::Work;
use super::objects::Unusable;
use crate::encode::{Manifest, Object};
use crate::error::Error;
use crate::plan::Plan;

/// Attempts to publish a rung. One fails only if another rung was completed meanwhile, and a ladder has four.
const MAX_ATTEMPTS: usize = 10;

impl Work<'_> {
    /// Returns what was stored of the original with the entity tag `etag` for its rungs.
    pub(super) async fn load_original(&self, etag: &str) -> Result<Original, Fault> {
        let bytes = self.app.objects.load(&self.playback_key(etag, ORIGINAL)?).await?;
        let bytes = bytes.ok_or_else(|| Fault::new("read original.json", &Unusable("original.json")))?;
        serde_json::from_slice(&bytes).map_err(|error| Fault::new("read original.json", &error))
    }

    /// Stores what players need to play a rung before it is complete, besides the initialization segment: its playlist
    /// with all segments, and its variant for the master playlist. The first chunk does it, so that the codec is known.
    pub(super) async fn announce(&self, plan: &Plan, manifest: &Manifest, etag: &str) -> Result<(), Error> {
        let rung = manifest.tracks.first().and_then(|track| plan.planned(&track.codec));
        let rung = rung.ok_or_else(|| Fault::new("write a playlist", &Unusable("plan")))?;
        let name = &rung.rendition.name;
        let variant = hls::variant(&rung, self.load_original(etag).await?.sound.as_ref());
        let objects = [(PLANNED, rung.rendition.media_playlist()), (VARIANT, variant)];
        let object =
            |(file, text): (&str, String)| Object { name: format!("{name}/{file}"), bytes: text.into() };
        self.store_all(etag, objects.map(object).into()).await
    }

    /// Stores the playlist of a rung, and a master playlist with the rung, and records that it can be played.
    ///
    /// The master playlist is that of the rungs that can be played by now, with a further variant. If another rung is
    /// completed meanwhile, it is made again.
    pub(super) async fn publish(&self, rung: &Video, etag: &str) -> Result<UpdateOutcome, Error> {
        let name = &rung.rendition.name;
        let sound = self.load_original(etag).await?.sound;
        let playlist = rung.rendition.media_playlist().into();
        let mut objects = vec![Object { name: format!("{name}/index.m3u8"), bytes: playlist }];
        for _ in 0..MAX_ATTEMPTS {
            let Some(record) = self.record().await? else { return Ok(UpdateOutcome::Superseded) };
            let rungs = record.rungs.iter().flatten().map(|(name, _)| name.as_str());
            let rungs =
                rungs.filter(|other| other == name || record.playable_rungs().any(|done| done == *other));
            let master = playback::master(rungs);
            let before = self.app.objects.load(&self.playback_key(etag, &record.master())?).await?;
            let before = before.ok_or_else(|| Fault::new("read a playlist", &Unusable("playlist")))?;
            let variant = hls::variant(rung, sound.as_ref());
            objects.push(Object { name: master, bytes: [&before[..], variant.as_bytes()].concat().into() });
            self.store_all(etag, std::mem::take(&mut objects)).await?;
            match self.app.videos.mark_rung_encoded(self.run, &record).await? {
                UpdateOutcome::Superseded if self.is_running().await? => {}
                outcome => return Ok(outcome),
            }
        }
        Err(Fault::message("record a rung", "another rung was completed during every attempt").into())
    }
}
