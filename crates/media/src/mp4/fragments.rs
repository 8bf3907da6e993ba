//! Movie fragments (ISO/IEC 14496-12, 8.8): many small `moof` boxes list the samples.
//!
//! A segment index (`sidx`, 8.16.3) before the fragments or a random access box (`mfra`, 8.8.9) at the end locates
//! them. Without either, the reader walks from one fragment to the next, up to a limit.

use memchr::memmem;

use super::boxes::{Fields, Header, Reader};
use super::moof::Fragment;
use super::runs::Defaults;
use super::segments::{IndexEntry, find_first, random_access};
use super::tail::find_last;
use super::timing::{Timing, padding, rescaled, signed};
use super::walks::{self, Limits, Walked};
use crate::keyframe::{Error, Keyframe, span_middles};
use crate::source::{Source, in_parallel};

/// Size of the read at a `moof` box.
pub(super) const MOOF_READ: u64 = 6 * 1024;
/// Largest `moof` or `sidx` box; a `moof` of ten minutes is smaller.
pub(super) const MAX_MOOF: u64 = 1 << 20;
/// Limits of fragments read without an index, one request each: for up to `FEW` keyframes, and for more.
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
    pub(super) first_moof: u64,
    /// The first fragment.
    first: Fragment,
    /// The decode time at which the last sample ends, if known.
    end_time: Option<u64>,
    /// The decode times at which the audio starts and ends, in its own timescale, if known.
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
        if fragments.first.encrypted {
            return Err(Error::Encrypted);
        }
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
        if let Some(sound) = sound {
            fragments.sound.1 = fragments.last_end(reader, sound, fragments.sound.0.is_none()).await?;
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
        self.last_end(reader, self.film, true).await
    }

    /// Returns the decode time at which the last fragment of a track ends, if it can be found. Searches the end of the
    /// object, and with `walks` all fragments.
    async fn last_end(
        &self,
        reader: &mut Reader<'_>,
        track: TrackId,
        walks: bool,
    ) -> Result<Option<u64>, Error> {
        let read = |body: &Fields, at| {
            Fragment::read(body, at, track.0, track.1).filter(|fragment| fragment.samples > 0)
        };
        let last = find_last(reader, self.first_moof, read).await?;
        if last.as_ref().is_some_and(|last| last.encrypted) {
            return Err(Error::Encrypted);
        }
        if let Some(end) = last.and_then(|last| last.end_time()) {
            return Ok(Some(end));
        }
        if !walks {
            return Ok(None);
        }
        // The last fragment is very large, or fragments do not say when they start.
        let walked = self.walk(reader.source, track, MANY).await?;
        let last = walked.runs.last().and_then(|fragments| fragments.last());
        Ok(last.filter(|_| walked.is_complete).and_then(Fragment::end_time))
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

    /// Returns when the longer of film and audio ends, in milliseconds, if it is known.
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
        // The positions of the last elements at or before each time, in a list of times.
        let last_before = |times: Vec<i64>| {
            span_middles(n).map(move |middle| {
                let time = timing.time_at(middle);
                let time = timing.edits.at(time).map_or(time, |edit| edit.media_at(time));
                times.partition_point(|start| *start <= time).saturating_sub(1)
            })
        };
        let wanted = last_before(self.index.iter().map(|entry| signed(entry.time)).collect());
        let fragments = select(&self.index, wanted)
            .into_iter()
            .map(|entry| async move { self.at(&mut Reader::new(source), &entry).await });
        let mut found: Vec<Fragment> =
            in_parallel(fragments.collect()).await?.into_iter().flatten().collect();
        found.retain(|fragment| fragment.keyframe.is_some());
        // Without an index, or if none of the fragments contains a keyframe, walk from the start.
        if found.is_empty() {
            let limit = if n <= FEW { FEW } else { MANY };
            let walked = self.walk(source, self.film, limit).await?;
            let mut all = walked.runs.concat();
            all.retain(|fragment| fragment.keyframe.is_some());
            found = if walked.runs.len() == 1 {
                select(&all, (0..n).map(|i| (2 * i + 1) * all.len() / (2 * n)))
            } else {
                // Those that were read are not spread evenly.
                all.sort_by_key(Fragment::keyframe_time);
                let times = all.iter().map(|fragment| fragment.keyframe_time().unwrap_or_default());
                select(&all, last_before(times.collect()))
            };
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
            let walked = self.walk(source, self.film, limit.min(MANY)).await?;
            return Ok(walked.is_complete.then(|| walked.runs.concat()));
        }
        if self.index.len() > limit {
            return Ok(None);
        }
        let entries = self.index.iter();
        let entries = entries.map(|entry| async move { self.at(&mut Reader::new(source), entry).await });
        Ok(Some(in_parallel(entries.collect()).await?.into_iter().flatten().collect()))
    }

    /// Reads the fragment of an index entry, whose `moof` is at its offset or up to `MAX_BEFORE` boxes later.
    pub(super) async fn at(
        &self,
        reader: &mut Reader<'_>,
        entry: &IndexEntry,
    ) -> Result<Option<Fragment>, Error> {
        let mut at = entry.offset;
        for _ in 0..MAX_BEFORE {
            match reader.header(at, u64::MAX, MOOF_READ).await? {
                Some(header) if header.name == *b"moof" => {
                    let body = reader.body(&header, MAX_MOOF).await?;
                    let found = Fragment::read_clear(&body, header.start, self.film)?;
                    return Ok(Some(found.or_presented(entry.time)));
                }
                Some(header) if header.name != *b"mdat" => at = header.body.end,
                _ => break,
            }
        }
        Ok(None)
    }

    /// Reads up to `limit` fragments. One that does not say when it starts follows the one before.
    async fn walk(&self, source: &Source, track: TrackId, limit: usize) -> Result<Walked<Fragment>, Error> {
        let read = |header: &Header, body: &Fields| {
            if header.name == *b"moof" {
                return Fragment::read_clear(body, header.start, track).map(Some);
            }
            // A second movie box describes encrypted samples after a start in the clear.
            let is_encrypted = memmem::find(&body.0, b"encv").is_some();
            if is_encrypted { Err(Error::Encrypted) } else { Ok(None) }
        };
        let limits = Limits { all: limit, per_walk: limit };
        let mut walked = walks::walk(source, self.first_moof..source.size(), limits, read).await?;
        let mut end = Some(0);
        for run in &mut walked.runs {
            for fragment in run {
                *fragment = std::mem::take(fragment).or_start(end);
                end = fragment.end_time();
                if end.is_none() {
                    fragment.keyframe = None;
                }
            }
            // What is before the next run has not been read.
            end = None;
        }
        Ok(walked)
    }
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
        let source = Source::new(object.len() as u64, Bytes::from(object));
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
    async fn keyframes_of_very_many_fragments_are_spread() {
        let object: Vec<u8> = (0..4000).flat_map(|i| fragment(i * 100, true)).collect();
        let (source, fragments, timing) = open(object).await;
        let times = times(&source, &fragments, &timing, 100).await;
        assert!(times.len() >= 16, "{times:?}");
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
        // Two of 16 parts at most.
        assert!(gaps.max() < Some(400_000 / 8) && times.last() > Some(&350_000), "{times:?}");
    }

    #[tokio::test]
    async fn samples_are_listed_however_fragments_are_found() {
        let object: Vec<u8> = (0..20).flat_map(|i| fragment(i * 100, i != 19)).collect();
        let length = fragment(0, true).len() as u64;
        let (source, mut fragments, _) = open(object).await;
        let list = async |fragments: &Fragments, small: u64| {
            let listed = fragments.list_within(&source, &[(1, Defaults::default())], small).await;
            listed.map(|mut tracks| tracks.remove(0))
        };
        let all = list(&fragments, u64::MAX).await.unwrap();
        let times: Vec<i64> = all.iter().map(|sample| sample.time).collect();
        assert_eq!(times, (0..20).map(|i| i * 100).collect::<Vec<_>>());
        assert_eq!(list(&fragments, 0).await.unwrap(), all, "one after the other");
        let entry = |nth: u64| IndexEntry { time: 0, offset: nth * length };
        fragments.index = [0, 9, 4].into_iter().map(entry).collect();
        assert_eq!(list(&fragments, 0).await.unwrap(), all, "side by side");
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

    /// Fragments without decode times, of 100 ticks for track 1 and 150 for track 2.
    fn film_with_audio(count: usize) -> Bytes {
        let traf = |track, ticks| {
            let tfhd = atom(*b"tfhd", &[0x02_0008, track, ticks], &[]);
            atom(*b"traf", &[], &[tfhd, atom(*b"trun", &[0x0201, 1, 8, 4], &[])].concat())
        };
        let moof = atom(*b"moof", &[], &[atom(*b"mfhd", &[0, 1], &[]), traf(1, 100), traf(2, 150)].concat());
        [moof, atom(*b"mdat", &[0], &[])].concat().repeat(count).into()
    }

    #[tokio::test]
    async fn audio_without_decode_times_can_end_later() {
        let object = film_with_audio(20);
        let source = Source::new(object.len() as u64, object);
        let [film, sound] = [1, 2].map(|track| (track, Defaults::default()));
        let mut reader = Reader::new(&source);
        let fragments = Fragments::open(&mut reader, 0, 1000, film, Some(sound)).await.unwrap();
        let timing = Timing { scale: 1000, ..Timing::default() };
        assert_eq!(fragments.ends(&timing, Some(&timing)), Some(3000));
    }

    #[tokio::test]
    async fn a_film_that_begins_in_the_clear_is_encrypted() {
        let uuid = b"\xA2\x39\x4F\x52\x5A\x9B\x4F\x14\xA2\x44\x6C\x42\x7C\x64\x8D\xF4";
        for secret in [atom(*b"senc", &[0, 0], &[]), atom(*b"uuid", &[], uuid)] {
            let tfhd = atom(*b"tfhd", &[0x02_0008, 1, 100], &[]);
            let trun = atom(*b"trun", &[0x0201, 1, 8, 4], &[]);
            let traf = atom(*b"traf", &[], &[tfhd, trun, secret].concat());
            let moof = atom(*b"moof", &[], &[atom(*b"mfhd", &[0, 1], &[]), traf].concat());
            let encrypted = [moof, atom(*b"mdat", &[0], &[])].concat();
            let clear: Vec<u8> = (0..3).flat_map(|i| fragment(i * 100, true)).collect();
            for object in [[&encrypted[..], &clear].concat(), [&clear[..], &encrypted].concat()] {
                let source = Source::new(object.len() as u64, Bytes::from(object));
                let mut reader = Reader::new(&source);
                let opened = Fragments::open(&mut reader, 0, 1000, (1, Defaults::default()), None).await;
                assert!(matches!(opened, Err(Error::Encrypted)), "{opened:?}");
            }
            // Encrypted fragments between the first and the last one are found when they are read.
            let object = Bytes::from([&clear[..], &encrypted, &fragment(400, true)].concat());
            let source = Source::new(object.len() as u64, object);
            let mut reader = Reader::new(&source);
            let film = (1, Defaults::default());
            let fragments = Fragments::open(&mut reader, 0, 1000, film, None).await.unwrap();
            let timing = Timing { scale: 1000, media_duration: 500, ..Timing::default() };
            let keyframes = fragments.keyframes(&source, &timing, 8).await;
            assert!(matches!(keyframes, Err(Error::Encrypted)), "{keyframes:?}");
        }
    }

    #[tokio::test]
    async fn another_sample_description_can_be_encrypted() {
        for (entry, encrypted) in [(b"encv", true), (b"avc1", false)] {
            let moov = atom(*b"moov", &[], &atom(*b"trak", &[], &atom(*entry, &[1, 2], &[])));
            let object = [fragment(0, true), moov, fragment(100, true)].concat();
            let (source, fragments, timing) = open(object).await;
            let keyframes = fragments.keyframes(&source, &timing, 8).await;
            assert_eq!(matches!(keyframes, Err(Error::Encrypted)), encrypted, "{keyframes:?}");
        }
    }

    #[tokio::test]
    async fn fragments_without_decode_times_follow_each_other() {
        let object: Vec<u8> = (0..20).flat_map(|_| fragment(0, false)).collect();
        let (source, fragments, timing) = open(object).await;
        assert_eq!(fragments.ends(&timing, None), Some(2000));
        assert_eq!(times(&source, &fragments, &timing, 100).await.last(), Some(&1900));
    }
}
