//! Why a provider could not be read, in classes that a decision can be made from.
//!
//! Owns the classes. Refuses to decide: what follows from a class is `scheduler::policy`'s one table.
//! Texts never hold a secret, a payload or a query string.

use std::time::Duration;

/// What went wrong, by what can be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorKind {
    /// 401, also after the credential was read anew once.
    Unauthorized,
    /// 403: the credential is good, the right is missing.
    Forbidden,
    /// A limit; the provider's own wait, when it named one. Waits within the request's budget were already made.
    RateLimited { retry_after: Option<Duration> },
    /// Connection refused, reset, timed out, 5xx: still so after the retries.
    Unavailable,
    /// Any other refusal: 400, 404, 410, 422. Asking again does not help.
    Rejected,
    /// The page is not what it should be: not JSON, the records' path is not there, too large.
    Decode,
    /// The position of an unfinished pull is no longer accepted; begin the pull again.
    PositionExpired,
    /// The connection's or the connector's settings are wrong (a missing option, a template that fails).
    Settings,
    /// The stored cursor is not of the form that the connector has now.
    CursorUnfit,
    /// The network policy refuses the address.
    Policy,
    /// The stored credential cannot be opened: no key, a wrong key, or a row that was changed.
    Vault,
    /// The provider repeats a page or a token for ever.
    Stuck,
    /// The credential is good, and belongs to another account than the one that is declared.
    AccountMismatch,
}

impl ErrorKind {
    /// The stable word that stands in `error_code`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unauthorized => "auth_failed",
            Self::Forbidden => "permission_missing",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unavailable => "provider_unavailable",
            Self::Rejected => "request_rejected",
            Self::Decode => "page_unreadable",
            Self::PositionExpired => "position_expired",
            Self::Settings | Self::CursorUnfit => "settings_invalid",
            Self::Policy => "network_policy",
            Self::Vault => "vault_closed",
            Self::Stuck => "pagination_stuck",
            Self::AccountMismatch => "account_mismatch",
        }
    }
}

/// A failed call to a provider.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ConnectorError {
    pub kind: ErrorKind,
    /// For operators: what was asked and what came back. No secrets, no payloads, no query strings.
    pub message: String,
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
    /// Which page was asked for, when it was a page.
    pub place: Option<String>,
}

impl ConnectorError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None, place: None }
    }

    #[must_use]
    pub fn at(mut self, place: String) -> Self {
        self.place = Some(place);
        self
    }

    #[must_use]
    pub fn caused_by(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }
}
