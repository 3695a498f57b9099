//! The filters: those of the format, and the template language's own that a manifest can use.
//!
//! Owns the list of names. What loads, shows HTML or draws lots is not there.

use super::{
    evaluate::Run,
    fault::{Fault, FaultKind},
    filters_code as code, filters_list as list, filters_number as numeric, filters_text as text, methods,
    passed::Passed,
    value::Val,
};

/// What a filter does to a value.
pub(super) type Function = for<'a> fn(&mut Run<'a>, Val<'a>, Passed<'a>) -> Result<Val<'a>, Fault>;

/// A filter by its name.
#[derive(Clone, Copy)]
pub(super) struct Filter {
    pub name: &'static str,
    pub function: Function,
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

const FILTERS: &[(&str, Function)] = &[
    // The format's own.
    ("hash", code::hash),
    ("hmac", code::hmac),
    ("base64encode", code::base64encode),
    ("base64decode", code::base64decode),
    ("base64binascii_decode", code::base64binascii_decode),
    ("string", code::string),
    ("regex_search", code::regex_search),
    ("regex_replace", code::regex_replace),
    // The template language's.
    ("abs", numeric::abs),
    ("float", numeric::float),
    ("int", numeric::int),
    ("round", numeric::round),
    ("sum", numeric::sum),
    ("attr", attr),
    ("default", default),
    ("d", default),
    ("batch", list::batch),
    ("slice", list::slice),
    ("count", list::length),
    ("length", list::length),
    ("dictsort", list::dictsort),
    ("first", list::first),
    ("last", list::last),
    ("groupby", list::groupby),
    ("items", list::items),
    ("join", list::join),
    ("list", list::list),
    ("map", list::map),
    ("max", list::max),
    ("min", list::min),
    ("reject", list::reject),
    ("rejectattr", list::rejectattr),
    ("select", list::select),
    ("selectattr", list::selectattr),
    ("reverse", list::reverse),
    ("sort", list::sort),
    ("unique", list::unique),
    ("capitalize", text::capitalize),
    ("center", text::center),
    ("e", text::escape),
    ("escape", text::escape),
    ("forceescape", text::escape),
    ("filesizeformat", text::filesizeformat),
    ("format", text::format),
    ("indent", text::indent),
    ("lower", text::lower),
    ("pprint", text::pprint),
    ("replace", text::replace),
    ("safe", text::safe),
    ("striptags", text::striptags),
    ("title", text::title),
    ("tojson", text::tojson),
    ("trim", text::trim),
    ("truncate", text::truncate),
    ("upper", text::upper),
    ("urlencode", text::urlencode),
    ("wordcount", text::wordcount),
];

/// All names.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FILTERS.iter().map(|(name, _)| *name)
}

/// A filter by its name in a template.
pub(super) fn named(name: &str) -> Option<Filter> {
    FILTERS.iter().find(|(have, _)| *have == name).map(|(name, function)| Filter { name, function: *function })
}

/// A filter that a template names while it runs (`map('upper')`).
pub(super) fn named_at_run(name: &str) -> Result<Filter, Fault> {
    named(name).ok_or_else(|| Fault::new(FaultKind::Runtime, "there is no such filter"))
}

fn attr<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let [name] = passed.fit(["name"], 1)?;
    let Some(Val::Text(super::value::Text::Of(name))) = name else { return Ok(Val::Undefined) };
    value.used()?;
    // Attributes only: an item of that name is not one.
    if methods::has(&value, name) || !value.is_map() {
        super::access::attribute(&value, name)
    } else {
        Ok(Val::Undefined)
    }
}

fn default<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let [otherwise, boolean] = passed.fit(["default_value", "boolean"], 0)?;
    let replaced = value.is_undefined() || super::passed::flag(boolean)? && !value.truth()?;
    Ok(if replaced { otherwise.unwrap_or_else(|| Val::text("")) } else { value })
}
