//! The Cues: a table of timestamps and positions (RFC 9559, section 5.1.5).

use super::ebml::{self, child, children, id};

/// A seek point of one track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cue {
    /// The time, in ticks of the Segment.
    pub(super) time: u64,
    /// The offset of the Cluster from the start of the Segment's data.
    pub(super) cluster: u64,
    /// The offset of the block's element from the start of the Cluster's data.
    pub(super) block: Option<u64>,
}

/// Parses the cues of a track and sorts them by time. Each takes at least 13 bytes, which bounds their number.
pub(super) fn parse(bytes: &[u8], track: u64) -> Vec<Cue> {
    let points = children(bytes).filter(|child| child.id == id::CUE_POINT);
    let mut cues: Vec<_> = points.filter_map(|point| cue(point.data, track)).collect();
    cues.sort_by_key(|cue| cue.time);
    cues.dedup_by_key(|cue| cue.time);
    cues
}

fn cue(point: &[u8], track: u64) -> Option<Cue> {
    let uint = |bytes, id| child(bytes, id).and_then(ebml::uint);
    let positions = children(point).find(|child| {
        child.id == id::CUE_TRACK_POSITIONS && uint(child.data, id::CUE_TRACK) == Some(track)
    })?;
    Some(Cue {
        time: uint(point, id::CUE_TIME)?,
        cluster: uint(positions.data, id::CUE_CLUSTER_POSITION)?,
        block: uint(positions.data, id::CUE_RELATIVE_POSITION),
    })
}

/// Divides the duration into `n` equal spans. Returns, for each span, the index of the entry of the ascending `times`
/// that is nearest to its middle, without duplicates. Returns all if there are not more than `n`.
pub(crate) fn spread(times: &[u64], duration: u64, n: usize) -> Vec<usize> {
    if times.len() <= n {
        return (0..times.len()).collect();
    }
    let mut chosen: Vec<usize> = middles(duration, n)
        .filter_map(|middle| {
            let after = times.partition_point(|time| *time < middle);
            let nearer = |i: &usize| times.get(*i).map_or(u64::MAX, |time| time.abs_diff(middle));
            [after.saturating_sub(1), after].into_iter().filter(|i| *i < times.len()).min_by_key(nearer)
        })
        .collect();
    chosen.dedup();
    chosen
}

/// Returns the middles of `n` equal spans of `whole`.
pub(crate) fn middles(whole: u64, n: usize) -> impl Iterator<Item = u64> {
    let n = n as u128;
    (0..n).map(move |i| u64::try_from(u128::from(whole) * (2 * i + 1) / (2 * n)).unwrap_or(whole))
}

#[cfg(test)]
mod tests {
    use super::super::ebml::put;
    use super::*;

    fn point(time: u8, positions: &[(u8, u8, Option<u8>)]) -> Vec<u8> {
        let mut data = Vec::new();
        put(&mut data, id::CUE_TIME, &[time]);
        for (track, cluster, block) in positions {
            let mut positions = Vec::new();
            put(&mut positions, id::CUE_TRACK, &[*track]);
            put(&mut positions, id::CUE_CLUSTER_POSITION, &[*cluster]);
            if let Some(block) = block {
                put(&mut positions, id::CUE_RELATIVE_POSITION, &[*block]);
            }
            put(&mut data, id::CUE_TRACK_POSITIONS, &positions);
        }
        let mut point = Vec::new();
        put(&mut point, id::CUE_POINT, &data);
        point
    }

    #[test]
    fn parses_cues_of_one_track_sorted_by_time() {
        let bytes = [
            point(9, &[(2, 5, None), (1, 6, Some(7))]),
            point(4, &[(1, 3, None)]),
            point(5, &[(2, 3, None)]),
            point(4, &[(1, 8, None)]),
            vec![0xBB, 0xFE, 1],
        ]
        .concat();
        let expected =
            [Cue { time: 4, cluster: 3, block: None }, Cue { time: 9, cluster: 6, block: Some(7) }];
        assert_eq!(parse(&bytes, 1), expected);
        assert_eq!(parse(&bytes, 3), []);
    }

    #[test]
    fn spread_selects_the_time_nearest_to_the_middle_of_each_span() {
        let times = [0, 10, 20, 90];
        assert_eq!(spread(&times, 100, 1), [2], "50 is nearer to 20 than to 90");
        assert_eq!(spread(&times, 100, 3), [2, 3], "no time is selected twice");
        assert_eq!(spread(&times, 100, 4), [0, 1, 2, 3], "all of them");
        assert_eq!(spread(&times, 0, 3), [0]);
        assert_eq!(spread(&[], 100, 3), [0; 0]);
        assert_eq!(spread(&times, 100, 0), [0; 0]);
        assert_eq!(spread(&times, u64::MAX, 2), [3]);
    }
}
