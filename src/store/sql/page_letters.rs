//! The dead letters of a page: opened, counted again, and closed with the record that made them obsolete.

use std::sync::Arc;

use super::{
    Connection as Session, Db,
    bulk::{self, Insert},
    fault::Fault,
    letter_retries,
    page_rows::{Shared, raw_id},
};
use crate::{
    domain::{ids::RawEventId, status::DeadLetterStatus},
    store::page::{DeadLetterWrite, PageScope},
};

const INSERT_DEAD_LETTER: Insert<'_> = Insert {
    table: "integration_sync_errors",
    shared: &["run_id", "job_id", "connection_id", "client_id", "origin", "stream", "attempts", "status"],
    own: &[
        "stage",
        "external_id",
        "raw_event_id",
        "fingerprint",
        "error_code",
        "message_internal",
        "message_client_safe",
        "remedy",
        "payload_hash",
    ],
    stamped: &["first_seen_at", "last_seen_at"],
    rewrite: Some((
        // What makes two failures the same open dead letter.
        &["connection_id", "stream", "external_id", "payload_hash", "open_slot"],
        // What the newest failure says of it.
        &[
            "run_id",
            "job_id",
            "origin",
            "stage",
            "raw_event_id",
            "fingerprint",
            "error_code",
            "message_internal",
            "message_client_safe",
            "remedy",
            "last_seen_at",
            "status",
        ],
        ", attempts = integration_sync_errors.attempts + 1, next_retry_at = null",
    )),
};
const RESOLVE: &str = concat!(
    "update integration_sync_errors set status = 'resolved', resolved_at = ",
    now!(),
    ", resolved_by = ?, next_retry_at = null
     where connection_id = ? and stream = ? and external_id = ? and payload_hash = ? and open_slot = 1"
);
const SUPERSEDE: &str = concat!(
    "update integration_sync_errors set status = 'resolved', resolved_at = ",
    now!(),
    ", resolved_by = ?, next_retry_at = null
     where connection_id = ? and stream = ? and open_slot = 1 and external_id in ("
);

/// Opens dead letters, or raises the attempts of those that are open (N2).
pub(super) async fn dead_letters(
    session: &mut Session,
    scope: &PageScope,
    raw_ids: &[RawEventId],
    letters: Vec<DeadLetterWrite>,
) -> Result<(), Fault> {
    let shared = Shared::of(scope);
    let timed = letter_retries::before(session, scope, &letters).await?;
    let mut left = letters.into_iter();
    while left.len() > 0 {
        let rows = bulk::rows_at_once(left.len());
        let query = bulk::bind_rows(
            sqlx::query(INSERT_DEAD_LETTER.text(rows)),
            left.by_ref().take(rows),
            |query| {
                query
                    .bind(scope.run.0)
                    .bind(scope.lease.job.0)
                    .bind(scope.connection_id.0)
                    .bind(scope.client_id.0)
                    .bind(scope.origin.as_str())
                    .bind(Arc::clone(&shared.stream))
                    .bind(1_i64)
                    .bind(DeadLetterStatus::Open.as_str())
            },
            |query, letter| {
                let raw = letter.raw.map(|index| raw_id(raw_ids, index)).transpose()?;
                Ok::<_, Fault>(
                    query
                        .bind(letter.stage.as_str())
                        .bind(letter.external_id)
                        .bind(raw)
                        .bind(letter.fingerprint)
                        .bind(letter.error_code)
                        .bind(letter.message_internal)
                        .bind(letter.message_client_safe)
                        .bind(letter.remedy)
                        .bind(letter.payload_hash),
                )
            },
        )?;
        query.execute(&mut *session).await?;
    }
    letter_retries::schedule(session, scope, timed).await
}

/// Closes the open dead letters of (external id, payload hash) in the transaction that writes their records (N3).
pub(super) async fn resolve(
    session: &mut Session,
    scope: &PageScope,
    resolved: &[(String, String)],
) -> Result<(), Fault> {
    for (external_id, payload_hash) in resolved {
        sqlx::query::<Db>(RESOLVE)
            .bind(format!("run {}", scope.run))
            .bind(scope.connection_id.0)
            .bind(scope.stream.as_str())
            .bind(external_id)
            .bind(payload_hash)
            .execute(&mut *session)
            .await?;
    }
    Ok(())
}

/// Closes open dead letters of records that a newer payload has written, or that a rule leaves out by a newer payload.
pub(super) async fn supersede<'r>(
    session: &mut Session,
    scope: &PageScope,
    external_ids: impl Iterator<Item = &'r str>,
) -> Result<(), Fault> {
    let external_ids: Vec<&str> = external_ids.collect();
    for now in external_ids.chunks(bulk::MOST_ROWS) {
        let slots = bulk::slots_for(now.len());
        let mut query = sqlx::query::<Db>(bulk::in_list(SUPERSEDE, slots, ")"))
            .bind(format!("superseded by run {}", scope.run))
            .bind(scope.connection_id.0)
            .bind(scope.stream.as_str());
        for external_id in bulk::padded(now, slots) {
            query = query.bind(*external_id);
        }
        query.execute(&mut *session).await?;
    }
    Ok(())
}
