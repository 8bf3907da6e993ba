//! All samples that a movie presents, for players that get them as they are.

use bytes::Bytes;

use super::audio::Packing;
use super::boxes::{Fields, atom, words};
use super::edits::{Edit, Edits};
use super::entries::{self, Decoding, Entry};
use super::loaded::{Loaded, Located};
use super::runs::Defaults;
use super::tables::Tables;
use super::timing::{Timing, padding};
use super::{Samples as Listed, Track, sound};
use crate::cmaf::{self, Geometry, UNITY};
use crate::index::{AudioTrack, StreamId};
use crate::remux::{
    Audio, Film, MAX_ALL_SAMPLES, MAX_SAMPLES, Media, Refusal, Sample, TrackSamples, Unplayable,
};
use crate::source::Source;

/// Largest `moov` box, in bytes: that of twelve hours has some 60 MB.
pub(super) const MAX_MOOV: u64 = 96 << 20;

/// A movie whose index is in memory.
pub(super) struct Movie<'a> {
    pub(super) source: &'a Source,
    /// The IDs of the tracks, and the samples that movie fragments list.
    pub(super) fragments: Option<Vec<(u32, Vec<Sample>)>>,
}

impl<'a> Movie<'a> {
    /// Reads the index, and the movie fragments if there are any.
    pub(super) async fn open(track: &Track, source: &'a Source) -> Result<Self, Unplayable> {
        if track.moov.end - track.moov.start > MAX_MOOV {
            return Err(Refusal("INDEX_TOO_LARGE").into());
        }
        source.pin(track.moov.clone()).await?;
        Ok(Self { source, fragments: track.fragments(source).await? })
    }

    /// Lists all samples of a track, at their media times, in groups if they are packed. Returns the edits, too: the last one
    /// of fragments goes on to the end.
    pub(super) async fn list(
        &mut self,
        id: u32,
        tables: Option<&Tables>,
        timing: &Timing,
        packing: Option<Packing>,
    ) -> Result<(Vec<Sample>, Edits), Unplayable> {
        let mut edits = timing.edits.clone();
        let mut all = match tables.filter(|tables| tables.sizes.count > 0) {
            Some(tables) => list(tables, self.source, timing, packing).await?,
            None => Vec::new(),
        };
        if let Some(fragments) = &mut self.fragments {
            edits.extend();
            let samples = fragments.iter_mut().find(|(track, _)| *track == id).map(|(_, samples)| samples);
            all.extend(samples.map(std::mem::take).unwrap_or_default());
        }
        Ok((all, edits))
    }
}

impl Track {
    /// Lists the samples of all tracks that are presented.
    pub(crate) async fn media(&self, source: &Source) -> Result<Media, Unplayable> {
        let mut movie = Movie::open(self, source).await?;
        let film = self.film(&mut movie).await?;
        let audio = self.sound.samples(&mut movie, film.track.samples.len()).await?;
        Ok(Media { film, audio })
    }

    /// Lists the samples in movie fragments, if there are any.
    async fn fragments(&self, source: &Source) -> Result<Option<Vec<(u32, Vec<Sample>)>>, Unplayable> {
        let Listed::Fragments(fragments, _) = &self.samples else { return Ok(None) };
        let moov = Fields(source.read(self.moov.clone()).await?);
        let moov = moov.boxes().next().map(|(_, moov)| moov);
        let mvex = moov.and_then(|moov| moov.child(*b"mvex")).ok_or(Refusal("NO_INDEX"))?;
        let ids: Vec<u32> = std::iter::once(self.id).chain(self.sound.ids()).collect();
        let tracks: Vec<_> = ids.iter().map(|id| (*id, Defaults::of(&mvex, *id))).collect();
        let samples = fragments.list(source, &tracks).await?;
        Ok(Some(ids.into_iter().zip(samples).collect()))
    }

    async fn film(&self, movie: &mut Movie<'_>) -> Result<Film, Unplayable> {
        let mut stsd = Fields(self.boxes.stsd.clone());
        let nth = usize::try_from(self.boxes.description).unwrap_or(0).saturating_sub(1);
        let entry = stsd.skip(8).and_then(|()| stsd.boxes().nth(nth));
        let entry = entry.and_then(|(name, body)| entries::visual(name, body)).ok_or(Refusal("CODEC"))?;
        let tables = match &self.samples {
            Listed::Tables(tables) => Some(tables),
            Listed::Fragments(_, tables) => tables.as_ref(),
        };
        let (all, edits) = movie.list(self.id, tables, &self.timing, None).await?;
        let edit = edits.only().ok_or(Refusal("EDITS"))?;
        let samples = presented(all, edit)?;
        let geometry = geometry(&self.boxes.mvhd, &self.boxes.tkhd).ok_or(Refusal("NO_INDEX"))?;
        let scale = self.timing.scale;
        Ok(Film {
            track: TrackSamples { entry, scale, samples, gaps: Vec::new() },
            geometry,
            limit: edit.limit(),
        })
    }
}

impl sound::Sound {
    /// Lists the samples of all tracks, beside those of the film.
    pub(super) async fn samples(
        &self,
        movie: &mut Movie<'_>,
        of_film: usize,
    ) -> Result<Vec<Audio>, Unplayable> {
        let mut audio: Vec<Audio> = Vec::new();
        let mut total = of_film;
        for AudioTrack { stream, language } in self.streams() {
            let StreamId::Id(id) = stream else { continue };
            let Some(track) = self.track(id) else { continue };
            match track.samples(movie).await {
                Ok(None) => {}
                Ok(Some(track)) => {
                    total += track.samples.len();
                    if total > MAX_ALL_SAMPLES {
                        return Err(Refusal("TOO_LONG").into());
                    }
                    audio.push(Audio { track, language });
                }
                // Only the track to play by default is necessary.
                Err(Unplayable::Refused(_)) if !audio.is_empty() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(audio)
    }
}

impl sound::Track {
    /// Lists the samples that are presented, and the ones before that the decoder needs. Returns `None` if there are none.
    async fn samples(&self, movie: &mut Movie<'_>) -> Result<Option<TrackSamples>, Unplayable> {
        let Some((tables, stsd)) = self.open_tables(movie.source).await? else { return Ok(None) };
        let entry = audio_entry(stsd.clone());
        let is_decoded = entry.is_none() && self.codec.is_decodable();
        let packing = if is_decoded { Packing::read(stsd.clone(), self.codec) } else { None };
        let (all, edits) = movie.list(self.id, Some(&tables), &self.timing, packing).await?;
        let edit = edits.only().ok_or(Refusal("EDITS"))?;
        if all.is_empty() {
            return Ok(None);
        }
        let scale = self.timing.scale;
        if is_decoded {
            let samples = all.iter().filter(|sample| sample.size > 0 && sample.time < edit.media_end());
            let samples = samples.map(|sample| Sample { time: edit.time_of(sample.time), ..*sample });
            let decoding = Decoding {
                init: decoder_init(stsd, tables.description, scale).ok_or(Refusal("NO_INDEX"))?,
                tick_bytes: packing.and_then(Packing::sample_bytes),
                presented: edit.start..edit.limit(),
            };
            let entry = entries::encoded().ok_or(Refusal("AUDIO_CODEC"))?;
            let entry = Entry { decoding: Some(decoding), ..entry };
            return Ok(Some(TrackSamples { entry, scale, samples: samples.collect(), gaps: Vec::new() }));
        }
        let entry = entry.ok_or(Refusal("AUDIO_CODEC"))?;
        Ok(Some(TrackSamples { entry, scale, samples: audible(&all, edit, scale), gaps: Vec::new() }))
    }
}

/// Returns the initialization segment of samples as they are, with one of the entries of an `stsd` box.
fn decoder_init(mut stsd: Fields, description: u32, scale: u32) -> Option<Vec<u8>> {
    let version = stsd.take(4)?;
    stsd.skip(4)?;
    let nth = usize::try_from(description).ok()?.saturating_sub(1);
    let (name, entry) = stsd.boxes().nth(nth)?;
    Some(cmaf::init_for_decoder(scale, &[&version[..], &words(&[1]), &atom(name, &[&entry.0])].concat()))
}

/// Reads the first entry of an `stsd` box.
fn audio_entry(mut stsd: Fields) -> Option<Entry> {
    let (version, _) = stsd.version_and_flags()?;
    stsd.skip(4)?;
    let (name, body) = stsd.boxes().next()?;
    entries::audio(name, body, version == 0)
}

/// Lists all samples of a track, at their media times.
async fn list(
    tables: &Tables,
    source: &Source,
    timing: &Timing,
    packing: Option<Packing>,
) -> Result<Vec<Sample>, Unplayable> {
    let packing = packing.filter(|_| tables.sizes.uniform(1).is_some());
    if tables.sizes.count > MAX_SAMPLES && packing.is_none() {
        return Err(Refusal("TOO_LONG").into());
    }
    // A table of samples of the same size can declare any number of them in no bytes.
    if tables.sizes.uniform(tables.sizes.count).is_some_and(|bytes| bytes > source.size()) {
        return Err(Refusal("TRUNCATED").into());
    }
    let loaded: Loaded = tables.load(source, timing).await?.ok_or(Refusal("INDEX_TOO_LARGE"))?;
    if loaded.has_other_descriptions() {
        return Err(Refusal("SEVERAL_SAMPLE_DESCRIPTIONS").into());
    }
    let limit = usize::try_from(MAX_SAMPLES).unwrap_or(usize::MAX);
    if let Some(packing) = packing.filter(|_| loaded.times.decode.is_one_tick()) {
        let located =
            loaded.locate(0..loaded.times.count, Some(packing), limit).ok_or(Refusal("NO_INDEX"))?;
        let group = |located: &Located| {
            Some(Sample {
                offset: located.bytes.start,
                size: u32::try_from(located.bytes.end - located.bytes.start).ok()?,
                duration: u32::try_from(located.samples.end - located.samples.start).ok()?,
                time: loaded.times.media_time(located.samples.start),
                is_sync: true,
            })
        };
        return Ok(located.iter().map(group).collect::<Option<_>>().ok_or(Refusal("NO_INDEX"))?);
    }
    let located = loaded.locate(0..loaded.times.count, None, limit).ok_or(Refusal("NO_INDEX"))?;
    let sample = |(located, (_, duration, time)): (&Located, (u64, u64, i64))| {
        Some(Sample {
            offset: located.bytes.start,
            size: u32::try_from(located.bytes.end - located.bytes.start).ok()?,
            duration: u32::try_from(duration).ok()?,
            time,
            is_sync: loaded.sync.contains(located.samples.start),
        })
    };
    let all = located.iter().zip(loaded.times.all()).map(sample);
    Ok(all.collect::<Option<_>>().ok_or(Refusal("NO_INDEX"))?)
}

/// Keeps the frames that an edit presents. Refuses an edit that begins or ends within a group of pictures, because frames
/// that were left out would have to be sent, too.
pub(super) fn presented(all: Vec<Sample>, edit: &Edit) -> Result<Vec<Sample>, Refusal> {
    let is_presented = |sample: &Sample| edit.contains(sample.time);
    // Empty samples stand for frames that do not change.
    let all: Vec<Sample> = all.into_iter().filter(|sample| sample.size > 0).collect();
    let first = all.iter().position(is_presented).ok_or(Refusal("NO_INDEX"))?;
    let last = all.iter().rposition(is_presented).unwrap_or(first);
    let mut kept = all.get(first..=last).unwrap_or_default().to_vec();
    if let Some(left_out) = kept.iter().find(|sample| !is_presented(sample)) {
        let before = left_out.time < edit.media;
        return Err(Refusal(if before { "STARTS_WITHIN_GOP" } else { "ENDS_WITHIN_GOP" }));
    }
    for sample in &mut kept {
        sample.time = edit.time_of(sample.time);
    }
    Ok(kept)
}

/// Keeps the audio that an edit presents, and the frame before it, whose end overlaps with its start. The encoder's delay at
/// the start of the media is kept whole.
pub(super) fn audible(all: &[Sample], edit: &Edit, scale: u32) -> Vec<Sample> {
    let begins = all.partition_point(|sample| sample.end() <= edit.media).saturating_sub(1);
    let begins = if edit.media <= padding(scale) { 0 } else { begins };
    let ends = all.partition_point(|sample| sample.time < edit.media_end());
    let kept = all.get(begins..ends).unwrap_or_default().iter().filter(|sample| sample.size > 0);
    kept.map(|sample| Sample { time: edit.time_of(sample.time), is_sync: true, ..*sample }).collect()
}

/// Reads the matrices and the size that `mvhd` and `tkhd` state.
fn geometry(mvhd: &Bytes, tkhd: &Bytes) -> Option<Geometry> {
    let is_long = |bytes: &Bytes| bytes.first().is_some_and(|version| *version == 1);
    let matrix = |bytes: &Bytes, at: usize| bytes.get(at..at + 36)?.try_into().ok();
    let at = if is_long(tkhd) { 52 } else { 40 };
    Some(Geometry {
        movie: matrix(mvhd, if is_long(mvhd) { 48 } else { 36 }).unwrap_or(UNITY),
        track: matrix(tkhd, at)?,
        size: tkhd.get(at + 36..at + 44)?.try_into().ok()?,
    })
}
