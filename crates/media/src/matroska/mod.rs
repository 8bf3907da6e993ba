//! Matroska and WebM (RFC 9559, RFC 8794).
//!
//! Opening takes the first read, as a rule: what describes the file comes first, and a `SeekHead` says where
//! the rest is. The Cues, read when keyframes are wanted, give the place of a keyframe's block in a Cluster;
//! its start is read to know its end. Nothing in a file is trusted: what is read is bounded by constants, and
//! what is walked by what was read.

mod clusters;
mod codecs;
mod cues;
mod ebml;
mod layout;
mod scan;
mod tracks;
mod window;
mod wrap;

use std::ops::Range;

use bytes::Bytes;
use upreel_core::video::Facts;

use self::ebml::{child, id};
use self::layout::{DocType, Layout};
use crate::index::{Error, Keyframe};
use crate::source::{Source, in_parallel};

/// Some ten hours with a cue for each second and track.
const CUES_MAX: u64 = 4 << 20;
/// What is read with the start of the Cues: mostly all of them, and the end of the file.
const CUES_AHEAD: u64 = 128 << 10;
/// More keyframes would take more requests than a source allows.
const KEYFRAMES_MAX: usize = 500;

/// The first video track, and what finds its keyframes.
#[derive(Debug)]
pub(crate) struct Track {
    doc_type: DocType,
    number: u64,
    /// The whole `TrackEntry` element.
    entry: Bytes,
    /// Nanoseconds of a tick.
    scale: u64,
    duration_ms: Option<u64>,
    /// The data of the Segment.
    segment: Range<u64>,
    /// No cluster starts before.
    clusters: u64,
    /// Where the Cues may be.
    cues: Option<u64>,
}

pub(crate) async fn open(source: &Source) -> Result<(Facts, Track), Error> {
    let layout = Layout::read(source).await?;
    let at = layout.tracks.ok_or(Error::Unknown("no Tracks before the first Cluster, nor in a SeekHead"))?;
    let tracks = layout.master(source, at, id::TRACKS).await?;
    let tracks = tracks::parse(&tracks.ok_or(Error::Unknown("Tracks are damaged or too large"))?);
    let video = tracks.video.ok_or(Error::NoVideo)?;
    let info = match layout.info {
        Some(at) => layout.master(source, at, id::INFO).await?.unwrap_or_default(),
        None => Bytes::new(),
    };
    let scale = child(&info, id::TIMESTAMP_SCALE).and_then(ebml::uint).filter(|scale| *scale > 0);
    let scale = scale.unwrap_or(1_000_000);
    let mut track = Track {
        doc_type: layout.doc_type,
        number: video.number,
        entry: video.entry,
        scale,
        duration_ms: child(&info, id::DURATION)
            .and_then(ebml::float)
            .and_then(|ticks| duration(ticks, scale)),
        segment: layout.segment,
        clusters: layout.clusters,
        cues: layout.cues,
    };
    if track.duration_ms.is_none() {
        let frame = video.frame.unwrap_or(0) / 1_000_000;
        track.duration_ms = track.end(source, frame).await?;
    }
    let audio_codec = tracks.audio.map(Into::into);
    Ok((Facts { duration_ms: track.duration_ms, audio_codec, ..video.facts }, track))
}

impl Track {
    pub(crate) async fn keyframes(&self, source: &Source, n: usize) -> Result<Vec<Keyframe>, Error> {
        let n = n.min(KEYFRAMES_MAX);
        let mut found = self.cued(source, n).await?;
        if found.is_empty() {
            found = self.scan(source, n).await?;
        }
        Ok(found)
    }

    /// Keyframes by the Cues; none if there are no Cues, or useless ones.
    async fn cued(&self, source: &Source, n: usize) -> Result<Vec<Keyframe>, Error> {
        let Some(at) = self.cues else { return Ok(Vec::new()) };
        let range = at..self.segment.end;
        let bytes = layout::data(source, range, id::CUES, CUES_MAX, CUES_AHEAD).await?.unwrap_or_default();
        let cues = cues::parse(&bytes, self.number);
        let times: Vec<_> =
            cues.iter().map(|cue| ticks_to_ms(cue.time, self.scale).unwrap_or(u64::MAX)).collect();
        let duration = self.duration_ms.or(times.last().copied()).unwrap_or(0);
        let chosen: Vec<_> = cues::spread(&times, duration, n)
            .into_iter()
            .filter_map(|i| cues.get(i))
            .map(|cue| self.locate(source, *cue))
            .collect();
        let mut found: Vec<_> = in_parallel(chosen).await?.into_iter().flatten().collect();
        found.sort_by_key(|keyframe| keyframe.time_ms);
        found.dedup();
        Ok(found)
    }
}

/// Milliseconds of some ticks of `scale` nanoseconds.
fn ticks_to_ms(ticks: u64, scale: u64) -> Option<u64> {
    u64::try_from(u128::from(ticks) * u128::from(scale) / 1_000_000).ok()
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is rounded"
)]
fn duration(ticks: f64, scale: u64) -> Option<u64> {
    let ms = (ticks * scale as f64 / 1e6).round();
    // A year: more is nonsense.
    (ms > 0.0 && ms < 366.0 * 86_400_000.0).then_some(ms as u64)
}
