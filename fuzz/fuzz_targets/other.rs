//! Reads the keyframes of AVI, MPEG-TS, MPEG-PS, Flash, Ogg and Windows Media files, and lists the frames of audio alone.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| upreel_fuzz::other_index(input));
