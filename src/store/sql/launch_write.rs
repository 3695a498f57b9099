//! Writing launch controls: what a review found, and what a person signed. Neither overwrites the other's.

use super::{Connection as Session, Db, cells::Cells, declare::note, dialect::At, fault::Fault};
use crate::{
    domain::status::ControlStatus,
    store::{
        StoreError,
        catalogue::AdminAction,
        launch::{ControlRow, ProvedBy, Reviewed, Signature, Whose},
    },
};

/// Slot 0 is the installation's; ids begin at 1.
const STANDS: &str =
    concat!("select id, client_id from launch_controls where control_key = ? and connection_slot = ?", for_update!());
const INSERT: &str = "insert into launch_controls
    (title, kind, owner, source, environment, data_boundary, rollback_path, review_cadence_days, evidence_kind, evidence,
     evidence_at, status, status_reason, checked_at, blocks_from, signed_by, control_key, scope, connection_id, client_id)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
/// A person's facts and evidence stay; what is empty is filled.
const REVIEW_SIGNED: &str = "update launch_controls
    set title = ?, kind = ?, owner = coalesce(owner, ?), source = coalesce(source, ?),
        environment = coalesce(environment, ?), data_boundary = coalesce(data_boundary, ?),
        rollback_path = coalesce(rollback_path, ?), review_cadence_days = ?, evidence_kind = coalesce(evidence_kind, ?),
        evidence = coalesce(evidence, ?), evidence_at = coalesce(evidence_at, ?), status = ?, status_reason = ?,
        checked_at = ?, blocks_from = ?
    where id = ?";
/// A person's facts stay, the evidence is the machine's.
const REVIEW_PROBED: &str = "update launch_controls
    set title = ?, kind = ?, owner = coalesce(owner, ?), source = coalesce(source, ?),
        environment = coalesce(environment, ?), data_boundary = coalesce(data_boundary, ?),
        rollback_path = coalesce(rollback_path, ?), review_cadence_days = ?, evidence_kind = ?, evidence = ?,
        evidence_at = ?, status = ?, status_reason = ?, checked_at = ?, blocks_from = ?
    where id = ?";
const REVIEW_MACHINE: &str = "update launch_controls
    set title = ?, kind = ?, owner = ?, source = ?, environment = ?, data_boundary = ?, rollback_path = ?,
        review_cadence_days = ?, evidence_kind = ?, evidence = ?, evidence_at = ?, status = ?, status_reason = ?,
        checked_at = ?, blocks_from = ?
    where id = ?";
/// The next review says what the signature is worth.
const SIGN: &str = "update launch_controls
    set title = ?, kind = ?, owner = coalesce(?, owner), source = coalesce(?, source),
        environment = coalesce(?, environment), data_boundary = coalesce(?, data_boundary),
        rollback_path = coalesce(?, rollback_path), review_cadence_days = coalesce(?, review_cadence_days),
        evidence_kind = coalesce(?, evidence_kind), evidence = coalesce(?, evidence),
        evidence_at = coalesce(?, evidence_at), signed_by = ?
    where id = ?";

/// Writes what a review found.
pub(super) async fn review(session: &mut Session, whose: Whose, controls: &[Reviewed]) -> Result<(), Fault> {
    for Reviewed { row, proved_by } in controls {
        let Some(id) = stands(session, whose, &row.control_key).await? else {
            insert(session, whose, row).await?;
            continue;
        };
        let text = match proved_by {
            ProvedBy::Person => REVIEW_SIGNED,
            ProvedBy::MachineForPerson => REVIEW_PROBED,
            ProvedBy::Machine => REVIEW_MACHINE,
        };
        let (facts, evidence) = (&row.facts, row.evidence.as_ref());
        sqlx::query::<Db>(text)
            .bind(&row.title)
            .bind(row.kind.as_str())
            .bind(&facts.owner)
            .bind(&facts.source)
            .bind(&facts.environment)
            .bind(&facts.data_boundary)
            .bind(&facts.rollback_path)
            .bind(facts.review_cadence_days)
            .bind(evidence.map(|e| &e.evidence_kind))
            .bind(evidence.map(|e| &e.evidence))
            .bind(evidence.map(|e| At(e.evidence_at)))
            .bind(row.status.as_str())
            .bind(&row.status_reason)
            .bind(row.checked_at.map(At))
            .bind(row.blocks_from.map(At))
            .bind(id)
            .execute(&mut *session)
            .await?;
    }
    Ok(())
}

/// Writes signatures and their acts.
pub(super) async fn sign(
    session: &mut Session,
    signatures: &[Signature],
    actions: &[AdminAction],
) -> Result<(), Fault> {
    for signature in signatures {
        let (facts, evidence) = (&signature.facts, signature.evidence.as_ref());
        let Some(id) = stands(session, signature.whose, &signature.control_key).await? else {
            insert(session, signature.whose, &first(signature)).await?;
            continue;
        };
        sqlx::query::<Db>(SIGN)
            .bind(&signature.title)
            .bind(signature.kind.as_str())
            .bind(&facts.owner)
            .bind(&facts.source)
            .bind(&facts.environment)
            .bind(&facts.data_boundary)
            .bind(&facts.rollback_path)
            .bind(facts.review_cadence_days)
            .bind(evidence.map(|e| &e.evidence_kind))
            .bind(evidence.map(|e| &e.evidence))
            .bind(evidence.map(|e| At(e.evidence_at)))
            .bind(&signature.signed_by)
            .bind(id)
            .execute(&mut *session)
            .await?;
    }
    for action in actions {
        note(session, action).await?;
    }
    Ok(())
}

/// A signature as the first row of its control; not reviewed yet, hence not ready.
fn first(signature: &Signature) -> ControlRow {
    ControlRow {
        control_key: signature.control_key.clone(),
        title: signature.title.clone(),
        kind: signature.kind,
        facts: signature.facts.clone(),
        evidence: signature.evidence.clone(),
        signed_by: signature.signed_by.clone(),
        status: ControlStatus::Missing,
        status_reason: Some("not reviewed yet".to_owned()),
        checked_at: None,
        blocks_from: None,
    }
}

async fn stands(session: &mut Session, whose: Whose, key: &str) -> Result<Option<i64>, Fault> {
    let slot = whose.ids().map_or(0, |(connection, _)| connection.0);
    let row = sqlx::query::<Db>(STANDS).bind(key).bind(slot).fetch_optional(session).await?;
    let Some(row) = row else { return Ok(None) };
    let cells = Cells::of("launch_controls", &row);
    // The row is found by its connection alone: an update would not ask the foreign key whose it is (P15).
    if cells.opt_int("client_id")? != whose.ids().map(|(_, client)| client.0) {
        return Err(Fault::Refused(StoreError::Constraint {
            constraint: "connection and client".to_owned(),
            detail: format!("the connection of control {key} is not one of that client"),
        }));
    }
    cells.int("id").map(Some)
}

async fn insert(session: &mut Session, whose: Whose, row: &ControlRow) -> Result<(), Fault> {
    let (facts, evidence, ids) = (&row.facts, row.evidence.as_ref(), whose.ids());
    let inserted = sqlx::query::<Db>(INSERT)
        .bind(&row.title)
        .bind(row.kind.as_str())
        .bind(&facts.owner)
        .bind(&facts.source)
        .bind(&facts.environment)
        .bind(&facts.data_boundary)
        .bind(&facts.rollback_path)
        .bind(facts.review_cadence_days)
        .bind(evidence.map(|e| &e.evidence_kind))
        .bind(evidence.map(|e| &e.evidence))
        .bind(evidence.map(|e| At(e.evidence_at)))
        .bind(row.status.as_str())
        .bind(&row.status_reason)
        .bind(row.checked_at.map(At))
        .bind(row.blocks_from.map(At))
        .bind(&row.signed_by)
        .bind(&row.control_key)
        .bind(whose.scope().as_str())
        .bind(ids.map(|(connection, _)| connection.0))
        .bind(ids.map(|(_, client)| client.0))
        .execute(session)
        .await;
    match inserted {
        Ok(_) => Ok(()),
        // Another process was faster: what it wrote is read in the next try.
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Err(Fault::Again),
        Err(error) => Err(error.into()),
    }
}
