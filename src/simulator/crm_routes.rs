//! The CRM's routes: list, search, account details. Knows the provider's shapes; knows nothing of tokens and faults.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Shared,
    accounts::{Account, ObjectKind},
    answers,
    gate::Records,
    people::{self, Fields},
    search::{Search, SearchBody},
};

const MAX_LIST_LIMIT: usize = 100;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/crm/v3/objects/{object}", get(list))
        .route("/crm/v3/objects/{object}/search", post(search))
        .route("/account-info/v3/details", get(details))
}

#[derive(Deserialize)]
struct ListQuery {
    limit: Option<usize>,
    after: Option<String>,
    properties: Option<String>,
    #[serde(default)]
    archived: bool,
}

async fn list(
    State(shared): State<Arc<Shared>>,
    Extension(account): Extension<Arc<Account>>,
    Path(object): Path<String>,
    Query(query): Query<ListQuery>,
) -> Response {
    let Some(kind) = ObjectKind::of_path(&object) else { return answers::not_found() };
    let limit = query.limit.unwrap_or(10);
    if !(1..=MAX_LIST_LIMIT).contains(&limit) {
        return answers::validation(&format!("The limit must be between 1 and {MAX_LIST_LIMIT}"));
    }
    // Leading zeros are allowed: the fault of an empty page hands the same place out under another token.
    let Ok(after) = query.after.as_deref().unwrap_or("0").parse::<u64>() else {
        return answers::validation("The value of 'after' is not valid");
    };
    let fields = query.properties.map_or(Fields::Default, |names| {
        Fields::Named(names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect())
    });
    let (results, last, more) = account.read(kind, after, |entries| {
        let mut shown = entries.filter(|(_, entry)| entry.archived_at.is_some() == query.archived);
        let mut last = after;
        let results: Vec<Value> = shown
            .by_ref()
            .take(limit)
            .map(|(id, entry)| {
                last = id;
                people::record(kind, account.seed(kind), id, entry, &fields)
            })
            .collect();
        (results, last, shown.next().is_some())
    });
    let mut page = json!({ "results": results });
    if more {
        let link = format!("{}/crm/v3/objects/{object}?limit={limit}&after={last}", shared.base_url);
        page["paging"] = json!({ "next": { "after": last.to_string(), "link": link } });
    }
    (Records::of(&page), Json(page)).into_response()
}

async fn search(Extension(account): Extension<Arc<Account>>, Path(object): Path<String>, body: Bytes) -> Response {
    let Some(kind) = ObjectKind::of_path(&object) else { return answers::not_found() };
    let body: SearchBody = match serde_json::from_slice(&body) {
        Ok(body) => body,
        Err(error) => return answers::validation(&format!("Invalid input JSON: {error}")),
    };
    let search = match Search::of(kind, &body) {
        Ok(search) => search,
        Err(refusal) => return answers::validation(&refusal),
    };
    let fields = if body.properties.is_empty() { Fields::Default } else { Fields::Named(body.properties) };
    let seed = account.seed(kind);
    let found = account.read(kind, 0, |entries| search.run(seed, entries));
    let results: Vec<Value> = found
        .iter()
        .skip(search.offset)
        .take(search.limit)
        .filter_map(|id| {
            account
                .read(kind, id - 1, |entries| entries.next().map(|(id, e)| people::record(kind, seed, id, e, &fields)))
        })
        .collect();
    let end = search.offset + results.len();
    let mut page = json!({ "total": found.len(), "results": results });
    if end < found.len() {
        page["paging"] = json!({ "next": { "after": end.to_string() } });
    }
    (Records::of(&page), Json(page)).into_response()
}

async fn details(Extension(account): Extension<Arc<Account>>) -> Response {
    let portal_id = account.portal_id().parse::<u64>().map_or_else(|_| json!(account.portal_id()), |id| json!(id));
    Json(json!({
        "portalId": portal_id,
        "accountType": "STANDARD",
        "timeZone": "US/Eastern",
        "companyCurrency": "USD",
        "additionalCurrencies": [],
        "utcOffset": "-05:00",
        "utcOffsetMilliseconds": -18_000_000,
        "uiDomain": "app.hubspot.com",
        "dataHostingLocation": "na1",
    }))
    .into_response()
}
