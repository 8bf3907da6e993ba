//! Up to 100 keyframes as one picture, and a `WebVTT` file that tells a player which part is when.

use std::fmt::Write;
use std::path::Path;

use bytes::Bytes;
use tokio::time::Instant;
use upreel_core::Container;
use upreel_core::video::MediaInfo;

use crate::error::Error;
use crate::ffmpeg::{self, Input};
use crate::index::Index;
use crate::keyframe::Keyframe;
use crate::poster::fetch;
use crate::source::Source;

/// Tiles at most, and how many in a row then.
const MAX_TILES: usize = 100;
/// The longer side of a tile, in pixels.
const TILE: u32 = 160;
/// There is one tile for so many milliseconds, at most.
const STEP_MS: u64 = 1000;
/// Bytes of keyframes that are read; if there are more, tiles are left out.
const BUDGET: u64 = 32 << 20;

/// Frames for scrubbing.
#[derive(Debug)]
pub struct Storyboard {
    /// All tiles, row by row.
    pub jpeg: Bytes,
    /// Which tile is when, with `#xywh=` of the image (Media Fragments URI 1.0, 4.2.2).
    pub vtt: String,
}

/// Makes the storyboard of a video whose index is known. `image` is what the `WebVTT` file calls the
/// picture. A short video may have only one tile.
///
/// # Errors
/// See [`Error`].
pub async fn make(
    source: &Source,
    index: &Index,
    image: &str,
    ffmpeg: &Path,
    deadline: Instant,
) -> Result<Storyboard, Error> {
    let duration = index.media_info.duration_ms;
    let wanted = duration.map_or(MAX_TILES, |ms| usize::try_from(ms / STEP_MS).unwrap_or(MAX_TILES));
    let mut keyframes = index.keyframes(source, wanted.clamp(1, MAX_TILES)).await?;
    keyframes.dedup_by_key(|keyframe| keyframe.time_ms);
    thin_out(&mut keyframes, BUDGET);
    if keyframes.is_empty() {
        return Err(Error::Unreadable("no keyframe".to_owned()));
    }
    let grid = Grid::new(keyframes.len(), &index.media_info);
    let samples = fetch(source, &keyframes).await?;
    let container = index.media_info.container.unwrap_or(Container::Mp4);
    let input = Input::File(container, index.wrap(samples));
    let size = format!("{}:{}", grid.width, grid.height);
    // A keyframe is shown for a second: where one can't be decoded, the tile before it is repeated. The last one
    // counts also if the video is shorter than that.
    let graph = format!(
        "[0:V:0]{},{},fps=1:start_time=0:eof_action=pass,tile={}x{}[tiles]",
        index.filters.source(),
        index.filters.scale(&size, false),
        grid.columns,
        grid.rows
    );
    let output = ["-map", "[tiles]", "-frames:v", "1", "-c:v", "mjpeg", "-q:v", "5", "-f", "image2pipe"];
    let (mut outputs, _) = ffmpeg::run(ffmpeg, &input, &graph, &[&output], deadline).await?;
    let jpeg = outputs.pop().unwrap_or_default().into();
    Ok(Storyboard { jpeg, vtt: track(&keyframes, duration, &grid, image) })
}

/// Leaves every second one out until the rest fits into the budget.
fn thin_out(keyframes: &mut Vec<Keyframe>, budget: u64) {
    while keyframes.len() > 1
        && keyframes.iter().map(|keyframe| keyframe.range.end - keyframe.range.start).sum::<u64>() > budget
    {
        let mut keep = false;
        keyframes.retain(|_| {
            keep = !keep;
            keep
        });
    }
}

/// How the tiles lie.
struct Grid {
    columns: usize,
    rows: usize,
    width: u32,
    height: u32,
}

impl Grid {
    fn new(tiles: usize, media_info: &MediaInfo) -> Self {
        let columns = (1..MAX_TILES).find(|columns| columns * columns >= tiles).unwrap_or(1);
        let (width, height) = (media_info.width.unwrap_or(16).max(1), media_info.height.unwrap_or(9).max(1));
        // Even, and at least a tenth of the longer side.
        let short = |of: u32, to: u32| {
            let side = u64::from(TILE) * u64::from(of) / u64::from(to) / 2 * 2;
            u32::try_from(side).unwrap_or(TILE).clamp(TILE / 10, TILE)
        };
        let (width, height) =
            if width >= height { (TILE, short(height, width)) } else { (short(width, height), TILE) };
        Self { columns, rows: tiles.div_ceil(columns), width, height }
    }

    /// `x,y,w,h` of a tile.
    fn place(&self, tile: usize) -> String {
        let (column, row) = (tile % self.columns, tile / self.columns);
        let x = column * self.width as usize;
        let y = row * self.height as usize;
        format!("{x},{y},{},{}", self.width, self.height)
    }
}

/// The `WebVTT` file: each tile until the next one is, the first from the start, the last to the end.
fn track(keyframes: &[Keyframe], duration: Option<u64>, grid: &Grid, image: &str) -> String {
    let mut vtt = "WEBVTT\n".to_owned();
    for (tile, keyframe) in keyframes.iter().enumerate() {
        let start = if tile == 0 { 0 } else { keyframe.time_ms };
        let next = keyframes.get(tile + 1).map(|next| next.time_ms);
        let end = next.or(duration).unwrap_or(0).max(start + 1);
        let (start, end, place) = (timestamp(start), timestamp(end), grid.place(tile));
        // Writing to a string can't fail.
        let _ = write!(vtt, "\n{start} --> {end}\n{image}#xywh={place}\n");
    }
    vtt
}

/// `HH:MM:SS.mmm`
fn timestamp(ms: u64) -> String {
    let (seconds, ms) = (ms / 1000, ms % 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyframe(time_ms: u64) -> Keyframe {
        Keyframe { time_ms, range: 0..10 }
    }

    fn grid(tiles: usize, width: u32, height: u32) -> Grid {
        Grid::new(tiles, &MediaInfo { width: Some(width), height: Some(height), ..MediaInfo::default() })
    }

    #[test]
    fn tiles_have_the_shape_of_the_video() {
        for (shape, tile) in [
            ((1920, 1080), (160, 90)),
            ((1080, 1920), (90, 160)),
            ((640, 640), (160, 160)),
            ((10_000, 10), (160, 16)),
            ((853, 480), (160, 90)),
        ] {
            let grid = grid(2, shape.0, shape.1);
            assert_eq!((grid.width, grid.height), tile, "{shape:?}");
        }
    }

    #[test]
    fn the_grid_is_about_square_and_has_no_empty_row() {
        for (tiles, columns, rows) in
            [(1, 1, 1), (2, 2, 1), (4, 2, 2), (5, 3, 2), (99, 10, 10), (100, 10, 10), (90, 10, 9)]
        {
            let grid = grid(tiles, 16, 9);
            assert_eq!((grid.columns, grid.rows), (columns, rows), "{tiles}");
        }
    }

    #[test]
    fn the_track_covers_the_whole_video() {
        let keyframes = [keyframe(40), keyframe(2000), keyframe(3_723_004)];
        let vtt = track(&keyframes, Some(3_800_000), &grid(3, 16, 9), "a.jpg");
        assert_eq!(
            vtt,
            "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\na.jpg#xywh=0,0,160,90\n\n\
             00:00:02.000 --> 01:02:03.004\na.jpg#xywh=160,0,160,90\n\n\
             01:02:03.004 --> 01:03:20.000\na.jpg#xywh=0,90,160,90\n"
        );
        let vtt = track(&keyframes[..1], None, &grid(1, 16, 9), "a.jpg");
        assert!(vtt.contains("00:00:00.000 --> 00:00:00.001"), "{vtt}");
    }

    #[test]
    fn what_is_too_much_is_left_out() {
        let mut keyframes: Vec<_> = (0..9).map(keyframe).collect();
        thin_out(&mut keyframes, 30);
        assert_eq!(keyframes, [0, 4, 8].map(keyframe));
        thin_out(&mut keyframes, 1);
        assert_eq!(keyframes.len(), 1);
    }
}
