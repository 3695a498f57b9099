//! What a manifest comes down to: one plan per stream, with every template compiled.
//!
//! Owns the shapes that loading fills and pulling follows. Refuses behaviour.

use serde_json::Value;

use super::{
    auth::Auth, clamp::ClampPlan, datetime::Format, decode::DecoderPlan, delegate::Delegate, detour::DetourPlan,
    duration::Duration, engine::Template, errors::ErrorPlan, job::JobPlan, partition::Router,
    properties::PropertiesPlan, schema::SchemaPlan, select::Selector, transform::Transformation,
};
use crate::{connector::StreamSpec, domain::clock::Timestamp};

/// How one stream is read.
pub(super) struct StreamPlan {
    pub spec: StreamSpec,
    pub request: RequestPlan,
    pub decoder: DecoderPlan,
    pub selector: Selector,
    pub paginator: Option<Paginator>,
    pub cursor: Option<CursorPlan>,
    pub transformations: Vec<Transformation>,
    pub promises: Promises,
    /// What the stream is read by, besides time.
    pub router: Option<Router>,
    /// One cursor for all partitions.
    pub global_cursor: bool,
    /// Later pages of a slice are asked for by their token alone.
    pub slice_once: bool,
    /// What the retriever does where a listing cannot be read as it is.
    pub detours: DetourPlan,
    /// The field of the partition that keys of old states stand for.
    pub old_states: Option<Template>,
    /// Each slice is a job at the provider; `request` and what belongs to it read what the job leaves.
    pub job: Option<Box<JobPlan>>,
    /// Where its schema comes from; what can be told without asking anyone stands in `spec`, too.
    pub schema: SchemaPlan,
    /// The other way to read the stream, once it has a state.
    pub delegate: Option<Box<Delegate>>,
}

impl StreamPlan {
    /// Whether a first reading takes the first pages of children from their parents' records.
    pub fn reads_lazily(&self) -> bool {
        matches!(&self.router, Some(Router::Parents(parents)) if parents.iter().any(|parent| !parent.inside.is_empty()))
    }

    /// The ways in which the stream is read: one, or two where it delegates by its state.
    pub fn ways(&self) -> impl Iterator<Item = &StreamPlan> {
        std::iter::once(self).chain(self.delegate.iter().map(|delegate| &delegate.plan))
    }
}

/// What `x-tidegate` of a stream tells beyond the format.
#[derive(Debug, Default)]
pub(super) struct Promises {
    /// Records come sorted by cursor, ascending, across the pages of a slice.
    pub ordered_by_cursor: bool,
    /// The provider gives no more than so many results for one query.
    pub max_slice_records: Option<u64>,
    /// Where the answer says how many records the query has.
    pub total: Option<Vec<String>>,
    /// The records' path may be missing when there are none.
    pub records_optional: bool,
    /// The largest page that the provider gives, as its documentation says.
    pub max_page_size: Option<u64>,
    /// Why the stream has no cursor, in words.
    pub no_cursor: Option<String>,
    /// What is older than this neither changes nor goes any more, as the provider's documentation says.
    pub settled_after: Option<Duration>,
}

pub(super) struct RequestPlan {
    pub url: UrlPlan,
    pub post: bool,
    pub headers: Inputs,
    pub parameters: Inputs,
    /// The fields that are asked for, where they are named apart.
    pub properties: Option<Box<PropertiesPlan>>,
    pub body: BodyPlan,
    pub auth: Auth,
    pub errors: ErrorPlan,
}

impl RequestPlan {
    /// The address as the manifest writes it: what tells one requester from another.
    pub fn name(&self) -> String {
        match &self.url {
            UrlPlan::Whole(url) => url.source().to_owned(),
            UrlPlan::Joined { base, path } => {
                format!("{}/{}", base.source(), path.as_ref().map_or("", Template::source))
            }
        }
    }
}

pub(super) enum UrlPlan {
    Whole(Template),
    Joined { base: Template, path: Option<Template> },
}

/// Parameters or headers.
pub(super) enum Inputs {
    Each(Vec<(Template, Template)>),
    /// One template that gives an object.
    Whole(Template),
}

pub(super) enum BodyPlan {
    None,
    Json(Nested),
    Form(Vec<(Template, Template)>),
    Text(Template),
}

/// A JSON value with templates in it.
pub(super) enum Nested {
    Leaf(Template),
    Fixed(serde_json::Value),
    List(Vec<Nested>),
    Map(Vec<(Template, Nested)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inject {
    Parameter,
    Header,
    BodyJson,
    BodyData,
}

/// Where a value goes into a request.
pub(super) struct RequestOption {
    pub inject: Inject,
    /// One part, or the path into a JSON body.
    pub field: Vec<Template>,
}

pub(super) struct Paginator {
    pub strategy: Strategy,
    pub page_size: Option<Template>,
    pub size_option: Option<RequestOption>,
    pub token_option: Option<TokenOption>,
}

pub(super) enum TokenOption {
    /// The token is the whole address of the next page.
    Path,
    Option(RequestOption),
}

pub(super) enum Strategy {
    Offset {
        on_first: bool,
    },
    Page {
        first: i64,
        on_first: bool,
    },
    /// `after`: a template names the last record or how many there were, which the selector knows.
    Cursor {
        value: Template,
        stop: Option<Template>,
        after: bool,
    },
}

pub(super) struct CursorPlan {
    /// As in the manifest: the key of the state.
    pub field: String,
    /// The state's own format, and what requests are given.
    pub format: Format,
    /// Formats that a record's value may have, tried in order.
    pub record_formats: Vec<Format>,
    pub start: Bound,
    pub end: Option<Bound>,
    pub step: Option<Template>,
    pub granularity: super::duration::Duration,
    pub lookback: Option<Template>,
    pub start_option: Option<RequestOption>,
    pub end_option: Option<RequestOption>,
    /// What the bounds are called in `stream_slice`.
    pub start_name: String,
    pub end_name: String,
    /// `global_substream_cursor`: one for all partitions.
    pub global: bool,
    /// Records before the cursor are left out here, because the provider gives them all the same.
    pub client_side: bool,
    /// The newest come first: reading ends where the cursor is reached.
    pub data_feed: bool,
    /// It counts: instants stand for whole numbers, a microsecond for one.
    pub counts: bool,
    pub clamping: Option<ClampPlan>,
    /// The provider refuses a window that ends where it begins.
    pub strictly: bool,
}

impl CursorPlan {
    /// As it stands in states and slices.
    pub fn told(&self, at: Timestamp) -> Value {
        match (self.counts, at.micros()) {
            (true, NO_END) => Value::from("inf"),
            (true, count) => Value::from(count),
            (false, _) => Value::String(self.format.format(at)),
        }
    }

    /// What a state's or a record's value stands for, in the first of the formats that it fits.
    pub fn heard(&self, value: &Value) -> Option<Timestamp> {
        if self.counts {
            return value.as_i64().filter(|count| count.abs() < NO_END).and_then(Timestamp::from_micros);
        }
        self.record_formats.iter().chain([&self.format]).find_map(|format| format.parse_value(value))
    }
}

/// What counts has no end; as the number of microseconds that stands for it.
pub(super) const NO_END: i64 = 8_000_000_000_000_000_000;

/// A time from the configuration, with its limits.
pub(super) struct Bound {
    pub time: Template,
    pub format: Option<Format>,
    pub at_least: Option<Template>,
    pub at_most: Option<Template>,
    /// It is a whole number.
    pub counts: bool,
}

/// How the provider is asked who we are.
pub(super) struct IdentityPlan {
    pub stream: usize,
    pub path: Template,
    pub account_id: Option<Vec<String>>,
}
