//! What leads from page to page, on trial, and how far back a stream looks.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use regex::Regex;
use serde_json::Value;

use super::{engine::Engine, engine::Scope, paginate, plan::Paginator, select, slices, trial::Trial};
use crate::{
    connector::ConnectorError,
    domain::{clock::Timestamp, record::Item},
};

/// Where a template holds the size of the last page against a number.
static COMPARED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"last_page_size\s*(<=|<|!=)\s*(\d+)").expect("the pattern is fixed"));

/// A question about a page that was read.
type Asks<T> = fn(&Engine, &Paginator, &Scope, paginate::Seen<'_>) -> Result<Option<T>, ConnectorError>;

impl Trial {
    /// The token of the next page that this body leads to.
    ///
    /// # Errors
    /// A template fails.
    pub fn next_token(
        &self,
        body: &Value,
        headers: &BTreeMap<String, String>,
        token: &Value,
        size: Option<u64>,
    ) -> Result<Option<Value>, ConnectorError> {
        self.of_page(body, headers, token, size, paginate::next_token)
    }

    /// What `cursor_value` makes of this body, also where paging would end with it; `None`: of no body anything.
    pub fn cursor_value(&self, body: &Value) -> Option<Value> {
        self.of_page(body, &BTreeMap::new(), &Value::Null, None, paginate::cursor_value).ok().flatten()
    }

    fn of_page<T>(
        &self,
        body: &Value,
        headers: &BTreeMap<String, String>,
        token: &Value,
        size: Option<u64>,
        asks: Asks<T>,
    ) -> Result<Option<T>, ConnectorError> {
        let Some(paginator) = &self.plan().paginator else { return Ok(None) };
        let (engine, selector) = (&self.loaded.engine, &self.plan().selector);
        let records = select::peek(engine, selector, &self.scope, body)?;
        let extracted = select::extract(engine, selector, &self.scope, body.clone(), true, "on trial")?;
        let left = self.selected(extracted, &self.scope)?.items;
        let left = left.into_iter().filter_map(|item| match item {
            Item::Record(record) => Some(record.payload),
            Item::Broken(_) => None,
        });
        let left: Vec<Value> = left.collect();
        let response = Arc::new(body.clone());
        let seen = paginate::Seen {
            response: &response,
            headers,
            records,
            emitted: left.len() as u64,
            last_record: left.into_iter().next_back().unwrap_or(Value::Null),
            size,
            token,
        };
        asks(engine, paginator, &self.scope, seen)
    }

    /// The page size that the manifest asks for.
    pub fn page_size(&self) -> Option<u64> {
        let paginator = self.plan().paginator.as_ref()?;
        paginate::size(&self.loaded.engine, paginator, &self.scope, None).ok().flatten()
    }

    /// From when on a pull reads again, whose cursor stands at that instant.
    pub fn looked_back(&self, at: Timestamp) -> Timestamp {
        let lookback = self.plan().cursor.as_ref().and_then(|cursor| cursor.lookback.as_ref());
        let lookback = lookback.and_then(|window| slices::duration(&self.loaded.engine, window, &self.scope).ok());
        lookback.map_or(at, |lookback| lookback.before(at))
    }
}

/// The size of a page that `last_page_size < N` takes for a full one.
pub(super) fn full_page(source: &str) -> Option<usize> {
    let found = COMPARED.captures(source)?;
    let size: usize = found[2].parse().ok()?;
    let size = if &found[1] == "<=" { size + 1 } else { size };
    (size > 1).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_full_page_is_read_from_a_stop_condition_that_writes_one() {
        assert_eq!(full_page("{{ last_page_size < 100 }}"), Some(100));
        assert_eq!(full_page("{{ not response.more or last_page_size<=49 }}"), Some(50));
        assert_eq!(full_page("{{ last_page_size != 20 }}"), Some(20));
        for none in ["{{ last_page_size == 0 }}", "{{ last_page_size < 1 }}", "{{ last_page_size < page_size }}"] {
            assert_eq!(full_page(none), None, "{none}");
        }
    }
}
