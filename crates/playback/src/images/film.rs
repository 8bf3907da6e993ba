//! The segments of a film, from which frames of any time are decoded.

use std::ops::Range;

use bytes::Bytes;
use upreel_core::playback::Playback;
use upreel_core::video::Record;
use upreel_core::{Key, ReadError};
use upreel_function::App;
use upreel_media::remux::{self, RECORDS, Unplayable};
use upreel_media::{Error, source};

/// The most bytes of segments for one image.
const MAX_BYTES: usize = 96 << 20;

/// Returns the initialization segment of the film, and the segments of a time in milliseconds, including its end. Returns
/// `None` if the original cannot be played by HLS.
pub(super) async fn segments(app: &App, row: &Record, time: Range<u64>) -> Result<Option<Vec<Bytes>>, Error> {
    let Some(version) = row.version().filter(|_| row.video.playback.as_ref().is_some_and(Playback::is_hls))
    else {
        return Ok(None);
    };
    let key = |name: &str| {
        let name = name.parse().ok()?;
        Some(Key::Playback { id: row.video.video_id, version: version.clone(), name })
    };
    let folder = remux::folder(0);
    let (Some(playlist), Some(init), Some(records)) =
        (key(&format!("{folder}/index.m3u8")), key(&format!("{folder}/init.mp4")), key(RECORDS))
    else {
        return Ok(None);
    };
    let loaded = tokio::try_join!(app.objects.load(&playlist), app.objects.load(&init));
    let (Some(playlist), Some(init)) = loaded.map_err(Error::Fault)? else { return Ok(None) };
    let mut film = vec![init];
    for name in named(&String::from_utf8_lossy(&playlist), &time) {
        let Some(place) = remux::record_of(name) else { return Ok(None) };
        let record = app.objects.load_range(&records, place).await.map_err(Error::Fault)?;
        let Some(record) = record.and_then(|record| upreel_media::Record::from_bytes(&record)) else {
            return Ok(None);
        };
        let source = super::source(app, row).ok_or(Error::Gone)?;
        match record.segments(&source).await {
            Ok(made) => {
                let found = made.complete.into_iter().find(|(track, _)| *track == 0);
                film.extend(found.map(|(_, bytes)| bytes));
            }
            Err(Unplayable::Failed(source::Error::Read(ReadError::Fault(fault)))) => {
                return Err(Error::Fault(fault));
            }
            Err(Unplayable::Failed(error)) => return Err(error.into()),
            Err(Unplayable::Refused(_)) => return Ok(None),
        }
        if film.iter().map(Bytes::len).sum::<usize>() > MAX_BYTES {
            return Err(Error::TooComplex);
        }
    }
    Ok(Some(film))
}

/// Returns the names of the segments in a playlist that present a part of `time`, at least the last one.
fn named<'a>(playlist: &'a str, time: &Range<u64>) -> Vec<&'a str> {
    let mut named = Vec::new();
    let mut last = None;
    let (mut start, mut duration) = (0.0, 0.0);
    for line in playlist.lines() {
        if let Some(text) = line.strip_prefix("#EXTINF:") {
            duration = text.trim_end_matches(',').parse().unwrap_or(0.0);
        } else if !line.is_empty() && !line.starts_with('#') {
            let end = start + duration;
            if end * 1000.0 > ms(time.start) && start * 1000.0 <= ms(time.end) {
                named.push(line);
            }
            (start, last) = (end, Some(line));
        }
    }
    if named.is_empty() { last.into_iter().collect() } else { named }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 milliseconds")]
const fn ms(time: u64) -> f64 {
    time as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_of_a_time_are_named() {
        let playlist = "#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:4.000000,\na\n#EXTINF:4.500000,\nb\n\
                        #EXTINF:1.250000,\nc\n#EXT-X-ENDLIST\n";
        assert_eq!(named(playlist, &(0..0)), ["a"]);
        assert_eq!(named(playlist, &(3999..3999)), ["a"]);
        assert_eq!(named(playlist, &(4000..4000)), ["b"]);
        assert_eq!(named(playlist, &(3999..8500)), ["a", "b", "c"]);
        assert_eq!(named(playlist, &(4000..8499)), ["b"]);
        assert_eq!(named(playlist, &(9750..99_999)), ["c"], "after the end");
        assert_eq!(named("", &(0..1)), [""; 0]);
    }
}
