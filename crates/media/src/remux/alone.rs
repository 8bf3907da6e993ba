//! The segment index of a file with audio alone. Every sample can be decoded by itself, so segments start anywhere.

use bytes::Bytes;
use upreel_core::Container;

use super::audio::Span;
use super::media::{self, Audio, Sample};
use super::plan::{self, audio_track, first_time, fit, keep_possible, lane};
use super::time::at_or_after;
use super::{Refusal, Remux, Timeline, Unplayable};
use crate::source::{self, Source};
use crate::{matroska, mp4, unindexed, wav};

/// Duration of a segment, and of the shortest last one, in seconds.
const SEGMENT: i64 = 4;
const SHORTEST: i64 = 1;
/// Limit of segments, as of a film.
const MAX_SEGMENTS: i64 = 20_000;

/// Makes the segment index of an object with audio alone and the entity tag `etag`, or tells why the object cannot be played
/// so.
///
/// # Errors
/// Fails if the object cannot be read.
pub async fn audio_alone(
    source: &Source,
    container: Container,
    etag: &str,
) -> Result<Result<Remux, Refusal>, source::Error> {
    match planned(source, container, etag).await {
        Ok(remux) => Ok(Ok(remux)),
        Err(Unplayable::Refused(refusal)) => Ok(Err(refusal)),
        Err(Unplayable::Failed(error)) => Err(error),
    }
}

async fn planned(source: &Source, container: Container, etag: &str) -> Result<Remux, Unplayable> {
    let mut audio = match container {
        Container::Mp4 | Container::Mov | Container::ThreeGp => mp4::audio_alone(source).await?,
        Container::Webm | Container::Mkv => matroska::audio_alone(source).await?,
        Container::Wav => vec![wav::audio_alone(source).await?],
        _ => vec![unindexed::audio_alone(source, container).await?],
    };
    // Whoever reads the object later does not know that something precedes the file.
    let skipped = source.skipped();
    media::shift(audio.iter_mut().map(|audio| &mut audio.track), skipped);
    Ok(plan(audio, (etag, source.size().saturating_add(skipped)))?)
}

/// Makes the segment index of tracks, of which the first one determines the segments.
fn plan(mut audio: Vec<Audio>, object: (&str, u64)) -> Result<Remux, Refusal> {
    keep_possible(&mut audio, |audio| media::check(&audio.track.samples, object.1))?;
    audio.retain(|audio| !audio.track.samples.is_empty());
    let first = &audio.first().ok_or(Refusal("NO_INDEX"))?.track;
    let (scale, start) = (first.scale, first_time(first));
    let limit = first.entry.decoding.as_ref().map_or(i64::MAX, |decoding| decoding.presented.end);
    let end = first.samples.last().map_or(0, Sample::end).min(limit);
    let cuts = cuts(start, end, scale.into())?;
    let span = Span { scale, cuts: &cuts, end };
    fit(&mut audio, &span)?;
    // All tracks are delayed by the same time, so that the first one starts at 0.
    let early = audio.iter().map(|audio| at_or_after(-first_time(&audio.track), audio.track.scale, scale));
    let delay = early.max().unwrap_or(0);
    let tracks = audio.iter().map(|audio| audio_track(&audio.track, audio.language.clone())).collect();
    let lanes = audio.iter().map(|audio| lane(&audio.track, &span, delay)).collect::<Result<Vec<_>, _>>()?;
    let timeline = Timeline { scale, origin: -delay, cuts: cuts.clone(), end };
    plan::write(&lanes, Remux { records: Bytes::new(), tracks, timeline }, object)
}

/// Returns the times at which segments start.
fn cuts(start: i64, end: i64, scale: i64) -> Result<Vec<i64>, Refusal> {
    let duration = end.checked_sub(start).filter(|duration| *duration > 0).ok_or(Refusal("TIMES"))?;
    let step = SEGMENT * scale;
    let count = (duration.saturating_sub(SHORTEST * scale)).div_euclid(step) + 1;
    if count > MAX_SEGMENTS {
        return Err(Refusal("TOO_LONG"));
    }
    Ok((0..count.max(1)).map(|i| start + i * step).collect())
}

#[cfg(test)]
mod tests {
    use super::super::media::TrackSamples;
    use super::super::{Kind, Record};
    use super::*;
    use crate::mp4::{Entry, Silence};

    /// Frames of 1000 ticks, with 48,000 ticks per second, of this many bytes.
    fn track(from: i64, to: i64, size: u32) -> Audio {
        let frame = |time: i64| Sample {
            offset: (time - from).unsigned_abs(),
            size,
            duration: 1000,
            time,
            is_sync: true,
        };
        let entry = Entry {
            bytes: Vec::new(),
            codec: "mp4a.40.2".to_owned(),
            channels: 2,
            silence: Some(Silence { frame: b"mute", ms: None }),
            units: None,
            decoding: None,
        };
        let samples = (from..to).step_by(1000).map(frame).collect();
        Audio { track: TrackSamples { entry, scale: 48_000, samples, gaps: Vec::new() }, language: None }
    }

    fn planned(audio: Vec<Audio>) -> Result<Vec<Vec<u64>>, &'static str> {
        let remux = plan(audio, ("tag", 1 << 30)).map_err(|refusal| refusal.0)?;
        assert!(remux.tracks.iter().all(|track| matches!(track.kind, Kind::Audio { channels: 2, .. })));
        for segment in &remux.tracks[0].segments {
            let at = |n: u64| usize::try_from(n).unwrap();
            let record = &remux.records[at(segment.record.start)..at(segment.record.end)];
            assert_eq!(Record::from_bytes(record).unwrap().etag(), "tag");
        }
        let durations = |track: &super::super::Track| track.segments.iter().map(|s| s.duration).collect();
        Ok(remux.tracks.iter().map(durations).collect())
    }

    #[test]
    fn segments_have_every_frame_once() {
        assert_eq!(planned(vec![track(0, 431_000, 100)]).unwrap(), [[192_000, 239_000]], "none is short");
        assert_eq!(planned(vec![track(0, 432_000, 100)]).unwrap(), [[192_000, 192_000, 48_000]]);
        assert_eq!(planned(vec![track(0, 440_000, 100)]).unwrap(), [[192_000, 192_000, 56_000]]);
        assert_eq!(planned(vec![track(-1000, 440_000, 100)]).unwrap(), [[192_000, 192_000, 57_000]]);
        assert_eq!(planned(vec![track(96_000_000, 96_192_000, 100)]).unwrap(), [[192_000]], "a live stream");
        assert_eq!(planned(vec![track(0, 1000, 100)]).unwrap(), [[1000]]);
    }

    #[test]
    fn further_tracks_have_the_same_segments() {
        let two = planned(vec![track(0, 440_000, 100), track(-1000, 440_000, 100)]).unwrap();
        assert_eq!(two, [[192_000, 192_000, 56_000], [193_000, 192_000, 56_000]]);
        let mut broken = track(0, 440_000, 100);
        broken.track.samples[3].offset = 1 << 40;
        assert_eq!(planned(vec![track(0, 440_000, 100), broken.clone()]).unwrap().len(), 1);
        assert_eq!(planned(vec![broken, track(0, 440_000, 100)]), Err("TRUNCATED"));
    }

    #[test]
    fn impossible_audio_is_refused() {
        assert_eq!(planned(Vec::new()), Err("NO_INDEX"));
        assert_eq!(planned(vec![track(0, 0, 100)]), Err("NO_INDEX"));
        let mut endless = track(0, 2000, 100);
        endless.track.samples[1].time = 1 << 47;
        assert_eq!(planned(vec![endless]), Err("TOO_LONG"));
        let mut back = track(0, 2000, 100);
        back.track.samples[1].time = -5000;
        assert_eq!(planned(vec![back]), Err("TIMES"));
        assert_eq!(planned(vec![track(0, 440_000, 1 << 29)]), Err("SEGMENT_TOO_LARGE"));
    }
}
