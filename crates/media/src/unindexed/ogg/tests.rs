use super::super::tests::{assail, listed, rows};
use super::vorbis::tests::{identification, setup};
use super::*;
use crate::stream::ogg_checksum;

/// A page with a flag (1 for one that continues a packet, 2 for the first one), a position, and packets, of which the last one
/// can go on.
fn page(serial: u8, number: u8, flags: u8, position: i64, packets: &[&[u8]], goes_on: bool) -> Vec<u8> {
    let mut lengths = Vec::new();
    for (i, packet) in packets.iter().enumerate() {
        lengths.extend(vec![255; packet.len() / 255]);
        if i + 1 < packets.len() || !goes_on {
            lengths.push(u8::try_from(packet.len() % 255).unwrap());
        }
    }
    let head =
        [&b"OggS\0"[..], &[flags], &position.to_le_bytes(), &[serial, 0, 0, 0, number, 0, 0, 0, 0, 0, 0, 0]];
    let count = u8::try_from(lengths.len()).unwrap();
    let mut page = [&head.concat()[..], &[count], &lengths, &packets.concat()].concat();
    let sum = ogg_checksum(&page);
    page[22..26].copy_from_slice(&sum.to_le_bytes());
    page
}

fn opus_head() -> Vec<u8> {
    b"OpusHead\x01\x02\x38\x01\x80\xBB\0\0\0\0\0".to_vec()
}

/// The headers of Opus, with 312 samples for the decoder.
fn opus() -> Vec<u8> {
    let tags = [&b"OpusTags"[..], &[0; 8]].concat();
    [page(7, 0, 2, 0, &[&opus_head()], false), page(7, 1, 0, 0, &[&tags], false)].concat()
}

/// A packet of Opus of 20 ms.
fn packet(len: usize) -> Vec<u8> {
    [&[0xFC][..], &vec![7; len - 1]].concat()
}

#[tokio::test]
async fn packets_of_opus_are_counted() {
    let (short, long) = (packet(100), packet(600));
    let first = page(7, 2, 0, 1920, &[&short, &short], false);
    let last = page(7, 3, 4, 3500, &[&long, &short], false);
    let file = [opus(), first.clone(), last.clone()].concat();
    let audio = listed::<Ogg>(&file).await.unwrap();
    let at = (opus().len() + 27 + 2) as u64;
    let next = at + 200 + 27 + 4;
    let expected = [
        (at, 100, -312, 960),
        (at + 100, 100, 648, 960),
        (next, 600, 1608, 960),
        // The position of the last page is before the end of its packets.
        (next + 600, 100, 2568, 620),
    ];
    assert_eq!(rows(&audio), expected);
    assert_eq!((audio.track.scale, audio.track.entry.codec.as_str()), (48_000, "opus"));
    assert!(audio.track.gaps.is_empty() && audio.track.entry.decoding.is_none());
    // What is cut off, damaged, or of another stream.
    let other = page(9, 0, 0, 5, &[&long], false);
    let mut damaged = last.clone();
    damaged[50] ^= 1;
    for more in [&last[..600], &damaged, &other, b"OggS"] {
        let found = rows(&listed::<Ogg>(&[opus(), first.clone(), more.to_vec()].concat()).await.unwrap());
        assert_eq!(found, expected[..2]);
    }
}

#[tokio::test]
async fn packets_go_on_on_the_next_page() {
    let long = packet(1300);
    let parts = [
        page(7, 2, 0, 960, &[&packet(10), &long[..255]], true),
        page(7, 3, 1, -1, &[&long[255..1020]], true),
        page(9, 0, 0, 7, &[b"other"], false),
        page(7, 4, 1, 2880, &[&long[1020..], &packet(10)], false),
    ];
    let audio = listed::<Ogg>(&[opus(), parts.concat()].concat()).await.unwrap();
    let at = (opus().len() + 27 + 2) as u64;
    let start = at + 10;
    let second = start + 255 + 27 + 3;
    let third = second + 765 + parts[2].len() as u64 + 27 + 3;
    assert_eq!(audio.track.gaps, [start + 255..second, second + 765..third]);
    assert_eq!(rows(&audio)[1..], [(start, 1300, 648, 960), (third + 280, 10, 1608, 960)]);
    let pieces: Vec<_> = audio.track.samples[1].pieces(&audio.track.gaps).collect();
    assert_eq!(pieces, [start..start + 255, second..second + 765, third..third + 280]);
    // Without a part, the packet is missing.
    let holes = [&parts[0], &parts[3]].map(Clone::clone).concat();
    let found = rows(&listed::<Ogg>(&[opus(), holes].concat()).await.unwrap());
    assert_eq!(found.iter().map(|row| (row.1, row.2)).collect::<Vec<_>>(), [(10, -312), (10, 1608)]);
}

#[tokio::test]
async fn positions_tell_what_is_missing() {
    let times = async |pages: &[Vec<u8>]| {
        let made = listed::<Ogg>(&[opus(), pages.concat()].concat()).await?;
        Ok(rows(&made).into_iter().map(|row| row.2).collect::<Vec<_>>())
    };
    let one = |number, position| page(7, number, 0, position, &[&packet(10)], false);
    assert_eq!(times(&[one(2, 960), one(3, 1920)]).await, Ok(vec![-312, 648]));
    assert_eq!(times(&[one(2, 5960), one(3, 6920)]).await, Ok(vec![4688, 5648]), "a part of a stream");
    assert_eq!(times(&[one(2, 960), one(9, 9600), one(10, 10_560)]).await, Ok(vec![-312, 8328, 9288]));
    assert_eq!(times(&[one(2, 960), one(3, 900), one(4, 2880)]).await, Err("TIMES"));
    assert_eq!(times(&[one(2, 500), one(3, 1920)]).await, Err("TIMES"));
    assert_eq!(times(&[one(2, 500)]).await, Ok(vec![-312]));
    assert_eq!(times(&[one(2, i64::MAX)]).await, Ok(vec![i64::MAX - 960 - 312]), "refused later");
    assert_eq!(times(&[one(2, 960), one(3, 100)]).await, Ok(vec![-312]), "what is after the end");
}

#[tokio::test]
async fn vorbis_can_start_before_the_presentation() {
    let headers = [
        page(7, 0, 2, 0, &[&identification()], false),
        page(7, 1, 0, 0, &[b"\x03vorbis comments", &setup(&[false, true])], false),
    ]
    .concat();
    let long: &[u8] = &[2, 9];
    let first = page(7, 2, 0, 1500, &[long, long, long], false);
    let last = page(7, 3, 4, 2000, &[long, &[0]], false);
    let audio = listed::<Ogg>(&[headers, first, last].concat()).await.unwrap();
    let times: Vec<_> = rows(&audio).into_iter().map(|row| (row.2, row.3)).collect();
    assert_eq!(times, [(-548, 0), (-548, 1024), (476, 1024), (1500, 1024), (2524, 576)]);
    assert_eq!(audio.track.scale, 44_100);
    assert_eq!(audio.track.entry.decoding.unwrap().presented, 0..2000);
}

#[tokio::test]
async fn other_streams_are_refused() {
    let audio = page(7, 2, 0, 960, &[&packet(10)], false);
    let code = async |pages: &[Vec<u8>]| listed::<Ogg>(&pages.concat()).await.err();
    let chain = Some("SEVERAL_SAMPLE_DESCRIPTIONS");
    assert_eq!(code(&[opus(), audio.clone(), opus(), audio.clone()]).await, chain);
    assert_eq!(code(&[page(7, 0, 2, 0, &[b"Speex   "], false), audio.clone()]).await, Some("AUDIO_CODEC"));
    assert_eq!(code(&[opus()]).await, Some("NO_INDEX"));
    assert_eq!(code(&[vec![b'O'; 200_000]]).await, Some("AUDIO_CODEC"));
    let vorbis = page(7, 0, 2, 0, &[&identification()], false);
    assert_eq!(code(&[vorbis, audio]).await, Some("NO_INDEX"), "no setup");
}

#[tokio::test]
async fn frames_of_flac_have_their_own_length() {
    let info = [&[0x10, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0x0A, 0xC4, 0x42, 0xF0][..], &[0; 20]].concat();
    let head = [&b"\x7FFLAC\x01\0\0\x01fLaC\0\0\0\x22"[..], &info].concat();
    let headers =
        [page(7, 0, 2, 0, &[&head], false), page(7, 1, 0, 0, &[b"\x84\0\0\x04tags"], false)].concat();
    let frame = |number: u8, block: u8| {
        let sums = [(0u8, 0xC9u8), (1, 0xC9), (0, 0xB9)].map(|(number, block)| {
            let head = [0xFF, 0xF8, block, 0x18, number];
            let sum = head.iter().fold(0u8, |sum, byte| {
                (0..8).fold(sum ^ byte, |sum, _| if sum & 0x80 == 0 { sum << 1 } else { sum << 1 ^ 7 })
            });
            ((number, block), sum)
        });
        let sum = sums.iter().find(|(key, _)| *key == (number, block)).unwrap().1;
        vec![0xFF, 0xF8, block, 0x18, number, sum, 1, 2, 3]
    };
    let frames = page(7, 2, 0, 8192, &[&frame(0, 0xC9), &frame(1, 0xC9)], false);
    let audio = listed::<Ogg>(&[headers.clone(), frames].concat()).await.unwrap();
    let times: Vec<_> = rows(&audio).into_iter().map(|row| (row.1, row.2, row.3)).collect();
    assert_eq!(times, [(9, 0, 4096), (9, 4096, 4096)]);
    assert!(audio.track.entry.decoding.is_some());
    assert_eq!(listed::<Ogg>(&headers).await.err(), Some("NO_INDEX"));
}

#[tokio::test]
async fn damaged_files_do_no_harm() {
    let long = packet(300);
    let pages = [
        page(7, 2, 0, 960, &[&packet(10), &long[..255]], true),
        page(7, 3, 1, 2880, &[&long[255..], &packet(10)], false),
    ];
    assail::<Ogg>(&[opus(), pages.concat()].concat()).await;
}
