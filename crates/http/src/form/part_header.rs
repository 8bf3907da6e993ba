//! The headers of a part and the parameters in them (RFC 2045, RFC 5987, and what browsers make of these).

use std::borrow::Cow;

use memchr::memmem;
use percent_encoding::percent_decode;

/// The value of a header among the lines of a part.
///
/// `None` when something there is no header, or two are of this name.
#[expect(clippy::option_option, reason = "whether these are headers, and whether this one is there")]
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
        // Half of a line's end is the whole of it to some readers.
        if !is_token(key) || value.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
            return None;
        }
        if key.eq_ignore_ascii_case(name.as_bytes()) && found.replace(value.to_vec()).is_some() {
            return None;
        }
    }
    Some(found)
}

/// A line that begins with a blank continues the one before it (RFC 5322).
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

/// `form-data; name="file"`: a value with parameters.
#[derive(Debug)]
pub(super) struct Parameters<'a> {
    /// What stands before the first one.
    pub(super) of: &'a [u8],
    pairs: Vec<(&'a [u8], Cow<'a, [u8]>)>,
}

impl<'a> Parameters<'a> {
    /// `None` when it is not of this form, or a parameter is there twice.
    pub(super) fn parse(header: &'a [u8]) -> Option<Self> {
        let (of, mut rest) = cut(header, b';');
        let mut pairs: Vec<(&[u8], Cow<[u8]>)> = Vec::new();
        loop {
            rest = rest.trim_ascii_start();
            match rest {
                [] => return Some(Self { of: of.trim_ascii(), pairs }),
                [b';', after @ ..] => rest = after,
                _ => {
                    let equals = rest.iter().position(|b| *b == b'=')?;
                    let name = rest[..equals].trim_ascii_end();
                    if !is_token(name) || pairs.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
                        return None;
                    }
                    let (value, after) = match rest[equals + 1..].trim_ascii_start() {
                        [b'"', quoted @ ..] => unquote(quoted)?,
                        bare => {
                            let (value, after) = cut(bare, b';');
                            (value.trim_ascii_end().into(), after)
                        }
                    };
                    pairs.push((name, value));
                    rest = after;
                }
            }
        }
    }

    /// The value of a parameter.
    pub(super) fn take(&mut self, name: &str) -> Option<Cow<'a, [u8]>> {
        let at = self.pairs.iter().position(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()))?;
        Some(self.pairs.swap_remove(at).1)
    }
}

/// What is before a byte, and what is behind it.
fn cut(text: &[u8], at: u8) -> (&[u8], &[u8]) {
    let end = text.iter().position(|b| *b == at).unwrap_or(text.len());
    (&text[..end], text.get(end + 1..).unwrap_or_default())
}

/// Behind the opening quote: the text in the quotes, and what follows the parameter.
///
/// A backslash escapes quotes and backslashes only: there are clients that send `C:\videos\a.mp4`.
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

/// A name as browsers write it: UTF-8, with escapes for what a quoted name cannot have, and for nothing else
/// (HTML standard, "multipart/form-data encoding algorithm").
pub(super) fn from_form(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    name.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n")
}

/// `UTF-8''%e2%82%ac.mp4` (RFC 5987); `None` when it is of another kind.
pub(super) fn from_extended(name: &[u8]) -> Option<String> {
    let (charset, rest) = cut(name, b'\'');
    let (_language, encoded) = cut(rest, b'\'');
    let bytes = percent_decode(encoded);
    if charset.eq_ignore_ascii_case(b"utf-8") {
        bytes.decode_utf8().ok().map(Cow::into_owned)
    } else if charset.eq_ignore_ascii_case(b"iso-8859-1") {
        Some(bytes.map(char::from).collect())
    } else {
        None
    }
}
