//! The boxes of a segment before its samples.

use crate::mp4::boxes::{atom, full_box, mdat_header, words};

/// A sample of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    /// Bytes.
    pub(crate) size: u32,
    /// Ticks until the next sample is decoded.
    pub(crate) duration: u32,
    /// Ticks from decoding to presentation.
    pub(crate) offset: u32,
    pub(crate) is_sync: bool,
}

/// The sample flags (ISO/IEC 14496-12, 8.8.3.1) of a sample that depends on no other, and of one that does.
const SYNC: u32 = 0x0200_0000;
const NON_SYNC: u32 = 0x0101_0000;

/// Returns `styp`, `moof` and the header of `mdat`. The first sample is decoded at `decoded`.
///
/// What is the same for all samples is stated once, as a default (8.8.7).
pub(crate) fn head(number: u32, decoded: u64, rows: &[Row]) -> Vec<u8> {
    let mut run = Run::default();
    run.column(Column { per_sample: 0x100, default: 0x08 }, rows.iter().map(|row| row.duration));
    run.column(Column { per_sample: 0x200, default: 0x10 }, rows.iter().map(|row| row.size));
    let first_flags = match rows {
        [first, others @ ..] if first.is_sync && !others.is_empty() => {
            others.iter().all(|row| !row.is_sync).then_some(SYNC)
        }
        _ => None,
    };
    if first_flags.is_some() {
        run.header_flags |= 0x20;
        run.header.extend(NON_SYNC.to_be_bytes());
        run.flags |= 0x04;
    } else {
        let flags = rows.iter().map(|row| if row.is_sync { SYNC } else { NON_SYNC });
        run.column(Column { per_sample: 0x400, default: 0x20 }, flags);
    }
    if rows.iter().any(|row| row.offset != 0) {
        run.flags |= 0x800;
        run.columns.push(rows.iter().map(|row| row.offset).collect());
    }

    let mut entries = Vec::with_capacity(rows.len() * 4 * run.columns.len());
    for row in 0..rows.len() {
        entries.extend(run.columns.iter().filter_map(|column| column.get(row)).flat_map(|n| n.to_be_bytes()));
    }
    let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    let mdat = mdat_header_of(rows);
    let moof = |data_offset: u32| {
        let mfhd = full_box(*b"mfhd", 0, 0, &[&words(&[number])]);
        // 0x020000: default-base-is-moof, data offsets are relative to the `moof` box.
        let tfhd = full_box(*b"tfhd", 0, 0x02_0000 | run.header_flags, &[&words(&[1]), &run.header]);
        let tfdt = full_box(*b"tfdt", 1, 0, &[&decoded.to_be_bytes()]);
        let first = first_flags.map(u32::to_be_bytes);
        let first = first.as_ref().map_or(&[][..], |flags| flags);
        let trun = full_box(*b"trun", 0, 0x01 | run.flags, &[&words(&[count, data_offset]), first, &entries]);
        atom(*b"moof", &[&mfhd, &atom(*b"traf", &[&tfhd, &tfdt, &trun])])
    };
    let length = moof(0).len() + mdat.len();
    let styp = atom(*b"styp", &[b"msdh", &words(&[0]), b"msdhcmfc"]);
    [styp, moof(u32::try_from(length).unwrap_or(u32::MAX)), mdat].concat()
}

fn mdat_header_of(rows: &[Row]) -> Vec<u8> {
    let len = rows.iter().map(|row| u64::from(row.size)).sum::<u64>();
    match u32::try_from(len + 8) {
        Ok(size) => [&size.to_be_bytes()[..], b"mdat"].concat(),
        Err(_) => mdat_header(len),
    }
}

/// A field of the samples: the flag that it is listed for each (`trun`), and the flag that it has a default (`tfhd`).
#[derive(Clone, Copy)]
struct Column {
    per_sample: u32,
    default: u32,
}

/// The fields of a track run and of the track fragment header before it.
#[derive(Default)]
struct Run {
    flags: u32,
    columns: Vec<Vec<u32>>,
    header_flags: u32,
    header: Vec<u8>,
}

impl Run {
    fn column(&mut self, column: Column, values: impl Iterator<Item = u32> + Clone) {
        let first = values.clone().next().unwrap_or(0);
        if values.clone().all(|value| value == first) {
            self.header_flags |= column.default;
            self.header.extend(first.to_be_bytes());
        } else {
            self.flags |= column.per_sample;
            self.columns.push(values.collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::mp4::boxes::Fields;
    use crate::mp4::runs::{Defaults, TrackHeader, TrackRun};

    fn row(size: u32, duration: u32, offset: u32, is_sync: bool) -> Row {
        Row { size, duration, offset, is_sync }
    }

    /// Reads the head back. Returns the rows, the decode time and the distance of the samples from the end of the head.
    fn read(head: Vec<u8>) -> (Vec<Row>, u64, i64) {
        let length = head.len();
        let file = Fields(Bytes::from(head));
        let (_, start, moof) = file.boxes_with_offsets().find(|(name, ..)| name == b"moof").unwrap();
        let traf = moof.child(*b"traf").unwrap();
        let header = TrackHeader::read(traf.child(*b"tfhd").unwrap(), Defaults::default()).unwrap();
        let mut tfdt = traf.child(*b"tfdt").unwrap();
        tfdt.skip(4).unwrap();
        let mut run = TrackRun::read(traf.child(*b"trun").unwrap(), header.defaults).unwrap();
        let data = i64::from(run.data_offset.unwrap());
        let mut rows = Vec::new();
        while run.remaining > 0 {
            let found = run.next_samples().unwrap();
            let offset = found.composition_offset.cast_unsigned();
            let row = row(found.size, found.duration, offset, found.is_sync);
            rows.extend((0..found.count).map(|_| row));
        }
        let length = i64::try_from(length - start).unwrap();
        (rows, tfdt.u64().unwrap(), data - length)
    }

    #[test]
    fn samples_can_be_read_back() {
        let all = [
            vec![row(7, 10, 0, true)],
            vec![row(7, 10, 0, true); 5],
            vec![row(7, 10, 0, true), row(8, 10, 0, false), row(9, 11, 0, false)],
            vec![row(7, 5, 0, true), row(8, 5, 25, false), row(8, 10, 0, false), row(8, 10, 0, true)],
            vec![row(7, 10, 0, false), row(7, 10, 0, false)],
            vec![row(u32::MAX, 1, 0, true); 3],
        ];
        for rows in all {
            assert_eq!(read(head(9, 1 << 40, &rows)), (rows.clone(), 1 << 40, 0), "{rows:?}");
        }
    }

    #[test]
    fn equal_fields_take_no_room() {
        let frames: Vec<Row> = (0..100).map(|i| row(i, 10, 0, i == 0)).collect();
        let audio = vec![row(5, 10, 0, true); 100];
        let length = |rows: &[Row]| head(1, 0, rows).len() - head(1, 0, &rows[..1]).len();
        assert!(length(&frames) <= 4 * 100 + 8, "{}", length(&frames));
        assert_eq!(length(&audio), 0);
    }
}
