//! Writes the boxes of a slice: a movie with empty tables, and one movie fragment that lists the samples.

use bytes::Bytes;

use super::boxes::{atom, file_type, full_box, mdat_header, samples_in_this_file, words};

/// The boxes of a track that are copied from the original.
#[derive(Debug, Clone)]
pub(super) struct TrackBoxes {
    pub(super) id: u32,
    pub(super) tkhd: Bytes,
    pub(super) hdlr: Bytes,
    pub(super) stsd: Bytes,
    /// The sample description index, from 1.
    pub(super) description: u32,
    /// Ticks per second.
    pub(super) scale: u32,
}

/// A sample, or a group of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// The offset in the object.
    pub(super) offset: u64,
    pub(super) size: u32,
    pub(super) decoded: i64,
    pub(super) presented: i64,
    pub(super) is_sync: bool,
}

/// A track of a slice, with its samples in the order of decoding.
pub(super) struct TrackSlice {
    pub(super) boxes: TrackBoxes,
    pub(super) pieces: Vec<Piece>,
}

/// Returns the boxes of a slice. They end with the header of an `mdat` box, whose body is the object from its first
/// byte to `end`.
pub(super) fn head(mvhd: &[u8], tracks: &[TrackSlice], end: u64) -> Vec<u8> {
    let ftyp = file_type();
    let traks: Vec<u8> = tracks.iter().flat_map(|track| trak(&track.boxes)).collect();
    let trexs: Vec<u8> = tracks.iter().flat_map(|track| trex(&track.boxes)).collect();
    let moov = atom(*b"moov", &[&atom(*b"mvhd", &[mvhd]), &traks, &atom(*b"mvex", &[&trexs])]);
    // The length does not depend on the offsets, because these have a fixed length.
    let mdat = mdat_header(end);
    let length = ftyp.len() + moov.len() + moof(tracks, 0).len() + mdat.len();
    let moof = moof(tracks, length as u64);
    [ftyp, moov, moof, mdat].concat()
}

fn trak(boxes: &TrackBoxes) -> Vec<u8> {
    let mdhd = full_box(*b"mdhd", 0, 0, &[&words(&[0, 0, boxes.scale, 0, 0x55C4_0000])]);
    let empty = |name| full_box(name, 0, 0, &[&words(&[0])]);
    let stsz = full_box(*b"stsz", 0, 0, &[&words(&[0, 0])]);
    let tables = [empty(*b"stts"), empty(*b"stsc"), stsz, empty(*b"stco")].concat();
    let stbl = atom(*b"stbl", &[&atom(*b"stsd", &[&boxes.stsd]), &tables]);
    let minf = atom(*b"minf", &[&samples_in_this_file(), &stbl]);
    let mdia = atom(*b"mdia", &[&mdhd, &atom(*b"hdlr", &[&boxes.hdlr]), &minf]);
    atom(*b"trak", &[&atom(*b"tkhd", &[&boxes.tkhd]), &mdia])
}

fn trex(boxes: &TrackBoxes) -> Vec<u8> {
    full_box(*b"trex", 0, 0, &[&words(&[boxes.id, boxes.description, 0, 0, 0])])
}

fn moof(tracks: &[TrackSlice], base: u64) -> Vec<u8> {
    let trafs: Vec<u8> = tracks.iter().flat_map(|track| trafs(track, base)).collect();
    atom(*b"moof", &[&full_box(*b"mfhd", 0, 0, &[&words(&[1])]), &trafs])
}

/// Returns the track fragments of a track. A new one starts where the offset in the object differs from that of the
/// fragment's first sample by 2 GiB or more, because a `trun` box has offsets of 32 bits.
fn trafs(track: &TrackSlice, base: u64) -> Vec<u8> {
    let timed = ascending_decode_times(&track.pieces);
    let is_near = |first: u64, offset: u64| i32::try_from(i128::from(offset) - i128::from(first)).is_ok();
    let mut rest = &timed[..];
    let mut out = Vec::new();
    while let Some((first, decoded, _)) = rest.first() {
        let count = rest.iter().take_while(|(piece, ..)| is_near(first.offset, piece.offset)).count();
        let (these, others) = rest.split_at(count);
        rest = others;
        // The flag 1 is `base-data-offset-present`.
        let start = base.saturating_add(first.offset);
        let tfhd = full_box(*b"tfhd", 0, 1, &[&words(&[track.boxes.id]), &start.to_be_bytes()]);
        let tfdt = full_box(*b"tfdt", 1, 0, &[&decoded.to_be_bytes()]);
        let adjoin = |(a, ..): &Timed<'_>, (b, ..): &Timed<'_>| a.offset + u64::from(a.size) == b.offset;
        let truns: Vec<u8> = these.chunk_by(adjoin).flat_map(|run| trun(run, first.offset)).collect();
        out.extend(atom(*b"traf", &[&tfhd, &tfdt, &truns]));
    }
    out
}

/// A sample, its decode time, and its duration.
type Timed<'a> = (&'a Piece, i64, u32);

/// Makes decode times ascend, as ffmpeg requires, and none later than the presentation.
fn ascending_decode_times(pieces: &[Piece]) -> Vec<Timed<'_>> {
    let mut next = i64::MIN;
    let ascending = |piece: &Piece| {
        let time = piece.decoded.max(next);
        next = time.saturating_add(1);
        time
    };
    let times: Vec<i64> = pieces.iter().map(ascending).collect();
    let late = pieces.iter().zip(&times).map(|(piece, time)| time.saturating_sub(piece.presented));
    let late = late.max().unwrap_or(0).max(0);
    let durations =
        times.windows(2).map(|pair| u32::try_from(pair[1].saturating_sub(pair[0])).unwrap_or(u32::MAX));
    let durations = durations.chain([1]);
    let timed = pieces.iter().zip(&times).zip(durations);
    timed.map(|((piece, time), duration)| (piece, time.saturating_sub(late), duration)).collect()
}

fn trun(run: &[Timed<'_>], base: u64) -> Vec<u8> {
    /// The data offset, and the duration, size, flags and composition offset of each sample are present.
    const FLAGS: u32 = 0x0001 | 0x0100 | 0x0200 | 0x0400 | 0x0800;
    let offset = run.first().map_or(0, |(piece, ..)| i128::from(piece.offset) - i128::from(base));
    let offset = i32::try_from(offset).unwrap_or(0).cast_unsigned();
    let mut body = words(&[u32::try_from(run.len()).unwrap_or(u32::MAX), offset]);
    for (piece, decoded, duration) in run {
        let flags = if piece.is_sync { 0x0200_0000 } else { 0x0101_0000 };
        let composition = i32::try_from(piece.presented.saturating_sub(*decoded)).unwrap_or(i32::MAX);
        body.extend(words(&[*duration, piece.size, flags, composition.cast_unsigned()]));
    }
    full_box(*b"trun", 1, FLAGS, &[&body])
}

#[cfg(test)]
mod tests {
    use super::super::boxes::Fields;
    use super::*;

    fn piece(offset: u64, decoded: i64, presented: i64) -> Piece {
        Piece { offset, size: 10, decoded, presented, is_sync: decoded == 0 }
    }

    #[test]
    fn decode_times_ascend_and_precede_the_presentation() {
        let pieces = [piece(0, -20, -20), piece(0, -20, 5), piece(0, -20, -19), piece(0, 30, 30)];
        let times: Vec<_> =
            ascending_decode_times(&pieces).iter().map(|(_, time, duration)| (*time, *duration)).collect();
        assert_eq!(times, [(-21, 1), (-20, 1), (-19, 48), (29, 1)]);
    }

    #[test]
    fn runs_begin_where_samples_are_not_adjacent() {
        let boxes = TrackBoxes {
            id: 7,
            tkhd: Bytes::new(),
            hdlr: Bytes::new(),
            stsd: Bytes::new(),
            description: 1,
            scale: 600,
        };
        let far = 5 << 30;
        let pieces = vec![
            piece(100, 0, 0),
            piece(110, 1, 1),
            piece(50, 2, 2),
            piece(far, 3, 3),
            piece(far + 10, 4, 4),
        ];
        let file = Fields(head(b"of the movie", &[TrackSlice { boxes, pieces }], far + 20).into());
        let names: Vec<_> = file.boxes().map(|(name, _)| name).collect();
        assert_eq!(names, [*b"ftyp", *b"moov", *b"moof", *b"mdat"]);
        let length = file.0.len() as u64;
        let moof = file.child(*b"moof").unwrap();
        let trafs: Vec<_> = moof.boxes().filter(|(name, _)| name == b"traf").map(|(_, traf)| traf).collect();
        let found: Vec<_> = trafs
            .iter()
            .map(|traf| {
                let mut tfhd = traf.child(*b"tfhd").unwrap();
                tfhd.skip(8).unwrap();
                let start = tfhd.u64().unwrap() - length;
                let truns = traf.boxes().filter(|(name, _)| name == b"trun");
                let counts = truns.map(|(_, mut trun)| {
                    trun.skip(4).unwrap();
                    (trun.u32().unwrap(), trun.i32().unwrap())
                });
                (start, counts.collect::<Vec<_>>())
            })
            .collect();
        assert_eq!(found, [(100, vec![(2, 0), (1, -50)]), (far, vec![(2, 0)])]);
    }
}
