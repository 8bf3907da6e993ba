//! Reads the fragmented MP4 files (ISO/IEC 14496-12) that ffmpeg writes.

use std::ops::Range;

use crate::mp4::boxes::{Fields, Name, atom};
use crate::mp4::runs::{Defaults, TrackHeader, TrackRun, UniformSamples};
use bytes::Bytes;

/// A parsed fragmented MP4 file.
#[derive(Debug)]
pub struct File {
    /// The `moov` box without its edit lists, so that presentation times are those of the samples.
    pub moov: Vec<u8>,
    /// The samples in decoding order.
    pub samples: Vec<Sample>,
    bytes: Bytes,
}

/// A video frame or an AAC frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The presentation time from the start of the file. Only its order is meaningful.
    pub presentation_time: i64,
    /// The duration in the track's timescale.
    pub duration: u32,
    /// Whether it is a keyframe.
    pub is_sync: bool,
    range: Range<usize>,
}

/// The file differs from what ffmpeg is expected to write.
#[derive(Debug, thiserror::Error)]
#[error("unexpected MP4 from ffmpeg: {0}")]
pub struct Unexpected(&'static str);

impl File {
    /// Parses a whole file.
    ///
    /// # Errors
    /// Fails if the `moov` box is missing or a fragment is malformed.
    pub fn read(bytes: Bytes) -> Result<Self, Unexpected> {
        let mut moov = None;
        let mut samples = Vec::new();
        let mut time = 0;
        for (name, start, body) in Fields(bytes.clone()).boxes_with_offsets() {
            match &name {
                b"moov" => moov = Some(without_edits(name, &body)),
                b"moof" => {
                    fragment(&body, start, &mut time, &mut samples)
                        .ok_or(Unexpected("malformed moof box"))?;
                }
                _ => {}
            }
        }
        let moov = moov.ok_or(Unexpected("no moov box"))?;
        if samples.iter().any(|sample| sample.range.end > bytes.len()) {
            return Err(Unexpected("a sample extends past the end of the file"));
        }
        Ok(Self { moov, samples, bytes })
    }

    /// Returns the decode times and the bytes of the samples in fragments without a `moov` box. Returns `None` if they are
    /// malformed.
    pub(crate) fn frames(bytes: &Bytes) -> Option<Vec<(i64, Bytes)>> {
        let mut frames = Vec::new();
        for (name, start, body) in Fields(bytes.clone()).boxes_with_offsets() {
            if name != *b"moof" {
                continue;
            }
            let mut tfdt = body.child(*b"traf")?.child(*b"tfdt")?;
            let (version, _) = tfdt.version_and_flags()?;
            let mut time = tfdt.u32_or_u64(version)?.cast_signed();
            let mut samples = Vec::new();
            fragment(&body, start, &mut 0, &mut samples)?;
            for Sample { duration, range, .. } in samples {
                frames.push((time, bytes.get(range.clone()).map(|_| bytes.slice(range))?));
                time = time.saturating_add(duration.into());
            }
        }
        Some(frames)
    }

    /// Returns the bytes of a sample.
    #[must_use]
    pub fn data(&self, sample: &Sample) -> &[u8] {
        &self.bytes[sample.range.clone()]
    }

    /// Returns the value for the `CODECS` attribute (RFC 6381), from the decoder configuration in `moov`.
    ///
    /// # Errors
    /// Fails if the track is neither H.264 nor AAC.
    pub fn codec(&self) -> Result<String, Unexpected> {
        let after = |name: &[u8], skip: usize| {
            let at = self.moov.windows(name.len()).position(|found| found == name)? + name.len() + skip;
            self.moov.get(at..at + 3)
        };
        if let Some([profile, constraints, level]) = after(b"avcC", 1) {
            return Ok(format!("avc1.{profile:02x}{constraints:02x}{level:02x}"));
        }
        if after(b"esds", 0).is_some() {
            // The encoder only makes AAC-LC.
            return Ok("mp4a.40.2".to_owned());
        }
        Err(Unexpected("neither H.264 nor AAC"))
    }
}

/// Copies a box, without any `edts` box in `moov` or `trak`.
fn without_edits(name: Name, body: &Fields) -> Vec<u8> {
    if !matches!(&name, b"moov" | b"trak") {
        return atom(name, &[&body.0]);
    }
    let within = body.boxes().filter(|(name, _)| name != b"edts");
    let within: Vec<u8> = within.flat_map(|(name, body)| without_edits(name, &body)).collect();
    atom(name, &[&within])
}

/// Appends the samples of the `moof` box (8.8.4) at offset `start`. `time` is the decode time, which continues from
/// fragment to fragment.
fn fragment(moof: &Fields, start: usize, time: &mut i64, samples: &mut Vec<Sample>) -> Option<()> {
    let traf = moof.child(*b"traf")?;
    // ffmpeg runs with `default_base_moof`, so data offsets are relative to the `moof` box.
    let header = TrackHeader::read(traf.child(*b"tfhd")?, Defaults::default())?;
    if header.base_data_offset.is_some() {
        return None;
    }
    for (_, trun) in traf.boxes().filter(|(name, _)| name == b"trun") {
        let mut run = TrackRun::read(trun, header.defaults)?;
        let mut at = start.checked_add_signed(isize::try_from(run.data_offset.unwrap_or(0)).ok()?)?;
        while run.remaining > 0 {
            let UniformSamples { count, duration, size, composition_offset, is_sync } = run.next_samples()?;
            for _ in 0..count {
                let range = at..at.checked_add(usize::try_from(size).ok()?)?;
                at = range.end;
                let presentation_time = time.saturating_add(composition_offset.into());
                samples.push(Sample { presentation_time, duration, is_sync, range });
                *time = time.saturating_add(duration.into());
            }
        }
    }
    Some(())
}

#[cfg(test)]
#[expect(clippy::similar_names, reason = "box names such as `traf` and `trak` are given by the standard")]
mod tests {
    use super::*;

    fn atom(name: Name, words: &[u32], inner: &[u8]) -> Vec<u8> {
        let words: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        super::atom(name, &[&words, inner])
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
    fn reads_samples_with_their_presentation_order() {
        // Data offset, first sample's flags, then composition offsets: the second sample is presented after the third.
        let trun = [0x0805, 3, 0, 0, 10, 30, 0];
        let length = file(&trun, b"").len();
        let trun_with_offset = {
            let moof = file(&trun, b"").windows(4).position(|w| w == b"moof").unwrap() - 4;
            [0x0805, 3, u32::try_from(length - moof).unwrap(), 0, 10, 30, 0]
        };
        let file = File::read(file(&trun_with_offset, b"aaabbbccc")).unwrap();
        let seen: Vec<_> =
            file.samples.iter().map(|s| (s.presentation_time, s.duration, s.is_sync, file.data(s))).collect();
        assert_eq!(seen, [(10, 10, true, &b"aaa"[..]), (40, 10, false, b"bbb"), (20, 10, false, b"ccc")]);
        assert_eq!(file.codec().unwrap(), "avc1.64001f");
        assert!(!file.moov.windows(4).any(|name| name == b"edts"));
        assert_eq!(Fields(file.moov.clone().into()).u32().map(|size| size as usize), Some(file.moov.len()));
    }

    #[test]
    fn malformed_file_is_an_error() {
        let whole = file(&[0x0201, 1, 8, 3], b"abc");
        assert!(File::read(Bytes::new()).is_err());
        assert!(File::read(file(&[0x0201, 9, 8, 3], b"abc")).is_err());
        assert!(File::read(file(&[0x0201, 1, 9000, 3], b"abc")).is_err());
        for len in 0..whole.len() {
            let _ = File::read(whole.slice(..len));
        }
    }
}
