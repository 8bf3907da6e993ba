//! Audio that players do not play: how its frames are counted, and a file that ffmpeg decodes.
//!
//! ffmpeg gets the frames in Matroska, with the description of the track. Times are in microseconds there, so that they can be
//! converted to audio samples exactly.

use bytes::Bytes;

use super::clock::{Clock, Frames};
use super::ebml::{self, child, id, put, put_head};
use super::layout::DocType;
use super::listed::Listed;
use super::{entries, tracks, wrap};
use crate::cmaf::File;
use crate::mp4::{Decoding, Entry, encoded_entry};
use crate::rendition::convert;

/// Nanoseconds and fractions of a second of a tick of the file for ffmpeg.
const TICK: u64 = 1000;
const SCALE: u32 = 1_000_000;
/// The largest decoder configuration, in bytes. Each record has it.
pub(super) const MAX_PRIVATE: usize = 8 << 10;

/// Returns the sample entry and the clock of a track with this `TrackEntry` that is encoded, and when its first frame starts.
/// Some of its frames are `listed`. Returns `None` if it cannot be encoded.
pub(super) fn of(track: &[u8], tick: u64, listed: &Listed) -> Option<(Entry, Clock, i64)> {
    let clock = Clock::of(track, tick, frames(track, listed)?)?;
    let origin = clock.origin(&listed.samples)?;
    // Rounding hides how many shorter ones there are.
    if matches!(clock.frames, Frames::Equal(length) if i64::from(length) < 2 * clock.slack()) {
        return None;
    }
    let decoding = Decoding { init: header(track), tick_bytes: None, presented: 0..i64::MAX };
    Some((Entry { decoding: Some(decoding), ..encoded_entry()? }, clock, origin))
}

/// Returns how long frames are.
fn frames(track: &[u8], listed: &Listed) -> Option<Frames> {
    let private = child(track, id::CODEC_PRIVATE).unwrap_or_default();
    if private.len() > MAX_PRIVATE || child(track, id::CONTENT_ENCODINGS).is_some() {
        return None;
    }
    let start = listed.starts.first()?;
    let length = match tracks::audio_codec(track)? {
        "ac3" => 1536,
        // ETSI TS 102 366, E.1.2.2: blocks of 256 samples.
        "eac3" if start[4] >> 6 == 3 => 1536,
        "eac3" => [256, 512, 768, 1536][usize::from(start[4] >> 4 & 3)],
        // ISO/IEC 11172-3, 2.4.1.3, and 13818-3: with half the sample rate, frames are half as long.
        "mp3" if start[0] == 0xFF && start[1] & 0x08 == 0 => 576,
        "mp3" | "mp2" => 1152,
        // ETSI TS 102 114, 5.4.1: the number of blocks of 32 samples, less one.
        "dts" if start.starts_with(&[0x7F, 0xFE, 0x80, 0x01]) => {
            (u32::from(start[4] & 1) << 6 | u32::from(start[5] >> 2)) * 32 + 32
        }
        "flac" => flac_block(private)?,
        "alac" => u32::from_be_bytes(*private.first_chunk()?),
        "vorbis" => return vorbis(private, listed),
        _ if entries::codec(track)?.starts_with("A_PCM/") => return pcm_blocks(track, listed),
        _ => return None,
    };
    (length > 0).then_some(Frames::Equal(length))
}

/// Returns the number of frames before those that are wanted that a decoder needs. The main data of MP3 can begin in earlier
/// frames.
pub(super) fn warm_up(track: &[u8]) -> u32 {
    match tracks::audio_codec(track) {
        Some("mp3") => 8,
        Some("flac" | "alac") => 0,
        Some(pcm) if pcm.starts_with("pcm_") => 0,
        _ => 2,
    }
}

/// Returns the samples of a block of FLAC (RFC 9639, 8.2), if all have the same number.
fn flac_block(private: &[u8]) -> Option<u32> {
    let [a, b, c, d] = *private.strip_prefix(b"fLaC")?.get(4..)?.first_chunk()?;
    let (least, most) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    (least == most).then_some(most.into())
}

/// Returns what frames of Vorbis have in common: two lengths of blocks, and half of each in a frame (Vorbis I specification,
/// 4.2.2 and 4.3.8).
fn vorbis(private: &[u8], listed: &Listed) -> Option<Frames> {
    // The header follows its number and the lengths of two of the three headers, each a sum of bytes.
    let sizes = private.strip_prefix(&[2])?;
    let first = sizes.iter().position(|byte| *byte < 255)?;
    let second = sizes.get(first + 1..)?.iter().position(|byte| *byte < 255)?;
    let header = sizes.get(first + second + 2..)?.strip_prefix(b"\x01vorbis")?;
    let exponents = *header.get(21)?;
    let (short, long) = (exponents & 15, exponents >> 4);
    // How long a frame is within a block of several is not known.
    let is_laced = listed.samples.windows(2).any(|pair| pair[0].time == pair[1].time);
    let common = 1u32 << (if short < long { short.checked_sub(2)? } else { short.checked_sub(1)? });
    (short <= long && !is_laced).then_some(Frames::MultipleOf(common))
}

/// Returns the length of blocks of PCM, if all but the last one have the same.
fn pcm_blocks(track: &[u8], listed: &Listed) -> Option<Frames> {
    let settings = child(track, id::AUDIO)?;
    let uint = |id, default: u64| child(settings, id).and_then(ebml::uint).unwrap_or(default);
    let bytes = uint(id::CHANNELS, 1).checked_mul(uint(id::BIT_DEPTH, 32))? / 8;
    let (_, others) = listed.samples.split_last()?;
    let size = listed.samples.first()?.size;
    let length = u32::try_from(u64::from(size).checked_div(bytes)?).ok().filter(|length| *length > 0)?;
    others.iter().all(|block| block.size == size).then_some(Frames::Equal(length))
}

/// Returns the file for ffmpeg up to the first Cluster.
pub(super) fn header(track: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    put(&mut data, id::TRACK_NUMBER, &[1]);
    put(&mut data, id::TRACK_TYPE, &[2]);
    for kept in [id::CODEC_ID, id::CODEC_PRIVATE, id::AUDIO] {
        if let Some(value) = child(track, kept) {
            put(&mut data, kept, value);
        }
    }
    let mut entry = Vec::new();
    put(&mut entry, id::TRACK_ENTRY, &data);
    wrap::header(DocType::Matroska, TICK, &entry, None).to_vec()
}

/// Returns a file of the frames in a fragment of MP4, with such a header, and the sample rate. Returns `None` if the header is
/// another one.
pub(crate) fn file(header: &Bytes, fragment: &Bytes) -> Option<(Vec<Bytes>, u32)> {
    if ebml::head(header)?.id != id::EBML {
        return None;
    }
    let at = header.windows(4).position(|found| found == id::SEGMENT.to_be_bytes())?;
    // The size of the Segment is unknown.
    let tracks = child(header.get(at + 5..)?, id::TRACKS)?;
    let rate = entries::sample_rate(child(tracks, id::TRACK_ENTRY)?)?;
    let mut pieces = vec![header.clone()];
    for (time, frame) in File::frames(fragment)? {
        let time = u64::try_from(convert(time, rate, SCALE)).ok()?;
        let mut cluster = Vec::new();
        put(&mut cluster, id::TIMESTAMP, &time.to_be_bytes());
        // The number of the track, the distance from the time of the Cluster, and the mark of a keyframe.
        let block = [0x81, 0, 0, 0x80];
        put_head(&mut cluster, id::SIMPLE_BLOCK, block.len() + frame.len());
        cluster.extend(block);
        let mut head = Vec::new();
        put_head(&mut head, id::CLUSTER, cluster.len() + frame.len());
        head.extend(cluster);
        pieces.extend([head.into(), frame]);
    }
    Some((pieces, rate))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{data, float, master, uint};
    use super::*;
    use crate::remux::Sample;

    fn track(codec: &str, private: &[u8], audio: &[Vec<u8>]) -> Vec<u8> {
        let own = [data(id::CODEC_ID, codec.as_bytes()), data(id::CODEC_PRIVATE, private)].concat();
        [own, master(id::AUDIO, audio)].concat()
    }

    /// Frames of these times and sizes, the first of which starts with some bytes.
    fn listed(start: &[u8], frames: &[(i64, u32)]) -> Listed {
        let sample = |(time, size): &(i64, u32)| Sample {
            offset: time.unsigned_abs(),
            size: *size,
            duration: 0,
            time: *time,
            is_sync: true,
        };
        let start = std::array::from_fn(|i| start.get(i).copied().unwrap_or(0));
        let samples: Vec<Sample> = frames.iter().map(sample).collect();
        Listed { number: 1, starts: vec![start; samples.len()], samples }
    }

    #[test]
    fn frames_have_the_length_that_their_codec_tells() {
        let length = |codec, private: &[u8], start: &[u8]| {
            frames(&track(codec, private, &[]), &listed(start, &[(0, 9), (21, 9)]))
        };
        assert_eq!(length("A_AC3", &[], &[]), Some(Frames::Equal(1536)));
        assert_eq!(length("A_EAC3", &[], &[0x0B, 0x77, 0, 0, 0x30]), Some(Frames::Equal(1536)));
        assert_eq!(length("A_EAC3", &[], &[0x0B, 0x77, 0, 0, 0x10]), Some(Frames::Equal(512)));
        assert_eq!(length("A_EAC3", &[], &[0x0B, 0x77, 0, 0, 0xC0]), Some(Frames::Equal(1536)));
        assert_eq!(length("A_MPEG/L3", &[], &[0xFF, 0xFB]), Some(Frames::Equal(1152)));
        assert_eq!(length("A_MPEG/L3", &[], &[0xFF, 0xF3]), Some(Frames::Equal(576)));
        let core = [0x7F, 0xFE, 0x80, 0x01, 0xFC, 0x3C];
        assert_eq!(length("A_DTS", &[], &core), Some(Frames::Equal(512)));
        assert_eq!(length("A_DTS", &[], b"noise!"), None);
        let flac = |least: u16, most: u16| {
            let sizes = [least.to_be_bytes(), most.to_be_bytes()].concat();
            length("A_FLAC", &[b"fLaC\0\0\0\x22", &sizes[..]].concat(), &[])
        };
        assert_eq!((flac(4608, 4608), flac(16, 4096), flac(0, 0)), (Some(Frames::Equal(4608)), None, None));
        assert_eq!(length("A_ALAC", &[0, 0, 16, 0], &[]), Some(Frames::Equal(4096)));
        assert_eq!((length("A_ALAC", &[], &[]), length("A_FLAC", &[], &[])), (None, None));
        for codec in ["A_TRUEHD", "A_WAVPACK4", "A_TTA1", "A_REAL/COOK", "A_QUICKTIME", ""] {
            assert_eq!(length(codec, &[], &[]), None, "{codec}");
        }
        assert_eq!(length("A_AC3", &[0; MAX_PRIVATE + 1], &[]), None);
        let encoded = [track("A_AC3", &[], &[]), master(id::CONTENT_ENCODINGS, &[])].concat();
        assert_eq!(frames(&encoded, &listed(&[], &[(0, 9)])), None);
        assert_eq!(frames(&track("A_AC3", &[], &[]), &listed(&[], &[])), None, "no frame");
    }

    #[test]
    fn frames_of_vorbis_have_half_of_two_blocks() {
        let length = |blocks: u8, frames: &[(i64, u32)]| {
            let header = [&b"\x01vorbis"[..], &[0; 21], &[blocks, 1]].concat();
            let private = [&[2, 30, 255, 5][..], &header, b"comment"].concat();
            super::frames(&track("A_VORBIS", &private, &[]), &listed(&[], frames))
        };
        let apart = [(0, 9), (3, 9)];
        assert_eq!(length(0xB8, &apart), Some(Frames::MultipleOf(64)));
        assert_eq!(length(0x88, &apart), Some(Frames::MultipleOf(128)));
        assert_eq!((length(0x8B, &apart), length(0, &apart)), (None, None));
        assert_eq!(length(0xB8, &[(3, 9), (3, 9)]), None, "several in a block");
        for private in [&b""[..], b"\x02", b"\x02\xFF", b"\x02\x1E\xFF", b"\x02\x01\x01\x01vorbis"] {
            assert_eq!(super::frames(&track("A_VORBIS", private, &[]), &listed(&[], &apart)), None);
        }
    }

    #[test]
    fn blocks_of_pcm_are_equal_but_for_the_last_one() {
        let length = |settings: &[Vec<u8>], sizes: &[u32]| {
            let blocks: Vec<(i64, u32)> = (0..).zip(sizes.iter().copied()).collect();
            frames(&track("A_PCM/INT/LIT", &[], settings), &listed(&[], &blocks))
        };
        let stereo = [uint(id::CHANNELS, 2), uint(id::BIT_DEPTH, 24)];
        assert_eq!(length(&stereo, &[6144, 6144, 12]), Some(Frames::Equal(1024)));
        assert_eq!((length(&stereo, &[6144, 12, 6144]), length(&stereo, &[5])), (None, None));
        let none = [uint(id::CHANNELS, 0), uint(id::BIT_DEPTH, 24)];
        let many = [uint(id::CHANNELS, u64::MAX), uint(id::BIT_DEPTH, 24)];
        assert_eq!((length(&none, &[6144]), length(&many, &[6144])), (None, None));
        let clock = |size: u32| {
            let rate = float(id::SAMPLING_FREQUENCY, 48_000.0);
            let track = track("A_PCM/INT/LIT", &[], &[stereo.concat(), rate]);
            of(&track, 1_000_000, &listed(&[], &[(0, size), (21, size)]))
                .map(|(_, clock, origin)| (clock.scale, origin))
        };
        assert_eq!((clock(6144), clock(288)), (Some((48_000, 0)), None), "blocks of a millisecond");
    }

    #[test]
    fn ffmpeg_gets_frames_at_exact_times() {
        let settings = [float(id::SAMPLING_FREQUENCY, 44_100.0), uint(id::CHANNELS, 2)];
        let track = track("A_MPEG/L3", &[7], &settings);
        let row = |size| crate::cmaf::Row { size, duration: 1152, offset: 0, is_sync: true };
        let fragment = crate::cmaf::head(3, 44_100, &[row(3), row(2)]);
        let fragment = Bytes::from([&fragment[..], b"abcde"].concat());
        let (pieces, rate) = file(&header(&track).into(), &fragment).unwrap();
        assert_eq!((rate, pieces.len()), (44_100, 5));
        let read = pieces.concat();
        let second = &read[pieces[..3].concat().len()..];
        let cluster = child(second, id::CLUSTER).unwrap();
        assert_eq!(child(cluster, id::TIMESTAMP).and_then(ebml::uint), Some(1_026_122));
        assert_eq!(child(cluster, id::SIMPLE_BLOCK), Some(&b"\x81\0\0\x80de"[..]));
        assert!(file(&Bytes::from_static(b"\0\0\0\x08ftyp"), &fragment).is_none(), "MP4");
        assert!(file(&header(&track).into(), &fragment.slice(..fragment.len() - 1)).is_none());
    }
}
