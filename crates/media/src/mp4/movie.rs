//! The `moov` box: the movie's duration, the film and the audio.

use std::ops::Range;

use futures_util::future::join;
use upreel_core::video::MediaInfo;

use super::boxes::{Fields, Header, Reader, find};
use super::codecs::{self, VisualSampleEntry};
use super::fragments::Fragments;
use super::headers::{Movie, TrackHeader};
use super::runs::Defaults;
use super::sound::Sound;
use super::tables::Tables;
use super::timing::to_ms;
use super::{Opened, Samples, Track, ahead, film, text, wrap};
use crate::keyframe::{Error, HEAD};
use crate::source::{Source, in_parallel};

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
    let (context, mut tracks) = tracks(&mut reader, source).await?;
    let film = film::choose(source, &tracks, context.mvex.is_some()).await?.ok_or(Error::NoVideo)?;
    // The film refers to its chapters.
    let texts: Vec<u32> = text::numbers(&tracks).into_iter().map(|i| tracks[i].header.id).collect();
    let film = tracks.remove(film);
    let (texts, tracks) = tracks.into_iter().partition(|track| texts.contains(&track.header.id));
    let sound = Sound::open(source, tracks, &context.movie).await?;
    let (media_info, track) = film.track(&mut reader, context, sound).await?;
    Ok((media_info, Track { text: texts, ..track }))
}

/// Reads the headers of the movie and of all tracks.
pub(super) async fn tracks(reader: &mut Reader<'_>, source: &Source) -> Result<(Context, Vec<Media>), Error> {
    source.read(0..HEAD).await?;
    let moov = find_moov(reader).await?;
    if moov.body.end - moov.body.start <= SMALL_MOOV {
        reader.read(moov.range(), SMALL_MOOV + 16).await?;
    }
    let mut movie = Movie::default();
    // Each step waits for S3, so both walks run concurrently.
    let (boxes, ()) = join(reader.children(&moov.body, BOX_READ), ahead::read(source, &moov)).await;
    let boxes = boxes?;
    let mvhd = find(&boxes, *b"mvhd").ok_or(Error::Unknown("no movie header (mvhd)"))?;
    movie.read(&mut reader.body(mvhd, MAX_BODY).await?).ok_or(Error::Unknown("malformed movie header"))?;
    let traks = boxes.iter().filter(|header| header.name == *b"trak").take(MAX_TRACKS);
    let tracks = in_parallel(traks.map(|trak| Media::open(source, trak)).collect()).await?;
    let tracks: Vec<Media> = tracks.into_iter().flatten().collect();

    let mvex = match find(&boxes, *b"mvex") {
        Some(mvex) => Some(reader.body(mvex, MAX_BODY).await?),
        None => None,
    };
    Ok((Context { moov, mvhd: mvhd.clone(), mvex, movie }, tracks))
}

/// Reads the whole `moov` box into memory, unless it has more than `max` bytes.
pub(crate) async fn preload(source: &Source, max: u64) -> Result<(), Error> {
    source.read(0..HEAD).await?;
    let moov = find_moov(&mut Reader::new(source)).await?.range();
    if moov.end - moov.start <= max {
        source.pin(moov).await?;
    }
    Ok(())
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

/// What the tracks of a movie have in common.
pub(super) struct Context {
    pub(super) moov: Header,
    mvhd: Header,
    pub(super) mvex: Option<Fields>,
    pub(super) movie: Movie,
}

/// The boxes of a `trak` box.
#[derive(Debug)]
pub(super) struct Media {
    pub(super) handler: [u8; 4],
    pub(super) header: TrackHeader,
    /// The tracks that this one refers to (`tref`): the type of the reference and the track's ID.
    pub(super) references: Vec<([u8; 4], u32)>,
    pub(super) boxes: Vec<Header>,
    pub(super) mdia: Vec<Header>,
    minf: Range<u64>,
}

impl Media {
    /// Reads the headers of a track's boxes. Returns `None` if required ones are missing or malformed.
    pub(super) async fn open(source: &Source, trak: &Header) -> Result<Option<Self>, Error> {
        let mut reader = Reader::new(source);
        let boxes = reader.children(&trak.body, BOX_READ).await?;
        let (Some(tkhd), Some(mdia)) = (find(&boxes, *b"tkhd"), find(&boxes, *b"mdia")) else {
            return Ok(None);
        };
        let Some(header) = TrackHeader::read(&mut reader.body(tkhd, MAX_BODY).await?) else {
            return Ok(None);
        };
        let references = match find(&boxes, *b"tref") {
            Some(tref) => film::references(&reader.body(tref, MAX_BODY).await?),
            None => Vec::new(),
        };
        let mdia = reader.children(&mdia.body, BOX_READ).await?;
        let (Some(hdlr), Some(minf)) = (find(&mdia, *b"hdlr"), find(&mdia, *b"minf")) else {
            return Ok(None);
        };
        let mut fields = reader.body(hdlr, MAX_BODY).await?;
        let Some(handler) = fields.skip(8).and_then(|()| fields.name()) else { return Ok(None) };
        let minf = minf.body.clone();
        Ok(Some(Self { handler, header, references, boxes, mdia, minf }))
    }

    /// Finds the body of `stbl`.
    pub(super) async fn stbl_body(&self, reader: &mut Reader<'_>) -> Result<Option<Range<u64>>, Error> {
        let minf = reader.children(&self.minf, BOX_READ).await?;
        Ok(find(&minf, *b"stbl").map(|stbl| stbl.body.clone()))
    }

    /// Reads the headers of the boxes in `stbl`, or only that of `stsd`.
    pub(super) async fn stbl(&self, reader: &mut Reader<'_>, only_stsd: bool) -> Result<Vec<Header>, Error> {
        let Some(stbl) = self.stbl_body(reader).await? else { return Ok(Vec::new()) };
        if !only_stsd {
            return reader.children(&stbl, BOX_READ).await;
        }
        let mut at = stbl.start;
        while let Some(header) = reader.header(at, stbl.end, BOX_READ).await? {
            if header.name == *b"stsd" {
                return Ok(vec![header]);
            }
            at = header.body.end;
        }
        Ok(Vec::new())
    }

    /// Reads the track, which is the film.
    async fn track(self, reader: &mut Reader<'_>, context: Context, sound: Sound) -> Result<Opened, Error> {
        let Context { moov, mvhd, mvex, movie } = context;
        let required = |header: Option<&Header>| {
            header.cloned().ok_or(Error::Unknown("required box missing in a track"))
        };
        let stbl = self.stbl(reader, false).await?;
        let tkhd = required(find(&self.boxes, *b"tkhd"))?;
        let (hdlr, stsd) = (required(find(&self.mdia, *b"hdlr"))?, required(find(&stbl, *b"stsd"))?);

        let entries = reader.body(&stsd, MAX_BODY).await?;
        if codecs::encrypted(&entries) || sound.encrypted {
            return Err(Error::Encrypted);
        }
        let mut timing = self.timing(reader, movie.scale).await?;
        let tables = Tables::open(reader, &stbl).await?;
        let description = tables.description;
        let ids = (self.header.id, sound.chosen().map(|track| track.id));
        let fragments = match &mvex {
            Some(mvex) => fragments(reader, mvex, ids, timing.scale, moov.body.end, &tables).await?,
            None => None,
        };
        let (samples, length) = if let Some(fragments) = fragments {
            let has_tables = tables.sizes.count > 0;
            fragments.set_times(&mut timing, has_tables, sound.timing());
            let frames = fragments.samples_and_duration();
            let ms = fragments.ends(&timing, sound.timing()).or_else(|| {
                let declared = mvex.as_ref().map_or(0, declared_duration);
                let declared = declared.max(if has_tables { 0 } else { movie.duration });
                (declared > 0).then(|| to_ms(declared, movie.scale))
            });
            (Samples::Fragments(fragments, has_tables.then_some(tables)), Length { ms, frames })
        } else if tables.sizes.count > 0 {
            timing = self.timing_of(reader, &tables, movie.scale).await?;
            let frames = (tables.sizes.count, timing.media_duration);
            let ms = match timing.ms(timing.end()).max(sound.end_ms()) {
                0 => Some(to_ms(movie.duration, movie.scale)).filter(|ms| *ms > 0),
                ms => Some(ms),
            };
            (Samples::Tables(tables), Length { ms, frames })
        } else {
            return Err(Error::Unknown("video track without samples"));
        };

        let visual = codecs::visual_sample_entries(&entries)
            .nth(usize::try_from(description).unwrap_or(usize::MAX).saturating_sub(1))
            .flatten()
            .ok_or(Error::Unknown("malformed sample description"))?;
        let mut media_info = media_info(&visual, self.header.orientation(&movie));
        media_info.frame_rate = frame_rate(length.frames, timing.scale);
        media_info.duration_ms = length.ms;
        media_info.audio_codec = sound.codec();
        let body = |header: &Header| reader.read(header.body.clone(), MAX_BODY);
        let boxes = wrap::Boxes {
            mvhd: body(&mvhd).await?,
            movie_scale: movie.scale,
            tkhd: body(&tkhd).await?,
            hdlr: body(&hdlr).await?,
            stsd: entries.0,
            description,
        };
        let moov = moov.range();
        Ok((media_info, Track { timing, boxes, samples, id: self.header.id, sound, text: Vec::new(), moov }))
    }
}

/// The duration of the video.
struct Length {
    ms: Option<u64>,
    /// Some of the frames and their total duration in ticks, from which the frame rate follows.
    frames: (u64, u64),
}

/// Returns the fragments after `moov`, or `None` if there are none and the tables list all samples. If there are both,
/// the tables only cover the start.
async fn fragments(
    reader: &mut Reader<'_>,
    mvex: &Fields,
    (film, sound): (u32, Option<u32>),
    scale: u32,
    moov_end: u64,
    tables: &Tables,
) -> Result<Option<Fragments>, Error> {
    let film = (film, Defaults::of(mvex, film));
    let sound = sound.map(|sound| (sound, Defaults::of(mvex, sound)));
    match Fragments::open(reader, moov_end, scale, film, sound).await {
        Ok(fragments) => Ok(Some(fragments)),
        Err(Error::Unknown(_)) if tables.sizes.count > 0 => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads the duration of all fragments, in units of the movie's timescale, from the body of an `mvex` box (8.8.1).
/// Returns 0 if it is not declared.
fn declared_duration(mvex: &Fields) -> u64 {
    let declared = mvex.child(*b"mehd").and_then(|mut mehd| {
        let (version, _) = mehd.version_and_flags()?;
        mehd.u32_or_u64(version)
    });
    declared.unwrap_or(0)
}

fn media_info(visual: &VisualSampleEntry, (rotation, mirrored): (u16, bool)) -> MediaInfo {
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
        mirrored: mirrored.then_some(true),
        video_codec: visual.codec.map(str::to_owned),
        color_transfer: visual.transfer.map(str::to_owned),
        ..MediaInfo::default()
    }
}

/// Returns the frame rate of a number of frames and their duration, rounded to hundredths, as ffmpeg prints it.
#[expect(clippy::cast_precision_loss, reason = "the result is rounded anyway")]
fn frame_rate((frames, duration): (u64, u64), scale: u32) -> Option<f64> {
    let rate = frames as f64 * f64::from(scale) / duration as f64;
    rate.is_normal().then(|| (rate * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_rate_is_an_average() {
        assert_eq!(frame_rate((150, 76_800), 12_800), Some(25.0));
        assert_eq!(frame_rate((2, 2002), 60_000), Some(59.94));
        assert_eq!(frame_rate((5, 0), 600), None);
    }
}
