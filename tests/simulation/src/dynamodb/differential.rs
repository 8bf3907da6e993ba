//! Compares this table with `dynoxide`: both execute the requests of random schedules with the same results.

use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Exchange, PAGE, strict};
use crate::run_seed;

const SEEDS: u64 = 40;

fn database() -> Database {
    let database = Database::memory().unwrap();
    let attribute = |(name, kind)| json!({"AttributeName": name, "AttributeType": kind});
    let attributes = [
        ("videoId", "S"),
        ("userId", "S"),
        ("uploadTime", "S"),
        ("shard", "S"),
        ("due", "N"),
        ("expiryShard", "S"),
        ("expiresAt", "S"),
    ];
    let key = |name: &str, kind: &str| json!({"AttributeName": name, "KeyType": kind});
    let index = |name: &str, hash: &str, range: &str, projection: &str| {
        json!({"IndexName": name, "KeySchema": [key(hash, "HASH"), key(range, "RANGE")],
               "Projection": {"ProjectionType": projection}})
    };
    let table = json!({
        "TableName": "VideoMetadata",
        "AttributeDefinitions": attributes.map(attribute),
        "KeySchema": [key("videoId", "HASH")],
        "GlobalSecondaryIndexes": [
            index("byUser", "userId", "uploadTime", "ALL"), index("byDue", "shard", "due", "KEYS_ONLY"),
            index("byExpiry", "expiryShard", "expiresAt", "KEYS_ONLY"),
        ],
        "BillingMode": "PAY_PER_REQUEST",
    });
    database.create_table(serde_json::from_value(table).unwrap()).unwrap();
    database
}

/// Executes a request with `call`, and returns the status and the body of the response.
fn execute<Q: DeserializeOwned, R: Serialize>(
    input: &Value,
    call: impl FnOnce(Q) -> Result<R, DynoxideError>,
) -> (u16, Value) {
    match call(serde_json::from_value(input.clone()).unwrap()) {
        Ok(output) => (200, serde_json::to_value(output).unwrap()),
        Err(error) => (400, serde_json::from_str(&error.to_json()).unwrap()),
    }
}

fn expected(database: &Database, operation: &str, input: &Value) -> (u16, Value) {
    match operation {
        "GetItem" => execute(input, |request| database.get_item(request)),
        "PutItem" => execute(input, |request| database.put_item(request)),
        "UpdateItem" => execute(input, |request| database.update_item(request)),
        "DeleteItem" => execute(input, |request| database.delete_item(request)),
        "Query" => execute(input, |request| database.query(request)),
        "TransactWriteItems" => {
            let mut input = input.clone();
            // With its token, a repetition would have the first response.
            input.as_object_mut().unwrap().remove("ClientRequestToken");
            execute(&input, |request| database.transact_write_items(request))
        }
        _ => panic!("{operation}"),
    }
}

/// Returns the parts of a response that the functions read, with sorted sets.
fn essence(output: &Value) -> Value {
    let sorted = |value: &Value| {
        let mut value = value.clone();
        sort_sets(&mut value);
        value
    };
    let kind = output["__type"].as_str().and_then(|kind| kind.rsplit('#').next());
    let parts = ["Item", "Items", "Attributes", "LastEvaluatedKey"].map(|part| sorted(&output[part]));
    let reasons = output["CancellationReasons"].as_array().into_iter().flatten();
    let reasons: Vec<_> =
        reasons.map(|reason| json!({"code": reason["Code"], "item": sorted(&reason["Item"])})).collect();
    json!({"type": kind, "parts": parts, "reasons": reasons})
}

fn sort_sets(value: &mut Value) {
    if let Value::Object(map) = value {
        for (name, value) in map {
            if matches!(name.as_str(), "SS" | "NS")
                && let Value::Array(set) = value
            {
                set.sort_by_key(Value::to_string);
            }
            sort_sets(value);
        }
    } else if let Value::Array(values) = value {
        values.iter_mut().for_each(sort_sets);
    }
}

#[test]
fn results_are_those_of_dynoxide() {
    let mut count = 0;
    for seed in 0..SEEDS {
        let database = database();
        for Exchange { operation, mut input, status, output } in run_seed(seed, true).exchanges {
            if operation == "Query" {
                let limit = input["Limit"].as_u64().unwrap().min(PAGE as u64);
                input["Limit"] = limit.into();
            }
            let (expected_status, expected) = expected(&database, &operation, &input);
            assert_eq!(status, expected_status, "seed {seed}: {operation} {input}\n{expected}");
            // The rows of an index with shards are not those of DynamoDB: a shard depends on a random identifier.
            if !matches!(input["IndexName"].as_str(), Some("byDue" | "byExpiry")) {
                assert_eq!(essence(&output), essence(&expected), "seed {seed}: {operation} {input}");
            }
            count += 1;
        }
    }
    assert!(count > 500, "only {count} requests");
}

/// What one of the two refuses, the other refuses, too.
#[test]
fn refusals_are_those_of_dynoxide() {
    let update = |update: &str, condition: &str, names: Value, values: Value| {
        let mut request = json!({"TableName": "VideoMetadata", "Key": {"videoId": {"S": "v"}},
                                 "UpdateExpression": update, "ConditionExpression": condition});
        for (name, map) in [("ExpressionAttributeNames", names), ("ExpressionAttributeValues", values)] {
            if map.as_object().is_some_and(|map| !map.is_empty()) {
                request[name] = map;
            }
        }
        request
    };
    let (one, none) = (json!({":a": {"S": "a"}}), json!({}));
    let (two, name) = (json!({":a": {"S": "a"}, ":b": {"S": "b"}}), json!({"#s": "shard"}));
    let absent = "attribute_not_exists(videoId)";
    for (request, is_valid) in [
        (update("SET etag = :a", absent, none.clone(), one.clone()), true),
        (update("SET #s = :a", absent, name.clone(), one.clone()), true),
        (update("SET shard = :a", absent, none.clone(), one.clone()), false),
        (update("SET etag = :a", "ttl < :a", none.clone(), one.clone()), false),
        (update("SET etag = :a REMOVE transcode.status", absent, none.clone(), one.clone()), false),
        (update("SET etag = :a", absent, none.clone(), two), false),
        (update("SET etag = :a", absent, name, one.clone()), false),
        (update("SET etag = :b", absent, none.clone(), one.clone()), false),
        (update("SET #s = :a", absent, none, one), false),
    ] {
        assert_eq!(strict::check(&request).is_ok(), is_valid, "{request}");
        let (status, output) = expected(&database(), "UpdateItem", &request);
        let is_refused = output["__type"].as_str().is_some_and(|kind| kind.ends_with("ValidationException"));
        assert_eq!((status == 200, is_refused), (is_valid, !is_valid), "{request}: {output}");
    }
}
