//! The attributes of topics: which there are, and what Java's broker says to those there are not.

use std::collections::BTreeMap;

use crate::message::TopicType;

pub(super) type Attributes = BTreeMap<String, String>;

pub(super) const QUEUE_TYPE: &str = "queue.type";
pub(super) const MESSAGE_TYPE: &str = "message.type";

/// What an attribute may be, and whether it may be changed once the topic exists.
fn rule(name: &str) -> Option<(Rule, bool)> {
    match name {
        QUEUE_TYPE => Some((Rule::OneOf(&["BatchCQ", "SimpleCQ"]), false)),
        "cleanup.policy" => Some((Rule::OneOf(&["COMPACTION", "DELETE"]), false)),
        MESSAGE_TYPE => Some((Rule::TopicType, true)),
        "reserve.time" => Some((Rule::Range(-1, i64::MAX), true)),
        "lite.topic.expiration" => Some((Rule::Range(-1, 30), true)),
        _ => None,
    }
}

enum Rule {
    OneOf(&'static [&'static str]),
    TopicType,
    Range(i64, i64),
}

impl Rule {
    fn check(&self, value: &str) -> Result<(), String> {
        let set = |values: &[&str]| match values.contains(&value) {
            true => Ok(()),
            false => Err(format!("value is not in set: [{}]", values.join(", "))),
        };
        match self {
            Rule::OneOf(values) => set(values),
            Rule::TopicType => set(&TopicType::ALL.map(TopicType::name)),
            Rule::Range(least, most) => match value.parse::<i64>() {
                Ok(number) if (*least..=*most).contains(&number) => Ok(()),
                Ok(_) => Err(format!("value is not in range({least}, {most})")),
                Err(_) => Err(format!("For input string: \"{value}\"")),
            },
        }
    }
}

/// Applies `+name=value,-name` to the attributes of a topic, or of a new one. The error is Java's remark.
pub(super) fn alter(current: Option<&Attributes>, asked: &str) -> Result<Attributes, String> {
    let mut altered = current.cloned().unwrap_or_default();
    let mut seen = Vec::new();
    for part in asked.split(',').filter(|part| !part.is_empty()) {
        let (signed, value) = match part.split_once('=') {
            Some((signed, _)) if !signed.contains('+') => {
                return Err(format!("add/alter attribute format is wrong: {signed}"));
            }
            Some((_, "")) => return Err("Index 1 out of bounds for length 1".to_owned()),
            Some((signed, value)) => (signed, value),
            None if !part.contains('-') => return Err(format!("delete attribute format is wrong: {part}")),
            None => (part, ""),
        };
        let (name, removes) = match (signed.strip_prefix('+'), signed.strip_prefix('-')) {
            (Some(name), _) => (name, false),
            (_, Some(name)) => (name, true),
            _ => return Err("kv string format wrong.".to_owned()),
        };
        if name.is_empty() || name.contains(['+', '-']) {
            return Err("kv string format wrong.".to_owned());
        }
        if seen.contains(&name) {
            return Err(format!("key duplication: {signed}"));
        }
        seen.push(name);
        if removes && current.is_none() {
            return Err(format!("only add attribute is supported while creating topic. key: {name}"));
        }
        if removes && !altered.contains_key(name) {
            return Err(format!("attempt to delete a nonexistent key: {name}"));
        }
        let (rule, changeable) = rule(name).ok_or_else(|| format!("unsupported key: {name}"))?;
        if current.is_some() && !changeable {
            return Err(format!("attempt to update an unchangeable attribute. key: {name}"));
        }
        if removes {
            altered.remove(name);
        } else {
            rule.check(value)?;
            altered.insert(name.to_owned(), value.to_owned());
        }
    }
    Ok(altered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_added_changed_and_taken_away() {
        let made = alter(None, "+message.type=FIFO,+queue.type=BatchCQ").unwrap();
        assert_eq!(made.len(), 2);
        let changed = alter(Some(&made), "+message.type=PRIORITY").unwrap();
        assert_eq!((&*changed["message.type"], &*changed["queue.type"]), ("PRIORITY", "BatchCQ"));
        assert_eq!(alter(Some(&changed), "-message.type").unwrap().len(), 1);
        assert_eq!(alter(Some(&changed), "").unwrap(), changed);
    }

    #[test]
    fn what_java_refuses_is_refused_with_its_words() {
        let made = alter(None, "+queue.type=SimpleCQ").unwrap();
        let cases = [
            (None, "+message.type=OTHER", "value is not in set"),
            (None, "+other=1", "unsupported key: other"),
            (None, "-message.type", "only add attribute is supported while creating topic"),
            (None, "message.type=FIFO", "add/alter attribute format is wrong"),
            (None, "message.type", "delete attribute format is wrong"),
            (None, "+message.type=FIFO,+message.type=DELAY", "key duplication"),
            (None, "+lite.topic.expiration=31", "not in range"),
            (Some(&made), "+queue.type=BatchCQ", "attempt to update an unchangeable attribute. key: queue.type"),
            (Some(&made), "-message.type", "nonexistent key"),
        ];
        for (current, asked, remark) in cases {
            let error = alter(current, asked).unwrap_err();
            assert!(error.contains(remark), "{asked}: {error}");
        }
    }
}
