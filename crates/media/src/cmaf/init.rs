//! Initialization segments of tracks that are not encoded.

#![expect(clippy::similar_names, reason = "box names such as `stsd` and `stsz` are given by the standard")]

use crate::mp4::boxes::{atom, file_type, full_box, samples_in_this_file, words};

/// The language "und" (ISO/IEC 14496-12, 8.4.2).
const UNDETERMINED: u32 = 0x55C4_0000;

/// A transformation matrix (8.2.2), serialised.
pub(crate) type Matrix = [u8; 36];

/// The matrix that changes nothing.
pub(crate) const UNITY: Matrix = {
    let mut matrix = [0; 36];
    (matrix[1], matrix[17], matrix[32]) = (1, 1, 0x40);
    matrix
};

/// How a player transforms the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// The matrix of the movie.
    pub(crate) movie: Matrix,
    /// The matrix of the track.
    pub(crate) track: Matrix,
    /// The width and height of the track header, which are fixed-point numbers, serialised.
    pub(crate) size: [u8; 8],
}

/// Returns `ftyp` and `moov` of a track with one sample entry. `geometry` is that of the film; audio has none.
pub(crate) fn init(scale: u32, entry: &[u8], geometry: Option<Geometry>) -> Vec<u8> {
    let ftyp = atom(*b"ftyp", &[b"iso6", &words(&[0]), b"iso6cmfcmp41"]);
    let stsd = full_box(*b"stsd", 0, 0, &[&words(&[1]), entry]);
    [ftyp, movie(scale, &stsd, geometry)].concat()
}

/// Returns `ftyp` and `moov` of an audio track that ffmpeg decodes. `stsd` is the body of that box, as it is in the original:
/// it can be of `QuickTime`.
pub(crate) fn init_for_decoder(scale: u32, stsd: &[u8]) -> Vec<u8> {
    [file_type(), movie(scale, &atom(*b"stsd", &[stsd]), None)].concat()
}

fn movie(scale: u32, stsd: &[u8], geometry: Option<Geometry>) -> Vec<u8> {
    let (handler, header, volume) = match geometry {
        Some(_) => (*b"vide", full_box(*b"vmhd", 0, 1, &[&[0; 8]]), 0),
        None => (*b"soun", full_box(*b"smhd", 0, 0, &[&[0; 4]]), 0x0100_0000),
    };
    let geometry = geometry.unwrap_or(Geometry { movie: UNITY, track: UNITY, size: [0; 8] });
    // Enabled, in the movie.
    let tkhd = full_box(
        *b"tkhd",
        0,
        3,
        &[&words(&[0, 0, 1, 0, 0, 0, 0, 0, volume]), &geometry.track, &geometry.size],
    );
    let mdhd = full_box(*b"mdhd", 0, 0, &[&words(&[0, 0, scale, 0, UNDETERMINED])]);
    let hdlr = full_box(*b"hdlr", 0, 0, &[&words(&[0]), &handler, &[0; 13]]);
    let empty = |name| full_box(name, 0, 0, &[&words(&[0])]);
    let stsz = full_box(*b"stsz", 0, 0, &[&words(&[0, 0])]);
    let stbl = atom(*b"stbl", &[stsd, &empty(*b"stts"), &empty(*b"stsc"), &stsz, &empty(*b"stco")]);
    let minf = atom(*b"minf", &[&header, &samples_in_this_file(), &stbl]);
    let trak = atom(*b"trak", &[&tkhd, &atom(*b"mdia", &[&mdhd, &hdlr, &minf])]);
    let mvhd = full_box(
        *b"mvhd",
        0,
        0,
        &[&words(&[0, 0, scale, 0, 0x0001_0000, 0x0100_0000, 0, 0]), &geometry.movie, &[0; 24], &words(&[2])],
    );
    let mvex = atom(*b"mvex", &[&full_box(*b"trex", 0, 0, &[&words(&[1, 1, 0, 0, 0])])]);
    atom(*b"moov", &[&mvhd, &trak, &mvex])
}
