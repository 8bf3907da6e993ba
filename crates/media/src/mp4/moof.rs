//! A movie fragment (`moof`, ISO/IEC 14496-12, 8.8.4 to 8.8.8).

use std::ops::Range;

use super::boxes::Fields;
use super::runs::{Defaults, TrackHeader, TrackRun, UniformSamples};
use crate::keyframe::Error;

/// The `uuid` of the box from which `senc` was derived (Protected Interoperable File Format 1.1, 5.3.2.1).
const PIFF: [u8; 16] = *b"\xA2\x39\x4F\x52\x5A\x9B\x4F\x14\xA2\x44\x6C\x42\x7C\x64\x8D\xF4";

/// The samples of one track in a `moof` box.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fragment {
    /// The decode time of the first sample (`tfdt`), if the fragment contains it.
    pub(super) start_time: Option<u64>,
    pub(super) duration: u64,
    pub(super) samples: u64,
    /// The composition time offset of the first sample.
    pub(super) first_offset: i32,
    pub(super) keyframe: Option<FirstKeyframe>,
    /// The samples are encrypted, whatever the sample description says: a film can begin in the clear.
    pub(super) encrypted: bool,
}

/// The first keyframe of a fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FirstKeyframe {
    /// The decode time, from the start of the fragment.
    time: u64,
    /// The composition time offset.
    offset: i32,
    pub(super) range: Range<u64>,
}

impl Fragment {
    /// Reads the body of the `moof` box at offset `start`. It may not contain the track. Encrypted samples are an error.
    pub(super) fn read_clear(moof: &Fields, start: u64, track: (u32, Defaults)) -> Result<Self, Error> {
        let fragment = Self::read(moof, start, track.0, track.1).unwrap_or_default();
        if fragment.encrypted { Err(Error::Encrypted) } else { Ok(fragment) }
    }

    /// Reads the body of the `moof` box at offset `start`. Returns `None` if it does not contain the track `wanted` or
    /// is malformed.
    pub(super) fn read(moof: &Fields, start: u64, wanted: u32, trex: Defaults) -> Option<Self> {
        let mut previous_end = start;
        for (_, traf) in moof.boxes().filter(|(name, _)| name == b"traf") {
            let TrackHeader { track, base_data_offset, default_base_is_moof, defaults } =
                TrackHeader::read(traf.child(*b"tfhd")?, trex)?;
            // Data offsets are relative to the `moof` with default-base-is-moof, else to the end of the previous track
            // fragment's data.
            let base = base_data_offset.unwrap_or(if default_base_is_moof { start } else { previous_end });
            let mut run = TrackFragment { defaults, at: base, fragment: Self::default() };
            for (_, trun) in traf.boxes().filter(|(name, _)| name == b"trun") {
                run.read(trun, base)?;
            }
            if track == wanted {
                let mut fragment = run.fragment;
                fragment.start_time = start_time(&traf);
                fragment.encrypted = is_encrypted(&traf);
                // A keyframe with another sample description would be decoded with the wrong codec configuration.
                if defaults.description != trex.description {
                    fragment.keyframe = None;
                }
                return Some(fragment);
            }
            previous_end = run.at;
        }
        None
    }

    /// Sets the decode time of the first sample, if the fragment does not contain it.
    pub(super) fn or_start(self, start: Option<u64>) -> Self {
        Self { start_time: self.start_time.or(start), ..self }
    }

    /// Sets the decode time of the first sample so that the first keyframe is presented at `time`, if the fragment does
    /// not contain it.
    pub(super) fn or_presented(self, time: u64) -> Self {
        let untimed = Self { start_time: None, ..self.clone() };
        let start =
            i64::try_from(time).unwrap_or(i64::MAX).saturating_sub(untimed.keyframe_time().unwrap_or(0));
        self.or_start(Some(u64::try_from(start).unwrap_or(0)))
    }

    /// Returns the decode time at which the last sample ends, if it is known.
    pub(super) fn end_time(&self) -> Option<u64> {
        self.start_time?.checked_add(self.duration)
    }

    /// Returns the composition time of the first keyframe. Without a decode time it is counted from the start of the
    /// fragment.
    pub(super) fn keyframe_time(&self) -> Option<i64> {
        let keyframe = self.keyframe.as_ref()?;
        let decode = self.start_time.unwrap_or(0).saturating_add(keyframe.time);
        i64::try_from(decode).ok()?.checked_add(keyframe.offset.into())
    }
}

/// Reads the decode time of the first sample of a track fragment (`tfdt`, 8.8.12).
pub(super) fn start_time(traf: &Fields) -> Option<u64> {
    let mut tfdt = traf.child(*b"tfdt")?;
    let (version, _) = tfdt.version_and_flags()?;
    tfdt.u32_or_u64(version)
}

/// Returns whether the samples of a track fragment are encrypted.
pub(super) fn is_encrypted(traf: &Fields) -> bool {
    traf.boxes().any(|(name, body)| match &name {
        b"senc" | b"saiz" => true,
        b"uuid" => body.0.starts_with(&PIFF),
        _ => false,
    })
}

/// Accumulates the track runs of one track fragment.
struct TrackFragment {
    defaults: Defaults,
    at: u64,
    fragment: Fragment,
}

impl TrackFragment {
    /// Reads a `trun` box (8.8.8).
    fn read(&mut self, trun: Fields, base: u64) -> Option<()> {
        let mut run = TrackRun::read(trun, self.defaults)?;
        let fragment = &mut self.fragment;
        if let Some(offset) = run.data_offset {
            self.at = base.checked_add_signed(offset.into())?;
        }
        while run.remaining > 0 {
            let UniformSamples { count, duration, size, composition_offset, is_sync } = run.next_samples()?;
            let size = u64::from(size);
            if fragment.samples == 0 {
                fragment.first_offset = composition_offset;
            }
            if fragment.keyframe.is_none() && is_sync && size > 0 {
                let range = self.at..self.at.checked_add(size)?;
                fragment.keyframe =
                    Some(FirstKeyframe { time: fragment.duration, offset: composition_offset, range });
            }
            fragment.samples = fragment.samples.checked_add(count)?;
            self.at = self.at.checked_add(size.checked_mul(count)?)?;
            fragment.duration = fragment.duration.checked_add(u64::from(duration).checked_mul(count)?)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::boxes::tests::atom;
    use super::*;

    #[test]
    fn uniform_samples_are_not_read_one_by_one() {
        const NON_SYNC: u32 = 0x1_0000;
        let read = |sample_flags, trun: &[u32]| {
            let tfhd = atom(*b"tfhd", &[0x02_0038, 1, 10, 3, sample_flags], &[]);
            let traf = atom(*b"traf", &[], &[tfhd, atom(*b"trun", trun, &[])].concat());
            Fragment::read(&Fields(traf.into()), 100, 1, Defaults::default()).unwrap()
        };
        let all = u64::from(u32::MAX);
        let expected = |keyframe: Option<(u64, Range<u64>)>| Fragment {
            start_time: None,
            duration: 10 * all,
            samples: all,
            first_offset: 0,
            encrypted: false,
            keyframe: keyframe.map(|(time, range)| FirstKeyframe { time, offset: 0, range }),
        };
        let first = Some((0, 100..103));
        assert_eq!(read(0, &[0, u32::MAX]), expected(first.clone()));
        assert_eq!(read(NON_SYNC, &[0x04, u32::MAX, 0]), expected(first));
        assert_eq!(read(0, &[0x04, u32::MAX, NON_SYNC]), expected(Some((10, 103..106))));
        assert_eq!(read(NON_SYNC, &[0, u32::MAX]), expected(None));
    }

    #[test]
    fn keyframe_time_includes_its_composition_offset() {
        let tfhd = atom(*b"tfhd", &[0x02_0008, 1, 10], &[]);
        let tfdt = atom(*b"tfdt", &[0, 500], &[]);
        // Two samples with size, flags and composition offset; the second is the keyframe.
        let trun = atom(*b"trun", &[0x0E00, 2, 4, 0x1_0000, 30, 4, 0, 20], &[]);
        let traf = atom(*b"traf", &[], &[tfhd, tfdt, trun].concat());
        let fragment = Fragment::read(&Fields(traf.into()), 0, 1, Defaults::default()).unwrap();
        assert_eq!((fragment.keyframe_time(), fragment.end_time()), (Some(530), Some(520)));
        assert_eq!(fragment.first_offset, 30);
        let moved = Fragment { start_time: None, ..fragment };
        assert_eq!(moved.keyframe_time(), Some(30));
        assert_eq!(moved.clone().or_start(Some(70)).keyframe_time(), Some(100));
        assert_eq!(moved.or_presented(70).keyframe_time(), Some(70));
    }
}
