//! When the keyframes are shown, all of them, to the tick; and when the sound ends.

use super::boxes::{Fields, Reader, find};
use super::fragments::Fragments;
use super::moof::Fragment;
use super::movie::Media;
use super::table::{FULL, Table};
use super::tables::Tables;
use super::timing::Timing;
use crate::keyframe::{CutPoints, Error};
use crate::source::{Source, in_parallel};

/// Samples of twelve hours at 120 frames a second.
const MAX_SAMPLES: u64 = 12 * 3600 * 120;
/// Fragments that are looked at, each with a request.
const MAX_FRAGMENTS: usize = 5000;

impl Tables {
    /// `None` for a montage, and where the tables are larger than any honest ones.
    pub(super) async fn cuts(&self, source: &Source, timing: &Timing) -> Result<Option<CutPoints>, Error> {
        let tables = [&self.stts, &self.stss, &self.ctts];
        let too_large = |table: &&Table| table.bytes() > FULL;
        if timing.montage || self.count > MAX_SAMPLES || tables.into_iter().flatten().any(|t| too_large(&t)) {
            return Ok(None);
        }
        let Some(mut decoded) = Runs::read(source, self.stts.as_ref()).await? else { return Ok(None) };
        let mut offsets = Runs::read(source, self.ctts.as_ref()).await?;
        let mut sync = match &self.stss {
            Some(table) => Some(table.head(source, FULL).await?),
            None => None,
        };
        let mut times = Vec::new();
        let mut wanted = next(&mut sync, 0);
        let mut time = 0i64;
        // Frames are as far apart when they are shown as when they are decoded.
        let mut step = i64::MAX;
        for sample in 0..self.count {
            let Some(delta) = decoded.next() else { break };
            // Of 32 bits in version 0, too, whatever the specification says: some writers mean it.
            let offset = offsets.as_mut().map_or(0, |runs| runs.next().unwrap_or(0).cast_signed());
            if wanted == Some(sample) {
                times.push(time.saturating_add(i64::from(offset)).saturating_add(timing.shift));
                wanted = next(&mut sync, sample + 1);
            }
            time = time.saturating_add(i64::from(delta));
            step = step.min(i64::from(delta).max(1));
        }
        let step = step.min(timing.scale.into());
        Ok(Some(CutPoints { scale: timing.scale, step, times, audio_end: None }))
    }
}

impl Fragments {
    /// Of the fragments that an index names; `None` without one.
    pub(super) async fn cuts(&self, source: &Source, timing: &Timing) -> Result<Option<CutPoints>, Error> {
        if timing.montage || self.places.is_empty() || self.places.len() > MAX_FRAGMENTS {
            return Ok(None);
        }
        let places = self.places.iter();
        let places = places.map(|place| async move { self.at(&mut Reader::new(source), place.offset).await });
        let fragments = in_parallel(places.collect()).await?.into_iter().flatten();
        let times = fragments.filter_map(|Fragment { keyframe, offset, .. }| {
            let (time, _) = keyframe?;
            Some(time.cast_signed().saturating_add(offset.into()).saturating_add(timing.shift))
        });
        Ok(Some(CutPoints { scale: timing.scale, step: 1, times: times.collect(), audio_end: None }))
    }
}

/// The first track of sound; its tables have not been read.
#[derive(Debug)]
pub(super) struct Sound {
    pub(super) media: Media,
    pub(super) movie_scale: u32,
}

impl Sound {
    /// When the last of its samples has been heard, in ticks of `scale`; `None` if that is not simple.
    pub(super) async fn end(&self, source: &Source, scale: u32) -> Result<Option<i64>, Error> {
        let mut reader = Reader::new(source);
        let timing = self.media.timing(&mut reader, self.movie_scale).await?;
        let boxes = self.media.stbl(&mut reader, false).await?;
        let Some(stts) = find(&boxes, *b"stts") else { return Ok(None) };
        let table = Table::open(&reader, stts, 0, 8).await?;
        if timing.montage || table.bytes() > FULL {
            return Ok(None);
        }
        let mut runs = table.head(source, FULL).await?;
        let runs = std::iter::from_fn(|| Some(u64::from(runs.u32()?) * u64::from(runs.u32()?)));
        let end = runs.fold(0, u64::saturating_add).cast_signed().saturating_add(timing.shift);
        // Rounded up: there may be sound until then.
        let ticks = (i128::from(end) * i128::from(scale)).div_euclid(timing.scale.into()) + 1;
        Ok(i64::try_from(ticks).ok())
    }
}

/// The number, counted from 0, of the next sync sample; without a table each sample is one.
fn next(sync: &mut Option<Fields>, sample: u64) -> Option<u64> {
    let Some(sync) = sync else { return Some(sample) };
    std::iter::from_fn(|| sync.u32())
        .map(|number| u64::from(number).saturating_sub(1))
        .find(|found| *found >= sample)
}

/// A table of runs: how many samples, and what holds for each of them.
struct Runs {
    fields: Fields,
    left: u32,
    value: u32,
}

impl Runs {
    async fn read(source: &Source, table: Option<&Table>) -> Result<Option<Self>, Error> {
        let Some(table) = table else { return Ok(None) };
        Ok(Some(Self { fields: table.head(source, FULL).await?, left: 0, value: 0 }))
    }

    fn next(&mut self) -> Option<u32> {
        while self.left == 0 {
            self.left = self.fields.u32()?;
            self.value = self.fields.u32()?;
        }
        self.left -= 1;
        Some(self.value)
    }
}
