//! From a slice to a job that is done.
//!
//! Owns the order: ask for the job, look after it, ask again where it failed, give up after a few times; and how many jobs there are at
//! once. As in the format's own implementation a job that failed or was lost is asked for three times in all, and looked after every
//! five seconds.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value};
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use super::{JobPlace, JobPlan, Status};
use crate::connector::{
    ConnectorError, ErrorKind,
    http::{Answer, Spool},
    manifest::{
        Manner,
        decode::{self, Decoded, Head, Piece},
        engine::Scope,
        engine::Template,
        extract::{self, Extractor},
        place::Place,
        plan::RequestPlan,
        pull::Pull,
        python,
        request::{self, PageFacts, Proof},
    },
};

const POLL: Duration = Duration::from_secs(5);
const ATTEMPTS: u32 = 3;
const TIMEOUT_MINUTES: u64 = 60;

/// How many jobs a connection may have at the provider at once.
pub(in crate::connector::manifest) struct Room {
    places: Semaphore,
    pub at_once: usize,
}

impl Room {
    pub fn new(at_once: u64) -> Self {
        let at_once = usize::try_from(at_once).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS);
        Self { places: Semaphore::new(at_once), at_once }
    }

    async fn place(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.places.acquire().await.ok()
    }
}

/// How one attempt ended that brought nothing.
enum Lost {
    NotCreated(ConnectorError),
    Failed(String),
    TimedOut,
}

impl Pull<'_> {
    /// Makes the slice's job and waits until it is done; `None`: it has nothing to read.
    pub(super) async fn job_done(
        &self,
        job: &JobPlan,
        slice: &Place,
        first_token: Value,
    ) -> Result<Option<JobPlace>, ConnectorError> {
        let clock = self.connector.gate.clock();
        let timeout = self.number(job.timeout.as_ref())?.unwrap_or(TIMEOUT_MINUTES);
        let timeout = Duration::from_secs(timeout.saturating_mul(60));
        let retry_wait = Duration::from_secs(self.number(job.retry_wait.as_ref())?.unwrap_or(0));
        let _place = self.connector.room.place().await;
        let mut attempt = 1;
        loop {
            let lost = match self.job_ask(&job.create, &self.job_scope(slice, []), None, None).await {
                Err(error) if self.is_final(&error) => return Err(error),
                Err(error) => Lost::NotCreated(error),
                Ok(created) => {
                    let created = context(&created);
                    let scope = self.job_scope(slice, [("creation_response", created.clone())]);
                    match self.job_ended(job, &scope, timeout).await? {
                        Ok(None) => return Ok(None),
                        Ok(Some(polled)) => {
                            let targets = self.job_targets(job, &polled).await?;
                            let (id, polled) = (Uuid::new_v4().to_string(), context(&polled));
                            return Ok(Some(JobPlace {
                                id,
                                created,
                                polled,
                                targets,
                                at: 0,
                                page: first_token,
                                read: 0,
                            }));
                        }
                        Err(lost) => {
                            if let (Lost::TimedOut, Some(abort)) = (&lost, &job.abort)
                                && let Err(error) = self.job_ask(abort, &scope, None, None).await
                            {
                                tracing::warn!(stream = %self.plan.spec.name, error = %error, "a job that was lost could not be aborted");
                            }
                            lost
                        }
                    }
                }
            };
            if attempt == ATTEMPTS {
                return Err(self.given_up(lost));
            }
            attempt += 1;
            let wait = if matches!(lost, Lost::Failed(_)) { POLL.max(retry_wait) } else { POLL };
            clock.sleep(wait).await;
        }
    }

    /// Looks after a job until it is over: the answer that says it is done.
    async fn job_ended(
        &self,
        job: &JobPlan,
        scope: &Scope,
        timeout: Duration,
    ) -> Result<Result<Option<Answer>, Lost>, ConnectorError> {
        let clock = self.connector.gate.clock();
        let began = clock.monotonic();
        loop {
            let polled = self.job_ask(&job.poll, scope, None, None).await?;
            let word = self.values(job, &job.status, &polled, scope)?.into_iter().next().unwrap_or(Value::Null);
            let word = python::to_text(&word);
            let status = job.statuses.iter().find(|(have, _)| *have == word).map(|(_, status)| *status);
            match status {
                Some(Status::Completed) => return Ok(Ok(Some(polled))),
                Some(Status::Skipped) => return Ok(Ok(None)),
                Some(Status::Failed) => return Ok(Err(Lost::Failed(word))),
                Some(Status::TimedOut) => return Ok(Err(Lost::TimedOut)),
                Some(Status::Running) => {}
                None => {
                    let word: String = word.chars().take(64).collect();
                    let message =
                        format!("{}: the job's status '{word}' stands in no list of status_mapping", polled.asked);
                    return Err(ConnectorError::new(ErrorKind::Decode, message));
                }
            }
            if clock.monotonic().saturating_sub(began) + POLL > timeout {
                return Ok(Err(Lost::TimedOut));
            }
            clock.sleep(POLL).await;
        }
    }

    /// What is to be downloaded.
    async fn job_targets(&self, job: &JobPlan, polled: &Answer) -> Result<Vec<String>, ConnectorError> {
        let Some(targets) = &job.targets else { return Ok(vec![String::new()]) };
        let told;
        let answer = match &job.target {
            None => polled,
            Some(target) => {
                let scope = self.bare_scope("polling_response", context(polled));
                told = self.job_ask(target, &scope, None, None).await?;
                &told
            }
        };
        let found = self.values(job, targets, answer, &self.scope)?;
        Ok(found.iter().map(python::to_text).collect())
    }

    /// The job was read to its end and is of no more use.
    pub(super) async fn job_deleted(&self, job: &JobPlan, slice: &Place, at: &JobPlace) -> Result<(), ConnectorError> {
        let Some(delete) = &job.delete else { return Ok(()) };
        let scope = self.job_scope(slice, [("creation_response", at.created.clone())]);
        match self.job_ask(delete, &scope, None, None).await {
            Err(error) if !self.is_reference() => {
                // Its records are here; that it lies about at the provider keeps nobody from having them.
                tracing::warn!(stream = %self.plan.spec.name, error = %error, "a job that was read could not be deleted");
                Ok(())
            }
            answered => answered.map(|_| ()),
        }
    }

    /// Sends one of the job's requests. Cursor and partition are not put in by themselves: its templates name them.
    pub(super) async fn job_ask(
        &self,
        plan: &RequestPlan,
        scope: &Scope,
        page: Option<&Place>,
        spool: Option<&Spool>,
    ) -> Result<Answer, ConnectorError> {
        let connector = self.connector;
        let now = connector.gate.clock().now();
        let make = |secret: Option<&secrecy::SecretString>, session: Option<&secrecy::SecretString>| {
            let config = connector.config_with(secret)?;
            let facts = PageFacts {
                properties: None,
                bounds: None,
                token: page.map_or(&Value::Null, |page| &page.token),
                size: page.and_then(|page| page.size),
                partition: None,
                proof: Proof { config: &config, session, now, may_lack: self.connector.manner == Manner::Reference },
                // What a job leaves lies where the provider wants it to; the hosts that may be asked are held by the gate.
                any_origin: true,
            };
            let paginator = page.and(self.plan.paginator.as_ref());
            let scope = scope.clone().with("config", &config);
            request::build(&connector.loaded.engine, plan, None, paginator, &scope, &facts)
        };
        connector.send_into(plan, &self.request.traffic, &make, scope, spool).await
    }

    fn values(
        &self,
        job: &JobPlan,
        extractor: &Extractor,
        answer: &Answer,
        scope: &Scope,
    ) -> Result<Vec<Value>, ConnectorError> {
        let head = Head { status: answer.status, headers: &answer.headers };
        let body = match decode::decode(&job.decoder, &answer.body, &head, self.connector.strictness())? {
            Decoded::Whole(body) => body,
            Decoded::Stream(pieces) => {
                let mut values = Vec::new();
                for piece in pieces {
                    if let Piece::Value(value) = piece? {
                        values.push(value);
                    }
                }
                Value::Array(values)
            }
        };
        Ok(extractor.extract(&self.connector.loaded.engine, scope, extract::bodies(body))?.records)
    }

    fn number(&self, template: Option<&Template>) -> Result<Option<u64>, ConnectorError> {
        let Some(template) = template else { return Ok(None) };
        let number = self.connector.loaded.engine.value(template, &self.scope)?;
        number.as_u64().filter(|number| *number > 0).map(Some).ok_or_else(|| {
            let message = format!("'{}' is not a whole number from 1", template.source());
            ConnectorError::new(ErrorKind::Settings, message)
        })
    }

    /// Asking again for the job would be refused again.
    fn is_final(&self, error: &ConnectorError) -> bool {
        match &error.kind {
            ErrorKind::Unauthorized
            | ErrorKind::Forbidden
            | ErrorKind::Settings
            | ErrorKind::CursorUnfit
            | ErrorKind::Policy => true,
            // The daemon comes back when the limit is over.
            ErrorKind::RateLimited { .. } => !self.is_reference(),
            ErrorKind::Unavailable
            | ErrorKind::Rejected
            | ErrorKind::Decode
            | ErrorKind::PositionExpired
            | ErrorKind::Vault
            | ErrorKind::Stuck
            | ErrorKind::AccountMismatch => false,
        }
    }

    fn given_up(&self, lost: Lost) -> ConnectorError {
        let name = &self.plan.spec.name;
        match lost {
            Lost::NotCreated(error) => error,
            Lost::Failed(word) => {
                let word: String = word.chars().take(64).collect();
                let message = format!("{name}: the provider's job ended as '{word}', {ATTEMPTS} times");
                ConnectorError::new(ErrorKind::Unavailable, message)
            }
            Lost::TimedOut => {
                let message =
                    format!("{name}: the provider's job was not done in time (polling_job_timeout), {ATTEMPTS} times");
                ConnectorError::new(ErrorKind::Unavailable, message)
            }
        }
    }
}

/// An answer as templates see it: the body's fields, and the headers.
fn context(answer: &Answer) -> Value {
    let mut fields = match serde_json::from_slice(&answer.body) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let headers = || {
        // Templates name a header as its provider spells it, which is how most of them do.
        let each = answer.headers.iter().flat_map(|(name, value)| [(name.clone(), value), (spelt(name), value)]);
        Value::Object(each.map(|(name, value)| (name, Value::String(value.clone()))).collect())
    };
    fields.entry("headers").or_insert_with(headers);
    Value::Object(fields)
}

/// `x-job-id` as `X-Job-Id`.
fn spelt(name: &str) -> String {
    let parts = name.split('-').map(|part| {
        let mut letters = part.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    });
    parts.collect::<Vec<_>>().join("-")
}

impl Pull<'_> {
    /// No slice: only what that answer says.
    fn bare_scope(&self, name: &'static str, value: Value) -> Scope {
        let none = || Arc::new(Value::Object(Map::new()));
        let extra = Arc::new(Value::Object(Map::from_iter([(name.to_owned(), value.clone())])));
        self.scope.clone().with_slice(&none(), [none(), none(), extra]).with(name, &Arc::new(value))
    }
}
