//! What topics and groups may be called. The rules are Java's (`Validators`, `TopicValidator`); brokers apply them
//! too, but answer only after a round trip, and old ones with code 1.

use crate::error::{Error, Result};
use crate::protocol::namespace::{BUILT_IN_TOPICS, NO_SEND_TOPICS};

/// Longest name of a topic that users create, in characters; older brokers store its length in a signed byte.
const MAX_TOPIC: usize = 127;
/// Longest name of a group, in characters. Brokers before 5.1 fail to make the retry topic of one above 120.
const MAX_GROUP: usize = 255;

/// Topics that brokers make for a group; their names are a prefix and the group's name.
const GROUP_TOPIC_PREFIXES: [&str; 2] = ["%RETRY%", "%DLQ%"];

const SYSTEM_TOPIC_PREFIX: &str = "rmq_sys_";

/// Java's defaults, which it refuses as names for users' groups, and the group every Java client has besides its own.
const RESERVED_GROUPS: [&str; 3] = ["DEFAULT_PRODUCER", "DEFAULT_CONSUMER", "CLIENT_INNER_PRODUCER"];

/// Checks the name of a topic to read from, or to look at.
pub(crate) fn check_topic(name: &str) -> Result<()> {
    let group = GROUP_TOPIC_PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix));
    match group {
        // Brokers join group and topic by `+` in the retry topics of pop consumers.
        Some(group) => check("topic", name, group, MAX_GROUP + 1 + MAX_TOPIC, |c| is_legal(c) || c == '+'),
        None => check("topic", name, name, MAX_TOPIC, is_legal),
    }
}

/// Checks the name of a topic to send to.
pub(crate) fn check_target_topic(name: &str) -> Result<()> {
    check_topic(name)?;
    if NO_SEND_TOPICS.contains(&name) {
        return Err(Error::invalid(format!("topic {name} belongs to the broker: sending to it is forbidden")));
    }
    Ok(())
}

/// Checks the name of a topic to create.
pub(crate) fn check_new_topic(name: &str) -> Result<()> {
    check("topic", name, name, MAX_TOPIC, is_legal)?;
    if NO_SEND_TOPICS.contains(&name) || BUILT_IN_TOPICS.contains(&name) || name.starts_with(SYSTEM_TOPIC_PREFIX) {
        return Err(Error::invalid(format!("topic {name} belongs to the broker: it cannot be created or changed")));
    }
    Ok(())
}

/// Checks the name of a producer or consumer group.
pub(crate) fn check_group(name: &str) -> Result<()> {
    check("group", name, name, MAX_GROUP, is_legal)?;
    if RESERVED_GROUPS.contains(&name) {
        return Err(Error::invalid(format!("group {name} is reserved: choose a name of your own")));
    }
    Ok(())
}

/// `part` is the part of `name` to which the rules apply.
fn check(what: &str, name: &str, part: &str, max: usize, legal: impl Fn(char) -> bool) -> Result<()> {
    if part.trim().is_empty() {
        return Err(Error::invalid(format!("the {what}'s name is blank")));
    }
    if let Some(illegal) = part.chars().find(|c| !legal(*c)) {
        return Err(Error::invalid(format!(
            "{what} {name:?} contains {illegal:?}: only letters a-z and A-Z, digits, and % | _ - are allowed"
        )));
    }
    // Legal names are ASCII, so bytes are characters here.
    if part.len() > max {
        return Err(Error::invalid(format!("{what} {name} has {} characters: at most {max} are allowed", part.len())));
    }
    Ok(())
}

fn is_legal(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '%' | '|' | '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_javas_alphabet_and_lengths() {
        for right in ["a", "Order_Topic-1", "a|b%c", "%RETRY%group", "%DLQ%group", &"t".repeat(127)] {
            assert!(check_topic(right).is_ok(), "{right}");
        }
        for wrong in ["", "  ", "a.b", "a b", "主题", "%RETRY%", "a+b", &"t".repeat(128)] {
            assert!(matches!(check_topic(wrong), Err(Error::Invalid { .. })), "{wrong}");
        }
        assert!(check_group(&"g".repeat(255)).is_ok());
        for wrong in ["", "\t", "a/b", &"g".repeat(256)] {
            assert!(check_group(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn retry_topics_of_long_groups_and_of_pop_consumers_can_be_read() {
        assert!(check_topic(&format!("%RETRY%{}", "g".repeat(255))).is_ok());
        assert!(check_topic("%RETRY%group+topic").is_ok());
    }

    #[test]
    fn the_brokers_own_topics_are_protected() {
        assert!(check_target_topic("SCHEDULE_TOPIC_XXXX").is_err());
        assert!(check_target_topic("TBW102").is_ok());
        assert!(check_new_topic("TBW102").is_err());
        assert!(check_new_topic("rmq_sys_anything").is_err());
        assert!(check_new_topic("orders").is_ok());
    }

    #[test]
    fn groups_that_clients_use_themselves_are_reserved() {
        for reserved in RESERVED_GROUPS {
            assert!(check_group(reserved).is_err(), "{reserved}");
        }
    }

    #[test]
    fn the_error_names_the_first_wrong_character() {
        assert!(check_topic("a.b c").unwrap_err().to_string().contains("'.'"));
    }
}
