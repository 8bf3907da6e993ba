//! Makes the segments of a time span whose samples are not listed: the blocks of a range of the object contain them.

mod sound;

use std::ops::Range;

use bytes::{Bytes, BytesMut};

pub(crate) use self::sound::{Padding, Sound};
use super::encodable::Encodable;
use super::encoded::Encoding;
use super::media::Sample;
use super::plan::{rows_of_audio, rows_of_film};
use super::read::Reads;
use super::time::nearest;
use super::{Refusal, Segments, Unplayable, cuts};
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
    /// The boxes before the samples.
    head: Vec<u8>,
    samples: Vec<Sample>,
    silence: Bytes,
    /// What is encoded of the samples, if players do not play them.
    encoding: Option<Encoding<Bytes>>,
}

impl Span {
    /// Reads the range and returns the segments of all tracks.
    pub(super) async fn segments(&self, source: &Source) -> Result<Segments, Unplayable> {
        let mut margin = self.margin();
        let mut read = self.range.start..self.range.end.saturating_add(margin).min(self.limit);
        let mut bytes = fetch(source, read.clone()).await?;
        loop {
            let numbers = [self.film].into_iter().chain(self.audio.iter().map(|sound| sound.number));
            let at = (read.start, bytes.clone());
            let found = matroska::blocks_of(source, at, self.limit, numbers).await?;
            let (has_start, has_end) = (read.start <= self.before, read.end >= self.limit);
            match self.lanes(found, has_end, (has_start, has_end || margin > MAX_MARGIN)) {
                Ok(lanes) => return Self::write(&lanes, read.start, &bytes),
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

    /// Returns how many bytes to read after the range.
    fn margin(&self) -> u64 {
        let len = self.range.end - self.range.start;
        let usual = len / 8 + MARGIN;
        // Segments of audio that is encoded end later than those of the film.
        let later = |sound: &Sound| {
            let end = sound.encoding.as_ref()?.times(self.scale, self.delay, 0).end;
            let later = u64::try_from(end.saturating_sub(self.times.end)).ok()?;
            len.checked_mul(later)?.checked_div(self.times.end.abs_diff(self.times.start))
        };
        let later = self.audio.iter().filter_map(later).max().unwrap_or(0);
        usual.saturating_add(later.min(len))
    }

    /// Chooses the samples among those that were read. `has_end` tells whether these are all up to the end of the film, and
    /// `is_all` whether no more can be read before, or after, for audio that is encoded.
    fn lanes(&self, found: Vec<Listed>, has_end: bool, is_all: (bool, bool)) -> Result<Vec<Lane>, Lack> {
        let mut found = found.into_iter();
        let Some(film) = found.next() else { return Err(Refusal("NO_INDEX").into()) };
        let samples = self.frames(&film.samples, has_end, is_all.0)?;
        cuts::clean_keyframes(&samples)?;
        let factor = i64::from(self.factor);
        let times: Vec<i64> = samples.iter().map(|sample| sample.time.saturating_mul(factor)).collect();
        let end = self.times.end.saturating_mul(factor);
        let decoded = cmaf::decode_times(&times, end).ok_or(Refusal("TIMES"))?;
        let rows = rows_of_film(&samples, &decoded, self.times.end, self.factor).ok_or(Refusal("TIMES"))?;
        let start = self.times.start.saturating_add(self.delay).saturating_mul(factor);
        let head = self.head(start, &rows)?;
        let mut lanes = vec![Lane { head, samples, silence: Bytes::new(), encoding: None }];
        for (sound, listed) in self.audio.iter().zip(found) {
            let scale = sound.clock.scale;
            let delay = nearest(self.delay, self.scale, scale);
            if let Some(encoding) = &sound.encoding {
                let times = encoding.times(scale, delay, sound.early);
                let samples = sound.to_decode(listed, &times, is_all)?;
                let head = encoding.head(&samples, scale, delay).ok_or(Refusal("TIMES"))?;
                let mut encoding = encoding.clone();
                if samples.is_empty() {
                    encoding.span.end = encoding.span.start;
                }
                lanes.push(Lane { head, samples, silence: Bytes::new(), encoding: Some(encoding) });
                continue;
            }
            let samples = sound.samples(listed, self)?;
            let decoded = samples.first().map_or(0, |first| first.time).saturating_add(delay);
            let rows = rows_of_audio(&samples).ok_or(Refusal("TIMES"))?;
            let silence = sound.padding.as_ref().map_or_else(Bytes::new, |padding| padding.frame.clone());
            lanes.push(Lane { head: self.head(decoded, &rows)?, samples, silence, encoding: None });
        }
        Ok(lanes)
    }

    /// Returns the boxes of a segment that is decoded from a time on.
    fn head(&self, decoded: i64, rows: &[Row]) -> Result<Vec<u8>, Refusal> {
        Ok(cmaf::head(self.number, u64::try_from(decoded).map_err(|_| Refusal("TIMES"))?, rows))
    }

    /// Returns the frames of the film from the first one to that of the next span.
    fn frames(&self, all: &[Sample], has_end: bool, has_start: bool) -> Result<Vec<Sample>, Lack> {
        let start = all.iter().position(|frame| frame.is_sync && frame.time == self.key);
        // A cue can have a wrong position.
        let lack = if has_start { Lack::After } else { Lack::Before };
        let rest = start.and_then(|start| all.get(start..)).ok_or(lack)?;
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
    fn write(lanes: &[Lane], at: u64, bytes: &Bytes) -> Result<Segments, Unplayable> {
        let mut segments = Segments::default();
        for (track, lane) in lanes.iter().enumerate() {
            let segment = lane.segment(at, bytes).ok_or(Refusal("TIMES"))?;
            match lane.encoding.clone() {
                None => segments.complete.push((track, segment)),
                Some(encoding) => {
                    segments.encodable.push((track, Encodable { encoding, fragment: segment }));
                }
            }
        }
        Ok(segments)
    }
}

impl Lane {
    fn segment(&self, at: u64, bytes: &Bytes) -> Option<Bytes> {
        let media = self.samples.iter().map(|sample| sample.size as usize).sum::<usize>();
        let mut segment = BytesMut::with_capacity(self.head.len() + media);
        segment.extend_from_slice(&self.head);
        for sample in &self.samples {
            if sample.offset == Sample::SILENCE {
                segment.extend_from_slice(&self.silence);
            } else {
                let start = usize::try_from(sample.offset.checked_sub(at)?).ok()?;
                segment.extend_from_slice(bytes.get(start..)?.get(..sample.size as usize)?);
            }
        }
        Some(segment.freeze())
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
