//! Taking a number: the value of a window, and whether it is complete.
//!
//! Owns when a number is complete: the window has ended, and every job that feeds it has covered it whole since, without a later
//! attempt that did not. A silent source is a gap, never a zero. Snapshots are added, never changed.

use super::{
    compute::{self, NoNumber, Number},
    feeds::Feed,
    window::Window,
};
use crate::{
    domain::{
        clock::Timestamp,
        ids::RunId,
        metric::{Aggregation, CurrencyRule, Definition, Source},
        status::{RunStatus, SnapshotOrigin},
    },
    store::{
        SharedStore, StoreError,
        catalogue::Connection,
        metrics::{Group, JobFacts, Measure, NewSnapshot, RowQuery, Snapshot},
    },
};

/// Most runs that a snapshot names besides those that completed it.
pub const MOST_RUNS: u32 = 100;

/// Computes a window's number and keeps it, unless the newest one says the same. A number of cards is computed once: it is the
/// publications of the window, and those go on.
///
/// # Errors
/// Those of the store.
pub async fn take(
    store: &SharedStore,
    definition: &Definition,
    feed: &Feed,
    connection: &Connection,
    window: &Window,
    now: Timestamp,
) -> Result<Snapshot, StoreError> {
    let rows = RowQuery {
        client_id: connection.client_id,
        connection_id: connection.id,
        source: definition.source,
        filter: definition.filter.clone(),
        time_column: definition.time_column,
        window: Some((window.starts_at, window.ends_at)),
    };
    // The jobs are looked at before the rows: what a run adds meanwhile was not there when it was called complete.
    let jobs = feeding(store.job_facts(connection.client_id, connection.id).await?, feed, definition.source);
    let number = measure(store, definition, &rows).await?;
    let mut run_ids = store.metric_runs(&rows, MOST_RUNS).await?;
    run_ids.extend(jobs.iter().filter_map(|job| job.succeeded));
    run_ids.sort_unstable_by(|a, b| b.cmp(a));
    run_ids.dedup();
    let coverage = gap(definition, &jobs, window, now);
    let told = told(number, coverage, &run_ids);
    let snapshot = NewSnapshot {
        client_id: connection.client_id,
        connection_id: connection.id,
        metric_key: definition.key.clone(),
        definition: definition.fingerprint(),
        source_label: connection.spec.source_label.clone(),
        period_kind: window.kind,
        period_start: window.starts_at,
        period_end: window.ends_at,
        unit: definition.unit.to_string(),
        currency: told.currency,
        value: told.value,
        rows_counted: told.rows,
        incomplete_reason: told.incomplete,
        run_ids,
        origin: SnapshotOrigin::Computed,
        evidence: None,
        computed_at: now,
    };
    if definition.source == Source::Notes
        && let Some(stands) = store.newest_snapshot(&snapshot).await?.filter(Snapshot::is_complete)
    {
        return Ok(stands);
    }
    store.take_snapshot(&snapshot).await
}

/// The jobs whose runs a source's completeness hangs on.
fn feeding(jobs: Vec<JobFacts>, feed: &Feed, source: Source) -> Vec<JobFacts> {
    match feed.streams_of(source) {
        None => jobs,
        Some(streams) => jobs.into_iter().filter(|job| streams.contains(&job.stream.as_str())).collect(),
    }
}

/// Why the jobs do not cover the window; `None` when they do.
fn gap(definition: &Definition, jobs: &[JobFacts], window: &Window, now: Timestamp) -> Option<String> {
    let mut reasons = Vec::new();
    if !window.has_ended(now) {
        reasons.push(format!("the period {} has not ended", window.text()));
    }
    if jobs.is_empty() {
        reasons.push(format!("no job of the connection feeds {}", definition.source.table().name));
    }
    for job in jobs {
        match job.last_complete_at {
            None => reasons.push(format!("{} was never read completely", job.stream)),
            Some(at) if at < window.ends_at => {
                reasons.push(format!("{} was last read completely at {at}, before the period ended", job.stream));
            }
            Some(_) => {}
        }
        if let Some((run, status)) = job.newest
            && status != RunStatus::Succeeded
        {
            reasons.push(format!("run {run} of {} ended {status}", job.stream));
        }
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

struct Told {
    value: Option<rust_decimal::Decimal>,
    currency: Option<String>,
    rows: i64,
    incomplete: Option<String>,
}

fn told(number: Result<Number, NoNumber>, gap: Option<String>, run_ids: &[RunId]) -> Told {
    match (number, gap) {
        (Ok(number), None) => {
            Told { value: Some(number.value), currency: number.currency, rows: number.rows, incomplete: None }
        }
        // Nothing came and nothing was read to its end: there is nothing to tell, which is no zero.
        (Ok(number), Some(gap)) => {
            let silent = number.rows == 0 || run_ids.is_empty();
            let value = if silent { None } else { Some(number.value) };
            Told { value, currency: number.currency, rows: number.rows, incomplete: Some(gap) }
        }
        (Err(none), gap) => {
            let reason = gap.map_or_else(|| none.clone(), |gap| format!("{none}; {gap}"));
            Told { value: None, currency: None, rows: 0, incomplete: Some(reason) }
        }
    }
}

/// The rows of a query as a definition reads them, grouped.
pub(super) struct Grouped {
    pub part: Vec<Group>,
    /// Of a share: what it is a share of.
    pub whole: Vec<Group>,
    /// Rows of any time, for their currency, where the window has none to tell.
    pub ever: Vec<Group>,
}

async fn measure(
    store: &SharedStore,
    definition: &Definition,
    rows: &RowQuery,
) -> Result<Result<Number, NoNumber>, StoreError> {
    Ok(number(definition, &grouped(store, definition, rows, false).await?))
}

/// Reads the rows. `ever`: those of any time too, also when the window has some.
///
/// # Errors
/// Those of the store.
pub(super) async fn grouped(
    store: &SharedStore,
    definition: &Definition,
    rows: &RowQuery,
    ever: bool,
) -> Result<Grouped, StoreError> {
    let (mut part, mut whole) = (rows.clone(), None);
    let what = match &definition.aggregation {
        Aggregation::Count => Measure::Rows,
        Aggregation::MinutesBetween { from, to } => Measure::Times { from, to },
        Aggregation::Share { of } => {
            part.filter = of.iter().chain(&rows.filter).cloned().collect();
            whole = Some(RowQuery { filter: of.clone(), ..rows.clone() });
            Measure::Rows
        }
        Aggregation::Sum(column) | Aggregation::Average(column) | Aggregation::Median(column) => {
            Measure::Number(column)
        }
    };
    let groups = store.metric_groups(&part, what).await?;
    let whole = match whole {
        Some(whole) => store.metric_groups(&whole, what).await?,
        None => Vec::new(),
    };
    // A window without rows still has the source's currency: asked of its rows of any time.
    let of_rows = definition.currency == Some(CurrencyRule::OfRows);
    let ever = if of_rows && (ever || groups.is_empty()) {
        store.metric_groups(&RowQuery { window: None, ..part }, what).await?
    } else {
        Vec::new()
    };
    Ok(Grouped { part: groups, whole, ever })
}

/// The number of grouped rows, or why there is none.
pub(super) fn number(definition: &Definition, rows: &Grouped) -> Result<Number, NoNumber> {
    let groups = &rows.part;
    match &definition.aggregation {
        Aggregation::Count => compute::rows(groups),
        Aggregation::MinutesBetween { .. } => compute::minutes(groups),
        Aggregation::Share { .. } => compute::share(groups, &rows.whole),
        Aggregation::Sum(_) | Aggregation::Average(_) | Aggregation::Median(_) => {
            let currency =
                definition.currency.as_ref().map(|rule| compute::currency(rule, groups, &rows.ever)).transpose()?;
            match definition.aggregation {
                Aggregation::Average(_) => compute::average(groups, currency),
                Aggregation::Median(_) => compute::median(groups, currency),
                _ => compute::sum(groups, currency),
            }
        }
    }
}
