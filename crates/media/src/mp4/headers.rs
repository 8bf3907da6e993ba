//! The movie, track and media headers, and the edit list.

use super::boxes::Fields;
use super::timing::Timing;

/// Limit of edits read. Only the start of the first media edit matters.
const MAX_EDITS: u32 = 8;

/// The timescale and the duration of the movie (`mvhd`).
#[derive(Default)]
pub(super) struct Movie {
    pub(super) scale: u32,
    pub(super) duration: u64,
}

impl Movie {
    /// Reads an `mvhd` box (8.2.2).
    pub(super) fn read(&mut self, fields: &mut Fields) -> Option<()> {
        let (version, _) = fields.version_and_flags()?;
        fields.skip(if version == 0 { 8 } else { 16 })?;
        self.scale = fields.u32().filter(|scale| *scale > 0)?;
        self.duration = known_duration(fields.u32_or_u64(version)?, version);
        Some(())
    }
}

/// Returns a duration, or 0 if it is all ones, which means unknown.
fn known_duration(duration: u64, version: u8) -> u64 {
    let unknown = if version == 0 { u32::MAX.into() } else { u64::MAX };
    if duration == unknown { 0 } else { duration }
}

/// Reads a `tkhd` box (8.3.2): the track ID and the rotation of the frames in clockwise degrees.
pub(super) fn track_header(fields: &mut Fields) -> Option<(u32, u16)> {
    let (version, _) = fields.version_and_flags()?;
    fields.skip(if version == 0 { 8 } else { 16 })?;
    let track_id = fields.u32()?;
    fields.skip(if version == 0 { 8 } else { 12 })?;
    fields.skip(16)?;
    let (a, b) = (fields.i32()?, fields.i32()?);
    let quarters = (f64::from(b).atan2(f64::from(a)).to_degrees() / 90.0).round().rem_euclid(4.0);
    let rotation = [0u16, 90, 180, 270].into_iter().find(|turn| f64::from(*turn) >= quarters * 90.0);
    Some((track_id, rotation.unwrap_or(0)))
}

/// Reads an `mdhd` box (8.4.2).
pub(super) fn media_header(fields: &mut Fields) -> Option<Timing> {
    let (version, _) = fields.version_and_flags()?;
    fields.skip(if version == 0 { 8 } else { 16 })?;
    let scale = fields.u32().filter(|scale| *scale > 0)?;
    let media_duration = known_duration(fields.u32_or_u64(version)?, version);
    Some(Timing { scale, media_duration, ..Timing::default() })
}

/// Reads an `elst` box (8.6.6). Empty edits delay the presentation, and the first media edit sets the time in the media
/// at which it starts. More edits, or a rate other than 1, are not supported and set `complex_edits`.
pub(super) fn read_edits(fields: &mut Fields, timing: &mut Timing, movie_scale: u32) -> Option<()> {
    const RATE_1: u32 = 0x0001_0000;
    let (version, _) = fields.version_and_flags()?;
    let count = fields.u32()?;
    timing.complex_edits = count > MAX_EDITS;
    let mut has_media_edit = false;
    for _ in 0..count.min(MAX_EDITS) {
        let duration = fields.u32_or_u64(version)?;
        let begin = if version == 0 { i64::from(fields.i32()?) } else { fields.u64()?.cast_signed() };
        timing.complex_edits |= has_media_edit || fields.u32()? != RATE_1;
        if has_media_edit {
            break;
        }
        if let Ok(begin) = u64::try_from(begin) {
            timing.media_start = begin;
            has_media_edit = true;
        } else {
            let delay = u128::from(duration) * u128::from(timing.scale) / u128::from(movie_scale.max(1));
            timing.initial_delay = timing.initial_delay.saturating_add(u64::try_from(delay).unwrap_or(0));
        }
    }
    timing.shift = timing.initial_delay.cast_signed().saturating_sub(timing.media_start.cast_signed());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrix_is_read_as_clockwise_rotation() {
        let one = 0x0001_0000i32;
        for (a, b, degrees) in [(one, 0, 0), (0, one, 90), (-one, 0, 180), (0, -one, 270), (0, 0, 0)] {
            let mut tkhd = vec![0; 12];
            tkhd.extend_from_slice(&[0, 0, 0, 7]);
            tkhd.extend_from_slice(&[0; 24]);
            tkhd.extend_from_slice(&a.to_be_bytes());
            tkhd.extend_from_slice(&b.to_be_bytes());
            assert_eq!(track_header(&mut Fields(tkhd.into())), Some((7, degrees)), "{a} {b}");
        }
    }

    #[test]
    fn edits_set_delay_and_media_start() {
        let words = [0u32, 2, 500, u32::MAX, 0x1_0000, 9000, 2048, 0x1_0000];
        let elst: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let mut timing = Timing { scale: 2000, media_duration: 9, ..Timing::default() };
        assert_eq!(read_edits(&mut Fields(elst.into()), &mut timing, 1000), Some(()));
        assert_eq!(
            (timing.initial_delay, timing.media_start, timing.shift, timing.complex_edits),
            (1000, 2048, -1048, false)
        );
    }

    #[test]
    fn several_edits_or_another_rate_are_complex() {
        let complex = |words: &[u32]| {
            let elst: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            let mut timing = Timing { scale: 2000, media_duration: 9, ..Timing::default() };
            read_edits(&mut Fields(elst.into()), &mut timing, 1000);
            (timing.media_start, timing.complex_edits)
        };
        assert_eq!(complex(&[0, 1, 500, 7, 0x1_0000]), (7, false));
        assert_eq!(complex(&[0, 1, 500, 7, 0x2_0000]), (7, true));
        assert_eq!(complex(&[0, 2, 500, 7, 0x1_0000, 500, 9, 0x1_0000]), (7, true));
    }

    #[test]
    fn unknown_duration_is_zero() {
        assert_eq!(
            (known_duration(u32::MAX.into(), 0), known_duration(u32::MAX.into(), 1)),
            (0, u32::MAX.into())
        );
    }
}
