//! All samples of a file, for players that get them as they are.
//!
//! The headers of blocks are between the frames, so this reads the whole file, and refuses a large one. It is for files
//! without usable Cues; see `outline.rs` for the others.

use bytes::Bytes;
use upreel_core::video::MediaInfo;

use super::clock::{Clock, Frames};
use super::clusters::Blocks;
use super::ebml::{self, child, children, id};
use super::listed::{Listed, list};
use super::window::Window;
use super::{Track, decoding, entries};
use crate::cmaf::{Geometry, Matrix, UNITY};
use crate::mp4::Entry;
use crate::remux::{Audio, Film, Media, Refusal, Sample, TrackSamples, Unplayable};
use crate::source::Source;

/// Bytes of the largest file whose blocks are listed.
const MAX_BYTES: u64 = 192 << 20;
/// Bytes of each read.
const READ: u64 = 8 << 20;
/// Bytes of the first keyframe that tell its format.
const FRAME_HEADER: u64 = 16;

impl Track {
    /// Lists the samples of all tracks that are presented.
    pub(crate) async fn media(&self, source: &Source, facts: &MediaInfo) -> Result<Media, Unplayable> {
        let mut tracks = self.list_all(source, self.tracks()).await?.into_iter();
        let Some(mut film) = tracks.next() else { return Err(Refusal("NO_INDEX").into()) };
        self.set_durations(&mut film.samples);
        let film = self.film(film.samples, source, facts).await?;
        Ok(Media { film, audio: self.all_audio(tracks.collect())? })
    }

    /// Lists the frames of these tracks in the whole file.
    pub(super) async fn list_all(
        &self,
        source: &Source,
        mut tracks: Vec<Listed>,
    ) -> Result<Vec<Listed>, Unplayable> {
        let len = self.segment.end.saturating_sub(self.clusters_start);
        if len > MAX_BYTES {
            return Err(Refusal("INDEX_TOO_LARGE").into());
        }
        let window = Window::new(source, READ, READ, len + READ);
        let mut blocks = Blocks::new(self, window, self.clusters_start);
        list(&mut blocks, &mut tracks, |_| false).await?;
        if blocks.are_complete() { Ok(tracks) } else { Err(Refusal("NO_INDEX").into()) }
    }

    /// Returns the samples of the audio tracks. Only those of the first one are necessary.
    pub(super) fn all_audio(&self, tracks: Vec<Listed>) -> Result<Vec<Audio>, Refusal> {
        let mut all = Vec::new();
        let tracks = tracks.into_iter().zip(&self.audio);
        for (track, entry) in tracks.filter(|(track, _)| !track.samples.is_empty()) {
            match self.audio(track, entry) {
                Ok(track) => all.push(Audio { track, language: None }),
                Err(refusal) if all.is_empty() => return Err(refusal),
                Err(_) => {}
            }
        }
        Ok(all)
    }

    /// Returns the tracks that are presented, the film first.
    pub(super) fn tracks(&self) -> Vec<Listed> {
        std::iter::once(Listed::new(self.number)).chain(self.audio_tracks()).collect()
    }

    pub(super) fn audio_tracks(&self) -> Vec<Listed> {
        let number = |entry: &Bytes| child(entry, id::TRACK_NUMBER).and_then(ebml::uint).unwrap_or(0);
        self.audio.iter().map(number).map(Listed::new).collect()
    }

    /// Returns the data of the film's `TrackEntry`.
    pub(super) fn film_entry(&self) -> &[u8] {
        children(&self.entry).next().map_or(&[], |entry| entry.data)
    }

    /// Returns the film with these samples, of which the first one is a keyframe.
    pub(super) async fn film(
        &self,
        samples: Vec<Sample>,
        source: &Source,
        facts: &MediaInfo,
    ) -> Result<Film, Unplayable> {
        let first = samples.first().map_or(0, |first| first.offset);
        let frame = source.read(first..first.saturating_add(FRAME_HEADER)).await?;
        let data = self.film_entry();
        if child(data, id::CONTENT_ENCODINGS).is_some() {
            return Err(Refusal("CODEC").into());
        }
        let entry = entries::video(data, &frame).ok_or(Refusal("CODEC"))?;
        let scale = self.ticks_per_second().ok_or(Refusal("TIMES"))?;
        let settings = child(data, id::VIDEO).unwrap_or_default();
        let size = |id| child(settings, id).and_then(ebml::uint).and_then(|size| u16::try_from(size).ok());
        let [w, h] = [id::PIXEL_WIDTH, id::PIXEL_HEIGHT].map(|id| size(id).unwrap_or(0).to_be_bytes());
        let geometry = Geometry {
            movie: UNITY,
            track: rotation(facts.rotation.unwrap_or(0)),
            size: [w[0], w[1], 0, 0, h[0], h[1], 0, 0],
        };
        Ok(Film {
            track: TrackSamples { entry, scale, samples, gaps: Vec::new() },
            geometry,
            limit: i64::MAX,
        })
    }

    /// Returns the samples of an audio track, at exact times.
    fn audio(&self, track: Listed, data: &[u8]) -> Result<TrackSamples, Refusal> {
        let (entry, clock, origin) = self.audio_entry(data, &track)?;
        let mut samples = clock.times(track, origin);
        clock.adjoin(&mut samples);
        Ok(TrackSamples { entry, scale: clock.scale, samples, gaps: Vec::new() })
    }

    /// Returns the sample entry and the clock of an audio track, and when its first frame starts. Some frames are `listed`.
    pub(super) fn audio_entry(&self, data: &[u8], listed: &Listed) -> Result<(Entry, Clock, i64), Refusal> {
        let encoded = child(data, id::CONTENT_ENCODINGS).is_some();
        let Some(entry) = entries::audio(data).filter(|_| !encoded) else {
            return decoding::of(data, self.scale, listed).ok_or(Refusal("AUDIO_CODEC"));
        };
        let frames = if entries::is_opus(data) { Frames::Opus } else { Frames::AAC };
        let clock = Clock::of(data, self.scale, frames).ok_or(Refusal("AUDIO_CODEC"))?;
        let origin = clock.origin(&listed.samples).unwrap_or(0);
        Ok((entry, clock, origin))
    }

    /// Sets the durations of frames: up to the next one that is presented. The last one has the declared one.
    pub(super) fn set_durations(&self, samples: &mut [Sample]) {
        let declared = child(self.film_entry(), id::DEFAULT_DURATION).and_then(ebml::uint);
        let declared = declared.map(|ns| ns / self.scale).filter(|ticks| *ticks > 0);
        let declared = declared.and_then(|ticks| u32::try_from(ticks).ok());
        let mut order: Vec<usize> = (0..samples.len()).collect();
        order.sort_by_key(|i| samples.get(*i).map(|sample| sample.time));
        let mut last = None;
        for pair in order.windows(2) {
            let [i, next] = [pair[0], pair[1]];
            let distance = samples[next].time.saturating_sub(samples[i].time);
            samples[i].duration = u32::try_from(distance).unwrap_or(0);
            last = Some(samples[i].duration);
        }
        if let Some(sample) = order.last().and_then(|last| samples.get_mut(*last)) {
            let usual = self.ticks_per_second().unwrap_or(0) / 25;
            sample.duration = declared.or(last).unwrap_or(usual);
        }
    }
}

/// Returns the matrix that rotates frames by an angle in clockwise degrees.
fn rotation(degrees: u16) -> Matrix {
    let (a, b): (i32, i32) = match degrees {
        90 => (0, 1),
        180 => (-1, 0),
        270 => (0, -1),
        _ => return UNITY,
    };
    let mut matrix = UNITY;
    for (at, number) in [(0, a), (4, b), (12, -b), (16, a)] {
        matrix[at..at + 4].copy_from_slice(&(number << 16).to_be_bytes());
    }
    matrix
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{cluster, data, entry, file, info, master, simple, size, source};
    use super::super::open;
    use super::*;

    /// Opens a file with these blocks. Its audio is track 1, its video track 2.
    async fn media(blocks: &[Vec<u8>], codec: &str) -> Result<Media, &'static str> {
        let avc = data(id::CODEC_PRIVATE, &[1, 0x64, 0, 0x1E, 0xFF, 0xE1, 0, 1, 0x67]);
        let opus = data(id::CODEC_PRIVATE, b"OpusHead\x01\x02\0\0\x80\xBB\0\0\0\0\0");
        let entries = [entry(1, 2, codec, &[opus]), entry(2, 1, "V_MPEG4/ISO/AVC", &[avc, size(320, 180)])];
        let object = file(&[info(9.0), master(id::TRACKS, &entries), cluster(1000, blocks)]);
        let source = source(object);
        let (facts, track) = open(&source).await.unwrap();
        track.media(&source, &facts).await.map_err(|error| match error {
            Unplayable::Refused(refusal) => refusal.0,
            Unplayable::Failed(error) => panic!("{error}"),
        })
    }

    fn times(track: &TrackSamples) -> Vec<(i64, u32, u32)> {
        track.samples.iter().map(|sample| (sample.time, sample.duration, sample.size)).collect()
    }

    /// A block of audio with three frames of two, one and three bytes of Opus, 20 ms each.
    fn laced(time: i16) -> Vec<u8> {
        let mut block = simple(1, time, true, b"\x02\x02\x01\xFCa\xFC\xFCcc");
        let flags = block.len() - 10;
        block[flags] |= 0x02;
        block
    }

    #[tokio::test]
    async fn frames_are_listed_at_exact_times() {
        let blocks = [
            simple(2, 0, true, b"key"),
            simple(1, 1, true, b"\xFCaudio"),
            simple(2, 80, false, b"P"),
            simple(1, 20, true, b"\xFCaudio"),
            simple(2, 40, false, b"b"),
            laced(41),
        ];
        let media = media(&blocks, "A_OPUS").await.unwrap();
        assert_eq!(times(&media.film.track), [(1000, 40, 3), (1080, 40, 1), (1040, 40, 1)]);
        let start = 1001 * 48;
        let audio = [(0, 6), (960, 6), (1920, 2), (2880, 1), (3840, 3)];
        assert_eq!(times(&media.audio[0].track), audio.map(|(time, size)| (start + time, 960, size)));
    }

    #[tokio::test]
    async fn damaged_and_other_files_are_refused() {
        let key = || simple(2, 0, true, b"key");
        assert_eq!(media(&[key(), simple(1, 0, true, b"a")], "A_VORBIS").await.err(), Some("AUDIO_CODEC"));
        assert_eq!(media(&[key(), vec![0; 30]], "A_OPUS").await.err(), Some("NO_INDEX"));
        let mut malformed = laced(0);
        let count = malformed.len() - 9;
        malformed[count] = 0xFF;
        assert_eq!(media(&[key(), malformed], "A_OPUS").await.err(), Some("NO_INDEX"));
        assert!(media(&[key()], "A_VORBIS").await.unwrap().audio.is_empty(), "no audio at all");
    }
}
