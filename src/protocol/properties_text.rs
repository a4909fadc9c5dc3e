//! Settings as text, in the form of Java's `Properties`: `name=value`, one to a line.
//!
//! Servers write them plainly and read them with Java's rules: a backslash escapes, and what is not ASCII must be escaped.

use std::fmt::Write as _;

/// Reads what a server wrote. Lines without `=`, and comments, are left out.
pub(crate) fn read(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', '!']));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.trim_end().to_owned(), value.trim_start().to_owned())).collect()
}

/// Writes them so that Java reads what is meant.
pub(crate) fn write<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        escape(&mut text, name, true);
        text.push('=');
        escape(&mut text, value, false);
        text.push('\n');
    }
    text
}

fn escape(out: &mut String, text: &str, is_name: bool) {
    for (at, character) in text.chars().enumerate() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' ' if is_name || at == 0 => out.push_str("\\ "),
            '=' | ':' | '#' | '!' if is_name => {
                out.push('\\');
                out.push(character);
            }
            ' '..='~' => out.push(character),
            _ => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    // Formatting into a string cannot fail.
                    let _ = write!(out, "\\u{unit:04X}");
                }
            }
        }
    }
}

/// Reads what [`write`] wrote, as Java does.
pub(crate) fn read_escaped(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with(['#', '!']));
    lines.map(|line| split(line.chars())).collect()
}

fn split(mut characters: std::str::Chars<'_>) -> (String, String) {
    let (mut name, mut value) = (Vec::new(), Vec::new());
    let mut in_name = true;
    while let Some(character) = characters.next() {
        let value_begins = in_name || value.is_empty();
        let to = if in_name { &mut name } else { &mut value };
        match character {
            '\\' => match characters.next() {
                Some('u') => {
                    let digits: String = characters.by_ref().take(4).collect();
                    to.push(u16::from_str_radix(&digits, 16).unwrap_or(0xFFFD));
                }
                Some('n') => to.push(u16::from(b'\n')),
                Some('r') => to.push(u16::from(b'\r')),
                Some('t') => to.push(u16::from(b'\t')),
                Some(other) => to.extend(other.encode_utf16(&mut [0; 2]).iter()),
                None => {}
            },
            '=' | ':' if in_name => in_name = false,
            ' ' if value_begins => {}
            other => to.extend(other.encode_utf16(&mut [0; 2]).iter()),
        }
    }
    (String::from_utf16_lossy(&name), String::from_utf16_lossy(&value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_write_is_read() {
        let text = "brokerName=broker-a\n# a comment\npath=C:\\x=y\nempty=\n\nnonsense\n";
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read(text), [pair("brokerName", "broker-a"), pair("path", "C:\\x=y"), pair("empty", "")]);
    }

    #[test]
    fn what_is_written_is_read_by_java_as_it_was_meant() {
        let pairs = [("a b=c", " x\\y"), ("名", "两\n行 😀"), ("plain", "1s 5s"), ("none", "")];
        let text = write(pairs);
        assert_eq!(text, "a\\ b\\=c=\\ x\\\\y\n\\u540D=\\u4E24\\n\\u884C \\uD83D\\uDE00\nplain=1s 5s\nnone=\n");
        let read = read_escaped(&text);
        let read: Vec<(&str, &str)> = read.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(read, pairs);
    }
}
