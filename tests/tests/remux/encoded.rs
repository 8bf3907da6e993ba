//! Audio that players do not play, and that is encoded for each segment.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use super::check::{Expected, check};
use super::{FILM, H264, PYRAMID, Remuxed, basic, ffmpeg, generate, remux, segments};

/// Samples of an AAC frame.
const FRAME: usize = 1024;
/// By how much a sample of the segments may differ from that of one encoding, which differs from the original, too. The
/// tone has an amplitude of 0.1.
const MOST: f64 = 0.01;
/// A film of five seconds, which has two segments.
const SHORT: &str = "-f lavfi -i testsrc2=size=160x120:rate=30:duration=5";

/// Returns the arguments for a tone that never repeats, and that `FFmpeg` encodes well. It lasts for so many seconds.
pub(super) fn tone(seconds: &str) -> String {
    let tone = "0.1*sin(2*PI*(300+40*t)*t)";
    format!("-f lavfi -i aevalsrc={tone}|{tone}:s=48000:d={seconds}")
}

/// Runs an ffmpeg, and returns its output as samples of the left channel.
fn decode(program: &Path, input: &[&str], args: &str) -> Vec<f64> {
    let mut command = Command::new(program);
    command.args(["-nostdin", "-v", "error"]).args(input).args(args.split_whitespace());
    let output = command.args(["-f", "f32le", "-"]).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    let floats = output.stdout.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes)));
    floats.step_by(2).collect()
}

/// Returns the decoded audio of an original, and the time of its first sample, both at 48 kHz.
fn original(path: &Path, stream: usize) -> (Vec<f64>, i128) {
    let path = path.to_str().unwrap();
    let convert =
        format!("-map 0:a:{stream} -af aresample=48000,aformat=sample_fmts=flt:channel_layouts=stereo");
    let samples = decode(Path::new("ffmpeg"), &["-i", path], &convert);
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-copyts", "-i", path]).args(convert.split_whitespace());
    let output = command.args(["-frames:a", "1", "-f", "framemd5", "-"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let first = text.lines().find(|line| !line.starts_with('#')).unwrap();
    (samples, first.split(',').nth(2).unwrap().trim().parse().unwrap())
}

/// Encodes samples at once, and returns them decoded.
fn encoded_at_once(samples: &[f64]) -> Vec<f64> {
    let folder = tempfile::tempdir().unwrap();
    let (raw, file) = (folder.path().join("raw"), folder.path().join("whole.mp4"));
    #[expect(clippy::cast_possible_truncation, reason = "they were of this type")]
    let bytes = samples.iter().flat_map(|sample| [*sample as f32; 2]).flat_map(f32::to_le_bytes);
    std::fs::write(&raw, bytes.collect::<Vec<u8>>()).unwrap();
    let mut command = Command::new(ffmpeg());
    command.args("-nostdin -v error -f f32le -ar 48000 -ac 2 -i pipe:0".split(' '));
    command.args("-c:a aac -b:a 128k -movflags +empty_moov -f mp4 pipe:1".split(' '));
    command.stdin(File::open(&raw).unwrap()).stdout(File::create(&file).unwrap());
    assert!(command.status().unwrap().success());
    // Without the encoder's delay.
    decode(Path::new("ffmpeg"), &["-i", file.to_str().unwrap()], "-c:a pcm_f32le").split_off(FRAME)
}

/// Returns the greatest difference of two samples.
fn most(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Compares the segments of a track with one encoding of the whole, and with an audio stream of the original. All is delayed
/// by a fraction of a second.
pub(super) fn compare(
    path: &Path,
    (track, stream): (usize, usize),
    (delay, scale): (i128, i128),
    made: &Remuxed,
) {
    let name = path.file_name().unwrap().to_str().unwrap();
    let entries = &made.remux.tracks[track];
    assert_eq!((entries.codec.as_str(), entries.scale), ("mp4a.40.2", 48_000), "{name}");
    let lengths = entries.segments.iter().map(|entry| usize::try_from(entry.duration).unwrap());
    let total = lengths.clone().sum();
    let folder = tempfile::tempdir().unwrap();
    let samples = |segments: std::ops::Range<usize>| {
        let file = folder.path().join("segments.mp4");
        made.write(track, segments, &file);
        decode(Path::new("ffmpeg"), &["-i", file.to_str().unwrap()], "-c:a pcm_f32le")
    };
    let whole = samples(0..entries.segments.len());
    assert_eq!(whole.len(), total, "{name}: samples");

    let (original, first) = original(path, stream);
    let start = usize::try_from(first + (delay * 48_000 + scale / 2).div_euclid(scale)).unwrap();
    let mut expected = vec![0.0; start];
    expected.extend(&original);
    // ffmpeg does not cut the last frame at the end of an edit.
    let end = if expected.len() > total { total - 2 * FRAME } else { total };
    assert!(expected.len() < total + 2 * FRAME, "{name}: {total} samples of {}", expected.len());
    expected.resize(total + FRAME, 0.0);
    let at_once = encoded_at_once(&expected);
    // The first frame is decoded without the one before it.
    let off = most(&whole[FRAME..end], &expected[FRAME..end]);
    let differ = most(&whole[FRAME..end], &at_once[FRAME..end]);
    let usual = most(&at_once[FRAME..end], &expected[FRAME..end]);
    if std::env::var_os("UPREEL_FIGURES").is_some() {
        eprintln!(
            "{name}: {off:.4} from the original, {differ:.4} from one encoding, which is {usual:.4} from it"
        );
    }
    assert!(off < usual + MOST, "{name}: {off} from the original, {usual} if encoded at once");
    assert!(differ < usual + MOST, "{name}: {differ} from one encoding");

    let mut begin = 0;
    for (segment, length) in lengths.enumerate() {
        let alone = samples(segment..segment + 1);
        assert_eq!(alone.len(), length, "{name}: segment {segment} alone");
        let off = most(&alone[FRAME..], &whole[begin + FRAME..begin + length]);
        assert!(off < MOST, "{name}: segment {segment} is {off} from that among the others");
        begin += length;
    }
}

async fn expect(name: &str, args: &str, expected: Expected) -> Remuxed {
    let made = check(&generate(name, args), expected).await;
    assert!(made.is_encoded[1..].iter().all(|is_encoded| *is_encoded), "{name}");
    made
}

/// Checks a video whose audio is encoded.
async fn encoded(name: &str, args: &str) -> Remuxed {
    expect(name, args, Expected::default()).await
}

/// Returns the path of a video with PCM of which others are made.
fn pcm() -> String {
    let args = format!("{FILM} {} {H264} {PYRAMID} -c:a pcm_s16le", tone("12"));
    generate("pcm-48000.mov", &args).display().to_string()
}

#[tokio::test]
async fn uncompressed() {
    check(Path::new(&pcm()), Expected::default()).await;
    let (film, tone) = (format!("{SHORT} {}", tone("5")), tone("12"));
    encoded("pcm-44100.mov", &format!("{FILM} {tone} {H264} {PYRAMID} -c:a pcm_s24be -ar 44100")).await;
    encoded("lpcm.mov", &format!("{film} {H264} {PYRAMID} -c:a pcm_s24le -ar 96000")).await;
    encoded("ulaw.mov", &format!("{film} {H264} {PYRAMID} -c:a pcm_mulaw -ar 8000 -ac 1")).await;
    encoded("surround-pcm.mov", &format!("{film} {H264} {PYRAMID} -c:a pcm_s16le -ac 6")).await;
    // Without B-frames, for which ffmpeg delays the audio after its first frame.
    let fragments = "-movflags frag_keyframe+empty_moov+default_base_moof";
    encoded("pcm-fragments.mov", &format!("{film} {H264} -bf 0 -g 60 -c:a pcm_s16le {fragments}")).await;
}

#[tokio::test]
async fn compressed() {
    let film = format!("{SHORT} {}", tone("5"));
    encoded("mp3-48000.mp4", &format!("{film} {H264} {PYRAMID} -c:a libmp3lame")).await;
    let long = format!("{FILM} {}", tone("12"));
    encoded("mp3-44100.mp4", &format!("{long} {H264} {PYRAMID} -c:a libmp3lame -ar 44100")).await;
    encoded("ac3.mp4", &format!("{film} {H264} {PYRAMID} -c:a ac3 -ac 6")).await;
    encoded("alac.mov", &format!("{film} {H264} {PYRAMID} -c:a alac")).await;
    encoded("ima.mov", &format!("{film} {H264} {PYRAMID} -c:a adpcm_ima_qt")).await;
    let other = format!("{film} -af aformat=channel_layouts=2.1 {H264} {PYRAMID} -c:a aac");
    encoded("other-channels.mp4", &other).await;
}

#[tokio::test]
async fn several_tracks() {
    let two = format!("-i {} -f lavfi -i sine=f=300:d=12 -map 0 -map 1 -c:v copy", pcm());
    let made = encoded("two-pcm.mov", &format!("{two} -c:a pcm_s16le -metadata:s:a:1 language=fra")).await;
    assert_eq!(made.remux.tracks.len(), 3);
    let path = generate("aac-and-pcm.mov", &format!("{two} -c:a:0 copy -c:a:1 aac"));
    let made = check(&path, Expected::default()).await;
    assert_eq!(made.is_encoded, [false, true, false]);
}

#[tokio::test]
async fn times_of_the_film() {
    let pcm = pcm();
    let late =
        |seconds: &str| format!("-i {pcm} -itsoffset {seconds} -i {pcm} -map 0:v -map 1:a -c copy -t 12");
    encoded("pcm-late.mov", &late("1.5")).await;
    let later = encoded("pcm-later.mov", &late("2.7")).await;
    let silent: Vec<bool> = later.segments[1].iter().map(|segment| is_silent(segment)).collect();
    assert_eq!(silent, [true, false, false, false]);
    let early = format!("{FILM} {} {H264} {PYRAMID} -c:a pcm_s16le", tone("3"));
    let early = encoded("pcm-early.mov", &early).await;
    let silent: Vec<bool> = early.segments[1].iter().map(|segment| is_silent(segment)).collect();
    assert_eq!(silent, [false, false, true, true]);
    // The first beep of a segment begins in its first frame, so the frame before it has another window.
    let beeps = "-f lavfi -i aevalsrc=0.35*lt(mod(t\\,1)\\,0.1)*sin(2*PI*1000*t):s=48000:d=5 -ac 2";
    encoded("pcm-beeps.mov", &format!("{SHORT} {beeps} {H264} {PYRAMID} -c:a pcm_s16le")).await;
    encoded("pcm-longer.mov", &format!("{SHORT} {} {H264} {PYRAMID} -c:a pcm_s16le", tone("7"))).await;
    encoded("pcm-trimmed.mov", &format!("-ss 4 -i {pcm} -c copy")).await;
    encoded("pcm-ended.mov", &format!("-i {pcm} -t 6 -c copy")).await;
    let film = format!("-itsoffset 0.5 -i {pcm} -i {pcm} -map 0:v -map 1:a -c copy");
    expect("pcm-film-late.mov", &film, Expected { starts_late: true, ..Expected::default() }).await;
}

/// Returns whether a segment only has frames of silence.
fn is_silent(segment: &[u8]) -> bool {
    let at = segment.windows(4).position(|name| name == b"mdat").unwrap() + 4;
    segment[at..].chunks(6).all(|frame| frame == [0x21, 0x10, 0x04, 0x60, 0x8C, 0x1C])
}

#[tokio::test]
async fn audio_that_cannot_be_decoded_is_silent() {
    let args = format!("{SHORT} {} {H264} {PYRAMID} -c:a alac", tone("5"));
    let path = generate("alac.mov", &args);
    let mut bytes = std::fs::read(&path).unwrap();
    // The decoder's configuration.
    let at = bytes.windows(4).rposition(|name| name == b"alac").unwrap();
    bytes[at + 8..at + 32].fill(0xFF);
    let path = path.with_file_name("damaged-alac.mov");
    std::fs::write(&path, bytes).unwrap();
    let made = segments(&path).await;
    assert!(made.segments[1].iter().all(|segment| is_silent(segment)));
    super::valid::check(&made, "damaged-alac.mov");
}

/// Nine channels of which nobody knows where they belong: the first two are used.
#[tokio::test]
async fn channels_without_a_layout() {
    let others = "|0.1*sin(2*PI*900*t)".repeat(7);
    let args = format!("{SHORT} {} {H264} {PYRAMID} -c:a pcm_s16le", tone("5"));
    let path = generate("discrete.mov", &args.replacen(":s=", &format!("{others}:s="), 1));
    let made = segments(&path).await;
    super::valid::check(&made, "discrete.mov");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("segments.mp4");
    made.write(1, 0..2, &file);
    let ours = decode(Path::new("ffmpeg"), &["-i", file.to_str().unwrap()], "-c:a pcm_f32le");
    let first = "-map 0:a:0 -af pan=stereo|c0=c0|c1=c1 -c:a pcm_f32le";
    let expected = decode(Path::new("ffmpeg"), &["-i", path.to_str().unwrap()], first);
    assert!(most(&ours[FRAME..], &expected[FRAME..]) < 2.0 * MOST);
}

/// The initialization segment is the one of the encoder's output.
#[tokio::test]
async fn the_encoder_has_the_stated_configuration() {
    let config = |bytes: &[u8]| {
        let at = bytes.windows(4).position(|name| name == b"esds").unwrap();
        // The descriptor of the decoder's configuration (ISO/IEC 14496-1, 7.2.6.7), whose length takes one or four bytes.
        let specific = bytes[at..].windows(2).position(|pair| pair == [0x11, 0x90]).unwrap();
        bytes[at + specific..at + specific + 5].to_vec()
    };
    let made = remux(Path::new(&pcm())).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("aac.mp4");
    let mut command = Command::new(ffmpeg());
    command.args("-nostdin -v error -f f32le -ar 48000 -ac 2 -i pipe:0 -c:a aac -b:a 128k".split(' '));
    command.args("-movflags +empty_moov -f mp4 pipe:1".split(' '));
    let input = folder.path().join("raw");
    std::fs::write(&input, vec![0; 80_000]).unwrap();
    command.stdin(File::open(&input).unwrap()).stdout(File::create(&file).unwrap());
    assert!(command.status().unwrap().success());
    assert_eq!(config(&made.tracks[1].init), config(&std::fs::read(&file).unwrap()));
}

/// AMR, for which this ffmpeg has no encoder: frames of the same parameters.
#[tokio::test]
async fn speech_of_phones() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("speech.amr");
    // 12.2 kbit/s (RFC 4867, 5.3), 20 ms each. Those parameters give a hum.
    let parameters = (0..31u8).map(|i| i.wrapping_mul(87).wrapping_add(37));
    let frame: Vec<u8> = [0x3C].into_iter().chain(parameters).collect();
    std::fs::write(&file, [&b"#!AMR\n"[..], &frame.repeat(600)].concat()).unwrap();
    let path =
        generate("amr.3gp", &format!("-i {} -i {} -map 0:v -map 1:a -c copy", basic(), file.display()));
    let made = check(&path, Expected::default()).await;
    assert_eq!(made.is_encoded, [false, true]);
}

/// Checks a Matroska file whose audio is encoded. Returns the bytes that were read for those of the file.
async fn matroska(name: &str, args: &str) -> Remuxed {
    let made = expect(name, args, Expected { is_rounded: true, ..Expected::default() }).await;
    if std::env::var_os("UPREEL_FIGURES").is_some() {
        let size = std::fs::metadata(generate(name, args)).unwrap().len();
        let count = made.segments[0].len();
        eprintln!(
            "{name}: {} bytes of {size} read, {} requests for {count} segments",
            made.read, made.requests
        );
    }
    made
}

#[tokio::test]
async fn matroska_with_the_cues() {
    let film = format!("{FILM} {} {H264} {PYRAMID}", tone("12"));
    for (name, args) in [
        ("ac3.mkv", "-c:a ac3 -ac 6"),
        ("mp3-44100.mkv", "-c:a libmp3lame -ar 44100"),
        ("vorbis.mkv", "-c:a libvorbis"),
    ] {
        let made = matroska(name, &format!("{film} {args}")).await;
        assert_eq!(
            (made.remux.tracks[0].scale, made.segments[0].len(), made.requests),
            (16_000, 4, 4),
            "{name}"
        );
    }
    let short = format!("{SHORT} {} {H264} {PYRAMID}", tone("5"));
    for (name, args) in [
        ("eac3.mkv", "-c:a eac3 -ar 44100"),
        ("dts.mkv", "-c:a dca -strict -2"),
        ("flac.mkv", "-c:a flac -ar 44100"),
        ("mp3-64k.mkv", "-c:a libmp3lame -b:a 64k"),
        ("mp3-24000.mkv", "-c:a libmp3lame -ar 24000 -ac 1"),
        ("mp2.mkv", "-c:a mp2"),
        ("alac.mkv", "-c:a alac"),
        ("pcm.mkv", "-c:a pcm_s16le"),
    ] {
        let made = matroska(name, &format!("{short} {args}")).await;
        assert_eq!((made.remux.tracks[0].scale, made.requests), (16_000, 2), "{name}");
    }
    let fine = tone("5").replace("s=48000", "s=96000");
    matroska("pcm-24-96000.mkv", &format!("{SHORT} {fine} {H264} {PYRAMID} -c:a pcm_s24le")).await;
    let vp9 = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 60 -b:v 300k -c:a libvorbis";
    let tone = tone("12").replace("s=48000", "s=44100");
    let made = matroska("vorbis-44100.webm", &format!("{FILM} {tone} {vp9}")).await;
    assert_eq!((made.remux.tracks[0].scale, made.requests), (16_000, 4));
}

#[tokio::test]
async fn matroska_without_cues() {
    let film = format!("{SHORT} {} {H264} {PYRAMID}", tone("5"));
    for (name, args) in [("ac3-live.mkv", "-c:a ac3"), ("vorbis-live.mkv", "-c:a libvorbis -ar 44100")] {
        let made = matroska(name, &format!("{film} {args} -live 1")).await;
        assert_eq!(made.remux.tracks[0].scale, 1000, "{name}");
    }
}

#[tokio::test]
async fn matroska_at_the_times_of_the_film() {
    let film = format!("{FILM} {} {H264} {PYRAMID} -c:a ac3", tone("12"));
    let film = generate("ac3-times.mkv", &film).display().to_string();
    let late =
        |seconds: &str| format!("-i {film} -itsoffset {seconds} -i {film} -map 0:v -map 1:a -c copy -t 12");
    matroska("ac3-late.mkv", &late("1.5")).await;
    let later = matroska("ac3-later.mkv", &late("2.7")).await;
    let silent: Vec<bool> = later.segments[1].iter().map(|segment| is_silent(segment)).collect();
    assert_eq!(silent, [true, false, false, false]);
    let two = format!("-i {film} -map 0:v -map 0:a -map 0:a -c copy -c:a:0 aac");
    let two =
        check(&generate("aac-and-ac3.mkv", &two), Expected { is_rounded: true, ..Expected::default() }).await;
    assert_eq!(two.is_encoded, [false, false, true]);
}
