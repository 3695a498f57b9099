//! The rows that metrics are made of, grouped; and what is known of the jobs that feed them.
//!
//! Its texts are put together while running, from names that are constants of `domain::business` and `domain::metric` alone;
//! every value is bound.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::{Db, cells::Cells, dialect::At, fault::Fault, store::Statement};
use crate::{
    domain::{
        business::ColumnType,
        ids::RunId,
        metric::{Condition, Literal, Source, Test},
    },
    store::metrics::{Group, JobFacts, Measure, RowQuery},
};

/// Runs that say nothing about the provider's state are left out: a test batch is cut, a replay asks nobody.
const JOBS: &str = "select j.stream, j.last_complete_at, n.id as newest_id, n.status as newest_status,
        (select max(s.id) from integration_sync_runs s
         where s.job_id = j.id and s.status = 'succeeded' and s.origin not in ('test_batch', 'replay')) as succeeded_id
    from integration_sync_jobs j
    left join integration_sync_runs n on n.id = (select max(r.id) from integration_sync_runs r
        where r.job_id = j.id and r.status <> 'running' and r.origin not in ('test_batch', 'replay'))
    where j.connection_id = ? and j.client_id = ?
    order by j.stream";

pub(super) fn jobs<'q>(client: i64, connection: i64) -> Statement<'q> {
    sqlx::query::<Db>(JOBS).bind(connection).bind(client)
}

pub(super) fn job(cells: &Cells<'_>) -> Result<JobFacts, Fault> {
    let newest = cells.opt_int("newest_id")?.map(RunId);
    Ok(JobFacts {
        stream: cells.text("stream")?,
        last_complete_at: cells.opt_at("last_complete_at")?,
        newest: newest.zip(cells.opt_word("newest_status")?),
        succeeded: cells.opt_int("succeeded_id")?.map(RunId),
    })
}

/// `select … group by …` for a measure. A row without the number, or without one of the times, is no row of it.
pub(super) fn groups_text(query: &RowQuery, measure: Measure) -> SqlStr {
    let mut rows = String::new();
    push_rows(&mut rows, query);
    let text = match measure {
        Measure::Rows => format!("select count(*) as row_count {rows}"),
        Measure::Number(column) => {
            let name = column.name;
            let currency = if column.is_amount() { "currency" } else { "null" };
            let by = if column.is_amount() { ", currency" } else { "" };
            format!(
                "select {name} as number, {currency} as currency, count(*) as row_count {rows} and {name} is not null group by {name}{by}"
            )
        }
        Measure::Times { from, to } => format!(
            "select {from} as time_from, {to} as time_to, count(*) as row_count {rows} and {from} is not null and {to} is not null \
             group by {from}, {to}"
        ),
    };
    AssertSqlSafe(text).into_sql_str()
}

/// The runs that last wrote the rows, newest first; the limit is bound last.
pub(super) fn runs_text(query: &RowQuery) -> Option<SqlStr> {
    let run = match query.source {
        Source::Records(_) => "last_run_id",
        Source::Runs => "id",
        Source::Notes => return None,
    };
    let mut text = format!("select distinct {run} as run_id ");
    push_rows(&mut text, query);
    text.push_str(" order by run_id desc limit ?");
    Some(AssertSqlSafe(text).into_sql_str())
}

fn push_rows(text: &mut String, query: &RowQuery) {
    text.push_str("from ");
    text.push_str(query.source.table().name);
    text.push_str(" where connection_id = ? and client_id = ? and ");
    text.push_str(match query.source {
        Source::Records(_) => "voided_at is null and is_test = 0",
        Source::Runs => "status <> 'running' and origin <> 'test_batch'",
        Source::Notes => "client_note is not null and published_at is not null",
    });
    if query.window.is_some() {
        let time = query.time_column;
        text.push_str(&format!(" and {time} >= ? and {time} < ?"));
    }
    for Condition { column, test } in &query.filter {
        text.push_str(" and ");
        match test {
            Test::Present => text.push_str(&format!("{column} is not null")),
            Test::Absent => text.push_str(&format!("{column} is null")),
            Test::In(values) => text.push_str(&format!("{column} in ({})", marks(values.len()))),
            Test::NotIn(values) => {
                text.push_str(&format!("({column} is null or {column} not in ({}))", marks(values.len())));
            }
        }
    }
}

fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}

/// Binds what [`push_rows`] left open.
pub(super) fn bind_rows<'q>(mut statement: Statement<'q>, query: &RowQuery) -> Statement<'q> {
    statement = statement.bind(query.connection_id.0).bind(query.client_id.0);
    if let Some((from, to)) = query.window {
        statement = statement.bind(At(from)).bind(At(to));
    }
    for condition in &query.filter {
        let (Test::In(values) | Test::NotIn(values)) = &condition.test else { continue };
        for value in values {
            statement = match value {
                Literal::Text(text) => statement.bind(text.clone()),
                Literal::Integer(number) => statement.bind(*number),
                Literal::Bool(truth) => statement.bind(i64::from(*truth)),
            };
        }
    }
    statement
}

pub(super) fn group(cells: &Cells<'_>, measure: Measure) -> Result<Group, Fault> {
    let mut group = Group { rows: cells.int("row_count")?, ..Group::default() };
    match measure {
        Measure::Rows => {}
        Measure::Number(column) if column.kind == ColumnType::Integer => {
            group.number = cells.opt_int("number")?.map(Into::into);
        }
        Measure::Number(column) => {
            group.number = cells.opt_decimal("number")?;
            if column.is_amount() {
                group.currency = cells.opt_text("currency")?;
            }
        }
        Measure::Times { .. } => group.times = cells.opt_at("time_from")?.zip(cells.opt_at("time_to")?),
    }
    Ok(group)
}
