//! Pages of Ogg (RFC 3533, section 6).

use std::ops::Range;

use memchr::memmem;

pub(super) const CAPTURE: &[u8] = b"OggS";
/// The length of a page's header, before the table of segments.
pub(super) const HEADER: usize = 27;
/// Where the checksum is.
const CHECKSUM: Range<usize> = 22..26;

/// A page of a stream.
pub(crate) struct Page<'a> {
    pub(crate) bounds: (usize, usize),
    pub(crate) serial: u32,
    /// The number among the pages of the stream.
    pub(crate) number: u32,
    pub(crate) granule: i64,
    /// It is the first page of its stream.
    pub(crate) starts: bool,
    /// Its first packet began on the page before.
    pub(crate) continues: bool,
    pub(crate) lengths: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl Page<'_> {
    /// The most bytes of a page.
    pub(crate) const MAX: usize = HEADER + 255 + 255 * 255;

    /// Returns whether the checksum of a page of a slice is right.
    pub(crate) fn is_intact(&self, slice: &[u8]) -> bool {
        slice.get(self.bounds.0..self.bounds.1).is_some_and(is_intact)
    }
}

/// Returns the complete pages of a slice that starts anywhere.
pub(crate) fn pages(slice: &[u8]) -> impl Iterator<Item = Page<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            at += memmem::find(slice.get(at..)?, CAPTURE)?;
            let Some(page) = page(slice, at) else {
                at += 1;
                continue;
            };
            at = page.bounds.1;
            return Some(page);
        }
    })
}

/// Returns whether the checksum of a page is right: a CRC of 32 bits with the polynomial 0x04C11DB7, over the page with
/// zeros in place of the checksum.
pub(super) fn is_intact(page: &[u8]) -> bool {
    let stored = page.get(22..26).and_then(|sum| sum.try_into().ok()).map(u32::from_le_bytes);
    stored == Some(checksum(page))
}

/// Returns the checksum of a page.
pub(crate) fn checksum(page: &[u8]) -> u32 {
    add_to_checksum(
        0,
        page.iter().enumerate().map(|(at, byte)| if CHECKSUM.contains(&at) { 0 } else { *byte }),
    )
}

/// Returns the checksum after more bytes.
pub(super) fn add_to_checksum(sum: u32, bytes: impl Iterator<Item = u8>) -> u32 {
    bytes.fold(sum, |sum, byte| sum << 8 ^ TABLE[usize::from((sum >> 24) as u8 ^ byte)])
}

/// The checksum of each byte.
static TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0u8;
    loop {
        let mut sum = (byte as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum >> 31 == 1 { sum << 1 ^ 0x04C1_1DB7 } else { sum << 1 };
            bit += 1;
        }
        table[byte as usize] = sum;
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    table
};

/// Parses a page (RFC 3533, section 6).
pub(super) fn page(slice: &[u8], at: usize) -> Option<Page<'_>> {
    let header = slice.get(at..at.checked_add(HEADER)?)?;
    let lengths = slice.get(at + HEADER..)?.get(..usize::from(header[26]))?;
    let start = at + HEADER + lengths.len();
    let end = start + lengths.iter().map(|length| usize::from(*length)).sum::<usize>();
    let body = slice.get(start..end).filter(|_| header[4] == 0)?;
    Some(Page {
        bounds: (at, end),
        serial: u32::from_le_bytes(*header[14..].first_chunk()?),
        number: u32::from_le_bytes(*header[18..].first_chunk()?),
        granule: i64::from_le_bytes(*header[6..].first_chunk()?),
        starts: header[5] & 2 != 0,
        continues: header[5] & 1 != 0,
        lengths,
        body,
    })
}
