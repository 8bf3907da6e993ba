//! One movie fragment (ISO/IEC 14496-12, 8.8.4 to 8.8.8).

use std::ops::Range;

use super::boxes::Fields;

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

/// What holds for samples that say nothing of their own (`trex`, 8.8.3; `tfhd`, 8.8.7).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Defaults {
    description: u32,
    duration: u32,
    size: u32,
    flags: u32,
}

impl Defaults {
    /// What follows the track's number in `trex`.
    pub(super) fn read(fields: &mut Fields) -> Option<Self> {
        let (description, duration) = (fields.u32()?, fields.u32()?);
        Some(Self { description, duration, size: fields.u32()?, flags: fields.u32()? })
    }
}

impl Fragment {
    /// Reads a `moof` that begins at `start`; `None` if it says nothing of the track, or nonsense.
    pub(super) fn read(moof: &Fields, start: u64, wanted: u32, trex: Defaults) -> Option<Self> {
        let mut previous_end = start;
        for (_, traf) in moof.boxes().filter(|(name, _)| name == b"traf") {
            let mut tfhd = traf.child(*b"tfhd")?;
            let (_, flags) = tfhd.version()?;
            let track = tfhd.u32()?;
            let mut optional = |bit: u32| (flags & bit != 0).then(|| tfhd.u32());
            // Of 64 bits.
            let base = match optional(0x01) {
                Some(high) => u64::from(high?) << 32 | u64::from(optional(0x01)??),
                // Relative to the moof if that is the default, else to the end of the previous track's data.
                None if flags & 0x02_0000 != 0 => start,
                None => previous_end,
            };
            let mut defaults = trex;
            if let Some(description) = optional(0x02) {
                defaults.description = description?;
            }
            if let Some(duration) = optional(0x08) {
                defaults.duration = duration?;
            }
            if let Some(size) = optional(0x10) {
                defaults.size = size?;
            }
            if let Some(flags) = optional(0x20) {
                defaults.flags = flags?;
            }
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
    fn read(&mut self, mut trun: Fields, base: u64) -> Option<()> {
        /// `sample_is_non_sync_sample`, 8.8.3.1.
        const NON_SYNC: u32 = 0x0001_0000;
        /// The flags of the fields that each sample has for itself.
        const OWN_FIELDS: u32 = 0x0F00;
        let (_, flags) = trun.version()?;
        let count = u64::from(trun.u32()?);
        self.samples += count;
        if flags & 0x01 != 0 {
            self.at = base.checked_add_signed(trun.i32()?.into())?;
        }
        let first_flags = if flags & 0x04 == 0 { None } else { Some(trun.u32()?) };
        let mut i = 0;
        while i < count {
            let mut field =
                |bit: u32, default: u32| if flags & bit == 0 { Some(default) } else { trun.u32() };
            let duration = field(0x100, self.defaults.duration)?;
            let size = u64::from(field(0x200, self.defaults.size)?);
            let own = field(0x400, self.defaults.flags)?;
            let offset = field(0x800, 0)?.cast_signed();
            let sample_flags = first_flags.filter(|_| i == 0).unwrap_or(own);
            if self.keyframe.is_none() && sample_flags & NON_SYNC == 0 && size > 0 {
                self.keyframe = Some((self.time, self.at..self.at.checked_add(size)?));
                self.offset = offset;
            }
            // Without fields of their own all but the first are alike, and may be any number for no bytes at all.
            let alike = if i > 0 && flags & OWN_FIELDS == 0 { count - i } else { 1 };
            self.at = self.at.checked_add(size.checked_mul(alike)?)?;
            self.time = self.time.checked_add(u64::from(duration).checked_mul(alike)?)?;
            i += alike;
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
