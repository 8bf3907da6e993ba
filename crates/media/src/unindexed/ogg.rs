//! The packets of an audio stream in Ogg (RFC 3533).
//!
//! A page states the position at which its last packet ends. The packets are counted, and the positions tell where packets are
//! missing, and how much of the first and the last ones is not presented.

mod codec;
mod vorbis;

use std::ops::Range;

use self::codec::Codec;
use super::{MAX_KEPT, Parser, keep};
use crate::remux::{Audio, MAX_SAMPLES, Refusal, Sample};
use crate::stream::{OggPage, ogg_pages};

/// The most bytes of a packet that are kept: those of a header that describes the stream.
const MAX_START: usize = 16 << 10;

/// Finds the first audio stream of a file.
#[derive(Default)]
pub(super) struct Ogg {
    stream: Option<Stream>,
    /// Whether the first pages of all streams are over.
    has_begun: bool,
}

impl Parser for Ogg {
    fn push(&mut self, bytes: &[u8], at: u64, are_last: bool) -> Result<usize, Refusal> {
        let mut used = 0;
        for page in ogg_pages(bytes) {
            used = page.bounds.1;
            if !page.is_intact(bytes) {
                continue;
            }
            if page.starts {
                // A chain, whose links can have other settings.
                if self.has_begun {
                    return Err(Refusal("SEVERAL_SAMPLE_DESCRIPTIONS"));
                }
                if self.stream.is_none() {
                    self.stream = Codec::of(page.body).map(|codec| Stream::new(page.serial, codec));
                }
            } else {
                self.has_begun = true;
            }
            if let Some(stream) = self.stream.as_mut().filter(|stream| stream.serial == page.serial) {
                stream.push(&page, at)?;
            }
        }
        // A page can go on in the next bytes.
        Ok(if are_last { bytes.len() } else { used.max(bytes.len().saturating_sub(OggPage::MAX)) })
    }

    fn finish(self) -> Result<Audio, Refusal> {
        self.stream.ok_or(Refusal("AUDIO_CODEC"))?.finish()
    }
}

/// A packet that may go on on the next page.
struct Packet {
    offset: u64,
    size: usize,
    /// Where its last part ends.
    end: u64,
    /// What is between its parts.
    gaps: Vec<Range<u64>>,
    /// Its first bytes.
    start: Vec<u8>,
}

struct Stream {
    serial: u32,
    codec: Codec,
    /// The number of the next page.
    next: u32,
    open: Option<Packet>,
    samples: Vec<Sample>,
    gaps: Vec<Range<u64>>,
    /// When the last sample ends.
    time: i64,
    /// The position of the last page on which samples end, and the first one of them.
    last: Option<(i64, usize)>,
    /// Whether the time of the first sample is known.
    is_placed: bool,
    /// When the presentation ends.
    limit: i64,
}

impl Stream {
    const fn new(serial: u32, codec: Codec) -> Self {
        Self {
            serial,
            codec,
            next: 0,
            open: None,
            samples: Vec::new(),
            gaps: Vec::new(),
            time: 0,
            last: None,
            is_placed: false,
            limit: i64::MAX,
        }
    }

    /// Reads the packets of a page. `at` is the offset of the bytes in which it is.
    fn push(&mut self, page: &OggPage<'_>, at: u64) -> Result<(), Refusal> {
        if !page.continues || page.number != self.next {
            self.open = None;
        }
        self.next = page.number.wrapping_add(1);
        let body = at.saturating_add((page.bounds.1 - page.body.len()) as u64);
        // The rest of a packet whose start is missing.
        let mut is_rest = page.continues && self.open.is_none();
        let (mut start, mut end) = (0, 0);
        let mut first = None;
        for length in page.lengths {
            end += usize::from(*length);
            if *length < u8::MAX {
                let packet = self.part(page.body.get(start..end).unwrap_or_default(), body, start);
                if !std::mem::take(&mut is_rest) {
                    if first.is_none() {
                        self.settle(false)?;
                        first = Some(self.samples.len());
                    }
                    self.packet(packet)?;
                }
                start = end;
            }
        }
        if start < end && !is_rest {
            self.open = Some(self.part(page.body.get(start..end).unwrap_or_default(), body, start));
        }
        if let Some(first) = first.filter(|first| page.granule >= 0 && *first < self.samples.len()) {
            self.last = Some((page.granule, first));
        }
        Ok(())
    }

    /// Returns the packet that is open, or a new one, with another part.
    fn part(&mut self, part: &[u8], body: u64, at: usize) -> Packet {
        let offset = body.saturating_add(at as u64);
        let new = || Packet { offset, size: 0, end: offset, gaps: Vec::new(), start: Vec::new() };
        let mut packet = self.open.take().unwrap_or_else(new);
        if packet.end < offset && !part.is_empty() {
            packet.gaps.push(packet.end..offset);
        }
        packet.end = offset.saturating_add(part.len() as u64);
        packet.size = packet.size.saturating_add(part.len());
        let left = MAX_START.saturating_sub(packet.start.len()).min(part.len());
        packet.start.extend_from_slice(part.get(..left).unwrap_or_default());
        packet
    }

    fn packet(&mut self, packet: Packet) -> Result<(), Refusal> {
        let Packet { offset, size, gaps, start, .. } = packet;
        let Some(duration) = self.codec.duration(&start, size)? else { return Ok(()) };
        if size > MAX_KEPT || (self.gaps.len() + gaps.len()) as u64 > MAX_SAMPLES {
            return Err(Refusal("NO_INDEX"));
        }
        keep(&mut self.samples, (offset, size), self.time, duration)?;
        self.gaps.extend(gaps);
        self.time = self.time.saturating_add(duration.into());
        Ok(())
    }

    /// Compares the time with the position of the last page.
    fn settle(&mut self, is_end: bool) -> Result<(), Refusal> {
        let Some((position, first)) = self.last.take() else { return Ok(()) };
        // The position is before the end of the first samples if these are not presented from their start on, and before that
        // of the last ones if these are not presented up to their end.
        let is_start = !std::mem::replace(&mut self.is_placed, true) && self.codec.can_start_early();
        if position < self.time && is_end {
            self.limit = position;
        } else if position > self.time || position < self.time && is_start {
            let later = position.saturating_sub(self.time);
            for sample in self.samples.iter_mut().skip(first) {
                sample.time = sample.time.saturating_add(later);
            }
            self.time = position;
        } else if position < self.time {
            return Err(Refusal("TIMES"));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Audio, Refusal> {
        self.settle(true)?;
        let skipped = self.codec.skipped();
        let limit = if self.limit == i64::MAX { i64::MAX } else { self.limit.saturating_sub(skipped) };
        for sample in &mut self.samples {
            sample.time = sample.time.saturating_sub(skipped);
        }
        let mut audio = super::audio(&self.codec.description()?, self.samples, 0..limit)?;
        let track = &mut audio.track;
        track.gaps = self.gaps;
        if track.entry.decoding.is_none() {
            // There is no other way to end the presentation within a frame that is played as it is.
            track.samples.retain(|sample| sample.time < limit);
            if let Some(last) = track.samples.last_mut() {
                let left = u32::try_from(limit.saturating_sub(last.time)).unwrap_or(u32::MAX);
                last.duration = last.duration.min(left);
            }
        }
        Ok(audio)
    }
}

#[cfg(test)]
mod tests;
