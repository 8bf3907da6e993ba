//! Slices of a movie: the samples of a chunk, at the times at which its edits present them.

use std::ops::Range;

use super::audio::Packing;
use super::edits::{Edit, Edits};
use super::listed::Listed;
use super::loaded::{Loaded, Located};
use super::remux::Movie;
use super::slice_file::{Piece, TrackBoxes, TrackSlice, head};
use super::sync::MAX_REORDER;
use super::tables::Tables;
use super::timing::{Timing, signed};
use super::{Samples as Tracked, Track};
use crate::index::StreamId;
use crate::keyframe::Error;
use crate::remux::{Sample, Unplayable};
use crate::rendition::{self, SAMPLE_RATE};
use crate::slice::{Slice, Sliced, Wanted};
use crate::source::Source;

/// The most samples of a track in a slice.
const MAX_SAMPLES: usize = 200_000;
/// Seconds of audio to decode before the first sample that is presented, because frames depend on those before them.
const PREROLL: i64 = 1;

/// A track to slice.
struct Sliceable<'a> {
    boxes: TrackBoxes,
    timing: &'a Timing,
    samples: Samples,
}

/// The samples of a track.
enum Samples {
    Tables(Loaded, Option<Packing>),
    /// Of movie fragments, and the edits, the last of which goes on to their end.
    Fragments(Listed, Edits),
}

impl Track {
    /// See [`Index::slices`](crate::Index::slices). Returns `None` if the tables do not contain all samples, or are too
    /// large.
    pub(crate) async fn slices(
        &self,
        source: &Source,
        wanted: &[Wanted],
        audio: &[StreamId],
    ) -> Result<Option<Vec<Sliced>>, Error> {
        let id = |stream: &StreamId| match stream {
            StreamId::Id(id) => Some(*id),
            StreamId::Position(_) => None,
        };
        let Some(audio) = audio.iter().map(id).collect::<Option<Vec<u32>>>() else { return Ok(None) };
        let boxes = TrackBoxes {
            id: self.id,
            tkhd: self.boxes.tkhd.clone(),
            hdlr: self.boxes.hdlr.clone(),
            stsd: self.boxes.stsd.clone(),
            description: self.boxes.description,
            scale: self.timing.scale,
        };
        let found = match &self.samples {
            Tracked::Tables(tables) => self.in_tables(source, tables, boxes, &audio).await?,
            Tracked::Fragments(_, tables) => {
                match self.in_fragments(source, tables.as_ref(), boxes, &audio).await {
                    Ok(found) => found,
                    Err(Unplayable::Refused(_)) => None,
                    Err(Unplayable::Failed(error)) => return Err(error.into()),
                }
            }
        };
        let Some((film, tracks)) = found else { return Ok(None) };
        let slices =
            wanted.iter().map(|wanted| slice(&self.boxes.mvhd, &film, &tracks, wanted, source.size()));
        Ok(slices.collect())
    }

    /// Reads the sample tables of the film and of audio tracks.
    async fn in_tables(
        &self,
        source: &Source,
        tables: &Tables,
        boxes: TrackBoxes,
        audio: &[u32],
    ) -> Result<Option<(Sliceable<'_>, Vec<Sliceable<'_>>)>, Error> {
        let Some(loaded) = tables.load(source, &self.timing).await? else { return Ok(None) };
        let film = Sliceable { boxes, timing: &self.timing, samples: Samples::Tables(loaded, None) };
        let mut tracks = Vec::new();
        for id in audio {
            let Some(track) = self.sound.track(*id) else { return Ok(None) };
            let Some((boxes, tables, packing)) = track.load(source).await? else { return Ok(None) };
            let samples = Samples::Tables(tables, packing);
            tracks.push(Sliceable { boxes, timing: &track.timing, samples });
        }
        Ok(Some((film, tracks)))
    }

    /// Lists the samples of the film and of audio tracks in movie fragments, after those in `tables`.
    async fn in_fragments(
        &self,
        source: &Source,
        tables: Option<&Tables>,
        boxes: TrackBoxes,
        audio: &[u32],
    ) -> Result<Option<(Sliceable<'_>, Vec<Sliceable<'_>>)>, Unplayable> {
        let mut movie = Movie::open(self, source).await?;
        let (samples, edits) = movie.list(self.id, tables, &self.timing, None).await?;
        let samples = Samples::Fragments(Listed::new(samples), edits);
        let film = Sliceable { boxes, timing: &self.timing, samples };
        let mut tracks = Vec::new();
        for id in audio {
            let Some(track) = self.sound.track(*id) else { return Ok(None) };
            let Some((boxes, tables)) = track.boxes(source).await? else { return Ok(None) };
            let (mut samples, edits) = movie.list(*id, Some(&tables), &track.timing, None).await?;
            for sample in &mut samples {
                sample.is_sync = true;
            }
            let samples = Samples::Fragments(Listed::new(samples), edits);
            tracks.push(Sliceable { boxes, timing: &track.timing, samples });
        }
        Ok(Some((film, tracks)))
    }
}

fn slice(
    mvhd: &[u8],
    film: &Sliceable<'_>,
    audio: &[Sliceable<'_>],
    wanted: &Wanted,
    size: u64,
) -> Option<Sliced> {
    let mut tracks = vec![TrackSlice { boxes: film.boxes.clone(), pieces: film.frames(wanted.span)? }];
    let mut spans = Vec::new();
    for track in audio {
        let (pieces, span) = track.audio(wanted, film.timing.scale)?;
        tracks.push(TrackSlice { boxes: track.boxes.clone(), pieces });
        spans.push(span);
    }
    let pieces = tracks.iter().flat_map(|track| &track.pieces);
    let ranges: Vec<Range<u64>> =
        pieces.map(|piece| piece.offset..piece.offset.saturating_add(piece.size.into())).collect();
    let end = ranges.iter().map(|range| range.end).max()?;
    (end <= size).then(|| (Slice::new(head(mvhd, &tracks, end), ranges), spans))
}

impl Sliceable<'_> {
    /// Returns the frames that the edit at `start` presents from `start` (inclusive) to `end` (exclusive), and the
    /// frames that have to be decoded for them. The presentation times of the latter are before `start`, or from `end`
    /// on.
    fn frames(&self, (start, end): (i64, Option<i64>)) -> Option<Vec<Piece>> {
        let tables = match &self.samples {
            Samples::Tables(tables, _) => tables,
            Samples::Fragments(listed, edits) => {
                let edit = edits.at(start)?;
                let media = |time: i64| if time == i64::MAX { time } else { edit.media_at(time) };
                // Without an edit list, times can be negative.
                let first = if self.timing.edits.are_listed() { edit.media } else { i64::MIN };
                let end = media(end.unwrap_or(i64::MAX)).min(edit.media_end());
                return pieces(listed.between(media(start).max(first), end, true), edit);
            }
        };
        let times = &tables.times;
        let edit = self.timing.edits.at(start)?;
        let end = end.map_or(edit.limit(), |end| end.min(edit.limit()));
        let around = |time: i64| times.sample_near(edit.media_at(time).clamp(edit.media, edit.media_end()));
        let from = around(start).saturating_sub(2 * MAX_REORDER);
        let to = around(end).saturating_add(2 * MAX_REORDER).min(times.count);
        let is_presented = |sample: &u64| {
            let media = times.media_time(*sample);
            edit.contains(media) && (start..end).contains(&edit.time_of(media))
        };
        let presented = || (from..to).filter(is_presented);
        let (first, last) = (presented().next()?, presented().next_back()?);
        let earliest = presented().map(|sample| times.media_time(sample)).min()?;
        let keyframe = tables.sync.last_before(times, earliest).unwrap_or(0).min(first);
        let located = tables.locate(keyframe..last + 1, None, MAX_SAMPLES)?;
        located_pieces(tables, None, &located, |media| time_of(edit, media))
    }

    /// Returns the wanted audio, and the time span in which it is presented, in samples at 48 kHz. `film_scale` is the number
    /// of ticks per second of the film.
    ///
    /// It is that of the edits that are presented during the chunk. They are joined at samples, so a few milliseconds of one
    /// replace those of another. If they do not play normally, it is that of the edit that presents the most.
    fn audio(&self, wanted: &Wanted, film_scale: u32) -> Option<(Vec<Piece>, (i64, i64))> {
        let scale = self.timing.scale;
        let ticks = |(start, end): (i64, Option<i64>), from: u32| {
            (convert(start, from, scale), end.map_or(i64::MAX, |end| convert(end, from, scale)))
        };
        let chunk = ticks(wanted.span, film_scale);
        let overlap = |edit: &&Edit| edit.end().min(chunk.1).saturating_sub(edit.start.max(chunk.0));
        // What a chunk has of the edits before and after it because times are rounded.
        let short = i64::from(scale) / 20;
        let all = match &self.samples {
            Samples::Tables(..) => &self.timing.edits,
            Samples::Fragments(_, edits) => edits,
        };
        let mut edits: Vec<&Edit> = all.iter().filter(|edit| overlap(edit) > short).collect();
        if edits.is_empty() || edits.iter().any(|edit| !edit.plays_normally()) {
            // Of equal ones, the first.
            edits = all.iter().rev().max_by_key(overlap).into_iter().collect();
        }
        let (start, end) = ticks(wanted.audio, SAMPLE_RATE);
        let mut all: Vec<Piece> = Vec::new();
        for (nth, edit) in edits.iter().enumerate() {
            let (from, to) = (edit.start.max(start), edit.limit().min(end));
            let preroll = if nth == 0 { PREROLL * i64::from(scale) } else { 0 };
            let first = edit.media_at(from).saturating_sub(preroll);
            let last = if to == i64::MAX { to } else { edit.media_at(to) };
            let mut pieces = match &self.samples {
                Samples::Tables(tables, packing) => {
                    let count = tables.times.count.checked_sub(1)?;
                    let at = |media: i64| {
                        tables.times.decode.sample_at(u64::try_from(media).unwrap_or(0)).min(count)
                    };
                    let first = at(first);
                    let located = tables.locate(first..at(last).max(first) + 1, *packing, MAX_SAMPLES)?;
                    located_pieces(tables, *packing, &located, |media| time_of(edit, media))?
                }
                Samples::Fragments(listed, _) => pieces(listed.between(first, last, false), edit)?,
            };
            let begin = pieces.first().map_or(i64::MAX, |piece| piece.presented);
            all.retain(|piece| piece.presented < begin);
            all.append(&mut pieces);
        }
        let (first, last) = edits.first().zip(edits.last())?;
        let samples = |time: i64| convert(time, scale, SAMPLE_RATE);
        let is_played = first.plays_normally() && first.start.max(start) < last.limit().min(end);
        let span = if is_played { (samples(first.start), samples(last.limit())) } else { (0, 0) };
        Some((all, span))
    }
}

/// Returns the pieces of samples in tables.
fn located_pieces(
    tables: &Loaded,
    packing: Option<Packing>,
    located: &[Located],
    time_of: impl Fn(i64) -> i64,
) -> Option<Vec<Piece>> {
    let times = &tables.times;
    let piece = |Located { samples, bytes }: &Located| {
        Some(Piece {
            offset: bytes.start,
            size: u32::try_from(bytes.end - bytes.start).ok()?,
            decoded: time_of(signed(times.decode.time_of(samples.start))),
            presented: time_of(times.media_time(samples.start)),
            is_sync: packing.is_some() || tables.sync.contains(samples.start),
        })
    };
    // ffmpeg rejects a fragment with empty samples, which screen recorders write for unchanged frames.
    located.iter().filter(|located| !located.bytes.is_empty()).map(piece).collect()
}

/// Returns the pieces of samples in fragments. Their decode times are not known, but ascend.
fn pieces(samples: &[Sample], edit: &Edit) -> Option<Vec<Piece>> {
    let samples: Vec<&Sample> = samples.iter().filter(|sample| sample.size > 0).collect();
    let mut times: Vec<i64> = samples.iter().map(|sample| edit.time_of(sample.time)).collect();
    times.sort_unstable();
    let piece = |(sample, decoded): (&Sample, i64)| Piece {
        offset: sample.offset,
        size: sample.size,
        decoded,
        presented: edit.time_of(sample.time),
        is_sync: sample.is_sync,
    };
    (samples.len() <= MAX_SAMPLES).then(|| samples.into_iter().zip(times).map(piece).collect())
}
/// Returns the presentation time of a media time. A dwell presents one frame; other frames get times before or after
/// it.
fn time_of(edit: &Edit, media: i64) -> i64 {
    if edit.is_dwell() {
        edit.start.saturating_add(media.saturating_sub(edit.media))
    } else {
        edit.time_of(media)
    }
}

/// Converts a time to another timescale. `i64::MAX`, which stands for no limit, stays `i64::MAX`.
fn convert(time: i64, from: u32, to: u32) -> i64 {
    if time == i64::MAX { time } else { rendition::convert(time, from, to) }
}
