//! `POST /webhooks/{token}`: what providers send on their own.
//!
//! Owns the caps on a request and the statuses of its answers; everything else is `intake`'s. A body is read only after path, state and
//! pace were looked at, never beyond its cap, and no answer says why. Another method, an unknown path and a route that there is not are
//! one answer.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, HttpBody as _},
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    response::Response,
};
use futures_util::StreamExt as _;

use super::{Shared, nothing_here, text};
use crate::{
    domain::clock::Clock,
    intake::{Answer, Door},
};

const PREFIX: &str = "/webhooks/";
/// How long a body may take to arrive.
const SLOWEST_BODY: Duration = Duration::from_secs(10);

/// Takes a delivery.
pub(super) async fn take(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    // As it was sent: a token needs no decoding, and what cannot be decoded must not be told apart.
    let token = request.uri().path().strip_prefix(PREFIX).unwrap_or_default().to_owned();
    let Some(door) = shared.facts.door.as_ref().filter(|_| request.method() == Method::POST) else {
        return nothing_here().await;
    };
    match delivered(door, &*shared.facts.clock, &token, request).await {
        Answer::Unknown => nothing_here().await,
        answer => told(answer),
    }
}

async fn delivered(door: &Door, clock: &dyn Clock, token: &str, request: Request) -> Answer {
    let guest = match door.knock(token).await {
        Ok(guest) => guest,
        Err(answer) => return answer,
    };
    let (head, body) = request.into_parts();
    let most = door.max_body_bytes();
    // What is announced as too large is not read at all.
    let announced = body.size_hint();
    if announced.lower() > u64::try_from(most).unwrap_or(u64::MAX) {
        return door.turned_away(&guest, Answer::TooLarge);
    }
    let expected = announced.exact().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(most);
    // Held until the answer: it is what keeps the memory of all requests together within its bound.
    let _room = match door.room(&guest, expected) {
        Ok(room) => room,
        Err(answer) => return answer,
    };
    let read = tokio::select! {
        read = read(body, most, expected) => read,
        () = clock.sleep(SLOWEST_BODY) => Err(Answer::TooSlow),
    };
    let body = match read {
        Ok(body) => body,
        Err(answer) => return door.turned_away(&guest, answer),
    };
    let headers: Vec<(String, Vec<u8>)> =
        head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    door.take(&guest, head.method.as_str(), path, &headers, &body).await
}

/// The body, as long as it is within its cap.
async fn read(body: Body, most: usize, expected: usize) -> Result<Vec<u8>, Answer> {
    let mut read = Vec::with_capacity(expected.min(64 * 1024));
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| Answer::Unreadable)?;
        if read.len() + piece.len() > most {
            return Err(Answer::TooLarge);
        }
        read.extend_from_slice(&piece);
    }
    Ok(read)
}

fn told(answer: Answer) -> Response {
    let (status, body, retry_after) = match answer {
        Answer::Taken => (StatusCode::OK, "taken\n", None),
        Answer::Unknown => (StatusCode::NOT_FOUND, "not found\n", None),
        Answer::Gone => (StatusCode::GONE, "gone\n", None),
        Answer::TooFast(wait) => (StatusCode::TOO_MANY_REQUESTS, "too many requests\n", Some(wait)),
        Answer::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too large\n", None),
        Answer::TooSlow => (StatusCode::REQUEST_TIMEOUT, "too slow\n", None),
        Answer::Refused => (StatusCode::UNAUTHORIZED, "refused\n", None),
        Answer::Unreadable => (StatusCode::BAD_REQUEST, "unreadable\n", None),
        Answer::TryLater(wait) => (StatusCode::SERVICE_UNAVAILABLE, "try again later\n", Some(wait)),
        Answer::Broken => (StatusCode::INTERNAL_SERVER_ERROR, "not taken\n", None),
    };
    let mut response = text(status, body);
    if let Some(wait) = retry_after {
        let seconds = HeaderValue::from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}
