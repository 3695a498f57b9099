//! Alerts: decided and written in one transaction, told by whoever moves a notice's time on.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    Connection as Session, Db,
    cells::Cells,
    dialect::At,
    fault::{Class, Fault, classify},
    store::{Outcome, Patience, Store},
};
use crate::{
    domain::{
        clock::Timestamp,
        ids::{ClientId, ConnectionId},
        status::AlertNews,
    },
    store::{
        StoreError,
        alerts::{
            Alert, AlertFacts, AlertFilter, AlertRow, AlertStore, AlertWrite, DecideAlerts, Gauges, LateFact,
            ThrottleFact,
        },
    },
};

macro_rules! select_alert {
    ($end:expr) => {
        concat!(
            "select a.*, c.connection_key, cl.client_key
             from integration_alerts a
             left join integration_connections c on c.id = a.connection_id and c.client_id = a.client_id
             left join core_clients cl on cl.id = a.client_id ",
            $end
        )
    };
}

/// Taken before the rows are read: at READ COMMITTED a lock on rows that are not there yet holds nobody.
const LOCK: &str = concat!("select id from integration_alerts where open_slot = 1 order by id", for_update!());
const STANDING: &str = select_alert!("where a.open_slot = 1 order by a.id");
const BY_ID: &str = select_alert!("where a.id = ?");
const LIST: &str = select_alert!(
    "where (? = 1 or a.open_slot = 1 and a.opened_at is not null) and (? is null or a.rule_key = ?)
       and (? is null or c.connection_key = ?)
     order by a.id desc limit ?"
);
const DUE_NOTICES: &str =
    select_alert!("where a.notice is not null and a.notify_after <= ? order by a.notify_after, a.id limit ?");
const INSERT: &str = "insert into integration_alerts
    (severity, owner, message_internal, message_client_safe, remedy, runbook, last_seen_at, opened_at, resolved_at, told_at, notice,
     notify_after, notify_failures, rule_key, subject_type, subject_key, connection_id, client_id, first_seen_at)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const UPDATE: &str = "update integration_alerts
    set severity = ?, owner = ?, message_internal = ?, message_client_safe = ?, remedy = ?, runbook = ?, last_seen_at = ?, opened_at = ?,
        resolved_at = ?, told_at = ?, notice = ?, notify_after = ?, notify_failures = ?
    where id = ? and resolved_at is null";
/// All that stand were seen; a look that began earlier does not take a later one back.
const SEEN: &str = "update integration_alerts set last_seen_at = ? where open_slot = 1 and last_seen_at < ?";
const CLAIM: &str =
    "update integration_alerts set notify_after = ? where id = ? and notice = ? and told_at = ? and notify_after = ?";
const TOLD: &str =
    "update integration_alerts set notice = null, notify_after = null, notified_at = ?, notify_failures = 0
    where id = ? and notice = ? and told_at = ?";
const FAILED: &str = "update integration_alerts set notify_after = ?, notify_failures = notify_failures + 1
    where id = ? and notice = ? and told_at = ?";
const GIVEN_UP: &str =
    "update integration_alerts set notice = null, notify_after = null, notify_failures = notify_failures + 1
    where id = ? and notice = ? and told_at = ?";

#[async_trait]
impl AlertStore for Store {
    async fn alert_facts(&self, now: Timestamp) -> Result<AlertFacts, StoreError> {
        self.read("read what alerts look at", self.read_facts(now)).await
    }

    async fn late_jobs(&self, now: Timestamp) -> Result<Vec<LateFact>, StoreError> {
        self.read("look for late jobs", self.read_late_jobs(now)).await
    }

    async fn throttled(&self, since: Timestamp) -> Result<Vec<ThrottleFact>, StoreError> {
        self.read("look for throttled connections", self.read_throttled(since)).await
    }

    async fn write_alerts(
        &self,
        seen_at: Timestamp,
        decide: DecideAlerts,
    ) -> Result<Vec<(Alert, AlertNews)>, StoreError> {
        self.write("write alerts", Patience::Short, move |session, _| {
            let decide = Arc::clone(&decide);
            Box::pin(async move {
                sqlx::query::<Db>(LOCK).fetch_all(&mut *session).await?;
                let rows = sqlx::query::<Db>(STANDING).fetch_all(&mut *session).await?;
                let standing = rows.iter().map(alert).collect::<Result<Vec<_>, _>>()?;
                let mut told = Vec::new();
                for write in decide(&standing) {
                    if let (Some(id), Some(news)) = (put(session, &write).await?, write.news) {
                        let row = sqlx::query::<Db>(BY_ID).bind(id).fetch_one(&mut *session).await?;
                        told.push((alert(&row)?, news));
                    }
                }
                sqlx::query::<Db>(SEEN).bind(At(seen_at)).bind(At(seen_at)).execute(&mut *session).await?;
                Ok(Outcome::Commit(told))
            })
        })
        .await
    }

    async fn alerts(&self, filter: &AlertFilter) -> Result<Vec<Alert>, StoreError> {
        self.read("list alerts", async {
            let query = sqlx::query::<Db>(LIST)
                .bind(i64::from(filter.all))
                .bind(&filter.rule_key)
                .bind(&filter.rule_key)
                .bind(&filter.connection_key)
                .bind(&filter.connection_key)
                .bind(i64::from(filter.limit));
            self.inner.rows(query).await?.iter().map(alert).collect()
        })
        .await
    }

    async fn due_notices(&self, now: Timestamp, limit: u32) -> Result<Vec<Alert>, StoreError> {
        self.read("look for notices", async {
            let query = sqlx::query::<Db>(DUE_NOTICES).bind(At(now)).bind(i64::from(limit));
            self.inner.rows(query).await?.iter().map(alert).collect()
        })
        .await
    }

    async fn claim_notice(&self, alert: &Alert, until: Timestamp) -> Result<bool, StoreError> {
        let Some((id, news, told_at, due_at)) = notice(alert) else { return Ok(false) };
        self.write("claim a notice", Patience::Short, move |session, _| {
            Box::pin(async move {
                let query = sqlx::query::<Db>(CLAIM).bind(At(until)).bind(id).bind(news.as_str()).bind(At(told_at));
                let taken = query.bind(At(due_at)).execute(&mut *session).await?.rows_affected();
                Ok(Outcome::Commit(taken == 1))
            })
        })
        .await
    }

    async fn notice_told(&self, alert: &Alert, at: Timestamp) -> Result<(), StoreError> {
        let Some((id, news, told_at, _)) = notice(alert) else { return Ok(()) };
        self.write("close a notice", Patience::Short, move |session, _| {
            Box::pin(async move {
                let query = sqlx::query::<Db>(TOLD).bind(At(at)).bind(id).bind(news.as_str()).bind(At(told_at));
                query.execute(&mut *session).await?;
                Ok(Outcome::Commit(()))
            })
        })
        .await
    }

    async fn notice_failed(&self, alert: &Alert, again_at: Option<Timestamp>) -> Result<(), StoreError> {
        let Some((id, news, told_at, _)) = notice(alert) else { return Ok(()) };
        self.write("put a notice off", Patience::Short, move |session, _| {
            Box::pin(async move {
                let query = match again_at {
                    Some(at) => sqlx::query::<Db>(FAILED).bind(At(at)),
                    None => sqlx::query::<Db>(GIVEN_UP),
                };
                query.bind(id).bind(news.as_str()).bind(At(told_at)).execute(&mut *session).await?;
                Ok(Outcome::Commit(()))
            })
        })
        .await
    }

    async fn gauges(&self) -> Result<Gauges, StoreError> {
        self.read("read the gauges", self.read_gauges()).await
    }
}

/// What names a notice for as long as it is the newest of its alert.
fn notice(alert: &Alert) -> Option<(i64, AlertNews, Timestamp, Timestamp)> {
    let (news, due_at) = alert.row.notice?;
    Some((alert.id, news, alert.row.told_at?, due_at))
}

/// Inserts or updates; gives the id, or `None` when the row no longer stands.
async fn put(session: &mut Session, write: &AlertWrite) -> Result<Option<i64>, Fault> {
    let row = &write.row;
    let query = sqlx::query::<Db>(if write.id.is_some() { UPDATE } else { INSERT })
        .bind(row.severity.as_str())
        .bind(&row.owner)
        .bind(&row.message_internal)
        .bind(&row.message_client_safe)
        .bind(&row.remedy)
        .bind(&row.runbook)
        .bind(At(row.last_seen_at))
        .bind(row.opened_at.map(At))
        .bind(row.resolved_at.map(At))
        .bind(row.told_at.map(At))
        .bind(row.notice.map(|(news, _)| news.as_str()))
        .bind(row.notice.map(|(_, at)| At(at)))
        .bind(row.notify_failures);
    if let Some(id) = write.id {
        let changed = query.bind(id).execute(session).await?.rows_affected();
        return Ok((changed == 1).then_some(id));
    }
    let inserted = query
        .bind(&row.rule_key)
        .bind(&row.subject_type)
        .bind(&row.subject_key)
        .bind(row.connection_id.map(|id| id.0))
        .bind(row.client_id.map(|id| id.0))
        .bind(At(row.first_seen_at))
        .execute(session)
        .await;
    match inserted {
        Ok(result) => Ok(Some(super::dialect::first_id(&result, 1))),
        // Another sweep opened it between our look and our write: look again.
        Err(error) => match classify("write alerts", &error) {
            Class::Final(StoreError::Constraint { constraint, .. })
                if constraint.contains("uq_integration_alerts_open") =>
            {
                Err(Fault::Again)
            }
            _ => Err(Fault::Sql(error)),
        },
    }
}

fn alert(row: &super::Row) -> Result<Alert, Fault> {
    let cells = Cells::of("integration_alerts", row);
    let notice = match (cells.opt_text("notice")?, cells.opt_at("notify_after")?) {
        (Some(_), Some(at)) => Some((cells.word("notice")?, at)),
        (None, _) | (_, None) => None,
    };
    Ok(Alert {
        id: cells.int("id")?,
        connection_key: cells.opt_text("connection_key")?,
        client_key: cells.opt_text("client_key")?,
        row: AlertRow {
            rule_key: cells.text("rule_key")?,
            severity: cells.word("severity")?,
            subject_type: cells.text("subject_type")?,
            subject_key: cells.text("subject_key")?,
            connection_id: cells.opt_int("connection_id")?.map(ConnectionId),
            client_id: cells.opt_int("client_id")?.map(ClientId),
            owner: cells.opt_text("owner")?,
            message_internal: cells.text("message_internal")?,
            message_client_safe: cells.text("message_client_safe")?,
            remedy: cells.text("remedy")?,
            runbook: cells.text("runbook")?,
            first_seen_at: cells.at("first_seen_at")?,
            last_seen_at: cells.at("last_seen_at")?,
            opened_at: cells.opt_at("opened_at")?,
            resolved_at: cells.opt_at("resolved_at")?,
            told_at: cells.opt_at("told_at")?,
            notice,
            notified_at: cells.opt_at("notified_at")?,
            notify_failures: cells.int("notify_failures")?,
        },
    })
}
