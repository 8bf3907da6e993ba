//! Makes the segments of a time span whose samples are not listed: the blocks of a range of the object contain them.

mod sound;

use std::ops::Range;

use bytes::{Bytes, BytesMut};

pub(crate) use self::sound::{Padding, Sound};
use super::media::Sample;
use super::plan::{rows_of_audio, rows_of_film};
use super::read::Reads;
use super::time::nearest;
use super::{Refusal, Unplayable, cuts};
use crate::cmaf::{self, Row};
use crate::matroska::{self, Listed};
use crate::source::{self, Source};

/// Bytes to read after the range at least, because audio of its time is stored there.
const MARGIN: u64 = 32 << 10;
/// The largest further read.
const MAX_MARGIN: u64 = 8 << 20;
/// Most bytes that are read.
pub(super) const MAX_READ: u64 = 96 << 20;
/// Limit of samples of a segment.
const MAX_SAMPLES: usize = 1 << 16;

/// Where the samples of a time span are, and when they are presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    /// The number of its segments, from 1.
    pub(crate) number: u32,
    pub(crate) is_last: bool,
    /// From the first frame to that of the next span, or to the end of the film, in ticks of the film.
    pub(crate) times: Range<i64>,
    /// The time of the first frame in the file. It can be presented earlier.
    pub(crate) key: i64,
    /// The delay of all tracks, in ticks of the film.
    pub(crate) delay: i64,
    /// The number of the film's track.
    pub(crate) film: u64,
    /// Ticks per second of the film, and the factor for the timescale of its segments.
    pub(crate) scale: u32,
    pub(crate) factor: u32,
    /// From the Cluster with the first frame to that of the next span.
    pub(crate) range: Range<u64>,
    /// An earlier Cluster. Reading starts there if audio of this span is stored before its first frame.
    pub(crate) before: u64,
    /// The end of the last Cluster of the film.
    pub(crate) limit: u64,
    pub(crate) audio: Vec<Sound>,
}

/// What has to be read in addition.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lack {
    Before,
    After,
    Unplayable(Refusal),
}

impl From<Refusal> for Lack {
    fn from(refusal: Refusal) -> Self {
        Self::Unplayable(refusal)
    }
}

/// A segment of a track.
struct Lane {
    samples: Vec<Sample>,
    rows: Vec<Row>,
    decoded: i64,
    silence: Bytes,
}

impl Span {
    /// Reads the range and returns the segments of all tracks: the position of the track, and the bytes.
    pub(super) async fn segments(&self, source: &Source) -> Result<Vec<(usize, Bytes)>, Unplayable> {
        let mut margin = (self.range.end - self.range.start) / 8 + MARGIN;
        let mut read = self.range.start..self.range.end.saturating_add(margin).min(self.limit);
        let mut bytes = fetch(source, read.clone()).await?;
        loop {
            let numbers = [self.film].into_iter().chain(self.audio.iter().map(|sound| sound.number));
            let at = (read.start, bytes.clone());
            let found = matroska::blocks_of(source, at, self.limit, numbers).await?;
            match self.lanes(found, read.end >= self.limit) {
                Ok(lanes) => return self.write(&lanes, read.start, &bytes),
                Err(Lack::Before) if self.before < read.start => {
                    bytes = joined(&fetch(source, self.before..read.start).await?, &bytes);
                    read.start = self.before;
                }
                Err(Lack::Before) => return Err(Refusal("AUDIO_GAP").into()),
                Err(Lack::After) if read.end < self.limit && margin <= MAX_MARGIN => {
                    margin *= 2;
                    let end = read.end.saturating_add(margin).min(self.limit);
                    bytes = joined(&bytes, &fetch(source, read.end..end).await?);
                    read.end = end;
                }
                Err(Lack::After) => return Err(Refusal("NO_INDEX").into()),
                Err(Lack::Unplayable(refusal)) => return Err(refusal.into()),
            }
            if read.end - read.start > MAX_READ {
                return Err(Refusal("SEGMENT_TOO_LARGE").into());
            }
        }
    }

    /// Chooses the samples among those that were read. `has_end` tells whether these are all up to the end of the film.
    fn lanes(&self, found: Vec<Listed>, has_end: bool) -> Result<Vec<Lane>, Lack> {
        let mut found = found.into_iter();
        let Some(film) = found.next() else { return Err(Refusal("NO_INDEX").into()) };
        let samples = self.frames(&film.samples, has_end)?;
        cuts::clean_keyframes(&samples)?;
        let factor = i64::from(self.factor);
        let times: Vec<i64> = samples.iter().map(|sample| sample.time.saturating_mul(factor)).collect();
        let end = self.times.end.saturating_mul(factor);
        let decoded = cmaf::decode_times(&times, end).ok_or(Refusal("TIMES"))?;
        let rows = rows_of_film(&samples, &decoded, self.times.end, self.factor).ok_or(Refusal("TIMES"))?;
        let start = self.times.start.saturating_add(self.delay).saturating_mul(factor);
        let mut lanes = vec![Lane { samples, rows, decoded: start, silence: Bytes::new() }];
        for (sound, listed) in self.audio.iter().zip(found) {
            let samples = sound.samples(listed, self)?;
            let delay = nearest(self.delay, self.scale, sound.clock.scale);
            let decoded = samples.first().map_or(0, |first| first.time).saturating_add(delay);
            let rows = rows_of_audio(&samples).ok_or(Refusal("TIMES"))?;
            let silence = sound.padding.as_ref().map_or_else(Bytes::new, |padding| padding.frame.clone());
            lanes.push(Lane { samples, rows, decoded, silence });
        }
        Ok(lanes)
    }

    /// Returns the frames of the film from the first one to that of the next span.
    fn frames(&self, all: &[Sample], has_end: bool) -> Result<Vec<Sample>, Lack> {
        let start = all.iter().position(|frame| frame.is_sync && frame.time == self.key);
        let rest = start.and_then(|start| all.get(start..)).ok_or(Lack::After)?;
        let next = rest.iter().position(|frame| frame.is_sync && frame.time == self.times.end);
        let end = if self.is_last { has_end.then_some(rest.len()) } else { next };
        let mut frames = rest.get(..end.ok_or(Lack::After)?).unwrap_or_default().to_vec();
        let Some((first, others)) = frames.split_first_mut() else { return Err(Refusal("TIMES").into()) };
        if others.iter().any(|frame| frame.time <= first.time || frame.time >= self.times.end) {
            return Err(Refusal("OPEN_GOP").into());
        }
        first.time = self.times.start;
        if frames.len() > MAX_SAMPLES {
            return Err(Refusal("SEGMENT_TOO_LARGE").into());
        }
        Ok(frames)
    }

    /// Writes the segments of samples in `bytes`, which are at an offset of the object.
    fn write(&self, lanes: &[Lane], at: u64, bytes: &Bytes) -> Result<Vec<(usize, Bytes)>, Unplayable> {
        let segment = |(track, lane): (usize, &Lane)| {
            let head = cmaf::head(self.number, u64::try_from(lane.decoded).ok()?, &lane.rows);
            let media = lane.samples.iter().map(|sample| sample.size as usize).sum::<usize>();
            let mut segment = BytesMut::with_capacity(head.len() + media);
            segment.extend_from_slice(&head);
            for sample in &lane.samples {
                if sample.offset == Sample::SILENCE {
                    segment.extend_from_slice(&lane.silence);
                } else {
                    let start = usize::try_from(sample.offset.checked_sub(at)?).ok()?;
                    segment.extend_from_slice(bytes.get(start..)?.get(..sample.size as usize)?);
                }
            }
            Some((track, segment.freeze()))
        };
        Ok(lanes.iter().enumerate().map(segment).collect::<Option<_>>().ok_or(Refusal("TIMES"))?)
    }
}

async fn fetch(source: &Source, range: Range<u64>) -> Result<Bytes, source::Error> {
    let Some(reads) = Reads::plan(vec![range.clone()]) else { return Err(source::Error::Limit) };
    let fetched = reads.fetch(source).await?;
    let mut bytes = BytesMut::with_capacity(usize::try_from(range.end - range.start).unwrap_or(0));
    fetched.copy(&range, &mut bytes);
    Ok(bytes.freeze())
}

fn joined(a: &Bytes, b: &Bytes) -> Bytes {
    [&a[..], &b[..]].concat().into()
}
