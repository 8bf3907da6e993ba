//! Makes the poster that a user chooses.

use bytes::Bytes;

use super::{Found, Images};
use crate::error::{self, Error};
use crate::filters::Filters;
use crate::frame::Frame;
use crate::poster::{graph, outputs};

/// A poster in two sizes.
#[derive(Debug)]
pub struct Chosen {
    /// The poster as a JPEG, upright, 640 pixels wide.
    pub jpeg: Bytes,
    /// The poster as a JPEG, upright, 1280 pixels wide.
    pub large: Bytes,
    /// The poster's `BlurHash`.
    pub blur_hash: String,
}

impl Images<'_> {
    /// Makes a poster of the frame that is presented at a time in milliseconds. The arguments are those of
    /// [`Images::frame`].
    ///
    /// # Errors
    /// As [`Images::frame`].
    pub async fn poster(&self, segments: Option<Vec<Bytes>>, ms: u64) -> Result<Chosen, Error> {
        let made = async {
            let found = self.find(segments, ms).await?;
            let frame = match self.poster_of(&found, &found.last_frame()).await {
                Err(Error::Unreadable(_)) => self.poster_of(&found, "").await?,
                made => made?,
            };
            Ok(Chosen { blur_hash: frame.blur_hash(), jpeg: frame.jpeg, large: frame.large })
        };
        error::run("make a poster", self.deadline, made).await
    }

    async fn poster_of(&self, found: &Found<'_>, select: &str) -> Result<Frame, Error> {
        let opaque = Filters::of_video(self.media_info, false);
        let (frame, filters) = self.decode(found, select, opaque).await?;
        if filters.alpha {
            return Ok(self.decode(found, select, Filters { alpha: true, ..opaque }).await?.0);
        }
        Ok(frame)
    }

    async fn decode(
        &self,
        found: &Found<'_>,
        select: &str,
        filters: Filters,
    ) -> Result<(Frame, Filters), Error> {
        let graph = graph(found.film, select, filters, self.media_info.width);
        let (outputs, stderr) =
            outputs(self.ffmpeg, &found.input, found.options, &graph, "1", &self.budget, self.deadline)
                .await?;
        let [small, large, pixels] = outputs;
        let frame = Frame::split(small, large, pixels).into_iter().next();
        let frame = frame.ok_or_else(|| Error::Unreadable("no complete frame".to_owned()))?;
        Ok((frame, found.film.report(&stderr).filters()))
    }
}
