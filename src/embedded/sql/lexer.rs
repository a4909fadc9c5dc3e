//! Expressions cut into words.

/// A word of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A keyword, in upper case.
    Keyword(&'static str),
    Name(String),
    Text(String),
    Integer(i64),
    Float(f64),
    /// An operator or bracket.
    Sign(&'static str),
}

/// A chain of conditions becomes a tree as deep, which is walked by recursion.
const MAX_TOKENS: usize = 4096;

const KEYWORDS: &[&str] =
    &["AND", "OR", "NOT", "IS", "NULL", "IN", "BETWEEN", "TRUE", "FALSE", "CONTAINS", "STARTSWITH", "ENDSWITH"];

/// Longer signs first.
const SIGNS: &[&str] = &["<>", "<=", ">=", "=", "<", ">", "(", ")", ",", "-", "+"];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, len) = if first == '\'' {
            quoted(rest)?
        } else if first.is_ascii_digit() || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit())) {
            number(rest)?
        } else if first.is_alphabetic() || first == '_' || first == '$' {
            word(rest)
        } else {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
            let sign = sign.ok_or_else(|| format!("unexpected {first:?} before {rest:?}"))?;
            (Token::Sign(sign), sign.len())
        };
        if tokens.len() == MAX_TOKENS {
            return Err(format!("more than {MAX_TOKENS} words"));
        }
        tokens.push(token);
        rest = rest[len..].trim_start();
    }
    Ok(tokens)
}

/// A quote inside a string is written twice.
fn quoted(rest: &str) -> Result<(Token, usize), String> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, char)) = chars.next() {
        if char != '\'' {
            text.push(char);
        } else if chars.next_if(|(_, next)| *next == '\'').is_some() {
            text.push('\'');
        } else {
            return Ok((Token::Text(text), at + 1));
        }
    }
    Err(format!("a string without an end: {rest}"))
}

fn number(rest: &str) -> Result<(Token, usize), String> {
    let bytes = rest.as_bytes();
    let mut len = 0;
    while let Some(byte) = bytes.get(len) {
        let exponent_sign = (*byte == b'+' || *byte == b'-') && len > 0 && bytes[len - 1].eq_ignore_ascii_case(&b'e');
        if !(byte.is_ascii_digit() || *byte == b'.' || byte.eq_ignore_ascii_case(&b'e') || exponent_sign) {
            break;
        }
        len += 1;
    }
    let text = &rest[..len];
    // Java's literals may end in L.
    let suffix = usize::from(bytes.get(len).is_some_and(|byte| byte.eq_ignore_ascii_case(&b'l')));
    let wrong = || format!("{text} is not a number");
    if text.contains(['.', 'e', 'E']) {
        return text.parse().map(|number| (Token::Float(number), len)).map_err(|_| wrong());
    }
    text.parse().map(|number| (Token::Integer(number), len + suffix)).map_err(|_| wrong())
}

fn word(rest: &str) -> (Token, usize) {
    let part = |char: char| char.is_alphanumeric() || matches!(char, '_' | '$' | '-');
    let len = rest.find(|char| !part(char)).unwrap_or(rest.len());
    let word = &rest[..len];
    let keyword = KEYWORDS.iter().find(|keyword| keyword.eq_ignore_ascii_case(word));
    (keyword.map_or_else(|| Token::Name(word.to_owned()), |keyword| Token::Keyword(keyword)), len)
}
