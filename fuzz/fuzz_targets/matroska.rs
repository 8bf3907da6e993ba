//! Reads the index of a Matroska file with `media::matroska`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use upreel_core::Container;

fuzz_target!(|input: &[u8]| upreel_fuzz::index(input, Container::Mkv));
