//! The frames of FLAC (RFC 9639).

mod header;

pub(super) use self::header::Header;

use super::{MAX_JUNK, Parser, keep};
use crate::matroska::AudioCodec;
use crate::remux::{Audio, Refusal, Sample};

const MARK: &[u8] = b"fLaC";
/// The length of STREAMINFO (8.2).
pub(super) const STREAM_INFO: usize = 34;
/// The most damaged frames before a file is refused. The end of each is searched for.
const MAX_DAMAGED: u32 = 64;

/// What STREAMINFO tells.
#[derive(Debug, Clone)]
pub(super) struct Info {
    bytes: [u8; STREAM_INFO],
    /// Samples of a frame, if all but the last one have the same number.
    block: Option<u32>,
    rate: u32,
    channels: u8,
    bits: u8,
}

impl Info {
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let bytes = *bytes.first_chunk::<STREAM_INFO>()?;
        let (least, most) =
            (u16::from_be_bytes([bytes[0], bytes[1]]), u16::from_be_bytes([bytes[2], bytes[3]]));
        let rate = u32::from(bytes[10]) << 12 | u32::from(bytes[11]) << 4 | u32::from(bytes[12] >> 4);
        let channels = (bytes[12] >> 1 & 7) + 1;
        let bits = ((bytes[12] & 1) << 4 | bytes[13] >> 4) + 1;
        let block = (least == most && most > 0).then_some(most.into());
        (rate > 0).then_some(Self { bytes, block, rate, channels, bits })
    }

    pub(super) fn codec(&self) -> AudioCodec {
        // Its only block of metadata is the last one.
        let private = [MARK, &[0x80, 0, 0, 34], &self.bytes].concat();
        AudioCodec { id: "A_FLAC", private, rate: self.rate, channels: self.channels }
    }

    /// Returns whether a frame has the format that is stated for all.
    pub(super) fn describes(&self, frame: &Header) -> bool {
        frame.channels == self.channels
            && frame.rate.is_none_or(|rate| rate == self.rate)
            && frame.bits.is_none_or(|bits| bits == self.bits)
    }

    /// The most bytes of a frame: those of samples that are not compressed, one of the channels with a bit more.
    fn longest(&self, frame: &Header) -> usize {
        let samples = usize::try_from(frame.samples).unwrap_or(0);
        Header::MAX + usize::from(self.channels) * (16 + samples * (usize::from(self.bits) + 1) / 8)
    }
}

/// Where a frame ends.
enum End {
    At(usize),
    /// Behind the bytes that were read.
    Later,
    Damaged,
}

/// Returns where a frame ends: where another one begins, or all bytes end, if the checksum of the bytes before is right.
fn end(bytes: &[u8], longest: usize, are_last: bool) -> End {
    let (mut sum, mut summed) = (0, 0);
    let mut at = 1;
    while let Some(next) = bytes.get(at..).and_then(|rest| memchr::memchr(0xFF, rest)) {
        let next = at + next;
        if next > longest {
            return End::Damaged;
        }
        let rest = bytes.get(next..).unwrap_or_default();
        if rest.len() < Header::MAX && !are_last {
            return End::Later;
        }
        if Header::read(rest).is_some() {
            sum = header::checksum(sum, bytes.get(summed..next).unwrap_or_default());
            summed = next;
            if sum == 0 {
                return End::At(next);
            }
        }
        at = next + 1;
    }
    match (are_last, bytes.len() <= longest) {
        (true, true) if header::checksum(sum, bytes.get(summed..).unwrap_or_default()) == 0 => {
            End::At(bytes.len())
        }
        (false, true) => End::Later,
        _ => End::Damaged,
    }
}

/// What comes next.
#[derive(Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Mark,
    Metadata,
    Frames,
}

#[derive(Default)]
pub(super) struct Flac {
    part: Part,
    info: Option<Info>,
    /// Samples of all frames but the last one, if they are numbered by frames.
    block: Option<u32>,
    samples: Vec<Sample>,
    /// Whether a frame ended here.
    is_in_sync: bool,
    damaged: u32,
    /// Bytes since the last frame.
    junk: u64,
}

impl Flac {
    /// Reads the headers of metadata blocks. Returns where the next one begins, or the first frame.
    fn metadata(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let mut position = 0;
        if self.part == Part::Mark {
            let Some(mark) = bytes.get(..MARK.len()) else { return Ok(0) };
            if mark != MARK {
                return Err(Refusal("NO_INDEX"));
            }
            (self.part, position) = (Part::Metadata, MARK.len());
        }
        while self.part == Part::Metadata {
            let Some([kind, a, b, c]) = bytes.get(position..).and_then(<[u8]>::first_chunk) else { break };
            let length = usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).unwrap_or(usize::MAX);
            if matches!(kind, 0 | 0x80) {
                let Some(body) = bytes.get(position + 4..).filter(|body| body.len() >= STREAM_INFO) else {
                    break;
                };
                self.info = Some(Info::read(body).ok_or(Refusal("AUDIO_CODEC"))?);
            }
            if kind & 0x80 != 0 {
                (self.part, self.is_in_sync) = (Part::Frames, true);
            }
            position = position.saturating_add(4).saturating_add(length);
        }
        Ok(position)
    }

    /// Leaves out bytes up to the next one that can begin a frame. Returns their number.
    fn leave_out(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let next = bytes.get(1..).and_then(|rest| memchr::memchr(0xFF, rest));
        let skipped = next.map_or(bytes.len(), |next| next + 1);
        (self.is_in_sync, self.junk) = (false, self.junk.saturating_add(skipped as u64));
        if self.junk > MAX_JUNK || self.damaged > MAX_DAMAGED {
            return Err(Refusal("NO_INDEX"));
        }
        Ok(skipped)
    }

    /// Keeps a frame, if it comes after those before.
    fn keep(&mut self, info: &Info, frame: &Header, place: (u64, usize)) -> Result<(), Refusal> {
        // If the lengths are not stated, that of the first frame counts.
        let block = *self.block.get_or_insert(info.block.unwrap_or(frame.samples));
        let step = if frame.is_variable { 1 } else { block };
        let time = frame.number.checked_mul(step.into()).and_then(|time| i64::try_from(time).ok());
        let time = time.ok_or(Refusal("TIMES"))?;
        if self.samples.last().is_some_and(|last| time < last.end()) {
            return Err(Refusal("TIMES"));
        }
        (self.is_in_sync, self.junk) = (true, 0);
        keep(&mut self.samples, place, time, frame.samples)
    }
}

impl Parser for Flac {
    fn push(&mut self, bytes: &[u8], at: u64, are_last: bool) -> Result<usize, Refusal> {
        let mut position = self.metadata(bytes)?;
        if self.part != Part::Frames {
            return Ok(position);
        }
        let info = self.info.clone().ok_or(Refusal("NO_INDEX"))?;
        while let Some(rest) = bytes.get(position..).filter(|rest| !rest.is_empty()) {
            if rest.len() < Header::MAX && !are_last {
                break;
            }
            let header = Header::read(rest);
            if self.is_in_sync && header.as_ref().is_some_and(|header| !info.describes(header)) {
                return Err(Refusal("SEVERAL_SAMPLE_DESCRIPTIONS"));
            }
            let Some(header) = header.filter(|header| info.describes(header)) else {
                position += self.leave_out(rest)?;
                continue;
            };
            match end(rest, info.longest(&header), are_last) {
                End::At(len) => {
                    self.keep(&info, &header, (at.saturating_add(position as u64), len))?;
                    position += len;
                }
                End::Later => break,
                End::Damaged => {
                    self.damaged += 1;
                    position += self.leave_out(rest)?;
                }
            }
        }
        Ok(position)
    }

    fn finish(self) -> Result<Audio, Refusal> {
        let info = self.info.ok_or(Refusal("NO_INDEX"))?;
        super::audio(&info.codec(), self.samples, 0..i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assail, listed, rows};
    use super::header::tests::frame;
    use super::*;

    /// The start of a file of 16 bits at 44.1 kHz, with a block that is longer than a step of the test.
    fn start(block: u16) -> Vec<u8> {
        let sizes = [block.to_be_bytes(), block.to_be_bytes()].concat();
        let format = [0x0A, 0xC4, 0x42, 0xF0];
        let info = [&[0, 0, 0, 34][..], &sizes, &[0; 6], &format, &[0; 20]].concat();
        [MARK, &info, &[0x84, 0, 0x30, 0], &vec![0xFF; 0x3000]].concat()
    }

    #[tokio::test]
    async fn frames_end_where_their_checksum_is_right() {
        // Headers of frames in the data of one.
        let inner = frame(0, 7, &[])[..6].repeat(3);
        let frames =
            [frame(0, 0, &[7; 100]), frame(0, 1, &inner), frame(0, 2, &[9; 5000]), frame(0, 3, &[1])];
        let file = [start(4096), frames.concat()].concat();
        let audio = listed::<Flac>(&file).await.unwrap();
        let mut at = start(4096).len() as u64;
        let mut expected = Vec::new();
        for (frame, i) in frames.iter().zip(0..) {
            expected.push((at, u32::try_from(frame.len()).unwrap(), i * 4096, 4096));
            at += frame.len() as u64;
        }
        assert_eq!(rows(&audio), expected);
        assert_eq!(audio.track.scale, 44_100);
        let decoding = audio.track.entry.decoding.unwrap();
        assert!(decoding.init.windows(8).any(|found| found == b"fLaC\x80\0\0\x22"));
        // What is cut off, and a tag.
        let rest = frame(0, 4, &[7; 100]);
        for more in [&rest[..90], &[&b"TAG"[..], &[0xFF; 125]].concat()] {
            assert_eq!(rows(&listed::<Flac>(&[&file[..], more].concat()).await.unwrap()), expected);
        }
    }

    #[tokio::test]
    async fn times_are_those_that_frames_state() {
        let times = async |frames: &[Vec<u8>]| {
            let made = listed::<Flac>(&[start(4096), frames.concat()].concat()).await?;
            Ok(rows(&made).into_iter().map(|row| row.2).collect::<Vec<_>>())
        };
        assert_eq!(times(&[frame(0, 5, &[1]), frame(0, 9, &[1])]).await, Ok(vec![20_480, 36_864]));
        assert_eq!(times(&[frame(1, 50, &[1]), frame(1, 4146, &[1])]).await, Ok(vec![50, 4146]), "variable");
        assert_eq!(times(&[frame(0, 1, &[1]), frame(0, 0, &[1])]).await, Err("TIMES"));
        let short = super::header::tests::seal(&[0xFF, 0xF8, 0x19, 0x18, 2], &[1]);
        let unstated = [start(0), frame(0, 0, &[1]), frame(0, 1, &[1]), short].concat();
        let found = rows(&listed::<Flac>(&unstated).await.unwrap());
        assert_eq!(
            found.iter().map(|row| (row.2, row.3)).collect::<Vec<_>>(),
            [(0, 4096), (4096, 4096), (8192, 192)]
        );
        // A damaged frame is a gap.
        let mut damaged = frame(0, 1, &[1; 900]);
        damaged[500] ^= 1;
        let frames = [frame(0, 0, &[1]), damaged, frame(0, 2, &[1])];
        assert_eq!(times(&frames).await, Ok(vec![0, 8192]));
    }

    #[tokio::test]
    async fn impossible_files_are_refused() {
        let code =
            async |frames: &[Vec<u8>]| listed::<Flac>(&[start(4096), frames.concat()].concat()).await.err();
        assert_eq!(code(&[]).await, Some("NO_INDEX"));
        let mut mono = frame(0, 1, &[1]);
        mono[3] = 0x08;
        let mono = super::header::tests::seal(&mono[..5], &[1]);
        assert_eq!(code(&[frame(0, 0, &[1]), mono]).await, Some("SEVERAL_SAMPLE_DESCRIPTIONS"));
        let headers = vec![frame(0, 0, &[])[..6].to_vec(); 200];
        assert_eq!(code(&headers).await, Some("NO_INDEX"), "hundreds of frames without an end");
        assert_eq!(code(&[vec![0; 1_100_000]]).await, Some("NO_INDEX"));
        assert_eq!(listed::<Flac>(b"fLaC\x84\0\0\0").await.err(), Some("NO_INDEX"), "no STREAMINFO");
        assert_eq!(listed::<Flac>(b"fLaC\x04\xFF\xFF\xFF").await.err(), Some("NO_INDEX"));
        assert_eq!(listed::<Flac>(&start(0)[..20]).await.err(), Some("NO_INDEX"));
        assert_eq!(listed::<Flac>(b"OggS").await.err(), Some("NO_INDEX"));
        let mut no_rate = start(4096);
        no_rate[18..21].fill(0);
        assert_eq!(listed::<Flac>(&no_rate).await.err(), Some("AUDIO_CODEC"));
    }

    #[tokio::test]
    async fn damaged_files_do_no_harm() {
        let info = &start(4096)[..42];
        let file = [info, &[0x84, 0, 0, 0][..], &frame(0, 0, &[1; 40]), &frame(0, 1, &[2; 30])].concat();
        assert_eq!(listed::<Flac>(&file).await.unwrap().track.samples.len(), 2);
        assail::<Flac>(&file).await;
    }
}
