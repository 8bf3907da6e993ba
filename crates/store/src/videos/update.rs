//! A conditional update of one row.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure as OnFailure, TransactWriteItem,
    Update as UpdatePart,
};
use serde::Serialize;
use upreel_core::limits::Wait;
use upreel_core::transcode::TranscodeStatus;
use upreel_core::video::Record;
use upreel_core::{Failure, Fault, Status, VideoId};

use super::{UpdateOutcome, VideoStore, decode, text};

/// An update that applies if all conditions hold.
///
/// In conditions, `#name` stands for the attribute `name`. `:PENDING` and the other statuses stand for themselves,
/// `:INTERNAL` and the other codes of [`Failure::REPEATABLE`] too, and all other values are set by [`Update::value`].
#[derive(Debug)]
pub(super) struct Update<'a> {
    store: &'a VideoStore,
    id: VideoId,
    conditions: Vec<String>,
    values: BTreeMap<String, AttributeValue>,
    set: BTreeMap<String, AttributeValue>,
    removed: BTreeSet<String>,
    added: Option<(String, AttributeValue)>,
    deleted: Option<(String, AttributeValue)>,
    returns: ReturnValue,
}

/// The expressions of an update.
struct Request {
    condition: String,
    expression: String,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

/// Outcome of an update.
pub(super) enum Applied {
    /// The row has changed. It is included if the update returns it.
    Yes(Option<Box<Record>>),
    /// A condition did not hold. Includes the unchanged row, if there is one.
    No(Option<Box<Record>>),
}

impl Applied {
    /// Returns the outcome for a writer that has to own the row.
    pub(super) fn into_outcome(self) -> UpdateOutcome {
        match self {
            Self::Yes(_) => UpdateOutcome::Recorded,
            Self::No(Some(record)) if record.video.status == Status::Deleted => UpdateOutcome::Deleted,
            Self::No(_) => UpdateOutcome::Superseded,
        }
    }
}

impl<'a> Update<'a> {
    pub(super) fn new(store: &'a VideoStore, id: VideoId) -> Self {
        Self {
            store,
            id,
            conditions: Vec::new(),
            values: BTreeMap::new(),
            set: BTreeMap::new(),
            removed: BTreeSet::new(),
            added: None,
            deleted: None,
            returns: ReturnValue::None,
        }
    }

    pub(super) fn condition(mut self, condition: &str) -> Self {
        self.conditions.push(condition.to_owned());
        self
    }

    pub(super) fn value(mut self, name: &str, value: AttributeValue) -> Self {
        self.values.insert(name.to_owned(), value);
        self
    }

    /// Sets an attribute, such as `size`, or an element of a map, such as `transcode.status`.
    pub(super) fn set(mut self, path: &str, value: AttributeValue) -> Self {
        self.set.insert(path.to_owned(), value);
        self
    }

    /// Removes the attributes that are not set.
    pub(super) fn remove(mut self, paths: &[&str]) -> Self {
        self.removed.extend(paths.iter().map(|&path| path.to_owned()));
        self
    }

    /// Adds elements to a set.
    pub(super) fn add(mut self, name: &str, elements: AttributeValue) -> Self {
        self.added = Some((name.to_owned(), elements));
        self
    }

    /// Deletes elements from a set.
    pub(super) fn delete(mut self, name: &str, elements: AttributeValue) -> Self {
        self.deleted = Some((name.to_owned(), elements));
        self
    }

    /// Sets when the reconciler examines the row: after the limit of `wait`, or never.
    pub(super) fn due(self, wait: Option<Wait>) -> Self {
        let due = wait.and_then(|wait| self.store.due(wait));
        self.due_at(due)
    }

    pub(super) fn due_at(self, due: Option<AttributeValue>) -> Self {
        match due {
            Some(due) => {
                let shard = text(Record::shard(self.id));
                self.set("due", due).set("shard", shard)
            }
            None => self.remove(&["due", "shard"]),
        }
    }

    pub(super) fn returns(mut self, value: ReturnValue) -> Self {
        self.returns = value;
        self
    }

    /// Sends the request.
    pub(super) async fn send(self) -> Result<Applied, Fault> {
        let (client, table, id, returns) =
            (&self.store.client, &self.store.table, text(self.id), self.returns.clone());
        let Request { condition, expression, names, values } = self.request();
        let update = client
            .update_item()
            .table_name(table)
            .key("videoId", id)
            .return_values(returns)
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values).filter(|values| !values.is_empty()))
            .condition_expression(condition)
            .update_expression(expression);
        match update.send().await {
            Ok(output) => Ok(Applied::Yes(output.attributes.map(decode).transpose()?.map(Box::new))),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    Ok(Applied::No(failed.item().cloned().map(decode).transpose()?.map(Box::new)))
                }
                _ => Err(Fault::new("dynamodb:UpdateItem", &error)),
            },
        }
    }

    /// Returns the update as a part of a transaction.
    pub(super) fn into_part(self) -> Result<TransactWriteItem, Fault> {
        let (table, id) = (&self.store.table, text(self.id));
        let update = UpdatePart::builder().table_name(table).key("videoId", id);
        let Request { condition, expression, names, values } = self.request();
        let update = update
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values).filter(|values| !values.is_empty()))
            .condition_expression(condition)
            .update_expression(expression);
        let update = update.build().map_err(|error| Fault::new("build an update", &error))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// Returns the expressions, with the names and values that they use. DynamoDB refuses others.
    fn request(mut self) -> Request {
        for status in Status::ALL.map(Status::as_str) {
            self.values.insert(format!(":{status}"), text(status));
        }
        for status in TranscodeStatus::ALL.map(TranscodeStatus::as_str) {
            self.values.insert(format!(":{status}"), text(status));
        }
        for code in Failure::REPEATABLE {
            self.values.insert(format!(":{code}"), text(code));
        }
        let condition = self.conditions.join(" AND ");
        let expression = self.expression();
        let both = format!("{condition} {expression}");
        let names = placeholders(&both, '#').into_iter().map(|name| (format!("#{name}"), name.to_owned()));
        let values = placeholders(&both, ':').into_iter().filter_map(|name| {
            let name = format!(":{name}");
            Some((name.clone(), self.values.remove(&name)?))
        });
        Request { names: names.collect(), values: values.collect(), condition, expression }
    }

    /// Returns the update expression, and moves its values to `values`.
    fn expression(&mut self) -> String {
        let path = |path: &str| path.split('.').map(|name| format!("#{name}")).collect::<Vec<_>>().join(".");
        let mut clauses = Vec::new();
        let set = std::mem::take(&mut self.set);
        self.removed.retain(|name| !set.contains_key(name));
        let mut assignments = Vec::new();
        for (index, (name, value)) in set.into_iter().enumerate() {
            assignments.push(format!("{} = :set{index}", path(&name)));
            self.values.insert(format!(":set{index}"), value);
        }
        if !assignments.is_empty() {
            clauses.push(format!("SET {}", assignments.join(", ")));
        }
        if !self.removed.is_empty() {
            let removed: Vec<String> = self.removed.iter().map(|name| path(name)).collect();
            clauses.push(format!("REMOVE {}", removed.join(", ")));
        }
        for (verb, elements) in [("ADD", self.added.take()), ("DELETE", self.deleted.take())] {
            if let Some((name, value)) = elements {
                clauses.push(format!("{verb} #{name} :{verb}"));
                self.values.insert(format!(":{verb}"), value);
            }
        }
        clauses.join(" ")
    }
}

/// Returns the names of all placeholders in an expression that start with `sign`.
fn placeholders(expression: &str, sign: char) -> BTreeSet<&str> {
    let names = expression.split(sign).skip(1);
    names.filter_map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()).collect()
}

/// Encodes a value for `DynamoDB`.
pub(super) fn encode(value: &impl Serialize) -> Result<AttributeValue, Fault> {
    serde_dynamo::to_attribute_value(value).map_err(|error| Fault::new("encode an attribute", &error))
}

#[cfg(test)]
mod tests {
    use super::placeholders;

    #[test]
    fn finds_placeholders() {
        let text = "#status IN (:A, :B_1) AND #error.#code = :x SET #due = :set0";
        assert_eq!(
            placeholders(text, '#').into_iter().collect::<Vec<_>>(),
            ["code", "due", "error", "status"]
        );
        assert_eq!(placeholders(text, ':').into_iter().collect::<Vec<_>>(), ["A", "B_1", "set0", "x"]);
    }
}
