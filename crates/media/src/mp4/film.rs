//! Chooses the film among the video tracks: files also have covers, chapter images, previews and depth maps.

use super::boxes::{Fields, Name, Reader};
use super::codecs;
use super::movie::Media;
use super::sizes::Sizes;
use crate::inspect::is_picture;
use crate::keyframe::Error;
use crate::source::{Source, in_parallel};

/// A track reference to chapters (`QuickTime`; MP4 files of Apple).
const CHAPTERS: Name = *b"chap";
/// The references of a track that only supplements another (ISO/IEC 14496-12, 8.3.3.3; ISO/IEC 23008-12): an auxiliary
/// track, thumbnails, a depth map, parallax.
const SUPPLEMENTS: [Name; 4] = [*b"auxl", *b"thmb", *b"vdep", *b"vplx"];

/// Reads the body of a `tref` box: the type of each reference and the ID of the track.
pub(super) fn references(tref: &Fields) -> Vec<(Name, u32)> {
    /// Limit of references. Films refer to a few tracks.
    const MAX: usize = 64;
    tref.boxes()
        .flat_map(|(name, mut ids)| std::iter::from_fn(move || Some((name, ids.u32()?))))
        .take(MAX)
        .collect()
}

/// Returns the tracks of a kind (`vide` or `soun`) that players present: neither chapters nor supplements.
pub(super) fn presented<'a>(tracks: &'a [Media], handler: &[u8; 4]) -> impl Iterator<Item = usize> + 'a {
    let chapters = tracks.iter().flat_map(|track| &track.references).filter(|(name, _)| *name == CHAPTERS);
    let chapters: Vec<u32> = chapters.map(|(_, id)| *id).collect();
    let handler = *handler;
    tracks.iter().enumerate().filter_map(move |(i, track)| {
        let supplements = track.references.iter().any(|(name, _)| SUPPLEMENTS.contains(name));
        (track.handler == handler && !supplements && !chapters.contains(&track.header.id)).then_some(i)
    })
}

/// The properties that tell the film from still images; the first field decides.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    several_samples: bool,
    /// The codec is not a format of still images. This counts more than the flag `enabled`, because ffmpeg enables only
    /// the first track.
    moving: bool,
    enabled: bool,
}

/// Returns the number of the track that is the film, or `None` if there is none. Of several, it is the first one.
pub(super) async fn choose(
    source: &Source,
    tracks: &[Media],
    fragmented: bool,
) -> Result<Option<usize>, Error> {
    let candidates: Vec<(usize, &Media)> =
        presented(tracks, b"vide").filter_map(|i| Some((i, tracks.get(i)?))).collect();
    if let [(only, _)] = candidates[..] {
        return Ok(Some(only));
    }
    let ranks = candidates.iter().map(|(i, track)| async move {
        Ok::<_, Error>((rank(source, track, fragmented).await?, std::cmp::Reverse(*i)))
    });
    let best = in_parallel(ranks.collect()).await?.into_iter().max();
    Ok(best.map(|(_, first)| first.0))
}

async fn rank(source: &Source, track: &Media, fragmented: bool) -> Result<Rank, Error> {
    let mut reader = Reader::new(source);
    let boxes = track.stbl(&mut reader, false).await?;
    let samples = Sizes::open(&reader, &boxes).await?.count;
    let codec = codecs::first_video_codec(&mut reader, &boxes).await?;
    Ok(Rank {
        several_samples: samples > 1 || fragmented && samples == 0,
        moving: !codec.is_some_and(is_picture),
        enabled: track.header.enabled,
    })
}

#[cfg(test)]
mod tests {
    use super::super::boxes::tests::atom;
    use super::*;

    #[test]
    fn references_name_tracks() {
        let tref = [atom(*b"chap", &[3, 4], &[]), atom(*b"hint", &[], &[1])].concat();
        assert_eq!(references(&Fields(tref.into())), [(*b"chap", 3), (*b"chap", 4)]);
    }

    #[test]
    fn several_samples_count_more_than_the_format_and_that_more_than_a_flag() {
        let rank = |several_samples, moving, enabled| Rank { several_samples, moving, enabled };
        assert!(rank(true, false, false) > rank(false, true, true));
        assert!(rank(true, true, false) > rank(true, false, true));
        assert!(rank(true, true, true) > rank(true, true, false));
    }
}
