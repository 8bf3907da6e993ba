//! Quotas: how much a user may store, what is counted of each video, and what is refused.
//!
//! A row with the attribute `counted` counts for its user. The sum over a user's rows is in the user's account, a row of its
//! own (`usage#` and the user). Every write that changes `counted` changes the account by the difference, in the same
//! transaction.

mod refusal;

use std::time::SystemTime;

use serde::de::{IntoDeserializer, value};
use serde::{Deserialize, Serialize};

use crate::container::Container;
use crate::failure::Failure;
use crate::video::{MediaInfo, Record, Status, known, seconds};

pub use refusal::{Exceeded, Refusal};

/// The limits of a user, or the defaults of all users. A limit that is missing or 0, and an empty list, limit nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// The bytes of all videos.
    pub bytes: Option<u64>,
    /// The number of videos.
    pub videos: Option<u64>,
    /// The number of uploads that were authorised and have not arrived.
    pub uploads: Option<u64>,
    /// The duration of a video.
    pub max_duration_seconds: Option<u64>,
    /// The containers that are accepted.
    pub types: Option<Vec<Container>>,
}

/// What a user has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// The bytes of all videos, and those reserved for uploads.
    pub bytes: u64,
    /// The number of videos.
    pub videos: u64,
    /// The number of uploads that were authorised and have not arrived.
    pub uploads: u64,
}

/// The account of a user: what the user has, and limits that replace the defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Account {
    /// What the user has.
    #[serde(flatten)]
    pub usage: Usage,
    /// Limits of this user.
    #[serde(default, deserialize_with = "known")]
    pub limits: Option<Limits>,
}

/// What is counted of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The size of the object, or what is reserved for it.
    pub bytes: u64,
    /// While the upload has not arrived: when the reservation ends, in seconds since 1970. Rows with it have no `ttl`,
    /// because `DynamoDB` would delete them without a change of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// Whether the object was stored although it exceeded a limit, which a signature without a length allows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub over: bool,
}

/// A change of an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Change {
    /// Of the bytes.
    pub bytes: i64,
    /// Of the number of videos.
    pub videos: i64,
    /// Of the number of uploads.
    pub uploads: i64,
}

impl Limits {
    /// Returns whether nothing is limited.
    #[must_use]
    pub fn is_off(&self) -> bool {
        *self == Self::default()
    }

    /// Returns these limits without those that limit nothing.
    #[must_use]
    pub fn normalized(self) -> Self {
        let positive = |limit: Option<u64>| limit.filter(|limit| *limit > 0);
        Self {
            bytes: positive(self.bytes),
            videos: positive(self.videos),
            uploads: positive(self.uploads),
            max_duration_seconds: positive(self.max_duration_seconds),
            types: self.types.filter(|types| !types.is_empty()),
        }
    }

    /// Returns the limit of each quantity with its name.
    fn quantities(&self) -> [(&'static str, Option<u64>); 3] {
        [("videos", self.videos), ("uploads", self.uploads), ("bytes", self.bytes)]
    }

    /// Returns the quantities that `change` increases and that are limited, with the highest usage before the change. `None`
    /// as the usage means that the change exceeds the limit even of an empty account.
    pub fn rooms(&self, change: &Change) -> impl Iterator<Item = (&'static str, Option<u64>)> {
        self.quantities().into_iter().filter_map(|(name, limit)| {
            let needed = change.needed(name);
            (needed > 0).then_some((name, limit?.checked_sub(needed)))
        })
    }

    /// Checks whether an account has room for a change.
    ///
    /// # Errors
    /// The first limit that would be exceeded.
    pub fn check(&self, usage: &Usage, change: &Change) -> Result<(), Exceeded> {
        for (quota, limit) in self.quantities() {
            let (used, needed) = (usage.of(quota), change.needed(quota));
            if let Some(limit) = limit.filter(|limit| needed > 0 && used.saturating_add(needed) > *limit) {
                return Err(Exceeded { quota, limit, used, needed });
            }
        }
        Ok(())
    }

    /// Checks the container of an upload.
    ///
    /// # Errors
    /// When it is not accepted.
    pub fn check_type(&self, container: Option<Container>) -> Result<(), Refusal> {
        match (&self.types, container) {
            (Some(types), Some(container)) if !types.contains(&container) => {
                Err(Refusal::Type(types.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Checks a video by what its bytes are. Returns the failure if it is not accepted.
    #[must_use]
    pub fn refuse(&self, media_info: &MediaInfo) -> Option<Failure> {
        if let Err(refusal) = self.check_type(media_info.container) {
            return Some(Failure::new(Failure::UNSUPPORTED_MEDIA, refusal.to_string()));
        }
        let (max, duration) = (self.max_duration_seconds?, media_info.duration_ms?);
        (duration > max.saturating_mul(1000)).then(|| {
            let duration = duration.div_ceil(1000);
            let message = format!(
                "The video has {duration} seconds, and the limit is {max}. Shorten it, and upload it again."
            );
            Failure::new(Failure::TOO_LONG, message)
        })
    }
}

impl Usage {
    /// Returns a quantity by its name.
    fn of(&self, quota: &str) -> u64 {
        match quota {
            "videos" => self.videos,
            "uploads" => self.uploads,
            _ => self.bytes,
        }
    }
}

impl Account {
    /// Returns the limits that apply to the user.
    #[must_use]
    pub fn limits(&self, defaults: &Limits) -> Limits {
        let own = self.limits.clone().unwrap_or_default();
        let limits = Limits {
            bytes: own.bytes.or(defaults.bytes),
            videos: own.videos.or(defaults.videos),
            uploads: own.uploads.or(defaults.uploads),
            max_duration_seconds: own.max_duration_seconds.or(defaults.max_duration_seconds),
            types: own.types.or_else(|| defaults.types.clone()),
        };
        limits.normalized()
    }
}

impl Change {
    /// Returns the change of the account when a row counts as `new` instead of `old`.
    #[must_use]
    pub fn between(old: Option<&Counted>, new: Option<&Counted>) -> Self {
        let bytes = |it: Option<&Counted>| it.map_or(0, |it| i64::try_from(it.bytes).unwrap_or(i64::MAX));
        let uploads = |it: Option<&Counted>| i64::from(it.is_some_and(|it| it.until.is_some()));
        Self {
            bytes: bytes(new) - bytes(old),
            videos: i64::from(new.is_some()) - i64::from(old.is_some()),
            uploads: uploads(new) - uploads(old),
        }
    }

    /// Returns by how much a quantity increases.
    fn needed(&self, quota: &str) -> u64 {
        let change = match quota {
            "videos" => self.videos,
            "uploads" => self.uploads,
            _ => self.bytes,
        };
        u64::try_from(change).unwrap_or_default()
    }

    /// Returns whether a quantity increases.
    #[must_use]
    pub fn is_increase(&self) -> bool {
        self.bytes > 0 || self.videos > 0 || self.uploads > 0
    }
}

/// Parses a list of containers, such as `mp4,mov`, as their names are in the API. `None` if one is unknown.
#[must_use]
pub fn parse_types(text: &str) -> Option<Vec<Container>> {
    let names = text.split(',').map(|name| name.trim().to_lowercase()).filter(|name| !name.is_empty());
    names
        .map(|name| Container::deserialize(IntoDeserializer::<value::Error>::into_deserializer(name)).ok())
        .collect()
}

impl Record {
    /// Returns what the row has to count as, which another write may have left to do: the upload has arrived, failed, was
    /// deleted, or did not come in time. A row that does not count yet does so once its upload has arrived, if `is_on`.
    #[must_use]
    pub fn to_count(&self, now: SystemTime, is_on: bool) -> Option<Counted> {
        let counted = self.counted.clone();
        match self.video.status {
            Status::Deleted => None,
            Status::Pending => counted.filter(|it| it.until.is_none_or(|until| until > seconds(now))),
            // Its size is known with its event.
            Status::Uploaded if !self.is_held() => counted,
            Status::Uploaded | Status::Processing | Status::Processed | Status::Failed => {
                let is_lost = self.video.error.as_ref().is_some_and(|error| error.code == Failure::LOST);
                let bytes = self.video.size.filter(|_| !is_lost).unwrap_or_default();
                let over = counted.as_ref().is_some_and(|it| it.over && it.bytes == bytes);
                (is_on || counted.is_some()).then_some(Counted { bytes, until: None, over })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::id::VideoId;
    use crate::key::Key;

    fn change(bytes: i64, videos: i64, uploads: i64) -> Change {
        Change { bytes, videos, uploads }
    }

    fn pending() -> Record {
        let user: crate::UserId = "u".parse().unwrap();
        let key = Key::Video { user: user.clone(), id: VideoId::new(), container: None };
        Record::pending(&key, (user, "a".to_owned(), "b".to_owned()), SystemTime::now(), SystemTime::now())
    }

    #[test]
    fn limits_hold_up_to_the_last_byte() {
        let limits = Limits { bytes: Some(10), videos: Some(2), ..Limits::default() };
        let usage = Usage { bytes: 7, videos: 1, uploads: 900 };
        assert_eq!(limits.check(&usage, &change(3, 1, 1)), Ok(()));
        let exceeded = limits.check(&usage, &change(4, 1, 1)).unwrap_err();
        assert_eq!(exceeded, Exceeded { quota: "bytes", limit: 10, used: 7, needed: 4 });
        assert_eq!((exceeded.left(), exceeded.is_file_too_large()), (3, true));
        assert_eq!(limits.check(&usage, &change(0, 2, 0)).unwrap_err().quota, "videos");
        let full = Usage { bytes: 90, videos: 9, uploads: 0 };
        assert_eq!(limits.check(&full, &change(-5, 0, -1)), Ok(()), "less is always possible");
        let exceeded = limits.check(&full, &change(1, 0, 0)).unwrap_err();
        assert_eq!((exceeded.left(), exceeded.is_file_too_large()), (0, false));
    }

    /// The store's conditions are those of the check.
    #[test]
    fn rooms_are_the_highest_usage_that_the_check_accepts() {
        let limits = Limits { bytes: Some(10), uploads: Some(1), ..Limits::default() };
        for needed in [change(4, 1, 1), change(10, 0, 0), change(11, 0, 1), change(0, 1, 0), change(-1, 0, 1)]
        {
            for used in 0..12 {
                let usage = Usage { bytes: used, videos: used, uploads: used };
                let has_room = limits.rooms(&needed).all(|(_, room)| room.is_some_and(|room| used <= room));
                assert_eq!(has_room, limits.check(&usage, &needed).is_ok(), "{used} {needed:?}");
            }
        }
    }

    #[test]
    fn own_limits_replace_the_defaults_and_0_is_none() {
        let defaults = Limits { bytes: Some(10), videos: Some(5), ..Limits::default() };
        let own = Limits { bytes: Some(0), uploads: Some(3), types: Some(Vec::new()), ..Limits::default() };
        let account = Account { usage: Usage::default(), limits: Some(own) };
        let expected = Limits { videos: Some(5), uploads: Some(3), ..Limits::default() };
        assert_eq!(account.limits(&defaults), expected);
        assert_eq!(Account::default().limits(&defaults), defaults);
        assert!(Limits { bytes: Some(0), ..Limits::default() }.normalized().is_off());
    }

    #[test]
    fn changes_are_differences() {
        let reserved = Counted { bytes: 10, until: Some(1), over: false };
        let stored = Counted { bytes: 7, until: None, over: false };
        assert_eq!(Change::between(None, Some(&reserved)), change(10, 1, 1));
        assert_eq!(Change::between(Some(&reserved), Some(&stored)), change(-3, 0, -1));
        assert_eq!(Change::between(Some(&stored), None), change(-7, -1, 0));
    }

    #[test]
    fn rows_count_by_their_status() {
        let now = SystemTime::now();
        let mut row = pending().reserving(10);
        assert_eq!((row.ttl, row.to_count(now, true)), (None, row.counted.clone()));
        assert!(row.is_visible(now) && !row.is_visible(now + Duration::from_hours(25)));
        assert_eq!(row.to_count(now + Duration::from_hours(25), true), None, "the reservation has expired");
        row.video.status = Status::Processing;
        row.video.size = Some(7);
        let stored = Some(Counted { bytes: 7, until: None, over: false });
        assert_eq!(
            row.to_count(now + Duration::from_hours(25), false),
            stored,
            "also if quotas are turned off"
        );
        row.video.status = Status::Uploaded;
        assert_eq!(row.to_count(now, true), row.counted, "its event has not arrived");
        row.sequencer = Some(crate::Sequencer::lowest());
        assert_eq!(row.to_count(now, true), stored, "held: it is no upload in flight any more");
        row.video.status = Status::Failed;
        row.video.error = Some(Failure::not_checked(""));
        assert_eq!(row.to_count(now, true), stored, "its bytes are there until it is deleted");
        row.video.error = Some(Failure::lost());
        assert_eq!(row.to_count(now, true).unwrap().bytes, 0);
        row.video.status = Status::Deleted;
        assert_eq!(row.to_count(now, true), None);
        let mut early = pending();
        assert_eq!(early.to_count(now, true), None);
        early.video.status = Status::Processed;
        early.video.size = Some(7);
        assert_eq!((early.to_count(now, false), early.to_count(now, true)), (None, stored));
    }

    #[test]
    fn types_are_the_names_of_the_api() {
        assert_eq!(parse_types("mp4, 3GP,"), Some(vec![Container::Mp4, Container::ThreeGp]));
        assert_eq!(parse_types(""), Some(Vec::new()));
        assert_eq!(parse_types("mp4,exe"), None);
    }

    #[test]
    fn durations_are_limited_to_the_millisecond() {
        let limits = Limits { max_duration_seconds: Some(2), ..Limits::default() };
        let refuse = |duration| limits.refuse(&MediaInfo { duration_ms: duration, ..MediaInfo::default() });
        assert_eq!((refuse(Some(2000)), refuse(None)), (None, None));
        assert_eq!(refuse(Some(2001)).unwrap().code, Failure::TOO_LONG);
    }
}
