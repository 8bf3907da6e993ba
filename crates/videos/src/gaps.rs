//! Playlists of rungs that are being encoded, with `EXT-X-GAP` for the segments that are not stored yet (RFC 8216bis,
//! section 4.4.4.7). Only players that ask for them get them, because others would request the missing segments.
//!
//! The row says which chunks are stored. It says so after they are stored, so a segment without the tag always exists,
//! and the next request finds one that was a gap. The stored playlist has no gaps, and never changes.

use quick_m3u8::HlsLine;
use quick_m3u8::tag::hls::Gap;
use upreel_core::Fault;
use upreel_core::playback::{PLANNED, VARIANT};
use upreel_core::transcode::Transcode;
use upreel_core::video::Record;
use upreel_function::App;

use crate::hls::Played;

/// Returns the lines of these rungs for a master playlist.
pub(crate) async fn variants(app: &App, record: &Record, played: &Played) -> Result<String, Fault> {
    let mut text = String::new();
    for rung in record.rungs.iter().flatten().map(|(rung, _)| rung) {
        text.extend(load(app, record, played, rung, VARIANT).await?);
    }
    // The player requests their playlists with the same query.
    Ok(text.replace("/index.m3u8\n", "/index.m3u8?gaps=true\n"))
}

/// Returns the playlist of a rung, without gaps; `None` if there is nothing to play yet.
pub(crate) async fn planned(
    app: &App,
    record: &Record,
    played: &Played,
    rung: &str,
) -> Result<Option<String>, Fault> {
    let text = load(app, record, played, rung, PLANNED).await?;
    Ok(text.filter(|text| text.lines().any(|line| record.has_segment(rung, line))))
}

/// Adds the tags to the segments of a rung that are not stored.
pub(crate) fn tagged<'a>(record: &Record, rung: &str, lines: Vec<HlsLine<'a>>) -> Vec<HlsLine<'a>> {
    let tagged = lines.into_iter().flat_map(|line| match &line {
        HlsLine::Uri(uri) if !record.has_segment(rung, uri) => vec![HlsLine::from(Gap), line],
        _ => vec![line],
    });
    tagged.collect()
}

/// Loads a file of a rung that can be played in part. The first chunk stores the files, and others can be stored before
/// it.
async fn load(
    app: &App,
    record: &Record,
    played: &Played,
    rung: &str,
    file: &str,
) -> Result<Option<String>, Fault> {
    let transcode = record.rungs.as_ref().and_then(|rungs| rungs.get(rung));
    let is_begun =
        transcode.is_some_and(Transcode::can_resume) && record.stored_chunks(rung).next().is_some();
    let Some(key) = played.key(record.video.video_id, &format!("{rung}/{file}")).filter(|_| is_begun) else {
        return Ok(None);
    };
    let bytes = app.objects.load(&key).await?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}
