//! What a template sees of a run: borrowed, never copied.
//!
//! Owns the names of the format's variables and their aliases. A variable that was not given is unknown to the template
//! (a fault); one that was given as null is `None`.

use serde_json::Value;

use super::value::Val;
use crate::domain::clock::Timestamp;

macro_rules! variables {
    ($($name:ident => $text:literal),+ $(,)?) => {
        /// The variables of the format.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Variable { $(#[doc = $text] $name),+ }

        impl Variable {
            /// How many there are.
            pub(super) const COUNT: usize = [$($text),+].len();
            /// All names in a template, without aliases.
            pub(super) const NAMES: &'static [&'static str] = &[$($text),+];

            /// By the name in a template; aliases give what they stand for.
            pub fn named(name: &str) -> Option<Self> {
                match name {
                    "stream_interval" | "stream_partition" => Some(Self::StreamSlice),
                    $($text => Some(Self::$name),)+
                    _ => None,
                }
            }
        }
    };
}

variables! {
    Config => "config",
    Parameters => "parameters",
    Record => "record",
    Response => "response",
    Headers => "headers",
    LastRecord => "last_record",
    LastPageSize => "last_page_size",
    NextPageToken => "next_page_token",
    StreamSlice => "stream_slice",
    ComponentsValues => "components_values",
    StreamTemplateConfig => "stream_template_config",
    DownloadTarget => "download_target",
    CreationResponse => "creation_response",
    PollingResponse => "polling_response",
    Value => "value",
    Path => "path",
    RawMessage => "raw_message",
    LoginResponse => "login_response",
}

/// One slice of a stream, as `stream_slice`, `stream_interval` and `stream_partition` show it: all three are the same.
#[derive(Debug, Clone, Copy)]
pub struct Slice<'a> {
    /// The keys of partition and cursor together, in that order: what a look-up finds.
    pub all: &'a Value,
    pub partition: &'a Value,
    pub cursor_slice: &'a Value,
    pub extra_fields: &'a Value,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Part<'a> {
    Json(&'a Value),
    /// A map whose keys match in any case.
    AnyCase(&'a Value),
    Slice(&'a Slice<'a>),
}

/// The values that an evaluation sees. Cheap to make and to copy: it holds references only.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// What `now_utc()` and its like give: the start of the run, so that each page of a pull asks for the same.
    pub now: Timestamp,
    parts: [Option<Part<'a>>; Variable::COUNT],
    extra: Option<&'a Value>,
}

impl<'a> Context<'a> {
    /// A context with the connection's configuration and nothing else.
    pub fn new(now: Timestamp, config: &'a Value) -> Self {
        Self { now, parts: [None; Variable::COUNT], extra: None }.with(Variable::Config, config)
    }

    /// Adds or replaces a variable.
    #[must_use]
    pub fn with(mut self, variable: Variable, value: &'a Value) -> Self {
        self.parts[variable as usize] = Some(Part::Json(value));
        self
    }

    /// Adds a map whose keys are found in any case, the exact one first: the headers of an answer.
    #[must_use]
    pub fn with_any_case(mut self, variable: Variable, value: &'a Value) -> Self {
        self.parts[variable as usize] = Some(Part::AnyCase(value));
        self
    }

    /// Adds the slice, under its three names.
    #[must_use]
    pub fn with_slice(mut self, slice: &'a Slice<'a>) -> Self {
        self.parts[Variable::StreamSlice as usize] = Some(Part::Slice(slice));
        self
    }

    /// Adds root variables by the keys of an object; request options get the extra fields of a slice so.
    #[must_use]
    pub fn with_extra(mut self, fields: &'a Value) -> Self {
        self.extra = Some(fields);
        self
    }

    pub(super) fn get(&self, variable: Variable) -> Option<Val<'a>> {
        Some(match self.parts[variable as usize]? {
            Part::Json(json) => Val::of(json),
            Part::AnyCase(json) => Val::AnyCase(json),
            Part::Slice(slice) => Val::Slice(slice),
        })
    }

    pub(super) fn has(&self, variable: Variable) -> bool {
        self.parts[variable as usize].is_some()
    }

    pub(super) fn extra(&self, name: &str) -> Option<Val<'a>> {
        self.extra?.get(name).map(Val::of)
    }

    /// Whether a root name is known. Of a slice's extra fields, too.
    pub(super) fn knows(&self, name: &str) -> bool {
        Variable::named(name).is_some_and(|variable| self.parts[variable as usize].is_some())
            || self.extra.is_some_and(|fields| fields.get(name).is_some())
    }
}
