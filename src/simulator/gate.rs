//! What every request passes before and after its route: token, log, limit, latency, faults.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{
    Json,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, IntoResponseParts, Response, ResponseParts},
};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{Shared, accounts::Account, answers, bulk, faults::FaultKind, locked, tokens::TOKEN_PATH, wire::Wire};

/// No page of ours is larger; a larger one would be our own mistake.
const MAX_PAGE_BYTES: usize = 64 << 20;

/// How many records an answer holds; travels with it to the log.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Records(pub(super) usize);

impl Records {
    pub(super) fn of(page: &Value) -> Self {
        Self(page["results"].as_array().map_or(0, Vec::len))
    }
}

impl IntoResponseParts for Records {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}

pub(super) async fn pass(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    mut request: Request,
    next: Next,
) -> Response {
    let account = account_of(&shared, &request);
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let portal_id = account.as_ref().map(|a| a.portal_id().to_owned());
    let number = shared.oracle.arrive(portal_id.as_deref(), request.method().as_str(), &path, &query);
    let fault = shared.faults.strike(portal_id.as_deref(), &path);
    let name = fault.as_ref().map(FaultKind::name);

    wait(&shared, Duration::from_micros(shared.latency_us.load(Ordering::Relaxed))).await;
    if let Some(account) = &account {
        request.extensions_mut().insert(Arc::clone(account));
    }
    let refusal = match &account {
        None if !bulk::is_open(&path) && path != TOKEN_PATH => Some(answers::unauthorized()),
        None => None,
        Some(account) => over_limit(&shared, account),
    };
    let page_key = (portal_id.unwrap_or_default(), path);
    let answer = match (refusal, fault) {
        (Some(refusal), _) => refusal,
        (None, None) => remembered(&shared, page_key, next.run(request).await).await,
        (None, Some(fault)) => faulty(&shared, &wire, fault, page_key, &query, request, next).await,
    };
    let broken = matches!(name, Some("reset" | "cut_body"));
    let records = answer.extensions().get::<Records>().copied().unwrap_or_default().0;
    shared.oracle.answer(number, (!broken).then(|| answer.status().as_u16()), records, name);
    answer
}

fn account_of(shared: &Shared, request: &Request) -> Option<Arc<Account>> {
    let token = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    let portal_id = shared.tokens.portal_of(token);
    let theirs = |account: &Account| account.token() == token || portal_id.as_deref() == Some(account.portal_id());
    shared.accounts.iter().find(|account| theirs(account)).cloned()
}

fn over_limit(shared: &Shared, account: &Account) -> Option<Response> {
    let limit = account.limit()?;
    let (count, oldest) = shared.oracle.recent(account.portal_id(), limit.window);
    (count > limit.calls).then(|| {
        let left = limit.window.saturating_sub(oldest);
        answers::too_many(Some(left.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX)))
    })
}

async fn wait(shared: &Shared, duration: Duration) {
    if !duration.is_zero() {
        tokio::select! {
            () = shared.clock.sleep(duration) => {}
            () = shared.stop.cancelled() => {}
        }
    }
}

async fn faulty(
    shared: &Shared,
    wire: &Wire,
    fault: FaultKind,
    key: (String, String),
    query: &str,
    request: Request,
    next: Next,
) -> Response {
    match fault {
        FaultKind::TooManyRequests { retry_after } => answers::too_many(retry_after),
        FaultKind::ServerError => answers::broken(),
        FaultKind::Unauthorized => answers::unauthorized(),
        FaultKind::Forbidden => answers::forbidden(),
        FaultKind::Rejected => answers::validation("The request is not valid"),
        FaultKind::NotJson => answers::not_json(),
        FaultKind::ErrorBody => Json(answers::error_body("INTERNAL_ERROR", "internal error")).into_response(),
        FaultKind::CutBody => {
            // Status line and headers of ours are about this long; the body's first half follows.
            const HEAD_BYTES: usize = 110;
            let (response, body) = whole(next.run(request).await).await;
            wire.cut_after(HEAD_BYTES + body.len() / 2);
            with_body(response, body)
        }
        FaultKind::Reset => {
            wire.reset();
            StatusCode::NO_CONTENT.into_response()
        }
        FaultKind::Slow(duration) => {
            wait(shared, duration).await;
            remembered(shared, key, next.run(request).await).await
        }
        FaultKind::Hold(gate) => {
            tokio::select! {
                () = gate.passed() => {}
                () = shared.stop.cancelled() => {}
            }
            remembered(shared, key, next.run(request).await).await
        }
        FaultKind::Late(gate) => {
            let answer = remembered(shared, key, next.run(request).await).await;
            tokio::select! {
                () = gate.passed() => {}
                () = shared.stop.cancelled() => {}
            }
            answer
        }
        FaultKind::RepeatedPage => {
            let before = last_page(shared, &key);
            let (response, body) = whole(next.run(request).await).await;
            let Some(mut page) = before else { return with_body(response, body) };
            let own: Value = serde_json::from_slice(&body).unwrap_or_default();
            if let Some(fields) = page.as_object_mut() {
                fields.shift_remove("paging");
                if let Some(paging) = own.get("paging") {
                    fields.insert("paging".to_owned(), paging.clone());
                }
            }
            (Records::of(&page), Json(page)).into_response()
        }
        FaultKind::StuckPage => match last_page(shared, &key) {
            Some(page) => (Records::of(&page), Json(page)).into_response(),
            None => remembered(shared, key, next.run(request).await).await,
        },
        FaultKind::EmptyPageWithNext => {
            let after = query.split('&').find_map(|pair| pair.strip_prefix("after=")).unwrap_or_default();
            // The same place under another token, so that a reader that checks for loops goes on.
            Json(json!({ "results": [], "paging": { "next": { "after": format!("0{after}") } } })).into_response()
        }
    }
}

fn last_page(shared: &Shared, key: &(String, String)) -> Option<Value> {
    let body = locked(&shared.last_pages).get(key).cloned()?;
    serde_json::from_slice(&body).ok()
}

/// Keeps a good page for the faults that repeat it. One page for each account and path: bounded by the routes there are.
async fn remembered(shared: &Shared, key: (String, String), response: Response) -> Response {
    if response.status() != StatusCode::OK || bulk::is_open(&key.1) || key.1 == TOKEN_PATH {
        return response;
    }
    let (response, body) = whole(response).await;
    locked(&shared.last_pages).insert(key, body.clone());
    with_body(response, body)
}

async fn whole(response: Response) -> (Response, Bytes) {
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, MAX_PAGE_BYTES).await.unwrap_or_default();
    (Response::from_parts(parts, Body::empty()), bytes)
}

fn with_body(response: Response, body: Bytes) -> Response {
    response.map(|_| Body::from(body))
}
