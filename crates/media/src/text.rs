//! Text tracks of a video, as captions: those of MP4 (3GPP timed text, `WebVTT`) and Matroska (`SubRip`, ASS, `WebVTT`).
//!
//! The index tells where the texts are, and only they are read: a request for each, or for several that are close together.
//! A video is usable without them. So a track that is damaged, or would take too many reads, is left out.

mod read;
mod sample;

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use upreel_core::LanguageTag;
use upreel_core::captions::{self, Cue, Kind, MAX_BYTES, MAX_TRACKS, Text};

use self::read::Reads;
pub(crate) use self::read::{Block, Found, MAX_TEXT};
pub(crate) use self::sample::Format;
use crate::index::Index;
use crate::source::{self, Source, Stats};

/// The most samples of a track, and of all tracks.
pub(crate) const MAX_SAMPLES: usize = 20_000;
const MAX_ALL_SAMPLES: usize = 100_000;
/// The latest time of a text, in milliseconds: a month.
const MAX_TIME: u64 = 31 * 24 * 3_600_000;
/// How long a text is shown that does not say so, in milliseconds, if no other one follows.
const DEFAULT_DURATION: u64 = 5000;

/// A text track of a video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextTrack {
    /// The language, `und` if it is not known.
    pub language: LanguageTag,
    /// The name of the track.
    pub label: Option<String>,
    /// What it is for.
    pub kind: Kind,
    /// Its cues, at the times of the video.
    pub text: Text,
}

/// The text tracks of a video: one of each language.
#[derive(Debug, Default)]
pub struct TextTracks {
    /// The tracks that could be read.
    pub tracks: Vec<TextTrack>,
    /// The languages of the others, and why they are left out.
    pub left_out: Vec<(LanguageTag, LeftOut)>,
    /// What was read for them.
    pub stats: Stats,
}

/// Why a text track is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeftOut {
    /// The index does not tell where its texts are.
    #[error("the index does not tell where its texts are")]
    NoIndex,
    /// Its texts are scattered over the file, or large.
    #[error("it would take too many reads")]
    TooManyReads,
    /// It has too many texts, or they are too long.
    #[error("it is too large")]
    TooLarge,
    /// It cannot be read.
    #[error("it is damaged")]
    Damaged,
}

/// Which one players take of several tracks in a language. Of equal ones, it is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    pub(crate) enabled: bool,
    pub(crate) default: bool,
    /// It is not a commentary.
    pub(crate) is_main: bool,
}

/// A text track whose samples have not been listed.
#[derive(Debug)]
pub(crate) struct Listed {
    /// What the container knows it by.
    pub(crate) number: u64,
    /// A code of ISO 639 or a tag of BCP 47.
    pub(crate) language: Option<String>,
    pub(crate) label: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) rank: Rank,
    pub(crate) format: Format,
}

/// Where a text is, and when it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sample {
    /// The bytes to read.
    pub(crate) range: Range<u64>,
    /// The number of the track in a block of Matroska. A sample of MP4 is the whole range.
    pub(crate) block: Option<u64>,
    /// When it is shown, in milliseconds.
    pub(crate) start: u64,
    /// Until when, if that is known.
    pub(crate) end: Option<u64>,
}

/// A text in memory.
#[derive(Debug, Clone)]
struct Shown {
    start: u64,
    end: Option<u64>,
    block: Block,
}

impl Index {
    /// Reads the text tracks: of each language the one that players take. Forced subtitles are not captions.
    ///
    /// # Errors
    /// Fails if the object cannot be read.
    pub async fn text_tracks(&self, source: &Source) -> Result<TextTracks, source::Error> {
        let mut found = TextTracks::default();
        let mut chosen = Vec::new();
        let mut total = 0;
        let listed = match self.listed_text(source).await {
            Err(source::Error::Limit) => return Ok(found),
            listed => listed?,
        };
        for (language, track) in choose(listed) {
            let listed = match self.text_samples(source, track.number).await {
                Err(source::Error::Limit) => Err(LeftOut::TooManyReads),
                Err(error) => return Err(error),
                Ok(listed) => listed,
            };
            match listed {
                Ok(samples) if samples.len() > MAX_SAMPLES || total + samples.len() > MAX_ALL_SAMPLES => {
                    found.left_out.push((language, LeftOut::TooLarge));
                }
                Ok(samples) => {
                    total += samples.len();
                    chosen.push((language, track, samples));
                }
                Err(reason) => found.left_out.push((language, reason)),
            }
        }
        let mut reads = Reads::default();
        while !reads.allow(source, chosen.iter().flat_map(|(.., samples)| samples)) {
            let Some((language, ..)) = chosen.pop() else { break };
            found.left_out.push((language, LeftOut::TooManyReads));
        }
        let mut samples = chosen.iter().map(|(.., samples)| samples.as_slice());
        let blocks = reads.blocks(source, samples.by_ref().collect::<Vec<_>>().concat()).await;
        found.stats = reads.stats();
        let mut blocks = match blocks {
            Err(source::Error::Limit) => {
                let left_out = chosen.into_iter().map(|(language, ..)| (language, LeftOut::TooManyReads));
                found.left_out.extend(left_out);
                return Ok(found);
            }
            blocks => blocks?.into_iter(),
        };
        for (language, track, samples) in chosen {
            let shown = samples.iter().zip(blocks.by_ref()).map(|(sample, block)| {
                let block = self.decoded_text(track.number, block?)?;
                let until = block.duration.map(|duration| sample.start.saturating_add(duration));
                Some(Shown { start: sample.start, end: until.or(sample.end), block })
            });
            // All blocks of a track are taken, so that the next track gets its own.
            let shown: Vec<Option<Shown>> = shown.collect();
            match text(track.format, shown) {
                Ok(text) if text.end_ms == 0 => {}
                Ok(text) => {
                    // Some programs end a name with a zero.
                    let label = track.label.as_deref().map(|label| label.trim_end_matches('\0'));
                    let label = label.and_then(|label| captions::label(label).ok());
                    found.tracks.push(TextTrack { language, label, kind: track.kind, text });
                }
                Err(reason) => found.left_out.push((language, reason)),
            }
        }
        Ok(found)
    }
}

/// Chooses a track of each language, those that players prefer first.
fn choose(listed: Vec<Listed>) -> Vec<(LanguageTag, Listed)> {
    let mut chosen: BTreeMap<LanguageTag, Listed> = BTreeMap::new();
    for track in listed {
        let known = track.language.as_deref().and_then(|language| language.parse().ok());
        let Some(language) = known.or_else(|| "und".parse().ok()) else { continue };
        if chosen.get(&language).is_none_or(|other| track.rank > other.rank) {
            chosen.insert(language, track);
        }
    }
    let mut chosen: Vec<_> = chosen.into_iter().collect();
    chosen.sort_by_key(|(_, track)| std::cmp::Reverse(track.rank));
    chosen.truncate(MAX_TRACKS);
    chosen
}

/// Converts the texts of a track.
fn text(format: Format, shown: Vec<Option<Shown>>) -> Result<Text, LeftOut> {
    let mut shown = shown.into_iter().collect::<Option<Vec<_>>>().ok_or(LeftOut::Damaged)?;
    shown.sort_by_key(|shown| shown.start);
    let starts: Vec<u64> = shown.iter().map(|shown| shown.start).collect();
    let mut cues: Vec<Cue> = Vec::new();
    for Shown { start, end, block } in shown {
        let next = starts.get(starts.partition_point(|other| *other <= start));
        let longest = start.saturating_add(DEFAULT_DURATION);
        let end = end.unwrap_or_else(|| next.map_or(longest, |next| longest.min(*next)));
        if end > MAX_TIME {
            return Err(LeftOut::Damaged);
        }
        for cue in format.cues(&block, (start, end)).ok_or(LeftOut::Damaged)? {
            // The samples of `WebVTT` in MP4 do not overlap, so a cue can have several. ASS repeats a line for each of its
            // layers.
            let is_repeated = cues.iter().rev().take(8).any(|other| *other == cue);
            match cues.iter_mut().rev().take(8).find(|other| format.is_split() && other.goes_on_in(&cue)) {
                Some(other) => other.extend_to(end),
                None if is_repeated => {}
                None => cues.push(cue),
            }
        }
    }
    let text = Text::write(cues, format.is_webvtt());
    if text.text.len() > MAX_BYTES { Err(LeftOut::TooLarge) } else { Ok(text) }
}

/// Returns the text of bytes in UTF-8. One wrong byte is no reason to leave out a track.
pub(crate) fn utf8(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests;
