//! What DynamoDB refuses in the expressions of a request: names and values that are not used or not defined, and
//! attributes whose names are reserved words.

use std::collections::HashSet;
use std::sync::LazyLock;

use serde_json::Value;

/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html>
static RESERVED: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("reserved_words.txt").lines().collect());

const EXPRESSIONS: [&str; 5] = [
    "ConditionExpression",
    "FilterExpression",
    "KeyConditionExpression",
    "ProjectionExpression",
    "UpdateExpression",
];
/// Words of the language of expressions. Functions are recognised by their parenthesis.
const SYNTAX: [&str; 9] = ["AND", "OR", "NOT", "IN", "BETWEEN", "SET", "REMOVE", "ADD", "DELETE"];

/// Checks the expressions of a request, or of the parts of a transaction.
pub(super) fn check_all(input: &Value) -> Result<(), String> {
    let parts = input["TransactItems"].as_array().into_iter().flatten();
    let parts = parts.flat_map(|part| part.as_object().into_iter().flat_map(|part| part.values()));
    parts.chain([input]).try_for_each(check)
}

/// Checks the expressions of a request.
pub(super) fn check(input: &Value) -> Result<(), String> {
    let mut used = HashSet::new();
    for expression in EXPRESSIONS.iter().filter_map(|name| input[name].as_str()) {
        let is_word = |c: char| c.is_ascii_alphanumeric() || "_#:".contains(c);
        let mut rest = expression;
        while let Some(start) = rest.find(is_word) {
            let word = &rest[start..];
            let end = word.find(|c| !is_word(c)).unwrap_or(word.len());
            rest = &word[end..];
            check_word(&word[..end], rest.starts_with('('), input)?;
            used.insert(&word[..end]);
        }
    }
    for map in ["ExpressionAttributeNames", "ExpressionAttributeValues"] {
        for name in input[map].as_object().into_iter().flat_map(|map| map.keys()) {
            if !used.contains(name.as_str()) {
                return Err(format!("{name}, which no expression uses"));
            }
        }
    }
    Ok(())
}

fn check_word(word: &str, is_function: bool, input: &Value) -> Result<(), String> {
    let map = match word.as_bytes().first() {
        Some(b'#') => "ExpressionAttributeNames",
        Some(b':') => "ExpressionAttributeValues",
        _ if is_function || SYNTAX.contains(&word) => return Ok(()),
        _ if RESERVED.contains(word.to_ascii_uppercase().as_str()) => {
            return Err(format!("the reserved word {word}"));
        }
        _ => return Ok(()),
    };
    if input[map][word].is_null() { Err(format!("{word}, which is not defined")) } else { Ok(()) }
}
