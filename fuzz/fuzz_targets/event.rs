//! Parses the S3 events of the thumbnail function, and the keys and file names in them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use upreel_core::{Key, filename};
use upreel_events::s3;
use upreel_fuzz as _;

fuzz_target!(|input: &[u8]| {
    let Ok(event) = serde_json::from_slice(input) else { return };
    for created in s3::parse(&event).unwrap_or_default() {
        assert_eq!(created.sequencer.as_str().len(), 40);
        if let Ok(key) = created.key.parse::<Key>() {
            assert_eq!(key.to_string(), created.key);
        }
        let name = filename::sanitize(&created.key);
        assert!((1..=255).contains(&name.len()), "{name:?}");
        assert!(!name.contains(|c: char| c.is_control() || "/\\".contains(c)), "{name:?}");
        assert_eq!(filename::sanitize(&name), name);
    }
});
