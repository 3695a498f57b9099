//! What can go wrong in a template, in the classes of the format's reference.
//!
//! The class matters: a wrong type makes a template stand for its own text, an undefined value for its default; all
//! others stop the run. A fault never holds a value: a template sees secrets and records.

use std::borrow::Cow;

/// The class of a fault, named as the reference names its errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The text is no template.
    Syntax,
    /// A filter or test that does not exist.
    Assertion,
    /// An undefined value was used.
    Undefined,
    /// An operation on a value of another type.
    Type,
    /// A value of the right type that the operation does not take; also a root name that the context does not have.
    Value,
    Attribute,
    Key,
    Index,
    Overflow,
    ZeroDivision,
    /// Access that the sandbox forbids.
    Security,
    FilterArgument,
    Runtime,
    Pattern,
    /// Our bound on work or size.
    Bound,
    /// Something of the format that is not supported here.
    Unsupported,
}

impl FaultKind {
    /// The name of the class in the reference.
    pub fn name(self) -> &'static str {
        match self {
            Self::Syntax => "TemplateSyntaxError",
            Self::Assertion => "TemplateAssertionError",
            Self::Undefined => "UndefinedError",
            Self::Type => "TypeError",
            Self::Value => "ValueError",
            Self::Attribute => "AttributeError",
            Self::Key => "KeyError",
            Self::Index => "IndexError",
            Self::Overflow => "OverflowError",
            Self::ZeroDivision => "ZeroDivisionError",
            Self::Security => "SecurityError",
            Self::FilterArgument => "FilterArgumentError",
            Self::Runtime => "TemplateRuntimeError",
            Self::Pattern => "error",
            Self::Bound => "bound",
            Self::Unsupported => "unsupported",
        }
    }
}

/// One fault: its class, and a sentence without values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub kind: FaultKind,
    pub message: Cow<'static, str>,
    /// The character of the template's text where it was met, from 1; known only of texts that cannot be read.
    pub at: Option<usize>,
}

impl Fault {
    pub(super) fn new(kind: FaultKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), at: None }
    }

    /// With the place in the text, unless one is known already. `bytes` lie before it.
    pub(super) fn behind(mut self, text: &str, bytes: usize) -> Self {
        self.at.get_or_insert_with(|| text.get(..bytes).unwrap_or(text).chars().count() + 1);
        self
    }

    pub(super) fn wrong_type(message: &'static str) -> Self {
        Self::new(FaultKind::Type, message)
    }

    pub(super) fn value(message: &'static str) -> Self {
        Self::new(FaultKind::Value, message)
    }

    pub(super) fn undefined() -> Self {
        Self::new(FaultKind::Undefined, "a value that is not there is used")
    }

    pub(super) fn syntax(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FaultKind::Syntax, message)
    }

    pub(super) fn unsupported(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FaultKind::Unsupported, message)
    }

    pub(super) fn too_large() -> Self {
        Self::new(FaultKind::Bound, "a value grows beyond what a template may make")
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}
