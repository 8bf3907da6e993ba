//! Plans a transcoding: cuts the video into chunks at keyframes. A chunk is long enough to be worth starting an
//! encoder, and short enough to be encoded within the function's timeout.

mod chunks;
mod rung;
mod slices;

use serde::{Deserialize, Serialize};
use upreel_core::video::MediaInfo;
use upreel_core::{Container, Failure};
use upreel_media::inspect::{AudioStream, Inspection, VideoStream};
use upreel_media::keyframe::CutPoints;
use upreel_media::ladder::{ASSUMED_RATE, Rung, ladder};
use upreel_media::rendition::DEFAULT_SCALE;

use self::chunks::{at, chunk_starts, chunks, longest, segment, ticks};

/// Minimum and maximum of the intended duration of a chunk, in seconds.
const CHUNK_SECONDS: (f64, f64) = (10.0, 60.0);
/// Intended pixels of a chunk: 30 s of 1080p at 30 frames per second.
const CHUNK_PIXELS: f64 = 30.0 * 30.0 * 1920.0 * 1080.0;
/// Maximum pixels of a chunk: 10 min of 1080p at 30 frames per second. Encoding more comes close to Lambda's timeout of
/// 15 min.
const MAX_PIXELS: f64 = 20.0 * CHUNK_PIXELS;
/// If the presentation begins at least this many seconds before the first frame, the frame is shown from that time on.
/// A shorter time is a delay that an audio encoder added, and is left out.
const LATE_START: f64 = 0.05;
/// The longest time for which the first frame is shown before its time, in seconds. A file can state any time.
const LONGEST_WAIT: f64 = 3600.0;
/// How much longer than its estimated duration a video without an index can be, in seconds. Segments are planned for
/// the longer duration, or the last one could consist of a single frame.
const ESTIMATE_ERROR: f64 = 0.1;
/// Ticks of the renditions for each tick of the source: room for decode times between two presentation times.
const SUBDIVISION: u32 = 4;

/// How to encode a video: the ladder and the chunks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The object's container.
    pub container: Container,
    /// The video stream.
    pub video: VideoStream,
    /// The audio streams, the one to play by default first. Empty if the video has no audio.
    pub audio: Vec<AudioStream>,
    /// Ticks per second, the unit of all times here.
    pub scale: u32,
    /// The source's time that becomes time 0 of the renditions.
    pub origin: i64,
    /// The source's time at which the presentation ends, if the container states it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<i64>,
    /// Whether a slice of the object is stored for each chunk. The film is the first stream of a slice; the audio
    /// follows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_sliced: bool,
    /// Average frames per second, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame_rate: Option<f64>,
    /// The ladder, the largest rung first.
    pub rungs: Vec<Rung>,
    /// The times at which segments start, if they are those of the original. Otherwise they are about as long as the chunks
    /// say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cuts: Vec<i64>,
    /// The number of the chunk that is encoded first.
    #[serde(default)]
    pub first: usize,
    /// A hash of the plan of a rung, which begins the names of its segments: a chunk of another plan has other
    /// segments.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The chunks, in the order of time.
    #[serde(rename = "parts")]
    pub chunks: Vec<Chunk>,
}

/// A chunk of a video, which one invocation encodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Chunk {
    /// The chunk's number, from 0.
    pub index: usize,
    /// Presentation times of the chunk's first frame and of the next chunk's first frame, which is `None` for the last
    /// chunk. `None` if there is no index.
    pub span: Option<(i64, Option<i64>)>,
    /// See [`upreel_media::rendition::Chunk::until`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// Time to seek to, in seconds, see [`upreel_media::rendition::Chunk::seek`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seek: Option<String>,
    /// Duration of a segment, in seconds.
    pub segment: f64,
    /// Numbers of the chunk's AAC frames: from the first (inclusive) to the second (exclusive), which is `None` for the
    /// last chunk.
    pub audio_frames: (i64, Option<i64>),
    /// See [`upreel_media::rendition::Chunk::audio_spans`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audio_spans: Vec<(i64, i64)>,
}

impl Plan {
    /// Plans the transcoding of a video. `cuts` holds its keyframes; without them, the whole video is one chunk.
    ///
    /// # Errors
    /// Returns a failure if a chunk would take too long to encode, because keyframes are too far apart or there is no
    /// index, or if the container or the dimensions are unknown.
    pub fn new(
        media_info: &MediaInfo,
        inspection: &Inspection,
        cuts: Option<&CutPoints>,
    ) -> Result<Self, Failure> {
        let rate = frame_rate(media_info, inspection).unwrap_or(ASSUMED_RATE);
        let pixels =
            f64::from(media_info.width.unwrap_or(1)) * f64::from(media_info.height.unwrap_or(1)) * rate;
        let length = (CHUNK_PIXELS / pixels).clamp(CHUNK_SECONDS.0, CHUNK_SECONDS.1);
        Self::with_chunk_length(media_info, inspection, cuts, length)
    }

    /// Like [`Plan::new`], with chunks of about `length` seconds.
    ///
    /// # Errors
    /// See [`Plan::new`].
    pub fn with_chunk_length(
        media_info: &MediaInfo,
        inspection: &Inspection,
        cuts: Option<&CutPoints>,
        length: f64,
    ) -> Result<Self, Failure> {
        let starts = cuts.map(|cuts| chunk_starts(cuts, length)).unwrap_or_default();
        Self::with_chunk_starts(media_info, inspection, cuts, &starts)
    }

    /// Like [`Plan::new`], with chunks that start at these of the keyframes.
    fn with_chunk_starts(
        media_info: &MediaInfo,
        inspection: &Inspection,
        cuts: Option<&CutPoints>,
        starts: &[i64],
    ) -> Result<Self, Failure> {
        let (Some(container), Some(width), Some(height)) =
            (media_info.container, media_info.width, media_info.height)
        else {
            return Err(Failure::new(Failure::UNREADABLE, "The dimensions of the video are not known."));
        };
        let frame_rate = frame_rate(media_info, inspection);
        let rate = frame_rate.unwrap_or(ASSUMED_RATE);
        let duration = media_info.duration_ms.map(seconds);
        let cuts = cuts.filter(|cuts| !cuts.times.is_empty());
        let scale = cuts.map_or(DEFAULT_SCALE, |cuts| cuts.scale.max(1));
        let begin = cuts.and_then(|cuts| cuts.begin).map(|begin| at(begin, scale)).or(inspection.start);
        let origin = match starts.first() {
            Some(first) => origin(*first, begin, scale),
            None => ticks(begin.unwrap_or_default() + inspection.padding, scale),
        };
        // The duration of other containers is an estimate.
        let is_exact = matches!(
            container,
            Container::Mp4 | Container::Mov | Container::ThreeGp | Container::Webm | Container::Mkv
        );
        let end = duration.filter(|_| is_exact).map(|duration| origin.saturating_add(ticks(duration, scale)));
        let chunks = match cuts {
            Some(cuts) => chunks(container, cuts, starts, origin, duration),
            None => vec![Chunk {
                index: 0,
                span: None,
                until: None,
                seek: None,
                segment: segment(duration.map(|estimate| estimate + ESTIMATE_ERROR)),
                audio_frames: (0, None),
                audio_spans: Vec::new(),
            }],
        };
        if longest(&chunks, scale, origin, duration) * f64::from(width) * f64::from(height) * rate
            > MAX_PIXELS
        {
            let why = "Keyframes are too far apart, or there is no index to find them by.";
            return Err(Failure::new(
                Failure::TOO_COMPLEX,
                format!("The video cannot be cut into chunks. {why}"),
            ));
        }
        Ok(Self {
            container,
            // The size that ffmpeg reports can differ from that of the frames.
            video: VideoStream { width, height, ..inspection.video.clone() },
            audio: inspection.audio.clone(),
            scale,
            origin,
            end,
            is_sliced: false,
            frame_rate,
            rungs: ladder(width, height, rate),
            cuts: Vec::new(),
            first: 0,
            name: String::new(),
            chunks,
        })
    }

    /// Returns the numbers of the chunks in the order in which they are encoded: from the first one to the end of the
    /// film, then those before.
    pub fn order(&self) -> impl Iterator<Item = usize> {
        (self.first..self.chunks.len()).chain(0..self.first.min(self.chunks.len()))
    }

    /// Returns the name of a chunk, with which the names of its segments begin.
    #[must_use]
    pub fn chunk_name(&self, index: usize) -> String {
        if self.name.is_empty() { format!("{index:04}") } else { format!("{}-{index:04}", self.name) }
    }

    /// Returns the name of a segment of a chunk.
    #[must_use]
    pub fn segment_name(&self, index: usize, segment: usize) -> String {
        format!("{}-{segment:02}.{}", self.chunk_name(index), self.extension())
    }

    /// Returns the ticks of the renditions for each tick of the source.
    #[must_use]
    pub fn subdivision(&self) -> u32 {
        if self.scale <= u32::MAX / SUBDIVISION { SUBDIVISION } else { 1 }
    }

    /// Returns the ticks per second of the renditions.
    #[must_use]
    pub fn output_scale(&self) -> u32 {
        self.scale.saturating_mul(self.subdivision())
    }

    /// Returns the usual duration of a frame in ticks, if it is known.
    #[must_use]
    pub fn frame_duration(&self) -> Option<i64> {
        self.frame_rate.map(|rate| ticks(1.0 / rate, self.scale))
    }
}

/// Returns the frame rate, if it is known and plausible.
fn frame_rate(media_info: &MediaInfo, inspection: &Inspection) -> Option<f64> {
    [media_info.frame_rate, inspection.frame_rate]
        .into_iter()
        .flatten()
        .find(|rate| (0.001..=1000.0).contains(rate))
}

/// Returns the time at which the presentation starts. `first` is the time of the first frame in ticks, `start` that of
/// the presentation, or of the first frame or audio, in seconds.
fn origin(first: i64, start: Option<f64>, scale: u32) -> i64 {
    // Negative times belong to the delay that an audio encoder added at the start.
    let earliest = start.unwrap_or_default().max(0.0);
    let wait = at(first, scale) - earliest;
    if start.is_some() && (LATE_START..LONGEST_WAIT).contains(&wait) { ticks(earliest, scale) } else { first }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 milliseconds")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media_info() -> MediaInfo {
        MediaInfo {
            duration_ms: Some(100_000),
            width: Some(1920),
            height: Some(1080),
            frame_rate: Some(30.0),
            container: Some(Container::Mp4),
            ..MediaInfo::default()
        }
    }

    fn inspection() -> Inspection {
        Inspection { start: Some(0.0), ..Inspection::default() }
    }

    fn cuts(times: impl IntoIterator<Item = i64>) -> CutPoints {
        CutPoints { scale: 600, times: times.into_iter().collect(), ..CutPoints::default() }
    }

    fn plan(media_info: &MediaInfo, cuts: Option<&CutPoints>) -> Plan {
        Plan::new(media_info, &inspection(), cuts).unwrap_or_else(|failure| panic!("{failure:?}"))
    }

    #[test]
    fn chunks_start_at_keyframes_without_gaps() {
        let every_two_seconds = cuts((0..50).map(|i| i * 1200));
        let plan = plan(&media_info(), Some(&every_two_seconds));
        let spans: Vec<_> = plan.chunks.iter().map(|chunk| chunk.span.unwrap_or_default()).collect();
        assert_eq!(
            spans,
            [(0, Some(18_000)), (18_000, Some(36_000)), (36_000, Some(54_000)), (54_000, None)]
        );
        for pair in plan.chunks.windows(2) {
            assert_eq!(pair[0].audio_frames.1, Some(pair[1].audio_frames.0));
        }
        assert_eq!(plan.chunks[0].audio_frames.0, 0);
        // 30 s are 1406.25 AAC frames, and another half second is 23.4.
        assert_eq!(plan.chunks[1].audio_frames.0, 1430);
        assert_eq!(plan.chunks[1].seek.as_deref(), Some("30.002000"));
        assert_eq!((plan.chunks[0].seek.as_deref(), plan.origin, plan.end), (None, 0, Some(60_000)));
    }

    #[test]
    fn chunks_are_shorter_for_larger_videos() {
        let every_second = cuts((0..100).map(|i| i * 600));
        let count = |width, height, rate| {
            let media_info = MediaInfo {
                width: Some(width),
                height: Some(height),
                frame_rate: Some(rate),
                ..media_info()
            };
            plan(&media_info, Some(&every_second)).chunks.len()
        };
        assert_eq!(count(640, 360, 30.0), 2);
        assert_eq!(count(1920, 1080, 30.0), 4);
        assert_eq!(count(3840, 2160, 60.0), 10);
    }

    #[test]
    fn video_without_index_is_one_chunk_or_too_complex() {
        let whole = plan(&media_info(), None);
        assert_eq!((whole.chunks.len(), whole.scale), (1, DEFAULT_SCALE));
        assert_eq!((whole.chunks[0].span, whole.chunks[0].audio_frames), (None, (0, None)));
        assert!(
            (whole.chunks[0].segment - 100.1 / 25.0).abs() < 1e-9,
            "the last segment has more than one frame"
        );
        let long = MediaInfo { duration_ms: Some(3_600_000), ..media_info() };
        assert_eq!(Plan::new(&long, &inspection(), None).unwrap_err().code, Failure::TOO_COMPLEX);
        assert_eq!(Plan::new(&long, &inspection(), Some(&cuts([0]))).unwrap_err().code, Failure::TOO_COMPLEX);
        let unknown = MediaInfo { width: None, ..media_info() };
        assert_eq!(Plan::new(&unknown, &inspection(), None).unwrap_err().code, Failure::UNREADABLE);
    }

    #[test]
    fn presentation_starts_with_the_first_frame_or_the_audio_before_it() {
        let origin = |first, start| origin(first, start, 1000);
        assert_eq!([origin(0, None), origin(500, None), origin(0, Some(0.0))], [0, 500, 0]);
        assert_eq!(origin(500, Some(0.5)), 500, "there is nothing before the first frame");
        assert_eq!(origin(500, Some(0.0)), 0, "the first frame is shown while the audio plays");
        assert_eq!(origin(3_600_000, Some(3599.979)), 3_600_000, "what an audio encoder adds");
        assert_eq!([origin(0, Some(-0.021)), origin(80, Some(-0.021)), origin(-40, Some(-1.0))], [0, 0, -40]);
        assert_eq!(origin(9_000_000, Some(0.0)), 9_000_000, "implausible");
    }

    #[test]
    fn frames_and_audio_count_from_the_origin() {
        let late = Inspection { start: Some(10.0), ..inspection() };
        let plan = Plan::new(&media_info(), &late, Some(&cuts([6300, 30_000]))).unwrap();
        assert_eq!((plan.origin, plan.end), (6000, Some(66_000)));
        assert_eq!(plan.chunks[0].span, Some((6000, Some(30_000))));
        assert_eq!(plan.chunks[0].audio_frames, (0, Some(1899)));
    }

    #[test]
    fn video_without_index_starts_with_its_first_stream() {
        let origin = |container, padding| {
            let media_info = MediaInfo { container: Some(container), ..media_info() };
            let inspection = Inspection { start: Some(604.5), padding, ..inspection() };
            Plan::new(&media_info, &inspection, None).unwrap().origin
        };
        assert_eq!([origin(Container::Ogg, 0.0), origin(Container::MpegTs, 0.02)], [54_405_000, 54_406_800]);
    }

    #[test]
    fn frame_rate_can_be_very_low_or_unknown() {
        let rate = |rate| {
            let plan = plan(&MediaInfo { frame_rate: rate, ..media_info() }, Some(&cuts([0])));
            (plan.frame_rate, plan.frame_duration())
        };
        assert_eq!([rate(Some(0.2)), rate(None)], [(Some(0.2), Some(3000)), (None, None)]);
        let inspected = Inspection { frame_rate: Some(50.0), ..inspection() };
        let unknown = MediaInfo { frame_rate: None, ..media_info() };
        let plan = Plan::new(&unknown, &inspected, Some(&cuts([0]))).unwrap();
        assert_eq!(plan.frame_rate, Some(50.0));
    }

    #[test]
    fn plan_of_an_older_release_cannot_be_read() {
        let old = r#"{"container":"mp4","scale":600,"origin":-2,"step":1,"audio":true,"frameRate":30.0,"rungs":[],"parts":[]}"#;
        assert!(serde_json::from_str::<Plan>(old).is_err());
        let plan = plan(&media_info(), Some(&cuts([0, 60_000])));
        let stored = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&stored).unwrap(), plan);
    }
}
