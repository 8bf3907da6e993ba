//! Rewriting of the media files that an HLS playlist names.

use quick_m3u8::config::ParsingOptionsBuilder;
use quick_m3u8::tag::KnownTag;
use quick_m3u8::tag::hls::Tag;
use quick_m3u8::{HlsLine, Reader, Writer};
use upreel_core::Fault;

const PARSE: &str = "parse the playlist";

/// Replaces the URI of each segment and initialization section with the result of `url` for it. URIs of other
/// playlists, and those for which it returns `None`, are unchanged.
///
/// # Errors
/// When the playlist is malformed.
pub(crate) fn rewrite(playlist: &str, mut url: impl FnMut(&str) -> Option<String>) -> Result<Vec<u8>, Fault> {
    let options = ParsingOptionsBuilder::new().with_parsing_for_map().build();
    let mut reader = Reader::from_str(playlist, options);
    let mut writer = Writer::new(Vec::with_capacity(playlist.len() * 4));
    while let Some(line) = reader.read_line().map_err(|error| Fault::message(PARSE, error.to_string()))? {
        let line = match line {
            HlsLine::Uri(uri) if !is_playlist(&uri) => match url(&uri) {
                Some(url) => HlsLine::Uri(url.into()),
                None => HlsLine::Uri(uri),
            },
            HlsLine::KnownTag(KnownTag::Hls(Tag::Map(mut map))) => {
                if let Some(url) = url(map.uri()) {
                    map.set_uri(url);
                }
                HlsLine::from(map)
            }
            other => other,
        };
        writer.write_line(line).map_err(|error| Fault::new("write the playlist", &error))?;
    }
    Ok(writer.into_inner())
}

pub(crate) fn is_playlist(file: &str) -> bool {
    file.rsplit_once('.').is_some_and(|(_, extension)| extension == "m3u8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(playlist: &str) -> String {
        let url = |name: &str| (name != "keep.m4s").then(|| format!("https://s3/{name}?X=1,2"));
        String::from_utf8(rewrite(playlist, url).unwrap_or_else(|e| panic!("{e}"))).unwrap_or_default()
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
