//! The videos, and the objects that they are.

use std::path::Path;
use std::process::{Command, Stdio};

use upreel_core::{Container, Key, VideoId};

use crate::Failed;

/// One video; `files.sh` makes it.
#[derive(Debug)]
pub(crate) struct Video {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    container: Container,
    pub(crate) quick: bool,
}

const fn video(name: &'static str, title: &'static str, container: Container) -> Video {
    Video { name, title, container, quick: false }
}

pub(crate) static VIDEOS: [Video; 10] = [
    Video { quick: true, ..video("mp4-60m.mp4", "60 MB MP4", Container::Mp4) },
    Video { quick: true, ..video("mp4-1g.mp4", "1 GB MP4", Container::Mp4) },
    video("mp4-1g-last.mp4", "1 GB MP4, index last", Container::Mp4),
    video("mp4-5g.mp4", "5 GB MP4", Container::Mp4),
    video("mp4-5g-last.mp4", "5 GB MP4, index last", Container::Mp4),
    video("mp4-1g-frag.mp4", "1 GB MP4, fragmented", Container::Mp4),
    video("mkv-1g.mkv", "1 GB MKV", Container::Mkv),
    video("webm-1g.webm", "1 GB WebM, VP9", Container::Webm),
    video("mov-1g.mov", "1 GB MOV, HEVC", Container::Mov),
    video("ts-1g.ts", "1 GB MPEG-TS", Container::MpegTs),
];

/// What is transcoded.
pub(crate) static FILM: Video = video("film.mp4", "76 MB MP4, 1080p", Container::Mp4);

impl Video {
    fn all() -> impl Iterator<Item = &'static Self> {
        VIDEOS.iter().chain([&FILM])
    }

    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        Self::all().find(|video| video.name == name)
    }

    /// Its key: an upload's, as the functions know no others.
    pub(crate) fn key(&self) -> Result<Key, Failed> {
        let number = Self::all().position(|video| video.name == self.name).unwrap_or_default();
        let id: VideoId = format!("00000000-0000-7000-8000-{number:012}").parse()?;
        Ok(Key::Video { user: "bench".parse()?, id, container: Some(self.container) })
    }

    /// The video with this key.
    pub(crate) fn of(key: &str) -> Option<&'static Self> {
        Self::all().find(|video| video.key().is_ok_and(|its| its.to_string() == key))
    }
}

/// Has the videos made that are missing, and says in which folder they are.
pub(crate) fn make(videos: &[&Video]) -> Result<std::path::PathBuf, Failed> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("files.sh");
    let output = Command::new(&script)
        .args(videos.iter().map(|video| video.name))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{}: {error}", script.display()))?;
    if !output.status.success() {
        return Err("the videos could not be made".into());
    }
    Ok(String::from_utf8(output.stdout)?.trim_end().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_video_has_a_key_of_its_own() {
        for video in Video::all() {
            let key = video.key().unwrap().to_string();
            assert_eq!(Video::of(&key).map(|video| video.name), Some(video.name));
        }
        assert!(Video::of("videos/bench/other.mp4").is_none());
    }
}
