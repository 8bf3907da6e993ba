//! Encodes audio to AAC in a child process of its own, while it is decoded.

use std::future::pending;
use std::path::Path;

use bytes::Bytes;
use futures_util::future::{join, join_all, try_join_all};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::SAMPLE_RATE;
use super::pcm::Reader;
use super::placer::{Placer, silence};
use crate::child::{self, ChildSpec, Feed, Limits};
use crate::error::Error;
use crate::ffmpeg::check_whole;

/// Pieces of audio that wait for the encoder, at most.
const QUEUE: usize = 4;

/// How encoders run.
#[derive(Clone, Copy)]
pub(super) struct Encoder<'a> {
    pub(super) ffmpeg: &'a Path,
    pub(super) limits: Limits,
    pub(super) deadline: Instant,
}

impl Encoder<'_> {
    /// Encodes audio streams while `decode` decodes them and sends their samples. The first sample to encode of all streams
    /// has the time `start`; those of a stream at or after its time in `presented` are silent. `finish` gets what
    /// `decode` returns, and the time at which the audio ends, if there is any. It returns the result, and the time up to
    /// which silence is added. Also returns a fragmented MP4 for each stream.
    pub(super) async fn encode_streams<D, T, F: Future<Output = Result<D, Error>>>(
        self,
        (start, presented): (i64, &[i64]),
        decode: impl FnOnce(Vec<mpsc::Sender<Bytes>>) -> F,
        finish: impl FnOnce(D, Option<i64>) -> (T, i64),
    ) -> Result<(T, Vec<Bytes>), Error> {
        let (mut encoders, mut relays, mut decoders, mut received) = (vec![], vec![], vec![], vec![]);
        for end in presented {
            let (to_encoder, samples) = mpsc::channel(QUEUE);
            let (decoder, from_decoder) = mpsc::channel(QUEUE);
            encoders.push(self.encode(samples));
            relays.push(Relay { placer: Placer::new(start, *end), encoder: to_encoder });
            decoders.push(decoder);
            received.push(from_decoder);
        }
        let decode = async {
            let placed = relays.iter_mut().zip(received).map(|(relay, decoder)| relay.run(decoder));
            let (decoded, placed) = join(decode(decoders), join_all(placed)).await;
            let decoded = decoded?;
            placed.into_iter().collect::<Result<(), _>>()?;
            let audio_end = relays.iter().filter_map(|relay| relay.placer.audio_end()).max();
            let (result, end) = finish(decoded, audio_end);
            join_all(relays.into_iter().map(|relay| relay.finish(end))).await;
            Ok::<_, Error>(result)
        };
        let (encoded, decoded) = join(try_join_all(encoders), decode).await;
        // An encoder fails, too, if decoding does.
        Ok((decoded?, encoded?))
    }

    /// Encodes samples that arrive while it runs. Returns a fragmented MP4.
    async fn encode(self, samples: mpsc::Receiver<Bytes>) -> Result<Bytes, Error> {
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
            program: self.ffmpeg,
            args: &args.concat(),
            input: Some(Feed::Stream(samples)),
            outputs: 1,
            streams: Vec::new(),
            network: false,
            limits: self.limits,
            deadline: self.deadline,
        };
        let output = child::run(spec, pending::<()>()).await?;
        Ok(check_whole(output, self.limits)?.into_iter().next().unwrap_or_default().into())
    }
}

/// An audio stream between its decoder and its encoder.
struct Relay {
    placer: Placer,
    encoder: mpsc::Sender<Bytes>,
}

impl Relay {
    /// Places all audio that the decoder sends. Returns early if the encoder has ended.
    async fn run(&mut self, mut decoder: mpsc::Receiver<Bytes>) -> Result<(), Error> {
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

    /// Adds silence until `end`, and ends the encoder's input.
    async fn finish(mut self, end: i64) {
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
