//! Finds frames that begin with a sync word and their length.
//!
//! After a frame of the stream, the next one is trusted. The first one, and one after bytes that belong to no frame, has to
//! be followed by others of the same format.

use upreel_core::container::id3_len;

use super::{MAX_JUNK, Parser, keep};
use crate::remux::{Audio, Refusal, Sample};

/// The most bytes of three frames, which tell whether one begins here.
const LOOKAHEAD: usize = 32 << 10;
/// Frames in a row that are no accident.
const CHAIN: usize = 3;

/// The header of a frame.
pub(super) trait Header: Sized {
    /// What all frames of a stream have in common.
    type Format: Copy + PartialEq;

    /// Reads the start of a frame.
    fn read(bytes: &[u8]) -> Option<Self>;
    fn format(&self) -> Self::Format;
    /// The length of the whole frame in bytes.
    fn len(&self) -> usize;
    /// The bytes before those that a decoder gets.
    fn skipped(&self) -> usize;
    /// The duration of all frames, in samples.
    fn duration(format: Self::Format) -> u32;
    /// Returns the audio of frames, of which the first one has these bytes.
    fn audio(format: Self::Format, first: &[u8], samples: Vec<Sample>) -> Result<Audio, Refusal>;
}

pub(super) struct Synced<H: Header> {
    format: Option<H::Format>,
    first: Vec<u8>,
    samples: Vec<Sample>,
    time: i64,
    /// Whether a frame or a tag ended here.
    is_in_sync: bool,
    /// Bytes since the last frame.
    junk: u64,
}

impl<H: Header> Default for Synced<H> {
    fn default() -> Self {
        Self { format: None, first: Vec::new(), samples: Vec::new(), time: 0, is_in_sync: false, junk: 0 }
    }
}

impl<H: Header> Synced<H> {
    /// Returns the header of the frame at the start of these bytes, if there is one, complete.
    fn frame(&self, bytes: &[u8]) -> Option<H> {
        let header = H::read(bytes).filter(|header| header.len() <= bytes.len())?;
        let is_next = self.is_in_sync && self.format == Some(header.format());
        (is_next || is_chain::<H>(bytes, header.format())).then_some(header)
    }
}

/// Returns whether several frames of a format are in a row, or all up to the end.
fn is_chain<H: Header>(bytes: &[u8], format: H::Format) -> bool {
    let mut rest = bytes;
    for found in 0..CHAIN {
        if rest.is_empty() {
            return true;
        }
        let next = H::read(rest).filter(|header| header.format() == format);
        let Some(header) = next else { return false };
        let Some(after) = rest.get(header.len()..) else { return found > 0 };
        rest = after;
    }
    true
}

impl<H: Header> Parser for Synced<H> {
    fn push(&mut self, bytes: &[u8], at: u64, are_last: bool) -> Result<usize, Refusal> {
        let mut position = 0;
        while let Some(rest) = bytes.get(position..).filter(|rest| !rest.is_empty()) {
            if rest.len() < LOOKAHEAD && !are_last {
                break;
            }
            if let Some(length) = id3_len(rest).filter(|_| rest.get(3).is_some_and(|version| *version < 5)) {
                self.is_in_sync = true;
                position = position.saturating_add(length);
            } else if let Some(header) = self.frame(rest) {
                let format = *self.format.get_or_insert(header.format());
                if format != header.format() {
                    return Err(Refusal("SEVERAL_SAMPLE_DESCRIPTIONS"));
                }
                if self.samples.is_empty() {
                    self.first = rest.get(..header.len()).unwrap_or_default().to_vec();
                }
                let data = (position + header.skipped(), header.len() - header.skipped());
                let duration = H::duration(format);
                keep(&mut self.samples, (at.saturating_add(data.0 as u64), data.1), self.time, duration)?;
                self.time = self.time.saturating_add(duration.into());
                (self.is_in_sync, self.junk) = (true, 0);
                position += header.len();
            } else {
                // The next byte that can begin a frame or a tag.
                let next = rest.get(1..).and_then(|rest| memchr::memchr2(0xFF, b'I', rest));
                let skipped = next.map_or(rest.len(), |next| next + 1);
                (self.is_in_sync, self.junk) = (false, self.junk.saturating_add(skipped as u64));
                position += skipped;
                if self.junk > MAX_JUNK {
                    return Err(Refusal("NO_INDEX"));
                }
            }
        }
        Ok(position)
    }

    fn finish(self) -> Result<Audio, Refusal> {
        H::audio(self.format.ok_or(Refusal("NO_INDEX"))?, &self.first, self.samples)
    }
}
