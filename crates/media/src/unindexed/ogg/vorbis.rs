//! The headers of Vorbis (Vorbis I specification, 4.2), and how long its packets are (4.3).

use crate::matroska::AudioCodec;
use crate::remux::Refusal;

const COMMENTS: u8 = 3;
const SETUP: u8 = 5;
/// Bits of a mode in the setup header: a flag, two numbers that are 0, and a mapping.
const MODE_BITS: usize = 1 + 16 + 16 + 8;
const MAX_MODES: usize = 64;

pub(super) struct Vorbis {
    identification: Vec<u8>,
    setup: Vec<u8>,
    channels: u8,
    rate: u32,
    /// The lengths of short and long blocks, in samples.
    blocks: [u32; 2],
    /// For each mode, whether its blocks are long.
    modes: Vec<bool>,
    /// The length of the block before.
    before: Option<u32>,
}

impl Vorbis {
    /// Reads the identification header.
    pub(super) fn read(header: &[u8]) -> Option<Self> {
        let channels = *header.get(11)?;
        let rate = u32::from_le_bytes(*header.get(12..)?.first_chunk()?);
        let [short, long] = [header.get(28)? & 15, header.get(28)? >> 4];
        let is_possible = (6..=long).contains(&short) && long <= 13 && channels > 0;
        let identification = header.get(..30)?.to_vec();
        (is_possible && rate > 0).then_some(Self {
            identification,
            setup: Vec::new(),
            channels,
            rate,
            blocks: [1 << short, 1 << long],
            modes: Vec::new(),
            before: None,
        })
    }

    /// Returns the duration of a packet that starts so, or `None` if it is a header or damaged.
    pub(super) fn duration(&mut self, start: &[u8], is_whole: bool) -> Result<Option<u32>, Refusal> {
        let Some(first) = start.first() else { return Ok(None) };
        if first & 1 == 1 {
            if *first == SETUP && self.modes.is_empty() {
                let modes = modes(start).filter(|_| is_whole && is_header(start, SETUP));
                self.modes = modes.ok_or(Refusal("AUDIO_CODEC"))?;
                self.setup = start.to_vec();
            }
            return Ok(None);
        }
        // Its number has as many bits as the highest one.
        let Some(highest) = self.modes.len().checked_sub(1) else { return Err(Refusal("NO_INDEX")) };
        let bits = usize::BITS - highest.leading_zeros();
        let mode = usize::from(first >> 1) & ((1 << bits) - 1);
        let Some(is_long) = self.modes.get(mode) else { return Ok(None) };
        let block = self.blocks[usize::from(*is_long)];
        // A packet ends in the middle of its block, as the next one overlaps it. Before the first one, there is none.
        Ok(Some(self.before.replace(block).map_or(0, |before| (before + block) / 4)))
    }

    pub(super) fn description(&self) -> Result<AudioCodec, Refusal> {
        if self.modes.is_empty() {
            return Err(Refusal("NO_INDEX"));
        }
        // Decoders do not need the comments, which can be long.
        let comments = [&[COMMENTS], &b"vorbis"[..], &[0; 8], &[1]].concat();
        let lengths = [&self.identification, &comments].map(|header| u8::try_from(header.len()).unwrap_or(0));
        let private = [&[2], &lengths[..], &self.identification, &comments, &self.setup].concat();
        Ok(AudioCodec { id: "A_VORBIS", private, rate: self.rate, channels: self.channels })
    }
}

fn is_header(packet: &[u8], kind: u8) -> bool {
    packet.first() == Some(&kind) && packet.get(1..).is_some_and(|rest| rest.starts_with(b"vorbis"))
}

/// Returns for each mode in a setup header whether its blocks are long. The modes are at the end, after codebooks of any length,
/// so they are read backwards, as `FFmpeg` does: from a bit that is set on, modes follow, and then their number.
fn modes(setup: &[u8]) -> Option<Vec<bool>> {
    let total = setup.len() * 8;
    // The last bit of the last byte first.
    let bit = |at: usize| {
        let byte = setup.len().checked_sub(at / 8 + 1).and_then(|byte| setup.get(byte)).copied().unwrap_or(0);
        byte >> (7 - at % 8) & 1
    };
    let value =
        |at: usize, len: usize| (at..at + len).fold(0u32, |value, at| value << 1 | u32::from(bit(at)));
    let start = (0..total).find(|at| bit(*at) == 1)? + 1;
    let (mut flags, mut found) = (Vec::new(), 0);
    let mut at = start;
    // The two numbers and the mapping, of which there are at most 64.
    while at + MODE_BITS + 6 <= total
        && flags.len() < MAX_MODES
        && value(at, 8) < 64
        && value(at + 8, 32) == 0
    {
        flags.push(bit(at + MODE_BITS - 1) == 1);
        at += MODE_BITS;
        if usize::try_from(value(at, 6)).is_ok_and(|last| last + 1 == flags.len()) {
            found = flags.len();
        }
    }
    flags.truncate(found);
    flags.reverse();
    (found > 0).then_some(flags)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An identification header: 44.1 kHz, blocks of 256 and 2048 samples.
    pub(in super::super) fn identification() -> Vec<u8> {
        let rate = 44_100u32.to_le_bytes();
        [&b"\x01vorbis\0\0\0\0\x02"[..], &rate, &[0; 12], &[0xB8, 1]].concat()
    }

    /// A setup header of modes with short or long blocks.
    pub(in super::super) fn setup(modes: &[bool]) -> Vec<u8> {
        let mut bits: Vec<bool> = (0..6).map(|i| (modes.len() - 1) >> i & 1 == 1).collect();
        for (mode, is_long) in modes.iter().enumerate() {
            bits.push(*is_long);
            bits.extend([false; 32]);
            bits.extend((0..8).map(|i| mode >> i & 1 == 1));
        }
        bits.push(true);
        let bytes =
            bits.chunks(8).map(|bits| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit)));
        // Some codebooks before, with as many bits as fit.
        [&b"\x05vorbis\xAA\x55\xFF"[..], &bytes.collect::<Vec<u8>>()].concat()
    }

    #[test]
    fn modes_are_at_the_end() {
        for flags in [&[false, true][..], &[true], &[true, false, true, true, false]] {
            assert_eq!(modes(&setup(flags)).as_deref(), Some(flags));
        }
        for bad in [&b""[..], &[0; 99], &[0xFF; 99], &setup(&[true])[11..]] {
            assert_eq!(modes(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn packets_have_half_of_two_blocks() {
        let mut vorbis = Vorbis::read(&identification()).unwrap();
        let mut length = |packet: &[u8]| vorbis.duration(packet, true);
        assert_eq!(length(&[0]), Err(Refusal("NO_INDEX")), "before the setup");
        assert_eq!(length(b"\x03vorbis"), Ok(None));
        assert_eq!(length(&setup(&[false, true, true])), Ok(None));
        let lengths = [0, 2, 4, 0, 0].map(|first| length(&[first]).unwrap());
        assert_eq!(lengths, [0, 576, 1024, 576, 128].map(Some));
        assert_eq!((length(&[6]), length(&[1]), length(&[])), (Ok(None), Ok(None), Ok(None)), "no mode");
        let private = vorbis.description().unwrap().private;
        assert_eq!(private[..3], [2, 30, 16]);
        assert_eq!(private[3..33], identification());
        assert_eq!(private[33..40], *b"\x03vorbis");
        assert_eq!(private[49..], setup(&[false, true, true]));
    }

    #[test]
    fn impossible_headers_are_refused() {
        let read = |at: usize, byte: u8| {
            let mut header = identification();
            header[at] = byte;
            Vorbis::read(&header).is_some()
        };
        assert!(read(28, 0x88) && !read(28, 0x8B) && !read(28, 0xB5) && !read(28, 0xE8) && !read(11, 0));
        assert!(Vorbis::read(&identification()[..29]).is_none());
        let mut vorbis = Vorbis::read(&identification()).unwrap();
        assert_eq!(vorbis.duration(&setup(&[true]), false), Err(Refusal("AUDIO_CODEC")), "too long");
        assert_eq!(vorbis.duration(b"\x05noise", true), Err(Refusal("AUDIO_CODEC")));
        assert_eq!(vorbis.description(), Err(Refusal("NO_INDEX")));
    }
}
