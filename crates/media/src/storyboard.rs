//! Makes a storyboard: up to 100 keyframes as tiles of one image, and a `WebVTT` file that maps times to tiles.

use std::fmt::Write;
use std::path::Path;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;
use upreel_core::video::MediaInfo;

use crate::error::{self, Error};
use crate::ffmpeg::{self, Budget, Input};
use crate::index::Index;
use crate::keyframe::{FrameData, Keyframe};
use crate::poster::fetch;
use crate::source::Source;

/// The maximum number of tiles.
const MAX_TILES: usize = 100;
/// The longer side of a tile, in pixels.
const TILE: u32 = 160;
/// The minimum time between tiles, in milliseconds.
const STEP_MS: u64 = 1000;
/// Bytes of keyframes to read. If the keyframes have more, tiles are left out.
const BUDGET: u64 = 32 << 20;

/// Processor time of all runs of ffmpeg, in seconds.
const CPU_SECONDS: u64 = 30;
/// Runs of ffmpeg at the same time.
const PARALLEL: usize = 2;

/// Images that a player shows while the user scrubs.
#[derive(Debug)]
pub struct Storyboard {
    /// The JPEG image with all tiles, row by row.
    pub jpeg: Bytes,
    /// The `WebVTT` file. Each cue names a tile as `#xywh=` of the image (Media Fragments URI 1.0, section 4.2.2).
    pub vtt: String,
}

/// Makes the storyboard of a video from its index. `image` is the image's URL in the `WebVTT` file. A short video may
/// have only one tile.
///
/// # Errors
/// Returns [`Error::Fault`] for a fault on our or AWS's side: a retry can succeed. All other errors are permanent for
/// this object.
pub async fn make(
    source: &Source,
    index: &Index,
    image: &str,
    ffmpeg: &Path,
    deadline: Instant,
) -> Result<Storyboard, Error> {
    error::run("make the storyboard", deadline, attempt(source, index, image, ffmpeg, deadline)).await
}

async fn attempt(
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
    let frames = fetch(source, &keyframes).await?;
    let mut tiles = Tiles { index, grid, ffmpeg, deadline, budget: Budget::new(CPU_SECONDS) };
    let jpeg = if frames.iter().all(|frame| index.is_independent(frame)) {
        tiles.decode_together(frames).await?
    } else {
        let decoded = tiles.decode_alone(&frames).await?;
        let decoded = retain_decoded(&mut keyframes, decoded);
        tiles.grid = Grid::new(keyframes.len(), &index.media_info);
        tiles.assemble(decoded).await?
    };
    Ok(Storyboard { jpeg, vtt: web_vtt(&keyframes, duration, &tiles.grid, image) })
}

/// Removes the keyframes that could not be decoded, and returns the tiles of the others.
fn retain_decoded(keyframes: &mut Vec<Keyframe>, decoded: Vec<Option<Bytes>>) -> Vec<Bytes> {
    let pairs = std::mem::take(keyframes).into_iter().zip(decoded);
    let (kept, tiles) = pairs.filter_map(|(keyframe, tile)| Some((keyframe, tile?))).unzip();
    *keyframes = kept;
    tiles
}

/// Decodes and scales keyframes to tiles.
struct Tiles<'a> {
    index: &'a Index,
    grid: Grid,
    ffmpeg: &'a Path,
    deadline: Instant,
    budget: Budget,
}

impl Tiles<'_> {
    /// Decodes all keyframes in one run.
    async fn decode_together(&self, frames: Vec<FrameData>) -> Result<Bytes, Error> {
        // `Index::wrap` gives each keyframe a duration of one second. If one can't be decoded, `fps=1` repeats the tile
        // before it. `eof_action=pass` keeps the last keyframe.
        let graph = format!("{},fps=1:start_time=0:eof_action=pass,{}", self.scaled(), self.sheet());
        let input = Input::File(self.index.wrapped(), self.index.wrap(frames));
        self.run(&input, &graph, &JPEG).await
    }

    /// Decodes each keyframe in a run of its own, because a decoder takes them for parts of one sequence: it puts their
    /// frames into the order that their headers state, and drops some. A keyframe that cannot be decoded is `None`: one of
    /// H.264 can be the start of a gradual refresh, from which several frames lead to a whole picture.
    async fn decode_alone(&self, frames: &[FrameData]) -> Result<Vec<Option<Bytes>>, Error> {
        let graph = format!("{}[tiles]", self.scaled());
        let runs: Vec<_> = frames.iter().map(|frame| self.decode_one(frame, &graph)).collect();
        stream::iter(runs).buffered(PARALLEL).try_collect().await
    }

    /// Puts decoded tiles into one image.
    async fn assemble(&self, tiles: Vec<Bytes>) -> Result<Bytes, Error> {
        if tiles.is_empty() {
            return Err(Error::Unreadable("no frame".to_owned()));
        }
        let size = format!("{}x{}", self.grid.width, self.grid.height);
        let graph = format!("[0:V:0]{}", self.sheet());
        self.run(&Input::Frames(&size, tiles), &graph, &JPEG).await
    }

    /// Decodes a keyframe. Returns `None` if that is not possible.
    async fn decode_one(&self, frame: &FrameData, graph: &str) -> Result<Option<Bytes>, Error> {
        let input = Input::File(self.index.wrapped(), self.index.wrap(vec![frame.clone()]));
        match self.run(&input, graph, &["-c:v", "rawvideo", "-f", "rawvideo"]).await {
            Ok(tile) => Ok(Some(tile)),
            Err(Error::Unreadable(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn scaled(&self) -> String {
        let size = format!("{}:{}", self.grid.width, self.grid.height);
        let enlarge = self.index.media_info.width.is_some_and(|width| width < self.grid.width);
        format!("[0:V:0]{},{}", self.index.filters.source(), self.index.filters.scale(&size, enlarge))
    }

    fn sheet(&self) -> String {
        format!("tile={}x{}[tiles]", self.grid.columns, self.grid.rows)
    }

    /// Runs ffmpeg for one frame of `[tiles]`.
    async fn run(&self, input: &Input<'_>, graph: &str, format: &[&str]) -> Result<Bytes, Error> {
        let output = [&["-map", "[tiles]", "-frames:v", "1"], format].concat();
        // Deblocking can't be seen at this size.
        let options = ["-skip_loop_filter", "all"];
        let (mut outputs, _) =
            ffmpeg::run(self.ffmpeg, input, &options, graph, &[&output], &self.budget, self.deadline).await?;
        Ok(outputs.pop().unwrap_or_default().into())
    }
}

/// The arguments of an output that is a JPEG.
const JPEG: [&str; 6] = ["-c:v", "mjpeg", "-q:v", "5", "-f", "image2pipe"];

/// Drops every second keyframe until the rest has at most `budget` bytes.
fn thin_out(keyframes: &mut Vec<Keyframe>, budget: u64) {
    while keyframes.len() > 1 && keyframes.iter().map(Keyframe::bytes).sum::<u64>() > budget {
        let mut keep = false;
        keyframes.retain(|_| {
            keep = !keep;
            keep
        });
    }
}

/// The layout of the tiles.
struct Grid {
    columns: usize,
    rows: usize,
    /// Width of a tile, in pixels.
    width: u32,
    /// Height of a tile, in pixels.
    height: u32,
}

impl Grid {
    fn new(tiles: usize, media_info: &MediaInfo) -> Self {
        let columns = (1..MAX_TILES).find(|columns| columns * columns >= tiles).unwrap_or(1);
        let (width, height) = (media_info.width.unwrap_or(16).max(1), media_info.height.unwrap_or(9).max(1));
        // The shorter side is even, and at least a tenth of the longer side.
        let short = |of: u32, to: u32| {
            let side = u64::from(TILE) * u64::from(of) / u64::from(to) / 2 * 2;
            u32::try_from(side).unwrap_or(TILE).clamp(TILE / 10, TILE)
        };
        let (width, height) =
            if width >= height { (TILE, short(height, width)) } else { (short(width, height), TILE) };
        Self { columns, rows: tiles.div_ceil(columns), width, height }
    }

    /// Returns `x,y,w,h` of a tile, in pixels.
    fn place(&self, tile: usize) -> String {
        let (column, row) = (tile % self.columns, tile / self.columns);
        let x = column * self.width as usize;
        let y = row * self.height as usize;
        format!("{x},{y},{},{}", self.width, self.height)
    }
}

/// Writes the `WebVTT` file. Each tile lasts until the next one; the first starts at 0, the last ends with the video.
fn web_vtt(keyframes: &[Keyframe], duration: Option<u64>, grid: &Grid, image: &str) -> String {
    let mut vtt = "WEBVTT\n".to_owned();
    for (tile, keyframe) in keyframes.iter().enumerate() {
        let start = if tile == 0 { 0 } else { keyframe.time_ms };
        let next = keyframes.get(tile + 1).map(|next| next.time_ms);
        let end = next.or(duration).unwrap_or(0).max(start.saturating_add(1));
        let (start, end, place) = (timestamp(start), timestamp(end), grid.place(tile));
        // Writing to a `String` can't fail.
        let _ = write!(vtt, "\n{start} --> {end}\n{image}#xywh={place}\n");
    }
    vtt
}

/// Formats a time as `HH:MM:SS.mmm`.
fn timestamp(ms: u64) -> String {
    let (seconds, ms) = (ms / 1000, ms % 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyframe(time_ms: u64) -> Keyframe {
        Keyframe::new(time_ms, 0..10)
    }

    fn grid(tiles: usize, width: u32, height: u32) -> Grid {
        Grid::new(tiles, &MediaInfo { width: Some(width), height: Some(height), ..MediaInfo::default() })
    }

    #[test]
    fn keyframes_that_cannot_be_decoded_have_no_tile() {
        let mut keyframes = vec![keyframe(0), keyframe(2000), keyframe(4000)];
        let tiles = [Some(Bytes::from_static(b"a")), None, Some(Bytes::from_static(b"c"))];
        assert_eq!(retain_decoded(&mut keyframes, tiles.to_vec()), ["a", "c"]);
        assert_eq!(keyframes, [keyframe(0), keyframe(4000)]);
    }

    #[test]
    fn tiles_have_the_aspect_ratio_of_the_video() {
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
    fn grid_is_nearly_square_without_empty_rows() {
        for (tiles, columns, rows) in
            [(1, 1, 1), (2, 2, 1), (4, 2, 2), (5, 3, 2), (99, 10, 10), (100, 10, 10), (90, 10, 9)]
        {
            let grid = grid(tiles, 16, 9);
            assert_eq!((grid.columns, grid.rows), (columns, rows), "{tiles}");
        }
    }

    #[test]
    fn cues_cover_the_whole_video() {
        let keyframes = [keyframe(40), keyframe(2000), keyframe(3_723_004)];
        let vtt = web_vtt(&keyframes, Some(3_800_000), &grid(3, 16, 9), "a.jpg");
        assert_eq!(
            vtt,
            "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\na.jpg#xywh=0,0,160,90\n\n\
             00:00:02.000 --> 01:02:03.004\na.jpg#xywh=160,0,160,90\n\n\
             01:02:03.004 --> 01:03:20.000\na.jpg#xywh=0,90,160,90\n"
        );
        let end = [keyframe(0), keyframe(u64::MAX)];
        assert_eq!(
            web_vtt(&end, None, &grid(2, 16, 9), "a.jpg").matches("a.jpg").count(),
            2,
            "the largest time"
        );
        let vtt = web_vtt(&keyframes[..1], None, &grid(1, 16, 9), "a.jpg");
        assert!(vtt.contains("00:00:00.000 --> 00:00:00.001"), "{vtt}");
    }

    #[test]
    fn keyframes_over_the_budget_are_dropped() {
        let mut keyframes: Vec<_> = (0..9).map(keyframe).collect();
        thin_out(&mut keyframes, 30);
        assert_eq!(keyframes, [0, 4, 8].map(keyframe));
        thin_out(&mut keyframes, 1);
        assert_eq!(keyframes.len(), 1);
    }
}
