//! What members of a group say of themselves. Pure: their words are Java's, whose JSON has objects as keys.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::doctor::facts::OwnWords;

/// Reads the answer to GET_CONSUMER_RUNNING_INFO, as far as it can be read.
pub(super) fn own_words(body: &str) -> OwnWords {
    let properties = part(body, "properties").unwrap_or_default();
    let property = |name: &str| properties.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut subscriptions = BTreeMap::new();
    for one in part(body, "subscriptionSet").as_ref().and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| one.get(name).and_then(Value::as_str);
        let Some(topic) = text("topic") else { continue };
        let kind = text("expressionType").filter(|kind| !kind.is_empty()).unwrap_or("TAG");
        let expression = text("subString").filter(|expression| !expression.is_empty()).unwrap_or("*");
        subscriptions.insert(topic.to_owned(), format!("{kind} {expression}"));
    }
    let (consume_type, orderly) = (property("PROP_CONSUME_TYPE"), property("PROP_CONSUMEORDERLY"));
    OwnWords { consume_type, orderly, subscriptions }
}

/// The value of a member of the outermost object. The whole cannot be parsed, because the keys of other members are objects.
fn part(body: &str, name: &str) -> Option<Value> {
    let quoted = format!("\"{name}\":");
    let mut depth = 0;
    let mut in_text = false;
    let mut escaped = false;
    let mut start = None;
    for (at, byte) in body.bytes().enumerate() {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => {
                if depth == 1 && start.is_none() && body.get(at..).is_some_and(|rest| rest.starts_with(&quoted)) {
                    start = Some(at + quoted.len());
                }
                in_text = true;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                match start {
                    // Of nested braces and brackets the last closes the value, if it had any of its own.
                    Some(start) if depth == 1 => return serde_json::from_str(body.get(start..=at)?).ok(),
                    Some(start) if depth == 0 => return serde_json::from_str(body.get(start..at)?).ok(),
                    _ => {}
                }
            }
            b',' if depth == 1 => {
                if let Some(start) = start {
                    return serde_json::from_str(body.get(start..at)?).ok();
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_java_consumer_are_read_although_they_are_no_json() {
        let body = r#"{"mqTable":{{"brokerName":"b","queueId":0,"topic":"\"properties\":{"}:{"cachedMsgCount":0}},
            "properties":{"PROP_CONSUME_TYPE":"CONSUME_PASSIVELY","PROP_CONSUMEORDERLY":"false"},"statusTable":{},
            "subscriptionSet":[{"classFilterMode":false,"expressionType":"TAG","subString":"a || b","tagsSet":["a","b"],"topic":"T"},
            {"subString":"x > 1","expressionType":"SQL92","topic":"U"},{"topic":"V"}],"userConsumerInfo":{}}"#;
        let words = own_words(body);
        assert_eq!(words.consume_type.as_deref(), Some("CONSUME_PASSIVELY"));
        assert_eq!(words.orderly.as_deref(), Some("false"));
        let subscriptions = [("T", "TAG a || b"), ("U", "SQL92 x > 1"), ("V", "TAG *")];
        assert_eq!(words.subscriptions, subscriptions.map(|(topic, what)| (topic.to_owned(), what.to_owned())).into());
    }

    #[test]
    fn what_cannot_be_read_is_nothing() {
        for body in ["", "{", r#"{"properties":7}"#, r#"{"subscriptionSet":[{"#, r#"{"subscriptionSet":null,"x":1}"#] {
            assert_eq!(own_words(body), OwnWords::default(), "{body}");
        }
    }
}
