//! The filter graphs and the encoder's arguments of a chunk.

use super::{Chunk, Rung, convert, pcm};
use crate::filters::Filters;
use crate::inspect::AudioStream;

/// The shortest side of an interlaced frame that the deinterlacing filter accepts, in pixels, with some reserve.
const MIN_INTERLACED_SIDE: u32 = 16;

/// The longest time for which a frame is usually shown in the encoder's input, in seconds, see [`shortened`].
const SHORTENED: f64 = 8.0;

/// Builds the filter graph of the video: from the object to the rungs `[v0]`, `[v1]` and so on, and the `[times]`.
///
/// The frames of a stream can change their size or format. Then ffmpeg sets up a filter graph anew, and what its
/// filters hold is lost. So it is told not to (see [`keeps_graph`]): `scale` adapts to the frames that arrive, and the
/// first one gives all frames the size of the first frame. The second one keeps the frames' aspect ratio: within 3 %
/// of the usual one the frame fills the rung, as rounding changes it that much; otherwise there are black bars.
pub(super) fn video(chunk: &Chunk<'_>, rungs: &[Rung<'_>]) -> String {
    let trim = chunk.span.map_or_else(String::new, |(start, end)| {
        let end = end.into_iter().chain(chunk.until).min();
        let end = end.map_or_else(String::new, |end| format!(":end_pts={end}"));
        format!("trim=start_pts={start}{end},")
    });
    // The first rung is the largest. The others are scaled down from it, so that tone mapping runs only once.
    let (width, height) = rungs.first().map_or((2, 2), |rung| (rung.width, rung.height));
    let deinterlace = match rungs.first() {
        // Deinterlacing turned frames would mix up their lines; cameras that turn frames don't interlace.
        Some(_) if keeps_graph(chunk) && chunk.video.width.min(chunk.video.height) >= MIN_INTERLACED_SIDE => {
            "scale,bwdif=mode=send_frame:deint=interlaced,"
        }
        _ if keeps_graph(chunk) => "scale,",
        _ => "",
    };
    let (across, down) = (chunk.video.width.max(1), chunk.video.height.max(1));
    let ratio = format!("dar*{down}/{across}");
    let size = format!(
        "w='if(gte({ratio},0.97),{width},max(2,2*round({width}*{ratio}/2)))':\
         h='if(lte({ratio},1.03),{height},max(2,2*round({height}/({ratio})/2)))':eval=frame"
    );
    let colours = chunk.video.assumed_colours.as_deref();
    let stated = chunk.video.color_transfer.as_deref();
    let filters = Filters::of(stated.or(chunk.video.assumed_transfer.as_deref()), false);
    let scale = filters.scale_video(&size, colours, stated.is_some());
    let mut graph = format!(
        "[0:{stream}]{trim}setpts='{ASCENDING}',{deinterlace}{scale},\
         pad={width}:{height}:(ow-iw)/2:(oh-ih)/2:eval=frame,split={count}",
        stream = chunk.video.stream,
        count = rungs.len() + 1,
    );
    let names = |prefix: char| (0..rungs.len()).map(move |i| format!("[{prefix}{i}]"));
    graph.extend(names('s'));
    graph.push_str("[t];[t]scale=16:16,format=gray[times]");
    for ((rung, from), to) in rungs.iter().zip(names('s')).zip(names('v')) {
        let filter = if (rung.width, rung.height) == (width, height) {
            "null".to_owned()
        } else {
            format!("scale={}:{}:flags=bicubic,setsar=1", rung.width, rung.height)
        };
        graph = format!("{graph};{from}{filter}{shorter}{to}", shorter = shortened(chunk));
    }
    graph
}

/// Presentation times that ascend, for `setpts`: a frame without a time, or with that of an earlier frame, follows the
/// frame before it by a tick.
const ASCENDING: &str = "if(isnan(PREV_OUTPTS),if(isnan(PTS),0,PTS),max(PTS,PREV_OUTPTS+1))";

/// Returns a filter that shortens the time for which a frame is shown, by whole segments, to less than two of them. The
/// encoder reserves a part of its buffer for as long as a frame is shown, so a slide of half a minute would get no bits.
/// The times of the rungs' files are not used, only the order of their frames, and keyframes are forced at the same frames.
fn shortened(chunk: &Chunk<'_>) -> String {
    if !chunk.cuts.is_empty() {
        return String::new();
    }
    let (step, segment) = ("(PTS-PREV_INPTS)", chunk.segment);
    let shorter = format!("floor(max(0,{step}*TB/{segment:.6}-1))*{segment:.6}/TB");
    format!(",setpts='if(isnan(PREV_OUTPTS),PTS,round(PREV_OUTPTS+{step}-{shorter}))'")
}

/// Returns the bits in the encoder's buffer: those of two seconds, or more for a frame that is shown for long. x264
/// reserves bits for a fraction of that time: a twentieth, or more if the frame has fewer than 20 rows of macroblocks, one
/// row's share. The MP4 file states the size of the buffer, so it is the same in all chunks.
fn buffer(rung: &Rung<'_>, longest: Option<f64>) -> u64 {
    let reserved = (16.0 / f64::from(rung.height.max(16))).max(0.05);
    bits(rung, (1.0 + longest.unwrap_or(SHORTENED) * reserved).max(2.0))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn bits(rung: &Rung<'_>, seconds: f64) -> u64 {
    (f64::from(rung.max_bitrate) * seconds) as u64
}

/// Returns whether ffmpeg keeps the filter graph when frames change their size or format. If the frames are rotated or
/// mirrored, it doesn't: ffmpeg inserts filters that cannot adapt.
pub(super) const fn keeps_graph(chunk: &Chunk<'_>) -> bool {
    !chunk.video.is_transformed
}

/// Builds the filter graph of an audio stream. Its output is `[aN]`, for the audio stream `N` of those that are encoded,
/// with the samples from `start` to `end`. The conversion of the sample rate starts with the first sample, or `from` a time in
/// ticks, of so many per second.
pub(super) fn audio(
    stream: &AudioStream,
    number: usize,
    from: Option<(i64, u32)>,
    start: i64,
    end: Option<i64>,
) -> String {
    let end = end.map_or_else(String::new, |end| format!(":end_pts={end}"));
    let filter = pcm::filter(stream.is_discrete);
    let from = from.map_or_else(String::new, |(time, scale)| {
        format!("atrim=start={},", seconds(convert(time, scale, 1_000_000)))
    });
    format!("[0:{}]{from}{filter},atrim=start_pts={start}{end}[a{number}]", stream.stream)
}

/// Returns the arguments of a rung's output. `-crf` gives all chunks the same quality, up to the maximum bit rate.
/// Keyframes are only where they are forced, and GOPs are closed, so that a segment can start at each.
pub(super) fn h264(
    i: usize,
    rung: &Rung<'_>,
    longest: Option<f64>,
    keyframes: &str,
    clock: &str,
    scale: u32,
) -> Vec<String> {
    let rate = rung.max_bitrate.to_string();
    let buffer = buffer(rung, longest).to_string();
    let map = format!("[v{i}]");
    let scale = scale.to_string();
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
        ["-force_key_frames", keyframes],
        ["-fps_mode", "passthrough"],
        ["-enc_time_base", clock],
        ["-video_track_timescale", &scale],
        ["-movflags", "+frag_keyframe+empty_moov+default_base_moof"],
        ["-map_metadata", "-1"],
        ["-map_chapters", "-1"],
        ["-f", "mp4"],
    ]
    .as_flattened()
    .iter()
    .map(|text| (*text).to_owned())
    .collect()
}

/// Returns the value of `-force_key_frames`: when the segments of a chunk start.
pub(super) fn keyframes(chunk: &Chunk<'_>) -> String {
    #[expect(clippy::cast_precision_loss, reason = "the duration of a frame has few ticks")]
    let frame = chunk.frame_duration.map(|ticks| ticks as f64 / f64::from(chunk.scale.max(1)));
    match chunk.cuts {
        [] => forced_keyframes(chunk.segment, frame),
        cuts => keyframes_at(cuts, chunk.scale),
    }
}

/// Returns the `-force_key_frames` expression for a keyframe at the first frame, and at the frame nearest to the start of
/// every further `segment` seconds. `frame` is the usual duration of a frame. ffmpeg counts `t` from the first frame of
/// the output.
///
/// Where frames are far apart, a segment can begin late. The next one then begins at the usual time again, unless it
/// would follow within half a segment.
fn forced_keyframes(segment: f64, frame: Option<f64>) -> String {
    let half = segment / 2.0;
    // Containers round times, by up to a millisecond.
    let early = (frame.unwrap_or(0.0) / 2.0).clamp(0.001, half / 2.0);
    let number = |time: &str| format!("floor(({time}+{early:.6})/{segment:.6})");
    let (this, last) = (number("t"), number("prev_forced_t"));
    format!("expr:isnan(prev_forced_t)+gt({this},{last})*gte(t-prev_forced_t,{half:.6})")
}

/// Returns the `-force_key_frames` list for keyframes at these times: ffmpeg forces the first frame at or after each. It
/// reads microseconds, so they are rounded down.
fn keyframes_at(cuts: &[i64], scale: u32) -> String {
    let time = |cut: &i64| seconds(convert(*cut, scale, 1_000_000));
    cuts.iter().map(time).collect::<Vec<_>>().join(",")
}

/// Writes a number of microseconds in seconds.
fn seconds(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    format!("{sign}{}.{:06}", micros.unsigned_abs() / 1_000_000, micros.unsigned_abs() % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::super::tests::chunk;
    use super::*;

    fn rung(width: u32, height: u32) -> Rung<'static> {
        Rung { width, height, max_bitrate: 1, level: "3.0" }
    }

    #[test]
    fn video_is_cut_to_the_tick() {
        let rungs = [rung(1280, 720), rung(640, 360)];
        let text = video(&chunk(), &rungs);
        assert!(text.starts_with("[0:1]trim=start_pts=1200:end_pts=2400,setpts="), "{text}");
        assert!(text.contains("split=3[s0][s1][t];"), "{text}");
        assert!(text.contains(";[s0]null,setpts="), "{text}");
        assert!(text.contains(";[s1]scale=640:360:flags=bicubic,setsar=1,setpts="), "{text}");
        let cut = video(&Chunk { cuts: &[1200, 1800], ..chunk() }, &rungs);
        assert!(cut.contains(";[s0]null[v0];[s1]scale=640:360:flags=bicubic,setsar=1[v1]"), "{cut}");
        let last = video(&Chunk { span: Some((0, None)), ..chunk() }, &rungs);
        assert!(last.contains("trim=start_pts=0,setpts"), "{last}");
        let edit = video(&Chunk { span: Some((0, None)), until: Some(7), ..chunk() }, &rungs);
        assert!(edit.contains("trim=start_pts=0:end_pts=7,setpts"), "{edit}");
        let all = video(&Chunk { span: None, ..chunk() }, &rungs);
        assert!(!all.contains("trim"), "{all}");
    }

    #[test]
    fn audio_is_cut_to_the_sample() {
        let mut stream = AudioStream { stream: 3, ..AudioStream::default() };
        let text = audio(&stream, 1, None, -4096, Some(9));
        assert!(
            text.starts_with("[0:3]aresample=48000,")
                && text.ends_with(",atrim=start_pts=-4096:end_pts=9[a1]")
        );
        assert!(audio(&stream, 1, None, 5, None).ends_with(",atrim=start_pts=5[a1]"));
        let text = audio(&stream, 1, Some((44_101, 44_100)), 5, None);
        assert!(text.starts_with("[0:3]atrim=start=1.000022,aresample=48000,"), "{text}");
        stream.is_discrete = true;
        assert!(audio(&stream, 1, None, 5, None).starts_with("[0:3]pan=stereo|c0=c0|c1=c1,aresample"));
    }

    #[test]
    fn buffer_has_bits_for_frames_that_are_shown_for_long() {
        let seconds = |height, longest| buffer(&Rung { max_bitrate: 1000, ..rung(64, height) }, longest);
        assert_eq!([seconds(720, None), seconds(176, None), seconds(64, None)], [2000, 2000, 3000]);
        assert_eq!([seconds(720, Some(40.0)), seconds(2, Some(4.0))], [3000, 5000]);
    }

    #[test]
    fn turned_frames_are_not_deinterlaced() {
        let mut turned = chunk();
        let text = video(&turned, &[rung(640, 360)]);
        assert!(text.contains("scale,bwdif"), "{text}");
        turned.video.is_transformed = true;
        let text = video(&turned, &[rung(640, 360)]);
        assert!(!text.contains("scale,") && !text.contains("bwdif"), "{text}");
    }

    #[test]
    fn small_frames_are_not_deinterlaced() {
        for (width, height, is_deinterlaced) in [(16, 16, true), (4, 64, false), (64, 4, false)] {
            let mut small = chunk();
            (small.video.width, small.video.height) = (width, height);
            assert_eq!(video(&small, &[rung(16, 64)]).contains("bwdif"), is_deinterlaced, "{width}x{height}");
        }
    }

    #[test]
    fn keyframes_are_forced_at_given_times() {
        assert_eq!(keyframes_at(&[0, 1001, 600_000], 30_000), "0.000000,0.033366,20.000000");
        assert_eq!(keyframes_at(&[-1, 1], 3), "-0.333334,0.333333");
    }

    #[test]
    fn keyframes_are_forced_relative_to_the_first_frame() {
        assert_eq!(
            forced_keyframes(4.0, Some(0.04)),
            "expr:isnan(prev_forced_t)+gt(floor((t+0.020000)/4.000000),floor((prev_forced_t+0.020000)/4.000000))\
             *gte(t-prev_forced_t,2.000000)"
        );
        assert!(forced_keyframes(4.0, None).contains("t+0.001000"));
        assert!(forced_keyframes(4.0, Some(1e9)).contains("t+1.000000"));
    }
}
