//! Walking the tree: expressions to values, statements to text.
//!
//! Owns the bound on work. Knows nothing of type guessing or defaults: that is the interpolation's.

use super::{
    access, compare,
    context::Context,
    fault::{Fault, FaultKind},
    globals::Global,
    methods, operators,
    passed::Passed,
    print,
    syntax::{Body, Constant, Expr, Given, Loop, Name, Node, Target},
    value::{Text, Val},
};

/// Steps that one evaluation may take; a loop over a page of records stays far below.
const FUEL: u64 = 2_000_000;

/// One evaluation.
pub(super) struct Run<'a> {
    pub(super) context: &'a Context<'a>,
    /// What statements gave a value to; the last of a name counts.
    own: Vec<(&'a str, Val<'a>)>,
    fuel: u64,
}

impl<'a> Run<'a> {
    pub(super) fn new(context: &'a Context<'a>) -> Self {
        Self { context, own: Vec::new(), fuel: FUEL }
    }

    /// Takes one step of the bound.
    pub(super) fn step(&mut self) -> Result<(), Fault> {
        self.fuel =
            self.fuel.checked_sub(1).ok_or_else(|| Fault::new(FaultKind::Bound, "a template takes too long"))?;
        Ok(())
    }

    pub(super) fn expr(&mut self, expr: &'a Expr) -> Result<Val<'a>, Fault> {
        self.step()?;
        match expr {
            Expr::Constant(constant) => Ok(constant_value(constant)),
            Expr::Name(name) => Ok(self.name(name)),
            Expr::List(items) => self.all(items).map(Val::list),
            Expr::Tuple(items) => self.all(items).map(Val::tuple),
            Expr::Dict(items) => {
                let mut pairs = Vec::with_capacity(items.len());
                for (key, value) in items {
                    let (key, value) = (self.expr(key)?, self.expr(value)?);
                    if !key.is_hashable() {
                        return Err(Fault::wrong_type("the value cannot be a key"));
                    }
                    compare::put(&mut pairs, key, value);
                }
                Ok(Val::dict(pairs))
            }
            Expr::Attribute(of, name) => access::attribute(&self.expr(of)?, name),
            Expr::Item(of, key) => {
                let of = self.expr(of)?;
                // The common case, without a value for the key.
                if let (Val::Json(serde_json::Value::Object(fields)), Expr::Constant(Constant::Text(key))) =
                    (&of, &**key)
                    && let Some(found) = fields.get(&**key)
                {
                    return Ok(Val::of(found));
                }
                let key = self.expr(key)?;
                access::subscript(&of, &key)
            }
            Expr::Slice(of, parts) => {
                let of = self.expr(of)?;
                let mut bounds = [Val::None, Val::None, Val::None];
                for (bound, part) in bounds.iter_mut().zip(parts) {
                    if let Some(part) = part {
                        *bound = self.expr(part)?;
                    }
                }
                access::slice(&of, &bounds)
            }
            Expr::Call(of, given) => {
                // A method is called where it stands, without binding it first.
                if let Expr::Attribute(of, name) = &**of {
                    let of = self.expr(of)?;
                    if methods::has(&of, name) {
                        let passed = self.given(given)?;
                        return methods::call(&of, name, passed);
                    }
                    let called = access::attribute(&of, name)?;
                    return self.call(called, given);
                }
                let called = self.expr(of)?;
                self.call(called, given)
            }
            Expr::Filter(of, filter, given) => {
                let of = self.expr(of)?;
                let passed = self.given(given)?;
                (filter.function)(self, of, passed)
            }
            Expr::Test(of, trial, given) => {
                let of = self.expr(of)?;
                let passed = self.given(given)?;
                (trial.function)(self, &of, passed).map(Val::Bool)
            }
            Expr::Not(of) => Ok(Val::Bool(!self.expr(of)?.truth()?)),
            Expr::Negative(of) => operators::negative(&self.expr(of)?),
            Expr::Positive(of) => operators::positive(&self.expr(of)?),
            Expr::Arithmetic(operation, a, b) => {
                let (a, b) = (self.expr(a)?, self.expr(b)?);
                operators::apply(*operation, &a, &b)
            }
            Expr::And(a, b) => {
                let a = self.expr(a)?;
                if a.truth()? { self.expr(b) } else { Ok(a) }
            }
            Expr::Or(a, b) => {
                let a = self.expr(a)?;
                if a.truth()? { Ok(a) } else { self.expr(b) }
            }
            Expr::Compare(first, rest) => {
                let mut left = self.expr(first)?;
                for (relation, right) in rest {
                    let right = self.expr(right)?;
                    if !compare::holds(*relation, &left, &right)? {
                        return Ok(Val::Bool(false));
                    }
                    left = right;
                }
                Ok(Val::Bool(true))
            }
            Expr::Concat(parts) => {
                let mut out = String::new();
                for part in parts {
                    print::print(&self.expr(part)?, &mut out)?;
                }
                Ok(Val::text(out))
            }
            Expr::If(parts, otherwise) => {
                let [value, condition] = &**parts;
                if self.expr(condition)?.truth()? {
                    return self.expr(value);
                }
                otherwise.as_ref().map_or(Ok(Val::Undefined), |otherwise| self.expr(otherwise))
            }
        }
    }

    fn name(&self, name: &'a Name) -> Val<'a> {
        if let Some((_, value)) = self.own.iter().rev().find(|(have, _)| *have == &*name.text) {
            return value.clone();
        }
        let given = name.variable.and_then(|variable| self.context.get(variable));
        let given = given.or_else(|| self.context.extra(&name.text));
        let global = name.global.map(|global| match global {
            Global::Own => Val::Space(std::rc::Rc::default()),
            global => Val::Global(global),
        });
        given.or(global).unwrap_or(Val::Undefined)
    }

    fn all(&mut self, items: &'a [Expr]) -> Result<Vec<Val<'a>>, Fault> {
        items.iter().map(|item| self.expr(item)).collect()
    }

    fn given(&mut self, given: &'a Given) -> Result<Passed<'a>, Fault> {
        let positional = self.all(&given.positional)?;
        let mut named = Vec::with_capacity(given.named.len());
        for (name, value) in &given.named {
            named.push((&**name, self.expr(value)?));
        }
        Ok(Passed { positional, named })
    }

    fn call(&mut self, called: Val<'a>, given: &'a Given) -> Result<Val<'a>, Fault> {
        called.used()?;
        let passed = self.given(given)?;
        match called {
            Val::Global(global) => global.call(self, passed),
            Val::Method(of, name) => methods::call(&of, name, passed),
            _ => Err(Fault::wrong_type("the value cannot be called")),
        }
    }

    /// Renders a body.
    pub(super) fn body(&mut self, body: &'a Body, out: &mut String) -> Result<(), Fault> {
        for node in body {
            self.node(node, out)?;
        }
        Ok(())
    }

    fn scoped(&mut self, body: &'a Body, out: &mut String) -> Result<(), Fault> {
        let before = self.own.len();
        self.body(body, out)?;
        self.own.truncate(before);
        Ok(())
    }

    fn node(&mut self, node: &'a Node, out: &mut String) -> Result<(), Fault> {
        self.step()?;
        match node {
            Node::Text(text) => {
                out.push_str(text);
                if out.len() > print::MAX_TEXT { Err(Fault::too_large()) } else { Ok(()) }
            }
            Node::Print(value) => {
                let value = self.expr(value)?;
                print::print(&value, out)
            }
            Node::If(branches, otherwise) => {
                for (condition, body) in branches {
                    if self.expr(condition)?.truth()? {
                        // What an `if` sets is seen behind it.
                        return self.body(body, out);
                    }
                }
                self.body(otherwise, out)
            }
            Node::For(repeat) => self.repeat(repeat, out),
            Node::Set(target, value) => {
                let value = self.expr(value)?;
                self.set(target, value)
            }
            Node::Capture(target, filters, body) => {
                let mut text = String::new();
                self.scoped(body, &mut text)?;
                let mut value = Val::text(text);
                for (filter, given) in filters {
                    let passed = self.given(given)?;
                    value = (filter.function)(self, value, passed)?;
                }
                self.set(target, value)
            }
            Node::With(pairs, body) => {
                let before = self.own.len();
                let mut values = Vec::with_capacity(pairs.len());
                for (_, value) in pairs {
                    values.push(self.expr(value)?);
                }
                for ((target, _), value) in pairs.iter().zip(values) {
                    self.set(target, value)?;
                }
                self.body(body, out)?;
                self.own.truncate(before);
                Ok(())
            }
            Node::Filtered(filters, body) => {
                let mut text = String::new();
                self.scoped(body, &mut text)?;
                let mut value = Val::text(text);
                for (filter, given) in filters {
                    let passed = self.given(given)?;
                    value = (filter.function)(self, value, passed)?;
                }
                print::print(&value, out)
            }
        }
    }

    fn set(&mut self, target: &'a Target, value: Val<'a>) -> Result<(), Fault> {
        match target {
            Target::Name(name) => self.own.push((name, value)),
            Target::Several(parts) => {
                let values = value.items()?;
                if values.len() != parts.len() {
                    return Err(Fault::value("a value has not as many parts as there are names"));
                }
                for (part, value) in parts.iter().zip(values) {
                    self.set(part, value)?;
                }
            }
            Target::Field(name, field) => {
                let space = self.own.iter().rev().find(|(have, _)| *have == &**name).map(|(_, value)| value.clone());
                let Some(Val::Space(pairs)) = space else {
                    return Err(Fault::new(FaultKind::Runtime, "only a namespace can be given fields"));
                };
                compare::put(&mut pairs.borrow_mut(), Val::Text(Text::Of(field)), value);
            }
        }
        Ok(())
    }

    fn repeat(&mut self, repeat: &'a Loop, out: &mut String) -> Result<(), Fault> {
        let over = self.expr(&repeat.over)?;
        let mut items = over.items()?;
        let before = self.own.len();
        if let Some(only) = &repeat.only {
            let mut kept = Vec::new();
            for item in items {
                self.set(&repeat.target, item.clone())?;
                let keep = self.expr(only)?.truth()?;
                self.own.truncate(before);
                if keep {
                    kept.push(item);
                }
            }
            items = kept;
        }
        if items.is_empty() {
            return self.scoped(&repeat.nothing, out);
        }
        let count = items.len();
        for at in 0..count {
            self.step()?;
            let looped = [
                ("index", Val::count(at + 1)),
                ("index0", Val::count(at)),
                ("revindex", Val::count(count - at)),
                ("revindex0", Val::count(count - at - 1)),
                ("first", Val::Bool(at == 0)),
                ("last", Val::Bool(at + 1 == count)),
                ("length", Val::count(count)),
                ("depth", Val::Int(1)),
                ("depth0", Val::Int(0)),
                ("previtem", at.checked_sub(1).map_or(Val::Undefined, |at| items[at].clone())),
                ("nextitem", items.get(at + 1).cloned().unwrap_or(Val::Undefined)),
            ];
            let looped = looped.into_iter().map(|(name, value)| (Val::Text(Text::Of(name)), value)).collect();
            self.own.push(("loop", Val::Space(std::rc::Rc::new(std::cell::RefCell::new(looped)))));
            self.set(&repeat.target, items[at].clone())?;
            self.body(&repeat.body, out)?;
            self.own.truncate(before);
        }
        Ok(())
    }
}

fn constant_value(constant: &Constant) -> Val<'_> {
    match constant {
        Constant::None => Val::None,
        Constant::Bool(truth) => Val::Bool(*truth),
        Constant::Int(int) => Val::Int(*int),
        Constant::Big(int) => Val::Big(std::rc::Rc::new(int.clone())),
        Constant::Float(float) => Val::Float(*float),
        Constant::Text(text) => Val::Text(Text::Of(text)),
    }
}
