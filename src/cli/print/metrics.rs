//! Metrics, numbers and cards as people and machines read them.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    View,
    table::{Grid, number, text, word},
    words::{NONE, age, maybe_time, or_none, time},
};
use crate::{
    domain::metric::{Aggregation, Definition},
    metrics::{Definitions, Feeds, Outcome, Published, Window},
    store::{
        catalogue::Connection,
        metrics::{Baseline, Snapshot},
        reports::{PortalCard, Report, Told},
    },
};

/// Digits after the point that money has at least.
const CENTS: u32 = 2;

fn plain(value: Decimal) -> String {
    value.normalize().to_string()
}

/// A number as people write it: whole as whole, money with cents.
fn amount(value: Option<Decimal>, unit: &str, currency: Option<&str>) -> String {
    let Some(value) = value else { return NONE.to_owned() };
    let mut value = value.normalize();
    if currency.is_some() && value.scale() < CENTS {
        value.rescale(CENTS);
    }
    format!("{value} {}", currency.unwrap_or(unit))
}

/// The value of a number with its unit.
pub fn value(snapshot: &Snapshot) -> String {
    amount(snapshot.number.value, &snapshot.number.unit, snapshot.number.currency.as_deref())
}

fn made_of(definition: &Definition) -> String {
    let table = definition.source.table().name;
    match &definition.aggregation {
        Aggregation::Count => format!("count of {table}"),
        Aggregation::Sum(column) => format!("sum of {table}.{}", column.name),
        Aggregation::Average(column) => format!("average of {table}.{}", column.name),
        Aggregation::Median(column) => format!("median of {table}.{}", column.name),
        Aggregation::MinutesBetween { from, to } => format!("minutes from {from} to {to} of {table}"),
        Aggregation::Share { .. } => format!("share of {table}"),
    }
}

/// All definitions with who feeds them.
pub fn list(view: &View, definitions: &Definitions, feeds: &Feeds) -> String {
    let columns = [word("KEY"), text("MEANING"), word("UNIT"), word("PERIOD"), text("MADE OF"), text("FED BY")];
    let mut grid = Grid::new(view, &columns);
    for definition in definitions.iter() {
        let fed = feeds.providers_of(&definition.key).join(", ");
        grid.row([
            definition.key.clone(),
            definition.meaning.clone(),
            definition.unit.to_string(),
            definition.period.to_string(),
            made_of(definition),
            or_none(Some(&fed)),
        ]);
    }
    grid.or("no metrics")
}

pub fn list_document(definitions: &Definitions, feeds: &Feeds) -> Value {
    let one = |definition: &Definition| {
        json!({
            "key": definition.key, "title": definition.title, "meaning": definition.meaning,
            "unit": definition.unit, "direction": definition.direction, "source": definition.source.table().name,
            "made_of": made_of(definition), "time_column": definition.time_column, "period": definition.period,
            "zone": definition.zone.name(), "approval": definition.approval,
            "steady_within_percent": plain(definition.steady_within_percent), "definition": definition.fingerprint(),
            "fed_by": feeds.providers_of(&definition.key),
        })
    };
    definitions.iter().map(|definition| one(definition)).collect()
}

pub fn snapshot_line(connection: &Connection, window: &Window, snapshot: &Snapshot) -> String {
    let (number, key) = (&snapshot.number, &connection.spec.connection_key);
    let told = value(snapshot);
    let state = match &number.incomplete_reason {
        None => "complete".to_owned(),
        Some(reason) => format!("not complete: {reason}"),
    };
    format!("{key} {} {}: {told}, {state}", number.metric_key, window.text())
}

pub fn snapshot_document(connection: &Connection, window: &Window, snapshot: &Snapshot) -> Value {
    let number = &snapshot.number;
    json!({
        "id": snapshot.id, "client": connection.spec.client_key, "connection": connection.spec.connection_key,
        "metric": number.metric_key, "source": number.source_label, "period": window.text(),
        "period_start": number.period_start, "period_end": number.period_end, "unit": number.unit,
        "currency": number.currency, "value": number.value.map(plain), "rows_counted": number.rows_counted,
        "complete": snapshot.is_complete(), "incomplete_reason": number.incomplete_reason, "run_ids": number.run_ids,
        "computed_at": number.computed_at,
    })
}

pub fn outcome_line(client: &str, published: &Published) -> String {
    let report = &published.report;
    let head = format!("{client} {} '{}'", report.metric_key, report.source_label);
    match &published.outcome {
        Outcome::Published | Outcome::Unchanged => {
            let value =
                amount(report.current.as_ref().map(|told| told.value), &report.unit, report.currency.as_deref());
            let period = or_none(report.current_period_text.as_deref());
            let word = if published.outcome == Outcome::Published { "published" } else { "stands" };
            let status = report.published_status.unwrap_or(report.status);
            format!("{head}: {word}: {value} of {period}, {status}")
        }
        Outcome::Held(reasons) => format!("{head}: held:\n  - {}", reasons.join("\n  - ")),
    }
}

pub fn published_document(client: &str, published: &Published) -> Value {
    let (outcome, reasons) = match &published.outcome {
        Outcome::Published => ("published", &[][..]),
        Outcome::Unchanged => ("unchanged", &[][..]),
        Outcome::Held(reasons) => ("held", reasons.as_slice()),
    };
    json!({
        "client": client, "connection": published.connection_key, "outcome": outcome, "reasons": reasons,
        "report": report_document(&published.report),
    })
}

fn told_document(told: Option<&Told>) -> Value {
    told.map_or(Value::Null, |told| {
        json!({
            "period_start": told.period_start, "period_end": told.period_end, "value": plain(told.value),
            "snapshot_id": told.snapshot_id,
        })
    })
}

fn report_document(report: &Report) -> Value {
    json!({
        "metric": report.metric_key, "source": report.source_label, "title": report.title, "unit": report.unit,
        "currency": report.currency, "direction": report.direction, "baseline": told_document(report.baseline.as_ref()),
        "current": told_document(report.current.as_ref()), "period": report.current_period_text, "status": report.status,
        "held_reason": report.held_reason, "published_status": report.published_status, "confidence": report.confidence,
        "next_action": report.next_action, "note": report.client_note, "approval_state": report.approval_state,
        "approved_by": report.approved_by, "approved_at": report.approved_at,
        "pending_snapshot_id": report.pending_snapshot_id, "attempted_at": report.attempted_at,
        "published_at": report.published_at,
    })
}

/// What a client sees and why it is not newer, then the baselines.
pub fn show(view: &View, reports: &[Report], baselines: &[Baseline]) -> String {
    let columns = [
        word("METRIC"),
        word("SOURCE"),
        text("PERIOD"),
        number("CURRENT"),
        number("BASELINE"),
        word("CLIENT SEES"),
        text("PUBLISHED"),
        text("HELD BECAUSE"),
    ];
    let mut grid = Grid::new(view, &columns);
    for report in reports {
        let told = |told: &Option<Told>| {
            amount(told.as_ref().map(|told| told.value), &report.unit, report.currency.as_deref())
        };
        grid.row([
            report.metric_key.clone(),
            report.source_label.clone(),
            or_none(report.current_period_text.as_deref()),
            told(&report.current),
            told(&report.baseline),
            report.published_status.map_or_else(|| NONE.to_owned(), |status| status.to_string()),
            maybe_time(report.published_at, view.now),
            or_none(report.held_reason.as_deref()),
        ]);
    }
    let mut page = grid.or("nothing was ever put up for this client: tidegate metrics publish");
    let columns = [
        word("METRIC"),
        word("SOURCE"),
        number("VERSION"),
        number("BASELINE"),
        word("ORIGIN"),
        text("SET"),
        text("REASON"),
    ];
    let mut grid = Grid::new(view, &columns);
    for baseline in baselines {
        let number = &baseline.snapshot.number;
        grid.row([
            number.metric_key.clone(),
            number.source_label.clone(),
            baseline.version.to_string(),
            value(&baseline.snapshot),
            number.origin.to_string(),
            format!("by {}, {}", baseline.set_by, age(baseline.created_at, view.now)),
            baseline.reason.clone(),
        ]);
    }
    page.push('\n');
    page.push_str(&grid.or("no baselines: tidegate metrics baseline"));
    page
}

pub fn show_document(client: &str, reports: &[Report], baselines: &[Baseline]) -> Value {
    let baselines: Vec<Value> = baselines
        .iter()
        .map(|baseline| {
            let number = &baseline.snapshot.number;
            json!({
                "metric": number.metric_key, "source": number.source_label, "version": baseline.version,
                "value": number.value.map(plain), "unit": number.unit, "currency": number.currency,
                "period_start": number.period_start, "period_end": number.period_end, "origin": number.origin,
                "evidence": number.evidence, "snapshot_id": baseline.snapshot.id, "set_by": baseline.set_by,
                "reason": baseline.reason, "created_at": baseline.created_at,
            })
        })
        .collect();
    let reports: Vec<Value> = reports.iter().map(report_document).collect();
    json!({"client": client, "metrics": reports, "baselines": baselines})
}

/// The cards of a client.
pub fn cards(view: &View, cards: &[PortalCard]) -> String {
    let columns = [
        text("TITLE"),
        word("SOURCE"),
        text("PERIOD"),
        number("CURRENT"),
        number("BASELINE"),
        word("STATUS"),
        text("NEXT ACTION"),
        text("NOTE"),
        text("UPDATED"),
    ];
    let mut grid = Grid::new(view, &columns);
    for card in cards {
        grid.row([
            card.title.clone(),
            card.source.clone(),
            or_none(card.period.as_deref()),
            amount(card.current, &card.unit, None),
            amount(card.baseline, &card.unit, None),
            or_none(card.status.as_deref()),
            or_none(card.next_action.as_deref()),
            or_none(card.note.as_deref()),
            time(card.updated_at),
        ]);
    }
    grid.or("no cards: nothing was published for this client yet (tidegate metrics show says why)")
}

pub fn cards_document(cards: &[PortalCard]) -> Value {
    cards
        .iter()
        .map(|card| {
            json!({
                "client_key": card.client_key, "title": card.title, "source": card.source, "period": card.period,
                "unit": card.unit, "baseline": card.baseline.map(plain), "current": card.current.map(plain),
                "status": card.status, "next_action": card.next_action, "note": card.note, "updated_at": card.updated_at,
            })
        })
        .collect()
}
