//! Filters on lists and maps.
//!
//! `map`, `select` and their like give a stream: it is passed through once, and is true even when nothing comes.

use std::cmp::Ordering;

use super::{
    access, compare,
    evaluate::Run,
    fault::{Fault, FaultKind},
    filters,
    passed::{Passed, flag, needs_int, needs_text},
    print, trials,
    value::{Text, Val},
};

type Filtered<'a> = Result<Val<'a>, Fault>;

/// The steps of `a.b.0`.
pub(super) fn path<'a>(attribute: Option<&Val<'a>>) -> Result<Vec<Val<'a>>, Fault> {
    Ok(match attribute {
        None | Some(Val::None) => Vec::new(),
        Some(Val::Text(text)) => steps(text),
        Some(other) => vec![other.clone()],
    })
}

fn steps<'a>(text: &Text<'a>) -> Vec<Val<'a>> {
    let step = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse().ok().filter(|_| digits).map(Val::Int)
    };
    match text {
        Text::Of(text) => text.split('.').map(|p| step(p).unwrap_or(Val::Text(Text::Of(p)))).collect(),
        Text::Own(text) => text.split('.').map(|p| step(p).unwrap_or_else(|| Val::text(p))).collect(),
    }
}

/// What a path leads to.
pub(super) fn walk<'a>(item: Val<'a>, path: &[Val<'a>], otherwise: Option<&Val<'a>>) -> Filtered<'a> {
    let mut at = item;
    for step in path {
        at = access::subscript(&at, step)?;
        if let (true, Some(otherwise)) = (at.is_undefined(), otherwise) {
            at = otherwise.clone();
        }
    }
    Ok(at)
}

fn any_case<'a>(value: Val<'a>, sensitive: bool) -> Val<'a> {
    match &value {
        Val::Text(text) if !sensitive => Val::text(text.to_lowercase()),
        _ => value,
    }
}

/// Sorted by a key; equal ones keep their order, also when reversed.
pub(super) fn sorted<'a>(
    items: Vec<Val<'a>>,
    key: impl Fn(&Val<'a>) -> Filtered<'a>,
    reverse: bool,
) -> Result<Vec<Val<'a>>, Fault> {
    let mut keyed = items.into_iter().map(|item| Ok((key(&item)?, item))).collect::<Result<Vec<_>, Fault>>()?;
    let mut failed = None;
    keyed.sort_by(|(a, _), (b, _)| match compare::order(a, b) {
        Ok(order) => {
            if reverse {
                order.reverse()
            } else {
                order
            }
        }
        Err(fault) => {
            failed = Some(fault);
            Ordering::Equal
        }
    });
    failed.map_or_else(|| Ok(keyed.into_iter().map(|(_, item)| item).collect()), Err)
}

pub(super) fn length<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Filtered<'a> {
    passed.nothing()?;
    value.length().map(Val::count)
}

pub(super) fn list<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Filtered<'a> {
    passed.nothing()?;
    value.items().map(Val::list)
}

pub(super) fn items<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Filtered<'a> {
    passed.nothing()?;
    if matches!(value, Val::Undefined) {
        return Ok(Val::stream(Vec::new()));
    }
    let pairs = value.fields().ok_or_else(|| Fault::wrong_type("only a map has pairs"))?;
    Ok(Val::stream(pairs.into_iter().map(|(key, value)| Val::tuple(vec![key, value])).collect()))
}

pub(super) fn first<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Filtered<'a> {
    passed.nothing()?;
    if let Val::Stream(items) = &value {
        return Ok(items.borrow_mut().next().unwrap_or(Val::Undefined));
    }
    Ok(value.items()?.into_iter().next().unwrap_or(Val::Undefined))
}

pub(super) fn last<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Filtered<'a> {
    passed.nothing()?;
    if matches!(value, Val::Stream(_) | Val::AnyCase(_) | Val::Slice(_)) {
        return Err(Fault::wrong_type("the value cannot be reversed"));
    }
    Ok(value.items()?.pop().unwrap_or(Val::Undefined))
}

pub(super) fn reverse<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Filtered<'a> {
    passed.nothing()?;
    if let Val::Text(text) = &value {
        return Ok(Val::text(text.chars().rev().collect::<String>()));
    }
    let mut items = value.items().map_err(|fault| match fault.kind {
        FaultKind::Type => Fault::new(FaultKind::FilterArgument, "the value is not iterable"),
        _ => fault,
    })?;
    items.reverse();
    Ok(if matches!(value, Val::Stream(_) | Val::Undefined) { Val::list(items) } else { Val::stream(items) })
}

pub(super) fn join<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Filtered<'a> {
    let [between, attribute] = passed.fit(["d", "attribute"], 0)?;
    let between = between.map_or(Ok(String::new()), |between| print::text(&between))?;
    let path = path(attribute.as_ref())?;
    let mut out = String::new();
    for (at, item) in value.items()?.into_iter().enumerate() {
        out.push_str(if at > 0 { &between } else { "" });
        print::print(&walk(item, &path, None)?, &mut out)?;
    }
    Ok(Val::text(out))
}

pub(super) fn sort<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Filtered<'a> {
    let [reverse, sensitive, attribute] = passed.fit(["reverse", "case_sensitive", "attribute"], 0)?;
    let (reverse, sensitive) = (flag(reverse)?, flag(sensitive)?);
    let paths = match &attribute {
        Some(Val::Text(text)) => text.split(',').map(|part| steps(&Text::from(part.to_owned()))).collect(),
        other => vec![path(other.as_ref())?],
    };
    let key = |item: &Val<'a>| {
        let parts = paths.iter().map(|path| walk(item.clone(), path, None).map(|value| any_case(value, sensitive)));
        parts.collect::<Result<Vec<_>, _>>().map(Val::list)
    };
    sorted(value.items()?, key, reverse).map(Val::list)
}

pub(super) fn dictsort<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Filtered<'a> {
    let [sensitive, by, reverse] = passed.fit(["case_sensitive", "by", "reverse"], 0)?;
    let (sensitive, reverse) = (flag(sensitive)?, flag(reverse)?);
    let by = by.map(|by| needs_text(Some(by))).transpose()?;
    let place = match by.as_deref().unwrap_or("key") {
        "key" => 0,
        "value" => 1,
        _ => return Err(Fault::new(FaultKind::FilterArgument, "a dict is sorted by key or by value")),
    };
    value.used()?;
    let pairs = value.fields().ok_or_else(|| Fault::new(FaultKind::Attribute, "the value has no pairs"))?;
    let pairs = pairs.into_iter().map(|(key, value)| Val::tuple(vec![key, value])).collect();
    let key = |pair: &Val<'a>| walk(pair.clone(), &[Val::Int(place)], None).map(|key| any_case(key, sensitive));
    sorted(pairs, key, reverse).map(Val::list)
}

pub(super) fn unique<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Filtered<'a> {
    let [sensitive, attribute] = passed.fit(["case_sensitive", "attribute"], 0)?;
    let (sensitive, path) = (flag(sensitive)?, path(attribute.as_ref())?);
    let (mut seen, mut kept): (Vec<Val<'a>>, _) = (Vec::new(), Vec::new());
    for item in value.items()? {
        let key = any_case(walk(item.clone(), &path, None)?, sensitive);
        if !key.is_hashable() {
            return Err(Fault::wrong_type("the value cannot be a key"));
        }
        if !seen.iter().any(|have| compare::equal(have, &key)) {
            seen.push(key);
            kept.push(item);
        }
    }
    Ok(Val::stream(kept))
}

fn extreme<'a>(value: &Val<'a>, passed: Passed<'a>, wanted: Ordering) -> Filtered<'a> {
    let [sensitive, attribute] = passed.fit(["case_sensitive", "attribute"], 0)?;
    let (sensitive, path) = (flag(sensitive)?, path(attribute.as_ref())?);
    let mut best: Option<(Val<'a>, Val<'a>)> = None;
    for item in value.items()? {
        let key = any_case(walk(item.clone(), &path, None)?, sensitive);
        let better = match &best {
            None => true,
            Some((have, _)) => compare::order(&key, have)? == wanted,
        };
        if better {
            best = Some((key, item));
        }
    }
    Ok(best.map_or(Val::Undefined, |(_, item)| item))
}

pub(super) fn max<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Filtered<'a> {
    extreme(&value, passed, Ordering::Greater)
}

pub(super) fn min<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Filtered<'a> {
    extreme(&value, passed, Ordering::Less)
}

pub(super) fn groupby<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Filtered<'a> {
    let [attribute, otherwise, sensitive] = passed.fit(["attribute", "default", "case_sensitive"], 1)?;
    let (path, sensitive) = (path(attribute.as_ref())?, flag(sensitive)?);
    let otherwise = otherwise.filter(|otherwise| !matches!(otherwise, Val::None));
    let exact = |item: &Val<'a>| walk(item.clone(), &path, otherwise.as_ref());
    let key = |item: &Val<'a>| exact(item).map(|key| any_case(key, sensitive));
    let mut groups: Vec<(Val<'a>, Vec<Val<'a>>)> = Vec::new();
    for item in sorted(value.items()?, key, false)? {
        let own = key(&item)?;
        match groups.last_mut() {
            Some((have, members)) if compare::equal(have, &own) => members.push(item),
            _ => groups.push((own, vec![item])),
        }
    }
    let grouped = groups.into_iter().map(|(_, members)| {
        let key = exact(&members[0])?;
        Ok(Val::tuple(vec![key, Val::list(members)]))
    });
    grouped.collect::<Result<Vec<_>, Fault>>().map(Val::list)
}

pub(super) fn batch<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Filtered<'a> {
    let [size, fill] = passed.fit(["linecount", "fill_with"], 1)?;
    let size = usize::try_from(needs_int(size)?).unwrap_or(0).max(1);
    let fill = fill.filter(|fill| !matches!(fill, Val::None));
    let items = value.items()?;
    let rows = items.chunks(size).map(|row| {
        let mut row = row.to_vec();
        if let Some(fill) = &fill {
            row.resize(size.min(1 << 16), fill.clone());
        }
        Val::list(row)
    });
    Ok(Val::stream(rows.collect()))
}

pub(super) fn slice<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Filtered<'a> {
    let [count, fill] = passed.fit(["slices", "fill_with"], 1)?;
    let count = usize::try_from(needs_int(count)?).unwrap_or(0).min(1 << 16);
    let fill = fill.filter(|fill| !matches!(fill, Val::None));
    let mut items = value.items()?.into_iter();
    if count == 0 {
        return Err(Fault::new(FaultKind::ZeroDivision, "a division by zero"));
    }
    let (each, longer) = (items.len() / count, items.len() % count);
    let columns = (0..count).map(|at| {
        let mut column: Vec<_> = items.by_ref().take(each + usize::from(at < longer)).collect();
        column.extend(fill.clone().filter(|_| at >= longer));
        Val::list(column)
    });
    Ok(Val::stream(columns.collect()))
}

pub(super) fn map<'a>(run: &mut Run<'a>, value: Val<'a>, mut passed: Passed<'a>) -> Filtered<'a> {
    if !value.truth()? {
        return Ok(Val::stream(Vec::new()));
    }
    let items = value.items()?;
    if passed.positional.is_empty() {
        let [attribute, otherwise] = passed
            .fit(["attribute", "default"], 0)
            .map_err(|_| Fault::new(FaultKind::FilterArgument, "map takes a filter or an attribute"))?;
        if attribute.is_none() {
            return Err(Fault::new(FaultKind::FilterArgument, "map requires a filter argument"));
        }
        let path = path(attribute.as_ref())?;
        let otherwise = otherwise.filter(|otherwise| !matches!(otherwise, Val::None));
        let mapped = items.into_iter().map(|item| walk(item, &path, otherwise.as_ref()));
        return mapped.collect::<Result<Vec<_>, _>>().map(Val::stream);
    }
    let name = passed.positional.remove(0);
    let filter = filters::named_at_run(&needs_text(Some(name))?)?;
    let mut mapped = Vec::with_capacity(items.len());
    for item in items {
        run.step()?;
        let given = Passed { positional: passed.positional.clone(), named: passed.named.clone() };
        mapped.push((filter.function)(run, item, given)?);
    }
    Ok(Val::stream(mapped))
}

fn chosen<'a>(run: &mut Run<'a>, value: Val<'a>, mut passed: Passed<'a>, keep: bool, by: bool) -> Filtered<'a> {
    if !value.truth()? {
        return Ok(Val::stream(Vec::new()));
    }
    let path = if by {
        if passed.positional.is_empty() {
            return Err(Fault::new(FaultKind::FilterArgument, "the name of an attribute is missing"));
        }
        path(Some(&passed.positional.remove(0)))?
    } else {
        Vec::new()
    };
    let trial = if passed.positional.is_empty() {
        None
    } else {
        Some(trials::named_at_run(&needs_text(Some(passed.positional.remove(0)))?)?)
    };
    let mut kept = Vec::new();
    for item in value.items()? {
        run.step()?;
        let looked_at = walk(item.clone(), &path, None)?;
        let holds = match trial {
            None => looked_at.truth()?,
            Some(trial) => {
                let given = Passed { positional: passed.positional.clone(), named: passed.named.clone() };
                (trial.function)(run, &looked_at, given)?
            }
        };
        if holds == keep {
            kept.push(item);
        }
    }
    Ok(Val::stream(kept))
}

pub(super) fn select<'a>(run: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Filtered<'a> {
    chosen(run, value, passed, true, false)
}

pub(super) fn reject<'a>(run: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Filtered<'a> {
    chosen(run, value, passed, false, false)
}

pub(super) fn selectattr<'a>(run: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Filtered<'a> {
    chosen(run, value, passed, true, true)
}

pub(super) fn rejectattr<'a>(run: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Filtered<'a> {
    chosen(run, value, passed, false, true)
}
