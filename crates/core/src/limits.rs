//! Size limits of AWS, in bytes.

/// The largest body of `POST /upload`: Lambda's 6 MiB event limit, less base64 and headers.
pub const MAX_API_BODY: u64 = 4_613_734;
/// The largest object that one PUT request can create in S3: 5 GiB.
pub const MAX_PUT: u64 = 5 << 30;
/// The largest object in S3: 5 TiB.
pub const MAX_OBJECT: u64 = 5 << 40;
