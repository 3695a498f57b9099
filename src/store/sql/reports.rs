//! What clients see: one row for each client, metric and source label, written as a whole where what was read still stands.

use std::sync::Arc;

use async_trait::async_trait;
use rust_decimal::Decimal;

use super::{
    Connection as Session, Db,
    cells::Cells,
    declare::note,
    dialect::{At, Money},
    fault::Fault,
    metrics::lock,
    store::{Outcome, Patience, Statement, Store},
};
use crate::{
    domain::{
        clock::Timestamp,
        ids::{ClientId, ConnectionId, SnapshotId},
    },
    store::{
        StoreError,
        catalogue::AdminAction,
        reports::{PortalCard, Report, ReportStore, Told},
    },
};

const REPORT: &str = "select * from report_metrics where client_id = ? and metric_key = ? and source_label = ?";
const REPORTS: &str = "select * from report_metrics where client_id = ? order by metric_key, source_label";
const CARDS: &str = "select * from portal_cards where client_key = ? order by title, source";

macro_rules! columns {
    ($between:literal) => {
        concat!(
            "connection_id",
            $between,
            "title",
            $between,
            "meaning",
            $between,
            "unit",
            $between,
            "currency",
            $between,
            "direction",
            $between,
            "baseline_period_start",
            $between,
            "baseline_period_end",
            $between,
            "baseline_value",
            $between,
            "baseline_snapshot_id",
            $between,
            "current_period_start",
            $between,
            "current_period_end",
            $between,
            "current_value",
            $between,
            "current_snapshot_id",
            $between,
            "current_period_text",
            $between,
            "status",
            $between,
            "held_reason",
            $between,
            "published_status",
            $between,
            "confidence",
            $between,
            "next_action",
            $between,
            "client_note",
            $between,
            "approval_state",
            $between,
            "approved_by",
            $between,
            "approved_at",
            $between,
            "pending_snapshot_id",
            $between,
            "attempted_at",
            $between,
            "published_at"
        )
    };
}

const INSERT: &str = concat!(
    "insert into report_metrics (",
    columns!(", "),
    ", client_id, metric_key, source_label)
     values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
);
const UPDATE: &str = concat!(
    "update report_metrics set ",
    columns!(" = ?, "),
    " = ? where client_id = ? and metric_key = ? and source_label = ?"
);

#[async_trait]
impl ReportStore for Store {
    async fn report(
        &self,
        client: ClientId,
        metric_key: &str,
        source_label: &str,
    ) -> Result<Option<Report>, StoreError> {
        self.read("read a report metric", async {
            let row = self.inner.row(one(client, metric_key, source_label)).await?;
            row.map(|row| report(&Cells::of("report_metrics", &row))).transpose()
        })
        .await
    }

    async fn reports(&self, client: ClientId) -> Result<Vec<Report>, StoreError> {
        self.read("list report metrics", async {
            let rows = self.inner.rows(sqlx::query::<Db>(REPORTS).bind(client.0)).await?;
            rows.iter().map(|row| report(&Cells::of("report_metrics", row))).collect()
        })
        .await
    }

    async fn write_report(
        &self,
        before: Option<&Report>,
        next: &Report,
        action: Option<&AdminAction>,
    ) -> Result<bool, StoreError> {
        let told = Arc::new((before.cloned(), next.clone(), action.cloned()));
        self.write("write a report metric", Patience::Short, move |session, attempt| {
            let told = Arc::clone(&told);
            Box::pin(async move {
                let (before, next, action) = &*told;
                lock(session, next.client_id, next.connection_id).await?;
                let row =
                    one(next.client_id, &next.metric_key, &next.source_label).fetch_optional(&mut *session).await?;
                let stands = row.map(|row| report(&Cells::of("report_metrics", &row))).transpose()?;
                if attempt.unsure && stands.as_ref() == Some(next) {
                    return Ok(Outcome::RollBack(true));
                }
                if stands != *before {
                    return Ok(Outcome::RollBack(false));
                }
                write(session, before.is_none(), next).await?;
                if let Some(action) = action {
                    note(session, action).await?;
                }
                Ok(Outcome::Commit(true))
            })
        })
        .await
    }

    async fn portal_cards(&self, client_key: &str) -> Result<Vec<PortalCard>, StoreError> {
        self.read("read portal cards", async {
            let rows = self.inner.rows(sqlx::query::<Db>(CARDS).bind(client_key)).await?;
            rows.iter().map(|row| card(&Cells::of("portal_cards", row))).collect()
        })
        .await
    }
}

fn one<'q>(client: ClientId, metric_key: &str, source_label: &str) -> Statement<'q> {
    sqlx::query::<Db>(REPORT).bind(client.0).bind(metric_key.to_owned()).bind(source_label.to_owned())
}

async fn write(session: &mut Session, new: bool, next: &Report) -> Result<(), Fault> {
    let query = sqlx::query::<Db>(if new { INSERT } else { UPDATE })
        .bind(next.connection_id.0)
        .bind(&next.title)
        .bind(&next.meaning)
        .bind(&next.unit)
        .bind(&next.currency)
        .bind(next.direction.as_str());
    bind_told(bind_told(query, next.baseline.as_ref()), next.current.as_ref())
        .bind(&next.current_period_text)
        .bind(next.status.as_str())
        .bind(&next.held_reason)
        .bind(next.published_status.map(|status| status.as_str()))
        .bind(next.confidence)
        .bind(&next.next_action)
        .bind(&next.client_note)
        .bind(next.approval_state.as_str())
        .bind(&next.approved_by)
        .bind(next.approved_at.map(At))
        .bind(next.pending_snapshot_id.map(|id| id.0))
        .bind(At(next.attempted_at))
        .bind(next.published_at.map(At))
        .bind(next.client_id.0)
        .bind(&next.metric_key)
        .bind(&next.source_label)
        .execute(session)
        .await?;
    Ok(())
}

/// Start, end, value, snapshot.
fn bind_told<'q>(query: Statement<'q>, told: Option<&Told>) -> Statement<'q> {
    query
        .bind(told.map(|told| At(told.period_start)))
        .bind(told.map(|told| At(told.period_end)))
        .bind(told.map(|told| Money(told.value)))
        .bind(told.map(|told| told.snapshot_id.0))
}

fn report(cells: &Cells<'_>) -> Result<Report, Fault> {
    Ok(Report {
        client_id: ClientId(cells.int("client_id")?),
        connection_id: ConnectionId(cells.int("connection_id")?),
        metric_key: cells.text("metric_key")?,
        source_label: cells.text("source_label")?,
        title: cells.text("title")?,
        meaning: cells.text("meaning")?,
        unit: cells.text("unit")?,
        currency: cells.opt_text("currency")?,
        direction: cells.word("direction")?,
        baseline: told(
            cells.opt_at("baseline_period_start")?,
            cells.opt_at("baseline_period_end")?,
            cells.opt_decimal("baseline_value")?,
            cells.opt_int("baseline_snapshot_id")?,
        ),
        current: told(
            cells.opt_at("current_period_start")?,
            cells.opt_at("current_period_end")?,
            cells.opt_decimal("current_value")?,
            cells.opt_int("current_snapshot_id")?,
        ),
        current_period_text: cells.opt_text("current_period_text")?,
        status: cells.word("status")?,
        held_reason: cells.opt_text("held_reason")?,
        published_status: cells.opt_word("published_status")?,
        confidence: cells.opt_int("confidence")?,
        next_action: cells.opt_text("next_action")?,
        client_note: cells.opt_text("client_note")?,
        approval_state: cells.word("approval_state")?,
        approved_by: cells.opt_text("approved_by")?,
        approved_at: cells.opt_at("approved_at")?,
        pending_snapshot_id: cells.opt_int("pending_snapshot_id")?.map(SnapshotId),
        attempted_at: cells.at("attempted_at")?,
        published_at: cells.opt_at("published_at")?,
    })
}

fn told(
    period_start: Option<Timestamp>,
    period_end: Option<Timestamp>,
    value: Option<Decimal>,
    snapshot: Option<i64>,
) -> Option<Told> {
    Some(Told {
        period_start: period_start?,
        period_end: period_end?,
        value: value?,
        snapshot_id: SnapshotId(snapshot?),
    })
}

fn card(cells: &Cells<'_>) -> Result<PortalCard, Fault> {
    Ok(PortalCard {
        client_key: cells.text("client_key")?,
        title: cells.text("title")?,
        source: cells.text("source")?,
        period: cells.opt_text("period")?,
        unit: cells.text("unit")?,
        baseline: cells.opt_decimal("baseline")?,
        current: cells.opt_decimal("current")?,
        status: cells.opt_text("status")?,
        next_action: cells.opt_text("next_action")?,
        note: cells.opt_text("note")?,
        updated_at: cells.at("updated_at")?,
    })
}
