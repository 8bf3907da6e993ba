//! What a row says about the content of its object.

use upreel_core::captions::EmbeddedTracks;
use upreel_core::playback::Playback;
use upreel_core::transcode::Renditions;
use upreel_core::video::{MediaInfo, PreviewKeys};
use upreel_core::{Failure, Fault};

use super::update::encode;
use super::{Item, number, text};

/// The captions that are tracks of the object.
pub(super) const EMBEDDED: &str = "embedded";

/// The attributes that describe the content of an object. They are removed as soon as the row belongs to another one.
pub(super) const CONTENT: [&str; 24] = [
    "kind",
    "durationMs",
    "width",
    "height",
    "rotation",
    "mirrored",
    "frameRate",
    "videoCodec",
    "colorTransfer",
    "dolbyVisionProfile",
    "audioCodec",
    "audioChannels",
    "audioSampleRate",
    "container",
    "thumbnailKey",
    "thumbnailLargeKey",
    "storyboardKey",
    "peaksKey",
    "blurHash",
    "posterMs",
    "playback",
    EMBEDDED,
    "error",
    "incomplete",
];

/// The result of processing a video.
#[derive(Debug, Clone, Default)]
pub struct Processed {
    /// The size of the object in bytes.
    pub size: u64,
    /// The entity tag of the object.
    pub etag: String,
    /// The properties read from the bytes.
    pub media_info: MediaInfo,
    /// The keys of the previews.
    pub previews: PreviewKeys,
    /// How the original can be played, if that is known.
    pub playback: Option<Playback>,
    /// The captions that are tracks of the object; none if `playback` is not known.
    pub captions: EmbeddedTracks,
    /// Whether the storyboard or the playback was left out because of a fault.
    pub incomplete: bool,
    /// The renditions. The same write adds them, so that clients never see a processed video without knowing whether
    /// renditions follow.
    pub renditions: Renditions,
}

/// The attributes that a new owner of a row removes.
pub(super) const OF_EARLIER_EVENTS: [&str; 6] =
    ["ttl", "fetch", "transcode", "transcodeChunks", "rungs", "rungChunks"];

/// Returns what a row says of an object, with a size and an entity tag, that has failed.
pub(super) fn failed((size, etag): (u64, &str), failure: &Failure) -> Result<Item, Fault> {
    Ok(Item::from([
        ("error".to_owned(), encode(failure)?),
        ("size".to_owned(), number(size)),
        ("etag".to_owned(), text(etag)),
    ]))
}

#[cfg(test)]
mod tests {
    use upreel_core::Container;
    use upreel_core::video::Kind;

    use super::super::Item;
    use super::*;

    #[test]
    fn new_owner_removes_everything_that_describes_the_content() {
        let media_info = MediaInfo {
            kind: Some(Kind::Audio),
            duration_ms: Some(1),
            width: Some(1),
            height: Some(1),
            rotation: Some(90),
            mirrored: Some(true),
            frame_rate: Some(1.0),
            video_codec: Some("h264".to_owned()),
            color_transfer: Some("bt709".to_owned()),
            dolby_vision_profile: Some(8),
            audio_codec: Some("aac".to_owned()),
            audio_channels: Some(2),
            audio_sample_rate: Some(48_000),
            container: Some(Container::Mp4),
        };
        let previews = PreviewKeys {
            thumbnail_key: Some("a".to_owned()),
            thumbnail_large_key: Some("b".to_owned()),
            storyboard_key: Some("c".to_owned()),
            peaks_key: Some("e".to_owned()),
            blur_hash: Some("d".to_owned()),
            poster_ms: Some(1),
        };
        let [media_info, previews]: [Item; 2] =
            [serde_dynamo::to_item(media_info), serde_dynamo::to_item(previews)].map(Result::unwrap);
        for name in media_info.keys().chain(previews.keys()) {
            assert!(CONTENT.contains(&name.as_str()), "{name}");
        }
    }
}
