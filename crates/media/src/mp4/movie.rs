//! The `moov` box: the movie's duration, its first video track, and the audio codec.

use std::ops::Range;

use futures_util::future::join;
use upreel_core::video::MediaInfo;

use super::boxes::{Header, Reader, find};
use super::codecs::{self, VisualSampleEntry};
use super::cuts::AudioTrack;
use super::fragments::Fragments;
use super::headers::{Movie, track_header};
use super::runs::Defaults;
use super::tables::Tables;
use super::timing::{Timing, to_ms};
use super::{Opened, Samples, Track, wrap};
use crate::keyframe::{Error, HEAD};
use crate::source::Source;

/// A `moov` up to this size is read whole, in bytes.
const SMALL_MOOV: u64 = 192 * 1024;
/// Size of the read at a box header at the top level.
const TOP_LEVEL_READ: u64 = 32 * 1024;
/// Size of the read at a box header inside a large `moov`.
pub(super) const BOX_READ: u64 = 6 * 1024;
/// Limit of top-level boxes before `moov`; each may take a request.
const MAX_TOP_LEVEL_BOXES: usize = 64;
const MAX_TRACKS: usize = 64;
/// Largest box that is read whole, except tables; `stsd` contains the codec configuration.
pub(super) const MAX_BODY: u64 = 1 << 20;

/// Reads the index of an object.
pub(crate) async fn open(source: &Source) -> Result<Opened, Error> {
    let mut reader = Reader::new(source);
    source.read(0..HEAD).await?;
    let moov = find_moov(&mut reader).await?;
    if moov.body.end - moov.body.start <= SMALL_MOOV {
        reader.read(moov.range(), SMALL_MOOV + 16).await?;
    }
    let mut movie = Movie::default();
    // Each step waits for S3, so both walks run concurrently.
    let (boxes, ()) = join(reader.children(&moov.body, BOX_READ), walk_ahead(source, &moov)).await;
    let boxes = boxes?;
    let mvhd = find(&boxes, *b"mvhd").ok_or(Error::Unknown("no movie header (mvhd)"))?;
    movie.read(&mut reader.body(mvhd, MAX_BODY).await?).ok_or(Error::Unknown("malformed movie header"))?;

    let mut video = None;
    let mut audio = None;
    let mut audio_track = None;
    for trak in boxes.iter().filter(|header| header.name == *b"trak").take(MAX_TRACKS) {
        let Some(media) = Media::open(&mut reader, trak).await? else { continue };
        match &media.handler {
            b"vide" if video.is_none() => video = Some(media),
            b"soun" if audio.is_none() => {
                audio = media.audio_codec(&mut reader).await?;
                audio_track.get_or_insert(AudioTrack { media, movie_scale: movie.scale });
            }
            _ => {}
        }
        if video.is_some() && audio.is_some() {
            break;
        }
    }
    let media = video.ok_or(Error::NoVideo)?;
    let mvex = find(&boxes, *b"mvex");
    let (mut media_info, mut track) = media.track(&mut reader, &moov, mvhd, mvex, &movie).await?;
    track.audio = audio_track;
    media_info.audio_codec = audio.map(str::to_owned);
    Ok((media_info, track))
}

/// Reads the box headers down to the sample tables of the first track if it is video, as it usually is, so that they
/// are cached. Ignores errors, because the caller meets them again.
async fn walk_ahead(source: &Source, moov: &Header) {
    let mut reader = Reader::new(source);
    let mut at = moov.body.start;
    while let Ok(Some(header)) = reader.header(at, moov.body.end, BOX_READ).await {
        if header.name == *b"trak" {
            if let Ok(Some(media)) = Media::open(&mut reader, &header).await
                && media.handler == *b"vide"
            {
                let _ = media.stbl(&mut reader, false).await;
            }
            break;
        }
        at = header.body.end;
    }
}

async fn find_moov(reader: &mut Reader<'_>) -> Result<Header, Error> {
    let mut at = 0;
    for _ in 0..MAX_TOP_LEVEL_BOXES {
        match reader.header(at, u64::MAX, TOP_LEVEL_READ).await? {
            Some(header) if header.name == *b"moov" => return Ok(header),
            Some(header) if header.name == *b"moof" => {
                return Err(Error::Unknown("movie fragment before the moov box"));
            }
            Some(header) => at = header.body.end,
            None => return Err(Error::Unknown("no moov box")),
        }
    }
    Err(Error::Unknown("no moov box among the first boxes"))
}

/// The boxes of a `trak` box.
#[derive(Debug)]
pub(super) struct Media {
    handler: [u8; 4],
    pub(super) boxes: Vec<Header>,
    pub(super) mdia: Vec<Header>,
    minf: Range<u64>,
}

impl Media {
    async fn open(reader: &mut Reader<'_>, trak: &Header) -> Result<Option<Self>, Error> {
        let boxes = reader.children(&trak.body, BOX_READ).await?;
        let Some(mdia) = find(&boxes, *b"mdia") else { return Ok(None) };
        let mdia = reader.children(&mdia.body, BOX_READ).await?;
        let (Some(hdlr), Some(minf)) = (find(&mdia, *b"hdlr"), find(&mdia, *b"minf")) else {
            return Ok(None);
        };
        let mut fields = reader.body(hdlr, MAX_BODY).await?;
        let Some(handler) = fields.skip(8).and_then(|()| fields.name()) else { return Ok(None) };
        let minf = minf.body.clone();
        Ok(Some(Self { handler, boxes, mdia, minf }))
    }

    /// Reads the headers of the boxes in `stbl`, or only that of `stsd`.
    pub(super) async fn stbl(&self, reader: &mut Reader<'_>, only_stsd: bool) -> Result<Vec<Header>, Error> {
        let minf = reader.children(&self.minf, BOX_READ).await?;
        let Some(stbl) = find(&minf, *b"stbl") else { return Ok(Vec::new()) };
        if !only_stsd {
            return reader.children(&stbl.body, BOX_READ).await;
        }
        let mut at = stbl.body.start;
        while let Some(header) = reader.header(at, stbl.body.end, BOX_READ).await? {
            if header.name == *b"stsd" {
                return Ok(vec![header]);
            }
            at = header.body.end;
        }
        Ok(Vec::new())
    }

    async fn audio_codec(&self, reader: &mut Reader<'_>) -> Result<Option<&'static str>, Error> {
        let boxes = self.stbl(reader, true).await?;
        let Some(stsd) = find(&boxes, *b"stsd") else { return Ok(None) };
        let mut entries = reader.body(stsd, MAX_BODY).await?;
        Ok(entries
            .skip(8)
            .and_then(|()| entries.boxes().next())
            .and_then(|(name, entry)| codecs::audio_codec(name, entry)))
    }

    async fn track(
        &self,
        reader: &mut Reader<'_>,
        moov: &Header,
        mvhd: &Header,
        mvex: Option<&Header>,
        movie: &Movie,
    ) -> Result<Opened, Error> {
        let required = |header: Option<&Header>| {
            header.cloned().ok_or(Error::Unknown("required box missing in a track"))
        };
        let stbl = self.stbl(reader, false).await?;
        let (tkhd, mdhd) = (required(find(&self.boxes, *b"tkhd"))?, required(find(&self.mdia, *b"mdhd"))?);
        let (hdlr, stsd) = (required(find(&self.mdia, *b"hdlr"))?, required(find(&stbl, *b"stsd"))?);

        let (track_id, rotation) = track_header(&mut reader.body(&tkhd, MAX_BODY).await?)
            .ok_or(Error::Unknown("malformed track header"))?;
        let mut timing = self.timing(reader, movie.scale).await?;

        let tables = Tables::open(reader, &stbl).await?;
        let description = tables.description;
        let (samples, length) = samples(reader, tables, &mut timing, track_id, moov, mvex, movie).await?;

        let mut entries = reader.body(&stsd, MAX_BODY).await?;
        let nth = usize::try_from(description).unwrap_or(usize::MAX).saturating_sub(1);
        let visual = entries
            .skip(8)
            .and_then(|()| entries.boxes().nth(nth))
            .and_then(|(name, entry)| codecs::visual_sample_entry(name, entry))
            .ok_or(Error::Unknown("malformed sample description"))?;
        if visual.encrypted {
            return Err(Error::Unknown("encrypted video track"));
        }
        let mut media_info = media_info(&visual, rotation);
        media_info.frame_rate = frame_rate(length.frames, length.frames_duration, timing.scale);
        media_info.duration_ms = length.ms;
        let body = |header: &Header| reader.read(header.body.clone(), MAX_BODY);
        let boxes = wrap::Boxes {
            mvhd: body(mvhd).await?,
            tkhd: body(&tkhd).await?,
            mdhd: body(&mdhd).await?,
            hdlr: body(&hdlr).await?,
            stsd: body(&stsd).await?,
            description,
        };
        Ok((media_info, Track { timing, boxes, samples, audio: None }))
    }
}

/// The duration of the video.
struct Length {
    ms: Option<u64>,
    /// Some of the frames and their total duration in ticks, from which the frame rate follows.
    frames: u64,
    frames_duration: u64,
}

/// Determines where the samples are listed: in the tables of `moov`, in fragments after it, or in both. In the last
/// case the tables only cover the start.
async fn samples(
    reader: &mut Reader<'_>,
    tables: Tables,
    timing: &mut Timing,
    track_id: u32,
    moov: &Header,
    mvex: Option<&Header>,
    movie: &Movie,
) -> Result<(Samples, Length), Error> {
    let has_tables = tables.count > 0;
    if let Some(mvex) = mvex {
        let (defaults, declared) = movie_extends(reader, mvex, track_id).await?;
        match Fragments::open(reader, moov.body.end, track_id, timing.scale, defaults).await {
            Ok(fragments) => {
                let start = if has_tables { 0 } else { fragments.start_time() };
                let declared = declared.max(if has_tables { 0 } else { movie.duration });
                let end = fragments.end_time();
                timing.media_start = start;
                timing.media_duration = end.unwrap_or(timing.media_duration.saturating_add(start));
                let ms = match end {
                    _ if declared > 0 => Some(to_ms(declared, movie.scale)),
                    Some(end) => Some(to_ms(end.saturating_sub(start), timing.scale)),
                    None => None,
                };
                let (frames, frames_duration) = fragments.samples_and_duration();
                return Ok((Samples::Fragments(fragments), Length { ms, frames, frames_duration }));
            }
            Err(Error::Unknown(_)) if has_tables => {}
            Err(error) => return Err(error),
        }
    }
    if !has_tables {
        return Err(Error::Unknown("video track without samples"));
    }
    let (duration, scale) = match movie.duration {
        0 => (timing.media_duration, timing.scale),
        duration => (duration, movie.scale),
    };
    let ms = Some(to_ms(duration, scale));
    let length = Length { ms, frames: tables.count, frames_duration: timing.media_duration };
    Ok((Samples::Tables(tables), length))
}

fn media_info(visual: &VisualSampleEntry, rotation: u16) -> MediaInfo {
    let (across, down) = visual.aspect.unwrap_or((1, 1));
    // Rounded to the nearest pixel.
    let width = (u64::from(visual.width) * u64::from(across) + u64::from(down) / 2) / u64::from(down);
    let (width, height) = (u32::try_from(width).unwrap_or(u32::MAX), visual.height);
    let swapped = matches!(rotation, 90 | 270);
    let (width, height) = if swapped { (height, width) } else { (width, height) };
    MediaInfo {
        width: Some(width).filter(|width| *width > 0),
        height: Some(height).filter(|height| *height > 0),
        rotation: Some(rotation),
        video_codec: visual.codec.map(str::to_owned),
        color_transfer: visual.transfer.map(str::to_owned),
        ..MediaInfo::default()
    }
}

#[expect(clippy::cast_precision_loss, reason = "the result is rounded anyway")]
fn frame_rate(frames: u64, duration: u64, scale: u32) -> Option<f64> {
    let rate = frames as f64 * f64::from(scale) / duration as f64;
    // Rounded to hundredths, as ffmpeg prints it.
    rate.is_normal().then(|| (rate * 100.0).round() / 100.0)
}

/// Reads an `mvex` box (8.8.1): the defaults for the track's fragments, and their total duration, or 0 if unknown.
async fn movie_extends(reader: &mut Reader<'_>, mvex: &Header, track: u32) -> Result<(Defaults, u64), Error> {
    let body = reader.body(mvex, MAX_BODY).await?;
    let duration = body.child(*b"mehd").and_then(|mut mehd| {
        let (version, _) = mehd.version_and_flags()?;
        mehd.u32_or_u64(version)
    });
    let mut found = Defaults::default();
    for (_, mut trex) in body.boxes().filter(|(name, _)| name == b"trex") {
        let _version = trex.version_and_flags();
        if trex.u32() == Some(track)
            && let Some(defaults) = Defaults::read(&mut trex)
        {
            found = defaults;
        }
    }
    Ok((found, duration.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_rate_is_rounded_or_none() {
        assert_eq!(frame_rate(50, 0, 1), None);
        assert_eq!(frame_rate(30_000, 1_001_000, 1000), Some(29.97));
    }
}
