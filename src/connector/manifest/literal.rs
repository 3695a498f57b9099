//! The type rules of the format: what a template printed is read back as a Python literal.
//!
//! Owns the reading, and what counts as false; printing is `python`. The format's reference evaluates a template to text and guesses the type
//! from that text; requests and records come out alike only if the same guesses are made. Refuses tuples and sets as such
//! (a tuple becomes a list); numbers that JSON cannot hold stay text, digit by digit.

use serde_json::{Map, Number, Value};

use super::python::to_text;

/// Deeper nesting is not a literal that a manifest means.
const MAX_DEPTH: usize = 64;

/// The value that the text is a literal of; the text itself when it is none.
pub fn guess(text: String) -> Value {
    parse(&text).unwrap_or(Value::String(text))
}

/// Whether a condition that came out as `value` holds. Text counts, too: `{}` and `False` are false, `None` is true.
pub fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !matches!(text.as_str(), "" | "False" | "false" | "{}" | "[]" | "()" | "0" | "0.0"),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

fn parse(text: &str) -> Option<Value> {
    let mut reader = Reader { text: text.trim_start_matches([' ', '\t']), depth: 0 };
    let first = reader.value()?;
    reader.blank();
    let value = if reader.text.starts_with(',') { reader.tuple(first)? } else { first };
    reader.blank();
    (reader.text.is_empty() || reader.text.starts_with('#')).then_some(value)
}

struct Reader<'t> {
    text: &'t str,
    depth: usize,
}

impl Reader<'_> {
    fn blank(&mut self) {
        self.text = self.text.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn eat(&mut self, token: char) -> bool {
        self.blank();
        let rest = self.text.strip_prefix(token);
        self.text = rest.unwrap_or(self.text);
        rest.is_some()
    }

    fn value(&mut self) -> Option<Value> {
        self.blank();
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let value = match self.text.chars().next()? {
            '[' => {
                self.eat('[');
                Value::Array(self.list(']')?)
            }
            '(' => self.parenthesis()?,
            '{' => self.dict()?,
            '\'' | '"' => Value::String(self.strings()?),
            '+' | '-' | '.' | '0'..='9' => self.number()?,
            _ => self.word()?,
        };
        self.depth -= 1;
        Some(value)
    }

    fn word(&mut self) -> Option<Value> {
        let end = self.text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.text.len());
        let (word, rest) = self.text.split_at(end);
        let value = match word {
            "None" => Value::Null,
            "True" => Value::Bool(true),
            "False" => Value::Bool(false),
            _ => return None,
        };
        self.text = rest;
        Some(value)
    }

    fn list(&mut self, close: char) -> Option<Vec<Value>> {
        let mut items = Vec::new();
        loop {
            if self.eat(close) {
                return Some(items);
            }
            items.push(self.value()?);
            if !self.eat(',') {
                return self.eat(close).then_some(items);
            }
        }
    }

    /// `(1)` is 1, `(1,)` and `()` are tuples.
    fn parenthesis(&mut self) -> Option<Value> {
        self.eat('(');
        if self.eat(')') {
            return Some(Value::Array(Vec::new()));
        }
        let first = self.value()?;
        if self.eat(')') {
            return Some(first);
        }
        if !self.eat(',') {
            return None;
        }
        let mut items = vec![first];
        items.extend(self.list(')')?);
        Some(Value::Array(items))
    }

    /// `1, 2` without parentheses.
    fn tuple(&mut self, first: Value) -> Option<Value> {
        let mut items = vec![first];
        while self.eat(',') {
            self.blank();
            if self.text.is_empty() || self.text.starts_with('#') {
                break;
            }
            items.push(self.value()?);
        }
        Some(Value::Array(items))
    }

    fn dict(&mut self) -> Option<Value> {
        self.eat('{');
        let mut fields = Map::new();
        loop {
            if self.eat('}') {
                return Some(Value::Object(fields));
            }
            let key = self.value()?;
            // JSON has text keys only; Python would send a number key as text as well.
            let key = match key {
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => to_text(&key),
                Value::Array(_) | Value::Object(_) => return None,
            };
            if !self.eat(':') {
                return None;
            }
            fields.insert(key, self.value()?);
            if !self.eat(',') {
                return self.eat('}').then_some(Value::Object(fields));
            }
        }
    }

    /// One string, or several side by side, which are one.
    fn strings(&mut self) -> Option<String> {
        let mut out = String::new();
        while let Some(quote @ ('\'' | '"')) = self.text.chars().next() {
            let triple = String::from(quote).repeat(3);
            let fence = if self.text.starts_with(&triple) { triple } else { quote.to_string() };
            self.text = &self.text[fence.len()..];
            self.string(&fence, &mut out)?;
            self.blank();
        }
        Some(out)
    }

    fn string(&mut self, fence: &str, out: &mut String) -> Option<()> {
        loop {
            if let Some(rest) = self.text.strip_prefix(fence) {
                self.text = rest;
                return Some(());
            }
            let mut chars = self.text.chars();
            match chars.next()? {
                '\\' => {
                    let escaped = chars.next()?;
                    self.text = chars.as_str();
                    self.escape(escaped, out)?;
                }
                '\n' if fence.len() == 1 => return None,
                c => {
                    self.text = chars.as_str();
                    out.push(c);
                }
            }
        }
    }

    fn escape(&mut self, escaped: char, out: &mut String) -> Option<()> {
        let digits = match escaped {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        if digits > 0 {
            let code = self.text.get(..digits)?;
            self.text = &self.text[digits..];
            out.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
            return Some(());
        }
        match escaped {
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            '0' => out.push('\0'),
            '\n' => {}
            '\\' | '\'' | '"' => out.push(escaped),
            // Python keeps an escape that it does not know.
            other => out.extend(['\\', other]),
        }
        Some(())
    }

    fn number(&mut self) -> Option<Value> {
        let mut sign = String::new();
        while let Some(c @ ('+' | '-')) = self.text.chars().next() {
            sign.push(c);
            self.text = self.text[1..].trim_start_matches([' ', '\t']);
        }
        let mut end = 0;
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(end) {
            let exponent_sign = matches!(byte, b'+' | b'-')
                && matches!(bytes.get(end.wrapping_sub(1)), Some(b'e' | b'E'))
                && !self.text.starts_with("0x");
            if !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_') || exponent_sign) {
                break;
            }
            end += 1;
        }
        let (digits, rest) = self.text.split_at(end);
        let negative = sign.matches('-').count() % 2 == 1;
        let value = number(digits, negative)?;
        self.text = rest;
        Some(value)
    }
}

/// An integer or a float by Python's grammar.
fn number(digits: &str, negative: bool) -> Option<Value> {
    let ends_well = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && !digits.ends_with('_');
    if !ends_well || digits.contains("__") {
        return None;
    }
    let lower = digits.to_ascii_lowercase();
    let radix = [("0x", 16), ("0o", 8), ("0b", 2)].into_iter().find(|(prefix, _)| lower.starts_with(prefix));
    let plain = lower.replace('_', "");
    if let Some((_, radix)) = radix {
        return integer(i128::from_str_radix(&plain[2..], radix).ok()?, negative);
    }
    if plain.bytes().all(|b| b.is_ascii_digit()) {
        // 007 is no Python number, 000 is.
        let leading_zero = plain.len() > 1 && plain.starts_with('0') && plain.bytes().any(|b| b != b'0');
        return if leading_zero { None } else { integer(plain.parse().ok()?, negative) };
    }
    let underscored_point = lower.split(['.', 'e', '+', '-']).any(|part| part.starts_with('_') || part.ends_with('_'));
    if underscored_point || !plain.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'+' | b'-')) {
        return None;
    }
    let float: f64 = plain.parse().ok()?;
    Number::from_f64(if negative { -float } else { float }).map(Value::Number)
}

fn integer(magnitude: i128, negative: bool) -> Option<Value> {
    let value = if negative { -magnitude } else { magnitude };
    i64::try_from(value).map(Value::from).or_else(|_| u64::try_from(value).map(Value::from)).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_becomes_what_python_would_read() {
        for (text, expected) in [
            ("12", json!(12)),
            ("-12", json!(-12)),
            ("1_000", json!(1000)),
            ("1e3", json!(1000.0)),
            ("1.", json!(1.0)),
            (".5", json!(0.5)),
            ("1e-05", json!(0.00001)),
            ("0x10", json!(16)),
            ("0b11", json!(3)),
            ("00", json!(0)),
            (" 5", json!(5)),
            ("5 ", json!(5)),
            ("5 # a comment", json!(5)),
            ("True", json!(true)),
            ("False", json!(false)),
            ("None", json!(null)),
            ("[1, 2]", json!([1, 2])),
            ("[]", json!([])),
            ("{'a': 1, 'b': [None, 'x']}", json!({"a": 1, "b": [null, "x"]})),
            ("{\"a\": True}", json!({"a": true})),
            ("{1: 2}", json!({"1": 2})),
            ("1,2", json!([1, 2])),
            ("(1, 2)", json!([1, 2])),
            ("(1)", json!(1)),
            ("(1,)", json!([1])),
            ("()", json!([])),
            ("'q'", json!("q")),
            ("\"q\" 'r'", json!("qr")),
            (r"'a\n\x41\u00e9\d'", json!("a\nA\u{e9}\\d")),
            ("'''a'b'''", json!("a'b")),
            ("''", json!("")),
            // What is no literal stays text.
            ("007", json!("007")),
            ("2020-01-01", json!("2020-01-01")),
            ("2026-01-31T08:00:00Z", json!("2026-01-31T08:00:00Z")),
            ("null", json!("null")),
            ("true", json!("true")),
            ("{\"a\": null}", json!("{\"a\": null}")),
            ("1e999", json!("1e999")),
            ("1__0", json!("1__0")),
            ("1_", json!("1_")),
            ("0x", json!("0x")),
            ("1j", json!("1j")),
            ("12abc", json!("12abc")),
            ("1.2.3", json!("1.2.3")),
            ("-", json!("-")),
            ("", json!("")),
            ("it's", json!("it's")),
            ("'open", json!("'open")),
            ("[1, 2", json!("[1, 2")),
            ("99999999999999999999", json!("99999999999999999999")),
            ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
            ("https://x.example/y?z=1", json!("https://x.example/y?z=1")),
        ] {
            assert_eq!(guess(text.to_owned()), expected, "{text}");
        }
        let deep = "[".repeat(10_000);
        assert_eq!(guess(deep.clone()), json!(deep));
    }

    #[test]
    fn falsehood_is_judged_by_text_too() {
        for text in ["False", "false", "{}", "[]", "()", "", "0", "0.0", "-0.0"] {
            assert!(!is_true(&guess(text.to_owned())), "{text:?}");
        }
        for text in ["True", "None", "1", "no", "null", " ", "[0]", "{'a': 0}"] {
            assert!(is_true(&guess(text.to_owned())), "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_printed_is_read_back(text in ".{0,40}", number in proptest::num::i64::ANY, float in proptest::num::f64::NORMAL) {
            for value in [json!({"k": [text.clone()]}), json!([number]), json!([float])] {
                proptest::prop_assert_eq!(guess(to_text(&value)), value);
            }
        }
    }
}
