//! Compares segments with the original.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Remuxed, encoded, segments, valid};

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

impl Stream {
    /// Reads a file of ffmpeg's `framemd5`.
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let scale = text.lines().find_map(|line| line.strip_prefix("#tb 0: 1/")).unwrap().parse().unwrap();
        let items = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let fields: Vec<&str> = line.split(',').map(str::trim).collect();
            let number = |at: usize| fields[at].parse().unwrap();
            Item { dts: number(1), pts: number(2), duration: number(3), md5: fields[5].to_owned() }
        });
        Self { scale, items: items.collect() }
    }
}

/// Runs ffmpeg once, as starting it takes as long as decoding a short video.
#[derive(Default)]
struct Run {
    inputs: Vec<String>,
    outputs: Vec<String>,
}

impl Run {
    fn input(&mut self, path: &Path) {
        let options = ["-noautorotate", "-threads", "1", "-i", path.to_str().unwrap()];
        self.inputs.extend(options.map(str::to_owned));
    }

    /// Writes a stream to a file.
    fn output(&mut self, map: &str, options: &[&str], path: PathBuf) -> PathBuf {
        let before = ["-map", map].into_iter().chain(options.iter().copied());
        self.outputs.extend(before.chain([path.to_str().unwrap()]).map(str::to_owned));
        path
    }

    /// Lists the frames of a stream (decoded).
    fn frames(&mut self, map: &str, path: PathBuf) -> PathBuf {
        let options = ["-fps_mode", "passthrough", "-enc_time_base", "-1", "-f", "framemd5"];
        self.output(map, &options, path)
    }

    /// Lists the packets of a stream (as they are, but without the headers of ADTS).
    fn packets(&mut self, map: &str, path: PathBuf) -> PathBuf {
        let is_adts =
            self.inputs.iter().any(|input| Path::new(input).extension().is_some_and(|it| it == "aac"));
        let filter: &[&str] = if is_adts { &["-bsf", "aac_adtstoasc"] } else { &[] };
        self.output(map, &[&["-c", "copy"], filter, &["-f", "framemd5"]].concat(), path)
    }

    fn start(&self) {
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-v", "error", "-y", "-copyts"]).args(&self.inputs).args(&self.outputs);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// What a file contains: the frames and the packets of the film, and of each audio track the packets and the samples.
struct Contents {
    film: Option<(Stream, Stream)>,
    audio: Vec<(Stream, Vec<u8>)>,
}

/// Reads a file. `film` is the stream of the film in ffmpeg, if there is one, and `audio` the number of audio tracks.
fn read(path: &Path, film: Option<&str>, audio: usize) -> Contents {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: String| folder.path().join(name);
    let mut run = Run::default();
    run.input(path);
    let film = film.map(|map| {
        (run.frames(map, place("frames".to_owned())), run.packets(map, place("packets".to_owned())))
    });
    let audio: Vec<_> = (0..audio)
        .map(|track| {
            let map = format!("0:a:{track}");
            let packets = run.packets(&map, place(format!("packets-{track}")));
            (packets, run.output(&map, &["-f", "f32le"], place(format!("samples-{track}"))))
        })
        .collect();
    run.start();
    Contents {
        film: film.map(|(frames, packets)| (Stream::read(&frames), Stream::read(&packets))),
        audio: audio
            .iter()
            .map(|(packets, samples)| (Stream::read(packets), std::fs::read(samples).unwrap()))
            .collect(),
    }
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
    /// Ticks by which ffmpeg presents the film later than the original states: as much as its composition offsets are
    /// below zero, in fragments.
    pub(super) shift: i128,
}

/// Checks that the segments of a video present the same frames and samples as the original, at the same times.
pub(super) async fn check(path: &Path, expected: Expected) -> Remuxed {
    let made = segments(path).await;
    let name = path.file_name().unwrap().to_str().unwrap();
    valid::check(&made, name);
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("film.mp4");
    made.write(0, 0..made.segments[0].len(), &film);
    let audio = made.remux.tracks.len() - 1;
    let original = read(path, Some(expected.film.unwrap_or("0:v:0")), audio);
    let delay = frames(name, original.film.as_ref().unwrap(), &film, &made, expected);
    for (track, original) in (1..).zip(&original.audio) {
        let audio = folder.path().join(format!("audio-{track}.mp4"));
        made.write(track, 0..made.segments[track].len(), &audio);
        if made.is_encoded[track] {
            encoded::compare(path, (track, track - 1), delay, &made);
            continue;
        }
        let remuxed = read(&audio, None, 1).audio.pop().unwrap();
        packets(name, &original.0, &remuxed.0, delay, expected);
        sound(name, &original.1, &remuxed.1, expected.is_silent);
    }
    check_reads(path, name, &made);
    made
}

/// Checks that the segments of a file with audio alone have the packets of the original, at the same times.
pub(super) async fn check_alone(path: &Path, expected: Expected) -> Remuxed {
    let made = segments(path).await;
    let name = path.file_name().unwrap().to_str().unwrap();
    valid::check(&made, name);
    let folder = tempfile::tempdir().unwrap();
    let original = read(path, None, made.remux.tracks.len());
    let timeline = &made.remux.timeline;
    let delay = (i128::from(-timeline.origin), i128::from(timeline.scale));
    for (track, original) in original.audio.iter().enumerate() {
        let audio = folder.path().join(format!("audio-{track}.mp4"));
        made.write(track, 0..made.segments[track].len(), &audio);
        if made.is_encoded[track] {
            encoded::compare(path, (track, track), delay, &made);
            continue;
        }
        let remuxed = read(&audio, None, 1).audio.pop().unwrap();
        assert_eq!(original.0.items.len(), remuxed.0.items.len(), "{name}: packets");
        packets(name, &original.0, &remuxed.0, delay, expected);
        sound(name, &original.1, &remuxed.1, expected.is_silent);
    }
    check_reads(path, name, &made);
    made
}

/// Checks that little more was read than the samples.
fn check_reads(path: &Path, name: &str, made: &Remuxed) {
    let media: u64 = if made.is_encoded.contains(&true) {
        std::fs::metadata(path).unwrap().len()
    } else {
        made.remux.tracks.iter().flat_map(|track| &track.segments).map(|segment| segment.bytes).sum()
    };
    let gaps = made.segments[0].len() as u64 * (256 << 10);
    assert!(made.read <= media + media / 20 + gaps, "{name}: {} bytes read for {media}", made.read);
}

/// Compares the frames. Returns the delay as a fraction of a second.
fn frames(
    name: &str,
    (original, original_packets): &(Stream, Stream),
    film: &Path,
    made: &Remuxed,
    expected: Expected,
) -> (i128, i128) {
    let (remuxed, packets) = read(film, Some("0:v:0"), 0).film.unwrap();
    let md5 = |stream: &Stream| stream.items.iter().map(|item| item.md5.clone()).collect::<Vec<_>>();
    assert_eq!(original.items.len(), remuxed.items.len(), "{name}");
    assert!(md5(original) == md5(&remuxed), "{name}: other frames");
    assert_eq!(remuxed.scale, i128::from(made.remux.tracks[0].scale));

    // Every time, but for the first one of a film that starts late, is later by the same.
    let first = usize::from(expected.starts_late);
    let delay = |i: usize| remuxed.items[i].pts * original.scale - original.items[i].pts * remuxed.scale;
    for i in first..original.items.len() {
        assert_eq!(delay(i), delay(first), "{name}: frame {i}");
    }
    assert!(packets.items.is_sorted_by(|a, b| a.dts < b.dts), "{name}: decode times");
    assert!(
        packets.items.iter().all(|packet| packet.dts <= packet.pts),
        "{name}: decoded after presentation"
    );

    // Segments adjoin, and the last one ends with the last frame.
    let durations: u64 = made.remux.tracks[0].segments.iter().map(|segment| segment.duration).sum();
    let begin = remuxed.items[0].pts;
    let end = original_packets.items.iter().map(|frame| frame.pts + frame.duration).max().unwrap();
    let end = (end * remuxed.scale * original.scale + delay(first) * original.scale)
        / (original.scale * original.scale);
    if !expected.is_rounded {
        assert_eq!(i128::from(durations), end - begin, "{name}: sum of durations");
    }
    each_alone(name, &remuxed, made);
    (delay(first) + expected.shift * remuxed.scale, remuxed.scale * original.scale)
}

/// Checks that each segment can be decoded without the others, to the frames it has among all, and lasts until the next
/// one.
fn each_alone(name: &str, film: &Stream, made: &Remuxed) {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::default();
    let alone: Vec<_> = (0..made.segments[0].len())
        .map(|segment| {
            let path = folder.path().join(format!("{segment}.mp4"));
            made.write(0, segment..segment + 1, &path);
            run.input(&path);
            run.frames(&format!("{segment}:v:0"), path.with_extension("frames"))
        })
        .collect();
    run.start();
    let mut rest = &film.items[..];
    let mut start = rest[0].pts;
    for (segment, (path, entry)) in alone.iter().zip(&made.remux.tracks[0].segments).enumerate() {
        let frames = Stream::read(path).items;
        assert!(!frames.is_empty() && frames.len() <= rest.len(), "{name}: segment {segment}");
        let same = frames.iter().zip(rest).all(|(a, b)| (&a.md5, a.pts) == (&b.md5, b.pts));
        assert!(same, "{name}: segment {segment} has other frames alone");
        assert_eq!(rest[0].pts, start, "{name}: start of segment {segment}");
        start += i128::from(entry.duration);
        rest = &rest[frames.len()..];
    }
    assert!(rest.is_empty(), "{name}");
}

/// Checks that all packets of the original's audio are there, delayed as the film is.
fn packets(
    name: &str,
    original: &Stream,
    remuxed: &Stream,
    (delay, scale): (i128, i128),
    expected: Expected,
) {
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
fn sound(name: &str, original: &[u8], remuxed: &[u8], is_silent: bool) {
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
