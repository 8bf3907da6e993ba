//! Encodes a chunk of a video to H.264 and AAC, all rungs of the ladder from one read and one decode.
//!
//! Chunks are cut to the tick, so that independently encoded chunks join without gaps: every frame is in exactly one
//! chunk, whatever the storage order of frames. Audio is cut on a grid of AAC frames that all chunks share. Each
//! chunk's audio encoder starts a few AAC frames early, to reach a steady state.

use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;

use bytes::Bytes;
use tokio::time::Instant;
use upreel_core::Container;

use crate::child::Limits;
use crate::error::{self, Error};
use crate::ffmpeg::{self, Budget, Input, Pass};
use crate::filters::Filters;
use crate::report;
use crate::source::Source;

/// Sample rate of the encoded audio, in Hz.
pub const SAMPLE_RATE: u32 = 48_000;
/// Samples in an AAC frame.
pub const AAC_FRAME: i64 = 1024;
/// AAC frames to encode before the first one that is kept, because the encoder starts from silence.
const WARM_UP: usize = 4;
/// AAC frames to encode after the last one that is kept. Consecutive AAC frames overlap, and one decodes to noise next
/// to a frame that was encoded differently.
const OVERLAP: usize = 1;
/// Ticks per second for videos without an index: MPEG's 90 kHz clock.
pub const DEFAULT_SCALE: u32 = 90_000;

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
    /// `FFmpeg`'s name for the transfer characteristics, if known. HDR is tone-mapped to SDR.
    pub color_transfer: Option<&'a str>,
    /// Ticks per second, the unit of all times here.
    pub scale: u32,
    /// Presentation times of the chunk's frames: from the first (inclusive) to the second (exclusive), which is `None`
    /// for the last chunk. `None` means the whole video.
    pub span: Option<(i64, Option<i64>)>,
    /// Time in seconds, a little after the chunk's first keyframe, so that ffmpeg seeks to that keyframe. `None` reads
    /// from the start.
    pub seek: Option<String>,
    /// Interval between keyframes, which is the duration of a segment, in seconds.
    pub segment: f64,
    /// Numbers of the chunk's AAC frames, counted from time 0: from the first (inclusive) to the second (exclusive),
    /// which is `None` for the last chunk. `None` means no audio.
    pub audio: Option<(i64, Option<i64>)>,
}

/// An encoded chunk.
#[derive(Debug)]
pub struct Encoded {
    /// A fragmented MP4 for each rung.
    pub videos: Vec<Bytes>,
    /// Presentation times of the source's frames, in ticks, ascending.
    pub times: Vec<i64>,
    /// A fragmented MP4 with the requested AAC frames, preceded by [`Encoded::WARM_UP`] frames and, if the range has an
    /// end, followed by [`Encoded::OVERLAP`] frames. `None` if the chunk has no audio.
    pub audio: Option<Bytes>,
}

impl Encoded {
    /// AAC frames in `audio` to drop at the start. One of them is the encoder's delay.
    pub const WARM_UP: usize = WARM_UP + 1;
    /// AAC frames in `audio` to drop at the end.
    pub const OVERLAP: usize = OVERLAP;
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
        let assumed = assumed_colours(source, chunk, ffmpeg, deadline).await?;
        match attempt(source, chunk, rungs, assumed, ffmpeg, deadline).await {
            // ffmpeg fails if the chunk starts after the end of the audio.
            Err(Error::Unreadable(why)) if chunk.audio.is_some() => {
                tracing::info!(why, "encoding failed, trying again without audio");
                let silent = Chunk { audio: None, ..chunk.clone() };
                attempt(source, &silent, rungs, assumed, ffmpeg, deadline).await
            }
            other => other,
        }
    };
    error::run("encode a chunk", deadline, attempts).await
}

/// Returns the colour space to assume if the video doesn't specify one. Decodes one frame, because the decoder knows
/// best.
async fn assumed_colours(
    source: &Arc<Source>,
    chunk: &Chunk<'_>,
    ffmpeg: &Path,
    deadline: Instant,
) -> Result<Option<&'static str>, Error> {
    if chunk.color_transfer.is_some() {
        return Ok(None);
    }
    let input = Input::Object(chunk.container, source, chunk.seek.clone());
    let output = ["-map", "[one]", "-frames:v", "1", "-c:v", "rawvideo", "-f", "framecrc"];
    let one = "[0:V:0]scale=16:16,format=gray[one]";
    let budget = Budget::new(Limits::FEW_FRAMES.cpu_seconds);
    let (_, report) = ffmpeg::run(ffmpeg, &input, one, &[&output], &budget, deadline).await?;
    Ok(report::parse(&report).assumed_colours())
}

async fn attempt(
    source: &Arc<Source>,
    chunk: &Chunk<'_>,
    rungs: &[Rung<'_>],
    assumed: Option<&str>,
    ffmpeg: &Path,
    deadline: Instant,
) -> Result<Encoded, Error> {
    let threads = available_parallelism().map_or(1, usize::from).to_string();
    let mut options = vec!["-threads", threads.as_str()];
    // Without `-copyts`, ffmpeg shifts timestamps so that the first is 0.
    if chunk.span.is_some() {
        options.push("-copyts");
    }
    let clock = format!("1/{}", chunk.scale);
    let scale = chunk.scale.to_string();
    let first = chunk.span.map_or(0, |(start, _)| start);
    let keyframes = forced_keyframes(first, chunk.scale, chunk.segment);
    let video: Vec<Vec<String>> = rungs.iter().enumerate().map(|(i, rung)| h264(i, rung)).collect();
    let video: Vec<Vec<&str>> = video
        .iter()
        .map(|arguments| {
            let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            arguments.extend(["-force_key_frames", &keyframes, "-video_track_timescale", &scale]);
            arguments.extend(["-fps_mode", "passthrough", "-enc_time_base", &clock]);
            arguments.extend(["-movflags", "+frag_keyframe+empty_moov+default_base_moof"]);
            arguments.extend(["-map_metadata", "-1", "-map_chapters", "-1", "-f", "mp4"]);
            arguments
        })
        .collect();
    let mut outputs: Vec<&[&str]> = video.iter().map(Vec::as_slice).collect();
    let times = ["-map", "[times]", "-fps_mode", "passthrough", "-enc_time_base", &clock];
    let times = [&times[..], &["-c:v", "rawvideo", "-f", "framecrc"]].concat();
    outputs.push(&times);
    let audio = ["-map", "[audio]", "-c:a", "aac", "-b:a", "128k", "-frag_duration", "60000000"];
    let audio = [&audio[..], &["-movflags", "+empty_moov+default_base_moof"]].concat();
    let audio = [&audio[..], &["-map_metadata", "-1", "-map_chapters", "-1", "-f", "mp4"]].concat();
    if chunk.audio.is_some() {
        outputs.push(&audio);
    }

    let input = Input::Object(chunk.container, source, chunk.seek.clone());
    let graph = graph(chunk, rungs, assumed);
    let pass = Pass { options: &options, graph: &graph, outputs: &outputs, limits: LIMITS };
    let mut outputs = ffmpeg::run_whole(ffmpeg, &input, &pass, deadline).await?.into_iter().map(Bytes::from);
    let videos: Vec<Bytes> = outputs.by_ref().take(rungs.len()).collect();
    let times = parse_times(&outputs.next().unwrap_or_default());
    Ok(Encoded { videos, times, audio: outputs.next() })
}

/// Builds the filter graph from the object to the rungs `[v0]`, `[v1]` and so on, the `[times]`, and the `[audio]`.
fn graph(chunk: &Chunk<'_>, rungs: &[Rung<'_>], assumed: Option<&str>) -> String {
    let trim = chunk.span.map_or_else(String::new, |(start, end)| {
        let end = end.map_or_else(String::new, |end| format!(":end_pts={end}"));
        format!("trim=start_pts={start}{end},")
    });
    // The first rung is the largest. The others are scaled down from it, so that tone mapping runs only once.
    let (width, height) = rungs.first().map_or((2, 2), |rung| (rung.width, rung.height));
    let scale = Filters::of(chunk.color_transfer, false).scale_video(&format!("{width}:{height}"), assumed);
    let mut graph =
        format!("[0:V:0]{trim}bwdif=mode=send_frame:deint=interlaced,{scale},split={}", rungs.len() + 1);
    let names = |prefix: char| (0..rungs.len()).map(move |i| format!("[{prefix}{i}]"));
    graph.extend(names('s'));
    graph.push_str("[t];[t]scale=16:16,format=gray[times]");
    for ((rung, from), to) in rungs.iter().zip(names('s')).zip(names('v')) {
        let filter = if (rung.width, rung.height) == (width, height) {
            "null".to_owned()
        } else {
            format!("scale={}:{}:flags=bicubic,setsar=1", rung.width, rung.height)
        };
        graph = format!("{graph};{from}{filter}{to}");
    }
    if let Some((first, end)) = chunk.audio {
        let frames = |count: usize| i64::try_from(count).unwrap_or(0);
        let start = first.saturating_sub(frames(WARM_UP)).saturating_mul(AAC_FRAME);
        // Gaps in the audio are filled with silence, including one at the end of a chunk unless the video ends there.
        let end = end.map_or_else(String::new, |end| {
            format!(",apad,atrim=end_pts={}", end.saturating_add(frames(OVERLAP)).saturating_mul(AAC_FRAME))
        });
        graph = format!(
            "{graph};[0:a:0]aresample={SAMPLE_RATE},aresample=async=1:first_pts={start}{end},\
             aformat=sample_fmts=fltp:channel_layouts=stereo[audio]"
        );
    }
    graph
}

/// Returns the encoder's arguments for a rung. `-crf` gives all chunks the same quality, up to the maximum bit rate.
/// Keyframes are only where they are forced, and GOPs are closed, so that a segment can start at each.
fn h264(i: usize, rung: &Rung<'_>) -> Vec<String> {
    let rate = rung.max_bitrate.to_string();
    let buffer = (u64::from(rung.max_bitrate) * 2).to_string();
    let map = format!("[v{i}]");
    [
        ["-map", &map],
        ["-c:v", "libx264"],
        ["-preset", "veryfast"],
        ["-profile:v", "high"],
        ["-level:v", rung.level],
        ["-crf", "22"],
        ["-maxrate", &rate],
        ["-bufsize", &buffer],
        ["-x264-params", "keyint=infinite:scenecut=0:open-gop=0"],
    ]
    .as_flattened()
    .iter()
    .map(|text| (*text).to_owned())
    .collect()
}

/// Returns the `-force_key_frames` expression for a keyframe at `first`, in ticks, and every `segment` seconds after
/// it.
#[expect(clippy::cast_precision_loss, reason = "the error is far below the distance of two frames")]
fn forced_keyframes(first: i64, scale: u32, segment: f64) -> String {
    let first = first as f64 / f64::from(scale) - 0.000_001;
    format!("expr:gte(t,{first:.6}+n_forced*{segment:.6})")
}

/// Parses presentation times from the third column of the `framecrc` muxer's output, and sorts them.
fn parse_times(list: &[u8]) -> Vec<i64> {
    let list = String::from_utf8_lossy(list);
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    let mut times: Vec<i64> = lines.filter_map(|line| line.split(',').nth(2)?.trim().parse().ok()).collect();
    times.sort_unstable();
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk() -> Chunk<'static> {
        Chunk {
            container: Container::Mp4,
            color_transfer: None,
            scale: 600,
            span: Some((1200, Some(2400))),
            seek: None,
            segment: 4.0,
            audio: Some((100, Some(200))),
        }
    }

    #[test]
    fn graph_cuts_video_to_the_tick_and_audio_to_the_sample() {
        let rung = |width, height| Rung { width, height, max_bitrate: 1, level: "3.0" };
        let graph_of = |chunk: &Chunk<'_>| graph(chunk, &[rung(1280, 720), rung(640, 360)], None);
        let text = graph_of(&chunk());
        assert!(text.starts_with("[0:V:0]trim=start_pts=1200:end_pts=2400,bwdif"), "{text}");
        assert!(text.contains("split=3[s0][s1][t];"), "{text}");
        assert!(text.contains(";[s0]null[v0];[s1]scale=640:360:flags=bicubic,setsar=1[v1]"), "{text}");
        assert!(text.contains("first_pts=98304,apad,atrim=end_pts=205824,"), "{text}");
        let last = graph_of(&Chunk { span: Some((0, None)), audio: Some((0, None)), ..chunk() });
        assert!(
            last.contains("trim=start_pts=0,bwdif") && last.contains("first_pts=-4096,aformat"),
            "{last}"
        );
        let all = graph_of(&Chunk { span: None, audio: None, ..chunk() });
        assert!(!all.contains("trim") && !all.contains("audio"), "{all}");
    }

    #[test]
    fn forced_keyframes_start_at_the_first_frame() {
        assert_eq!(forced_keyframes(1200, 600, 4.0), "expr:gte(t,1.999999+n_forced*4.000000)");
        assert_eq!(forced_keyframes(0, 600, 3.5), "expr:gte(t,-0.000001+n_forced*3.500000)");
    }

    #[test]
    fn presentation_times_are_sorted() {
        let list = b"#tb 0: 1/600\n0,  10,  30, 1, 256, 0x1\n0, 20,  20, 1, 256, 0x2\n\nx\n";
        assert_eq!(parse_times(list), [20, 30]);
        assert_eq!(parse_times(b""), [0i64; 0]);
    }
}
