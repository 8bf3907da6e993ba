//! Encodes a part of a video in several sizes at once: it is read and decoded once, H.264 and AAC come out.
//!
//! Parts are cut to the tick, so that those of one video, each encoded by itself, are the whole again: each
//! picture is in one of them, whatever the order in which pictures are stored. Sound is cut on a grid of AAC
//! frames that all parts share, and each part's encoder has heard a little before its first one.

use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};
use upreel_core::{Container, Fault};

use crate::child::Limits;
use crate::error::Error;
use crate::ffmpeg::{self, Input, Pass};
use crate::filters::Filters;
use crate::report;
use crate::source::Source;

/// Samples in a second of the sound that is made.
pub const SAMPLE_RATE: u32 = 48_000;
/// Samples in an AAC frame.
pub const AAC_FRAME: i64 = 1024;
/// AAC frames that are encoded before the first one that counts: an encoder starts from silence.
const WARM_UP: usize = 4;
/// AAC frames that are encoded after the last one that counts: each overlaps with the next, and is nothing but noise
/// beside one that was encoded otherwise.
const OVERLAP: usize = 1;
/// Ticks in a second where the index does not tell: those of MPEG.
pub const DEFAULT_SCALE: u32 = 90_000;

/// All that fits into a function: fifteen minutes on six processors. Address space is not memory; each thread
/// reserves more than it uses.
const LIMITS: Limits = Limits { cpu_seconds: 15 * 60 * 6, memory: 24 << 30, output: 768 << 20 };

/// One of the sizes in which a video is offered.
#[derive(Debug, Clone, PartialEq)]
pub struct Rung<'a> {
    /// Pixels across and down; both even.
    pub width: u32,
    /// See `width`.
    pub height: u32,
    /// Bits in a second, at most.
    pub max_bitrate: u32,
    /// Of H.264 (ITU-T H.264, Annex A), such as `4.0`.
    pub level: &'a str,
}

/// What is to be encoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Part<'a> {
    /// What the object's bytes are.
    pub container: Container,
    /// The transfer characteristics, if known: HDR is mapped to SDR.
    pub color_transfer: Option<&'a str>,
    /// Ticks in a second, for all times here.
    pub scale: u32,
    /// The pictures that are shown from the first time until before the second; `None` is everything.
    pub span: Option<(i64, Option<i64>)>,
    /// A moment, in seconds, from which ffmpeg finds the keyframe with which the part begins.
    pub seek: Option<String>,
    /// Seconds after which there is a keyframe.
    pub segment: f64,
    /// The AAC frames, counted from the time 0, from the first until before the second; `None` is no sound.
    pub audio: Option<(i64, Option<i64>)>,
}

/// What came out.
#[derive(Debug)]
pub struct Encoded {
    /// A fragmented MP4 for each size.
    pub videos: Vec<Bytes>,
    /// When each picture is shown, in ticks, ascending.
    pub times: Vec<i64>,
    /// A fragmented MP4 with the AAC frames that were asked for, after [`Encoded::WARM_UP`] others and, if they have an
    /// end, before [`Encoded::OVERLAP`] more; `None` where there is no sound any more.
    pub audio: Option<Bytes>,
}

impl Encoded {
    /// Frames of `audio` before the first that counts; one of them is the encoder's own delay.
    pub const WARM_UP: usize = WARM_UP + 1;
    /// Frames of `audio` after the last that counts.
    pub const OVERLAP: usize = OVERLAP;
}

/// Encodes a part with the `ffmpeg` program, by `deadline`.
///
/// # Errors
/// See [`Error`]: all but `Fault` say something about the object, and would come again.
pub async fn encode(
    source: &Arc<Source>,
    part: &Part<'_>,
    rungs: &[Rung<'_>],
    ffmpeg: &Path,
    deadline: Instant,
) -> Result<Encoded, Error> {
    let attempts = async {
        let assumed = assumed_colours(source, part, ffmpeg, deadline).await?;
        match attempt(source, part, rungs, assumed, ffmpeg, deadline).await {
            // ffmpeg cannot encode the sound of a part that begins after all sound has ended.
            Err(Error::Unreadable(why)) if part.audio.is_some() => {
                tracing::info!(why, "once more without sound");
                let silent = Part { audio: None, ..part.clone() };
                attempt(source, &silent, rungs, assumed, ffmpeg, deadline).await
            }
            other => other,
        }
    };
    timeout_at(deadline, attempts)
        .await
        .unwrap_or_else(|late| Err(Error::Fault(Fault::new("encode a part", &late))))
}

/// The colours that are assumed for pictures that do not tell, which the decoder knows.
async fn assumed_colours(
    source: &Arc<Source>,
    part: &Part<'_>,
    ffmpeg: &Path,
    deadline: Instant,
) -> Result<Option<&'static str>, Error> {
    if part.color_transfer.is_some() {
        return Ok(None);
    }
    let input = Input::Object(part.container, source, part.seek.clone());
    let output = ["-map", "[one]", "-frames:v", "1", "-c:v", "rawvideo", "-f", "framecrc"];
    let one = "[0:V:0]scale=16:16,format=gray[one]";
    let (_, report) = ffmpeg::run(ffmpeg, &input, one, &[&output], deadline).await?;
    Ok(report::parse(&report).assumed_colours())
}

async fn attempt(
    source: &Arc<Source>,
    part: &Part<'_>,
    rungs: &[Rung<'_>],
    assumed: Option<&str>,
    ffmpeg: &Path,
    deadline: Instant,
) -> Result<Encoded, Error> {
    let threads = available_parallelism().map_or(1, usize::from).to_string();
    let mut options = vec!["-threads", threads.as_str()];
    // Else ffmpeg moves the first picture to 0.
    if part.span.is_some() {
        options.push("-copyts");
    }
    let clock = format!("1/{}", part.scale);
    let scale = part.scale.to_string();
    let first = part.span.map_or(0, |(start, _)| start);
    let keyframes = keyframes(first, part.scale, part.segment);
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
    if part.audio.is_some() {
        outputs.push(&audio);
    }

    let input = Input::Object(part.container, source, part.seek.clone());
    let graph = graph(part, rungs, assumed);
    let pass = Pass { options: &options, graph: &graph, outputs: &outputs, limits: LIMITS };
    let mut outputs = ffmpeg::run_whole(ffmpeg, &input, &pass, deadline).await?.into_iter().map(Bytes::from);
    let videos: Vec<Bytes> = outputs.by_ref().take(rungs.len()).collect();
    let times = times_of(&outputs.next().unwrap_or_default());
    Ok(Encoded { videos, times, audio: outputs.next() })
}

/// The filters between the object and `[v0]`, `[v1]` and so on, the `[times]`, and the `[audio]`.
fn graph(part: &Part<'_>, rungs: &[Rung<'_>], assumed: Option<&str>) -> String {
    let trim = part.span.map_or_else(String::new, |(start, end)| {
        let end = end.map_or_else(String::new, |end| format!(":end_pts={end}"));
        format!("trim=start_pts={start}{end},")
    });
    // The smaller sizes are made from the largest, which is done once.
    let (width, height) = rungs.first().map_or((2, 2), |rung| (rung.width, rung.height));
    let scale = Filters::of(part.color_transfer, false).scale_video(&format!("{width}:{height}"), assumed);
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
    if let Some((first, end)) = part.audio {
        let frames = |count: usize| i64::try_from(count).unwrap_or(0);
        let start = (first - frames(WARM_UP)) * AAC_FRAME;
        // What is missing is silence, also at the end, unless that is the end of everything.
        let end = end.map_or_else(String::new, |end| {
            format!(",apad,atrim=end_pts={}", (end + frames(OVERLAP)) * AAC_FRAME)
        });
        graph = format!(
            "{graph};[0:a:0]aresample={SAMPLE_RATE},aresample=async=1:first_pts={start}{end},\
             aformat=sample_fmts=fltp:channel_layouts=stereo[audio]"
        );
    }
    graph
}

/// The arguments for one size. The same quality everywhere, whatever the part, as long as it fits into the bit
/// rate; keyframes where they are asked for and nowhere else, and nothing refers past one.
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

/// When keyframes are to be: at the first picture, and every so many seconds.
#[expect(clippy::cast_precision_loss, reason = "half a microsecond is nearer than any two pictures are")]
fn keyframes(first: i64, scale: u32, segment: f64) -> String {
    let first = first as f64 / f64::from(scale) - 0.000_001;
    format!("expr:gte(t,{first:.6}+n_forced*{segment:.6})")
}

/// The third column of `framecrc` is when a picture is shown.
fn times_of(list: &[u8]) -> Vec<i64> {
    let list = String::from_utf8_lossy(list);
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    let mut times: Vec<i64> = lines.filter_map(|line| line.split(',').nth(2)?.trim().parse().ok()).collect();
    times.sort_unstable();
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part() -> Part<'static> {
        Part {
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
    fn the_filters_cut_to_the_tick_and_the_sample() {
        let rung = |width, height| Rung { width, height, max_bitrate: 1, level: "3.0" };
        let graph_of = |part: &Part<'_>| graph(part, &[rung(1280, 720), rung(640, 360)], None);
        let text = graph_of(&part());
        assert!(text.starts_with("[0:V:0]trim=start_pts=1200:end_pts=2400,bwdif"), "{text}");
        assert!(text.contains("split=3[s0][s1][t];"), "{text}");
        assert!(text.contains(";[s0]null[v0];[s1]scale=640:360:flags=bicubic,setsar=1[v1]"), "{text}");
        assert!(text.contains("first_pts=98304,apad,atrim=end_pts=205824,"), "{text}");
        let last = graph_of(&Part { span: Some((0, None)), audio: Some((0, None)), ..part() });
        assert!(
            last.contains("trim=start_pts=0,bwdif") && last.contains("first_pts=-4096,aformat"),
            "{last}"
        );
        let all = graph_of(&Part { span: None, audio: None, ..part() });
        assert!(!all.contains("trim") && !all.contains("audio"), "{all}");
    }

    #[test]
    fn keyframes_are_counted_from_the_first_picture() {
        assert_eq!(keyframes(1200, 600, 4.0), "expr:gte(t,1.999999+n_forced*4.000000)");
        assert_eq!(keyframes(0, 600, 3.5), "expr:gte(t,-0.000001+n_forced*3.500000)");
    }

    #[test]
    fn times_are_those_of_the_pictures_in_order() {
        let list = b"#tb 0: 1/600\n0,  10,  30, 1, 256, 0x1\n0, 20,  20, 1, 256, 0x2\n\nx\n";
        assert_eq!(times_of(list), [20, 30]);
        assert_eq!(times_of(b""), [0i64; 0]);
    }
}
