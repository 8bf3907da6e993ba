//! Files with audio alone.

use std::path::Path;

use upreel_core::Container;
use upreel_media::Remux;
use upreel_media::remux::{Kind, Refusal, audio_alone};

use super::check::{Expected, check_alone};
use super::encoded::tone;
use super::{TONE, basic, generate, segments};

/// Makes the segment index of a file.
pub(super) async fn remux(path: &Path) -> Result<Remux, Refusal> {
    let source = upreel_tests::source(path).unwrap();
    let container = match path.extension().unwrap().to_str().unwrap() {
        "m4a" => Container::Mp4,
        "weba" => Container::Webm,
        "mka" => Container::Mkv,
        "mp3" => Container::Mp3,
        "aac" => Container::Aac,
        "flac" => Container::Flac,
        "ogg" => Container::Ogg,
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

/// Checks 12 s of audio that is encoded, in three segments.
async fn check_encoded(name: &str, args: &str, expected: Expected) {
    let made = check_alone(&generate(name, &format!("{} {args}", tone("12"))), expected).await;
    assert_eq!((made.segments[0].len(), &made.is_encoded[..]), (3, &[true][..]), "{name}");
}

#[tokio::test]
async fn encoded() {
    for (name, args) in [
        ("alac.m4a", "-c:a alac -f mp4"),
        ("mp3.m4a", "-c:a libmp3lame -f mp4"),
        ("pcm-s16.wav", "-c:a pcm_s16le -f wav"),
        ("pcm-44100.wav", "-c:a pcm_s24le -ar 44100 -ac 1 -f wav"),
        ("pcm-float.wav", "-c:a pcm_f32le -ar 96000 -f wav"),
        ("pcm-s32-rf64.wav", "-c:a pcm_s32le -ac 6 -rf64 always -f wav"),
    ] {
        check_encoded(name, args, Expected::default()).await;
    }
    for (name, args) in [
        ("flac.mka", "-c:a flac -f matroska"),
        ("vorbis.weba", "-c:a libvorbis -f webm"),
        ("mp3-44100.mka", "-c:a libmp3lame -ar 44100 -f matroska"),
    ] {
        check_encoded(name, args, ROUNDED).await;
    }
}

#[tokio::test]
async fn without_an_index() {
    let exact = Expected::default();
    played("adts.aac", &format!("{TONE} -c:a aac -f adts"), exact, 3).await;
    played("adts-22050.aac", &format!("{TONE} -c:a aac -ar 22050 -ac 1 -f adts"), exact, 3).await;
    played("opus.ogg", &format!("{TONE} -c:a libopus -f ogg"), exact, 3).await;
    played("opus-60ms.ogg", &format!("{TONE} -c:a libopus -ac 1 -frame_duration 60 -f ogg"), exact, 3).await;
}

#[tokio::test]
async fn encoded_without_an_index() {
    for (name, args) in [
        ("vbr-44100.mp3", "-c:a libmp3lame -ar 44100 -q:a 4 -f mp3"),
        ("low-22050.mp3", "-c:a libmp3lame -ar 22050 -ac 1 -f mp3"),
        ("bare-44100.mp3", "-c:a libmp3lame -ar 44100 -write_xing 0 -id3v2_version 0 -f mp3"),
        ("16-44100.flac", "-c:a flac -ar 44100 -f flac"),
        ("24-96000.flac", "-c:a flac -ar 96000 -sample_fmt s32 -f flac"),
        ("flac.ogg", "-c:a flac -f ogg"),
        ("vorbis-44100.ogg", "-c:a libvorbis -ar 44100 -f ogg"),
    ] {
        check_encoded(name, args, Expected::default()).await;
    }
}

/// The pages of a file in Ogg, each divided into pages of this many parts of packets, as short ones as some programs write.
fn repaged(file: &[u8], parts: usize) -> Vec<u8> {
    let (mut rest, mut number, mut pages) = (file, 0u32, Vec::new());
    while let Some((head, after)) = rest.split_first_chunk::<27>() {
        let (lengths, mut body) = after.split_at(usize::from(head[26]));
        let mut is_whole = head[5] & 1 == 0;
        for (i, some) in lengths.chunks(parts).enumerate() {
            let (data, left) = body.split_at(some.iter().copied().map(usize::from).sum());
            body = left;
            let (mut page, is_last) = (head.to_vec(), left.is_empty());
            page[5] = head[5] & if i == 0 { 2 } else { 0 }
                | u8::from(!is_whole)
                | head[5] & if is_last { 4 } else { 0 };
            if !is_last {
                page[6..14].fill(0xFF);
            }
            page[18..22].copy_from_slice(&number.to_le_bytes());
            page[22..26].fill(0);
            page[26] = u8::try_from(some.len()).unwrap();
            page.extend([some, data].concat());
            // A CRC of 32 bits, without a table.
            let sum = page.iter().fold(0u32, |sum, byte| {
                let bit = |sum: u32, _| if sum >> 31 == 1 { sum << 1 ^ 0x04C1_1DB7 } else { sum << 1 };
                (0..8).fold(sum ^ u32::from(*byte) << 24, bit)
            });
            page[22..26].copy_from_slice(&sum.to_le_bytes());
            pages.extend(page);
            is_whole = some.last().is_some_and(|length| *length < 255);
            number += 1;
        }
        rest = body;
    }
    pages
}

#[tokio::test]
async fn packets_of_several_pages() {
    for (name, args) in
        [("opus.ogg", format!("{TONE} -c:a libopus")), ("long.ogg", format!("{} -c:a flac", tone("12")))]
    {
        let path = generate(name, &format!("{args} -f ogg"));
        let whole = segments(&path).await;
        for parts in [1, 3] {
            let small = path.with_file_name(format!("pages-{parts}-{name}"));
            std::fs::write(&small, repaged(&std::fs::read(&path).unwrap(), parts)).unwrap();
            let made = segments(&small).await;
            assert!(made.segments == whole.segments, "{name}: other segments from pages of {parts} parts");
            assert_eq!(made.requests, whole.requests, "{name}");
        }
    }
}

#[tokio::test]
async fn joined_and_damaged_files() {
    let file = |name: &str, args: &str| std::fs::read(generate(name, &format!("{TONE} {args}"))).unwrap();
    let made = async |name: &str, parts: &[&[u8]]| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("remux").join(name);
        std::fs::write(&path, parts.concat()).unwrap();
        let made = remux(&path).await.map_err(|refusal| refusal.0)?;
        let seconds = made.tracks[0].segments.iter().map(|segment| segment.duration).sum::<u64>();
        Ok(seconds / u64::from(made.tracks[0].scale))
    };
    let half = async |name: &str, file: &[u8]| {
        let seconds = made(name, &[&file[..file.len() / 2]]).await.unwrap();
        assert!((4..8).contains(&seconds), "{name}: {seconds} s");
    };
    let several = Err("SEVERAL_SAMPLE_DESCRIPTIONS");
    for (extension, args) in [("mp3", "-c:a libmp3lame -f mp3"), ("aac", "-c:a aac -f adts")] {
        let [first, other] = ["48000", "44100"]
            .map(|rate| file(&format!("{rate}.{extension}"), &format!("{args} -ar {rate}")));
        let name = |kind: &str| format!("{kind}.{extension}");
        assert_eq!(made(&name("twice"), &[&first, &first]).await, Ok(24), "{extension}");
        assert_eq!(made(&name("rates"), &[&first, &other]).await, several, "{extension}");
        half(&name("cut"), &first).await;
        assert_eq!(made(&name("noise"), &[&first, &vec![0xFF; 2 << 20], &first]).await, Err("NO_INDEX"));
        // A tag that is longer than the file.
        assert_eq!(made(&name("tag"), &[&first, b"ID3\x04\0\0\x7F\x7F\x7F\x7F", &other]).await, Ok(12));
    }
    let flac = file("joined.flac", "-c:a flac -f flac");
    assert_eq!(made("twice.flac", &[&flac, &flac]).await, Err("TIMES"));
    half("cut.flac", &flac).await;
    let mut long = flac.clone();
    // The first block declares a length beyond the file.
    long[5..8].fill(0xFF);
    assert_eq!(made("long.flac", &[&long]).await, Err("NO_INDEX"));
    let ogg = file("joined.ogg", "-c:a libopus -f ogg");
    assert_eq!(made("chain.ogg", &[&ogg, &ogg]).await, several);
    half("cut.ogg", &ogg).await;
    // A page of audio with another position.
    let mut early = ogg.clone();
    let page = early.windows(4).enumerate().filter(|(_, name)| name == b"OggS").nth(5).unwrap().0;
    early[page + 6] = 1;
    assert_eq!(made("damaged.ogg", &[&early]).await, Ok(12), "a hole instead of a page");
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
