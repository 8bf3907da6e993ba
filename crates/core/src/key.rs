//! The one place where the text of an object's key exists.

use std::fmt;
use std::str::FromStr;

use crate::container::Container;
use crate::id::{Invalid, UserId, VideoId};

/// The name of every object that Upreel stores. Printing and parsing round-trip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// What a user uploaded, in the uploads bucket. The user in the key is the proof of ownership.
    Video {
        /// Who may sign requests for it.
        user: UserId,
        /// Which video it is.
        id: VideoId,
        /// What it was declared to be; `None` when nobody could tell (`.bin`).
        container: Option<Container>,
    },
    /// The poster, 640 pixels wide, in the thumbnails bucket.
    Thumbnail(VideoId),
    /// The poster, 1280 pixels wide, in the thumbnails bucket.
    ThumbnailLarge(VideoId),
    /// The storyboard's picture, in the thumbnails bucket.
    StoryboardImage(VideoId),
    /// The storyboard's `WebVTT` file, which names the picture beside it, in the thumbnails bucket.
    StoryboardTrack(VideoId),
}

const UNKNOWN: &str = "bin";
const LARGE: &str = "-1280";

impl Key {
    /// Everything that is made of a video: what has to go when it goes.
    #[must_use]
    pub const fn derived(id: VideoId) -> [Self; 4] {
        [Self::Thumbnail(id), Self::ThumbnailLarge(id), Self::StoryboardImage(id), Self::StoryboardTrack(id)]
    }

    /// The last part of it, after the folders.
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
        }
    }
}

impl FromStr for Key {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = Invalid("key");
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
        for key in videos.chain(Key::derived(id)) {
            assert!(key.to_string().ends_with(&format!("/{}", key.file_name())), "{key}");
            assert_eq!(key.to_string().parse(), Ok(key));
        }
    }

    #[test]
    fn nothing_else_is_a_key() {
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
        ] {
            assert!(text.parse::<Key>().is_err(), "{text}");
        }
    }
}
