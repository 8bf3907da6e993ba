//! All samples that the movie fragments of an object list.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::boxes::{Fields, Header};
use super::fragments::Fragments;
use super::moof::{is_encrypted, start_time};
use super::runs::{Defaults, TrackHeader, TrackRun};
use super::timing::signed;
use super::walks::{self, Limits};
use crate::remux::{MAX_SAMPLES, Refusal, Sample, Unplayable};
use crate::source::{Source, in_parallel};

/// Fragments up to this total size are read with their media, which takes fewer requests than to read each `moof`.
const SMALL: u64 = 32 << 20;
/// Limits of fragments: each takes a request, some of them one after the other.
const MAX_FRAGMENTS: usize = 1500;
const LIMITS: Limits = Limits { all: MAX_FRAGMENTS, per_walk: 400 };
/// For what has been read already.
const NO_LIMITS: Limits = Limits { all: usize::MAX, per_walk: usize::MAX };
/// Limit of bytes of all `moof` boxes.
const MAX_MOOFS: u64 = 64 << 20;

/// A track of which to list the samples: its ID, and the defaults for its samples.
pub(super) type TrackId = (u32, Defaults);

/// The samples of a track in one fragment.
struct Part {
    /// The position of the track in the request.
    track: usize,
    /// The decode time of the first sample, if it is stated.
    start: Option<u64>,
    /// At their composition times from the decode time of the first sample.
    samples: Vec<Sample>,
    duration: u64,
}

impl Fragments {
    /// Lists the samples of tracks, at their media times.
    pub(super) async fn list(
        &self,
        source: &Source,
        tracks: &[TrackId],
    ) -> Result<Vec<Vec<Sample>>, Unplayable> {
        self.list_within(source, tracks, SMALL).await
    }

    /// Lists samples, and reads up to `small` bytes with their media.
    pub(super) async fn list_within(
        &self,
        source: &Source,
        tracks: &[TrackId],
        small: u64,
    ) -> Result<Vec<Vec<Sample>>, Unplayable> {
        let (first, end) = (self.first_moof, source.size());
        let budget = AtomicU64::new(MAX_MOOFS);
        let parts = if end.saturating_sub(first) <= small {
            source.pin(first..end).await?;
            walk(source, first..end, tracks, NO_LIMITS, &budget).await?
        } else if self.index.is_empty() {
            walk(source, first..end, tracks, LIMITS, &budget).await?
        } else {
            let mut starts: Vec<u64> = self.index.iter().map(|entry| entry.offset).collect();
            starts.push(first);
            starts.retain(|start| (first..end).contains(start));
            starts.sort_unstable();
            starts.dedup();
            if starts.len() > MAX_FRAGMENTS {
                return Err(Refusal("TOO_MANY_FRAGMENTS").into());
            }
            let ends = starts.iter().skip(1).copied().chain([end]);
            let spans = starts.iter().copied().zip(ends).map(|(start, end)| start..end);
            let walks = spans.map(|span| walk(source, span, tracks, LIMITS, &budget));
            in_parallel(walks.collect()).await?.into_iter().flatten().collect()
        };
        join(parts, tracks.len())
    }
}

/// Reads all fragments of a range of the object.
async fn walk(
    source: &Source,
    range: Range<u64>,
    tracks: &[TrackId],
    limits: Limits,
    budget: &AtomicU64,
) -> Result<Vec<Part>, Unplayable> {
    const TOO_MANY: Refusal = Refusal("TOO_MANY_FRAGMENTS");
    let read = |header: &Header, body: &Fields| {
        if header.name == *b"moov" {
            // Another description, perhaps of encrypted samples.
            return Err(Refusal("SEVERAL_SAMPLE_DESCRIPTIONS").into());
        }
        let size = header.body.end - header.body.start;
        let taken = budget.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(size));
        taken.map_err(|_| TOO_MANY)?;
        Ok::<_, Unplayable>(Some(read(body, header.start, tracks)?))
    };
    let walked = walks::walk(source, range, limits, read).await?;
    if !walked.is_complete {
        return Err(TOO_MANY.into());
    }
    Ok(walked.runs.into_iter().flatten().flatten().collect())
}

/// Joins the parts of each track in the order of decoding. One that does not say when it starts follows the one before.
fn join(parts: Vec<Part>, tracks: usize) -> Result<Vec<Vec<Sample>>, Unplayable> {
    let mut all: Vec<Vec<(u64, Vec<Sample>)>> = (0..tracks).map(|_| Vec::new()).collect();
    let mut ends = vec![0u64; tracks];
    for part in parts {
        let (Some(track), Some(end)) = (all.get_mut(part.track), ends.get_mut(part.track)) else { continue };
        let start = part.start.unwrap_or(*end);
        *end = start.saturating_add(part.duration);
        track.push((start, part.samples));
    }
    let mut joined = Vec::new();
    for mut parts in all {
        // Fragments need not be stored in the order of time.
        parts.sort_by_key(|(start, _)| *start);
        let count = parts.iter().map(|(_, samples)| samples.len() as u64).sum::<u64>();
        if count > MAX_SAMPLES {
            return Err(Refusal("TOO_LONG").into());
        }
        let at = |start: u64| {
            move |sample: Sample| Sample { time: sample.time.saturating_add(signed(start)), ..sample }
        };
        joined.push(
            parts.into_iter().flat_map(|(start, samples)| samples.into_iter().map(at(start))).collect(),
        );
    }
    Ok(joined)
}

/// Reads the body of the `moof` box at offset `start` (8.8.4 to 8.8.8).
fn read(moof: &Fields, start: u64, tracks: &[TrackId]) -> Result<Vec<Part>, Refusal> {
    const MALFORMED: Refusal = Refusal("NO_INDEX");
    let mut parts = Vec::new();
    let mut previous_end = start;
    for (_, traf) in moof.boxes().filter(|(name, _)| name == b"traf") {
        let tfhd = traf.child(*b"tfhd").ok_or(MALFORMED)?;
        let id = TrackHeader::read(tfhd.clone(), Defaults::default()).ok_or(MALFORMED)?.track;
        let track = tracks.iter().position(|(track, _)| *track == id);
        let trex = track.and_then(|track| tracks.get(track)).map(|(_, trex)| *trex).unwrap_or_default();
        let header = TrackHeader::read(tfhd, trex).ok_or(MALFORMED)?;
        if track.is_some() && header.defaults.description != trex.description {
            return Err(Refusal("SEVERAL_SAMPLE_DESCRIPTIONS"));
        }
        if track.is_some() && is_encrypted(&traf) {
            return Err(Refusal("ENCRYPTED"));
        }
        // Data offsets are relative to the `moof` with default-base-is-moof, else to the end of the previous track
        // fragment's data.
        let base =
            header.base_data_offset.unwrap_or(if header.default_base_is_moof { start } else { previous_end });
        let mut runs = Runs { at: base, samples: Vec::new(), duration: 0 };
        for (_, trun) in traf.boxes().filter(|(name, _)| name == b"trun") {
            runs.read(trun, base, header.defaults).ok_or(MALFORMED)?;
        }
        previous_end = runs.at;
        if let Some(track) = track {
            let Runs { samples, duration, .. } = runs;
            parts.push(Part { track, start: start_time(&traf), samples, duration });
        }
    }
    Ok(parts)
}

/// The track runs of a track fragment.
struct Runs {
    at: u64,
    samples: Vec<Sample>,
    duration: u64,
}

impl Runs {
    fn read(&mut self, trun: Fields, base: u64, defaults: Defaults) -> Option<()> {
        /// Limit of samples of a fragment: more than an hour.
        const MAX: u64 = 1 << 18;
        let mut run = TrackRun::read(trun, defaults)?;
        if let Some(offset) = run.data_offset {
            self.at = base.checked_add_signed(offset.into())?;
        }
        while run.remaining > 0 {
            let found = run.next_samples()?;
            if self.samples.len() as u64 + found.count > MAX {
                return None;
            }
            for _ in 0..found.count {
                self.samples.push(Sample {
                    offset: self.at,
                    size: found.size,
                    duration: found.duration,
                    time: signed(self.duration).saturating_add(found.composition_offset.into()),
                    is_sync: found.is_sync,
                });
                self.at = self.at.checked_add(found.size.into())?;
                self.duration = self.duration.checked_add(found.duration.into())?;
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::boxes::tests::atom;
    use super::*;

    fn traf(track: u32, time: Option<u32>, trun: &[u32]) -> Vec<u8> {
        let tfhd = atom(*b"tfhd", &[0x02_0038, track, 10, 4, 0], &[]);
        let tfdt = time.map_or(Vec::new(), |time| atom(*b"tfdt", &[0, time], &[]));
        atom(*b"traf", &[], &[tfhd, tfdt, atom(*b"trun", trun, &[])].concat())
    }

    fn parts(trafs: &[Vec<u8>], at: u64) -> Result<Vec<Part>, Refusal> {
        let tracks = [(1, Defaults::default()), (2, Defaults::default())];
        read(&Fields(trafs.concat().into()), at, &tracks)
    }

    #[test]
    fn samples_of_all_tracks_are_listed_in_the_order_of_decoding() {
        let later = parts(&[traf(1, Some(500), &[0x801, 2, 100, 20, 0])], 5000).unwrap();
        let first = parts(&[traf(1, Some(0), &[1, 3, 50]), traf(2, None, &[1, 1, 62])], 1000).unwrap();
        let second = parts(&[traf(2, None, &[1, 2, 80])], 2000).unwrap();
        let all = join(later.into_iter().chain(first).chain(second).collect(), 2).unwrap();
        let places = |samples: &[Sample]| -> Vec<(i64, u64)> {
            samples.iter().map(|sample| (sample.time, sample.offset)).collect()
        };
        assert_eq!(places(&all[0]), [(0, 1050), (10, 1054), (20, 1058), (520, 5100), (510, 5104)]);
        assert_eq!(places(&all[1]), [(0, 1062), (10, 2080), (20, 2084)]);
        assert!(all[0].iter().all(|sample| (sample.size, sample.duration, sample.is_sync) == (4, 10, true)));
    }

    #[test]
    fn fragments_that_cannot_be_played_are_refused() {
        let code = |traf: Vec<u8>| parts(&[traf], 0).map(|parts| parts.len()).map_err(|refusal| refusal.0);
        assert_eq!(code(traf(9, None, &[1, 1, 0])), Ok(0));
        assert_eq!(code(traf(1, None, &[1, u32::MAX, 0])), Err("NO_INDEX"), "more than memory");
        assert_eq!(code(traf(1, None, &[0x101, 9, 0])), Err("NO_INDEX"), "more than the box");
        let with = |boxes: &[Vec<u8>]| code(atom(*b"traf", &[], &boxes.concat()));
        let tfhd = |flags, description| atom(*b"tfhd", &[flags, 1, description], &[]);
        assert_eq!(with(&[tfhd(2, 7)]), Err("SEVERAL_SAMPLE_DESCRIPTIONS"));
        assert_eq!(with(&[tfhd(0, 0), atom(*b"senc", &[], &[])]), Err("ENCRYPTED"));
        assert_eq!(with(&[]), Err("NO_INDEX"));
    }
}
