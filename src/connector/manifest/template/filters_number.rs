//! Filters on numbers, and reading numbers as Python does.

use num_bigint::BigInt;

use super::{
    compare::{Number, number, to_float},
    evaluate::Run,
    fault::{Fault, FaultKind},
    filters_list,
    methods_text::is_space,
    operators,
    passed::{Passed, may_int, needs_text},
    syntax::Arithmetic,
    value::Val,
};

/// `int()` of a float.
pub(super) fn whole(float: f64) -> Result<BigInt, Fault> {
    use num_traits::FromPrimitive as _;
    if float.is_nan() {
        return Err(Fault::value("not a number has no integer"));
    }
    BigInt::from_f64(float.trunc()).ok_or_else(|| Fault::new(FaultKind::Overflow, "infinity has no integer"))
}

/// Digits with single underscores between.
fn plain_digits(digits: &str) -> Option<String> {
    let broken = digits.starts_with('_') || digits.ends_with('_') || digits.contains("__");
    (!broken && !digits.is_empty()).then(|| digits.replace('_', ""))
}

/// `int(text, base)`.
pub(in crate::connector::manifest) fn int_of(text: &str, base: u32) -> Option<BigInt> {
    let text = text.trim_matches(is_space);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let prefixed = [("0x", 16), ("0o", 8), ("0b", 2)].into_iter().find(|(prefix, _)| lower.starts_with(prefix));
    let (base, digits) = match prefixed {
        Some((_, radix)) if base == radix || base == 0 => {
            let rest = &digits[2..];
            (radix, rest.strip_prefix('_').unwrap_or(rest))
        }
        _ => (if base == 0 { 10 } else { base }, digits),
    };
    let digits = plain_digits(digits)?;
    if !(2..=36).contains(&base) || !digits.chars().all(|c| c.is_digit(base)) || digits.len() > 4_300 {
        return None;
    }
    let size = BigInt::parse_bytes(digits.as_bytes(), base)?;
    Some(if negative { -size } else { size })
}

/// `float(text)`.
pub(in crate::connector::manifest) fn float_of(text: &str) -> Option<f64> {
    let text = text.trim_matches(is_space);
    let bare = text.trim_start_matches(['+', '-']);
    if text.len() - bare.len() > 1 {
        return None;
    }
    let word = matches!(bare.to_ascii_lowercase().as_str(), "inf" | "infinity" | "nan");
    if word {
        return text.parse().ok();
    }
    // Underscores stand between digits only.
    let bytes = text.as_bytes();
    let between =
        |at: usize| at > 0 && bytes[at - 1].is_ascii_digit() && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
    let fits = bytes.iter().enumerate().all(|(at, byte)| match byte {
        b'_' => between(at),
        byte => byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'),
    });
    if fits { text.replace('_', "").parse().ok() } else { None }
}

pub(super) fn int<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let [otherwise, base] = passed.fit(["default", "base"], 0)?;
    let otherwise = otherwise.unwrap_or(Val::Int(0));
    let base = u32::try_from(may_int(base)?.unwrap_or(10)).unwrap_or(1);
    value.used()?;
    match number(&value) {
        Some(Number::Int(int)) => return Ok(Val::big(int)),
        Some(Number::Float(float)) if float.is_nan() => return Ok(otherwise),
        Some(Number::Float(float)) => return whole(float).map(Val::big),
        None => {}
    }
    let Val::Text(text) = &value else { return Ok(otherwise) };
    if let Some(int) = int_of(text, base) {
        return Ok(Val::big(int));
    }
    let float = float_of(text).filter(|float| float.is_finite());
    Ok(float.and_then(|float| whole(float).ok()).map_or(otherwise, Val::big))
}

pub(super) fn float<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let [otherwise] = passed.fit(["default"], 0)?;
    let otherwise = otherwise.unwrap_or(Val::Float(0.0));
    value.used()?;
    Ok(match (number(&value), &value) {
        (Some(Number::Int(int)), _) => {
            let float = to_float(&int);
            if float.is_infinite() {
                return Err(Fault::new(FaultKind::Overflow, "an integer is too large for a float"));
            }
            Val::Float(float)
        }
        (Some(Number::Float(float)), _) => Val::Float(float),
        (None, Val::Text(text)) => float_of(text).map_or(otherwise, Val::Float),
        _ => otherwise,
    })
}

pub(super) fn abs<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    passed.nothing()?;
    value.used()?;
    match (number(&value), &value) {
        (Some(Number::Int(int)), _) => Ok(Val::big(BigInt::from(int.magnitude().clone()))),
        (Some(Number::Float(float)), _) => Ok(Val::Float(float.abs())),
        (None, Val::Span(span)) if span.micros() < 0 => span.negated().map(Val::Span),
        (None, Val::Span(_)) => Ok(value),
        _ => Err(Fault::wrong_type("the value has no size")),
    }
}

/// `round(value, precision)`: halves go to the even neighbour.
fn rounded<'a>(value: Number, precision: i64) -> Val<'a> {
    match value {
        Number::Int(int) if precision >= 0 => Val::big(int),
        Number::Int(int) => {
            let Ok(places @ 0..=100) = u32::try_from(-precision) else { return Val::Int(0) };
            let unit = BigInt::from(10).pow(places);
            let twice: BigInt = int.magnitude().clone().into();
            let (quotient, rest) = (&twice / &unit, (&twice % &unit) * 2);
            let up = rest > unit || (rest == unit && quotient.bit(0));
            let size = (if up { quotient + 1 } else { quotient }) * unit;
            Val::big(if int.sign() == num_bigint::Sign::Minus { -size } else { size })
        }
        Number::Float(float) if !float.is_finite() || precision > 322 => Val::Float(float),
        Number::Float(float) => match usize::try_from(precision) {
            Ok(places) => Val::Float(format!("{float:.places$}").parse().unwrap_or(float)),
            Err(_) if precision < -308 => Val::Float(0.0_f64.copysign(float)),
            Err(_) => {
                let unit = 10_f64.powi(i32::try_from(-precision).unwrap_or(i32::MAX));
                Val::Float((float / unit).round_ties_even() * unit)
            }
        },
    }
}

pub(super) fn round<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let [precision, method] = passed.fit(["precision", "method"], 0)?;
    let method = method.map(|method| needs_text(Some(method))).transpose()?;
    let method = method.as_deref().unwrap_or("common");
    if !matches!(method, "common" | "ceil" | "floor") {
        return Err(Fault::new(FaultKind::FilterArgument, "the method is not common, ceil or floor"));
    }
    value.used()?;
    let size = number(&value).ok_or_else(|| Fault::wrong_type("the value is not a number"))?;
    let none_given = matches!(precision, Some(Val::None));
    let places = may_int(precision)?.unwrap_or(0);
    if method == "common" {
        if none_given && let Number::Float(float) = size {
            return whole(float.round_ties_even()).map(Val::big);
        }
        return Ok(rounded(size, places));
    }
    let unit = operators::apply(Arithmetic::Power, &Val::Int(10), &Val::Int(places))?;
    let scaled = operators::apply(Arithmetic::Multiply, &value, &unit)?;
    let cut = match number(&scaled) {
        Some(Number::Float(float)) => {
            whole(if method == "ceil" { float.ceil() } else { float.floor() }).map(Val::big)?
        }
        _ => scaled,
    };
    operators::apply(Arithmetic::Divide, &cut, &unit)
}

pub(super) fn sum<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let [attribute, start] = passed.fit(["attribute", "start"], 0)?;
    let path = filters_list::path(attribute.as_ref())?;
    let mut total = start.unwrap_or(Val::Int(0));
    if matches!(total, Val::Text(_)) {
        return Err(Fault::wrong_type("texts cannot be summed up"));
    }
    for item in value.items()? {
        total = operators::apply(Arithmetic::Add, &total, &filters_list::walk(item, &path, None)?)?;
    }
    Ok(total)
}
