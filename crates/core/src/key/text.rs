//! Keys as text.

use std::fmt;
use std::str::FromStr;

use super::Key;
use crate::container::Container;
use crate::id::{Invalid, Sequencer};

const UNKNOWN: &str = "bin";
const LARGE: &str = "-w1280";
/// Separates version and choice. An entity tag has hexadecimal digits only. Short, because the local S3 limits keys.
const CHOSEN: &str = "-own-";

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Video { user, id, container } => {
                let extension = container.map_or(UNKNOWN, Container::extension);
                write!(f, "videos/{user}/{id}.{extension}")
            }
            Self::Thumbnail(id, version, choice) | Self::ThumbnailLarge(id, version, choice) => {
                write!(f, "thumbnails/{id}/{version}")?;
                if let Some(choice) = choice {
                    write!(f, "{CHOSEN}{choice}")?;
                }
                let size = if matches!(self, Self::ThumbnailLarge(..)) { LARGE } else { "" };
                write!(f, "{size}.jpg")
            }
            Self::StoryboardImage(id, version) => write!(f, "storyboards/{id}/{version}.jpg"),
            Self::StoryboardTrack(id, version) => write!(f, "storyboards/{id}/{version}.vtt"),
            Self::Peaks(id, version) => write!(f, "thumbnails/{id}/{version}.json"),
            Self::Rendition { id, run, name } => write!(f, "hls/{id}/{}/{name}", run.as_str()),
            Self::Playback { id, version, name } => write!(f, "playback/{id}/{version}/{name}"),
            Self::Segment { id, version, name } => write!(f, "segments/{id}/{version}/{name}"),
            Self::Captions(id, track) => write!(f, "captions/{id}/{track}.vtt"),
            Self::Work { id, run, name } => write!(f, "work/{id}/{}/{name}", run.as_str()),
        }
    }
}

impl FromStr for Key {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Some((folder @ ("hls" | "work" | "playback" | "segments"), rest)) = text.split_once('/') {
            let mut parts = rest.splitn(3, '/');
            let mut next = || parts.next().ok_or(Invalid("key"));
            let (id, made_of, name) = (next()?.parse()?, next()?, next()?.parse()?);
            return Ok(match folder {
                "hls" => Self::Rendition { id, run: Sequencer::from_stored(made_of)?, name },
                "work" => Self::Work { id, run: Sequencer::from_stored(made_of)?, name },
                "playback" => Self::Playback { id, version: made_of.parse()?, name },
                _ => Self::Segment { id, version: made_of.parse()?, name },
            });
        }
        let (folder, name) = text.rsplit_once('/').ok_or(Invalid("key"))?;
        let (name, extension) = name.split_once('.').ok_or(Invalid("key"))?;
        if let Some(user) = folder.strip_prefix("videos/") {
            let container = Container::ALL.into_iter().find(|c| c.extension() == extension);
            if container.is_some() || extension == UNKNOWN {
                return Ok(Self::Video { user: user.parse()?, id: name.parse()?, container });
            }
        }
        let (folder, id) = folder.split_once('/').ok_or(Invalid("key"))?;
        let id = id.parse()?;
        if let ("captions", "vtt") = (folder, extension) {
            return Ok(Self::Captions(id, name.parse()?));
        }
        let large = name.strip_suffix(LARGE);
        let (version, choice) = match large.unwrap_or(name).split_once(CHOSEN) {
            Some((version, choice)) => (version, Some(choice.parse()?)),
            None => (large.unwrap_or(name), None),
        };
        let version = version.parse()?;
        match (folder, large, choice, extension) {
            ("thumbnails", Some(_), choice, "jpg") => Ok(Self::ThumbnailLarge(id, version, choice)),
            ("thumbnails", None, choice, "jpg") => Ok(Self::Thumbnail(id, version, choice)),
            ("thumbnails", None, None, "json") => Ok(Self::Peaks(id, version)),
            ("storyboards", None, None, "jpg") => Ok(Self::StoryboardImage(id, version)),
            ("storyboards", None, None, "vtt") => Ok(Self::StoryboardTrack(id, version)),
            _ => Err(Invalid("key")),
        }
    }
}
