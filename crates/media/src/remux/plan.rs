//! Makes a segment index of the samples that a container presents.

use bytes::Bytes;
use upreel_core::video::MediaInfo;

use super::media::{self, Audio, Film, Media, Sample, TrackSamples};
use super::record::{self, Part};
use super::time::{at_or_after, nearest};
use super::{Kind, Refusal, Remux, SegmentEntry, Timeline, Track, VideoRange, audio, cuts, encoded};
use crate::cmaf::{self, Row};
use crate::rendition::SAMPLE_RATE;

/// How much later than audio the film may start, in seconds. Its first frame is shown from the start.
const MAX_LATE: i64 = 10;
/// The timescale of the film is multiplied by at most this, if decode times do not find room between presentation times.
const MAX_FACTOR: u32 = 64;

/// Makes the segment index of an object with this entity tag and size.
pub(super) fn plan(media: Media, facts: &MediaInfo, object: (&str, u64)) -> Result<Remux, Refusal> {
    let Media { mut film, mut audio } = media;
    media::check(&film.track.samples, object.1)?;
    keep_possible(&mut audio, |audio| media::check(&audio.track.samples, object.1))?;
    audio.retain(|audio| !audio.track.samples.is_empty());
    start_together(&mut film.track, audio.iter().map(|audio| &audio.track))?;
    let (scale, end) = (film.track.scale, end(&film));
    let starts = cuts::choose(&film.track.samples, scale, end)?;
    let cuts: Vec<i64> =
        starts.iter().filter_map(|start| film.track.samples.get(*start)).map(|first| first.time).collect();
    let span = audio::Span { scale, cuts: &cuts, end };
    fit(&mut audio, &span)?;

    // All tracks are delayed by the same time, so that the first one starts at 0.
    let early = audio.iter().map(|audio| at_or_after(-first_time(&audio.track), audio.track.scale, scale));
    let delay = early.chain([-first_time(&film.track)]).max().unwrap_or(0);

    let (factor, decoded) = decode_times(&film.track, &starts, end)?;
    let output_scale = scale.checked_mul(factor).ok_or(Refusal("TIMES"))?;
    let moved = cuts.iter().map(|cut| (cut + delay) * i64::from(factor)).collect();
    let mut tracks = vec![video_track(&film, facts, output_scale)];
    let rows = rows_of_film(&film.track.samples, &decoded, end, factor).ok_or(Refusal("TIMES"))?;
    let mut lanes = vec![Lane::Played(Played { samples: &film.track, starts, rows, times: moved })];
    for Audio { track, language } in &audio {
        tracks.push(audio_track(track, language.clone()));
        lanes.push(lane(track, &span, delay)?);
    }
    let timeline = Timeline { scale, origin: -delay, cuts, end };
    write(&lanes, Remux { records: Bytes::new(), tracks, timeline }, object)
}

/// Prepares audio for the film's segments, or leaves out what cannot be played with them.
pub(super) fn fit(audio: &mut Vec<Audio>, span: &audio::Span<'_>) -> Result<(), Refusal> {
    keep_possible(audio, |Audio { track, .. }| match &track.entry.decoding {
        Some(decoding) => encoded::check(track, decoding, span),
        None => audio::complete(track, span),
    })
}

/// Cuts audio as the film, whose delay is given in its ticks.
pub(super) fn lane<'a>(
    track: &'a TrackSamples,
    span: &audio::Span<'_>,
    delay: i64,
) -> Result<Lane<'a>, Refusal> {
    if let Some(decoding) = &track.entry.decoding {
        return Ok(Lane::Encoded(encoded::Lane::new(track, decoding, span, delay)));
    }
    let starts = audio::cut(track, span)?;
    let delay = nearest(delay, span.scale, track.scale);
    let first = |start: &usize| track.samples.get(*start).map_or(0, |first| first.time + delay);
    let times = starts.iter().map(first).collect();
    let rows = rows_of_audio(&track.samples).ok_or(Refusal("TIMES"))?;
    Ok(Lane::Played(Played { samples: track, starts, rows, times }))
}

/// A track whose segments are to be written.
pub(super) enum Lane<'a> {
    Played(Played<'a>),
    Encoded(encoded::Lane<'a>),
}

/// A track that is played as it is.
pub(super) struct Played<'a> {
    samples: &'a TrackSamples,
    /// The first sample of each segment, and when it is decoded.
    starts: Vec<usize>,
    times: Vec<i64>,
    rows: Vec<Row>,
}

impl Played<'_> {
    /// Returns a segment and its duration.
    fn part(&self, track: usize, segment: usize) -> Option<(Part<'_>, u64)> {
        let end = self.starts.get(segment + 1).copied().unwrap_or(self.rows.len());
        let span = self.starts.get(segment).copied()?..end;
        let rows = self.rows.get(span.clone()).filter(|rows| !rows.is_empty())?;
        let head = cmaf::head(
            u32::try_from(segment + 1).ok()?,
            u64::try_from(*self.times.get(segment)?).ok()?,
            rows,
        );
        let samples = self.samples.samples.get(span)?.into();
        let duration = rows.iter().map(|row| u64::from(row.duration)).sum();
        let silence = self.samples.entry.silence.map(|silence| silence.frame);
        Some((Part { track, head, samples, gaps: &self.samples.gaps, silence, encoding: None }, duration))
    }
}

pub(super) fn write(lanes: &[Lane<'_>], mut remux: Remux, object: (&str, u64)) -> Result<Remux, Refusal> {
    let mut records = Vec::new();
    for segment in 0..remux.timeline.cuts.len() {
        let parts = lanes.iter().enumerate().map(|(track, lane)| match lane {
            Lane::Played(played) => played.part(track, segment),
            Lane::Encoded(encoded) => encoded.part(track, segment),
        });
        let parts: Vec<(Part<'_>, u64)> = parts.collect::<Option<_>>().ok_or(Refusal("TIMES"))?;
        let (parts, durations): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let record = record::write(&mut records, object, &parts)?;
        for ((track, part), duration) in remux.tracks.iter_mut().zip(&parts).zip(durations) {
            track.segments.push(SegmentEntry { duration, record: record.clone(), bytes: part.bytes() });
        }
    }
    Ok(Remux { records: records.into(), ..remux })
}

/// Leaves out the tracks that cannot be played, unless it is the one to play by default.
pub(super) fn keep_possible<T>(
    tracks: &mut Vec<T>,
    mut prepare: impl FnMut(&mut T) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut kept: Vec<T> = Vec::new();
    for mut track in tracks.drain(..) {
        match prepare(&mut track) {
            Ok(()) => kept.push(track),
            Err(refusal) if kept.is_empty() => return Err(refusal),
            Err(_) => {}
        }
    }
    *tracks = kept;
    Ok(())
}

/// Shows the first frame from the start of the audio on, if the film starts later. Players would drop that audio.
pub(super) fn start_together<'a>(
    film: &mut TrackSamples,
    audio: impl Iterator<Item = &'a TrackSamples>,
) -> Result<(), Refusal> {
    let scale = i64::from(film.scale);
    let first = audio.map(|audio| at_or_after(first_time(audio), audio.scale, film.scale));
    let late = first.min().map_or(0, |first| first_time(film) - first);
    if late > MAX_LATE * scale {
        return Err(Refusal("FILM_STARTS_LATE"));
    }
    if late > scale / 10
        && let Some(first) = film.samples.first_mut()
    {
        first.time -= late;
    }
    Ok(())
}

/// Returns when the first sample is presented.
pub(super) fn first_time(track: &TrackSamples) -> i64 {
    let first = track.entry.decoding.as_ref().map_or(i64::MIN, |decoding| decoding.presented.start);
    first_sample(track).max(first)
}

/// Returns the time of the first sample, which can be before the first one that is presented.
pub(super) fn first_sample(track: &TrackSamples) -> i64 {
    track.samples.first().map_or(0, |first| first.time)
}

/// Returns when the last frame ends.
pub(super) fn end(film: &Film) -> i64 {
    let samples = &film.track.samples;
    let Some(last) = samples.iter().max_by_key(|sample| sample.time) else { return 0 };
    let usual = samples.get(samples.len() / 2).map_or(1, |sample| sample.duration);
    let duration = if last.duration > 0 { last.duration } else { usual };
    last.time.saturating_add(duration.into()).min(film.limit).max(last.time + 1)
}

/// Returns the factor for the timescale, and the decode times in ticks of the new one. Each segment has its own, as if it
/// were encoded.
fn decode_times(film: &TrackSamples, starts: &[usize], end: i64) -> Result<(u32, Vec<i64>), Refusal> {
    let factors = std::iter::successors(Some(1u32), |factor| Some(factor * 2));
    let found = factors.take_while(|factor| *factor <= MAX_FACTOR).find_map(|factor| {
        let time = |sample: &Sample| sample.time * i64::from(factor);
        let mut all = Vec::with_capacity(film.samples.len());
        for (i, start) in starts.iter().enumerate() {
            let next = starts.get(i + 1).copied();
            let samples = film.samples.get(*start..next.unwrap_or(film.samples.len()))?;
            let until = next.and_then(|next| film.samples.get(next)).map_or(end * i64::from(factor), time);
            all.extend(cmaf::decode_times(&samples.iter().map(time).collect::<Vec<_>>(), until)?);
        }
        Some((factor, all))
    });
    found.ok_or(Refusal("TIMES"))
}

/// Returns the rows of all frames, or `None` if a number is too large for its field.
pub(super) fn rows_of_film(samples: &[Sample], decoded: &[i64], end: i64, factor: u32) -> Option<Vec<Row>> {
    let factor = i64::from(factor);
    let next = decoded.iter().skip(1).copied().chain([end * factor]);
    let row = |((sample, decoded), next): ((&Sample, &i64), i64)| {
        Some(Row {
            size: sample.size,
            duration: positive(next - decoded)?,
            offset: u32::try_from(sample.time * factor - decoded).ok()?,
            is_sync: sample.is_sync,
        })
    };
    samples.iter().zip(decoded).zip(next).map(row).collect()
}

pub(super) fn rows_of_audio(samples: &[Sample]) -> Option<Vec<Row>> {
    let next = samples.iter().skip(1).map(|next| next.time).chain(samples.last().map(Sample::end));
    let row = |(sample, next): (&Sample, i64)| {
        let duration = positive(next - sample.time)?;
        Some(Row { size: sample.size, duration, offset: 0, is_sync: true })
    };
    samples.iter().zip(next).map(row).collect()
}

fn positive(duration: i64) -> Option<u32> {
    u32::try_from(duration).ok().filter(|duration| *duration > 0)
}

pub(super) fn video_track(film: &Film, facts: &MediaInfo, scale: u32) -> Track {
    let range = match facts.color_transfer.as_deref() {
        Some("arib-std-b67") => VideoRange::Hlg,
        Some("smpte2084") => VideoRange::Pq,
        _ => VideoRange::Sdr,
    };
    let (width, height) = (facts.width.unwrap_or(0), facts.height.unwrap_or(0));
    Track {
        kind: Kind::Video { width, height, frame_rate: facts.frame_rate, range },
        codec: film.track.entry.codec.clone(),
        scale,
        init: cmaf::init_of(scale, &film.track.entry.bytes, Some(film.geometry)).into(),
        segments: Vec::new(),
    }
}

pub(super) fn audio_track(track: &TrackSamples, language: Option<String>) -> Track {
    let scale = if track.entry.decoding.is_some() { SAMPLE_RATE } else { track.scale };
    Track {
        kind: Kind::Audio { language, channels: track.entry.channels },
        codec: track.entry.codec.clone(),
        scale,
        init: cmaf::init_of(scale, &track.entry.bytes, None).into(),
        segments: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmaf::{Geometry, UNITY};
    use crate::mp4::{Entry, Silence};
    use crate::remux::{Record, VideoRange};

    fn entry(codec: &str) -> Entry {
        Entry {
            bytes: Vec::new(),
            codec: codec.to_owned(),
            channels: 2,
            silence: Some(Silence { frame: b"mute", ms: None }),
            units: None,
            decoding: None,
        }
    }

    /// Frames of 10 ticks, at 30 per second and as many ticks per second as are given, with a keyframe each second.
    fn film(seconds: i64, start: i64, order: &[i64]) -> Film {
        let group = i64::try_from(order.len()).unwrap();
        let sample = |i: i64| Sample {
            offset: i.unsigned_abs() * 1000,
            size: 500,
            duration: 10,
            time: start + (i / group * group + order[usize::try_from(i % group).unwrap()]) * 10,
            is_sync: i % 30 == 0,
        };
        let samples = (0..seconds * 30).map(sample).collect();
        let geometry = Geometry { movie: UNITY, track: UNITY, size: [0; 8] };
        Film {
            track: TrackSamples { entry: entry("video"), scale: 300, samples, gaps: Vec::new() },
            geometry,
            limit: i64::MAX,
        }
    }

    /// Frames of 1000 ticks, with 48,000 ticks per second.
    fn audio(from: i64, to: i64) -> Audio {
        let frame = |time: i64| Sample {
            offset: (time - from).unsigned_abs() + 500,
            size: 100,
            duration: 1000,
            time,
            is_sync: true,
        };
        let samples = (from..to).step_by(1000).map(frame).collect();
        Audio {
            track: TrackSamples { entry: entry("audio"), scale: 48_000, samples, gaps: Vec::new() },
            language: None,
        }
    }

    fn planned(film: Film, audio: Vec<Audio>) -> Result<Remux, &'static str> {
        let facts = MediaInfo { color_transfer: Some("arib-std-b67".to_owned()), ..MediaInfo::default() };
        plan(Media { film, audio }, &facts, ("tag", 1 << 30)).map_err(|refusal| refusal.0)
    }

    fn durations(track: &Track) -> Vec<u64> {
        track.segments.iter().map(|segment| segment.duration).collect()
    }

    #[test]
    fn tracks_share_records_and_a_delay() {
        let remux = planned(film(9, 0, &[0]), vec![audio(-1000, 432_000)]).unwrap();
        let [video, sound] = &remux.tracks[..] else { panic!("{remux:?}") };
        assert_eq!((video.scale, durations(video)), (300, vec![600, 1200, 900]));
        assert_eq!((sound.scale, durations(sound)), (48_000, vec![97_000, 192_000, 144_000]));
        let Timeline { scale, origin, cuts, end } = remux.timeline.clone();
        assert_eq!((scale, origin, cuts, end), (300, -7, vec![0, 600, 1800], 2700));
        assert!(matches!(video.kind, Kind::Video { range: VideoRange::Hlg, .. }));
        let places = |track: &Track| track.segments.iter().map(|s| s.record.clone()).collect::<Vec<_>>();
        assert_eq!(places(video), places(sound));
        let at = |n: u64| usize::try_from(n).unwrap();
        for place in places(video) {
            let record = &remux.records[at(place.start)..at(place.end)];
            assert_eq!(Record::from_bytes(record).unwrap().etag(), "tag");
        }
        assert_eq!(planned(film(9, 0, &[0]), vec![audio(-1000, 432_000)]).unwrap(), remux, "deterministic");
    }

    #[test]
    fn coarse_clocks_get_room_for_decode_times() {
        // Frames of a tick, presented in another order.
        let mut coarse = film(4, 0, &[0, 4, 2, 1, 3]);
        coarse.track.scale = 30;
        for sample in &mut coarse.track.samples {
            (sample.time, sample.duration) = (sample.time / 10, 1);
        }
        let remux = planned(coarse, Vec::new()).unwrap();
        assert_eq!((remux.tracks[0].scale, durations(&remux.tracks[0])), (120, vec![240, 240]));
        let mut same = film(4, 0, &[0]);
        same.track.samples[7].time = same.track.samples[8].time;
        assert_eq!(planned(same, Vec::new()), Err("TIMES"), "two frames at the same time");
    }

    #[test]
    fn the_film_starts_with_the_audio() {
        let late = planned(film(9, 300, &[0]), vec![audio(0, 480_000)]).unwrap();
        assert_eq!(durations(&late.tracks[0]), [600, 1200, 1200]);
        assert_eq!(planned(film(9, 3300, &[0]), vec![audio(0, 480_000)]), Err("FILM_STARTS_LATE"));
        let live = planned(film(9, 300_000, &[0]), vec![audio(48_000_000, 48_432_000)]).unwrap();
        assert_eq!(durations(&live.tracks[0]), [600, 1200, 900]);
    }

    #[test]
    fn the_last_frame_has_a_duration() {
        let last = |film: Film| *durations(&planned(film, Vec::new()).unwrap().tracks[0]).last().unwrap();
        assert_eq!(last(film(9, 0, &[0])), 900);
        assert_eq!(last(Film { limit: 2697, ..film(9, 0, &[0]) }), 897);
        let mut unknown = film(9, 0, &[0]);
        unknown.track.samples.last_mut().unwrap().duration = 0;
        assert_eq!(last(unknown), 900);
    }

    #[test]
    fn only_the_default_track_is_necessary() {
        let whole = audio(0, 432_000);
        let mut broken = audio(0, 432_000);
        broken.track.samples[3].offset = 1 << 40;
        let tracks = |audio| planned(film(9, 0, &[0]), audio).map(|remux| remux.tracks.len());
        assert_eq!(tracks(vec![whole.clone(), broken.clone(), whole.clone()]), Ok(3));
        assert_eq!(tracks(vec![broken, whole]), Err("TRUNCATED"));
        assert_eq!(tracks(vec![audio(0, 0)]), Ok(1));
        assert_eq!(tracks(vec![audio(0, 1_000_000)]), Err("AUDIO_LONGER"));
    }
}
