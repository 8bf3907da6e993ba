//! Makes a segment index of a film whose samples are not listed.

use bytes::Bytes;
use upreel_core::video::MediaInfo;

use super::audio::{self, Missing};
use super::encoded::{self, Encoding};
use super::media::{self, Audio, Film, MAX_SAMPLES, Sample, TrackSamples};
use super::plan::{self, audio_track, first_time, keep_possible, start_together, video_track};
use super::span::{Padding, Sound, Span};
use super::{Refusal, Remux, SegmentEntry, Timeline, cuts, record};
use crate::matroska::Clock;
use crate::remux::time::at_or_after;

/// Ticks per second of the segments of the film at least, so that decode times find room between presentation times.
const MIN_SCALE: u32 = 10_000;
/// Bytes of the boxes of a segment at most, without the fields of its samples.
const HEAD: u64 = 160;
/// Bytes of the fields of a sample at most, beyond those of a block in Matroska.
const FIELDS: u64 = 12;
/// Frames per second to assume if that is not known.
const ASSUMED_RATE: f64 = 60.0;

/// What a container tells about a film without listing its samples.
#[derive(Debug, Clone)]
pub(crate) struct Outline {
    /// The keyframes. Each has the duration and the bytes up to the next one, and the offset of its Cluster.
    pub(crate) film: Film,
    /// The number of its track.
    pub(crate) number: u64,
    /// Nanoseconds per tick.
    pub(crate) tick: u64,
    /// Where the last Cluster ends.
    pub(crate) limit: u64,
    pub(crate) audio: Vec<OutlinedAudio>,
}

/// An audio track, with its first and its last samples.
#[derive(Debug, Clone)]
pub(crate) struct OutlinedAudio {
    pub(crate) audio: Audio,
    /// The number of the track.
    pub(crate) number: u64,
    pub(crate) clock: Clock,
    /// Bytes of a sample on average.
    pub(crate) frame_size: u64,
    /// The number of samples before those that are wanted that a decoder needs.
    pub(crate) warm_up: u32,
}

/// An audio track to be written.
struct Lane {
    sound: Sound,
    audio: Audio,
    frame_size: u64,
    /// What is encoded for each segment, if players do not play the samples.
    encodings: Option<Vec<Encoding<Bytes>>>,
}

impl Outline {
    /// Adds `skipped` bytes to all offsets.
    pub(super) fn shift(&mut self, skipped: u64) {
        for sample in &mut self.film.track.samples {
            sample.offset = sample.offset.saturating_add(skipped);
        }
        self.limit = self.limit.saturating_add(skipped);
    }

    /// Makes the segment index of an object with this entity tag and size.
    pub(super) fn plan(self, facts: &MediaInfo, object: (&str, u64)) -> Result<Remux, Refusal> {
        let Self { mut film, number, tick, limit, mut audio } = self;
        media::check(&film.track.samples, object.1)?;
        keep_possible(&mut audio, |audio| media::check(&audio.audio.track.samples, object.1))?;
        let key = first_time(&film.track);
        start_together(&mut film.track, audio.iter().map(|audio| &audio.audio.track))?;
        let (scale, end) = (film.track.scale, plan::end(&film));
        let starts = cuts::choose(&film.track.samples, scale, end)?;
        let keyframes = &film.track.samples;
        let cuts: Vec<i64> =
            starts.iter().filter_map(|start| keyframes.get(*start)).map(|start| start.time).collect();
        let span = audio::Span { scale, cuts: &cuts, end };
        keep_possible(&mut audio, |audio| sound(audio, &span).map(|_| ()))?;
        let lanes = audio.into_iter().map(|audio| {
            let sound = sound(&audio, &span)?;
            Ok(Lane { sound, audio: audio.audio, frame_size: audio.frame_size, encodings: None })
        });
        let mut lanes: Vec<Lane> = lanes.collect::<Result<_, Refusal>>()?;

        let begin = |Lane { sound, audio, .. }: &Lane| match audio.track.entry.decoding {
            Some(_) => first_time(&audio.track),
            None => sound.times().start,
        };
        let early = lanes.iter().map(|lane| at_or_after(-begin(lane), lane.audio.track.scale, scale));
        let delay = early.chain([-first_time(&film.track)]).max().unwrap_or(0);
        for Lane { sound, audio, encodings, .. } in &mut lanes {
            if let Some(decoding) = &audio.track.entry.decoding {
                let lane = encoded::Lane::new(&audio.track, decoding, &span, delay).later(sound.early.into());
                *encodings = Some(lane.encodings().ok_or(Refusal("TIMES"))?);
            }
        }
        let factors = std::iter::successors(Some(1u32), |factor| Some(factor * 2));
        let factor = factors.take(32).find(|factor| scale.saturating_mul(*factor) >= MIN_SCALE);
        let factor = factor.filter(|factor| scale.checked_mul(*factor).is_some()).ok_or(Refusal("TIMES"))?;
        let mut tracks = vec![video_track(&film, facts, scale * factor)];
        tracks.extend(lanes.iter().map(|lane| audio_track(&lane.audio.track, lane.audio.language.clone())));
        let timeline = Timeline { scale, origin: -delay, cuts: cuts.clone(), end };
        let mut remux = Remux { records: Bytes::new(), tracks, timeline };

        let mut records = Vec::new();
        for (i, start) in starts.iter().enumerate() {
            let next = starts.get(i + 1).and_then(|next| keyframes.get(*next));
            let before = keyframes.get(start.saturating_sub(1));
            let (Some(first), Some(before)) = (keyframes.get(*start), before) else { continue };
            let span = Span {
                number: u32::try_from(i + 1).map_err(|_| Refusal("TOO_LONG"))?,
                is_last: next.is_none(),
                times: first.time..next.map_or(end, |next| next.time),
                key: if i == 0 { key } else { first.time },
                delay,
                film: number,
                scale,
                factor,
                range: first.offset..next.map_or(limit, |next| next.offset),
                before: before.offset,
                limit,
                audio: lanes.iter().map(|lane| lane.of_segment(i)).collect(),
            };
            let record = record::write_span(&mut records, object, tick, &span)?;
            let sizes = entries(&span, facts.frame_rate.unwrap_or(ASSUMED_RATE), &lanes, i);
            for (track, (duration, bytes)) in remux.tracks.iter_mut().zip(sizes) {
                track.segments.push(SegmentEntry { duration, record: record.clone(), bytes });
            }
        }
        remux.records = records.into();
        Ok(remux)
    }
}

impl Lane {
    /// Returns what a record has to tell of the track.
    fn of_segment(&self, segment: usize) -> Sound {
        let encoding = self.encodings.as_ref().and_then(|all| all.get(segment)).cloned();
        Sound { encoding, ..self.sound.clone() }
    }
}

/// Returns the duration and the approximate bytes of the segments of a span. All together have no more bytes than that.
fn entries(span: &Span, rate: f64, lanes: &[Lane], segment: usize) -> Vec<(u64, u64)> {
    let of_audio = |Lane { sound, audio, frame_size, .. }: &Lane| {
        let cut = |time: i64| sound.begin(at_or_after(time, span.scale, audio.track.scale));
        let begin = if span.number == 1 { sound.times().start } else { cut(span.times.start) };
        let end = if span.is_last { sound.times().end } else { cut(span.times.end) };
        let duration = u64::try_from(end.saturating_sub(begin)).unwrap_or(0);
        let length = audio.track.samples.first().map_or(1, |first| first.duration.max(1));
        // Silence takes few bytes.
        let stored = end.min(sound.last.end).saturating_sub(begin.max(sound.first));
        let frames = u64::try_from(stored).unwrap_or(0) / u64::from(length);
        (duration, frames.saturating_mul(*frame_size), frames)
    };
    let audio: Vec<(u64, u64, u64)> = lanes.iter().map(of_audio).collect();
    let others = audio.iter().fold(0u64, |sum, (_, bytes, _)| sum.saturating_add(*bytes));
    let boxes = |samples: u64| samples.saturating_mul(FIELDS).saturating_add(HEAD);
    let ticks = u64::try_from(span.times.end - span.times.start).unwrap_or(0);
    let frames = frames(ticks, span.scale, rate);
    let film = (span.range.end - span.range.start).saturating_sub(others).saturating_add(boxes(frames));
    let made = lanes.iter().zip(audio).map(|(lane, (duration, bytes, samples))| {
        let encoding = lane.encodings.as_ref().and_then(|all| all.get(segment));
        encoding.map_or_else(|| (duration, bytes.saturating_add(boxes(samples))), Encoding::size)
    });
    std::iter::once((ticks * u64::from(span.factor), film)).chain(made).collect()
}

/// Estimates the number of frames.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate that saturates"
)]
fn frames(ticks: u64, scale: u32, rate: f64) -> u64 {
    (ticks as f64 * rate / f64::from(scale.max(1))).ceil() as u64
}

/// Returns an audio track, with silence where it is missing.
fn sound(audio: &OutlinedAudio, film: &audio::Span<'_>) -> Result<Sound, Refusal> {
    let track: &TrackSamples = &audio.audio.track;
    if let Some(decoding) = &track.entry.decoding {
        encoded::check(track, decoding, film)?;
        let (Some(first), Some(last)) = (track.samples.first(), track.samples.last()) else {
            return Err(Refusal("AUDIO_GAP"));
        };
        let early = first.duration.saturating_mul(audio.warm_up).saturating_add(track.scale / 100);
        let (first, last) = (first.time, last.time..last.end());
        let (number, clock) = (audio.number, audio.clock);
        return Ok(Sound { number, clock, first, last, padding: None, early, encoding: None });
    }
    let missing = audio::missing(track, film)?;
    let ends = track.samples.first().zip(track.samples.last());
    let (first, last) = ends.ok_or(Refusal("AUDIO_GAP"))?;
    let padding = audio::silence(track).map(|silence| padding(track, silence, &missing)).transpose()?;
    if padding.is_none() && (missing.before > 0 || missing.after > 0) {
        return Err(Refusal("AUDIO_GAP"));
    }
    let (first, last) = (first.time, last.time..last.end());
    let (number, clock) = (audio.number, audio.clock);
    Ok(Sound { number, clock, first, last, padding, early: 0, encoding: None })
}

fn padding(track: &TrackSamples, silence: Sample, missing: &Missing) -> Result<Padding, Refusal> {
    let frame = track.entry.silence.map_or(&[][..], |silence| silence.frame);
    let step = i64::from(silence.duration);
    let count = |count: i64| {
        let count = u32::try_from(count).ok().filter(|count| u64::from(*count) <= MAX_SAMPLES);
        count.ok_or(Refusal("AUDIO_GAP"))
    };
    let (before, after) =
        (count(missing.before / step)?, count(missing.after.saturating_add(step - 1) / step)?);
    Ok(Padding { frame: Bytes::from_static(frame), duration: silence.duration, before, after })
}

#[cfg(test)]
mod tests;
