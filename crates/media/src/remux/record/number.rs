//! Numbers and byte strings in a record.

use bytes::Bytes;

use crate::mp4::boxes::Fields;

/// Writes a number with seven bits per byte, the lowest first.
pub(super) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7F {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

pub(super) fn put_block(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend(bytes);
}

pub(super) fn varint(fields: &mut Fields) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = fields.u8()?;
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

pub(super) fn block(fields: &mut Fields) -> Option<Bytes> {
    let len = usize::try_from(varint(fields)?).ok()?;
    fields.take(len)
}

/// Maps small numbers, positive or negative, to small numbers.
pub(super) fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63).cast_unsigned()
}

pub(super) fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_back() {
        for number in [0, 1, 127, 128, 300, 1 << 40, u64::MAX] {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            assert_eq!(varint(&mut Fields(bytes.into())), Some(number));
        }
        assert_eq!(varint(&mut Fields(vec![0xFF; 20].into())), None);
        for number in [0, 1, -1, 63, -64, i64::MAX, i64::MIN] {
            assert_eq!(unzigzag(zigzag(number)), number);
        }
        assert_eq!([zigzag(-1), zigzag(1)], [1, 2]);
    }
}
