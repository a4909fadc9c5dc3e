use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::message::MessageView;
use crate::protocol::filter::tags_of;

const ALL: &str = "*";

/// Chooses the messages of a topic that a consumer wants: by tag, or by an SQL condition over properties.
///
/// A string is a tag expression: `"*"` and `""` mean all messages, `"paid"` one tag, `"paid || refunded"` either of
/// two. Brokers compare hashes of tags, so the client compares the tags themselves again: messages tagged `BB` never
/// come out of the filter `"Aa"`, although both have the same hash.
///
/// ```
/// use rocketmq_blocking::Filter;
///
/// let either: Filter = "paid || refunded".into();
/// assert_eq!(either, Filter::tag("paid||refunded"));
/// assert_eq!(either.to_string(), "paid || refunded");
/// assert_eq!(Filter::sql("amount > 10 AND region = 'north'").to_string(), "amount > 10 AND region = 'north'");
/// ```
///
/// A wrong filter is reported as [`Error::Invalid`] by the call it is given to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Filter(Kind);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Kind {
    All,
    Tags(Arc<[String]>),
    Sql(Arc<str>),
    /// A tag expression that means nothing; kept for the error.
    Wrong(Arc<str>),
}

impl Filter {
    /// Wants all messages.
    pub fn all() -> Filter {
        Filter(Kind::All)
    }

    /// Wants messages that carry one of the tags of an expression such as `"paid || refunded"`.
    ///
    /// Blank parts are ignored, as Java does. An expression of blanks only, one without any tag (`"||"`), and `*`
    /// among tags are wrong: Java takes the first for no message at all and the last for a tag named `*`.
    pub fn tag(expression: &str) -> Filter {
        let tags = tags_of(expression);
        Filter(match expression.trim() {
            ALL => Kind::All,
            "" if expression.is_empty() => Kind::All,
            _ if tags.is_empty() || tags.iter().any(|tag| tag == ALL) => Kind::Wrong(expression.into()),
            _ => Kind::Tags(tags.into()),
        })
    }

    /// Wants messages whose properties satisfy an SQL-92 condition, such as `"amount > 10 AND region IS NOT NULL"`.
    ///
    /// Brokers evaluate it, from 4.1 on and only with `enablePropertyFilter=true`, which is not the default. They
    /// refuse it with code 1 when that is switched off (`The broker does not support consumer to filter message by
    /// SQL92`), and a wrong condition with
    /// [`SUBSCRIPTION_PARSE_FAILED`](crate::ResponseCode::SUBSCRIPTION_PARSE_FAILED): a consumer has each condition
    /// checked once, because brokers return all messages to a pull with a wrong one.
    pub fn sql(condition: impl Into<Arc<str>>) -> Filter {
        Filter(Kind::Sql(condition.into()))
    }

    /// Returns whether it is an SQL condition.
    pub fn is_sql(&self) -> bool {
        matches!(self.0, Kind::Sql(_))
    }

    pub(crate) fn check(&self) -> Result<()> {
        match &self.0 {
            Kind::Wrong(expression) if expression.contains('*') => Err(Error::invalid(format!(
                "filter {expression:?}: * stands alone for all messages, it cannot be one of several tags"
            ))),
            Kind::Wrong(expression) => {
                Err(Error::invalid(format!("filter {expression:?} names no tag; \"*\" means all messages")))
            }
            Kind::Sql(condition) if condition.trim().is_empty() => Err(Error::invalid("the SQL condition is blank")),
            _ => Ok(()),
        }
    }

    /// What the wire calls `expressionType`.
    pub(crate) fn expression_type(&self) -> &'static str {
        if self.is_sql() { "SQL92" } else { "TAG" }
    }

    /// Returns whether a message the broker let through is one of those wanted. What SQL let through is.
    pub(crate) fn accepts(&self, message: &MessageView) -> bool {
        match &self.0 {
            Kind::Tags(tags) => message.tag().is_some_and(|tag| tags.iter().any(|wanted| wanted == tag)),
            _ => true,
        }
    }
}

impl Default for Filter {
    fn default() -> Filter {
        Filter::all()
    }
}

impl From<&str> for Filter {
    fn from(expression: &str) -> Filter {
        Filter::tag(expression)
    }
}

impl From<String> for Filter {
    fn from(expression: String) -> Filter {
        Filter::tag(&expression)
    }
}

impl From<&String> for Filter {
    fn from(expression: &String) -> Filter {
        Filter::tag(expression)
    }
}

impl From<&Filter> for Filter {
    fn from(filter: &Filter) -> Filter {
        filter.clone()
    }
}

/// The expression as it is sent to brokers.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::All => f.write_str(ALL),
            Kind::Tags(tags) => f.write_str(&tags.join(" || ")),
            Kind::Sql(text) | Kind::Wrong(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::tests::tagged;

    #[test]
    fn expressions_that_mean_all_are_sent_as_a_star() {
        for all in ["*", "", " * "] {
            assert_eq!(Filter::from(all), Filter::all(), "{all:?}");
            assert_eq!(Filter::from(all).to_string(), "*");
        }
    }

    #[test]
    fn expressions_without_a_meaning_are_refused() {
        for wrong in ["  ", "||", "a || *"] {
            assert!(matches!(Filter::from(wrong).check(), Err(Error::Invalid { .. })), "{wrong:?}");
        }
        assert!(Filter::sql(" ").check().is_err());
        for right in ["*", "", "a", "a || b ||"] {
            assert!(Filter::from(right).check().is_ok(), "{right:?}");
        }
    }

    #[test]
    fn tags_with_the_same_hash_are_told_apart() {
        let filter = Filter::tag("Aa || C");
        assert!(filter.accepts(&tagged("Aa", 0)));
        assert!(filter.accepts(&tagged("C", 0)));
        assert!(!filter.accepts(&tagged("BB", 0)));
        assert!(!filter.accepts(&tagged("", 0)), "a message without a tag is not wanted");
    }

    #[test]
    fn what_sql_let_through_is_not_filtered_again() {
        assert!(Filter::sql("TAGS = 'Aa'").accepts(&tagged("BB", 0)));
        assert_eq!(Filter::sql("a > 1").expression_type(), "SQL92");
        assert_eq!(Filter::tag("a").expression_type(), "TAG");
    }
}
