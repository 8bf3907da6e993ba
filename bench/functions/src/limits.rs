//! What is demanded of the functions. The first part does not depend on time, so CI holds it (`check`).

/// Bytes of the program of an API function.
pub(crate) const BINARY: u64 = 8_500_000;
/// Bytes of it in a zip.
pub(crate) const ZIP: u64 = 4_200_000;
/// Instructions until the first event is asked for, of every function.
pub(crate) const INSTRUCTIONS: u64 = 3_000_000;
/// Minor page faults of a warm upload of 4 MiB.
pub(crate) const FAULTS: f64 = 200.0;

/// How many times less than Node.js with the SDK v3.
pub(crate) struct Less {
    pub(crate) cold: f64,
    pub(crate) warm: f64,
    pub(crate) memory: f64,
}

pub(crate) const UPLOAD: Less = Less { cold: 12.0, warm: 4.0, memory: 7.0 };
pub(crate) const PRESIGN: Less = Less { cold: 10.0, warm: 3.0, memory: 6.0 };
