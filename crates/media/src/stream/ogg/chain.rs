//! Chained Ogg (RFC 3533, section 4): files that were joined by their bytes, each with its own headers and times.
//!
//! ffmpeg reads the first one only. Here the headers of the others are blanked, and their pages go on with the streams of
//! the first, if their settings are the same: with its serial numbers, and with granule positions that are later. Pages
//! keep their places and lengths.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::iter::repeat_n;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::super::patches::Patches;
use super::page::{HEADER, Page, add_to_checksum, pages};
use super::{Format, audio};
use crate::source::{self, Source};

/// The bytes that change in the header of a page: from the capture pattern to the checksum.
const CHANGED: usize = 26;
/// The most pages that are changed, of 4 KiB or more each.
const MAX_PAGES: usize = 1 << 20;
/// The most streams of a link.
const MAX_STREAMS: usize = 64;
/// The largest header of a stream, in bytes.
const MAX_HEADER: usize = 1 << 20;
/// Bytes that are read at a time.
const READ: u64 = 4 << 20;

/// The links of a file after the first one.
#[derive(Debug, Clone, Default)]
pub(super) struct Chain {
    /// What replaces the headers of pages, by their offsets.
    pages: Patches<CHANGED>,
    /// The streams of the video.
    videos: BTreeSet<u32>,
}

impl Chain {
    /// Finds the links in a whole file.
    pub(super) fn of(file: &[u8]) -> Self {
        let mut reader = Reader::default();
        for page in pages(file) {
            reader.push(&page, page.bounds.0 as u64, file);
        }
        reader.chain
    }

    /// Returns the streams of the video after the first one.
    pub(super) fn videos(&self) -> impl Iterator<Item = u32> {
        self.videos.iter().copied()
    }

    /// Joins the links in a slice at an offset of the file.
    pub(super) fn join<'a>(&self, slice: &'a [u8], offset: u64) -> Cow<'a, [u8]> {
        self.pages.apply(slice, offset)
    }
}

/// What a stream contains.
#[derive(Debug, Clone, Copy)]
enum Content {
    Video(Format),
    /// Audio with this many samples per second.
    Audio(u32),
}

/// A stream of a link.
#[derive(Debug, Clone)]
struct Stream {
    serial: u32,
    content: Content,
    /// The number of its headers.
    count: usize,
    headers: Vec<Vec<u8>>,
    /// The start of a header that goes on on the next page.
    open: Vec<u8>,
    /// The stream of the first link that it continues.
    continues: Option<u32>,
}

impl Stream {
    fn new(page: &Page<'_>) -> Option<Self> {
        let count = match page.body {
            [0x80, b't', ..] | [1, b'v', ..] => 3,
            [b'O', ..] => 2,
            // The number of headers is not known.
            _ => return None,
        };
        let content = match Format::read(page.body) {
            Some(format) => Content::Video(format),
            None => Content::Audio(audio(page)?.rate),
        };
        let (serial, headers, open) = (page.serial, Vec::new(), Vec::new());
        Some(Self { serial, content, count, headers, open, continues: None })
    }

    /// Collects the headers on a page. Returns whether it had headers.
    fn read_headers(&mut self, page: &Page<'_>) -> bool {
        if self.headers.len() >= self.count {
            return false;
        }
        let mut rest = page.body;
        for length in page.lengths {
            let Some((part, after)) = rest.split_at_checked(usize::from(*length)) else { break };
            rest = after;
            if self.open.len() < MAX_HEADER {
                self.open.extend_from_slice(part);
            }
            if *length < 255 {
                self.headers.push(std::mem::take(&mut self.open));
            }
        }
        true
    }

    /// Returns whether a decoder of the other stream can decode this one. Comments do not count.
    fn is_like(&self, other: &Self) -> bool {
        let mut headers = self.headers.iter().zip(&other.headers).zip(0..);
        self.count == other.count && headers.all(|((one, other), number)| one == other || number == 1)
    }
}

/// Reads a file page by page.
#[derive(Debug, Default)]
struct Reader {
    chain: Chain,
    /// The streams of the first link, once it has ended.
    first: Vec<Stream>,
    /// The streams of the present link.
    link: Vec<Stream>,
    /// The last page was the first one of its stream.
    starts: bool,
    /// Frames of the links before, and of the present one.
    frames: (u64, u64),
}

impl Reader {
    /// Reads the next page of a slice, which is at an offset of the file.
    fn push(&mut self, page: &Page<'_>, at: u64, slice: &[u8]) {
        if page.starts && !self.starts {
            self.start_link();
        }
        self.starts = page.starts;
        if page.starts && self.link.len() < MAX_STREAMS {
            self.link.extend(Stream::new(page));
        }
        let Some(old) = slice.get(page.bounds.0..page.bounds.1).and_then(<[u8]>::first_chunk::<CHANGED>)
        else {
            return;
        };
        if let Some(new) = self.header(page, old).filter(|_| self.chain.pages.0.len() < MAX_PAGES) {
            self.chain.pages.0.push((at, new));
        }
    }

    fn start_link(&mut self) {
        if self.first.is_empty() {
            self.first = std::mem::take(&mut self.link);
        }
        self.link.clear();
        self.frames = (self.frames.0.saturating_add(self.frames.1), 0);
    }

    /// Returns what replaces the header of a page, if anything does.
    fn header(&mut self, page: &Page<'_>, old: &[u8; CHANGED]) -> Option<[u8; CHANGED]> {
        let mut blank = *old;
        blank[..4].fill(0);
        let is_first = self.first.is_empty();
        let blank = (!is_first).then_some(blank);
        let Some(at) = self.link.iter().position(|stream| stream.serial == page.serial) else { return blank };
        if self.link[at].read_headers(page) {
            self.continue_first(at);
            return blank;
        }
        let position = u64::try_from(page.granule).ok();
        if let (Content::Video(format), Some(position)) = (self.link[at].content, position)
            && (is_first || self.link[at].continues.is_some())
        {
            self.frames.1 = self.frames.1.max(format.positions.frames(position));
        }
        if is_first {
            return None;
        }
        self.continued(at, page, position, old).or(blank)
    }

    /// Finds the stream of the first link that a stream continues.
    fn continue_first(&mut self, at: usize) {
        let stream = &self.link[at];
        if self.first.is_empty() || stream.headers.len() < stream.count {
            return;
        }
        let taken = |serial| self.link.iter().any(|other| other.continues == Some(serial));
        let found = self.first.iter().find(|first| stream.is_like(first) && !taken(first.serial));
        let continues = found.map(|first| first.serial);
        if matches!(stream.content, Content::Video(_)) && continues.is_some() {
            self.chain.videos.insert(stream.serial);
        }
        self.link[at].continues = continues;
    }

    /// Returns the header of a page that continues a stream of the first link. Without video, audio does not.
    fn continued(
        &self,
        at: usize,
        page: &Page<'_>,
        position: Option<u64>,
        old: &[u8; CHANGED],
    ) -> Option<[u8; CHANGED]> {
        let stream = &self.link[at];
        let serial = stream.continues?;
        let format = self.link.iter().find_map(|stream| match stream.content {
            Content::Video(format) => stream.continues.map(|_| format),
            Content::Audio(_) => None,
        })?;
        let frames = self.frames.0;
        let position = match (position, stream.content) {
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
    let mut reader = Reader::default();
    let (mut at, mut rest) = (0, BytesMut::new());
    while at < source.size() {
        rest.extend_from_slice(&source.fetch(at..at.saturating_add(READ).min(source.size())).await?);
        at = at.saturating_add(READ).min(source.size());
        let slice: Bytes = rest.split().freeze();
        let start = at - slice.len() as u64;
        let mut read = 0;
        for page in pages(&slice) {
            reader.push(&page, start + page.bounds.0 as u64, &slice);
            read = page.bounds.1;
        }
        // A page of at most 64 KiB can go on in the next read.
        let keep = (slice.len() - read).min(HEADER + 255 + 255 * 255);
        rest.extend_from_slice(&slice[slice.len() - keep..]);
    }
    let pages = reader.chain.pages;
    if !pages.0.is_empty() {
        tracing::info!(pages = pages.0.len(), "joining the links of a chain");
    }
    Ok(pages.patch(source))
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture;
    use super::super::super::patches::tests::read_in_pieces;
    use super::super::page::is_intact;
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
