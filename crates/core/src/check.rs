//! Checks of an upload before it can be read: a scan for malware and a moderation. A verdict names the object by its entity
//! tag, so it never counts for another upload with the same key.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::video::{Record, Status};

/// The tag that `GuardDuty` Malware Protection for S3 adds to an object. Its value is the result of the scan.
pub const SCAN_TAG: &str = "GuardDutyMalwareScanStatus";
/// The result of a scan that has found nothing.
pub const CLEAN: &str = "NO_THREATS_FOUND";
/// The result of a scan that has found malware.
pub const INFECTED: &str = "THREATS_FOUND";

/// The checks that an upload has to pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checks {
    /// A scan for malware.
    pub scan: bool,
    /// A moderation.
    pub moderation: bool,
}

/// A kind of check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// The scan for malware.
    Scan,
    /// The moderation.
    Moderation,
}

/// The result of a check, as the row has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// The entity tag of the object that was checked.
    pub etag: String,
    /// What the check says about it.
    pub value: String,
}

/// What all checks say about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It has passed all checks.
    Clean,
    /// A verdict is missing.
    Pending,
    /// It must not be read.
    Refused(Failure),
}

impl Checks {
    /// Returns whether there is any check.
    #[must_use]
    pub const fn any(self) -> bool {
        self.scan || self.moderation
    }

    /// Returns the verdict for an object with these results of the checks.
    #[must_use]
    pub fn verdict(self, scanned: Option<&str>, moderated: Option<&str>) -> Verdict {
        let scanned = if self.scan { scan(scanned) } else { Verdict::Clean };
        let moderated = if self.moderation { moderation(moderated) } else { Verdict::Clean };
        match (scanned, moderated) {
            (refused @ Verdict::Refused(_), _) | (_, refused @ Verdict::Refused(_)) => refused,
            (Verdict::Clean, Verdict::Clean) => Verdict::Clean,
            _ => Verdict::Pending,
        }
    }
}

impl Record {
    /// Returns whether the video can be read: whether its object has passed all checks. No URL of anything that shows the video
    /// is signed unless this holds.
    ///
    /// With checks, an event is claimed only after a clean verdict, so a row that is or was `PROCESSING` for its event has
    /// one. For a row that was given up or lost, nothing is known.
    #[must_use]
    pub fn is_readable(&self, checks: Checks) -> bool {
        let failure = self.video.error.as_ref();
        match self.video.status {
            Status::Deleted => false,
            Status::Pending | Status::Uploaded => !checks.any(),
            Status::Processing | Status::Processed => true,
            Status::Failed => failure.is_none_or(|failure| {
                let is_unknown = failure.is_repeatable() || failure.code == Failure::LOST;
                !(failure.is_of_check() || checks.any() && is_unknown)
            }),
        }
    }

    /// Returns what the checks say about the object with this entity tag.
    #[must_use]
    pub fn verdict(&self, checks: Checks, etag: &str) -> Verdict {
        let of = |result: &Option<CheckResult>| {
            result.clone().filter(|result| result.etag == etag).map(|result| result.value)
        };
        checks.verdict(of(&self.scan_result).as_deref(), of(&self.moderation_result).as_deref())
    }

    /// Returns whether the object waits for the verdict of a check.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.video.status == Status::Uploaded && self.sequencer.is_some()
    }
}

fn scan(result: Option<&str>) -> Verdict {
    match result {
        None => Verdict::Pending,
        Some(CLEAN) => Verdict::Clean,
        Some(INFECTED) => Verdict::Refused(Failure::new(
            Failure::INFECTED,
            "The file contains malware. Nobody can read it. Upload another file, or delete the video.",
        )),
        Some("UNSUPPORTED") => not_checked("The scanner does not support it: it is too large or protected."),
        Some("ACCESS_DENIED") => not_checked("The scanner may not read it."),
        Some(_) => not_checked("The scan failed."),
    }
}

fn moderation(result: Option<&str>) -> Verdict {
    match result {
        None => Verdict::Pending,
        Some("APPROVED") => Verdict::Clean,
        Some("REJECTED") => {
            Verdict::Refused(Failure::new(Failure::REJECTED, "The video was rejected by moderation."))
        }
        Some(_) => not_checked("The moderation has no known verdict."),
    }
}

fn not_checked(reason: &str) -> Verdict {
    Verdict::Refused(Failure::not_checked(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(scan: bool, moderation: bool, results: [Option<&str>; 2]) -> String {
        match (Checks { scan, moderation }).verdict(results[0], results[1]) {
            Verdict::Clean => "clean".to_owned(),
            Verdict::Pending => "pending".to_owned(),
            Verdict::Refused(failure) => failure.code,
        }
    }

    #[test]
    fn only_one_result_of_each_check_is_clean() {
        assert_eq!(code(true, false, [None, Some("APPROVED")]), "pending");
        for (value, expected) in [
            (CLEAN, "clean"),
            (INFECTED, "INFECTED"),
            ("UNSUPPORTED", "NOT_CHECKED"),
            ("ACCESS_DENIED", "NOT_CHECKED"),
            ("FAILED", "NOT_CHECKED"),
            ("no_threats_found", "NOT_CHECKED"),
            ("", "NOT_CHECKED"),
        ] {
            assert_eq!(code(true, false, [Some(value), None]), expected, "{value}");
        }
        for (value, expected) in [("APPROVED", "clean"), ("REJECTED", "REJECTED"), ("OK", "NOT_CHECKED")] {
            assert_eq!(code(false, true, [Some(INFECTED), Some(value)]), expected);
        }
        assert_eq!(code(false, false, [Some(INFECTED), None]), "clean", "no check");
    }

    #[test]
    fn all_checks_have_to_be_passed() {
        for (scan, moderation, expected) in [
            (Some(CLEAN), Some("APPROVED"), "clean"),
            (Some(CLEAN), None, "pending"),
            (None, Some("APPROVED"), "pending"),
            (None, Some("REJECTED"), "REJECTED"),
            (Some(INFECTED), None, "INFECTED"),
            (Some(INFECTED), Some("REJECTED"), "INFECTED"),
            (Some(CLEAN), Some("REJECTED"), "REJECTED"),
        ] {
            assert_eq!(code(true, true, [scan, moderation]), expected, "{scan:?} {moderation:?}");
        }
    }
}
