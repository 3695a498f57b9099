//! Methods of lists, dicts, numbers, bytes and spans; those of texts and times have files of their own.
//!
//! JSON from outside cannot be changed: a method that would is a fault, since the run's records are not a template's.

use super::{
    compare,
    fault::{Fault, FaultKind},
    methods_text, methods_time,
    passed::{Passed, flag, needs_int},
    value::{Pairs, Text, Val, View},
};

const LIST: [&str; 11] =
    ["append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort"];
const DICT: [&str; 11] =
    ["clear", "copy", "fromkeys", "get", "items", "keys", "pop", "popitem", "setdefault", "update", "values"];

/// Whether the value has a method of that name.
pub(super) fn has(of: &Val<'_>, name: &str) -> bool {
    match of {
        Val::Text(_) => methods_text::NAMES.contains(&name),
        Val::Slice(_) => matches!(name, "get" | "items" | "keys" | "values"),
        Val::Tuple(_) => matches!(name, "count" | "index"),
        Val::Moment(_) | Val::Date(_) => methods_time::has(of, name),
        Val::Span(_) => name == "total_seconds",
        Val::Int(_) | Val::Big(_) | Val::Bool(_) => matches!(name, "bit_length" | "conjugate"),
        Val::Float(_) => matches!(name, "is_integer" | "conjugate" | "hex"),
        Val::Bytes(_) => matches!(name, "decode" | "hex"),
        _ if of.is_map() => DICT.contains(&name),
        _ if of.is_list() => LIST.contains(&name),
        _ => false,
    }
}

/// Calls a method that [`has`] found.
pub(super) fn call<'a>(of: &Val<'a>, name: &'a str, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    match of {
        Val::Text(text) => methods_text::call(text, name, passed),
        Val::Moment(moment) => methods_time::moment(moment, name, passed),
        Val::Date(date) => methods_time::date(*date, name, passed),
        Val::Span(span) => passed.nothing().map(|()| Val::Float(span.seconds())),
        Val::Bytes(bytes) => match name {
            "hex" => Ok(Val::text(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())),
            _ => String::from_utf8(bytes.to_vec()).map(Val::text).map_err(|_| Fault::value("the bytes are no text")),
        },
        Val::Float(float) if name == "is_integer" => Ok(Val::Bool(float.fract() == 0.0)),
        Val::Int(int) if name == "bit_length" => Ok(Val::Int(i64::from(64 - int.unsigned_abs().leading_zeros()))),
        Val::Int(_) | Val::Big(_) | Val::Bool(_) | Val::Float(_) if name == "conjugate" => Ok(of.clone()),
        _ if of.is_map() => dict(of, name, passed),
        _ => list(of, name, passed),
    }
}

fn dict<'a>(of: &Val<'a>, name: &str, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let pairs = || of.fields().unwrap_or_default();
    match name {
        "get" => {
            let [key, otherwise] = passed.plain(1)?;
            let key = key.unwrap_or(Val::None);
            key.used()?;
            if !key.is_hashable() {
                return Err(Fault::wrong_type("the value cannot be a key"));
            }
            let found = super::access::item(of, &key)?;
            Ok(found.unwrap_or_else(|| otherwise.unwrap_or(Val::None)))
        }
        "keys" => passed.nothing().map(|()| view(View::Keys, pairs())),
        "values" => passed.nothing().map(|()| view(View::Values, pairs())),
        "items" => passed.nothing().map(|()| view(View::Items, pairs())),
        "copy" => passed.nothing().map(|()| Val::dict(pairs())),
        _ => {
            let Val::Dict(shared) = of else { return Err(unchangeable()) };
            change_dict(shared, name, passed)
        }
    }
}

fn view<'a>(view: View, pairs: Pairs<'a>) -> Val<'a> {
    let items = pairs.into_iter().map(|(key, value)| match view {
        View::Keys => key,
        View::Values => value,
        View::Items => Val::tuple(vec![key, value]),
    });
    Val::View(view, std::rc::Rc::new(items.collect()))
}

fn unchangeable() -> Fault {
    Fault::unsupported("a template cannot change what it was given")
}

fn missing() -> Fault {
    Fault::new(FaultKind::Key, "a key is not there")
}

/// The pairs that a dict can be made of.
pub(super) fn pairs_of<'a>(from: &Val<'a>) -> Result<Pairs<'a>, Fault> {
    if let Some(pairs) = from.fields() {
        return Ok(pairs);
    }
    let pair = |item: Val<'a>| {
        let mut parts = item.items()?.into_iter();
        match (parts.next(), parts.next(), parts.next()) {
            (Some(key), Some(value), None) if key.is_hashable() => Ok((key, value)),
            (Some(_), Some(_), None) => Err(Fault::wrong_type("the value cannot be a key")),
            _ => Err(Fault::value("a pair has not two parts")),
        }
    };
    from.items()?.into_iter().map(pair).collect()
}

fn change_dict<'a>(shared: &super::value::Shared<Pairs<'a>>, name: &str, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let take = |key: &Val<'a>| {
        let mut pairs = shared.borrow_mut();
        let at = pairs.iter().position(|(have, _)| compare::equal(have, key));
        at.map(|at| pairs.remove(at).1)
    };
    match name {
        "clear" => {
            passed.nothing()?;
            shared.borrow_mut().clear();
            Ok(Val::None)
        }
        "pop" => {
            let [key, otherwise] = passed.plain(1)?;
            take(&key.unwrap_or(Val::None)).or(otherwise).ok_or_else(missing)
        }
        "popitem" => {
            passed.nothing()?;
            let last = shared.borrow_mut().pop();
            last.map(|(key, value)| Val::tuple(vec![key, value])).ok_or_else(missing)
        }
        "setdefault" => {
            let [key, otherwise] = passed.plain(1)?;
            let (key, otherwise) = (key.unwrap_or(Val::None), otherwise.unwrap_or(Val::None));
            if !key.is_hashable() {
                return Err(Fault::wrong_type("the value cannot be a key"));
            }
            let found = compare::get(&shared.borrow(), &key).cloned();
            if found.is_none() {
                compare::put(&mut shared.borrow_mut(), key, otherwise.clone());
            }
            Ok(found.unwrap_or(otherwise))
        }
        "update" => {
            let from = passed.positional.first().map_or(Ok(Vec::new()), pairs_of)?;
            let named = passed.named.into_iter().map(|(name, value)| (Val::Text(Text::Of(name)), value));
            for (key, value) in from.into_iter().chain(named) {
                compare::put(&mut shared.borrow_mut(), key, value);
            }
            Ok(Val::None)
        }
        _ => Err(Fault::unsupported("a method of dicts is not supported")),
    }
}

fn list<'a>(of: &Val<'a>, name: &str, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let items = of.sequence().unwrap_or_default();
    match name {
        "count" => {
            let [item] = passed.plain(1)?;
            let item = item.unwrap_or(Val::None);
            return Ok(Val::count(items.iter().filter(|have| compare::equal(have, &item)).count()));
        }
        "index" => {
            let [item] = passed.plain(1)?;
            let item = item.unwrap_or(Val::None);
            let found = items.iter().position(|have| compare::equal(have, &item));
            return found.map(Val::count).ok_or_else(|| Fault::value("the value is not in the list"));
        }
        "copy" => return passed.nothing().map(|()| Val::list(items)),
        _ => {}
    }
    let Val::List(shared) = of else { return Err(unchangeable()) };
    let position = |index: i64, length: usize| {
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        if index < 0 { index.saturating_add(length) } else { index }
    };
    match name {
        "append" => {
            let [item] = passed.plain(1)?;
            shared.borrow_mut().push(item.unwrap_or(Val::None));
        }
        "extend" => {
            let [more] = passed.plain(1)?;
            let more = more.unwrap_or(Val::None).items()?;
            shared.borrow_mut().extend(more);
        }
        "insert" => {
            let [index, item] = passed.plain(2)?;
            let at = position(needs_int(index)?, items.len()).max(0);
            let at = usize::try_from(at).unwrap_or(usize::MAX).min(items.len());
            shared.borrow_mut().insert(at, item.unwrap_or(Val::None));
        }
        "clear" => {
            passed.nothing()?;
            shared.borrow_mut().clear();
        }
        "reverse" => {
            passed.nothing()?;
            shared.borrow_mut().reverse();
        }
        "pop" => {
            let [index] = passed.plain(0)?;
            let at = position(index.map_or(Ok(-1), |index| needs_int(Some(index)))?, items.len());
            let at = usize::try_from(at).ok().filter(|at| *at < items.len());
            let at = at.ok_or_else(|| Fault::new(FaultKind::Index, "the index is out of the list"))?;
            return Ok(shared.borrow_mut().remove(at));
        }
        "remove" => {
            let [item] = passed.plain(1)?;
            let item = item.unwrap_or(Val::None);
            let found = items.iter().position(|have| compare::equal(have, &item));
            let at = found.ok_or_else(|| Fault::value("the value is not in the list"))?;
            shared.borrow_mut().remove(at);
        }
        _ => {
            let [reverse] = passed.fit(["reverse"], 0)?;
            let sorted = super::filters_list::sorted(items, |item| Ok(item.clone()), flag(reverse)?)?;
            *shared.borrow_mut() = sorted;
        }
    }
    Ok(Val::None)
}
