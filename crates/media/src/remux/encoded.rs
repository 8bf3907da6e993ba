//! Audio that players do not play: it is decoded, and encoded to AAC, one segment at a time.
//!
//! Its frames are on the grid of those of renditions: the first one starts with the presentation. Each segment is encoded
//! from samples that begin earlier and end later, so that all together have the frames of one encoding.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use super::audio::{MAX_APART, Span};
use super::media::{Sample, TrackSamples};
use super::record::Part;
use super::time::{at_or_after, nearest};
use super::{Refusal, plan};
use crate::cmaf::{self, Row};
use crate::mp4::{Decoding, STEREO_SILENCE};
use crate::rendition::{AAC_FRAME, SAMPLE_RATE, audio_samples, convert};

/// Where the presentation starts in the file that is decoded, in seconds. Samples before it have positive times, too.
pub(super) const ORIGIN: i64 = 16;
/// Bytes of an AAC frame and of its fields in a segment, at most on average.
const FRAME_SIZE: u64 = 400;
/// The most AAC frames by which segments begin after a cut: half a second.
const MAX_LATER: i64 = 24;
/// The most AAC frames of a segment: those of twice the longest one.
const MAX_FRAMES: i64 = 4096;

/// An encoded track whose segments are to be written.
pub(super) struct Lane<'a> {
    track: &'a TrackSamples,
    decoding: &'a Decoding,
    /// The delay of the track, in its ticks.
    delay: i64,
    /// The AAC frames at which segments start, and the end of the last one.
    cuts: Vec<i64>,
}

/// What is encoded for a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Encoding<T> {
    /// The initialization segment of the samples as they are.
    pub(super) init: T,
    /// The number of the segment, from 1.
    pub(super) number: u32,
    /// The numbers of its AAC frames.
    pub(super) frames: Range<i64>,
    /// When samples are presented, at 48 kHz.
    pub(super) span: Range<i64>,
}

/// Refuses a track that cannot be encoded.
pub(super) fn check(track: &TrackSamples, decoding: &Decoding, film: &Span<'_>) -> Result<(), Refusal> {
    if !track.samples.is_sorted_by_key(|sample| sample.time) {
        return Err(Refusal("TIMES"));
    }
    let film_end = at_or_after(film.end, film.scale, track.scale);
    if end(track, decoding).saturating_sub(film_end) > MAX_APART * i64::from(track.scale) {
        return Err(Refusal("AUDIO_LONGER"));
    }
    Ok(())
}

fn end(track: &TrackSamples, decoding: &Decoding) -> i64 {
    track.samples.last().map_or(0, Sample::end).min(decoding.presented.end)
}

impl<'a> Lane<'a> {
    /// Cuts a track as the film, whose delay is given in its ticks.
    pub(super) fn new(track: &'a TrackSamples, decoding: &'a Decoding, film: &Span<'_>, delay: i64) -> Self {
        let to_samples = |time: i64| convert(time.saturating_add(delay), film.scale, SAMPLE_RATE);
        let cuts = film.cuts.iter().skip(1).map(|cut| to_samples(*cut).div_euclid(AAC_FRAME));
        let film_end = at_or_after(film.end.saturating_add(delay), film.scale, SAMPLE_RATE);
        let delay = nearest(delay, film.scale, track.scale);
        let audio_end = at_or_after(end(track, decoding).saturating_add(delay), track.scale, SAMPLE_RATE);
        let end = -(-film_end.max(audio_end)).div_euclid(AAC_FRAME);
        let cuts = [0].into_iter().chain(cuts).chain([end]).collect();
        Self { track, decoding, delay, cuts }
    }

    /// Moves segments to later frames than the film's cuts, so that all samples to encode, and those of a span of `early` ticks
    /// that their decoder needs before them, are presented after the cut.
    pub(super) fn later(mut self, early: i64) -> Self {
        let usual = self.track.samples.first().map_or(0, |first| i64::from(first.duration));
        let early = at_or_after(early.saturating_add(usual), self.track.scale, SAMPLE_RATE);
        let (warm_up, _) = input(&(0..0), 0);
        let early = early.saturating_sub(warm_up).saturating_add(AAC_FRAME - 1);
        let frames = (early / AAC_FRAME + 1).min(MAX_LATER);
        let end = self.cuts.last().copied().unwrap_or(0);
        let count = i64::try_from(self.cuts.len()).unwrap_or(0);
        for (cut, i) in self.cuts.iter_mut().zip(0..).skip(1) {
            *cut = cut.saturating_add(frames).min(end.saturating_sub(count - 1 - i));
        }
        self
    }

    /// Returns what is encoded for each segment, or `None` if a segment has no frames. The span of a silent one is empty.
    pub(super) fn encodings(&self) -> Option<Vec<Encoding<Bytes>>> {
        let init = Bytes::from(self.decoding.init.clone());
        let ends = self.cuts.windows(2).zip(1u32..);
        let encoding = |(pair, number): (&[i64], u32)| {
            let frames = *pair.first()?..*pair.last()?;
            let span = self.span(&frames);
            let span = span.start..span.end.max(span.start);
            let encoding = Encoding { init: init.clone(), number, frames, span };
            encoding.is_possible().then_some(encoding)
        };
        ends.map(encoding).collect()
    }

    /// Returns when samples to encode are presented, at 48 kHz.
    fn span(&self, frames: &Range<i64>) -> Range<i64> {
        let (first, end) = input(frames, 0);
        let presented = &self.decoding.presented;
        let to_samples = |time: i64| convert(time.saturating_add(self.delay), self.track.scale, SAMPLE_RATE);
        to_samples(presented.start).max(first)..to_samples(presented.end).min(end)
    }

    /// Returns a segment and its duration.
    pub(super) fn part(&self, track: usize, segment: usize) -> Option<(Part<'a>, u64)> {
        let frames = *self.cuts.get(segment)?..*self.cuts.get(segment + 1)?;
        let number = u32::try_from(segment + 1).ok()?;
        let duration = u64::try_from((frames.end - frames.start).checked_mul(AAC_FRAME)?).ok()?;
        if duration == 0 {
            return None;
        }
        let span = self.span(&frames);
        let samples = if span.is_empty() { Vec::new() } else { self.samples(&span) };
        if samples.is_empty() {
            let (head, samples) = silence(number, &frames)?;
            let samples = Cow::Owned(samples);
            let silence = Some(STEREO_SILENCE);
            let part = Part { track, head, samples, gaps: &[], silence, encoding: None };
            return Some((part, duration));
        }
        let time = samples.first()?.time.checked_add(self.delay)?;
        let time = time.checked_add(ORIGIN * i64::from(self.track.scale))?;
        let head = cmaf::head(number, u64::try_from(time).ok()?, &rows(&samples)?);
        let encoding = Some(Encoding { init: &self.decoding.init[..], number, frames, span });
        let (samples, gaps) = (Cow::Owned(samples), &self.track.gaps[..]);
        Some((Part { track, head, samples, gaps, silence: None, encoding }, duration))
    }

    /// Returns the samples that are presented in a time span, at 48 kHz, and those before that their decoder and the
    /// conversion of the sample rate need.
    fn samples(&self, span: &Range<i64>) -> Vec<Sample> {
        let Self { track, decoding, delay, .. } = self;
        let (all, scale) = (&track.samples, i64::from(track.scale));
        let from = convert(span.start, SAMPLE_RATE, track.scale).saturating_sub(*delay);
        let until = at_or_after(span.end, SAMPLE_RATE, track.scale).saturating_sub(*delay);
        let wanted = all.partition_point(|sample| sample.end() <= from);
        let end = all.partition_point(|sample| sample.time < until);
        if wanted >= end {
            return Vec::new();
        }
        // Conversions that start whole samples of both rates apart have the same result.
        let step = scale / gcd(scale, i64::from(SAMPLE_RATE));
        let distance = |time: i64| (time - plan::first_sample(track)).rem_euclid(step);
        let Some(tick_bytes) = decoding.tick_bytes else {
            let early = from.saturating_sub(scale);
            let near = all.partition_point(|sample| sample.end() <= early).min(wanted);
            let is_near = |sample: &&Sample| sample.time > early.saturating_sub(2 * scale);
            let before = all.get(..=near).unwrap_or_default();
            let aligned =
                before.iter().rev().take_while(is_near).position(|sample| distance(sample.time) == 0);
            return all.get(near - aligned.unwrap_or(0)..end).unwrap_or_default().to_vec();
        };
        // PCM does not depend on samples before.
        let early = from.saturating_sub(scale / 20);
        let early = early.saturating_sub(distance(early));
        let begin = all.partition_point(|sample| sample.end() <= early);
        let mut samples = all.get(begin..end).unwrap_or_default().to_vec();
        if let Some(first) = samples.first_mut()
            && let Ok(skipped) = u32::try_from(early.saturating_sub(first.time))
            && let Some(bytes) = skipped.checked_mul(tick_bytes).filter(|bytes| *bytes < first.size)
        {
            first.time = first.time.max(early);
            (first.offset, first.size) = (first.offset + u64::from(bytes), first.size - bytes);
            first.duration -= skipped.min(first.duration);
        }
        samples
    }
}

/// Returns the samples at 48 kHz that the encoder needs for AAC frames, if the presentation starts after so many seconds.
pub(super) fn input(frames: &Range<i64>, origin: i64) -> (i64, i64) {
    let (first, end) = audio_samples(origin, 1, (frames.start, Some(frames.end)));
    (first, end.unwrap_or(first))
}

/// Returns the rows of samples that players do not get. Unlike those of others, they can last no time.
fn rows(samples: &[Sample]) -> Option<Vec<Row>> {
    let next = samples.iter().skip(1).map(|next| next.time).chain(samples.last().map(Sample::end));
    let row = |(sample, next): (&Sample, i64)| {
        let duration = u32::try_from(next.saturating_sub(sample.time)).ok()?;
        Some(Row { size: sample.size, duration, offset: 0, is_sync: true })
    };
    samples.iter().zip(next).map(row).collect()
}

/// Returns the boxes and the samples of a segment of silence.
pub(super) fn silence(number: u32, frames: &Range<i64>) -> Option<(Vec<u8>, Vec<Sample>)> {
    let (size, duration) = (u32::try_from(STEREO_SILENCE.len()).ok()?, u32::try_from(AAC_FRAME).ok()?);
    let count = usize::try_from(frames.end - frames.start).ok()?;
    let start = u64::try_from(frames.start.checked_mul(AAC_FRAME)?).ok()?;
    let head = cmaf::head(number, start, &vec![Row { size, duration, offset: 0, is_sync: true }; count]);
    let silence = Sample { offset: Sample::SILENCE, size, duration, time: 0, is_sync: true };
    Some((head, vec![silence; count]))
}

pub(super) fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

impl<T> Encoding<T> {
    /// Returns the approximate length of the segment in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.frames.end.abs_diff(self.frames.start).saturating_mul(FRAME_SIZE)
    }

    /// Returns the duration in samples, and the approximate length in bytes.
    pub(super) fn size(&self) -> (u64, u64) {
        (self.frames.end.abs_diff(self.frames.start).saturating_mul(AAC_FRAME.unsigned_abs()), self.bytes())
    }

    /// Returns whether the numbers are possible.
    pub(super) fn is_possible(&self) -> bool {
        let Range { start, end } = self.frames;
        (0..1 << 40).contains(&start)
            && (1..=MAX_FRAMES).contains(&(end.saturating_sub(start)))
            && self.span.start <= self.span.end
            && self.span.start.unsigned_abs() < 1 << 50
            && self.span.end.unsigned_abs() < 1 << 50
    }
}

impl Encoding<Bytes> {
    /// Returns when the samples to decode are presented, in ticks of a track that is delayed by `delay`: those that are encoded,
    /// and those of `early` ticks before.
    pub(super) fn times(&self, scale: u32, delay: i64, early: u32) -> Range<i64> {
        // The conversion of the sample rate starts a few samples earlier than it has to.
        let step = i64::from(scale) / gcd(scale.into(), SAMPLE_RATE.into());
        let start = convert(self.span.start, SAMPLE_RATE, scale).saturating_sub(step + i64::from(early));
        start.saturating_sub(delay)..at_or_after(self.span.end, SAMPLE_RATE, scale).saturating_sub(delay)
    }

    /// Returns the boxes of a fragment with samples of a track that is delayed by `delay`.
    pub(super) fn head(&self, samples: &[Sample], scale: u32, delay: i64) -> Option<Vec<u8>> {
        let Some(first) = samples.first() else { return Some(Vec::new()) };
        let time = first.time.checked_add(delay)?.checked_add(ORIGIN * i64::from(scale))?;
        Some(cmaf::head(self.number, u64::try_from(time).ok()?, &rows(samples)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mp4::Entry;

    /// Samples of this duration in a row, with a byte per tick.
    fn track(scale: u32, times: Range<i64>, duration: u32, is_pcm: bool) -> TrackSamples {
        let sample = |time: i64| Sample {
            offset: 1000 + (time - times.start).unsigned_abs(),
            size: duration,
            duration,
            time,
            is_sync: true,
        };
        let step = usize::try_from(duration).unwrap();
        let samples = times.clone().step_by(step).map(sample).collect();
        let decoding = Decoding {
            init: b"init".to_vec(),
            tick_bytes: is_pcm.then_some(1),
            presented: times.start.max(0)..i64::MAX,
        };
        let entry = Entry {
            bytes: Vec::new(),
            codec: String::new(),
            channels: 2,
            silence: None,
            units: None,
            decoding: Some(decoding),
        };
        TrackSamples { entry, scale, samples, gaps: Vec::new() }
    }

    fn decoding(track: &TrackSamples) -> &Decoding {
        track.entry.decoding.as_ref().unwrap()
    }

    /// A film of 100 ticks per second.
    const FILM: Span<'static> = Span { scale: 100, cuts: &[0, 200, 600], end: 1000 };

    fn parts(track: &TrackSamples, delay: i64) -> Vec<(Part<'_>, u64)> {
        let lane = Lane::new(track, decoding(track), &FILM, delay);
        (0..3).map(|segment| lane.part(1, segment).unwrap()).collect()
    }

    #[test]
    fn segments_have_every_frame_once() {
        for (times, delay, count) in [(0..480_000, 0, 469), (-1000..480_000, 3, 471), (0..600_000, 0, 586)] {
            let track = track(48_000, times, 1000, true);
            let mut next = 0;
            for (part, duration) in parts(&track, delay) {
                let Encoding { frames, .. } = part.encoding.unwrap();
                assert_eq!((frames.start, duration), (next, (frames.end - next).unsigned_abs() * 1024));
                next = frames.end;
            }
            assert_eq!(next, count, "up to the end of the film, or of the audio");
        }
        let track = track(48_000, 0..480_000, 1000, true);
        let starts: Vec<_> =
            parts(&track, 0).iter().map(|(part, _)| part.encoding.as_ref().unwrap().frames.start).collect();
        assert_eq!(starts, [0, 93, 281], "at or before each cut");
    }

    #[test]
    fn segments_can_begin_later_than_those_of_the_film() {
        let frames = |film: &Span<'_>, end: i64, early: i64| {
            let track = track(48_000, 0..end, 1000, false);
            let lane = Lane::new(&track, decoding(&track), film, 0).later(early);
            let all = lane.encodings().unwrap();
            all.into_iter().map(|Encoding { frames, .. }| (frames.start, frames.end)).collect::<Vec<_>>()
        };
        // All that is decoded for the second one is presented after the cut, at sample 96,000: from 4000 samples before those of
        // the four AAC frames before it on.
        assert_eq!(frames(&FILM, 480_000, 3000), [(0, 102), (102, 290), (290, 469)]);
        assert_eq!(frames(&FILM, 480_000, 1 << 40), [(0, 117), (117, 305), (305, 469)], "half a second");
        let short = Span { scale: 100, cuts: &[0, 200, 205], end: 206 };
        assert_eq!(frames(&short, 98_880, 3000), [(0, 95), (95, 96), (96, 97)], "none is empty");
    }

    #[test]
    fn pcm_starts_whole_samples_of_both_rates_apart() {
        let track = track(44_100, 50..441_050, 1024, true);
        for (part, _) in &parts(&track, 0)[1..] {
            let Encoding { span, .. } = part.encoding.as_ref().unwrap();
            let first = part.samples[0];
            assert_eq!((first.time - 50) % 147, 0);
            assert_eq!(first.offset, 1000 + (first.time - 50).unsigned_abs());
            assert_eq!(i64::from(first.size), part.samples[1].time - first.time);
            assert_eq!(first.duration, first.size);
            let early = convert(span.start, 48_000, 44_100) - first.time;
            assert!((2205..2205 + 147).contains(&early), "{early}");
            let last = part.samples.last().unwrap();
            assert!(convert(span.end, 48_000, 44_100).min(441_050) <= last.end());
        }
    }

    #[test]
    fn a_decoder_gets_earlier_samples() {
        // Every 49th frame starts whole samples of both rates apart.
        let aligned = track(44_100, 0..441_000, 1152, false);
        for (part, _) in &parts(&aligned, 0)[1..] {
            let Encoding { span, .. } = part.encoding.as_ref().unwrap();
            let early = convert(span.start, 48_000, 44_100) - part.samples[0].time;
            assert!((44_100..3 * 44_100).contains(&early), "{early}");
            assert_eq!(part.samples[0].time % 147, 0);
        }
        let long = track(44_100, 0..441_000, 44_099, false);
        let early = parts(&long, 0)[2].0.samples[0].time;
        assert_eq!(early, 4 * 44_099, "none is aligned");
        let preceding = track(48_000, -4000..480_000, 1000, false);
        assert_eq!(parts(&preceding, 0)[0].0.samples[0].time, -4000);
    }

    #[test]
    fn what_has_no_audio_is_silent_and_not_encoded() {
        let late = track(48_000, 300_000..480_000, 1000, true);
        let [(first, _), (second, _), (third, _)] = &parts(&late, 0)[..] else { panic!("three") };
        assert!(first.encoding.is_none() && first.samples.len() == 93);
        assert!(first.samples.iter().all(|sample| sample.offset == Sample::SILENCE));
        assert!(second.encoding.is_none(), "up to 5.99 s");
        assert!(third.encoding.is_some());
        let early = track(48_000, 0..90_000, 1000, true);
        let is_encoded: Vec<_> = parts(&early, 0).iter().map(|(part, _)| part.encoding.is_some()).collect();
        assert_eq!(is_encoded, [true, false, false]);
    }

    #[test]
    fn impossible_tracks_are_refused() {
        let refusal = |track: &TrackSamples| check(track, decoding(track), &FILM).err();
        assert_eq!(refusal(&track(48_000, 0..960_000, 1000, true)), None);
        assert_eq!(refusal(&track(48_000, 0..961_000, 1000, true)), Some(Refusal("AUDIO_LONGER")));
        let mut back = track(48_000, 0..480_000, 1000, true);
        back.samples.swap(3, 4);
        assert_eq!(refusal(&back), Some(Refusal("TIMES")));
        // Far before the presentation.
        let before = track(48_000, -4_800_000..48_000, 960_000, false);
        let lane = Lane::new(&before, decoding(&before), &FILM, 0);
        assert!(lane.part(1, 0).is_none());
    }
}
