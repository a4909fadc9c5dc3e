//! Words to a tree, by recursive descent: `OR` binds weaker than `AND`, `AND` weaker than `NOT`.

use super::lexer::{Token, tokens};
use super::{Compare, Node, Text, Value, float};

/// Deeper nesting is refused: the tree is walked by recursion.
const MAX_DEPTH: usize = 100;

pub(super) fn parse(text: &str) -> Result<Node, String> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
    let node = parser.or()?;
    match parser.peek() {
        None => boolean(node),
        Some(token) => Err(format!("{token:?} is not expected behind a whole expression")),
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Result<Token, String> {
        let token = self.peek().cloned().ok_or("the expression ends too early")?;
        self.at += 1;
        Ok(token)
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Keyword(found)) if *found == keyword);
        self.at += usize::from(found);
        found
    }

    fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(found)) if *found == sign);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.sign(sign) { Ok(()) } else { Err(format!("{sign} expected, found {:?}", self.peek())) }
    }

    fn or(&mut self) -> Result<Node, String> {
        let mut node = self.and()?;
        while self.keyword("OR") {
            node = Node::Or(Box::new(boolean(node)?), Box::new(boolean(self.and()?)?));
        }
        Ok(node)
    }

    fn and(&mut self) -> Result<Node, String> {
        let mut node = self.not()?;
        while self.keyword("AND") {
            node = Node::And(Box::new(boolean(node)?), Box::new(boolean(self.not()?)?));
        }
        Ok(node)
    }

    fn not(&mut self) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("nested too deeply".to_owned());
        }
        let node = if self.keyword("NOT") { negate(boolean(self.not()?)?) } else { self.comparison()? };
        self.depth -= 1;
        Ok(node)
    }

    fn comparison(&mut self) -> Result<Node, String> {
        let left = self.operand()?;
        if self.keyword("IS") {
            let not = self.keyword("NOT");
            if !self.keyword("NULL") {
                return Err("NULL expected behind IS".to_owned());
            }
            let is_null = Node::IsNull(Box::new(left));
            return Ok(if not { negate(is_null) } else { is_null });
        }
        let at = self.at;
        let not = self.keyword("NOT");
        if let Some(node) = self.word_operator(&left)? {
            return Ok(if not { negate(node) } else { node });
        }
        self.at = at;
        let signs = [
            ("=", Compare::Equal),
            ("<>", Compare::Unequal),
            ("<=", Compare::LessOrEqual),
            (">=", Compare::GreaterOrEqual),
            ("<", Compare::Less),
            (">", Compare::Greater),
        ];
        let Some((_, how)) = signs.into_iter().find(|(sign, _)| self.sign(sign)) else { return Ok(left) };
        let right = self.operand()?;
        if !matches!(how, Compare::Equal | Compare::Unequal) {
            ordered(&left)?;
            ordered(&right)?;
        }
        Ok(Node::Compare(how, Box::new(left), Box::new(right)))
    }

    /// `BETWEEN`, `IN`, `CONTAINS` and the like, when one follows.
    fn word_operator(&mut self, left: &Node) -> Result<Option<Node>, String> {
        let left = || Box::new(left.clone());
        if self.keyword("BETWEEN") {
            let low = self.operand()?;
            if !self.keyword("AND") {
                return Err("AND expected between the bounds of BETWEEN".to_owned());
            }
            let high = self.operand()?;
            ordered(&low)?;
            ordered(&high)?;
            if matches!((number(&low), number(&high)), (Some(low), Some(high)) if low > high) {
                return Err(format!("BETWEEN {low:?} AND {high:?} holds for nothing"));
            }
            return Ok(Some(Node::Between(left(), Box::new(low), Box::new(high))));
        }
        if self.keyword("IN") {
            return self.items().map(|items| Some(Node::In(left(), items)));
        }
        let texts = [("CONTAINS", Text::Contains), ("STARTSWITH", Text::Starts), ("ENDSWITH", Text::Ends)];
        let Some((_, how)) = texts.into_iter().find(|(keyword, _)| self.keyword(keyword)) else { return Ok(None) };
        match self.next()? {
            Token::Text(part) => Ok(Some(Node::Text(how, left(), part))),
            other => Err(format!("a string expected, found {other:?}")),
        }
    }

    fn items(&mut self) -> Result<Vec<String>, String> {
        self.expect("(")?;
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Token::Text(text) => items.push(text),
                other => return Err(format!("IN takes strings, not {other:?}")),
            }
            if !self.sign(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok(items)
    }

    fn operand(&mut self) -> Result<Node, String> {
        if self.sign("(") {
            let node = self.or()?;
            self.expect(")")?;
            return Ok(node);
        }
        let negative = self.sign("-");
        if !negative {
            self.sign("+");
        }
        Ok(match self.next()? {
            Token::Integer(number) => Node::Literal(Value::Integer(if negative { -number } else { number })),
            Token::Float(number) => Node::Literal(Value::Float(if negative { -number } else { number })),
            Token::Text(text) if !negative => Node::Literal(Value::Text(text)),
            Token::Name(name) if !negative => Node::Property(name),
            Token::Keyword("TRUE") if !negative => Node::Literal(Value::Boolean(true)),
            Token::Keyword("FALSE") if !negative => Node::Literal(Value::Boolean(false)),
            other => return Err(format!("a value expected, found {other:?}")),
        })
    }
}

fn negate(node: Node) -> Node {
    Node::Not(Box::new(node))
}

fn number(node: &Node) -> Option<f64> {
    match node {
        Node::Literal(value @ (Value::Integer(_) | Value::Float(_))) => Some(float(value)),
        _ => None,
    }
}

/// Refuses what is neither true nor false: a number or string alone.
fn boolean(node: Node) -> Result<Node, String> {
    match node {
        Node::Literal(Value::Text(_) | Value::Integer(_) | Value::Float(_)) => {
            Err(format!("{node:?} is not a condition"))
        }
        node => Ok(node),
    }
}

/// As in Java, strings and booleans are compared for equality only.
fn ordered(node: &Node) -> Result<(), String> {
    match node {
        Node::Literal(Value::Text(_) | Value::Boolean(_)) => Err(format!("{node:?} cannot be ordered")),
        _ => Ok(()),
    }
}
