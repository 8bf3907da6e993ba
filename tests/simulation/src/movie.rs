//! The index of an MP4 file (`moov`): an H.264 track with a frame each second and a keyframe each twenty, and a text track
//! in Swedish with one text.

/// The units of a second.
const SCALE: u32 = 1000;
/// The seconds from keyframe to keyframe.
const KEYFRAME_INTERVAL: u32 = 20;
/// The size of a frame in bytes.
pub(crate) const FRAME: u32 = 24;
/// The size of the text in bytes.
pub(crate) const TEXT: u32 = 40;
/// The language, as a packed code (ISO/IEC 14496-12, 8.4.2).
const SWEDISH: u32 = 0x4EE5;
/// The identity, as a transformation.
const MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

/// Returns the number of frames of a video with this duration in milliseconds.
pub(crate) fn frames(duration: u64) -> u32 {
    u32::try_from(duration).unwrap() / SCALE
}

/// Returns the index of a video with this duration in milliseconds, whose frames are stored from `offset` on, and then its
/// text.
pub(crate) fn index(duration: u64, offset: u32) -> Vec<u8> {
    let frames = frames(duration);
    let duration = u32::try_from(duration).unwrap();
    let keyframes: Vec<u32> = (1..=frames).step_by(KEYFRAME_INTERVAL as usize).collect();
    let movie =
        [&[0, 0, 0, SCALE, duration, 0x1_0000, 0x0100_0000, 0, 0][..], &MATRIX, &[0; 6], &[2]].concat();
    let size = [640 << 16, 360 << 16];
    let track = |id| {
        let header = [&[3, 0, 0, id, 0, duration, 0, 0, 0, 0][..], &MATRIX, &size].concat();
        words(*b"tkhd", &header)
    };
    let sync = [&[0, u32::try_from(keyframes.len()).unwrap()][..], &keyframes].concat();
    let tables = atom(
        *b"stbl",
        &[
            sample_description(),
            words(*b"stts", &[0, 1, frames, SCALE]),
            words(*b"stss", &sync),
            words(*b"stsc", &[0, 1, 1, frames, 1]),
            words(*b"stsz", &[0, FRAME, frames]),
            words(*b"stco", &[0, 1, offset]),
        ],
    );
    let media = |handler: [u8; 4], language: u32, tables: Vec<u8>| {
        let handler = words(*b"hdlr", &[0, 0, u32::from_be_bytes(handler), 0, 0, 0, 0]);
        let header = words(*b"mdhd", &[0, 0, 0, SCALE, duration, language << 16]);
        atom(*b"mdia", &[header, handler, atom(*b"minf", &[tables])])
    };
    let entry = atom(*b"tx3g", &[vec![0; 38]]);
    let texts = atom(
        *b"stbl",
        &[
            atom(*b"stsd", &[[0_u32, 1].map(u32::to_be_bytes).concat(), entry]),
            words(*b"stts", &[0, 1, 1, SCALE]),
            words(*b"stsc", &[0, 1, 1, 1, 1]),
            words(*b"stsz", &[0, TEXT, 1]),
            words(*b"stco", &[0, 1, offset + frames * FRAME]),
        ],
    );
    let film = atom(*b"trak", &[track(1), media(*b"vide", 0x55C4, tables)]);
    let text = atom(*b"trak", &[track(2), media(*b"sbtl", SWEDISH, texts)]);
    atom(*b"moov", &[words(*b"mvhd", &movie), film, text])
}

/// The sample description: H.264, 640 by 360.
fn sample_description() -> Vec<u8> {
    let resolution = [0x48_0000_u32, 0x48_0000, 0].map(u32::to_be_bytes).concat();
    let entry = [
        &[0, 0, 0, 0, 0, 0, 0, 1][..],
        &[0; 16],
        &[2, 128, 1, 104],
        &resolution,
        &[0, 1],
        &[0; 32],
        &[0, 24, 255, 255],
        &atom(*b"avcC", &[vec![1, 66, 0, 30, 255, 225, 0, 4, 0x67, 66, 0, 30, 1, 0, 2, 0x68, 0xCE]]),
    ];
    atom(*b"stsd", &[[0_u32, 1].map(u32::to_be_bytes).concat(), atom(*b"avc1", &[entry.concat()])])
}

/// Returns a box of 32-bit numbers.
fn words(name: [u8; 4], words: &[u32]) -> Vec<u8> {
    atom(name, &[words.iter().flat_map(|word| word.to_be_bytes()).collect()])
}

pub(crate) fn atom(name: [u8; 4], contents: &[Vec<u8>]) -> Vec<u8> {
    let body = contents.concat();
    let size = u32::try_from(body.len() + 8).unwrap();
    [&size.to_be_bytes()[..], &name, &body].concat()
}
