//! Walks over movie fragments that no index lists: each box tells where the next one starts.
//!
//! A walk makes one request after the other. In an object with many fragments, several walks share the work: each starts
//! at a fragment that a search finds, and ends where the next walk started. If it ends elsewhere, because that search
//! took media data for a fragment, it goes on to the start of the walk after that. So the result is that of a single walk.

use std::ops::Range;

use futures_util::future::join_all;

use super::boxes::{Fields, Header, Reader};
use super::fragments::{MAX_MOOF, MOOF_READ};
use super::tail::fragments;
use crate::keyframe::Error;
use crate::source::Source;

/// Fragments that a single walk reads before others join in. Their average length tells how many are left.
const ALONE: usize = 16;
/// The most walks, so that all of them run at the same time.
const WALKS: u64 = 16;
/// Expected fragments per walk from which several walks take less time.
const WORTHWHILE: u64 = 4;
/// Most bytes that all searches read, and the bytes of one read. A search reads one fragment at most, if all are equal.
const SEARCHES: u64 = 16 << 20;
const SEARCH_READ: u64 = 256 << 10;
/// Bytes by which two reads overlap, so that the header of a fragment is in one of them as a whole.
const OVERLAP: u64 = 16;

/// How many fragments are read at most.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) all: usize,
    /// One after the other.
    pub(super) per_walk: usize,
}

/// What was read in a range of an object.
pub(super) struct Walked<T> {
    /// Consecutive fragments, in the order of storage. It is one list if all fragments were read. Otherwise the first one
    /// starts with the range, and the others start at places that look like fragments.
    pub(super) runs: Vec<Vec<T>>,
    /// Whether all fragments were read.
    pub(super) is_complete: bool,
}

/// Calls `read` with each `moof` and `moov` box of a range, and returns its values.
pub(super) async fn walk<T, E: From<Error>>(
    source: &Source,
    range: Range<u64>,
    limits: Limits,
    read: impl Fn(&Header, &Fields) -> Result<Option<T>, E>,
) -> Result<Walked<T>, E> {
    let walker = Walker { source, read };
    let first = walker.advance(Run::at(range.start), range.end, limits.all.min(ALONE)).await?;
    let mut remaining = limits.all - first.count;
    let starts = match remaining {
        0 => vec![first.end],
        _ => walker.starts(first.end..range.end, first.end - range.start).await,
    };
    let ends: Vec<u64> = starts.iter().skip(1).copied().chain([range.end]).collect();

    // Walks go on with an equal share of what remains, until all have ended.
    let mut walks: Vec<Result<Run<T>, E>> = starts.iter().map(|start| Ok(Run::at(*start))).collect();
    loop {
        let goes_on = |(walk, end): &(&Result<Run<T>, E>, &u64)| {
            walk.as_ref().is_ok_and(|run| run.end < **end && run.count < limits.per_walk)
        };
        let share = remaining.checked_div(walks.iter().zip(&ends).filter(goes_on).count());
        let Some(share @ 1..) = share else { break };
        let advanced = walks.into_iter().zip(&ends).map(|(walk, end)| async {
            let run = walk?;
            let limit = share.min(limits.per_walk - run.count);
            walker.advance(run, *end, limit).await
        });
        walks = join_all(advanced).await;
        let read: usize = walks.iter().flatten().map(|run| run.count).sum();
        remaining = (limits.all - first.count).saturating_sub(read);
    }

    let (mut runs, mut last) = (Vec::new(), first);
    for (start, next) in starts.into_iter().zip(walks) {
        last = walker.go_on(last, start, limits, &mut remaining).await?;
        if last.end == start {
            let mut next = next?;
            last.found.append(&mut next.found);
            last = Run { found: last.found, ..next };
        } else if last.end < start {
            // A limit has been reached. A walk that started at no fragment can have failed.
            let Ok(next) = next else { continue };
            runs.push(std::mem::replace(&mut last, next).found);
        }
    }
    last = walker.go_on(last, range.end, limits, &mut remaining).await?;
    let is_complete = runs.is_empty() && last.end >= range.end;
    runs.push(last.found);
    Ok(Walked { runs, is_complete })
}

struct Walker<'a, R> {
    source: &'a Source,
    read: R,
}

/// Consecutive fragments.
struct Run<T> {
    found: Vec<T>,
    /// The offset after the last box.
    end: u64,
    /// How many fragments its last walk has read.
    count: usize,
}

impl<T> Run<T> {
    fn at(offset: u64) -> Self {
        Self { found: Vec::new(), end: offset, count: 0 }
    }
}

impl<R> Walker<'_, R> {
    /// Reads the boxes that start before the offset `until`, up to `limit` fragments.
    async fn advance<T, E: From<Error>>(&self, mut run: Run<T>, until: u64, limit: usize) -> Result<Run<T>, E>
    where
        R: Fn(&Header, &Fields) -> Result<Option<T>, E>,
    {
        let mut reader = Reader::new(self.source);
        let limit = run.count + limit;
        while run.end < until && run.count < limit {
            let Some(header) = reader.header(run.end, u64::MAX, MOOF_READ).await? else {
                run.end = until;
                break;
            };
            if matches!(&header.name, b"moof" | b"moov") {
                let body = reader.body(&header, MAX_MOOF).await?;
                run.found.extend((self.read)(&header, &body)?);
            }
            run.count += usize::from(header.name == *b"moof");
            run.end = header.body.end;
        }
        Ok(run)
    }

    /// Advances up to the offset `until` as far as limits allow.
    async fn go_on<T, E: From<Error>>(
        &self,
        run: Run<T>,
        until: u64,
        limits: Limits,
        remaining: &mut usize,
    ) -> Result<Run<T>, E>
    where
        R: Fn(&Header, &Fields) -> Result<Option<T>, E>,
    {
        let before = run.count;
        let limit = (*remaining).min(limits.per_walk.saturating_sub(before));
        let run = self.advance(run, until, limit).await?;
        *remaining -= run.count - before;
        Ok(run)
    }

    /// Returns where walks over a range start, in ascending order: at its start, and at fragments inside it.
    async fn starts(&self, range: Range<u64>, length_of_first: u64) -> Vec<u64> {
        let mut starts = vec![range.start];
        let length = range.end.saturating_sub(range.start);
        let average = (length_of_first / ALONE as u64).max(1);
        let walks = (SEARCHES / average).min(WALKS);
        if walks > 1 && length / average >= WORTHWHILE * walks {
            let part = length / walks;
            let longest = part.min(SEARCHES / walks);
            let searches = (1..walks).map(|nth| self.find(range.start + nth * part, longest));
            starts.extend(join_all(searches).await.into_iter().flatten());
        }
        starts.dedup();
        starts
    }

    /// Searches the next `length` bytes for a fragment. Returns its offset.
    async fn find(&self, mut at: u64, length: u64) -> Option<u64> {
        let end = at.saturating_add(length);
        while at < end {
            // If an error lasts, the walk that reads this place fails with it.
            let bytes = self.source.fetch(at..end.min(at + SEARCH_READ) + OVERLAP).await.ok()?;
            if let Some((header, _)) = fragments(&bytes).next() {
                return Some(at + header.start);
            }
            at += SEARCH_READ;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::boxes::tests::atom;
    use super::*;
    use crate::source::rounds::Rounds;

    const NO_LIMITS: Limits = Limits { all: usize::MAX, per_walk: usize::MAX };

    /// A fragment with `data` in its media data.
    fn fragment(data: &[u8]) -> Vec<u8> {
        let moof = atom(*b"moof", &[], &atom(*b"mfhd", &[0, 1], &[]));
        [moof, atom(*b"mdat", &[], data)].concat()
    }

    /// Fragments of 10 to 170 kB.
    fn fragments_of_an_object(count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|nth| fragment(&vec![7; 10_000 + nth * nth * 7919 % 160_000])).collect()
    }

    fn offsets(fragments: &[Vec<u8>]) -> Vec<u64> {
        let lengths = fragments.iter().map(|fragment| fragment.len() as u64);
        lengths.scan(0, |next, length| Some(std::mem::replace(next, *next + length))).collect()
    }

    /// Walks over an object. Returns the offsets of its fragments, the number of rounds of requests, and the bytes read.
    fn walk_all(object: Vec<u8>, limits: Limits) -> (Walked<u64>, u64, u64) {
        let object = Bytes::from(object);
        let place = |at| usize::try_from(at).unwrap();
        let size = object.len() as u64;
        let rounds = Rounds::new(move |range| object.slice(place(range.start)..place(range.end)));
        let source = Source::new(size, rounds.clone());
        let read = |header: &Header, _: &Fields| Ok::<_, Error>(Some(header.start));
        let (walked, rounds) = rounds.run(walk(&source, 0..size, limits, read));
        (walked.unwrap(), rounds, source.stats().bytes)
    }

    #[test]
    fn many_fragments_take_few_rounds_of_requests() {
        let fragments = fragments_of_an_object(400);
        let (walked, rounds, bytes) = walk_all(fragments.concat(), NO_LIMITS);
        assert!(walked.is_complete);
        assert_eq!(walked.runs, [offsets(&fragments)]);
        // 16 of the first walk, 24 of each further one if all fragments were of equal length, and the search.
        assert!(rounds < 60, "{rounds}");
        assert!(bytes < 400 * MOOF_READ + SEARCHES, "{bytes}");
    }

    #[test]
    fn few_fragments_are_read_one_after_the_other() {
        let fragments = fragments_of_an_object(60);
        let (walked, rounds, bytes) = walk_all(fragments.concat(), NO_LIMITS);
        assert_eq!((walked.runs, rounds), (vec![offsets(&fragments)], 60));
        assert!(bytes <= 60 * MOOF_READ, "{bytes}");
    }

    #[test]
    fn media_data_that_imitates_fragments_changes_nothing() {
        let inner = fragments_of_an_object(12).concat();
        // Such walks end where a fragment starts, inside one, and with an error.
        for imitation in
            [inner.clone(), [&inner[..], &[7; 9999]].concat(), [&inner[..], &[0, 0, 0, 3]].concat()]
        {
            let mut fragments = fragments_of_an_object(400);
            fragments.iter_mut().skip(20).step_by(9).for_each(|other| *other = fragment(&imitation));
            let (walked, ..) = walk_all(fragments.concat(), NO_LIMITS);
            assert!(walked.is_complete);
            assert_eq!(walked.runs, [offsets(&fragments)]);
        }
    }

    #[test]
    fn fragments_up_to_the_limit_are_spread_over_the_object() {
        let fragments = fragments_of_an_object(400);
        let all = offsets(&fragments);
        for limits in [Limits { all: 100, ..NO_LIMITS }, Limits { per_walk: 5, ..NO_LIMITS }] {
            let (walked, ..) = walk_all(fragments.concat(), limits);
            assert!(!walked.is_complete);
            assert!(walked.runs.len() > 10);
            let found = walked.runs.concat();
            assert!(found.len() <= 100 && found.is_sorted() && found.iter().all(|at| all.contains(at)));
            assert!(found.last() > all.get(360));
        }
    }

    #[tokio::test]
    async fn an_error_of_a_later_fragment_is_returned() {
        let object = Bytes::from(fragments_of_an_object(400).concat());
        let source = Source::new(object.len() as u64, object);
        let last = source.size() - 500_000;
        let read = |header: &Header, _: &Fields| {
            if header.start > last { Err(Error::Encrypted) } else { Ok(Some(())) }
        };
        let walked = walk(&source, 0..source.size(), NO_LIMITS, read).await;
        assert!(matches!(walked, Err(Error::Encrypted)));
    }
}
