//! Part headers and their parameters (RFC 2045, RFC 5987), as browsers write them.

use std::borrow::Cow;

use memchr::memmem;
use percent_encoding::percent_decode;

/// Finds the value of a header in the header lines of a part.
///
/// Returns `None` if a line is malformed or the header occurs twice, and `Some(None)` if the header is missing.
#[expect(clippy::option_option, reason = "the outer option is the validity, the inner one the presence")]
pub(super) fn find(lines: &[u8], name: &str) -> Option<Option<Vec<u8>>> {
    let lines = unfold(lines);
    let mut rest = lines.as_slice();
    let mut found = None;
    while !rest.is_empty() {
        let end = memmem::find(rest, b"\r\n").unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        rest = after.get(2..).unwrap_or_default();
        let colon = line.iter().position(|b| *b == b':')?;
        let (key, value) = (&line[..colon], &line[colon + 1..]);
        // Some parsers accept a lone CR or LF as a line end.
        if !is_token(key) || value.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
            return None;
        }
        if key.eq_ignore_ascii_case(name.as_bytes()) && found.replace(value.to_vec()).is_some() {
            return None;
        }
    }
    Some(found)
}

/// Joins folded lines: a line that begins with a blank continues the previous one (RFC 5322).
fn unfold(lines: &[u8]) -> Vec<u8> {
    let mut unfolded = Vec::with_capacity(lines.len());
    let mut rest = lines;
    while let [first, after @ ..] = rest {
        let is_fold = matches!(rest, [b'\r', b'\n', b' ' | b'\t', ..]);
        if !is_fold {
            unfolded.push(*first);
        }
        rest = if is_fold { &rest[2..] } else { after };
    }
    unfolded
}

fn is_token(text: &[u8]) -> bool {
    let is_token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    !text.is_empty() && text.iter().all(is_token)
}

/// The maximum number of parameters. Each one is compared with all others.
const MAX_PARAMETERS: usize = 16;

/// A header value with parameters, such as `form-data; name="file"`.
#[derive(Debug)]
pub(super) struct Parameters<'a> {
    /// The text before the first parameter.
    pub(super) value: &'a [u8],
    pairs: Vec<(&'a [u8], Cow<'a, [u8]>)>,
}

impl<'a> Parameters<'a> {
    /// Parses a header value. Returns `None` if it is malformed, a parameter occurs twice, or there are too many of them.
    pub(super) fn parse(header: &'a [u8]) -> Option<Self> {
        let (before, mut rest) = split_at_byte(header, b';');
        let mut pairs: Vec<(&[u8], Cow<[u8]>)> = Vec::new();
        loop {
            rest = rest.trim_ascii_start();
            match rest {
                [] => return Some(Self { value: before.trim_ascii(), pairs }),
                [b';', after @ ..] => rest = after,
                _ => {
                    let equals = rest.iter().position(|b| *b == b'=')?;
                    let name = rest[..equals].trim_ascii_end();
                    if !is_token(name)
                        || pairs.len() == MAX_PARAMETERS
                        || pairs.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
                    {
                        return None;
                    }
                    let (value, after) = match rest[equals + 1..].trim_ascii_start() {
                        [b'"', quoted @ ..] => unquote(quoted)?,
                        bare => {
                            let (value, after) = split_at_byte(bare, b';');
                            (value.trim_ascii_end().into(), after)
                        }
                    };
                    pairs.push((name, value));
                    rest = after;
                }
            }
        }
    }

    /// Removes and returns the value of a parameter.
    pub(super) fn take(&mut self, name: &str) -> Option<Cow<'a, [u8]>> {
        let at = self.pairs.iter().position(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()))?;
        Some(self.pairs.swap_remove(at).1)
    }
}

/// Returns the text before and after the first `at`. The second is empty if there is none.
fn split_at_byte(text: &[u8], at: u8) -> (&[u8], &[u8]) {
    let end = text.iter().position(|b| *b == at).unwrap_or(text.len());
    (&text[..end], text.get(end + 1..).unwrap_or_default())
}

/// Parses a quoted value after its opening quote. Returns the value and the text after the parameter.
///
/// A backslash escapes only quotes and backslashes, because some clients send `C:\videos\a.mp4`.
fn unquote(quoted: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let mut text = Vec::new();
    let mut rest = quoted;
    loop {
        match rest {
            [] => return None,
            [b'\\', escaped @ (b'"' | b'\\'), after @ ..] => {
                text.push(*escaped);
                rest = after;
            }
            [b'"', after @ ..] => {
                return match after.trim_ascii_start() {
                    [] => Some((text.into(), &[])),
                    [b';', after @ ..] => Some((text.into(), after)),
                    _ => None,
                };
            }
            [other, after @ ..] => {
                text.push(*other);
                rest = after;
            }
        }
    }
}

/// Decodes a name as browsers write it: UTF-8, with percent escapes only for quotes and line ends (HTML standard,
/// "multipart/form-data encoding algorithm").
pub(super) fn decode_form_name(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    name.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n")
}

/// Decodes an extended value such as `UTF-8''%e2%82%ac.mp4` (RFC 5987). Returns `None` if it is malformed or has
/// another charset than UTF-8 and ISO-8859-1.
pub(super) fn decode_extended_name(name: &[u8]) -> Option<String> {
    let (charset, rest) = split_at_byte(name, b'\'');
    let (_language, encoded) = split_at_byte(rest, b'\'');
    let bytes = percent_decode(encoded);
    if charset.eq_ignore_ascii_case(b"utf-8") {
        bytes.decode_utf8().ok().map(Cow::into_owned)
    } else if charset.eq_ignore_ascii_case(b"iso-8859-1") {
        Some(bytes.map(char::from).collect())
    } else {
        None
    }
}
