//! The media files that an HLS playlist refers to.

use std::borrow::Cow;

use quick_m3u8::config::ParsingOptionsBuilder;
use quick_m3u8::tag::KnownTag;
use quick_m3u8::tag::hls::Tag;
use quick_m3u8::{HlsLine, Reader};
use upreel_core::Fault;

/// Parses a playlist. Of the tags, only `EXT-X-MAP` is parsed further; the others are written as they are read.
///
/// # Errors
/// When the playlist is malformed.
pub(crate) fn parse(playlist: &str) -> Result<Vec<HlsLine<'_>>, Fault> {
    let options = ParsingOptionsBuilder::new().with_parsing_for_map().build();
    let mut reader = Reader::from_str(playlist, options);
    let mut lines = Vec::new();
    while let Some(line) =
        reader.read_line().map_err(|error| Fault::message("parse the playlist", error.to_string()))?
    {
        lines.push(line);
    }
    Ok(lines)
}

/// Returns the segment or initialization section that a line refers to.
pub(crate) fn media_file<'a>(line: &'a HlsLine<'_>) -> Option<&'a str> {
    match line {
        HlsLine::Uri(uri) => Some(uri.as_ref()).filter(|uri| !is_playlist(uri)),
        HlsLine::KnownTag(KnownTag::Hls(Tag::Map(map))) => Some(map.uri()),
        _ => None,
    }
}

/// Replaces the URI of a line for which [`media_file`] returns one.
pub(crate) fn set_uri(line: &mut HlsLine<'_>, new: String) {
    match line {
        HlsLine::Uri(uri) => *uri = Cow::Owned(new),
        HlsLine::KnownTag(KnownTag::Hls(Tag::Map(map))) => map.set_uri(new),
        _ => {}
    }
}

pub(crate) fn is_playlist(file: &str) -> bool {
    let path = file.split('?').next().unwrap_or_default();
    path.rsplit_once('.').is_some_and(|(_, extension)| extension == "m3u8")
}

#[cfg(test)]
mod tests {
    use quick_m3u8::Writer;

    use super::*;

    fn rewritten(playlist: &str) -> String {
        let mut writer = Writer::new(Vec::new());
        for mut line in parse(playlist).unwrap_or_else(|e| panic!("{e}")) {
            let url = media_file(&line).filter(|name| *name != "keep.m4s");
            if let Some(url) = url.map(|name| format!("https://s3/{name}?X=1,2")) {
                set_uri(&mut line, url);
            }
            writer.write_line(line).unwrap_or_else(|e| panic!("{e}"));
        }
        String::from_utf8(writer.into_inner()).unwrap_or_default()
    }

    #[test]
    fn rewrites_segments_and_initialization_sections() {
        let media = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI=\"init.mp4\"\n\
                     #EXTINF:4.000000,\n0000-00.m4s\n#EXT-X-BYTERANGE:100@0\nkeep.m4s\n#EXT-X-ENDLIST\n";
        let expected = media
            .replace("\"init.mp4\"", "\"https://s3/init.mp4?X=1,2\"")
            .replace("0000-00.m4s", "https://s3/0000-00.m4s?X=1,2");
        assert_eq!(rewritten(media), expected);
    }

    #[test]
    fn leaves_master_playlists_as_they_are() {
        let master = "#EXTM3U\n#EXT-X-INDEPENDENT-SEGMENTS\n\n\
                      #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"audio\",URI=\"audio/index.m3u8\"\n\
                      #EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"audio\"\nv360/index.m3u8\n";
        assert_eq!(rewritten(master), master);
    }
}
