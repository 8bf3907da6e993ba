//! The audio of a time span.

use std::ops::Range;

use bytes::Bytes;

use super::{Lack, MAX_SAMPLES, Span};
use crate::matroska::{Clock, Listed};
use crate::remux::Refusal;
use crate::remux::encoded::Encoding;
use crate::remux::media::{MAX_TIME, Sample};
use crate::remux::time::at_or_after;

/// An audio track. All times are in its own ticks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sound {
    /// The number of the track.
    pub(crate) number: u64,
    pub(crate) clock: Clock,
    /// The time of the first frame.
    pub(crate) first: i64,
    /// The time span of the last frame.
    pub(crate) last: Range<i64>,
    /// Silent frames around the audio, if silence of this codec is known.
    pub(crate) padding: Option<Padding>,
    /// The time before the samples to encode of which the decoder needs those, too.
    pub(crate) early: u32,
    /// What is encoded for the segment, if players do not play the samples.
    pub(crate) encoding: Option<Encoding<Bytes>>,
}

/// The silent frames around the audio of a track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Padding {
    pub(crate) frame: Bytes,
    /// Ticks of a frame; never zero.
    pub(crate) duration: u32,
    /// Frames before the first one of the track, and after its last one.
    pub(crate) before: u32,
    pub(crate) after: u32,
}

impl Padding {
    fn at(&self, time: i64) -> Sample {
        let size = u32::try_from(self.frame.len()).unwrap_or(0);
        Sample { offset: Sample::SILENCE, size, duration: self.duration, time, is_sync: true }
    }
}

impl Sound {
    /// Returns the samples of a span among those that were read: from the first one at or after its start to that of the next
    /// span. The first span has all before, too, and the last one all after.
    pub(super) fn samples(&self, listed: Listed, span: &Span) -> Result<Vec<Sample>, Lack> {
        let cut = |time: i64| at_or_after(time, span.scale, self.clock.scale);
        let from = if span.number == 1 { i64::MIN } else { cut(span.times.start) };
        let until = if span.is_last { i64::MAX } else { cut(span.times.end) };
        let found = self.clock.times(listed, self.first);
        self.check(&found, from, until)?;
        let mut samples = self.with_silence(&found, from, until)?;
        let begin = samples.iter().position(|sample| sample.time >= from).unwrap_or(samples.len());
        samples.drain(..begin);
        let end = samples.iter().position(|sample| sample.time >= until);
        let next = end.and_then(|end| samples.get(end)).map(|next| next.time);
        samples.truncate(end.unwrap_or(samples.len()));
        self.clock.adjoin(&mut samples);
        if let (Some(last), Some(next)) = (samples.last_mut(), next) {
            last.duration = u32::try_from(next.saturating_sub(last.time)).unwrap_or(0);
        }
        if samples.iter().any(|sample| sample.time.unsigned_abs() >= MAX_TIME.unsigned_abs()) {
            return Err(Refusal("TIMES").into());
        }
        match samples.len() {
            0 => Err(Refusal("AUDIO_GAP").into()),
            1..=MAX_SAMPLES => Ok(samples),
            _ => Err(Refusal("SEGMENT_TOO_LARGE").into()),
        }
    }

    /// Returns the samples that are decoded for a segment among those that were read, which `has_start` tells to be all that can
    /// be read before, and `has_end` all after. Those that are missing are silent.
    pub(super) fn to_decode(
        &self,
        listed: Listed,
        times: &Range<i64>,
        (has_start, has_end): (bool, bool),
    ) -> Result<Vec<Sample>, Lack> {
        let mut found = self.clock.times(listed, self.first);
        if times.is_empty() || self.last.end <= times.start || self.first >= times.end {
            return Ok(Vec::new());
        }
        if !has_end && found.last().is_none_or(|last| last.time < times.end.min(self.last.start)) {
            return Err(Lack::After);
        }
        let is_late = |first: &Sample| first.time > times.start.max(self.first);
        if !has_start && found.first().is_some_and(is_late) {
            return Err(Lack::Before);
        }
        let mut latest = i64::MIN;
        found.retain(|sample| {
            // Where several files were joined, times can go back.
            let is_next = sample.time >= latest;
            latest = latest.max(sample.time);
            is_next && sample.end() > times.start && sample.time < times.end
        });
        if found.iter().any(|sample| sample.time.unsigned_abs() >= MAX_TIME.unsigned_abs()) {
            return Err(Refusal("TIMES").into());
        }
        if found.len() > MAX_SAMPLES { Err(Refusal("SEGMENT_TOO_LARGE").into()) } else { Ok(found) }
    }

    /// Checks that no sample of a span can be missing, as those of a track are stored in the order of time.
    fn check(&self, found: &[Sample], from: i64, until: i64) -> Result<(), Lack> {
        if self.last.start < from || self.first >= until {
            return Ok(());
        }
        if found.last().is_none_or(|last| last.time < until.min(self.last.start)) {
            return Err(Lack::After);
        }
        // The frame before the first one that was found is as long as that.
        let adjoins = |first: &Sample| {
            let length = i64::from(first.duration.max(1));
            let is_exact = first.time.saturating_sub(self.first).rem_euclid(length) == 0;
            let slack = if is_exact { 0 } else { self.clock.slack() };
            first.time.saturating_sub(length).saturating_add(slack) < from
        };
        if self.first < from && !found.first().is_some_and(adjoins) {
            return Err(Lack::Before);
        }
        Ok(())
    }

    /// Adds silence in gaps, before the first frame of the track, and after its last one.
    fn with_silence(&self, found: &[Sample], from: i64, until: i64) -> Result<Vec<Sample>, Refusal> {
        let mut samples = Vec::with_capacity(found.len());
        let step = |padding: &Padding| i64::from(padding.duration.max(1));
        if let Some(padding) = &self.padding
            && self.first > from
        {
            let missing = self.first.saturating_sub(from) / step(padding);
            let count = missing.min(padding.before.into());
            let times = (1..=count).rev().map(|i| self.first.saturating_sub(i * step(padding)));
            samples.extend(up_to(times, until).map(|time| padding.at(time)));
        }
        for (i, sample) in found.iter().enumerate() {
            samples.push(*sample);
            let gap = found.get(i + 1).map_or(0, |next| next.time.saturating_sub(sample.end()));
            if gap > i64::from(self.clock.scale) / 10 {
                let padding = self.padding.as_ref().ok_or(Refusal("AUDIO_GAP"))?;
                let count = gap / step(padding);
                let times = (0..count).map(|i| sample.end().saturating_add(i * step(padding)));
                samples.extend(up_to(times, until).map(|time| padding.at(time)));
            }
        }
        if let Some(padding) = &self.padding
            && self.last.start < until
        {
            let start = self.last.end;
            let early = from.saturating_sub(start).max(0);
            let skipped = early / step(padding) + i64::from(early % step(padding) > 0);
            let times = (skipped..padding.after.into())
                .map(|i| start.saturating_add(i.saturating_mul(step(padding))));
            samples.extend(up_to(times, until).map(|time| padding.at(time)));
        }
        Ok(samples)
    }

    /// Returns the time of the first sample of the span that starts at `cut`, if no audio is missing.
    pub(in crate::remux) fn begin(&self, cut: i64) -> i64 {
        let up = |time: i64, origin: i64, length: i64| {
            let distance = time.saturating_sub(origin).saturating_add(length - 1);
            origin.saturating_add(distance.div_euclid(length) * length)
        };
        match &self.padding {
            Some(padding)
                if padding.before > 0 && cut < self.first || padding.after > 0 && cut > self.last.end =>
            {
                let origin = if cut < self.first { self.first } else { self.last.end };
                up(cut, origin, padding.duration.max(1).into())
            }
            _ => up(cut, self.first, (self.last.end - self.last.start).max(1)),
        }
    }

    /// Returns when audio begins and ends, with the silence around it.
    pub(in crate::remux) fn times(&self) -> Range<i64> {
        let silence = |count: fn(&Padding) -> u32| {
            self.padding.as_ref().map_or(0, |padding| i64::from(count(padding)) * i64::from(padding.duration))
        };
        self.first - silence(|padding| padding.before)..self.last.end + silence(|padding| padding.after)
    }
}

/// Returns ascending times up to the first one that is not before `until`, but not more than a segment can have.
fn up_to(times: impl Iterator<Item = i64>, until: i64) -> impl Iterator<Item = i64> {
    let mut is_over = false;
    let times = times.take_while(move |time| !std::mem::replace(&mut is_over, *time >= until));
    times.take(MAX_SAMPLES + 1)
}
