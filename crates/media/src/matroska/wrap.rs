//! Wraps keyframes of one track as a small file (RFC 9559, section 4).

use bytes::Bytes;

use super::Track;
use super::clusters::Header;
use super::ebml::{id, put, put_head, put_head_of_unknown_size, vint};
use super::layout::DocType;

/// The duration of each keyframe, in milliseconds.
const KEYFRAME_MS: u64 = 1000;

impl Track {
    /// See [`Index::wrap`](crate::Index::wrap).
    pub(crate) fn wrap(&self, samples: &[Bytes]) -> Vec<Bytes> {
        // It contains the decoder configuration, the aspect ratio, the colours and the rotation.
        wrap(self.doc_type, &self.entry, samples.iter().map(block))
    }
}

/// Wraps keyframes as a file whose only track is described by `entry`, a whole `TrackEntry`. Each keyframe is its track
/// number, encoded as in a block, and its bytes. Those that are `None` are left out, but not their time.
pub(super) fn wrap(
    doc_type: DocType,
    entry: &[u8],
    keyframes: impl Iterator<Item = Option<(Bytes, Bytes)>>,
) -> Vec<Bytes> {
    let clusters = keyframes.zip(0..).filter_map(|(keyframe, i)| {
        let (track, frame) = keyframe?;
        Some(cluster(i * KEYFRAME_MS, &track, frame))
    });
    let clusters: Vec<_> = clusters.flatten().collect();
    let len = clusters.iter().map(Bytes::len).sum();
    let mut pieces = vec![header(doc_type, 1_000_000, entry, Some(len))];
    pieces.extend(clusters);
    pieces
}

/// Returns everything that precedes the Clusters: these have `clusters` bytes, if that is known. `entries` are whole
/// `TrackEntry` elements, `scale` is the number of nanoseconds per tick.
pub(super) fn header(doc_type: DocType, scale: u64, entries: &[u8], clusters: Option<usize>) -> Bytes {
    let doc_type: &[u8] = match doc_type {
        DocType::Matroska => b"matroska",
        DocType::Webm => b"webm",
    };
    let mut ebml = Vec::new();
    put(&mut ebml, id::EBML_VERSION, &[1]);
    put(&mut ebml, id::EBML_READ_VERSION, &[1]);
    put(&mut ebml, id::DOC_TYPE, doc_type);
    put(&mut ebml, id::DOC_TYPE_VERSION, &[4]);
    put(&mut ebml, id::DOC_TYPE_READ_VERSION, &[2]);

    let mut segment = Vec::new();
    let mut info = Vec::new();
    put(&mut info, id::TIMESTAMP_SCALE, &scale.to_be_bytes());
    put(&mut segment, id::INFO, &info);
    put(&mut segment, id::TRACKS, entries);

    let mut out = Vec::new();
    put(&mut out, id::EBML, &ebml);
    match clusters {
        Some(clusters) => put_head(&mut out, id::SEGMENT, segment.len() + clusters),
        None => put_head_of_unknown_size(&mut out, id::SEGMENT),
    }
    out.extend(segment);
    out.into()
}

/// Returns the encoded track number and the frame of a block. Returns `None` if `block` contains no frame.
fn block(block: &Bytes) -> Option<(Bytes, Bytes)> {
    let header = Header::parse(block)?;
    let frame = first_frame(block.slice(header.len..), header.flags)?;
    Some((block.slice(..header.len - 3), frame))
}

/// Returns a Cluster with one block in two pieces: everything up to the frame, and the frame.
fn cluster(time: u64, track: &[u8], frame: Bytes) -> [Bytes; 2] {
    let mut out = Vec::new();
    let block_len = track.len() + 3 + frame.len();
    let mut group = Vec::new();
    put(&mut group, id::BLOCK_DURATION, &KEYFRAME_MS.to_be_bytes());
    // A block in a group without a ReferenceBlock is a keyframe (section 10.1).
    put_head(&mut group, id::BLOCK, block_len);
    group.extend(track);
    // Relative timestamp 0, no flags.
    group.extend([0, 0, 0]);
    let group_len = group.len() + frame.len();

    let mut start = Vec::new();
    put(&mut start, id::TIMESTAMP, &time.to_be_bytes());
    put_head(&mut start, id::BLOCK_GROUP, group_len);
    put_head(&mut out, id::CLUSTER, start.len() + group_len);
    out.extend(start);
    out.extend(group);
    [out.into(), frame]
}

/// Returns the first frame of a block, which can contain several by lacing (section 10.3).
fn first_frame(data: Bytes, flags: u8) -> Option<Bytes> {
    if flags & 0x06 == 0 {
        return (!data.is_empty()).then_some(data);
    }
    let frames = usize::from(*data.first()?) + 1;
    let mut at = 1;
    let mut size = None;
    match flags & 0x06 {
        // Xiph lacing: a size is the sum of bytes up to one that is not 255; the last frame takes the rest.
        0x02 => {
            for _ in 1..frames {
                let mut sum = 0;
                loop {
                    let byte = *data.get(at)?;
                    (at, sum) = (at + 1, sum + usize::from(byte));
                    if byte != 255 {
                        break;
                    }
                }
                size = size.or(Some(sum));
            }
        }
        // EBML lacing: the first size, then differences; the last frame takes the rest.
        0x06 => {
            for _ in 1..frames {
                let (value, len) = vint(data.get(at..)?)?;
                at += len;
                size = size.or(usize::try_from(value).ok());
            }
        }
        // Fixed-size lacing.
        _ => size = Some((data.len() - 1) / frames),
    }
    let end = size.map_or(Some(data.len()), |size| at.checked_add(size))?;
    (at < end && end <= data.len()).then(|| data.slice(at..end))
}

#[cfg(test)]
mod tests {
    use super::super::ebml::{Child, child, children, uint};
    use super::super::fixture::{self, file, info, payload, tracks};
    use super::super::open;
    use super::*;

    #[tokio::test]
    async fn wraps_keyframes_as_a_readable_file() {
        let source = fixture::source(file(&[info(1.0), tracks()]));
        let (media_info, track) = open(&source).await.unwrap();
        let large = vec![7; 1 << 20];
        let samples = [payload(2, -9, 0x80, &large), vec![0x82], payload(2, 3, 0, b"second")];
        let pieces = track.wrap(&samples.map(Bytes::from));
        assert_eq!(pieces.len(), 5, "the header, then two pieces per keyframe without the malformed one");

        let bytes = pieces.concat();
        let parts: Vec<Child<'_>> = children(&bytes).collect();
        assert_eq!(parts.iter().map(|part| part.all.len()).sum::<usize>(), bytes.len());
        assert_eq!(child(parts[0].data, id::DOC_TYPE), Some(&b"webm"[..]));
        let clusters: Vec<_> =
            children(parts[1].data).filter(|part| part.id == id::CLUSTER).map(|part| part.data).collect();
        let times: Vec<_> = clusters.iter().filter_map(|data| uint(child(data, id::TIMESTAMP)?)).collect();
        assert_eq!(times, [0, 2000]);
        let group = child(clusters[1], id::BLOCK_GROUP).unwrap();
        assert_eq!(child(group, id::BLOCK), Some(&payload(2, 0, 0, b"second")[..]));

        // Reading the file gives the track that it was made from.
        let source = fixture::source(bytes);
        let (again_media_info, again_track) = open(&source).await.unwrap();
        assert_eq!((again_track.number, &again_track.entry), (track.number, &track.entry));
        assert_eq!(again_media_info.video_codec, media_info.video_codec);
        assert_eq!(again_track.keyframes(&source, 2).await.unwrap().len(), 2);
    }

    #[test]
    fn first_frame_of_a_laced_block_is_taken() {
        let frame = |flags, data: &'static [u8]| first_frame(Bytes::from_static(data), flags);
        assert_eq!(frame(0x80, b"whole").unwrap(), "whole");
        // Xiph lacing: three frames of 2 bytes, 1 byte and the rest.
        assert_eq!(frame(0x02, b"\x02\x02\x01aabccc").unwrap(), "aa");
        // EBML lacing: three frames of 2 bytes, 2 - 1 bytes and the rest.
        assert_eq!(frame(0x86, b"\x02\x82\xBEaabccc").unwrap(), "aa");
        // Fixed-size lacing: three frames of 2 bytes.
        assert_eq!(frame(0x04, b"\x02aabbcc").unwrap(), "aa");
        // Xiph lacing with a single frame.
        assert_eq!(frame(0x02, b"\x00aa").unwrap(), "aa");
        for broken in [&b""[..], b"\x02", b"\x01\xFF", b"\x01\x09a", b"\x01\x00a", b"\xFF\x81"] {
            for flags in [0x02, 0x06] {
                assert_eq!(frame(flags, broken), None, "{broken:?}");
            }
        }
        assert_eq!(frame(0x04, b"\x01"), None);
        assert_eq!(frame(0x00, b""), None);
    }
}
