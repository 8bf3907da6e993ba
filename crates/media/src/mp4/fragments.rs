//! Movie fragments (ISO/IEC 14496-12, 8.8): the samples are listed in many small `moof` boxes.
//!
//! Where those are is told by a segment index (`sidx`, 8.16.3) in front of them or by a random access box
//! (`mfra`, 8.8.9) at the end. Without either, one leads to the next, and only so many are followed.

use super::boxes::{Header, Reader};
use super::moof::Fragment;
use super::runs::Defaults;
use super::segments::{Place, Segments, random_access};
use super::timing::Timing;
use crate::keyframe::{Error, Keyframe, span_middles};
use crate::source::{Source, in_parallel};

/// What is read at a `moof`.
const STEP: u64 = 6 * 1024;
/// A `moof` is refused above this; one of ten minutes has less.
const MAX_MOOF: u64 = 1 << 20;
/// Fragments that are followed one by one: for a few keyframes, and for many.
const FEW: usize = 8;
const MANY: usize = 300;
/// Boxes between the places that an index names and their `moof`: `styp`, `prft`, `emsg`, another `sidx`.
const MAX_BEFORE: usize = 16;

/// A fragmented track.
#[derive(Debug)]
pub(super) struct Fragments {
    track: u32,
    defaults: Defaults,
    /// Of an index; empty if there is none.
    pub(super) places: Vec<Place>,
    /// Where the first fragment begins.
    begin: u64,
    /// The first fragments, and the last one if it is known.
    first: Fragment,
    end: Option<u64>,
}

impl Fragments {
    /// Looks for an index of the fragments after `begin`, the end of `moov`.
    pub(super) async fn open(
        reader: &mut Reader<'_>,
        begin: u64,
        track: u32,
        scale: u32,
        defaults: Defaults,
    ) -> Result<Self, Error> {
        let mut fragments =
            Self { track, defaults, places: Vec::new(), begin, first: Fragment::default(), end: None };
        let mut at = begin;
        let mut segments: Option<Segments> = None;
        let first = loop {
            let Some(header) = reader.header(at, u64::MAX, STEP).await? else {
                return Err(Error::Unknown("a video track without samples"));
            };
            if header.name == *b"moof" {
                break header;
            }
            if header.name == *b"sidx"
                && segments.as_ref().is_none_or(|segments| segments.track != track)
                && let Some(found) =
                    Segments::read(&mut reader.body(&header, MAX_MOOF).await?, &header, scale)
                && (segments.is_none() || found.track == track)
            {
                segments = Some(found);
            }
            at = header.body.end;
        };
        fragments.begin = first.start;
        fragments.first = fragments.read(reader, &first).await?;
        // Each segment may have an index of its own; only one of everything is of use.
        let size = reader.source.size();
        if let Some(segments) = segments.filter(|segments| segments.end >= size - size / 8) {
            fragments.end = Some(segments.duration.saturating_add(fragments.start()));
            fragments.places = segments.places;
            return Ok(fragments);
        }
        fragments.places = random_access(reader, track).await?;
        // How long it is, the last fragment says.
        let last = if let Some(place) = fragments.places.last() {
            fragments.at(reader, place.offset).await?
        } else {
            let mut chain = fragments.follow(reader, FEW).await?;
            chain.fragments.pop().filter(|_| chain.end)
        };
        fragments.end = last.and_then(|last| last.start?.checked_add(last.duration));
        Ok(fragments)
    }

    /// The time of the first sample.
    pub(super) fn start(&self) -> u64 {
        self.first.start.unwrap_or(0)
    }

    /// The time after the last sample, if that is known.
    pub(super) fn end(&self) -> Option<u64> {
        self.end
    }

    /// Some frames, and how long they are shown.
    pub(super) fn rate(&self) -> (u64, u64) {
        (self.first.samples, self.first.duration)
    }

    /// At most `n` keyframes, spread evenly.
    pub(super) async fn keyframes(
        &self,
        source: &Source,
        timing: &Timing,
        n: usize,
    ) -> Result<Vec<Keyframe>, Error> {
        let wanted = span_middles(n).map(|middle| {
            let time = timing.at(middle);
            let next = self.places.partition_point(|place| place.time <= time);
            next.saturating_sub(1)
        });
        let places = chosen(&self.places, wanted)
            .into_iter()
            .map(|place| async move { self.at(&mut Reader::new(source), place.offset).await });
        let mut found: Vec<Fragment> = in_parallel(places.collect()).await?.into_iter().flatten().collect();
        found.retain(|fragment| fragment.keyframe.is_some());
        // No index, or one of fragments that do not begin with a keyframe.
        if found.is_empty() {
            let limit = if n <= FEW { FEW } else { MANY };
            let mut all = self.follow(&mut Reader::new(source), limit).await?.fragments;
            all.retain(|fragment| fragment.keyframe.is_some());
            found = chosen(&all, span_middles(n).map(|middle| at_fraction(all.len(), middle)));
        }
        let keyframes = found.into_iter().filter_map(|fragment| fragment.keyframe);
        let mut keyframes: Vec<_> =
            keyframes.map(|(time, place)| Keyframe { time_ms: timing.shown_at(time), range: place }).collect();
        // Fragments may lie in any order, or claim to.
        keyframes.sort_by_key(|keyframe| keyframe.time_ms);
        Ok(keyframes)
    }

    /// The fragment that begins at `offset` or shortly after.
    pub(super) async fn at(&self, reader: &mut Reader<'_>, offset: u64) -> Result<Option<Fragment>, Error> {
        let mut at = offset;
        for _ in 0..MAX_BEFORE {
            match reader.header(at, u64::MAX, STEP).await? {
                Some(header) if header.name == *b"moof" => return self.read(reader, &header).await.map(Some),
                Some(header) if header.name != *b"mdat" => at = header.body.end,
                _ => break,
            }
        }
        Ok(None)
    }

    /// The first fragments, up to `limit`.
    async fn follow(&self, reader: &mut Reader<'_>, limit: usize) -> Result<Chain, Error> {
        let mut fragments = Vec::new();
        let mut at = self.begin;
        while fragments.len() < limit {
            let Some(header) = reader.header(at, u64::MAX, STEP).await? else {
                return Ok(Chain { fragments, end: true });
            };
            if header.name == *b"moof" {
                fragments.push(self.read(reader, &header).await?);
            }
            at = header.body.end;
        }
        Ok(Chain { fragments, end: false })
    }

    async fn read(&self, reader: &Reader<'_>, moof: &Header) -> Result<Fragment, Error> {
        let body = reader.body(moof, MAX_MOOF).await?;
        Ok(Fragment::read(&body, moof.start, self.track, self.defaults).unwrap_or_default())
    }
}

/// Fragments that follow each other, and whether they are all.
struct Chain {
    fragments: Vec<Fragment>,
    end: bool,
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a fraction of a length"
)]
fn at_fraction(len: usize, fraction: f64) -> usize {
    (len as f64 * fraction) as usize
}

/// Those of the list that are wanted, each once; `wanted` ascends.
fn chosen<T: Clone>(list: &[T], wanted: impl Iterator<Item = usize>) -> Vec<T> {
    let mut wanted: Vec<usize> = wanted.collect();
    wanted.dedup();
    wanted.into_iter().filter_map(|i| list.get(i).cloned()).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::boxes::tests::atom;
    use super::*;

    /// A fragment of track 1 with one keyframe of four bytes.
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
    async fn keyframes_are_in_the_order_of_time() {
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
