//! Decodes the `aws-chunked` encoding, in which a checksum follows the body: `SIZE CRLF BYTES CRLF ... 0 CRLF
//! TRAILERS`.

use crate::BoxError;

/// Returns the bytes, and the value of the trailer `x-amz-checksum-crc32`.
pub(crate) fn decode(mut body: &[u8]) -> Result<(Vec<u8>, Option<String>), BoxError> {
    let mut bytes = Vec::with_capacity(body.len());
    loop {
        let size = line(&mut body)?;
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default(), 16)?;
        if size == 0 {
            break;
        }
        let (chunk, rest) = body.split_at_checked(size).ok_or("a chunk is incomplete")?;
        bytes.extend_from_slice(chunk);
        body = rest.strip_prefix(b"\r\n").ok_or("a chunk is longer than its size")?;
    }
    let mut checksum = None;
    while !body.is_empty() {
        if let Some(value) = line(&mut body)?.strip_prefix("x-amz-checksum-crc32:") {
            checksum = Some(value.trim().to_owned());
        }
    }
    Ok((bytes, checksum))
}

fn line<'a>(body: &mut &'a [u8]) -> Result<&'a str, BoxError> {
    let end = body.windows(2).position(|pair| pair == b"\r\n").ok_or("a line has no end")?;
    let (line, rest) = body.split_at(end);
    *body = &rest[2..];
    Ok(std::str::from_utf8(line)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_chunks_and_trailer() {
        let body = b"3\r\nabc\r\n2\r\nde\r\n0\r\nx-amz-checksum-crc32:hYfpEA==\r\n\r\n";
        assert_eq!(decode(body).unwrap(), (b"abcde".to_vec(), Some("hYfpEA==".to_owned())));
        assert!(decode(b"9\r\nabc\r\n0\r\n\r\n").is_err());
        assert!(decode(b"2\r\nabc\r\n0\r\n\r\n").is_err());
    }
}
