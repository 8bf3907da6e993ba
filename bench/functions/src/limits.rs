//! The limits and targets of the functions. `check` enforces the limits in CI, because they don't depend on time.

/// Sizes of a program, in bytes.
pub(crate) struct Sizes {
    pub(crate) bytes: u64,
    pub(crate) zip: u64,
}

/// Returns the limits of an API function. `playback` reads media and encodes, `videos` reads captions and writes playlists.
pub(crate) fn sizes(function: &str) -> Sizes {
    match function {
        "playback" => Sizes { bytes: 8_200_000, zip: 3_950_000 },
        "videos" => Sizes { bytes: 7_850_000, zip: 3_750_000 },
        _ => Sizes { bytes: 7_700_000, zip: 3_750_000 },
    }
}

/// Instructions of every function until it requests its first event.
pub(crate) const INSTRUCTIONS: u64 = 2_650_000;
/// Minor page faults of a warm upload of 4 MiB.
pub(crate) const FAULTS: f64 = 50.0;
/// Peak memory of an upload of 4 MiB, in MB. The event has 5.6 MB: `lambda_runtime` holds it twice while it reads it, and
/// the decoded file comes on top.
pub(crate) const MEMORY: f64 = 31.0;

/// Targets relative to Node.js with the SDK v3: how many times less time and memory.
pub(crate) struct Less {
    pub(crate) cold: f64,
    pub(crate) warm: f64,
    pub(crate) memory: f64,
}

pub(crate) const UPLOAD: Less = Less { cold: 10.0, warm: 4.5, memory: 5.0 };
pub(crate) const PRESIGN: Less = Less { cold: 18.0, warm: 3.5, memory: 8.0 };
