//! Writes HLS playlists (RFC 8216 and its successor, draft-pantos-hls-rfc8216bis, whose sections are quoted here).

use std::fmt::Write;

use bytes::Bytes;
use upreel_media::rendition::SAMPLE_RATE;

use crate::encode::{AUDIO, Manifest, Object, SegmentEntry, Track};
use crate::plan::Plan;

/// The name of the multivariant playlist, with which a player starts.
pub const MASTER: &str = "master.m3u8";

/// Why the chunks don't make a complete video.
#[derive(Debug, thiserror::Error)]
pub enum Incomplete {
    /// There is no manifest for a chunk.
    #[error("chunk {0} is missing")]
    Missing(usize),
    /// A chunk has other tracks than the first one, or its encoder was set up differently.
    #[error("chunk {0} does not match the first chunk")]
    Mismatched(usize),
}

/// A track of the whole video, with the segments of all chunks.
struct JoinedTrack<'a> {
    name: &'a str,
    codec: &'a str,
    scale: u32,
    segments: Vec<&'a SegmentEntry>,
}

/// Writes the playlists of a video from the manifests of all its chunks, in any order. A manifest that is there twice
/// counts once.
///
/// # Errors
/// Returns an error if a chunk is missing or does not match the first one.
pub fn playlists(plan: &Plan, mut manifests: Vec<Manifest>) -> Result<Vec<Object>, Incomplete> {
    manifests.sort_by_key(|manifest| manifest.index);
    manifests.dedup_by_key(|manifest| manifest.index);
    for index in 0..plan.chunks.len() {
        if manifests.get(index).is_none_or(|manifest| manifest.index != index) {
            return Err(Incomplete::Missing(index));
        }
    }
    let first = manifests.first().ok_or(Incomplete::Missing(0))?;
    let alike = |a: &Track, b: &Track| (&a.name, &a.codec, &a.init) == (&b.name, &b.codec, &b.init);
    // The first chunk has every track. Chunks after the end of the audio have no audio track.
    let tracks = first.tracks.iter().map(|track| {
        let mut segments = Vec::new();
        for manifest in &manifests {
            match manifest.tracks.iter().find(|theirs| theirs.name == track.name) {
                Some(theirs) if alike(track, theirs) => segments.extend(&theirs.segments),
                None if track.name == AUDIO => {}
                _ => return Err(Incomplete::Mismatched(manifest.index)),
            }
        }
        let scale = if track.name == AUDIO { SAMPLE_RATE } else { plan.scale };
        Ok(JoinedTrack { name: &track.name, codec: &track.codec, scale, segments })
    });
    let tracks: Vec<JoinedTrack<'_>> = tracks.collect::<Result<_, _>>()?;
    let (audio, video): (Vec<_>, Vec<_>) = tracks.iter().partition(|track| track.name == AUDIO);
    // An audio track can be empty.
    let audio = audio.into_iter().find(|track| !track.segments.is_empty());

    let mut objects = vec![object(MASTER, master(plan, &video, audio))];
    for track in video.iter().copied().chain(audio) {
        objects.push(object(&format!("{}/index.m3u8", track.name), track.media_playlist()));
    }
    for track in &video {
        objects.push(object(&format!("{}/iframes.m3u8", track.name), track.i_frame_playlist()));
    }
    Ok(objects)
}

/// Returns a playlist as an object to store.
fn object(name: &str, text: String) -> Object {
    Object { name: name.to_owned(), bytes: Bytes::from(text) }
}

/// Writes the multivariant playlist (section 4.4.6). Writing to a `String` can't fail, here and below.
fn master(plan: &Plan, video: &[&JoinedTrack<'_>], audio: Option<&JoinedTrack<'_>>) -> String {
    let mut text = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n\n".to_owned();
    if audio.is_some() {
        let _ = writeln!(
            text,
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"audio\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",\
             URI=\"{AUDIO}/index.m3u8\"\n"
        );
    }
    let audio_rates = audio.map_or((0, 0), JoinedTrack::bit_rates);
    let size =
        |name: &str| plan.rungs.iter().find(|rung| rung.name == name).map(|rung| (rung.width, rung.height));
    for track in video {
        let (width, height) = size(track.name).unwrap_or_default();
        let (peak, average) = track.bit_rates();
        let (peak, average) = (peak + audio_rates.0, average + audio_rates.1);
        let (codecs, group) = match audio {
            Some(audio) => (format!("{},{}", track.codec, audio.codec), ",AUDIO=\"audio\""),
            None => (track.codec.to_owned(), ""),
        };
        let _ = writeln!(
            text,
            "#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},CODECS=\"{codecs}\",\
             RESOLUTION={width}x{height},FRAME-RATE={:.3},CLOSED-CAPTIONS=NONE{group}\n{}/index.m3u8",
            plan.frame_rate, track.name
        );
    }
    text.push('\n');
    for track in video {
        let (width, height) = size(track.name).unwrap_or_default();
        let _ = writeln!(
            text,
            "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={},CODECS=\"{}\",RESOLUTION={width}x{height},\
             URI=\"{}/iframes.m3u8\"",
            track.i_frame_bit_rate(),
            track.codec,
            track.name
        );
    }
    text
}

impl JoinedTrack<'_> {
    /// Writes the media playlist (section 4.4.3).
    fn media_playlist(&self) -> String {
        let mut text = self.head("");
        for segment in &self.segments {
            let _ = writeln!(text, "#EXTINF:{:.6},\n{}", self.seconds(segment.duration), segment.name);
        }
        text.push_str("#EXT-X-ENDLIST\n");
        text
    }

    /// Writes the I-frame playlist (section 4.4.3.6), which names only the first frame of each segment.
    fn i_frame_playlist(&self) -> String {
        let mut text = self.head("#EXT-X-I-FRAMES-ONLY\n");
        for segment in &self.segments {
            let (seconds, first) = (self.seconds(segment.duration), segment.first);
            let _ = writeln!(text, "#EXTINF:{seconds:.6},\n#EXT-X-BYTERANGE:{first}@0\n{}", segment.name);
        }
        text.push_str("#EXT-X-ENDLIST\n");
        text
    }

    /// Writes the tags before the segments; `more` are additional tags.
    fn head(&self, more: &str) -> String {
        let longest = self.segments.iter().map(|segment| self.seconds(segment.duration)).fold(0.0, f64::max);
        format!(
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{}\n#EXT-X-PLAYLIST-TYPE:VOD\n\
             #EXT-X-INDEPENDENT-SEGMENTS\n{more}#EXT-X-MAP:URI=\"init.mp4\"\n",
            longest.round().max(1.0)
        )
    }

    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 ticks")]
    fn seconds(&self, ticks: u64) -> f64 {
        ticks as f64 / f64::from(self.scale.max(1))
    }

    /// Returns the peak bit rate of a segment and the average bit rate, in bits per second.
    fn bit_rates(&self) -> (u64, u64) {
        let peak = self.segments.iter().map(|segment| self.rate(segment.bytes, segment.duration)).max();
        let bytes = self.segments.iter().map(|segment| segment.bytes).sum();
        let duration = self.segments.iter().map(|segment| segment.duration).sum();
        (peak.unwrap_or(0).max(1), self.rate(bytes, duration).max(1))
    }

    /// Returns the peak bit rate of the I-frames, in bits per second.
    fn i_frame_bit_rate(&self) -> u64 {
        self.segments
            .iter()
            .map(|segment| self.rate(segment.first, segment.duration))
            .max()
            .unwrap_or(0)
            .max(1)
    }

    fn rate(&self, bytes: usize, duration: u64) -> u64 {
        (bytes as u64 * 8 * u64::from(self.scale)).checked_div(duration).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use upreel_core::Container;
    use upreel_core::video::MediaInfo;
    use upreel_media::keyframe::CutPoints;

    fn plan() -> Plan {
        let media_info = MediaInfo {
            container: Some(Container::Mp4),
            width: Some(640),
            height: Some(360),
            frame_rate: Some(25.0),
            audio_codec: Some("aac".into()),
            duration_ms: Some(20_000),
            ..MediaInfo::default()
        };
        let times = vec![0, 8000];
        let (edits, start, end, audio_end) = (Vec::new(), 0, None, None);
        let cuts = CutPoints { scale: 1000, step: 40, times, edits, start, end, audio_end };
        Plan::with_chunk_length(&media_info, Some(&cuts), 5.0).unwrap_or_else(|failure| panic!("{failure:?}"))
    }

    fn manifest(index: usize, init: &str, tracks: &[&str]) -> Manifest {
        let segment = |i: u64| SegmentEntry {
            name: format!("{index:04}-0{i}.m4s"),
            duration: 4000,
            bytes: 1000,
            first: 100,
        };
        let track = |name: &&str| Track {
            name: (*name).to_owned(),
            codec: if *name == AUDIO { "mp4a.40.2" } else { "avc1.64001e" }.to_owned(),
            init: init.to_owned(),
            segments: vec![segment(0), segment(1)],
        };
        Manifest { index, plan: String::new(), frames: 200, tracks: tracks.iter().map(track).collect() }
    }

    #[test]
    fn chunks_are_ordered_by_index() {
        let both = ["v360", AUDIO];
        let objects = playlists(&plan(), vec![manifest(1, "x", &["v360"]), manifest(0, "x", &both)]);
        let objects = objects.unwrap_or_else(|error| panic!("{error}"));
        let text = |name: &str| {
            let object = objects.iter().find(|object| object.name == name);
            String::from_utf8_lossy(&object.unwrap_or_else(|| panic!("no {name}")).bytes).into_owned()
        };
        let segments =
            |text: &str| text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join(" ");
        assert_eq!(segments(&text("v360/index.m3u8")), "0000-00.m4s 0000-01.m4s 0001-00.m4s 0001-01.m4s");
        assert_eq!(
            segments(&text("audio/index.m3u8")),
            "0000-00.m4s 0000-01.m4s",
            "the last chunk has no audio"
        );
        assert!(text("v360/index.m3u8").contains("#EXT-X-TARGETDURATION:4\n"));
        assert!(text("v360/iframes.m3u8").contains("#EXT-X-BYTERANGE:100@0\n0001-01.m4s\n"));
        assert!(text(MASTER).contains("RESOLUTION=640x360,FRAME-RATE=25.000,"), "{}", text(MASTER));
    }

    #[test]
    fn rejects_missing_or_mismatched_chunks() {
        let both = ["v360", AUDIO];
        let error = |manifests| playlists(&plan(), manifests).unwrap_err().to_string();
        assert_eq!(error(Vec::new()), "chunk 0 is missing");
        assert_eq!(error(vec![manifest(0, "x", &both), manifest(0, "x", &both)]), "chunk 1 is missing");
        for mismatched in
            [manifest(1, "y", &both), manifest(1, "x", &[AUDIO]), manifest(1, "x", &["v720", AUDIO])]
        {
            assert_eq!(
                error(vec![manifest(0, "x", &both), mismatched]),
                "chunk 1 does not match the first chunk"
            );
        }
    }
}
