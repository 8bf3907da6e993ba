//! Makes the segments of audio that has to be encoded.

use std::path::Path;

use bytes::Bytes;
use tokio::time::Instant;
use upreel_core::Container;

use super::encoded::{Encoding, ORIGIN, gcd, input, silence};
use crate::cmaf::{self, File};
use crate::error::Error;
use crate::matroska;
use crate::mp4::STEREO_SILENCE;
use crate::rendition::{self, AAC_FRAME, Encoded, SAMPLE_RATE, convert};

/// Audio of a segment that was read, and has to be encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encodable {
    pub(super) encoding: Encoding<Bytes>,
    /// The samples as they are, as a fragment.
    pub(super) fragment: Bytes,
}

impl Encodable {
    /// Makes the segment with the `ffmpeg` program, which is killed at `deadline`. Audio that cannot be decoded is replaced
    /// by silence, because without the segment players would not play the film, either.
    ///
    /// # Errors
    /// Returns [`Error::Fault`] for a fault on our or AWS's side: a retry can succeed.
    pub async fn encode(&self, ffmpeg: &Path, deadline: Instant) -> Result<Bytes, Error> {
        match self.encoded(ffmpeg, deadline).await {
            Err(error) if error.is_permanent() => {
                tracing::warn!(%error, "audio cannot be decoded, its segment is silent");
                self.silence().ok_or(error)
            }
            made => made,
        }
    }

    async fn encoded(&self, ffmpeg: &Path, deadline: Instant) -> Result<Bytes, Error> {
        let Encoding { init, number, frames, span } = &self.encoding;
        let unusable = |error: &str| Error::Unreadable(error.to_owned());
        let moved = |time: i64| time.saturating_add(ORIGIN * i64::from(SAMPLE_RATE));
        if span.is_empty() {
            return self.silence().ok_or_else(|| unusable("too many frames"));
        }
        let (container, file, from) = match matroska::decoder_file(init, &self.fragment) {
            Some((file, rate)) => (Container::Mkv, file, Some((aligned(span.start, rate), rate))),
            None => (Container::Mp4, vec![init.clone(), self.fragment.clone()], None),
        };
        let audio = rendition::Audio {
            container,
            file,
            from,
            samples: input(frames, ORIGIN),
            presented: (moved(span.start), moved(span.end)),
        };
        let encoded = rendition::encode_audio(&audio, ffmpeg, deadline).await?;
        let file = File::read(encoded).map_err(|error| unusable(&error.to_string()))?;
        let count = usize::try_from(frames.end - frames.start).unwrap_or(0);
        let kept = file.samples.get(Encoded::WARM_UP..Encoded::WARM_UP + count);
        let kept = kept.ok_or_else(|| unusable("the encoder returned too few frames"))?;
        let start = frames.start.saturating_mul(AAC_FRAME);
        let segment = cmaf::audio(&file, kept, start, 1, *number).into_iter().next();
        segment.map(|segment| segment.bytes.into()).ok_or_else(|| unusable("a segment without frames"))
    }

    fn silence(&self) -> Option<Bytes> {
        let Encoding { number, frames, .. } = &self.encoding;
        let (head, samples) = silence(*number, frames)?;
        Some([head, STEREO_SILENCE.repeat(samples.len())].concat().into())
    }
}

/// Returns when the conversion of the sample rate starts for samples from a time on, at 48 kHz: a little before it, and whole
/// samples of both rates after the start of the presentation. Conversions that start so have the same result.
fn aligned(start: i64, rate: u32) -> i64 {
    let scale = i64::from(rate.max(1));
    let step = scale / gcd(scale, i64::from(SAMPLE_RATE));
    let from = convert(start, SAMPLE_RATE, rate).saturating_sub(scale / 100).div_euclid(step) * step;
    from.saturating_add(ORIGIN * scale).max(0)
}
