//! Wraps keyframes as a small MP4 file.

use bytes::{BufMut, Bytes, BytesMut};

use super::boxes::atom;

/// The bodies of the boxes that are copied from the original, so that the frames are decoded, rotated and scaled in the
/// same way.
#[derive(Debug)]
pub(super) struct Boxes {
    pub(super) mvhd: Bytes,
    pub(super) tkhd: Bytes,
    pub(super) mdhd: Bytes,
    pub(super) hdlr: Bytes,
    pub(super) stsd: Bytes,
    /// The sample description index, from 1.
    pub(super) description: u32,
}

/// Returns the file in pieces: the headers, then the samples. Each sample lasts one second. `moov` precedes `mdat`, so
/// ffmpeg can read the file from a pipe.
pub(super) fn wrap(boxes: &Boxes, scale: u32, samples: Vec<Bytes>) -> Vec<Bytes> {
    let sizes: Vec<u32> =
        samples.iter().map(|sample| u32::try_from(sample.len()).unwrap_or(u32::MAX)).collect();
    // The header contains the offset of the samples, which is its own length and does not change that length.
    let len = header(boxes, scale, &sizes, 0).len();
    let header = header(boxes, scale, &sizes, len as u64);
    std::iter::once(header).chain(samples).collect()
}

fn header(boxes: &Boxes, scale: u32, sizes: &[u32], offset: u64) -> Bytes {
    let Boxes { mvhd, tkhd, mdhd, hdlr, stsd, description } = boxes;
    let count = u32::try_from(sizes.len()).unwrap_or(u32::MAX);
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>();
    let stts = atom(*b"stts", &[&words(&[0, 1, count, scale])]);
    let stsc = atom(*b"stsc", &[&words(&[0, 1, 1, count, *description])]);
    let stsz = atom(*b"stsz", &[&words(&[0, 0, count]), &words(sizes)]);
    let co64 = atom(*b"co64", &[&words(&[0, 1]), &offset.to_be_bytes()]);
    // Box sizes are computed anew: a wrong size in the original would swallow the boxes that follow.
    let (mvhd, tkhd) = (atom(*b"mvhd", &[mvhd]), atom(*b"tkhd", &[tkhd]));
    let (mdhd, hdlr, stsd) = (atom(*b"mdhd", &[mdhd]), atom(*b"hdlr", &[hdlr]), atom(*b"stsd", &[stsd]));
    let stbl = atom(*b"stbl", &[&stsd, &stts, &stsc, &stsz, &co64]);
    // `url ` with flag 1: the samples are in this file.
    let url = atom(*b"url ", &[&words(&[1])]);
    let dinf = atom(*b"dinf", &[&atom(*b"dref", &[&words(&[0, 1]), &url])]);
    let minf = atom(*b"minf", &[&atom(*b"vmhd", &[&words(&[1, 0, 0])]), &dinf, &stbl]);
    let mdia = atom(*b"mdia", &[&mdhd, &hdlr, &minf]);
    let moov = atom(*b"moov", &[&mvhd, &atom(*b"trak", &[&tkhd, &mdia])]);
    let ftyp = atom(*b"ftyp", &[b"isom", &words(&[0x200]), b"isomqt  "]);
    let mut file = BytesMut::new();
    file.put_slice(&ftyp);
    file.put_slice(&moov);
    let samples: u64 = sizes.iter().map(|size| u64::from(*size)).sum();
    file.put_u32(1);
    file.put_slice(b"mdat");
    file.put_u64(samples + 16);
    file.freeze()
}

#[cfg(test)]
mod tests {
    use super::super::boxes::Fields;
    use super::*;

    #[test]
    fn chunk_offset_points_at_the_samples() {
        let boxes = Boxes {
            mvhd: Bytes::from_static(b"of the movie"),
            tkhd: Bytes::from_static(b"of the track"),
            mdhd: Bytes::new(),
            hdlr: Bytes::new(),
            stsd: Bytes::from_static(b"verbatim"),
            description: 2,
        };
        let samples = vec![Bytes::from_static(b"first"), Bytes::from_static(b"2nd")];
        let file: Vec<u8> = wrap(&boxes, 600, samples).concat();
        assert!(file.ends_with(b"first2nd"));
        let file = Fields(file.into());
        let names: Vec<_> = file.boxes().map(|(name, _)| name).collect();
        assert_eq!(names, [*b"ftyp", *b"moov", *b"mdat"]);
        let trak = file.child(*b"moov").unwrap().child(*b"trak").unwrap();
        let stbl = trak.child(*b"mdia").unwrap().child(*b"minf").unwrap().child(*b"stbl").unwrap();
        assert_eq!(stbl.child(*b"stsd").unwrap().0, &b"verbatim"[..]);
        let mut co64 = stbl.child(*b"co64").unwrap();
        assert_eq!(co64.u64(), Some(1));
        let offset = usize::try_from(co64.u64().unwrap()).unwrap();
        assert_eq!(&file.0[offset..], b"first2nd");
    }
}
