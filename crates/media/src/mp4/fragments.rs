//! Movie fragments (ISO/IEC 14496-12, 8.8): many small `moof` boxes list the samples.
//!
//! A segment index (`sidx`, 8.16.3) before the fragments or a random access box (`mfra`, 8.8.9) at the end locates
//! them. Without either, the reader walks from one fragment to the next, up to a limit.

use super::boxes::{Header, Reader};
use super::moof::Fragment;
use super::runs::Defaults;
use super::segments::{IndexEntry, SegmentIndex, random_access};
use super::timing::Timing;
use crate::keyframe::{Error, Keyframe, span_middles};
use crate::source::{Source, in_parallel};

/// Size of the read at a `moof` box.
const MOOF_READ: u64 = 6 * 1024;
/// Largest `moof` or `sidx` box; a `moof` of ten minutes is smaller.
const MAX_MOOF: u64 = 1 << 20;
/// Limits of fragments walked without an index: for up to `FEW` keyframes, and for more.
const FEW: usize = 8;
const MANY: usize = 300;
/// Limit of boxes between the offset in an index and the `moof`: `styp`, `prft`, `emsg`, another `sidx`.
const MAX_BEFORE: usize = 16;

/// A fragmented track.
#[derive(Debug)]
pub(super) struct Fragments {
    track: u32,
    defaults: Defaults,
    /// The fragments that the index lists; empty without an index.
    pub(super) index: Vec<IndexEntry>,
    /// The offset of the first `moof`.
    first_moof: u64,
    /// The first fragment.
    first: Fragment,
    /// The end of the last sample, if known.
    end_time: Option<u64>,
}

impl Fragments {
    /// Reads the first fragment after `moov`, and the index of the fragments, if there is one.
    pub(super) async fn open(
        reader: &mut Reader<'_>,
        moov_end: u64,
        track: u32,
        scale: u32,
        defaults: Defaults,
    ) -> Result<Self, Error> {
        let mut fragments = Self {
            track,
            defaults,
            index: Vec::new(),
            first_moof: moov_end,
            first: Fragment::default(),
            end_time: None,
        };
        let mut at = moov_end;
        let mut sidx: Option<SegmentIndex> = None;
        let first = loop {
            let Some(header) = reader.header(at, u64::MAX, MOOF_READ).await? else {
                return Err(Error::Unknown("video track without samples"));
            };
            if header.name == *b"moof" {
                break header;
            }
            if header.name == *b"sidx"
                && sidx.as_ref().is_none_or(|sidx| sidx.track != track)
                && let Some(found) =
                    SegmentIndex::read(&mut reader.body(&header, MAX_MOOF).await?, &header, scale)
                && (sidx.is_none() || found.track == track)
            {
                sidx = Some(found);
            }
            at = header.body.end;
        };
        fragments.first_moof = first.start;
        fragments.first = fragments.read(reader, &first).await?;
        // Each segment may have its own `sidx`. Only one that covers (nearly) the whole file is useful.
        let size = reader.source.size();
        if let Some(sidx) = sidx.filter(|sidx| sidx.end >= size - size / 8) {
            fragments.end_time = Some(sidx.duration.saturating_add(fragments.start_time()));
            fragments.index = sidx.entries;
            return Ok(fragments);
        }
        fragments.index = random_access(reader, track).await?;
        // The last fragment determines the duration.
        let last = if let Some(entry) = fragments.index.last() {
            fragments.at(reader, entry.offset).await?
        } else {
            let mut chain = fragments.walk(reader, FEW).await?;
            chain.fragments.pop().filter(|_| chain.complete)
        };
        fragments.end_time = last.and_then(|last| last.start_time?.checked_add(last.duration));
        Ok(fragments)
    }

    /// Returns the decode time of the first sample.
    pub(super) fn start_time(&self) -> u64 {
        self.first.start_time.unwrap_or(0)
    }

    /// Returns the end time of the last sample, if known.
    pub(super) fn end_time(&self) -> Option<u64> {
        self.end_time
    }

    /// Returns the number of samples and the duration of the first fragment, from which the frame rate follows.
    pub(super) fn samples_and_duration(&self) -> (u64, u64) {
        (self.first.samples, self.first.duration)
    }

    /// Returns at most `n` keyframes, spread evenly, in presentation order.
    pub(super) async fn keyframes(
        &self,
        source: &Source,
        timing: &Timing,
        n: usize,
    ) -> Result<Vec<Keyframe>, Error> {
        let wanted = span_middles(n).map(|middle| {
            let time = timing.media_time_at(middle);
            let next = self.index.partition_point(|entry| entry.time <= time);
            next.saturating_sub(1)
        });
        let fragments = select(&self.index, wanted)
            .into_iter()
            .map(|entry| async move { self.at(&mut Reader::new(source), entry.offset).await });
        let mut found: Vec<Fragment> =
            in_parallel(fragments.collect()).await?.into_iter().flatten().collect();
        found.retain(|fragment| fragment.keyframe.is_some());
        // Without an index, or if none of the fragments contains a keyframe, walk from the start.
        if found.is_empty() {
            let limit = if n <= FEW { FEW } else { MANY };
            let mut all = self.walk(&mut Reader::new(source), limit).await?.fragments;
            all.retain(|fragment| fragment.keyframe.is_some());
            found = select(&all, span_middles(n).map(|middle| at_fraction(all.len(), middle)));
        }
        let keyframes = found.into_iter().filter_map(|fragment| fragment.keyframe);
        let mut keyframes: Vec<_> = keyframes
            .map(|(time, range)| Keyframe { time_ms: timing.presentation_ms(time), range })
            .collect();
        // Fragments need not be stored in the order of time.
        keyframes.sort_by_key(|keyframe| keyframe.time_ms);
        Ok(keyframes)
    }

    /// Reads the fragment whose `moof` is at `offset` or up to `MAX_BEFORE` boxes later.
    pub(super) async fn at(&self, reader: &mut Reader<'_>, offset: u64) -> Result<Option<Fragment>, Error> {
        let mut at = offset;
        for _ in 0..MAX_BEFORE {
            match reader.header(at, u64::MAX, MOOF_READ).await? {
                Some(header) if header.name == *b"moof" => return self.read(reader, &header).await.map(Some),
                Some(header) if header.name != *b"mdat" => at = header.body.end,
                _ => break,
            }
        }
        Ok(None)
    }

    /// Reads up to `limit` fragments from the first one on.
    async fn walk(&self, reader: &mut Reader<'_>, limit: usize) -> Result<Chain, Error> {
        let mut fragments = Vec::new();
        let mut at = self.first_moof;
        while fragments.len() < limit {
            let Some(header) = reader.header(at, u64::MAX, MOOF_READ).await? else {
                return Ok(Chain { fragments, complete: true });
            };
            if header.name == *b"moof" {
                fragments.push(self.read(reader, &header).await?);
            }
            at = header.body.end;
        }
        Ok(Chain { fragments, complete: false })
    }

    async fn read(&self, reader: &Reader<'_>, moof: &Header) -> Result<Fragment, Error> {
        let body = reader.body(moof, MAX_MOOF).await?;
        Ok(Fragment::read(&body, moof.start, self.track, self.defaults).unwrap_or_default())
    }
}

/// Consecutive fragments from the first one on.
struct Chain {
    fragments: Vec<Fragment>,
    /// Whether the last one is the last of the object.
    complete: bool,
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "an approximate index, checked by its user"
)]
fn at_fraction(len: usize, fraction: f64) -> usize {
    (len as f64 * fraction) as usize
}

/// Returns the elements at the ascending indices `wanted`, each once.
fn select<T: Clone>(list: &[T], wanted: impl Iterator<Item = usize>) -> Vec<T> {
    let mut wanted: Vec<usize> = wanted.collect();
    wanted.dedup();
    wanted.into_iter().filter_map(|i| list.get(i).cloned()).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::boxes::tests::atom;
    use super::*;

    /// A fragment of track 1 with one keyframe of four bytes, which are its decode time.
    fn fragment(time: u32) -> Vec<u8> {
        let moof = |len| {
            let traf = [
                atom(*b"tfhd", &[0x02_0000, 1], &[]),
                atom(*b"tfdt", &[0, time], &[]),
                atom(*b"trun", &[0x0201, 1, len + 8, 4], &[]),
            ];
            atom(*b"moof", &[], &atom(*b"traf", &[], &traf.concat()))
        };
        let len = u32::try_from(moof(0).len()).unwrap();
        [moof(len), atom(*b"mdat", &[time], &[])].concat()
    }

    #[tokio::test]
    async fn keyframes_are_in_presentation_order() {
        let object: Bytes = [fragment(500), fragment(2000), fragment(1000)].concat().into();
        let source = Source::new(object.len() as u64, object);
        let mut reader = Reader::new(&source);
        let fragments = Fragments::open(&mut reader, 0, 1, 1000, Defaults::default()).await.unwrap();
        let timing = Timing { scale: 1000, media_duration: 3000, ..Timing::default() };
        let mut times = Vec::new();
        for keyframe in fragments.keyframes(&source, &timing, 3).await.unwrap() {
            let bytes = source.fetch(keyframe.range).await.unwrap();
            assert_eq!(bytes[..], u32::try_from(keyframe.time_ms).unwrap().to_be_bytes());
            times.push(keyframe.time_ms);
        }
        assert_eq!(times, [500, 1000, 2000]);
    }
}
