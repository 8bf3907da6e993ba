//! Videos in parts, put together again: frame by frame what the source is.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
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
    let file = Arc::new(File::open(path).unwrap());
    let size = file.metadata().unwrap().len();
    let fetch = move |range: Range<u64>| {
        let file = file.clone();
        let read = move || {
            let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap()];
            file.read_exact_at(&mut bytes, range.start).unwrap();
            Bytes::from(bytes)
        };
        let read: futures_util::future::BoxFuture<'static, _> = Box::pin(async move { Ok(read()) });
        read
    };
    Arc::new(Source::new(size, Box::new(fetch)))
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
    let facts = poster::make(&first, &ffmpeg(), deadline).await.unwrap().facts;
    let planned = source(path);
    let container: Container = facts.container.unwrap();
    let cuts = match Index::open(&planned, container).await.unwrap() {
        Some(index) => index.cuts(&planned).await.unwrap(),
        None => None,
    };
    let plan = Plan::in_parts(&facts, cuts.as_ref(), length).unwrap();
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
    for part in &plan.parts {
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

#[tokio::test]
async fn every_picture_once_and_in_time() {
    let video = "-f lavfi -i testsrc2=s=320x180:d=20:r=";
    let sound = "-f lavfi -i sine=f=440:beep_factor=4:r=48000:d=20";
    let h264 = "-c:v libx264 -preset veryfast -g 48 -bf 3 -pix_fmt yuv420p -c:a aac";
    for (name, args) in [
        ("23.976.mp4", format!("{video}24000/1001 {sound} {h264}")),
        ("25.mp4", format!("{video}25 {sound} {h264}")),
        ("29.97.mkv", format!("{video}30000/1001 {sound} {h264}")),
        ("60.mp4", format!("{video}60 {sound} {h264}")),
        (
            "vp9.webm",
            format!("{video}30 {sound} -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 60 -c:a libopus"),
        ),
        (
            "hevc.mp4",
            format!(
                "{video}30 {sound} -c:v libx265 -preset ultrafast -x265-params open-gop=1:keyint=60:log-level=none -tag:v hvc1 -c:a aac"
            ),
        ),
    ] {
        let path = made(name, &args);
        let rendered = rendered(&path, 5.0).await;
        let source = packets(&path, "V:0");
        println!(
            "{name}: {} parts, {} pictures, {} of {} bytes read",
            rendered.plan.parts.len(),
            source.pts.len(),
            rendered.bytes,
            path.metadata().unwrap().len()
        );
        for rung in &rendered.plan.rungs {
            let made = packets(&rendered.whole(&rung.name), "v:0");
            assert_eq!(made.pts.len(), source.pts.len(), "{name} {}", rung.name);
            let shift = made.pts[0] - source.pts[0];
            assert!((0.0..0.1).contains(&shift), "{name}: {shift}");
            let off =
                made.pts.iter().zip(&source.pts).map(|(a, b)| (a - b - shift).abs()).fold(0.0, f64::max);
            assert!(off < 0.000_002, "{name} {}: {off} s off", rung.name);
            assert!(made.dts.is_sorted_by(|a, b| a < b), "{name} {}", rung.name);
        }
        let audio = packets(&rendered.whole("audio"), "a:0");
        println!("audio {} {:?} {:?}", audio.pts.len(), audio.pts.first(), audio.pts.last());
    }
}
