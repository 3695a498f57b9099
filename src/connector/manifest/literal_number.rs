//! Reading Python's numbers, without the sign before them.
//!
//! Owns the grammar of integers (any size and base, underscores between digits) and floats. Refuses imaginary numbers.

use num_bigint::BigInt;
use serde_json::{Number, Value};

use super::literal::Outcome;

/// An integer or a float by Python's grammar.
pub(super) fn number(digits: &str, negative: bool) -> Option<Outcome> {
    let ends_well = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && !digits.ends_with('_');
    if !ends_well || digits.contains("__") {
        return None;
    }
    let lower = digits.to_ascii_lowercase();
    let radix = [("0x", 16), ("0o", 8), ("0b", 2)].into_iter().find(|(prefix, _)| lower.starts_with(prefix));
    let plain = lower.replace('_', "");
    if let Some((_, radix)) = radix {
        let size = plain.get(2..).filter(|size| size.chars().all(|c| c.is_digit(radix)))?;
        return integer(&BigInt::parse_bytes(size.as_bytes(), radix)?, negative);
    }
    if plain.bytes().all(|byte| byte.is_ascii_digit()) {
        // 007 is no Python number, 000 is; and more digits than these are refused.
        let leading_zero = plain.len() > 1 && plain.starts_with('0') && plain.bytes().any(|byte| byte != b'0');
        if leading_zero || plain.len() > 4_300 {
            return None;
        }
        return integer(&BigInt::parse_bytes(plain.as_bytes(), 10)?, negative);
    }
    let underscored_point = lower.split(['.', 'e', '+', '-']).any(|part| part.starts_with('_') || part.ends_with('_'));
    if underscored_point
        || !plain.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'+' | b'-'))
    {
        return None;
    }
    let float: f64 = plain.parse().ok()?;
    let float = if negative { -float } else { float };
    Some(Number::from_f64(float).map_or(Outcome::Infinite(float), |number| Outcome::Json(Value::Number(number))))
}

fn integer(size: &BigInt, negative: bool) -> Option<Outcome> {
    let value = if negative { -size } else { size.clone() };
    let small = i64::try_from(&value).map(Value::from).or_else(|_| u64::try_from(&value).map(Value::from));
    Some(small.map_or_else(|_| Outcome::Big(value), Outcome::Json))
}
