//! Chained Ogg (RFC 3533, section 4): files that were joined by their bytes, each with its own headers and times.
//!
//! ffmpeg reads the first one only. Here the headers of the others are blanked, and their pages go on with the streams of
//! the first, if their settings are the same: with its serial numbers, and with granule positions that are later. Pages
//! keep their places and lengths.

mod stream;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::iter::repeat_n;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use self::stream::{Content, Stream};
use super::super::patches::Patches;
use super::page::{Page, add_to_checksum, pages};
use crate::source::{self, Source};

/// The bytes that change in the header of a page: from the capture pattern to the checksum.
const CHANGED: usize = 26;
/// The most pages that are changed, of 4 KiB or more each.
const MAX_PAGES: usize = 1 << 20;
/// The most links of a file.
const MAX_LINKS: usize = 10_000;
/// The most streams of a link.
const MAX_STREAMS: usize = 64;
/// Bytes that are read at a time.
const READ: u64 = 4 << 20;

/// The links of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct Chain {
    links: Vec<Link>,
    /// The end of the last page that was read.
    read: u64,
    /// That page was the first one of its stream.
    starts: bool,
}

/// A link of a chain.
#[derive(Debug, Clone)]
struct Link {
    start: u64,
    streams: Vec<Stream>,
    /// The number of frames in the links before it.
    before: u64,
    /// The number of its frames, as far as it was read.
    frames: u64,
}

impl Chain {
    /// Finds the links in a whole file, or in its start.
    pub(super) fn of(file: &[u8]) -> Self {
        let mut chain = Self::default();
        chain.read(file, 0);
        chain
    }

    /// Reads a slice at an offset of the file. Slices ascend, but can overlap. All links have to begin in one of them, and
    /// the last frames of each have to be in one.
    pub(super) fn read(&mut self, slice: &[u8], offset: u64) {
        for page in pages(slice) {
            self.push(&page, offset + page.bounds.0 as u64);
        }
    }

    /// Returns the length of the shortest link that has a serial number of another one. The file ends at `size`.
    pub(super) fn shortest_alike(&self, size: u64) -> Option<u64> {
        let mut counts = BTreeMap::new();
        for stream in self.links.iter().flat_map(|link| &link.streams) {
            *counts.entry(stream.serial).or_insert(0) += 1;
        }
        let is_alike = |stream: &Stream| counts.get(&stream.serial) > Some(&1);
        let ends = self.links.iter().skip(1).map(|link| link.start).chain([size]);
        let links = self.links.iter().zip(ends).filter(|(link, _)| link.streams.iter().any(is_alike));
        links.map(|(link, end)| end.saturating_sub(link.start)).min()
    }

    /// Returns the streams of the video after the first link.
    pub(super) fn videos(&self) -> impl Iterator<Item = u32> {
        let streams = self.links.iter().skip(1).flat_map(|link| &link.streams);
        let videos = streams.filter(|stream| matches!(stream.content, Content::Video(_)));
        videos.filter(|stream| stream.continues.is_some()).map(|stream| stream.serial)
    }

    /// Joins the links in a slice at an offset of the file.
    pub(super) fn join<'a>(&self, slice: &'a [u8], offset: u64) -> Cow<'a, [u8]> {
        let mut joined = Cow::Borrowed(slice);
        if self.links.len() < 2 {
            return joined;
        }
        for page in pages(slice) {
            let start = page.bounds.0;
            if let Some(new) = self.header(&page, offset + start as u64, slice) {
                joined.to_mut()[start..start + CHANGED].copy_from_slice(&new);
            }
        }
        joined
    }

    /// Reads the next page, which is at an offset of the file.
    fn push(&mut self, page: &Page<'_>, at: u64) {
        let end = at.saturating_add((page.bounds.1 - page.bounds.0) as u64);
        if at < self.read {
            return;
        }
        self.read = end;
        if page.starts && !self.starts {
            self.start_link(at);
        }
        self.starts = page.starts;
        let Some((link, others)) = self.links.split_last_mut() else { return };
        if page.starts && link.streams.len() < MAX_STREAMS {
            link.streams.extend(Stream::new(page));
        }
        let Some(stream) = link.streams.iter().position(|stream| stream.serial == page.serial) else {
            return;
        };
        if link.streams[stream].read_headers(page, end) {
            if let Some(first) = others.first() {
                link.continue_first(stream, first);
            }
        } else if let (Content::Video(format), Ok(position)) =
            (link.streams[stream].content, u64::try_from(page.granule))
            && (others.is_empty() || link.streams[stream].continues.is_some())
        {
            link.frames = link.frames.max(format.positions.frames(position));
        }
    }

    fn start_link(&mut self, start: u64) {
        // Nothing can continue a link without streams.
        if matches!(self.links.as_slice(), [first] if first.streams.is_empty()) {
            self.links.clear();
        }
        if self.links.len() < MAX_LINKS {
            let before = self.links.last().map_or(0, |last| last.before.saturating_add(last.frames));
            self.links.push(Link { start, streams: Vec::new(), before, frames: 0 });
        }
    }

    /// Returns what replaces the header of a page in a slice, if anything does. `at` is its offset in the file.
    fn header(&self, page: &Page<'_>, at: u64, slice: &[u8]) -> Option<[u8; CHANGED]> {
        let old = slice.get(page.bounds.0..page.bounds.1)?.first_chunk::<CHANGED>()?;
        let index = self.links.partition_point(|link| link.start <= at).checked_sub(1)?;
        let link = self.links.get(index).filter(|_| index > 0)?;
        let stream = link.streams.iter().find(|stream| stream.serial == page.serial);
        let stream = stream.filter(|stream| at >= stream.headers_end);
        let mut blank = *old;
        blank[..4].fill(0);
        Some(stream.and_then(|stream| link.continued(stream, page, old)).unwrap_or(blank))
    }
}

impl Link {
    /// Finds the stream of the first link that a stream continues.
    fn continue_first(&mut self, at: usize, first: &Self) {
        let stream = &self.streams[at];
        if stream.headers.len() < stream.count {
            return;
        }
        let taken = |serial| self.streams.iter().any(|other| other.continues == Some(serial));
        let found = first.streams.iter().find(|first| stream.is_like(first) && !taken(first.serial));
        let continues = found.map(|first| first.serial);
        self.streams[at].continues = continues;
        // They are not needed any more, but their number is.
        self.streams[at].headers.iter_mut().for_each(|header| *header = Vec::new());
    }

    /// Returns the header of a page that continues a stream of the first link. Without video, audio does not.
    fn continued(&self, stream: &Stream, page: &Page<'_>, old: &[u8; CHANGED]) -> Option<[u8; CHANGED]> {
        let serial = stream.continues?;
        let format = self.streams.iter().find_map(|stream| match stream.content {
            Content::Video(format) => stream.continues.map(|_| format),
            Content::Audio(_) => None,
        })?;
        let frames = self.before;
        let position = match (u64::try_from(page.granule).ok(), stream.content) {
            // No packet ends on the page.
            (None, _) => None,
            (Some(position), Content::Video(format)) => Some(format.positions.later(position, frames)?),
            (Some(position), Content::Audio(rate)) => {
                let samples = u128::from(frames) * u128::from(format.rate.1) * u128::from(rate)
                    / u128::from(format.rate.0);
                Some(position.checked_add(u64::try_from(samples).ok()?)?)
            }
        };
        let granule = position.map_or(Some(-1), |position| i64::try_from(position).ok())?;
        let mut new = *old;
        new[6..14].copy_from_slice(&granule.to_le_bytes());
        new[14..18].copy_from_slice(&serial.to_le_bytes());
        // The checksum is linear, so a damaged page stays one.
        let changes = old.iter().zip(&new).map(|(old, new)| old ^ new).take(22);
        let rest = repeat_n(0, (page.bounds.1 - page.bounds.0).saturating_sub(22));
        let change = add_to_checksum(add_to_checksum(0, changes), rest).to_le_bytes();
        for (byte, change) in new[22..].iter_mut().zip(change) {
            *byte ^= change;
        }
        Some(new)
    }
}

/// Reads an object in Ogg, and returns one with a single link if it is a chain. Otherwise returns the source itself.
///
/// # Errors
/// Fails if the object cannot be read, or if the read would exceed a limit.
pub(in super::super) async fn unchain(source: &Arc<Source>) -> Result<Arc<Source>, source::Error> {
    let mut chain = Chain::default();
    let mut patches = Patches::default();
    let (mut at, mut rest) = (0, BytesMut::new());
    while at < source.size() {
        rest.extend_from_slice(&source.fetch(at..at.saturating_add(READ).min(source.size())).await?);
        at = at.saturating_add(READ).min(source.size());
        let slice: Bytes = rest.split().freeze();
        let start = at - slice.len() as u64;
        let mut read = 0;
        for page in pages(&slice) {
            let at = start + page.bounds.0 as u64;
            chain.push(&page, at);
            if let Some(new) = chain.header(&page, at, &slice).filter(|_| patches.0.len() < MAX_PAGES) {
                patches.0.push((at, new));
            }
            read = page.bounds.1;
        }
        // A page of at most 64 KiB can go on in the next read.
        let keep = (slice.len() - read).min(Page::MAX);
        rest.extend_from_slice(&slice[slice.len() - keep..]);
    }
    if !patches.0.is_empty() {
        tracing::info!(pages = patches.0.len(), "joining the links of a chain");
    }
    Ok(patches.patch(source))
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture;
    use super::super::super::patches::tests::read_in_pieces;
    use super::super::page::{HEADER, is_intact};
    use super::*;

    async fn read(object: Vec<u8>) -> (bool, Vec<u8>) {
        // In pieces that do not begin with a page.
        read_in_pieces(object, 1000, async |source| unchain(&source).await.unwrap()).await
    }

    #[tokio::test]
    async fn chain_becomes_one_link() {
        let vorbis = [b"\x01vorbis\0\0\0\0\x01", &48_000u32.to_le_bytes()[..], &[0; 14]].concat();
        let link = |video: u8, audio: u8| {
            let start = fixture::ogg_page(audio, 2, 0, &[30], &vorbis);
            let headers = fixture::ogg_page(audio, 0, 0, &[9, 9], b"\x03comments\x05settings");
            let samples = fixture::ogg_page(audio, 4, 48_000, &[9], &[7; 9]);
            let video = fixture::renumbered(&fixture::theora(50, 25, 1, &[]), video);
            // After the first page of the video.
            [&video[..70], &start, &headers, &video[70..], &samples].concat()
        };
        let (is_same, bytes) = read([link(7, 8), link(9, 10), link(7, 8)].concat()).await;
        assert!(!is_same);
        let found: Vec<_> = pages(&bytes).collect();
        assert!(found.iter().all(|page| is_intact(&bytes[page.bounds.0..page.bounds.1])));
        // The headers of the first link only, then 100 pages of 50 frames each, and a page of audio.
        assert_eq!(found.len(), 4 + 3 * 101);
        let positions = |serial: u32| -> Vec<i64> {
            found
                .iter()
                .filter(|page| page.serial == serial && page.granule > 0)
                .map(|page| page.granule)
                .collect()
        };
        let expected: Vec<i64> = (0..150).map(|n| ((n / 25 * 25 + 1) << 6) + n % 25).collect();
        assert_eq!(positions(7), expected);
        assert_eq!(positions(8), [48_000, 144_000, 240_000]);
    }

    #[tokio::test]
    async fn other_files_are_kept() {
        let film = fixture::theora(50, 25, 1, &[]);
        let cut = film[500..].to_vec();
        for object in [film, cut, Vec::new(), vec![b'O'; 5000]] {
            assert_eq!(read(object.clone()).await, (true, object));
        }
    }

    #[tokio::test]
    async fn extreme_positions_do_not_overflow() {
        let mut link = fixture::theora(1, 1, 1, &[]);
        // All bits of a position count frames.
        link[HEADER + 1 + 41] = 0;
        let last = memchr::memmem::rfind(&link, b"OggS").unwrap();
        link[last + 6..last + 14].copy_from_slice(&i64::MAX.to_le_bytes());
        let (is_same, _) = read(link.repeat(5)).await;
        assert!(!is_same);
        Chain::of(&link.repeat(5));
    }
}
