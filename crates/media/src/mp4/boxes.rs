//! Boxes (ISO/IEC 14496-12, 4.2), which `QuickTime` calls atoms: a size, a four-character type, a body.

use std::ops::Range;

use bytes::{BufMut, Bytes};

use crate::keyframe::Error;
use crate::source::Source;

/// A box type: a four-character code.
pub type Name = [u8; 4];

/// Limit of boxes read in one object. Normal files have a few dozen.
const MAX_BOXES: u32 = 20_000;

/// A box header. The body has not been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) name: Name,
    pub(super) start: u64,
    pub(super) body: Range<u64>,
}

impl Header {
    /// Returns the byte range of header and body.
    pub(super) fn range(&self) -> Range<u64> {
        self.start..self.body.end
    }
}

/// Reads the boxes of one object, up to `MAX_BOXES`.
pub(super) struct Reader<'a> {
    pub(super) source: &'a Source,
    remaining: u32,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a Source) -> Self {
        Self { source, remaining: MAX_BOXES }
    }

    /// Reads the header of the box at offset `at` in a parent that ends at `end`. Returns `None` if there is no room
    /// for another box. On a cache miss it fetches `ahead` bytes.
    pub(super) async fn header(&mut self, at: u64, end: u64, ahead: u64) -> Result<Option<Header>, Error> {
        let end = end.min(self.source.size());
        // QuickTime may terminate a list of atoms with four zero bytes.
        if end.saturating_sub(at) < 8 {
            return Ok(None);
        }
        self.remaining = self.remaining.checked_sub(1).ok_or(Error::Unknown("too many boxes"))?;
        let head = self.source.read_ahead(at, 16.min(end - at), ahead.min(end - at)).await?;
        parse_header(&head, at, end).map(Some)
    }

    /// Reads the headers of the boxes in `body`.
    pub(super) async fn children(&mut self, body: &Range<u64>, ahead: u64) -> Result<Vec<Header>, Error> {
        let mut found = Vec::new();
        let mut at = body.start;
        while let Some(header) = self.header(at, body.end, ahead).await? {
            at = header.body.end;
            found.push(header);
        }
        Ok(found)
    }

    /// Reads the body of a box. Fails if it is longer than `max` bytes.
    pub(super) async fn body(&self, header: &Header, max: u64) -> Result<Fields, Error> {
        self.read(header.body.clone(), max).await.map(Fields)
    }

    /// Reads a whole range. Fails if it is longer than `max` bytes or reaches past the end of the object.
    pub(super) async fn read(&self, range: Range<u64>, max: u64) -> Result<Bytes, Error> {
        let len = range.end.saturating_sub(range.start);
        if len > max {
            return Err(Error::Unknown("box exceeds the size limit"));
        }
        let bytes = self.source.read(range).await?;
        if (bytes.len() as u64) < len {
            return Err(Error::Unknown("the object ends inside a box"));
        }
        Ok(bytes)
    }
}

/// Parses the header of the box at `at`. A box that extends past the parent's `end` is cut there, so that the start of
/// a truncated file stays readable.
pub(super) fn parse_header(head: &[u8], at: u64, end: u64) -> Result<Header, Error> {
    const SHORT: Error = Error::Unknown("the object ends inside a box header");
    let mut fields = Fields(Bytes::copy_from_slice(head));
    let size = fields.u32().ok_or(SHORT)?;
    let name = fields.name().ok_or(SHORT)?;
    let (len, size) = match size {
        0 => (8, end - at),
        1 => (16, fields.u64().ok_or(SHORT)?),
        size => (8, u64::from(size)),
    };
    if size < len {
        return Err(Error::Unknown("box size is smaller than its header"));
    }
    Ok(Header { name, start: at, body: at + len..at.saturating_add(size).clamp(at + len, end.max(at + len)) })
}

/// Returns the first box of the given type.
pub(super) fn find(boxes: &[Header], name: Name) -> Option<&Header> {
    boxes.iter().find(|header| header.name == name)
}

/// Serialises a box whose body is the concatenation of `body`.
#[must_use]
pub fn atom(name: Name, body: &[&[u8]]) -> Vec<u8> {
    let len = 8 + body.iter().map(|bytes| bytes.len()).sum::<usize>();
    let mut atom = Vec::with_capacity(len);
    atom.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
    atom.put_slice(&name);
    for bytes in body {
        atom.put_slice(bytes);
    }
    atom
}

/// Serialises a full box (4.2.2): a box whose body starts with a version and flags.
#[must_use]
pub fn full_box(name: Name, version: u8, flags: u32, body: &[&[u8]]) -> Vec<u8> {
    let head = (u32::from(version) << 24 | flags).to_be_bytes();
    atom(name, &[&[&head[..]], body].concat())
}

/// Serialises 32-bit integers in network byte order.
pub(crate) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// Returns the `ftyp` box of a file that is written for ffmpeg.
pub(crate) fn file_type() -> Vec<u8> {
    atom(*b"ftyp", &[b"isom", &words(&[0x200]), b"isomqt  "])
}

/// Returns the `dinf` box of a track whose samples are in the same file: `url ` with flag 1 (8.7.2).
pub(crate) fn samples_in_this_file() -> Vec<u8> {
    let url = full_box(*b"url ", 0, 1, &[]);
    atom(*b"dinf", &[&full_box(*b"dref", 0, 0, &[&words(&[1]), &url])])
}

/// Returns the header of an `mdat` box with a body of `len` bytes, which can be more than 4 GiB.
pub(crate) fn mdat_header(len: u64) -> Vec<u8> {
    [&words(&[1])[..], b"mdat", &len.saturating_add(16).to_be_bytes()].concat()
}

/// A cursor over the body of a box. Every read returns `None` past the end.
#[derive(Debug, Clone)]
pub struct Fields(pub Bytes);

impl Fields {
    /// Reads `len` bytes.
    pub fn take(&mut self, len: usize) -> Option<Bytes> {
        (self.0.len() >= len).then(|| self.0.split_to(len))
    }

    /// Skips `len` bytes.
    pub fn skip(&mut self, len: usize) -> Option<()> {
        self.take(len).map(drop)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.as_ref().try_into().ok()
    }

    /// Reads a byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    /// Reads a big-endian `u16`.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Reads a big-endian `u32`.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Reads a big-endian `i32`.
    pub fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    /// Reads a big-endian `u64`.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// Reads a four-character code.
    pub fn name(&mut self) -> Option<Name> {
        self.array()
    }

    /// Reads the version and flags at the start of a full box (4.2.2).
    pub fn version_and_flags(&mut self) -> Option<(u8, u32)> {
        let word = self.u32()?;
        Some((word.to_be_bytes()[0], word & 0x00FF_FFFF))
    }

    /// Reads a field of 32 bits in version 0 and 64 bits in version 1.
    pub fn u32_or_u64(&mut self, version: u8) -> Option<u64> {
        if version == 0 { self.u32().map(u64::from) } else { self.u64() }
    }

    /// Iterates over the type and body of the boxes inside, up to the first malformed one.
    pub fn boxes(&self) -> impl Iterator<Item = (Name, Self)> + use<> {
        self.boxes_with_offsets().map(|(name, _, body)| (name, body))
    }

    /// Like [`Fields::boxes`], with the offset at which each box starts.
    pub fn boxes_with_offsets(&self) -> impl Iterator<Item = (Name, usize, Self)> + use<> {
        let mut rest = self.0.clone();
        let len = rest.len();
        std::iter::from_fn(move || {
            let (start, end) = (len - rest.len(), rest.len() as u64);
            let header = (end >= 8).then(|| parse_header(&rest[..rest.len().min(16)], 0, end).ok())??;
            let (from, to) =
                (usize::try_from(header.body.start).ok()?, usize::try_from(header.body.end).ok()?);
            if to > rest.len() {
                return None;
            }
            let body = rest.slice(from..to);
            rest = rest.split_off(to);
            Some((header.name, start, Self(body)))
        })
    }

    /// Returns the body of the first box of the given type inside.
    #[must_use]
    pub fn child(&self, name: Name) -> Option<Fields> {
        self.boxes().find(|(found, _)| *found == name).map(|(_, body)| body)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A box whose body is `words`, then `inner`.
    pub(in crate::mp4) fn atom(name: Name, words: &[u32], inner: &[u8]) -> Vec<u8> {
        let words: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let size = u32::try_from(8 + words.len() + inner.len()).unwrap();
        [&size.to_be_bytes(), &name[..], &words, inner].concat()
    }

    fn source(bytes: &'static [u8]) -> Source {
        Source::new(bytes.len() as u64, Bytes::from_static(bytes))
    }

    #[tokio::test]
    async fn reads_every_kind_of_box_size() {
        let bytes = b"\0\0\0\x09free!\0\0\0\x01mdat\0\0\0\0\0\0\0\x12ab\0\0\0\0moovabc";
        let source = source(bytes);
        let boxes = Reader::new(&source).children(&(0..bytes.len() as u64), 8).await.unwrap();
        let seen: Vec<_> = boxes.iter().map(|b| (&b.name, b.body.clone())).collect();
        assert_eq!(seen, [(b"free", 8..9), (b"mdat", 25..27), (b"moov", 35..38)]);
    }

    #[tokio::test]
    async fn malformed_boxes_are_errors() {
        let cases: [(&[u8], &str); 2] = [
            (b"\0\0\0\x07free", "box size is smaller than its header"),
            (b"\0\0\0\x01free\0\0\0", "the object ends inside a box header"),
        ];
        for (bytes, message) in cases {
            let source = source(bytes.to_vec().leak());
            let error = Reader::new(&source).children(&(0..99), 8).await.unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        let source = source(b"\0\0\0\x63free\0\0");
        let mut reader = Reader::new(&source);
        let header = reader.header(0, 99, 8).await.unwrap().unwrap();
        assert_eq!(header.body, 8..10, "truncated at the end of the object");
        assert!(reader.read(8..99, 100).await.is_err() && reader.read(0..10, 9).await.is_err());
    }

    #[tokio::test]
    async fn number_of_boxes_is_limited() {
        let source = source(b"\0\0\0\x08free".repeat(30_000).leak());
        let error = Reader::new(&source).children(&(0..source.size()), 1 << 16).await.unwrap_err();
        assert_eq!(error.to_string(), "too many boxes");
    }

    #[test]
    fn reads_past_the_end_of_the_body_return_none() {
        let mut fields = Fields(Bytes::from_static(b"\x01\0\0\x02\0\0\0\0\0\0\0\x07ab"));
        assert_eq!(fields.version_and_flags(), Some((1, 2)));
        assert_eq!(fields.u32_or_u64(1), Some(7));
        assert_eq!((fields.u32(), fields.u16(), fields.u8()), (None, Some(0x6162), None));
    }
}
