//! What becomes of deliveries: with the page that decides their records, and with the run that read what they only announced.

use super::{Connection as Session, Db, bulk, fault::Fault};
use crate::{
    domain::{
        ids::{JobId, RunId},
        status::DeliveryStatus,
    },
    store::{StoreError, page::PageScope, webhooks::DeliveryEnd},
};

const SETTLE: &str = concat!(
    "update event_webhook_events
     set status = ?, reason = ?, run_id = ?, attempts = attempts + 1, next_attempt_at = null, settled_at = ",
    now!(),
    " where connection_id = ? and client_id = ? and stream = ? and status = 'received' and id in ("
);
/// Only a run that began after the delivery had come in can have read what it announced.
const FETCHED: &str = concat!(
    "update event_webhook_events
     set status = 'normalized', reason = 'fetched', run_id = ?, attempts = attempts + 1, settled_at = ",
    now!(),
    " where status = 'received' and raw_event_id is null
       and connection_id = (select j.connection_id from integration_sync_jobs j where j.id = ?)
       and client_id = (select j.client_id from integration_sync_jobs j where j.id = ?)
       and stream = (select j.stream from integration_sync_jobs j where j.id = ?)
       and received_at <= (select r.started_at from integration_sync_runs r where r.id = ? and r.job_id = ?)"
);
/// A job without a schedule that a delivery made due has done its work, unless another one came in meanwhile.
const REST: &str = "update integration_sync_jobs set next_run_at = null
    where id = ? and schedule is null and next_run_at is not null
      and not exists (select 1 from event_webhook_events w
          where w.status = 'received' and w.connection_id = integration_sync_jobs.connection_id
            and w.stream = integration_sync_jobs.stream and w.raw_event_id is null)";

/// Settles the deliveries of a page; each must be a waiting one of the page's own connection and stream (P15).
pub(super) async fn settle(session: &mut Session, scope: &PageScope, ends: &[DeliveryEnd]) -> Result<(), Fault> {
    let mut alike: Vec<(DeliveryStatus, Option<&str>, Vec<i64>)> = Vec::new();
    for end in ends {
        let reason = end.reason.as_deref();
        match alike.iter_mut().find(|(status, other, _)| *status == end.status && *other == reason) {
            Some((_, _, ids)) => ids.push(end.id.0),
            None => alike.push((end.status, reason, vec![end.id.0])),
        }
    }
    for (status, reason, ids) in alike {
        for now in ids.chunks(bulk::MOST_ROWS) {
            let slots = bulk::slots_for(now.len());
            let mut query = sqlx::query::<Db>(bulk::in_list(SETTLE, slots, ")"))
                .bind(status.as_str())
                .bind(reason)
                .bind(scope.run.0)
                .bind(scope.connection_id.0)
                .bind(scope.client_id.0)
                .bind(&scope.stream);
            for id in bulk::padded(now, slots) {
                query = query.bind(*id);
            }
            let matched = query.execute(&mut *session).await?.rows_affected();
            if u64::try_from(now.len()) != Ok(matched) {
                return Err(Fault::Refused(StoreError::Constraint {
                    constraint: "a settled delivery waits at its connection".to_owned(),
                    detail: format!("{matched} of {} deliveries of connection {}", now.len(), scope.connection_id),
                }));
            }
        }
    }
    Ok(())
}

/// A complete pull has read what deliveries before it announced.
pub(super) async fn fetched(session: &mut Session, job: JobId, run: RunId) -> Result<(), Fault> {
    sqlx::query::<Db>(FETCHED)
        .bind(run.0)
        .bind(job.0)
        .bind(job.0)
        .bind(job.0)
        .bind(run.0)
        .bind(job.0)
        .execute(&mut *session)
        .await?;
    sqlx::query::<Db>(REST).bind(job.0).execute(session).await?;
    Ok(())
}
