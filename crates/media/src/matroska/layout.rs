//! Locates the top-level elements (RFC 9559, sections 4.5 and 6).

use std::ops::Range;

use bytes::Bytes;

use super::ebml::{self, child, children, id};
use super::window::Window;
use crate::keyframe::{Error, HEAD};
use crate::source::Source;

/// Largest Info or Tracks element, in bytes (`CodecPrivate` takes some kilobytes).
const MASTER_MAX: u64 = 4 << 20;
/// Limit of bytes read in search of the first Cluster: 64 elements, each beyond the previous read.
const WALK_MAX: u64 = 64 * HEAD;

/// The document type in the EBML header (section 4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DocType {
    Matroska,
    Webm,
}

/// The offsets of the top-level elements, except Clusters. Those of Info, Tracks and Cues have not been verified if
/// they come from a `SeekHead`.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) doc_type: DocType,
    /// The byte range of the Segment's data, clamped to the object. Positions in the file are relative to its start.
    pub(super) segment: Range<u64>,
    pub(super) info: Option<u64>,
    pub(super) tracks: Option<u64>,
    pub(super) cues: Option<u64>,
    /// A lower bound of the offset of the first Cluster.
    pub(super) clusters_start: u64,
}

impl Layout {
    /// Walks the top-level elements up to the first Cluster, or until all required elements are located.
    pub(super) async fn read(source: &Source) -> Result<Self, Error> {
        let mut window = Window::new(source, HEAD, HEAD, WALK_MAX);
        let (doc_type, segment) = ebml_and_segment(source, &mut window).await?;
        let mut layout =
            Self { doc_type, clusters_start: segment.start, segment, info: None, tracks: None, cues: None };
        // A SeekHead can be wrong, so elements found by the walk take precedence.
        let mut seek = Seek::default();
        while layout.clusters_start < layout.segment.end {
            let at = layout.clusters_start;
            let complete = layout.info.or(seek.info).is_some()
                && layout.tracks.or(seek.tracks).is_some()
                && layout.cues.or(seek.cues).is_some();
            if complete && !window.holds_header(at) {
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
            layout.clusters_start = end;
        }
        layout.info = layout.info.or(seek.info);
        layout.tracks = layout.tracks.or(seek.tracks);
        layout.cues = layout.cues.or(seek.cues);
        Ok(layout)
    }

    /// Reads the data of Info or Tracks. Returns `None` if the element is missing, truncated or too large.
    pub(super) async fn master(&self, source: &Source, at: u64, id: u32) -> Result<Option<Bytes>, Error> {
        self.element(source, at, id, MASTER_MAX).await
    }

    async fn element(&self, source: &Source, at: u64, id: u32, max: u64) -> Result<Option<Bytes>, Error> {
        data(source, at..self.segment.end, id, max, HEAD).await
    }
}

/// Reads the data of the element at the start of the range. Returns `None` if the element has another ID, is truncated,
/// or is larger than `max` bytes. The first read takes `ahead` bytes.
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
    // Reads from the start of the element, because the cached extent starts there.
    let bytes = source.read(range.start..end).await?;
    let whole = bytes.len() as u64 == end - range.start;
    Ok(whole.then(|| bytes.slice(usize::try_from(head).unwrap_or(bytes.len())..)))
}

/// Reads the EBML header. Returns the document type and the byte range of the Segment's data.
async fn ebml_and_segment(source: &Source, window: &mut Window<'_>) -> Result<(DocType, Range<u64>), Error> {
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
    Err(Error::Unknown("no Segment element"))
}

/// Offsets from a `SeekHead` (section 5.1.1).
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
            // SeekID contains the ID with its marker bits.
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
