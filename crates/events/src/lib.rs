//! The events that AWS services send to the functions, parsed. Knows no AWS client, so that it can be fuzzed alone.

pub mod s3;
