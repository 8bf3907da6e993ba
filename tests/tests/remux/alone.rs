//! Files with audio alone.

use std::path::Path;

use upreel_core::Container;
use upreel_media::Remux;
use upreel_media::remux::{Kind, Refusal, audio_alone};

use super::check::{Expected, check_alone};
use super::encoded::tone;
use super::{TONE, basic, generate};

/// Makes the segment index of a file.
pub(super) async fn remux(path: &Path) -> Result<Remux, Refusal> {
    let source = upreel_tests::source(path).unwrap();
    let container = match path.extension().unwrap().to_str().unwrap() {
        "m4a" => Container::Mp4,
        "weba" => Container::Webm,
        "mka" => Container::Mkv,
        _ => Container::Wav,
    };
    audio_alone(&source, container, "\"etag\"").await.unwrap()
}

/// Checks a file whose audio is played as it is, in so many segments.
async fn played(name: &str, args: &str, expected: Expected, segments: usize) {
    let made = check_alone(&generate(name, args), expected).await;
    assert_eq!((made.segments[0].len(), made.is_encoded[0]), (segments, false), "{name}");
    assert!(made.remux.tracks.iter().all(|track| matches!(track.kind, Kind::Audio { .. })), "{name}");
}

const ROUNDED: Expected =
    Expected { film: None, starts_late: false, is_silent: false, is_rounded: true, shift: 0 };

#[tokio::test]
async fn mp4() {
    let (exact, fragments) = (Expected::default(), "-movflags empty_moov+default_base_moof -frag_duration");
    played("aac.m4a", &format!("{TONE} -c:a aac -f mp4"), exact, 3).await;
    played("aac-44100.m4a", &format!("{TONE} -c:a aac -ar 44100 -ac 1 -movflags faststart -f mp4"), exact, 3)
        .await;
    played("aac-fragments.m4a", &format!("{TONE} -c:a aac {fragments} 1000000 -f mp4"), exact, 3).await;
    played("opus.m4a", &format!("{TONE} -c:a libopus -f mp4"), exact, 3).await;
    let two = format!("{TONE} {TONE} -map 0:a -map 1:a -c:a aac -metadata:s:a:1 language=ger -f mp4");
    played("two.m4a", &two, exact, 3).await;
    let cover = "-f lavfi -i color=magenta:s=64x64:d=0.04:r=25 -map 0:a -map 1:v -c:v png -disposition:v attached_pic";
    played("cover.m4a", &format!("{TONE} {cover} -c:a aac -f mp4"), exact, 3).await;
}

#[tokio::test]
async fn matroska() {
    played("opus.weba", &format!("{TONE} -c:a libopus -f webm"), ROUNDED, 3).await;
    played("aac.mka", &format!("{TONE} -c:a aac -f matroska"), ROUNDED, 3).await;
}

#[tokio::test]
async fn encoded() {
    let tone = tone("12");
    for (name, args) in [
        ("alac.m4a", "-c:a alac -f mp4"),
        ("mp3.m4a", "-c:a libmp3lame -f mp4"),
        ("pcm-s16.wav", "-c:a pcm_s16le -f wav"),
        ("pcm-44100.wav", "-c:a pcm_s24le -ar 44100 -ac 1 -f wav"),
        ("pcm-float.wav", "-c:a pcm_f32le -ar 96000 -f wav"),
        ("pcm-s32-rf64.wav", "-c:a pcm_s32le -ac 6 -rf64 always -f wav"),
    ] {
        let made = check_alone(&generate(name, &format!("{tone} {args}")), Expected::default()).await;
        assert_eq!((made.segments[0].len(), &made.is_encoded[..]), (3, &[true][..]), "{name}");
    }
    for (name, args) in [
        ("flac.mka", "-c:a flac -f matroska"),
        ("vorbis.weba", "-c:a libvorbis -f webm"),
        ("mp3-44100.mka", "-c:a libmp3lame -ar 44100 -f matroska"),
    ] {
        let made = check_alone(&generate(name, &format!("{tone} {args}")), ROUNDED).await;
        assert_eq!((made.segments[0].len(), &made.is_encoded[..]), (3, &[true][..]), "{name}");
    }
}

#[tokio::test]
async fn refusals() {
    let refusal = |name, args: &str| {
        let path = generate(name, &format!("{TONE} {args}"));
        async move { remux(&path).await.err().map(|refusal| refusal.0) }
    };
    assert_eq!(refusal("tta.mka", "-c:a tta -f matroska").await, Some("AUDIO_CODEC"));
    assert_eq!(refusal("adpcm.wav", "-c:a adpcm_ms -f wav").await, Some("AUDIO_CODEC"));
    let film = basic();
    let source = upreel_tests::source(Path::new(&film)).unwrap();
    for (container, code) in [(Container::Mp3, "NO_INDEX"), (Container::Wav, "NO_INDEX")] {
        let made = audio_alone(&source, container, "\"etag\"").await.unwrap();
        assert_eq!(made, Err(Refusal(code)));
    }
}
