//! Draws the waveform.

use bytes::Bytes;

/// The size of the picture in pixels, the aspect ratio of most videos. `SIZE` is the same for ffmpeg.
const WIDTH: usize = 1280;
const HEIGHT: usize = 720;
pub(super) const SIZE: &str = "1280x720";
/// The width of a bar and the distance to the next one. Even numbers, because colours have half the resolution.
const BAR: usize = 6;
const STEP: usize = 10;
/// The number of bars.
pub(super) const BARS: usize = 120;
/// Pixels on the left of the bars.
const MARGIN: usize = (WIDTH - (BARS * STEP - (STEP - BAR))) / 2;
/// Half the height of the loudest bar, and of a silent one.
const LOUD: usize = 280;
const SILENT: usize = 2;
/// The background and the bars: luma and chroma as JPEG has them.
const BACKGROUND: [u8; 3] = [0x1B, 0x86, 0x7C];
const FOREGROUND: [u8; 3] = [0xA6, 0xA0, 0x66];

/// Draws one bar for each level, in the pixel format `yuvj420p`. The loudest one has the full height.
pub(super) fn draw(levels: &[f64]) -> Bytes {
    let loudest = levels.iter().copied().fold(0.0, f64::max);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "small numbers"
    )]
    let half = |level: f64| {
        let height = if loudest > 0.0 { level / loudest * LOUD as f64 } else { 0.0 };
        (height as usize / 2 * 2).max(SILENT)
    };
    let halves: Vec<usize> = levels.iter().take(BARS).map(|level| half(*level)).collect();
    let is_bar = |x: usize, y: usize| {
        let within = x.checked_sub(MARGIN).map(|x| (x / STEP, x % STEP)).filter(|(_, x)| *x < BAR);
        within
            .and_then(|(bar, _)| halves.get(bar))
            .is_some_and(|half| y.abs_diff(HEIGHT / 2) <= *half && y < HEIGHT / 2 + half)
    };
    let mut picture = Vec::with_capacity(WIDTH * HEIGHT * 3 / 2);
    for (plane, step) in [(0, 1), (1, 2), (2, 2)] {
        let rows = (0..HEIGHT).step_by(step);
        let pixels = rows.flat_map(|y| (0..WIDTH).step_by(step).map(move |x| (x, y)));
        picture.extend(pixels.map(|(x, y)| if is_bar(x, y) { FOREGROUND[plane] } else { BACKGROUND[plane] }));
    }
    picture.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the heights of all bars, in pixels.
    fn heights(levels: &[f64]) -> Vec<usize> {
        let picture = draw(levels);
        assert_eq!(picture.len(), WIDTH * HEIGHT * 3 / 2);
        let column = |bar: usize| (0..HEIGHT).map(move |y| y * WIDTH + MARGIN + bar * STEP);
        (0..BARS).map(|bar| column(bar).filter(|i| picture[*i] == FOREGROUND[0]).count()).collect()
    }

    #[test]
    fn bars_are_as_high_as_the_audio_is_loud() {
        let mut levels = vec![0.0; BARS];
        (levels[3], levels[119]) = (0.25, 0.5);
        let heights = heights(&levels);
        assert_eq!((heights[0], heights[3], heights[118], heights[119]), (4, 280, 4, 560));
    }

    #[test]
    fn silence_is_a_line() {
        assert_eq!(heights(&[0.0; BARS]), [4; BARS]);
        assert_eq!(heights(&[]), [0; BARS]);
    }
}
