//! Looking into values: items, attributes and slices.
//!
//! Owns the order of the two ways in: brackets look for an item first, a dot for a method or an attribute first; so
//! `response.items` is a method even where there is a key `items`. Names that start with an underscore are forbidden.

use chrono::{Datelike, Timelike};
use serde_json::Value;

use super::{
    compare,
    fault::Fault,
    methods,
    value::{Text, Val},
};

/// `of[key]` without the fallback to attributes; none where there is no such item.
pub(super) fn item<'a>(of: &Val<'a>, key: &Val<'_>) -> Result<Option<Val<'a>>, Fault> {
    of.used()?;
    Ok(match of {
        Val::Json(Value::Object(fields)) => key.as_text().and_then(|key| fields.get(key)).map(Val::of),
        Val::Json(Value::Array(items)) => at(key, items.len()).and_then(|at| items.get(at)).map(Val::of),
        Val::AnyCase(Value::Object(fields)) => key.as_text().and_then(|key| {
            let any = || fields.iter().find(|(have, _)| have.eq_ignore_ascii_case(key)).map(|(_, value)| value);
            fields.get(key).or_else(any).map(Val::of)
        }),
        Val::Slice(slice) => key.as_text().and_then(|key| slice.all.get(key)).map(Val::of),
        Val::List(items) => {
            let items = items.borrow();
            at(key, items.len()).map(|at| items[at].clone())
        }
        Val::Tuple(items) => at(key, items.len()).map(|at| items[at].clone()),
        Val::Dict(pairs) => {
            if key.is_hashable() {
                compare::get(&pairs.borrow(), key).cloned()
            } else {
                None
            }
        }
        Val::Text(text) => match key.as_int() {
            Some(index) if text.is_ascii() => at(&Val::Int(index), text.len()).map(|at| piece(text, at, at + 1)),
            Some(index) => {
                let chars: Vec<_> = text.chars().collect();
                at(&Val::Int(index), chars.len()).map(|at| Val::text(chars[at]))
            }
            None => None,
        },
        _ => None,
    })
}

fn piece<'a>(text: &Text<'a>, from: usize, to: usize) -> Val<'a> {
    match text {
        Text::Of(text) => Val::Text(Text::Of(&text[from..to])),
        Text::Own(text) => Val::text(&text[from..to]),
    }
}

/// An index from the front or, when negative, from the back.
fn at(key: &Val<'_>, length: usize) -> Option<usize> {
    let index = key.as_int()?;
    let index = if index < 0 { index.checked_add(i64::try_from(length).ok()?)? } else { index };
    usize::try_from(index).ok().filter(|index| *index < length)
}

/// `of[key]`.
pub(super) fn subscript<'a>(of: &Val<'a>, key: &Val<'a>) -> Result<Val<'a>, Fault> {
    key.used()?;
    if let Some(found) = item(of, key)? {
        return Ok(found);
    }
    let Val::Text(name) = key else { return Ok(Val::Undefined) };
    match name {
        Text::Of(name) => Ok(own(of, name).unwrap_or(Val::Undefined)),
        // A name that was put together is no method's: methods are written out.
        Text::Own(_) => Ok(Val::Undefined),
    }
}

/// `of.name`.
pub(super) fn attribute<'a>(of: &Val<'a>, name: &'a str) -> Result<Val<'a>, Fault> {
    of.used()?;
    if let Some(found) = own(of, name) {
        return Ok(found);
    }
    Ok(item(of, &Val::Text(Text::Of(name)))?.unwrap_or(Val::Undefined))
}

/// What the value has by that name beside its items: fields of times, and methods.
fn own<'a>(of: &Val<'a>, name: &'a str) -> Option<Val<'a>> {
    if name == "_partition"
        && let Val::Slice(slice) = of
    {
        return Some(Val::of(slice.partition));
    }
    if name.starts_with("__") {
        return Some(Val::Forbidden);
    }
    match of {
        Val::Slice(slice) => match name {
            "partition" => return Some(Val::of(slice.partition)),
            "cursor_slice" => return Some(Val::of(slice.cursor_slice)),
            "extra_fields" => return Some(Val::of(slice.extra_fields)),
            _ => {}
        },
        Val::Space(pairs) => {
            return compare::get(&pairs.borrow(), &Val::Text(Text::Of(name))).cloned();
        }
        Val::Moment(moment) => {
            let wall = &moment.wall;
            let number = match name {
                "year" => i64::from(wall.year()),
                "month" => i64::from(wall.month()),
                "day" => i64::from(wall.day()),
                "hour" => i64::from(wall.hour()),
                "minute" => i64::from(wall.minute()),
                "second" => i64::from(wall.second()),
                "microsecond" => i64::from(wall.nanosecond() / 1_000),
                _ => return methods::has(of, name).then(|| bound(of, name)),
            };
            return Some(Val::Int(number));
        }
        Val::Date(date) => {
            let number = match name {
                "year" => i64::from(date.0.year()),
                "month" => i64::from(date.0.month()),
                "day" => i64::from(date.0.day()),
                _ => return methods::has(of, name).then(|| bound(of, name)),
            };
            return Some(Val::Int(number));
        }
        Val::Span(span) => {
            let (days, seconds, micros) = span.split();
            match name {
                "days" => return Some(Val::Int(days)),
                "seconds" => return Some(Val::Int(seconds)),
                "microseconds" => return Some(Val::Int(micros)),
                _ => {}
            }
        }
        Val::Int(_) | Val::Bool(_) if matches!(name, "real" | "numerator") => return Some(of.clone()),
        Val::Int(_) | Val::Bool(_) if name == "imag" => return Some(Val::Int(0)),
        Val::Int(_) | Val::Bool(_) if name == "denominator" => return Some(Val::Int(1)),
        _ => {}
    }
    methods::has(of, name).then(|| bound(of, name))
}

fn bound<'a>(of: &Val<'a>, name: &'a str) -> Val<'a> {
    Val::Method(std::rc::Rc::new(of.clone()), name)
}

/// The whole number that a part of a slice is.
fn bound_of(part: &Val<'_>) -> Result<Option<i64>, Fault> {
    match part {
        Val::None => Ok(None),
        other => other.as_int().map(Some).ok_or_else(|| Fault::wrong_type("slices are cut at whole numbers")),
    }
}

/// `of[from:to:step]`. Unlike a single item, a cut that cannot be is a fault.
pub(super) fn slice<'a>(of: &Val<'a>, parts: &[Val<'a>; 3]) -> Result<Val<'a>, Fault> {
    of.used()?;
    let cuttable = matches!(of, Val::Text(_) | Val::Tuple(_)) || of.is_list();
    if !cuttable {
        return Err(Fault::wrong_type("the value cannot be cut"));
    }
    let (from, to, step) = (bound_of(&parts[0])?, bound_of(&parts[1])?, bound_of(&parts[2])?);
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(Fault::value("a slice has a step of zero"));
    }
    if let Val::Text(text) = of {
        if step == 1 && text.is_ascii() {
            let (from, to) = forward(from, to, text.len());
            return Ok(piece(text, from, to.max(from)));
        }
        let chars: Vec<_> = text.chars().collect();
        let picked: String = indices(from, to, step, chars.len()).into_iter().map(|at| chars[at]).collect();
        return Ok(Val::text(picked));
    }
    let items = of.sequence().unwrap_or_default();
    let picked = indices(from, to, step, items.len()).into_iter().map(|at| items[at].clone()).collect();
    Ok(if matches!(of, Val::Tuple(_)) { Val::tuple(picked) } else { Val::list(picked) })
}

fn clamp(index: Option<i64>, otherwise: i64, low: i64, high: i64, length: i64) -> i64 {
    index.map_or(otherwise, |index| {
        let index = if index < 0 { index.saturating_add(length) } else { index };
        index.clamp(low, high)
    })
}

fn forward(from: Option<i64>, to: Option<i64>, length: usize) -> (usize, usize) {
    let size = i64::try_from(length).unwrap_or(i64::MAX);
    let bound = |index, otherwise| usize::try_from(clamp(index, otherwise, 0, size, size)).unwrap_or(0);
    (bound(from, 0), bound(to, size))
}

fn indices(from: Option<i64>, to: Option<i64>, step: i64, length: usize) -> Vec<usize> {
    let size = i64::try_from(length).unwrap_or(i64::MAX);
    let (low, high) = if step > 0 { (0, size) } else { (-1, size - 1) };
    let mut at = clamp(from, if step > 0 { 0 } else { size - 1 }, low, high, size);
    let end = clamp(to, if step > 0 { size } else { -1 }, low, high, size);
    let mut picked = Vec::new();
    while if step > 0 { at < end } else { at > end } {
        picked.extend(usize::try_from(at));
        at = at.saturating_add(step);
    }
    picked
}
