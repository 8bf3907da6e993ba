//! One movie fragment (ISO/IEC 14496-12, 8.8.4 to 8.8.8).

use std::ops::Range;

use super::boxes::Fields;
use super::runs::{Alike, Defaults, TrackHeader, TrackRun};

/// What is known of one `moof`, as far as it is about the track.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fragment {
    pub(super) start: Option<u64>,
    pub(super) duration: u64,
    pub(super) samples: u64,
    /// Its time, and where it is.
    pub(super) keyframe: Option<(u64, Range<u64>)>,
    /// How much later than that it is shown.
    pub(super) offset: i32,
}

impl Fragment {
    /// Reads a `moof` that begins at `start`; `None` if it says nothing of the track, or nonsense.
    pub(super) fn read(moof: &Fields, start: u64, wanted: u32, trex: Defaults) -> Option<Self> {
        let mut previous_end = start;
        for (_, traf) in moof.boxes().filter(|(name, _)| name == b"traf") {
            let TrackHeader { track, base, from_moof, defaults } =
                TrackHeader::read(traf.child(*b"tfhd")?, trex)?;
            // Relative to the moof if that is the default, else to the end of the previous track's data.
            let base = base.unwrap_or(if from_moof { start } else { previous_end });
            let time = traf.child(*b"tfdt").and_then(|mut tfdt| {
                let (version, _) = tfdt.version()?;
                tfdt.wide(version)
            });
            let mut run =
                Run { defaults, at: base, time: time.unwrap_or(0), samples: 0, keyframe: None, offset: 0 };
            for (_, trun) in traf.boxes().filter(|(name, _)| name == b"trun") {
                run.read(trun, base)?;
            }
            if track == wanted {
                let duration = run.time.checked_sub(time.unwrap_or(0))?;
                // A fragment that uses another description is left alone, as its pictures would be decoded wrong.
                let keyframe = run.keyframe.filter(|_| defaults.description == trex.description);
                return Some(Self {
                    start: time,
                    duration,
                    samples: run.samples,
                    keyframe,
                    offset: run.offset,
                });
            }
            previous_end = run.at;
        }
        None
    }
}

/// The runs of one track in a fragment.
struct Run {
    defaults: Defaults,
    at: u64,
    time: u64,
    samples: u64,
    keyframe: Option<(u64, Range<u64>)>,
    offset: i32,
}

impl Run {
    /// `trun`, 8.8.8.
    fn read(&mut self, trun: Fields, base: u64) -> Option<()> {
        let mut run = TrackRun::read(trun, self.defaults)?;
        self.samples += run.left;
        if let Some(offset) = run.offset {
            self.at = base.checked_add_signed(offset.into())?;
        }
        while run.left > 0 {
            let Alike { count, duration, size, shown, is_sync } = run.take()?;
            let size = u64::from(size);
            if self.keyframe.is_none() && is_sync && size > 0 {
                self.keyframe = Some((self.time, self.at..self.at.checked_add(size)?));
                self.offset = shown;
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
    fn samples_that_are_alike_are_not_counted_one_by_one() {
        const NON_SYNC: u32 = 0x1_0000;
        let read = |sample_flags, trun: &[u32]| {
            let tfhd = atom(*b"tfhd", &[0x02_0038, 1, 10, 3, sample_flags], &[]);
            let traf = atom(*b"traf", &[], &[tfhd, atom(*b"trun", trun, &[])].concat());
            Fragment::read(&Fields(traf.into()), 100, 1, Defaults::default()).unwrap()
        };
        let all = u64::from(u32::MAX);
        let expected =
            |keyframe| Fragment { start: None, duration: 10 * all, samples: all, keyframe, offset: 0 };
        let first = Some((0, 100..103));
        assert_eq!(read(0, &[0, u32::MAX]), expected(first.clone()));
        assert_eq!(read(NON_SYNC, &[0x04, u32::MAX, 0]), expected(first));
        assert_eq!(read(0, &[0x04, u32::MAX, NON_SYNC]), expected(Some((10, 103..106))));
        assert_eq!(read(NON_SYNC, &[0, u32::MAX]), expected(None));
    }
}
