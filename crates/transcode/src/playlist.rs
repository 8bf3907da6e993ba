//! Writes HLS playlists (RFC 8216 and its successor, draft-pantos-hls-rfc8216bis, whose sections are quoted here).

use std::fmt::Write;

use bytes::Bytes;
use upreel_media::rendition::SAMPLE_RATE;

use crate::encode::{Manifest, Object, SegmentEntry, Track, audio_name};
use crate::language::Language;
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
    let tracks = first.tracks.iter().zip(0..).map(|(track, position)| {
        let mut segments = Vec::new();
        for manifest in &manifests {
            match manifest.tracks.iter().find(|theirs| theirs.name == track.name) {
                Some(theirs) if alike(track, theirs) => segments.extend(&theirs.segments),
                _ => return Err(Incomplete::Mismatched(manifest.index)),
            }
        }
        let scale = if position < plan.rungs.len() { plan.output_scale() } else { SAMPLE_RATE };
        Ok(JoinedTrack { name: &track.name, codec: &track.codec, scale, segments })
    });
    let tracks: Vec<JoinedTrack<'_>> = tracks.collect::<Result<_, _>>()?;
    let (video, audio) = tracks.split_at(plan.rungs.len().min(tracks.len()));
    let frames = manifests.iter().map(|manifest| manifest.frames).sum();

    let mut objects = vec![object(MASTER, master(plan, video, audio, frames))];
    for track in &tracks {
        objects.push(object(&format!("{}/index.m3u8", track.name), track.media_playlist()));
    }
    for track in video {
        objects.push(object(&format!("{}/iframes.m3u8", track.name), track.i_frame_playlist()));
    }
    Ok(objects)
}

/// Returns a playlist as an object to store.
fn object(name: &str, text: String) -> Object {
    Object { name: name.to_owned(), bytes: Bytes::from(text) }
}

/// Writes the multivariant playlist (section 4.4.6). `frames` is the number of frames of the video. Writing to a `String`
/// can't fail, here and below.
fn master(plan: &Plan, video: &[JoinedTrack<'_>], audio: &[JoinedTrack<'_>], frames: usize) -> String {
    let mut text = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n\n".to_owned();
    text.push_str(&renditions(plan, audio));
    // Every audio rendition is encoded alike.
    let audio_rates = audio.iter().map(JoinedTrack::bit_rates).max().unwrap_or((0, 0));
    let frame_rate = plan.frame_rate.or_else(|| video.first()?.rate_of(frames)).unwrap_or_default();
    let size =
        |name: &str| plan.rungs.iter().find(|rung| rung.name == name).map(|rung| (rung.width, rung.height));
    for track in video {
        let (width, height) = size(track.name).unwrap_or_default();
        let (peak, average) = track.bit_rates();
        let (peak, average) = (peak + audio_rates.0, average + audio_rates.1);
        let (codecs, group) = match audio.first() {
            Some(audio) => (format!("{},{}", track.codec, audio.codec), ",AUDIO=\"audio\""),
            None => (track.codec.to_owned(), ""),
        };
        let _ = writeln!(
            text,
            "#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},CODECS=\"{codecs}\",\
             RESOLUTION={width}x{height},FRAME-RATE={frame_rate:.3},CLOSED-CAPTIONS=NONE{group}\n{}/index.m3u8",
            track.name
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

/// Writes the audio renditions (section 4.4.6.1). Their names are unique, as the section demands.
fn renditions(plan: &Plan, audio: &[JoinedTrack<'_>]) -> String {
    let mut text = String::new();
    let mut names: Vec<String> = Vec::new();
    for (position, track) in audio.iter().enumerate() {
        let stream = plan.audio.iter().enumerate().find(|(position, _)| audio_name(*position) == track.name);
        let language = stream.and_then(|(_, stream)| Language::parse(stream.language.as_deref()?));
        let tag =
            language.as_ref().map_or_else(String::new, |language| format!("LANGUAGE=\"{}\",", language.tag));
        let mut name = language.map_or_else(|| "Audio".to_owned(), |language| language.name);
        if names.contains(&name) {
            name = format!("{name} {}", position + 1);
        }
        let default = if position == 0 { "YES" } else { "NO" };
        let _ = writeln!(
            text,
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"{name}\",{tag}DEFAULT={default},AUTOSELECT=YES,\
             CHANNELS=\"2\",URI=\"{}/index.m3u8\"",
            track.name
        );
        names.push(name);
    }
    if !text.is_empty() {
        text.push('\n');
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
        format!(
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{}\n#EXT-X-PLAYLIST-TYPE:VOD\n\
             #EXT-X-INDEPENDENT-SEGMENTS\n{more}#EXT-X-MAP:URI=\"init.mp4\"\n",
            self.target_duration()
        )
    }

    /// Returns the target duration in seconds: that of the longest segment, rounded (section 4.4.3.1).
    fn target_duration(&self) -> f64 {
        self.segments
            .iter()
            .map(|segment| self.seconds(segment.duration))
            .fold(0.0, f64::max)
            .round()
            .max(1.0)
    }

    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 ticks")]
    fn seconds(&self, ticks: u64) -> f64 {
        ticks as f64 / f64::from(self.scale.max(1))
    }

    /// Returns the peak and the average bit rate, in bits per second.
    fn bit_rates(&self) -> (u64, u64) {
        let sizes: Vec<(usize, u64)> =
            self.segments.iter().map(|segment| (segment.bytes, segment.duration)).collect();
        let (bytes, duration) = sizes.iter().fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1));
        (self.peak(&sizes), self.rate(bytes, duration).max(1))
    }

    /// Returns the peak bit rate of the I-frames, in bits per second.
    fn i_frame_bit_rate(&self) -> u64 {
        let sizes: Vec<(usize, u64)> =
            self.segments.iter().map(|segment| (segment.first, segment.duration)).collect();
        self.peak(&sizes)
    }

    /// Returns the peak segment bit rate (section 4.1): the greatest of consecutive segments that last between 0.5 and
    /// 1.5 times the target duration, or of all of them if they are shorter. `sizes` are bytes and durations of the
    /// segments.
    fn peak(&self, sizes: &[(usize, u64)]) -> u64 {
        let target = self.target_duration();
        let mut peak = 0;
        for start in 0..sizes.len() {
            let (mut bytes, mut duration) = (0, 0);
            for (segment_bytes, segment_duration) in &sizes[start..] {
                bytes += segment_bytes;
                duration += segment_duration;
                let seconds = self.seconds(duration);
                if seconds > 1.5 * target {
                    break;
                }
                if seconds >= 0.5 * target {
                    peak = peak.max(self.rate(bytes, duration));
                }
            }
        }
        if peak == 0 {
            let (bytes, duration) = sizes.iter().fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1));
            peak = self.rate(bytes, duration);
        }
        peak.max(1)
    }

    /// Returns the bit rate, rounded up. The duration is rounded down to microseconds, because that of a playlist is
    /// rounded to them.
    fn rate(&self, bytes: usize, duration: u64) -> u64 {
        let micros = u128::from(duration) * 1_000_000 / u128::from(self.scale.max(1));
        u64::try_from((bytes as u128 * 8_000_000).div_ceil(micros.max(1))).unwrap_or(u64::MAX)
    }

    /// Returns the average frames per second of a track with this number of frames.
    #[expect(clippy::cast_precision_loss, reason = "frames are far fewer than 2^53")]
    fn rate_of(&self, frames: usize) -> Option<f64> {
        let duration: u64 = self.segments.iter().map(|segment| segment.duration).sum();
        (duration > 0).then(|| frames as f64 / self.seconds(duration))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use upreel_core::Container;
    use upreel_core::video::MediaInfo;
    use upreel_media::inspect::{AudioStream, Inspection};
    use upreel_media::keyframe::CutPoints;

    fn plan() -> Plan {
        let media_info = MediaInfo {
            container: Some(Container::Mp4),
            width: Some(640),
            height: Some(360),
            frame_rate: Some(25.0),
            duration_ms: Some(20_000),
            ..MediaInfo::default()
        };
        let cuts = CutPoints { scale: 1000, times: vec![0, 8000], ..CutPoints::default() };
        let languages = [Some("eng"), Some("ger"), Some("eng"), None];
        let audio = languages
            .map(|language| AudioStream { language: language.map(str::to_owned), ..AudioStream::default() });
        let inspection = Inspection { audio: audio.to_vec(), ..Inspection::default() };
        let plan = Plan::with_chunk_length(&media_info, &inspection, Some(&cuts), 5.0);
        plan.unwrap_or_else(|failure| panic!("{failure:?}"))
    }

    /// The tracks that the plan has.
    const TRACKS: [&str; 5] = ["v360", "audio", "audio-2", "audio-3", "audio-4"];

    fn manifest(index: usize, init: &str, tracks: &[&str]) -> Manifest {
        let segment = |i: u64| SegmentEntry {
            name: format!("{index:04}-0{i}.m4s"),
            duration: 16_000,
            bytes: 1000,
            first: 100,
        };
        let track = |name: &&str| Track {
            name: (*name).to_owned(),
            codec: if name.starts_with("audio") { "mp4a.40.2" } else { "avc1.64001e" }.to_owned(),
            init: init.to_owned(),
            segments: vec![segment(0), segment(1)],
        };
        Manifest { index, plan: String::new(), frames: 200, tracks: tracks.iter().map(track).collect() }
    }

    #[test]
    fn chunks_are_ordered_by_index() {
        let objects = playlists(&plan(), vec![manifest(1, "x", &TRACKS), manifest(0, "x", &TRACKS)]);
        let objects = objects.unwrap_or_else(|error| panic!("{error}"));
        let text = |name: &str| {
            let object = objects.iter().find(|object| object.name == name);
            String::from_utf8_lossy(&object.unwrap_or_else(|| panic!("no {name}")).bytes).into_owned()
        };
        let segments =
            |text: &str| text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join(" ");
        for name in TRACKS {
            assert_eq!(
                segments(&text(&format!("{name}/index.m3u8"))),
                "0000-00.m4s 0000-01.m4s 0001-00.m4s 0001-01.m4s"
            );
        }
        assert!(text("v360/index.m3u8").contains("#EXT-X-TARGETDURATION:4\n"));
        assert!(text("v360/iframes.m3u8").contains("#EXT-X-BYTERANGE:100@0\n0001-01.m4s\n"));
        assert!(text(MASTER).contains("RESOLUTION=640x360,FRAME-RATE=25.000,"), "{}", text(MASTER));
    }

    #[test]
    fn languages_are_audio_renditions() {
        let text = renditions(&plan(), &TRACKS[1..].iter().map(|name| track(name, &[])).collect::<Vec<_>>());
        let expected = [
            "NAME=\"English\",LANGUAGE=\"en\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"audio/index.m3u8\"",
            "NAME=\"German\",LANGUAGE=\"de\",DEFAULT=NO,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"audio-2/index.m3u8\"",
            "NAME=\"English 3\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"audio-3/index.m3u8\"",
            "NAME=\"Audio\",DEFAULT=NO,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"audio-4/index.m3u8\"",
        ];
        let lines: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix("#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\","))
            .collect();
        assert_eq!(lines, expected);
    }

    fn track<'a>(name: &'a str, segments: &'a [SegmentEntry]) -> JoinedTrack<'a> {
        JoinedTrack { name, codec: "x", scale: 1000, segments: segments.iter().collect() }
    }

    #[test]
    fn peak_is_that_of_consecutive_segments_near_the_target_duration() {
        let rates = |sizes: &[(u64, usize)]| {
            let entry = |(duration, bytes): &(u64, usize)| SegmentEntry {
                name: String::new(),
                duration: *duration,
                bytes: *bytes,
                first: 0,
            };
            let segments: Vec<_> = sizes.iter().map(entry).collect();
            track("v360", &segments).bit_rates()
        };
        // A segment of a frame does not count on its own.
        assert_eq!(rates(&[(40, 5000), (4000, 10_000), (4000, 9000)]).0, (15_000 * 8_000_u64).div_ceil(4040));
        assert_eq!(rates(&[(4000, 9000), (2000, 6000)]), (24_000, 20_000));
        assert_eq!(rates(&[(3000, 1000)]), (2667, 2667), "rounded up");
        assert_eq!(rates(&[(40, 5)]), (1000, 1000), "shorter than half of the target duration");
        assert_eq!(rates(&[]), (1, 1));
    }

    #[test]
    fn frame_rate_is_counted_if_it_is_not_known() {
        let plan = Plan { frame_rate: None, ..plan() };
        let manifests = vec![manifest(0, "x", &TRACKS), manifest(1, "x", &TRACKS)];
        let objects = playlists(&plan, manifests).unwrap();
        let master = String::from_utf8_lossy(&objects[0].bytes).into_owned();
        // 400 frames in 16 seconds.
        assert!(master.contains("FRAME-RATE=25.000,"), "{master}");
        let slow = super::master(&Plan { frame_rate: Some(0.2), ..plan }, &[track("v360", &[])], &[], 6);
        assert!(slow.contains("FRAME-RATE=0.200,"), "{slow}");
    }

    #[test]
    fn rejects_missing_or_mismatched_chunks() {
        let error = |manifests| playlists(&plan(), manifests).unwrap_err().to_string();
        assert_eq!(error(Vec::new()), "chunk 0 is missing");
        assert_eq!(error(vec![manifest(0, "x", &TRACKS), manifest(0, "x", &TRACKS)]), "chunk 1 is missing");
        for mismatched in
            [manifest(1, "y", &TRACKS), manifest(1, "x", &TRACKS[1..]), manifest(1, "x", &TRACKS[..4])]
        {
            assert_eq!(
                error(vec![manifest(0, "x", &TRACKS), mismatched]),
                "chunk 1 does not match the first chunk"
            );
        }
    }
}
