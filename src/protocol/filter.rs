//! Tags and how brokers compare them.

/// Java's `String.hashCode`: over UTF-16 code units, wrapping. Brokers filter tags by it, and the hash selector chooses
/// queues by it.
pub(crate) fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// The tags of an expression `a || b`; empty for `*`, which means all.
pub(crate) fn tags_of(expression: &str) -> Vec<String> {
    let expression = expression.trim();
    if expression.is_empty() || expression == "*" {
        return Vec::new();
    }
    expression.split("||").map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_javas() {
        let known = [("", 0), ("TagA", 2_598_919), ("中文", 646_394), ("😀", 1_772_899)];
        for (text, hash) in known {
            assert_eq!(java_hash(text), hash, "{text}");
        }
        assert_eq!(java_hash("polygenelubricants"), i32::MIN);
        assert_eq!(java_hash("Aa"), java_hash("BB"));
    }

    #[test]
    fn an_expression_is_split_at_double_bars() {
        assert_eq!(tags_of("a || b||c ||"), ["a", "b", "c"]);
        assert!(tags_of(" * ").is_empty());
        assert!(tags_of("").is_empty());
    }
}
