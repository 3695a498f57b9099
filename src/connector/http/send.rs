//! One request, with everything that may happen to it.
//!
//! Owns the per-request retry loop (seconds); whether a *run* is tried again is the scheduler's. Refuses to repeat what
//! could have taken effect: a request that is not safe to repeat goes out again only if it certainly never arrived.
//! Dropping the future at any point is clean: nothing is held across an await but what the drop gives back.

use std::time::Duration;

use reqwest::header::HeaderValue;
use secrecy::SecretString;
use url::Url;

use super::{
    Action, AllowedHosts, Answer, HttpGate, Judge, LimitKey, Ruling, Seen, Spool, TakenFor, answer, body,
    discreet::Discreet,
    limits::Hold,
    policy::{self, NameForbidden},
    redirect,
    retry::Pauses,
    ruling::{refused, ruled_trouble},
    wait,
};
use crate::connector::{ConnectorError, ErrorKind, TrafficMeter, credential::CredentialSource};

/// The methods that reading needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
}

impl Method {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// What is sent along. May hold secrets and persons: it has no `Debug`.
#[derive(Clone, PartialEq)]
pub enum Body {
    None,
    Json(serde_json::Value),
    Form(Vec<(String, String)>),
    Text(String),
}

/// A request, ready to send. May hold secrets: it has no `Debug`.
#[derive(Clone, PartialEq)]
pub struct Call {
    pub method: Method,
    /// With its query.
    pub url: Url,
    pub headers: Vec<(String, String)>,
    pub body: Body,
}

/// What the loop needs to know about a request and whose it is.
pub struct Fetch<'a> {
    pub limit: &'a LimitKey,
    /// Where the request, its redirects and its next pages may go.
    pub hosts: &'a AllowedHosts,
    pub credential: &'a dyn CredentialSource,
    pub traffic: &'a TrafficMeter,
    /// Makes the request from the secret; called anew after a 401, with the secret read anew.
    pub call: &'a (dyn Fn(Option<&SecretString>) -> Result<Call, ConnectorError> + Send + Sync),
    /// The request only reads: sending it twice does no harm.
    pub safe_to_repeat: bool,
    /// Overrides the gate's own number.
    pub max_retries: Option<u32>,
    /// The caller's own rules, asked first.
    pub judge: Option<&'a dyn Judge>,
    /// Where the body of a good answer goes, if it is not to be held in memory.
    pub spool: Option<&'a Spool>,
}

/// Why an attempt brought no success.
pub(super) enum Failure {
    /// Never ask again.
    Final(ConnectorError),
    /// The credential was refused.
    Unauthorized(ConnectorError),
    /// A limit: hold back for so long, if the provider said.
    Limited(ConnectorError, Option<Duration>),
    /// Sent to another address.
    Elsewhere { status: u16, location: Option<String> },
    /// Connection or server trouble; `arrived` when the provider may have seen the request.
    Trouble { error: ConnectorError, arrived: bool },
    /// The caller's rules want another attempt, after their own wait where they name one.
    Again { error: ConnectorError, wait: Option<Duration>, fresh_secret: bool },
}

impl HttpGate {
    /// Sends one request until it is answered, refused, or out of retries, budget or patience.
    ///
    /// # Errors
    /// Every [`ErrorKind`] but `PositionExpired` and `Stuck`.
    pub async fn fetch(&self, fetch: &Fetch<'_>) -> Result<Answer, ConnectorError> {
        let mut discreet = Discreet::default();
        match self.asked(fetch, &mut discreet).await {
            Ok(answer) => Ok(discreet.answer(answer)),
            Err(error) => Err(discreet.error(error)),
        }
    }

    /// As [`HttpGate::fetch`]; `discreet` learns every secret that is used.
    async fn asked(&self, fetch: &Fetch<'_>, discreet: &mut Discreet) -> Result<Answer, ConnectorError> {
        let started = self.clock.monotonic();
        let ruled = fetch.judge.and_then(Judge::max_retries);
        let max_retries = ruled.or(fetch.max_retries).unwrap_or(self.options.max_retries);
        let budget = fetch.judge.and_then(Judge::max_time).unwrap_or(self.options.retry_budget);
        let mut pauses = Pauses::new();
        let mut held = Duration::ZERO;
        let mut secret = fetch.credential.read().await?;
        let (mut retries, mut refreshed) = (0, false);
        loop {
            discreet.keep(secret.as_ref());
            let call = (fetch.call)(secret.as_ref())?;
            let (error, pause) = match self.followed(fetch, call, retries + 1, &mut held).await {
                Ok(answer) => return Ok(answer),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Unauthorized(error)) if refreshed => return Err(error),
                Err(Failure::Unauthorized(_)) => {
                    refreshed = true;
                    secret = fetch.credential.refresh().await?;
                    fetch.traffic.retry();
                    continue;
                }
                // A request that was refused for a limit had no effect: it may go out again, safe or not.
                Err(Failure::Limited(error, told)) => {
                    self.limits.block(fetch.limit, told.unwrap_or_else(|| pauses.next()));
                    (error, Duration::ZERO)
                }
                Err(Failure::Trouble { error, arrived }) if arrived && !fetch.safe_to_repeat => return Err(error),
                Err(Failure::Trouble { error, .. }) => (error, pauses.next()),
                Err(Failure::Again { error, .. }) if !fetch.safe_to_repeat => return Err(error),
                Err(Failure::Again { error, wait, fresh_secret }) => {
                    if fresh_secret && !refreshed {
                        refreshed = true;
                        secret = fetch.credential.refresh().await?;
                    }
                    (error, wait.unwrap_or_else(|| pauses.next()))
                }
                // Redirects are followed before they get here.
                Err(Failure::Elsewhere { status, .. }) => {
                    return Err(ConnectorError::new(ErrorKind::Rejected, format!("the provider answered {status}")));
                }
            };
            let spent = (self.clock.monotonic() - started).saturating_sub(held);
            if retries >= max_retries || spent + pause > budget {
                return Err(error);
            }
            retries += 1;
            fetch.traffic.retry();
            self.clock.sleep(pause).await;
        }
    }

    /// Sends a request and follows where it is sent on to. Every address is checked as the first one was, and every hop counts.
    async fn followed(
        &self,
        fetch: &Fetch<'_>,
        call: Call,
        attempt: u32,
        held: &mut Duration,
    ) -> Result<Answer, Failure> {
        let (mut call, mut hops, mut bare) = (call, 0, false);
        loop {
            self.policy.check(&call.url).and_then(|()| fetch.hosts.check(&call.url)).map_err(Failure::Final)?;
            self.budgeted(fetch, &call, held).await.map_err(Failure::Final)?;
            self.admitted(fetch, &call, held).await.map_err(Failure::Final)?;
            let _place = self.limits.place(fetch.limit).await;
            fetch.traffic.request();
            match self.attempt(fetch, &call, attempt).await {
                Err(Failure::Elsewhere { status, location }) => {
                    let (next, dropped) =
                        redirect::follow(&call, status, location.as_deref(), hops).map_err(Failure::Final)?;
                    (call, hops, bare) = (next, hops + 1, bare || dropped);
                }
                // The credential was not sent along, so it was not refused either.
                Err(Failure::Unauthorized(error)) if bare => {
                    let message = format!(
                        "{}; the request was sent on to another origin, where the credential does not go",
                        error.message
                    );
                    return Err(Failure::Final(ConnectorError::new(ErrorKind::Rejected, message)));
                }
                ended => return ended,
            }
        }
    }

    /// Waits until the account's limits let one request through. `held` adds up what this request has waited.
    async fn admitted(&self, fetch: &Fetch<'_>, call: &Call, held: &mut Duration) -> Result<(), ConnectorError> {
        while let Err(hold) = self.limits.admit(fetch.limit) {
            let (Hold::Pace(wait) | Hold::Provider(wait)) = hold;
            if *held + wait > self.options.longest_limit_wait {
                let asked = answer::asked(call.method, &call.url);
                let message = match hold {
                    Hold::Pace(_) => format!("{asked} is held back by the account's own pace for {} s", wait.as_secs()),
                    Hold::Provider(_) => format!("{asked} must not be asked again for {} s", wait.as_secs()),
                };
                return Err(ConnectorError::new(ErrorKind::RateLimited { retry_after: Some(wait) }, message));
            }
            // A pace of microseconds would make the loop spin on the clock.
            let wait = wait.max(Duration::from_millis(1));
            self.clock.sleep(wait).await;
            *held += wait;
            fetch.traffic.waited_for_limit(wait);
        }
        Ok(())
    }

    async fn attempt(&self, fetch: &Fetch<'_>, call: &Call, attempt: u32) -> Result<Answer, Failure> {
        let asked = answer::asked(call.method, &call.url);
        let request = self.prepare(&asked, call)?;
        let request = if fetch.spool.is_some() { request.timeout(body::LONGEST_DOWNLOAD) } else { request };
        let sent = request.send().await;
        let mut response = match sent {
            Ok(response) => response,
            Err(error) => {
                let failure = trouble(&asked, error);
                let ruling = fetch.judge.and_then(|judge| judge.rule(Seen::Trouble, attempt, self.clock.now()));
                return Err(match (ruling, failure) {
                    (Some(ruling), Failure::Trouble { error, .. }) => ruled_trouble(ruling, error),
                    (_, failure) => failure,
                });
            }
        };

        let status = response.status().as_u16();
        let hold_back = wait::from_headers(status, response.headers(), self.clock.now());
        let headers = answer::header_map(response.headers());
        if let Some(budget) = fetch.judge.and_then(Judge::budget) {
            budget.learn(call, status, &headers, self.clock.now());
        }
        if redirect::is_redirect(status) {
            return Err(Failure::Elsewhere { status, location: headers.get("location").cloned() });
        }
        let body = match fetch.spool.filter(|_| response.status().is_success()) {
            Some(spool) => self.body_into(&asked, fetch.traffic, &mut response, spool).await,
            None => self.body(&asked, fetch.traffic, &mut response).await,
        };
        if let (Some(judge), Ok(body)) = (fetch.judge, &body)
            && let Some(ruling) =
                judge.rule(Seen::Answer { status, headers: &headers, body }, attempt, self.clock.now())
        {
            return self.ruled(
                fetch,
                ruling,
                Answer { status, headers, body: body.clone(), asked, taken_for: TakenFor::Answer },
                hold_back,
            );
        }
        if response.status().is_success() {
            // The window is used up with this answer: the next request would be refused.
            if let Some(wait) = hold_back {
                self.limits.block(fetch.limit, wait);
            }
            return Ok(Answer { status, headers, body: body?, asked, taken_for: TakenFor::Answer });
        }
        // The status says it all; a broken body of a refusal takes nothing away from it.
        let error = answer::refusal(status, &asked, &body.unwrap_or_default(), hold_back);
        Err(match error.kind {
            ErrorKind::Unauthorized => Failure::Unauthorized(error),
            ErrorKind::RateLimited { retry_after } => Failure::Limited(error, retry_after),
            ErrorKind::Unavailable => Failure::Trouble { error, arrived: true },
            ErrorKind::Forbidden
            | ErrorKind::Rejected
            | ErrorKind::Decode
            | ErrorKind::PositionExpired
            | ErrorKind::Settings
            | ErrorKind::CursorUnfit
            | ErrorKind::Policy
            | ErrorKind::Vault
            | ErrorKind::Stuck
            | ErrorKind::AccountMismatch => Failure::Final(error),
        })
    }

    /// What the caller's rules make of an answer.
    fn ruled(
        &self,
        fetch: &Fetch<'_>,
        ruling: Ruling,
        answer: Answer,
        hold_back: Option<Duration>,
    ) -> Result<Answer, Failure> {
        let good = matches!(ruling.action, Action::Accept | Action::Ignore | Action::ResetPagination);
        let taken = |taken_for: TakenFor, answer: Answer| Ok(Answer { taken_for, ..answer });
        if let Some(wait) = hold_back.filter(|_| good) {
            self.limits.block(fetch.limit, wait);
        }
        let error = || refused(&answer, &ruling, hold_back);
        match ruling.action {
            Action::Accept => Ok(answer),
            Action::Ignore => taken(TakenFor::Nothing, answer),
            Action::ResetPagination => taken(TakenFor::Reset, answer),
            Action::SmallerPage => taken(TakenFor::Smaller, answer),
            Action::SplitWindow => taken(TakenFor::Split, answer),
            // A token may have run out, whatever the rules say: it is read anew once.
            Action::Fail if answer.status == 401 => Err(Failure::Unauthorized(error())),
            Action::Fail => Err(Failure::Final(error())),
            Action::Retry => Err(Failure::Again { error: error(), wait: ruling.wait, fresh_secret: false }),
            Action::RefreshToken => Err(Failure::Again { error: error(), wait: ruling.wait, fresh_secret: true }),
            Action::RateLimited => Err(Failure::Limited(error(), ruling.wait.max(hold_back))),
        }
    }

    /// The request on the client that its scheme needs.
    pub(super) fn prepare(&self, asked: &str, call: &Call) -> Result<reqwest::RequestBuilder, Failure> {
        let client = match (call.url.scheme(), self.tls_client()) {
            ("https", Some(client)) => client,
            ("https", None) => return Err(Failure::Final(no_certificates(asked))),
            _ => &self.plain_client,
        };
        let request = match call.method {
            Method::Get => client.get(call.url.clone()),
            Method::Post => client.post(call.url.clone()),
        };
        let request = match &call.body {
            Body::None => request,
            Body::Json(json) => request.json(json),
            Body::Form(fields) => request.form(fields),
            Body::Text(text) => request.body(text.clone()),
        };
        // Any of them may be a credential: none is shown by whoever prints a request, or kept in a table of headers.
        Ok(call.headers.iter().fold(request, |request, (name, value)| match HeaderValue::from_str(value) {
            Ok(mut value) => {
                value.set_sensitive(true);
                request.header(name, value)
            }
            Err(_) => request.header(name, value),
        }))
    }
}

/// What the client's own error means. Its text is left out: it holds the whole address.
pub(super) fn trouble(asked: &str, error: reqwest::Error) -> Failure {
    let error = error.without_url();
    if caused_by_policy(&error) {
        let message = format!("{asked}: its name leads to no public address; {}", policy::REMEDY);
        return Failure::Final(ConnectorError::new(ErrorKind::Policy, message));
    }
    if error.is_builder() {
        let message = format!("{asked}: a header or a value of the request cannot be sent");
        return Failure::Final(ConnectorError::new(ErrorKind::Settings, message));
    }
    let what = match (error.is_timeout(), error.is_connect()) {
        (true, _) => "was not answered in time",
        (false, true) => "could not be reached",
        (false, false) => "broke off",
    };
    let arrived = !error.is_connect();
    Failure::Trouble {
        error: ConnectorError::new(ErrorKind::Unavailable, format!("{asked} {what}")).caused_by(error),
        arrived,
    }
}

fn no_certificates(asked: &str) -> ConnectorError {
    let message = format!(
        "{asked}: this machine has no CA certificates, so nobody can be asked over https; install them (Debian: \
         ca-certificates) or name a bundle in SSL_CERT_FILE, then start again"
    );
    ConnectorError::new(ErrorKind::Settings, message)
}

fn caused_by_policy(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<NameForbidden>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
#[path = "send_tests.rs"]
mod tests;
