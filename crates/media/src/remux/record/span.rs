//! Records of a range of the object to search.

use std::ops::Range;

use super::number::{block, put, put_block, unzigzag, varint, zigzag};
use super::write::{put_encoding, seal};
use super::{ENCODED_SPAN_VERSION, MAX_TRACKS, Record, SPAN_VERSION, encoding};
use crate::matroska::{Clock, Frames};
use crate::mp4::boxes::Fields;
use crate::remux::Refusal;
use crate::remux::media::MAX_TIME;
use crate::remux::span::{MAX_READ, Padding, Sound, Span};

/// The timescale of the film is multiplied by at most this, so that products of times have room.
const MAX_FACTOR: u32 = 1 << 14;

/// Appends a record of an object with this entity tag and size. The film has ticks of so many nanoseconds. Returns its place.
pub(in crate::remux) fn write(
    records: &mut Vec<u8>,
    (etag, size): (&str, u64),
    tick: u64,
    span: &Span,
) -> Result<Range<u64>, Refusal> {
    if span.range.end - span.range.start > MAX_READ / 2 + MAX_READ / 4 {
        return Err(Refusal("SEGMENT_TOO_LARGE"));
    }
    let is_encoded = span.audio.iter().any(|sound| sound.encoding.is_some());
    let mut payload = vec![if is_encoded { ENCODED_SPAN_VERSION } else { SPAN_VERSION }];
    put_block(&mut payload, etag.as_bytes());
    put(&mut payload, size);
    let numbers = [
        u64::from(span.number) << 1 | u64::from(span.is_last),
        zigzag(span.times.start),
        zigzag(span.times.end),
        zigzag(span.key),
        zigzag(span.delay),
        span.film,
        span.scale.into(),
        span.factor.into(),
        span.range.start,
        span.range.end,
        span.before,
        span.limit,
        tick,
        span.audio.len() as u64,
    ];
    for number in numbers {
        put(&mut payload, number);
    }
    for Sound { number, clock, first, last, padding, early, encoding } in &span.audio {
        let times = [*first, last.start, last.end].map(zigzag);
        let frames = match (is_encoded, clock.frames) {
            (false, frames) => u64::from(frames == Frames::Opus),
            (true, Frames::Opus) => 0,
            (true, Frames::Equal(length)) => u64::from(length) << 1,
            (true, Frames::MultipleOf(step)) => u64::from(step) << 1 | 1,
        };
        let numbers = [*number, clock.delay, clock.scale.into(), frames];
        for number in numbers.into_iter().chain(times) {
            put(&mut payload, number);
        }
        put_block(&mut payload, padding.as_ref().map_or(&[], |padding| &padding.frame));
        if let Some(padding) = padding {
            let numbers = [padding.duration, padding.before, padding.after];
            for number in numbers {
                put(&mut payload, number.into());
            }
        }
        if is_encoded {
            put(&mut payload, (*early).into());
            put_encoding(&mut payload, encoding.as_ref())?;
        }
    }
    // What cannot be read back is not a possible film.
    Record::parse(Fields(payload.clone().into())).ok_or(Refusal("TIMES"))?;
    seal(records, &payload)
}

/// Reads the span of an object of this `size`.
pub(super) fn parse(mut fields: Fields, size: u64, has_encodings: bool) -> Option<Span> {
    let mut next = || varint(&mut fields);
    let number = next()?;
    let (start, end, key, delay) = (time(next()?)?, time(next()?)?, time(next()?)?, time(next()?)?);
    let (film, scale, factor) = (next()?, small(next()?)?, small(next()?)?);
    let (from, to, before, limit) = (next()?, next()?, next()?, next()?);
    let (tick, count) = (next()?, next()?);
    let is_possible = start < end
        && tick > 0
        && before <= from
        && from <= to
        && to <= limit
        && limit <= size
        && to - from <= MAX_READ
        && factor <= MAX_FACTOR
        && count <= MAX_TRACKS;
    if !is_possible {
        return None;
    }
    let audio = (0..count).map(|_| sound(&mut fields, tick, has_encodings)).collect::<Option<_>>()?;
    Some(Span {
        number: small(number >> 1)?,
        is_last: number & 1 == 1,
        times: start..end,
        key,
        delay,
        film,
        scale,
        factor,
        range: from..to,
        before,
        limit,
        audio,
    })
    .filter(|_| fields.0.is_empty())
}

fn sound(fields: &mut Fields, tick: u64, has_encodings: bool) -> Option<Sound> {
    let mut next = || varint(fields);
    let (number, delay, scale, frames) = (next()?, next()?, small(next()?)?, next()?);
    let frames = match (has_encodings, frames) {
        (false, 1) | (true, 0) => Frames::Opus,
        (false, _) => Frames::AAC,
        (true, _) if frames & 1 == 0 => Frames::Equal(small(frames >> 1)?),
        (true, _) => Frames::MultipleOf(small(frames >> 1)?),
    };
    let (first, last) = (time(next()?)?, time(next()?)?..time(next()?)?);
    let frame = block(fields)?;
    let padding = if frame.is_empty() {
        None
    } else {
        let duration = small(varint(fields)?)?;
        let mut count = || u32::try_from(varint(fields)?).ok();
        Some(Padding { frame, duration, before: count()?, after: count()? })
    };
    let (early, encoding) =
        if has_encodings { (u32::try_from(varint(fields)?).ok()?, encoding(fields)?) } else { (0, None) };
    Some(Sound { number, clock: Clock { tick, delay, scale, frames }, first, last, padding, early, encoding })
}

/// Reads a time. Sums and products of times have room.
fn time(number: u64) -> Option<i64> {
    Some(unzigzag(number)).filter(|time| time.unsigned_abs() < MAX_TIME.unsigned_abs())
}

/// Reads a number that is never zero.
fn small(number: u64) -> Option<u32> {
    u32::try_from(number).ok().filter(|number| *number > 0)
}
