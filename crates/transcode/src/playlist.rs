//! Joins the chunks of a video, and writes its playlists.

use bytes::Bytes;
use upreel_media::hls::{self, Audio, Rendition, Segment, Video};
use upreel_media::remux::VideoRange;
use upreel_media::rendition::SAMPLE_RATE;

use crate::encode::{Manifest, Object, SegmentEntry, Track, audio_name};
use crate::plan::Plan;

pub use upreel_media::hls::MASTER;

/// Number of channels of encoded audio.
const CHANNELS: u32 = 2;

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

/// Joins the chunks of the rung that a plan has.
///
/// # Errors
/// As [`playlists`].
pub fn rung(plan: &Plan, manifests: Vec<Manifest>) -> Result<Video, Incomplete> {
    let (mut video, _) = renditions(plan, manifests)?;
    video.pop().ok_or(Incomplete::Missing(0))
}

/// Writes the playlists of a video from the manifests of all its chunks, in any order. A manifest that is there twice
/// counts once.
///
/// # Errors
/// Returns an error if a chunk is missing or does not match the first one.
pub fn playlists(plan: &Plan, manifests: Vec<Manifest>) -> Result<Vec<Object>, Incomplete> {
    let (video, audio) = renditions(plan, manifests)?;
    let master = hls::master(&video, &audio) + &hls::i_frame_tags(&video);
    let mut objects = vec![object(MASTER, master)];
    let renditions = video.iter().map(|video| &video.rendition);
    for rendition in renditions.clone().chain(audio.iter().map(|audio| &audio.rendition)) {
        objects.push(object(&format!("{}/index.m3u8", rendition.name), rendition.media_playlist()));
    }
    for rendition in renditions {
        objects.push(object(&format!("{}/iframes.m3u8", rendition.name), rendition.i_frame_playlist()));
    }
    Ok(objects)
}

/// Joins the chunks of all rungs and audio streams.
fn renditions(plan: &Plan, mut manifests: Vec<Manifest>) -> Result<(Vec<Video>, Vec<Audio>), Incomplete> {
    manifests.sort_by_key(|manifest| manifest.index);
    manifests.dedup_by_key(|manifest| manifest.index);
    for index in 0..plan.chunks.len() {
        if manifests.get(index).is_none_or(|manifest| manifest.index != index) {
            return Err(Incomplete::Missing(index));
        }
    }
    let first = manifests.first().ok_or(Incomplete::Missing(0))?;
    let joined = first.tracks.iter().zip(0..).map(|(track, position)| {
        let scale = if position < plan.rungs.len() { plan.output_scale() } else { SAMPLE_RATE };
        join(track, &manifests, scale)
    });
    let mut joined: Vec<Rendition> = joined.collect::<Result<_, _>>()?;
    let audio = joined.split_off(plan.rungs.len().min(joined.len()));
    let frames = manifests.iter().map(|manifest| manifest.frames).sum();
    let frame_rate = plan.frame_rate.or_else(|| joined.first()?.frame_rate(frames));
    let video = joined.into_iter().map(|rendition| video(plan, rendition, frame_rate)).collect();
    let audio = audio.into_iter().map(|rendition| language(plan, rendition)).collect();
    Ok((video, audio))
}

/// Returns a track with the segments of all chunks.
fn join(track: &Track, manifests: &[Manifest], scale: u32) -> Result<Rendition, Incomplete> {
    let alike = |a: &Track, b: &Track| (&a.name, &a.codec, &a.init) == (&b.name, &b.codec, &b.init);
    let mut segments = Vec::new();
    for manifest in manifests {
        match manifest.tracks.iter().find(|theirs| theirs.name == track.name) {
            Some(theirs) if alike(track, theirs) => segments.extend(theirs.segments.iter().map(segment)),
            _ => return Err(Incomplete::Mismatched(manifest.index)),
        }
    }
    Ok(Rendition { name: track.name.clone(), codec: track.codec.clone(), scale, segments })
}

fn segment(entry: &SegmentEntry) -> Segment {
    let SegmentEntry { name, duration, bytes, first } = entry;
    Segment { name: name.clone(), duration: *duration, bytes: *bytes as u64, first: *first as u64 }
}

fn video(plan: &Plan, rendition: Rendition, frame_rate: Option<f64>) -> Video {
    let rung = plan.rungs.iter().find(|rung| rung.name == rendition.name);
    let (width, height) = rung.map(|rung| (rung.width, rung.height)).unwrap_or_default();
    Video { rendition, width, height, frame_rate, range: VideoRange::Sdr }
}

fn language(plan: &Plan, rendition: Rendition) -> Audio {
    let stream = plan.audio.iter().enumerate().find(|(position, _)| audio_name(*position) == rendition.name);
    let language = stream.and_then(|(_, stream)| stream.language.clone());
    Audio { rendition, language, channels: CHANNELS }
}

/// Returns a playlist as an object to store.
fn object(name: &str, text: String) -> Object {
    Object { name: name.to_owned(), bytes: Bytes::from(text) }
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
    fn frame_rate_is_counted_if_it_is_not_known() {
        let plan = Plan { frame_rate: None, ..plan() };
        let manifests = vec![manifest(0, "x", &TRACKS), manifest(1, "x", &TRACKS)];
        let objects = playlists(&plan, manifests).unwrap();
        let master = String::from_utf8_lossy(&objects[0].bytes).into_owned();
        // 400 frames in 16 seconds.
        assert!(master.contains("FRAME-RATE=25.000,"), "{master}");
        assert!(
            master.contains("LANGUAGE=\"de\",DEFAULT=NO,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"audio-2/"),
            "{master}"
        );
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
