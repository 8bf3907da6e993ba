//! What the Cues tell about a film, with a few reads of the object, however large it is.
//!
//! A cue states the time of a keyframe and its Cluster. The rest is read: where the tracks begin, the last Cluster, and a
//! few keyframes, because the Cues do not tell whether decoding can start there.

use bytes::Bytes;
use upreel_core::video::MediaInfo;

use super::clock::Frames;
use super::clusters::Blocks;
use super::cues::Cue;
use super::ebml::{HEAD_MAX, id};
use super::listed::{Listed, list};
use super::window::Window;
use super::{Track, decoding};
use crate::nal;
use crate::remux::{
    Audio, MAX_BYTES, MAX_SAMPLES, Outline, OutlinedAudio, Refusal, Sample, TrackSamples, Unplayable,
};
use crate::source::{self, Source, in_parallel};

/// Bytes of the first read from the first Cluster on, until all tracks have begun.
const HEAD: u64 = 16 << 10;
/// Bytes of each further read.
const HEAD_READ: u64 = 64 << 10;
/// Limit of all these reads, in bytes.
const HEAD_BUDGET: u64 = 4 << 20;
/// Bytes of each read of the last Clusters.
const TAIL_READ: u64 = 8 << 20;
/// Bytes to read of a keyframe, up to its first slice, and limit of bytes in search of it and of the frame after it.
const KEY_READ: u64 = 4096;
const KEY_BUDGET: u64 = 256 << 10;

/// The Cues are missing or wrong.
const UNUSABLE: Refusal = Refusal("NO_INDEX");

/// A keyframe.
struct Key {
    time: i64,
    cluster: u64,
}

/// Lists the frames of tracks, the film first, in `bytes` from the Cluster at `at` on. The last Cluster ends at `limit`.
pub(crate) async fn blocks_of(
    source: &Source,
    (at, bytes): (u64, Bytes),
    limit: u64,
    numbers: impl Iterator<Item = u64>,
) -> Result<Vec<Listed>, Unplayable> {
    let mut tracks: Vec<Listed> = numbers.map(Listed::new).collect();
    let film = tracks.first().map_or(0, |film| film.number);
    let end = limit.min(at.saturating_add(bytes.len() as u64));
    let window = Window::new(source, 0, 0, 0).over(at, bytes);
    list(&mut Blocks::within(film, end, window, at), &mut tracks, |_| false).await?;
    Ok(tracks)
}

impl Track {
    /// Returns what the Cues tell, or why they do not tell enough.
    pub(crate) async fn outline(&self, source: &Source, facts: &MediaInfo) -> Result<Outline, Unplayable> {
        let cues = self.all_cues(source).await?;
        let (Some(at), Some(last)) = (self.cues, cues.last()) else { return Err(UNUSABLE.into()) };
        let limit = self.limit(source, at, last).await?;
        let head = self.head(source).await?;
        let first = head.first().and_then(|film| film.samples.first()).copied().ok_or(UNUSABLE)?;
        if !first.is_sync {
            return Err(Refusal("STARTS_WITHIN_GOP").into());
        }
        let keys = self.keys(first.time, &cues, limit);
        let last = keys.last().ok_or(UNUSABLE)?;
        let tail = self.tail(source, last, limit).await?;
        let end = self.end(&tail, last)?;
        let ends = keys.iter().skip(1).map(|key| (key.cluster, key.time)).chain([(limit, end)]);
        let sample = |(key, (next, until)): (&Key, (u64, i64))| {
            let offset = key.cluster;
            let size = u32::try_from(next.checked_sub(offset)?).ok()?;
            let duration = u32::try_from(until.checked_sub(key.time)?).ok()?;
            Some(Sample { offset, size, duration, time: key.time, is_sync: true })
        };
        let samples = keys.iter().zip(ends).map(sample).collect::<Option<Vec<_>>>().ok_or(UNUSABLE)?;
        let mut film = self.film(vec![first], source, facts).await?;
        film.track.samples = samples;
        self.examine_some(source, &keys, limit, film.track.entry.units).await?;
        let audio = self.outlined_audio(head, tail)?;
        Ok(Outline { film, number: self.number, tick: self.scale, limit, audio })
    }

    /// Returns where the last Cluster ends at the latest. `cues` is the offset of the Cues, which usually follow it.
    async fn limit(&self, source: &Source, cues: u64, last: &Cue) -> Result<u64, source::Error> {
        let end = self.segment.end;
        if cues <= self.segment.start.saturating_add(last.cluster) {
            return Ok(end);
        }
        // Some tools append Clusters, and leave the Cues as they are.
        let mut window = Window::new(source, HEAD_MAX, HEAD_MAX, KEY_BUDGET);
        let after = window.element(cues).await?.and_then(|element| element.end(end));
        if let Some(after) = after.filter(|after| *after < end)
            && window.element(after).await?.is_some_and(|element| element.id == id::CLUSTER)
        {
            return Ok(end);
        }
        // The header of what follows the last Cluster is read with it.
        Ok(cues.saturating_add(HEAD_MAX).min(end))
    }

    /// Reads blocks until all tracks have begun.
    async fn head(&self, source: &Source) -> Result<Vec<Listed>, Unplayable> {
        let mut tracks = self.tracks();
        let window = Window::new(source, HEAD, HEAD_READ, HEAD_BUDGET);
        let mut blocks = Blocks::new(self, window, self.clusters_start);
        let have_begun = |tracks: &[Listed]| tracks.iter().all(|track| !track.samples.is_empty());
        list(&mut blocks, &mut tracks, have_begun).await?;
        Ok(tracks)
    }

    /// Returns the keyframes at which the film can be cut: the first frame of the film, and of each further Cluster the first
    /// one that a cue points at.
    fn keys(&self, first: i64, cues: &[Cue], limit: u64) -> Vec<Key> {
        let mut keys = vec![Key { time: first, cluster: self.clusters_start }];
        for cue in cues {
            let (Some(last), Ok(time)) = (keys.last(), i64::try_from(cue.time)) else { break };
            let cluster = self.segment.start.saturating_add(cue.cluster);
            if time > last.time && cluster > last.cluster && cluster < limit {
                keys.push(Key { time, cluster });
            }
        }
        keys.truncate(usize::try_from(MAX_SAMPLES).unwrap_or(usize::MAX));
        keys
    }

    /// Reads the blocks from the last keyframe on.
    async fn tail(&self, source: &Source, last: &Key, limit: u64) -> Result<Vec<Listed>, Unplayable> {
        let len = limit.saturating_sub(last.cluster);
        if len > MAX_BYTES {
            return Err(Refusal("SEGMENT_TOO_LARGE").into());
        }
        let mut tracks = self.tracks();
        let window = Window::new(source, TAIL_READ.min(len), TAIL_READ, len + TAIL_READ);
        let mut blocks = Blocks::within(self.number, limit, window, last.cluster);
        list(&mut blocks, &mut tracks, |_| false).await?;
        if blocks.are_complete() { Ok(tracks) } else { Err(UNUSABLE.into()) }
    }

    /// Returns when the film ends.
    fn end(&self, tail: &[Listed], last: &Key) -> Result<i64, Refusal> {
        let frames = tail.first().map_or(&[][..], |film| &film.samples);
        let key = frames.iter().position(|frame| frame.is_sync && frame.time == last.time).ok_or(UNUSABLE)?;
        let mut frames = frames.get(key..).unwrap_or_default().to_vec();
        if frames.iter().skip(1).any(|frame| frame.time <= last.time) {
            return Err(Refusal("OPEN_GOP"));
        }
        self.set_durations(&mut frames);
        frames.iter().max_by_key(|frame| frame.time).map(Sample::end).ok_or(UNUSABLE)
    }

    /// Examines a few keyframes.
    async fn examine_some(
        &self,
        source: &Source,
        keys: &[Key],
        limit: u64,
        units: Option<nal::Format>,
    ) -> Result<(), Unplayable> {
        let last = keys.len().saturating_sub(1);
        // Usually all keyframes but the first one are alike.
        let mut chosen = vec![0, 1, 2, last / 3, last * 2 / 3, last];
        chosen.sort_unstable();
        chosen.dedup();
        let chosen = chosen.into_iter().filter_map(|i| keys.get(i));
        let probes = chosen.map(|key| self.examine(source, key, limit, units));
        let found = in_parallel(probes.collect()).await?;
        Ok(found.into_iter().collect::<Result<(), Refusal>>()?)
    }

    /// Examines whether decoding can start at a keyframe, and whether the frame after it is presented after it.
    async fn examine(
        &self,
        source: &Source,
        key: &Key,
        limit: u64,
        units: Option<nal::Format>,
    ) -> Result<Result<(), Refusal>, source::Error> {
        let window = Window::new(source, KEY_READ, 4 * KEY_READ, KEY_BUDGET);
        let mut blocks = Blocks::within(self.number, limit, window, key.cluster);
        let time = u64::try_from(key.time).unwrap_or(0);
        let found = loop {
            match blocks.next_key().await? {
                Some(block) if block.time == time => break block,
                Some(_) => {}
                None => return Ok(Err(UNUSABLE)),
            }
        };
        let start = blocks.start(&found, KEY_READ).await?;
        if units.is_some_and(|units| !units.is_random_access(start)) {
            return Ok(Err(Refusal("OPEN_GOP")));
        }
        while let Some(block) = blocks.next().await? {
            if block.track == self.number {
                return Ok(if block.time > time { Ok(()) } else { Err(Refusal("OPEN_GOP")) });
            }
        }
        Ok(Ok(()))
    }

    /// Returns where audio tracks begin and end. Those without audio are left out.
    fn outlined_audio(&self, head: Vec<Listed>, tail: Vec<Listed>) -> Result<Vec<OutlinedAudio>, Refusal> {
        let mut all = Vec::new();
        for ((head, tail), entry) in head.into_iter().zip(tail).skip(1).zip(&self.audio) {
            if head.samples.is_empty() && tail.samples.is_empty() {
                continue;
            }
            match self.outlined_track(head, tail, entry) {
                Ok(track) => all.push(track),
                Err(refusal) if all.is_empty() => return Err(refusal),
                Err(_) => {}
            }
        }
        Ok(all)
    }

    fn outlined_track(&self, head: Listed, tail: Listed, data: &[u8]) -> Result<OutlinedAudio, Refusal> {
        let number = head.number;
        let bytes = tail.samples.iter().map(|sample| u64::from(sample.size)).sum::<u64>();
        let count = tail.samples.len() as u64;
        if head.samples.is_empty() {
            return Err(Refusal("AUDIO_GAP"));
        }
        let (entry, clock, origin) = self.audio_entry(data, &head.clone().followed_by(&tail))?;
        let first = clock.times(head, origin).into_iter().next();
        let tail = clock.times(tail, origin);
        let (Some(mut first), Some(last)) = (first, tail.last().copied()) else {
            return Err(Refusal("AUDIO_GAP"));
        };
        if let Frames::MultipleOf(_) = clock.frames {
            let mut durations: Vec<u32> = tail.iter().map(|sample| sample.duration).collect();
            durations.sort_unstable();
            first.duration = durations.get(durations.len() / 2).copied().unwrap_or(0);
        }
        let samples = if last.offset == first.offset { vec![first] } else { vec![first, last] };
        let track = TrackSamples { entry, scale: clock.scale, samples, gaps: Vec::new() };
        let frame_size = bytes / count.max(1);
        let warm_up = if track.entry.decoding.is_some() { decoding::warm_up(data) } else { 0 };
        Ok(OutlinedAudio { audio: Audio { track, language: None }, number, clock, frame_size, warm_up })
    }
}
