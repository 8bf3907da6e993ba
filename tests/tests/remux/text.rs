//! Text tracks become captions: the same cues, at the same times, as ffmpeg extracts.

use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use upreel_core::Container;
use upreel_core::captions::Kind;
use upreel_media::text::{LeftOut, TextTrack, TextTracks};
use upreel_media::{Index, Source};

use super::{FILM, H264, PYRAMID, generate};

const ENGLISH: &str = "1\n00:00:00,500 --> 00:00:01,750\nHello <i>you</i>\nthere\n\n\
                       2\n00:00:02,000 --> 00:00:04,040\n1 < 2 & so on: \u{e9}\u{1f3ac}\n\n\
                       3\n00:00:09,000 --> 00:00:11,500\nthe end\n";
const GERMAN: &str = "1\n00:00:00,480 --> 00:00:01,750\nHallo\n\n2\n00:00:06,000 --> 00:00:07,000\nFilm\n";
const ASS: &str = "[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\n\
    Format: Name, Fontname, Fontsize\nStyle: Default,Arial,16\n\n[Events]\n\
    Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n\
    Dialogue: 0,0:00:00.50,0:00:01.75,Default,,0,0,0,,Hello{\\b1}, you{\\b0}\\Nthere\n\
    Dialogue: 0,0:00:02.00,0:00:04.04,Default,,0,0,0,,{\\pos(10,10)}one\n\
    Dialogue: 1,0:00:02.00,0:00:04.04,Default,,0,0,0,,two\n";
/// The film is input 0, `english.srt` is 1, `german.srt` 2, `film.ass` 3.
const TWO: &str = "-map 0:v -map 1 -map 2 -metadata:s:s:0 language=eng -metadata:s:s:1 language=ger \
                   -metadata:s:s:1 title=Deutsch";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("remux")
}

/// Returns the arguments for the film and its texts.
fn inputs(before: &str) -> String {
    std::fs::create_dir_all(folder()).unwrap();
    let inputs = [("english.srt", ENGLISH), ("german.srt", GERMAN), ("film.ass", ASS)].map(|(name, text)| {
        let path = folder().join(name);
        std::fs::write(&path, text).unwrap();
        format!(" {before} -i {}", path.display())
    });
    format!("{FILM}{}", inputs.concat())
}

fn film(name: &str, args: &str) -> PathBuf {
    generate(name, &format!("{} {H264} {PYRAMID} {args}", inputs("")))
}

async fn read(path: &Path) -> (TextTracks, Source) {
    let bytes = Bytes::from(std::fs::read(path).unwrap());
    let container = Container::sniff(&bytes).unwrap();
    let source = Source::new(bytes.len() as u64, bytes);
    let index = Index::open(&source, container).await.unwrap().unwrap();
    let found = index.text_tracks(&source).await.unwrap();
    (found, source)
}

/// Returns the start, the end and the text of each cue.
fn cues(vtt: &str) -> Vec<(u64, u64, String)> {
    let time = |text: &str| {
        let text = text.split(' ').next().unwrap();
        text.replace('.', ":").split(':').fold(0, |sum, part| {
            let scale = if part.len() == 3 { 1000 } else { 60 };
            sum * scale + part.parse::<u64>().unwrap()
        })
    };
    let blocks = vtt.split("\n\n").filter_map(|block| {
        let (times, text) = block.trim_matches('\n').split_once('\n')?;
        let (start, end) = times.split_once(" --> ")?;
        Some((time(start), time(end), text.to_owned()))
    });
    blocks.collect()
}

/// Extracts a text track with ffmpeg. Some versions lose what follows a `<` when they convert `WebVTT`, so that is copied.
fn extracted(path: &Path, track: usize) -> Vec<(u64, u64, String)> {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-i"]).arg(path);
    let is_webvtt = path.file_name().unwrap().to_str().unwrap().starts_with("vtt");
    let codec = if is_webvtt { "copy" } else { "webvtt" };
    let args = format!("-map 0:s:{track} -c:s {codec} -f webvtt -");
    let output = command.args(args.split(' ')).output().unwrap();
    assert!(output.status.success());
    cues(&String::from_utf8(output.stdout).unwrap())
}

/// Compares a track with what ffmpeg extracts, apart from its markup.
fn check(path: &Path, number: usize, track: &TextTrack) {
    let plain = |(start, end, text): (u64, u64, String)| {
        let text = ["<i>", "</i>", "<b>", "</b>"].iter().fold(text, |text, tag| text.replace(tag, ""));
        let text = text.replace("&lt;", "<").replace("&amp;", "&").replace("&gt;", ">");
        (start, end, text)
    };
    let own: Vec<_> = cues(&track.text.text).into_iter().map(plain).collect();
    let expected: Vec<_> = extracted(path, number).into_iter().map(plain).collect();
    assert!(!own.is_empty());
    assert_eq!(own, expected, "{} {number}", path.display());
}

fn summary(found: &TextTracks) -> Vec<(&str, Option<&str>, Kind)> {
    let tracks = found.tracks.iter();
    tracks.map(|track| (track.language.as_str(), track.label.as_deref(), track.kind)).collect()
}

#[tokio::test]
async fn text_tracks_have_the_cues_that_ffmpeg_extracts() {
    for (name, args) in [
        ("srt.mkv", "-c:s srt"),
        ("ass.mkv", "-c:s ass"),
        ("vtt.mkv", "-c:s webvtt"),
        ("text.mp4", "-c:s mov_text"),
        ("text.mov", "-c:s mov_text"),
        ("vtt.webm", "-c:v libvpx -c:s webvtt"),
    ] {
        let path = film(name, &format!("{TWO} {args}"));
        let (found, _) = read(&path).await;
        let label = Some("Deutsch");
        assert_eq!(
            summary(&found),
            [("en", None, Kind::Subtitles), ("de", label, Kind::Subtitles)],
            "{name}: {found:?}"
        );
        for (number, track) in found.tracks.iter().enumerate() {
            check(&path, number, track);
        }
    }
}

#[tokio::test]
async fn texts_are_on_the_timeline_of_the_film() {
    // Pictures that refer to later ones have an edit list in MP4, and texts that begin later have one of their own.
    let late = generate(
        "late-text.mp4",
        &format!("{} {H264} {PYRAMID} {TWO} -c:s mov_text", inputs("-itsoffset 1.4")),
    );
    let (found, _) = read(&late).await;
    for (number, track) in found.tracks.iter().enumerate() {
        check(&late, number, track);
    }
    assert_eq!(cues(&found.tracks[0].text.text)[0].0, 1900);
    let whole = film("text.mp4", &format!("{TWO} -c:s mov_text"));
    let cut = generate("cut-text.mp4", &format!("-ss 3 -i {} -map 0 -c copy", whole.display()));
    let (found, _) = read(&cut).await;
    let starts = |track: &TextTrack| cues(&track.text.text).iter().map(|cue| cue.0).collect::<Vec<_>>();
    // The second text has begun before the cut.
    let of_english = starts(&found.tracks[0]);
    assert_eq!(of_english.last(), Some(&6000), "{of_english:?}");
    assert_eq!(starts(&found.tracks[1]), [3000]);
}

#[tokio::test]
async fn one_track_of_a_language_is_taken_and_no_forced_one() {
    let args = "-map 0:v -map 1 -map 2 -map 3 -map 2 -c:s copy -metadata:s:s:0 language=eng -metadata:s:s:1 language=eng \
                -metadata:s:s:2 language=eng -metadata:s:s:3 language=por -metadata:s:s:2 title=three \
                -disposition:s:0 forced+default -disposition:s:1 0 -disposition:s:2 hearing_impaired+default \
                -disposition:s:3 0";
    let (found, _) = read(&film("several.mkv", args)).await;
    assert_eq!(summary(&found), [("en", Some("three"), Kind::Captions), ("pt", None, Kind::Subtitles)]);
    assert_eq!(cues(&found.tracks[1].text.text)[0].2, "Hallo");
    let (found, _) = read(&film("unknown.mp4", "-map 0:v -map 1 -c:s mov_text")).await;
    assert_eq!(summary(&found), [("und", None, Kind::Subtitles)]);
}

#[tokio::test]
async fn few_bytes_are_read_of_a_large_film() {
    for (name, codec) in [("large-text.mkv", "srt"), ("large-text.mp4", "mov_text")] {
        let path = film(name, &format!("-qp 0 -s 640x480 {TWO} -c:s {codec}"));
        let (found, source) = read(&path).await;
        assert_eq!((found.tracks.len(), source.size() > 4 << 20), (2, true));
        assert!(found.stats.requests <= 5 && found.stats.bytes < 50_000, "{:?}", found.stats);
    }
    let (found, source) = read(&film("no-text.mkv", "-map 0:v")).await;
    let before = source.stats();
    assert!(found.tracks.is_empty() && found.left_out.is_empty() && found.stats.requests == 0);
    assert_eq!(before.requests, 1, "no request for texts");
}

#[tokio::test]
async fn texts_that_the_index_does_not_list_are_left_out() {
    let fragmented =
        film("fragments-text.mp4", &format!("{TWO} -c:s mov_text -movflags +frag_keyframe+empty_moov"));
    let (found, _) = read(&fragmented).await;
    let reasons: Vec<_> = found.left_out.iter().map(|(_, reason)| *reason).collect();
    assert_eq!((found.tracks.len(), reasons), (0, vec![LeftOut::NoIndex; 2]));
}

#[tokio::test]
async fn chapters_are_no_captions() {
    std::fs::create_dir_all(folder()).unwrap();
    let chapters = folder().join("chapters.txt");
    let text = ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1\nSTART=0\nEND=6\ntitle=One\n[CHAPTER]\nTIMEBASE=1/1\nSTART=6\n\
                END=12\ntitle=Two\n";
    std::fs::write(&chapters, text).unwrap();
    let path = generate("chapters.mp4", &format!("{FILM} -i {} -map 0:v {H264}", chapters.display()));
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.windows(4).any(|name| name == b"chap"));
    let (found, _) = read(&path).await;
    assert!(found.tracks.is_empty() && found.left_out.is_empty(), "{found:?}");
}
