//! A parser for multipart/form-data bodies (RFC 7578) that does not copy.
//!
//! Lambda passes the whole body to a function, so a part is a slice of the body. The parser is strict where a body is
//! ambiguous (delimiters, line ends, repeated names), and lenient where clients are known to differ (folded headers,
//! names without quotes, bytes that are not UTF-8).

use std::borrow::Cow;

use bytes::Bytes;
use memchr::memmem::{self, Finder};

use super::part_header::{self, Parameters};

/// RFC 2046 allows 70 bytes, but not every client complies.
const MAX_BOUNDARY: usize = 256;
/// The limit for all headers of a part together.
const MAX_HEADERS: usize = 16 * 1024;

/// Why a body is not a valid form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// The content type is not `multipart/form-data`, or has no valid boundary.
    ContentType,
    /// The body ends before the last delimiter.
    Truncated,
    /// The headers of a part are malformed or too long.
    Headers,
}

/// A field of the form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The name of the field.
    pub name: Option<String>,
    /// The file name, as sent by the client.
    pub filename: Option<String>,
    /// The content: a slice of the body.
    pub value: Bytes,
}

/// An iterator over the parts, which ends after the form or the first error.
#[derive(Debug)]
pub struct Multipart {
    body: Bytes,
    /// CRLF, two hyphens and the boundary.
    delimiter: Finder<'static>,
    /// The position of the next part; `None` after the last one.
    next: Result<Option<usize>, Malformed>,
}

impl Multipart {
    /// Creates a parser for a body with this content type.
    ///
    /// # Errors
    /// When the content type is not that of a form. Errors of the body are returned by the iterator.
    pub fn new(content_type: &[u8], body: Bytes) -> Result<Self, Malformed> {
        let boundary = boundary(content_type).ok_or(Malformed::ContentType)?;
        let delimiter = Finder::new(&[b"\r\n--", boundary.as_ref()].concat()).into_owned();
        let mut form = Self { body, delimiter, next: Ok(None) };
        form.next = form.first_part();
        Ok(form)
    }

    /// Returns the position of the first part. Text before the first delimiter is a preamble, which is ignored.
    fn first_part(&self) -> Result<Option<usize>, Malformed> {
        let line = &self.delimiter.needle()[2..];
        let at_start = self.body.starts_with(line).then(|| self.after_boundary(line.len())).flatten();
        at_start.map_or_else(|| self.find_delimiter(0).map(|(_, next)| next), Ok)
    }

    /// Finds the first delimiter from `from` on. Returns its position, where the value ends, and that of the next part.
    fn find_delimiter(&self, from: usize) -> Result<(usize, Option<usize>), Malformed> {
        let mut at = from;
        while let Some(found) = self.delimiter.find(&self.body[at..]) {
            let end = at + found;
            if let Some(next) = self.after_boundary(end + self.delimiter.needle().len()) {
                return Ok((end, next));
            }
            // The text only starts like a delimiter, so it belongs to the value.
            at = end + 2;
        }
        Err(Malformed::Truncated)
    }

    /// Checks the text after a boundary. Returns `Some(Some(next))` if a part follows (the line ends, after blanks that
    /// a proxy may have added), `Some(None)` after the last part (two hyphens), and `None` if this is not a delimiter.
    #[expect(clippy::option_option, reason = "the outer option is the validity, the inner one the next part")]
    fn after_boundary(&self, at: usize) -> Option<Option<usize>> {
        let (rest, is_last) = match &self.body[at..] {
            [b'-', b'-', rest @ ..] => (rest, true),
            rest => (rest, false),
        };
        let blanks = rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        match &rest[blanks..] {
            [b'\r', b'\n', rest @ ..] if !is_last => Some(Some(self.body.len() - rest.len())),
            [] | [b'\n', ..] | [b'\r', b'\n', ..] if is_last => Some(None),
            _ => None,
        }
    }

    /// Parses the part at `start`. Returns it with the position of the next one.
    fn parse_part(&self, start: usize) -> Result<(Part, Option<usize>), Malformed> {
        // Start at the line end before the headers, because there may be no header at all.
        let rest = &self.body[start - 2..];
        let Some(end) = memmem::find(&rest[..rest.len().min(MAX_HEADERS)], b"\r\n\r\n") else {
            return Err(if rest.len() < MAX_HEADERS { Malformed::Truncated } else { Malformed::Headers });
        };
        let (name, filename) = names(rest.get(2..end).unwrap_or_default()).ok_or(Malformed::Headers)?;
        let value = start - 2 + end + 4;
        // Start at the empty line, because its line end belongs to the delimiter if there is no value.
        let (end, next) = self.find_delimiter(value - 2)?;
        Ok((Part { name, filename, value: self.body.slice(value..end.max(value)) }, next))
    }
}

impl Iterator for Multipart {
    type Item = Result<Part, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = std::mem::replace(&mut self.next, Ok(None)).transpose()?;
        Some(start.and_then(|start| self.parse_part(start)).map(|(part, next)| {
            self.next = Ok(next);
            part
        }))
    }
}

fn boundary(content_type: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut parameters = Parameters::parse(content_type)?;
    let boundary = parameters.take("boundary")?;
    let is_form = parameters.value.eq_ignore_ascii_case(b"multipart/form-data");
    (is_form && (1..=MAX_BOUNDARY).contains(&boundary.len())).then_some(boundary)
}

/// Returns the names of the field and of its file, from the `Content-Disposition` of a part. Returns `None` if a header
/// is malformed.
fn names(headers: &[u8]) -> Option<(Option<String>, Option<String>)> {
    let Some(disposition) = part_header::find(headers, "content-disposition")? else {
        return Some((None, None));
    };
    let mut parameters = Parameters::parse(&disposition)?;
    let name = parameters.take("name").map(|name| part_header::decode_form_name(&name));
    let extended = parameters.take("filename*").and_then(|name| part_header::decode_extended_name(&name));
    let plain = parameters.take("filename").map(|name| part_header::decode_form_name(&name));
    Some((name, extended.or(plain)))
}

/// Many cases come from the tests of other parsers: multer, busboy, Go's `mime/multipart`, werkzeug and
/// python-multipart.
#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const TYPE: &[u8] = b"multipart/form-data; boundary=B";
    const A: &str = "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n";

    /// Returns `name|filename|value` for each part, with `-` for a missing name.
    fn read(content_type: &[u8], body: &[u8]) -> Result<Vec<String>, Malformed> {
        let body = Bytes::copy_from_slice(body);
        let text = |name: Option<String>| name.unwrap_or_else(|| "-".to_owned());
        let show = |part: Part| {
            let is_slice = part.value.is_empty() || body.as_ptr_range().contains(&part.value.as_ptr());
            assert!(is_slice, "the value was copied");
            let value = String::from_utf8_lossy(&part.value).escape_debug().to_string();
            format!("{}|{}|{value}", text(part.name), text(part.filename))
        };
        Multipart::new(content_type, body.clone())?.map(|part| part.map(show)).collect()
    }

    #[test]
    fn only_whole_lines_are_delimiters() {
        let cases: &[(&str, String, &[&str])] = &[
            ("one part", format!("{A}x\r\n--B--\r\n"), &["a|-|x"]),
            ("repeated name", format!("{A}x\r\n{A}y\r\n--B--\r\n"), &["a|-|x", "a|-|y"]),
            ("no part", "--B--\r\n".into(), &[]),
            ("no line end at the end", format!("{A}x\r\n--B--"), &["a|-|x"]),
            ("blanks at the end", format!("{A}x\r\n--B-- \t"), &["a|-|x"]),
            ("LF at the end", format!("{A}x\r\n--B--\n"), &["a|-|x"]),
            ("epilogue", format!("{A}x\r\n--B--\r\nand\r\n{A}y\r\n--B--"), &["a|-|x"]),
            ("preamble", format!("This is a form.\r\n{A}x\r\n--B--"), &["a|-|x"]),
            ("preamble with headers", format!("X: y\r\n\r\n{A}x\r\n--B--"), &["a|-|x"]),
            ("empty preamble", format!("\r\n{A}x\r\n--B--"), &["a|-|x"]),
            ("preamble like a delimiter", format!("--BB\r\n{A}x\r\n--B--"), &["a|-|x"]),
            ("preamble with a boundary in a line", format!("x--B\r\n{A}x\r\n--B--"), &["a|-|x"]),
            ("padding", format!("{}x\r\n--B-- \r\n", A.replace("--B", "--B \t ")), &["a|-|x"]),
            ("longer boundary at the start", format!("{A}--BFAKE\r\n--B--"), &["a|-|--BFAKE"]),
            ("longer boundary", format!("{A}x\r\n--B_alt\r\ny\r\n--B--"), &[r"a|-|x\r\n--B_alt\r\ny"]),
            ("padding, then text", format!("{A}x\r\n--B \ty\r\n--B--"), &[r"a|-|x\r\n--B \ty"]),
            ("one hyphen", format!("{A}x\r\n--B-\r\n--B--"), &[r"a|-|x\r\n--B-"]),
            ("text after the last delimiter", format!("{A}x\r\n--B--y\r\n--B--"), &[r"a|-|x\r\n--B--y"]),
            ("one hyphen before the boundary", format!("{A}x\r\n-B\r\n--B--"), &[r"a|-|x\r\n-B"]),
            ("within a line", format!("{A}x--B\r\n--B--"), &["a|-|x--B"]),
            ("CR or LF alone before", format!("{A}x\n--B\n\r--B\r\r\n--B--"), &[r"a|-|x\n--B\n\r--B\r"]),
            ("CR or LF alone after", format!("{A}x\r\n--B\r--B\n\r\n--B--"), &[r"a|-|x\r\n--B\r--B\n"]),
            ("incomplete delimiter before", format!("{A}x\r\n--\r\n--B--"), &[r"a|-|x\r\n--"]),
            ("near miss that overlaps a delimiter", format!("{A}x\r\n--B\r\r\n--B--"), &[r"a|-|x\r\n--B\r"]),
            ("line ends only", format!("{A}\r\n\r\n\r\n\r\n--B--"), &[r"a|-|\r\n\r\n\r\n"]),
            ("no value", format!("{A}\r\n--B--"), &["a|-|"]),
            ("no value, one line end", format!("{A}{A}--B--"), &["a|-|", "a|-|"]),
            ("no header", "--B\r\n\r\nx\r\n--B--".into(), &["-|-|x"]),
            ("no header and no value", "--B\r\n\r\n--B--".into(), &["-|-|"]),
            (
                "a form in a form",
                format!("{A}--C\r\n\r\ny\r\n--C--\r\n--B--"),
                &[r"a|-|--C\r\n\r\ny\r\n--C--"],
            ),
            ("control characters", format!("{A}\0\u{1}\u{7f}\r\n--B--"), &[r"a|-|\0\u{1}\u{7f}"]),
        ];
        for (what, body, expected) in cases {
            assert_eq!(read(TYPE, body.as_bytes()).unwrap(), *expected, "{what}");
        }
    }

    #[test]
    fn rejects_invalid_forms() {
        let many = |count: usize| (0..count).map(|i| format!("; p{i}=x")).collect::<Vec<_>>().concat();
        let headers = |lines: &str| format!("--B\r\n{lines}\r\n\r\nx\r\n--B--");
        let cases = [
            ("empty body", String::new(), Malformed::Truncated),
            ("no delimiter", "x".into(), Malformed::Truncated),
            ("another boundary", format!("{A}x\r\n--C--").replace("--B", "--D"), Malformed::Truncated),
            ("LF alone", format!("{A}x\r\n--B--").replace("\r\n", "\n"), Malformed::Truncated),
            ("CR alone", format!("{A}x\r\n--B--").replace("\r\n", "\r"), Malformed::Truncated),
            ("no last delimiter", format!("{A}x\r\n"), Malformed::Truncated),
            ("nothing after a delimiter", format!("{A}x\r\n--B\r\n"), Malformed::Truncated),
            ("incomplete last delimiter", format!("{A}x\r\n--B-"), Malformed::Truncated),
            ("truncated in a header", "--B\r\nContent-Dispo".into(), Malformed::Truncated),
            ("truncated after the headers", A.into(), Malformed::Truncated),
            ("no end of the headers", "--B\r\nX: y\r\n--B--".into(), Malformed::Truncated),
            ("two delimiters in a row", format!("--B\r\n{A}x\r\n--B--"), Malformed::Headers),
            ("no colon", headers("Content-Disposition"), Malformed::Headers),
            ("no name", headers(": x"), Malformed::Headers),
            ("a blank before the colon", headers("Content-Disposition : form-data"), Malformed::Headers),
            ("LF in a header", headers("X: y\nContent-Disposition: form-data"), Malformed::Headers),
            ("CR in a header", headers("X: y\rz"), Malformed::Headers),
            ("NUL in a header", headers("X: y\0z"), Malformed::Headers),
            ("folded first line", headers(" x: y"), Malformed::Headers),
            (
                "repeated header",
                headers("Content-Disposition: a\r\nContent-Disposition: b"),
                Malformed::Headers,
            ),
            ("repeated parameter", headers("Content-Disposition: f; name=a; NAME=b"), Malformed::Headers),
            ("unterminated quotes", headers("Content-Disposition: f; name=\"a"), Malformed::Headers),
            ("unterminated escape", headers("Content-Disposition: f; name=\"a\\"), Malformed::Headers),
            ("text after quotes", headers("Content-Disposition: f; name=\"a\"b"), Malformed::Headers),
            ("no value", headers("Content-Disposition: f; name; x=y"), Malformed::Headers),
            ("value without a name", headers("Content-Disposition: f; =a"), Malformed::Headers),
            (
                "unterminated huge headers",
                format!("--B\r\nX: {}", "y".repeat(MAX_HEADERS)),
                Malformed::Headers,
            ),
            ("many parameters", headers(&format!("Content-Disposition: f{}", many(17))), Malformed::Headers),
            ("huge headers", headers(&format!("X: {}", "y".repeat(MAX_HEADERS))), Malformed::Headers),
        ];
        for (what, body, why) in cases {
            assert_eq!(read(TYPE, body.as_bytes()), Err(why), "{what}");
        }
        let parameters = headers(&format!("Content-Disposition: f{}", many(16)));
        assert_eq!(read(TYPE, parameters.as_bytes()).unwrap(), ["-|-|x"], "exactly the limit");
        let large = headers(&format!("X: {}", "y".repeat(MAX_HEADERS - 9)));
        assert_eq!(read(TYPE, large.as_bytes()).unwrap(), ["-|-|x"], "exactly the limit");
    }

    #[test]
    fn reads_names_as_clients_write_them() {
        let cases: &[(&[u8], &str)] = &[
            (b"Content-Disposition: form-data; name=\"a\"; filename=\"b.mp4\"", "a|b.mp4"),
            (b"CONTENT-DISPOSITION:FORM-DATA;NAME=\"a\";FileName=\"b.mp4\"  ", "a|b.mp4"),
            (b"Content-Disposition: form-data; filename=b.mp4; name=a", "a|b.mp4"),
            (b"Content-Disposition: form-data ; name = \"a\" ; filename =b c.mp4 ;", "a|b c.mp4"),
            (b"Content-Disposition: form-data;; name=a; filename=", "a|"),
            (b"Content-Disposition: form-data; name=\"\"; filename=\"\"", "|"),
            (b"Content-Disposition: attachment; name=a", "a|-"),
            (b"Content-Disposition: form-data; xname=a; name-x=b", "-|-"),
            (b"Content-Disposition: form-data", "-|-"),
            (b"Content-Type: text/plain", "-|-"),
            (b"X-1: 2\r\nContent-Disposition: form-data; name=a\r\nX-Other:", "a|-"),
            (b"Content-Disposition: form-data;\r\n name=\"a\";\r\n\tfilename=\"b c.mp4\"", "a|b c.mp4"),
            (b"Content-Disposition: form-data; filename=\"x; name=y\"; name=a", "a|x; name=y"),
            (b"Content-Disposition: form-data; name=a; filename=\"b\\\"c\\\\d.mp4\"", "a|b\"c\\d.mp4"),
            (b"Content-Disposition: form-data; name=a; filename=\"C:\\videos\\b.mp4\"", r"a|C:\videos\b.mp4"),
            (b"Content-Disposition: form-data; name=a; filename=\"b\\\\\"", r"a|b\"),
            (
                b"Content-Disposition: form-data; name=a; filename=\"%22b%22%0D%0A%41.mp4\"",
                "a|\"b\"\r\n%41.mp4",
            ),
            ("Content-Disposition: form-data; name=ä; filename=\"б🎬.mp4\"".as_bytes(), "ä|б🎬.mp4"),
            (b"Content-Disposition: form-data; name=a; filename=\"\xe9.mp4\"", "a|\u{fffd}.mp4"),
            (b"Content-Disposition: form-data; name=a; filename*=UTF-8''%e2%82%ac%20b.mp4", "a|€ b.mp4"),
            (b"Content-Disposition: form-data; name=a; filename*=utf-8'de'b.mp4; filename=\"c\"", "a|b.mp4"),
            (b"Content-Disposition: form-data; name=a; filename*=ISO-8859-1''%E9.mp4", "a|é.mp4"),
            (b"Content-Disposition: form-data; name=a; filename=\"c\"; filename*=UTF-8''%ff", "a|c"),
            (b"Content-Disposition: form-data; name=a; filename=\"c\"; filename*=KOI8-R''%ff", "a|c"),
            (b"Content-Disposition: form-data; name=a; filename=\"c\"; filename*=b.mp4", "a|c"),
        ];
        for (header, expected) in cases {
            let body = [b"--B\r\n", *header, b"\r\n\r\nx\r\n--B--"].concat();
            let what = String::from_utf8_lossy(header);
            assert_eq!(read(TYPE, &body).unwrap(), [format!("{expected}|x")], "{what}");
        }
    }

    #[test]
    fn reads_the_boundary_from_the_content_type() {
        let longest = "b".repeat(MAX_BOUNDARY);
        let cases = [
            ("multipart/form-data; boundary=B", "B"),
            ("MULTIPART/Form-Data;BOUNDARY=B", "B"),
            ("multipart/form-data; charset=utf-8; boundary=B; x=y", "B"),
            ("multipart/form-data; boundary=\"B\"", "B"),
            ("multipart/form-data; boundary=\"B :;=/?\"", "B :;=/?"),
            ("multipart/form-data; boundary='B'", "'B'"),
            ("multipart/form-data; boundary=----=_Part_1_2.3", "----=_Part_1_2.3"),
            ("multipart/form-data; boundary=  B  ;", "B"),
            (&format!("multipart/form-data; boundary={longest}"), &longest),
        ];
        for (content_type, boundary) in cases {
            let body = format!("--{boundary}\r\n\r\nx\r\n--{boundary}--\r\n");
            assert_eq!(read(content_type.as_bytes(), body.as_bytes()).unwrap(), ["-|-|x"], "{content_type}");
        }
        for content_type in [
            "",
            "multipart/form-data",
            "multipart/form-data; boundary",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"\"",
            "multipart/form-data; boundary=\"B",
            "multipart/form-data; boundary=B; boundary=C",
            "multipart/form-data, boundary=B",
            "multipart/mixed; boundary=B",
            "application/json; boundary=B",
            &format!("multipart/form-data; boundary=b{longest}"),
        ] {
            let result = read(content_type.as_bytes(), b"--B--\r\n");
            assert_eq!(result, Err(Malformed::ContentType), "{content_type}");
        }
    }

    #[test]
    fn handles_many_parts_and_near_misses() {
        let many = A.to_owned() + &vec!["x"; 20_000].join(&format!("\r\n{A}")) + "\r\n--B--";
        assert_eq!(read(TYPE, many.as_bytes()).unwrap(), vec!["a|-|x"; 20_000]);
        let misses = "\r\n--B-".repeat(500_000);
        let value = misses.escape_debug();
        assert_eq!(read(TYPE, format!("{A}{misses}\r\n--B--").as_bytes()).unwrap(), [format!("a|-|{value}")]);
    }

    /// Parses the body with multer, in pieces. Bodies that both parsers accept must give the same parts.
    fn multer(boundary: &str, body: &[u8], piece: usize) -> Option<Vec<Part>> {
        let pieces: Vec<Result<Bytes, Infallible>> =
            body.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let mut form = multer::Multipart::new(stream::iter(pieces), boundary);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut parts = Vec::new();
            while let Some(field) = form.next_field().await.ok()? {
                let (name, filename) =
                    (field.name().map(str::to_owned), field.file_name().map(str::to_owned));
                parts.push(Part { name, filename, value: field.bytes().await.ok()? });
            }
            Some(parts)
        })
    }

    proptest! {
        /// Compares the results for the whole body and for a truncated one.
        #[test]
        fn parses_the_same_parts_as_the_multer_crate(
            boundary in "[A-Za-z0-9'()+_,./:=?-]{1,70}",
            preamble in "(\\PC{0,9}\r\n)?",
            padding in "[ \t]{0,3}",
            parts in vec(("[^\"\\\\%\\pC]{1,9}", "[^\"\\\\%\\pC]{0,9}", vec(any::<u8>(), 0..200), any::<bool>()), 0..6),
            epilogue in "(\r\n\\PC{0,9})?",
            piece in 1_usize..300,
            end in any::<prop::sample::Index>(),
        ) {
            let mut body = preamble.clone().into_bytes();
            let mut expected = Vec::new();
            for (name, filename, value, other) in parts {
                let case = if other { "content-disposition" } else { "Content-Disposition" };
                let header = format!("{case}: form-data; name=\"{name}\"; filename=\"{filename}\"");
                let more = if other { "\r\nContent-Type: video/mp4" } else { "" };
                body.extend(format!("--{boundary}{padding}\r\n{header}{more}\r\n\r\n").as_bytes());
                body.extend(&value);
                body.extend(b"\r\n");
                expected.push(Part { name: Some(name), filename: Some(filename), value: value.into() });
            }
            body.extend(format!("--{boundary}--{epilogue}").as_bytes());
            let delimiter = format!("--{boundary}");
            prop_assume!(memmem::find_iter(&body, &delimiter).count() == expected.len() + 1);

            let content_type = format!("multipart/form-data; boundary=\"{boundary}\"");
            let ours = |body: &[u8]| -> Option<Vec<Part>> {
                Multipart::new(content_type.as_bytes(), Bytes::copy_from_slice(body)).ok()?.collect::<Result<_, _>>().ok()
            };
            prop_assert_eq!(ours(&body), Some(expected));
            prop_assert_eq!(multer(&boundary, &body, piece), ours(&body));
            let start = &body[..end.index(body.len())];
            // Multer also accepts some bodies that end within the last boundary.
            let found = ours(start);
            prop_assert!(found.is_none() || found == multer(&boundary, start, piece), "{found:?}");
        }

        #[test]
        fn never_panics(content_type in vec(any::<u8>(), 0..80), body in "(\r|\n|--|B|:|;|=|\"|a|name| |\\\\){0,80}") {
            let _ = read(&content_type, body.as_bytes());
            let _ = read(TYPE, body.as_bytes());
            let _ = read(TYPE, format!("{A}{body}\r\n--B--").as_bytes());
        }
    }
}
