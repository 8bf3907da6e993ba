//! The trace of a schedule: one line for each call, invocation and decision, the same for each run of a seed.
//!
//! Identifiers of videos and of chosen posters are random, so the trace has their numbers instead: `v1` is the first
//! video.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

/// The length of a UUID with hyphens.
const UUID: usize = 36;
/// What precedes the identifier of a chosen poster in a key, and the length of both.
const CHOSEN: (&str, usize) = ("-own-", 21);

/// The numbers of the identifiers, in the order in which they were seen.
#[derive(Debug, Default)]
pub(crate) struct Names(HashMap<String, usize>);

impl Names {
    /// Returns the number of an identifier, from 1.
    pub(crate) fn number(&mut self, id: &str) -> usize {
        let next = self.0.len() + 1;
        *self.0.entry(id.to_owned()).or_insert(next)
    }

    /// Replaces the identifiers in a text.
    pub(crate) fn replace(&mut self, text: &str) -> String {
        let mut replaced = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some(id) = rest.get(..UUID).filter(|part| is_uuid(part)) {
                let _ = write!(replaced, "v{}", self.number(id));
                rest = &rest[UUID..];
            } else if let Some(id) = rest.get(..CHOSEN.1).filter(|part| part.starts_with(CHOSEN.0)) {
                let _ = write!(replaced, "{}{}", CHOSEN.0, self.number(id));
                rest = &rest[CHOSEN.1..];
            } else {
                replaced.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        replaced
    }
}

fn is_uuid(text: &str) -> bool {
    text.bytes().enumerate().all(|(i, byte)| match i {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

/// The lines of a trace. Off by default, because formatting takes time.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(crate) fn new(is_on: bool) -> Self {
        Self { lines: is_on.then(Vec::new) }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.lines.is_some()
    }

    /// Adds a line, if the trace is on.
    pub(crate) fn add(&mut self, names: &mut Names, at: Duration, text: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            let text = names.replace(&text());
            lines.push(format!("{:>12.3} {text}", at.as_secs_f64()));
        }
    }

    pub(crate) fn take(&mut self) -> Vec<String> {
        self.lines.take().unwrap_or_default()
    }
}
