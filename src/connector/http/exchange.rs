//! One request, sent once, answered whatever its status: what token and key services need.
//!
//! Owns the difference to `fetch`: no retry, no pace of an account, the body also of a refusal; the network policy, the time-outs
//! and the client are the same. Whether the request may have arrived is told, for a token can be used up by a request whose
//! answer is lost.

use std::time::Duration;

use secrecy::zeroize::Zeroizing;

use super::{Call, HttpGate, answer, send::Failure, wait};
use crate::connector::{ConnectorError, ErrorKind};

/// Largest answer of a token or key service.
const MAX_BODY: usize = 256 * 1024;

/// An answer. May hold secrets: it has no `Debug`.
pub struct Reply {
    pub status: u16,
    pub body: Zeroizing<Vec<u8>>,
    /// How long the service asked to be left alone.
    pub hold_back: Option<Duration>,
    /// Method, host and path, for messages.
    pub asked: String,
}

/// No answer.
#[derive(Debug)]
pub struct Unanswered {
    pub error: ConnectorError,
    /// The service may have seen the request.
    pub arrived: bool,
}

impl From<Failure> for Unanswered {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Final(error) | Failure::Unauthorized(error) | Failure::Limited(error, _) => {
                Self { error, arrived: false }
            }
            // Tokens and keys are never sent on to another address.
            Failure::Elsewhere { status, .. } => {
                let message = format!("the service answered {status} and named another address");
                Self { error: ConnectorError::new(ErrorKind::Rejected, message), arrived: true }
            }
            Failure::Trouble { error, arrived } => Self { error, arrived },
            Failure::Again { error, .. } => Self { error, arrived: true },
        }
    }
}

impl HttpGate {
    /// Sends one request, once.
    ///
    /// # Errors
    /// [`Unanswered`]: the policy forbids the address, the service cannot be reached or breaks off.
    pub async fn exchange(&self, call: Call) -> Result<Reply, Unanswered> {
        self.policy.check(&call.url).map_err(|error| Unanswered { error, arrived: false })?;
        let asked = answer::asked(call.method, &call.url);
        let mut response =
            self.prepare(&asked, &call)?.send().await.map_err(|error| super::send::trouble(&asked, error))?;
        let status = response.status().as_u16();
        let hold_back = wait::from_headers(status, response.headers(), self.clock.now());
        let mut body = Zeroizing::new(Vec::new());
        while let Some(chunk) = response.chunk().await.map_err(|error| super::send::trouble(&asked, error))? {
            if body.len() + chunk.len() > MAX_BODY {
                let message = format!("{asked} answered with more than {MAX_BODY} bytes");
                return Err(Unanswered { error: ConnectorError::new(ErrorKind::Decode, message), arrived: true });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, body, hold_back, asked })
    }

    /// Longest time that [`HttpGate::exchange`] takes.
    pub fn longest_exchange(&self) -> Duration {
        self.options.total_timeout
    }
}
