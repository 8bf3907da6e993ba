//! Reasons why a video cannot be processed, as they are recorded and shown to users.

use serde::{Deserialize, Serialize};

/// The reason why a video cannot be processed. The code is stable; the message is for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// One of the constants below.
    pub code: String,
    /// A sentence for the user.
    pub message: String,
}

impl Failure {
    /// The bytes are not in a supported container format.
    pub const UNSUPPORTED_MEDIA: &str = "UNSUPPORTED_MEDIA";
    /// The object has no bytes.
    pub const EMPTY_FILE: &str = "EMPTY_FILE";
    /// The object is larger than `MaxUploadBytes`.
    pub const TOO_LARGE: &str = "TOO_LARGE";
    /// The container is supported, but holds no video stream.
    pub const NO_VIDEO: &str = "NO_VIDEO";
    /// The video or all of the audio is encrypted.
    pub const ENCRYPTED: &str = "ENCRYPTED";
    /// The file is damaged, or its codec cannot be decoded.
    pub const UNREADABLE: &str = "UNREADABLE";
    /// Decoding would exceed the limit on time, memory or bytes read.
    pub const TOO_COMPLEX: &str = "TOO_COMPLEX";
    /// The video is longer than the user's limit.
    pub const TOO_LONG: &str = "TOO_LONG";
    /// The object was stored although it exceeds the user's quota.
    pub const QUOTA_EXCEEDED: &str = "QUOTA_EXCEEDED";
    /// The object was stored, but is missing.
    pub const LOST: &str = "LOST";
    /// The URL of the source, or one that it redirects to, is not allowed.
    pub const SOURCE_FORBIDDEN: &str = "SOURCE_FORBIDDEN";
    /// The source does not answer, or not with the file.
    pub const SOURCE_UNAVAILABLE: &str = "SOURCE_UNAVAILABLE";
    /// The source was not copied in time.
    pub const SOURCE_TIMEOUT: &str = "SOURCE_TIMEOUT";
    /// Every attempt to copy the source ended with a fault. There is no further one.
    pub const FETCH_FAILED: &str = "FETCH_FAILED";
    /// Every attempt ended with a fault.
    pub const INTERNAL: &str = "INTERNAL";
    /// The scan has found malware.
    pub const INFECTED: &str = "INFECTED";
    /// The moderation has rejected the video.
    pub const REJECTED: &str = "REJECTED";
    /// A check has ended without a verdict, or there is none in time.
    pub const NOT_CHECKED: &str = "NOT_CHECKED";

    /// The failures of checks.
    pub const OF_CHECKS: [&str; 3] = [Self::INFECTED, Self::REJECTED, Self::NOT_CHECKED];
    /// The failures after which the same event is processed again: because the fault may have gone, or the verdict may have
    /// changed.
    pub const REPEATABLE: [&str; 4] = [Self::INTERNAL, Self::INFECTED, Self::REJECTED, Self::NOT_CHECKED];

    /// Returns whether the same event can be processed again after this failure.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        Self::REPEATABLE.contains(&self.code.as_str())
    }

    /// Returns whether a check has not been passed.
    #[must_use]
    pub fn is_of_check(&self) -> bool {
        Self::OF_CHECKS.contains(&self.code.as_str())
    }

    /// Creates the failure of a file that was not checked.
    #[must_use]
    pub fn not_checked(reason: &str) -> Self {
        Self::new(
            Self::NOT_CHECKED,
            format!("The file could not be checked, so nobody can read it. {reason}"),
        )
    }

    /// Creates the failure of an event that was given up after a fault.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(Self::INTERNAL, "Processing failed on our side and will be repeated later.")
    }

    /// Creates the failure of an object that is missing in storage.
    #[must_use]
    pub fn lost() -> Self {
        Self::new(Self::LOST, "The file was lost before it was processed. Upload it again.")
    }

    /// Creates the failure of a source that was given up after a fault.
    #[must_use]
    pub fn fetch() -> Self {
        Self::new(
            Self::FETCH_FAILED,
            "The file could not be copied because of a fault on our side. Please try again.",
        )
    }

    /// Creates a failure with one of the codes above.
    #[must_use]
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }
}
