//! Records of a range of the object to search.

use std::ops::Range;

use super::number::{block, put, put_block, unzigzag, varint, zigzag};
use super::write::seal;
use super::{MAX_TRACKS, Record, SPAN_VERSION};
use crate::matroska::Clock;
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
    let mut payload = vec![SPAN_VERSION];
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
    for Sound { number, clock, first, last, padding } in &span.audio {
        let times = [*first, last.start, last.end].map(zigzag);
        let numbers = [*number, clock.delay, clock.scale.into(), clock.is_opus.into()];
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
    }
    // What cannot be read back is not a possible film.
    Record::parse(Fields(payload.clone().into())).ok_or(Refusal("TIMES"))?;
    seal(records, &payload)
}

/// Reads the span of an object of this `size`.
pub(super) fn parse(mut fields: Fields, size: u64) -> Option<Span> {
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
    let audio = (0..count).map(|_| sound(&mut fields, tick)).collect::<Option<_>>()?;
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

fn sound(fields: &mut Fields, tick: u64) -> Option<Sound> {
    let mut next = || varint(fields);
    let (number, delay, scale, is_opus) = (next()?, next()?, small(next()?)?, next()? == 1);
    let (first, last) = (time(next()?)?, time(next()?)?..time(next()?)?);
    let frame = block(fields)?;
    let padding = if frame.is_empty() {
        None
    } else {
        let duration = small(varint(fields)?)?;
        let mut count = || u32::try_from(varint(fields)?).ok();
        Some(Padding { frame, duration, before: count()?, after: count()? })
    };
    Some(Sound { number, clock: Clock { tick, delay, scale, is_opus }, first, last, padding })
}

/// Reads a time. Sums and products of times have room.
fn time(number: u64) -> Option<i64> {
    Some(unzigzag(number)).filter(|time| time.unsigned_abs() < MAX_TIME.unsigned_abs())
}

/// Reads a number that is never zero.
fn small(number: u64) -> Option<u32> {
    u32::try_from(number).ok().filter(|number| *number > 0)
}
