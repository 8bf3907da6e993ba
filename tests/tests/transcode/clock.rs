//! A film whose frames and audio say where they belong: it shows the number of each frame, and beeps at each second. So
//! the renditions tell which frames are missing, repeated or shown at another time, and whether audio is in sync.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use super::{Transcoded, packets, transcode};

/// Bits of a frame's number.
const BITS: usize = 12;
/// Width and height at which frames are examined.
const LOOK: (usize, usize) = (240, 20);
/// Sample rate of the audio rendition, in hertz.
const RATE: f64 = 48_000.0;
/// The greatest distance of a beep from its frame, in seconds.
pub(crate) const SYNC: f64 = 0.02;
/// The longest time by which audio begins before the first frame: the delay of B-frames, in a container that cannot
/// undo it.
const MAX_LATE: f64 = 0.1;

/// Returns the filters that draw the clock on frames of any size: four quadrants of different colours, and across the
/// middle a bar of 12 blocks, which are the bits of the frame's number, the lowest one on the left.
pub(crate) fn picture() -> String {
    let mut filters = "drawbox=0:0:iw/2:ih/2:0xE02020:fill,drawbox=iw/2:0:iw/2:ih/2:0x20A020:fill,\
                       drawbox=0:ih/2:iw/2:ih/2:0x2040E0:fill,drawbox=iw/2:ih/2:iw/2:ih/2:0xE0E020:fill,\
                       drawbox=0:ih*0.4:iw:ih*0.2:black:fill"
        .to_owned();
    for bit in 0..BITS {
        let enabled = format!("mod(floor(n/{})\\,2)", 1 << bit);
        let _ = write!(filters, ",drawbox=iw*{bit}/12:ih*0.4:iw/12:ih*0.2:white:fill:enable={enabled}");
    }
    filters
}

/// Returns ffmpeg's arguments for the frames of a film.
pub(crate) fn frames(size: &str, rate: &str, seconds: f64) -> String {
    format!("-f lavfi -i color=black:s={size}:r={rate}:d={seconds},{}", picture())
}

/// Returns ffmpeg's arguments for audio that beeps for 0.1 s at each second.
pub(crate) fn beeps(rate: u32, seconds: f64) -> String {
    format!("-f lavfi -i aevalsrc=lt(mod(t\\,1)\\,0.1)*0.5*sin(2*PI*1000*t):s={rate}:d={seconds}")
}

/// What a rendition of the film shows.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The numbers of the frames, in the order in which they are presented.
    pub(crate) numbers: Vec<usize>,
    /// The presentation times of the frames, in seconds.
    pub(crate) times: Vec<f64>,
    /// The durations of the segments in the playlist, in seconds.
    pub(crate) segments: Vec<f64>,
    /// The number of keyframes.
    pub(crate) keyframes: usize,
    /// The times of the beeps, in seconds.
    pub(crate) beeps: Vec<f64>,
    /// The duration of the video and of the audio according to their playlists, in seconds.
    pub(crate) duration: (f64, f64),
}

/// Decodes a file with ffmpeg, and returns its output.
fn decode(path: &Path, args: &[&str]) -> Vec<u8> {
    let output =
        Command::new("ffmpeg").args(["-nostdin", "-v", "error", "-i"]).arg(path).args(args).arg("-").output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Reads the number of a frame. It may have black bars at its sides.
fn number(luma: &[u8]) -> usize {
    let (width, height) = LOOK;
    let row = |y: usize| &luma[y * width..(y + 1) * width];
    // Above the blocks, the film is never black.
    let lit: Vec<usize> = (0..width).filter(|x| row(height / 4)[*x] > 40).collect();
    let (Some(left), Some(right)) = (lit.first(), lit.last()) else { return 0 };
    let across = right + 1 - left;
    (0..BITS)
        .filter(|bit| row(height / 2)[left + across * (2 * bit + 1) / 24] > 128)
        .map(|bit| 1 << bit)
        .sum()
}

/// Returns the numbers of the frames that a file shows, after ffmpeg's `filters`, which end with a comma.
pub(crate) fn numbers(path: &Path, filters: &str) -> Vec<usize> {
    let look = format!("{filters}scale={}:{}:flags=area,format=gray", LOOK.0, LOOK.1);
    let luma = decode(path, &["-vf", &look, "-fps_mode", "passthrough", "-f", "rawvideo"]);
    luma.chunks(LOOK.0 * LOOK.1).map(number).collect()
}

/// Returns the times at which a beep begins.
pub(crate) fn beep_times(path: &Path) -> Vec<f64> {
    let output = decode(path, &["-ac", "1", "-f", "f32le"]);
    let samples: Vec<f32> = output.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let first = packets(path, "a:0").pts[0];
    let (mut times, mut silent_since) = (Vec::new(), f64::NEG_INFINITY);
    for (sample, i) in samples.iter().zip(0u32..) {
        let time = f64::from(i) / RATE;
        if sample.abs() > 0.1 {
            if time - silent_since > 0.3 {
                times.push(time + first);
            }
            silent_since = time;
        }
    }
    times
}

/// Returns the durations of a playlist's segments, in seconds.
fn durations(transcoded: &Transcoded, track: &str) -> Vec<f64> {
    let playlist = std::fs::read_to_string(transcoded.folder.path().join(track).join("index.m3u8")).unwrap();
    let durations = playlist.lines().filter_map(|line| line.strip_prefix("#EXTINF:")?.strip_suffix(','));
    durations.map(|seconds| seconds.parse().unwrap()).collect()
}

impl Transcoded {
    /// Examines the largest rendition, and checks what holds for every rendition of every source.
    pub(crate) fn examine(&self, name: &str) -> Seen {
        let mut counts = Vec::new();
        for rung in &self.plan.rungs {
            let file = self.concatenated(&rung.name);
            let video = packets(&file, "v:0");
            let context = format!("{name} {}", rung.name);
            assert!(
                video.dts.is_sorted_by(|a, b| a < b),
                "{context}: decode times don't ascend: {:?}",
                video.dts
            );
            assert!(video.pts.is_sorted_by(|a, b| a < b), "{context}: two frames at the same time");
            assert!(video.dts[0].abs() < 1e-6 && video.pts[0].abs() < 1e-6, "{context}: doesn't start at 0");
            assert_eq!(super::warnings(&file), "", "{context}");
            counts.push(video.pts.len());
        }
        assert!(counts.windows(2).all(|pair| pair[0] == pair[1]), "{name}: {counts:?} frames");
        let file = self.concatenated(&self.plan.rungs[0].name);
        let numbers = numbers(&file, "");
        assert_eq!(numbers.len(), counts[0], "{name}: decoded frames");
        let segments = durations(self, &self.plan.rungs[0].name);
        let audio: Vec<f64> = if self.plan.audio.is_empty() { Vec::new() } else { durations(self, "audio") };
        if !audio.is_empty() {
            assert_eq!(super::warnings(&self.concatenated("audio")), "", "{name}");
        }
        Seen {
            numbers,
            times: packets(&file, "v:0").pts,
            keyframes: packets(&file, "v:0").keyframes,
            beeps: if audio.is_empty() { Vec::new() } else { beep_times(&self.concatenated("audio")) },
            duration: (segments.iter().sum(), audio.iter().sum()),
            segments,
        }
    }
}

/// What is right for a film.
pub(crate) struct Expected {
    /// The numbers of the frames.
    pub(crate) numbers: Vec<usize>,
    /// The seconds from frame to frame.
    pub(crate) seconds_per_frame: f64,
    /// The duration of the presentation, in seconds.
    pub(crate) duration: f64,
    /// The seconds of the beeps. `None` if there is no audio.
    pub(crate) beeps: Option<Vec<u32>>,
    /// The greatest distance of a beep from its frame in the film itself, in seconds.
    pub(crate) sync: f64,
}

impl Seen {
    /// Compares with what is right.
    pub(crate) fn check(&self, name: &str, expected: &Expected) {
        assert_eq!(self.numbers, expected.numbers, "{name}");
        // Audio can begin a little before the first frame, which is then shown from there on.
        let right = |i: usize| f64::from(u32::try_from(i).unwrap()) * expected.seconds_per_frame;
        let late = self.times[1] - right(1);
        assert!((-0.002..MAX_LATE).contains(&late), "{name}: the second frame is {late} s late");
        for (time, i) in self.times.iter().zip(0..).skip(1) {
            assert!((time - late - right(i)).abs() < 0.0015, "{name}: frame {i} at {time}, {late} s late");
        }
        let (video, audio) = self.duration;
        assert!((video - late - expected.duration).abs() < 0.03, "{name}: {video} s of video, {late} s late");
        assert_eq!(self.keyframes, self.segments.len(), "{name}: a keyframe for each segment");
        let Some(beeps) = &expected.beeps else {
            assert!(audio.abs() < 1e-9, "{name}: {audio} s of audio");
            return;
        };
        assert!((audio - video).abs() < 0.05, "{name}: {audio} s of audio, {video} s of video");
        assert_eq!(self.beeps.len(), beeps.len(), "{name}: {:?}", self.beeps);
        for (beep, second) in self.beeps.iter().zip(beeps) {
            let distance = beep - late - f64::from(*second);
            assert!(distance.abs() < expected.sync, "{name}: a beep at {beep}, {distance} s from its frame");
        }
    }
}

/// Prints what the renditions of each file in the folder `UPREEL_FILES` show.
#[tokio::test]
#[ignore = "for files of your own: UPREEL_FILES=FOLDER cargo test ... -- --ignored --nocapture"]
async fn report_on_files() {
    let folder = std::env::var("UPREEL_FILES").unwrap();
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let report = tokio::spawn(async move {
            let transcoded = transcode(&path, 20.0).await;
            let seen = transcoded.examine("");
            let master = std::fs::read_to_string(transcoded.folder.path().join("master.m3u8")).unwrap();
            let size = path.metadata().unwrap().len();
            (seen, master, transcoded.plan, transcoded.record, (transcoded.chunk_bytes, size))
        });
        match report.await {
            Ok((seen, master, plan, record, (read, size))) => {
                let gaps = seen.numbers.windows(2).filter(|pair| pair[0] + 1 != pair[1]).count();
                let list =
                    |times: &[f64]| times.iter().map(|t| format!("{t:.3}")).collect::<Vec<_>>().join(" ");
                eprintln!(
                    "{name}: {} chunks, {} frames {}..{} ({gaps} gaps), {record} s in the record, {:.3} s and {:.3} s of audio",
                    plan.chunks.len(),
                    seen.numbers.len(),
                    seen.numbers[0],
                    seen.numbers[seen.numbers.len() - 1],
                    seen.duration.0,
                    seen.duration.1
                );
                eprintln!("    {read} of {size} bytes read by the encoders");
                eprintln!("    segments {}", list(&seen.segments));
                eprintln!("    beeps {} {:?}", list(&seen.beeps), plan.audio);
                eprintln!(
                    "    {}",
                    master.lines().find(|line| line.contains("STREAM-INF")).unwrap_or_default()
                );
            }
            Err(error) => eprintln!("{name}: {error}"),
        }
    }
}
