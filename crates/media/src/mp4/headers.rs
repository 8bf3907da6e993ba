//! The movie, track and media headers.

use super::boxes::Fields;
use super::timing::Timing;

/// The timescale and the duration of the movie (`mvhd`).
#[derive(Debug, Default)]
pub(super) struct Movie {
    pub(super) scale: u32,
    pub(super) duration: u64,
    matrix: Matrix,
}

impl Movie {
    /// Reads an `mvhd` box (8.2.2).
    pub(super) fn read(&mut self, fields: &mut Fields) -> Option<()> {
        let (version, _) = fields.version_and_flags()?;
        fields.skip(if version == 0 { 8 } else { 16 })?;
        self.scale = fields.u32().filter(|scale| *scale > 0)?;
        self.duration = known_duration(fields.u32_or_u64(version)?, version);
        fields.skip(16)?;
        self.matrix = Matrix::read(fields)?;
        Some(())
    }
}

/// Returns a duration, or 0 if it is all ones, which means unknown.
fn known_duration(duration: u64, version: u8) -> u64 {
    let unknown = if version == 0 { u32::MAX.into() } else { u64::MAX };
    if duration == unknown { 0 } else { duration }
}

/// The track header (`tkhd`).
#[derive(Debug)]
pub(super) struct TrackHeader {
    pub(super) id: u32,
    /// Whether players present the track.
    pub(super) enabled: bool,
    matrix: Matrix,
}

impl TrackHeader {
    /// Reads a `tkhd` box (8.3.2).
    pub(super) fn read(fields: &mut Fields) -> Option<Self> {
        const ENABLED: u32 = 1;
        let (version, flags) = fields.version_and_flags()?;
        fields.skip(if version == 0 { 8 } else { 16 })?;
        let id = fields.u32()?;
        fields.skip(if version == 0 { 8 } else { 12 })?;
        fields.skip(16)?;
        Some(Self { id, enabled: flags & ENABLED != 0, matrix: Matrix::read(fields)? })
    }

    /// Returns how a player transforms the frames: the rotation in clockwise degrees, and whether they are mirrored
    /// (left to right) before that.
    pub(super) fn orientation(&self, movie: &Movie) -> (u16, bool) {
        self.matrix.then(&movie.matrix).orientation()
    }
}

/// The part of a transformation matrix (8.2.2) that rotates and scales.
#[derive(Debug, Clone, Copy)]
struct Matrix {
    a: f64,
    b: f64,
    c: f64,
    d: f64,
}

impl Default for Matrix {
    fn default() -> Self {
        Self { a: 1.0, b: 0.0, c: 0.0, d: 1.0 }
    }
}

impl Matrix {
    fn read(fields: &mut Fields) -> Option<Self> {
        let mut number = || fields.i32().map(|number| f64::from(number) / 65536.0);
        let (a, b, _u) = (number()?, number()?, number()?);
        Some(Self { a, b, c: number()?, d: number()? })
    }

    /// Returns the transformation by `self` and then by `next`.
    fn then(&self, next: &Self) -> Self {
        Self {
            a: self.a * next.a + self.b * next.c,
            b: self.a * next.b + self.b * next.d,
            c: self.c * next.a + self.d * next.c,
            d: self.c * next.b + self.d * next.d,
        }
    }

    fn orientation(&self) -> (u16, bool) {
        let mirrored = self.a * self.d < self.b * self.c;
        let (cos, sin) = if mirrored { (-self.a, -self.b) } else { (self.a, self.b) };
        let quarters = (sin.atan2(cos).to_degrees() / 90.0).round().rem_euclid(4.0);
        let rotation = [0u16, 90, 180, 270].into_iter().find(|turn| f64::from(*turn) >= quarters * 90.0);
        (rotation.unwrap_or(0), mirrored)
    }
}

/// Reads an `mdhd` box (8.4.2).
pub(super) fn media_header(fields: &mut Fields) -> Option<Timing> {
    let (version, _) = fields.version_and_flags()?;
    fields.skip(if version == 0 { 8 } else { 16 })?;
    let scale = fields.u32().filter(|scale| *scale > 0)?;
    let media_duration = known_duration(fields.u32_or_u64(version)?, version);
    Some(Timing { scale, media_duration, ..Timing::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: i32 = 0x0001_0000;

    fn matrix(a: i32, b: i32, c: i32, d: i32) -> Vec<u8> {
        [a, b, 0, c, d, 0, 0, 0, 0x4000_0000].into_iter().flat_map(i32::to_be_bytes).collect()
    }

    fn orientation(track: &[u8], movie: &[u8]) -> (u16, bool) {
        let tkhd = [&[0, 0, 0, 1], &[0; 8][..], &[0, 0, 0, 7], &[0; 24], track].concat();
        let mvhd = [&[0; 12], &[0, 0, 0, 1][..], &[0; 20], movie].concat();
        let mut header = Movie::default();
        header.read(&mut Fields(mvhd.into())).unwrap();
        let track = TrackHeader::read(&mut Fields(tkhd.into())).unwrap();
        assert_eq!((track.id, track.enabled), (7, true));
        track.orientation(&header)
    }

    #[test]
    fn matrix_is_read_as_clockwise_rotation() {
        let upright = matrix(ONE, 0, 0, ONE);
        for (a, b, degrees) in [(ONE, 0, 0), (0, ONE, 90), (-ONE, 0, 180), (0, -ONE, 270), (0, 0, 0)] {
            assert_eq!(orientation(&matrix(a, b, -b, a), &upright), (degrees, false), "{a} {b}");
        }
        let quarter = matrix(0, ONE, -ONE, 0);
        assert_eq!(orientation(&quarter, &quarter), (180, false), "the movie is rotated, too");
    }

    #[test]
    fn mirrored_matrix_is_told_from_a_rotation() {
        let upright = matrix(ONE, 0, 0, ONE);
        for (a, b, c, d, degrees) in
            [(-ONE, 0, 0, ONE, 0), (0, -ONE, -ONE, 0, 90), (ONE, 0, 0, -ONE, 180), (0, ONE, ONE, 0, 270)]
        {
            assert_eq!(orientation(&matrix(a, b, c, d), &upright), (degrees, true), "{a} {b} {c} {d}");
        }
    }

    #[test]
    fn unknown_duration_is_zero() {
        assert_eq!(
            (known_duration(u32::MAX.into(), 0), known_duration(u32::MAX.into(), 1)),
            (0, u32::MAX.into())
        );
    }
}
