//! Times in other timescales.

/// Converts a time to another timescale, rounded to the nearest tick.
pub(super) fn nearest(time: i64, from: u32, to: u32) -> i64 {
    let from = i128::from(from.max(1));
    saturated((2 * i128::from(time) * i128::from(to) + from).div_euclid(2 * from))
}

/// Returns the first tick of another timescale that is not before a time.
pub(super) fn at_or_after(time: i64, from: u32, to: u32) -> i64 {
    saturated(-(-i128::from(time) * i128::from(to)).div_euclid(i128::from(from.max(1))))
}

fn saturated(time: i128) -> i64 {
    i64::try_from(time).unwrap_or(if time < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded() {
        let both = |time| (nearest(time, 3, 2), at_or_after(time, 3, 2));
        assert_eq!([both(0), both(1), both(2), both(3)], [(0, 0), (1, 1), (1, 2), (2, 2)]);
        assert_eq!([both(-1), both(-2), both(-3)], [(-1, 0), (-1, -1), (-2, -2)]);
        assert_eq!((nearest(i64::MAX, 1, 9), at_or_after(i64::MIN, 1, 9)), (i64::MAX, i64::MIN));
        assert_eq!(at_or_after(1, 0, u32::MAX), u32::MAX.into());
    }
}
