//! The shape of pixels, which the metadata states.

use super::{Cursor, objects, objects_in};

/// The object that contains further objects of the header, and the one of metadata in it (sections 3.4 and 4.7).
const HEADER_EXTENSION: [u8; 16] = *b"\xB5\x03\xBF\x5F\x2E\xA9\xCF\x11\x8E\xE3\x00\xC0\x0C\x20\x53\x65";
const METADATA: [u8; 16] = *b"\xEA\xCB\xF8\xC5\xAF\x5B\x77\x48\x84\x67\xAA\x8C\x44\xFA\x4C\xCA";
/// The length of what precedes the objects in the extension.
const EXTENSION_FIELDS: usize = 46;

/// Returns width and height of a pixel of a stream, which the metadata states for it or for all streams (stream 0).
pub(super) fn aspect(head: &[u8], stream: u16) -> Option<(u32, u32)> {
    let extensions = objects(head).filter(|object| object.starts_with(&HEADER_EXTENSION));
    let inner = extensions.flat_map(|object| objects_in(object.get(EXTENSION_FIELDS..).unwrap_or_default()));
    let records: Vec<_> = inner.filter(|object| object.starts_with(&METADATA)).flat_map(records).collect();
    let side = |stream: u16, name: &str| {
        let is_asked = |record: &&Record<'_>| record.stream == stream && record.is_named(name);
        records.iter().find(is_asked)?.number().filter(|side| *side > 0)
    };
    [stream, 0].into_iter().find_map(|stream| side(stream, "AspectRatioX").zip(side(stream, "AspectRatioY")))
}

/// A record of the metadata.
struct Record<'a> {
    stream: u16,
    /// In UTF-16, with a zero at the end.
    name: &'a [u8],
    value: &'a [u8],
}

impl Record<'_> {
    fn is_named(&self, name: &str) -> bool {
        let units = name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes);
        units.eq(self.name.iter().copied())
    }

    /// Returns the value of up to 32 bits.
    fn number(&self) -> Option<u32> {
        let few = self.value.len() <= 4;
        few.then(|| self.value.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte)))
    }
}

/// Returns the complete records of a metadata object.
fn records(object: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut cursor = Cursor(object.get(26..).unwrap_or_default());
    std::iter::from_fn(move || {
        cursor.take(2)?;
        let mut number = |kind| cursor.value(kind);
        let (stream, name, _, value) = (number(2)?, number(2)?, number(2)?, number(3)?);
        let name = cursor.take(usize::try_from(name).ok()?)?;
        let value = cursor.take(usize::try_from(value).ok()?)?;
        Some(Record { stream: u16::try_from(stream).ok()?, name, value })
    })
}

#[cfg(test)]
mod tests {
    use super::super::{HEADER_FIELDS, HEADER_OBJECT};
    use super::*;

    fn object(id: &[u8; 16], data: &[u8]) -> Vec<u8> {
        [&id[..], &(24 + data.len() as u64).to_le_bytes(), data].concat()
    }

    fn record(stream: u8, name: &str, value: &[u8]) -> Vec<u8> {
        let name: Vec<u8> = name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        let len = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
        let fields = [0, 0, stream, 0, len(&name), 0, 3, 0, len(value), 0, 0, 0];
        [&fields[..], &name, value].concat()
    }

    fn aspect_of(records: &[Vec<u8>]) -> Option<(u32, u32)> {
        let metadata = object(&METADATA, &[vec![0; 2], records.concat()].concat());
        let extension = object(&HEADER_EXTENSION, &[vec![0; EXTENSION_FIELDS - 24], metadata].concat());
        aspect(&object(&HEADER_OBJECT, &[vec![0; HEADER_FIELDS - 24], extension].concat()), 2)
    }

    #[test]
    fn shape_of_pixels_is_that_of_the_stream() {
        let sides = |stream, across: &[u8], down: &[u8]| {
            [record(stream, "AspectRatioX", across), record(stream, "AspectRatioY", down)].concat()
        };
        assert_eq!(aspect_of(&[]), None);
        assert_eq!(aspect_of(&[sides(0, &[4, 0, 0, 0], &[3, 0, 0, 0])]), Some((4, 3)));
        assert_eq!(
            aspect_of(&[sides(0, &[4], &[3]), sides(1, &[5], &[6]), sides(2, &[7], &[8])]),
            Some((7, 8))
        );
        assert_eq!(aspect_of(&[record(2, "AspectRatioX", &[7]), record(2, "AspectRatioY", &[0])]), None);
        assert_eq!(aspect_of(&[record(2, "AspectRatioX", &[7]), sides(0, &[4], &[3])]), Some((4, 3)));
        let record = record(2, "AspectRatioX", &[7]);
        assert_eq!(aspect_of(&[record[..record.len() - 1].to_vec()]), None, "truncated");
    }
}
