//! Audio: in sync with the video to the end, and without gaps or clicks where chunks meet.

use std::f64::consts::TAU;
use std::path::Path;
use std::process::Command;

use super::{Transcoded, generate, packets, transcode};

/// Interval of the flashes and beeps, in seconds, and when the first one is. Chunks start at other times.
const MARKS: f64 = 10.0;
const FIRST_MARK: f64 = 2.0;
/// The continuous tone: frequency in hertz, and amplitude.
const TONE: (f64, f64) = (220.0, 0.1);
/// Sample rate of the audio rendition, in hertz.
const RATE: f64 = 48_000.0;

/// Returns ffmpeg's arguments for a video that flashes and beeps at the same times, with a continuous tone. The audio
/// begins `late` seconds after the video, as if its beginning were cut off.
fn marked(seconds: f64, rate: u32, late: f64, args: &str) -> String {
    let (hertz, amplitude) = TONE;
    let duration = seconds - late;
    let shift = MARKS - FIRST_MARK;
    format!(
        "-f lavfi -i color=c=black:s=64x36:r=5:d={seconds},drawbox=c=white:t=fill:enable=lt(mod(t+{shift}\\,{MARKS})\\,0.15) \
         -itsoffset {late} -f lavfi -i aevalsrc={amplitude}*sin(2*PI*{hertz}*(t+{late}))+\
         lt(mod(t+{late}+{shift}\\,{MARKS})\\,0.1)*0.6*sin(2*PI*1000*t):s={rate}:d={duration} \
         -c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p -c:a aac -b:a 96k {args}"
    )
}

/// Returns the decoded samples of the audio rendition, and the time of the first one.
fn decode_audio(transcoded: &Transcoded) -> (Vec<f64>, f64) {
    let path = transcoded.concatenated("audio");
    let output = decode(&path, &["-ac", "1", "-f", "f32le"]);
    let samples = output.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes)));
    (samples.collect(), packets(&path, "a:0").pts[0])
}

/// Decodes a file with ffmpeg, and returns its output.
fn decode(path: &Path, args: &[&str]) -> Vec<u8> {
    let output =
        Command::new("ffmpeg").args(["-nostdin", "-v", "error", "-i"]).arg(path).args(args).arg("-").output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Returns the times of the white frames.
fn flashes(transcoded: &Transcoded) -> Vec<f64> {
    let path = transcoded.concatenated(&transcoded.plan.rungs[0].name);
    let luma = decode(&path, &["-vf", "scale=1:1,format=gray", "-fps_mode", "passthrough", "-f", "rawvideo"]);
    let times = packets(&path, "v:0").pts;
    assert_eq!(luma.len(), times.len());
    let white = times.iter().zip(&luma).filter(|(_, luma)| **luma > 128);
    white.map(|(time, _)| *time).collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "samples of some minutes fit")]
fn samples(seconds: f64) -> usize {
    (seconds * RATE).round().max(0.0) as usize
}

#[expect(clippy::cast_precision_loss, reason = "samples of some minutes fit")]
fn seconds(samples: usize) -> f64 {
    samples as f64 / RATE
}

/// Transcodes a video in chunks of `length` seconds, and checks the audio rendition.
async fn check(name: &str, args: &str, length: f64, late: f64) -> Transcoded {
    let path = generate(name, args);
    let transcoded = transcode(&path, length).await;
    let video = transcoded.concatenated(&transcoded.plan.rungs[0].name);
    let shift = packets(&video, "v:0").pts[0] - packets(&path, "V:0").pts[0];
    let (audio, first) = decode_audio(&transcoded);
    // The audio rendition lasts from the first frame to the end of the source's audio; gaps are filled with silence.
    assert!((first - shift).abs() < 0.03, "{name}: audio begins at {first}, video at {shift}");
    let time = |sample: usize| seconds(sample) + first - shift;
    let sample = |time: f64| samples(time - first + shift);
    let source_end = packets(&path, "a:0").pts.last().copied().unwrap();
    let end = time(audio.len());
    assert!((end - source_end).abs() < 0.1, "{name}: audio ends at {end}, not {source_end}");

    let flashes = flashes(&transcoded);
    assert!(flashes.len() > 3, "{name}: {flashes:?}");
    let mut max_offset: f64 = 0.0;
    for flash in flashes.iter().map(|flash| flash - shift).filter(|flash| *flash >= late) {
        let from = sample(flash - 0.5);
        let beep = audio[from..].iter().position(|s| s.abs() > 0.4).map(|i| time(from + i)).unwrap();
        max_offset = max_offset.max((beep - flash).abs());
    }
    assert!(max_offset < 0.02, "{name}: beep and flash are {max_offset} s apart");

    // Where chunks meet, the tone continues without missing, repeated or altered samples. A constant lag is allowed,
    // because the formats round the start times.
    let difference = |from: usize, lag: f64| {
        let tone = |sample: usize| TONE.1 * (TAU * TONE.0 * (seconds(sample) + lag / RATE)).sin();
        audio[from..from + samples(0.08)]
            .iter()
            .zip(from..)
            .map(|(s, i)| (s - tone(i)).abs())
            .fold(0.0, f64::max)
    };
    for chunk in &transcoded.plan.chunks[1..] {
        let boundary = f64::from(i32::try_from(chunk.audio_frames.0 * 1024).unwrap()) / RATE - shift;
        if boundary > late + 0.1 && boundary < end - 0.1 {
            let lags = (-30..=30).map(|lag| f64::from(lag * 4));
            let least = lags.map(|lag| difference(sample(boundary - 0.02), lag)).fold(f64::MAX, f64::min);
            assert!(least < 0.03, "{name}: a click with amplitude {least} at {boundary} s");
        }
    }
    eprintln!("{name}: {} chunks, at most {max_offset} s apart", transcoded.plan.chunks.len());
    transcoded
}

#[tokio::test]
async fn audio_stays_in_sync_for_twenty_minutes() {
    let transcoded = check("marks.mp4", &marked(1200.0, 44_100, 0.0, ""), 60.0, 0.0).await;
    assert_eq!(transcoded.plan.chunks.len(), 20);
}

#[tokio::test]
async fn audio_stays_in_sync_in_matroska() {
    check("marks.mkv", &marked(60.0, 48_000, 0.0, ""), 15.0, 0.0).await;
}

#[tokio::test]
async fn late_audio_stays_in_sync() {
    check("marks-late.mp4", &marked(60.0, 44_100, 3.3, ""), 15.0, 3.3).await;
}

#[tokio::test]
async fn audio_beginning_after_the_first_chunk_stays_in_sync() {
    let transcoded = check("marks-later.mp4", &marked(60.0, 48_000, 22.0, ""), 15.0, 22.0).await;
    assert_eq!(transcoded.plan.chunks.len(), 4);
}
