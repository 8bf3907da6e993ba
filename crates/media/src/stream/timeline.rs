//! Playing times from timestamps that can wrap around, jump, and start again where recordings were joined.

use std::collections::BTreeMap;

/// A timestamp in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The offset in the file.
    pub(super) at: u64,
    /// The stream within the container.
    pub(super) stream: u16,
    /// In ticks of 90 kHz, with 33 bits (ISO/IEC 13818-1, 2.4.3.7).
    pub(super) pts: u64,
}

/// Ticks per millisecond.
pub(super) const MS: i64 = 90;
/// The longest estimated time between two parts of a file: a year.
const TICKS_MAX: i64 = 366 * 24 * 3600 * 1000 * MS;
/// Timestamps have 33 bits.
const MODULUS: i64 = 1 << 33;
/// A stream's timestamps go back by the reordering of frames. If they go back further, another recording begins.
const BACK: i64 = 1500 * MS;
/// The same limit in frames, for slide shows.
const BACK_FRAMES: i64 = 5;
/// The same limit for decode times, which frame reordering does not affect.
const BACK_DECODED: i64 = 500 * MS;
/// The most recordings that are joined.
const MAX_RECORDINGS: usize = 10_000;
/// If timestamps advance further than this, and far beyond what the bytes in between last, another recording begins. The
/// first frames can be many times larger than the others.
const AHEAD: i64 = 10_000 * MS;

/// Audio that begins less than this before the first frame is a delay that its encoder added. It is not presented.
const PADDING: i64 = 50 * MS;

/// The pace of a video.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    /// The video's stream within the container.
    pub(super) video: u16,
    /// The duration of a frame, in ticks.
    pub(super) frame: i64,
    /// Bytes per tick, or 0 if unknown.
    pub(super) rate: f64,
}

impl Pace {
    /// The duration of a frame if it can't be measured: 40 ms.
    const FRAME: i64 = 40 * MS;

    /// Measures the pace at the start of a file.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(super) fn measure(stamps: &[Stamp], video: u16) -> Self {
        let bytes = stamps.first().zip(stamps.last()).map_or(0, |(first, last)| last.at - first.at);
        let mut times: Vec<u64> =
            stamps.iter().filter(|stamp| stamp.stream == video).map(|stamp| stamp.pts).collect();
        times.sort_unstable();
        times.dedup();
        let mut gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        gaps.sort_unstable();
        let frame = gaps.get(gaps.len() / 2).and_then(|gap| i64::try_from(*gap).ok());
        let frame = frame.filter(|frame| *frame <= AHEAD).unwrap_or(Self::FRAME);
        let unknown = Self { video, frame, rate: 0.0 };
        let ticks = Timeline::new(stamps, unknown).duration_ms().unwrap_or(0) as f64 * MS as f64;
        Self { video, frame, rate: if ticks > 0.0 { bytes as f64 / ticks } else { 0.0 } }
    }

    /// Returns the frames per second, which is a guess if the first frames have no timestamps.
    #[expect(clippy::cast_precision_loss, reason = "a frame lasts a few seconds at most")]
    pub(super) fn frame_rate(self) -> Option<f64> {
        (self.frame > 0).then(|| (1e6 * MS as f64 / self.frame as f64).round() / 1000.0)
    }

    /// Estimates how long a number of bytes last.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "an estimate that saturates"
    )]
    fn ticks(self, bytes: u64) -> i64 {
        if self.rate > 0.0 { ((bytes as f64 / self.rate) as i64).min(TICKS_MAX) } else { 0 }
    }
}

/// The playing times of a file, as a list of recordings.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    pace: Pace,
    recordings: Vec<Recording>,
    /// The last decode time of each stream in the present recording, and its offset.
    lasts: BTreeMap<u16, (i64, u64)>,
}

#[derive(Debug, Clone, Copy)]
struct Recording {
    /// The offset of its first known timestamp.
    at: u64,
    /// Its first timestamp, and the end of its last frame, without wrapping around.
    all: (i64, i64),
    /// The first timestamp and the end of the last frame of the video.
    video: Option<(i64, i64)>,
    /// The estimated time between the end of the recording before it and its start, where parts of the file are missing.
    missing: i64,
}

impl Timeline {
    /// Builds a timeline from timestamps in ascending order of their offsets. Parts of the file can be missing.
    pub(super) fn new(stamps: &[Stamp], pace: Pace) -> Self {
        let mut timeline = Self { pace, ..Self::default() };
        for stamp in stamps {
            timeline.push(*stamp, None);
        }
        timeline
    }

    /// Adds the next timestamp, and its decode time if that differs.
    pub(super) fn push(&mut self, stamp: Stamp, decoded: Option<u64>) {
        let known = self.lasts.get(&stamp.stream).copied();
        let near = known.map(|(time, _)| time).or(self.recordings.last().map(|last| last.all.1));
        let decoded_or_shown = decoded.unwrap_or(stamp.pts);
        let time = near.map_or(decoded_or_shown.cast_signed(), |near| unwrapped(decoded_or_shown, near));
        let expected = self.pace.ticks(stamp.at.saturating_sub(known.map_or(stamp.at, |(_, at)| at)));
        // Decode times ascend within a recording, so a smaller step back begins another one.
        let frames = self.pace.frame.saturating_mul(BACK_FRAMES).min(AHEAD);
        let back = if decoded.is_some() { BACK_DECODED } else { BACK.max(frames) };
        let ahead = expected.saturating_mul(50).saturating_add(AHEAD);
        // Where another stream goes on meanwhile, this one has a gap.
        let is_reached = |last: i64| (-AHEAD..=AHEAD).contains(&(time - last));
        let goes_on = known.is_none_or(|(last, _)| (-back..=ahead).contains(&(time - last)))
            || known.is_some_and(|(last, _)| time > last)
                && self.lasts.values().any(|(last, _)| is_reached(*last));
        let goes_on = goes_on || self.recordings.len() >= MAX_RECORDINGS;
        if goes_on && let Some(recording) = self.recordings.last_mut() {
            recording.add(stamp.stream, unwrapped(stamp.pts, time), self.pace);
        } else {
            let time = decoded_or_shown.cast_signed();
            let missing = if expected > BACK { expected } else { 0 };
            let pts = unwrapped(stamp.pts, time);
            let mut recording = Recording { at: stamp.at, all: (pts, pts), video: None, missing };
            recording.add(stamp.stream, pts, self.pace);
            self.recordings.push(recording);
            self.lasts = BTreeMap::from([(stamp.stream, (time, stamp.at))]);
            return;
        }
        self.lasts.insert(stamp.stream, (time, stamp.at));
    }

    /// Returns whether there are several recordings.
    pub(super) const fn is_joined(&self) -> bool {
        self.recordings.len() > 1
    }

    /// Returns the duration of the audio before the start of the presentation, in ticks.
    pub(super) fn padding(&self) -> i64 {
        self.recordings.first().map_or(0, Recording::padding)
    }

    /// Returns the recordings, each with the shift from its timestamps to playing times. The video continues without a
    /// gap from one recording to the next, even if their audio is longer or shorter.
    fn shifted(&self) -> impl Iterator<Item = (&Recording, i64)> {
        let mut before: Option<(&Recording, i64)> = None;
        self.recordings.iter().map(move |recording| {
            let begin = recording.all.0.saturating_add(recording.padding());
            let shift = before.map_or(begin.saturating_neg(), |(last, shift)| {
                let end = last.video.unwrap_or(last.all).1;
                let start = recording.video.unwrap_or(recording.all).0;
                shift.saturating_add(end).saturating_add(recording.missing).saturating_sub(start)
            });
            before = Some((recording, shift));
            (recording, shift)
        })
    }

    /// Returns the offset of each recording but the first, and the shift of its timestamps that continues the clock of
    /// the first recording.
    pub(super) fn shifts(&self) -> Vec<(u64, i64)> {
        let first = self.shifted().next().map_or(0, |(_, shift)| shift);
        self.shifted().skip(1).map(|(recording, shift)| (recording.at, shift.saturating_sub(first))).collect()
    }

    /// Returns the playing time of a timestamp at an offset, in milliseconds.
    pub(super) fn time_ms(&self, at: u64, pts: u64) -> u64 {
        let index = self.recordings.partition_point(|recording| recording.at <= at).saturating_sub(1);
        let Some((recording, shift)) = self.shifted().nth(index) else { return 0 };
        let pts = unwrapped(pts, recording.all.0.midpoint(recording.all.1));
        to_ms(pts.saturating_add(shift))
    }

    /// Returns the playing time of the whole file in milliseconds.
    pub(super) fn duration_ms(&self) -> Option<u64> {
        self.shifted().last().map(|(recording, shift)| to_ms(recording.all.1.saturating_add(shift)))
    }
}

impl Recording {
    /// Returns the duration of the audio before the first frame if its encoder added it, otherwise 0.
    fn padding(&self) -> i64 {
        let lead = self.video.map_or(0, |(first, _)| first.saturating_sub(self.all.0));
        if lead < PADDING { lead } else { 0 }
    }

    fn add(&mut self, stream: u16, pts: i64, pace: Pace) {
        let is_video = stream == pace.video;
        let end = pts.saturating_add(if is_video { pace.frame } else { 0 });
        // The other stream can begin earlier.
        let first = |first: i64| if first - pts <= BACK { first.min(pts) } else { first };
        self.all = (first(self.all.0), self.all.1.max(end));
        if is_video {
            let (from, to) = self.video.unwrap_or((pts, end));
            self.video = Some((first(from), to.max(end)));
        }
    }
}

/// Returns the value of a wrapped timestamp that is nearest to another one.
fn unwrapped(pts: u64, near: i64) -> i64 {
    let step = (pts.cast_signed() - near).rem_euclid(MODULUS);
    near + if step > MODULUS / 2 { step - MODULUS } else { step }
}

fn to_ms(ticks: i64) -> u64 {
    u64::try_from((ticks.max(0) + MS / 2) / MS).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { video: 1, frame: 3600, rate: 0.0 };
    const SECOND: u64 = 90_000;

    /// Timestamps of a recording: frames of 40 ms from `from`, 1000 bytes each from the offset `at`.
    fn recording(at: u64, from: u64, frames: u64) -> impl Iterator<Item = Stamp> {
        (0..frames).map(move |n| Stamp { at: at + n * 1000, stream: 1, pts: (from + n * 3600) % (1 << 33) })
    }

    #[test]
    fn joined_recordings_follow_each_other() {
        let stamps: Vec<_> =
            [0, 100_000, 200_000].into_iter().flat_map(|at| recording(at, SECOND, 100)).collect();
        let timeline = Timeline::new(&stamps, PACE);
        assert_eq!(timeline.duration_ms(), Some(12_000));
        assert_eq!(timeline.time_ms(0, SECOND), 0);
        assert_eq!(timeline.time_ms(101_000, SECOND + 3600), 4040);
        assert_eq!(timeline.time_ms(299_000, SECOND + 99 * 3600), 11_960);
    }

    #[test]
    fn timestamps_wrap_around() {
        let start = (1 << 33) - SECOND;
        let stamps: Vec<_> = recording(0, start, 100).collect();
        let timeline = Timeline::new(&stamps, PACE);
        assert_eq!((timeline.duration_ms(), timeline.time_ms(50_000, SECOND)), (Some(4000), 2000));
    }

    #[test]
    fn reordered_frames_and_early_audio_are_no_new_recording() {
        let stamp = |at, stream, pts| Stamp { at, stream, pts };
        let stamps = [
            stamp(0, 1, 2 * SECOND),
            stamp(10, 2, SECOND),
            stamp(20, 1, 3 * SECOND),
            stamp(30, 1, 5 * SECOND / 2),
            stamp(40, 2, 2 * SECOND),
        ];
        let timeline = Timeline::new(&stamps, PACE);
        assert_eq!(timeline.recordings.len(), 1);
        assert_eq!((timeline.time_ms(20, 3 * SECOND), timeline.duration_ms()), (2000, Some(2040)));
    }

    #[test]
    fn reordered_frames_of_a_slide_show_are_no_new_recording() {
        let stamps: Vec<_> = [0, 4, 2, 1, 3, 8, 6, 5, 7]
            .into_iter()
            .zip(0..)
            .map(|(second, at)| Stamp { at, stream: 1, pts: second * SECOND })
            .collect();
        let timeline = Timeline::new(&stamps, Pace::measure(&stamps, 1));
        assert_eq!((timeline.recordings.len(), timeline.duration_ms()), (1, Some(9000)));
    }

    #[test]
    fn padding_of_the_audio_is_not_presented() {
        for (early, start) in [(480, 0), (4499, 0), (4500, 50), (SECOND, 1000)] {
            let audio = Stamp { at: 0, stream: 2, pts: 5 * SECOND - early };
            let stamps: Vec<_> = [audio].into_iter().chain(recording(10, 5 * SECOND, 100)).collect();
            let timeline = Timeline::new(&stamps, PACE);
            let found = (timeline.time_ms(10, 5 * SECOND), timeline.duration_ms());
            assert_eq!(found, (start, Some(start + 4000)), "{early}");
        }
    }

    #[test]
    fn a_jump_is_judged_by_the_bytes_in_between() {
        // 25,000 bytes a second. The second part follows after 100 s, or where the clock was changed.
        let rate = 25_000.0 / 90_000.0;
        for (pts, expected) in [(101 * SECOND, 100_000), (90_000 * SECOND, 100_960)] {
            let stamps: Vec<_> = recording(0, SECOND, 25).chain(recording(2_500_000, pts, 25)).collect();
            let found = Timeline::new(&stamps, Pace { rate, ..PACE }).time_ms(2_500_000, pts);
            assert!(found.abs_diff(expected) < 1000, "{found}");
        }
    }

    #[test]
    fn a_stream_has_a_gap_where_another_one_goes_on() {
        // A slide is shown for 90 s. The audio goes on in one file, and begins at the same time again in the other.
        let audio =
            |from: u64| (0..90).map(move |n| Stamp { at: 100_000 + n, stream: 2, pts: SECOND * (from + n) });
        for (from, end) in [(5, 98_000), (95, 8_000)] {
            let stamps = recording(0, SECOND, 100).chain([Stamp { at: 99_999, stream: 2, pts: 4 * SECOND }]);
            let stamps = stamps.chain(audio(from)).chain(recording(200_000, 95 * SECOND, 100));
            let timeline = Timeline::new(&stamps.collect::<Vec<_>>(), PACE);
            assert_eq!(timeline.is_joined(), from == 95);
            assert_eq!(timeline.time_ms(299_000, 95 * SECOND + 99 * 3600) + 40, end);
        }
    }

    #[test]
    fn any_timestamps_are_accepted() {
        let ends = [0, 1, u64::MAX >> 31, (1 << 33) - 1];
        let stamps: Vec<_> = ends
            .iter()
            .flat_map(|at| ends.iter().map(|pts| Stamp { at: *at << 30, stream: 1, pts: *pts % (1 << 33) }))
            .collect();
        for rate in [0.0, 1e-300, f64::MAX] {
            let timeline = Timeline::new(&stamps, Pace { rate, frame: i64::MAX >> 32, video: 1 });
            let _ = (timeline.time_ms(u64::MAX, 5), timeline.duration_ms());
        }
        assert_eq!(Timeline::default().duration_ms(), None);
    }
}
