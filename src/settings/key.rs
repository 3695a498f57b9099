//! A setting's name and built-in default: the list that reading, the check for unknown keys and the explained file share.

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Key {
    /// Dotted, e.g. `database.url`.
    pub name: &'static str,
    pub default: Plain,
    /// The value must not stand in an error.
    pub secret: bool,
}

/// A built-in default.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Plain {
    Text(&'static str),
    Integer(i64),
    Float(f64),
    List(&'static [&'static str]),
    Truth(bool),
}

impl Key {
    pub(super) const fn text(name: &'static str, default: &'static str) -> Self {
        Self { name, default: Plain::Text(default), secret: false }
    }

    pub(super) const fn secret(name: &'static str, default: &'static str) -> Self {
        Self { name, default: Plain::Text(default), secret: true }
    }

    pub(super) const fn integer(name: &'static str, default: i64) -> Self {
        Self { name, default: Plain::Integer(default), secret: false }
    }

    pub(super) const fn float(name: &'static str, default: f64) -> Self {
        Self { name, default: Plain::Float(default), secret: false }
    }

    pub(super) const fn truth(name: &'static str, default: bool) -> Self {
        Self { name, default: Plain::Truth(default), secret: false }
    }

    pub(super) const fn list(name: &'static str, default: &'static [&'static str]) -> Self {
        Self { name, default: Plain::List(default), secret: false }
    }

    /// The variable that sets it, e.g. `TIDEGATE_DATABASE__URL`.
    pub fn variable(&self) -> String {
        format!("{}{}", super::layers::PREFIX, self.name.replace('.', "__").to_ascii_uppercase())
    }
}

impl Plain {
    pub(super) fn value(self) -> config::Value {
        let kind = match self {
            Self::Text(text) => config::ValueKind::String(text.to_owned()),
            Self::Integer(number) => config::ValueKind::I64(number),
            Self::Float(number) => config::ValueKind::Float(number),
            Self::Truth(truth) => config::ValueKind::Boolean(truth),
            Self::List(items) => config::ValueKind::Array(items.iter().map(|item| (*item).into()).collect()),
        };
        config::Value::new(None, kind)
    }
}
