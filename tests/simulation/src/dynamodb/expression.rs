//! DynamoDB's expressions: conditions, key conditions and updates.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use super::Item;

/// The names and values of a request.
pub(super) struct Expression<'a> {
    names: &'a Value,
    values: &'a Value,
}

impl<'a> Expression<'a> {
    pub(super) fn new(input: &'a Value) -> Self {
        Self { names: &input["ExpressionAttributeNames"], values: &input["ExpressionAttributeValues"] }
    }
}

/// A condition.
#[derive(Debug)]
pub(super) enum Condition {
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Not(Box<Self>),
    Exists(String),
    BeginsWith(String, String),
    Contains(String, String),
    Compare(String, String, String),
    In(String, Vec<String>),
    Between(String, String, String),
}

/// An update: the assignments, the removed paths, and what is added to and deleted from numbers and sets.
#[derive(Debug, Default)]
pub(super) struct Update {
    set: Vec<(String, Assigned)>,
    remove: Vec<String>,
    add: Vec<(String, String)>,
    delete: Vec<(String, String)>,
}

/// The right side of an assignment.
#[derive(Debug)]
enum Assigned {
    Operand(String),
    IfNotExists(String, Box<Self>),
    Sum(Box<Self>, bool, Box<Self>),
}

struct Parser<'a> {
    tokens: Vec<&'a str>,
    at: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        let is_word = |c: char| c.is_ascii_alphanumeric() || "_#:.[]".contains(c);
        let mut tokens = Vec::new();
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if is_word(first) {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else if ["<>", "<=", ">="].iter().any(|operator| rest.starts_with(operator)) {
                2
            } else {
                1
            };
            tokens.push(&rest[..length]);
            rest = rest[length..].trim_start();
        }
        Self { tokens, at: 0 }
    }

    fn peek(&self) -> Option<&'a str> {
        self.tokens.get(self.at).copied()
    }

    fn next(&mut self) -> Option<&'a str> {
        self.at += 1;
        self.tokens.get(self.at - 1).copied()
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.peek().is_some_and(|next| next.eq_ignore_ascii_case(token));
        self.at += usize::from(found);
        found
    }

    fn need(&mut self, token: &str) -> Option<()> {
        self.take(token).then_some(())
    }

    fn word(&mut self) -> Option<String> {
        self.next().map(str::to_owned)
    }

    fn or(&mut self) -> Option<Condition> {
        let mut left = self.and()?;
        while self.take("OR") {
            left = Condition::Or(left.into(), self.and()?.into());
        }
        Some(left)
    }

    fn and(&mut self) -> Option<Condition> {
        let mut left = self.not()?;
        while self.take("AND") {
            left = Condition::And(left.into(), self.not()?.into());
        }
        Some(left)
    }

    fn not(&mut self) -> Option<Condition> {
        if self.take("NOT") {
            return Some(Condition::Not(self.not()?.into()));
        }
        if self.take("(") {
            let inner = self.or()?;
            self.need(")")?;
            return Some(inner);
        }
        let left = self.word()?;
        if self.take("(") {
            let path = self.word()?;
            let condition = match left.as_str() {
                "attribute_exists" => Condition::Exists(path),
                "attribute_not_exists" => Condition::Not(Condition::Exists(path).into()),
                "begins_with" | "contains" => {
                    self.need(",")?;
                    let value = self.word()?;
                    if left == "contains" {
                        Condition::Contains(path, value)
                    } else {
                        Condition::BeginsWith(path, value)
                    }
                }
                _ => return None,
            };
            self.need(")")?;
            return Some(condition);
        }
        if self.take("IN") {
            self.need("(")?;
            let mut values = vec![self.word()?];
            while self.take(",") {
                values.push(self.word()?);
            }
            self.need(")")?;
            return Some(Condition::In(left, values));
        }
        if self.take("BETWEEN") {
            let low = self.word()?;
            self.need("AND")?;
            return Some(Condition::Between(left, low, self.word()?));
        }
        let operator = self.word()?;
        let known = ["=", "<>", "<", "<=", ">", ">="].contains(&operator.as_str());
        known.then_some(Condition::Compare(left, operator, self.word()?))
    }

    fn assigned(&mut self) -> Option<Assigned> {
        let mut left = self.assigned_operand()?;
        loop {
            let minus = match self.peek() {
                Some("+") => false,
                Some("-") => true,
                _ => return Some(left),
            };
            self.at += 1;
            left = Assigned::Sum(left.into(), minus, self.assigned_operand()?.into());
        }
    }

    fn assigned_operand(&mut self) -> Option<Assigned> {
        let word = self.word()?;
        if word != "if_not_exists" {
            return (self.peek() != Some("(")).then_some(Assigned::Operand(word));
        }
        self.need("(")?;
        let path = self.word()?;
        self.need(",")?;
        let default = self.assigned()?;
        self.need(")")?;
        Some(Assigned::IfNotExists(path, default.into()))
    }
}

impl Condition {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parser = Parser::new(text);
        let condition = parser.or()?;
        parser.peek().is_none().then_some(condition)
    }

    /// Returns whether the condition holds for an item, or `None` if a name or value is missing in the request.
    pub(super) fn holds(&self, expression: &Expression<'_>, item: &Item) -> Option<bool> {
        let value = |operand: &String| expression.operand(item, operand);
        Some(match self {
            Self::And(a, b) => a.holds(expression, item)? & b.holds(expression, item)?,
            Self::Or(a, b) => a.holds(expression, item)? | b.holds(expression, item)?,
            Self::Not(inner) => !inner.holds(expression, item)?,
            Self::Exists(path) => value(path)?.is_some(),
            Self::BeginsWith(path, prefix) => {
                let prefix = value(prefix)??;
                value(path)?.is_some_and(|text| string(text).starts_with(string(prefix)))
            }
            Self::Contains(path, element) => {
                let element = value(element)??;
                let set = value(path)?.and_then(|set| set.as_object()?.values().next()?.as_array().cloned());
                set.is_some_and(|set| set.iter().any(|member| member.as_str() == Some(string(element))))
            }
            Self::In(operand, values) => {
                let left = value(operand)?;
                let values = values.iter().map(value).collect::<Option<Vec<_>>>()?;
                left.is_some() && values.contains(&left)
            }
            Self::Between(operand, low, high) => {
                let (low, high) = (value(low)??, value(high)??);
                value(operand)?
                    .is_some_and(|it| sort_key(low) <= sort_key(it) && sort_key(it) <= sort_key(high))
            }
            Self::Compare(left, operator, right) => match (value(left)?, value(right)?) {
                (Some(left), Some(right)) => compare(left, operator, right),
                (left, right) => operator == "<>" && left.is_some() != right.is_some(),
            },
        })
    }
}

impl Update {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parser = Parser::new(text);
        let mut update = Self::default();
        while let Some(clause) = parser.next() {
            loop {
                let path = parser.word()?;
                match clause {
                    "SET" => {
                        parser.need("=")?;
                        update.set.push((path, parser.assigned()?));
                    }
                    "REMOVE" => update.remove.push(path),
                    "ADD" => update.add.push((path, parser.word()?)),
                    "DELETE" => update.delete.push((path, parser.word()?)),
                    _ => return None,
                }
                if !parser.take(",") {
                    break;
                }
            }
        }
        Some(update)
    }

    /// Applies the update. All values are those before the update. Returns `None` if it is not valid.
    pub(super) fn apply(&self, expression: &Expression<'_>, item: &mut Item) -> Option<()> {
        let old = item.clone();
        for (path, assigned) in &self.set {
            let value = assigned.value(expression, &old)?;
            expression.set(item, path, value)?;
        }
        for path in &self.remove {
            let path = expression.path(path)?;
            let (last, parents) = path.split_last()?;
            if let Some(map) = parent(item, parents) {
                map.remove(*last);
            }
        }
        for (path, operand) in &self.add {
            let added = expression.operand(&old, operand)??;
            let value = match expression.operand(&old, path)? {
                None => added.clone(),
                Some(current) if added["N"].is_string() => sum(current, added, false)?,
                Some(current) => members(current, added, true)?,
            };
            expression.set(item, path, value)?;
        }
        for (path, operand) in &self.delete {
            let deleted = expression.operand(&old, operand)??;
            if let Some(current) = expression.operand(&old, path)? {
                let left = members(current, deleted, false)?;
                let is_empty =
                    left.as_object()?.values().all(|set| set.as_array().is_some_and(Vec::is_empty));
                let path = expression.path(path)?;
                let (last, parents) = path.split_last()?;
                let parent = parent(item, parents)?;
                // DynamoDB has no empty sets.
                if is_empty {
                    parent.remove(*last);
                } else {
                    parent.insert((*last).to_owned(), left);
                }
            }
        }
        Some(())
    }
}

impl Assigned {
    fn value(&self, expression: &Expression<'_>, item: &Item) -> Option<Value> {
        match self {
            Self::Operand(operand) => expression.operand(item, operand)?.cloned(),
            Self::IfNotExists(path, default) => match expression.operand(item, path)? {
                Some(value) => Some(value.clone()),
                None => default.value(expression, item),
            },
            Self::Sum(a, minus, b) => sum(&a.value(expression, item)?, &b.value(expression, item)?, *minus),
        }
    }
}

impl Expression<'_> {
    /// Returns the attribute names of a path.
    fn path<'b>(&'b self, path: &'b str) -> Option<Vec<&'b str>> {
        let name = |part: &'b str| if part.starts_with('#') { self.names[part].as_str() } else { Some(part) };
        path.split('.').map(name).collect()
    }

    /// Returns the value of an operand: outer `None` if it is not valid, inner `None` if the item does not have it.
    #[expect(clippy::option_option, reason = "a missing attribute is not an error")]
    fn operand<'b>(&'b self, item: &'b Item, operand: &str) -> Option<Option<&'b Value>> {
        if operand.starts_with(':') {
            return Some(Some(self.values.get(operand)?));
        }
        let mut names = self.path(operand)?.into_iter();
        let first = item.get(names.next()?);
        Some(names.fold(first, |value, name| value?.get("M")?.get(name)))
    }

    fn set(&self, item: &mut Item, path: &str, value: Value) -> Option<()> {
        let path = self.path(path)?;
        let (last, parents) = path.split_last()?;
        parent(item, parents)?.insert((*last).to_owned(), value);
        Some(())
    }
}

fn parent<'a>(item: &'a mut Item, names: &[&str]) -> Option<&'a mut Map<String, Value>> {
    names.iter().try_fold(item, |map, name| map.get_mut(*name)?.get_mut("M")?.as_object_mut())
}

fn string(value: &Value) -> &str {
    value["S"].as_str().or(value["N"].as_str()).unwrap_or_default()
}

fn number(value: &Value) -> Option<f64> {
    value["N"].as_str()?.parse().ok()
}

fn compare(left: &Value, operator: &str, right: &Value) -> bool {
    let order = match (number(left), number(right)) {
        (Some(a), Some(b)) => a.partial_cmp(&b),
        (None, None) if left["S"].is_string() && right["S"].is_string() => {
            Some(string(left).cmp(string(right)))
        }
        _ => None,
    };
    match operator {
        "=" => left == right || order == Some(Ordering::Equal),
        "<>" => left != right && order != Some(Ordering::Equal),
        "<" => order == Some(Ordering::Less),
        "<=" => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        ">" => order == Some(Ordering::Greater),
        _ => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    }
}

/// Returns text that sorts as the value does in an index. Numbers are whole and not negative.
pub(super) fn sort_key(value: &Value) -> String {
    value["N"].as_str().map_or_else(|| string(value).to_owned(), |number| format!("{number:0>24}"))
}

fn sum(a: &Value, b: &Value, minus: bool) -> Option<Value> {
    let (a, b): (i64, i64) = (a["N"].as_str()?.parse().ok()?, b["N"].as_str()?.parse().ok()?);
    Some(json!({"N": if minus { a - b } else { a + b }.to_string()}))
}

/// Returns the union of two sets, or the first without the second.
fn members(set: &Value, other: &Value, union: bool) -> Option<Value> {
    let (kind, other) = other.as_object()?.iter().next()?;
    let mut members = set[kind].as_array()?.clone();
    members.retain(|member| union || !other.as_array().is_some_and(|other| other.contains(member)));
    if union {
        let new: Vec<Value> = other.as_array()?.iter().filter(|it| !members.contains(it)).cloned().collect();
        members.extend(new);
    }
    Some(json!({kind: members}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item() -> Item {
        json!({"a": {"S": "x"}, "n": {"N": "7"}, "m": {"M": {"k": {"S": "v"}}}, "s": {"NS": ["1"]}})
            .as_object()
            .cloned()
            .unwrap()
    }

    fn input() -> Value {
        json!({"ExpressionAttributeNames": {"#k": "k"},
               "ExpressionAttributeValues": {":x": {"S": "x"}, ":y": {"S": "y"}, ":v": {"S": "v"}, ":8": {"N": "8"},
                                             ":set": {"NS": ["1", "2"]}}})
    }

    #[test]
    fn conditions_are_evaluated_as_dynamodb_does() {
        let (item, input) = (item(), input());
        let holds =
            |text: &str| Condition::parse(text).unwrap().holds(&Expression::new(&input), &item).unwrap();
        for (text, expected) in [
            ("a = :x AND n < :8", true),
            ("a IN (:y, :x)", true),
            ("a IN (:y)", false),
            ("attribute_not_exists(b) OR a = :y AND a = :x", true),
            ("(attribute_not_exists(b) OR a = :y) AND a = :y", false),
            ("NOT attribute_exists(m.#k)", false),
            ("m.#k = :v", true),
            ("missing < :8", false),
            ("n BETWEEN :8 AND :8", false),
            ("begins_with(a, :x)", true),
        ] {
            assert_eq!(holds(text), expected, "{text}");
        }
        assert!(Condition::parse("size(a) = :x").is_none());
    }

    #[test]
    fn updates_read_the_old_item() {
        let (mut item, input) = (item(), input());
        let text = "SET n = n + :8, m.#k = a, b = if_not_exists(b, :y) REMOVE a ADD s :set";
        Update::parse(text).unwrap().apply(&Expression::new(&input), &mut item).unwrap();
        let expected = json!({"n": {"N": "15"}, "m": {"M": {"k": {"S": "x"}}}, "b": {"S": "y"}, "s": {"NS": ["1", "2"]}});
        assert_eq!(Value::Object(item), expected);
    }

    #[test]
    fn an_emptied_set_is_removed() {
        let (mut item, input) = (item(), input());
        Update::parse("DELETE s :set").unwrap().apply(&Expression::new(&input), &mut item).unwrap();
        assert!(!item.contains_key("s"));
    }
}
