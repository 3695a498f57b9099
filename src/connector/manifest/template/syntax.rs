//! The compiled form of a template: what the parser makes and the evaluator walks.
//!
//! Owns the tree and nothing else. It holds no value of a run, so one tree serves all runs at once.

use num_bigint::BigInt;

use super::{context::Variable, filters::Filter, globals::Global, trials::Trial};

/// A whole template, or the body of a statement.
pub(super) type Body = Vec<Node>;

/// One piece of a template, in the order of the text.
#[derive(Debug)]
pub(super) enum Node {
    /// Text outside of all marks.
    Text(Box<str>),
    /// `{{ ... }}`
    Print(Expr),
    /// `{% if %}` with its `elif`s, and what `else` holds.
    If(Vec<(Expr, Body)>, Body),
    /// `{% for %}`
    For(Box<Loop>),
    /// `{% set a = ... %}`
    Set(Target, Expr),
    /// `{% set a | filter %}...{% endset %}`
    Capture(Target, Vec<(Filter, Given)>, Body),
    /// `{% with a = ... %}`
    With(Vec<(Target, Expr)>, Body),
    /// `{% filter name %}`
    Filtered(Vec<(Filter, Given)>, Body),
}

/// `{% for target in over if only recursive %} body {% else %} nothing {% endfor %}`
#[derive(Debug)]
pub(super) struct Loop {
    pub target: Target,
    pub over: Expr,
    pub only: Option<Expr>,
    pub body: Body,
    pub nothing: Body,
}

/// What a statement gives a value to.
#[derive(Debug)]
pub(super) enum Target {
    Name(Box<str>),
    Several(Vec<Target>),
    /// `ns.field` of a namespace.
    Field(Box<str>, Box<str>),
}

/// What stands in parentheses behind a call, a filter or a test.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub positional: Vec<Expr>,
    pub named: Vec<(Box<str>, Expr)>,
}

/// A value written in the template.
#[derive(Debug)]
pub(super) enum Constant {
    None,
    Bool(bool),
    Int(i64),
    Big(BigInt),
    Float(f64),
    Text(Box<str>),
}

/// A name, looked up among the template's own first, then in the context, then among the functions of the format.
#[derive(Debug)]
pub(super) struct Name {
    pub text: Box<str>,
    pub variable: Option<Variable>,
    pub global: Option<Global>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Modulo,
    Power,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
    In,
    NotIn,
}

#[derive(Debug)]
pub(super) enum Expr {
    Constant(Constant),
    Name(Name),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    /// `a.b`
    Attribute(Box<Expr>, Box<str>),
    /// `a[b]`
    Item(Box<Expr>, Box<Expr>),
    /// `a[from:to:step]`
    Slice(Box<Expr>, [Option<Box<Expr>>; 3]),
    Call(Box<Expr>, Given),
    /// `a | f(...)`
    Filter(Box<Expr>, Filter, Given),
    /// `a is t(...)`
    Test(Box<Expr>, Trial, Given),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    Positive(Box<Expr>),
    Arithmetic(Arithmetic, Box<Expr>, Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Compare(Box<Expr>, Vec<(Relation, Expr)>),
    /// `a ~ b`
    Concat(Vec<Expr>),
    /// `then if condition else otherwise`
    If(Box<[Expr; 2]>, Option<Box<Expr>>),
}
