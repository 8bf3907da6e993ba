//! Encodes a chunk of a video to H.264 and AAC, all rungs of the ladder from one read and one decode.
//!
//! Chunks are cut to the tick, so that independently encoded chunks join without gaps: every frame is in exactly one
//! chunk, whatever the storage order of frames.
//!
//! Audio is decoded by the same process, which passes it on with its timestamps. It is placed here on the samples of
//! the chunk, with silence where there is none, and encoded by a second process: so the audio is as long as the video,
//! and nothing that happens in the source shifts it. It is cut on a grid of AAC frames that all chunks share. Each
//! chunk's audio encoder starts a few AAC frames early, to reach a steady state.

mod aac;
mod end;
mod graph;
mod pcm;
mod placer;
mod sound;

use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Instant;
use upreel_core::Container;

use self::aac::Encoder;
pub use self::end::audio_samples;
pub(crate) use self::end::convert;
pub(crate) use self::sound::{Audio, encode as encode_audio};
use crate::child::Limits;
use crate::error::{self, Error};
use crate::ffmpeg::{self, Input, Pass};
use crate::inspect::{AudioStream, VideoStream};
use crate::source::Source;
use crate::stream::joined;

/// Sample rate of the encoded audio, in Hz.
pub const SAMPLE_RATE: u32 = 48_000;
/// Samples in an AAC frame.
pub const AAC_FRAME: i64 = 1024;
/// AAC frames to encode before the first one that is kept, because the encoder starts from silence.
const WARM_UP: i64 = 4;
/// AAC frames to encode after the last one that is kept. Consecutive AAC frames overlap, and one decodes to noise next
/// to a frame that was encoded differently. The encoder looks one frame ahead: an attack there changes the window.
const OVERLAP: i64 = 2;
/// Ticks per second for videos without an index: MPEG's 90 kHz clock.
pub const DEFAULT_SCALE: u32 = 90_000;
/// The longest chunk without an end, in seconds. A file can state any time.
const LONGEST: i64 = 12 * 3600;

/// The limits of a Lambda function: fifteen minutes on six vCPUs. The limit on address space exceeds the function's
/// memory, because each thread reserves more address space than it uses.
const LIMITS: Limits = Limits { cpu_seconds: 15 * 60 * 6, memory: 24 << 30, output: 768 << 20 };

/// Encoder settings of a rung of the ladder.
#[derive(Debug, Clone, PartialEq)]
pub struct Rung<'a> {
    /// Width in pixels, even.
    pub width: u32,
    /// Height in pixels, even.
    pub height: u32,
    /// Maximum bit rate, in bits per second.
    pub max_bitrate: u32,
    /// H.264 level (ITU-T H.264, Annex A), such as `4.0`.
    pub level: &'a str,
}

/// A chunk to encode.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk<'a> {
    /// The object's container.
    pub container: Container,
    /// The video stream.
    pub video: VideoStream,
    /// The audio streams.
    pub audio: &'a [AudioStream],
    /// Ticks per second, the unit of all times here.
    pub scale: u32,
    /// Ticks per second of the rungs' MP4 files.
    pub output_scale: u32,
    /// The source's time at which the presentation starts.
    pub origin: i64,
    /// Presentation times of the chunk's frames: from the first (inclusive) to the second (exclusive), which is `None`
    /// for the last chunk. `None` means the whole video.
    pub span: Option<(i64, Option<i64>)>,
    /// The time at which the presentation ends according to the container, if that is known.
    pub end: Option<i64>,
    /// The time from which on no frame of the chunk is presented, if that is before the next chunk.
    pub until: Option<i64>,
    /// The time span in which each audio stream is presented, in samples. Empty if that is not known.
    pub audio_spans: &'a [(i64, i64)],
    /// Whether the object is a slice, which contains only what the chunk needs.
    pub is_sliced: bool,
    /// The usual duration of a frame, if known.
    pub frame_duration: Option<i64>,
    /// Time in seconds, a little after the chunk's first keyframe, so that ffmpeg seeks to that keyframe. `None` reads
    /// from the start.
    pub seek: Option<String>,
    /// Interval between keyframes, which is the duration of a segment, in seconds.
    pub segment: f64,
    /// The times of the keyframes, if they are given. Then `segment` is not used.
    pub cuts: &'a [i64],
    /// With given cuts, the duration of the longest segment of all chunks, in seconds. A frame may be shown for as long.
    pub longest: Option<f64>,
    /// Numbers of the chunk's AAC frames, counted from the start of the presentation: from the first (inclusive) to the
    /// second (exclusive), which is `None` for the last chunk.
    pub audio_frames: (i64, Option<i64>),
    /// Whether to encode silence instead of the audio, because that cannot be decoded.
    pub is_silent: bool,
}

/// An encoded chunk.
#[derive(Debug)]
pub struct Encoded {
    /// A fragmented MP4 for each rung.
    pub videos: Vec<Bytes>,
    /// Presentation times of the source's frames, in ticks, ascending.
    pub times: Vec<i64>,
    /// The time at which the last frame ends, in ticks.
    pub end: i64,
    /// For each audio stream, a fragmented MP4 with the chunk's AAC frames, preceded by [`Encoded::WARM_UP`] frames and
    /// followed by at least one.
    pub audio: Vec<Bytes>,
    /// The number of the chunk's AAC frames.
    pub audio_frames: i64,
}

impl Encoded {
    /// AAC frames in `audio` to drop at the start. One of them is the encoder's delay.
    pub const WARM_UP: usize = 4 + 1;
}

/// Encodes a chunk with the `ffmpeg` program, which is killed at `deadline`.
///
/// # Errors
/// Returns [`Error::Fault`] for a fault on our or AWS's side: a retry can succeed. All other errors are permanent for
/// this object.
pub async fn encode(
    source: &Arc<Source>,
    chunk: &Chunk<'_>,
    rungs: &[Rung<'_>],
    ffmpeg: &Path,
    deadline: Instant,
) -> Result<Encoded, Error> {
    let attempts = async {
        let source = &joined(source, chunk.container).await?;
        match attempt(source, chunk, rungs, ffmpeg, deadline).await {
            // Audio that cannot be decoded must not make the video unplayable.
            Err(Error::Unreadable(why)) if !chunk.audio.is_empty() && !chunk.is_silent => {
                tracing::warn!(why, "encoding failed, trying again without the audio");
                let silent = Chunk { is_silent: true, ..chunk.clone() };
                attempt(source, &silent, rungs, ffmpeg, deadline).await
            }
            other => other,
        }
    };
    error::run("encode a chunk", deadline, attempts).await
}

async fn attempt(
    source: &Arc<Source>,
    chunk: &Chunk<'_>,
    rungs: &[Rung<'_>],
    ffmpeg: &Path,
    deadline: Instant,
) -> Result<Encoded, Error> {
    let origin = chunk.samples(chunk.origin);
    let (first, frames_end) = chunk.audio_frames;
    let (start, limit) = audio_samples(chunk.origin, chunk.scale, chunk.audio_frames);
    let limit = limit.unwrap_or(start.saturating_add(LONGEST * i64::from(SAMPLE_RATE)));
    let presented =
        (0..chunk.audio.len()).map(|stream| chunk.audio_span(stream, (start, limit)).1).collect::<Vec<_>>();
    let decode = |decoders| decode(source, chunk, rungs, (start, limit), decoders, ffmpeg, deadline);
    let finish = |(videos, times): (Vec<Bytes>, Vec<i64>), audio_end: Option<i64>| {
        let audio_end = audio_end.map(|end| chunk.ticks(end));
        let end = chunk.end_of(&times, audio_end);
        let frames_end = frames_end.unwrap_or_else(|| {
            let samples = chunk.samples(end.max(chunk.end_of_audio(audio_end).unwrap_or(end)));
            div_ceil(samples.saturating_sub(origin), AAC_FRAME).max(first)
        });
        let samples_end = origin.saturating_add((frames_end + OVERLAP) * AAC_FRAME);
        ((videos, times, end, frames_end - first), samples_end)
    };
    let encoder = Encoder { ffmpeg, limits: LIMITS, deadline };
    let ((videos, times, end, audio_frames), audio) =
        encoder.encode_streams((start, &presented), decode, finish).await?;
    Ok(Encoded { videos, times, end, audio, audio_frames })
}

/// Decodes the chunk, encodes the video, and passes the samples of the audio from `start` to `limit` on. Returns the
/// videos and the frames' presentation times.
async fn decode(
    source: &Arc<Source>,
    chunk: &Chunk<'_>,
    rungs: &[Rung<'_>],
    (start, limit): (i64, i64),
    decoders: Vec<mpsc::Sender<Bytes>>,
    ffmpeg: &Path,
    deadline: Instant,
) -> Result<(Vec<Bytes>, Vec<i64>), Error> {
    let threads = available_parallelism().map_or(1, usize::from).to_string();
    // Without `-copyts`, ffmpeg shifts the timestamps so that the first one is 0, and again at each jump that it takes
    // for a new clock.
    let mut options = vec!["-threads", threads.as_str(), "-copyts"];
    // Otherwise ffmpeg adds the time of the file's first frame to the time to seek to.
    if chunk.seek.is_some() {
        options.extend(["-seek_timestamp", "1"]);
    }
    if graph::keeps_graph(chunk) {
        options.extend(["-reinit_filter:v", "0"]);
    }
    let clock = format!("1/{}", chunk.scale);
    let keyframes = graph::keyframes(chunk);
    let video: Vec<Vec<String>> = rungs
        .iter()
        .enumerate()
        .map(|(i, rung)| graph::h264(i, rung, chunk.longest, &keyframes, &clock, chunk.output_scale))
        .collect();
    let video: Vec<Vec<&str>> =
        video.iter().map(|arguments| arguments.iter().map(String::as_str).collect()).collect();
    let mut outputs: Vec<&[&str]> = video.iter().map(Vec::as_slice).collect();
    let times = ["-map", "[times]", "-fps_mode", "passthrough", "-enc_time_base", &clock];
    let times = [&times[..], &["-c:v", "rawvideo", "-f", "framecrc"]].concat();
    outputs.push(&times);

    let streams = if chunk.is_silent { &[] } else { chunk.audio };
    let limit = chunk.audio_frames.1.map_or(i64::MAX, |_| limit);
    let mut graphs = vec![graph::video(chunk, rungs)];
    graphs.extend(streams.iter().enumerate().map(|(i, stream)| {
        let (start, end) = chunk.audio_span(i, (start, limit));
        graph::audio(stream, i, None, start, (end < i64::MAX).then_some(end))
    }));
    let graphs: Vec<&str> = graphs.iter().map(String::as_str).collect();
    let names: Vec<String> = (0..streams.len()).map(|i| format!("[a{i}]")).collect();
    let audio: Vec<Vec<&str>> =
        names.iter().map(|name| [&["-map", name.as_str()], pcm::OUTPUT].concat()).collect();
    outputs.extend(audio.iter().map(Vec::as_slice));

    // Keeps ffmpeg from searching for an index after the samples.
    if chunk.is_sliced {
        options.extend(["-fflags", "+ignidx"]);
    }
    let input = Input::Object(chunk.container, source, chunk.seek.clone());
    let pass = Pass {
        log_level: "error",
        options: &options,
        graphs: &graphs,
        outputs: &outputs,
        streams: decoders.into_iter().take(streams.len()).collect(),
        limits: LIMITS,
    };
    let mut outputs = ffmpeg::run_whole(ffmpeg, &input, pass, deadline).await?.into_iter().map(Bytes::from);
    let videos: Vec<Bytes> = outputs.by_ref().take(rungs.len()).collect();
    Ok((videos, parse_times(&outputs.next().unwrap_or_default())))
}

/// Parses presentation times from the third column of the `framecrc` muxer's output. Sorts them, and makes each later
/// than the one before it.
fn parse_times(list: &[u8]) -> Vec<i64> {
    let list = String::from_utf8_lossy(list);
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    let mut times: Vec<i64> = lines.filter_map(|line| line.split(',').nth(2)?.trim().parse().ok()).collect();
    times.sort_unstable();
    let mut next = i64::MIN;
    for time in &mut times {
        *time = (*time).max(next);
        next = time.saturating_add(1);
    }
    times
}

/// Divides and rounds up.
const fn div_ceil(dividend: i64, divisor: i64) -> i64 {
    dividend.div_euclid(divisor) + if dividend.rem_euclid(divisor) > 0 { 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn chunk() -> Chunk<'static> {
        Chunk {
            container: Container::Mp4,
            video: VideoStream { stream: 1, width: 640, height: 360, ..VideoStream::default() },
            audio: &[],
            scale: 600,
            output_scale: 2400,
            origin: 0,
            span: Some((1200, Some(2400))),
            end: None,
            until: None,
            audio_spans: &[],
            is_sliced: false,
            frame_duration: None,
            seek: None,
            segment: 4.0,
            cuts: &[],
            longest: None,
            audio_frames: (100, Some(200)),
            is_silent: false,
        }
    }

    #[test]
    fn presentation_times_ascend() {
        let list =
            b"#tb 0: 1/600\n0,  10,  30, 1, 256, 0x1\n0, 20,  20, 1, 256, 0x2\n0, 20, 20, 1, 256, 0x2\n\nx\n";
        assert_eq!(parse_times(list), [20, 21, 30]);
        assert_eq!(parse_times(b""), [0i64; 0]);
    }

    #[test]
    fn warm_up_includes_the_delay_of_the_encoder() {
        assert_eq!(i64::try_from(Encoded::WARM_UP).unwrap(), WARM_UP + 1);
    }

    #[test]
    fn division_rounds_up() {
        assert_eq!([div_ceil(5, 4), div_ceil(4, 4), div_ceil(-5, 4), div_ceil(0, 4)], [2, 1, -1, 0]);
    }
}
