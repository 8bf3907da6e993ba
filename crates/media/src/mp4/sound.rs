//! The audio tracks: their codecs, languages and durations, and the one that is used.

use super::audio::{self, Codec, Packing};
use super::boxes::{Fields, Reader, find};
use super::film;
use super::headers::Movie;
use super::loaded::Loaded;
use super::movie::{MAX_BODY, Media};
use super::slice_file::TrackBoxes;
use super::tables::Tables;
use super::timing::Timing;
use crate::index::{AudioTrack, StreamId};
use crate::keyframe::Error;
use crate::source::{Source, in_parallel};

/// The audio tracks of a movie, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Sound {
    tracks: Vec<Track>,
    /// Whether there is audio, and all of it is encrypted.
    pub(super) encrypted: bool,
}

/// An audio track. Its sample tables have not been read.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) id: u32,
    media: Media,
    pub(super) timing: Timing,
    pub(super) codec: Codec,
    language: Option<String>,
}

impl Sound {
    /// Reads the headers of the audio tracks among `tracks`.
    pub(super) async fn open(source: &Source, tracks: Vec<Media>, movie: &Movie) -> Result<Self, Error> {
        let numbers: Vec<usize> = film::presented(&tracks, b"soun").collect();
        let sounds = tracks.into_iter().enumerate().filter(|(i, _)| numbers.contains(i));
        let tracks = in_parallel(sounds.map(|(_, media)| Track::open(source, media, movie.scale)).collect());
        let tracks: Vec<Track> = tracks.await?.into_iter().flatten().collect();
        let encrypted = !tracks.is_empty() && tracks.iter().all(|track| track.codec == Codec::Encrypted);
        Ok(Self { tracks, encrypted })
    }

    /// Returns the track that is used: the first that can be decoded, preferably an enabled one.
    pub(super) fn chosen(&self) -> Option<&Track> {
        let rank = |track: &Track| (track.codec.is_decodable(), track.media.header.enabled);
        // `max_by_key` returns the last of several.
        self.tracks.iter().rev().max_by_key(|track| rank(track))
    }

    /// Returns the track with an ID.
    pub(super) fn track(&self, id: u32) -> Option<&Track> {
        self.tracks.iter().find(|track| track.id == id)
    }

    /// Returns the IDs of the tracks.
    pub(super) fn ids(&self) -> impl Iterator<Item = u32> {
        self.tracks.iter().map(|track| track.id)
    }

    /// Returns the name of the codec of the track that is used.
    pub(super) fn codec(&self) -> Option<String> {
        self.chosen().map(|track| track.codec.name())
    }

    pub(super) fn timing(&self) -> Option<&Timing> {
        self.chosen().map(|track| &track.timing)
    }

    /// Returns when the longest track ends, in milliseconds.
    pub(super) fn end_ms(&self) -> u64 {
        self.tracks.iter().map(|track| track.timing.ms(track.timing.end())).max().unwrap_or(0)
    }

    /// Returns the streams of the tracks, the one that is used first.
    pub(super) fn streams(&self) -> Vec<AudioTrack> {
        let chosen = self.chosen().map(|track| track.id);
        let mut all: Vec<&Track> = self.tracks.iter().collect();
        all.sort_by_key(|track| Some(track.id) != chosen);
        let stream =
            |track: &Track| AudioTrack { stream: StreamId::Id(track.id), language: track.language.clone() };
        all.into_iter().map(stream).collect()
    }
}

impl Track {
    async fn open(source: &Source, media: Media, movie_scale: u32) -> Result<Option<Self>, Error> {
        let mut reader = Reader::new(source);
        let boxes = media.stbl(&mut reader, true).await?;
        let Some(stsd) = find(&boxes, *b"stsd") else { return Ok(None) };
        let codec = audio::codec(reader.body(stsd, MAX_BODY).await?);
        let timing = media.timing(&mut reader, movie_scale).await?;
        let language = media.language(&reader, false).await?;
        Ok(Some(Self { id: media.header.id, media, timing, codec, language }))
    }

    /// Reads the headers of the tables, and the body of `stsd`. Returns `None` without that box.
    pub(super) async fn open_tables(&self, source: &Source) -> Result<Option<(Tables, Fields)>, Error> {
        let mut reader = Reader::new(source);
        let boxes = self.media.stbl(&mut reader, false).await?;
        let Some(stsd) = find(&boxes, *b"stsd") else { return Ok(None) };
        let tables = Tables::open(&reader, &boxes).await?;
        Ok(Some((tables, reader.body(stsd, MAX_BODY).await?)))
    }

    /// Reads the boxes that a slice needs, and the headers of the tables. Returns `None` if a box is missing.
    pub(super) async fn boxes(&self, source: &Source) -> Result<Option<(TrackBoxes, Tables)>, Error> {
        let headers = (find(&self.media.boxes, *b"tkhd"), find(&self.media.mdia, *b"hdlr"));
        let (Some(tkhd), Some(hdlr)) = headers else { return Ok(None) };
        let Some((tables, stsd)) = self.open_tables(source).await? else { return Ok(None) };
        let reader = Reader::new(source);
        let boxes = TrackBoxes {
            id: self.id,
            tkhd: reader.body(tkhd, MAX_BODY).await?.0,
            hdlr: reader.body(hdlr, MAX_BODY).await?.0,
            stsd: stsd.0,
            description: tables.description,
            scale: self.timing.scale,
        };
        Ok(Some((boxes, tables)))
    }

    /// Reads the boxes and the sample tables that a slice needs. Returns `None` if a box is missing or a table is too
    /// large.
    pub(super) async fn load(
        &self,
        source: &Source,
    ) -> Result<Option<(TrackBoxes, Loaded, Option<Packing>)>, Error> {
        let Some((boxes, tables)) = self.boxes(source).await? else { return Ok(None) };
        let Some(loaded) = tables.load(source, &self.timing).await? else { return Ok(None) };
        let is_packed = tables.sizes.uniform(1).is_some() && loaded.times.decode.is_one_tick();
        let stsd = Fields(boxes.stsd.clone());
        let packing = if is_packed { Packing::read(stsd, self.codec) } else { None };
        Ok(Some((boxes, loaded, packing)))
    }
}
