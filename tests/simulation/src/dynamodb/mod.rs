//! DynamoDB in memory: one table with its indexes and its stream. Items are in DynamoDB's JSON format.
//!
//! Expressions are parsed and evaluated by `expression`, and `strict` refuses what DynamoDB refuses. What they do not
//! support is a `ValidationException`, so a new kind of expression in the stores fails here at once. `dynoxide`, which the
//! journeys use, takes some hundred microseconds for a request; the test `differential` compares the results with it.

#[cfg(all(test, feature = "dynoxide"))]
mod differential;
mod expression;
mod strict;

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Map, Value, json};

use crate::http_api::respond;
use expression::{Condition, Expression, Update};

/// A row, in DynamoDB's JSON format.
pub(crate) type Item = Map<String, Value>;

/// The table.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// The rows by their key `videoId`.
    pub(crate) rows: BTreeMap<String, Item>,
    /// The records of the stream, oldest first.
    pub(crate) stream: Vec<Value>,
    /// The rows before their last change, which the sparse indexes still have while they are late.
    earlier: BTreeMap<String, Option<Item>>,
    pub(crate) is_index_late: bool,
    /// The requests so far, if they are kept.
    pub(crate) exchanges: Option<Vec<Exchange>>,
    /// The order in which the rows were added, by their key.
    order: BTreeMap<String, usize>,
}

/// A request, and the status and body of its response.
#[derive(Debug, Clone)]
#[cfg_attr(not(all(test, feature = "dynoxide")), expect(dead_code, reason = "for a test"))]
pub(crate) struct Exchange {
    operation: String,
    input: Value,
    status: u16,
    output: Value,
}

/// An error: the type, and the item of a failed condition.
#[derive(Debug)]
struct Failed(&'static str, Option<Item>);

/// The indexes: name, hash attribute and range attribute.
const INDEXES: [(&str, &str, &str); 3] =
    [("byUser", "userId", "uploadTime"), ("byDue", "shard", "due"), ("byExpiry", "expiryShard", "expiresAt")];
/// The number of shards of `byDue` and `byExpiry`.
const SHARDS: usize = 8;
/// The most items of one page. DynamoDB has 1 MB; a small page makes the callers ask for the next one.
const PAGE: usize = 5;

impl Table {
    /// Creates a table that may keep its requests.
    pub(crate) fn new(keeps_requests: bool) -> Self {
        Self { exchanges: keeps_requests.then(Vec::new), ..Self::default() }
    }

    /// Removes a row that has expired.
    pub(crate) fn expire(&mut self, id: &str, now: SystemTime) {
        self.write(id, None, now);
        self.keep(
            "DeleteItem",
            &json!({"TableName": "VideoMetadata", "Key": {"videoId": {"S": id}}}),
            (200, &json!({})),
        );
    }

    fn keep(&mut self, operation: &str, input: &Value, (status, output): (u16, &Value)) {
        if let Some(exchanges) = &mut self.exchanges {
            let (operation, input, output) = (operation.to_owned(), input.clone(), output.clone());
            exchanges.push(Exchange { operation, input, status, output });
        }
    }

    /// Executes a request.
    pub(crate) fn handle(&mut self, request: &Request<Bytes>, now: SystemTime) -> Response<Bytes> {
        let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
        let operation =
            target.and_then(|target| target.split_once('.')).map_or("", |(_, operation)| operation);
        let input: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let (status, output) = self.execute(operation, &input, now);
        self.keep(operation, &input, (status, &output));
        respond(status, output.to_string())
    }

    /// Returns the status and the body of the response.
    fn execute(&mut self, operation: &str, input: &Value, now: SystemTime) -> (u16, Value) {
        if let Err(why) = strict::check_all(input) {
            debug_assert!(false, "DynamoDB refuses {why}: {input}");
            return (400, json!({"__type": "com.amazon.coral.validate#ValidationException", "message": why}));
        }
        let output = match operation {
            "GetItem" => Ok(match self.rows.get(&key(&input["Key"])) {
                Some(item) => json!({"Item": item}),
                None => json!({}),
            }),
            "PutItem" => self.put(input, now),
            "UpdateItem" => self.update(input, now),
            "DeleteItem" => self.delete(input, now),
            "TransactWriteItems" => return self.transact(input, now),
            "Query" => self.query(input),
            _ => Err(Failed("UnknownOperationException", None)),
        };
        match output {
            Ok(output) => (200, output),
            Err(Failed(kind, item)) => {
                let mut body =
                    json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{kind}"), "message": kind});
                if let Some(item) = item {
                    body["Item"] = Value::Object(item);
                }
                (400, body)
            }
        }
    }

    /// Executes all parts, or none. Each cancellation reason is that of a part.
    fn transact(&mut self, input: &Value, now: SystemTime) -> (u16, Value) {
        let parts = input["TransactItems"].as_array().cloned().unwrap_or_default();
        let is_put = |part: &Value| part["Put"].is_object();
        let checked = |part: &Value| {
            if is_put(part) {
                self.check(&key(&part["Put"]["Item"]), &part["Put"])
            } else {
                self.check(&key(&part["Update"]["Key"]), &part["Update"])
            }
        };
        let checked: Vec<_> = parts.iter().map(checked).collect();
        if checked.iter().all(Result::is_ok) {
            for part in &parts {
                let written = if is_put(part) {
                    self.put(&part["Put"], now)
                } else {
                    self.update(&part["Update"], now)
                };
                if let Err(Failed(kind, _)) = written {
                    return (400, json!({"__type": kind, "message": kind}));
                }
            }
            return (200, json!({}));
        }
        let reasons = checked.into_iter().map(|checked| match checked {
            Ok(()) => json!({"Code": "None"}),
            Err(Failed(_, None)) => json!({"Code": "ConditionalCheckFailed"}),
            Err(Failed(_, Some(item))) => json!({"Code": "ConditionalCheckFailed", "Item": item}),
        });
        let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
        (400, json!({"__type": kind, "message": kind, "CancellationReasons": reasons.collect::<Vec<_>>()}))
    }

    fn put(&mut self, input: &Value, now: SystemTime) -> Result<Value, Failed> {
        let item = input["Item"].as_object().cloned().unwrap_or_default();
        let id = key(&input["Item"]);
        self.check(&id, input)?;
        self.write(&id, Some(item), now);
        Ok(json!({}))
    }

    fn update(&mut self, input: &Value, now: SystemTime) -> Result<Value, Failed> {
        let id = key(&input["Key"]);
        self.check(&id, input)?;
        let old = self.rows.get(&id).cloned();
        let mut item = old.clone().unwrap_or_else(|| input["Key"].as_object().cloned().unwrap_or_default());
        let text = input["UpdateExpression"].as_str().unwrap_or_default();
        let update = Update::parse(text).ok_or_else(|| unsupported(text))?;
        update.apply(&Expression::new(input), &mut item).ok_or_else(|| unsupported(text))?;
        self.write(&id, Some(item.clone()), now);
        Ok(match input["ReturnValues"].as_str() {
            Some("ALL_NEW") => json!({"Attributes": item}),
            Some("ALL_OLD") => old.map_or(json!({}), |old| json!({"Attributes": old})),
            _ => json!({}),
        })
    }

    fn delete(&mut self, input: &Value, now: SystemTime) -> Result<Value, Failed> {
        let id = key(&input["Key"]);
        self.check(&id, input)?;
        self.write(&id, None, now);
        Ok(json!({}))
    }

    fn check(&self, id: &str, input: &Value) -> Result<(), Failed> {
        let Some(text) = input["ConditionExpression"].as_str() else { return Ok(()) };
        let condition = Condition::parse(text).ok_or_else(|| unsupported(text))?;
        let (row, empty) = (self.rows.get(id), Item::new());
        let holds = condition.holds(&Expression::new(input), row.unwrap_or(&empty));
        if holds.ok_or_else(|| unsupported(text))? {
            return Ok(());
        }
        let wants_item = input["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD";
        Err(Failed("ConditionalCheckFailedException", row.filter(|_| wants_item).cloned()))
    }

    /// Writes or removes a row, and adds the record to the stream. A write that changes nothing has no record.
    pub(crate) fn write(&mut self, id: &str, new: Option<Item>, now: SystemTime) {
        let next = self.order.len();
        self.order.entry(id.to_owned()).or_insert(next);
        let old = match &new {
            Some(item) => self.rows.insert(id.to_owned(), item.clone()),
            None => self.rows.remove(id),
        };
        self.earlier.insert(id.to_owned(), old.clone());
        if old == new {
            return;
        }
        let name = match (&old, &new) {
            (None, _) => "INSERT",
            (_, None) => "REMOVE",
            _ => "MODIFY",
        };
        let mut change = json!({
            "ApproximateCreationDateTime": now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            "Keys": {"videoId": {"S": id}},
            "SequenceNumber": format!("{:021}", self.stream.len() + 1),
            "SizeBytes": 1,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        });
        for (name, image) in [("OldImage", old), ("NewImage", new)] {
            if let Some(image) = image {
                change[name] = Value::Object(image);
            }
        }
        self.stream.push(json!({
            "eventID": (self.stream.len() + 1).to_string(),
            "eventName": name,
            "eventSource": "aws:dynamodb",
            "eventVersion": "1.1",
            "awsRegion": "us-east-1",
            "eventSourceARN": "arn:aws:dynamodb:us-east-1:1:table/VideoMetadata/stream/1",
            "dynamodb": change,
        }));
    }

    fn query(&self, input: &Value) -> Result<Value, Failed> {
        let text = input["KeyConditionExpression"].as_str().unwrap_or_default();
        let condition = Condition::parse(text).ok_or_else(|| unsupported(text))?;
        let index = input["IndexName"].as_str().unwrap_or_default();
        let &(_, hash, range) =
            INDEXES.iter().find(|(name, ..)| *name == index).ok_or_else(|| unsupported("index"))?;
        let expression = Expression::new(input);
        let mut found = Vec::new();
        let earlier = self.earlier.iter().filter_map(|(id, item)| Some((id, item.as_ref()?)));
        let is_sparse = hash != "userId";
        let late: Vec<_> = if is_sparse && self.is_index_late { earlier.collect() } else { Vec::new() };
        let current = self.rows.iter().filter(|_| late.is_empty());
        for (id, item) in current.chain(late.iter().copied()) {
            let mut entry = item.clone();
            if !entry.contains_key(hash) || !entry.contains_key(range) {
                continue;
            }
            if is_sparse {
                // The shard depends on the identifier, which no seed decides. Use the order of the videos instead.
                let shard = self.order[id] % SHARDS;
                entry.insert(hash.to_owned(), json!({"S": shard.to_string()}));
            }
            if condition.holds(&expression, &entry).ok_or_else(|| unsupported(text))? {
                found.push((expression::sort_key(&entry[range]), id.clone(), item.clone()));
            }
        }
        found.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        if input["ScanIndexForward"] == false {
            found.reverse();
        }
        if let Some(start) = input["ExclusiveStartKey"].as_object() {
            let at = found.iter().position(|(_, id, _)| *id == key(&Value::Object(start.clone())));
            found.drain(..at.map_or(0, |at| at + 1));
        }
        let limit =
            input["Limit"].as_u64().and_then(|n| n.try_into().ok()).map_or(PAGE, |n: usize| n.min(PAGE));
        let is_last = found.len() <= limit;
        found.truncate(limit);
        let position = |(_, id, item): &(_, String, Item)| json!({"videoId": {"S": id}, hash: item[hash], range: item[range]});
        let next = found.last().filter(|_| !is_last).map(position);
        let items: Vec<Value> = match hash {
            "userId" => found.into_iter().map(|(_, _, item)| Value::Object(item)).collect(),
            _ => found.iter().map(position).collect(),
        };
        let mut output = json!({"Count": items.len(), "Items": items});
        if let Some(next) = next {
            output["LastEvaluatedKey"] = next;
        }
        Ok(output)
    }
}

fn key(item: &Value) -> String {
    item["videoId"]["S"].as_str().unwrap_or_default().to_owned()
}

fn unsupported(expression: &str) -> Failed {
    debug_assert!(false, "unsupported expression: {expression}");
    Failed("ValidationException", None)
}
