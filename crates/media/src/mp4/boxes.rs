//! Boxes (ISO/IEC 14496-12, 4.2), which `QuickTime` calls atoms: a size, a name, a body.

use std::ops::Range;

use bytes::{BufMut, Bytes};

use crate::keyframe::Error;
use crate::source::Source;

/// A box's name.
pub type Name = [u8; 4];

/// Boxes that are looked at in one object. Honest ones have a few dozen.
const MAX_BOXES: u32 = 20_000;

/// A box of which the body has not been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) name: Name,
    pub(super) start: u64,
    pub(super) body: Range<u64>,
}

impl Header {
    /// Header and body.
    pub(super) fn place(&self) -> Range<u64> {
        self.start..self.body.end
    }
}

/// Reads boxes of one object, and counts them.
pub(super) struct Reader<'a> {
    pub(super) source: &'a Source,
    left: u32,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a Source) -> Self {
        Self { source, left: MAX_BOXES }
    }

    /// The box that begins at `at`, in a parent that ends at `end`; `None` where nothing more fits. If it
    /// has to be fetched, `ahead` bytes are.
    pub(super) async fn header(&mut self, at: u64, end: u64, ahead: u64) -> Result<Option<Header>, Error> {
        let end = end.min(self.source.size());
        // QuickTime may close a list with four bytes of zero.
        if end.saturating_sub(at) < 8 {
            return Ok(None);
        }
        self.left = self.left.checked_sub(1).ok_or(Error::Unknown("too many boxes"))?;
        let head = self.source.read_ahead(at, 16.min(end - at), ahead.min(end - at)).await?;
        parse_header(&head, at, end).map(Some)
    }

    /// The boxes within `body`; those after a broken one are lost.
    pub(super) async fn children(&mut self, body: &Range<u64>, ahead: u64) -> Result<Vec<Header>, Error> {
        let mut found = Vec::new();
        let mut at = body.start;
        while let Some(header) = self.header(at, body.end, ahead).await? {
            at = header.body.end;
            found.push(header);
        }
        Ok(found)
    }

    /// The body of a box that is no longer than `max`.
    pub(super) async fn body(&self, header: &Header, max: u64) -> Result<Fields, Error> {
        self.read(header.body.clone(), max).await.map(Fields)
    }

    /// A range that is no longer than `max`, whole.
    pub(super) async fn read(&self, range: Range<u64>, max: u64) -> Result<Bytes, Error> {
        let len = range.end.saturating_sub(range.start);
        if len > max {
            return Err(Error::Unknown("a box that is larger than any honest one"));
        }
        let bytes = self.source.read(range).await?;
        if (bytes.len() as u64) < len {
            return Err(Error::Unknown("the object ends within a box"));
        }
        Ok(bytes)
    }
}

/// A box that reaches past its parent ends with it: a file that was cut off still has its beginning.
fn parse_header(head: &[u8], at: u64, end: u64) -> Result<Header, Error> {
    const SHORT: Error = Error::Unknown("the object ends within a box's header");
    let mut fields = Fields(Bytes::copy_from_slice(head));
    let size = fields.u32().ok_or(SHORT)?;
    let name = fields.name().ok_or(SHORT)?;
    let (len, size) = match size {
        0 => (8, end - at),
        1 => (16, fields.u64().ok_or(SHORT)?),
        size => (8, u64::from(size)),
    };
    if size < len {
        return Err(Error::Unknown("a box that is smaller than its header"));
    }
    Ok(Header { name, start: at, body: at + len..at.saturating_add(size).clamp(at + len, end.max(at + len)) })
}

/// The first of this name.
pub(super) fn find(boxes: &[Header], name: Name) -> Option<&Header> {
    boxes.iter().find(|header| header.name == name)
}

/// A box.
#[must_use]
pub fn atom(name: Name, parts: &[&[u8]]) -> Vec<u8> {
    let len = 8 + parts.iter().map(|part| part.len()).sum::<usize>();
    let mut atom = Vec::with_capacity(len);
    atom.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
    atom.put_slice(&name);
    for part in parts {
        atom.put_slice(part);
    }
    atom
}

/// A full box (4.2.2).
#[must_use]
pub fn full(name: Name, version: u8, flags: u32, parts: &[&[u8]]) -> Vec<u8> {
    let head = (u32::from(version) << 24 | flags).to_be_bytes();
    atom(name, &[&[&head[..]], parts].concat())
}

/// A body, read field by field; `None` past its end.
#[derive(Debug, Clone)]
pub struct Fields(pub Bytes);

impl Fields {
    /// Some bytes.
    pub fn take(&mut self, len: usize) -> Option<Bytes> {
        (self.0.len() >= len).then(|| self.0.split_to(len))
    }

    /// Passes over some bytes.
    pub fn skip(&mut self, len: usize) -> Option<()> {
        self.take(len).map(drop)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.as_ref().try_into().ok()
    }

    /// A number, the high byte first.
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    /// A number, the high byte first.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// A number, the high byte first.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A number, the high byte first.
    pub fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    /// A number, the high byte first.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// The name of something.
    pub fn name(&mut self) -> Option<Name> {
        self.array()
    }

    /// The version and flags with which a full box begins (4.2.2).
    pub fn version(&mut self) -> Option<(u8, u32)> {
        let word = self.u32()?;
        Some((word.to_be_bytes()[0], word & 0x00FF_FFFF))
    }

    /// 32 bits in version 0, 64 in version 1.
    pub fn wide(&mut self, version: u8) -> Option<u64> {
        if version == 0 { self.u32().map(u64::from) } else { self.u64() }
    }

    /// The boxes within; what is broken ends the list.
    pub fn boxes(&self) -> impl Iterator<Item = (Name, Self)> {
        self.placed().map(|(name, _, body)| (name, body))
    }

    /// The same, each with where it begins.
    pub fn placed(&self) -> impl Iterator<Item = (Name, usize, Self)> {
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

    /// The first box within of this name.
    #[must_use]
    pub fn child(&self, name: Name) -> Option<Fields> {
        self.boxes().find(|(found, _)| *found == name).map(|(_, body)| body)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A box that begins with numbers.
    pub(in crate::mp4) fn atom(name: Name, words: &[u32], inner: &[u8]) -> Vec<u8> {
        let words: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let size = u32::try_from(8 + words.len() + inner.len()).unwrap();
        [&size.to_be_bytes(), &name[..], &words, inner].concat()
    }

    fn source(bytes: &'static [u8]) -> Source {
        Source::new(bytes.len() as u64, Bytes::from_static(bytes))
    }

    #[tokio::test]
    async fn every_kind_of_size() {
        let bytes = b"\0\0\0\x09free!\0\0\0\x01mdat\0\0\0\0\0\0\0\x12ab\0\0\0\0moovabc";
        let source = source(bytes);
        let boxes = Reader::new(&source).children(&(0..bytes.len() as u64), 8).await.unwrap();
        let seen: Vec<_> = boxes.iter().map(|b| (&b.name, b.body.clone())).collect();
        assert_eq!(seen, [(b"free", 8..9), (b"mdat", 25..27), (b"moov", 35..38)]);
    }

    #[tokio::test]
    async fn what_is_broken_is_said() {
        let cases: [(&[u8], &str); 2] = [
            (b"\0\0\0\x07free", "a box that is smaller than its header"),
            (b"\0\0\0\x01free\0\0\0", "the object ends within a box's header"),
        ];
        for (bytes, complaint) in cases {
            let source = source(bytes.to_vec().leak());
            let error = Reader::new(&source).children(&(0..99), 8).await.unwrap_err();
            assert_eq!(error.to_string(), complaint);
        }
        let source = source(b"\0\0\0\x63free\0\0");
        let mut reader = Reader::new(&source);
        let header = reader.header(0, 99, 8).await.unwrap().unwrap();
        assert_eq!(header.body, 8..10, "cut off with the object");
        assert!(reader.read(8..99, 100).await.is_err() && reader.read(0..10, 9).await.is_err());
    }

    #[tokio::test]
    async fn boxes_are_counted() {
        let source = source(b"\0\0\0\x08free".repeat(30_000).leak());
        let error = Reader::new(&source).children(&(0..source.size()), 1 << 16).await.unwrap_err();
        assert_eq!(error.to_string(), "too many boxes");
    }

    #[test]
    fn fields_end_where_the_body_ends() {
        let mut fields = Fields(Bytes::from_static(b"\x01\0\0\x02\0\0\0\0\0\0\0\x07ab"));
        assert_eq!(fields.version(), Some((1, 2)));
        assert_eq!(fields.wide(1), Some(7));
        assert_eq!((fields.u32(), fields.u16(), fields.u8()), (None, Some(0x6162), None));
    }
}
