//! Sample entries of video (ISO/IEC 14496-12, 8.5.2 and 12.1): the codec, by `FFmpeg`'s name, and the frame size.

use super::boxes::{Fields, Header, Name, Reader, find};
use super::movie::MAX_BODY;
use crate::colour::transfer_name;
use crate::keyframe::Error;

/// Returns the codec of the first sample entry among the boxes of `stbl`.
pub(super) async fn first_video_codec(
    reader: &mut Reader<'_>,
    stbl: &[Header],
) -> Result<Option<&'static str>, Error> {
    let Some(stsd) = find(stbl, *b"stsd") else { return Ok(None) };
    let entries = reader.body(stsd, MAX_BODY).await?;
    Ok(visual_sample_entries(&entries).next().flatten().and_then(|entry| entry.codec))
}

/// Returns whether the codec is a format of still images, which films rarely use.
/// Reads the entries in the body of an `stsd` box. A malformed one is `None`.
pub(super) fn visual_sample_entries(stsd: &Fields) -> impl Iterator<Item = Option<VisualSampleEntry>> {
    entries(stsd).map(|(name, entry)| visual_sample_entry(name, entry))
}

/// Returns whether any sample entry in the body of an `stsd` box is of encrypted samples (ISO/IEC 14496-12, 8.12;
/// `drmi` and `drms` are Apple's).
pub(super) fn encrypted(stsd: &Fields) -> bool {
    entries(stsd).any(|(name, _)| matches!(&name, b"encv" | b"enca" | b"drmi" | b"drms"))
}

fn entries(stsd: &Fields) -> impl Iterator<Item = (Name, Fields)> {
    let mut entries = stsd.clone();
    let is_long_enough = entries.skip(8).is_some();
    entries.boxes().take_while(move |_| is_long_enough)
}

/// The fields of a visual sample entry.
#[derive(Debug, Default, PartialEq)]
pub(super) struct VisualSampleEntry {
    pub(super) codec: Option<&'static str>,
    pub(super) width: u32,
    pub(super) height: u32,
    /// The pixel aspect ratio, width to height (`pasp`, 12.1.4).
    pub(super) aspect: Option<(u32, u32)>,
    pub(super) transfer: Option<&'static str>,
}

/// Reads a visual sample entry (12.1.3; `QuickTime`'s video sample description starts with the same fields).
fn visual_sample_entry(name: Name, mut entry: Fields) -> Option<VisualSampleEntry> {
    entry.skip(24)?;
    let (width, height) = (u32::from(entry.u16()?), u32::from(entry.u16()?));
    entry.skip(50)?;
    // A restricted entry (8.15), such as stereoscopic video, has the original format inside.
    let restricted = || entry.child(*b"rinf")?.child(*b"frma")?.name();
    let name = if name == *b"resv" { restricted().unwrap_or(name) } else { name };
    let mut visual = VisualSampleEntry { width, height, ..VisualSampleEntry::default() };
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

/// Returns the object type in the body of an `esds` box and what follows it in the decoder configuration (ISO/IEC 14496-1,
/// 7.2.6.5 and 7.2.6.6).
pub(super) fn decoder_config(mut esds: Fields) -> Option<(u8, Fields)> {
    const ES_DESCRIPTOR: u8 = 3;
    const DECODER_CONFIG: u8 = 4;
    esds.skip(4)?;
    let (mut tag, _) = descriptor(&mut esds)?;
    if tag == ES_DESCRIPTOR {
        esds.skip(2)?;
        let flags = esds.u8()?;
        esds.skip(if flags & 0x80 == 0 { 0 } else { 2 })?;
        let url = if flags & 0x40 == 0 { 0 } else { esds.u8()? };
        esds.skip(url.into())?;
        esds.skip(if flags & 0x20 == 0 { 0 } else { 2 })?;
        (tag, _) = descriptor(&mut esds)?;
    }
    let object = (tag == DECODER_CONFIG).then(|| esds.u8())??;
    Some((object, esds))
}

/// Returns the codec that the object type of an `esds` box names.
pub(super) fn mpeg4_object(esds: Fields) -> Option<&'static str> {
    let (object, _) = decoder_config(esds)?;
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

/// Reads the tag and the length of a descriptor (8.3.3).
pub(super) fn descriptor(fields: &mut Fields) -> Option<(u8, usize)> {
    let tag = fields.u8()?;
    let mut len = 0;
    for _ in 0..4 {
        let byte = fields.u8()?;
        len = len << 7 | usize::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Some((tag, len))
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
    }

    #[test]
    fn encrypted_entries_are_recognised() {
        let stsd = |names: &[&Name]| {
            let entries = names.iter().map(|name| [&[0, 0, 0, 8], &name[..]].concat()).collect::<Vec<_>>();
            Fields([&[0; 8], &entries.concat()[..]].concat().into())
        };
        assert!(encrypted(&stsd(&[b"encv"])) && encrypted(&stsd(&[b"avc1", b"encv"])));
        assert!(!encrypted(&stsd(&[b"avc1"])) && !encrypted(&Fields(vec![0; 3].into())));
    }
}
