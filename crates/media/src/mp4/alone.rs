//! A movie without a film: its audio tracks.

use super::boxes::Reader;
use super::fragments::Fragments;
use super::movie;
use super::remux::{MAX_MOOV, Movie};
use super::runs::Defaults;
use super::sound::Sound;
use crate::keyframe::Error;
use crate::remux::{Audio, Refusal, Sample, Unplayable};
use crate::source::Source;

/// Lists the samples of all audio tracks, those of the track to play by default first.
pub(crate) async fn audio_alone(source: &Source) -> Result<Vec<Audio>, Unplayable> {
    let mut reader = Reader::new(source);
    let (context, tracks) = movie::tracks(&mut reader, source).await?;
    let sound = Sound::open(source, tracks, &context.movie).await?;
    if sound.encrypted {
        return Err(Refusal("ENCRYPTED").into());
    }
    let moov = context.moov.range();
    if moov.end - moov.start > MAX_MOOV {
        return Err(Refusal("INDEX_TOO_LARGE").into());
    }
    source.pin(moov.clone()).await?;
    let fragments = fragments(&mut reader, &context, &sound, moov.end).await?;
    sound.samples(&mut Movie { source, fragments }, 0).await
}

/// Lists the samples in movie fragments, if there are any.
async fn fragments(
    reader: &mut Reader<'_>,
    context: &movie::Context,
    sound: &Sound,
    moov_end: u64,
) -> Result<Option<Vec<(u32, Vec<Sample>)>>, Unplayable> {
    let Some((mvex, chosen)) = context.mvex.as_ref().zip(sound.chosen()) else { return Ok(None) };
    let first = (chosen.id, Defaults::of(mvex, chosen.id));
    let fragments = match Fragments::open(reader, moov_end, chosen.timing.scale, first, None).await {
        Ok(fragments) => fragments,
        // The sample tables can list all samples.
        Err(Error::Unknown(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let tracks: Vec<_> = sound.ids().map(|id| (id, Defaults::of(mvex, id))).collect();
    let samples = fragments.list(reader.source, &tracks).await?;
    Ok(Some(sound.ids().zip(samples).collect()))
}
