//! A movie fragment (`moof`, ISO/IEC 14496-12, 8.8.4 to 8.8.8).

use std::ops::Range;

use super::boxes::Fields;
use super::runs::{Defaults, TrackHeader, TrackRun, UniformSamples};

/// The samples of one track in a `moof` box.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fragment {
    /// The decode time of the first sample (`tfdt`), if the fragment contains it.
    pub(super) start_time: Option<u64>,
    pub(super) duration: u64,
    pub(super) samples: u64,
    /// The decode time and the byte range of the first keyframe.
    pub(super) keyframe: Option<(u64, Range<u64>)>,
    /// The keyframe's composition time offset.
    pub(super) composition_offset: i32,
}

impl Fragment {
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
            let time = traf.child(*b"tfdt").and_then(|mut tfdt| {
                let (version, _) = tfdt.version_and_flags()?;
                tfdt.u32_or_u64(version)
            });
            let mut run = TrackFragment {
                defaults,
                at: base,
                time: time.unwrap_or(0),
                samples: 0,
                keyframe: None,
                composition_offset: 0,
            };
            for (_, trun) in traf.boxes().filter(|(name, _)| name == b"trun") {
                run.read(trun, base)?;
            }
            if track == wanted {
                let duration = run.time.checked_sub(time.unwrap_or(0))?;
                // A keyframe with another sample description would be decoded with the wrong codec configuration.
                let keyframe = run.keyframe.filter(|_| defaults.description == trex.description);
                return Some(Self {
                    start_time: time,
                    duration,
                    samples: run.samples,
                    keyframe,
                    composition_offset: run.composition_offset,
                });
            }
            previous_end = run.at;
        }
        None
    }
}

/// Accumulates the track runs of one track fragment.
struct TrackFragment {
    defaults: Defaults,
    at: u64,
    time: u64,
    samples: u64,
    keyframe: Option<(u64, Range<u64>)>,
    composition_offset: i32,
}

impl TrackFragment {
    /// Reads a `trun` box (8.8.8).
    fn read(&mut self, trun: Fields, base: u64) -> Option<()> {
        let mut run = TrackRun::read(trun, self.defaults)?;
        self.samples += run.remaining;
        if let Some(offset) = run.data_offset {
            self.at = base.checked_add_signed(offset.into())?;
        }
        while run.remaining > 0 {
            let UniformSamples { count, duration, size, composition_offset, is_sync } = run.next_samples()?;
            let size = u64::from(size);
            if self.keyframe.is_none() && is_sync && size > 0 {
                self.keyframe = Some((self.time, self.at..self.at.checked_add(size)?));
                self.composition_offset = composition_offset;
            }
            self.at = self.at.checked_add(size.checked_mul(count)?)?;
            self.time = self.time.checked_add(u64::from(duration).checked_mul(count)?)?;
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
        let expected = |keyframe| Fragment {
            start_time: None,
            duration: 10 * all,
            samples: all,
            keyframe,
            composition_offset: 0,
        };
        let first = Some((0, 100..103));
        assert_eq!(read(0, &[0, u32::MAX]), expected(first.clone()));
        assert_eq!(read(NON_SYNC, &[0x04, u32::MAX, 0]), expected(first));
        assert_eq!(read(0, &[0x04, u32::MAX, NON_SYNC]), expected(Some((10, 103..106))));
        assert_eq!(read(NON_SYNC, &[0, u32::MAX]), expected(None));
    }
}
