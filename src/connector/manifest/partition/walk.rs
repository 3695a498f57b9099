//! From one partition to the next.
//!
//! Owns the order of partitions. Parents are read page by page through the connector, which keeps the pages that are in use;
//! asked from a place anew, the parent's page of that place is read again.

use std::{future::Future, pin::Pin, sync::Arc};

use serde_json::{Map, Value};

use super::{PARENT_SLICE, Parent, Partition, Router, RouterPlace, Values, union::Unions};
use crate::{
    connector::{
        ConnectorError, ErrorKind,
        manifest::{
            dpath,
            engine::{Engine, Scope},
            extract,
            place::Place,
        },
    },
    domain::{cursor::Position, record::Item},
};

/// A partition, and where the router stands at it.
pub(in crate::connector::manifest) type Step = (Partition, RouterPlace);

type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, ConnectorError>> + Send + 'a>>;

/// A page of a parent stream.
#[derive(Debug)]
pub(in crate::connector::manifest) struct ParentPage {
    /// The records with what transformations made of them.
    pub records: Vec<Value>,
    /// The partition of the parent that the page belongs to.
    pub partition: Map<String, Value>,
    pub next: Option<Position>,
}

/// Reads pages of parents.
pub(in crate::connector::manifest) trait ParentPages: Send + Sync {
    /// The page at that place of a parent stream; the same page asked for again costs nothing.
    fn page<'a>(&'a self, parent: &'a Parent, at: Option<&'a Position>) -> Later<'a, Arc<ParentPage>>;
}

/// What partitions are made with.
pub(in crate::connector::manifest) struct Walk<'a> {
    pub engine: &'a Engine,
    pub scope: &'a Scope,
    pub parents: &'a dyn ParentPages,
    pub unions: &'a Unions,
}

impl Walk<'_> {
    /// The partition after `place`; the first one without. `None`: there is no further one.
    pub fn next<'a>(&'a self, router: &'a Router, place: Option<&'a RouterPlace>) -> Later<'a, Option<Step>> {
        Box::pin(async move {
            match (router, place) {
                (Router::List { values, field, .. }, None) => self.item(values, field, 0),
                (Router::List { values, field, .. }, Some(RouterPlace::Item(at))) => self.item(values, field, at + 1),
                (Router::Parents(parents), None) => self.record(parents, 0, None, 0).await,
                (Router::Parents(parents), Some(RouterPlace::Record { parent, page, record })) => {
                    self.record(parents, *parent, page.clone(), record + 1).await
                }
                (Router::Product(routers), None) => self.product(routers, Vec::new()).await,
                (Router::Product(routers), Some(RouterPlace::Product(steps))) => {
                    self.after(routers, steps.clone()).await
                }
                (Router::Groups { of, size, distinct }, None) => self.group(of, *size, *distinct, None).await,
                (Router::Groups { of, size, distinct }, Some(RouterPlace::Group(last))) => {
                    self.group(of, *size, *distinct, Some((**last).clone())).await
                }
                (Router::Union { of, field }, None) => self.union(of, field, None).await,
                (Router::Union { of, field }, Some(RouterPlace::Union(router, at))) => {
                    self.union(of, field, Some((*router, at))).await
                }
                _ => Err(ConnectorError::new(
                    ErrorKind::PositionExpired,
                    "the position is of another form of the stream's partitions",
                )),
            }
        })
    }

    fn item(
        &self,
        values: &Values,
        field: &crate::connector::manifest::engine::Template,
        at: usize,
    ) -> Result<Option<Step>, ConnectorError> {
        let value = match values {
            Values::Listed(values) => values.get(at).cloned(),
            Values::Computed(template) => match self.engine.value(template, self.scope)? {
                Value::Array(mut values) => (at < values.len()).then(|| values.swap_remove(at)),
                // A text is a list of its letters in the format's own implementation; nobody means that.
                Value::String(text) if text.is_empty() => None,
                Value::Null => None,
                Value::String(_) | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
                    let what = format!("'{}' gives no list of partitions", template.source());
                    return Err(ConnectorError::new(ErrorKind::Settings, what));
                }
            },
        };
        let Some(value) = value else { return Ok(None) };
        let field = self.engine.text(field, self.scope)?;
        let partition = Partition { fields: Map::from_iter([(field, value)]), extra: Map::new() };
        Ok(Some((partition, RouterPlace::Item(at))))
    }

    /// The first record at or after that place that has the key.
    async fn record(
        &self,
        parents: &[Parent],
        from: usize,
        page: Option<Position>,
        record: usize,
    ) -> Result<Option<Step>, ConnectorError> {
        let (mut page, mut record) = (page, record);
        for (index, parent) in parents.iter().enumerate().skip(from) {
            let key = self.engine.text(&parent.key, self.scope)?;
            let field = self.engine.text(&parent.field, self.scope)?;
            loop {
                let read = self.parents.page(parent, page.as_ref()).await?;
                while let Some(found) = read.records.get(record) {
                    // A key that is null names nothing, as a missing one.
                    if let Some(value) = at_path(found, &key).filter(|value| !value.is_null()) {
                        let parent_slice = (PARENT_SLICE.to_owned(), Value::Object(read.partition.clone()));
                        let fields = Map::from_iter([(field.clone(), value.clone()), parent_slice]);
                        let partition = Partition { fields, extra: self.extra(parent, found)? };
                        return Ok(Some((partition, RouterPlace::Record { parent: index, page, record })));
                    }
                    record += 1;
                }
                record = 0;
                page.clone_from(&read.next);
                if page.is_none() {
                    break;
                }
            }
        }
        Ok(None)
    }

    /// What lies in the record of a parent that the place stands at, where its children's first page is; an empty list where nothing
    /// does. `None`: that parent's records hold none.
    pub async fn inside(&self, parents: &[Parent], place: &RouterPlace) -> Result<Option<Value>, ConnectorError> {
        let RouterPlace::Record { parent, page, record } = place else { return Ok(None) };
        let Some(parent) = parents.get(*parent).filter(|parent| !parent.inside.is_empty()) else { return Ok(None) };
        let read = self.parents.page(parent, page.as_ref()).await?;
        let path = extract::steps(self.engine, self.scope, &parent.inside)?;
        let found = read.records.get(*record).and_then(|record| dpath::get(record, &path).ok().flatten());
        Ok(Some(found.cloned().unwrap_or(Value::Array(Vec::new()))))
    }

    fn extra(&self, parent: &Parent, record: &Value) -> Result<Map<String, Value>, ConnectorError> {
        let mut extra = Map::new();
        for path in &parent.extra {
            let path = path.iter().map(|part| self.engine.text(part, self.scope)).collect::<Result<Vec<_>, _>>()?;
            let value = at_path(record, &path.join("/")).cloned().unwrap_or(Value::Null);
            extra.insert(path.join("."), value);
        }
        Ok(extra)
    }

    /// Completes a row of partitions with the first of each router that has none yet.
    async fn product(
        &self,
        routers: &[Router],
        mut steps: Vec<(RouterPlace, Partition)>,
    ) -> Result<Option<Step>, ConnectorError> {
        while let Some(router) = routers.get(steps.len()) {
            match self.next(router, None).await? {
                Some((partition, place)) => steps.push((place, partition)),
                // One router without partitions leaves the product without any.
                None => return Ok(None),
            }
        }
        Ok((!steps.is_empty()).then(|| joined(steps)))
    }

    /// The row after this one: the last router goes on first.
    async fn after(
        &self,
        routers: &[Router],
        mut steps: Vec<(RouterPlace, Partition)>,
    ) -> Result<Option<Step>, ConnectorError> {
        while let Some((place, _)) = steps.pop() {
            let Some(router) = routers.get(steps.len()) else { continue };
            if let Some((partition, place)) = self.next(router, Some(&place)).await? {
                steps.push((place, partition));
                return self.product(routers, steps).await;
            }
        }
        Ok(None)
    }

    async fn group(
        &self,
        router: &Router,
        size: u64,
        distinct: bool,
        last: Option<RouterPlace>,
    ) -> Result<Option<Step>, ConnectorError> {
        let mut members: Vec<Partition> = Vec::new();
        let mut place = last;
        while (members.len() as u64) < size.max(1) {
            let Some((partition, at)) = self.next(router, place.as_ref()).await? else { break };
            place = Some(at);
            let key = |partition: &Partition| {
                let mut own = partition.fields.iter().filter(|(name, _)| name.as_str() != PARENT_SLICE);
                own.next().map(|(_, value)| value.clone())
            };
            if !(distinct && members.iter().any(|have| key(have) == key(&partition))) {
                members.push(partition);
            }
        }
        let Some((first, place)) = members.first().zip(place) else { return Ok(None) };
        let all = |names: Vec<&String>, part: fn(&Partition) -> &Map<String, Value>| -> Map<String, Value> {
            let column = |name: &String| {
                Value::Array(members.iter().map(|m| part(m).get(name).cloned().unwrap_or(Value::Null)).collect())
            };
            names.into_iter().map(|name| (name.clone(), column(name))).collect()
        };
        let partition = Partition {
            fields: all(first.fields.keys().collect(), |member| &member.fields),
            extra: all(first.extra.keys().collect(), |member| &member.extra),
        };
        Ok(Some((partition, RouterPlace::Group(Box::new(place)))))
    }
}

/// Of two partitions that name one field, the first one's value stands.
fn joined(steps: Vec<(RouterPlace, Partition)>) -> Step {
    let mut all = Partition::default();
    // The order of the fields is that of the format: the last router's first.
    for (_, partition) in steps.iter().rev() {
        for (name, value) in &partition.fields {
            all.fields.insert(name.clone(), value.clone());
        }
        for (name, value) in &partition.extra {
            all.extra.insert(name.clone(), value.clone());
        }
    }
    (all, RouterPlace::Product(steps))
}

/// The value at `a/b/0`.
fn at_path<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('/').filter(|part| !part.is_empty()).try_fold(value, |at, part| match at {
        Value::Array(items) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
        _ => at.get(part),
    })
}

impl ParentPage {
    /// A page as the connector gave it, read at that place.
    pub fn of(page: crate::connector::Page, at: Option<&Place>) -> Self {
        let records = page.items.into_iter().filter_map(|item| match item {
            Item::Record(record) => Some(record.payload),
            Item::Broken(_) => None,
        });
        let partition = at.and_then(Place::partition).map(|partition| partition.fields.clone()).unwrap_or_default();
        Self { records: records.collect(), partition, next: page.next }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A parent of three pages: two records, none, one; one record has no key.
    struct Fixed;

    impl ParentPages for Fixed {
        fn page<'a>(&'a self, _: &'a Parent, at: Option<&'a Position>) -> Later<'a, Arc<ParentPage>> {
            let page = at.and_then(|at| at.0.as_u64()).unwrap_or(0);
            let records = match page {
                0 => vec![json!({"id": 1, "a": {"b": "x"}}), json!({"no": 2})],
                1 => Vec::new(),
                _ => vec![json!({"id": 3})],
            };
            let next = (page < 2).then(|| Position(json!(page + 1)));
            Box::pin(async move { Ok(Arc::new(ParentPage { records, partition: Map::new(), next })) })
        }
    }

    fn template(engine: &mut Engine, text: &str) -> crate::connector::manifest::engine::Template {
        engine.compile(text, "x", &Arc::new(json!({}))).unwrap()
    }

    #[tokio::test]
    async fn a_product_of_a_list_and_parents_gives_each_pair_once_and_goes_on_from_any_place() {
        let mut engine = Engine::new();
        let list = |engine: &mut Engine, values: &[&str], field: &str| Router::List {
            values: Values::Listed(values.iter().map(|v| json!(v)).collect()),
            field: template(engine, field),
            option: None,
        };
        let router = Router::Product(vec![
            list(&mut engine, &["u", "v"], "letter"),
            Router::Groups { of: Box::new(list(&mut engine, &["1", "1", "2", "3"], "n")), size: 2, distinct: true },
        ]);
        let scope = Scope::new("2026-01-01T00:00:00Z".parse().unwrap(), &Arc::new(json!({})));
        let unions = Unions::default();
        let walk = Walk { engine: &engine, scope: &scope, parents: &Fixed, unions: &unions };
        let mut place = None;
        let mut seen = Vec::new();
        while let Some((partition, at)) = walk.next(&router, place.as_ref()).await.unwrap() {
            // A place survives being written down.
            place = Some(serde_json::from_value(serde_json::to_value(&at).unwrap()).unwrap());
            seen.push(Value::Object(partition.fields));
            assert!(seen.len() < 20, "it ends");
        }
        let expected = json!([
            {"n": ["1", "2"], "letter": "u"}, {"n": ["3"], "letter": "u"},
            {"n": ["1", "2"], "letter": "v"}, {"n": ["3"], "letter": "v"},
        ]);
        assert_eq!(Value::Array(seen), expected);
    }
}
