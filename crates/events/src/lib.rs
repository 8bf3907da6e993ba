//! Parsers of the events that AWS services send to the functions. They depend on no AWS client, so that they can be
//! fuzzed alone.

pub mod s3;
