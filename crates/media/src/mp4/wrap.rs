//! Wraps keyframes as a small MP4 file.

use bytes::Bytes;

use super::boxes::{atom, file_type, mdat_header, samples_in_this_file, words};
use crate::keyframe::FrameData;

/// Ticks per second of the file.
const SCALE: u32 = 1000;

/// The bodies of the boxes that are copied from the original, so that the frames are decoded, rotated and scaled in the
/// same way.
#[derive(Debug)]
pub(super) struct Boxes {
    pub(super) mvhd: Bytes,
    /// The timescale in `mvhd`.
    pub(super) movie_scale: u32,
    pub(super) tkhd: Bytes,
    pub(super) hdlr: Bytes,
    pub(super) stsd: Bytes,
    /// The sample description index, from 1.
    pub(super) description: u32,
}

/// Returns the file in pieces: the headers, then the samples. Each frame lasts one second. `moov` precedes `mdat`, so
/// ffmpeg can read the file from a pipe.
pub(super) fn wrap(boxes: &Boxes, frames: Vec<FrameData>) -> Vec<Bytes> {
    let lead_ins: Vec<usize> = frames.iter().map(|frame| frame.lead_in.len()).collect();
    let samples = frames.into_iter().flat_map(|frame| frame.lead_in.into_iter().chain([frame.shown]));
    let samples: Vec<Bytes> = samples.collect();
    let sizes: Vec<u32> =
        samples.iter().map(|sample| u32::try_from(sample.len()).unwrap_or(u32::MAX)).collect();
    // The header contains the offset of the samples, which is its own length and does not change that length.
    let len = header(boxes, &lead_ins, &sizes, 0).len();
    let header = header(boxes, &lead_ins, &sizes, len as u64);
    std::iter::once(header).chain(samples).collect()
}

fn header(boxes: &Boxes, lead_ins: &[usize], sizes: &[u32], offset: u64) -> Bytes {
    let Boxes { mvhd, movie_scale, tkhd, hdlr, stsd, description } = boxes;
    let count = u32::try_from(sizes.len()).unwrap_or(u32::MAX);
    let frames = u32::try_from(lead_ins.len()).unwrap_or(u32::MAX);
    let end = frames.saturating_mul(SCALE);
    let mdhd = atom(*b"mdhd", &[&words(&[0, 0, 0, SCALE, end, 0x55C4_0000])]);
    let (times, edits) = if count == frames {
        (atom(*b"stts", &[&words(&[0, 1, count, SCALE])]), Vec::new())
    } else {
        let elst = words(&[0, 1, frames.saturating_mul(*movie_scale), 0, 0x1_0000]);
        let stts = run_lengths(*b"stts", lead_ins, (0, SCALE));
        // The lead-in has no duration, and is decoded, but not shown, because it is presented after the only edit. Only
        // the first sample is a sync sample, because ffmpeg takes one after the edit for its end.
        let ctts = run_lengths(*b"ctts", lead_ins, (end, 0));
        let stss = atom(*b"stss", &[&words(&[0, 1, 1])]);
        ([stts, ctts, stss].concat(), atom(*b"edts", &[&atom(*b"elst", &[&elst])]))
    };
    let stsc = atom(*b"stsc", &[&words(&[0, 1, 1, count, *description])]);
    let stsz = atom(*b"stsz", &[&words(&[0, 0, count]), &words(sizes)]);
    let co64 = atom(*b"co64", &[&words(&[0, 1]), &offset.to_be_bytes()]);
    // Box sizes are computed anew: a wrong size in the original would swallow the boxes that follow.
    let (mvhd, tkhd) = (atom(*b"mvhd", &[mvhd]), atom(*b"tkhd", &[tkhd]));
    let (hdlr, stsd) = (atom(*b"hdlr", &[hdlr]), atom(*b"stsd", &[stsd]));
    let stbl = atom(*b"stbl", &[&stsd, &times, &stsc, &stsz, &co64]);
    let vmhd = atom(*b"vmhd", &[&words(&[1, 0, 0])]);
    let minf = atom(*b"minf", &[&vmhd, &samples_in_this_file(), &stbl]);
    let mdia = atom(*b"mdia", &[&mdhd, &hdlr, &minf]);
    let moov = atom(*b"moov", &[&mvhd, &atom(*b"trak", &[&tkhd, &edits, &mdia])]);
    let samples: u64 = sizes.iter().map(|size| u64::from(*size)).sum();
    [file_type(), moov, mdat_header(samples)].concat().into()
}

/// Returns a run-length coded table of a value for the lead-in of each frame, and one for the frame.
fn run_lengths(name: [u8; 4], lead_ins: &[usize], (before, shown): (u32, u32)) -> Vec<u8> {
    let mut entries = Vec::new();
    for lead_in in lead_ins {
        let lead_in = u32::try_from(*lead_in).unwrap_or(u32::MAX);
        if lead_in > 0 {
            entries.extend([lead_in, before]);
        }
        entries.extend([1, shown]);
    }
    let count = u32::try_from(entries.len() / 2).unwrap_or(u32::MAX);
    atom(name, &[&words(&[0, count]), &words(&entries)])
}

#[cfg(test)]
mod tests {
    use super::super::boxes::Fields;
    use super::*;

    #[test]
    fn chunk_offset_points_at_the_samples() {
        let boxes = Boxes {
            mvhd: Bytes::from_static(b"of the movie"),
            movie_scale: 600,
            tkhd: Bytes::from_static(b"of the track"),
            hdlr: Bytes::new(),
            stsd: Bytes::from_static(b"verbatim"),
            description: 2,
        };
        let frame = |lead_in: &[&'static str], shown: &'static str| FrameData {
            lead_in: lead_in.iter().map(|sample| Bytes::from_static(sample.as_bytes())).collect(),
            shown: Bytes::from_static(shown.as_bytes()),
        };
        let file: Vec<u8> = wrap(&boxes, vec![frame(&[], "first"), frame(&["a", "b"], "2nd")]).concat();
        assert!(file.ends_with(b"firstab2nd"));
        let file = Fields(file.into());
        let names: Vec<_> = file.boxes().map(|(name, _)| name).collect();
        assert_eq!(names, [*b"ftyp", *b"moov", *b"mdat"]);
        let trak = file.child(*b"moov").unwrap().child(*b"trak").unwrap();
        let stbl = trak.child(*b"mdia").unwrap().child(*b"minf").unwrap().child(*b"stbl").unwrap();
        assert_eq!(stbl.child(*b"stsd").unwrap().0, &b"verbatim"[..]);
        let mut co64 = stbl.child(*b"co64").unwrap();
        assert_eq!(co64.u64(), Some(1));
        let offset = usize::try_from(co64.u64().unwrap()).unwrap();
        assert_eq!(&file.0[offset..], b"firstab2nd");
    }
}
