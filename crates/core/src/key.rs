//! The keys of all S3 objects. No other module formats or parses a key.

mod text;

use std::fmt;
use std::str::FromStr;

use crate::captions::TrackId;
use crate::container::Container;
use crate::id::{Choice, Invalid, Sequencer, UserId, Version, VideoId};

/// One of the three buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// The uploaded files.
    Uploads,
    /// The posters and storyboards.
    Thumbnails,
    /// The HLS renditions, the captions, and the work files of transcoding.
    Processed,
}

impl Bucket {
    /// Every bucket.
    pub const ALL: [Self; 3] = [Self::Uploads, Self::Thumbnails, Self::Processed];
}

/// A folder: all objects of a bucket whose keys start with `prefix`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Folder {
    /// The bucket.
    pub bucket: Bucket,
    /// The start of the keys.
    pub prefix: String,
}

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
    /// The poster, 640 pixels wide, in the thumbnails bucket. `None` is the one that processing has chosen.
    Thumbnail(VideoId, Version, Option<Choice>),
    /// The same poster, 1280 pixels wide.
    ThumbnailLarge(VideoId, Version, Option<Choice>),
    /// The storyboard's image, in the thumbnails bucket.
    StoryboardImage(VideoId, Version),
    /// The storyboard's `WebVTT` file, which refers to the image, in the thumbnails bucket.
    StoryboardTrack(VideoId, Version),
    /// The peaks of a file with audio alone, as JSON, in the thumbnails bucket.
    Peaks(VideoId, Version),
    /// A file of the HLS renditions, in the processed bucket. Each run has its own folder.
    Rendition {
        /// The video.
        id: VideoId,
        /// The run.
        run: Sequencer,
        /// The file, such as `v720/index.m3u8`.
        name: FileName,
    },
    /// A file for the playback from the original, in the processed bucket: a playlist, an initialization segment, the
    /// segment index, or captions that are a track of the original.
    Playback {
        /// The video.
        id: VideoId,
        /// The version that is played.
        version: Version,
        /// The file, such as `source/index.m3u8`.
        name: FileName,
    },
    /// A segment of the original, in the processed bucket. It is made when it is requested, and expires.
    Segment {
        /// The video.
        id: VideoId,
        /// The version that is played.
        version: Version,
        /// The file, such as `source/91834-1021.m4s`.
        name: FileName,
    },
    /// A track of captions that the user has uploaded, in the processed bucket, whose URLs in playlists last long enough.
    Captions(VideoId, TrackId),
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

impl FileName {
    /// The folder of the captions that are tracks of the original.
    const CAPTIONS: &str = "captions/";

    /// Returns the name of captions that are a track of the original.
    #[must_use]
    pub fn of_captions(number: usize) -> Self {
        Self(format!("{}{number}.vtt", Self::CAPTIONS))
    }

    /// Returns whether this is the name of such captions.
    #[must_use]
    pub fn is_of_captions(&self) -> bool {
        self.0.starts_with(Self::CAPTIONS)
    }
}

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

impl Key {
    /// Returns the bucket that stores the object.
    #[must_use]
    pub const fn bucket(&self) -> Bucket {
        match self {
            Self::Video { .. } => Bucket::Uploads,
            Self::Thumbnail(..)
            | Self::ThumbnailLarge(..)
            | Self::StoryboardImage(..)
            | Self::StoryboardTrack(..)
            | Self::Peaks(..) => Bucket::Thumbnails,
            Self::Rendition { .. }
            | Self::Work { .. }
            | Self::Playback { .. }
            | Self::Segment { .. }
            | Self::Captions(..) => Bucket::Processed,
        }
    }

    /// Returns the video that the object belongs to.
    #[must_use]
    pub const fn video_id(&self) -> VideoId {
        match self {
            Self::Thumbnail(id, ..)
            | Self::ThumbnailLarge(id, ..)
            | Self::StoryboardImage(id, _)
            | Self::StoryboardTrack(id, _)
            | Self::Peaks(id, _)
            | Self::Captions(id, _)
            | Self::Video { id, .. }
            | Self::Rendition { id, .. }
            | Self::Playback { id, .. }
            | Self::Segment { id, .. }
            | Self::Work { id, .. } => *id,
        }
    }

    /// Returns the event whose processing made the object, or `None` for an uploaded file and for captions.
    #[must_use]
    pub const fn sequencer(&self) -> Option<&Sequencer> {
        match self {
            Self::Video { .. } | Self::Captions(..) => None,
            Self::Thumbnail(_, version, _)
            | Self::ThumbnailLarge(_, version, _)
            | Self::StoryboardImage(_, version)
            | Self::StoryboardTrack(_, version)
            | Self::Peaks(_, version)
            | Self::Playback { version, .. }
            | Self::Segment { version, .. } => Some(&version.sequencer),
            Self::Rendition { run, .. } | Self::Work { run, .. } => Some(run),
        }
    }

    /// Returns the keys of a poster in both sizes.
    #[must_use]
    pub fn posters(id: VideoId, version: &Version, choice: Option<Choice>) -> [Self; 2] {
        [Self::Thumbnail(id, version.clone(), choice), Self::ThumbnailLarge(id, version.clone(), choice)]
    }

    /// Returns the keys of all previews that processing makes of one version of a video.
    #[must_use]
    pub fn previews(id: VideoId, version: &Version) -> [Self; 4] {
        let [small, large] = Self::posters(id, version, None);
        [small, large, Self::StoryboardImage(id, version.clone()), Self::StoryboardTrack(id, version.clone())]
    }

    /// Returns the folders of everything that was made of a video: previews, renditions, files for playback, and
    /// work files.
    #[must_use]
    pub fn folders(id: VideoId) -> [Folder; 6] {
        [
            (Bucket::Thumbnails, "thumbnails"),
            (Bucket::Thumbnails, "storyboards"),
            (Bucket::Processed, "hls"),
            (Bucket::Processed, "playback"),
            (Bucket::Processed, "segments"),
            (Bucket::Processed, "work"),
        ]
        .map(|(bucket, name)| Folder { bucket, prefix: format!("{name}/{id}/") })
    }

    /// Returns the folder of the files that a user has uploaded.
    #[must_use]
    pub fn uploads(user: &UserId) -> Folder {
        Folder { bucket: Bucket::Uploads, prefix: format!("videos/{user}/") }
    }

    /// Returns the folder of a video's captions, which are not made of it.
    #[must_use]
    pub fn captions(id: VideoId) -> Folder {
        Folder { bucket: Bucket::Processed, prefix: format!("captions/{id}/") }
    }

    /// Returns the folders that the CDN serves.
    #[must_use]
    pub fn served_folders(id: VideoId) -> [Folder; 3] {
        ["hls", "playback", "segments"]
            .map(|name| Folder { bucket: Bucket::Processed, prefix: format!("{name}/{id}/") })
    }

    /// Returns the key without its folders.
    #[must_use]
    pub fn file_name(&self) -> String {
        let key = self.to_string();
        key.rsplit('/').next().unwrap_or_default().to_owned()
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
        let version = Version::new(run.clone(), "\"9a0364b9e99bb480dd25e1f0284c8555-7\"");
        let renditions = [
            Key::Rendition { id, run: run.clone(), name: name("v720/0003-01.m4s") },
            Key::Rendition { id, run: run.clone(), name: name("master.m3u8") },
            Key::Work { id, run, name: name("plan.json") },
            Key::Peaks(id, version.clone()),
            Key::Playback { id, version: version.clone(), name: name("source/index.m3u8") },
            Key::Playback { id, version: version.clone(), name: FileName::of_captions(17) },
            Key::Segment { id, version: version.clone(), name: name("source/91834-1021.m4s") },
        ];
        let chosen = Key::posters(id, &version, Some(Choice::random()));
        let made: Vec<Key> =
            Key::previews(id, &version).into_iter().chain(chosen).chain(renditions).collect();
        for key in &made {
            assert!(
                Key::folders(id).iter().any(|folder| {
                    folder.bucket == key.bucket() && key.to_string().starts_with(&folder.prefix)
                }),
                "{key}"
            );
            let mut served = Key::served_folders(id).into_iter();
            let is_served = served.any(|folder| key.to_string().starts_with(&folder.prefix));
            let is_shown = key.bucket() == Bucket::Processed && !matches!(key, Key::Work { .. });
            assert_eq!(is_served, is_shown, "{key}");
            assert_eq!(key.sequencer(), Some(&version.sequencer));
        }
        let captions = Key::Captions(id, TrackId::new());
        assert!(
            captions.to_string().starts_with(&Key::captions(id).prefix) && captions.sequencer().is_none()
        );
        assert_eq!(captions.bucket(), Key::captions(id).bucket);
        for key in videos.chain(made).chain([captions]) {
            assert_eq!(key.video_id(), id);
            assert!(key.to_string().ends_with(&format!("/{}", key.file_name())), "{key}");
            assert_eq!(key.to_string().parse(), Ok(key));
        }
    }

    #[test]
    fn rejects_other_texts() {
        let id = VideoId::new();
        let version = format!("{:0<40}-abc", "1");
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
            format!("thumbnails/{id}.jpg"),
            format!("thumbnails/{id}/{version}.png"),
            format!("thumbnails/x/{version}.jpg"),
            format!("thumbnails/{id}/-w1280.jpg"),
            format!("thumbnails/{id}/{version}-w1280-w1280.jpg"),
            format!("thumbnails/{id}/{version}.vtt"),
            format!("thumbnails/{id}/{version}-own-.jpg"),
            format!("thumbnails/{id}/{version}-own-{:016X}.jpg", 10),
            format!("storyboards/{id}/{version}-own-{}.jpg", Choice::random()),
            format!("thumbnails/{id}/55-abc.jpg"),
            format!("storyboards/{id}/{version}-w1280.jpg"),
            format!("storyboards/{id}/{version}.mp4"),
            format!("videos/u/{id}-w1280.mp4"),
            format!("captions/{id}/en.vtt"),
            format!("captions/{id}/{id}.srt"),
            format!("captions/{id}/{id}-w1280.vtt"),
            format!("captions/{id}/{id}/{id}.vtt"),
            format!("hls/{id}/master.m3u8"),
            format!("hls/{id}/{:0<40}/../x", "1"),
            format!("hls/{id}/{:0<40}/a/b/c", "1"),
            format!("hls/{id}/{:0<40}/", "1"),
            format!("hls/{id}/55/master.m3u8"),
            format!("hls/{id}/{:a<40}/master.m3u8", "1"),
            format!("work/x/{:0<40}/plan.json", "1"),
            format!("segments/{id}/{:0<40}/source/0.m4s", "1"),
            format!("segments/{id}/{version}/../../x"),
        ] {
            assert!(text.parse::<Key>().is_err(), "{text}");
        }
    }
}
