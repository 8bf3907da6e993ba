//! Sound: with the picture until the end, without a gap or a click where parts meet, and encoded no more than once.

use std::f64::consts::TAU;
use std::path::Path;
use std::process::Command;

use super::{Rendered, made, packets, rendered};

/// There is a flash, and a beep, every so many seconds.
const MARKS: f64 = 10.0;
/// The tone that is always there: hertz, and how loud.
const TONE: (f64, f64) = (220.0, 0.1);
const RATE: f64 = 48_000.0;

/// A picture that flashes and a sound that beeps, at the same times. The sound begins `late` seconds after the picture,
/// in the middle of everything.
fn marked(seconds: f64, rate: u32, late: f64, more: &str) -> String {
    let (hertz, loud) = TONE;
    let left = seconds - late;
    format!(
        "-f lavfi -i color=c=black:s=64x36:r=5:d={seconds},drawbox=c=white:t=fill:enable=lt(mod(t\\,{MARKS})\\,0.15) \
         -itsoffset {late} -f lavfi -i aevalsrc={loud}*sin(2*PI*{hertz}*(t+{late}))+\
         lt(mod(t+{late}\\,{MARKS})\\,0.1)*0.6*sin(2*PI*1000*t):s={rate}:d={left} \
         -c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p -c:a aac -b:a 96k {more}"
    )
}

/// The sound as ffmpeg decodes it, and when its first sample is heard.
fn heard(rendered: &Rendered) -> (Vec<f64>, f64) {
    let path = rendered.whole("audio");
    let output = decoded(&path, &["-ac", "1", "-f", "f32le"]);
    let samples = output.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes)));
    (samples.collect(), packets(&path, "a:0").pts[0])
}

fn decoded(path: &Path, args: &[&str]) -> Vec<u8> {
    let output =
        Command::new("ffmpeg").args(["-nostdin", "-v", "error", "-i"]).arg(path).args(args).arg("-").output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// When the picture turns white.
fn flashes(rendered: &Rendered) -> Vec<f64> {
    let path = rendered.whole(&rendered.plan.rungs[0].name);
    let light =
        decoded(&path, &["-vf", "scale=1:1,format=gray", "-fps_mode", "passthrough", "-f", "rawvideo"]);
    let times = packets(&path, "v:0").pts;
    assert_eq!(light.len(), times.len());
    let white = times.iter().zip(&light).filter(|(_, light)| **light > 128);
    white.map(|(time, _)| *time).collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "samples of some minutes")]
fn at(seconds: f64) -> usize {
    (seconds * RATE).round().max(0.0) as usize
}

#[expect(clippy::cast_precision_loss, reason = "samples of some minutes")]
fn seconds(samples: usize) -> f64 {
    samples as f64 / RATE
}

/// Transcodes it in parts of so many seconds, and listens.
async fn check(name: &str, args: &str, length: f64, late: f64) -> Rendered {
    let path = made(name, args);
    let rendered = rendered(&path, length).await;
    let shift =
        packets(&rendered.whole(&rendered.plan.rungs[0].name), "v:0").pts[0] - packets(&path, "V:0").pts[0];
    let (samples, first) = heard(&rendered);
    // Silence and sound follow each other from the beginning of the first picture to the end of the last.
    assert!((first - shift).abs() < 0.03, "{name}: sound from {first}, pictures from {shift}");
    let time = |sample: usize| seconds(sample) + first - shift;
    let sample = |time: f64| at(time - first + shift);
    let end = packets(&path, "a:0").pts.last().copied().unwrap();
    let heard_until = time(samples.len());
    assert!((heard_until - end).abs() < 0.1, "{name}: sound until {heard_until}, not {end}");

    let flashes = flashes(&rendered);
    assert!(flashes.len() > 3, "{name}: {flashes:?}");
    let mut worst: f64 = 0.0;
    for flash in flashes.iter().map(|flash| flash - shift).filter(|flash| *flash >= late) {
        let from = sample(flash - 0.5);
        let beep = samples[from..].iter().position(|loud| loud.abs() > 0.4).map(|i| time(from + i)).unwrap();
        worst = worst.max((beep - flash).abs());
    }
    assert!(worst < 0.02, "{name}: beep and flash are {worst} s apart");

    // The tone goes on: no sample is missing, none is there twice, and none is other than it was. Up to the one
    // offset that the formats' rounded times make of it.
    let far = |from: usize, lag: f64| {
        let tone = |sample: usize| TONE.1 * (TAU * TONE.0 * (seconds(sample) + lag / RATE)).sin();
        samples[from..from + at(0.08)]
            .iter()
            .zip(from..)
            .map(|(s, i)| (s - tone(i)).abs())
            .fold(0.0, f64::max)
    };
    for part in &rendered.plan.chunks[1..] {
        let Some((frame, _)) = part.audio else { continue };
        let border = f64::from(i32::try_from(frame * 1024).unwrap()) / RATE;
        if border > late + 0.1 && border < heard_until - 0.1 {
            let lags = (-30..=30).map(|lag| f64::from(lag * 4));
            let far = lags.map(|lag| far(sample(border - 0.02), lag)).fold(f64::MAX, f64::min);
            assert!(far < 0.03, "{name}: a click of {far} at {border} s");
        }
    }
    eprintln!("{name}: {} parts, {worst} s apart at most", rendered.plan.chunks.len());
    rendered
}

#[tokio::test]
async fn sound_and_picture_stay_together_for_twenty_minutes() {
    let rendered = check("long.mp4", &marked(1200.0, 44_100, 0.0, ""), 60.0, 0.0).await;
    assert_eq!(rendered.plan.chunks.len(), 20);
}

#[tokio::test]
async fn sound_and_picture_stay_together_in_matroska() {
    check("marked.mkv", &marked(60.0, 48_000, 0.0, ""), 15.0, 0.0).await;
}

#[tokio::test]
async fn sound_begins_late() {
    check("late.mp4", &marked(60.0, 44_100, 3.3, ""), 15.0, 3.3).await;
}

#[tokio::test]
async fn sound_begins_after_the_first_part() {
    let rendered = check("later.mp4", &marked(60.0, 48_000, 22.0, ""), 15.0, 22.0).await;
    assert_eq!(rendered.plan.chunks.len(), 4);
}
