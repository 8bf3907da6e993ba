//! Finds the last movie fragments of an object without an index, from its last bytes.

use bytes::Bytes;

use super::boxes::{Fields, Header, Name, Reader, parse_header};
use crate::keyframe::Error;

/// Bytes to read at the end, one after the other until the fragment is found. Most fragments last some seconds.
const TAILS: [u64; 3] = [64 << 10, 512 << 10, 4 << 20];
/// Most fragments to look at, because each may be as long as what was read.
const MAX_CANDIDATES: usize = 64;
/// The boxes of fragmented files. Media data that imitates a fragment is not followed by them up to the end.
const KNOWN: [Name; 9] =
    [*b"moof", *b"mdat", *b"styp", *b"sidx", *b"emsg", *b"prft", *b"free", *b"skip", *b"mfra"];

/// Calls `read` with the `moof` boxes at the end of the object, the last one first, until it returns a value. `start` is
/// the offset of the first fragment.
pub(super) async fn find_last<T>(
    reader: &Reader<'_>,
    start: u64,
    read: impl Fn(&Fields, u64) -> Option<T>,
) -> Result<Option<T>, Error> {
    let size = reader.source.size();
    for tail in TAILS {
        let from = size.saturating_sub(tail).max(start);
        let bytes = reader.source.read(from..size).await?;
        let found = fragments(&bytes).find_map(|(header, body)| read(&body, from + header.start));
        if found.is_some() || from == start {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Returns the `moof` boxes in some bytes, at most `MAX_CANDIDATES` and the last one first. Only boxes of fragmented files
/// follow them up to the end of the bytes.
pub(super) fn fragments(tail: &Bytes) -> impl Iterator<Item = (Header, Fields)> {
    let mut found = Vec::new();
    // For each offset, whether known boxes follow from there up to the end.
    let mut is_chain = vec![false; tail.len()];
    for at in (0..tail.len().saturating_sub(7)).rev() {
        let header = &tail[at..tail.len().min(at + 16)];
        if !KNOWN.iter().any(|name| header[4..8] == name[..]) {
            continue;
        }
        let Ok(header) = parse_header(header, at as u64, tail.len() as u64) else { continue };
        let end = usize::try_from(header.body.end).unwrap_or(usize::MAX);
        is_chain[at] = end.saturating_add(8) > tail.len() || is_chain.get(end).is_some_and(|chain| *chain);
        if is_chain[at] && header.name == *b"moof" && tail.get(at + 12..at + 16) == Some(b"mfhd") {
            found.push(header);
            if found.len() == MAX_CANDIDATES {
                break;
            }
        }
    }
    found.into_iter().filter_map(|header| {
        let body = usize::try_from(header.body.start).ok()?..usize::try_from(header.body.end).ok()?;
        Some((header, Fields(tail.slice(body))))
    })
}

#[cfg(test)]
mod tests {
    use super::super::boxes::tests::atom;
    use super::*;

    fn fragment(number: u32, data: &[u8]) -> Vec<u8> {
        let moof = atom(*b"moof", &[], &atom(*b"mfhd", &[0, number], &[]));
        [moof, atom(*b"mdat", &[], data)].concat()
    }

    async fn last(object: Vec<u8>, wanted: impl Fn(u32) -> bool) -> Option<(u32, u64)> {
        let source = crate::source::Source::new(object.len() as u64, Bytes::from(object));
        let reader = Reader::new(&source);
        let number = |body: &Fields, at| {
            let mut mfhd = body.child(*b"mfhd")?;
            mfhd.skip(4)?;
            mfhd.u32().filter(|number| wanted(*number)).map(|number| (number, at))
        };
        find_last(&reader, 0, number).await.unwrap()
    }

    #[tokio::test]
    async fn finds_the_last_fragment_behind_large_media_data() {
        let first = fragment(1, &vec![0; 900_000]);
        let at = first.len() as u64;
        let object = [first, fragment(2, &vec![0; 700_000])].concat();
        assert_eq!(last(object.clone(), |_| true).await, Some((2, at)));
        assert_eq!(last(object.clone(), |number| number == 1).await, Some((1, 0)), "of another track");
        assert_eq!(last(object, |number| number == 3).await, None);
    }

    #[tokio::test]
    async fn media_data_that_imitates_a_fragment_is_none() {
        let imitation = fragment(9, &[1, 2, 3]);
        let object = [fragment(1, &[&imitation[..], &[7; 100]].concat()), fragment(2, &imitation)].concat();
        // At the very end of the object nothing tells an imitation from a fragment.
        assert_eq!(last(object, |number| number != 9).await.map(|(number, _)| number), Some(2));
        let object = fragment(1, &[&imitation[..], &[7; 100]].concat());
        assert_eq!(last(object, |_| true).await, Some((1, 0)));
    }

    #[tokio::test]
    async fn many_fragments_are_examined_in_linear_time() {
        let nested = |len: u32| [&len.to_be_bytes()[..], b"moof", &8u32.to_be_bytes(), b"mfhd"].concat();
        for object in [
            // Each fragment contains all that follow, or is followed by them.
            (0..250_000).flat_map(|_| nested(4 << 20)).collect::<Vec<u8>>(),
            (0..250_000).flat_map(|_| nested(16)).collect(),
        ] {
            let source = crate::source::Source::new(object.len() as u64, Bytes::from(object));
            let calls = std::cell::Cell::new(0);
            let read = |_: &Fields, _| {
                calls.set(calls.get() + 1);
                None::<()>
            };
            assert_eq!(find_last(&Reader::new(&source), 0, read).await.unwrap(), None);
            assert!(calls.get() <= 3 * MAX_CANDIDATES, "{}", calls.get());
        }
    }
}
