//! The simulated time. Tokio's clock is paused, so it advances to the next timer whenever no task can run.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_types::sdk_config::TimeSource;
use tokio::time::Instant;

/// 2026-11-27 12:00:00 UTC, the start of every schedule.
const START: Duration = Duration::from_hours(498_828);

/// The clock of a schedule. `skew` is how far the functions' clock is behind that of AWS, in
/// seconds; negative if it is ahead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
    skew: i64,
}

impl Clock {
    /// Starts the clock. Needs a runtime.
    pub(crate) fn start(skew: i64) -> Self {
        Self { start: Instant::now(), skew }
    }

    /// Returns the time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Returns AWS's time.
    pub(crate) fn now(&self) -> SystemTime {
        UNIX_EPOCH + START + self.elapsed()
    }

    /// Returns AWS's time in milliseconds since 1970, the unit of `due`.
    pub(crate) fn millis(&self) -> u64 {
        u64::try_from((START + self.elapsed()).as_millis()).unwrap()
    }
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        let distance = Duration::from_secs(self.skew.unsigned_abs());
        if self.skew > 0 { Self::now(self) - distance } else { Self::now(self) + distance }
    }
}
