//! Values while a template runs.
//!
//! Owns the model: JSON is borrowed where it lies, scalars are copied, and only what a template builds itself is new. A list
//! or a dict that a template builds is shared and can be changed, as in the reference; JSON from outside cannot.

use std::{cell::RefCell, ops::Deref, rc::Rc};

use num_bigint::BigInt;
use serde_json::Value;

use super::{
    context::Slice,
    fault::{Fault, FaultKind},
    globals::Global,
    moment::{Date, Moment, Span},
};

/// A text, borrowed or built.
#[derive(Debug, Clone)]
pub(super) enum Text<'a> {
    Of(&'a str),
    Own(Rc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Of(text) => text,
            Self::Own(text) => text,
        }
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self::Own(text.into())
    }
}

/// The views that a dict gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Keys,
    Values,
    Items,
}

pub(super) type Shared<T> = Rc<RefCell<T>>;
pub(super) type Pairs<'a> = Vec<(Val<'a>, Val<'a>)>;

/// Any value.
#[derive(Debug, Clone)]
pub(super) enum Val<'a> {
    Undefined,
    /// Forbidden by the sandbox: shows as nothing, and any use is a fault.
    Forbidden,
    None,
    Bool(bool),
    Int(i64),
    /// Beyond 64 bits only.
    Big(Rc<BigInt>),
    Float(f64),
    Text(Text<'a>),
    /// An array or an object from outside, nothing else.
    Json(&'a Value),
    AnyCase(&'a Value),
    Slice(&'a Slice<'a>),
    List(Shared<Vec<Val<'a>>>),
    Tuple(Rc<Vec<Val<'a>>>),
    Dict(Shared<Pairs<'a>>),
    /// `namespace()`.
    Space(Shared<Pairs<'a>>),
    View(View, Rc<Vec<Val<'a>>>),
    /// Yields each item once, and is always true.
    Stream(Shared<std::vec::IntoIter<Val<'a>>>),
    Moment(Moment),
    Date(Date),
    Span(Span),
    Bytes(Rc<[u8]>),
    /// A function of the format.
    Global(Global),
    /// A method, bound to its value.
    Method(Rc<Val<'a>>, &'a str),
}

impl<'a> Val<'a> {
    /// A JSON value as it lies.
    pub(super) fn of(json: &'a Value) -> Self {
        match json {
            Value::Null => Self::None,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(int), _) => Self::Int(int),
                (None, Some(int)) => Self::Big(Rc::new(BigInt::from(int))),
                (None, None) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => Self::Text(Text::Of(text)),
            Value::Array(_) | Value::Object(_) => Self::Json(json),
        }
    }

    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(Text::from(text.into()))
    }

    pub(super) fn list(items: Vec<Self>) -> Self {
        Self::List(Rc::new(RefCell::new(items)))
    }

    pub(super) fn tuple(items: Vec<Self>) -> Self {
        Self::Tuple(Rc::new(items))
    }

    pub(super) fn dict(pairs: Pairs<'a>) -> Self {
        Self::Dict(Rc::new(RefCell::new(pairs)))
    }

    pub(super) fn stream(items: Vec<Self>) -> Self {
        Self::Stream(Rc::new(RefCell::new(items.into_iter())))
    }

    pub(super) fn count(count: usize) -> Self {
        Self::Int(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// The smallest form of an integer.
    pub(super) fn big(number: BigInt) -> Self {
        i64::try_from(&number).map_or_else(|_| Self::Big(Rc::new(number)), Self::Int)
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// An integer, a truth value counting as one.
    pub(super) fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(int) => Some(*int),
            Self::Bool(truth) => Some(i64::from(*truth)),
            _ => None,
        }
    }

    pub(super) fn is_undefined(&self) -> bool {
        matches!(self, Self::Undefined | Self::Forbidden)
    }

    /// The fault of using a value that is not there, if this is one.
    pub(super) fn used(&self) -> Result<(), Fault> {
        match self {
            Self::Undefined => Err(Fault::undefined()),
            Self::Forbidden => Err(Fault::new(FaultKind::Security, "access to an attribute is unsafe")),
            _ => Ok(()),
        }
    }

    /// Whether a condition takes it for true.
    pub(super) fn truth(&self) -> Result<bool, Fault> {
        Ok(match self {
            Self::Undefined | Self::Forbidden | Self::None => false,
            Self::Bool(truth) => *truth,
            Self::Int(int) => *int != 0,
            Self::Float(float) => *float != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Json(Value::Array(items)) => !items.is_empty(),
            Self::Json(Value::Object(fields)) | Self::AnyCase(Value::Object(fields)) => !fields.is_empty(),
            Self::Slice(slice) => {
                let filled = |json: &Value| json.as_object().is_some_and(|fields| !fields.is_empty());
                filled(slice.all) || filled(slice.extra_fields)
            }
            Self::List(items) => !items.borrow().is_empty(),
            Self::Tuple(items) | Self::View(_, items) => !items.is_empty(),
            Self::Dict(pairs) => !pairs.borrow().is_empty(),
            Self::Bytes(bytes) => !bytes.is_empty(),
            Self::Span(span) => !span.is_zero(),
            Self::Big(_) | Self::Space(_) | Self::Stream(_) | Self::Moment(_) | Self::Date(_) => true,
            Self::Global(_) | Self::Method(..) | Self::Json(_) | Self::AnyCase(_) => true,
        })
    }

    /// The fields of any map, in their order.
    pub(super) fn fields(&self) -> Option<Pairs<'a>> {
        let of = |json: &'a Value| {
            let fields = json.as_object()?;
            Some(fields.iter().map(|(key, value)| (Val::Text(Text::Of(key)), Val::of(value))).collect())
        };
        match self {
            Self::Json(json) | Self::AnyCase(json) => of(json),
            Self::Slice(slice) => of(slice.all),
            Self::Dict(pairs) => Some(pairs.borrow().clone()),
            _ => None,
        }
    }

    pub(super) fn is_map(&self) -> bool {
        match self {
            Self::Json(json) => json.is_object(),
            Self::AnyCase(_) | Self::Slice(_) | Self::Dict(_) => true,
            _ => false,
        }
    }

    /// The items of a list, an array or a tuple.
    pub(super) fn sequence(&self) -> Option<Vec<Val<'a>>> {
        match self {
            Self::Json(Value::Array(items)) => Some(items.iter().map(Val::of).collect()),
            Self::List(items) => Some(items.borrow().clone()),
            Self::Tuple(items) => Some(items.to_vec()),
            _ => None,
        }
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self, Self::List(_) | Self::Json(Value::Array(_)))
    }

    /// What a loop over it sees: the keys of a map, the characters of a text. A stream is empty afterwards.
    pub(super) fn items(&self) -> Result<Vec<Val<'a>>, Fault> {
        if let Some(items) = self.sequence() {
            return Ok(items);
        }
        if let Some(pairs) = self.fields() {
            return Ok(pairs.into_iter().map(|(key, _)| key).collect());
        }
        match self {
            Self::Undefined | Self::Forbidden => Ok(Vec::new()),
            Self::Text(text) => Ok(text.chars().map(Val::text).collect()),
            Self::View(_, items) => Ok(items.to_vec()),
            Self::Stream(items) => {
                let all = items.borrow_mut().by_ref().collect();
                Ok(all)
            }
            Self::Bytes(bytes) => Ok(bytes.iter().map(|byte| Val::Int(i64::from(*byte))).collect()),
            _ => Err(Fault::wrong_type("the value is not iterable")),
        }
    }

    pub(super) fn is_iterable(&self) -> bool {
        let scalar = matches!(
            self,
            Self::None
                | Self::Bool(_)
                | Self::Int(_)
                | Self::Big(_)
                | Self::Float(_)
                | Self::Moment(_)
                | Self::Date(_)
                | Self::Span(_)
                | Self::Global(_)
                | Self::Method(..)
                | Self::Space(_)
        );
        !scalar
    }

    /// `len()`.
    pub(super) fn length(&self) -> Result<usize, Fault> {
        Ok(match self {
            Self::Undefined | Self::Forbidden => 0,
            Self::Text(text) => text.chars().count(),
            Self::Json(Value::Array(items)) => items.len(),
            Self::Json(Value::Object(fields)) | Self::AnyCase(Value::Object(fields)) => fields.len(),
            Self::Slice(slice) => slice.all.as_object().map_or(0, serde_json::Map::len),
            Self::List(items) => items.borrow().len(),
            Self::Tuple(items) | Self::View(_, items) => items.len(),
            Self::Dict(pairs) => pairs.borrow().len(),
            Self::Bytes(bytes) => bytes.len(),
            _ => return Err(Fault::wrong_type("the value has no length")),
        })
    }

    /// Whether it may be the key of a dict.
    pub(super) fn is_hashable(&self) -> bool {
        match self {
            Self::Json(_) | Self::List(_) | Self::Dict(_) | Self::AnyCase(_) | Self::View(..) => false,
            Self::Tuple(items) => items.iter().all(Val::is_hashable),
            _ => true,
        }
    }
}
