//! Searches of a user's videos. A search reads the user's part of the index `byUser`, newest first, and `DynamoDB` returns
//! the rows that match: so it needs no index of its own, and titles and tags cost nothing until somebody searches.

use upreel_core::video::Record;
use upreel_core::{Fault, UserId, details};

use super::{Cursor, INDEX, Page, VideoStore, decode_visible, text};

/// The most rows that one query examines.
const EXAMINED: i32 = 500;
/// The most queries of one search. Then its page ends, and the next page goes on from there.
const MAX_QUERIES: usize = 20;

/// What a video must have to be found. Case does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// The beginning of the title, in the form of comparisons.
    title: Option<String>,
    /// A tag, in the form of comparisons.
    tag: Option<String>,
}

impl Search {
    /// Creates a search. Without a title and a tag, it finds every video.
    #[must_use]
    pub fn new(title: Option<&str>, tag: Option<&str>) -> Self {
        let folded = |text: &str| details::fold(text.trim());
        let folded = |text: Option<&str>| text.map(folded).filter(|text| !text.is_empty());
        Self { title: folded(title), tag: folded(tag) }
    }

    /// Returns whether it finds every video.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.title.is_none() && self.tag.is_none()
    }
}

impl VideoStore {
    /// Returns a page of the videos that a search finds, newest first.
    ///
    /// # Errors
    /// When `DynamoDB` fails.
    pub async fn search(
        &self,
        user: &UserId,
        search: &Search,
        limit: usize,
        from: Option<&Cursor>,
    ) -> Result<Page, Fault> {
        let conditions = [
            search.title.as_ref().map(|_| "begins_with(titleKey, :title)"),
            search.tag.as_ref().map(|_| "contains(tagKeys, :tag)"),
        ];
        let filter = conditions.into_iter().flatten().collect::<Vec<_>>().join(" AND ");
        let (now, mut start) = (self.now(), from.map(|cursor| cursor.index_key(user)));
        let mut records: Vec<Record> = Vec::new();
        for _ in 0..MAX_QUERIES {
            let mut query = self
                .client
                .query()
                .table_name(&self.table)
                .index_name(INDEX)
                .key_condition_expression("userId = :user")
                .filter_expression(&filter)
                .expression_attribute_values(":user", text(user))
                .scan_index_forward(false)
                .limit(EXAMINED)
                .set_exclusive_start_key(start.take());
            for (name, value) in [(":title", &search.title), (":tag", &search.tag)] {
                if let Some(value) = value {
                    query = query.expression_attribute_values(name, text(value));
                }
            }
            let output = query.send().await.map_err(|error| Fault::new("dynamodb:Query", &error))?;
            records.extend(output.items.into_iter().flatten().filter_map(|item| decode_visible(item, now)));
            start = output.last_evaluated_key;
            if records.len() > limit {
                // The rows after the page are found again by the next one.
                records.truncate(limit);
                return Ok(Page { next: records.last().and_then(Cursor::after), records });
            }
            if start.is_none() || records.len() == limit {
                break;
            }
        }
        Ok(Page { records, next: start.as_ref().and_then(Cursor::from_index_key) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_compare_folded_text() {
        assert_eq!(Search::new(Some(" ÉTÉ "), None), Search::new(Some("e\u{301}te\u{301}"), Some(" ")));
        assert!(Search::new(Some(""), Some("  ")).is_empty() && !Search::new(None, Some("a")).is_empty());
    }
}
