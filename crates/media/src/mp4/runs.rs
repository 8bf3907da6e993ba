//! The samples of a movie fragment (ISO/IEC 14496-12, 8.8.7 and 8.8.8), one after the other.

use super::boxes::Fields;

/// `sample_is_non_sync_sample`, 8.8.3.1.
const NON_SYNC: u32 = 0x0001_0000;
/// The flags of the fields that each sample has for itself.
const OWN_FIELDS: u32 = 0x0F00;

/// What holds for samples that say nothing of their own (`trex`, 8.8.3; `tfhd`, 8.8.7).
#[derive(Debug, Clone, Copy, Default)]
pub struct Defaults {
    pub(super) description: u32,
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

/// `tfhd`: of which track, and what its samples have in common.
#[derive(Debug)]
pub struct TrackHeader {
    /// The track's number.
    pub track: u32,
    /// From where offsets are counted, if it is named.
    pub base: Option<u64>,
    /// Else they are counted from the `moof` box.
    pub from_moof: bool,
    /// What holds for the samples.
    pub defaults: Defaults,
}

impl TrackHeader {
    /// Reads the body of the box; what it leaves out is in `defaults`.
    #[must_use]
    pub fn read(mut tfhd: Fields, mut defaults: Defaults) -> Option<Self> {
        let (_, flags) = tfhd.version()?;
        let track = tfhd.u32()?;
        let base = if flags & 0x01 == 0 { None } else { Some(tfhd.u64()?) };
        let mut own = |bit: u32, default: u32| if flags & bit == 0 { Some(default) } else { tfhd.u32() };
        defaults.description = own(0x02, defaults.description)?;
        defaults.duration = own(0x08, defaults.duration)?;
        defaults.size = own(0x10, defaults.size)?;
        defaults.flags = own(0x20, defaults.flags)?;
        Some(Self { track, base, from_moof: flags & 0x02_0000 != 0, defaults })
    }
}

/// `trun`: samples that follow each other.
#[derive(Debug)]
pub struct TrackRun {
    /// Where the first is, from where offsets are counted; else they follow those before.
    pub offset: Option<i32>,
    /// How many there still are.
    pub left: u64,
    flags: u32,
    first_flags: Option<u32>,
    defaults: Defaults,
    fields: Fields,
}

/// Samples that are all alike.
#[derive(Debug, Clone, Copy)]
pub struct Alike {
    /// How many; mostly one.
    pub count: u64,
    /// How long each is, in ticks.
    pub duration: u32,
    /// Bytes of each.
    pub size: u32,
    /// How much later than it is decoded each is shown.
    pub shown: i32,
    /// They can be decoded without others.
    pub is_sync: bool,
}

impl TrackRun {
    /// Reads the beginning of the box's body.
    #[must_use]
    pub fn read(mut trun: Fields, defaults: Defaults) -> Option<Self> {
        let (_, flags) = trun.version()?;
        let left = u64::from(trun.u32()?);
        let offset = if flags & 0x01 == 0 { None } else { Some(trun.i32()?) };
        let first_flags = if flags & 0x04 == 0 { None } else { Some(trun.u32()?) };
        Some(Self { offset, left, flags, first_flags, defaults, fields: trun })
    }

    /// The next ones; `None` if they are missing from the box.
    pub fn take(&mut self) -> Option<Alike> {
        let Self { flags, defaults, fields, .. } = self;
        let mut own = |bit: u32, default: u32| if *flags & bit == 0 { Some(default) } else { fields.u32() };
        let (duration, size) = (own(0x100, defaults.duration)?, own(0x200, defaults.size)?);
        let own_flags = own(0x400, defaults.flags)?;
        let shown = own(0x800, 0)?.cast_signed();
        // Without fields of their own all but the first are alike, and may be any number for no bytes at all.
        let first = self.first_flags.take();
        let alike = first.is_none() && *flags & OWN_FIELDS == 0;
        let count = if alike { self.left } else { 1 };
        self.left = self.left.checked_sub(count)?;
        Some(Alike { count, duration, size, shown, is_sync: first.unwrap_or(own_flags) & NON_SYNC == 0 })
    }
}
