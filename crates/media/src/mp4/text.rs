//! The text tracks: 3GPP timed text (`tx3g`), the text of `QuickTime`, and `WebVTT` (`wvtt`).

use upreel_core::captions::Kind;

use super::boxes::{Fields, Name, Reader, find};
use super::film;
use super::movie::{MAX_BODY, Media};
use super::tables::Tables;
use super::{Samples, Track};
use crate::keyframe::Error;
use crate::source::{self, Source};
use crate::text::{Format, LeftOut, Listed, MAX_SAMPLES, Rank, Sample, utf8};

/// The handlers of text.
const HANDLERS: [Name; 3] = [*b"text", *b"sbtl", *b"subt"];
/// The longest sample in which nothing is shown, in bytes: one between two texts.
const EMPTY: u64 = 2;
/// The flag of a sample entry: all texts are forced.
const ALL_FORCED: u32 = 0x8000_0000;

/// Returns the numbers of the text tracks, without chapters.
pub(super) fn numbers(tracks: &[Media]) -> Vec<usize> {
    HANDLERS.iter().flat_map(|handler| film::presented(tracks, handler)).collect()
}

impl Track {
    /// Lists the text tracks whose format is known. One that is damaged is left out.
    pub(crate) async fn listed_text(
        &self,
        source: &Source,
        is_quicktime: bool,
    ) -> Result<Vec<Listed>, source::Error> {
        let mut listed = Vec::new();
        for media in &self.text {
            match list(media, source, is_quicktime).await {
                Ok(track) => listed.extend(track),
                Err(Error::Source(error)) => return Err(error),
                Err(_) => {}
            }
        }
        Ok(listed)
    }

    /// Returns the samples of the text track with an ID.
    pub(crate) async fn text_samples(
        &self,
        source: &Source,
        id: u64,
    ) -> Result<Result<Vec<Sample>, LeftOut>, source::Error> {
        // Fragments would have to be read one by one.
        if matches!(self.samples, Samples::Fragments(..)) {
            return Ok(Err(LeftOut::NoIndex));
        }
        let Some(media) = self.text.iter().find(|media| u64::from(media.header.id) == id) else {
            return Ok(Err(LeftOut::NoIndex));
        };
        match samples(media, source, self.boxes.movie_scale).await {
            Ok(samples) => Ok(samples),
            Err(Error::Source(error)) => Err(error),
            Err(_) => Ok(Err(LeftOut::Damaged)),
        }
    }
}

async fn list(media: &Media, source: &Source, is_quicktime: bool) -> Result<Option<Listed>, Error> {
    let mut reader = Reader::new(source);
    let boxes = media.stbl(&mut reader, true).await?;
    let Some(stsd) = find(&boxes, *b"stsd") else { return Ok(None) };
    let mut stsd = reader.body(stsd, MAX_BODY).await?;
    let Some((name, mut entry)) = stsd.skip(8).and_then(|()| stsd.boxes().next()) else { return Ok(None) };
    let format = match &name {
        b"tx3g" | b"text" => Format::Timed,
        b"wvtt" => Format::Boxes,
        _ => return Ok(None),
    };
    let flags = entry.skip(8).and_then(|()| entry.u32()).unwrap_or(0);
    if name == *b"tx3g" && flags & ALL_FORCED != 0 {
        return Ok(None);
    }
    let label = match find(&media.boxes, *b"udta") {
        Some(udta) => reader.body(udta, MAX_BODY).await?.child(*b"name").map(|Fields(name)| utf8(&name)),
        None => None,
    };
    let enabled = media.header.enabled;
    Ok(Some(Listed {
        number: media.header.id.into(),
        language: media.language(&reader, is_quicktime).await?,
        label,
        kind: Kind::Subtitles,
        rank: Rank { enabled, default: true, is_main: true },
        format,
    }))
}

/// Returns the samples at the times at which the edits present them.
async fn samples(
    media: &Media,
    source: &Source,
    movie_scale: u32,
) -> Result<Result<Vec<Sample>, LeftOut>, Error> {
    let mut reader = Reader::new(source);
    let boxes = media.stbl(&mut reader, false).await?;
    let tables = Tables::open(&reader, &boxes).await?;
    if tables.sizes.count > MAX_SAMPLES as u64 {
        return Ok(Err(LeftOut::TooLarge));
    }
    let timing = media.timing_of(&mut reader, &tables, movie_scale).await?;
    let Some(loaded) = tables.load(source, &timing).await? else { return Ok(Err(LeftOut::NoIndex)) };
    let Some(located) = loaded.locate(0..loaded.times.count, None, MAX_SAMPLES) else {
        return Ok(Err(LeftOut::Damaged));
    };
    let mut samples = Vec::new();
    let all = located.into_iter().zip(loaded.times.all());
    for (located, (_, duration, media_time)) in
        all.filter(|(located, _)| located.bytes.end - located.bytes.start > EMPTY)
    {
        let ends = media_time.saturating_add(i64::try_from(duration).unwrap_or(i64::MAX));
        for edit in timing.edits.iter().filter(|edit| edit.plays_normally()) {
            let (from, to) = (media_time.max(edit.media), ends.min(edit.media_end()));
            if from < to && samples.len() <= MAX_SAMPLES {
                let (start, end) = (timing.ms(edit.time_of(from)), timing.ms(edit.time_of(to)));
                samples.push(Sample { range: located.bytes.clone(), block: None, start, end: Some(end) });
            }
        }
    }
    Ok(Ok(samples))
}
