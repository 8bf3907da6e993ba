//! The keys of all S3 objects. No other module formats or parses a key.

use std::fmt;
use std::str::FromStr;

use crate::container::Container;
use crate::id::{Invalid, Sequencer, UserId, VideoId};

/// The key of an object that Upreel stores. Formatting and parsing round-trip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// An uploaded file, in the uploads bucket. The user in the key proves the ownership.
    Video {
        /// The owner, who may sign requests for it.
        user: UserId,
        /// The video.
        id: VideoId,
        /// The declared format, or `None` if it is unknown (`.bin`).
        container: Option<Container>,
    },
    /// The poster, 640 pixels wide, in the thumbnails bucket.
    Thumbnail(VideoId),
    /// The poster, 1280 pixels wide, in the thumbnails bucket.
    ThumbnailLarge(VideoId),
    /// The storyboard's image, in the thumbnails bucket.
    StoryboardImage(VideoId),
    /// The storyboard's `WebVTT` file, which refers to the image, in the thumbnails bucket.
    StoryboardTrack(VideoId),
    /// A file of the HLS renditions, in the processed bucket. Each run has its own folder.
    Rendition {
        /// The video.
        id: VideoId,
        /// The run.
        run: Sequencer,
        /// The file, such as `v720/index.m3u8`.
        name: FileName,
    },
    /// A file that the tasks of a transcoding pass to each other, in the processed bucket. It expires.
    Work {
        /// The video.
        id: VideoId,
        /// The run.
        run: Sequencer,
        /// The file, such as `plan.json`.
        name: FileName,
    },
}

/// A file name with at most one folder: lower case letters, digits, hyphens and dots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileName(String);

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for FileName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_name = |name: &str| {
            (1..=64).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b))
                && !name.starts_with('.')
        };
        let fits = text.split('/').count() <= 2 && text.split('/').all(is_name);
        if fits { Ok(Self(text.to_owned())) } else { Err(Invalid("file name")) }
    }
}

const UNKNOWN: &str = "bin";
const LARGE: &str = "-1280";

impl Key {
    /// Returns the keys of all previews of a video, which are deleted with it.
    #[must_use]
    pub const fn previews(id: VideoId) -> [Self; 4] {
        [Self::Thumbnail(id), Self::ThumbnailLarge(id), Self::StoryboardImage(id), Self::StoryboardTrack(id)]
    }

    /// Returns the folders of all renditions and work files of a video, of every run.
    #[must_use]
    pub fn rendition_folders(id: VideoId) -> [String; 2] {
        [format!("hls/{id}/"), format!("work/{id}/")]
    }

    /// Returns the key without its folders.
    #[must_use]
    pub fn file_name(&self) -> String {
        let key = self.to_string();
        key.rsplit('/').next().unwrap_or_default().to_owned()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Video { user, id, container } => {
                let extension = container.map_or(UNKNOWN, Container::extension);
                write!(f, "videos/{user}/{id}.{extension}")
            }
            Self::Thumbnail(id) => write!(f, "thumbnails/{id}.jpg"),
            Self::ThumbnailLarge(id) => write!(f, "thumbnails/{id}{LARGE}.jpg"),
            Self::StoryboardImage(id) => write!(f, "storyboards/{id}.jpg"),
            Self::StoryboardTrack(id) => write!(f, "storyboards/{id}.vtt"),
            Self::Rendition { id, run, name } => write!(f, "hls/{id}/{}/{name}", run.as_str()),
            Self::Work { id, run, name } => write!(f, "work/{id}/{}/{name}", run.as_str()),
        }
    }
}

impl FromStr for Key {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = Invalid("key");
        if let Some((folder @ ("hls" | "work"), rest)) = text.split_once('/') {
            let mut segments = rest.splitn(3, '/');
            let mut next = || segments.next().ok_or(Invalid("key"));
            let (id, run, name) = (next()?.parse()?, Sequencer::from_stored(next()?)?, next()?.parse()?);
            return Ok(if folder == "hls" {
                Self::Rendition { id, run, name }
            } else {
                Self::Work { id, run, name }
            });
        }
        let (folder, name) = text.rsplit_once('/').ok_or(invalid)?;
        let (name, extension) = name.split_once('.').ok_or(Invalid("key"))?;
        if let ("thumbnails", Some(id), "jpg") = (folder, name.strip_suffix(LARGE), extension) {
            return Ok(Self::ThumbnailLarge(id.parse()?));
        }
        let id = name.parse()?;
        if let Some(user) = folder.strip_prefix("videos/") {
            let container = Container::ALL.into_iter().find(|c| c.extension() == extension);
            if container.is_some() || extension == UNKNOWN {
                return Ok(Self::Video { user: user.parse()?, id, container });
            }
        }
        match (folder, extension) {
            ("thumbnails", "jpg") => Ok(Self::Thumbnail(id)),
            ("storyboards", "jpg") => Ok(Self::StoryboardImage(id)),
            ("storyboards", "vtt") => Ok(Self::StoryboardTrack(id)),
            _ => Err(Invalid("key")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_round_trips() {
        let id = VideoId::new();
        let user: UserId = "u-1".parse().unwrap_or_else(|e| panic!("{e}"));
        let videos = Container::ALL.into_iter().map(Some).chain([None]).map(|container| Key::Video {
            user: user.clone(),
            id,
            container,
        });
        let run: Sequencer = "0055aed6".parse().unwrap_or_else(|e| panic!("{e}"));
        let name = |text: &str| text.parse().unwrap_or_else(|e| panic!("{e}"));
        let made = [
            Key::Rendition { id, run: run.clone(), name: name("v720/0003-01.m4s") },
            Key::Rendition { id, run: run.clone(), name: name("master.m3u8") },
            Key::Work { id, run, name: name("plan.json") },
        ];
        for key in &made {
            assert!(
                Key::rendition_folders(id).iter().any(|folder| key.to_string().starts_with(folder)),
                "{key}"
            );
        }
        for key in videos.chain(Key::previews(id)).chain(made) {
            assert!(key.to_string().ends_with(&format!("/{}", key.file_name())), "{key}");
            assert_eq!(key.to_string().parse(), Ok(key));
        }
    }

    #[test]
    fn rejects_other_texts() {
        let id = VideoId::new();
        for text in [
            String::new(),
            "videos/".into(),
            format!("videos/{id}.mp4"),
            format!("videos/a/b/{id}.mp4"),
            format!("videos/../{id}.mp4"),
            format!("videos/u/{id}.exe"),
            format!("videos/u/{id}.MP4"),
            format!("videos/u/{id}.mp4.mp4"),
            format!("/videos/u/{id}.mp4"),
            format!("thumbnails/{id}.png"),
            "thumbnails/x.jpg".into(),
            "thumbnails/-1280.jpg".into(),
            format!("thumbnails/{id}-1280.png"),
            format!("thumbnails/{id}-1280-1280.jpg"),
            format!("thumbnails/{id}.vtt"),
            format!("storyboards/{id}-1280.jpg"),
            format!("storyboards/{id}.mp4"),
            format!("videos/u/{id}-1280.mp4"),
            format!("hls/{id}/master.m3u8"),
            format!("hls/{id}/{:0<40}/../x", "1"),
            format!("hls/{id}/{:0<40}/a/b/c", "1"),
            format!("hls/{id}/{:0<40}/", "1"),
            format!("hls/{id}/55/master.m3u8"),
            format!("hls/{id}/{:a<40}/master.m3u8", "1"),
            format!("work/x/{:0<40}/plan.json", "1"),
        ] {
            assert!(text.parse::<Key>().is_err(), "{text}");
        }
    }
}
