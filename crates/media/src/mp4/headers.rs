//! The headers of movie, track and media, and the edit list.

use super::boxes::Fields;
use super::timing::Timing;

/// Edits that are looked at: what counts is where the first one begins.
const MAX_EDITS: u32 = 8;

/// The length of the movie, in its own scale.
#[derive(Default)]
pub(super) struct Movie {
    pub(super) scale: u32,
    pub(super) duration: u64,
}

impl Movie {
    /// `mvhd`, 8.2.2.
    pub(super) fn read(&mut self, fields: &mut Fields) -> Option<()> {
        let (version, _) = fields.version()?;
        fields.skip(if version == 0 { 8 } else { 16 })?;
        self.scale = fields.u32().filter(|scale| *scale > 0)?;
        self.duration = known(fields.wide(version)?, version);
        Some(())
    }
}

/// All ones stand for a length that is not known.
fn known(duration: u64, version: u8) -> u64 {
    let unknown = if version == 0 { u32::MAX.into() } else { u64::MAX };
    if duration == unknown { 0 } else { duration }
}

/// The track's number, and how far a player turns the picture, in clockwise degrees (8.3.2).
pub(super) fn track_header(fields: &mut Fields) -> Option<(u32, u16)> {
    let (version, _) = fields.version()?;
    fields.skip(if version == 0 { 8 } else { 16 })?;
    let id = fields.u32()?;
    fields.skip(if version == 0 { 8 } else { 12 })?;
    fields.skip(16)?;
    let (a, b) = (fields.i32()?, fields.i32()?);
    let quarters = (f64::from(b).atan2(f64::from(a)).to_degrees() / 90.0).round().rem_euclid(4.0);
    let rotation = [0u16, 90, 180, 270].into_iter().find(|turn| f64::from(*turn) >= quarters * 90.0);
    Some((id, rotation.unwrap_or(0)))
}

/// `mdhd`, 8.4.2.
pub(super) fn media_header(fields: &mut Fields) -> Option<Timing> {
    let (version, _) = fields.version()?;
    fields.skip(if version == 0 { 8 } else { 16 })?;
    let scale = fields.u32().filter(|scale| *scale > 0)?;
    let media_duration = known(fields.wide(version)?, version);
    Some(Timing { scale, media_duration, ..Timing::default() })
}

/// `elst`, 8.6.6: empty edits delay the first picture, the first other one says where it is. More than that,
/// or another speed, is a montage.
pub(super) fn edits(fields: &mut Fields, timing: &mut Timing, movie_scale: u32) -> Option<()> {
    const NORMAL_SPEED: u32 = 0x0001_0000;
    let (version, _) = fields.version()?;
    let count = fields.u32()?;
    timing.montage = count > MAX_EDITS;
    let mut begun = false;
    for _ in 0..count.min(MAX_EDITS) {
        let duration = fields.wide(version)?;
        let begin = if version == 0 { i64::from(fields.i32()?) } else { fields.u64()?.cast_signed() };
        timing.montage |= begun || fields.u32()? != NORMAL_SPEED;
        if begun {
            break;
        }
        if let Ok(begin) = u64::try_from(begin) {
            timing.skipped = begin;
            begun = true;
        } else {
            let delay = u128::from(duration) * u128::from(timing.scale) / u128::from(movie_scale.max(1));
            timing.delayed = timing.delayed.saturating_add(u64::try_from(delay).unwrap_or(0));
        }
    }
    timing.shift = timing.delayed.cast_signed().saturating_sub(timing.skipped.cast_signed());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_turns_clockwise() {
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
    fn edits_delay_and_skip() {
        let words = [0u32, 2, 500, u32::MAX, 0x1_0000, 9000, 2048, 0x1_0000];
        let elst: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let mut timing = Timing { scale: 2000, media_duration: 9, ..Timing::default() };
        assert_eq!(edits(&mut Fields(elst.into()), &mut timing, 1000), Some(()));
        assert_eq!(
            (timing.delayed, timing.skipped, timing.shift, timing.montage),
            (1000, 2048, -1048, false)
        );
    }

    #[test]
    fn several_edits_or_another_speed_are_a_montage() {
        let montage = |words: &[u32]| {
            let elst: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            let mut timing = Timing { scale: 2000, media_duration: 9, ..Timing::default() };
            edits(&mut Fields(elst.into()), &mut timing, 1000);
            (timing.skipped, timing.montage)
        };
        assert_eq!(montage(&[0, 1, 500, 7, 0x1_0000]), (7, false));
        assert_eq!(montage(&[0, 1, 500, 7, 0x2_0000]), (7, true));
        assert_eq!(montage(&[0, 2, 500, 7, 0x1_0000, 500, 9, 0x1_0000]), (7, true));
    }

    #[test]
    fn an_unknown_length_is_none() {
        assert_eq!((known(u32::MAX.into(), 0), known(u32::MAX.into(), 1)), (0, u32::MAX.into()));
    }
}
