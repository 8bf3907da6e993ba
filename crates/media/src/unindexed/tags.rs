//! Tags at the end of a file, which are no audio.

use crate::source::{Error, Source};

/// `ID3v1`: a fixed length.
const ID3V1: u64 = 128;
/// `APEv2`: the length of the footer, and of a header (<https://wiki.hydrogenaud.io/index.php?title=APE_Tags_Header>).
const APE: u64 = 32;

/// Returns where the audio ends.
pub(super) async fn audio_end(source: &Source) -> Result<u64, Error> {
    let size = source.size();
    let tail = source.read(size.saturating_sub(ID3V1 + APE)..size).await?;
    let end = match tail.len().checked_sub(128).and_then(|at| tail.get(at..)) {
        Some(tag) if tag.starts_with(b"TAG") => size - ID3V1,
        _ => size,
    };
    let length = usize::try_from(size - end).unwrap_or(0);
    let ape = tail.len().checked_sub(length).and_then(|until| tail.get(..until)).and_then(ape_len);
    Ok(ape.and_then(|len| end.checked_sub(len)).unwrap_or(end))
}

/// Returns the length of a tag with this end.
fn ape_len(tail: &[u8]) -> Option<u64> {
    let footer = tail.last_chunk::<32>()?.strip_prefix(b"APETAGEX")?;
    let field = |at: usize| Some(u32::from_le_bytes(*footer.get(at..)?.first_chunk()?));
    let has_header = field(12)? >> 31 == 1;
    Some(u64::from(field(4)?) + if has_header { APE } else { 0 })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    async fn end(file: Vec<u8>) -> u64 {
        audio_end(&Source::new(file.len() as u64, Bytes::from(file))).await.unwrap()
    }

    fn ape(size: u32, flags: u32) -> Vec<u8> {
        let numbers = [2000, size, 1, flags].map(u32::to_le_bytes).concat();
        [&b"APETAGEX"[..], &numbers, &[0; 8]].concat()
    }

    #[tokio::test]
    async fn tags_are_left_out() {
        let (audio, id3) = (vec![7; 500], [&b"TAG"[..], &[0; 125]].concat());
        assert_eq!(end(audio.clone()).await, 500);
        assert_eq!(end([&audio[..], &id3].concat()).await, 500);
        let tag = [&[1; 68][..], &ape(100, 0)].concat();
        assert_eq!(end([&audio[..], &tag].concat()).await, 500);
        let with_header = [&ape(100, 0xA000_0000)[..], &[1; 68], &ape(100, 0x8000_0000)].concat();
        assert_eq!(end([&audio[..], &with_header, &id3].concat()).await, 500);
        assert_eq!(end([&audio[..], &ape(u32::MAX, 0)].concat()).await, 532, "longer than the file");
        assert_eq!((end(id3).await, end(b"TAG".to_vec()).await, end(Vec::new()).await), (0, 3, 0));
    }
}
