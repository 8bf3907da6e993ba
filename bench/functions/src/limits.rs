//! What is demanded of the functions. The first part does not depend on time, so CI holds it (`check`).

/// Bytes of the program of an API function.
pub(crate) const BINARY: u64 = 7_200_000;
/// Bytes of it in a zip.
pub(crate) const ZIP: u64 = 3_600_000;
/// Instructions until the first event is asked for, of every function.
pub(crate) const INSTRUCTIONS: u64 = 3_000_000;
/// Minor page faults of a warm upload of 4 MiB.
pub(crate) const FAULTS: f64 = 50.0;
/// Megabytes that an upload of 4 MiB takes at most at once. Its event alone has 5.6: a copy of it, or of what is in it,
/// does not fit.
pub(crate) const MEMORY: f64 = 17.0;

/// How many times less than Node.js with the SDK v3.
pub(crate) struct Less {
    pub(crate) cold: f64,
    pub(crate) warm: f64,
    pub(crate) memory: f64,
}

pub(crate) const UPLOAD: Less = Less { cold: 12.0, warm: 4.0, memory: 7.0 };
pub(crate) const PRESIGN: Less = Less { cold: 10.0, warm: 3.0, memory: 6.0 };
