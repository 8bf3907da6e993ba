//! Chunks, put together again: frame by frame what the source is.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod colours;
mod sound;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use upreel_core::Container;
use upreel_media::{Index, Source, poster};
use upreel_transcode::{Plan, encode, playlist};

fn ffmpeg() -> PathBuf {
    std::env::var_os("FFMPEG_PATH").map_or_else(|| "ffmpeg".into(), PathBuf::from)
}

/// A video made by the distribution's ffmpeg, which has every encoder; kept from run to run.
fn made(name: &str, args: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("transcode");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    if !path.exists() {
        let part = folder.join(format!("part-{name}"));
        let status = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-y"])
            .args(args.split_whitespace())
            .arg(&part)
            .status()
            .unwrap();
        assert!(status.success(), "{name}");
        std::fs::rename(part, &path).unwrap();
    }
    path
}

fn source(path: &Path) -> Arc<Source> {
    Arc::new(upreel_tests::source(path).unwrap())
}

struct Rendered {
    folder: tempfile::TempDir,
    plan: Plan,
    bytes: u64,
}

/// Transcodes a video in parts of so many seconds, each from a source of its own, as functions do.
async fn rendered(path: &Path, length: f64) -> Rendered {
    let deadline = Instant::now() + Duration::from_mins(5);
    let first = source(path);
    let media_info = poster::make(&first, &ffmpeg(), deadline).await.unwrap().media_info;
    let planned = source(path);
    let container: Container = media_info.container.unwrap();
    let cuts = match Index::open(&planned, container).await.unwrap() {
        Some(index) => index.cuts(&planned).await.unwrap(),
        None => None,
    };
    let plan = Plan::with_chunk_length(&media_info, cuts.as_ref(), length).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = planned.stats().bytes;
    let mut manifests = Vec::new();
    let store = |objects: Vec<upreel_transcode::Object>| {
        for object in objects {
            let path = folder.path().join(&object.name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &object.bytes).unwrap();
        }
    };
    for part in &plan.chunks {
        let source = source(path);
        let (manifest, objects) = encode(&source, &plan, part.index, &ffmpeg(), deadline).await.unwrap();
        bytes += source.stats().bytes;
        store(objects);
        manifests.push(manifest);
    }
    manifests.reverse();
    store(playlist::playlists(&plan, manifests).unwrap());
    Rendered { folder, plan, bytes }
}

#[derive(Debug)]
struct Packets {
    pts: Vec<f64>,
    dts: Vec<f64>,
}

fn packets(path: &Path, stream: &str) -> Packets {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", stream, "-show_entries", "packet=pts_time,dts_time,flags"])
        .args(["-of", "csv=p=0"])
        .arg(path)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (mut pts, mut dts) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let mut fields = line.split(',');
        let shown: Option<f64> = fields.next().and_then(|f| f.parse().ok());
        let decoded: Option<f64> = fields.next().and_then(|f| f.parse().ok());
        // `D` are those that an edit list leaves out.
        if fields.next().is_some_and(|flags| flags.contains('D')) {
            continue;
        }
        pts.extend(shown);
        dts.extend(decoded);
    }
    pts.sort_by(f64::total_cmp);
    Packets { pts, dts }
}

impl Rendered {
    /// A rendition as one file.
    fn whole(&self, track: &str) -> PathBuf {
        let folder = self.folder.path().join(track);
        let playlist = std::fs::read_to_string(folder.join("index.m3u8")).unwrap();
        let mut whole = std::fs::read(folder.join("init.mp4")).unwrap();
        for line in playlist.lines().filter(|line| !line.starts_with('#')) {
            whole.extend(std::fs::read(folder.join(line)).unwrap());
        }
        let path = self.folder.path().join(format!("{track}.mp4"));
        std::fs::write(&path, whole).unwrap();
        path
    }
}

/// What ffmpeg says when it decodes everything, which should be nothing.
fn complaints(path: &Path) -> String {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "warning", "-xerror", "-i"])
        .arg(path)
        .args(["-f", "null", "-"])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// How like the pictures are to those of the source with the same number: the worst and the mean, in dB.
fn likeness(made: &Path, source: &Path) -> (f64, f64) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let shape = "scale=160:90,setsar=1,settb=1/1000,setpts=N*10,format=yuv420p";
    let filter = format!("[0:v]{shape}[a];[1:V]{shape}[b];[a][b]psnr=stats_file={}", log.path().display());
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "quiet", "-i"])
        .arg(made)
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
    #[expect(clippy::cast_precision_loss, reason = "some hundred pictures")]
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (values.iter().copied().fold(f64::MAX, f64::min), mean)
}

async fn check(name: &str, args: &str, parts: usize) {
    let path = made(name, args);
    let rendered = rendered(&path, 5.0).await;
    let source = packets(&path, "V:0");
    eprintln!(
        "{name}: {} parts, {} pictures, {} of {} bytes read",
        rendered.plan.chunks.len(),
        source.pts.len(),
        rendered.bytes,
        path.metadata().unwrap().len()
    );
    assert_eq!(rendered.plan.chunks.len(), parts, "{name}");
    let mut shift = 0.0;
    for rung in &rendered.plan.rungs {
        let whole = rendered.whole(&rung.name);
        let made = packets(&whole, "v:0");
        assert_eq!(made.pts.len(), source.pts.len(), "{name} {}", rung.name);
        shift = made.pts[0] - source.pts[0];
        let off = made.pts.iter().zip(&source.pts).map(|(a, b)| (a - b - shift).abs()).fold(0.0, f64::max);
        // To the tick; without an index that is one of 90,000 a second.
        let exact = if rendered.plan.chunks[0].span.is_some() { 0.000_002 } else { 0.000_02 };
        assert!(off < exact, "{name} {}: {off} s off", rung.name);
        assert!(made.dts.is_sorted_by(|a, b| a < b), "{name} {}", rung.name);
        assert_eq!(complaints(&whole), "", "{name} {}", rung.name);
        let (worst, mean) = likeness(&whole, &path);
        assert!(worst > 28.0 && mean > 34.0, "{name} {}: {worst} dB at worst, {mean} dB", rung.name);
    }
    valid(&rendered, name);
    let sound = packets(&path, "a:0");
    assert_eq!(rendered.plan.audio, !sound.pts.is_empty(), "{name}");
    if let (Some(first), Some(last)) = (sound.pts.first(), sound.pts.last()) {
        let whole = rendered.whole("audio");
        let made = packets(&whole, "a:0");
        assert_eq!(complaints(&whole), "", "{name} audio");
        let (from, to) = (made.pts[0] - shift, made.pts[made.pts.len() - 1] - shift);
        assert!(from <= first + 0.03, "{name}: sound from {from}, not {first}");
        // Where a part follows, silence goes on.
        assert!(
            to > last - 0.03 && (to < last + 0.05 || *last < 15.0),
            "{name}: sound until {to}, not {last}"
        );
        let even = made.pts.windows(2).all(|pair| (pair[1] - pair[0] - 1024.0 / 48_000.0).abs() < 0.000_002);
        assert!(even, "{name}: the sound has gaps");
    }
}

/// The rules of draft-pantos-hls-rfc8216bis that players rely on, and a parser that somebody else wrote.
fn valid(rendered: &Rendered, name: &str) {
    let read = |file: &str| std::fs::read_to_string(rendered.folder.path().join(file)).unwrap();
    let text = read("master.m3u8");
    let master = hls_m3u8::MasterPlaylist::try_from(text.as_str()).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(master.variant_streams.len(), 2 * rendered.plan.rungs.len(), "{name}: {text}");
    let mut shapes = Vec::new();
    for rung in &rendered.plan.rungs {
        let text = read(&format!("{}/index.m3u8", rung.name));
        let media =
            hls_m3u8::MediaPlaylist::try_from(text.as_str()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(media.has_end_list && media.has_independent_segments, "{name}");
        let mut peak = 0.0;
        for (_, segment) in &media.segments {
            let seconds = segment.duration.duration();
            // 4.4.3.1: rounded to the nearest second it is no longer than the target.
            assert!(seconds.as_secs_f64().round() <= media.target_duration.as_secs_f64(), "{name}: {text}");
            assert!(seconds > Duration::ZERO, "{name}: {text}");
            let uri = segment.uri().as_ref();
            let bytes = rendered.folder.path().join(&rung.name).join(uri).metadata().unwrap().len();
            #[expect(clippy::cast_precision_loss, reason = "bytes of a segment")]
            let rate = bytes as f64 * 8.0 / seconds.as_secs_f64();
            peak = f64::max(peak, rate);
        }
        // 4.4.6.2: BANDWIDTH is no less than the peak.
        let line = master_line(&read("master.m3u8"), &format!("{}/index.m3u8", rung.name));
        let bandwidth: f64 = attribute(&line, ":BANDWIDTH").parse().unwrap();
        assert!(bandwidth * 1.001 >= peak, "{name}: {bandwidth} of {peak}");
        assert_eq!(attribute(&line, "RESOLUTION"), format!("{}x{}", rung.width, rung.height));
        let shape: Vec<Duration> = media.segments.iter().map(|(_, s)| s.duration.duration()).collect();
        shapes.push(shape);
        let frames = read(&format!("{}/iframes.m3u8", rung.name));
        assert_eq!(frames.matches("#EXT-X-BYTERANGE:").count(), media.segments.iter().count(), "{name}");
        assert!(frames.contains("#EXT-X-I-FRAMES-ONLY\n"), "{name}");
    }
    // All sizes are cut at the same places, so that a player can change between them.
    assert!(shapes.windows(2).all(|pair| pair[0] == pair[1]), "{name}: {shapes:?}");
    if rendered.plan.audio {
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
const SOUND: &str = "-f lavfi -i sine=f=440:beep_factor=4:r=48000:d=20";

fn picture(rate: &str) -> String {
    format!("-f lavfi -i testsrc2=s=320x180:d=20:r={rate}")
}

macro_rules! sources {
    ($($test:ident: $name:literal, $parts:literal, $args:expr;)*) => {
        $(#[tokio::test]
        async fn $test() {
            check($name, &$args, $parts).await;
        })*
    };
}

sources! {
    film_rate: "23.976.mp4", 5, format!("{} {SOUND} {H264}", picture("24000/1001"));
    pal_rate: "25.mp4", 5, format!("{} {SOUND} {H264}", picture("25"));
    ntsc_rate_in_matroska: "29.97.mkv", 4, format!("{} {SOUND} {H264}", picture("30000/1001"));
    thirty_in_quicktime: "30.mov", 4, format!("{} {SOUND} {H264}", picture("30"));
    sixty: "60.mp4", 4, format!("{} {SOUND} {H264}", picture("60"));
    variable_rate: "vfr.mp4", 5, format!(
        "{} {SOUND} -vf select=not(eq(mod(n\\,7)\\,3))*not(between(n\\,100\\,130)) -fps_mode vfr {H264}", picture("30"));
    variable_rate_in_matroska: "vfr.mkv", 5, format!(
        "{} {SOUND} -vf select=not(eq(mod(n\\,7)\\,3))*not(between(n\\,100\\,130)) -fps_mode vfr {H264}", picture("30"));
    vp9_and_opus: "vp9.webm", 5, format!(
        "{} {SOUND} -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 60 -c:a libopus", picture("30"));
    hevc_with_open_groups: "hevc.mp4", 5, format!(
        "{} {SOUND} -c:v libx265 -preset ultrafast -x265-params open-gop=1:keyint=60:log-level=none -tag:v hvc1 -c:a aac",
        picture("30"));
    no_sound: "silent.mp4", 5, format!("{} {H264}", picture("25"));
    sound_is_longer: "longer.mp4", 5, format!("{} -f lavfi -i sine=f=440:r=44100:d=27 {H264}", picture("25"));
    sound_is_shorter: "shorter.mp4", 5, format!("{} -f lavfi -i sine=f=440:r=44100:d=8 {H264}", picture("25"));
    fragmented_with_an_index: "sidx.mp4", 5, format!(
        "{} {SOUND} {H264} -movflags +frag_keyframe+empty_moov+global_sidx+default_base_moof", picture("25"));
    fragmented: "fragmented.mp4", 5, format!(
        "{} {SOUND} {H264} -movflags +frag_keyframe+empty_moov+default_base_moof", picture("25"));
    // As a phone films: stored lying, shown upright.
    rotated: "rotated.mov", 4, format!(
        "{} {SOUND} {H264} -metadata:s:v:0 rotate=90", picture("30").replace("320x180", "640x360"));
    no_index: "stream.ts", 1, format!("{} {SOUND} {H264} -bsf:v h264_mp4toannexb", picture("25"));
}
