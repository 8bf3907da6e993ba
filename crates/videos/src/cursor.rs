//! Positions in the list of videos, as clients see them.

use upreel_store::videos::Cursor;

pub(crate) fn encode(cursor: &Cursor) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(format!("{} {}", cursor.upload_time, cursor.id))
}

pub(crate) fn decode(text: &str) -> Option<Cursor> {
    let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (upload_time, id) = text.split_once(' ')?;
    // DynamoDB would reject a key without a valid time, and that would count as a fault.
    let digits = |b: u8| if b.is_ascii_digit() { b'0' } else { b };
    if !upload_time.bytes().map(digits).eq(*b"0000-00-00T00:00:00.000Z") {
        return None;
    }
    Some(Cursor { upload_time: upload_time.to_owned(), id: id.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use upreel_core::VideoId;

    use super::*;

    #[test]
    fn cursors_round_trip() {
        let cursor = Cursor { upload_time: "2026-11-23T07:41:47.123Z".into(), id: VideoId::new() };
        assert_eq!(decode(&encode(&cursor)), Some(cursor));
        for bad in ["", "x", "!!", "eA"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
        for time in
            ["", "2026", "2026-11-23T07:41:47.123", "2026-11-23T07:41:47.123Zx", "2026-11-23t07:41:47.123Z"]
        {
            let cursor = Cursor { upload_time: time.into(), id: VideoId::new() };
            assert_eq!(decode(&encode(&cursor)), None, "{time}");
        }
    }
}
