//! Where the top-level elements are (RFC 9559, sections 4.5 and 6).

use std::ops::Range;

use bytes::Bytes;

use super::ebml::{self, child, children, id};
use super::window::Window;
use crate::keyframe::{Error, HEAD};
use crate::source::Source;

/// More than any honest Info or Tracks (a codec's private data are some kilobytes).
const MASTER_MAX: u64 = 4 << 20;
/// What may be read in search of the first cluster: 64 elements, each beyond the last read.
const WALK_MAX: u64 = 64 * HEAD;

/// The kind of file, as it says itself (section 4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DocType {
    Matroska,
    Webm,
}

/// The file, down to the elements that are not clusters.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) doc_type: DocType,
    /// The data of the Segment, as far as the object goes; all positions are relative to its start.
    pub(super) segment: Range<u64>,
    pub(super) info: Option<u64>,
    pub(super) tracks: Option<u64>,
    pub(super) cues: Option<u64>,
    /// No cluster starts before.
    pub(super) clusters: u64,
}

impl Layout {
    /// Walks to the first cluster, or to where nothing more has to be found.
    pub(super) async fn read(source: &Source) -> Result<Self, Error> {
        let mut window = Window::new(source, HEAD, HEAD, WALK_MAX);
        let (doc_type, segment) = start(source, &mut window).await?;
        let mut layout =
            Self { doc_type, clusters: segment.start, segment, info: None, tracks: None, cues: None };
        // A SeekHead may lie, so what is met on the way holds.
        let mut seek = Seek::default();
        while layout.clusters < layout.segment.end {
            let at = layout.clusters;
            let complete = layout.info.or(seek.info).is_some()
                && layout.tracks.or(seek.tracks).is_some()
                && layout.cues.or(seek.cues).is_some();
            if complete && !window.holds(at) {
                break;
            }
            let Some(element) = window.element(at).await? else { break };
            match element.id {
                id::CLUSTER => break,
                id::INFO => layout.info = layout.info.or(Some(at)),
                id::TRACKS => layout.tracks = layout.tracks.or(Some(at)),
                id::CUES => layout.cues = layout.cues.or(Some(at)),
                id::SEEK_HEAD => {
                    if let Some(bytes) = layout.element(source, at, id::SEEK_HEAD, HEAD).await? {
                        seek.add(&bytes, &layout.segment);
                    }
                }
                _ => {}
            }
            let Some(end) = element.end(layout.segment.end) else { break };
            layout.clusters = end;
        }
        layout.info = layout.info.or(seek.info);
        layout.tracks = layout.tracks.or(seek.tracks);
        layout.cues = layout.cues.or(seek.cues);
        Ok(layout)
    }

    /// The data of Info or Tracks, if the element is there, whole and of a sane size.
    pub(super) async fn master(&self, source: &Source, at: u64, id: u32) -> Result<Option<Bytes>, Error> {
        self.element(source, at, id, MASTER_MAX).await
    }

    async fn element(&self, source: &Source, at: u64, id: u32, max: u64) -> Result<Option<Bytes>, Error> {
        data(source, at..self.segment.end, id, max, HEAD).await
    }
}

/// The data of the element with this identifier at the start of the range, if it is there, whole, and no
/// larger than `max`. `ahead` bytes are read with its start.
pub(super) async fn data(
    source: &Source,
    range: Range<u64>,
    id: u32,
    max: u64,
    ahead: u64,
) -> Result<Option<Bytes>, Error> {
    let mut window = Window::new(source, ahead, ahead, ahead);
    let Some(element) = window.element(range.start).await?.filter(|element| element.id == id) else {
        return Ok(None);
    };
    let Some(end) = element.end(range.end).filter(|end| end - element.data <= max) else {
        return Ok(None);
    };
    let head = element.data - range.start;
    // From the element's start, because that is where the source keeps what was just read.
    let bytes = source.read(range.start..end).await?;
    let whole = bytes.len() as u64 == end - range.start;
    Ok(whole.then(|| bytes.slice(usize::try_from(head).unwrap_or(bytes.len())..)))
}

/// The EBML header, and the data of the Segment.
async fn start(source: &Source, window: &mut Window<'_>) -> Result<(DocType, Range<u64>), Error> {
    let not_ebml = Error::Unknown("no EBML header");
    let Some(header) = data(source, 0..source.size(), id::EBML, HEAD, HEAD).await? else {
        return Err(not_ebml);
    };
    let doc_type = match child(&header, id::DOC_TYPE).and_then(ebml::text) {
        Some("webm") => DocType::Webm,
        Some("matroska") => DocType::Matroska,
        _ => return Err(Error::Unknown("EBML, but neither Matroska nor WebM")),
    };
    let mut at = 0;
    while let Some(element) = window.element(at).await? {
        let end = element.end(source.size());
        if element.id == id::SEGMENT {
            return Ok((doc_type, element.data..end.unwrap_or(source.size())));
        }
        let Some(end) = end else { break };
        at = end;
    }
    Err(Error::Unknown("no Segment"))
}

/// Positions by a `SeekHead` (section 5.1.1).
#[derive(Default)]
struct Seek {
    info: Option<u64>,
    tracks: Option<u64>,
    cues: Option<u64>,
}

impl Seek {
    fn add(&mut self, bytes: &[u8], segment: &Range<u64>) {
        for seek in children(bytes).filter(|child| child.id == id::SEEK) {
            let position = child(seek.data, id::SEEK_POSITION).and_then(ebml::uint);
            let Some(at) = position
                .and_then(|position| segment.start.checked_add(position))
                .filter(|at| *at < segment.end)
            else {
                continue;
            };
            // An identifier in the data of an element has its marker bits, too.
            let slot = match child(seek.data, id::SEEK_ID).and_then(ebml::uint).map(u32::try_from) {
                Some(Ok(id::INFO)) => &mut self.info,
                Some(Ok(id::TRACKS)) => &mut self.tracks,
                Some(Ok(id::CUES)) => &mut self.cues,
                _ => continue,
            };
            *slot = slot.or(Some(at));
        }
    }
}
