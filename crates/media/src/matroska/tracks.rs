//! Parses the Tracks element (RFC 9559, section 5.1.4).

use bytes::Bytes;
use upreel_core::video::MediaInfo;

use super::codecs;
use super::ebml::{self, child, children, id};
use crate::index::{AudioTrack, StreamId};
use crate::inspect::is_picture;
use crate::{colour, report};

/// Values of `TrackType` (section 5.1.4.1.3).
const VIDEO: u64 = 1;
const AUDIO: u64 = 2;
const SUBTITLES: u64 = 17;
const METADATA: u64 = 33;

/// The tracks to present.
#[derive(Debug, Default)]
pub(super) struct Tracks {
    /// The film, by what its track entry tells.
    pub(super) video: Option<Video>,
    /// Further video tracks that are no covers, in the order in which players choose among them.
    pub(super) others: Vec<Video>,
    /// The audio tracks, the one to play by default first.
    pub(super) audio: Vec<AudioTrack>,
    /// The data of their `TrackEntry` elements.
    pub(super) audio_entries: Vec<Bytes>,
    /// The codec of the first of them.
    pub(super) audio_codec: Option<String>,
    /// Whether there is audio, and all of it is encrypted.
    pub(super) audio_encrypted: bool,
}

/// The order in which players choose among the tracks of a kind; the first field decides. Of equal tracks, they choose
/// the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// The audio can be decoded, or the video is not a still image such as a cover.
    usable: bool,
    enabled: bool,
    default: bool,
}

impl Rank {
    fn of(entry: &[u8], usable: bool) -> Self {
        let flag = |id| uint(entry, id) != Some(0);
        Self { usable, enabled: flag(id::FLAG_ENABLED), default: flag(id::FLAG_DEFAULT) }
    }
}

/// A video track.
#[derive(Debug)]
pub(super) struct Video {
    pub(super) number: u64,
    /// Its stream in ffmpeg.
    pub(super) stream: StreamId,
    /// The whole `TrackEntry` element, with an empty language.
    pub(super) entry: Bytes,
    /// The media info without the duration and the audio codec.
    pub(super) media_info: MediaInfo,
    pub(super) encrypted: bool,
}

/// Parses the data of a Tracks element.
pub(super) fn parse(bytes: &Bytes) -> Tracks {
    let entries = children(bytes).filter(|child| child.id == id::TRACK_ENTRY);
    let (mut videos, mut audio) = (Vec::new(), Vec::new());
    let mut clear_audio = false;
    for (entry, number) in entries.filter(|entry| is_stream(entry.data)).zip(0..) {
        let stream = StreamId::Position(number);
        match uint(entry.data, id::TRACK_TYPE) {
            Some(VIDEO) => {
                let Some(video) = video(entry.data, stream, without_language(entry.all)) else { continue };
                let is_picture = video.media_info.video_codec.as_deref().is_some_and(is_picture);
                videos.push((Rank::of(entry.data, !is_picture), video));
            }
            Some(AUDIO) => {
                clear_audio |= !is_encrypted(entry.data);
                let codec = audio_codec(entry.data);
                audio.push((
                    Rank::of(entry.data, codec.is_some()),
                    stream,
                    codec,
                    bytes.slice_ref(entry.data),
                ));
            }
            _ => {}
        }
    }
    audio.sort_by_key(|(rank, ..)| std::cmp::Reverse(*rank));
    videos.sort_by_key(|(rank, _)| std::cmp::Reverse(*rank));
    let mut videos = videos.into_iter();
    Tracks {
        video: videos.next().map(|(_, video)| video),
        others: videos.filter(|(rank, _)| rank.usable).map(|(_, video)| video).collect(),
        audio_encrypted: !audio.is_empty() && !clear_audio,
        audio_codec: audio.first().map(|(_, _, codec, _)| codec.unwrap_or("unknown").to_owned()),
        audio_entries: audio.iter().map(|(.., entry)| entry.clone()).collect(),
        audio: audio.into_iter().map(|(_, stream, ..)| AudioTrack::new(stream)).collect(),
    }
}

/// Returns whether ffmpeg counts a `TrackEntry` as a stream: it does if the entry is of video, audio, subtitles or
/// metadata, and has a codec of the same kind.
fn is_stream(entry: &[u8]) -> bool {
    let initials: &[u8] = match uint(entry, id::TRACK_TYPE) {
        Some(VIDEO) => b"V",
        Some(AUDIO) => b"A",
        Some(SUBTITLES | METADATA) => b"DS",
        _ => return false,
    };
    codec(entry).and_then(|codec| codec.bytes().next()).is_some_and(|initial| initials.contains(&initial))
}

pub(super) fn audio_codec(entry: &[u8]) -> Option<&'static str> {
    let bits = child(entry, id::AUDIO).and_then(|audio| uint(audio, id::BIT_DEPTH));
    codecs::audio(codec(entry)?, child(entry, id::CODEC_PRIVATE).unwrap_or_default(), bits)
}

/// Copies a `TrackEntry` element and overwrites the language of the track with zeros, which end a string. ffmpeg prints
/// the language as it is, so it could contain lines that look like ffmpeg's report.
fn without_language(entry: &[u8]) -> Bytes {
    let mut copy = entry.to_vec();
    let mut end = ebml::head(entry).map_or(entry.len(), |head| head.len);
    for child in children(&entry[end..]) {
        end += child.all.len();
        if matches!(child.id, id::LANGUAGE | id::LANGUAGE_BCP_47) {
            copy[end - child.data.len()..end].fill(0);
        }
    }
    copy.into()
}

fn video(data: &[u8], stream: StreamId, entry: Bytes) -> Option<Video> {
    let number = uint(data, id::TRACK_NUMBER).filter(|number| *number > 0)?;
    let private = child(data, id::CODEC_PRIVATE).unwrap_or_default();
    let frame_duration = uint(data, id::DEFAULT_DURATION).filter(|frame| *frame > 0);
    let mut media_info = MediaInfo {
        frame_rate: frame_duration.and_then(rate),
        video_codec: codecs::video(codec(data)?, private).map(Into::into),
        ..MediaInfo::default()
    };
    let settings = child(data, id::VIDEO).unwrap_or_default();
    let colour = child(settings, id::COLOUR).unwrap_or_default();
    let transfer = uint(colour, id::TRANSFER_CHARACTERISTICS).and_then(colour::transfer_name);
    media_info.color_transfer = transfer.map(Into::into);
    media_info.rotation = Some(rotation(child(settings, id::PROJECTION).unwrap_or_default()));
    display_size(settings, &mut media_info);
    Some(Video { number, stream, entry, media_info, encrypted: is_encrypted(data) })
}

/// Returns whether the frames of a track are encrypted (section 5.1.4.1.31).
fn is_encrypted(data: &[u8]) -> bool {
    let encodings = child(data, id::CONTENT_ENCODINGS).unwrap_or_default();
    children(encodings).filter(|child| child.id == id::CONTENT_ENCODING).any(|encoding| {
        uint(encoding.data, id::CONTENT_ENCODING_TYPE) == Some(1)
            || child(encoding.data, id::CONTENT_ENCRYPTION).is_some()
    })
}

fn codec(data: &[u8]) -> Option<&str> {
    child(data, id::CODEC_ID).and_then(ebml::text)
}

/// Returns the frames per second, with three decimals, which is the precision that nanoseconds leave of 30000/1001.
#[expect(clippy::cast_precision_loss, reason = "durations above 2^53 ns are rejected by the range check")]
fn rate(frame: u64) -> Option<f64> {
    let rate = (1e12 / frame as f64).round() / 1000.0;
    (rate > 0.0 && rate <= 1000.0).then_some(rate)
}

/// Returns the rotation in clockwise degrees. A rectangular projection can have a counterclockwise roll, and before
/// that a yaw of 180 degrees, which reverses the direction (section 5.1.4.1.28.41 and following). Other projections
/// are not rotated.
fn rotation(projection: &[u8]) -> u16 {
    let pose = |id| child(projection, id).and_then(ebml::float).unwrap_or_default();
    let (yaw, pitch) = (pose(id::PROJECTION_POSE_YAW), pose(id::PROJECTION_POSE_PITCH));
    let flipped = (yaw.abs() - 180.0).abs() < 0.5;
    if uint(projection, id::PROJECTION_TYPE).unwrap_or(0) != 0 || pitch != 0.0 || (yaw != 0.0 && !flipped) {
        return 0;
    }
    let roll = pose(id::PROJECTION_POSE_ROLL);
    let quarters = (if flipped { roll } else { -roll } / 90.0).round().rem_euclid(4.0);
    [0, 90, 180, 270].into_iter().find(|angle| (quarters * 90.0 - f64::from(*angle)).abs() < 1.0).unwrap_or(0)
}

/// Sets the display size: after cropping, and with square pixels (section 5.1.4.1.28).
fn display_size(settings: &[u8], media_info: &mut MediaInfo) {
    let size = |id| uint(settings, id).and_then(|size| u32::try_from(size).ok());
    let cropped = |pixels, before, after| {
        let (before, after) = (size(before).unwrap_or(0), size(after).unwrap_or(0));
        size(pixels)?.checked_sub(before)?.checked_sub(after).filter(|left| *left > 0)
    };
    let width = cropped(id::PIXEL_WIDTH, id::PIXEL_CROP_LEFT, id::PIXEL_CROP_RIGHT);
    let height = cropped(id::PIXEL_HEIGHT, id::PIXEL_CROP_TOP, id::PIXEL_CROP_BOTTOM);
    let (Some(width), Some(height)) = (width, height) else { return };
    (media_info.width, media_info.height) = (Some(width), Some(height));
    let unit = uint(settings, id::DISPLAY_UNIT).unwrap_or(0);
    let display = |id, pixels| size(id).or((unit == 0).then_some(pixels)).filter(|display| *display > 0);
    let mut sar = 1.0;
    // Pixels, lengths or a ratio: only the aspect ratio matters. Unit 4 is unknown.
    if unit < 4
        && let Some(across) = display(id::DISPLAY_WIDTH, width)
        && let Some(down) = display(id::DISPLAY_HEIGHT, height)
    {
        // The display size is that of one view of a stereo pair; the pixel size includes both views.
        let (side_by_side, stacked) = match uint(settings, id::STEREO_MODE) {
            Some(1 | 8 | 9 | 11) => (2.0, 1.0),
            Some(2 | 3 | 6 | 7) => (1.0, 2.0),
            _ => (1.0, 1.0),
        };
        let (across, down) = (f64::from(across) * side_by_side, f64::from(down) * stacked);
        sar = across * f64::from(height) / (down * f64::from(width));
    }
    // Other pixel aspect ratios are implausible.
    if !(0.01..=100.0).contains(&sar) {
        sar = 1.0;
    }
    report::square_pixels(media_info, sar);
}

fn uint(bytes: &[u8], id: u32) -> Option<u64> {
    child(bytes, id).and_then(ebml::uint)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{data, entry, float, master, size, uint};
    use super::*;

    fn media_info(settings: &[Vec<u8>]) -> MediaInfo {
        let pixels = [uint(id::PIXEL_WIDTH, 720), uint(id::PIXEL_HEIGHT, 576)].concat();
        let video = master(id::VIDEO, &[pixels, settings.concat()]);
        parse(&entry(1, 1, "V_MPEG2", &[video]).into()).video.unwrap().media_info
    }

    fn geometry(settings: &[Vec<u8>]) -> (Option<u32>, Option<u32>, Option<u16>) {
        let media_info = media_info(settings);
        (media_info.width, media_info.height, media_info.rotation)
    }

    #[test]
    fn display_size_is_cropped_with_square_pixels() {
        let display =
            |width, height| [uint(id::DISPLAY_WIDTH, width), uint(id::DISPLAY_HEIGHT, height)].concat();
        let unit = |unit| uint(id::DISPLAY_UNIT, unit);
        assert_eq!(geometry(&[]), (Some(720), Some(576), Some(0)));
        assert_eq!(geometry(&[display(1024, 576)]), (Some(1024), Some(576), Some(0)));
        assert_eq!(geometry(&[display(16, 9), unit(3)]), (Some(1024), Some(576), Some(0)));
        assert_eq!(geometry(&[display(16, 9), unit(4)]), (Some(720), Some(576), Some(0)));
        assert_eq!(geometry(&[uint(id::DISPLAY_WIDTH, 16), unit(3)]), (Some(720), Some(576), Some(0)));
        assert_eq!(geometry(&[display(0, u64::MAX)]), (Some(720), Some(576), Some(0)));
        assert_eq!(geometry(&[display(1, 60_000)]), (Some(720), Some(576), Some(0)));
        let crop =
            [uint(id::PIXEL_CROP_TOP, 70), uint(id::PIXEL_CROP_BOTTOM, 70), uint(id::PIXEL_CROP_LEFT, 20)];
        assert_eq!(geometry(&crop), (Some(700), Some(436), Some(0)));
        assert_eq!(geometry(&[uint(id::PIXEL_CROP_RIGHT, 720)]), (None, None, Some(0)));
        assert_eq!(geometry(&[uint(id::STEREO_MODE, 1), display(360, 576)]), (Some(720), Some(576), Some(0)));
    }

    #[test]
    fn rotation_is_in_clockwise_degrees() {
        let pose = |yaw, roll| {
            let yaw = float(id::PROJECTION_POSE_YAW, yaw);
            master(id::PROJECTION, &[yaw, float(id::PROJECTION_POSE_ROLL, roll)])
        };
        assert_eq!(geometry(&[pose(0.0, 90.0)]), (Some(576), Some(720), Some(270)));
        assert_eq!(geometry(&[pose(0.0, -90.0)]), (Some(576), Some(720), Some(90)));
        assert_eq!(geometry(&[pose(0.0, -180.0)]).2, Some(180));
        assert_eq!(geometry(&[pose(180.0, 90.0)]).2, Some(90));
        assert_eq!(geometry(&[pose(30.0, 90.0)]).2, Some(0));
        assert_eq!(geometry(&[pose(0.0, f64::MAX)]).1, Some(576));
        let sphere = [uint(id::PROJECTION_TYPE, 1), float(id::PROJECTION_POSE_ROLL, 90.0)];
        assert_eq!(geometry(&[master(id::PROJECTION, &sphere)]).2, Some(0));
    }

    #[test]
    fn language_of_the_entry_is_empty() {
        let with = |text: &[u8]| {
            let texts = [data(id::LANGUAGE, text), data(id::LANGUAGE_BCP_47, text)].concat();
            entry(1, 1, "V_VP9", &[texts, size(64, 48)])
        };
        let video = parse(&with(b"eng\n  Duration: 09:00:00.00").into()).video.unwrap();
        assert_eq!(video.entry, with(&[0; 27]));
    }

    #[test]
    fn transfer_characteristics_are_read() {
        let pq = master(id::COLOUR, &[uint(id::TRANSFER_CHARACTERISTICS, 16)]);
        assert_eq!(media_info(&[pq]).color_transfer.as_deref(), Some("smpte2084"));
        assert_eq!(media_info(&[]).color_transfer, None);
    }

    #[test]
    fn selects_the_first_playable_tracks() {
        let rate = |frame| uint(id::DEFAULT_DURATION, frame);
        let entries = [
            entry(1, 17, "S_TEXT/UTF8", &[]),
            entry(0, 1, "V_VP8", &[]),
            entry(2, 1, "V_VP8", &[uint(id::FLAG_ENABLED, 0)]),
            entry(3, 2, "A_UNKNOWN", &[]),
            entry(4, 1, "V_AV1", &[rate(33_366_700), size(64, 48)]),
            entry(5, 1, "V_VP9", &[]),
            entry(6, 2, "A_PCM/INT/LIT", &[master(id::AUDIO, &[uint(id::BIT_DEPTH, 16)])]),
        ];
        let tracks = parse(&entries.concat().into());
        let video = tracks.video.unwrap();
        assert_eq!((video.number, video.encrypted, &video.entry[..]), (4, false, &entries[4][..]));
        assert_eq!(
            (video.media_info.frame_rate, tracks.audio_codec.as_deref()),
            (Some(29.97), Some("pcm_s16le"))
        );
        assert_eq!(video.stream, StreamId::Position(4));
        let audio: Vec<_> = tracks.audio.iter().map(|track| track.stream).collect();
        assert_eq!(audio, [StreamId::Position(6), StreamId::Position(3)]);
        assert_eq!(parse(&entries[..3].concat().into()).video.unwrap().number, 2);
        assert_eq!(parse(&entries[3].clone().into()).audio_codec.as_deref(), Some("unknown"));
        assert_eq!((super::rate(1), super::rate(u64::MAX)), (None, None));
    }

    #[test]
    fn a_cover_is_not_the_film_and_default_tracks_come_first() {
        let other = || uint(id::FLAG_DEFAULT, 0);
        let entries = [
            entry(1, 1, "V_MJPEG", &[size(64, 64)]),
            // ffmpeg makes no stream of these.
            entry(2, 1, "A_OPUS", &[]),
            entry(3, 224, "S_X", &[]),
            entry(4, 1, "V_VP9", &[other()]),
            entry(5, 1, "V_VP8", &[]),
            entry(6, 2, "A_OPUS", &[other()]),
            entry(7, 2, "A_AC3", &[]),
        ];
        let tracks = parse(&entries.concat().into());
        let video = tracks.video.unwrap();
        assert_eq!((video.number, video.stream), (5, StreamId::Position(2)));
        let audio: Vec<_> = tracks.audio.iter().map(|track| track.stream).collect();
        assert_eq!(audio, [StreamId::Position(4), StreamId::Position(3)]);
        assert_eq!(tracks.audio_codec.as_deref(), Some("ac3"));
        assert_eq!(parse(&entries[0].clone().into()).video.unwrap().number, 1, "there is no other");
    }

    #[test]
    fn encryption_is_not_compression() {
        let encrypted = |encoding: Vec<u8>| {
            let encodings = master(id::CONTENT_ENCODINGS, &[master(id::CONTENT_ENCODING, &[encoding])]);
            parse(&entry(1, 1, "V_VP9", &[encodings]).into()).video.unwrap().encrypted
        };
        assert!(encrypted(uint(id::CONTENT_ENCODING_TYPE, 1)));
        assert!(encrypted(master(id::CONTENT_ENCRYPTION, &[])));
        assert!(!encrypted(uint(id::CONTENT_ENCODING_TYPE, 0)));
    }

    #[test]
    fn all_audio_has_to_be_encrypted() {
        let encoding = master(id::CONTENT_ENCODING, &[master(id::CONTENT_ENCRYPTION, &[])]);
        let secret =
            || entry(2, 2, "A_OPUS", &[master(id::CONTENT_ENCODINGS, std::slice::from_ref(&encoding))]);
        let clear = || entry(3, 2, "A_OPUS", &[]);
        let encrypted = |entries: &[Vec<u8>]| parse(&entries.concat().into()).audio_encrypted;
        assert!(encrypted(&[secret(), secret()]) && !encrypted(&[secret(), clear()]));
        assert!(!encrypted(&[clear(), secret()]) && !encrypted(&[]));
    }
}
