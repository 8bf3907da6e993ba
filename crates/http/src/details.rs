//! What users say about a video, in requests: a change as a JSON merge patch, and the fields of an upload.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::{Map, Value};
use upreel_core::Details;
use upreel_core::details::{Change, Expiry, Invalid};

use crate::problem::{Code, Problem};

/// Entries of the metadata that Uppy adds to every file. They describe the file, and the row has them already.
const OF_THE_FILE: [&str; 6] = ["name", "type", "filename", "filetype", "relativePath", "size"];

/// Reads a JSON merge patch of [`Details`] (RFC 7396).
///
/// # Errors
/// When a field is unknown or has the wrong type.
pub fn change(patch: Map<String, Value>) -> Result<Change, Problem> {
    let mut change = Change::default();
    for (name, value) in patch {
        match name.as_str() {
            "title" => change.title = Some(text("title", value)?),
            "description" => change.description = Some(text("description", value)?),
            "tags" => change.tags = Some(tags(value)?),
            "metadata" => change.metadata = Some(metadata(value)?),
            "expiresAt" => {
                change.expires_at = Some(text("expiresAt", value)?.as_deref().map(expiry).transpose()?);
            }
            _ => {
                return Err(invalid(
                    "The body has an unknown field. Known are title, description, tags, metadata and expiresAt.",
                ));
            }
        }
    }
    Ok(change)
}

fn text(name: &str, value: Value) -> Result<Option<String>, Problem> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        _ => Err(invalid(format!("`{name}` must be a string, or null to remove it."))),
    }
}

fn tags(value: Value) -> Result<Vec<String>, Problem> {
    let wrong = || invalid("`tags` must be an array of strings, or null to remove them.");
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(tags) => tags
            .into_iter()
            .map(|tag| if let Value::String(tag) = tag { Ok(tag) } else { Err(wrong()) })
            .collect(),
        _ => Err(wrong()),
    }
}

fn metadata(value: Value) -> Result<Option<BTreeMap<String, Option<String>>>, Problem> {
    let wrong = || invalid("`metadata` must be an object of strings, or null to remove it.");
    let Value::Object(entries) = value else { return if value.is_null() { Ok(None) } else { Err(wrong()) } };
    let entries = entries.into_iter().map(|(name, value)| match value {
        Value::Null => Ok((name, None)),
        Value::String(text) => Ok((name, Some(text))),
        _ => Err(wrong()),
    });
    entries.collect::<Result<_, _>>().map(Some)
}

fn expiry(text: &str) -> Result<Expiry, Problem> {
    text.parse().map_err(|_| invalid("`expiresAt` must be a time of RFC 3339, such as 2027-01-31T12:00:00Z."))
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        Self::new(Code::InvalidRequest, invalid.to_string())
    }
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(Code::InvalidRequest, detail)
}

/// What a client says about a video when it uploads it. An empty text counts as absent, because forms send all of their
/// fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    title: Option<String>,
    description: Option<String>,
    tags: Vec<String>,
    metadata: BTreeMap<String, String>,
    expires_at: Option<String>,
}

/// The same in a JSON body. What is unknown in it is ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GivenJson {
    title: Option<String>,
    description: Option<String>,
    #[serde(default)]
    tags: Value,
    #[serde(default)]
    metadata: Value,
    expires_at: Option<String>,
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = GivenJson::deserialize(deserializer)?;
        let mut given = Self::default();
        given.add_metadata(json.metadata);
        let fields =
            [("title", json.title), ("description", json.description), ("expiresAt", json.expires_at)];
        for (name, text) in fields {
            given.field(name, text.as_deref().unwrap_or_default());
        }
        given.add_tags(json.tags);
        Ok(given)
    }
}

impl Given {
    /// Adds a field of a form or a query, and returns whether it is one of these. Tags can be sent one by one, or separated
    /// by commas; the metadata as a JSON object, or entry by entry, as Uppy does: `metadata[name]`.
    pub fn field(&mut self, name: &str, text: &str) -> bool {
        let entry = name.strip_prefix("metadata[").and_then(|name| name.strip_suffix(']'));
        match name {
            "title" | "description" | "expiresAt" if text.trim().is_empty() => {}
            "title" => self.title = Some(text.to_owned()),
            "description" => self.description = Some(text.to_owned()),
            "expiresAt" => self.expires_at = Some(text.to_owned()),
            "tags" | "tags[]" => self.add_tags(Value::String(text.to_owned())),
            "metadata" => self.add_metadata(serde_json::from_str(text).unwrap_or_default()),
            _ => {
                let Some(entry) = entry else { return false };
                self.add_entry(entry, Value::String(text.to_owned()));
            }
        }
        true
    }

    /// Adds tags: a text with commas, or an array.
    fn add_tags(&mut self, value: Value) {
        let texts = match value {
            Value::String(text) => vec![text],
            Value::Array(tags) => tags
                .into_iter()
                .filter_map(|tag| if let Value::String(tag) = tag { Some(tag) } else { None })
                .collect(),
            _ => Vec::new(),
        };
        let tags = texts.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|tag| !tag.is_empty());
        self.tags.extend(tags.map(str::to_owned));
    }

    /// Adds what Uppy calls the metadata of a file: anything that the page knows about it.
    fn add_metadata(&mut self, value: Value) {
        let Value::Object(entries) = value else { return };
        for (name, value) in entries {
            self.add_entry(&name, value);
        }
    }

    /// Adds an entry of the metadata. Title, description and tags have fields of their own; but no video is deleted because
    /// of an entry that happens to have the name `expiresAt`.
    fn add_entry(&mut self, name: &str, value: Value) {
        if name == "tags" {
            return self.add_tags(value);
        }
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return,
        };
        match name {
            _ if text.is_empty() || OF_THE_FILE.contains(&name) => {}
            "title" | "description" => drop(self.field(name, &text)),
            _ => drop(self.metadata.insert(name.to_owned(), text)),
        }
    }

    /// Returns the details of a new video.
    ///
    /// # Errors
    /// When a field is not valid.
    pub fn details(self, now: SystemTime) -> Result<Details, Problem> {
        let metadata = self.metadata.into_iter().map(|(name, text)| (name, Some(text))).collect();
        let change = Change {
            title: self.title.map(Some),
            description: self.description.map(Some),
            tags: Some(self.tags),
            metadata: Some(Some(metadata)),
            expires_at: self.expires_at.as_deref().map(expiry).transpose()?.map(Some),
        };
        Ok(change.apply(&Details::default(), now)?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patch(value: Value) -> Result<Change, String> {
        let Value::Object(patch) = value else { panic!("{value}") };
        change(patch).map_err(|problem| problem.code().as_str().to_owned())
    }

    fn details(given: Given) -> Result<Value, Code> {
        given.details(SystemTime::UNIX_EPOCH).map(|it| json!(it)).map_err(|problem| problem.code())
    }

    fn from_fields(fields: &[(&str, &str)]) -> Result<Value, Code> {
        let mut given = Given::default();
        for (name, text) in fields {
            given.field(name, text);
        }
        details(given)
    }

    fn from_body(body: Value) -> Result<Value, Code> {
        details(serde_json::from_value(body).unwrap())
    }

    #[test]
    fn patches_set_and_remove() {
        let change = patch(json!({
            "title": "a", "description": null, "tags": ["x"], "metadata": {"k": "v", "l": null}, "expiresAt": null,
        }));
        let change = change.unwrap();
        assert_eq!((change.title, change.description), (Some(Some("a".into())), Some(None)));
        assert_eq!((change.tags, change.expires_at), (Some(vec!["x".into()]), Some(None)));
        let entries = BTreeMap::from([("k".to_owned(), Some("v".to_owned())), ("l".to_owned(), None)]);
        assert_eq!(change.metadata, Some(Some(entries)));
        assert_eq!(patch(json!({})), Ok(Change::default()));
        let removed = patch(json!({"tags": null, "metadata": null})).unwrap();
        assert_eq!((removed.tags, removed.metadata), (Some(vec![]), Some(None)));
    }

    #[test]
    fn patches_with_wrong_types_are_refused() {
        for bad in [
            json!({"title": 1}),
            json!({"title": ["a"]}),
            json!({"description": {}}),
            json!({"tags": "a"}),
            json!({"tags": [null]}),
            json!({"tags": {"a": null}}),
            json!({"metadata": []}),
            json!({"metadata": "a"}),
            json!({"metadata": {"a": 1}}),
            json!({"metadata": {"a": {"b": "c"}}}),
            json!({"expiresAt": 1_800_000_000}),
            json!({"expiresAt": ""}),
            json!({"expiresAt": "tomorrow"}),
            json!({"status": "PROCESSED"}),
            json!({"userId": null}),
            json!({"Title": "a"}),
        ] {
            assert_eq!(patch(bad.clone()), Err("INVALID_REQUEST".into()), "{bad}");
        }
    }

    #[test]
    fn forms_and_queries_send_text() {
        let found = from_fields(&[
            ("title", "a"),
            ("description", ""),
            ("tags", "x, y,,"),
            ("tags[]", "z"),
            ("metadata", "{\"k\": \"v\", \"n\": 1}"),
            ("expiresAt", "2027-01-31T12:00:00+01:00"),
            ("other", "b"),
        ]);
        let expected = json!({
            "title": "a", "tags": ["x", "y", "z"], "metadata": {"k": "v", "n": "1"},
            "expiresAt": "2027-01-31T11:00:00.000Z",
        });
        assert_eq!(found, Ok(expected));
        assert_eq!(
            from_fields(&[("title", " "), ("expiresAt", ""), ("tags", ""), ("metadata", "")]),
            Ok(json!({}))
        );
        for bad in
            [("title", "a\0"), ("expiresAt", "now"), ("expiresAt", "1970-01-01T00:00:00Z"), ("tags", "a,A")]
        {
            assert_eq!(from_fields(&[bad]), Err(Code::InvalidRequest), "{bad:?}");
        }
    }

    #[test]
    fn metadata_of_uppy_fills_the_fields() {
        let uppy = json!({"metadata": {
            "name": "a.mp4", "type": "video/mp4", "relativePath": null, "title": "A", "tags": "x,y", "caption": "c",
            "count": 2, "public": true, "expiresAt": "2000-01-01T00:00:00Z", "nested": {"a": 1}, "empty": "",
        }});
        let expected = json!({
            "title": "A", "tags": ["x", "y"],
            "metadata": {"caption": "c", "count": "2", "public": "true", "expiresAt": "2000-01-01T00:00:00Z"},
        });
        assert_eq!(from_body(uppy), Ok(expected));
        let query = [
            ("metadata[name]", "a.mp4"),
            ("metadata[caption]", "c"),
            ("metadata[tags]", "x"),
            ("metadata[", "d"),
        ];
        assert_eq!(from_fields(&query), Ok(json!({"tags": ["x"], "metadata": {"caption": "c"}})));
        let own = json!({"title": "own", "tags": ["y"], "metadata": {"title": "other"}});
        assert_eq!(from_body(own), Ok(json!({"title": "own", "tags": ["y"]})));
        for nothing in [json!(null), json!("a"), json!([1]), json!({"name": "a.mp4"})] {
            assert_eq!(from_body(json!({"metadata": nothing})), Ok(json!({})));
        }
        let large = json!({"metadata": {"k": "x".repeat(5000)}});
        assert_eq!(from_body(large), Err(Code::InvalidRequest));
    }
}
