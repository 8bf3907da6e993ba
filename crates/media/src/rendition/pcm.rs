//! Decoded audio as ffmpeg passes it on: a fragmented QuickTime file with a fragment for each frame.

use bytes::{Buf, Bytes, BytesMut};

use super::SAMPLE_RATE;
use crate::mp4::boxes::Fields;

/// ffmpeg's arguments for such an output. The times are those of the source, in samples.
pub(super) const OUTPUT: &[&str] = &[
    "-c:a",
    "pcm_f32le",
    "-f",
    "mov",
    "-movflags",
    "+empty_moov+default_base_moof+frag_every_frame+frag_discont+skip_trailer",
    "-avoid_negative_ts",
    "disabled",
    "-map_metadata",
    "-1",
    "-map_chapters",
    "-1",
];
/// Bytes of a sample: two channels of 32 bits.
pub(super) const SAMPLE_SIZE: usize = 8;
/// The largest box, in bytes. A frame has some thousand samples, rarely a second of them.
const MAX_BOX: usize = 64 << 20;

/// The filter that converts audio to this format. It has no memory, so that it can start anywhere: when the number of
/// channels changes, ffmpeg starts it anew.
pub(super) fn filter(is_discrete: bool) -> String {
    let pan = if is_discrete { "pan=stereo|c0=c0|c1=c1," } else { "" };
    format!("{pan}aresample={SAMPLE_RATE},aformat=sample_fmts=flt:channel_layouts=stereo")
}

/// Consecutive samples.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Samples {
    /// The time of the first one, in samples.
    pub(super) time: i64,
    pub(super) data: Bytes,
}

/// Reads the file piece by piece.
#[derive(Debug, Default)]
pub(super) struct Reader {
    buffer: BytesMut,
    /// The time in the last `moof` box.
    time: Option<i64>,
}

impl Reader {
    /// Takes the next piece of the file, and returns the frames that are complete. Returns `None` if the file is
    /// malformed.
    pub(super) fn push(&mut self, piece: &[u8]) -> Option<Vec<Samples>> {
        self.buffer.extend_from_slice(piece);
        let mut frames = Vec::new();
        while let Some([a, b, c, d, name @ ..]) = self.buffer.first_chunk::<8>().copied() {
            let size = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
            if !(8..=MAX_BOX).contains(&size) {
                return None;
            }
            if self.buffer.len() < size {
                break;
            }
            let mut body = self.buffer.split_to(size).freeze();
            body.advance(8);
            match &name {
                b"moof" => {
                    let mut tfdt = Fields(body).child(*b"traf")?.child(*b"tfdt")?;
                    let (version, _) = tfdt.version_and_flags()?;
                    self.time = Some(tfdt.u32_or_u64(version)?.cast_signed());
                }
                b"mdat" => {
                    let time = self.time.take()?;
                    body.truncate(body.len() - body.len() % SAMPLE_SIZE);
                    frames.push(Samples { time, data: body });
                }
                _ => {}
            }
        }
        Some(frames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mp4::boxes::{atom, full_box};

    fn fragment(time: i64, data: &[u8]) -> Vec<u8> {
        let tfdt = full_box(*b"tfdt", 1, 0, &[&time.to_be_bytes()]);
        [atom(*b"moof", &[&atom(*b"traf", &[&tfdt])]), atom(*b"mdat", &[data])].concat()
    }

    #[test]
    fn frames_are_complete_whatever_the_pieces() {
        let file =
            [atom(*b"moov", &[b"x"]), fragment(-1024, &[1; 16]), fragment(90_000_000_000, &[2; 8])].concat();
        for size in [1, 7, 50, 1000] {
            let mut reader = Reader::default();
            let frames: Vec<_> = file.chunks(size).flat_map(|piece| reader.push(piece).unwrap()).collect();
            let expected = [(-1024, vec![1; 16]), (90_000_000_000, vec![2; 8])];
            let expected = expected.map(|(time, data)| Samples { time, data: data.into() });
            assert_eq!(frames, expected, "{size}");
        }
    }

    #[test]
    fn malformed_file_is_an_error() {
        for bad in [
            vec![0, 0, 0, 7, b'm', b'd', b'a', b't'],
            vec![0xFF; 8],
            atom(*b"mdat", &[&[0; 8]]),
            atom(*b"moof", &[b"1234567"]),
        ] {
            assert_eq!(Reader::default().push(&bad), None, "{bad:?}");
        }
    }
}
