//! Reading Python's literals.
//!
//! Owns the grammar: numbers, texts and bytes with their prefixes and escapes, `None`, `True`, `False`, tuples, lists, sets
//! and dicts. What needs computing, a complex number, and what is nested beyond the reference's bound are no literals.

use serde_json::{Map, Value};

use super::{literal::Outcome, literal_number::number};

/// The reference's bound on nesting.
const MAX_DEPTH: usize = 200;

/// The literal that the whole text is.
pub(super) fn parse(text: &str) -> Option<Outcome> {
    let start = text.trim_start_matches([' ', '\t']);
    // Most texts end here.
    if !start.starts_with(|c: char| c.is_ascii_digit() || "'\"[({+-.NTFubrUBRs#\n\r".contains(c)) || text.contains('\0')
    {
        return None;
    }
    let mut reader = Reader { text: start, depth: 0 };
    reader.lines();
    let first = reader.value()?;
    reader.blank();
    let value = if reader.text.starts_with(',') { reader.tuple(first)? } else { first };
    reader.blank();
    reader.lines();
    reader.text.is_empty().then_some(value)
}

struct Reader<'t> {
    text: &'t str,
    depth: usize,
}

impl Reader<'_> {
    /// Skips what means nothing here: line ends and comments only inside of brackets.
    fn blank(&mut self) {
        self.text = self.text.trim_start_matches([' ', '\t', '\u{c}']);
        if self.depth > 0 {
            loop {
                self.text = self.text.trim_start_matches([' ', '\t', '\u{c}', '\n', '\r']);
                if !self.text.starts_with('#') {
                    return;
                }
                self.text = &self.text[self.text.find('\n').unwrap_or(self.text.len())..];
            }
        }
    }

    /// Skips whole lines without code.
    fn lines(&mut self) {
        loop {
            let line = self.text.trim_start_matches([' ', '\t', '\u{c}']);
            if !line.is_empty() && !line.starts_with(['\n', '\r', '#']) {
                return;
            }
            let end = line.find(['\n', '\r']).map_or(line.len(), |at| at + 1);
            self.text = &line[end..];
            if self.text.is_empty() {
                return;
            }
        }
    }

    fn eat(&mut self, token: char) -> bool {
        self.blank();
        let rest = self.text.strip_prefix(token);
        self.text = rest.unwrap_or(self.text);
        rest.is_some()
    }

    fn open(&mut self, token: char) -> Option<()> {
        self.text = self.text.strip_prefix(token)?;
        self.depth += 1;
        (self.depth < MAX_DEPTH).then_some(())
    }

    /// A closing bracket; what follows may be outside of all.
    fn close(&mut self, token: char) -> bool {
        let closed = self.eat(token);
        self.depth -= usize::from(closed);
        closed
    }

    fn value(&mut self) -> Option<Outcome> {
        self.blank();
        Some(match self.text.chars().next()? {
            '[' => {
                self.open('[')?;
                list(self.items(']')?)
            }
            '(' => self.parenthesis()?,
            '{' => self.braces()?,
            '\'' | '"' => self.strings()?,
            'u' | 'b' | 'r' | 'U' | 'B' | 'R' if self.prefix().is_some() => self.strings()?,
            '+' | '-' => self.signed()?,
            '.' | '0'..='9' => self.number(false)?,
            _ => self.word()?,
        })
    }

    fn word(&mut self) -> Option<Outcome> {
        let end = self.text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.text.len());
        let (word, rest) = self.text.split_at(end);
        self.text = rest;
        Some(Outcome::Json(match word {
            "None" => Value::Null,
            "True" => Value::Bool(true),
            "False" => Value::Bool(false),
            "set" => {
                self.text = self.text.trim_start_matches([' ', '\t']).strip_prefix('(')?;
                self.blank();
                self.text = self.text.strip_prefix(')')?;
                return Some(Outcome::Set(Vec::new()));
            }
            _ => return None,
        }))
    }

    fn items(&mut self, close: char) -> Option<Vec<Outcome>> {
        let mut items = Vec::new();
        loop {
            if self.close(close) {
                return Some(items);
            }
            items.push(self.value()?);
            if !self.eat(',') {
                return self.close(close).then_some(items);
            }
        }
    }

    /// `(1)` is 1, `(1,)` and `()` are tuples.
    fn parenthesis(&mut self) -> Option<Outcome> {
        self.open('(')?;
        if self.close(')') {
            return Some(Outcome::Tuple(Vec::new()));
        }
        let first = self.value()?;
        if self.close(')') {
            return Some(first);
        }
        if !self.eat(',') {
            return None;
        }
        let mut items = vec![first];
        items.extend(self.items(')')?);
        Some(Outcome::Tuple(items))
    }

    /// `1, 2` without parentheses.
    fn tuple(&mut self, first: Outcome) -> Option<Outcome> {
        let mut items = vec![first];
        while self.eat(',') {
            self.blank();
            if self.text.is_empty() || self.text.starts_with(['#', '\n', '\r']) {
                break;
            }
            items.push(self.value()?);
        }
        Some(Outcome::Tuple(items))
    }

    /// A dict or a set.
    fn braces(&mut self) -> Option<Outcome> {
        self.open('{')?;
        if self.close('}') {
            return Some(Outcome::Json(Value::Object(Map::new())));
        }
        let first = self.value()?;
        if !self.eat(':') {
            let mut items = vec![first];
            if self.eat(',') {
                items.extend(self.items('}')?);
            } else if !self.close('}') {
                return None;
            }
            let mut kept: Vec<Outcome> = Vec::new();
            for item in items {
                if !hashable(&item) {
                    return None;
                }
                if !kept.iter().any(|have| same(have, &item)) {
                    kept.push(item);
                }
            }
            return Some(Outcome::Set(kept));
        }
        let mut pairs: Vec<(Outcome, Outcome)> = Vec::new();
        let mut key = first;
        loop {
            if !hashable(&key) {
                return None;
            }
            let value = self.value()?;
            match pairs.iter_mut().find(|(have, _)| same(have, &key)) {
                Some((_, have)) => *have = value,
                None => pairs.push((key, value)),
            }
            if !self.eat(',') {
                return self.close('}').then(|| dict(pairs));
            }
            if self.close('}') {
                return Some(dict(pairs));
            }
            key = self.value()?;
            if !self.eat(':') {
                return None;
            }
        }
    }

    /// The letters before a quote, and whether they say raw and bytes.
    fn prefix(&self) -> Option<(usize, bool, bool)> {
        let end = self.text.find(['\'', '"']).filter(|end| *end <= 2)?;
        match self.text[..end].to_ascii_lowercase().as_str() {
            "" | "u" => Some((end, false, false)),
            "r" => Some((end, true, false)),
            "b" => Some((end, false, true)),
            "br" | "rb" => Some((end, true, true)),
            _ => None,
        }
    }

    /// One text, or several side by side, which are one.
    fn strings(&mut self) -> Option<Outcome> {
        let mut out = String::new();
        let mut all_bytes = None;
        while let Some((length, raw, bytes)) = self.prefix() {
            if *all_bytes.get_or_insert(bytes) != bytes {
                return None;
            }
            self.text = &self.text[length..];
            let quote = &self.text[..1];
            let triple = quote.repeat(3);
            let fence = if self.text.starts_with(&triple) { triple } else { quote.to_owned() };
            self.text = &self.text[fence.len()..];
            self.string(&fence, raw, bytes, &mut out)?;
            self.blank();
        }
        if all_bytes == Some(true) {
            // Each character stands for one byte.
            return out.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect::<Option<_>>().map(Outcome::Bytes);
        }
        Some(Outcome::text(out))
    }

    fn string(&mut self, fence: &str, raw: bool, bytes: bool, out: &mut String) -> Option<()> {
        loop {
            if let Some(rest) = self.text.strip_prefix(fence) {
                self.text = rest;
                return Some(());
            }
            let mut chars = self.text.chars();
            match chars.next()? {
                '\\' if raw => {
                    let next = chars.next()?;
                    out.extend(['\\', next]);
                    self.text = chars.as_str();
                }
                '\\' if bytes && chars.as_str().starts_with(['u', 'U', 'N']) => {
                    out.push('\\');
                    self.text = chars.as_str();
                }
                '\\' => self.text = escape(chars.as_str(), out)?,
                '\n' | '\r' if fence.len() == 1 => return None,
                c if bytes && !c.is_ascii() => return None,
                c => {
                    self.text = chars.as_str();
                    out.push(c);
                }
            }
        }
    }

    /// A sign before a number; two signs are no literal.
    fn signed(&mut self) -> Option<Outcome> {
        let negative = self.text.starts_with('-');
        self.text = self.text[1..].trim_start_matches([' ', '\t']);
        let mut parentheses = 0;
        while self.text.starts_with('(') {
            self.open('(')?;
            parentheses += 1;
            self.blank();
        }
        let value = self.number(negative)?;
        for _ in 0..parentheses {
            if !self.close(')') {
                return None;
            }
        }
        Some(value)
    }

    fn number(&mut self, negative: bool) -> Option<Outcome> {
        let mut end = 0;
        let bytes = self.text.as_bytes();
        let hexadecimal = self.text.starts_with("0x") || self.text.starts_with("0X");
        while let Some(byte) = bytes.get(end) {
            let exponent_sign = matches!(byte, b'+' | b'-')
                && end > 0
                && matches!(bytes.get(end - 1), Some(b'e' | b'E'))
                && bytes.get(end + 1).is_some_and(u8::is_ascii_digit)
                && !hexadecimal;
            if !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_') || exponent_sign) {
                break;
            }
            end += 1;
        }
        let (digits, rest) = self.text.split_at(end);
        let value = number(digits, negative)?;
        self.text = rest;
        Some(value)
    }
}

fn list(items: Vec<Outcome>) -> Outcome {
    if items.iter().all(|item| matches!(item, Outcome::Json(_))) {
        return Outcome::Json(Value::Array(items.into_iter().map(Outcome::into_json).collect()));
    }
    Outcome::List(items)
}

fn dict(pairs: Vec<(Outcome, Outcome)>) -> Outcome {
    let plain = |pair: &(Outcome, Outcome)| matches!(pair, (Outcome::Json(Value::String(_)), Outcome::Json(_)));
    if pairs.iter().all(plain) {
        return Outcome::Json(Outcome::Dict(pairs).into_json());
    }
    Outcome::Dict(pairs)
}

fn hashable(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Json(value) => !value.is_array() && !value.is_object(),
        Outcome::Big(_) | Outcome::Infinite(_) | Outcome::Bytes(_) => true,
        Outcome::Tuple(items) => items.iter().all(hashable),
        Outcome::Set(_) | Outcome::List(_) | Outcome::Dict(_) => false,
    }
}

/// Whether two keys are one: 1, 1.0 and True are.
fn same(a: &Outcome, b: &Outcome) -> bool {
    let number = |outcome: &Outcome| match outcome {
        Outcome::Json(Value::Bool(truth)) => Some(f64::from(u8::from(*truth))),
        Outcome::Json(Value::Number(number)) => number.as_f64(),
        _ => None,
    };
    match (number(a), number(b)) {
        (Some(x), Some(y)) if x.abs() < 9e15 => (x - y).abs() == 0.0,
        _ => a == b,
    }
}

/// Reads what follows a backslash, adds what it means and gives what is left. None where Python would refuse the text.
pub fn escape<'t>(text: &'t str, out: &mut String) -> Option<&'t str> {
    let mut chars = text.chars();
    let escaped = chars.next()?;
    let rest = chars.as_str();
    let digits = match escaped {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => 0,
    };
    if digits > 0 {
        let code = rest.get(..digits).filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        out.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
        return Some(&rest[digits..]);
    }
    match escaped {
        'n' => out.push('\n'),
        'r' => out.push('\r'),
        't' => out.push('\t'),
        'a' => out.push('\u{7}'),
        'b' => out.push('\u{8}'),
        'f' => out.push('\u{c}'),
        'v' => out.push('\u{b}'),
        '\n' => {}
        '\\' | '\'' | '"' => out.push(escaped),
        '0'..='7' => {
            let length = text.bytes().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
            out.push(char::from_u32(u32::from_str_radix(&text[..length], 8).ok()?)?);
            return Some(&text[length..]);
        }
        // Names of characters are not known here.
        'N' => return None,
        // Python keeps an escape that it does not know.
        other => out.extend(['\\', other]),
    }
    Some(rest)
}
