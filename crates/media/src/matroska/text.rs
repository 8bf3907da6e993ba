//! The text tracks: `SubRip`, ASS and `WebVTT`.
//!
//! Their blocks are between those of the film, but the Cues of most programs list all of them. A cue states where the data
//! of a Cluster has the block. The header of the Cluster before it has one of a few lengths, so it is not read. A file
//! without such Cues is read if it is small.

use std::io::Read;

use bytes::Bytes;
use flate2::read::ZlibDecoder;
use upreel_core::captions::Kind;

use super::clusters::{Blocks, Header};
use super::ebml::{self, HEAD_MAX, child, children, id};
use super::window::Window;
use super::{Track, ticks_to_ms};
use crate::keyframe::Error;
use crate::source::{self, Source};
use crate::text::{Block, Format, Found, LeftOut, Listed, MAX_SAMPLES, MAX_TEXT, Rank, Sample};

/// Largest file that is read to find texts that the Cues do not list, in bytes.
const WALK_MAX: u64 = 8 << 20;
/// Bytes to read of a block, of which most are shorter.
const BLOCK_READ: u64 = 1024;
/// The shortest header of a Cluster.
const CLUSTER_HEAD: u64 = 5;
/// A type of track (section 5.1.4.1.3).
const SUBTITLES: u64 = 17;
const METADATA: u64 = 33;

impl Track {
    /// Lists the text tracks whose format is known.
    pub(crate) fn listed_text(&self) -> Vec<Listed> {
        let entries = children(&self.tracks).filter(|child| child.id == id::TRACK_ENTRY);
        entries.filter_map(|entry| list(entry.data)).collect()
    }

    /// Returns the samples of the text track with a number.
    pub(crate) async fn text_samples(
        &self,
        source: &Source,
        number: u64,
    ) -> Result<Result<Vec<Sample>, LeftOut>, source::Error> {
        let cues = match self.cues_data(source).await {
            Ok(cues) => cues.unwrap_or_default(),
            Err(Error::Source(error)) => return Err(error),
            Err(_) => Bytes::new(),
        };
        let points = children(&cues).filter(|child| child.id == id::CUE_POINT);
        let samples = points.flat_map(|point| self.samples_of(point.data, number));
        let samples: Option<Vec<Sample>> = samples.take(MAX_SAMPLES + 1).collect();
        match samples {
            Some(samples) if !samples.is_empty() => Ok(Ok(samples)),
            _ => self.walk_for_text(source, number).await,
        }
    }

    /// Returns the blocks of a track that a `CuePoint` lists; `None` for one without a position in its Cluster.
    fn samples_of(&self, point: &[u8], number: u64) -> Vec<Option<Sample>> {
        let Some(time) = uint(point, id::CUE_TIME) else { return Vec::new() };
        let positions = children(point).filter(|child| {
            child.id == id::CUE_TRACK_POSITIONS && uint(child.data, id::CUE_TRACK) == Some(number)
        });
        let sample = |positions: &[u8]| {
            let cluster = self.segment.start.checked_add(uint(positions, id::CUE_CLUSTER_POSITION)?)?;
            let block = uint(positions, id::CUE_RELATIVE_POSITION)?;
            let from = cluster.checked_add(CLUSTER_HEAD)?.checked_add(block)?;
            let start = self.time_ms(time)?;
            let lasts = uint(positions, id::CUE_DURATION).and_then(|ticks| ticks_to_ms(ticks, self.scale));
            Some(Sample {
                range: from..from.saturating_add(HEAD_MAX + BLOCK_READ).min(self.segment.end),
                block: Some(number),
                start,
                end: lasts.map(|lasts| start.saturating_add(lasts)),
            })
        };
        positions.map(|positions| sample(positions.data)).collect()
    }

    /// Finds the blocks of a track in a small file.
    async fn walk_for_text(
        &self,
        source: &Source,
        number: u64,
    ) -> Result<Result<Vec<Sample>, LeftOut>, source::Error> {
        let len = self.segment.end.saturating_sub(self.clusters_start);
        if len > WALK_MAX {
            return Ok(Err(LeftOut::NoIndex));
        }
        let bytes = source.read(self.clusters_start..self.segment.end).await?;
        let window = Window::new(source, 0, 0, 0).over(self.clusters_start, bytes);
        let mut blocks = Blocks::new(self, window, self.clusters_start);
        let mut samples = Vec::new();
        while let Some(block) = blocks.next().await? {
            if block.track == number && samples.len() <= MAX_SAMPLES {
                let Some(start) = self.time_ms(block.time) else { return Ok(Err(LeftOut::Damaged)) };
                samples.push(Sample { range: block.element, block: Some(number), start, end: None });
            }
        }
        Ok(if blocks.are_complete() { Ok(samples) } else { Err(LeftOut::Damaged) })
    }

    /// Converts the texts of a track as it tells to, and their durations to milliseconds.
    pub(crate) fn decode_text(&self, number: u64, block: Block) -> Option<Block> {
        let entries = children(&self.tracks).filter(|child| child.id == id::TRACK_ENTRY);
        let mut entries = entries.map(|entry| entry.data);
        let entry = entries.find(|entry| uint(entry, id::TRACK_NUMBER) == Some(number))?;
        let payload = Encoding::of(entry)?.decode(block.payload)?;
        let declared = || uint(entry, id::DEFAULT_DURATION).map(|ns| ns / 1_000_000);
        let duration = block.duration.and_then(|ticks| ticks_to_ms(ticks, self.scale)).or_else(declared);
        Some(Block { payload, duration, ..block })
    }
}

fn uint(bytes: &[u8], id: u32) -> Option<u64> {
    child(bytes, id).and_then(ebml::uint)
}

fn list(entry: &[u8]) -> Option<Listed> {
    let text = |id| child(entry, id).and_then(ebml::text).map(str::to_owned);
    let flag = |id, default| uint(entry, id).map_or(default, |flag| flag != 0);
    if !matches!(uint(entry, id::TRACK_TYPE), Some(SUBTITLES | METADATA)) || flag(id::FLAG_FORCED, false) {
        return None;
    }
    let (format, mut kind) = match text(id::CODEC_ID)?.as_str() {
        "S_TEXT/UTF8" | "S_TEXT/ASCII" => (Format::SubRip, Kind::Subtitles),
        "S_TEXT/ASS" | "S_TEXT/SSA" | "S_ASS" | "S_SSA" => (Format::Ass, Kind::Subtitles),
        "S_TEXT/WEBVTT" => (Format::WebVtt, Kind::Subtitles),
        "D_WEBVTT/SUBTITLES" => (Format::WebmVtt, Kind::Subtitles),
        "D_WEBVTT/CAPTIONS" => (Format::WebmVtt, Kind::Captions),
        _ => return None,
    };
    Encoding::of(entry)?;
    if flag(id::FLAG_HEARING_IMPAIRED, false) {
        kind = Kind::Captions;
    }
    let (enabled, default) = (flag(id::FLAG_ENABLED, true), flag(id::FLAG_DEFAULT, true));
    let rank = Rank { enabled, default, is_main: !flag(id::FLAG_COMMENTARY, false) };
    Some(Listed {
        number: uint(entry, id::TRACK_NUMBER).filter(|number| *number > 0)?,
        // A track without a language is in English (section 5.1.4.1.19).
        language: text(id::LANGUAGE_BCP_47).or_else(|| text(id::LANGUAGE)).or_else(|| Some("en".to_owned())),
        label: text(id::NAME),
        kind,
        rank,
        format,
    })
}

/// How the frames of a track are stored (section 5.1.4.1.31).
#[derive(Debug, PartialEq, Eq)]
enum Encoding<'a> {
    /// All of them begin with these bytes, which are not stored.
    Stripped(&'a [u8]),
    Zlib,
}

impl<'a> Encoding<'a> {
    /// Returns the encoding of a track, or `None` if it is another one, or an encryption.
    fn of(entry: &'a [u8]) -> Option<Self> {
        let Some(encodings) = child(entry, id::CONTENT_ENCODINGS) else { return Some(Self::Stripped(&[])) };
        let mut encodings = children(encodings).filter(|child| child.id == id::CONTENT_ENCODING);
        let (encoding, None) = (encodings.next()?.data, encodings.next()) else { return None };
        if uint(encoding, id::CONTENT_ENCODING_TYPE).unwrap_or(0) != 0 {
            return None;
        }
        let compression = child(encoding, id::CONTENT_COMPRESSION).unwrap_or_default();
        match uint(compression, id::CONTENT_COMP_ALGO).unwrap_or(0) {
            0 => Some(Self::Zlib),
            3 => Some(Self::Stripped(child(compression, id::CONTENT_COMP_SETTINGS).unwrap_or_default())),
            _ => None,
        }
    }

    fn decode(&self, stored: Bytes) -> Option<Bytes> {
        match self {
            Self::Stripped([]) => Some(stored),
            Self::Stripped(start) => Some([start, &stored[..]].concat().into()),
            Self::Zlib => {
                let mut text = Vec::new();
                let len = ZlibDecoder::new(&stored[..]).take(MAX_TEXT + 1).read_to_end(&mut text).ok()?;
                (len as u64 <= MAX_TEXT).then(|| text.into())
            }
        }
    }
}

/// Finds the block of a track near the start of `bytes`, which begin up to seven bytes before it.
pub(crate) fn text_block(bytes: &Bytes, track: u64) -> Found {
    let mut found = (0..=HEAD_MAX - CLUSTER_HEAD).map(|at| block_at(bytes, at, track));
    found.find(|found| *found != Found::Nothing).unwrap_or(Found::Nothing)
}

/// Returns the data of the Block in that of a `BlockGroup`, of which either can be cut.
fn start_of_block(group: &[u8]) -> Option<&[u8]> {
    let before = children(group).take_while(|child| child.id != id::BLOCK);
    let rest = group.get(before.map(|child| child.all.len()).sum()..)?;
    let head = ebml::head(rest).filter(|head| head.id == id::BLOCK)?;
    rest.get(head.len..)
}

/// Reads the `BlockGroup` or `SimpleBlock` at `at`. The duration is in ticks.
fn block_at(bytes: &Bytes, at: u64, track: u64) -> Found {
    let start = source::to_usize(at);
    let Some(head) = bytes.get(start..).and_then(ebml::head) else { return Found::Nothing };
    let Some(size) = head.size.filter(|size| *size <= MAX_TEXT) else { return Found::Nothing };
    let data = start + head.len;
    let end = data + source::to_usize(size);
    let own = bytes.get(data..end.min(bytes.len())).unwrap_or_default();
    let block = match head.id {
        id::SIMPLE_BLOCK => own,
        id::BLOCK_GROUP => start_of_block(own).unwrap_or_default(),
        _ => return Found::Nothing,
    };
    if Header::parse(block).is_none_or(|header| header.track != track) {
        return Found::Nothing;
    }
    if end > bytes.len() {
        return Found::Longer(at..end as u64);
    }
    let whole = if head.id == id::SIMPLE_BLOCK { Some(own) } else { child(own, id::BLOCK) };
    let Some((block, header)) = whole.and_then(|block| Some((block, Header::parse(block)?))) else {
        return Found::Nothing;
    };
    let additions = child(own, id::BLOCK_ADDITIONS).and_then(|it| child(it, id::BLOCK_MORE));
    let is_group = head.id == id::BLOCK_GROUP;
    Found::Block(Block {
        payload: bytes.slice_ref(&block[header.len..]),
        duration: uint(own, id::BLOCK_DURATION).filter(|_| is_group),
        settings: additions
            .and_then(|more| child(more, id::BLOCK_ADDITIONAL))
            .map(|settings| bytes.slice_ref(settings))
            .filter(|_| is_group),
    })
}

#[cfg(test)]
mod tests;
