//! Ogg files that ffmpeg does not write: with wrong times, and chained.

use std::path::{Path, PathBuf};
use std::process::Command;

use upreel_core::Container;
use upreel_media::Index;

use super::clock::{beeps, frames};
use super::films::compose;
use super::{generate, source, transcode};

/// A page (RFC 3533, section 6).
struct Page(Vec<u8>);

impl Page {
    fn is_of_theora(&self, all: &[Self]) -> bool {
        let serial = &self.0[14..18];
        let first = all.iter().find(|page| &page.0[14..18] == serial).unwrap();
        first.0[28..].starts_with(b"\x80theora")
    }

    fn granule(&self) -> i64 {
        i64::from_le_bytes(*self.0[6..].first_chunk().unwrap())
    }

    fn set_granule(&mut self, granule: i64) {
        self.0[6..14].copy_from_slice(&granule.to_le_bytes());
        self.0[22..26].fill(0);
        // A CRC of 32 bits with the polynomial 0x04C11DB7.
        let sum = self.0.iter().fold(0u32, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte) << 24, |sum, _| {
                if sum >> 31 == 1 { sum << 1 ^ 0x04C1_1DB7 } else { sum << 1 }
            })
        });
        self.0[22..26].copy_from_slice(&sum.to_le_bytes());
    }
}

/// Reads the pages of a file.
fn pages(path: &Path) -> Vec<Page> {
    let bytes = std::fs::read(path).unwrap();
    let (mut pages, mut rest) = (Vec::new(), bytes.as_slice());
    while !rest.is_empty() {
        assert!(rest.starts_with(b"OggS"));
        let lengths = &rest[27..27 + usize::from(rest[26])];
        let size = 27 + lengths.len() + lengths.iter().map(|length| usize::from(*length)).sum::<usize>();
        let (page, after) = rest.split_at(size);
        pages.push(Page(page.to_vec()));
        rest = after;
    }
    pages
}

/// Makes a film of 25 frames a second.
fn film(name: &str, seconds: u32, args: &str) -> PathBuf {
    let input = format!("{} {}", frames("320x180", "25", seconds.into()), beeps(48_000, seconds.into()));
    generate(name, &format!("{input} {args}"))
}

const THEORA: &str = "-c:v libtheora -g 25 -q:v 7 -c:a libvorbis";

#[tokio::test]
async fn wrong_times_of_audio_move_no_frame() {
    let path = compose("times-go-back.ogv", |to| {
        let all = pages(&film("ogg-20.ogv", 20, THEORA));
        let mut count = 0;
        let mut bytes = Vec::new();
        for page in &all {
            let mut copy = Page(page.0.clone());
            if page.granule() > 0 && !page.is_of_theora(&all) {
                count += 1;
                // Every other page is half a second early.
                copy.set_granule(page.granule() - if count % 2 == 0 { 24_000 } else { 0 });
            }
            bytes.extend(copy.0);
        }
        assert!(count > 8);
        std::fs::write(to, bytes).unwrap();
    });
    let transcoded = transcode(&path, 20.0).await;
    let seen = transcoded.examine("times-go-back.ogv");
    assert_eq!(seen.numbers, (0..500).collect::<Vec<_>>());
    assert!(seen.times.iter().zip(0u32..).all(|(time, i)| (time - f64::from(i) * 0.04).abs() < 0.0015));
    let (video, audio) = seen.duration;
    assert!((video - 20.0).abs() < 0.05 && (audio - 20.0).abs() < 0.05, "{video} s, {audio} s of audio");
}

#[tokio::test]
async fn links_of_a_chain_follow_each_other() {
    const VP8: &str = "-c:v libvpx -g 25 -b:v 400k -deadline realtime -cpu-used 8 -c:a libopus -f ogg";
    for (name, args) in [("chain-theora.ogv", THEORA), ("chain-vp8.ogv", VP8)] {
        let path = compose(name, |to| {
            let link = |serial: u32| {
                let args = format!("{args} -serial_offset {serial}");
                std::fs::read(film(&format!("link-{serial}-{name}"), 4, &args)).unwrap()
            };
            // The last one has the serial numbers of the first one.
            std::fs::write(to, [link(10), link(20), link(10)].concat()).unwrap();
        });
        let transcoded = transcode(&path, 20.0).await;
        let seen = transcoded.examine(name);
        assert_eq!(seen.numbers, (0..100).cycle().take(300).collect::<Vec<_>>(), "{name}");
        let even = seen.times.iter().zip(0u32..).all(|(time, i)| (time - f64::from(i) * 0.04).abs() < 0.0015);
        assert!(even, "{name}: {:?}", seen.times);
        assert!((transcoded.record - 12.0).abs() < 0.001, "{name}: {} s", transcoded.record);
        let (video, audio) = seen.duration;
        assert!((video - 12.0).abs() < 0.001 && (audio - 12.0).abs() < 0.05, "{name}: {video} s, {audio} s");
        // A link begins with the delay of its audio encoder.
        assert_eq!(seen.beeps.len(), 12, "{name}: {:?}", seen.beeps);
        let distance = seen.beeps.iter().zip(0u32..).map(|(beep, i)| (beep - f64::from(i)).abs());
        assert!(distance.fold(0.0, f64::max) < 0.03, "{name}: {:?}", seen.beeps);
        // The storyboard is one of all links.
        let index = Index::open(&source(&path), Container::Ogg).await.unwrap().unwrap();
        let keyframes = index.keyframes(&source(&path), 100).await.unwrap();
        let times: Vec<u64> = keyframes.iter().map(|keyframe| keyframe.time_ms).collect();
        assert_eq!(times, (0..12).map(|second| second * 1000).collect::<Vec<_>>(), "{name}");
    }
}

/// Returns the offset of the page of each frame, and the time of the frame in milliseconds.
fn frames_of(path: &Path) -> Vec<(u64, u64)> {
    let args =
        ["-v", "error", "-select_streams", "v:0", "-show_entries", "packet=pts_time,pos", "-of", "csv=p=0"];
    let output = Command::new("ffprobe").args(args).arg(path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let frame = |line: &str| {
        let (time, at) = line.trim().split_once(',').unwrap();
        // Six decimals of seconds.
        (at.parse().unwrap(), time.replace('.', "").parse::<u64>().unwrap() / 1000)
    };
    text.lines().map(frame).collect()
}

#[tokio::test]
async fn links_of_a_large_chain_follow_each_other() {
    // The first one is shorter than the first read.
    let lengths = [1, 9, 7, 8];
    // Different serial numbers, some that occur twice, and always the same ones.
    for serials in [[10, 20, 30, 40], [10, 20, 30, 20], [10, 10, 10, 10]] {
        let lengths = if serials[1] == 10 { [8; 4] } else { lengths };
        let parts: Vec<PathBuf> = lengths
            .into_iter()
            .zip(serials)
            .map(|(seconds, serial)| {
                let input =
                    format!("{} {}", frames("320x180", "25", seconds.into()), beeps(48_000, seconds.into()));
                let name = format!("large-{seconds}-{serial}.ogv");
                let video = "-vf noise=alls=25:allf=t -c:v libtheora -g 25 -q:v 8";
                generate(
                    &name,
                    &format!("{input} {video} -c:a libvorbis -serial_offset {serial} -fflags +bitexact"),
                )
            })
            .collect();
        let name = format!("large-chain-{serials:?}.ogv");
        let path = compose(&name, |to| {
            let all: Vec<u8> = parts.iter().flat_map(|part| std::fs::read(part).unwrap()).collect();
            std::fs::write(to, all).unwrap();
        });
        let size = path.metadata().unwrap().len();
        assert!(size > 13 << 20, "{name}: {size}");
        let object = source(&path);
        let index = Index::open(&object, Container::Ogg).await.unwrap().unwrap();
        let opened = object.stats();
        let found = index.keyframes(&object, 20).await.unwrap();
        eprintln!("{name}: {size} bytes, {opened:?} to open, {:?} with keyframes", object.stats());
        let (mut duration, mut offset, mut all) = (0, 0, Vec::new());
        for part in &parts {
            let frames = frames_of(part);
            let end = duration + 40 * u64::try_from(frames.len()).unwrap();
            all.extend(frames.into_iter().map(|(at, time)| (at + offset, time + duration)));
            (duration, offset) = (end, offset + part.metadata().unwrap().len());
        }
        assert_eq!(index.media_info.duration_ms, Some(duration), "{name}");
        assert!(found.len() >= 15, "{name}: {}", found.len());
        for keyframe in &found {
            let right = all.iter().find(|(start, _)| *start == keyframe.range.start);
            assert_eq!(right.map(|(_, time)| *time), Some(keyframe.time_ms), "{name}: {keyframe:?}");
        }
        assert!(opened.requests < 150 && opened.bytes < 10 << 20, "{name}: {opened:?}");
    }
}
