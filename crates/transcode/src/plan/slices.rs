//! Slices of the object, which the encoders read instead of the object.

use upreel_core::Failure;
use upreel_core::video::MediaInfo;
use upreel_media::index::StreamId;
use upreel_media::inspect::{AudioStream, Inspection};
use upreel_media::keyframe::CutPoints;
use upreel_media::remux::Timeline;
use upreel_media::rendition::audio_samples;
use upreel_media::slice::{Slice, Wanted};
use upreel_media::{Index, Source};

use super::Plan;
use crate::error::{Error, failure, fall_back_without_index};

/// The failure of a rung of a video whose index was there when its playback was prepared.
fn no_index() -> Error {
    Error::Video(Failure::new(Failure::UNREADABLE, "The index of the video cannot be read."))
}

impl Plan {
    /// Plans the transcoding of an object, in chunks of about `length` seconds if that is given. Also returns a slice
    /// for each chunk, or no slices if the encoders have to read the object itself.
    ///
    /// # Errors
    /// Returns a failure as [`Plan::new`] does, and a fault if the object could not be read.
    pub async fn with_slices(
        source: &Source,
        index: Option<&Index>,
        media_info: &MediaInfo,
        inspection: &Inspection,
        length: Option<f64>,
    ) -> Result<(Self, Vec<Slice>), Error> {
        let plan = |cuts: Option<&CutPoints>, found: Option<&[i64]>| {
            let plan = match (found, length) {
                (Some(starts), _) => Self::with_chunk_starts(media_info, inspection, cuts, starts),
                (None, Some(length)) => Self::with_chunk_length(media_info, inspection, cuts, length),
                (None, None) => Self::new(media_info, inspection, cuts),
            };
            plan.map_err(Error::Video)
        };
        let Some(index) = index else { return Ok((plan(None, None)?, Vec::new())) };
        // If the index reader fails, ffmpeg may still read the file, as one chunk.
        let cuts = match index.cuts(source).await.map_err(Into::into) {
            Ok(cuts) => cuts,
            Err(error) => fall_back_without_index(error)?,
        };
        let Some(cuts) = cuts else { return Ok((plan(None, None)?, Vec::new())) };
        Self::sliced(source, index, cuts, |cuts, found| plan(Some(cuts), found)).await
    }

    /// Plans the encoding of the rung with this name from a position on, see [`Plan::of_rung`]. Also returns its
    /// slices, as [`Plan::with_slices`] does.
    ///
    /// # Errors
    /// As [`Plan::with_slices`] and [`Plan::of_rung`].
    pub async fn of_rung_with_slices(
        source: &Source,
        index: Option<&Index>,
        media_info: &MediaInfo,
        inspection: &Inspection,
        (timeline, rung, from): (&Timeline, &str, u64),
    ) -> Result<(Self, Vec<Slice>), Error> {
        let index = index.ok_or_else(no_index)?;
        let cuts = index.cuts(source).await.map_err(|error| failure(error.into()))?;
        // Without Cues, the film is one chunk.
        let cuts = cuts.unwrap_or_else(|| CutPoints {
            scale: timeline.scale,
            times: timeline.cuts.first().copied().into_iter().collect(),
            ..CutPoints::default()
        });
        let plan = |cuts: &CutPoints, found: Option<&[i64]>| {
            Self::of_rung(media_info, inspection, cuts, timeline, (rung, from), found).map_err(Error::Video)
        };
        let (plan, slices) = Self::sliced(source, index, cuts, plan).await?;
        Ok((plan.named()?, slices))
    }

    /// Makes slices for the chunks of a plan, if the index tells where the samples are. Where the index is wrong about a
    /// keyframe, chunks start elsewhere.
    async fn sliced(
        source: &Source,
        index: &Index,
        mut cuts: CutPoints,
        plan: impl Fn(&CutPoints, Option<&[i64]>) -> Result<Self, Error>,
    ) -> Result<(Self, Vec<Slice>), Error> {
        let planned = plan(&cuts, None)?;
        let starts: Vec<i64> = planned.starts().collect();
        let found = match index.found_cuts(source, &cuts, &starts).await.map_err(Into::into) {
            Ok(found) => found,
            Err(error) => {
                fall_back_without_index::<()>(error)?;
                Some(CutPoints { times: Vec::new(), ..cuts.clone() })
            }
        };
        let mut planned = match &found {
            Some(found) => plan(found, Some(&found.times))?,
            None => planned,
        };
        let audio: Vec<StreamId> = planned.audio.iter().map(AudioStream::identity).collect();
        let points = found.as_ref().unwrap_or(&cuts);
        let slices = match index.slices(source, points, &planned.wanted(), &audio).await.map_err(Into::into) {
            Ok(slices) => slices.filter(|slices| slices.len() == planned.chunks.len()),
            Err(error) => fall_back_without_index(error)?,
        };
        if let Some(slices) = slices {
            let (slices, spans) = slices.into_iter().unzip();
            planned.use_slices(spans);
            return Ok((planned, slices));
        }
        // ffmpeg seeks by the same index.
        if found.is_some_and(|found| !found.times.iter().skip(1).eq(starts.iter().skip(1))) {
            cuts.times.truncate(1);
        }
        cuts.lists_samples = false;
        Ok((plan(&cuts, None)?, Vec::new()))
    }

    /// Returns the times at which chunks start, if there is an index.
    fn starts(&self) -> impl Iterator<Item = i64> {
        self.chunks.iter().filter_map(|chunk| Some(chunk.span?.0))
    }

    /// Returns the samples that the slice of each chunk needs.
    fn wanted(&self) -> Vec<Wanted> {
        let wanted = |chunk: &super::Chunk| {
            let audio = audio_samples(self.origin, self.scale, chunk.audio_frames);
            Some(Wanted { span: chunk.span?, audio })
        };
        self.chunks.iter().filter_map(wanted).collect()
    }

    /// Changes the plan to read slices. `spans` are the time spans of the audio in each of them.
    fn use_slices(&mut self, spans: Vec<Vec<(i64, i64)>>) {
        self.is_sliced = true;
        self.video.stream = 0;
        for (stream, number) in self.audio.iter_mut().zip(1..) {
            stream.stream = number;
        }
        for (chunk, spans) in self.chunks.iter_mut().zip(spans) {
            chunk.audio_spans = spans;
            chunk.seek = None;
        }
    }
}
