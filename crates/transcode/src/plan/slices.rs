//! Slices of the object, which the encoders read instead of the object.

use upreel_core::video::MediaInfo;
use upreel_media::inspect::Inspection;
use upreel_media::keyframe::CutPoints;
use upreel_media::rendition::audio_samples;
use upreel_media::slice::{Slice, Wanted};
use upreel_media::{Index, Source};

use super::Plan;
use crate::error::{Error, fall_back_without_index};

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
        let plan = |cuts: Option<&CutPoints>| {
            let plan = match length {
                Some(length) => Self::with_chunk_length(media_info, inspection, cuts, length),
                None => Self::new(media_info, inspection, cuts),
            };
            plan.map_err(Error::Video)
        };
        let Some(index) = index else { return Ok((plan(None)?, Vec::new())) };
        // If the index reader fails, ffmpeg may still read the file, as one chunk.
        let cuts = match index.cuts(source).await.map_err(Into::into) {
            Ok(cuts) => cuts,
            Err(error) => fall_back_without_index(error)?,
        };
        let Some(mut cuts) = cuts else { return Ok((plan(None)?, Vec::new())) };
        let audio: Option<Vec<u32>> = inspection.audio.iter().map(|stream| stream.id).collect();
        if let Some(audio) = audio.filter(|_| cuts.lists_samples) {
            let mut plan = plan(Some(&cuts))?;
            let slices = match index.slices(source, &plan.wanted(), &audio).await.map_err(Into::into) {
                Ok(slices) => slices,
                Err(error) => fall_back_without_index(error)?,
            };
            if let Some(slices) = slices {
                let (slices, spans) = slices.into_iter().unzip();
                plan.use_slices(spans);
                return Ok((plan, slices));
            }
        }
        cuts.lists_samples = false;
        Ok((plan(Some(&cuts))?, Vec::new()))
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
        }
    }
}
