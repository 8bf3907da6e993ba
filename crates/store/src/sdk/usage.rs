//! Counts the billed requests to S3 and `DynamoDB`, for the metric `Cost` (`upreel-function`).
//!
//! Counts at the HTTP client, so that retries count too, as on the bill. The counters belong to the process: a function
//! handles one invocation at a time.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

static COUNTERS: [AtomicU64; 5] = [const { AtomicU64::new(0) }; 5];

/// The numbers of billed requests and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// GET and HEAD requests to S3.
    pub s3_reads: u64,
    /// PUT, POST and LIST requests to S3, which cost twelve times as much.
    pub s3_writes: u64,
    /// Bytes of the bodies that were put into S3.
    pub bytes_stored: u64,
    /// Reads of the table and its indexes.
    pub table_reads: u64,
    /// Writes to the table.
    pub table_writes: u64,
}

impl Usage {
    /// Returns the numbers since the last call, and resets them.
    #[must_use]
    pub fn take() -> Self {
        let [s3_reads, s3_writes, bytes_stored, table_reads, table_writes] =
            [0, 1, 2, 3, 4].map(|index: usize| COUNTERS[index].swap(0, Relaxed));
        Self { s3_reads, s3_writes, bytes_stored, table_reads, table_writes }
    }

    /// Counts a request.
    pub(super) fn count(request: &HttpRequest) {
        let header = |name| request.headers().get(name).unwrap_or_default();
        let used =
            Self::of(request.method(), request.uri(), header("x-amz-target"), header("content-length"));
        let amounts = [used.s3_reads, used.s3_writes, used.bytes_stored, used.table_reads, used.table_writes];
        for (counter, amount) in COUNTERS.iter().zip(amounts) {
            counter.fetch_add(amount, Relaxed);
        }
    }

    fn of(method: &str, uri: &str, target: &str, length: &str) -> Self {
        let none = Self::default();
        if let Some((service, operation)) = target.split_once('.') {
            return match (service.starts_with("DynamoDB_"), operation) {
                (true, "GetItem" | "Query") => Self { table_reads: 1, ..none },
                (true, "PutItem" | "UpdateItem" | "DeleteItem") => Self { table_writes: 1, ..none },
                // Two rows, one of them in indexes, each at the price of two writes.
                (true, "TransactWriteItems") => Self { table_writes: 2, ..none },
                _ => none,
            };
        }
        // Requests to Lambda have no `x-amz-target` either.
        if uri.contains("/2015-03-31/functions/") {
            return none;
        }
        let query = uri.split_once('?').map_or("", |(_, query)| query);
        match method {
            "GET" if query.contains("list-type=") => Self { s3_writes: 1, ..none },
            "GET" | "HEAD" => Self { s3_reads: 1, ..none },
            "PUT" => Self { s3_writes: 1, bytes_stored: length.parse().unwrap_or_default(), ..none },
            // Deletions are free, including those of several objects.
            "POST" if !query.starts_with("delete") => Self { s3_writes: 1, ..none },
            _ => none,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(method: &str, uri: &str, target: &str) -> (u64, u64, u64, u64, u64) {
        let it = Usage::of(method, uri, target, "17");
        (it.s3_reads, it.s3_writes, it.bytes_stored, it.table_reads, it.table_writes)
    }

    #[test]
    fn requests_are_counted_by_their_price() {
        let bucket = "https://b.s3.eu-central-1.amazonaws.com/";
        assert_eq!(used("GET", &format!("{bucket}videos/u/v.mp4?x-id=GetObject"), ""), (1, 0, 0, 0, 0));
        assert_eq!(used("HEAD", bucket, ""), (1, 0, 0, 0, 0));
        assert_eq!(used("GET", &format!("{bucket}?list-type=2&prefix=a"), ""), (0, 1, 0, 0, 0));
        assert_eq!(used("PUT", &format!("{bucket}thumbnails/v.jpg?x-id=PutObject"), ""), (0, 1, 17, 0, 0));
        assert_eq!(used("POST", &format!("{bucket}v.mp4?uploads"), ""), (0, 1, 0, 0, 0));
        for free in [("DELETE", ""), ("POST", "?delete"), ("POST", "?delete=")] {
            assert_eq!(used(free.0, &format!("{bucket}{}", free.1), ""), (0, 0, 0, 0, 0), "{free:?}");
        }
        let table = "https://dynamodb.eu-central-1.amazonaws.com/";
        assert_eq!(used("POST", table, "DynamoDB_20120810.Query"), (0, 0, 0, 1, 0));
        assert_eq!(used("POST", table, "DynamoDB_20120810.GetItem"), (0, 0, 0, 1, 0));
        assert_eq!(used("POST", table, "DynamoDB_20120810.UpdateItem"), (0, 0, 0, 0, 1));
        assert_eq!(used("POST", table, "DynamoDB_20120810.TransactWriteItems"), (0, 0, 0, 0, 2));
        assert_eq!(
            used("POST", "https://sqs.eu-central-1.amazonaws.com/", "AmazonSQS.SendMessage"),
            (0, 0, 0, 0, 0)
        );
        let lambda = "https://lambda.eu-central-1.amazonaws.com/2015-03-31/functions/f/invocations";
        assert_eq!(used("POST", lambda, ""), (0, 0, 0, 0, 0));
    }
}
