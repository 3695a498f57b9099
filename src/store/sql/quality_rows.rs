//! Business rows as the quality checks count them. How they hold together with object links is `quality_links`'.
//!
//! Every statement begins at `ix_<table>_connection (connection_id, client_id)`, and goes from there by primary key or by
//! `uq_integration_object_links_object`; the comments name the index only where it is another one. The texts are put together from
//! names of ours (tables and columns of the catalogue), never from a value.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::{Db, cells::Cells, fault::Fault, store::Inner};
use crate::{
    domain::{
        business::{self, BusinessTable},
        clock::Timestamp,
    },
    store::quality::{CurrencyUse, LabelUse, PaidOrganic, SharedContacts, Tally, Whose},
};

/// Tables with a connection and a client besides the business tables.
const OTHER_TABLES: [&str; 11] = [
    "integration_sync_jobs",
    "integration_sync_runs",
    "integration_raw_events",
    "integration_object_links",
    "integration_sync_errors",
    "data_quality_checks",
    "metric_snapshots",
    "metric_baselines",
    "report_metrics",
    "launch_controls",
    "integration_alerts",
];

/// When the thing itself happened, which cannot be in the future. (A due date or a planned visit can.)
const HAPPENED: [(&str, &[&str]); 11] = [
    ("crm_leads", &["received_at", "first_response_at"]),
    ("crm_lead_events", &["occurred_at"]),
    ("phone_calls", &["occurred_at", "answered_at"]),
    ("message_deliveries", &["sent_at", "delivered_at", "replied_at"]),
    ("field_jobs", &["booked_at", "completed_at", "canceled_at"]),
    ("accounting_customers", &["created_at"]),
    ("accounting_invoices", &["issued_at"]),
    ("accounting_payments", &["paid_at"]),
    ("campaign_spend", &["spent_at"]),
    ("search_traffic_daily", &["measured_at"]),
    ("reviews", &["reviewed_at", "replied_at"]),
];

const RIVALS: &str = "select o.connection_key
    from integration_connections c
    join integration_connections o on o.provider_key = c.provider_key and o.environment = c.environment and o.client_id <> c.client_id
     and lower(trim(o.provider_account_id)) = lower(trim(c.provider_account_id))
    where c.id = ? and c.client_id = ? and o.status <> 'revoked' order by o.id limit 10";
/// Another label of the same client: without one there is nothing to compare, and the leads are not read.
const OTHER_LABELS: &str = "select count(*)
    from integration_connections c
    join integration_connections o on o.client_id = c.client_id and o.source_label <> c.source_label
    where c.id = ? and c.client_id = ?";
/// One sort of the client's leads: through ix_integration_connections_client, then ix_crm_leads_connection for each connection.
macro_rules! shared_contacts {
    ($column:literal) => {
        concat!(
            "select count(*) from (
                 select r.",
            $column,
            " from integration_connections c
                 join crm_leads r on r.connection_id = c.id and r.client_id = c.client_id
                 where c.client_id = ? and r.voided_at is null and r.is_test = 0 and r.",
            $column,
            " <> ''
                 group by r.",
            $column,
            "
                 having count(distinct r.source_label) > 1 and count(case when r.connection_id = ? then 1 end) > 0
             ) shared"
        )
    };
}
/// Through ix_integration_raw_events_run (run_id, status), for the newest runs only: raw events are many, and have a retention.
const RAW_LABELS: &str = "select count(case when trim(e.source_label) = '' then 1 end) as blank,
        count(case when trim(e.source_label) <> '' and e.source_label <> ? then 1 end) as other
    from (select id from integration_sync_runs where connection_id = ? and client_id = ? order by id desc limit ?) r
    join integration_raw_events e on e.run_id = r.id
    where e.connection_id = ? and e.client_id = ?";

/// A text made of names of ours.
pub(super) fn text_of(text: String) -> SqlStr {
    AssertSqlSafe(text).into_sql_str()
}

/// One SELECT for each table, taken together.
pub(super) fn for_each<T>(tables: impl IntoIterator<Item = T>, select: impl Fn(T) -> String) -> SqlStr {
    text_of(tables.into_iter().map(select).collect::<Vec<_>>().join(" union all "))
}

/// The business tables in which the connection has rows.
pub(super) async fn used(inner: &Inner, of: Whose) -> Result<Vec<&'static BusinessTable>, Fault> {
    let text = for_each(business::TABLES, |table| {
        let name = table.name;
        format!(
            "select '{name}' as name, exists (select 1 from {name} where connection_id = ? and client_id = ?) as used"
        )
    });
    let mut query = sqlx::query::<Db>(text);
    for _ in business::TABLES {
        query = query.bind(of.connection.0).bind(of.client.0);
    }
    let mut tables = Vec::new();
    for row in inner.rows(query).await? {
        let cells = Cells::of("business tables", &row);
        if cells.flag("used")? {
            tables.extend(business::table(&cells.text("name")?));
        }
    }
    Ok(tables)
}

/// The number that a text gives when it is bound to the connection and its client.
pub(super) async fn number(inner: &Inner, of: Whose, text: String) -> Result<i64, Fault> {
    inner.number(sqlx::query::<Db>(text_of(text)).bind(of.connection.0).bind(of.client.0)).await
}

/// Index-only: both ranges beside the connection's own client. Another client's connection has nothing to tell, not even a number.
pub(super) async fn foreign(inner: &Inner, of: Whose) -> Result<Vec<Tally>, Fault> {
    let tables: Vec<&'static str> = business::TABLES.iter().map(|table| table.name).chain(OTHER_TABLES).collect();
    let text = for_each(&tables, |name| {
        format!(
            "select '{name}' as name, count(*) as n from {name} where connection_id = ? and client_id <> ?
             and exists (select 1 from integration_connections c where c.id = ? and c.client_id = ?)"
        )
    });
    let mut query = sqlx::query::<Db>(text);
    for _ in &tables {
        query = query.bind(of.connection.0).bind(of.client.0).bind(of.connection.0).bind(of.client.0);
    }
    let mut found = Vec::new();
    for row in inner.rows(query).await? {
        let cells = Cells::of("tables", &row);
        let (name, rows) = (cells.text("name")?, cells.int("n")?);
        found.extend(tables.iter().find(|table| **table == name && rows > 0).map(|table| Tally { table, rows }));
    }
    Ok(found)
}

pub(super) async fn rival_claims(inner: &Inner, of: Whose) -> Result<Vec<String>, Fault> {
    let rows = inner.rows(sqlx::query::<Db>(RIVALS).bind(of.connection.0).bind(of.client.0)).await?;
    rows.iter().map(|row| Cells::of("integration_connections", row).text("connection_key")).collect()
}

pub(super) async fn currencies(inner: &Inner, of: Whose) -> Result<Vec<CurrencyUse>, Fault> {
    /// Names of the counted columns, in the order of a table's amounts.
    const SLOTS: [&str; 4] = ["a0", "a1", "a2", "a3"];
    let mut found = Vec::new();
    for table in used(inner, of).await? {
        let amounts: Vec<(&'static str, &'static str)> = table.amounts().map(|amount| amount.name).zip(SLOTS).collect();
        if amounts.is_empty() {
            continue;
        }
        let counts: Vec<String> = amounts.iter().map(|(name, slot)| format!("count({name}) as {slot}")).collect();
        let any: Vec<String> = amounts.iter().map(|(name, _)| format!("{name} is not null")).collect();
        let text = format!(
            "select currency, {} from {} where connection_id = ? and client_id = ? and voided_at is null and is_test = 0 and ({})
             group by currency order by currency limit 100",
            counts.join(", "),
            table.name,
            any.join(" or ")
        );
        let query = sqlx::query::<Db>(text_of(text)).bind(of.connection.0).bind(of.client.0);
        for row in inner.rows(query).await? {
            let cells = Cells::of(table.name, &row);
            let currency = cells.opt_text("currency")?;
            for (column, slot) in &amounts {
                let rows = cells.int(slot)?;
                if rows > 0 {
                    found.push(CurrencyUse { table: table.name, column, currency: currency.clone(), rows });
                }
            }
        }
    }
    Ok(found)
}

pub(super) async fn shared_contacts(inner: &Inner, of: Whose) -> Result<SharedContacts, Fault> {
    let labels = sqlx::query::<Db>(OTHER_LABELS).bind(of.connection.0).bind(of.client.0);
    if inner.number(labels).await? == 0 {
        return Ok(SharedContacts::default());
    }
    let phones = sqlx::query::<Db>(shared_contacts!("phone")).bind(of.client.0).bind(of.connection.0);
    let emails = sqlx::query::<Db>(shared_contacts!("email")).bind(of.client.0).bind(of.connection.0);
    Ok(SharedContacts { phones: inner.number(phones).await?, emails: inner.number(emails).await? })
}

pub(super) async fn labels(inner: &Inner, of: Whose, label: &str, runs: u32) -> Result<Vec<LabelUse>, Fault> {
    let mut found = Vec::new();
    for table in used(inner, of).await? {
        let text = format!(
            "select count(case when trim(source_label) = '' then 1 end) as blank,
                    count(case when trim(source_label) <> '' and source_label <> ? then 1 end) as other
             from {} where connection_id = ? and client_id = ? and voided_at is null",
            table.name
        );
        let query = sqlx::query::<Db>(text_of(text)).bind(label).bind(of.connection.0).bind(of.client.0);
        for row in inner.rows(query).await? {
            found.push(label_use(table.name, &Cells::of(table.name, &row))?);
        }
    }
    let raw = sqlx::query::<Db>(RAW_LABELS)
        .bind(label)
        .bind(of.connection.0)
        .bind(of.client.0)
        .bind(i64::from(runs))
        .bind(of.connection.0)
        .bind(of.client.0);
    for row in inner.rows(raw).await? {
        found.push(label_use("integration_raw_events", &Cells::of("integration_raw_events", &row))?);
    }
    found.retain(|label| label.empty + label.other > 0);
    Ok(found)
}

fn label_use(table: &'static str, cells: &Cells<'_>) -> Result<LabelUse, Fault> {
    Ok(LabelUse { table, empty: cells.int("blank")?, other: cells.int("other")? })
}

pub(super) async fn paid_organic(inner: &Inner, of: Whose) -> Result<PaidOrganic, Fault> {
    let tables = business::TABLES.iter().filter(|table| table.position("paid_or_organic").is_some());
    let text = for_each(tables.clone(), |table| {
        format!(
            "select count(case when paid_or_organic = 'paid' then 1 end) as paid,
                    count(case when paid_or_organic = 'organic' then 1 end) as organic, count(*) as n
             from {} where connection_id = ? and client_id = ? and voided_at is null and is_test = 0",
            table.name
        )
    });
    let mut query = sqlx::query::<Db>(text);
    for _ in tables {
        query = query.bind(of.connection.0).bind(of.client.0);
    }
    let mut sum = PaidOrganic::default();
    for row in inner.rows(query).await? {
        let cells = Cells::of("business tables", &row);
        let (paid, organic) = (cells.int("paid")?, cells.int("organic")?);
        sum.paid += paid;
        sum.organic += organic;
        sum.unknown += cells.int("n")? - paid - organic;
    }
    Ok(sum)
}

pub(super) async fn rows_after(inner: &Inner, of: Whose, limit: Timestamp) -> Result<Vec<Tally>, Fault> {
    let mut found = Vec::new();
    for (table, columns) in HAPPENED {
        let later: Vec<String> = columns.iter().map(|column| format!("{column} > ?")).collect();
        let text = format!(
            "select count(*) from {table} where connection_id = ? and client_id = ? and voided_at is null and is_test = 0 and ({})",
            later.join(" or ")
        );
        let mut query = sqlx::query::<Db>(text_of(text)).bind(of.connection.0).bind(of.client.0);
        for _ in columns {
            query = query.bind(super::dialect::At(limit));
        }
        let rows = inner.number(query).await?;
        if rows > 0 {
            found.push(Tally { table, rows });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_business_table_has_its_own_time_and_at_most_four_amounts() {
        for table in business::TABLES {
            let (_, columns) = HAPPENED.iter().find(|(name, _)| *name == table.name).expect(table.name);
            assert!(columns.iter().all(|column| table.position(column).is_some()), "{}", table.name);
            assert!(table.amounts().count() <= 4, "{}", table.name);
            assert!(table.amounts().count() == 0 || table.position("currency").is_some(), "{}", table.name);
        }
    }
}
