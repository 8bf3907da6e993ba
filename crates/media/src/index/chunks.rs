//! Where a video is cut into chunks.

use super::{Index, StreamId, Track};
use crate::keyframe::{CutPoints, Error};
use crate::slice::{Sliced, Wanted};
use crate::source::Source;

impl Index {
    /// Returns the points where the video can be cut, or `None` if the index does not contain them.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn cuts(&self, source: &Source) -> Result<Option<CutPoints>, Error> {
        match &self.track {
            Track::Mp4(track) => Ok(track.cuts(source).await?.map(|mut cuts| {
                cuts.times.sort_unstable();
                cuts.times.dedup();
                cuts
            })),
            Track::Matroska(track) => track.cuts(source).await,
            Track::Avi(_) | Track::Stream(_) => Ok(None),
        }
    }

    /// Finds the keyframes at which chunks are to start, if the index can be wrong about them. Returns the cut points that
    /// were found: a keyframe of another time where the index is wrong, or none. Returns `None` if the index lists all
    /// samples, so that every cut point is one.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn found_cuts(
        &self,
        source: &Source,
        cuts: &CutPoints,
        starts: &[i64],
    ) -> Result<Option<CutPoints>, Error> {
        let Track::Matroska(track) = &self.track else { return Ok(None) };
        Ok(Some(track.found_cuts(source, cuts, starts).await?))
    }

    /// Returns a slice for each of the `wanted` chunks, with the film and these audio streams, and the time span in which
    /// each audio stream is presented. The chunks start at these `cuts`, which were found if the index can be wrong about
    /// them ([`Index::found_cuts`]). Returns `None` if the index does not tell where the samples are: then ffmpeg has to
    /// find them in the object.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn slices(
        &self,
        source: &Source,
        cuts: &CutPoints,
        wanted: &[Wanted],
        audio: &[StreamId],
    ) -> Result<Option<Vec<Sliced>>, Error> {
        match &self.track {
            Track::Mp4(track) => track.slices(source, wanted, audio).await,
            Track::Matroska(track) => Ok(track.slices(cuts, wanted, audio)),
            Track::Avi(_) | Track::Stream(_) => Ok(None),
        }
    }
}
