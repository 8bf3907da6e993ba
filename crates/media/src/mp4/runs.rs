//! Track fragment headers and track runs, which list the samples of a movie fragment (ISO/IEC 14496-12, 8.8.7 and
//! 8.8.8).

use super::boxes::Fields;

/// `sample_is_non_sync_sample`, 8.8.3.1.
const NON_SYNC: u32 = 0x0001_0000;
/// The `trun` flags of all per-sample fields.
const PER_SAMPLE_FIELDS: u32 = 0x0F00;

/// Default values for fields that a track run leaves out (`trex`, 8.8.3; `tfhd`, 8.8.7).
#[derive(Debug, Clone, Copy, Default)]
pub struct Defaults {
    pub(super) description: u32,
    duration: u32,
    size: u32,
    flags: u32,
}

impl Defaults {
    /// Returns the defaults of a track in the body of an `mvex` box.
    pub(super) fn of(mvex: &Fields, track: u32) -> Self {
        let trex = mvex.boxes().filter(|(name, _)| name == b"trex").filter_map(|(_, mut trex)| {
            trex.version_and_flags()?;
            (trex.u32()? == track).then(|| Self::read(&mut trex))?
        });
        trex.last().unwrap_or_default()
    }

    /// Reads the fields after the track ID in `trex`.
    fn read(fields: &mut Fields) -> Option<Self> {
        let (description, duration) = (fields.u32()?, fields.u32()?);
        Some(Self { description, duration, size: fields.u32()?, flags: fields.u32()? })
    }
}

/// A track fragment header (`tfhd`).
#[derive(Debug)]
pub struct TrackHeader {
    /// The track ID.
    pub track: u32,
    /// The explicit base of data offsets, if present.
    pub base_data_offset: Option<u64>,
    /// Whether data offsets are relative to the `moof` box if there is no explicit base.
    pub default_base_is_moof: bool,
    /// The default values for the samples of this track fragment.
    pub defaults: Defaults,
}

impl TrackHeader {
    /// Reads the body of a `tfhd` box. `defaults` supplies the fields that it leaves out.
    #[must_use]
    pub fn read(mut tfhd: Fields, mut defaults: Defaults) -> Option<Self> {
        let (_, flags) = tfhd.version_and_flags()?;
        let track = tfhd.u32()?;
        let base_data_offset = if flags & 0x01 == 0 { None } else { Some(tfhd.u64()?) };
        let mut field_or_default =
            |bit: u32, default: u32| if flags & bit == 0 { Some(default) } else { tfhd.u32() };
        defaults.description = field_or_default(0x02, defaults.description)?;
        defaults.duration = field_or_default(0x08, defaults.duration)?;
        defaults.size = field_or_default(0x10, defaults.size)?;
        defaults.flags = field_or_default(0x20, defaults.flags)?;
        Some(Self { track, base_data_offset, default_base_is_moof: flags & 0x02_0000 != 0, defaults })
    }
}

/// A track run (`trun`): samples that are stored contiguously.
#[derive(Debug)]
pub struct TrackRun {
    /// The offset of the first sample from the base. `None` if the samples follow those of the previous run.
    pub data_offset: Option<i32>,
    /// The number of samples that have not been read yet.
    pub remaining: u64,
    flags: u32,
    first_flags: Option<u32>,
    defaults: Defaults,
    fields: Fields,
}

/// Consecutive samples of a run that have the same properties.
#[derive(Debug, Clone, Copy)]
pub struct UniformSamples {
    /// The number of samples, usually one.
    pub count: u64,
    /// The duration of each sample in ticks.
    pub duration: u32,
    /// The size of each sample in bytes.
    pub size: u32,
    /// The composition time offset: presentation time minus decode time.
    pub composition_offset: i32,
    /// Whether these are sync samples, which can be decoded without others.
    pub is_sync: bool,
}

impl TrackRun {
    /// Reads the start of the body of a `trun` box.
    #[must_use]
    pub fn read(mut trun: Fields, defaults: Defaults) -> Option<Self> {
        let (_, flags) = trun.version_and_flags()?;
        let remaining = u64::from(trun.u32()?);
        let data_offset = if flags & 0x01 == 0 { None } else { Some(trun.i32()?) };
        let first_flags = if flags & 0x04 == 0 { None } else { Some(trun.u32()?) };
        Some(Self { data_offset, remaining, flags, first_flags, defaults, fields: trun })
    }

    /// Reads the next samples. Returns `None` if the box ends before them.
    pub fn next_samples(&mut self) -> Option<UniformSamples> {
        let Self { flags, defaults, fields, .. } = self;
        let mut field_or_default =
            |bit: u32, default: u32| if *flags & bit == 0 { Some(default) } else { fields.u32() };
        let (duration, size) =
            (field_or_default(0x100, defaults.duration)?, field_or_default(0x200, defaults.size)?);
        let sample_flags = field_or_default(0x400, defaults.flags)?;
        let composition_offset = field_or_default(0x800, 0)?.cast_signed();
        // Without per-sample fields all samples but the first are the same. The box can declare billions of them in
        // no bytes, so they are returned at once.
        let first = self.first_flags.take();
        let uniform = first.is_none() && *flags & PER_SAMPLE_FIELDS == 0;
        let count = if uniform { self.remaining } else { 1 };
        self.remaining = self.remaining.checked_sub(count)?;
        let is_sync = first.unwrap_or(sample_flags) & NON_SYNC == 0;
        Some(UniformSamples { count, duration, size, composition_offset, is_sync })
    }
}
