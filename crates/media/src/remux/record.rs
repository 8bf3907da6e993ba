//! The records of a segment index.
//!
//! A record is a CRC-32 and deflated data: a version, the entity tag and the size of the object, for each track the boxes
//! before the samples, and then *runs*: samples of a track that are stored side by side, with the distance from the end of
//! the run before, whichever track that is of. As the samples of all tracks are usually stored side by side, most distances
//! are 0. A record is 0.5 to 2 kB.
//!
//! A record with audio that has to be encoded is of another version, which says what is encoded of the samples. So is one with
//! samples in several pieces: there, a run states its bytes, and not the number of its samples.
//!
//! A film whose samples are not listed has records of another version, which state a range of the object to search.

mod number;
mod span;
mod write;

use std::io::Read;
use std::ops::Range;
use std::vec::IntoIter;

use bytes::{Bytes, BytesMut};
use flate2::Crc;
use flate2::read::DeflateDecoder;
use upreel_core::ReadError;

use self::number::{block, unzigzag, varint};
pub(super) use self::span::write as write_span;
pub(super) use self::write::{Part, write};
use super::Unplayable;
use super::encodable::Encodable;
use super::encoded::Encoding;
use super::read::Reads;
use super::span::Span;
use crate::mp4::boxes::Fields;
use crate::mp4::runs::{Defaults, TrackHeader, TrackRun};
use crate::source::{Error, Source};

/// The versions of the formats: of listed samples, of a range, of both if some samples are encoded, and of listed samples of
/// which some have several pieces. A change of a format or of the segments' boxes is another version.
const VERSION: u8 = 1;
const SPAN_VERSION: u8 = 2;
const ENCODED_VERSION: u8 = 3;
const ENCODED_SPAN_VERSION: u8 = 4;
const PIECES_VERSION: u8 = 5;
const ENCODED_PIECES_VERSION: u8 = 6;
/// Limits of what a record may contain: it is read from storage. They also hold when it is made.
const MAX_PAYLOAD: u64 = 4 << 20;
const MAX_TRACKS: u64 = 64;
const MAX_SAMPLES: usize = 1 << 16;
const MAX_MEDIA: u64 = 128 << 20;

/// The part of the segment index for one time span, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    etag: String,
    size: u64,
    contents: Contents,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Contents {
    Listing(Listing),
    Span(Box<Span>),
}

/// Where the samples are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listing {
    segments: Vec<Segment>,
    pieces: Vec<Piece>,
    reads: Reads,
}

/// A segment of a track, without its samples.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment {
    track: usize,
    /// What is encoded of the samples, if players do not play them.
    encoding: Option<Encoding<Bytes>>,
    head: Bytes,
    /// Bytes of the samples.
    media: usize,
}

/// Consecutive samples of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    /// The position in [`Listing::segments`].
    segment: usize,
    data: Data,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Data {
    /// In the object.
    Extent(Range<u64>),
    /// In the record.
    Literal(Bytes),
}

/// The segments of one time span: for each, the position of its track in [`Remux::tracks`](super::Remux::tracks).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Segments {
    /// The segments of the tracks that are played as they are.
    pub complete: Vec<(usize, Bytes)>,
    /// Audio of which the segments have to be encoded.
    pub encodable: Vec<(usize, Encodable)>,
}

impl Record {
    /// Reads a stored record. Returns `None` if it is damaged, or of another version.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (crc, packed) = bytes.split_first_chunk::<4>()?;
        if checksum(packed) != *crc {
            return None;
        }
        let mut payload = Vec::new();
        DeflateDecoder::new(packed).take(MAX_PAYLOAD + 1).read_to_end(&mut payload).ok()?;
        if payload.len() as u64 > MAX_PAYLOAD {
            return None;
        }
        Self::parse(Fields(payload.into()))
    }

    fn parse(mut fields: Fields) -> Option<Self> {
        let version = fields.u8()?;
        let etag = String::from_utf8(block(&mut fields)?.to_vec()).ok()?;
        let size = varint(&mut fields)?;
        let contents = match version {
            VERSION | ENCODED_VERSION | PIECES_VERSION | ENCODED_PIECES_VERSION => {
                Contents::Listing(Listing::parse(fields, size, version)?)
            }
            SPAN_VERSION => Contents::Span(Box::new(span::parse(fields, size, false)?)),
            ENCODED_SPAN_VERSION => Contents::Span(Box::new(span::parse(fields, size, true)?)),
            _ => return None,
        };
        Some(Self { etag, size, contents })
    }

    /// Returns the entity tag of the object to read.
    #[must_use]
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// Returns the size of the object to read.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Reads the media of all tracks.
    ///
    /// # Errors
    /// As [`Source::read`], and if the object has another size. If the samples of this time were not listed when the record
    /// was made, only now can it turn out that players cannot play them.
    pub async fn segments(&self, source: &Source) -> Result<Segments, Unplayable> {
        if source.size() != self.size {
            return Err(Unplayable::Failed(ReadError::Gone.into()));
        }
        match &self.contents {
            Contents::Listing(listing) => Ok(listing.segments(source).await?),
            Contents::Span(span) => span.segments(source).await,
        }
    }
}

impl Listing {
    fn parse(mut fields: Fields, size: u64, version: u8) -> Option<Self> {
        let has_encodings = matches!(version, ENCODED_VERSION | ENCODED_PIECES_VERSION);
        let has_pieces = matches!(version, PIECES_VERSION | ENCODED_PIECES_VERSION);
        let count = varint(&mut fields).filter(|count| *count <= MAX_TRACKS)?;
        let (mut segments, mut sizes) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let track = usize::try_from(varint(&mut fields)?).ok()?;
            let head = block(&mut fields)?;
            let samples = sample_sizes(&Fields(head.clone()))?;
            let media = samples.iter().map(|size| u64::from(*size)).sum::<u64>();
            sizes.push((samples.into_iter(), media));
            let encoding = if has_encodings { encoding(&mut fields)? } else { None };
            segments.push(Segment { track, encoding, head, media: usize::try_from(media).ok()? });
        }
        let (mut pieces, mut extents) = (Vec::new(), Vec::new());
        let (mut at, mut total) = (0u64, 0u64);
        while !fields.0.is_empty() {
            let segment = usize::try_from(varint(&mut fields)?).ok()?;
            let count = varint(&mut fields)?;
            let (samples, left) = sizes.get_mut(segment)?;
            let is_literal = count & 1 == 1;
            let len = if has_pieces {
                Some(count >> 1).filter(|len| *len > 0)?
            } else {
                let count = usize::try_from(count >> 1).ok();
                let count = count.filter(|count| (1..=samples.len()).contains(count))?;
                samples.by_ref().take(count).map(u64::from).sum::<u64>()
            };
            *left = left.checked_sub(len)?;
            total += len;
            let data = if is_literal {
                Data::Literal(fields.take(usize::try_from(len).ok()?)?)
            } else {
                let start = at.checked_add_signed(unzigzag(varint(&mut fields)?))?;
                at = start.checked_add(len).filter(|end| *end <= size)?;
                extents.push(start..at);
                Data::Extent(start..at)
            };
            pieces.push(Piece { segment, data });
        }
        let are_listed = |samples: &IntoIter<u32>| has_pieces || samples.len() == 0;
        let is_complete =
            sizes.iter().all(|(rest, left)| *left == 0 && are_listed(rest)) && total <= MAX_MEDIA;
        is_complete.then_some(Self { segments, pieces, reads: Reads::plan(extents)? })
    }

    async fn segments(&self, source: &Source) -> Result<Segments, Error> {
        let media = self.reads.fetch(source).await?;
        let mut made: Vec<BytesMut> = Vec::new();
        for Segment { head, media, .. } in &self.segments {
            let mut bytes = BytesMut::with_capacity(head.len() + media);
            bytes.extend_from_slice(head);
            made.push(bytes);
        }
        for Piece { segment, data } in &self.pieces {
            let Some(bytes) = made.get_mut(*segment) else { continue };
            match data {
                Data::Extent(extent) => media.copy(extent, bytes),
                Data::Literal(literal) => bytes.extend_from_slice(literal),
            }
        }
        let mut segments = Segments::default();
        for (Segment { track, encoding, .. }, bytes) in self.segments.iter().zip(made) {
            let bytes = bytes.freeze();
            match encoding.clone() {
                None => segments.complete.push((*track, bytes)),
                Some(encoding) => {
                    segments.encodable.push((*track, Encodable { encoding, fragment: bytes }));
                }
            }
        }
        Ok(segments)
    }
}

/// Reads what is encoded of a track; `None` inside if it is played as it is.
#[expect(clippy::option_option, reason = "the outer one tells whether the record is damaged")]
fn encoding(fields: &mut Fields) -> Option<Option<Encoding<Bytes>>> {
    let init = block(fields)?;
    if init.is_empty() {
        return Some(None);
    }
    let number = u32::try_from(varint(fields)?).ok()?;
    let mut time = || varint(fields).map(unzigzag);
    let (frames, span) = (time()?..time()?, time()?..time()?);
    let encoding = Encoding { init, number, frames, span };
    encoding.is_possible().then_some(Some(encoding))
}

/// Reads the sizes of the samples that a segment's boxes list.
fn sample_sizes(head: &Fields) -> Option<Vec<u32>> {
    let traf = head.child(*b"moof")?.child(*b"traf")?;
    let header = TrackHeader::read(traf.child(*b"tfhd")?, Defaults::default())?;
    let mut run = TrackRun::read(traf.child(*b"trun")?, header.defaults)?;
    let mut sizes = Vec::new();
    while run.remaining > 0 {
        let samples = run.next_samples()?;
        let count = usize::try_from(samples.count).ok().filter(|count| sizes.len() + count <= MAX_SAMPLES)?;
        sizes.resize(sizes.len() + count, samples.size);
    }
    Some(sizes)
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum().to_be_bytes()
}

#[cfg(test)]
mod tests;
