//! The fixed list of sentences that a client may read when something went wrong (P18).
//!
//! Owns the sentences. They never name a provider, a field, an id or a value; the internal text is kept apart.

/// The client-safe sentence for an `error_code`. Codes that are not listed get the general one.
pub fn client_safe(code: &str) -> &'static str {
    match code {
        "auth_failed" | "permission_missing" => {
            "The connection to this source needs to be confirmed again. Your numbers stay as they were."
        }
        "rate_limited" | "provider_unavailable" => {
            "This source is answering slowly at the moment. The update continues automatically."
        }
        "no_rows_where_expected" => "This source reported less than expected. The update is being reviewed.",
        "shutdown" | "run_budget" | "lease_lost" | "abandoned" | "paused" => {
            "The update was interrupted and continues automatically."
        }
        "account_mismatch" => {
            "The update was stopped to protect your data and is being reviewed. Your numbers stay as they were."
        }
        "record_without_id" | "record_unreadable" | "record_unmappable" | "row_refused" | "row_not_written" => {
            "One entry is waiting for review."
        }
        _ => "The update could not be completed and is being reviewed. Your numbers stay as they were.",
    }
}
