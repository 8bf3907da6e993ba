//! Movie fragments (ISO/IEC 14496-12, 8.8): many small `moof` boxes list the samples.
//!
//! A segment index (`sidx`, 8.16.3) before the fragments or a random access box (`mfra`, 8.8.9) at the end locates
//! them. Without either, the reader walks from one fragment to the next, up to a limit.

use super::boxes::{Fields, Header, Reader};
use super::moof::Fragment;
use super::runs::Defaults;
use super::segments::{IndexEntry, find_first, random_access};
use super::tail::find_last;
use super::timing::{Timing, signed};
use crate::keyframe::{Error, Keyframe, span_middles};
use crate::source::{Source, in_parallel};

/// Size of the read at a `moof` box.
pub(super) const MOOF_READ: u64 = 6 * 1024;
/// Largest `moof` or `sidx` box; a `moof` of ten minutes is smaller.
pub(super) const MAX_MOOF: u64 = 1 << 20;
/// Limits of fragments walked without an index, one request each: for up to `FEW` keyframes, and for more.
const FEW: usize = 8;
const MANY: usize = 1000;
/// Limit of boxes between the offset in an index and the `moof`: `styp`, `prft`, `emsg`, another `sidx`.
const MAX_BEFORE: usize = 16;

/// A track's ID, and the defaults for its samples.
type TrackId = (u32, Defaults);

/// A fragmented track.
#[derive(Debug)]
pub(super) struct Fragments {
    film: TrackId,
    /// The fragments that the index lists; empty without an index.
    pub(super) index: Vec<IndexEntry>,
    /// The offset of the first `moof`.
    first_moof: u64,
    /// The first fragment.
    first: Fragment,
    /// The decode time at which the last sample ends, if known.
    end_time: Option<u64>,
    /// The decode times at which the sound starts and ends, in its own timescale, if known.
    sound: (Option<u64>, Option<u64>),
}

impl Fragments {
    /// Reads the first fragment after `moov`, the index of the fragments, if there is one, and the last fragment.
    pub(super) async fn open(
        reader: &mut Reader<'_>,
        moov_end: u64,
        scale: u32,
        film: TrackId,
        sound: Option<TrackId>,
    ) -> Result<Self, Error> {
        let (first_moof, sidx) = find_first(reader, moov_end, film.0, scale).await?;
        let body = reader.body(&first_moof, MAX_MOOF).await?;
        let read = |(track, defaults): TrackId| Fragment::read(&body, first_moof.start, track, defaults);
        let mut fragments = Self {
            film,
            index: Vec::new(),
            first_moof: first_moof.start,
            first: read(film).unwrap_or_default().or_start(Some(0)),
            end_time: None,
            sound: (sound.and_then(read).and_then(|first| first.start_time), None),
        };
        // Each segment may have its own `sidx`. Only one that covers (nearly) the whole file is useful.
        let size = reader.source.size();
        if let Some(sidx) = sidx.filter(|sidx| sidx.end >= size - size / 8) {
            fragments.end_time = Some(sidx.duration.saturating_add(fragments.start_time()));
            fragments.index = sidx.entries;
            fragments.align_index();
        } else {
            fragments.index = random_access(reader, film.0).await?;
            fragments.align_index();
            fragments.end_time = fragments.find_end(reader).await?;
        }
        if let Some((track, defaults)) = sound {
            let end = |body: &Fields, at| Fragment::read(body, at, track, defaults)?.end_time();
            fragments.sound.1 = find_last(reader, first_moof.start, end).await?;
        }
        Ok(fragments)
    }

    /// Counts the times of an index that starts at 0 as the fragments do, which may continue a live stream.
    fn align_index(&mut self) {
        let first = self.first.keyframe_time().and_then(|time| u64::try_from(time).ok());
        if let (Some(first), Some(entry)) = (first, self.index.first())
            && entry.time < first
            && entry.offset <= self.first_moof
        {
            let missing = first - entry.time;
            self.index.iter_mut().for_each(|entry| entry.time = entry.time.saturating_add(missing));
        }
    }

    /// Returns the decode time at which the last fragment ends, if it can be found.
    async fn find_end(&self, reader: &mut Reader<'_>) -> Result<Option<u64>, Error> {
        if let Some(entry) = self.index.last() {
            let last = self.at(reader, entry).await?;
            return Ok(last.and_then(|last| last.end_time()));
        }
        let (track, defaults) = self.film;
        let end = |body: &Fields, at| {
            let fragment = Fragment::read(body, at, track, defaults)?;
            Some(fragment.end_time()).filter(|_| fragment.samples > 0)
        };
        if let Some(Some(end)) = find_last(reader, self.first_moof, end).await? {
            return Ok(Some(end));
        }
        // The last fragment is very large, or fragments do not say when they start.
        let chain = self.walk(reader, MANY).await?;
        Ok(chain.fragments.last().filter(|_| chain.complete).and_then(Fragment::end_time))
    }

    /// Returns the decode time of the first sample.
    fn start_time(&self) -> u64 {
        self.first.start_time.unwrap_or(0)
    }

    /// Sets the end of the media, and the origin of a live stream whose start is missing. If `continues`, the fragments
    /// continue what the tables list.
    pub(super) fn set_times(&self, timing: &mut Timing, continues: bool, sound: Option<&Timing>) {
        timing.media_duration =
            self.end_time.unwrap_or_else(|| timing.media_duration.saturating_add(self.start_time()));
        timing.edits.extend();
        if continues {
            return;
        }
        let start = signed(self.start_time()).saturating_add(self.first.first_offset.into());
        let film = timing.edits.time_after(start);
        let sound = sound
            .zip(self.sound.0)
            .map(|(sound, start)| rescaled(sound.edits.time_after(signed(start)), sound.scale, timing.scale));
        let earlier = sound.filter(|sound| film.saturating_sub(*sound) > padding(timing.scale));
        timing.origin = earlier.unwrap_or(film).max(0);
    }

    /// Returns when the longer of film and sound ends, in milliseconds, if it is known.
    pub(super) fn ends(&self, timing: &Timing, sound: Option<&Timing>) -> Option<u64> {
        // Composition times are as much later at the end as they are at the start, which is 0 unless an edit or the
        // origin says otherwise.
        let offset = i64::from(self.first.first_offset).max(0);
        let skipped = timing.edits.iter().next().map_or(0, |edit| edit.media).max(timing.origin);
        let end = signed(self.end_time?).saturating_add(offset.min(skipped));
        let film = timing.edits.time_after(end);
        let sound = sound
            .zip(self.sound.1)
            .map(|(sound, end)| rescaled(sound.edits.time_after(signed(end)), sound.scale, timing.scale));
        let longer = sound.filter(|sound| sound.saturating_sub(film) > padding(timing.scale));
        Some(timing.ms(longer.unwrap_or(film)))
    }

    /// Returns the number of samples and the duration of the first fragment, from which the frame rate follows.
    pub(super) fn samples_and_duration(&self) -> (u64, u64) {
        (self.first.samples, self.first.duration)
    }

    /// Returns at most `n` keyframes, spread evenly, in presentation order.
    pub(super) async fn keyframes(
        &self,
        source: &Source,
        timing: &Timing,
        n: usize,
    ) -> Result<Vec<Keyframe>, Error> {
        let wanted = span_middles(n).map(|middle| {
            let time = timing.time_at(middle);
            let time = timing.edits.at(time).map_or(time, |edit| edit.media_at(time));
            self.index.partition_point(|entry| signed(entry.time) <= time).saturating_sub(1)
        });
        let fragments = select(&self.index, wanted)
            .into_iter()
            .map(|entry| async move { self.at(&mut Reader::new(source), &entry).await });
        let mut found: Vec<Fragment> =
            in_parallel(fragments.collect()).await?.into_iter().flatten().collect();
        found.retain(|fragment| fragment.keyframe.is_some());
        // Without an index, or if none of the fragments contains a keyframe, walk from the start.
        if found.is_empty() {
            let limit = if n <= FEW { FEW } else { MANY };
            let mut all = self.walk(&mut Reader::new(source), limit).await?.fragments;
            all.retain(|fragment| fragment.keyframe.is_some());
            found = select(&all, span_middles(n).map(|middle| at_fraction(all.len(), middle)));
        }
        let keyframes = found.into_iter().filter_map(|fragment| {
            let time = timing.edits.times_of(fragment.keyframe_time()?).next()?;
            Some(Keyframe::new(timing.ms(time), fragment.keyframe?.range))
        });
        let mut keyframes: Vec<_> = keyframes.collect();
        // Fragments need not be stored in the order of time.
        keyframes.sort_by_key(|keyframe| keyframe.time_ms);
        Ok(keyframes)
    }

    /// Reads the fragments of the index, or without one all fragments. Returns `None` if there are more than `limit`.
    pub(super) async fn all(&self, source: &Source, limit: usize) -> Result<Option<Vec<Fragment>>, Error> {
        if self.index.is_empty() {
            let chain = self.walk(&mut Reader::new(source), limit.min(MANY)).await?;
            return Ok(Some(chain.fragments).filter(|_| chain.complete));
        }
        if self.index.len() > limit {
            return Ok(None);
        }
        let entries = self.index.iter();
        let entries = entries.map(|entry| async move { self.at(&mut Reader::new(source), entry).await });
        Ok(Some(in_parallel(entries.collect()).await?.into_iter().flatten().collect()))
    }

    /// Reads the fragment of an index entry, whose `moof` is at its offset or up to `MAX_BEFORE` boxes later.
    async fn at(&self, reader: &mut Reader<'_>, entry: &IndexEntry) -> Result<Option<Fragment>, Error> {
        let mut at = entry.offset;
        for _ in 0..MAX_BEFORE {
            match reader.header(at, u64::MAX, MOOF_READ).await? {
                Some(header) if header.name == *b"moof" => {
                    return self
                        .read(reader, &header)
                        .await
                        .map(|found| Some(found.or_presented(entry.time)));
                }
                Some(header) if header.name != *b"mdat" => at = header.body.end,
                _ => break,
            }
        }
        Ok(None)
    }

    /// Reads up to `limit` fragments from the first one on. One that does not say when it starts follows the one before.
    async fn walk(&self, reader: &mut Reader<'_>, limit: usize) -> Result<Chain, Error> {
        let mut fragments = Vec::new();
        let mut at = self.first_moof;
        let mut end = Some(0);
        while fragments.len() < limit {
            let Some(header) = reader.header(at, u64::MAX, MOOF_READ).await? else {
                return Ok(Chain { fragments, complete: true });
            };
            if header.name == *b"moof" {
                let fragment = self.read(reader, &header).await?.or_start(end);
                end = fragment.end_time();
                fragments.push(fragment);
            }
            at = header.body.end;
        }
        Ok(Chain { fragments, complete: false })
    }

    async fn read(&self, reader: &Reader<'_>, moof: &Header) -> Result<Fragment, Error> {
        let body = reader.body(moof, MAX_MOOF).await?;
        let (track, defaults) = self.film;
        Ok(Fragment::read(&body, moof.start, track, defaults).unwrap_or_default())
    }
}

/// Returns the longest time that sound starts before the film or ends after it only because of its encoder's delay or
/// its last block: two of the longest AAC frames.
fn padding(scale: u32) -> i64 {
    i64::from(scale / 10)
}

/// Converts a time to another timescale.
fn rescaled(time: i64, from: u32, to: u32) -> i64 {
    let time = i128::from(time) * i128::from(to);
    i64::try_from(time.div_euclid(i128::from(from.max(1)))).unwrap_or(i64::MAX)
}

/// Consecutive fragments from the first one on.
struct Chain {
    fragments: Vec<Fragment>,
    /// Whether the last one is the last of the object.
    complete: bool,
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "an approximate index, checked by its user"
)]
fn at_fraction(len: usize, fraction: f64) -> usize {
    (len as f64 * fraction) as usize
}

/// Returns the elements at the ascending indices `wanted`, each once.
fn select<T: Clone>(list: &[T], wanted: impl Iterator<Item = usize>) -> Vec<T> {
    let mut wanted: Vec<usize> = wanted.collect();
    wanted.dedup();
    wanted.into_iter().filter_map(|i| list.get(i).cloned()).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::boxes::tests::atom;
    use super::*;

    /// A fragment of track 1 with one keyframe of four bytes, which are its decode time, and of 100 ticks.
    fn fragment(time: u32, with_time: bool) -> Vec<u8> {
        let moof = |len| {
            let traf = [
                atom(*b"tfhd", &[0x02_0008, 1, 100], &[]),
                if with_time { atom(*b"tfdt", &[0, time], &[]) } else { Vec::new() },
                atom(*b"trun", &[0x0201, 1, len + 8, 4], &[]),
            ];
            let mfhd = atom(*b"mfhd", &[0, 1], &[]);
            atom(*b"moof", &[], &[mfhd, atom(*b"traf", &[], &traf.concat())].concat())
        };
        let len = u32::try_from(moof(0).len()).unwrap();
        [moof(len), atom(*b"mdat", &[time], &[])].concat()
    }

    /// Opens an object of fragments. Returns the timing, too.
    async fn open(object: Vec<u8>) -> (Source, Fragments, Timing) {
        let object: Bytes = object.into();
        let source = Source::new(object.len() as u64, object);
        let film = (1, Defaults::default());
        let fragments = Fragments::open(&mut Reader::new(&source), 0, 1000, film, None).await.unwrap();
        let mut timing = Timing { scale: 1000, ..Timing::default() };
        fragments.set_times(&mut timing, false, None);
        (source, fragments, timing)
    }

    async fn times(source: &Source, fragments: &Fragments, timing: &Timing, n: usize) -> Vec<u64> {
        let keyframes = fragments.keyframes(source, timing, n).await.unwrap();
        keyframes.iter().map(|keyframe| keyframe.time_ms).collect()
    }

    #[tokio::test]
    async fn keyframes_are_in_presentation_order() {
        let object = [fragment(0, true), fragment(1500, true), fragment(500, true)].concat();
        let (source, fragments, timing) = open(object).await;
        for keyframe in fragments.keyframes(&source, &timing, 3).await.unwrap() {
            let bytes = source.fetch(keyframe.range).await.unwrap();
            assert_eq!(bytes[..], u32::try_from(keyframe.time_ms).unwrap().to_be_bytes());
        }
        assert_eq!(times(&source, &fragments, &timing, 3).await, [0, 500, 1500]);
    }

    #[tokio::test]
    async fn the_last_of_many_fragments_ends_the_video() {
        let object: Vec<u8> = (0..400).flat_map(|i| fragment(i * 100, true)).collect();
        let (source, fragments, timing) = open(object).await;
        assert_eq!(fragments.ends(&timing, None), Some(40_000));
        assert_eq!(times(&source, &fragments, &timing, 100).await.len(), 100);
    }

    #[tokio::test]
    async fn a_stream_that_was_joined_late_starts_at_0() {
        let object: Vec<u8> = (0..10).flat_map(|i| fragment(1_000_000 + i * 100, true)).collect();
        let (source, fragments, timing) = open(object).await;
        assert_eq!(fragments.ends(&timing, None), Some(1000));
        assert_eq!(
            times(&source, &fragments, &timing, 10).await,
            (0..10).map(|i| i * 100).collect::<Vec<_>>()
        );
    }

    #[tokio::test]
    async fn fragments_without_decode_times_follow_each_other() {
        let object: Vec<u8> = (0..20).flat_map(|_| fragment(0, false)).collect();
        let (source, fragments, timing) = open(object).await;
        assert_eq!(fragments.ends(&timing, None), Some(2000));
        assert_eq!(times(&source, &fragments, &timing, 100).await.last(), Some(&1900));
    }
}
