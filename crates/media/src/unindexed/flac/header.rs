//! The header of a frame of FLAC (RFC 9639, 9.1), and the checksums.

/// The header of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Header {
    /// Samples of each channel.
    pub(in super::super) samples: u32,
    /// The number of the frame, or of its first sample if frames have different numbers of samples.
    pub(super) number: u64,
    pub(super) is_variable: bool,
    /// Samples per second, if the frame states it.
    pub(super) rate: Option<u32>,
    pub(super) channels: u8,
    /// Bits of a sample, if the frame states it.
    pub(super) bits: Option<u8>,
}

impl Header {
    /// The most bytes of a header.
    pub(in super::super) const MAX: usize = 16;

    /// Reads the start of a frame. Returns `None` if the checksum of the header is wrong.
    pub(in super::super) fn read(bytes: &[u8]) -> Option<Self> {
        let [0xFF, second, third, fourth] = *bytes.first_chunk()? else { return None };
        let (block, rate, channels) = (third >> 4, third & 15, fourth >> 4);
        if second & 0xFE != 0xF8 || block == 0 || rate == 15 || channels > 10 || fourth & 1 == 1 {
            return None;
        }
        let bits = match fourth >> 1 & 7 {
            0 => None,
            1 => Some(8),
            2 => Some(12),
            4 => Some(16),
            5 => Some(20),
            6 => Some(24),
            7 => Some(32),
            _ => return None,
        };
        let (number, mut at) = coded_number(bytes)?;
        let mut field = |len: usize| {
            let value = bytes.get(at..at + len)?.iter().fold(0, |value, byte| value << 8 | u32::from(*byte));
            at += len;
            Some(value)
        };
        let samples = match block {
            1 => 192,
            2..=5 => 576 << (block - 2),
            6 => field(1)? + 1,
            7 => field(2)? + 1,
            _ => 256 << (block - 8),
        };
        let rate = match rate {
            0 => None,
            12 => Some(field(1)? * 1000),
            13 => Some(field(2)?),
            14 => Some(field(2)? * 10),
            _ => RATES.get(usize::from(rate) - 1).copied(),
        };
        let (head, sum) = (bytes.get(..at)?, bytes.get(at)?);
        let channels = if channels < 8 { channels + 1 } else { 2 };
        let header = Self { samples, number, is_variable: second & 1 == 1, rate, channels, bits };
        (checksum_of_header(head) == *sum).then_some(header)
    }
}

const RATES: [u32; 11] =
    [88_200, 176_400, 192_000, 8000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000];

/// Reads the number after the first four bytes, which is coded as a character in UTF-8, of up to 36 bits. Returns it and where
/// it ends.
fn coded_number(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.get(4)?;
    let more = match first.leading_ones() {
        0 => return Some((first.into(), 5)),
        1 | 8 => return None,
        ones => usize::try_from(ones).ok()? - 1,
    };
    let mask = 0x3F_u8 >> more;
    let mut number = u64::from(first & mask);
    for byte in bytes.get(5..5 + more)? {
        if byte >> 6 != 2 {
            return None;
        }
        number = number << 6 | u64::from(byte & 0x3F);
    }
    Some((number, 5 + more))
}

/// Returns the checksum of a header: a CRC of 8 bits with the polynomial 0x07.
fn checksum_of_header(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ byte, |sum, _| if sum & 0x80 == 0 { sum << 1 } else { sum << 1 ^ 0x07 })
    })
}

/// Returns the checksum after more bytes of a frame: a CRC of 16 bits with the polynomial 0x8005. After those of a whole frame,
/// which contain it, it is 0.
pub(super) fn checksum(sum: u16, bytes: &[u8]) -> u16 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let sum = pairs.iter().fold(sum, |sum, pair| {
        let [high, low] = (sum ^ u16::from_be_bytes(*pair)).to_be_bytes();
        TABLES[1][usize::from(high)] ^ TABLES[0][usize::from(low)]
    });
    rest.iter().fold(sum, |sum, byte| {
        let [high, low] = sum.to_be_bytes();
        u16::from_be_bytes([low, 0]) ^ TABLES[0][usize::from(high ^ byte)]
    })
}

/// The checksum of each byte, and of each byte with a zero after it.
static TABLES: [[u16; 256]; 2] = {
    let mut tables = [[0; 256]; 2];
    let mut byte = 0u8;
    loop {
        let mut sum = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 16 {
            sum = if sum >> 15 == 1 { sum << 1 ^ 0x8005 } else { sum << 1 };
            bit += 1;
            if bit == 8 {
                tables[0][byte as usize] = sum;
            }
        }
        tables[1][byte as usize] = sum;
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    tables
};

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Appends the checksums to a header and to the data after it.
    pub(in super::super) fn seal(head: &[u8], data: &[u8]) -> Vec<u8> {
        let frame = [head, &[checksum_of_header(head)], data].concat();
        let sum = checksum(0, &frame).to_be_bytes();
        [&frame[..], &sum].concat()
    }

    /// A frame of 4096 samples of two channels, with 16 bits at 44.1 kHz.
    pub(in super::super) fn frame(variable: u8, number: u32, data: &[u8]) -> Vec<u8> {
        let number = char::from_u32(number).unwrap().to_string();
        seal(&[&[0xFF, 0xF8 | variable, 0xC9, 0x18], number.as_bytes()].concat(), data)
    }

    #[test]
    fn headers() {
        let header = Header {
            samples: 4096,
            number: 0x4321,
            is_variable: true,
            rate: Some(44_100),
            channels: 2,
            bits: Some(16),
        };
        assert_eq!(Header::read(&frame(1, 0x4321, &[])), Some(header));
        let read = |head: &[u8]| {
            let header = Header::read(&seal(head, &[]))?;
            Some((header.samples, header.number, header.rate, header.channels, header.bits))
        };
        let long = [0xFF, 0xF8, 0x7E, 0x7C, 0xFE, 0xBF, 0xBF, 0xBF, 0xBF, 0xBF, 0xBF, 0xFF, 0xFF, 0xAC, 0x44];
        assert_eq!(read(&long), Some((65_536, (1 << 36) - 1, Some(441_000), 8, Some(24))));
        assert_eq!(read(&[0xFF, 0xF8, 0x6C, 0xA0, 7, 99, 44]), Some((100, 7, Some(44_000), 2, None)));
        assert_eq!(read(&[0xFF, 0xF8, 0x10, 0x02, 7]), Some((192, 7, None, 1, Some(8))));
        for bad in [
            &[0xFF, 0xFA, 0xC9, 0x18, 7][..],
            &[0xFF, 0xF8, 0x09, 0x18, 7],
            &[0xFF, 0xF8, 0xCF, 0x18, 7],
            &[0xFF, 0xF8, 0xC9, 0xB8, 7],
            &[0xFF, 0xF8, 0xC9, 0x16, 7],
            &[0xFF, 0xF8, 0xC9, 0x19, 7],
            &[0xFF, 0xF8, 0xC9, 0x18, 0x80],
            &[0xFF, 0xF8, 0xC9, 0x18, 0xFF],
            &[0xFF, 0xF8, 0xC9, 0x18, 0xC3, 7],
        ] {
            assert_eq!(read(bad), None, "{bad:x?}");
        }
        let whole = frame(0, 9, &[]);
        assert!((0..6).all(|len| Header::read(&whole[..len]).is_none()));
        assert_eq!(Header::read(&[&whole[..5], &[whole[5] ^ 1]].concat()), None, "another checksum");
    }

    #[test]
    fn checksums() {
        // The check values of CRC-8/SMBUS and CRC-16/UMTS.
        assert_eq!((checksum_of_header(b"123456789"), checksum(0, b"123456789")), (0xF4, 0xFEE8));
        assert_eq!(checksum(checksum(0, b"123"), b"456789"), 0xFEE8);
        assert_eq!(checksum(0, &frame(0, 0, &[1, 2, 3])), 0);
    }
}
