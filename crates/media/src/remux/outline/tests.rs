use upreel_core::Container;

use crate::matroska::fixture::Film;
use crate::mp4::boxes::Fields;
use crate::mp4::runs::{Defaults, TrackHeader, TrackRun};
use crate::remux::{Record, Refusal, Remux, Unplayable, plan};
use crate::{Index, Source};

fn source(film: &Film) -> Source {
    let object = bytes::Bytes::from(film.file());
    Source::new(object.len() as u64, object)
}

/// Makes the segment index by the Cues, and by all samples.
async fn both(film: &Film) -> (Remux, Remux) {
    let source = source(film);
    let index = Index::open(&source, Container::Mkv).await.unwrap().unwrap();
    let outlined = index.outline(&source).await.unwrap().unwrap();
    let object = ("tag", source.size());
    let media = index.media(&source).await.unwrap();
    (outlined.plan(&index.media_info, object).unwrap(), plan::plan(media, &index.media_info, object).unwrap())
}

fn record(remux: &Remux, segment: usize) -> Record {
    let place = &remux.tracks[0].segments[segment].record;
    let place = usize::try_from(place.start).unwrap()..usize::try_from(place.end).unwrap();
    Record::from_bytes(&remux.records[place]).unwrap()
}

/// A segment: presentation times, sizes, decode time of the first, sum of durations, and the data.
type Read = (Vec<(i64, u32)>, u64, u64, bytes::Bytes);

fn read(segment: &bytes::Bytes) -> Read {
    let file = Fields(segment.clone());
    let traf = file.child(*b"moof").unwrap().child(*b"traf").unwrap();
    let header = TrackHeader::read(traf.child(*b"tfhd").unwrap(), Defaults::default()).unwrap();
    let mut tfdt = traf.child(*b"tfdt").unwrap();
    tfdt.skip(4).unwrap();
    let start = tfdt.u64().unwrap();
    let mut run = TrackRun::read(traf.child(*b"trun").unwrap(), header.defaults).unwrap();
    let (mut at, mut samples) = (0, Vec::new());
    while run.remaining > 0 {
        let found = run.next_samples().unwrap();
        for _ in 0..found.count {
            let time = start + at + u64::try_from(found.composition_offset).unwrap();
            samples.push((i64::try_from(time).unwrap(), found.size));
            at += u64::from(found.duration);
        }
    }
    (samples, start, at, file.child(*b"mdat").unwrap().0)
}

/// Checks that the segments made of the Cues are those made of all samples. Returns the requests of each segment.
async fn check(film: Film) -> Vec<u64> {
    let (outlined, listed) = both(&film).await;
    assert_eq!(outlined.timeline, listed.timeline);
    assert_eq!((outlined.tracks[0].scale, listed.tracks[0].scale), (16_000, 1000));
    let count = listed.tracks[0].segments.len();
    let is_interleaved = film.audio_delay == 0;
    let mut requests = Vec::new();
    for segment in 0..count {
        let source = source(&film);
        let made = record(&outlined, segment).segments(&source).await.unwrap().complete;
        requests.push(source.stats().requests);
        let whole = record(&listed, segment).segments(&source).await.unwrap().complete;
        assert_eq!((made.len(), made[1].0), (whole.len(), 1));
        assert!(made[1] == whole[1], "audio of segment {segment}");
        let (film, other) = (read(&made[0].1), read(&whole[0].1));
        let scaled: Vec<(i64, u32)> = other.0.iter().map(|(time, size)| (time * 16, *size)).collect();
        assert_eq!((film.0, film.1, film.2), (scaled, other.1 * 16, other.2 * 16), "segment {segment}");
        assert!(film.3 == other.3);
        for (track, (_, bytes)) in made.iter().enumerate() {
            let entry = &outlined.tracks[track].segments[segment];
            assert_eq!((entry.duration, track), (read(bytes).2, track), "segment {segment}");
            assert_eq!(entry.duration, listed.tracks[track].segments[segment].duration * [16, 1][track]);
        }
        let declared: u64 = outlined.tracks.iter().map(|track| track.segments[segment].bytes).sum();
        let bytes: usize = made.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(!is_interleaved || declared >= bytes as u64, "segment {segment}: {declared} for {bytes}");
    }
    requests
}

#[tokio::test]
async fn segments_are_the_same_as_of_listed_samples() {
    assert_eq!(check(Film::new(10)).await, [1, 1, 1]);
    // Audio is stored before or after the frames of its time.
    assert_eq!(check(Film { audio_delay: -700, ..Film::new(10) }).await, [1, 2, 2]);
    assert_eq!(check(Film { audio_delay: 5000, ..Film::new(10) }).await, [2, 2, 1]);
    // Silence is added before audio.
    check(Film { audio: (3300, 10_000), ..Film::new(10) }).await;
    // Audio is shorter, or longer.
    check(Film { audio: (0, 9400), ..Film::new(10) }).await;
    check(Film { audio: (0, 12_000), ..Film::new(10) }).await;
}

#[tokio::test]
async fn a_keyframe_is_found_if_its_cue_has_a_wrong_position() {
    // Two segments are cut at this keyframe. The second one is read from an earlier one on.
    assert_eq!(check(Film { moved: Some(6), ..Film::new(13) }).await, [1, 1, 2, 1]);
}

#[tokio::test]
async fn a_segment_that_is_not_what_the_cues_promise_is_refused() {
    for (film, code) in [
        (Film { open: Some(5), ..Film::new(13) }, "OPEN_GOP"),
        (Film { wrong: Some(6), ..Film::new(13) }, "NO_INDEX"),
    ] {
        let source = source(&film);
        let index = Index::open(&source, Container::Mkv).await.unwrap().unwrap();
        let remux = index.remux(&source, "tag").await.unwrap().unwrap();
        assert_eq!(remux.tracks[0].scale, 16_000, "the damage is not at a keyframe that is examined");
        let mut codes = Vec::new();
        for segment in 0..remux.tracks[0].segments.len() {
            codes.push(match record(&remux, segment).segments(&source).await {
                Ok(_) => "",
                Err(Unplayable::Refused(Refusal(code))) => code,
                Err(Unplayable::Failed(error)) => panic!("{error}"),
            });
        }
        assert_eq!((codes[0], codes[1], *codes.last().unwrap()), ("", code, ""), "{codes:?}");
    }
}

#[tokio::test]
async fn what_the_cues_do_not_tell_is_found_in_a_small_file() {
    for film in [
        // The audio ends before the last keyframe, the first cue that is examined is wrong, or there are no cues.
        Film { audio: (0, 7000), ..Film::new(10) },
        Film { wrong: Some(1), ..Film::new(10) },
        Film::new(1),
    ] {
        let source = source(&film);
        let index = Index::open(&source, Container::Mkv).await.unwrap().unwrap();
        let remux = index.remux(&source, "tag").await.unwrap().unwrap();
        assert_eq!(remux.tracks[0].scale, 1000, "made of all samples");
    }
    let open = source(&Film { open: Some(1), ..Film::new(10) });
    let index = Index::open(&open, Container::Mkv).await.unwrap().unwrap();
    assert_eq!(index.remux(&open, "tag").await.unwrap(), Err(Refusal("OPEN_GOP")));
}

/// What is encoded for each segment: the number of its first AAC frame and that after its last one, the samples that are
/// decoded, with their distance from the first that is encoded, and the requests and bytes that were read.
async fn encoded(film: Film) -> Vec<(std::ops::Range<i64>, Vec<(i64, bytes::Bytes)>, (u64, u64))> {
    let object = source(&film);
    let index = Index::open(&object, Container::Mkv).await.unwrap().unwrap();
    let remux = index.remux(&object, "tag").await.unwrap().unwrap();
    assert_eq!(remux.tracks[0].scale, 16_000, "made of the Cues");
    let mut all = Vec::new();
    for segment in 0..remux.tracks[0].segments.len() {
        let object = source(&film);
        let made = record(&remux, segment).segments(&object).await.unwrap();
        let ([(0, _)], [(1, audio)]) = (&made.complete[..], &made.encodable[..]) else { panic!("{made:?}") };
        let frames = audio.encoding.frames.clone();
        assert_eq!(
            remux.tracks[1].segments[segment].duration,
            (frames.end - frames.start).unsigned_abs() * 1024
        );
        // The fragment is delayed by 16 s, and by 0 s as the presentation.
        let times = crate::cmaf::File::frames(&audio.fragment).unwrap();
        let times = times.into_iter().map(|(time, data)| (time - 16 * 48_000, data)).collect();
        all.push((frames, times, (object.stats().requests, object.stats().bytes)));
    }
    all
}

#[tokio::test]
async fn audio_to_be_encoded_is_in_the_range_of_the_film() {
    let film = Film { is_ac3: true, ..Film::new(10) };
    let size = film.file().len() as u64;
    let made = encoded(film).await;
    let cuts: Vec<i64> = made.iter().flat_map(|(frames, ..)| [frames.start, frames.end]).collect();
    // The film is cut at 2.067 and 6.067 s, and the audio ten frames later.
    assert_eq!(cuts, [0, 106, 106, 294, 294, 472]);
    for (i, (frames, times, (requests, _))) in made.iter().enumerate() {
        assert_eq!(*requests, 1);
        let (first, last) = (times[0].0, times[times.len() - 1].0 + 1536);
        assert!(times.windows(2).all(|pair| pair[1].0 - pair[0].0 == 1536), "all frames");
        assert!(times.iter().all(|(time, _)| time % 1536 == 0), "at exact times");
        // Four AAC frames before, ten milliseconds, and two frames of AC-3.
        let wanted = (frames.start - 4) * 1024 - 480 - 2 * 1536;
        assert!(i == 0 && first == 0 || (wanted - 1536..=wanted).contains(&first), "{first} {wanted}");
        assert!(i == 2 || last >= (frames.end + 2) * 1024, "{last}");
    }
    let read: u64 = made.iter().map(|(.., (_, bytes))| bytes).sum();
    // Little more than the range: an eighth and 32 KiB for audio that is stored later, and what is encoded later.
    assert!(read < size + size / 4 + 3 * (32 << 10), "{read} of {size}");
}

#[tokio::test]
async fn what_is_decoded_does_not_depend_on_where_it_is_stored() {
    let film = Film { is_ac3: true, ..Film::new(10) };
    let expected = encoded(film).await;
    for delay in [-700, 900] {
        let other = encoded(Film { audio_delay: delay, ..film }).await;
        for (a, b) in expected.iter().zip(&other) {
            assert_eq!(a.0, b.0);
            let times = |all: &[(i64, bytes::Bytes)]| all.iter().map(|(time, _)| *time).collect::<Vec<_>>();
            assert_eq!(times(&a.1), times(&b.1), "{delay}");
        }
    }
}

#[tokio::test]
async fn missing_audio_to_be_encoded_is_silent() {
    let late = encoded(Film { is_ac3: true, audio: (5300, 10_000), ..Film::new(10) }).await;
    assert!(late[0].1.is_empty() && !late[1].1.is_empty());
}

#[tokio::test]
async fn damaged_objects_are_harmless() {
    damaged_objects(Film::new(4), 1).await;
    damaged_objects(Film { is_ac3: true, ..Film::new(4) }, 7).await;
}

/// Damages one byte of so many.
async fn damaged_objects(film: Film, of: usize) {
    let (remux, _) = both(&film).await;
    let object = film.file();
    // The head and the Cues are more vulnerable than the frames between them.
    let cues = object.len() - 300;
    for at in (0..700).chain((700..cues).step_by(211)).chain(cues..object.len()).step_by(of) {
        let mut damaged = object.clone();
        damaged[at] = !damaged[at];
        let source = Source::new(damaged.len() as u64, bytes::Bytes::from(damaged));
        for segment in 0..remux.tracks[0].segments.len() {
            let _ = record(&remux, segment).segments(&source).await;
        }
        if let Ok(Some(index)) = Index::open(&source, Container::Mkv).await
            && let Ok(remux) = index.remux(&source, "tag").await.unwrap()
        {
            for segment in 0..remux.tracks[0].segments.len() {
                let _ = record(&remux, segment).segments(&source).await;
            }
        }
        assert!(source.stats().requests < 50, "{at}");
    }
}
