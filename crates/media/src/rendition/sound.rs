//! Encodes audio without a film: that of a segment, when a player requests it.

use std::path::Path;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Instant;
use upreel_core::Container;

use super::aac::Encoder;
use super::{graph, pcm};
use crate::child::Limits;
use crate::error::{self, Error};
use crate::ffmpeg::{self, Input, Pass};
use crate::inspect::AudioStream;

/// Somebody waits for the segment. The memory is that for a few frames.
const LIMITS: Limits = Limits { cpu_seconds: 10, ..Limits::FEW_FRAMES };

/// Audio to encode. All times are in samples at 48 kHz.
#[derive(Debug, Clone)]
pub(crate) struct Audio {
    /// The container of the file to decode.
    pub(crate) container: Container,
    /// The file, which has one stream.
    pub(crate) file: Vec<Bytes>,
    /// When the conversion of the sample rate starts, if not with the first sample: a time in ticks, and the ticks per second.
    pub(crate) from: Option<(i64, u32)>,
    /// The samples to encode: from the first (inclusive) to the second (exclusive).
    pub(crate) samples: (i64, i64),
    /// When the stream is presented. Other samples are silent.
    pub(crate) presented: (i64, i64),
}

/// Encodes audio with the `ffmpeg` program, which is killed at `deadline`. Returns a fragmented MP4.
///
/// # Errors
/// Returns [`Error::Fault`] for a fault on our or AWS's side. All other errors are permanent for this file.
pub(crate) async fn encode(audio: &Audio, ffmpeg: &Path, deadline: Instant) -> Result<Bytes, Error> {
    let attempts = async {
        match attempt(audio, false, ffmpeg, deadline).await {
            // There is no conversion to stereo if it is not known where the channels belong.
            Err(Error::Unreadable(_)) => attempt(audio, true, ffmpeg, deadline).await,
            other => other,
        }
    };
    error::run("encode audio", deadline, attempts).await
}

async fn attempt(audio: &Audio, is_discrete: bool, ffmpeg: &Path, deadline: Instant) -> Result<Bytes, Error> {
    let (start, end) = audio.samples;
    let (from, until) = (audio.presented.0.max(start), audio.presented.1.min(end));
    let stream = AudioStream { is_discrete, ..AudioStream::default() };
    let graph = graph::audio(&stream, 0, audio.from, from, Some(until));
    let decode = async |decoders: Vec<mpsc::Sender<Bytes>>| {
        let output = [&["-map", "[a0]"], pcm::OUTPUT].concat();
        let pass = Pass {
            log_level: "error",
            options: &["-threads", "1", "-copyts"],
            graphs: &[&graph],
            outputs: &[&output],
            streams: decoders,
            limits: LIMITS,
        };
        ffmpeg::run_whole(ffmpeg, &Input::File(audio.container, audio.file.clone()), pass, deadline).await
    };
    let encoder = Encoder { ffmpeg, limits: LIMITS, deadline };
    let ((), files) = encoder.encode_streams((start, &[until]), decode, |_, _| ((), end)).await?;
    Ok(files.into_iter().next().unwrap_or_default())
}
