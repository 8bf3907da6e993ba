//! Reads the index of an MP4 file with `media::mp4`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use upreel_core::Container;

fuzz_target!(|input: &[u8]| upreel_fuzz::index(input, Container::Mp4));
