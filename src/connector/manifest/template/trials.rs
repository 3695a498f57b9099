//! The tests behind `is`.

use num_traits::Zero as _;

use super::{
    compare::{self, Number, number},
    evaluate::Run,
    fault::{Fault, FaultKind},
    filters, operators,
    passed::{Passed, needs_text},
    print,
    syntax::{Arithmetic, Relation},
    value::Val,
};

/// Whether a value passes.
pub(super) type Function = for<'a> fn(&mut Run<'a>, &Val<'a>, Passed<'a>) -> Result<bool, Fault>;

/// A test by its name.
#[derive(Clone, Copy)]
pub(super) struct Trial {
    pub name: &'static str,
    pub function: Function,
}

impl std::fmt::Debug for Trial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! plain {
    ($($name:ident: $holds:expr;)+) => {
        $(fn $name<'a>(_: &mut Run<'a>, value: &Val<'a>, passed: Passed<'a>) -> Result<bool, Fault> {
            passed.nothing()?;
            let holds: fn(&Val<'_>) -> Result<bool, Fault> = $holds;
            holds(value)
        })+
    };
}

plain! {
    defined: |value| Ok(!value.is_undefined());
    undefined: |value| Ok(value.is_undefined());
    none: |value| Ok(matches!(value, Val::None));
    boolean: |value| Ok(matches!(value, Val::Bool(_)));
    is_false: |value| Ok(matches!(value, Val::Bool(false)));
    is_true: |value| Ok(matches!(value, Val::Bool(true)));
    integer: |value| Ok(matches!(value, Val::Int(_) | Val::Big(_)));
    float: |value| Ok(matches!(value, Val::Float(_)));
    numeric: |value| Ok(number(value).is_some());
    string: |value| Ok(matches!(value, Val::Text(_)));
    mapping: |value| Ok(value.is_map());
    iterable: |value| Ok(value.is_iterable());
    sequence: |value| Ok(value.length().is_ok() && !matches!(value, Val::View(..)));
    callable: |value| Ok(matches!(value, Val::Global(_) | Val::Method(..) | Val::Undefined));
    escaped: |_| Ok(false);
    odd: |value| remainder(value, 2).map(|rest| rest == Some(true));
    even: |value| remainder(value, 2).map(|rest| rest == Some(false));
    lower: |value| cased(value, char::is_lowercase, char::is_uppercase);
    upper: |value| cased(value, char::is_uppercase, char::is_lowercase);
}

fn cased(value: &Val<'_>, wanted: fn(char) -> bool, other: fn(char) -> bool) -> Result<bool, Fault> {
    let text = print::text(value)?;
    Ok(text.chars().any(wanted) && !text.chars().any(other))
}

/// Whether `value % by` is one.
fn remainder(value: &Val<'_>, by: i64) -> Result<Option<bool>, Fault> {
    let rest = operators::apply(Arithmetic::Modulo, value, &Val::Int(by))?;
    let whole = |rest: i64| if rest == 0 { Some(false) } else { (rest == 1).then_some(true) };
    Ok(match number(&rest) {
        Some(Number::Int(rest)) => i64::try_from(rest).ok().and_then(whole),
        Some(Number::Float(0.0)) => Some(false),
        Some(Number::Float(rest)) if (rest - 1.0).abs() < f64::EPSILON => Some(true),
        _ => None,
    })
}

fn one<'a>(passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let [other] = passed.plain(1)?;
    Ok(other.unwrap_or(Val::None))
}

fn divisibleby<'a>(_: &mut Run<'a>, value: &Val<'a>, passed: Passed<'a>) -> Result<bool, Fault> {
    let [by] = passed.fit(["num"], 1)?;
    let rest = operators::apply(Arithmetic::Modulo, value, &by.unwrap_or(Val::None))?;
    Ok(match number(&rest) {
        Some(Number::Int(rest)) => rest.is_zero(),
        Some(Number::Float(rest)) => rest == 0.0,
        None => false,
    })
}

fn sameas<'a>(_: &mut Run<'a>, value: &Val<'a>, passed: Passed<'a>) -> Result<bool, Fault> {
    let other = one(passed)?;
    Ok(match (value, &other) {
        (Val::Json(a), Val::Json(b)) => std::ptr::eq(*a, *b),
        (Val::List(a), Val::List(b)) => std::rc::Rc::ptr_eq(a, b),
        (Val::Dict(a), Val::Dict(b)) => std::rc::Rc::ptr_eq(a, b),
        (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b) && compare::equal(a, b),
    })
}

fn is_filter<'a>(_: &mut Run<'a>, value: &Val<'a>, passed: Passed<'a>) -> Result<bool, Fault> {
    passed.nothing()?;
    Ok(value.as_text().is_some_and(|name| filters::named(name).is_some()))
}

fn is_test<'a>(_: &mut Run<'a>, value: &Val<'a>, passed: Passed<'a>) -> Result<bool, Fault> {
    passed.nothing()?;
    Ok(value.as_text().is_some_and(|name| named(name).is_some()))
}

macro_rules! relations {
    ($($name:ident: $relation:ident;)+) => {
        $(fn $name<'a>(_: &mut Run<'a>, value: &Val<'a>, passed: Passed<'a>) -> Result<bool, Fault> {
            compare::holds(Relation::$relation, value, &one(passed)?)
        })+
    };
}

relations! {
    equal: Equal;
    unequal: Unequal;
    greater: Greater;
    at_least: AtLeast;
    less: Less;
    at_most: AtMost;
    within: In;
}

const TRIALS: &[(&str, Function)] = &[
    ("odd", odd),
    ("even", even),
    ("divisibleby", divisibleby),
    ("defined", defined),
    ("undefined", undefined),
    ("filter", is_filter),
    ("test", is_test),
    ("none", none),
    ("boolean", boolean),
    ("false", is_false),
    ("true", is_true),
    ("integer", integer),
    ("float", float),
    ("lower", lower),
    ("upper", upper),
    ("string", string),
    ("mapping", mapping),
    ("number", numeric),
    ("sequence", sequence),
    ("iterable", iterable),
    ("callable", callable),
    ("sameas", sameas),
    ("escaped", escaped),
    ("in", within),
    ("==", equal),
    ("eq", equal),
    ("equalto", equal),
    ("!=", unequal),
    ("ne", unequal),
    (">", greater),
    ("gt", greater),
    ("greaterthan", greater),
    ("ge", at_least),
    (">=", at_least),
    ("<", less),
    ("lt", less),
    ("lessthan", less),
    ("<=", at_most),
    ("le", at_most),
];

/// All names that are words.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TRIALS.iter().map(|(name, _)| *name).filter(|name| name.starts_with(|c: char| c.is_alphabetic()))
}

/// A test by its name in a template.
pub(super) fn named(name: &str) -> Option<Trial> {
    TRIALS.iter().find(|(have, _)| *have == name).map(|(name, function)| Trial { name, function: *function })
}

/// A test that a template names while it runs (`select('odd')`).
pub(super) fn named_at_run(name: &str) -> Result<Trial, Fault> {
    let name = &*needs_text(Some(Val::text(name)))?;
    named(name).ok_or_else(|| Fault::new(FaultKind::Runtime, "there is no such test"))
}
