//! The fragmented MP4 that ffmpeg writes, read (ISO/IEC 14496-12).

use std::ops::Range;

use bytes::Bytes;

/// What is in a file.
#[derive(Debug)]
pub(crate) struct File {
    /// The `moov` box without its edit list: times are those of the samples.
    pub(crate) moov: Vec<u8>,
    /// In the order in which they are decoded.
    pub(crate) samples: Vec<Sample>,
    bytes: Bytes,
}

/// A picture, or an AAC frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sample {
    /// When it is shown, counted from the start of the file; good to compare.
    pub(crate) shown: i64,
    pub(crate) duration: u32,
    pub(crate) is_sync: bool,
    place: Range<usize>,
}

/// It is not what ffmpeg writes.
#[derive(Debug, thiserror::Error)]
#[error("ffmpeg wrote an MP4 that is not understood: {0}")]
pub(crate) struct Unexpected(&'static str);

impl File {
    pub(crate) fn read(bytes: Bytes) -> Result<Self, Unexpected> {
        let mut moov = None;
        let mut samples = Vec::new();
        let mut time = 0;
        for (name, place) in boxes(&bytes, 0..bytes.len()) {
            match &name {
                b"moov" => moov = Some(without_edits(&bytes, place)),
                b"moof" => {
                    fragment(&bytes, place, &mut time, &mut samples)
                        .ok_or(Unexpected("a broken moof box"))?;
                }
                _ => {}
            }
        }
        let moov = moov.ok_or(Unexpected("no moov box"))?;
        if samples.iter().any(|sample| sample.place.end > bytes.len()) {
            return Err(Unexpected("a sample past the end"));
        }
        Ok(Self { moov, samples, bytes })
    }

    pub(crate) fn data(&self, sample: &Sample) -> &[u8] {
        &self.bytes[sample.place.clone()]
    }

    /// As in the `CODECS` attribute (RFC 6381): from the decoder's configuration.
    pub(crate) fn codec(&self) -> Result<String, Unexpected> {
        let after = |name: &[u8], skip: usize| {
            let at = self.moov.windows(name.len()).position(|found| found == name)? + name.len() + skip;
            self.moov.get(at..at + 3)
        };
        if let Some([profile, constraints, level]) = after(b"avcC", 1) {
            return Ok(format!("avc1.{profile:02x}{constraints:02x}{level:02x}"));
        }
        if after(b"esds", 0).is_some() {
            // AAC with low complexity is all that the encoder makes.
            return Ok("mp4a.40.2".to_owned());
        }
        Err(Unexpected("neither H.264 nor AAC"))
    }
}

/// The boxes in a range: their names, and header and body.
fn boxes(bytes: &[u8], range: Range<usize>) -> impl Iterator<Item = ([u8; 4], Range<usize>)> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let size = usize::try_from(u32_at(bytes, at)?).ok()?;
        let name = bytes.get(at + 4..at + 8)?.try_into().ok()?;
        let end = at.checked_add(size).filter(|end| size >= 8 && *end <= range.end)?;
        let place = at..end;
        at = end;
        Some((name, place))
    })
}

fn child(bytes: &[u8], parent: &Range<usize>, name: [u8; 4]) -> Option<Range<usize>> {
    boxes(bytes, parent.start + 8..parent.end).find(|(found, _)| *found == name).map(|(_, place)| place)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// A box with those within that have others in them, but for `edts`.
fn without_edits(bytes: &[u8], place: Range<usize>) -> Vec<u8> {
    let name = &bytes[place.start + 4..place.start + 8];
    if !matches!(name, b"moov" | b"trak") {
        return bytes[place].to_vec();
    }
    let mut made = vec![0; 4];
    made.extend_from_slice(name);
    for (name, place) in boxes(bytes, place.start + 8..place.end) {
        if name != *b"edts" {
            made.extend(without_edits(bytes, place));
        }
    }
    let size = u32::try_from(made.len()).unwrap_or(u32::MAX);
    made[..4].copy_from_slice(&size.to_be_bytes());
    made
}

/// Adds the samples of a fragment (8.8.4); `time` goes on.
fn fragment(bytes: &[u8], moof: Range<usize>, time: &mut i64, samples: &mut Vec<Sample>) -> Option<()> {
    const NON_SYNC: u32 = 0x1_0000;
    let traf = child(bytes, &moof, *b"traf")?;
    let tfhd = Words { bytes, at: child(bytes, &traf, *b"tfhd")?.start + 8 };
    let defaults = Defaults::read(tfhd)?;
    for (_, trun) in boxes(bytes, traf.start + 8..traf.end).filter(|(name, _)| name == b"trun") {
        let mut words = Words { bytes, at: trun.start + 8 };
        let flags = words.next()?;
        let count = words.next()?;
        let offset = if flags & 0x01 == 0 { 0 } else { usize::try_from(words.next()?).ok()? };
        let first = if flags & 0x04 == 0 { None } else { Some(words.next()?) };
        let mut at = moof.start.checked_add(offset)?;
        for i in 0..count {
            let mut own =
                |bit: u32, default: u32| if flags & bit == 0 { Some(default) } else { words.next() };
            let duration = own(0x100, defaults.duration)?;
            let size = usize::try_from(own(0x200, defaults.size)?).ok()?;
            let own_flags = own(0x400, defaults.flags)?;
            let shown = i64::from(own(0x800, 0)?.cast_signed());
            let sample_flags = first.filter(|_| i == 0).unwrap_or(own_flags);
            let place = at..at.checked_add(size)?;
            at = place.end;
            let is_sync = sample_flags & NON_SYNC == 0;
            samples.push(Sample { shown: *time + shown, duration, is_sync, place });
            *time += i64::from(duration);
        }
    }
    Some(())
}

/// What holds for samples that say nothing of their own (8.8.7).
#[derive(Default)]
struct Defaults {
    duration: u32,
    size: u32,
    flags: u32,
}

impl Defaults {
    fn read(mut tfhd: Words<'_>) -> Option<Self> {
        let flags = tfhd.next()?;
        let _track = tfhd.next()?;
        // Offsets are relative to the moof box, as ffmpeg was asked for.
        if flags & 0x01 != 0 {
            return None;
        }
        let mut optional = |bit: u32| if flags & bit == 0 { Some(0) } else { tfhd.next() };
        let _description = optional(0x02)?;
        Some(Self { duration: optional(0x08)?, size: optional(0x10)?, flags: optional(0x20)? })
    }
}

struct Words<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Words<'_> {
    fn next(&mut self) -> Option<u32> {
        let word = u32_at(self.bytes, self.at)?;
        self.at += 4;
        Some(word)
    }
}

#[cfg(test)]
#[expect(clippy::similar_names, reason = "the names of boxes are what they are")]
mod tests {
    use super::*;

    fn atom(name: [u8; 4], words: &[u32], inner: &[u8]) -> Vec<u8> {
        let words: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let size = u32::try_from(8 + words.len() + inner.len()).unwrap();
        [&size.to_be_bytes(), &name[..], &words, inner].concat()
    }

    fn file(trun: &[u32], data: &[u8]) -> Bytes {
        let trak = atom(*b"trak", &[], &[atom(*b"tkhd", &[7], b""), atom(*b"edts", &[1, 2], b"")].concat());
        let moov = atom(*b"moov", &[], &[trak, atom(*b"mvex", &[], b"avcC\x01\x64\x00\x1f")].concat());
        let tfhd = atom(*b"tfhd", &[0x02_0038, 1, 10, 3, 0x1_0000], b"");
        let traf = atom(*b"traf", &[], &[tfhd, atom(*b"trun", trun, b"")].concat());
        let moof = atom(*b"moof", &[], &traf);
        [atom(*b"ftyp", &[], b"isom"), moov, moof, atom(*b"mdat", &[], data)].concat().into()
    }

    #[test]
    fn samples_are_read_with_their_order() {
        // Offset, first flags, then composition offsets: the second is shown after the third.
        let trun = [0x0805, 3, 0, 0, 10, 30, 0];
        let length = file(&trun, b"").len();
        let trun_with_offset = {
            let moof = file(&trun, b"").windows(4).position(|w| w == b"moof").unwrap() - 4;
            [0x0805, 3, u32::try_from(length - moof).unwrap(), 0, 10, 30, 0]
        };
        let file = File::read(file(&trun_with_offset, b"aaabbbccc")).unwrap();
        let seen: Vec<_> =
            file.samples.iter().map(|s| (s.shown, s.duration, s.is_sync, file.data(s))).collect();
        assert_eq!(seen, [(10, 10, true, &b"aaa"[..]), (40, 10, false, b"bbb"), (20, 10, false, b"ccc")]);
        assert_eq!(file.codec().unwrap(), "avc1.64001f");
        assert!(!file.moov.windows(4).any(|name| name == b"edts"));
        assert_eq!(u32_at(&file.moov, 0).map(|size| size as usize), Some(file.moov.len()));
    }

    #[test]
    fn what_is_broken_is_an_error() {
        let whole = file(&[0x0201, 1, 8, 3], b"abc");
        assert!(File::read(Bytes::new()).is_err());
        assert!(File::read(file(&[0x0201, 9, 8, 3], b"abc")).is_err());
        assert!(File::read(file(&[0x0201, 1, 9000, 3], b"abc")).is_err());
        for len in 0..whole.len() {
            let _ = File::read(whole.slice(..len));
        }
    }
}
