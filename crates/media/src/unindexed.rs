//! Lists the frames of audio in files that have no index: MP3, ADTS, FLAC and Ogg.
//!
//! A frame tells its length only itself, or, in FLAC, ends where the next one begins. So the file is read once, in large
//! blocks, and what is kept of it is where its frames are. Nothing in a file is trusted: a frame counts if others follow it,
//! or if its checksum is right.

mod adts;
mod flac;
mod mp3;
mod ogg;
mod synced;
mod tags;

use std::ops::Range;

use bytes::{Buf, BytesMut};
use upreel_core::Container;

use crate::matroska::AudioCodec;
use crate::remux::{Audio, MAX_SAMPLES, Refusal, Sample, TrackSamples, Unplayable};
use crate::source::{self, Source, Stats, in_parallel};

/// The largest file, in bytes: ten hours at 238 kbit/s.
const MAX_SIZE: u64 = 1 << 30;
/// Bytes that are read at once, and of each request.
const STEP: u64 = 16 << 20;
const PIECE: u64 = 2 << 20;
/// The most bytes of a file that are kept for the next step: more than a frame.
const MAX_KEPT: usize = 4 << 20;
/// The most bytes without a frame before a file is refused.
const MAX_JUNK: u64 = 1 << 20;

/// Lists the samples of a file in one of these containers.
pub(crate) async fn audio_alone(source: &Source, container: Container) -> Result<Audio, Unplayable> {
    match container {
        Container::Mp3 => list(source, synced::Synced::<mp3::Header>::default(), STEP).await,
        Container::Aac => list(source, synced::Synced::<adts::Header>::default(), STEP).await,
        Container::Flac => list(source, flac::Flac::default(), STEP).await,
        Container::Ogg => list(source, ogg::Ogg::default(), STEP).await,
        _ => Err(Refusal("NO_INDEX").into()),
    }
}

/// Finds the frames of a file.
trait Parser {
    /// Reads consecutive bytes of the file, of which the first is at `at`. Returns how many are not needed any more, from the
    /// first on, which can be more than there are. The others are among those of the next call, unless these were the last.
    fn push(&mut self, bytes: &[u8], at: u64, are_last: bool) -> Result<usize, Refusal>;

    /// Returns the frames.
    fn finish(self) -> Result<Audio, Refusal>;
}

/// Reads a file in steps of so many bytes.
async fn list(source: &Source, mut parser: impl Parser, step: u64) -> Result<Audio, Unplayable> {
    if source.size() > MAX_SIZE {
        return Err(Refusal("INDEX_TOO_LARGE").into());
    }
    source.allow(Stats { requests: source.size() / PIECE + source.size() / step + 2, bytes: source.size() });
    let end = tags::audio_end(source).await?;
    let (mut at, mut bytes) = (0u64, BytesMut::new());
    while at < end {
        let from = at.saturating_add(bytes.len() as u64);
        let until = end.min(from.saturating_add(step));
        read(source, from..until, &mut bytes).await?;
        let used = parser.push(&bytes, at, until == end)?;
        at = at.saturating_add(used as u64);
        bytes.advance(used.min(bytes.len()));
        if until == end {
            break;
        }
        if bytes.len() > MAX_KEPT {
            return Err(Refusal("NO_INDEX").into());
        }
    }
    Ok(parser.finish()?)
}

/// Appends a range of the file.
async fn read(source: &Source, range: Range<u64>, to: &mut BytesMut) -> Result<(), source::Error> {
    let starts = (range.start..range.end).step_by(source::to_usize(PIECE));
    let pieces = starts.map(|start| source.fetch(start..range.end.min(start.saturating_add(PIECE))));
    for piece in in_parallel(pieces.collect()).await? {
        to.extend_from_slice(&piece);
    }
    Ok(())
}

/// Appends a sample.
fn keep(
    samples: &mut Vec<Sample>,
    (offset, size): (u64, usize),
    time: i64,
    duration: u32,
) -> Result<(), Refusal> {
    if samples.len() as u64 >= MAX_SAMPLES {
        return Err(Refusal("TOO_LONG"));
    }
    let size = u32::try_from(size).map_err(|_| Refusal("SEGMENT_TOO_LARGE"))?;
    samples.push(Sample { offset, size, duration, time, is_sync: true });
    Ok(())
}

/// Returns the audio of samples at the codec's rate, of which those in `presented` are.
fn audio(codec: &AudioCodec, samples: Vec<Sample>, presented: Range<i64>) -> Result<Audio, Refusal> {
    if samples.is_empty() {
        return Err(Refusal("NO_INDEX"));
    }
    let entry = codec.entry(presented).ok_or(Refusal("AUDIO_CODEC"))?;
    let track = TrackSamples { entry, scale: codec.rate, samples, gaps: Vec::new() };
    Ok(Audio { track, language: None })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// Lists the frames of a file. They have to be the same, however large the steps are.
    pub(super) async fn listed<P: Parser + Default>(file: &[u8]) -> Result<Audio, &'static str> {
        let mut all = Vec::new();
        for step in [STEP, 1000, 33_333] {
            let source = Source::new(file.len() as u64, Bytes::copy_from_slice(file));
            all.push(match list(&source, P::default(), step).await {
                Ok(audio) => Ok(audio),
                Err(Unplayable::Refused(refusal)) => Err(refusal.0),
                Err(error) => panic!("{error}"),
            });
        }
        let seen = |made: &Result<Audio, &'static str>| {
            made.as_ref()
                .map(|audio| (audio.track.samples.clone(), audio.track.gaps.clone()))
                .map_err(|code| *code)
        };
        assert!(all.iter().all(|made| seen(made) == seen(&all[0])), "other steps, other frames");
        all.swap_remove(0)
    }

    /// Returns offsets, sizes, times and durations of samples.
    pub(super) fn rows(audio: &Audio) -> Vec<(u64, u32, i64, u32)> {
        audio.track.samples.iter().map(|s| (s.offset, s.size, s.time, s.duration)).collect()
    }

    /// Changes each byte of a file in some ways, and cuts it off everywhere. No result may be impossible.
    pub(super) async fn assail<P: Parser + Default>(file: &[u8]) {
        let check = async |file: Vec<u8>| {
            let source = Source::new(file.len() as u64, Bytes::from(file));
            let size = source.size();
            let Ok(Audio { track, .. }) = list(&source, P::default(), STEP).await else { return };
            assert!(track.scale > 0 && !track.samples.is_empty());
            assert!(track.samples.iter().all(|sample| sample.offset + u64::from(sample.size) <= size));
            assert!(track.gaps.iter().all(|gap| gap.start <= gap.end && gap.end <= size));
        };
        for at in 0..file.len() {
            check(file[..at].to_vec()).await;
            for byte in [0, 0x7F, 0xFF, file[at] ^ 1] {
                let mut changed = file.to_vec();
                changed[at] = byte;
                check(changed).await;
            }
        }
    }

    #[tokio::test]
    async fn large_files_are_refused_unread() {
        struct Unread;
        impl upreel_core::RangeReader for Unread {
            fn read_range(&self, range: Range<u64>) -> upreel_core::range::RangeRead<'_> {
                panic!("{range:?}")
            }
        }
        let source = Source::new(MAX_SIZE + 1, Unread);
        for container in [Container::Mp3, Container::Aac, Container::Flac, Container::Ogg] {
            let made = audio_alone(&source, container).await;
            assert!(matches!(made, Err(Unplayable::Refused(Refusal("INDEX_TOO_LARGE")))), "{container:?}");
        }
    }

    #[tokio::test]
    async fn files_are_read_once_with_few_requests() {
        let frame = [&b"\xFF\xFB\x90\x64"[..], &[7; 413]].concat();
        let file = Bytes::from(frame.repeat(100_000));
        let source = Source::new(file.len() as u64, file);
        let audio = audio_alone(&source, Container::Mp3).await.unwrap();
        assert_eq!(audio.track.samples.len(), 100_000);
        let Stats { requests, bytes } = source.stats();
        assert!(requests <= 24 && bytes <= source.size() + 1024, "{requests} requests, {bytes} bytes");
    }
}
