//! Compares segments with the original.

use std::path::Path;
use std::process::Command;

use super::{Remuxed, segments};

/// A frame or a packet: its presentation time, its decode time, its duration, and its MD5.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    pts: i128,
    dts: i128,
    duration: i128,
    md5: String,
}

/// The frames or packets of a stream, and the ticks per second of their times.
struct Stream {
    scale: i128,
    items: Vec<Item>,
}

fn ffmpeg(args: &[&str]) -> Vec<u8> {
    let output = Command::new("ffmpeg").args(["-nostdin", "-v", "error"]).args(args).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    // Of audio alone: the first frame has no predecessor.
    assert!(output.status.success(), "{args:?}: {errors}");
    output.stdout
}

/// Reads the frames (decoded), or the packets (as they are), of a stream.
fn stream(path: &Path, map: &str, is_decoded: bool) -> Stream {
    let path = path.to_str().unwrap();
    let decode = ["-fps_mode", "passthrough", "-enc_time_base", "-1"];
    let copy = ["-c", "copy"];
    let options = if is_decoded { &decode[..] } else { &copy[..] };
    let rotate = ["-noautorotate", "-copyts", "-threads", "1"];
    let end = ["-f", "framemd5", "-"];
    let text = ffmpeg(&[&rotate[..], &["-i", path, "-map", map], options, &end].concat());
    let text = String::from_utf8(text).unwrap();
    let scale = text.lines().find_map(|line| line.strip_prefix("#tb 0: 1/")).unwrap().parse().unwrap();
    let items = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let number = |at: usize| fields[at].parse().unwrap();
        Item { dts: number(1), pts: number(2), duration: number(3), md5: fields[5].to_owned() }
    });
    Stream { scale, items: items.collect() }
}

fn samples(path: &Path, map: &str) -> Vec<u8> {
    ffmpeg(&["-i", path.to_str().unwrap(), "-map", map, "-f", "f32le", "-"])
}

/// How a video differs from its original on purpose.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Expected {
    /// The stream of the film in ffmpeg.
    pub(super) film: Option<&'static str>,
    /// The first frame is shown earlier, as the film starts after the audio.
    pub(super) starts_late: bool,
    /// Silence is added.
    pub(super) is_silent: bool,
    /// Times are rounded to milliseconds in the original.
    pub(super) is_rounded: bool,
}

/// Checks that the segments of a video present the same frames and samples as the original, at the same times.
pub(super) async fn check(path: &Path, expected: Expected) -> Remuxed {
    let made = segments(path).await;
    let name = path.file_name().unwrap().to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("film.mp4");
    made.write(0, 0..made.segments[0].len(), &film);
    let delay = frames(path, &film, &made, expected);
    each_alone(&film, &made, folder.path(), name);
    if made.has_audio() {
        for track in 1..made.remux.tracks.len() {
            let audio = folder.path().join(format!("audio-{track}.mp4"));
            made.write(track, 0..made.segments[track].len(), &audio);
            let map = format!("0:a:{}", track - 1);
            packets(path, &audio, &map, delay, expected);
            sound(path, &audio, &map, expected.is_silent);
        }
    }
    let media: u64 =
        made.remux.tracks.iter().flat_map(|track| &track.segments).map(|segment| segment.bytes).sum();
    let gaps = made.segments[0].len() as u64 * (256 << 10);
    assert!(made.read <= media + media / 20 + gaps, "{name}: {} bytes read for {media}", made.read);
    made
}

/// Compares the frames. Returns the delay as a fraction of a second.
fn frames(path: &Path, film: &Path, made: &Remuxed, expected: Expected) -> (i128, i128) {
    let name = path.file_name().unwrap().to_str().unwrap();
    let original = stream(path, expected.film.unwrap_or("0:v:0"), true);
    let remuxed = stream(film, "0:v:0", true);
    let md5 = |stream: &Stream| stream.items.iter().map(|item| item.md5.clone()).collect::<Vec<_>>();
    assert_eq!(original.items.len(), remuxed.items.len(), "{name}");
    assert!(md5(&original) == md5(&remuxed), "{name}: other frames");
    assert_eq!(remuxed.scale, i128::from(made.remux.tracks[0].scale));

    // Every time, but for the first one of a film that starts late, is later by the same.
    let first = usize::from(expected.starts_late);
    let delay = |i: usize| remuxed.items[i].pts * original.scale - original.items[i].pts * remuxed.scale;
    for i in first..original.items.len() {
        assert_eq!(delay(i), delay(first), "{name}: frame {i}");
    }
    let packets = stream(film, "0:v:0", false).items;
    assert!(packets.is_sorted_by(|a, b| a.dts < b.dts), "{name}: decode times");
    assert!(packets.iter().all(|packet| packet.dts <= packet.pts), "{name}: decoded after presentation");

    // Segments adjoin, and the last one ends with the last frame.
    let durations: u64 = made.remux.tracks[0].segments.iter().map(|segment| segment.duration).sum();
    let begin = remuxed.items[0].pts;
    let frames = stream(path, expected.film.unwrap_or("0:v:0"), false).items;
    let end = frames.iter().map(|frame| frame.pts + frame.duration).max().unwrap();
    let end = (end * remuxed.scale * original.scale + delay(first) * original.scale)
        / (original.scale * original.scale);
    if !expected.is_rounded {
        assert_eq!(i128::from(durations), end - begin, "{name}: sum of durations");
    }
    (delay(first), remuxed.scale * original.scale)
}

/// Checks that each segment can be decoded without the others, to the frames it has among all.
fn each_alone(film: &Path, made: &Remuxed, folder: &Path, name: &str) {
    let all = stream(film, "0:v:0", true).items;
    let mut rest = &all[..];
    for segment in 0..made.segments[0].len() {
        let alone = folder.join("alone.mp4");
        made.write(0, segment..segment + 1, &alone);
        let frames = stream(&alone, "0:v:0", true).items;
        assert!(!frames.is_empty() && frames.len() <= rest.len(), "{name}: segment {segment}");
        let same = frames.iter().zip(rest).all(|(a, b)| (&a.md5, a.pts) == (&b.md5, b.pts));
        assert!(same, "{name}: segment {segment} has other frames alone");
        rest = &rest[frames.len()..];
    }
    assert!(rest.is_empty(), "{name}");
}

/// Checks that all packets of the original's audio are there, delayed as the film is.
fn packets(path: &Path, audio: &Path, map: &str, (delay, scale): (i128, i128), expected: Expected) {
    let name = path.file_name().unwrap().to_str().unwrap();
    let original = stream(path, map, false);
    let remuxed = stream(audio, "0:a:0", false);
    let start = remuxed.items.iter().position(|item| item.md5 == original.items[0].md5).unwrap();
    let mut end = start;
    for (i, packet) in original.items.iter().enumerate() {
        let Some(found) = remuxed.items.get(start + i).filter(|found| found.md5 == packet.md5) else {
            // What exceeds the end of an edit is not in the segments.
            assert!(expected.is_silent || i + 2 >= original.items.len(), "{name}: packet {i} is missing");
            break;
        };
        // Both times are in ticks of the audio, which are multiplied to be compared exactly.
        let later = found.pts * original.scale - packet.pts * remuxed.scale;
        let off = later * scale - delay * original.scale * remuxed.scale;
        let second = original.scale * remuxed.scale * scale;
        let most =
            if expected.is_rounded { second / 500 } else { second / original.scale.max(remuxed.scale) };
        assert!(off.abs() <= most, "{name}: packet {i} is off by {off}, more than {most}");
        end = start + i + 1;
    }
    assert!(remuxed.items.is_sorted_by(|a, b| a.dts < b.dts), "{name}: audio decode times");
    if !expected.is_silent {
        assert!(start <= 3 && end == remuxed.items.len(), "{name}: {start}, {end}");
    }
}

/// Checks that the audio of the original is in the segments, sample by sample.
fn sound(path: &Path, audio: &Path, map: &str, is_silent: bool) {
    let name = path.file_name().unwrap().to_str().unwrap();
    let (original, remuxed) = (samples(path, map), samples(audio, "0:a:0"));
    // Of the middle of the original, which is unique.
    let from = original.len() / 2 / 64 * 64;
    let part = &original[from..from + 256];
    let at = remuxed.windows(part.len()).position(|found| found == part);
    let at = at.unwrap_or_else(|| panic!("{name}: other samples")).checked_sub(from).unwrap_or_else(|| {
        panic!("{name}: the start of the audio is missing");
    });
    let length = original.len().min(remuxed.len() - at);
    assert!(length + 4096 * 8 >= original.len(), "{name}: the end of the audio is missing");
    // After silence, a decoder is in another state. It is the same after a second.
    let first = if is_silent { 48_000 * 8 } else { 0 };
    assert!(original[first..length] == remuxed[at + first..at + length], "{name}: samples differ");
}
