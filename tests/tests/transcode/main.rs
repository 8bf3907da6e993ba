//! Transcodes videos in chunks and compares the concatenated renditions with the source, frame by frame.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

mod audio;
mod clock;
mod colours;
mod cues;
mod edits;
mod films;
mod hdr;
mod matroska;
mod ogg;
mod rungs;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use upreel_core::Container;
use upreel_core::video::MediaInfo;
use upreel_media::inspect::inspect;
use upreel_media::{Index, Source, poster};
use upreel_tests::peak_bit_rate;
use upreel_transcode::{Plan, encode, playlist};

fn ffmpeg() -> PathBuf {
    std::env::var_os("FFMPEG_PATH").map_or_else(|| "ffmpeg".into(), PathBuf::from)
}

fn generate(name: &str, args: &str) -> PathBuf {
    upreel_tests::generate(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("transcode"), name, args)
}

fn source(path: &Path) -> Arc<Source> {
    Arc::new(upreel_tests::source(path).unwrap())
}

/// A transcoded video.
struct Transcoded {
    folder: tempfile::TempDir,
    plan: Plan,
    /// The duration in the video's record, in seconds.
    record: f64,
    /// Number of bytes read from the source.
    bytes: u64,
    /// Number of bytes that the encoders read, of all those.
    chunk_bytes: u64,
}

/// Transcodes a video in chunks of `length` seconds, each from its own [`Source`], as the functions do.
async fn transcode(path: &Path, length: f64) -> Transcoded {
    let deadline = Instant::now() + upreel_tests::HANG_GUARD;
    let media_info = poster::make(&source(path), &ffmpeg(), deadline).await.unwrap().media_info;
    transcode_with(path, media_info, length).await
}

/// Transcodes a video of which no poster can be made.
async fn transcode_by_index(path: &Path, length: f64) -> Transcoded {
    let index = Index::open(&source(path), Container::Mp4).await.unwrap().unwrap();
    transcode_with(path, index.media_info, length).await
}

async fn transcode_with(path: &Path, media_info: MediaInfo, length: f64) -> Transcoded {
    let deadline = Instant::now() + upreel_tests::HANG_GUARD;
    let planned = source(path);
    let container: Container = media_info.container.unwrap();
    // If the index cannot be read, the video is one chunk.
    let index = Index::open(&planned, container).await.unwrap_or_default();
    let streams = index.as_ref().map(Index::streams).unwrap_or_default();
    let inspection = inspect(&source(path), container, &streams, &ffmpeg(), deadline).await.unwrap();
    // The record describes the streams that are encoded.
    let size = (Some(inspection.video.width), Some(inspection.video.height));
    let is_vpx = matches!(media_info.video_codec.as_deref(), Some("vp8" | "vp9"));
    // ffmpeg reports the container's size of VP8 and VP9.
    assert!(is_vpx || (media_info.width, media_info.height) == size, "{}", path.display());
    let audio_codec = inspection.audio.first().map(|audio| audio.codec.clone());
    assert_eq!(media_info.audio_codec, audio_codec, "{}", path.display());
    let plan = Plan::with_slices(&planned, index.as_ref(), &media_info, &inspection, Some(length));
    let (plan, slices) = plan.await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut chunk_bytes = 0;
    let mut manifests = Vec::new();
    let store = |objects: Vec<upreel_transcode::Object>| {
        for object in objects {
            let path = folder.path().join(&object.name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &object.bytes).unwrap();
        }
    };
    for chunk in &plan.chunks {
        let source = source(path);
        let (manifest, objects) =
            encode(&source, &plan, chunk.index, slices.get(chunk.index), &ffmpeg(), deadline).await.unwrap();
        chunk_bytes += source.stats().bytes;
        store(objects);
        manifests.push(manifest);
    }
    manifests.reverse();
    store(playlist::playlists(&plan, manifests).unwrap());
    let record = Duration::from_millis(media_info.duration_ms.unwrap_or(0)).as_secs_f64();
    Transcoded { folder, plan, record, bytes: planned.stats().bytes + chunk_bytes, chunk_bytes }
}

#[derive(Debug)]
struct Packets {
    pts: Vec<f64>,
    dts: Vec<f64>,
    keyframes: usize,
}

fn packets(path: &Path, stream: &str) -> Packets {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", stream, "-show_entries", "packet=pts_time,dts_time,flags"])
        .args(["-of", "csv=p=0"])
        .arg(path)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (mut pts, mut dts, mut keyframes) = (Vec::new(), Vec::new(), 0);
    for line in text.lines() {
        let mut fields = line.split(',');
        let shown: Option<f64> = fields.next().and_then(|f| f.parse().ok());
        let decoded: Option<f64> = fields.next().and_then(|f| f.parse().ok());
        // `D` marks packets that an edit list discards.
        let flags = fields.next().unwrap_or_default();
        if flags.contains('D') {
            continue;
        }
        keyframes += usize::from(flags.contains('K'));
        pts.extend(shown);
        dts.extend(decoded);
    }
    pts.sort_by(f64::total_cmp);
    Packets { pts, dts, keyframes }
}

impl Transcoded {
    /// Writes a rendition as one file, and returns its path.
    fn concatenated(&self, track: &str) -> PathBuf {
        let folder = self.folder.path().join(track);
        let playlist = std::fs::read_to_string(folder.join("index.m3u8")).unwrap();
        let mut bytes = std::fs::read(folder.join("init.mp4")).unwrap();
        for line in playlist.lines().filter(|line| !line.starts_with('#')) {
            bytes.extend(std::fs::read(folder.join(line)).unwrap());
        }
        let path = self.folder.path().join(format!("{track}.mp4"));
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

/// Decodes a whole file and returns ffmpeg's warnings and errors.
fn warnings(path: &Path) -> String {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "warning", "-xerror", "-i"])
        .arg(path)
        // By default, ffmpeg expects frames at a constant rate.
        .args(["-fps_mode", "passthrough", "-enc_time_base", "-1", "-f", "null", "-"])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Compares each frame with the source's frame of the same index. Returns the lowest and the mean PSNR, in dB.
fn psnr(rendition: &Path, source: &Path) -> (f64, f64) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let shape = "scale=160:90,setsar=1,settb=1/1000,setpts=N*10,format=yuv420p";
    let filter = format!("[0:v]{shape}[a];[1:V]{shape}[b];[a][b]psnr=stats_file={}", log.path().display());
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "quiet", "-i"])
        .arg(rendition)
        .arg("-i")
        .arg(source)
        .args(["-lavfi", &filter, "-fps_mode", "passthrough", "-f", "null", "-"])
        .status()
        .unwrap();
    assert!(status.success());
    let text = std::fs::read_to_string(log.path()).unwrap();
    let value = |line: &str| match line.split("psnr_avg:").nth(1)?.split(' ').next()? {
        "inf" => Some(100.0),
        number => number.parse::<f64>().ok(),
    };
    let values: Vec<f64> = text.lines().filter_map(value).collect();
    #[expect(clippy::cast_precision_loss, reason = "some hundred frames")]
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (values.iter().copied().fold(f64::MAX, f64::min), mean)
}

/// Transcodes a video, and compares timestamps, frames and audio of all renditions with the source.
async fn check(name: &str, args: &str, chunks: usize) {
    let path = generate(name, args);
    let transcoded = transcode(&path, 5.0).await;
    let source = packets(&path, "V:0");
    eprintln!(
        "{name}: {} chunks, {} frames, {} of {} bytes read",
        transcoded.plan.chunks.len(),
        source.pts.len(),
        transcoded.bytes,
        path.metadata().unwrap().len()
    );
    assert_eq!(transcoded.plan.chunks.len(), chunks, "{name}");
    let mut shift = 0.0;
    for rung in &transcoded.plan.rungs {
        let file = transcoded.concatenated(&rung.name);
        let rendition = packets(&file, "v:0");
        assert_eq!(rendition.pts.len(), source.pts.len(), "{name} {}", rung.name);
        // If audio begins before the first frame, the frame is shown from there on.
        shift = rendition.pts[1] - source.pts[1];
        let pairs = rendition.pts.iter().zip(&source.pts).skip(1);
        let error = pairs.map(|(a, b)| (a - b - shift).abs()).fold(0.0, f64::max);
        // Timestamps are exact to the tick of the source. Without an index, a tick is 1/90,000 s.
        let tolerance = if transcoded.plan.chunks[0].span.is_some() { 0.000_002 } else { 0.000_02 };
        assert!(error < tolerance, "{name} {}: a timestamp differs by {error} s", rung.name);
        assert!(rendition.dts.is_sorted_by(|a, b| a < b), "{name} {}", rung.name);
        assert_eq!((rendition.dts[0], rendition.pts[0]), (0.0, 0.0), "{name} {}", rung.name);
        assert_eq!(warnings(&file), "", "{name} {}", rung.name);
        let (lowest, mean) = psnr(&file, &path);
        assert!(
            lowest > 28.0 && mean > 34.0,
            "{name} {}: PSNR {lowest} dB lowest, {mean} dB mean",
            rung.name
        );
    }
    check_playlists(&transcoded, name);
    let audio = packets(&path, "a:0");
    assert_eq!(transcoded.plan.audio.is_empty(), audio.pts.is_empty(), "{name}");
    if let (Some(first), Some(last)) = (audio.pts.first(), audio.pts.last()) {
        let file = transcoded.concatenated("audio");
        let rendition = packets(&file, "a:0");
        assert_eq!(warnings(&file), "", "{name} audio");
        // A muxer can place the audio encoder's delay before the first frame.
        let first = if source.pts[0] - first < 0.1 { source.pts[0] } else { *first };
        let (from, to) = (rendition.pts[0] - shift, rendition.pts[rendition.pts.len() - 1] - shift);
        assert!(from <= first + 0.03, "{name}: audio begins at {from}, not {first}");
        // If the audio ends before the last chunk, the rendition continues with silence.
        assert!(
            to > last - 0.03 && (to < last + 0.05 || *last < 15.0),
            "{name}: audio ends at {to}, not {last}"
        );
        let even =
            rendition.pts.windows(2).all(|pair| (pair[1] - pair[0] - 1024.0 / 48_000.0).abs() < 0.000_002);
        assert!(even, "{name}: the audio has gaps");
    }
}

/// Checks the playlists with an independent parser, and against the rules of draft-pantos-hls-rfc8216bis that players
/// rely on.
fn check_playlists(transcoded: &Transcoded, name: &str) {
    let read = |file: &str| std::fs::read_to_string(transcoded.folder.path().join(file)).unwrap();
    let text = read("master.m3u8");
    let master = hls_m3u8::MasterPlaylist::try_from(text.as_str()).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(master.variant_streams.len(), 2 * transcoded.plan.rungs.len(), "{name}: {text}");
    let mut durations = Vec::new();
    for rung in &transcoded.plan.rungs {
        let text = read(&format!("{}/index.m3u8", rung.name));
        let media =
            hls_m3u8::MediaPlaylist::try_from(text.as_str()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(media.has_end_list && media.has_independent_segments, "{name}");
        let mut segments = Vec::new();
        for (_, segment) in &media.segments {
            let seconds = segment.duration.duration();
            // Section 4.4.3.1: the duration, rounded to the nearest second, is at most the target duration.
            assert!(seconds.as_secs_f64().round() <= media.target_duration.as_secs_f64(), "{name}: {text}");
            assert!(seconds > Duration::ZERO, "{name}: {text}");
            let uri = segment.uri().as_ref();
            let bytes = transcoded.folder.path().join(&rung.name).join(uri).metadata().unwrap().len();
            segments.push((bytes, seconds.as_secs_f64()));
        }
        let peak = peak_bit_rate(&segments, media.target_duration.as_secs_f64());
        // Section 4.4.6.2: BANDWIDTH is at least the peak bit rate.
        let line = master_line(&read("master.m3u8"), &format!("{}/index.m3u8", rung.name));
        let bandwidth: f64 = attribute(&line, ":BANDWIDTH").parse().unwrap();
        assert!(bandwidth * 1.001 >= peak, "{name}: BANDWIDTH {bandwidth}, peak {peak}");
        assert_eq!(attribute(&line, "RESOLUTION"), format!("{}x{}", rung.width, rung.height));
        durations.push(media.segments.iter().map(|(_, s)| s.duration.duration()).collect::<Vec<Duration>>());
        let iframes = read(&format!("{}/iframes.m3u8", rung.name));
        assert_eq!(iframes.matches("#EXT-X-BYTERANGE:").count(), media.segments.iter().count(), "{name}");
        assert!(iframes.contains("#EXT-X-I-FRAMES-ONLY\n"), "{name}");
    }
    // All renditions have the same segment boundaries, so that a player can switch between them.
    assert!(durations.windows(2).all(|pair| pair[0] == pair[1]), "{name}: {durations:?}");
    if !transcoded.plan.audio.is_empty() {
        let text = read("audio/index.m3u8");
        hls_m3u8::MediaPlaylist::try_from(text.as_str()).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

fn master_line(master: &str, uri: &str) -> String {
    let lines: Vec<&str> = master.lines().collect();
    lines.windows(2).find(|pair| pair[1] == uri).map(|pair| pair[0].to_owned()).unwrap()
}

fn attribute(line: &str, name: &str) -> String {
    let rest = line.split(&format!("{name}=")).nth(1).unwrap();
    rest.split(',').next().unwrap().to_owned()
}

const H264: &str = "-c:v libx264 -preset veryfast -g 48 -bf 3 -pix_fmt yuv420p -c:a aac";
const AUDIO: &str = "-f lavfi -i sine=f=440:beep_factor=4:r=48000:d=20";

fn video(rate: &str) -> String {
    format!("-f lavfi -i testsrc2=s=320x180:d=20:r={rate}")
}

macro_rules! sources {
    ($($test:ident: $name:literal, $chunks:literal, $args:expr;)*) => {
        $(#[tokio::test]
        async fn $test() {
            check($name, &$args, $chunks).await;
        })*
    };
}

sources! {
    frame_rate_23_976: "23.976.mp4", 5, format!("{} {AUDIO} {H264}", video("24000/1001"));
    frame_rate_25: "25.mp4", 5, format!("{} {AUDIO} {H264}", video("25"));
    frame_rate_29_97_in_matroska: "29.97.mkv", 4, format!("{} {AUDIO} {H264}", video("30000/1001"));
    frame_rate_30_in_quicktime: "30.mov", 4, format!("{} {AUDIO} {H264}", video("30"));
    frame_rate_60: "60.mp4", 4, format!("{} {AUDIO} {H264}", video("60"));
    variable_frame_rate: "vfr.mp4", 5, format!(
        "{} {AUDIO} -vf select=not(eq(mod(n\\,7)\\,3))*not(between(n\\,100\\,130)) -fps_mode vfr {H264}", video("30"));
    variable_frame_rate_in_matroska: "vfr.mkv", 5, format!(
        "{} {AUDIO} -vf select=not(eq(mod(n\\,7)\\,3))*not(between(n\\,100\\,130)) -fps_mode vfr {H264}", video("30"));
    vp9_and_opus: "vp9.webm", 5, format!(
        "{} {AUDIO} -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 60 -c:a libopus", video("30"));
    hevc_with_open_gops: "hevc.mp4", 5, format!(
        "{} {AUDIO} -c:v libx265 -preset ultrafast -x265-params open-gop=1:keyint=60:log-level=none -tag:v hvc1 -c:a aac",
        video("30"));
    no_audio: "silent.mp4", 5, format!("{} {H264}", video("25"));
    audio_longer_than_video: "longer.mp4", 5, format!("{} -f lavfi -i sine=f=440:r=44100:d=27 {H264}", video("25"));
    audio_shorter_than_video: "shorter.mp4", 5, format!("{} -f lavfi -i sine=f=440:r=44100:d=8 {H264}", video("25"));
    fragmented_with_sidx: "sidx.mp4", 5, format!(
        "{} {AUDIO} {H264} -movflags +frag_keyframe+empty_moov+global_sidx+default_base_moof", video("25"));
    fragmented_without_index: "fragmented.mp4", 5, format!(
        "{} {AUDIO} {H264} -movflags +frag_keyframe+empty_moov+default_base_moof", video("25"));
    // Stored in landscape and displayed in portrait, as phones record.
    rotated: "rotated.mov", 4, format!(
        "{} {AUDIO} {H264} -metadata:s:v:0 rotate=90", video("30").replace("320x180", "640x360"));
    mpeg_ts_without_index: "stream.ts", 1, format!("{} {AUDIO} {H264} -bsf:v h264_mp4toannexb", video("25"));
}
