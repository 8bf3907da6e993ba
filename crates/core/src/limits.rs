//! Limits: sizes of AWS in bytes, and how long a row may stay in a state.

use std::time::Duration;

/// The largest body of `POST /upload`: Lambda's 6 MiB event limit, less base64 and headers.
pub const MAX_API_BODY: u64 = 4_613_734;
/// The largest object that one PUT request can create in S3: 5 GiB.
pub const MAX_PUT: u64 = 5 << 30;
/// The largest object in S3: 5 TiB.
pub const MAX_OBJECT: u64 = 5 << 40;

/// How often the reconciler replays an event that was given up, or starts a transcoding again.
pub const MAX_REPLAYS: u32 = 3;

/// What a row waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wait {
    /// The upload (`PENDING`).
    Upload,
    /// The event of the object (`UPLOADED`).
    Event,
    /// The result of processing (`PROCESSING`).
    Result,
    /// The replay of an event, after this number of replays: it was given up (`FAILED` with the code `INTERNAL`), or it is held
    /// (`UPLOADED`), and the verdict of a check may be lost.
    Replay(u32),
    /// The end of transcoding, or its next restart.
    Transcode,
    /// A storyboard that was left out because of a fault.
    Storyboard,
    /// The removal of objects of earlier uploads. By then, no worker writes them any more.
    CleanUp,
    /// The next pass over the objects of a deleted video.
    Deletion,
}

/// How long a row may wait before the reconciler examines it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For the first time. An upload may take hours, so this is no limit on it.
    pub upload: Duration,
    /// Every further time, until the row expires.
    pub upload_again: Duration,
    /// See [`Wait::Event`].
    pub event: Duration,
    /// Longer than Lambda retries an event, which is 6 hours.
    pub result: Duration,
    /// Before each of the replays. After the last one, operators have to act.
    pub replay: [Duration; MAX_REPLAYS as usize],
    /// See [`Wait::Transcode`].
    pub transcode: Duration,
    /// See [`Wait::Storyboard`].
    pub storyboard: Duration,
    /// Longer than the longest invocation of a function, which is 15 minutes.
    pub clean_up: Duration,
    /// The same, for the first pass and a pass that found objects. The last pass comes after three times as long.
    pub deletion: Duration,
}

impl Limits {
    /// Creates limits that are all the same, for tests.
    #[must_use]
    pub const fn all(limit: Duration) -> Self {
        Self {
            upload: limit,
            upload_again: limit,
            event: limit,
            result: limit,
            replay: [limit; MAX_REPLAYS as usize],
            transcode: limit,
            storyboard: limit,
            clean_up: limit,
            deletion: limit,
        }
    }

    /// Returns how long a row may wait, or `None` if it is not examined again.
    #[must_use]
    pub fn get(&self, wait: Wait) -> Option<Duration> {
        match wait {
            Wait::Upload => Some(self.upload),
            Wait::Event => Some(self.event),
            Wait::Result => Some(self.result),
            Wait::Replay(replays) => self.replay.get(usize::try_from(replays).ok()?).copied(),
            Wait::Transcode => Some(self.transcode),
            Wait::Storyboard => Some(self.storyboard),
            Wait::CleanUp => Some(self.clean_up),
            Wait::Deletion => Some(self.deletion),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            upload: Duration::from_hours(1),
            upload_again: Duration::from_hours(6),
            event: Duration::from_hours(1),
            result: Duration::from_hours(7),
            replay: [1, 6, 24].map(Duration::from_hours),
            transcode: Duration::from_mins(30),
            storyboard: Duration::from_mins(10),
            clean_up: Duration::from_mins(20),
            deletion: Duration::from_mins(20),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replays_come_after_1_6_and_24_hours() {
        let limits = Limits::default();
        let hours = |hours| Some(Duration::from_hours(hours));
        let replays = [0, 1, 2, 3].map(|replays| limits.get(Wait::Replay(replays)));
        assert_eq!(replays, [hours(1), hours(6), hours(24), None]);
    }

    #[test]
    fn limits_exceed_what_a_row_waits_for() {
        let limits = Limits::default();
        assert!(limits.result > Duration::from_hours(6), "Lambda's retries");
        for limit in [limits.clean_up, limits.deletion] {
            assert!(limit > Duration::from_mins(15), "the longest invocation");
        }
    }
}
