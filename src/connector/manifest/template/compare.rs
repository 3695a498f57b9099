//! Equality and order of values.
//!
//! As in Python: numbers compare across kinds and exactly, everything else within its kind; order across kinds is a fault.

use std::cmp::Ordering;

use num_bigint::BigInt;
use serde_json::Value;

use super::{
    fault::Fault,
    moment::Span,
    syntax::Relation,
    value::{Pairs, Val},
};

/// A number of any kind.
pub(super) enum Number {
    Int(BigInt),
    Float(f64),
}

/// The number that a value is; truth values are 0 and 1.
pub(super) fn number(value: &Val<'_>) -> Option<Number> {
    Some(match value {
        Val::Bool(truth) => Number::Int(BigInt::from(u8::from(*truth))),
        Val::Int(int) => Number::Int(BigInt::from(*int)),
        Val::Big(int) => Number::Int((**int).clone()),
        Val::Float(float) => Number::Float(*float),
        _ => return None,
    })
}

/// The float nearest to an integer.
pub(super) fn to_float(int: &BigInt) -> f64 {
    use num_traits::ToPrimitive as _;
    int.to_f64().unwrap_or(f64::INFINITY)
}

fn int_with_float(int: &BigInt, float: f64) -> Option<Ordering> {
    use num_traits::FromPrimitive as _;
    if float.is_nan() {
        return None;
    }
    let Some(whole) = BigInt::from_f64(float.trunc()) else {
        return Some(if float > 0.0 { Ordering::Less } else { Ordering::Greater });
    };
    let fraction = 0.0_f64.partial_cmp(&float.fract())?;
    Some(int.cmp(&whole).then(fraction))
}

/// The order of two numbers; none when one is not a number at all, or NaN.
fn numbers(a: &Val<'_>, b: &Val<'_>) -> Option<Option<Ordering>> {
    if let (Some(a), Some(b)) = (a.as_int(), b.as_int()) {
        return Some(Some(a.cmp(&b)));
    }
    Some(match (number(a)?, number(b)?) {
        (Number::Int(a), Number::Int(b)) => Some(a.cmp(&b)),
        (Number::Float(a), Number::Float(b)) => a.partial_cmp(&b),
        (Number::Int(a), Number::Float(b)) => int_with_float(&a, b),
        (Number::Float(a), Number::Int(b)) => int_with_float(&b, a).map(Ordering::reverse),
    })
}

/// `==`.
pub(super) fn equal(a: &Val<'_>, b: &Val<'_>) -> bool {
    match (a, b) {
        (Val::Text(a), Val::Text(b)) => **a == **b,
        (Val::None, Val::None) | (Val::Undefined, Val::Undefined) => true,
        (Val::Json(a), Val::Json(b)) if std::ptr::eq(*a, *b) => true,
        (Val::Json(Value::Array(_)) | Val::List(_), Val::Json(Value::Array(_)) | Val::List(_))
        | (Val::Tuple(_), Val::Tuple(_)) => match (a.sequence(), b.sequence()) {
            (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| equal(a, b)),
            _ => false,
        },
        (Val::Moment(a), Val::Moment(b)) => a.compare(b).is_none_or(|order| order == Ordering::Equal) && a.like(b),
        (Val::Date(a), Val::Date(b)) => a == b,
        (Val::Span(a), Val::Span(b)) => a == b,
        (Val::Bytes(a), Val::Bytes(b)) => a == b,
        (Val::Space(a), Val::Space(b)) => std::ptr::addr_eq(std::rc::Rc::as_ptr(a), std::rc::Rc::as_ptr(b)),
        (Val::Stream(a), Val::Stream(b)) => std::ptr::addr_eq(std::rc::Rc::as_ptr(a), std::rc::Rc::as_ptr(b)),
        (Val::Global(a), Val::Global(b)) => a == b,
        (Val::View(view, a), Val::View(other, b)) => {
            view == other && a.len() == b.len() && a.iter().all(|a| b.iter().any(|b| equal(a, b)))
        }
        _ if a.is_map() && b.is_map() => match (a.fields(), b.fields()) {
            (Some(a), Some(b)) => a.len() == b.len() && a.iter().all(|(k, v)| get(&b, k).is_some_and(|w| equal(v, w))),
            _ => false,
        },
        _ => matches!(numbers(a, b), Some(Some(Ordering::Equal))),
    }
}

/// The value of a key.
pub(super) fn get<'p, 'a>(pairs: &'p Pairs<'a>, key: &Val<'_>) -> Option<&'p Val<'a>> {
    pairs.iter().find(|(have, _)| equal(have, key)).map(|(_, value)| value)
}

/// Sets a key, in place where it is there.
pub(super) fn put<'a>(pairs: &mut Pairs<'a>, key: Val<'a>, value: Val<'a>) {
    match pairs.iter_mut().find(|(have, _)| equal(have, &key)) {
        Some((_, have)) => *have = value,
        None => pairs.push((key, value)),
    }
}

/// The order of two values, NaN counting as equal (for sorting).
pub(super) fn order(a: &Val<'_>, b: &Val<'_>) -> Result<Ordering, Fault> {
    partial(a, b).map(|order| order.unwrap_or(Ordering::Equal))
}

fn partial(a: &Val<'_>, b: &Val<'_>) -> Result<Option<Ordering>, Fault> {
    a.used()?;
    b.used()?;
    if let Some(order) = numbers(a, b) {
        return Ok(order);
    }
    let unlike = || Err(Fault::wrong_type("values of different types have no order"));
    match (a, b) {
        (Val::Text(a), Val::Text(b)) => Ok(Some(a.chars().cmp(b.chars()))),
        (Val::Moment(a), Val::Moment(b)) => {
            a.compare(b).map(Some).ok_or_else(|| Fault::wrong_type("times with and without a zone have no order"))
        }
        (Val::Date(a), Val::Date(b)) => Ok(Some(a.cmp(b))),
        (Val::Span(Span::Fixed(a)), Val::Span(Span::Fixed(b))) => Ok(Some(a.cmp(b))),
        (Val::Bytes(a), Val::Bytes(b)) => Ok(Some(a.cmp(b))),
        _ if a.is_list() != b.is_list() => unlike(),
        _ => {
            let (Some(a), Some(b)) = (a.sequence(), b.sequence()) else { return unlike() };
            for (a, b) in a.iter().zip(&b) {
                if !equal(a, b) {
                    return partial(a, b);
                }
            }
            Ok(Some(a.len().cmp(&b.len())))
        }
    }
}

/// One comparison.
pub(super) fn holds(relation: Relation, a: &Val<'_>, b: &Val<'_>) -> Result<bool, Fault> {
    let ordered = |wanted: fn(Ordering) -> bool| Ok(partial(a, b)?.is_some_and(wanted));
    match relation {
        Relation::Equal => Ok(equal(a, b)),
        Relation::Unequal => Ok(!equal(a, b)),
        Relation::Less => ordered(Ordering::is_lt),
        Relation::AtMost => ordered(Ordering::is_le),
        Relation::Greater => ordered(Ordering::is_gt),
        Relation::AtLeast => ordered(Ordering::is_ge),
        Relation::In => contains(b, a),
        Relation::NotIn => contains(b, a).map(|found| !found),
    }
}

/// `item in container`.
fn contains(container: &Val<'_>, item: &Val<'_>) -> Result<bool, Fault> {
    match container {
        Val::Text(text) => match item {
            Val::Text(part) => Ok(text.contains(&**part)),
            _ => Err(Fault::wrong_type("only a text can be in a text")),
        },
        Val::Json(Value::Object(fields)) => {
            if !item.is_hashable() {
                return Err(Fault::wrong_type("the value cannot be a key"));
            }
            Ok(item.as_text().is_some_and(|key| fields.contains_key(key)))
        }
        _ if container.is_map() => {
            if !item.is_hashable() {
                return Err(Fault::wrong_type("the value cannot be a key"));
            }
            super::access::item(container, item).map(|found| found.is_some())
        }
        _ => Ok(container.items()?.iter().any(|have| equal(have, item))),
    }
}
