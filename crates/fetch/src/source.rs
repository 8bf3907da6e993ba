//! The response of a source, and its body.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::task::JoinSet;
use tokio::time::timeout;
use upreel_core::Failure;
use upreel_core::fetch::Refused;

/// Why a source cannot be read. The texts are for the log.
#[derive(Debug)]
pub(crate) enum Error {
    /// The URL, or one that it redirects to, is not allowed.
    Refused(Refused),
    /// The response is final: another request would have the same.
    Unavailable(String),
    /// The connection failed, or the response is an error that may pass.
    Broken(String),
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl Error {
    /// Returns the failure that users see.
    pub(crate) fn failure(&self) -> Failure {
        match self {
            Self::Refused(refused) => {
                Failure::new(Failure::SOURCE_FORBIDDEN, format!("The source cannot be used. {refused}"))
            }
            Self::Unavailable(reason) | Self::Broken(reason) => Failure::new(
                Failure::SOURCE_UNAVAILABLE,
                format!("The source cannot be read: {reason}. Check the URL and try again."),
            ),
        }
    }
}

/// The body of a response.
pub(crate) struct Source {
    /// The size of the whole file, if the source states it.
    pub(crate) total: Option<u64>,
    /// The strong entity tag, with its quotes.
    pub(crate) etag: Option<String>,
    /// Where the body begins: 0 if the source has changed, or does not support ranges.
    pub(crate) offset: u64,
    body: Incoming,
    /// What was received and not returned yet.
    rest: Bytes,
    idle: Duration,
    /// Runs the connection.
    _connection: JoinSet<()>,
}

impl Source {
    /// Checks the head of a response to a request for the bytes from `from` on.
    pub(crate) fn new(
        response: Response<Incoming>,
        connection: JoinSet<()>,
        from: Option<u64>,
        idle: Duration,
    ) -> Result<Self, Error> {
        let (head, body) = response.into_parts();
        let (offset, total) = match head.status {
            StatusCode::OK => (0, content_length(&head.headers)),
            StatusCode::PARTIAL_CONTENT => {
                let range = content_range(&head.headers).filter(|(start, _)| Some(*start) == from);
                range.ok_or_else(|| Error::Unavailable("a response with another range".to_owned()))?
            }
            status if status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429) => {
                return Err(Error::Broken(format!("status {}", status.as_u16())));
            }
            status => return Err(Error::Unavailable(format!("status {}", status.as_u16()))),
        };
        if head.headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(Error::Unavailable("the response is compressed".to_owned()));
        }
        let etag = strong_etag(&head.headers);
        Ok(Self { total, etag, offset, body, rest: Bytes::new(), idle, _connection: connection })
    }

    /// Returns the next bytes, at most `max`, or `None` at the end.
    pub(crate) async fn next(&mut self, max: usize) -> Result<Option<Bytes>, Error> {
        while self.rest.is_empty() {
            let frame = timeout(self.idle, self.body.frame()).await;
            let frame = frame.map_err(|_| Error::Broken("it sends nothing".to_owned()))?;
            match frame.transpose().map_err(|error| Error::Broken(error.to_string()))? {
                None => return Ok(None),
                Some(frame) => {
                    self.rest = frame.into_data().unwrap_or_default();
                }
            }
        }
        Ok(Some(self.rest.split_to(max.min(self.rest.len()))))
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Returns the start and the size of the file of `Content-Range: bytes start-end/size`.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let range = headers.get(header::CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    let (range, total) = range.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.parse().ok()?, total.parse().ok()))
}

/// Returns the entity tag, unless it is a weak one, which does not identify the bytes.
fn strong_etag(headers: &HeaderMap) -> Option<String> {
    let etag = headers.get(header::ETAG)?.to_str().ok()?;
    let is_strong = (2..=1024).contains(&etag.len()) && etag.starts_with('"') && etag.ends_with('"');
    is_strong.then(|| etag.to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn only_strong_entity_tags_are_kept() {
        let etag = |value| strong_etag(&headers(header::ETAG, value));
        assert_eq!(etag("\"a-1\"").as_deref(), Some("\"a-1\""));
        for weak in ["W/\"a\"", "a", "\"", "\"a"] {
            assert_eq!(etag(weak), None, "{weak}");
        }
    }

    #[test]
    fn ranges_are_read_with_and_without_a_size() {
        let range = |value| content_range(&headers(header::CONTENT_RANGE, value));
        assert_eq!(range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(range("bytes 5-9/*"), Some((5, None)));
        for bad in ["bytes */10", "5-9/10", "bytes 5-9", "bytes x-9/10"] {
            assert_eq!(range(bad), None, "{bad}");
        }
    }
}
