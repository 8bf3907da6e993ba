//! Sample entries (ISO/IEC 14496-12, 8.5.2 and 12): the codec, by `FFmpeg`'s name, and the frame size.

use super::boxes::{Fields, Name};
use crate::colour::transfer_name;

/// The fields of a visual sample entry.
#[derive(Debug, Default, PartialEq)]
pub(super) struct VisualSampleEntry {
    pub(super) codec: Option<&'static str>,
    pub(super) width: u32,
    pub(super) height: u32,
    /// The pixel aspect ratio, width to height (`pasp`, 12.1.4).
    pub(super) aspect: Option<(u32, u32)>,
    pub(super) transfer: Option<&'static str>,
    pub(super) encrypted: bool,
}

/// Reads a visual sample entry (12.1.3; `QuickTime`'s video sample description starts with the same fields).
pub(super) fn visual_sample_entry(name: Name, mut entry: Fields) -> Option<VisualSampleEntry> {
    entry.skip(24)?;
    let (width, height) = (u32::from(entry.u16()?), u32::from(entry.u16()?));
    entry.skip(50)?;
    let mut visual =
        VisualSampleEntry { width, height, encrypted: name == *b"encv", ..VisualSampleEntry::default() };
    visual.codec = video_codec(name).or_else(|| mpeg4_object(entry.child(*b"esds")?));
    if let Some(mut pasp) = entry.child(*b"pasp") {
        visual.aspect = pasp.u32().zip(pasp.u32()).filter(|(h, v)| *h > 0 && *v > 0);
    }
    // ISO's nclx (12.1.5) and QuickTime's nclc start with the same fields.
    if let Some(mut colr) = entry.child(*b"colr")
        && matches!(colr.name(), Some([b'n', b'c', b'l', b'x' | b'c']))
    {
        colr.skip(2);
        visual.transfer = colr.u16().and_then(|code| transfer_name(code.into()));
    }
    Some(visual)
}

/// Reads the codec of an audio sample entry (12.2.3), including `QuickTime`'s versions 1 and 2.
pub(super) fn audio_codec(name: Name, mut entry: Fields) -> Option<&'static str> {
    entry.skip(8)?;
    let version = entry.u16()?;
    entry.skip(8)?;
    let bits = entry.u16()?;
    entry.skip(8)?;
    entry.skip(match version {
        1 => 16,
        2 => 36,
        _ => 0,
    })?;
    let esds = || entry.child(*b"esds").or_else(|| entry.child(*b"wave")?.child(*b"esds"));
    Some(match &name {
        b"mp4a" => return esds().and_then(mpeg4_object).or(Some("aac")),
        b".mp3" | b"ms\0\x55" => "mp3",
        b"Opus" => "opus",
        b"fLaC" => "flac",
        b"alac" => "alac",
        b"ac-3" | b"sac3" | b"AC-3" => "ac3",
        b"ec-3" => "eac3",
        b"dtsc" | b"dtsh" | b"dtsl" | b"dtse" => "dts",
        b"mlpa" => "truehd",
        b"samr" => "amr_nb",
        b"sawb" => "amr_wb",
        b"sowt" | b"twos" if bits == 8 => "pcm_s8",
        b"sowt" => "pcm_s16le",
        b"twos" => "pcm_s16be",
        b"in24" => "pcm_s24be",
        b"in32" => "pcm_s32be",
        b"fl32" => "pcm_f32be",
        b"fl64" => "pcm_f64be",
        b"raw " => "pcm_u8",
        b"ulaw" => "pcm_mulaw",
        b"alaw" => "pcm_alaw",
        b"ima4" => "adpcm_ima_qt",
        b"QDM2" => "qdm2",
        _ => return None,
    })
}

fn video_codec(name: Name) -> Option<&'static str> {
    Some(match &name {
        b"avc1" | b"avc2" | b"avc3" | b"avc4" | b"dva1" | b"dvav" => "h264",
        b"hvc1" | b"hev1" | b"dvh1" | b"dvhe" => "hevc",
        b"av01" | b"dav1" => "av1",
        b"vp08" => "vp8",
        b"vp09" => "vp9",
        b"s263" | b"h263" | b"H263" => "h263",
        b"XVID" | b"xvid" | b"DIVX" | b"divx" => "mpeg4",
        b"jpeg" | b"mjpa" | b"MJPG" | b"mjpg" => "mjpeg",
        b"mjpb" => "mjpegb",
        b"apch" | b"apcn" | b"apcs" | b"apco" | b"ap4h" | b"ap4x" => "prores",
        b"AVdn" | b"AVdh" => "dnxhd",
        b"CFHD" => "cfhd",
        b"SVQ1" => "svq1",
        b"SVQ3" => "svq3",
        b"cvid" => "cinepak",
        b"rle " => "qtrle",
        b"png " => "png",
        b"v210" => "v210",
        b"raw " | b"2vuy" | b"yuv2" => "rawvideo",
        b"FFV1" => "ffv1",
        b"m1v " | b"m1v1" | b"mpeg" | b"mp1v" => "mpeg1video",
        b"m2v1" | b"mp2v" | b"hdv1" | b"hdv2" | b"hdv3" | b"xdvb" | b"xdvc" | b"xdvd" | b"xdve" | b"mx5p"
        | b"mx4p" | b"mx3p" | b"mx5n" | b"mx4n" | b"mx3n" => "mpeg2video",
        [b'd', b'v', ..] => "dvvideo",
        _ => return None,
    })
}

/// Returns the codec that the object type of an elementary stream descriptor names (ISO/IEC 14496-1, 7.2.6.5 and
/// 7.2.6.6).
fn mpeg4_object(mut esds: Fields) -> Option<&'static str> {
    const ES_DESCRIPTOR: u8 = 3;
    const DECODER_CONFIG: u8 = 4;
    esds.skip(4)?;
    let mut tag = descriptor(&mut esds)?;
    if tag == ES_DESCRIPTOR {
        esds.skip(2)?;
        let flags = esds.u8()?;
        esds.skip(if flags & 0x80 == 0 { 0 } else { 2 })?;
        let url = if flags & 0x40 == 0 { 0 } else { esds.u8()? };
        esds.skip(url.into())?;
        esds.skip(if flags & 0x20 == 0 { 0 } else { 2 })?;
        tag = descriptor(&mut esds)?;
    }
    let object = (tag == DECODER_CONFIG).then(|| esds.u8())??;
    Some(match object {
        0x20 => "mpeg4",
        0x21 => "h264",
        0x23 => "hevc",
        0x40 | 0x66..=0x68 => "aac",
        0x60..=0x65 => "mpeg2video",
        0x69 | 0x6B => "mp3",
        0x6A => "mpeg1video",
        0x6C => "mjpeg",
        0x6D => "png",
        0xA5 => "ac3",
        0xA6 => "eac3",
        0xA9 => "dts",
        0xAD => "opus",
        0xC1 => "flac",
        0xDD => "vorbis",
        _ => return None,
    })
}

/// Reads a descriptor's tag and skips its length, which has seven bits per byte.
fn descriptor(fields: &mut Fields) -> Option<u8> {
    let tag = fields.u8()?;
    for _ in 0..4 {
        if fields.u8()? & 0x80 == 0 {
            break;
        }
    }
    Some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(bytes: &[&[u8]]) -> Fields {
        Fields(bytes.concat().into())
    }

    #[test]
    fn reads_a_visual_sample_entry() {
        let entry = fields(&[
            &[0; 24],
            &[5, 0, 2, 208],
            &[0; 50],
            b"\0\0\0\x10pasp\0\0\0\x40\0\0\0\x2D\0\0\0\x12colrnclx\0\x09\0\x10\0\x09",
        ]);
        let visual = visual_sample_entry(*b"hvc1", entry).unwrap();
        assert_eq!((visual.width, visual.height, visual.aspect), (1280, 720, Some((64, 45))));
        assert_eq!((visual.codec, visual.transfer), (Some("hevc"), Some("smpte2084")));
        assert_eq!(super::visual_sample_entry(*b"hvc1", fields(&[&[0; 77]])), None, "cut off");
    }

    #[test]
    fn object_type_determines_the_codec() {
        let esds = b"\0\0\0\0\x03\x80\x80\x80\x22\0\x02\0\x04\x80\x80\x80\x14\x40\x15";
        assert_eq!(mpeg4_object(fields(&[esds])), Some("aac"));
        let short = b"\0\0\0\0\x03\x19\0\x01\0\x04\x11\x20";
        assert_eq!(mpeg4_object(fields(&[short])), Some("mpeg4"));
        for end in 0..esds.len() - 1 {
            assert_eq!(mpeg4_object(fields(&[&esds[..end]])), None);
        }
        let mut boxed = vec![0, 0, 0, 27];
        boxed.extend_from_slice(b"esds");
        boxed.extend_from_slice(esds);
        assert_eq!(audio_codec(*b"mp4a", fields(&[&[0; 28], &boxed])), Some("aac"));
        let mut wave = vec![0, 0, 0, 35];
        wave.extend_from_slice(b"wave");
        wave.extend_from_slice(&boxed);
        let first = [&[0u8; 8][..], &[0, 1], &[0; 18], &[0; 16], &wave].concat();
        assert_eq!(audio_codec(*b"mp4a", fields(&[&first])), Some("aac"), "QuickTime's version 1");
        assert_eq!(audio_codec(*b"sowt", fields(&[&[0; 28]])), Some("pcm_s16le"));
    }
}
