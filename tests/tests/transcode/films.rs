//! Films of every kind, made with ffmpeg, and what their renditions must show.

use std::path::{Path, PathBuf};
use std::process::Command;

use tokio::time::Instant;
use upreel_core::Container;
use upreel_media::{Index, poster};

use super::clock::{Expected, SYNC, beeps, frames, picture};
use super::{generate, source, transcode, transcode_by_index};

const X264: &str = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p";
const B_FRAMES: &str = "-c:v libx264 -preset veryfast -bf 3 -b_strategy 0 -g 50 -pix_fmt yuv420p";

/// Returns what is right for a film of 25 frames per second with audio.
pub(crate) fn whole(seconds: u32) -> Expected {
    Expected { beeps: Some((0..seconds).collect()), ..silent(seconds * 25, 0.04) }
}

/// Returns what is right for a film of this many frames without audio.
fn silent(frames: u32, seconds_per_frame: f64) -> Expected {
    Expected {
        numbers: (0..usize::try_from(frames).unwrap()).collect(),
        seconds_per_frame,
        duration: f64::from(frames) * seconds_per_frame,
        beeps: None,
        sync: SYNC,
    }
}

/// The greatest distance of a beep from its frame in AVI, which cannot undo the delay of B-frames, and with Windows Media
/// Audio, whose encoder delays the audio.
const LOOSE_SYNC: f64 = 0.045;

/// Transcodes a film and checks what it shows.
async fn check(name: &str, path: &Path, length: f64, expected: &Expected) {
    let transcoded = transcode(path, length).await;
    let seen = transcoded.examine(name);
    eprintln!(
        "{name}: {} chunks, {:?} s, segments {:?}",
        transcoded.plan.chunks.len(),
        seen.duration,
        seen.segments
    );
    seen.check(name, expected);
    super::check_playlists(&transcoded, name);
    // Not every container states how long the last frame lasts.
    let (record, video) = (transcoded.record, seen.duration.0);
    assert!((record - video).abs() < 0.1, "{name}: {record} s in the record, {video} s of video");
}

/// Makes and checks a film of 25 frames per second with audio.
async fn check_whole(name: &str, seconds: u32, sync: f64, args: &str) {
    let input = format!("{} {}", frames("320x180", "25", seconds.into()), beeps(48_000, seconds.into()));
    let expected = Expected { sync, ..whole(seconds) };
    check(name, &generate(name, &format!("{input} {args}")), 20.0, &expected).await;
}

/// Makes a file from others with a function.
pub(crate) fn compose(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("transcode");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    make(&path);
    path
}

/// Joins streams of one codec, with ffmpeg's arguments for the output.
fn join(pieces: &[PathBuf], to: &Path, args: &str) {
    let mut list = tempfile::NamedTempFile::new().unwrap();
    for piece in pieces {
        std::io::Write::write_fmt(&mut list, format_args!("file '{}'\n", piece.display())).unwrap();
    }
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y", "-f", "concat", "-safe", "0", "-i"])
        .arg(list.path())
        .args(args.split_whitespace())
        .arg(to)
        .status();
    assert!(status.unwrap().success());
}

macro_rules! containers {
    ($($test:ident: $name:literal, $sync:expr, $args:expr;)*) => {
        $(#[tokio::test]
        async fn $test() {
            check_whole($name, 6, $sync, &$args).await;
        })*
    };
}

containers! {
    mp4_with_b_frames: "film.mp4", SYNC, format!("{B_FRAMES} -c:a aac");
    fragmented_mp4_with_b_frames_and_without_edits: "film-fragmented.mp4", SYNC,
        format!("{B_FRAMES} -c:a aac -movflags +frag_keyframe+empty_moov+default_base_moof");
    quicktime_with_pcm: "film.mov", SYNC, format!("{X264} -c:a pcm_s24le");
    matroska_with_pcm: "film.mkv", SYNC, format!("{B_FRAMES} -c:a pcm_s16le");
    webm: "film.webm", SYNC, "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 400k -c:a libopus";
    avi_with_b_frames_and_pcm: "film.avi", LOOSE_SYNC, "-c:v mpeg4 -bf 2 -q:v 4 -c:a pcm_s16le";
    avi_with_mp3: "film-mp3.avi", SYNC, "-c:v mpeg4 -q:v 4 -c:a libmp3lame";
    mpeg_ts: "film.ts", SYNC, format!("{B_FRAMES} -c:a aac");
    mpeg_ps: "film.mpg", SYNC, "-f vob -c:v mpeg2video -bf 2 -q:v 4 -c:a mp2";
    flash_video: "film.flv", SYNC, format!("{B_FRAMES} -c:a aac");
    ogg: "film.ogv", SYNC, "-c:v libtheora -q:v 7 -c:a libvorbis";
    windows_media: "film.wmv", LOOSE_SYNC, "-c:v wmv2 -q:v 4 -c:a wmav2";
}

#[tokio::test]
async fn recordings_that_begin_late_are_cut_at_their_keyframes() {
    const FRAGMENTED: &str = "-movflags +frag_keyframe+empty_moov+default_base_moof+global_sidx";
    let input = format!("{} {}", frames("320x180", "25", 24.0), beeps(48_000, 24.0));
    for (name, format) in [("begins-late.mkv", ""), ("begins-late.mp4", FRAGMENTED)] {
        let args = format!("{input} {X264} -g 50 -c:a aac {format} -output_ts_offset 1000");
        let transcoded = transcode(&generate(name, &args), 5.0).await;
        assert!(transcoded.plan.chunks.len() > 2, "{name}");
        transcoded.examine(name).check(name, &whole(24));
    }
    // A live stream has no index.
    let args = format!("{input} {X264} -g 50 -c:a aac -live 1 -output_ts_offset 1000");
    check("begins-late-live.mkv", &generate("begins-late-live.mkv", &args), 20.0, &whole(24)).await;
    // The presentation begins with the audio.
    let args = format!(
        "-itsoffset 1.2 {} {} {X264} -fps_mode passthrough -g 25 -c:a aac -output_ts_offset 1000",
        frames("320x180", "25", 6.0),
        beeps(48_000, 7.0)
    );
    let transcoded = transcode(&generate("begins-with-audio.mkv", &args), 20.0).await;
    let seen = transcoded.examine("begins-with-audio.mkv");
    assert!((seen.times[1] - 1.24).abs() < 0.03, "{:?}", &seen.times[..3]);
    assert!((seen.duration.0 - 7.2).abs() < 0.03, "{:?}", seen.duration);
}

#[tokio::test]
async fn segments_are_even_in_every_chunk() {
    // 200 s at 10 frames per second, with a keyframe every 2 s.
    let args =
        format!("{} {} {X264} -g 20 -c:a aac -b:a 16k", frames("96x54", "10", 200.0), beeps(8000, 200.0));
    let path = generate("segments.mp4", &args);
    let transcoded = transcode(&path, 60.0).await;
    let seen = transcoded.examine("segments.mp4");
    assert_eq!(transcoded.plan.chunks.len(), 4);
    assert_eq!((seen.segments.len(), seen.keyframes), (50, 50));
    assert!(seen.segments.iter().all(|seconds| (seconds - 4.0).abs() < 0.001), "{:?}", seen.segments);
    let expected = Expected { beeps: Some((0..200).collect()), ..silent(2000, 0.1) };
    seen.check("segments.mp4", &expected);
}

#[tokio::test]
async fn change_of_size_loses_no_frame() {
    let path = compose("resized.webm", |to| {
        let mut pieces = Vec::new();
        for (size, i) in ["320x180", "240x180", "200x100"].into_iter().zip(0u32..) {
            // The numbers continue.
            let from = i * 100;
            let args = format!(
                "-f lavfi -i color=black:s={size}:r=25:d=12,{},trim=start_frame={from}:end_frame={},setpts=PTS-STARTPTS \
                 -c:v libvpx -deadline realtime -cpu-used 8 -b:v 400k",
                picture(),
                from + 100
            );
            pieces.push(generate(&format!("size-{i}.webm"), &args));
        }
        let video = generate_joined("resized-video.mkv", &pieces);
        let status = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-y", "-i"])
            .arg(video)
            .args(beeps(48_000, 12.0).split_whitespace())
            .args(["-c:v", "copy", "-c:a", "libopus", "-f", "webm"])
            .arg(to)
            .status();
        assert!(status.unwrap().success());
    });
    check("resized.webm", &path, 20.0, &whole(12)).await;
}

fn generate_joined(name: &str, pieces: &[PathBuf]) -> PathBuf {
    compose(name, |to| join(pieces, to, "-c copy -f matroska"))
}

#[tokio::test]
async fn change_of_channels_repeats_no_audio() {
    let path = compose("channels.ts", |to| {
        let audio: Vec<PathBuf> = [2, 6, 2]
            .iter()
            .zip(0u32..)
            .map(|(channels, i)| {
                generate(
                    &format!("channels-{i}.ac3"),
                    &format!("{} -ac {channels} -c:a ac3", beeps(48_000, 4.0)),
                )
            })
            .collect();
        let joined = compose("channels.ac3", |to| {
            std::fs::write(
                to,
                audio.iter().flat_map(|path| std::fs::read(path).unwrap()).collect::<Vec<u8>>(),
            )
            .unwrap();
        });
        let video = generate("channels.h264", &format!("{} {X264} -g 25", frames("320x180", "25", 12.0)));
        let status = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-y", "-r", "25", "-i"])
            .arg(video)
            .arg("-i")
            .arg(joined)
            .args(["-c", "copy", "-f", "mpegts"])
            .arg(to)
            .status();
        assert!(status.unwrap().success());
    });
    check("channels.ts", &path, 20.0, &whole(12)).await;
}

/// Checks a file that consists of three recordings of 4 s.
async fn check_joined(name: &str, path: &Path, container: Container) {
    let transcoded = transcode(path, 20.0).await;
    let seen = transcoded.examine(name);
    assert_eq!(seen.numbers, (0..100).cycle().take(300).collect::<Vec<_>>(), "{name}");
    // The audio begins some milliseconds before the first frame.
    for (time, i) in seen.times.iter().zip(0u32..) {
        assert!((time - f64::from(i) * 0.04).abs() < 0.001, "{name}: frame {i} at {time}");
    }
    let (video, audio) = seen.duration;
    assert!((video - 12.0).abs() < 0.001 && (audio - video).abs() < 0.05, "{name}: {video} s, {audio} s");
    // The record and the storyboard agree with the renditions.
    let index = Index::open(&source(path), container).await.unwrap().unwrap();
    let duration = f64::from(u32::try_from(index.media_info.duration_ms.unwrap()).unwrap()) / 1000.0;
    assert!(
        (video - duration).abs() < 0.002 && (duration - 12.0).abs() < 0.002,
        "{name}: {duration} s, {video} s"
    );
    assert_eq!(transcoded.plan.frame_rate, Some(25.0), "{name}");
    let keyframes = index.keyframes(&source(path), 100).await.unwrap();
    let times: Vec<u64> = keyframes.iter().map(|keyframe| keyframe.time_ms).collect();
    let (first, others) = times.split_at(times.len() / 3);
    for (time, again) in first.iter().chain(others).zip(others) {
        assert!(again.abs_diff(time + 4000) < 2, "{name}: {times:?}");
    }
    assert_eq!(seen.beeps.len(), 12, "{name}: {:?}", seen.beeps);
    for (beep, i) in seen.beeps.iter().zip(0u32..) {
        assert!((beep - f64::from(i)).abs() < SYNC, "{name}: beep {i} at {beep}");
    }
}

#[tokio::test]
async fn joined_recordings_have_no_gaps() {
    let input = format!("{} {}", frames("320x180", "25", 4.0), beeps(48_000, 4.0));
    let clip = |name: &str, args: &str| generate(&format!("clip-{name}"), &format!("{input} {args}"));
    let flv = clip("joined.flv", &format!("{B_FRAMES} -c:a aac"));
    for (name, container, clip) in [
        ("joined.ts", Container::MpegTs, clip("joined.ts", &format!("{B_FRAMES} -c:a ac3"))),
        ("joined.mpg", Container::MpegPs, clip("joined.mpg", "-f vob -c:v mpeg2video -bf 2 -q:v 4 -c:a mp2")),
        ("joined.flv", Container::Flv, flv.clone()),
    ] {
        let path = compose(name, |to| std::fs::write(to, std::fs::read(clip).unwrap().repeat(3)).unwrap());
        check_joined(name, &path, container).await;
    }
    // A recording of a stream that was interrupted has one header.
    let path = compose("interrupted.flv", |to| {
        let film = std::fs::read(&flv).unwrap();
        std::fs::write(to, [&film[..], &film[13..], &film[13..]].concat()).unwrap();
    });
    check_joined("interrupted.flv", &path, Container::Flv).await;
}

#[tokio::test]
async fn last_frame_is_held_until_the_audio_ends() {
    let args = format!("{} {} {X264} -c:a aac", frames("320x180", "25", 2.0), beeps(48_000, 10.0));
    let expected = Expected { numbers: (0..50).collect(), duration: 10.0, ..whole(10) };
    check("audio-longer.mp4", &generate("audio-longer.mp4", &args), 20.0, &expected).await;
    // Without an index.
    let path = generate("audio-longer.flv", &args);
    check("audio-longer.flv", &path, 20.0, &expected).await;
}

#[tokio::test]
async fn audio_that_ends_early_continues_as_silence() {
    let args = format!("{} {} {X264} -g 50 -c:a aac", frames("96x54", "10", 60.0), beeps(48_000, 7.0));
    let expected = Expected { beeps: Some((0..7).collect()), ..silent(600, 0.1) };
    for name in ["audio-shorter.mp4", "audio-shorter.mkv"] {
        check(name, &generate(name, &args), 15.0, &expected).await;
    }
}

#[tokio::test]
async fn frames_can_be_far_apart() {
    let args = format!("{} {} {X264} -c:a aac", frames("320x180", "1/5", 30.0), beeps(48_000, 30.0));
    let path = generate("slow.mp4", &args);
    let expected = Expected { beeps: Some((0..30).collect()), ..silent(6, 5.0) };
    check("slow.mp4", &path, 20.0, &expected).await;
    let transcoded = transcode(&path, 20.0).await;
    let master = std::fs::read_to_string(transcoded.folder.path().join("master.m3u8")).unwrap();
    assert!(master.contains("FRAME-RATE=0.200,"), "{master}");
}

#[tokio::test]
async fn chunks_of_small_frames_join_whatever_their_length() {
    // The segments of the last chunk have another duration.
    let path = generate("small-chunks.mp4", &format!("{} {X264} -g 10", frames("96x54", "10", 25.0)));
    check("small-chunks.mp4", &path, 15.0, &silent(250, 0.1)).await;
}

#[tokio::test]
async fn slides_are_encoded_like_other_frames() {
    let path = generate("slides.mp4", &format!("{} {X264} -g 1", frames("320x180", "1/40", 240.0)));
    check("slides.mp4", &path, 500.0, &silent(6, 40.0)).await;
}

#[tokio::test]
async fn audio_that_begins_late_stays_in_sync() {
    for name in ["late-audio.mp4", "late-audio.mkv", "late-audio.ts"] {
        let args = format!(
            "{} -itsoffset 2 {} {B_FRAMES} -c:a aac",
            frames("320x180", "25", 8.0),
            beeps(48_000, 6.0)
        );
        let expected = Expected { beeps: Some((2..8).collect()), ..whole(8) };
        check(name, &generate(name, &args), 20.0, &expected).await;
    }
}

#[tokio::test]
async fn first_frame_is_shown_from_the_start_of_the_audio() {
    for name in ["late-video.mp4", "late-video.mkv", "late-video.ts"] {
        let args = format!(
            "-itsoffset 1.2 {} {} -fps_mode passthrough {B_FRAMES} -c:a aac",
            frames("320x180", "25", 6.0),
            beeps(48_000, 7.0)
        );
        let transcoded = transcode(&generate(name, &args), 20.0).await;
        let seen = transcoded.examine(name);
        assert_eq!(seen.numbers, (0..150).collect::<Vec<_>>(), "{name}");
        assert!((seen.times[1] - 1.24).abs() < 0.03, "{name}: {:?}", &seen.times[..3]);
        assert!((seen.duration.0 - 7.2).abs() < 0.05, "{name}: {:?}", seen.duration);
        let beeps = (0u32..7).all(|i| (seen.beeps[usize::try_from(i).unwrap()] - f64::from(i)).abs() < 0.03);
        assert!(beeps, "{name}: {:?}", seen.beeps);
    }
}

#[tokio::test]
async fn tiny_frames_are_enlarged() {
    for size in ["4x4", "64x4", "2x2"] {
        let name = format!("tiny-{size}.mp4");
        let args = format!("-f lavfi -i testsrc=s={size}:r=25:d=2 {X264}");
        let transcoded = transcode_by_index(&generate(&name, &args), 20.0).await;
        assert_eq!(transcoded.examine(&name).times.len(), 50, "{name}");
        assert!(transcoded.plan.rungs[0].height >= 16, "{name}");
    }
}

#[tokio::test]
async fn every_language_is_a_rendition() {
    let args = format!(
        "{} {} -f lavfi -i aevalsrc=0.5*sin(2*PI*300*t):s=44100:d=6 -map 0 -map 1 -map 2 {X264} -c:a aac \
         -metadata:s:a:0 language=eng -metadata:s:a:1 language=fra -disposition:a:0 0 -disposition:a:1 default",
        frames("320x180", "25", 6.0),
        beeps(48_000, 6.0)
    );
    let transcoded = transcode(&generate("languages.mkv", &args), 20.0).await;
    let master = std::fs::read_to_string(transcoded.folder.path().join("master.m3u8")).unwrap();
    let french =
        "NAME=\"French\",LANGUAGE=\"fr\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"audio/index.m3u8\"";
    let english = "NAME=\"English\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"audio-2/index.m3u8\"";
    assert!(master.contains(french) && master.contains(english), "{master}");
    assert_eq!(transcoded.examine("languages.mkv").beeps.len(), 1, "the continuous tone is the default");
    assert_eq!(super::clock::beep_times(&transcoded.concatenated("audio-2")).len(), 6);
}

#[tokio::test]
async fn covers_and_other_programs_are_not_the_film() {
    let still = "-f lavfi -i color=magenta:s=160x160:r=5:d=6 -f lavfi -i sine=f=300:r=48000:d=6";
    let film = format!("{} {}", frames("320x180", "25", 6.0), beeps(48_000, 6.0));
    for (name, args) in [
        ("cover.mkv", "-map 0:v -map 2 -map 3 -c:v:0 mjpeg -c:v:1 libx264 -c:a aac"),
        ("cover.mp4", "-map 0:v -map 2 -map 3 -c:v:0 mjpeg -c:v:1 libx264 -c:a aac -disposition:v:0 default"),
        (
            "cover.mov",
            "-map 0:v -map 2 -map 1 -map 3 -c:v:0 mjpeg -c:v:1 libx264 -c:a:0 pcm_s16le -c:a:1 aac -disposition:a:1 default",
        ),
        (
            "two-programs.ts",
            "-map 0:v -map 1 -map 2 -map 3 -program st=2:st=3 -program st=0:st=1 -c:v libx264 -c:a:0 mp2 -c:a:1 aac",
        ),
    ] {
        let args = format!("{still} {film} {args} -preset ultrafast -pix_fmt yuv420p");
        check(name, &generate(name, &args), 20.0, &whole(6)).await;
    }
}

/// Returns the mean colour of the upper left quadrant of the poster.
async fn poster_colour(path: &Path) -> [u8; 3] {
    let deadline = Instant::now() + upreel_tests::HANG_GUARD;
    let poster = poster::make(&source(path), &super::ffmpeg(), deadline).await.unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, &poster.large).unwrap();
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-f", "mjpeg", "-i"])
        .arg(file.path())
        .args([
            "-vf",
            "crop=iw/2:ih*0.3:0:0,format=gbrp,scale=1:1:flags=area,format=rgb24",
            "-f",
            "rawvideo",
            "-",
        ])
        .output();
    output.unwrap().stdout.try_into().unwrap()
}

#[tokio::test]
async fn cover_is_not_the_poster_when_ffmpeg_seeks() {
    let still = "-f lavfi -i color=magenta:s=160x160:r=5:d=6";
    let film = frames("320x180", "25", 6.0);
    let is_red = |[red, green, blue]: [u8; 3]| red > 180 && green < 80 && blue < 80;

    // Without the index at its end.
    let path = compose("cover-no-index.avi", |to| {
        let args = format!("{still} {film} {} -map 0 -map 1 -map 2", beeps(48_000, 6.0));
        // The frames of this codec do not tell keyframes from others.
        let args = format!("{args} -c:v:0 mjpeg -c:v:1 ffv1 -g 25 -pix_fmt yuvj420p -c:a pcm_s16le");
        let whole = std::fs::read(generate("cover.avi", &args)).unwrap();
        let end = whole.windows(4).rposition(|name| name == b"idx1").unwrap();
        std::fs::write(to, &whole[..end]).unwrap();
    });
    assert!(Index::open(&source(&path), Container::Avi).await.is_err(), "there is no index");
    let colour = poster_colour(&path).await;
    assert!(is_red(colour), "{colour:?}");
    assert_eq!(
        transcode(&path, 20.0).await.examine("cover-no-index.avi").numbers,
        (0..150).collect::<Vec<_>>()
    );

    // With an index, but the only keyframe of the film is black.
    let args = format!(
        "{still} {film},fade=in:0:50 -map 0 -map 1 -c:v:0 mjpeg -c:v:1 libx264 -g 999 -pix_fmt yuvj420p -bf 0 \
         -disposition:v:0 0 -disposition:v:1 default"
    );
    let colour = poster_colour(&generate("cover-fade-in.mkv", &args)).await;
    assert!(is_red(colour), "{colour:?}");
}

#[tokio::test]
async fn size_is_that_of_the_frames_if_the_container_states_another() {
    for (name, codec) in [("wrong-size-8.webm", "libvpx"), ("wrong-size-9.webm", "libvpx-vp9")] {
        let path = compose(name, |to| {
            let args = format!(
                "{} -c:v {codec} -deadline realtime -cpu-used 8 -g 25 -b:v 300k",
                frames("400x300", "25", 4.0)
            );
            let mut bytes = std::fs::read(generate(&format!("right-{name}"), &args)).unwrap();
            // PixelWidth: 200 instead of 400.
            let at = bytes.windows(4).position(|bytes| bytes == b"\xB0\x82\x01\x90").unwrap();
            bytes[at + 2..at + 4].copy_from_slice(&200u16.to_be_bytes());
            std::fs::write(to, bytes).unwrap();
        });
        let deadline = Instant::now() + upreel_tests::HANG_GUARD;
        let poster = poster::make(&source(&path), &super::ffmpeg(), deadline).await.unwrap();
        assert_eq!((poster.media_info.width, poster.media_info.height), (Some(400), Some(300)), "{name}");
        let transcoded = transcode(&path, 20.0).await;
        let rung = &transcoded.plan.rungs[0];
        assert_eq!((rung.width, rung.height), (400, 300), "{name}");
        // The number of the last frame is only right without bars at the sides.
        let seen = transcoded.examine(name);
        assert_eq!(seen.numbers, (0..100).collect::<Vec<_>>(), "{name}");
        let file = transcoded.concatenated(&rung.name);
        let corner = [
            "-frames:v",
            "1",
            "-vf",
            "crop=64:32:0:0,scale=1:1:flags=area,format=rgb24",
            "-f",
            "rawvideo",
            "-",
        ];
        let output =
            Command::new("ffmpeg").args(["-nostdin", "-v", "error", "-i"]).arg(file).args(corner).output();
        let colour = output.unwrap().stdout;
        assert!(colour[0] > 180 && colour[1] < 80, "{name}: {colour:?} in the corner");
    }
}

#[tokio::test]
async fn avi_does_not_drift() {
    let args = format!(
        "{} {} -c:v mpeg4 -bf 2 -q:v 4 -c:a pcm_s16le",
        frames("96x54", "25", 160.0),
        beeps(11_025, 160.0)
    );
    let expected = Expected { sync: LOOSE_SYNC, ..whole(160) };
    check("long.avi", &generate("long.avi", &args), 20.0, &expected).await;
}
