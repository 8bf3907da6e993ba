//! When a chunk ends: video and audio of a presentation end at the same time.

use super::{AAC_FRAME, Chunk, OVERLAP, SAMPLE_RATE, WARM_UP};

/// The longest time for which the last frame is shown without audio, in seconds. A file can state any duration.
const LONGEST_HOLD: i64 = 3600;
/// Frames per second to assume for the duration of the only frame.
const ASSUMED_RATE: i64 = 25;

/// Returns the audio samples to encode for these AAC frames: from the first (inclusive) to the second (exclusive). `origin`
/// is the time at which the presentation starts, in ticks of `scale`.
#[must_use]
pub fn audio_samples(origin: i64, scale: u32, (first, end): (i64, Option<i64>)) -> (i64, Option<i64>) {
    let origin = convert(origin, scale, SAMPLE_RATE);
    let at = |frame: i64| origin.saturating_add(frame.saturating_mul(AAC_FRAME));
    (at(first.saturating_sub(WARM_UP)), end.map(|end| at(end.saturating_add(OVERLAP))))
}

impl Chunk<'_> {
    /// Returns the time at which the last frame ends, in ticks. `audio_end` is the time at which the audio ends.
    ///
    /// The last frame of a video is shown until the container says that the presentation ends, or as long as there is
    /// audio. Differences of less than a tenth of a second are due to the length of audio frames, and don't count.
    pub(super) fn end_of(&self, times: &[i64], audio_end: Option<i64>) -> i64 {
        if let Some((_, Some(end))) = self.span {
            return end;
        }
        let scale = i64::from(self.scale);
        let slack = scale / 10;
        let last = times.last().copied().unwrap_or(self.origin);
        let before = times.len().checked_sub(2).and_then(|i| times.get(i));
        let before = before.map(|before| last.saturating_sub(*before));
        let duration = self.frame_duration.or(before).unwrap_or(scale / ASSUMED_RATE);
        let stated =
            self.end.filter(|end| *end > last).map(|end| end.min(last.saturating_add(LONGEST_HOLD * scale)));
        let usual = last.saturating_add(duration.max(1));
        let usual = stated.filter(|end| *end < usual.saturating_sub(slack)).unwrap_or(usual);
        let end_of_audio = self.end_of_audio(audio_end);
        let longest = stated.max(end_of_audio).unwrap_or(usual);
        if longest > usual.saturating_add(slack) { longest } else { usual }
    }

    /// Returns the time until which audio is played. What exceeds the end that the container states by less than a tenth
    /// of a second fills up the last audio frame.
    pub(super) fn end_of_audio(&self, audio_end: Option<i64>) -> Option<i64> {
        let fills = |end: &i64| {
            audio_end.is_some_and(|audio| audio > *end && audio - *end < i64::from(self.scale) / 10)
        };
        self.end.filter(fills).or(audio_end)
    }

    /// Returns which samples of an audio stream are presented, of those from `first` to `limit`.
    pub(super) fn audio_span(&self, stream: usize, (first, limit): (i64, i64)) -> (i64, i64) {
        let (start, end) = self.audio_spans.get(stream).copied().unwrap_or((i64::MIN, i64::MAX));
        (first.max(start), limit.min(end))
    }

    /// Converts ticks to audio samples.
    pub(super) fn samples(&self, ticks: i64) -> i64 {
        convert(ticks, self.scale, SAMPLE_RATE)
    }

    /// Converts audio samples to ticks.
    pub(super) fn ticks(&self, samples: i64) -> i64 {
        convert(samples, SAMPLE_RATE, self.scale)
    }
}

pub(crate) fn convert(time: i64, from: u32, to: u32) -> i64 {
    let time = (i128::from(time) * i128::from(to)).div_euclid(from.max(1).into());
    i64::try_from(time).unwrap_or(if time < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::super::tests::chunk;
    use super::*;

    /// The end of a video with a frame each 24 ticks, at 600 ticks per second, the last one at 576.
    fn end(stated: Option<i64>, audio_end: Option<i64>) -> i64 {
        let times: Vec<i64> = (0..25).map(|i| i * 24).collect();
        Chunk { span: Some((0, None)), end: stated, ..chunk() }.end_of(&times, audio_end)
    }

    #[test]
    fn last_frame_is_shown_until_the_stated_end_or_the_end_of_audio() {
        assert_eq!(end(None, None), 600);
        assert_eq!(end(Some(6000), None), 6000);
        assert_eq!(end(Some(6000), Some(1200)), 6000);
        assert_eq!(end(None, Some(6000)), 6000);
        assert_eq!(end(Some(1200), Some(6000)), 6000);
        assert_eq!(end(None, Some(300)), 600);
        assert_eq!(end(Some(6000), Some(6010)), 6000, "the last audio frame is not full");
    }

    #[test]
    fn small_differences_do_not_count() {
        assert_eq!([end(Some(612), None), end(None, Some(612)), end(Some(590), None)], [600; 3]);
        assert_eq!(end(Some(100), None), 600, "an end before the last frame is wrong");
    }

    #[test]
    fn duration_of_the_last_frame_is_the_usual_one() {
        let chunk = |frame_duration| Chunk { span: Some((0, None)), frame_duration, ..chunk() };
        assert_eq!(chunk(Some(30)).end_of(&[0, 500], None), 530);
        assert_eq!(chunk(None).end_of(&[0, 500], None), 1000);
        assert_eq!(chunk(None).end_of(&[0], None), 24);
        let long = Chunk { end: Some(520), ..chunk(None) };
        assert_eq!(long.end_of(&[0, 500], None), 520);
    }

    #[test]
    fn chunk_ends_where_the_next_one_starts() {
        assert_eq!(chunk().end_of(&[1200], Some(99_999)), 2400);
    }

    #[test]
    fn hostile_times_are_bounded() {
        assert_eq!(end(Some(i64::MAX), None), 576 + 3600 * 600);
        assert_eq!(Chunk { span: None, ..chunk() }.end_of(&[i64::MIN, i64::MAX], None), i64::MAX);
        assert_eq!((chunk().samples(i64::MAX), chunk().samples(i64::MIN)), (i64::MAX, i64::MIN));
        assert_eq!((chunk().samples(600), chunk().ticks(48_000), chunk().samples(-1)), (48_000, 600, -80));
    }
}
