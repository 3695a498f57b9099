//! Jobs at the provider: asked for, waited for, and read from what they leave to be downloaded (`AsyncRetriever`).
//!
//! Owns the plan, and the place within a slice's job: which download, and how far in it. One slice is one job. Its pages are parts of
//! its downloads; a later run does not go on in the middle of one, for what a job leaves behind does not last. `run` asks for jobs and
//! waits for them, `download` reads what they leave, without ever holding it whole.

mod download;
pub(super) mod load;
mod run;
pub(super) mod scratch;

use std::sync::Arc;

pub(super) use download::Downloads;
pub(super) use run::Room;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    Manner,
    decode::DecoderPlan,
    engine::{Scope, Template},
    extract::Extractor,
    paginate,
    place::Place,
    plan::RequestPlan,
    pull::Pull,
    pull_answer::{Fetched, Taken},
    select,
};
use crate::connector::{ConnectorError, ErrorKind};

/// How a job is made and watched. Its downloads are the stream's own request, paging, decoder and extractor.
pub(super) struct JobPlan {
    pub create: RequestPlan,
    pub poll: RequestPlan,
    /// Asked for what is to be downloaded, where the last poll does not say it.
    pub target: Option<RequestPlan>,
    pub abort: Option<RequestPlan>,
    pub delete: Option<RequestPlan>,
    /// Of the answers to all of these.
    pub decoder: DecoderPlan,
    pub status: Extractor,
    /// What each of the provider's words means.
    pub statuses: Vec<(String, Status)>,
    /// Without it there is one download, and its address needs no target.
    pub targets: Option<Extractor>,
    /// Minutes until a job counts as lost.
    pub timeout: Option<Template>,
    /// Seconds before a job that failed is asked for again.
    pub retry_wait: Option<Template>,
}

impl JobPlan {
    /// All that is asked beside the downloads.
    pub fn requests(&self) -> impl Iterator<Item = &RequestPlan> {
        [Some(&self.create), Some(&self.poll), self.target.as_ref(), self.abort.as_ref(), self.delete.as_ref()]
            .into_iter()
            .flatten()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Running,
    Completed,
    Failed,
    TimedOut,
    /// There is nothing to read.
    Skipped,
}

/// Where in a job's downloads a slice stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JobPlace {
    /// Tells this job's downloads from those of others, in this process.
    id: String,
    created: Value,
    polled: Value,
    targets: Vec<String>,
    at: usize,
    /// The next page of a download that has pages.
    page: Value,
    /// Records of the download that were read.
    read: u64,
}

impl JobPlace {
    fn next_target(self, first_token: Value) -> Option<Self> {
        let at = self.at + 1;
        (at < self.targets.len()).then(|| Self { at, page: first_token, read: 0, ..self })
    }

    fn token(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }
}

impl Pull<'_> {
    /// A part of what a slice's job left: at the slice's first page the job is made and waited for. The number is the size of the part.
    pub(super) async fn job_page(&self, job: &JobPlan, place: &Place) -> Result<(Taken, usize), ConnectorError> {
        let slice = place.with_token(Value::Null);
        let first_token = paginate::first_token(self.plan.paginator.as_ref());
        let at = match serde_json::from_value::<JobPlace>(place.token.clone()) {
            Ok(at) => at,
            Err(_) => match self.job_done(job, &slice, first_token.clone()).await? {
                Some(at) => at,
                None => return Ok((Taken::default(), 0)),
            },
        };
        let Some(target) = at.targets.get(at.at) else {
            self.job_deleted(job, &slice, &at).await?;
            return Ok((Taken::default(), 0));
        };
        let more = [
            ("download_target", json!(target)),
            ("creation_response", at.created.clone()),
            ("polling_response", at.polled.clone()),
        ];
        let scope = self.job_scope(&slice.with_token(at.page.clone()), more);
        let (mut taken, bytes, next) = if self.plan.paginator.is_some() {
            self.download_page(&slice, &scope, &at).await?
        } else {
            self.download_part(place, &scope, &at).await?
        };
        let next = next.or_else(|| at.clone().next_target(first_token));
        if next.is_none() {
            self.job_deleted(job, &slice, &at).await?;
        }
        taken.token = next.map(|next| next.token());
        taken.fingerprint = format!("{}/{}/{}/{}", at.id, at.at, at.read, at.page);
        Ok((taken, bytes))
    }

    /// A page of a download that is asked for page by page.
    async fn download_page(
        &self,
        slice: &Place,
        scope: &Scope,
        at: &JobPlace,
    ) -> Result<(Taken, usize, Option<JobPlace>), ConnectorError> {
        let asked = slice.with_token(at.page.clone());
        let answer = self.job_ask(&self.plan.request, scope, Some(&asked), None).await?;
        let schema = self.schema().await?;
        if Fetched::detour(answer.taken_for).is_some() {
            let message = format!("{}: a download cannot begin anew", answer.asked);
            return Err(ConnectorError::new(ErrorKind::Settings, message));
        }
        let taken = self.take(&asked, scope, &answer, schema.as_deref(), false)?;
        let next = taken.token.clone().map(|page| JobPlace { page, read: at.read + taken.count, ..at.clone() });
        Ok((taken, answer.body.len(), next))
    }

    /// The next records of a download.
    async fn download_part(
        &self,
        place: &Place,
        scope: &Scope,
        at: &JobPlace,
    ) -> Result<(Taken, usize, Option<JobPlace>), ConnectorError> {
        let part = self.part_of(scope, at).await?;
        let read = at.read + part.rows;
        let optional = self.plan.promises.records_optional || !self.plan.decoder.is_whole();
        let records = if part.bodies.is_empty() {
            Vec::new()
        } else {
            self.records(Value::Array(part.bodies), true, scope, optional, &part.asked)?
        };
        let (engine, schema) = (&self.connector.loaded.engine, self.schema().await?);
        let strictness = self.connector.strictness();
        let mut selected =
            select::select(engine, self.plan, scope, records, place.page, strictness, schema.as_deref())?;
        selected.items.extend(part.broken);
        if self.plan.cursor.as_ref().is_some_and(|cursor| cursor.client_side && !cursor.data_feed) {
            self.held_against_cursor(place, &mut selected)?;
        }
        let next = (!part.last).then(|| JobPlace { read, ..at.clone() });
        Ok((Taken { selected, count: part.rows, ..Taken::default() }, part.bytes, next))
    }

    /// The slice's scope with what the job's requests may name: by itself, and as extra fields of the slice.
    fn job_scope<const N: usize>(&self, slice: &Place, more: [(&'static str, Value); N]) -> Scope {
        let extra: Map<String, Value> = more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let scope = self.slice_scope_with(slice, extra);
        more.into_iter().fold(scope, |scope, (name, value)| scope.with(name, &Arc::new(value)))
    }

    fn is_reference(&self) -> bool {
        self.connector.manner == Manner::Reference
    }
}

#[cfg(test)]
mod tests;
