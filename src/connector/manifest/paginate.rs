//! Which page comes next.
//!
//! Owns the three strategies. Counts extracted records, before any filter, as the format does. Refuses to know slices.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value, json};

use super::{
    engine::{Engine, Scope},
    plan::{Paginator, Strategy},
};
use crate::connector::{ConnectorError, ErrorKind};

/// What a page tells about the next one.
pub(super) struct Seen<'a> {
    pub response: &'a Arc<Value>,
    pub headers: &'a BTreeMap<String, String>,
    /// Records that the provider gave.
    pub records: u64,
    /// Records that the manifest left of them.
    pub emitted: u64,
    /// The last of those.
    pub last_record: Value,
    /// The page size that was asked for, where the manifest names one.
    pub size: Option<u64>,
    /// The token that this page was asked with.
    pub token: &'a Value,
}

/// The page size to ask for: the manifest's, or less when fewer records are wanted and the size can be sent.
///
/// # Errors
/// [`ErrorKind::Settings`] when the size renders to no number.
pub(super) fn size(
    engine: &Engine,
    paginator: &Paginator,
    scope: &Scope,
    limit: Option<usize>,
) -> Result<Option<u64>, ConnectorError> {
    let Some(template) = &paginator.page_size else { return Ok(None) };
    let size = engine.value(template, scope)?.as_u64().filter(|size| *size > 0).ok_or_else(|| {
        ConnectorError::new(ErrorKind::Settings, format!("'{}' gives no page size", template.source()))
    })?;
    let wanted = limit.filter(|_| paginator.size_option.is_some()).map_or(u64::MAX, |limit| limit.max(1) as u64);
    Ok(Some(size.min(wanted)))
}

/// The token of a query's first page; null sends none.
pub(super) fn first_token(paginator: Option<&Paginator>) -> Value {
    match paginator.map(|paginator| &paginator.strategy) {
        Some(Strategy::Offset { on_first: true }) => json!(0),
        Some(Strategy::Page { first, on_first: true }) => json!(first),
        Some(Strategy::Offset { .. } | Strategy::Page { .. } | Strategy::Cursor { .. }) | None => Value::Null,
    }
}

/// The token to go back to, where records are counted to page on and so many before this page are gone: what stood behind them has moved
/// up, over the edge between two pages. `None`: the token counts nothing, or nothing was read before.
pub(super) fn behind(paginator: Option<&Paginator>, token: &Value, size: Option<u64>, gone: u64) -> Option<Value> {
    let first = first_token(paginator);
    match &paginator?.strategy {
        Strategy::Offset { .. } => {
            let offset = token.as_u64().filter(|offset| *offset > 0)?;
            Some(offset.checked_sub(gone).filter(|to| *to > 0).map_or(first, |to| json!(to)))
        }
        Strategy::Page { first: number, .. } => {
            let page = token.as_i64().filter(|page| page > number)?;
            let back = i64::try_from(gone.div_ceil(size.unwrap_or(1).max(1))).unwrap_or(i64::MAX);
            Some(page.checked_sub(back).filter(|to| to > number).map_or(first, |to| json!(to)))
        }
        Strategy::Cursor { .. } => None,
    }
}

/// The token may be used by a later run: it names a record, not a count of records.
pub(super) fn resumable(paginator: Option<&Paginator>) -> bool {
    matches!(paginator.map(|paginator| &paginator.strategy), Some(Strategy::Cursor { .. }))
}

impl Paginator {
    /// Whether the next page's token depends on the records that were selected, not only on the answer.
    pub fn looks_back(&self) -> bool {
        matches!(self.strategy, Strategy::Cursor { after: true, .. })
    }
}

/// The next page's token; `None` ends the query.
///
/// # Errors
/// [`ErrorKind::Settings`] when a template fails.
pub(super) fn next_token(
    engine: &Engine,
    paginator: &Paginator,
    scope: &Scope,
    seen: Seen<'_>,
) -> Result<Option<Value>, ConnectorError> {
    let short = seen.records == 0 || seen.size.is_some_and(|size| seen.records < size);
    match &paginator.strategy {
        Strategy::Offset { .. } => {
            let offset = seen.token.as_u64().unwrap_or(0) + seen.records;
            Ok((!short).then(|| json!(offset)))
        }
        Strategy::Page { first, .. } => {
            let page = seen.token.as_i64().unwrap_or(*first) + 1;
            Ok((!short).then(|| json!(page)))
        }
        Strategy::Cursor { value, stop, .. } => {
            let scope = looking_at(scope, seen);
            if let Some(stop) = stop
                && engine.truth(stop, &scope)?
            {
                return Ok(None);
            }
            let token = engine.value(value, &scope)?;
            Ok(is_filled(&token).then_some(token))
        }
    }
}

/// What `cursor_value` makes of a page, whatever `stop_condition` says of it; `None`: pages are counted.
///
/// # Errors
/// [`ErrorKind::Settings`] when the template fails.
pub(super) fn cursor_value(
    engine: &Engine,
    paginator: &Paginator,
    scope: &Scope,
    seen: Seen<'_>,
) -> Result<Option<Value>, ConnectorError> {
    let Strategy::Cursor { value, .. } = &paginator.strategy else { return Ok(None) };
    engine.value(value, &looking_at(scope, seen)).map(Some)
}

/// The variables of a page.
fn looking_at(scope: &Scope, seen: Seen<'_>) -> Scope {
    scope
        .clone()
        .with("response", seen.response)
        .with("headers", &Arc::new(headers(seen.headers)))
        .with("last_record", &Arc::new(seen.last_record))
        .with("last_page_size", &Arc::new(json!(seen.emitted)))
        .with("page_size", &Arc::new(json!(seen.size)))
}

/// Whether a token leads on. Unlike a condition, a text does by being there: `"0"` and `"false"` are tokens.
pub(super) fn is_filled(token: &Value) -> bool {
    match token {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// Headers as templates know them: in small letters and as they are usually written, and links by their relation.
pub(super) fn headers(headers: &BTreeMap<String, String>) -> Value {
    let mut map = Map::new();
    for (name, value) in headers {
        let written: Vec<String> = name
            .split('-')
            .map(|word| word.get(..1).unwrap_or("").to_ascii_uppercase() + word.get(1..).unwrap_or(""))
            .collect();
        map.insert(written.join("-"), Value::String(value.clone()));
        map.insert(name.clone(), Value::String(value.clone()));
    }
    let links = headers.get("link").map_or_else(Map::new, |link| links(link));
    map.insert("link".to_owned(), Value::Object(links));
    Value::Object(map)
}

/// `<https://..>; rel="next", <..>; rel="last"`.
fn links(header: &str) -> Map<String, Value> {
    let mut map = Map::new();
    for link in header.split(", <") {
        let Some((url, rest)) = link.trim_start_matches('<').split_once('>') else { continue };
        let rel = rest.split(';').find_map(|part| part.trim().strip_prefix("rel="));
        if let Some(rel) = rel.map(|rel| rel.trim_matches(['"', '\'', ' ', ','])) {
            map.insert(rel.to_owned(), json!({"url": url, "rel": rel}));
        }
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_by_their_relation() {
        let header = "<https://x.example/a?p=2>; rel=\"next\", <https://x.example/a?p=9>; rel=\"last\"";
        let found = headers(&BTreeMap::from([
            ("link".to_owned(), header.to_owned()),
            ("x-next-page".to_owned(), "2".to_owned()),
        ]));
        assert_eq!(found["link"]["next"]["url"], "https://x.example/a?p=2");
        assert_eq!(found["link"]["last"]["url"], "https://x.example/a?p=9");
        assert_eq!(found["X-Next-Page"], "2");
    }

    #[test]
    fn a_header_is_found_however_its_name_is_written() {
        let mut engine = Engine::new();
        let have = [("x-nextpage", "7"), ("link", "</x?page=2>; rel=\"next\"")];
        let have: BTreeMap<_, _> = have.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let scope = Scope::new(crate::domain::clock::Timestamp::from_micros(0).unwrap(), &Arc::new(json!({})))
            .with("headers", &Arc::new(headers(&have)));
        for (template, value) in [
            ("{{ headers['x-nextpage'] }}", "7"),
            ("{{ headers['X-NextPage'] }}", "7"),
            ("{{ headers.get('X-NEXTPAGE') }}", "7"),
            ("{{ 'X-NextPage' in headers }}", "True"),
            ("{{ headers['x-next'] }}", ""),
            ("{{ headers['link']['next']['url'] }}", "/x?page=2"),
            ("{{ headers['Link'] }}", "</x?page=2>; rel=\"next\""),
        ] {
            let template = engine.compile(template, "x", &Arc::new(json!({}))).unwrap();
            assert_eq!(engine.text(&template, &scope).unwrap(), value, "{}", template.source());
        }
    }

    #[test]
    fn a_token_that_reads_like_nothing_still_leads_on() {
        let tokens = [json!("0"), json!("false"), json!("{}"), json!(7), json!({"a": 1})];
        let ends = [json!(null), json!(""), json!(0), json!(false), json!([]), json!({})];
        assert!(tokens.iter().all(is_filled) && !ends.iter().any(is_filled));
    }

    /// What a provider with `total` records answers: by offset, by page number, or by a token that is an offset in disguise.
    fn read_all(strategy: usize, total: u64, size: u64, on_first: bool) -> Result<Vec<u64>, ConnectorError> {
        let mut engine = Engine::new();
        let mut compile = |text: &str| engine.compile(text, "x", &Arc::new(json!({}))).unwrap();
        let page_size = Some(compile(&size.to_string()));
        let strategy = match strategy {
            0 => Strategy::Offset { on_first },
            1 => Strategy::Page { first: 1, on_first },
            _ => Strategy::Cursor { value: compile("{{ response.get('next', {}) }}"), stop: None, after: false },
        };
        let paginator = Paginator { strategy, page_size, size_option: None, token_option: None };
        let scope = Scope::new(crate::domain::clock::Timestamp::from_micros(0).unwrap(), &Arc::new(json!({})));
        let mut token = first_token(Some(&paginator));
        let mut read = Vec::new();
        loop {
            let start = match paginator.strategy {
                Strategy::Page { first, .. } => (token.as_i64().unwrap_or(first) - first).unsigned_abs() * size,
                Strategy::Offset { .. } | Strategy::Cursor { .. } => token.as_u64().unwrap_or(0),
            };
            let page: Vec<u64> = (start..total.min(start + size)).collect();
            let more = start + size < total;
            let response = Arc::new(if more { json!({"next": start + size}) } else { json!({}) });
            let records = page.len() as u64;
            read.extend(page);
            let headers = BTreeMap::new();
            let size = Some(size);
            let seen = Seen {
                response: &response,
                headers: &headers,
                records,
                emitted: records,
                last_record: Value::Null,
                size,
                token: &token,
            };
            match next_token(&engine, &paginator, &scope, seen)? {
                Some(next) => token = next,
                None => return Ok(read),
            }
            assert!(read.len() as u64 <= total, "paging does not end");
        }
    }

    proptest::proptest! {
        #[test]
        fn paging_ends_and_gives_each_record_once(
            strategy in 0_usize..3, total in 0_u64..60, size in 1_u64..9, on_first in proptest::bool::ANY,
        ) {
            let read = read_all(strategy, total, size, on_first).unwrap();
            proptest::prop_assert_eq!(read, (0..total).collect::<Vec<_>>());
        }
    }
}
