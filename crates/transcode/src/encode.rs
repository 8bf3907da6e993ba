//! One part of a video: its segments, and a manifest that says what they are.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use upreel_core::Fault;
use upreel_media::rendition::{self, AAC_FRAME, Encoded, SAMPLE_RATE};
use upreel_media::{Error, Source};

use crate::plan::Plan;
use upreel_media::cmaf::{self, File, Segment};

/// The name of the sound among the tracks.
pub(crate) const AUDIO: &str = "audio";
/// More segments than a part ever has.
const NUMBERS: usize = 1000;

/// Something to be stored beside the playlists.
#[derive(Debug)]
pub struct Object {
    /// Where, such as `v720/0003-01.m4s`.
    pub name: String,
    /// What is in it.
    pub bytes: Bytes,
}

/// What a part has become.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Which part.
    pub index: usize,
    /// How many pictures it has.
    pub pictures: usize,
    /// For each size, then for the sound if there is any.
    pub tracks: Vec<Track>,
}

/// A track of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Track {
    /// The folder.
    pub name: String,
    /// As in the `CODECS` attribute (RFC 6381).
    pub codec: String,
    /// A hash of the initialization segment: all parts must have the same.
    pub init: String,
    /// In the order of time.
    pub segments: Vec<Entry>,
}

/// A segment of a track.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The file in the folder.
    pub name: String,
    /// Ticks; those of sound are samples.
    pub duration: u64,
    /// How many.
    pub bytes: usize,
    /// How many there are up to the end of the first picture.
    pub first: usize,
}

/// Encodes a part of the video in `source`.
///
/// # Errors
/// See [`Error`]: all but `Fault` say something about the object, and would come again.
pub async fn encode(
    source: &Arc<Source>,
    plan: &Plan,
    index: usize,
    ffmpeg: &Path,
    deadline: Instant,
) -> Result<(Manifest, Vec<Object>), Error> {
    let bad = |error: &(dyn std::error::Error + 'static)| Error::Fault(Fault::new("encode a part", error));
    let part = plan.parts.get(index).ok_or_else(|| bad(&NoPart(index)))?;
    let job = rendition::Part {
        container: plan.container,
        color_transfer: plan.color_transfer.as_deref(),
        scale: plan.scale,
        span: part.span,
        seek: part.seek.clone(),
        segment: part.segment,
        audio: part.audio.filter(|_| plan.audio),
    };
    let rungs: Vec<rendition::Rung<'_>> = plan.rungs.iter().map(crate::ladder::Rung::to_encode).collect();
    let encoded = rendition::encode(source, &job, &rungs, ffmpeg, deadline).await?;

    let mut times = encoded.times;
    match (part.span, times.first()) {
        (_, None) => return Err(Error::Unreadable("a part without pictures".to_owned())),
        // ffmpeg has sought elsewhere: the pictures before would be missing.
        (Some((start, _)), Some(first)) if index > 0 && *first != start => {
            return Err(Error::Unreadable(format!("a part that begins at {first}, not at {start}")));
        }
        _ => {}
    }
    for time in &mut times {
        *time = time.saturating_sub(plan.origin).max(0);
    }
    let pictures = times.len();
    let end = part.span.and_then(|(_, end)| end).map(|end| end - plan.origin);

    let mut made = Made { index, tracks: Vec::new(), objects: Vec::new() };
    for (rung, bytes) in plan.rungs.iter().zip(encoded.videos) {
        let file = File::read(bytes).map_err(|e| bad(&e))?;
        let segments = cmaf::video(&file, &times, end, plan.step, made.number()).map_err(|e| bad(&e))?;
        made.add(&rung.name, &file, segments).map_err(|e| bad(&e))?;
    }
    if let Some((bytes, (first, end))) = encoded.audio.zip(part.audio) {
        let file = File::read(bytes).map_err(|e| bad(&e))?;
        let all = &file.samples;
        // Counted from the end, which is the same also where there was nothing but silence; without an end from
        // the start, where there may be nothing.
        let heard = match end.map(|end| usize::try_from(end - first).unwrap_or(0)) {
            Some(wanted) => {
                let to = all.len().saturating_sub(Encoded::OVERLAP);
                to.checked_sub(wanted).map(|from| &all[from..to]).ok_or_else(|| bad(&Short(all.len())))?
            }
            None => &all[Encoded::WARM_UP.min(all.len())..],
        };
        let segments = made.tracks.first().map_or(1, |track| track.segments.len());
        let segments =
            cmaf::audio(&file, heard, first * AAC_FRAME - plan.origin_in_samples(), segments, made.number());
        made.add(AUDIO, &file, segments).map_err(|e| bad(&e))?;
    }
    Ok((Manifest { index, pictures, tracks: made.tracks }, made.objects))
}

#[derive(Debug, thiserror::Error)]
#[error("the plan has no part {0}")]
struct NoPart(usize);

#[derive(Debug, thiserror::Error)]
#[error("{0} frames of sound are too few")]
struct Short(usize);

impl Plan {
    /// [`Plan::origin`] on the clock of the sound.
    #[must_use]
    pub fn origin_in_samples(&self) -> i64 {
        let samples = i128::from(self.origin) * i128::from(SAMPLE_RATE) / i128::from(self.scale.max(1));
        i64::try_from(samples).unwrap_or(0)
    }
}

struct Made {
    index: usize,
    tracks: Vec<Track>,
    objects: Vec<Object>,
}

impl Made {
    /// The number of the first segment of this part (`mfhd`): they ascend from part to part.
    fn number(&self) -> u32 {
        u32::try_from(self.index * NUMBERS + 1).unwrap_or(u32::MAX)
    }

    fn add(&mut self, name: &str, file: &File, segments: Vec<Segment>) -> Result<(), cmaf::Unexpected> {
        let init = cmaf::init(file);
        let hash = base64_simd::URL_SAFE_NO_PAD.encode_to_string(Sha256::digest(&init));
        // The sound may end before the last part, and each that has some can say how it begins.
        if self.index == 0 || name == AUDIO {
            self.objects.push(Object { name: format!("{name}/init.mp4"), bytes: init.into() });
        }
        let mut entries = Vec::with_capacity(segments.len());
        for (i, Segment { bytes, duration, first }) in segments.into_iter().enumerate() {
            let entry =
                Entry { name: format!("{:04}-{i:02}.m4s", self.index), duration, bytes: bytes.len(), first };
            self.objects.push(Object { name: format!("{name}/{}", entry.name), bytes: bytes.into() });
            entries.push(entry);
        }
        let codec = file.codec()?;
        self.tracks.push(Track { name: name.to_owned(), codec, init: hash, segments: entries });
        Ok(())
    }
}
