//! Writes records.

use std::borrow::Cow;
use std::io::Write;
use std::ops::Range;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::number::{put, put_block, zigzag};
use super::{
    ENCODED_PIECES_VERSION, ENCODED_VERSION, MAX_MEDIA, MAX_PAYLOAD, MAX_SAMPLES, PIECES_VERSION, VERSION,
    checksum,
};
use crate::remux::Refusal;
use crate::remux::encoded::Encoding;
use crate::remux::media::Sample;
use crate::remux::read::Reads;

/// A segment to be written.
pub(in crate::remux) struct Part<'a> {
    pub(in crate::remux) track: usize,
    pub(in crate::remux) head: Vec<u8>,
    pub(in crate::remux) samples: Cow<'a, [Sample]>,
    /// What is within samples, but does not belong to them.
    pub(in crate::remux) gaps: &'a [Range<u64>],
    pub(in crate::remux) silence: Option<&'static [u8]>,
    /// What is encoded of the samples, if players do not play them.
    pub(in crate::remux) encoding: Option<Encoding<&'a [u8]>>,
}

impl Part<'_> {
    /// Returns the length of the segment in bytes, which is approximate if it is encoded.
    pub(in crate::remux) fn bytes(&self) -> u64 {
        self.encoding.as_ref().map_or(self.head.len() as u64 + self.media(), Encoding::bytes)
    }

    /// Returns the bytes of the samples.
    fn media(&self) -> u64 {
        self.samples.iter().map(|sample| u64::from(sample.size)).sum()
    }
}

/// Appends a record of an object with this entity tag and size. Returns its place.
pub(in crate::remux) fn write(
    records: &mut Vec<u8>,
    (etag, size): (&str, u64),
    parts: &[Part<'_>],
) -> Result<Range<u64>, Refusal> {
    let is_encoded = parts.iter().any(|part| part.encoding.is_some());
    let has_pieces = parts.iter().any(Part::has_pieces);
    let mut payload = vec![match (is_encoded, has_pieces) {
        (false, false) => VERSION,
        (true, false) => ENCODED_VERSION,
        (false, true) => PIECES_VERSION,
        (true, true) => ENCODED_PIECES_VERSION,
    }];
    put_block(&mut payload, etag.as_bytes());
    put(&mut payload, size);
    put(&mut payload, parts.len() as u64);
    for part in parts {
        put(&mut payload, part.track as u64);
        put_block(&mut payload, &part.head);
        if is_encoded {
            put_encoding(&mut payload, part.encoding.as_ref())?;
        }
    }
    let extents = put_runs(&mut payload, parts, has_pieces);
    let samples = parts.iter().map(|part| part.samples.len()).max().unwrap_or(0);
    let media = parts.iter().map(Part::media).sum::<u64>();
    if payload.len() as u64 > MAX_PAYLOAD || samples > MAX_SAMPLES || media > MAX_MEDIA {
        return Err(Refusal("SEGMENT_TOO_LARGE"));
    }
    if Reads::plan(extents).is_none() {
        return Err(Refusal("SCATTERED"));
    }
    seal(records, &payload)
}

/// Appends what is encoded of a track.
pub(super) fn put_encoding<T: AsRef<[u8]>>(
    payload: &mut Vec<u8>,
    encoding: Option<&Encoding<T>>,
) -> Result<(), Refusal> {
    put_block(payload, encoding.map_or(&[], |encoding| encoding.init.as_ref()));
    let Some(encoding) = encoding else { return Ok(()) };
    if !encoding.is_possible() {
        return Err(Refusal("TIMES"));
    }
    put(payload, encoding.number.into());
    let times = [encoding.frames.start, encoding.frames.end, encoding.span.start, encoding.span.end];
    times.into_iter().map(zigzag).for_each(|time| put(payload, time));
    Ok(())
}

/// Appends the record with a payload. Returns its place.
pub(super) fn seal(records: &mut Vec<u8>, payload: &[u8]) -> Result<Range<u64>, Refusal> {
    let start = records.len();
    records.extend([0; 4]);
    let mut encoder = DeflateEncoder::new(records, Compression::fast());
    // Writing to memory does not fail.
    let finished = encoder.write_all(payload).and_then(|()| encoder.finish());
    let records = finished.map_err(|_| Refusal("SEGMENT_TOO_LARGE"))?;
    let crc = checksum(&records[start + 4..]);
    records[start..start + 4].copy_from_slice(&crc);
    Ok(start as u64..records.len() as u64)
}

/// Samples that are stored side by side.
struct Run {
    offset: u64,
    bytes: u64,
    /// The number of samples that begin here.
    samples: u64,
}

impl Run {
    fn is_silent(&self) -> bool {
        self.offset == Sample::SILENCE
    }

    fn adjoins(&self, next: &Self) -> bool {
        self.is_silent() == next.is_silent() && (self.is_silent() || self.offset + self.bytes == next.offset)
    }
}

impl Part<'_> {
    /// Returns whether a sample is stored in several pieces.
    fn has_pieces(&self) -> bool {
        self.samples.iter().any(|sample| sample.pieces(self.gaps).nth(1).is_some())
    }

    fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for sample in self.samples.iter() {
            let silent = (sample.offset == Sample::SILENCE).then_some((sample.offset, sample.size.into()));
            let stored = sample.pieces(self.gaps).filter(|_| silent.is_none());
            let pieces = stored.map(|piece| (piece.start, piece.end - piece.start)).chain(silent);
            for ((offset, bytes), i) in pieces.zip(0..) {
                let run = Run { offset, bytes, samples: u64::from(i == 0) };
                match runs.last_mut() {
                    Some(last) if last.adjoins(&run) => {
                        last.bytes += run.bytes;
                        last.samples += run.samples;
                    }
                    _ => runs.push(run),
                }
            }
        }
        runs
    }
}

/// Writes the runs of all parts in the order of their offsets, as far as samples are stored in the order of decoding. If some
/// have several pieces, the bytes of a run are written instead of the number of its samples.
fn put_runs(payload: &mut Vec<u8>, parts: &[Part<'_>], has_pieces: bool) -> Vec<Range<u64>> {
    let mut rest: Vec<_> = parts.iter().map(|part| part.runs().into_iter().peekable()).collect();
    let mut extents: Vec<Range<u64>> = Vec::new();
    let mut at = 0u64;
    loop {
        let next = rest.iter_mut().enumerate().filter_map(|(i, runs)| runs.peek().map(|run| (run.offset, i)));
        let Some((_, segment)) = next.min() else { break };
        let Some(run) = rest.get_mut(segment).and_then(Iterator::next) else { break };
        let length = if has_pieces { run.bytes } else { run.samples };
        put(payload, segment as u64);
        if run.is_silent() {
            put(payload, length << 1 | 1);
            let silence = parts.get(segment).and_then(|part| part.silence).unwrap_or_default();
            (0..run.samples).for_each(|_| payload.extend(silence));
        } else {
            put(payload, length << 1);
            put(payload, zigzag(run.offset.cast_signed().wrapping_sub(at.cast_signed())));
            at = run.offset + run.bytes;
            extents.push(run.offset..at);
        }
    }
    extents
}
