//! Typed coercions: one value of a payload to one cell, or the reason why not.
//!
//! Owns what each type of the field map accepts. Refuses to guess, to cut and to round, and never repeats a value in
//! a reason (P18).

use std::{borrow::Cow, collections::HashMap};

use rust_decimal::Decimal;
use serde_json::Value;

use super::{
    money::{self, MoneyRule},
    phone::{self, DefaultRegion},
    time::TimeRule,
};
use crate::domain::record::Cell;

/// What a field of a field map is read as.
#[derive(Debug)]
pub(super) enum Kind {
    Email,
    Phone(Option<DefaultRegion>),
    Money(MoneyRule),
    Timestamp(TimeRule),
    Enum(EnumRule),
    Text,
    Integer,
    Decimal,
    Bool,
    Json,
}

/// The closed list of a provider's words and what they are to us.
#[derive(Debug)]
pub(super) struct EnumRule {
    /// From the provider's word to its place in the map and ours; to `None` where the map says that it means nothing.
    pub(super) words: HashMap<String, (usize, Option<String>)>,
    /// Stands between several words in one text; the one that the map lists first is taken, all must be known.
    pub(super) separator: Option<String>,
}

impl EnumRule {
    fn read(&self, value: &Value) -> Result<Option<&str>, Fault> {
        let text = scalar(value).ok_or(UNKNOWN_ENUM)?;
        let ours = match &self.separator {
            None => self.words.get(text.as_ref()).ok_or(UNKNOWN_ENUM)?,
            Some(separator) => {
                let mut first: Option<&(usize, Option<String>)> = None;
                for word in text.split(separator.as_str()).map(str::trim).filter(|word| !word.is_empty()) {
                    let found = self.words.get(word).ok_or(UNKNOWN_ENUM)?;
                    if first.is_none_or(|first| found.0 < first.0) {
                        first = Some(found);
                    }
                }
                first.ok_or(UNKNOWN_ENUM)?
            }
        };
        Ok(ours.1.as_deref())
    }
}

/// Why a value was refused: a stable word, and what was expected instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: &'static str,
    pub(super) expected: &'static str,
}

impl Fault {
    pub(super) const fn new(code: &'static str, expected: &'static str) -> Self {
        Self { code, expected }
    }
}

const NOT_TEXT: Fault = Fault::new("not_text", "text, a number or a truth value is expected, not a list or an object");
const TOO_LONG: Fault = Fault::new("too_long", "a shorter text is expected: the column does not hold so much");
const NOT_AN_EMAIL: Fault = Fault::new("not_an_email", "an e-mail address such as name@example.test is expected");
const NOT_A_PHONE: Fault =
    Fault::new("not_a_phone", "a phone number is expected, with its country code unless the map has a default region");
const NOT_AN_INTEGER: Fault = Fault::new("not_an_integer", "a whole number is expected");
const NOT_A_BOOL: Fault = Fault::new("not_a_bool", "one of true, false, yes, no, 1, 0 is expected");
const UNKNOWN_ENUM: Fault = Fault::new("unknown_enum", "one of the values that the field map lists is expected");
const UNKNOWN_CURRENCY: Fault = Fault::new("unknown_currency", "a currency code of ISO 4217 such as USD is expected");
const MISSING_CURRENCY: Fault = Fault::new("missing_currency", "a currency is expected beside the amount");

/// A cell, and for money the currency that goes with it.
pub(super) type Coerced = (Cell, Option<&'static str>);

impl Kind {
    /// Reads a value that is there. `payload` is where a currency is looked up; texts longer than `max_chars` fail.
    pub(super) fn read(&self, value: &Value, payload: &Value, max_chars: usize) -> Result<Coerced, Fault> {
        let cell = match self {
            Self::Email => Cell::Text(bounded(email(value)?, max_chars)?),
            Self::Phone(region) => {
                let text = scalar(value).ok_or(NOT_A_PHONE)?;
                Cell::Text(bounded(phone::to_e164(&text, *region).ok_or(NOT_A_PHONE)?, max_chars)?)
            }
            Self::Money(rule) => {
                let currency = currency(rule, payload)?;
                return Ok((Cell::Decimal(money::amount(value, rule.unit, currency)?), Some(currency)));
            }
            Self::Timestamp(rule) => Cell::Time(rule.read(value)?),
            Self::Enum(rule) => rule.read(value)?.map_or(Cell::Null, |word| Cell::Text(word.to_owned())),
            Self::Text => Cell::Text(bounded(scalar(value).ok_or(NOT_TEXT)?.into_owned(), max_chars)?),
            Self::Integer => Cell::Integer(integer(value).ok_or(NOT_AN_INTEGER)?),
            Self::Decimal => Cell::Decimal(money::decimal(value)?),
            Self::Bool => Cell::Bool(truth(value).ok_or(NOT_A_BOOL)?),
            Self::Json => Cell::Json(value.to_string()),
        };
        Ok((cell, None))
    }
}

/// A scalar as text without blanks around it; `None` for lists, objects and null.
pub(super) fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text.trim())),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(true) => Some(Cow::Borrowed("true")),
        Value::Bool(false) => Some(Cow::Borrowed("false")),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Several values as one text, e.g. a first and a last name.
pub(super) fn joined<'v>(
    values: impl Iterator<Item = &'v Value>,
    separator: &str,
    max_chars: usize,
) -> Result<Cell, Fault> {
    let mut all = String::new();
    for value in values {
        let text = scalar(value).ok_or(NOT_TEXT)?;
        if !all.is_empty() {
            all.push_str(separator);
        }
        all.push_str(&text);
    }
    bounded(all, max_chars).map(Cell::Text)
}

fn bounded(text: String, max_chars: usize) -> Result<String, Fault> {
    // Bytes are never fewer than characters, so that most texts are not counted.
    if text.len() > max_chars && text.chars().count() > max_chars { Err(TOO_LONG) } else { Ok(text) }
}

fn currency(rule: &MoneyRule, payload: &Value) -> Result<&'static str, Fault> {
    use super::{money::CurrencyRule, path::Found};
    match &rule.currency {
        CurrencyRule::Constant(code) => Ok(code),
        CurrencyRule::From(path) => match path.find(payload) {
            Found::Missing | Found::Empty => Err(MISSING_CURRENCY),
            Found::Value(Value::String(code)) => money::currency(code).ok_or(UNKNOWN_CURRENCY),
            Found::Value(_) => Err(UNKNOWN_CURRENCY),
        },
    }
}

/// An address in small letters: mailboxes that differ by case only are one mailbox everywhere we know.
fn email(value: &Value) -> Result<String, Fault> {
    /// RFC 5321: 64 before the @, 254 in all.
    const LOCAL: usize = 64;
    const WHOLE: usize = 254;
    let Value::String(text) = value else { return Err(NOT_AN_EMAIL) };
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@').ok_or(NOT_AN_EMAIL)?;
    let local_is_good = !local.is_empty()
        && local.len() <= LOCAL
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && local.chars().all(|c| c.is_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c));
    let domain_is_good = domain.contains('.')
        && domain.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        });
    if local_is_good && domain_is_good && text.len() <= WHOLE { Ok(text.to_lowercase()) } else { Err(NOT_AN_EMAIL) }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| whole(money::decimal(value).ok()?)),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn whole(number: Decimal) -> Option<i64> {
    if number.is_integer() { i64::try_from(number).ok() } else { None }
}

fn truth(value: &Value) -> Option<bool> {
    const YES: [&str; 3] = ["true", "yes", "1"];
    const NO: [&str; 3] = ["false", "no", "0"];
    if let Value::Bool(truth) = value {
        return Some(*truth);
    }
    let text = scalar(value)?;
    if YES.iter().any(|word| word.eq_ignore_ascii_case(&text)) {
        Some(true)
    } else if NO.iter().any(|word| word.eq_ignore_ascii_case(&text)) {
        Some(false)
    } else {
        None
    }
}
