//! The provider's error answers, in its documented shape: `status`, `message`, `correlationId`, `category`.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// Numbered rather than random, so that a failing test prints the same text twice.
fn correlation_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("00000000-0000-4000-8000-{:012}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(super) fn error_body(category: &str, message: &str) -> Value {
    json!({ "status": "error", "message": message, "correlationId": correlation_id(), "category": category })
}

fn error(status: StatusCode, category: &str, message: &str) -> Response {
    (status, Json(error_body(category, message))).into_response()
}

pub(super) fn unauthorized() -> Response {
    error(
        StatusCode::UNAUTHORIZED,
        "INVALID_AUTHENTICATION",
        "Authentication credentials not found. This API supports OAuth 2.0 authentication.",
    )
}

pub(super) fn forbidden() -> Response {
    error(
        StatusCode::FORBIDDEN,
        "MISSING_SCOPES",
        "This app hasn't been granted all required scopes to make this call.",
    )
}

pub(super) fn validation(message: &str) -> Response {
    error(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", message)
}

pub(super) fn not_found() -> Response {
    error(StatusCode::NOT_FOUND, "OBJECT_NOT_FOUND", "Unable to infer object type from the path.")
}

pub(super) fn broken() -> Response {
    error(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", "There was a problem with the request.")
}

/// 429; `retry_after` in seconds becomes the header of that name.
pub(super) fn too_many(retry_after: Option<u64>) -> Response {
    let mut body = error_body("RATE_LIMITS", "You have reached your ten_secondly_rolling limit.");
    if let Some(fields) = body.as_object_mut() {
        fields.insert("errorType".to_owned(), json!("RATE_LIMIT"));
        fields.insert("policyName".to_owned(), json!("TEN_SECONDLY_ROLLING"));
    }
    let mut response = (StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// What a proxy in front of a provider says when it is unwell: HTML with status 200.
pub(super) fn not_json() -> Response {
    let html = "<!doctype html><html><body><h1>We will be right back</h1></body></html>";
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response()
}
