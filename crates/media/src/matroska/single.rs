//! Wraps keyframes of other containers as Matroska. It is the container that carries every codec, and a description of
//! the track is not needed if the frames have their headers.

use bytes::Bytes;

use super::ebml::{id, put};
use super::layout::DocType;
use super::wrap;

/// The codec of a video track, as Matroska names it (<https://www.matroska.org/technical/codec_specs.html>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Codec {
    /// The `CodecID`.
    pub(crate) id: &'static str,
    /// The `CodecPrivate`: the decoder's configuration. Empty if the frames contain it.
    pub(crate) private: Bytes,
    /// Width and height in pixels. 0 if only the frames tell.
    pub(crate) size: (u32, u32),
    /// Width and height of a pixel, as a ratio, if the container states them.
    pub(crate) aspect: Option<(u32, u32)>,
}

impl Codec {
    /// The identifier of codecs that Matroska has no name for. Their frames have decoding times only.
    pub(crate) const VIDEO_FOR_WINDOWS: &str = "V_MS/VFW/FOURCC";

    /// Wraps keyframes as a file for ffmpeg; each lasts one second. Those that are `None` are left out.
    pub(crate) fn wrap(&self, frames: impl Iterator<Item = Option<Bytes>>) -> Vec<Bytes> {
        // The number 1, as a variable-size integer.
        const TRACK: &[u8] = &[0x81];
        let mut video = Vec::new();
        // ffmpeg rejects 0, and corrects 1 by the frames.
        put(&mut video, id::PIXEL_WIDTH, &self.size.0.max(1).to_be_bytes());
        put(&mut video, id::PIXEL_HEIGHT, &self.size.1.max(1).to_be_bytes());
        if let Some((across, down)) = self.aspect {
            let side = |pixels: u32, of_pixel: u32| (u64::from(pixels) * u64::from(of_pixel)).to_be_bytes();
            put(&mut video, id::DISPLAY_UNIT, &[3]);
            put(&mut video, id::DISPLAY_WIDTH, &side(self.size.0, across));
            put(&mut video, id::DISPLAY_HEIGHT, &side(self.size.1, down));
        } else {
            // The aspect ratio is unknown, so that of the frames counts.
            put(&mut video, id::DISPLAY_UNIT, &[4]);
        }
        let mut data = Vec::new();
        put(&mut data, id::TRACK_NUMBER, &[1]);
        put(&mut data, id::TRACK_TYPE, &[1]);
        put(&mut data, id::CODEC_ID, self.id.as_bytes());
        if !self.private.is_empty() {
            put(&mut data, id::CODEC_PRIVATE, &self.private);
        }
        put(&mut data, id::VIDEO, &video);
        let mut entry = Vec::new();
        put(&mut entry, id::TRACK_ENTRY, &data);
        wrap::wrap(DocType::Matroska, &entry, frames.map(|frame| Some((Bytes::from_static(TRACK), frame?))))
    }
}
