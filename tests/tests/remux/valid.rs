//! Checks playlists and segments with parsers that are not Upreel's: `hls_m3u8`, and `mp4-atom`, which is strict: every
//! box must be known where it is, and has exactly the length of its fields.

use std::time::Duration;

use bytes::Bytes;
use hls_m3u8::tags::VariantStream;
use hls_m3u8::types::PlaylistType;
use hls_m3u8::{MasterPlaylist, MediaPlaylist};
use mp4_atom::{Any, Decode, Moof, Moov, Trex};
use upreel_core::{Key, Version, VideoId};
use upreel_media::remux::{self, Kind, Track};
use upreel_tests::peak_bit_rate;

use super::Remuxed;

/// Checks all files of a video.
pub(super) fn check(made: &Remuxed, name: &str) {
    for (track, segments) in made.remux.tracks.iter().zip(&made.segments) {
        let defaults = init(track, name);
        fragments(track, segments, &defaults, name);
    }
    playlists(made, name);
}

fn atoms(bytes: &Bytes, name: &str) -> Vec<Any> {
    let mut rest = &bytes[..];
    let mut all = Vec::new();
    while !rest.is_empty() {
        all.push(Any::decode(&mut rest).unwrap_or_else(|error| panic!("{name}: {error}")));
    }
    all
}

/// Checks an initialization segment. Returns the defaults of the track.
fn init(track: &Track, name: &str) -> Trex {
    let boxes = atoms(&track.init, name);
    let [Any::Ftyp(_), Any::Moov(moov)] = &boxes[..] else { panic!("{name}: {boxes:?}") };
    let Moov { trak: tracks, mvex: Some(mvex), .. } = moov else { panic!("{name}: no mvex") };
    let ([found], [defaults]) = (&tracks[..], &mvex.trex[..]) else { panic!("{name}: several tracks") };
    assert_eq!((found.tkhd.track_id, defaults.track_id), (1, 1), "{name}");
    assert!(found.tkhd.enabled && found.edts.is_none(), "{name}: {found:?}");
    assert_eq!(found.mdia.mdhd.timescale, track.scale, "{name}");
    let minf = &found.mdia.minf;
    assert_eq!(minf.stbl.stsd.codecs.len(), 1, "{name}");
    let is_video = matches!(track.kind, Kind::Video { .. });
    assert_eq!((minf.vmhd.is_some(), minf.smhd.is_some()), (is_video, !is_video), "{name}");
    defaults.clone()
}

/// Checks that the segments of a track are in a row, and as long as stated.
fn fragments(track: &Track, segments: &[Bytes], defaults: &Trex, name: &str) {
    let mut decoded = None;
    for (number, (bytes, entry)) in segments.iter().zip(&track.segments).enumerate() {
        let boxes = atoms(bytes, name);
        let [Any::Styp(_), Any::Moof(Moof { mfhd, traf }), Any::Mdat(mdat)] = &boxes[..] else {
            panic!("{name}: {boxes:?}")
        };
        let [traf] = &traf[..] else { panic!("{name}: {} tracks", traf.len()) };
        let [run] = &traf.trun[..] else { panic!("{name}: {} runs", traf.trun.len()) };
        assert_eq!((mfhd.sequence_number as usize, traf.tfhd.track_id), (number + 1, 1), "{name}");
        let samples: Vec<_> = run.samples.iter().collect();
        let header = &traf.tfhd;
        let sizes = samples.iter().filter_map(|sample| sample.size.or(header.default_sample_size));
        assert_eq!(sizes.map(|size| size as usize).sum::<usize>(), mdat.data.len(), "{name}");
        let start = bytes.len() - mdat.data.len();
        let moof = bytes.windows(4).position(|name| name == b"moof").unwrap() - 4;
        assert!(header.default_base_is_moof && header.base_data_offset.is_none(), "{name}");
        assert_eq!(usize::try_from(run.data_offset.unwrap()).unwrap(), start - moof, "{name}");
        let flags = samples[0].flags.or(header.default_sample_flags).unwrap_or(defaults.default_sample_flags);
        assert_eq!(
            flags & 0x1_0000,
            0,
            "{name}: segment {number} begins with a sample that depends on others"
        );

        let start = traf.tfdt.as_ref().unwrap().base_media_decode_time;
        let durations =
            samples.iter().filter_map(|sample| sample.duration.or(header.default_sample_duration));
        let sum = durations.map(u64::from).sum::<u64>();
        assert_eq!(sum, entry.duration, "{name}: segment {number}");
        assert_eq!(*decoded.get_or_insert(start), start, "{name}: segment {number} does not follow");
        decoded = Some(start + sum);
    }
}

fn playlists(made: &Remuxed, name: &str) {
    let id: VideoId = "0199b1d2-7c3e-7a4f-8b5c-6d7e8f901234".parse().unwrap();
    let version = Version::new("00".parse().unwrap(), "etag");
    let objects = upreel_thumbnail::playback::objects(id, &version, made.remux.clone()).unwrap();
    let text = |file: &str| {
        let key = Key::Playback { id, version: version.clone(), name: file.parse().unwrap() };
        let (.., bytes) = objects.iter().find(|(found, ..)| *found == key).unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    };
    let (mut peak, mut audio) = (0.0, Vec::new());
    for (position, track) in made.remux.tracks.iter().enumerate() {
        let uri = format!("{}/index.m3u8", remux::folder(position));
        let rate = media_playlist(&text(&uri), track, &made.segments[position], name);
        // Without a film, all audio is one group, unless there is only one.
        let is_alone = made.remux.tracks.len() == 1;
        if position == 0 && (is_alone || matches!(track.kind, Kind::Video { .. })) {
            peak = rate;
        } else {
            audio.push((uri, rate));
        }
    }
    peak += audio.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);

    let text = text("master.m3u8");
    let master = MasterPlaylist::try_from(text.as_str()).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(master.unknown_tags.is_empty(), "{name}: {text}");
    let [VariantStream::ExtXStreamInf { uri, stream_data, .. }] = &master.variant_streams[..] else {
        panic!("{name}: {text}")
    };
    assert_eq!(uri, "source/index.m3u8", "{name}");
    let codecs = stream_data.codecs().unwrap();
    for track in &made.remux.tracks {
        assert!(codecs.iter().any(|codec| **codec == track.codec), "{name}: {text}");
    }
    assert_eq!(
        master.media.iter().map(|media| media.uri().unwrap()).collect::<Vec<_>>(),
        audio.iter().map(|(uri, _)| uri).collect::<Vec<_>>(),
        "{name}"
    );
    // The sizes of segments of Matroska are estimated.
    let slack = if made.is_estimated { 1.25 } else { 1.001 };
    #[expect(clippy::cast_precision_loss, reason = "a bit rate")]
    let bandwidth = stream_data.bandwidth() as f64;
    assert!(bandwidth * slack >= peak, "{name}: BANDWIDTH {bandwidth}, peak {peak}");
}

/// Checks a media playlist against draft-pantos-hls-rfc8216bis. Returns the peak bit rate.
fn media_playlist(text: &str, track: &Track, segments: &[Bytes], name: &str) -> f64 {
    let media = MediaPlaylist::try_from(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(
        media.unknown.is_empty() && media.has_end_list && media.has_independent_segments,
        "{name}: {text}"
    );
    assert_eq!(media.playlist_type, Some(PlaylistType::Vod), "{name}");
    assert_eq!(media.segments.num_elements(), track.segments.len(), "{name}");
    let mut sizes = Vec::new();
    for (((_, segment), entry), bytes) in media.segments.iter().zip(&track.segments).zip(segments) {
        assert_eq!(remux::record_of(segment.uri()), Some(entry.record.clone()), "{name}: {text}");
        // The first one has the tag of the initialization segment, which applies to the others, too.
        let map = segment.map.as_ref().map(|map| map.uri().as_ref());
        assert_eq!(map, sizes.is_empty().then_some("init.mp4"), "{name}");
        // To the nearest microsecond, which is what a playlist can state.
        let seconds = segment.duration.duration();
        let micros = u128::from(entry.duration) * 2_000_000 / u128::from(track.scale);
        assert_eq!(
            seconds,
            Duration::from_micros(u64::try_from(micros.div_ceil(2)).unwrap()),
            "{name}: EXTINF"
        );
        // Section 4.4.3.1: the duration, rounded to the nearest second, is at most the target duration.
        assert!(seconds.as_secs_f64().round() <= media.target_duration.as_secs_f64(), "{name}: {text}");
        sizes.push((bytes.len() as u64, seconds.as_secs_f64()));
    }
    peak_bit_rate(&sizes, media.target_duration.as_secs_f64())
}
