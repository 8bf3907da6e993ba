//! Encodes audio to AAC in a child process of its own, while it is decoded.

use std::future::pending;
use std::path::Path;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::pcm::Reader;
use super::placer::{Placer, silence};
use super::{LIMITS, SAMPLE_RATE};
use crate::child::{self, ChildSpec, Feed};
use crate::error::Error;
use crate::ffmpeg::check_whole;

/// Pieces of audio that wait for the encoder, at most.
pub(super) const QUEUE: usize = 4;

/// Encodes samples that arrive while it runs. Returns a fragmented MP4.
pub(super) async fn encode(
    ffmpeg: &Path,
    samples: mpsc::Receiver<Bytes>,
    deadline: Instant,
) -> Result<Bytes, Error> {
    let rate = SAMPLE_RATE.to_string();
    let input = ["-f", "f32le", "-format_whitelist", "f32le", "-ar", &rate, "-ac", "2"];
    let output = ["-c:a", "aac", "-b:a", "128k", "-frag_duration", "60000000"];
    let movflags =
        ["-movflags", "+empty_moov+default_base_moof", "-map_metadata", "-1", "-f", "mp4", "pipe:1"];
    let args = [
        &["-hide_banner", "-nostdin", "-nostats", "-loglevel", "error"][..],
        &input,
        &["-protocol_whitelist", "pipe", "-i", "pipe:0"],
        &output,
        &movflags,
    ];
    let spec = ChildSpec {
        program: ffmpeg,
        args: &args.concat(),
        input: Some(Feed::Stream(samples)),
        outputs: 1,
        streams: Vec::new(),
        network: false,
        limits: LIMITS,
        deadline,
    };
    let output = child::run(spec, pending::<()>()).await?;
    Ok(check_whole(output, LIMITS)?.into_iter().next().unwrap_or_default().into())
}

/// An audio stream between its decoder and its encoder.
pub(super) struct Relay {
    placer: Placer,
    encoder: mpsc::Sender<Bytes>,
}

impl Relay {
    pub(super) const fn new(placer: Placer, encoder: mpsc::Sender<Bytes>) -> Self {
        Self { placer, encoder }
    }

    /// Places all audio that the decoder sends. Returns early if the encoder has ended.
    pub(super) async fn run(&mut self, mut decoder: mpsc::Receiver<Bytes>) -> Result<(), Error> {
        let mut reader = Reader::default();
        while let Some(piece) = decoder.recv().await {
            let malformed = || Error::Unreadable("malformed audio from ffmpeg".to_owned());
            for frame in reader.push(&piece).ok_or_else(malformed)? {
                let (silent, data) = self.placer.place(frame);
                if !self.send(silence(silent).chain([data])).await {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Returns the time at which the audio ends so far.
    pub(super) fn audio_end(&self) -> Option<i64> {
        self.placer.audio_end()
    }

    /// Adds silence until `end`, and ends the encoder's input.
    pub(super) async fn finish(mut self, end: i64) {
        let missing = self.placer.finish(end);
        self.send(silence(missing)).await;
    }

    /// Returns whether the encoder still runs.
    async fn send(&self, pieces: impl IntoIterator<Item = Bytes>) -> bool {
        for piece in pieces {
            if !piece.is_empty() && self.encoder.send(piece).await.is_err() {
                return false;
            }
        }
        true
    }
}
