//! Reads files of captions, `WebVTT` and `SubRip`. What is written is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use upreel_core::captions::Text;
use upreel_fuzz as _;

fuzz_target!(|input: &[u8]| {
    let Ok(once) = Text::read(input) else { return };
    assert_eq!(Text::read(once.text.as_bytes()).as_ref(), Ok(&once), "reading again changes something");
    let arrows = once.text.lines().filter(|line| line.contains("-->")).count();
    assert_eq!(arrows, once.text.split("\n\n").count() - 1, "a text looks like times");
});
