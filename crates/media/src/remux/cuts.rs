//! Where the film is cut: at keyframes from which on it can be decoded and presented without any other frame.

use super::Refusal;
use super::media::Sample;

/// Wanted duration of the first segment, of which a player shows the first frame as soon as it is there, and of the others,
/// in seconds.
const FIRST: i64 = 2;
const TARGET: i64 = 4;
/// Durations of a segment, in seconds.
const SHORTEST: i64 = 1;
const LONGEST: i64 = 20;
/// Bytes of a segment: more are avoided, or refused.
const MANY_BYTES: u64 = 12 << 20;
pub(crate) const MAX_BYTES: u64 = 64 << 20;
/// Limit of segments: twelve hours, and playlists of some megabytes.
const MAX_SEGMENTS: usize = 20_000;

/// A keyframe, or the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    sample: usize,
    time: i64,
    /// Bytes of the samples before it.
    bytes: u64,
}

/// Returns the samples at which segments start. The first sample is one of them. The film ends at `end`.
pub(super) fn choose(samples: &[Sample], scale: u32, end: i64) -> Result<Vec<usize>, Refusal> {
    let candidates = clean_keyframes(samples)?;
    let bytes = samples.iter().map(|sample| u64::from(sample.size)).sum();
    let end = Candidate { sample: samples.len(), time: end, bytes };
    let cuts = nearest(&candidates, scale.into(), end);
    for (cut, next) in cuts.iter().zip(cuts.iter().skip(1).chain([&end])) {
        if next.time - cut.time > LONGEST * i64::from(scale) {
            return Err(Refusal("KEYFRAMES_TOO_FAR_APART"));
        }
        if next.bytes - cut.bytes > MAX_BYTES {
            return Err(Refusal("SEGMENT_TOO_LARGE"));
        }
    }
    if cuts.len() > MAX_SEGMENTS {
        return Err(Refusal("TOO_LONG"));
    }
    Ok(cuts.into_iter().map(|cut| cut.sample).collect())
}

/// Returns the keyframes. Refuses a film with one that is not clean: a frame is presented before it, but decoded after it,
/// or the other way round (an open group of pictures). After a seek to it, decoders fail or show damaged frames.
pub(super) fn clean_keyframes(samples: &[Sample]) -> Result<Vec<Candidate>, Refusal> {
    let mut found = Vec::new();
    let (mut latest, mut bytes) = (i64::MIN, 0u64);
    for (i, sample) in samples.iter().enumerate() {
        if sample.is_sync {
            if latest >= sample.time {
                return Err(Refusal("OPEN_GOP"));
            }
            found.push(Candidate { sample: i, time: sample.time, bytes });
        }
        latest = latest.max(sample.time);
        bytes += u64::from(sample.size);
    }
    if found.first().is_none_or(|first| first.sample != 0) {
        return Err(Refusal("STARTS_WITHIN_GOP"));
    }
    let mut earliest = i64::MAX;
    for sample in samples.iter().rev() {
        if sample.is_sync && earliest <= sample.time {
            return Err(Refusal("OPEN_GOP"));
        }
        earliest = earliest.min(sample.time);
    }
    Ok(found)
}

/// Chooses the candidates that are nearest to the wanted distance from the one before, until that is the end.
fn nearest(candidates: &[Candidate], scale: i64, end: Candidate) -> Vec<Candidate> {
    let mut cuts: Vec<Candidate> = candidates.iter().take(1).copied().collect();
    let mut rest = candidates.get(1..).unwrap_or_default();
    let last_time = end.time - SHORTEST * scale;
    while let Some(last) = cuts.last().copied() {
        let wanted = last.time + scale * if cuts.len() == 1 { FIRST } else { TARGET };
        let distance = |next: &&Candidate| next.time.abs_diff(wanted);
        let fits = |next: &&Candidate| next.bytes - last.bytes <= MANY_BYTES;
        let early = rest.partition_point(|next| next.time - last.time < SHORTEST * scale);
        let late = rest.partition_point(|next| next.time <= last_time);
        let allowed = rest.get(early..late).unwrap_or_default();
        let after = allowed.partition_point(|next| next.time < wanted);
        let around = allowed.get(after.saturating_sub(1)..allowed.len().min(after + 1)).unwrap_or_default();
        let Some(nearest) = around.iter().min_by_key(distance) else { break };
        if distance(&&end) <= distance(&nearest) && fits(&&end) {
            break;
        }
        let before = || allowed.iter().take_while(|next| next.time <= nearest.time && fits(next)).last();
        let Some(cut) = Some(nearest).filter(fits).or_else(before).or(allowed.first()) else { break };
        cuts.push(*cut);
        rest = rest.get(rest.partition_point(|next| next.sample <= cut.sample)..).unwrap_or_default();
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(time: i64, is_sync: bool) -> Sample {
        Sample { offset: 0, size: 1000, duration: 10, time, is_sync }
    }

    /// Frames of 10 ticks, at 100 per second, with keyframes at these seconds.
    fn film(seconds: i64, keyframes: &[i64]) -> Vec<Sample> {
        (0..seconds * 10).map(|i| sample(i * 10, keyframes.contains(&(i * 10)))).collect()
    }

    fn cuts(samples: &[Sample]) -> Result<Vec<i64>, &'static str> {
        let end = samples.iter().map(Sample::end).max().unwrap();
        let cuts = choose(samples, 100, end).map_err(|refusal| refusal.0)?;
        Ok(cuts.into_iter().map(|cut| samples[cut].time).collect())
    }

    #[test]
    fn segments_are_about_as_long_as_wanted() {
        let every_2 = film(20, &(0..10).map(|i| i * 200).collect::<Vec<_>>());
        assert_eq!(cuts(&every_2).unwrap(), [0, 200, 600, 1000, 1400, 1800]);
        let all = film(11, &(0..110).map(|i| i * 10).collect::<Vec<_>>());
        assert_eq!(cuts(&all).unwrap(), [0, 200, 600, 1000]);
        assert_eq!(cuts(&film(30, &[0, 1000, 1300, 1900, 2000])).unwrap(), [0, 1000, 1300, 1900, 2000]);
        assert_eq!(cuts(&film(9, &[0, 200, 600, 700, 800])).unwrap(), [0, 200, 600], "the end is nearest");
        assert_eq!(cuts(&film(3, &[0, 50, 250])).unwrap(), [0], "no segment is shorter than a second");
        assert_eq!(cuts(&film(9, &[0, 100, 300])).unwrap(), [0, 100, 300], "the earlier one of two");
    }

    #[test]
    fn large_segments_are_cut_sooner() {
        let large = |size| {
            let frames = film(9, &[0, 100, 200, 400, 500, 600]).into_iter();
            frames.map(|frame| Sample { size, ..frame }).collect::<Vec<_>>()
        };
        assert_eq!(cuts(&large(300_000)).unwrap(), [0, 200, 600]);
        assert_eq!(cuts(&large(600_000)).unwrap(), [0, 200, 400, 600]);
        assert_eq!(cuts(&large(4_000_000)), Err("SEGMENT_TOO_LARGE"));
    }

    #[test]
    fn keyframes_have_to_be_near() {
        assert_eq!(cuts(&film(40, &[0, 2000])).unwrap(), [0, 2000]);
        assert_eq!(cuts(&film(40, &[0, 2010])), Err("KEYFRAMES_TOO_FAR_APART"));
    }

    #[test]
    fn open_groups_of_pictures_are_refused() {
        let film = |times: &[(i64, bool)]| {
            cuts(&times.iter().map(|(time, is_sync)| sample(*time, *is_sync)).collect::<Vec<_>>())
        };
        assert_eq!(film(&[(0, true), (20, false), (10, false), (200, true), (210, false)]).unwrap(), [0]);
        // Presented before the keyframe, and decoded after it.
        assert_eq!(film(&[(0, true), (10, false), (200, true), (190, false)]), Err("OPEN_GOP"));
        // Presented after the keyframe, and decoded before it.
        assert_eq!(film(&[(0, true), (250, false), (200, true)]), Err("OPEN_GOP"));
        assert_eq!(film(&[(10, true), (0, false)]), Err("OPEN_GOP"));
        assert_eq!(film(&[(0, false), (10, true)]), Err("STARTS_WITHIN_GOP"));
        assert_eq!(film(&[(0, false)]), Err("STARTS_WITHIN_GOP"));
    }
}
