//! Templates of a manifest: compiled once, evaluated on borrowed values, in the reference's own sense.
//!
//! Owns the whole way from a template's text to a value: `lex` and `parse*` make a tree (`syntax`), `evaluate` walks it over
//! `value`s that borrow from a [`Context`], `print` writes what came out as Python would, and the text is read back as a
//! Python literal (`super::literal`). This file owns the rules of interpolation: the fallback to a default, and which types
//! are taken. Touches nothing outside: no file, no network, no clock but the context's `now`; work and size are bounded.
//! Fault texts say what kind, never a value: a template sees secrets and records.

mod access;
mod compare;
mod context;
mod evaluate;
mod fault;
mod filters;
mod filters_code;
mod filters_list;
mod filters_number;
mod filters_text;
mod format_text;
mod globals;
mod isotime;
mod lex;
mod mapping;
mod methods;
mod methods_text;
mod methods_time;
mod moment;
mod names;
mod operators;
mod parse;
mod parse_expression;
mod passed;
mod patterns;
mod print;
mod strftime;
mod syntax;
mod trials;
mod value;

use serde_json::Value;

pub use self::{
    context::{Context, Slice, Variable},
    fault::{Fault, FaultKind},
    mapping::{Mapping, NestedMapping},
};
use self::{
    evaluate::Run,
    syntax::{Body, Node},
    value::Val,
};
pub(super) use self::{
    filters_number::{float_of, int_of},
    strftime::{DAYS, MONTHS},
};
use super::literal::{self, Outcome, Types};

/// A variable of older manifests that the reference refuses wherever it stands in a text.
pub(super) const REFUSED: &str = "stream_state";

/// Reads an ISO 8601 text, as `str_to_datetime` does; UTC where it names no zone.
pub fn iso_time(text: &str) -> Option<crate::domain::clock::Timestamp> {
    crate::domain::clock::Timestamp::from_micros(isotime::parse(text).ok()?.micros())
}

/// Writes a UTC time in Python's directives.
pub(super) fn strftime(format: &str, wall: chrono::NaiveDateTime) -> String {
    strftime::strftime(format, wall, Some(moment::Zone::Utc))
}

/// What stands in for a template that comes out empty or names what is not there.
#[derive(Debug)]
enum Fallback {
    /// The text itself, evaluated once more: what strings of a manifest have.
    Own,
    /// `None`: what mappings have.
    None,
    /// Another text, evaluated: a string with a default, and `False` for conditions.
    Other(Box<Part>),
}

/// One text, compiled.
#[derive(Debug)]
struct Part {
    source: Box<str>,
    body: Body,
    /// Without any marks: what it renders as, always.
    fixed: Option<Box<str>>,
    /// The root names that it needs.
    undeclared: Vec<(Box<str>, Option<Variable>)>,
}

impl Part {
    fn compile(source: &str) -> Result<Self, Fault> {
        let body = parse::parse(source)?;
        let fixed = match body.as_slice() {
            [] => Some("".into()),
            [Node::Text(text)] => Some(text.clone()),
            _ => None,
        };
        let undeclared = names::undeclared(&body);
        let undeclared = undeclared.into_iter().map(|name| (name.clone(), Variable::named(&name))).collect();
        Ok(Self { source: source.into(), body, fixed, undeclared })
    }

    /// What it renders as: a value where the template is one expression and nothing else, so that it need not be printed.
    fn render<'a>(&'a self, context: &'a Context<'a>) -> Result<Val<'a>, Fault> {
        // The format's own readers take such a manifest, and fail where the template is needed.
        if self.source.contains(REFUSED) {
            return Err(Fault::unsupported("'stream_state' cannot stand in a template; use 'stream_interval' instead"));
        }
        if let Some(text) = &self.fixed {
            return Ok(Val::Text(value::Text::Of(text)));
        }
        for (name, variable) in &self.undeclared {
            if !(variable.is_some_and(|variable| context.has(variable)) || context.knows(name)) {
                return Err(Fault::new(
                    FaultKind::Value,
                    format!("the template names '{name}', which is not known here"),
                ));
            }
        }
        let mut run = Run::new(context);
        let rendered = if let [Node::Print(value)] = self.body.as_slice() {
            run.expr(value)
        } else {
            let mut out = String::new();
            run.body(&self.body, &mut out).map(|()| Val::text(out))
        };
        match rendered {
            // The reference takes a wrong type for a sign that the text is no template, and gives it as it stands.
            Err(fault) if fault.kind == FaultKind::Type => Ok(Val::Text(value::Text::Of(&self.source))),
            rendered => rendered,
        }
    }
}

/// Whether a value prints as nothing.
fn is_empty(value: &Val<'_>) -> bool {
    match value {
        Val::Undefined | Val::Forbidden => true,
        Val::Text(text) => text.is_empty(),
        _ => false,
    }
}

/// A compiled template. It is the same for all runs and connections, and holds nothing of them.
#[derive(Debug)]
pub struct Template {
    part: Part,
    fallback: Fallback,
}

impl Template {
    /// Compiles a text that stands for itself when it comes out empty.
    ///
    /// # Errors
    /// [`FaultKind::Syntax`], [`FaultKind::Assertion`] (no such filter or test), [`FaultKind::Unsupported`]. A root name that is not
    /// known is none: see [`Template::unknown`].
    pub fn compile(source: &str) -> Result<Self, Fault> {
        Ok(Self { part: Part::compile(source)?, fallback: Fallback::Own })
    }

    /// Compiles a text with a default; an empty default is none.
    ///
    /// # Errors
    /// As [`Template::compile`].
    pub fn compile_or(source: &str, default: &str) -> Result<Self, Fault> {
        let fallback =
            if default.is_empty() { Fallback::Own } else { Fallback::Other(Box::new(Part::compile(default)?)) };
        Ok(Self { part: Part::compile(source)?, fallback })
    }

    /// Compiles a condition: empty is false.
    ///
    /// # Errors
    /// As [`Template::compile`].
    pub fn compile_condition(source: &str) -> Result<Self, Fault> {
        Self::compile_or(source, "False")
    }

    /// Compiles a text that is `None` when it comes out empty: what mappings have.
    ///
    /// # Errors
    /// As [`Template::compile`].
    pub fn compile_or_none(source: &str) -> Result<Self, Fault> {
        Ok(Self { part: Part::compile(source)?, fallback: Fallback::None })
    }

    /// The text as it stands in the manifest.
    pub fn source(&self) -> &str {
        &self.part.source
    }

    /// Whether it fails wherever it is needed, since it names what the format has taken away.
    pub fn is_refused(&self) -> bool {
        self.source().contains(REFUSED)
    }

    /// Whether it has marks of a template at all.
    pub fn is_plain(&self) -> bool {
        self.part.fixed.is_some()
    }

    /// The root names it needs that no context of the format has; evaluating it where they are not given fails. A slice's extra
    /// fields are names, too, in request options.
    pub fn unknown(&self) -> impl Iterator<Item = &str> {
        let parts = [&self.part].into_iter().chain(match &self.fallback {
            Fallback::Other(other) => Some(&**other),
            Fallback::Own | Fallback::None => None,
        });
        parts
            .flat_map(|part| part.undeclared.iter())
            .filter(|(_, variable)| variable.is_none())
            .map(|(name, _)| &**name)
    }

    /// Whether it names that variable at its root.
    pub fn names(&self, wanted: Variable) -> bool {
        self.part.undeclared.iter().any(|(_, variable)| *variable == Some(wanted))
    }

    /// The name that is most like one that is not known.
    pub fn near(name: &str) -> Option<&'static str> {
        const ALIASES: [&str; 2] = ["stream_interval", "stream_partition"];
        let known = Variable::NAMES.iter().chain(&ALIASES).chain(globals::Global::NAMES);
        crate::yaml::nearest(name, known.copied())
    }

    /// The value: rendered, and read back as a literal.
    ///
    /// # Errors
    /// What went wrong, in the reference's classes; it falls back where the reference does.
    pub fn evaluate(&self, context: &Context<'_>) -> Result<Outcome, Fault> {
        self.evaluate_as(context, Types::ANY)
    }

    /// As [`Template::evaluate`], where a place takes some types only: the text stays text for others.
    ///
    /// # Errors
    /// As [`Template::evaluate`].
    pub fn evaluate_as(&self, context: &Context<'_>, types: Types) -> Result<Outcome, Fault> {
        match self.rendered(context)? {
            Some(value) => guessed(value, types),
            None => Ok(Outcome::Json(Value::Null)),
        }
    }

    /// The rendered text, without guessing a type; empty where the fallback is `None`.
    ///
    /// # Errors
    /// As [`Template::evaluate`].
    pub fn evaluate_text(&self, context: &Context<'_>) -> Result<String, Fault> {
        self.rendered(context)?.map_or(Ok(String::new()), |value| print::text(&value))
    }

    /// Whether the condition holds.
    ///
    /// # Errors
    /// As [`Template::evaluate`].
    pub fn evaluate_bool(&self, context: &Context<'_>) -> Result<bool, Fault> {
        self.evaluate(context).map(|outcome| outcome.is_true())
    }

    fn rendered<'a>(&'a self, context: &'a Context<'a>) -> Result<Option<Val<'a>>, Fault> {
        match self.part.render(context) {
            Ok(value) if !is_empty(&value) => return Ok(Some(value)),
            Ok(_) => {}
            Err(fault) if fault.kind == FaultKind::Undefined => {}
            Err(fault) => return Err(fault),
        }
        match &self.fallback {
            Fallback::Own => self.part.render(context).map(Some),
            Fallback::Other(other) => other.render(context).map(Some),
            Fallback::None => Ok(None),
        }
    }
}

/// Reads a rendered value back. What would be printed and read back as itself is taken as it is.
fn guessed(value: Val<'_>, types: Types) -> Result<Outcome, Fault> {
    let same = match &value {
        Val::Json(json) => Some(Outcome::Json((*json).clone())),
        Val::Int(int) => Some(Outcome::Json(Value::from(*int))),
        Val::Bool(truth) => Some(Outcome::Json(Value::Bool(*truth))),
        Val::None => Some(Outcome::Json(Value::Null)),
        Val::Float(float) => serde_json::Number::from_f64(*float).map(|number| Outcome::Json(Value::Number(number))),
        _ => None,
    };
    if let Some(outcome) = same.filter(|outcome| types.takes(outcome)) {
        return Ok(outcome);
    }
    print::text(&value).map(|text| literal::read_as(text, types))
}

/// The plain-string latch of the reference's strings: one that once came out as its own text is not evaluated again.
///
/// It belongs to one connection's use of one template, since it depends on values: a shared one would let the settings of
/// one connection decide what another sends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latch(Option<bool>);

impl Latch {
    /// Evaluates unless the first time showed a plain text.
    ///
    /// # Errors
    /// As [`Template::evaluate`].
    pub fn evaluate(&mut self, template: &Template, context: &Context<'_>, types: Types) -> Result<Outcome, Fault> {
        let own = || Outcome::text(template.source());
        if self.0 == Some(true) {
            return Ok(own());
        }
        let outcome = template.evaluate_as(context, types)?;
        self.0.get_or_insert(outcome == own());
        Ok(outcome)
    }
}

#[cfg(test)]
mod table_tests;
