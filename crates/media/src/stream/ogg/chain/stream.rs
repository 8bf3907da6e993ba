//! The streams of a link.

use crate::stream::ogg::page::Page;
use crate::stream::ogg::{Format, audio};

/// The largest header of a stream, in bytes.
const MAX_HEADER: usize = 1 << 20;

/// What a stream contains.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content {
    Video(Format),
    /// Audio with this many samples per second.
    Audio(u32),
}

/// A stream of a link.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    pub(super) serial: u32,
    pub(super) content: Content,
    /// The number of its headers.
    pub(super) count: usize,
    pub(super) headers: Vec<Vec<u8>>,
    /// The start of a header that goes on on the next page.
    open: Vec<u8>,
    /// The offset after the last page that has headers.
    pub(super) headers_end: u64,
    /// The stream of the first link that it continues.
    pub(super) continues: Option<u32>,
}

impl Stream {
    pub(super) fn new(page: &Page<'_>) -> Option<Self> {
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
        Some(Self { serial, content, count, headers, open, headers_end: 0, continues: None })
    }

    /// Collects the headers on a page, which ends at `end`. Returns whether it had headers.
    pub(super) fn read_headers(&mut self, page: &Page<'_>, end: u64) -> bool {
        if self.headers.len() >= self.count {
            return false;
        }
        self.headers_end = end;
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
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let mut headers = self.headers.iter().zip(&other.headers).zip(0..);
        self.count == other.count && headers.all(|((one, other), number)| one == other || number == 1)
    }
}
