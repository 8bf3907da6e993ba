//! A file without a film: its audio tracks.

use super::headers;
use crate::remux::{Audio, Refusal, Unplayable};
use crate::source::Source;

/// Lists the samples of all audio tracks, those of the track to play by default first. This reads the whole file, because
/// the Cues of such files are rare, and refuses a large one.
pub(crate) async fn audio_alone(source: &Source) -> Result<Vec<Audio>, Unplayable> {
    let (tracks, track) = headers(source).await?;
    if tracks.audio_encrypted {
        return Err(Refusal("ENCRYPTED").into());
    }
    let listed = track.list_all(source, track.audio_tracks()).await?;
    Ok(track.all_audio(listed)?)
}
