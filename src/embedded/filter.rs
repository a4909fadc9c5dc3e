//! Which messages a subscription wants.

use std::sync::Arc;

use super::records;
use super::sql::Expression;
use super::store::Entry;
use crate::protocol::filter::java_hash;
use crate::protocol::rpc::heartbeat::SubscriptionBody;

/// A subscription's expression, ready for use.
#[derive(Debug, Clone)]
pub(super) enum Filter {
    All,
    /// Hashes of tags: as in Java the client compares the tags themselves once more.
    Tags(Vec<i32>),
    Sql(Arc<Expression>),
}

impl Filter {
    /// Reads an expression of a kind: `TAG`, which is also the absent kind, or `SQL92`.
    pub(super) fn new(expression: &str, kind: Option<&str>) -> Result<Filter, String> {
        match kind {
            None | Some("" | "TAG") => Filter::tags(expression),
            Some("SQL92") => Expression::parse(expression).map(Arc::new).map(Filter::Sql),
            Some(other) => Err(format!("expression type {other} is unknown")),
        }
    }

    /// Reads the expression that a pull carries. As in Java, one that is not SQL filters nothing instead of being refused;
    /// only the check of a client (code 46) and a heartbeat's subscription notice.
    pub(super) fn pulled(expression: &str, kind: Option<&str>) -> Result<Filter, String> {
        match kind {
            None | Some("" | "TAG") => Filter::tags(expression),
            Some(_) if expression.is_empty() => Err("Expression can't be null!".to_owned()),
            kind => Ok(Filter::new(expression, kind).unwrap_or(Filter::All)),
        }
    }

    fn tags(expression: &str) -> Result<Filter, String> {
        if expression.is_empty() || expression == "*" {
            return Ok(Filter::All);
        }
        if expression.split("||").all(str::is_empty) {
            return Err("subString split error".to_owned());
        }
        let tags = expression.split("||").map(str::trim).filter(|tag| !tag.is_empty());
        Ok(Filter::Tags(tags.map(java_hash).collect()))
    }

    /// Takes over a heartbeat's subscription. Its code set counts, not the expression, as in Java.
    pub(super) fn subscribed(body: &SubscriptionBody) -> Result<Filter, String> {
        match body.expression_type.as_deref() {
            None | Some("" | "TAG") if body.class_filter_mode || body.sub_string == "*" => Ok(Filter::All),
            None | Some("" | "TAG") => Ok(Filter::Tags(body.code_set.clone())),
            kind => Filter::new(&body.sub_string, kind),
        }
    }

    pub(super) fn matches(&self, entry: &Entry) -> bool {
        match self {
            Filter::All => true,
            Filter::Tags(codes) => codes.contains(&entry.tag_code),
            Filter::Sql(expression) => {
                records::properties(&entry.record).is_some_and(|properties| expression.matches(properties))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_taken_as_java_takes_them() {
        assert!(matches!(Filter::new("*", None), Ok(Filter::All)));
        assert!(matches!(Filter::new("", Some("TAG")), Ok(Filter::All)));
        assert!(matches!(Filter::new("a || b", None), Ok(Filter::Tags(codes)) if codes == [97, 98]));
        assert!(matches!(Filter::new(" ", None), Ok(Filter::Tags(codes)) if codes.is_empty()));
        assert!(Filter::new("||", None).is_err());
        assert!(Filter::new("", Some("SQL92")).is_err());
        assert!(Filter::new("a = 1", Some("SQL93")).is_err());
        assert!(Filter::pulled("", Some("SQL92")).is_err());
        assert!(matches!(Filter::pulled("a =", Some("SQL92")), Ok(Filter::All)), "as observed");
    }
}
