//! Which root names a template needs from outside.
//!
//! The reference refuses an evaluation before it starts when a name is not in the context, wherever the name stands; a
//! name that an `if` sets counts behind it as one from outside.

use super::syntax::{Body, Expr, Given, Name, Node, Target};

/// The names, each once, in the order of the text. The functions of the format are not among them.
pub(super) fn undeclared(body: &Body) -> Vec<Box<str>> {
    let mut finder = Finder::default();
    finder.body(body);
    finder.found
}

#[derive(Default)]
struct Finder<'t> {
    found: Vec<Box<str>>,
    /// What the template itself has given a value to, here.
    own: Vec<&'t str>,
}

impl<'t> Finder<'t> {
    fn body(&mut self, body: &'t Body) {
        for node in body {
            self.node(node);
        }
    }

    /// A body of its own: what it sets is not known behind it.
    fn scoped(&mut self, body: &'t Body) {
        let before = self.own.len();
        self.body(body);
        self.own.truncate(before);
    }

    fn node(&mut self, node: &'t Node) {
        match node {
            Node::Text(_) => {}
            Node::Print(value) => self.expr(value),
            Node::If(branches, otherwise) => {
                for (condition, body) in branches {
                    self.expr(condition);
                    self.scoped(body);
                }
                self.scoped(otherwise);
            }
            Node::For(repeat) => {
                self.expr(&repeat.over);
                let before = self.own.len();
                self.target(&repeat.target);
                repeat.only.iter().for_each(|only| self.expr(only));
                self.own.push("loop");
                self.body(&repeat.body);
                self.own.truncate(before);
                self.scoped(&repeat.nothing);
            }
            Node::Set(target, value) => {
                self.expr(value);
                self.target(target);
            }
            Node::Capture(target, filters, body) => {
                filters.iter().for_each(|(_, given)| self.given(given));
                self.scoped(body);
                self.target(target);
            }
            Node::With(pairs, body) => {
                pairs.iter().for_each(|(_, value)| self.expr(value));
                let before = self.own.len();
                pairs.iter().for_each(|(target, _)| self.target(target));
                self.body(body);
                self.own.truncate(before);
            }
            Node::Filtered(filters, body) => {
                filters.iter().for_each(|(_, given)| self.given(given));
                self.scoped(body);
            }
        }
    }

    fn target(&mut self, target: &'t Target) {
        match target {
            Target::Name(name) => self.own.push(name),
            Target::Several(all) => all.iter().for_each(|one| self.target(one)),
            Target::Field(namespace, _) => self.name(namespace, false),
        }
    }

    fn name(&mut self, name: &str, global: bool) {
        if !global && !self.own.contains(&name) && !self.found.iter().any(|have| **have == *name) {
            self.found.push(name.into());
        }
    }

    fn given(&mut self, given: &'t Given) {
        given.positional.iter().for_each(|value| self.expr(value));
        given.named.iter().for_each(|(_, value)| self.expr(value));
    }

    fn expr(&mut self, expr: &'t Expr) {
        match expr {
            Expr::Constant(_) => {}
            Expr::Name(Name { text, global, .. }) => self.name(text, global.is_some()),
            Expr::List(items) | Expr::Tuple(items) | Expr::Concat(items) => items.iter().for_each(|i| self.expr(i)),
            Expr::Dict(items) => items.iter().for_each(|(key, value)| {
                self.expr(key);
                self.expr(value);
            }),
            Expr::Attribute(of, _) | Expr::Not(of) | Expr::Negative(of) | Expr::Positive(of) => self.expr(of),
            Expr::Item(a, b) | Expr::Arithmetic(_, a, b) | Expr::And(a, b) | Expr::Or(a, b) => {
                self.expr(a);
                self.expr(b);
            }
            Expr::Slice(of, parts) => {
                self.expr(of);
                parts.iter().flatten().for_each(|part| self.expr(part));
            }
            Expr::Call(of, given) | Expr::Filter(of, _, given) | Expr::Test(of, _, given) => {
                self.expr(of);
                self.given(given);
            }
            Expr::Compare(first, rest) => {
                self.expr(first);
                rest.iter().for_each(|(_, value)| self.expr(value));
            }
            Expr::If(parts, otherwise) => {
                parts.iter().for_each(|part| self.expr(part));
                otherwise.iter().for_each(|part| self.expr(part));
            }
        }
    }
}
