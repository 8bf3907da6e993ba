//! Audio beside the film: silence where it is missing, and where it is cut.

use super::Refusal;
use super::media::{MAX_SAMPLES, Sample, TrackSamples};
use super::time::at_or_after;

/// How long the audio may go on before a player has to have more of the film, or the other way round, in seconds. A player
/// has loaded the rest of both by then.
pub(super) const MAX_APART: i64 = 10;

/// The film's times in ticks of its timescale.
pub(super) struct Span<'a> {
    pub(super) scale: u32,
    /// The times at which segments start.
    pub(super) cuts: &'a [i64],
    pub(super) end: i64,
}

/// The time at the start and at the end of the film for which silence is needed, in ticks of the audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) before: i64,
    pub(super) after: i64,
}

/// Returns how much audio is missing before and after that of the track, where players would stall: 0 if they would not.
///
/// # Errors
/// Refuses audio that is much longer than the film.
pub(super) fn missing(track: &TrackSamples, film: &Span<'_>) -> Result<Missing, Refusal> {
    let scale = i64::from(track.scale);
    let to_audio = |time: i64| at_or_after(time, film.scale, track.scale);
    let start = film.cuts.first().copied().map_or(0, to_audio);
    let end = to_audio(film.end);
    let last_cut = film.cuts.last().copied().map_or(0, to_audio);
    let (Some(first), Some(last)) = (track.samples.first(), track.samples.last()) else {
        return Err(Refusal("AUDIO_GAP"));
    };
    if last.end().saturating_sub(end) > MAX_APART * scale {
        return Err(Refusal("AUDIO_LONGER"));
    }
    let (before, after) = (first.time.saturating_sub(start), end.saturating_sub(last.end()));
    let ends_early = after > MAX_APART * scale || last.time < last_cut;
    Ok(Missing {
        before: if before > scale / 10 { before } else { 0 },
        after: if ends_early { after.max(0) } else { 0 },
    })
}

/// Returns a frame of silence, if there is one of this codec.
pub(super) fn silence(track: &TrackSamples) -> Option<Sample> {
    let silence = track.entry.silence?;
    let size = u32::try_from(silence.frame.len()).unwrap_or(0);
    let usual = track.samples.get(track.samples.len() / 2).map_or(0, |sample| sample.duration);
    let duration = silence.ms.map_or(usual, |ms| track.scale / 1000 * ms);
    (duration > 0).then_some(Sample { offset: Sample::SILENCE, size, duration, time: 0, is_sync: true })
}

/// Adds silence where players would stop: at a late start, in a gap, and at an early end.
///
/// # Errors
/// Refuses audio whose codec has no known silence, and audio that is much longer than the film.
pub(super) fn complete(track: &mut TrackSamples, film: &Span<'_>) -> Result<(), Refusal> {
    let missing = missing(track, film)?;
    let samples = &track.samples;
    let slack = i64::from(track.scale) / 10;
    let is_gap = |pair: &[Sample]| pair[1].time - pair[0].end() > slack;
    if missing.before == 0 && missing.after == 0 && !samples.windows(2).any(is_gap) {
        return Ok(());
    }
    let Some(silence) = silence(track) else { return Err(Refusal("AUDIO_GAP")) };
    let step = i64::from(silence.duration);
    let frame = |time| Sample { time, ..silence };
    let (Some(first), Some(last)) = (samples.first().copied(), samples.last().copied()) else {
        return Err(Refusal("AUDIO_GAP"));
    };
    let total = (last.end() - first.time).saturating_add(missing.before).saturating_add(missing.after);
    if total / step > i64::try_from(MAX_SAMPLES).unwrap_or(i64::MAX) {
        return Err(Refusal("AUDIO_GAP"));
    }
    let mut whole = Vec::with_capacity(samples.len());
    whole.extend((1..=missing.before / step).rev().map(|i| frame(first.time - i * step)));
    for (i, sample) in samples.iter().enumerate() {
        whole.push(*sample);
        let next = samples.get(i + 1).map(|next| next.time);
        let until = next.unwrap_or(sample.end() + missing.after);
        let gap = until - sample.end();
        // The last frame before other audio lasts up to it, and the last one of all reaches the end of the film.
        let count = if next.is_some() { gap / step } else { (gap + step - 1) / step };
        if next.is_none() || gap > slack {
            whole.extend((0..count).map(|i| frame(sample.end() + i * step)));
        }
    }
    track.samples = whole;
    Ok(())
}

/// Returns the first sample of each segment: the first one at or after each cut. All segments have samples.
pub(super) fn cut(track: &TrackSamples, film: &Span<'_>) -> Result<Vec<usize>, Refusal> {
    let first_after = |cut: &i64| {
        let cut = at_or_after(*cut, film.scale, track.scale);
        track.samples.partition_point(|sample| sample.time < cut)
    };
    let starts: Vec<usize> = [0].into_iter().chain(film.cuts.iter().skip(1).map(first_after)).collect();
    let ends = starts.iter().skip(1).copied().chain([track.samples.len()]);
    if starts.iter().zip(ends).any(|(start, end)| *start >= end) {
        return Err(Refusal("AUDIO_GAP"));
    }
    Ok(starts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mp4::{Entry, Silence};

    const CUTS: [i64; 4] = [0, 200, 600, 1000];

    /// The film has 100 ticks per second and ends at 1500, audio has 1000.
    fn film() -> Span<'static> {
        Span { scale: 100, cuts: &CUTS, end: 1500 }
    }

    /// Frames of 20 ticks from and to these times.
    fn track(spans: &[(i64, i64)], has_silence: bool) -> TrackSamples {
        let frame = |time| Sample { offset: 7, size: 9, duration: 20, time, is_sync: true };
        let times = spans.iter().flat_map(|(from, to)| (*from..*to).step_by(20));
        let entry = Entry {
            bytes: Vec::new(),
            codec: String::new(),
            channels: 2,
            silence: has_silence.then_some(Silence { frame: b"mute", ms: None }),
            units: None,
            decoding: None,
        };
        TrackSamples { entry, scale: 1000, samples: times.map(frame).collect(), gaps: Vec::new() }
    }

    /// Returns the first and last times of silence, and the first times of the segments.
    type Completed = (Vec<(i64, i64)>, Vec<i64>);

    fn completed(spans: &[(i64, i64)]) -> Result<Completed, &'static str> {
        let mut track = track(spans, true);
        complete(&mut track, &film()).map_err(|refusal| refusal.0)?;
        let is_silent = |sample: &Sample| sample.offset == Sample::SILENCE;
        let groups = track.samples.chunk_by(|a, b| is_silent(a) == is_silent(b));
        let silent = groups.filter(|group| is_silent(&group[0]));
        let silent = silent.map(|group| (group[0].time, group[group.len() - 1].end())).collect();
        let starts = cut(&track, &film()).map_err(|refusal| refusal.0)?;
        Ok((silent, starts.into_iter().map(|start| track.samples[start].time).collect()))
    }

    #[test]
    fn audio_is_cut_at_the_first_sample_after_each_cut() {
        assert_eq!(completed(&[(-20, 15_000)]).unwrap(), (vec![], vec![-20, 2000, 6000, 10_000]));
        assert_eq!(completed(&[(-10, 15_000)]).unwrap(), (vec![], vec![-10, 2010, 6010, 10_010]));
        assert_eq!(completed(&[(90, 10_100)]).unwrap(), (vec![], vec![90, 2010, 6010, 10_010]));
    }

    #[test]
    fn missing_audio_is_silent() {
        let late = completed(&[(1510, 15_000)]).unwrap();
        assert_eq!((late.0, late.1[0]), (vec![(10, 1510)], 10));
        assert_eq!(completed(&[(0, 9990)]).unwrap().0, [(10_000, 15_000)], "the last segment has no audio");
        assert_eq!(completed(&[(0, 3000)]).unwrap().0, [(3000, 15_000)]);
        assert_eq!(completed(&[(0, 3000), (3250, 15_000)]).unwrap().0, [(3000, 3240)]);
        assert_eq!(completed(&[(0, 3000), (3090, 15_000)]).unwrap().0, [], "a small gap");
    }

    #[test]
    fn audio_that_cannot_be_completed_is_refused() {
        assert_eq!(completed(&[(0, 25_020)]), Err("AUDIO_LONGER"));
        assert_eq!(completed(&[(0, 25_000)]).unwrap().0, []);
        assert_eq!(completed(&[]), Err("AUDIO_GAP"));
        for spans in [&[(200, 15_000)][..], &[(0, 9000)], &[(0, 3000), (3200, 15_000)]] {
            assert_eq!(complete(&mut track(spans, false), &film()), Err(Refusal("AUDIO_GAP")));
        }
        let mut hostile = track(&[(0, 100)], true);
        hostile.samples.iter_mut().for_each(|sample| sample.duration = 0);
        assert_eq!(complete(&mut hostile, &film()), Err(Refusal("AUDIO_GAP")));
        hostile.samples.iter_mut().for_each(|sample| sample.duration = 1);
        let film = Span { scale: 1, cuts: &[0], end: 1 << 46 };
        assert_eq!(complete(&mut hostile, &film), Err(Refusal("AUDIO_GAP")));
    }
}
