//! What a call passes, and how it fits what a function takes.

use super::{
    fault::Fault,
    value::{Text, Val},
};

/// The values of a call, evaluated.
#[derive(Debug, Default)]
pub(super) struct Passed<'a> {
    pub positional: Vec<Val<'a>>,
    pub named: Vec<(&'a str, Val<'a>)>,
}

impl<'a> Passed<'a> {
    /// Only values without names.
    pub(super) fn of(positional: Vec<Val<'a>>) -> Self {
        Self { positional, named: Vec::new() }
    }

    /// The values by the names of the parameters, the first `required` of which must be there.
    pub(super) fn fit<const N: usize>(self, names: [&str; N], required: usize) -> Result<[Option<Val<'a>>; N], Fault> {
        let mut fitted = [const { None }; N];
        if self.positional.len() > N {
            return Err(Fault::wrong_type("a call passes more than the function takes"));
        }
        for (slot, value) in fitted.iter_mut().zip(self.positional) {
            *slot = Some(value);
        }
        for (name, value) in self.named {
            let slot = names.iter().position(|have| *have == name && !have.is_empty());
            match slot.map(|at| &mut fitted[at]) {
                Some(slot @ None) => *slot = Some(value),
                Some(_) => return Err(Fault::wrong_type("a call passes a parameter twice")),
                None => return Err(Fault::wrong_type("a call passes a parameter that the function does not have")),
            }
        }
        if fitted.iter().take(required).any(Option::is_none) {
            return Err(Fault::wrong_type("a call lacks a parameter"));
        }
        Ok(fitted)
    }

    /// As [`Self::fit`], none of it by name.
    pub(super) fn plain<const N: usize>(self, required: usize) -> Result<[Option<Val<'a>>; N], Fault> {
        self.fit([""; N], required)
    }

    /// For functions that take nothing.
    pub(super) fn nothing(self) -> Result<(), Fault> {
        self.plain::<0>(0).map(|_| ())
    }
}

/// A parameter that must be a text.
pub(super) fn needs_text<'a>(value: Option<Val<'a>>) -> Result<Text<'a>, Fault> {
    match value {
        Some(Val::Text(text)) => Ok(text),
        Some(other) => {
            other.used()?;
            Err(Fault::wrong_type("a parameter is not a text"))
        }
        None => Err(Fault::wrong_type("a call lacks a parameter")),
    }
}

/// A parameter that may be left out or `None`, and is a text otherwise.
pub(super) fn may_text<'a>(value: Option<Val<'a>>) -> Result<Option<Text<'a>>, Fault> {
    match value {
        None | Some(Val::None) => Ok(None),
        value => needs_text(value).map(Some),
    }
}

/// A parameter that must be a whole number.
pub(super) fn needs_int(value: Option<Val<'_>>) -> Result<i64, Fault> {
    let value = value.ok_or_else(|| Fault::wrong_type("a call lacks a parameter"))?;
    value.used()?;
    value.as_int().ok_or_else(|| Fault::wrong_type("a parameter is not a whole number"))
}

/// A parameter that may be left out or `None`, and is a whole number otherwise.
pub(super) fn may_int(value: Option<Val<'_>>) -> Result<Option<i64>, Fault> {
    match value {
        None | Some(Val::None) => Ok(None),
        value => needs_int(value).map(Some),
    }
}

/// A parameter that is a condition.
pub(super) fn flag(value: Option<Val<'_>>) -> Result<bool, Fault> {
    value.map_or(Ok(false), |value| value.truth())
}
