//! Reads files of captions, `WebVTT` or `SubRip`, and writes `WebVTT`.
//!
//! What is written has nothing but cues: their times, the settings that the specification of `WebVTT` knows, and texts
//! with its tags. Comments, styles and regions are left out: few players apply them, and a style sheet does not belong
//! to what a player of another page should trust.

use std::fmt::Write;

use super::cue_text;

/// Cue times are those of the player, whose time 0 is that of the media (RFC 8216, section 3.5).
const HEAD: &str = "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n";
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

/// A file of captions as `WebVTT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The file.
    pub text: String,
    /// When the last cue ends, in milliseconds.
    pub end_ms: u64,
}

/// Why a file is refused. The messages are for users, and repeat nothing of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFile {
    /// There is no text.
    #[error("The file is empty. Choose another one.")]
    Empty,
    /// The bytes are no UTF-8.
    #[error("Line {0}: this is not UTF-8. Save the file in this encoding.")]
    Encoding(usize),
    /// The file is neither `WebVTT` nor `SubRip`.
    #[error(
        "Line {0}: a WebVTT file begins with WEBVTT, and a SubRip file with the number and the times of a cue."
    )]
    Unknown(usize),
    /// A block of a `WebVTT` file has no times.
    #[error("Line {0}: a cue has no times. A cue begins with its times, and its text has no empty line.")]
    NoTimes(usize),
    /// Times cannot be read.
    #[error("Line {0}: the times of a cue look like 00:01:02.345 --> 00:01:04.000.")]
    Times(usize),
    /// A cue ends before it starts.
    #[error("Line {0}: the cue ends before it starts.")]
    Backwards(usize),
}

/// A text with its times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cue {
    start: u64,
    end: u64,
    settings: String,
    lines: Vec<String>,
}

impl Cue {
    /// Creates a cue. Settings that the specification of `WebVTT` does not know are left out.
    #[must_use]
    pub fn new(start: u64, end: u64, settings: &str, text: &str) -> Self {
        Self { start, end, settings: known_settings(settings), lines: lines_of(text) }
    }

    /// Creates a cue with the text of a `SubRip` file, whose codes can place it.
    #[must_use]
    pub fn of_subrip(start: u64, end: u64, text: &str) -> Self {
        let lines = lines_of(text);
        Self { start, end, settings: cue_text::position(&lines).to_owned(), lines }
    }

    /// Returns whether another cue shows the same from the end of this one on.
    #[must_use]
    pub fn goes_on_in(&self, next: &Self) -> bool {
        self.end == next.start && self.lines == next.lines && self.settings == next.settings
    }

    /// Moves the end.
    pub const fn extend_to(&mut self, end: u64) {
        self.end = end;
    }
}

impl Text {
    /// Reads a file, whose format is detected.
    ///
    /// # Errors
    /// When it is neither `WebVTT` nor `SubRip`, or a cue cannot be read.
    pub fn read(bytes: &[u8]) -> Result<Self, InvalidFile> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let before = bytes.get(..error.valid_up_to()).and_then(|bytes| std::str::from_utf8(bytes).ok());
            InvalidFile::Encoding(lines_of(before.unwrap_or_default()).len())
        })?;
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        if text.trim().is_empty() {
            return Err(InvalidFile::Empty);
        }
        let lines = lines_of(text);
        let is_webvtt = lines.first().is_some_and(|line| is_keyword(line, "WEBVTT"));
        let cues = if is_webvtt { webvtt(&lines)? } else { subrip(&lines)? };
        Ok(Self::write(cues, is_webvtt))
    }

    /// Writes cues. Their texts have the tags of `WebVTT`, or the tags and codes of `SubRip`.
    #[must_use]
    pub fn write(mut cues: Vec<Cue>, is_webvtt: bool) -> Self {
        // Browsers demand this order.
        cues.sort_by_key(|cue| cue.start);
        let mut text = HEAD.to_owned();
        let mut end_ms = 0;
        for Cue { start, end, settings, lines } in cues {
            let shown = cue_text::clean(&lines.join("\n"), is_webvtt);
            // Nothing would be shown of the others.
            if end > start && !shown.is_empty() {
                // Writing to a `String` can't fail.
                let _ = write!(text, "\n{} --> {}{settings}\n{shown}\n", time(start), time(end));
                end_ms = end_ms.max(end);
            }
        }
        Self { text, end_ms }
    }
}

/// Returns the lines of a text, without control characters.
fn lines_of(text: &str) -> Vec<String> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let line = |line: &str| line.chars().filter(|c| !c.is_control() || *c == '\t').collect();
    text.split('\n').map(line).collect()
}

/// Returns whether a line is a keyword, which a text may follow.
fn is_keyword(line: &str, keyword: &str) -> bool {
    line.strip_prefix(keyword).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}

fn webvtt(lines: &[String]) -> Result<Vec<Cue>, InvalidFile> {
    let has_times = |at: usize| lines.get(at).is_some_and(|line| line.contains("-->"));
    let is_text = |at: usize| lines.get(at).is_some_and(|line| !line.trim().is_empty());
    let mut cues = Vec::new();
    // The header ends at an empty line.
    let mut at = 1;
    while is_text(at) && !has_times(at) {
        at += 1;
    }
    while at < lines.len() {
        if !is_text(at) {
            at += 1;
        } else if has_times(at) || has_times(at + 1) {
            // The name of a cue can precede its times.
            at += usize::from(!has_times(at));
            let mut cue = cue(lines, at)?;
            at += 1;
            while is_text(at) && !has_times(at) {
                cue.lines.extend(lines.get(at).cloned());
                at += 1;
            }
            cues.push(cue);
        } else if ["NOTE", "STYLE", "REGION"].iter().any(|word| is_keyword(&lines[at], word)) {
            while is_text(at) && !has_times(at) {
                at += 1;
            }
        } else {
            return Err(InvalidFile::NoTimes(at + 1));
        }
    }
    Ok(cues)
}

/// Reads `SubRip`, for which there is no specification: texts can have empty lines, and numbers can be wrong or
/// missing.
fn subrip(lines: &[String]) -> Result<Vec<Cue>, InvalidFile> {
    let is_number = |line: &str| !line.trim().is_empty() && line.trim().bytes().all(|b| b.is_ascii_digit());
    let mut cues: Vec<Cue> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let is_time = line.contains("-->") && line.trim_start().starts_with(|c: char| c.is_ascii_digit());
        if is_time {
            let mut cue = cue(lines, at)?;
            cue.settings.clear();
            // The line before the times is the number of this cue.
            if let Some(previous) = cues.last_mut() {
                previous.lines.pop_if(|line| is_number(line));
            }
            cues.push(cue);
        } else if let Some(cue) = cues.last_mut() {
            cue.lines.push(line.clone());
        } else if !line.trim().is_empty() && !is_number(line) {
            return Err(InvalidFile::Unknown(at + 1));
        }
    }
    if cues.is_empty() {
        return Err(InvalidFile::Unknown(1));
    }
    for cue in &mut cues {
        cue.settings.push_str(cue_text::position(&cue.lines));
    }
    Ok(cues)
}

/// Reads the times and settings of a cue.
fn cue(lines: &[String], at: usize) -> Result<Cue, InvalidFile> {
    let invalid = InvalidFile::Times(at + 1);
    let (start, rest) = lines.get(at).and_then(|line| line.split_once("-->")).ok_or(invalid)?;
    let (end, settings) = rest.trim_start().split_once([' ', '\t']).unwrap_or((rest.trim(), ""));
    let start = parse_time(start.trim()).ok_or(invalid)?;
    let end = parse_time(end).ok_or(invalid)?;
    if end < start {
        return Err(InvalidFile::Backwards(at + 1));
    }
    Ok(Cue { start, end, settings: known_settings(settings), lines: Vec::new() })
}

/// Returns the settings that are written, each after a space.
fn known_settings(settings: &str) -> String {
    let settings = settings.split_ascii_whitespace().filter_map(setting);
    settings.fold(String::new(), |text, setting| text + " " + &setting)
}

/// Reads a time in milliseconds: `01:02:03.456`, `02:03.456`, or with a comma.
pub(super) fn parse_time(text: &str) -> Option<u64> {
    let number = |text: &str, digits: std::ops::RangeInclusive<usize>| -> Option<u64> {
        let fits = digits.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| text.parse().ok()).flatten()
    };
    let (clock, fraction) = text.split_once(['.', ',']).unwrap_or((text, "0"));
    let scale = [100, 10, 1].get(fraction.len().checked_sub(1)?)?;
    let millis = number(fraction, 1..=3)? * scale;
    let mut parts = clock.rsplit(':');
    let seconds = number(parts.next()?, 1..=2).filter(|seconds| *seconds < 60)?;
    let minutes = number(parts.next()?, 1..=2).filter(|minutes| *minutes < 60)?;
    let hours = parts.next().map_or(Some(0), |hours| number(hours, 1..=4))?;
    parts.next().is_none().then_some(hours * HOUR + minutes * MINUTE + seconds * 1000 + millis)
}

pub(super) fn time(millis: u64) -> String {
    let (hours, minutes) = (millis / HOUR, millis / MINUTE % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{:03}", millis / 1000 % 60, millis % 1000)
}

/// Returns a setting of a cue, if the specification of `WebVTT` knows it and needs no region for it.
fn setting(text: &str) -> Option<String> {
    let is_number = |text: &str| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        digits.split('.').count() <= 2
            && digits.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    };
    let is_percent = |text: &str| {
        let number = text.strip_suffix('%').filter(|number| is_number(number));
        number
            .and_then(|number| number.parse::<f64>().ok())
            .is_some_and(|number| (0.0..=100.0).contains(&number))
    };
    let (name, value) = text.split_once(':')?;
    let (first, align) = value.split_once(',').map_or((value, None), |(first, align)| (first, Some(align)));
    // Older files say `middle`.
    let centred = |align: &str| align.replace("middle", "center");
    let align = align.map(centred);
    let is_one_of = |words: &[&str]| align.as_ref().is_none_or(|align| words.contains(&align.as_str()));
    let fits = match name {
        "vertical" => ["rl", "lr"].contains(&value),
        "line" => (is_percent(first) || is_number(first)) && is_one_of(&["start", "center", "end"]),
        "position" => is_percent(first) && is_one_of(&["line-left", "center", "line-right"]),
        "size" => is_percent(value),
        "align" => ["start", "center", "end", "left", "right"].contains(&centred(value).as_str()),
        _ => false,
    };
    fits.then(|| centred(text))
}

#[cfg(test)]
mod tests;
