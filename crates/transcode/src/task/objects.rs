//! The objects that tasks store for each other, and the renditions.

use std::ffi::OsStr;
use std::path::Path;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use upreel_core::key::FileName;
use upreel_core::transcode::Run;
use upreel_core::{Fault, Key, Version};
use upreel_media::slice::Slice;

use super::{PARALLEL, Work};
use crate::encode::{Manifest, Object};
use crate::error::Error;
use crate::plan::Plan;

/// The content of `plan.json`: the plan, and the version of the object it was made for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoredPlan {
    pub(super) size: u64,
    pub(super) etag: String,
    pub(super) plan: Plan,
}

impl Work<'_> {
    /// Returns the plan and its hash.
    pub(super) async fn load_plan(&self) -> Result<(StoredPlan, String), Error> {
        let bytes = self.app.objects.load(&self.work_key("plan.json")?).await?;
        let bytes = bytes.ok_or_else(|| Fault::new("read the plan", &Unusable("plan")))?;
        let plan = serde_json::from_slice(&bytes).map_err(|error| Fault::new("read the plan", &error))?;
        Ok((plan, hex::encode(Sha256::digest(&bytes))))
    }

    pub(super) async fn store_slices(&self, slices: Vec<Slice>) -> Result<(), Fault> {
        let store = slices.into_iter().enumerate().map(|(index, slice)| async move {
            let key = self.work_key(&slice_name(index))?;
            self.app.objects.store(&key, "application/octet-stream", slice.to_bytes()).await
        });
        stream::iter(store).buffer_unordered(PARALLEL).try_collect::<()>().await
    }

    pub(super) async fn load_slice(&self, index: usize) -> Result<Slice, Fault> {
        let bytes = self.app.objects.load(&self.work_key(&slice_name(index))?).await?;
        bytes.and_then(Slice::from_bytes).ok_or_else(|| Fault::new("read a slice", &Unusable("slice")))
    }

    /// Returns the manifest of a chunk if the chunk has been encoded by this plan. A manifest that another release
    /// wrote may be unreadable, and counts as missing.
    pub(super) async fn load_manifest(&self, index: usize, plan: &str) -> Result<Option<Manifest>, Fault> {
        let bytes: Option<Bytes> = self.app.objects.load(&self.work_key(&manifest_name(index))?).await?;
        let manifest = bytes.and_then(|bytes| serde_json::from_slice::<Manifest>(&bytes).ok());
        Ok(manifest.filter(|manifest| manifest.plan == plan))
    }

    /// Stores files of the renditions. Those of a rung are beside the playlists of the version with the entity tag `etag`.
    pub(super) async fn store_all(&self, etag: &str, objects: Vec<Object>) -> Result<(), Error> {
        let Run { video_id: id, sequencer: run, .. } = self.run;
        let store = objects.into_iter().map(|Object { name, bytes }| async move {
            let kind = match Path::new(&name).extension().and_then(OsStr::to_str) {
                Some("m3u8") => "application/vnd.apple.mpegurl",
                Some("txt") => "text/plain",
                _ => "video/mp4",
            };
            let key = if self.run.rung.is_some() {
                self.playback_key(etag, &name)?
            } else {
                Key::Rendition { id: *id, run: run.clone(), name: file_name(&name)? }
            };
            self.app.objects.store(&key, kind, bytes).await
        });
        stream::iter(store).buffer_unordered(PARALLEL).try_collect::<()>().await?;
        Ok(())
    }

    pub(super) fn work_key(&self, name: &str) -> Result<Key, Fault> {
        let name = match &self.run.rung {
            Some(rung) => file_name(&format!("{rung}/{name}"))?,
            None => file_name(name)?,
        };
        Ok(Key::Work { id: self.run.video_id, run: self.run.sequencer.clone(), name })
    }

    pub(super) fn playback_key(&self, etag: &str, name: &str) -> Result<Key, Fault> {
        let version = Version::new(self.run.sequencer.clone(), etag);
        Ok(Key::Playback { id: self.run.video_id, version, name: file_name(name)? })
    }

    pub(super) async fn store_json(&self, name: &str, value: &impl Serialize) -> Result<(), Fault> {
        let bytes = serde_json::to_vec(value).map_err(|error| Fault::new("write a manifest", &error))?;
        self.app.objects.store(&self.work_key(name)?, "application/json", bytes.into()).await
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the {0} is missing or invalid")]
pub(super) struct Unusable(pub(super) &'static str);

fn file_name(text: &str) -> Result<FileName, Fault> {
    text.parse().map_err(|error| Fault::new("parse an object name", &error))
}

/// Returns the file name of a chunk's slice.
fn slice_name(index: usize) -> String {
    format!("{index:04}.slice")
}

/// Returns the file name of a chunk's manifest.
pub(super) fn manifest_name(index: usize) -> String {
    format!("{index:04}.json")
}
