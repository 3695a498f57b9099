//! The words of a template.
//!
//! Owns where text ends and an expression begins, white-space control, and the literals in expressions. Refuses what the
//! template language cannot read, with a sentence.

use num_bigint::BigInt;

use super::{fault::Fault, syntax::Constant};

/// One word.
#[derive(Debug)]
pub(super) enum Token {
    Text(String),
    /// `{{`
    PrintBegin,
    /// `{%`
    BlockBegin,
    /// `}}` or `%}`
    End,
    Name(String),
    Constant(Constant),
    /// An operator or a bracket.
    Sign(&'static str),
}

const SIGNS: [&str; 30] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".",
    ":", "|", ",", ";", "!", "&", "^", "@",
];

/// A template's words, and for each how many bytes of the text lie before it.
pub(super) struct Words {
    pub tokens: Vec<Token>,
    pub places: Vec<usize>,
}

/// Splits a template into words.
pub(super) fn lex(source: &str) -> Result<Words, Fault> {
    let source = normalised(source);
    let mut lexer = Lexer { whole: source.len(), rest: &source, tokens: Vec::new(), places: Vec::new(), trim: false };
    let read = lexer.run();
    let reached = lexer.reached();
    read.map_err(|fault| fault.behind(&source, reached))?;
    lexer.mark(reached);
    Ok(Words { tokens: lexer.tokens, places: lexer.places })
}

/// All line ends become `\n`, and the last one goes.
fn normalised(source: &str) -> String {
    let mut text = source.replace("\r\n", "\n").replace('\r', "\n");
    if text.ends_with('\n') {
        text.pop();
    }
    text
}

struct Lexer<'s> {
    /// Bytes of the text.
    whole: usize,
    rest: &'s str,
    tokens: Vec<Token>,
    places: Vec<usize>,
    /// The mark before ate the white space that follows.
    trim: bool,
}

impl<'s> Lexer<'s> {
    fn reached(&self) -> usize {
        self.whole.saturating_sub(self.rest.len())
    }

    /// Words that have no place yet stand there.
    fn mark(&mut self, place: usize) {
        self.places.resize(self.tokens.len(), place);
    }

    fn run(&mut self) -> Result<(), Fault> {
        loop {
            let next = ["{{", "{%", "{#"].iter().filter_map(|mark| self.rest.find(mark)).min();
            let Some(at) = next else {
                let text = self.rest;
                self.text(text, false);
                return Ok(());
            };
            let (text, marked) = self.rest.split_at(at);
            let (mark, body) = marked.split_at(2);
            let strip = body.starts_with('-');
            self.text(text, strip);
            self.rest = if strip || body.starts_with('+') { &body[1..] } else { body };
            match mark {
                "{#" => self.comment()?,
                "{%" if self.raw()? => {}
                "{%" => {
                    self.tokens.push(Token::BlockBegin);
                    self.mark(self.reached());
                    self.expression("%}")?;
                }
                _ => {
                    self.tokens.push(Token::PrintBegin);
                    self.mark(self.reached());
                    self.expression("}}")?;
                }
            }
        }
    }

    fn text(&mut self, text: &str, strip_end: bool) {
        let text = if self.trim { text.trim_start() } else { text };
        let text = if strip_end { text.trim_end() } else { text };
        self.trim = false;
        if !text.is_empty() {
            self.tokens.push(Token::Text(text.to_owned()));
        }
    }

    fn comment(&mut self) -> Result<(), Fault> {
        let end = self.rest.find("#}").ok_or_else(|| Fault::syntax("a comment is not closed"))?;
        self.trim = self.rest[..end].ends_with('-');
        self.rest = &self.rest[end + 2..];
        Ok(())
    }

    /// `{% raw %}...{% endraw %}`; false when the block is another one.
    fn raw(&mut self) -> Result<bool, Fault> {
        let Some(after) = self.rest.trim_start().strip_prefix("raw").map(str::trim_start) else { return Ok(false) };
        let trim = after.starts_with("-%}");
        let Some(body) = after.strip_prefix("-%}").or_else(|| after.strip_prefix("%}")) else { return Ok(false) };
        let mut from = 0;
        while let Some(at) = body[from..].find("{%").map(|at| at + from) {
            let inside = &body[at + 2..];
            let strip = inside.starts_with('-');
            let inside = inside.trim_start_matches(['-', '+']).trim_start();
            if let Some(tail) = inside.strip_prefix("endraw").map(str::trim_start) {
                let ends_trimmed = tail.starts_with("-%}");
                if let Some(tail) = tail.strip_prefix("-%}").or_else(|| tail.strip_prefix("%}")) {
                    self.trim = trim;
                    self.text(&body[..at], strip);
                    self.trim = ends_trimmed;
                    self.rest = tail;
                    return Ok(true);
                }
            }
            from = at + 2;
        }
        Err(Fault::syntax("a raw block is not closed"))
    }

    /// Words up to the closing mark.
    fn expression(&mut self, close: &str) -> Result<(), Fault> {
        let mut open: Vec<char> = Vec::new();
        loop {
            self.rest = self.rest.trim_start();
            let place = self.reached();
            if open.is_empty() {
                let bare =
                    self.rest.strip_prefix('-').or_else(|| self.rest.strip_prefix('+').filter(|_| close == "%}"));
                if let Some(rest) = bare.and_then(|rest| rest.strip_prefix(close)) {
                    self.trim = self.rest.starts_with('-');
                    self.rest = rest;
                    self.tokens.push(Token::End);
                    self.mark(place);
                    return Ok(());
                }
                if let Some(rest) = self.rest.strip_prefix(close) {
                    self.rest = rest;
                    self.tokens.push(Token::End);
                    self.mark(place);
                    return Ok(());
                }
            }
            let Some(c) = self.rest.chars().next() else {
                return Err(Fault::syntax("the template ends inside of an expression"));
            };
            if c == '_' || c.is_alphabetic() {
                let end = self.rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(self.rest.len());
                let (name, rest) = self.rest.split_at(end);
                self.tokens.push(Token::Name(name.to_owned()));
                self.rest = rest;
            } else if c.is_ascii_digit() {
                self.number()?;
            } else if c == '\'' || c == '"' {
                self.string(c)?;
            } else {
                self.sign(&mut open)?;
            }
            self.mark(place);
        }
    }

    fn sign(&mut self, open: &mut Vec<char>) -> Result<(), Fault> {
        let sign = SIGNS.iter().find(|sign| self.rest.starts_with(**sign));
        let sign = sign.ok_or_else(|| Fault::syntax("an expression has a character that means nothing there"))?;
        match *sign {
            "(" => open.push(')'),
            "[" => open.push(']'),
            "{" => open.push('}'),
            ")" | "]" | "}" if open.pop().is_none_or(|expected| !sign.starts_with(expected)) => {
                return Err(Fault::syntax("a bracket closes that was not opened, or }} and %} are not whole"));
            }
            _ => {}
        }
        self.tokens.push(Token::Sign(sign));
        self.rest = &self.rest[sign.len()..];
        Ok(())
    }

    fn digits(&self, from: usize, taken: impl Fn(u8) -> bool) -> usize {
        let bytes = self.rest.as_bytes();
        let mut end = from;
        while let Some(byte) = bytes.get(end) {
            let separates = *byte == b'_' && end > from && bytes.get(end + 1).is_some_and(|next| taken(*next));
            if !(taken(*byte) || separates) {
                break;
            }
            end += 1;
        }
        end
    }

    fn number(&mut self) -> Result<(), Fault> {
        let prefix = self.rest.get(..2).unwrap_or_default().to_ascii_lowercase();
        let radix = match prefix.as_str() {
            "0x" => 16,
            "0o" => 8,
            "0b" => 2,
            _ => 10,
        };
        if radix != 10 {
            let end = self.digits(2, |byte| char::from(byte).is_digit(radix));
            let digits = self.rest[2..end].replace('_', "");
            if let Some(number) = BigInt::parse_bytes(digits.as_bytes(), radix) {
                self.integer(&number, end);
                return Ok(());
            }
        }
        let decimal = |byte: u8| byte.is_ascii_digit();
        let whole = self.digits(0, decimal);
        let after_dot = matches!(self.tokens.last(), Some(Token::Sign(".")));
        let mut end = whole;
        if !after_dot {
            let bytes = self.rest.as_bytes();
            if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
                end = self.digits(end + 1, decimal);
            }
            if matches!(bytes.get(end), Some(b'e' | b'E')) {
                let from = end + 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
                let exponent = self.digits(from, decimal);
                end = if exponent > from { exponent } else { end };
            }
        }
        let digits = self.rest[..end].replace('_', "");
        if end > whole {
            let float = digits.parse().map_err(|_| Fault::syntax("a number cannot be read"))?;
            self.tokens.push(Token::Constant(Constant::Float(float)));
            self.rest = &self.rest[end..];
            return Ok(());
        }
        let number = BigInt::parse_bytes(digits.as_bytes(), 10);
        let number = number.ok_or_else(|| Fault::syntax("a number cannot be read"))?;
        if digits.len() > 1 && digits.starts_with('0') && digits.bytes().any(|byte| byte != b'0') {
            return Err(Fault::syntax("a number starts with 0"));
        }
        self.integer(&number, end);
        Ok(())
    }

    fn integer(&mut self, number: &BigInt, end: usize) {
        let constant = i64::try_from(number).map_or_else(|_| Constant::Big(number.clone()), Constant::Int);
        self.tokens.push(Token::Constant(constant));
        self.rest = &self.rest[end..];
    }

    fn string(&mut self, quote: char) -> Result<(), Fault> {
        let mut escaped = false;
        let end = self.rest.char_indices().skip(1).find(|(_, c)| {
            let ends = *c == quote && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        });
        let Some((end, _)) = end else { return Err(Fault::syntax("a text is not closed")) };
        let raw = &self.rest[1..end];
        let text = if raw.contains('\\') { unescaped(raw)? } else { raw.to_owned() };
        self.tokens.push(Token::Constant(Constant::Text(text.into())));
        self.rest = &self.rest[end + 1..];
        Ok(())
    }
}

/// Python's escapes in a text.
fn unescaped(raw: &str) -> Result<String, Fault> {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = crate::connector::manifest::literal::escape(&rest[at + 1..], &mut out)
            .ok_or_else(|| Fault::syntax("a text has a broken escape"))?;
    }
    out.push_str(rest);
    Ok(out)
}
