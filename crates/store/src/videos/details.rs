//! What users say about a video, and the captions that they upload. Only users change them: a transition of the status
//! leaves them as they are, and a change of them leaves the status as it is, because both write their own attributes of
//! the row. Only captions that are tracks of the object are written by a transition, and can be removed here.
//!
//! Changes are ordered by the row's revision, so that none overwrites another that it has not seen. A repetition finds
//! a later revision, and [`Changed::Conflict`] has the row, in which the caller finds its own change.

use upreel_core::captions::{EmbeddedTracks, Tracks};
use upreel_core::video::Record;
use upreel_core::{Details, Fault, VideoId, details};

use super::content::EMBEDDED;
use super::update::{Applied, Update, encode};
use super::{Item, VideoStore, number, text};

/// The attributes that come from users. A tombstone has none of them.
pub(super) const DETAILS: [&str; 9] = [
    "title",
    "description",
    "tags",
    "metadata",
    "expiresAt",
    "titleKey",
    "tagKeys",
    "expiryShard",
    "revision",
];

/// The captions, which come from users too.
pub(super) const CAPTIONS: &str = "captions";

/// Outcome of [`VideoStore::change_details`] and [`VideoStore::change_captions`].
#[derive(Debug)]
pub enum Changed {
    /// The row has the new values.
    Yes(Box<Record>),
    /// The row has changed since it was read, or was deleted.
    Conflict(Option<Box<Record>>),
}

impl VideoStore {
    /// Replaces the details of a video, if nobody has changed them since `record` was read.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn change_details(&self, record: &Record, details: &Details) -> Result<Changed, Fault> {
        let id = record.video.video_id;
        let update = attributes(id, details)?
            .into_iter()
            .fold(self.change(record), |update, (name, value)| update.set(&name, value));
        send(update.remove(&DETAILS)).await
    }

    /// Replaces the captions of a video, if nobody has changed them or the details since `record` was read. Those of the
    /// object are replaced only by fewer of the same object.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn change_captions(
        &self,
        record: &Record,
        captions: &Tracks,
        embedded: &EmbeddedTracks,
    ) -> Result<Changed, Fault> {
        let update = self.change(record);
        let update = if captions.is_empty() {
            update.remove(&[CAPTIONS])
        } else {
            update.set(CAPTIONS, encode(captions)?)
        };
        let update = match &record.sequencer {
            Some(sequencer) if record.embedded.as_ref().is_some_and(|present| present != embedded) => {
                let update = update.condition("#sequencer = :sequencer").value(":sequencer", text(sequencer));
                if embedded.is_empty() {
                    update.remove(&[EMBEDDED])
                } else {
                    update.set(EMBEDDED, encode(embedded)?)
                }
            }
            _ => update,
        };
        send(update).await
    }

    /// Returns an update that applies if the row has the revision of `record`.
    fn change(&self, record: &Record) -> Update<'_> {
        let update = Update::new(self, record.video.video_id)
            // A row that is missing has no user.
            .condition("#userId = :user AND #status <> :DELETED")
            .value(":user", text(&record.video.user_id));
        let update = match record.revision {
            0 => update.condition("attribute_not_exists(#revision)"),
            revision => update.condition("#revision = :revision").value(":revision", number(revision)),
        };
        update
            .set("revision", number(record.revision.saturating_add(1)))
            .returns(aws_sdk_dynamodb::types::ReturnValue::AllNew)
    }
}

async fn send(update: Update<'_>) -> Result<Changed, Fault> {
    match update.send().await? {
        Applied::Yes(Some(record)) => Ok(Changed::Yes(record)),
        Applied::Yes(None) => Err(Fault::message("dynamodb:UpdateItem", "the row was not returned")),
        Applied::No(record) => Ok(Changed::Conflict(record)),
    }
}

/// Returns the attributes of a row with these details: the details, and what searches and the index `byExpiry` need.
pub(super) fn attributes(id: VideoId, details: &Details) -> Result<Item, Fault> {
    let mut item: Item =
        serde_dynamo::to_item(details).map_err(|error| Fault::new("encode the details", &error))?;
    if let Some(title) = &details.title {
        item.insert("titleKey".to_owned(), text(details::fold(title)));
    }
    if !details.tags.is_empty() {
        let tags: Vec<String> = details.tags.iter().map(|tag| details::fold(tag)).collect();
        item.insert("tagKeys".to_owned(), encode(&tags)?);
    }
    if details.expires_at.is_some() {
        item.insert("expiryShard".to_owned(), text(Record::shard(id)));
    }
    Ok(item)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn tombstones_lose_every_attribute() {
        let details = Details {
            title: Some("Éa".to_owned()),
            description: Some("b".to_owned()),
            tags: vec!["C".to_owned()],
            metadata: BTreeMap::from([("d".to_owned(), String::new())]),
            expires_at: "2027-01-31T12:00:00Z".parse().ok(),
        };
        let item = attributes(VideoId::new(), &details).unwrap();
        for name in item.keys() {
            assert!(DETAILS.contains(&name.as_str()), "{name}");
        }
        assert_eq!(item.len() + 1, DETAILS.len(), "and the revision");
        assert_eq!(item["titleKey"], text("e\u{301}a"));
        assert_eq!(attributes(VideoId::new(), &Details::default()).unwrap(), Item::new());
    }
}
