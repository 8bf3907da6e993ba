//! Parses the events of the thumbnail function, and the keys and file names in them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use upreel_core::{Key, filename};
use upreel_events::Event;
use upreel_fuzz as _;

fuzz_target!(|input: &[u8]| {
    let Ok(event) = serde_json::from_slice(input) else { return };
    for event in upreel_events::parse(&event).unwrap_or_default() {
        let text = match event {
            Event::Created(created) => {
                assert_eq!(created.sequencer.as_str().len(), 40);
                created.key
            }
            Event::Checked(checked) => checked.key,
        };
        if let Ok(key) = text.parse::<Key>() {
            assert_eq!(key.to_string(), text);
        }
        let name = filename::sanitize(&text);
        assert!((1..=255).contains(&name.len()), "{name:?}");
        assert!(!name.contains(|c: char| c.is_control() || "/\\".contains(c)), "{name:?}");
        assert_eq!(filename::sanitize(&name), name);
    }
});
