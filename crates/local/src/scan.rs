//! The scanner of the local backend. It is no virus scanner: it knows only the test file of EICAR, which every scanner
//! recognises and which is harmless. On AWS, `GuardDuty` scans.

use std::io::{self, Read};

/// The test file in two parts, so that no scanner takes this program for it.
const TEST_FILE: [&str; 2] = [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"];
/// The bytes that are read at a time.
const CHUNK: usize = 256 << 10;

/// Returns whether the test file occurs anywhere in the content. Reads it once, in chunks.
pub(crate) fn contains_test_file(mut content: impl Read) -> io::Result<bool> {
    let wanted = TEST_FILE.concat().into_bytes();
    // A chunk, after the end of the one before, in which the test file may begin.
    let mut buffer = Vec::with_capacity(CHUNK + wanted.len());
    loop {
        let kept = buffer.len();
        if content.by_ref().take(CHUNK as u64).read_to_end(&mut buffer)? == 0 {
            return Ok(false);
        }
        if buffer.windows(wanted.len()).any(|window| window == wanted) {
            return Ok(true);
        }
        debug_assert!(kept < wanted.len());
        let end = buffer.len().saturating_sub(wanted.len() - 1);
        buffer.drain(..end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_file_is_found_at_every_offset_of_a_chunk() {
        let test_file = TEST_FILE.concat();
        assert_eq!(test_file.len(), 68);
        for before in [0, 1, CHUNK - 68, CHUNK - 67, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 30] {
            let content = [&vec![b'x'; before][..], test_file.as_bytes(), b" \n"].concat();
            assert!(contains_test_file(&content[..]).unwrap(), "{before}");
            assert!(!contains_test_file(&content[..before + 67]).unwrap(), "{before}: incomplete");
        }
        assert!(!contains_test_file(&b""[..]).unwrap());
    }
}
