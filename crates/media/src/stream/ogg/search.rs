//! Finds the links of a chain in a large file by bisection, as libvorbisfile does.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::chain::Chain;
use super::page::{is_intact, pages};
use crate::source::{self, Source, in_parallel};

/// Places that are read at first, evenly spaced.
const PLACES: u64 = 16;
/// The most places that are read.
const MAX_PLACES: usize = 200;
/// Bytes that are read at a place: at first, and if there is no whole page.
const READS: [u64; 2] = [64 << 10, 192 << 10];
/// Bytes between two places that are not searched any more, but read.
const NEAR: u64 = 128 << 10;
/// Bytes to read before and after those, for the last frames of a link and the headers of the next one.
const AROUND: u64 = 256 << 10;

/// The links of a file, and the parts of it in which they start, with their offsets.
type Found = (Chain, Vec<(u64, Bytes)>);

/// A place of a file.
#[derive(Debug)]
struct Place {
    at: u64,
    /// The first granule position of each stream there, if any.
    positions: BTreeMap<u32, Option<u64>>,
}

impl Place {
    fn of(slice: &[u8], at: u64) -> Self {
        let mut positions = BTreeMap::new();
        let mut starts = true;
        for page in pages(slice).filter(|page| is_intact(&slice[page.bounds.0..page.bounds.1])) {
            // Another link starts.
            if page.starts && !starts {
                break;
            }
            starts = page.starts;
            let position = positions.entry(page.serial).or_insert(None);
            *position = position.or(u64::try_from(page.granule).ok());
        }
        Self { at, positions }
    }

    async fn read(source: &Source, at: u64) -> Result<Self, source::Error> {
        let mut place = Self::of(&[], at);
        for length in READS {
            // Not cached, because that would evict the index.
            place = Self::of(&source.fetch(at..at.saturating_add(length)).await?, at);
            if !place.positions.is_empty() {
                break;
            }
        }
        Ok(place)
    }

    /// Returns whether a later place can be in the same link: with a stream of this one, and no position goes back.
    fn goes_on_at(&self, later: &Self) -> bool {
        let mut both = self
            .positions
            .iter()
            .filter_map(|(serial, position)| Some((position, later.positions.get(serial)?)));
        let is_after = |(one, other): (&Option<u64>, &Option<u64>)| {
            one.zip(*other).is_none_or(|(one, other)| one <= other)
        };
        let is_shared = self.positions.keys().any(|serial| later.positions.contains_key(serial));
        is_shared && both.all(is_after)
    }
}

/// Finds the links of a file, whose start is `head`. Returns `None` if there could be more.
pub(super) async fn search(source: &Source, head: &[u8]) -> Result<Option<Found>, source::Error> {
    let size = source.size();
    let mut places = vec![Place::of(head, 0)];
    let spacing = size / PLACES;
    let mut wanted: Vec<u64> = (1..PLACES).map(|i| i * spacing).chain([size.saturating_sub(NEAR)]).collect();
    let ends = |places: &[Place]| -> Vec<(u64, u64)> {
        let pairs = places.windows(2).filter(|pair| !pair[0].goes_on_at(&pair[1]));
        pairs.map(|pair| (pair[0].at, pair[1].at)).collect()
    };
    while !wanted.is_empty() {
        if places.len() + wanted.len() > MAX_PLACES {
            return Ok(None);
        }
        places.extend(in_parallel(wanted.iter().map(|at| Place::read(source, *at)).collect()).await?);
        places.sort_by_key(|place| place.at);
        let far = ends(&places).into_iter().filter(|(from, to)| to - from > NEAR);
        wanted = far.map(|(from, to)| from.midpoint(to)).collect();
    }
    let mut chain = Chain::of(head);
    let mut parts = Vec::new();
    for (from, to) in ends(&places) {
        let start = from.saturating_sub(AROUND);
        let part = source.fetch(start..to.saturating_add(AROUND)).await?;
        chain.read(&part, start);
        parts.push((start, part));
    }
    // Between two places in links with the same serial numbers, a short one can be missed.
    let is_certain = chain.shortest_alike(size).is_none_or(|shortest| shortest >= 2 * spacing);
    Ok(is_certain.then_some((chain, parts)))
}
