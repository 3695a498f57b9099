//! Baselines, books and client-visible texts as the quality checks read them.
//!
//! Everything begins at `ix_<table>_connection (connection_id, client_id)`.

use super::{Db, cells::Cells, fault::Fault, store::Inner};
use crate::store::quality::{BaselinePair, Books, ClientText, SnapshotShape, Whose};

/// Metrics whose texts are read at most.
const MOST_METRICS: i64 = 1000;
/// What a client reads of a metric.
const TEXTS: [&str; 6] = ["source_label", "title", "meaning", "next_action", "client_note", "current_period_text"];

/// The newest version of each baseline (uq_metric_baselines_version) against the newest computed snapshot of its metric.
const PAIRS: &str = "select b.metric_key,
        s.definition as b_definition, s.source_label as b_label, s.period_kind as b_kind, s.unit as b_unit,
        s.currency as b_currency, s.period_start as b_start, s.period_end as b_end,
        n.definition as n_definition, n.source_label as n_label, n.period_kind as n_kind, n.unit as n_unit,
        n.currency as n_currency, n.period_start as n_start, n.period_end as n_end
    from metric_baselines b
    join metric_snapshots s on s.id = b.snapshot_id and s.client_id = b.client_id
    join metric_snapshots n on n.id = (
        select max(x.id) from metric_snapshots x
        where x.client_id = b.client_id and x.metric_key = b.metric_key and x.connection_id = b.connection_id)
    where b.connection_id = ? and b.client_id = ?
      and b.version = (select max(v.version) from metric_baselines v
          where v.client_id = b.client_id and v.metric_key = b.metric_key and v.source_label = b.source_label)
    order by b.metric_key, b.id limit 1000";
const INVOICES: &str = "select count(*) from accounting_invoices
    where connection_id = ? and client_id = ? and voided_at is null and is_test = 0";
const PAYMENTS: &str = "select count(*) as n,
        count(case when coalesce(invoice_external_id, '') = '' then 1 end) as unnamed
    from accounting_payments where connection_id = ? and client_id = ? and voided_at is null and is_test = 0";
/// The inner SELECT is materialised once and looked up by the key that the engine gives it: a row's own key needs its object type too.
const UNKNOWN_INVOICES: &str = "select count(*) from accounting_payments p
    left join (select distinct external_id from accounting_invoices
        where connection_id = ? and client_id = ? and voided_at is null) i on i.external_id = p.invoice_external_id
    where p.connection_id = ? and p.client_id = ? and p.voided_at is null and p.is_test = 0
      and p.invoice_external_id <> '' and i.external_id is null";
const UNKNOWN_CUSTOMERS: &str = "select count(*) from accounting_invoices p
    left join (select distinct external_id from accounting_customers
        where connection_id = ? and client_id = ? and voided_at is null) i on i.external_id = p.customer_external_id
    where p.connection_id = ? and p.client_id = ? and p.voided_at is null and p.is_test = 0
      and p.customer_external_id <> '' and i.external_id is null";
const DOUBLED_NUMBERS: &str = "select count(*) from (
        select invoice_number from accounting_invoices
        where connection_id = ? and client_id = ? and voided_at is null and is_test = 0 and invoice_number <> ''
        group by invoice_number having count(*) > 1) doubled";
const REPORT_TEXTS: &str =
    "select metric_key, source_label, title, meaning, next_action, client_note, current_period_text
    from report_metrics where connection_id = ? and client_id = ? order by id limit ?";
const LABEL: &str = "select source_label from integration_connections where id = ? and client_id = ?";

pub(super) async fn baseline_pairs(inner: &Inner, of: Whose) -> Result<Vec<BaselinePair>, Fault> {
    let rows = inner.rows(sqlx::query::<Db>(PAIRS).bind(of.connection.0).bind(of.client.0)).await?;
    rows.iter()
        .map(|row| {
            let cells = Cells::of("metric_baselines", row);
            Ok(BaselinePair {
                metric_key: cells.text("metric_key")?,
                baseline: SnapshotShape {
                    definition: cells.text("b_definition")?,
                    source_label: cells.text("b_label")?,
                    period_kind: cells.text("b_kind")?,
                    unit: cells.text("b_unit")?,
                    currency: cells.opt_text("b_currency")?,
                    period_start: cells.at("b_start")?,
                    period_end: cells.at("b_end")?,
                },
                newest: SnapshotShape {
                    definition: cells.text("n_definition")?,
                    source_label: cells.text("n_label")?,
                    period_kind: cells.text("n_kind")?,
                    unit: cells.text("n_unit")?,
                    currency: cells.opt_text("n_currency")?,
                    period_start: cells.at("n_start")?,
                    period_end: cells.at("n_end")?,
                },
            })
        })
        .collect()
}

pub(super) async fn books(inner: &Inner, of: Whose) -> Result<Option<Books>, Fault> {
    let once = |text: &'static str| sqlx::query::<Db>(text).bind(of.connection.0).bind(of.client.0);
    let twice = |text: &'static str| once(text).bind(of.connection.0).bind(of.client.0);
    let invoices = inner.number(once(INVOICES)).await?;
    let (payments, unnamed) = match inner.row(once(PAYMENTS)).await? {
        None => (0, 0),
        Some(row) => {
            let cells = Cells::of("accounting_payments", &row);
            (cells.int("n")?, cells.int("unnamed")?)
        }
    };
    if invoices == 0 && payments == 0 {
        return Ok(None);
    }
    Ok(Some(Books {
        invoices,
        payments,
        payments_of_unknown_invoices: inner.number(twice(UNKNOWN_INVOICES)).await?,
        payments_without_invoice: unnamed,
        invoices_of_unknown_customers: inner.number(twice(UNKNOWN_CUSTOMERS)).await?,
        doubled_numbers: inner.number(once(DOUBLED_NUMBERS)).await?,
    }))
}

pub(super) async fn client_texts(inner: &Inner, of: Whose) -> Result<Vec<ClientText>, Fault> {
    let mut texts = Vec::new();
    let label = sqlx::query::<Db>(LABEL).bind(of.connection.0).bind(of.client.0);
    if let Some(row) = inner.row(label).await? {
        let text = Cells::of("integration_connections", &row).text("source_label")?;
        texts.push(ClientText { metric_key: "the connection".to_owned(), column: "source_label", text });
    }
    let query = sqlx::query::<Db>(REPORT_TEXTS).bind(of.connection.0).bind(of.client.0).bind(MOST_METRICS);
    for row in inner.rows(query).await? {
        let cells = Cells::of("report_metrics", &row);
        let metric_key = cells.text("metric_key")?;
        for column in TEXTS {
            if let Some(text) = cells.opt_text(column)? {
                texts.push(ClientText { metric_key: metric_key.clone(), column, text });
            }
        }
    }
    Ok(texts)
}
