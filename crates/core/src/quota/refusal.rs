//! Why an upload is refused.

use std::fmt;

use crate::container::Container;

/// A limit that a request would exceed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exceeded {
    /// The limit: `bytes`, `videos` or `uploads`.
    pub quota: &'static str,
    /// Its value.
    pub limit: u64,
    /// What the user has of it.
    pub used: u64,
    /// What the request needs of it.
    pub needed: u64,
}

/// The reason why an upload is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A limit would be exceeded.
    Exceeded(Exceeded),
    /// The container is not accepted. Includes those that are.
    Type(Vec<Container>),
}

impl Exceeded {
    /// Returns how much the user may still add.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    /// Returns whether it is the file that is too large, rather than that nothing is left.
    #[must_use]
    pub fn is_file_too_large(&self) -> bool {
        self.quota == "bytes" && self.left() > 0
    }
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, needed, .. } = self;
        match self.quota {
            "videos" => write!(f, "You have as many videos as you may have: {limit}. Delete one first."),
            "uploads" => write!(
                f,
                "As many uploads are in progress as you may have at a time: {limit}. Wait until one is complete, or delete \
                 its video."
            ),
            _ if self.is_file_too_large() => write!(
                f,
                "The upload takes {needed} bytes, and {} bytes of your {limit} bytes are left. Upload a smaller file, or delete \
                 videos. Without a size, an upload takes the largest size that it could have.",
                self.left()
            ),
            _ => write!(f, "All of your {limit} bytes are used. Delete videos first."),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exceeded(exceeded) => exceeded.fmt(f),
            Self::Type(types) => {
                let names: Vec<_> = types.iter().map(|container| container.name()).collect();
                write!(f, "This type of video is not accepted here. Accepted: {}.", names.join(", "))
            }
        }
    }
}
