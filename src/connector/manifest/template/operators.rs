//! Arithmetic on values.
//!
//! Owns Python's numbers: integers of any size, `/` always gives a float, `//` and `%` round down, truth values count as 0 and
//! 1; beside numbers, texts and lists that are added or repeated, and times. Refuses results beyond a bound on size.

use num_bigint::BigInt;
use num_traits::{Signed as _, Zero as _};

use super::{
    compare::{Number, number, to_float},
    fault::{Fault, FaultKind},
    format_text,
    moment::Span,
    print::MAX_TEXT,
    syntax::Arithmetic,
    value::Val,
};

/// Integers may not grow beyond this, in bits.
const MAX_BITS: u64 = 1 << 16;
/// Lists may not be repeated beyond this, in items.
const MAX_ITEMS: usize = 1 << 20;

fn unfit() -> Fault {
    Fault::wrong_type("an operation on values of types that it is not for")
}

fn zero_division() -> Fault {
    Fault::new(FaultKind::ZeroDivision, "a division by zero")
}

/// `a op b`.
pub(super) fn apply<'a>(operation: Arithmetic, a: &Val<'a>, b: &Val<'a>) -> Result<Val<'a>, Fault> {
    if let (Val::Int(a), Val::Int(b)) = (a, b) {
        let quick = match operation {
            Arithmetic::Add => a.checked_add(*b),
            Arithmetic::Subtract => a.checked_sub(*b),
            Arithmetic::Multiply => a.checked_mul(*b),
            _ => None,
        };
        if let Some(result) = quick {
            return Ok(Val::Int(result));
        }
    }
    if let (Arithmetic::Modulo, Val::Text(text)) = (operation, a) {
        return format_text::percent(text, b);
    }
    a.used()?;
    b.used()?;
    match (number(a), number(b)) {
        (Some(a), Some(b)) => numbers(operation, a, b),
        _ => others(operation, a, b),
    }
}

fn numbers<'a>(operation: Arithmetic, a: Number, b: Number) -> Result<Val<'a>, Fault> {
    let (a, b) = match (a, b) {
        (Number::Int(a), Number::Int(b)) => return integers(operation, &a, &b),
        (Number::Float(a), Number::Float(b)) => (a, b),
        (Number::Int(a), Number::Float(b)) => (finite(&a)?, b),
        (Number::Float(a), Number::Int(b)) => (a, finite(&b)?),
    };
    let divides = matches!(operation, Arithmetic::Divide | Arithmetic::FloorDivide | Arithmetic::Modulo);
    if divides && b == 0.0 {
        return Err(zero_division());
    }
    Ok(Val::Float(match operation {
        Arithmetic::Add => a + b,
        Arithmetic::Subtract => a - b,
        Arithmetic::Multiply => a * b,
        Arithmetic::Divide => a / b,
        Arithmetic::FloorDivide => float_division(a, b).0,
        Arithmetic::Modulo => float_division(a, b).1,
        Arithmetic::Power => {
            if a == 0.0 && b < 0.0 {
                return Err(zero_division());
            }
            if a < 0.0 && b.fract() != 0.0 {
                return Err(Fault::unsupported("a root of a negative number is not supported"));
            }
            let result = a.powf(b);
            if result.is_infinite() && a.is_finite() && b.is_finite() {
                return Err(Fault::new(FaultKind::Overflow, "a power is too large"));
            }
            result
        }
    }))
}

/// Quotient and remainder, rounded down, the remainder with the sign of the divisor.
fn float_division(a: f64, b: f64) -> (f64, f64) {
    let mut remainder = a % b;
    let mut quotient = (a - remainder) / b;
    if remainder == 0.0 {
        remainder = 0.0_f64.copysign(b);
    } else if (b < 0.0) != (remainder < 0.0) {
        remainder += b;
        quotient -= 1.0;
    }
    let whole = quotient.floor();
    (
        if quotient == 0.0 {
            0.0_f64.copysign(a / b)
        } else if quotient - whole > 0.5 {
            whole + 1.0
        } else {
            whole
        },
        remainder,
    )
}

fn finite(int: &BigInt) -> Result<f64, Fault> {
    let float = to_float(int);
    if float.is_finite() {
        Ok(float)
    } else {
        Err(Fault::new(FaultKind::Overflow, "an integer is too large for a float"))
    }
}

fn integers<'a>(operation: Arithmetic, a: &BigInt, b: &BigInt) -> Result<Val<'a>, Fault> {
    let divides = matches!(operation, Arithmetic::Divide | Arithmetic::FloorDivide | Arithmetic::Modulo);
    if divides && b.is_zero() {
        return Err(zero_division());
    }
    Ok(match operation {
        Arithmetic::Add => Val::big(a + b),
        Arithmetic::Subtract => Val::big(a - b),
        Arithmetic::Multiply if a.bits() + b.bits() > MAX_BITS => return Err(Fault::too_large()),
        Arithmetic::Multiply => Val::big(a * b),
        Arithmetic::Divide => Val::Float(finite(a)? / finite(b)?),
        Arithmetic::FloorDivide => {
            let (quotient, remainder) = (a / b, a % b);
            let down = !remainder.is_zero() && remainder.is_negative() != b.is_negative();
            Val::big(if down { quotient - 1 } else { quotient })
        }
        Arithmetic::Modulo => {
            let remainder = a % b;
            let down = !remainder.is_zero() && remainder.is_negative() != b.is_negative();
            Val::big(if down { remainder + b } else { remainder })
        }
        Arithmetic::Power if b.is_negative() => {
            return numbers(operation, Number::Float(finite(a)?), Number::Float(finite(b)?));
        }
        Arithmetic::Power => {
            let exponent = u32::try_from(b).map_err(|_| Fault::too_large());
            match exponent {
                Ok(exponent) if a.bits().saturating_mul(u64::from(exponent)) <= MAX_BITS => Val::big(a.pow(exponent)),
                _ if a.magnitude() <= &num_bigint::BigUint::from(1_u8) => {
                    Val::big(if a.is_negative() && !b.bit(0) { -a } else { a.clone() })
                }
                _ => return Err(Fault::too_large()),
            }
        }
    })
}

fn others<'a>(operation: Arithmetic, a: &Val<'a>, b: &Val<'a>) -> Result<Val<'a>, Fault> {
    match operation {
        Arithmetic::Add => add(a, b),
        Arithmetic::Subtract => subtract(a, b),
        Arithmetic::Multiply => match (a, b) {
            (Val::Span(span), by) | (by, Val::Span(span)) => match by {
                Val::Float(by) => span_by(*span, *by),
                _ => by.as_int().ok_or_else(unfit).and_then(|by| span.times(by)).map(Val::Span),
            },
            _ => match (a.as_int(), b.as_int()) {
                (None, Some(times)) => repeated(a, times),
                (Some(times), None) => repeated(b, times),
                _ => Err(unfit()),
            },
        },
        Arithmetic::Divide | Arithmetic::FloorDivide | Arithmetic::Modulo => spans(operation, a, b),
        Arithmetic::Power => Err(unfit()),
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "bounded, and rounded as the reference does"
)]
fn span_by<'a>(span: Span, by: f64) -> Result<Val<'a>, Fault> {
    let Span::Fixed(micros) = span else { return Err(unfit()) };
    let result = (micros as f64 * by).round_ties_even();
    if result.abs() < 9e18 {
        Ok(Val::Span(Span::Fixed(result as i64)))
    } else {
        Err(Fault::new(FaultKind::Overflow, "a span of time is too long"))
    }
}

#[expect(clippy::cast_precision_loss, reason = "as the reference divides")]
fn spans<'a>(operation: Arithmetic, a: &Val<'a>, b: &Val<'a>) -> Result<Val<'a>, Fault> {
    let Val::Span(Span::Fixed(micros)) = a else { return Err(unfit()) };
    match (operation, b) {
        (_, Val::Span(Span::Fixed(0))) => Err(zero_division()),
        (Arithmetic::Divide, Val::Span(Span::Fixed(by))) => Ok(Val::Float(*micros as f64 / *by as f64)),
        (Arithmetic::FloorDivide, Val::Span(Span::Fixed(by))) => {
            Ok(Val::big(num_integer_floor(BigInt::from(*micros), &BigInt::from(*by))))
        }
        (Arithmetic::Modulo, Val::Span(Span::Fixed(by))) => {
            let remainder = micros.checked_rem(*by).unwrap_or(0);
            let down = remainder != 0 && (remainder < 0) != (*by < 0);
            Ok(Val::Span(Span::Fixed(if down { remainder + by } else { remainder })))
        }
        (Arithmetic::Divide, Val::Float(by)) if *by != 0.0 => span_by(Span::Fixed(*micros), 1.0 / by),
        (Arithmetic::Divide, _) => match b.as_int() {
            Some(0) => Err(zero_division()),
            Some(by) => span_by(Span::Fixed(*micros), 1.0 / by as f64),
            None => Err(unfit()),
        },
        (Arithmetic::FloorDivide, _) => match b.as_int() {
            Some(0) => Err(zero_division()),
            Some(by) => {
                let quotient = num_integer_floor(BigInt::from(*micros), &BigInt::from(by));
                i64::try_from(quotient).map(|micros| Val::Span(Span::Fixed(micros))).map_err(|_| Fault::too_large())
            }
            None => Err(unfit()),
        },
        _ => Err(unfit()),
    }
}

fn num_integer_floor(a: BigInt, b: &BigInt) -> BigInt {
    let remainder = &a % b;
    let down = !remainder.is_zero() && remainder.is_negative() != b.is_negative();
    let quotient = a / b;
    if down { quotient - 1 } else { quotient }
}

fn add<'a>(a: &Val<'a>, b: &Val<'a>) -> Result<Val<'a>, Fault> {
    match (a, b) {
        (Val::Text(a), Val::Text(b)) => {
            if a.len() + b.len() > MAX_TEXT {
                Err(Fault::too_large())
            } else {
                Ok(Val::text(format!("{}{}", &**a, &**b)))
            }
        }
        (Val::Moment(at), Val::Span(by)) | (Val::Span(by), Val::Moment(at)) => at.plus(*by).map(Val::Moment),
        (Val::Date(at), Val::Span(by)) | (Val::Span(by), Val::Date(at)) => at.plus(*by).map(Val::Date),
        (Val::Span(a), Val::Span(b)) => a.plus(*b).map(Val::Span),
        _ => {
            let tuples = matches!((a, b), (Val::Tuple(_), Val::Tuple(_)));
            if !(tuples || a.is_list() && b.is_list()) {
                return Err(unfit());
            }
            let (Some(mut items), Some(more)) = (a.sequence(), b.sequence()) else { return Err(unfit()) };
            items.extend(more);
            if items.len() > MAX_ITEMS {
                return Err(Fault::too_large());
            }
            Ok(if tuples { Val::tuple(items) } else { Val::list(items) })
        }
    }
}

fn subtract<'a>(a: &Val<'a>, b: &Val<'a>) -> Result<Val<'a>, Fault> {
    match (a, b) {
        (Val::Moment(a), Val::Moment(b)) => a.since(b).map(Val::Span),
        (Val::Moment(at), Val::Span(by)) => at.plus(by.negated()?).map(Val::Moment),
        (Val::Date(a), Val::Date(b)) => Ok(Val::Span(a.since(*b))),
        // Days are counted before the sign turns: half a day less is no day less.
        (Val::Date(at), Val::Span(by @ Span::Calendar { .. })) => at.plus(by.negated()?).map(Val::Date),
        (Val::Date(at), Val::Span(by)) => {
            at.plus(Span::Fixed(-by.micros().div_euclid(86_400_000_000) * 86_400_000_000)).map(Val::Date)
        }
        (Val::Span(a), Val::Span(b)) => a.plus(b.negated()?).map(Val::Span),
        _ => Err(unfit()),
    }
}

fn repeated<'a>(of: &Val<'a>, times: i64) -> Result<Val<'a>, Fault> {
    let times = usize::try_from(times).unwrap_or(0);
    if let Val::Text(text) = of {
        if text.len().saturating_mul(times) > MAX_TEXT {
            return Err(Fault::too_large());
        }
        return Ok(Val::text(text.repeat(times)));
    }
    let items = of.sequence().ok_or_else(unfit)?;
    if items.len().saturating_mul(times) > MAX_ITEMS {
        return Err(Fault::too_large());
    }
    let repeated = std::iter::repeat_n(&items, times).flatten().cloned().collect();
    Ok(if matches!(of, Val::Tuple(_)) { Val::tuple(repeated) } else { Val::list(repeated) })
}

/// `-a`.
pub(super) fn negative<'a>(a: &Val<'a>) -> Result<Val<'a>, Fault> {
    a.used()?;
    if let Val::Span(span) = a {
        return span.negated().map(Val::Span);
    }
    match number(a) {
        Some(Number::Int(int)) => Ok(Val::big(-int)),
        Some(Number::Float(float)) => Ok(Val::Float(-float)),
        None => Err(unfit()),
    }
}

/// `+a`.
pub(super) fn positive<'a>(a: &Val<'a>) -> Result<Val<'a>, Fault> {
    a.used()?;
    match number(a) {
        Some(Number::Int(int)) => Ok(Val::big(int)),
        Some(Number::Float(float)) => Ok(Val::Float(float)),
        None => Err(unfit()),
    }
}
