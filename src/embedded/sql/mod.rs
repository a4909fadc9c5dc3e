//! The SQL92 subset of subscriptions: `price BETWEEN 10 AND 20 AND (region = 'north' OR vip IS NOT NULL)`.
//!
//! Comparisons, `AND`, `OR`, `NOT`, parentheses, `IS [NOT] NULL`, `[NOT] IN` over strings, `[NOT] BETWEEN`,
//! `[NOT] CONTAINS`, `STARTSWITH` and `ENDSWITH`; strings, numbers, booleans. Properties are text and are read as what
//! they are compared with. What is unknown (an absent property) makes neither true nor false, as in SQL.

mod lexer;
mod parser;

use std::cmp::Ordering;

use crate::message::find_in_wire;

/// A parsed expression.
#[derive(Debug)]
pub(crate) struct Expression {
    root: Node,
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Property(String),
    Literal(Value),
    Not(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Compare(Compare, Box<Node>, Box<Node>),
    /// Something, the least and the most that it may be.
    Between(Box<Node>, Box<Node>, Box<Node>),
    In(Box<Node>, Vec<String>),
    IsNull(Box<Node>),
    Text(Text, Box<Node>, String),
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    Contains,
    Starts,
    Ends,
}

/// A property that cannot be read as the number it is compared with: the message does not match.
struct Unreadable;

impl Expression {
    pub(crate) fn parse(text: &str) -> Result<Expression, String> {
        if text.trim().is_empty() {
            return Err("an empty expression".to_owned());
        }
        Ok(Expression { root: parser::parse(text)? })
    }

    /// Evaluates against the wire text of a message's properties.
    pub(crate) fn matches(&self, properties: &str) -> bool {
        matches!(truth(&self.root, properties), Ok(Some(true)))
    }
}

/// True, false, or unknown.
fn truth(node: &Node, properties: &str) -> Result<Option<bool>, Unreadable> {
    Ok(match node {
        Node::Not(inner) => truth(inner, properties)?.map(|truth| !truth),
        Node::And(left, right) => both(truth(left, properties)?, || truth(right, properties))?,
        Node::Or(left, right) => match truth(left, properties)? {
            Some(true) => Some(true),
            left => match (left, truth(right, properties)?) {
                (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
        },
        Node::Compare(how, left, right) => compared(*how, &value(left, properties), right, properties)?,
        // Looked at once: it may be a condition, with others in it.
        Node::Between(inner, least, most) => {
            let inner = value(inner, properties);
            let above = compared(Compare::GreaterOrEqual, &inner, least, properties)?;
            both(above, || compared(Compare::LessOrEqual, &inner, most, properties))?
        }
        Node::In(inner, items) => text(inner, properties).map(|text| items.contains(&text)),
        Node::IsNull(inner) => Some(value(inner, properties).is_none()),
        Node::Text(how, inner, part) => text(inner, properties).map(|text| match how {
            Text::Contains => text.contains(part.as_str()),
            Text::Starts => text.starts_with(part.as_str()),
            Text::Ends => text.ends_with(part.as_str()),
        }),
        Node::Literal(Value::Boolean(truth)) => Some(*truth),
        // A property alone is text, whatever it says, and text is never true.
        Node::Property(name) => find_in_wire(properties, name).map(|_| false),
        Node::Literal(_) => None,
    })
}

/// `AND`: what is false on the left decides.
fn both(
    left: Option<bool>,
    right: impl FnOnce() -> Result<Option<bool>, Unreadable>,
) -> Result<Option<bool>, Unreadable> {
    if left == Some(false) {
        return Ok(left);
    }
    Ok(match (left, right()?) {
        (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    })
}

fn compared(how: Compare, left: &Option<Value>, right: &Node, properties: &str) -> Result<Option<bool>, Unreadable> {
    match (left, value(right, properties)) {
        (Some(left), Some(right)) => compare(how, left, &right).map(Some),
        _ => Ok(None),
    }
}

fn value(node: &Node, properties: &str) -> Option<Value> {
    match node {
        Node::Property(name) => find_in_wire(properties, name).map(|text| Value::Text(text.to_owned())),
        Node::Literal(value) => Some(value.clone()),
        other => truth(other, properties).ok().flatten().map(Value::Boolean),
    }
}

fn text(node: &Node, properties: &str) -> Option<String> {
    match value(node, properties)? {
        Value::Text(text) => Some(text),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(truth) => Some(truth.to_string()),
    }
}

fn compare(how: Compare, left: &Value, right: &Value) -> Result<bool, Unreadable> {
    let order = order(left, right)?;
    Ok(match how {
        Compare::Equal => order == Some(Ordering::Equal),
        Compare::Unequal => order != Some(Ordering::Equal),
        Compare::Less => order == Some(Ordering::Less),
        Compare::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Compare::Greater => order == Some(Ordering::Greater),
        Compare::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    })
}

fn order(left: &Value, right: &Value) -> Result<Option<Ordering>, Unreadable> {
    Ok(match (left, right) {
        (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
        (Value::Text(left), right) => order(&read_as(left, right)?, right)?,
        (left, Value::Text(right)) => order(left, &read_as(right, left)?)?,
        (Value::Integer(left), Value::Integer(right)) => Some(left.cmp(right)),
        (Value::Boolean(left), Value::Boolean(right)) => Some(left.cmp(right)),
        (Value::Boolean(_), _) | (_, Value::Boolean(_)) => None,
        (left, right) => float(left).partial_cmp(&float(right)),
    })
}

fn read_as(text: &str, other: &Value) -> Result<Value, Unreadable> {
    match other {
        Value::Integer(_) => text.parse().map(Value::Integer).map_err(|_| Unreadable),
        Value::Float(_) => text.trim().parse().map(Value::Float).map_err(|_| Unreadable),
        Value::Boolean(_) => Ok(Value::Boolean(text.eq_ignore_ascii_case("true"))),
        Value::Text(_) => Ok(Value::Text(text.to_owned())),
    }
}

fn float(value: &Value) -> f64 {
    match value {
        Value::Integer(number) => *number as f64,
        Value::Float(number) => *number,
        Value::Text(_) | Value::Boolean(_) => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROPERTIES: &str = "a\u{1}5\u{2}b\u{1}2.5\u{2}name\u{1}o'neil\u{2}ok\u{1}true\u{2}TAGS\u{1}x\u{2}";

    #[test]
    fn true_expressions_match() {
        for text in [
            "a = 5",
            "a=5 AND b > 2.4",
            "a between 5 and 7",
            "NOT a BETWEEN 6 AND 7",
            "a not between 6 and 7",
            "name = 'o''neil'",
            "name IN ('x', 'o''neil')",
            "name NOT IN ('x')",
            "missing IS NULL and a IS NOT NULL",
            "(a = 1 OR a = 5) AND NOT (b = 1.0)",
            "a <> 4",
            "a >= 5 and a <= 5 and a > -1 and a < 1e2",
            "ok = TRUE",
            "TAGS = 'x' OR missing = 1",
            "name CONTAINS 'nei' and name STARTSWITH 'o' and name NOT ENDSWITH 'x'",
            "5 = a",
            "TRUE",
        ] {
            assert!(Expression::parse(text).unwrap().matches(PROPERTIES), "{text}");
        }
    }

    #[test]
    fn false_and_unknown_expressions_do_not_match() {
        for text in [
            "a = 6",
            "a > 5",
            "missing = 1",
            "missing <> 1",
            "NOT missing = 1",
            "missing = 1 OR missing = 2",
            "name > 5",
            "name = 'o''neil' AND missing IN ('a')",
            "missing NOT IN ('a')",
            "a = 5.5",
            "ok = FALSE",
            "FALSE",
            "ok",
            "missing",
            "a-b = 1",
        ] {
            assert!(!Expression::parse(text).unwrap().matches(PROPERTIES), "{text}");
        }
    }

    #[test]
    fn ranges_within_ranges_take_no_more_than_their_text() {
        let mut text = "a".to_owned();
        for _ in 0..90 {
            text = format!("({text} BETWEEN 1 AND 9)");
        }
        let expression = Expression::parse(&text).unwrap();
        assert!(!expression.matches(PROPERTIES), "a condition is no number");
    }

    #[test]
    fn what_is_not_an_expression_is_refused() {
        let deep = format!("{}a = 1{}", "(".repeat(5000), ")".repeat(5000));
        for text in [
            "",
            " ",
            "a =",
            "a = 'x",
            "a = 1 AND",
            "(a = 1",
            "a = 1)",
            "a > 'x'",
            "a IN (1)",
            "a IN ()",
            "AND a = 1",
            "a BETWEEN 1",
            "a IS 5",
            "a ! 1",
            "'x'",
            "1",
            "a == 1",
            "a = 1 b = 2",
            "a between 'x' and 'y'",
            &deep,
            "a = 99999999999999999999",
            "not",
            "3 BETWEEN 2 AND 1",
            "a.b = 1",
            "\u{0}",
        ] {
            assert!(Expression::parse(text).is_err(), "{text:.40}");
        }
    }
}
