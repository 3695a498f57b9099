//! Object links and business rows held against each other, for the quality checks.
//!
//! Begins at `ix_<table>_connection (connection_id, client_id)` and goes from a link to its row by primary key, from a row to its link
//! by `uq_integration_object_links_object`.

use std::collections::BTreeMap;

use super::{
    Db,
    cells::Cells,
    fault::Fault,
    quality_rows::{for_each, number, text_of, used},
    store::Inner,
};
use crate::{
    domain::business::{self, BusinessTable},
    store::quality::{Depth, LinkFit, Whose},
};

const LINKED_TABLES: &str = "select internal_table as name, count(*) as n from integration_object_links
    where connection_id = ? and client_id = ? group by internal_table";
const MARKED_TABLES: &str = "select internal_table as name, count(*) as n from integration_object_links
    where connection_id = ? and client_id = ? and is_test = 1 group by internal_table";
/// A number that differs between two sets of ids: their sum, and a sum in which no two ids weigh the same.
macro_rules! checksum {
    ($id:literal) => {
        concat!(
            "cast(coalesce(sum(",
            $id,
            "), 0) as signed) as plain, ",
            "cast(coalesce(sum((",
            $id,
            " % 1000003) * (",
            $id,
            " % 999983)), 0) as signed) as weighed"
        )
    };
}
const LINKED_SETS: &str = concat!(
    "select internal_table as name, count(*) as n, ",
    checksum!("internal_id"),
    " from integration_object_links where connection_id = ? and client_id = ? group by internal_table"
);

/// How many links lead into each table; tables that are none of ours come without one.
async fn linked(
    inner: &Inner,
    of: Whose,
    text: &'static str,
) -> Result<Vec<(Option<&'static BusinessTable>, i64)>, Fault> {
    let query = sqlx::query::<Db>(text).bind(of.connection.0).bind(of.client.0);
    let rows = inner.rows(query).await?;
    rows.iter()
        .map(|row| {
            let cells = Cells::of("integration_object_links", row);
            Ok((business::table(&cells.text("name")?), cells.int("n")?))
        })
        .collect()
}

/// Whether the links of the connection lead to its own rows, each to one: the same numbers and checksums for each table. The rows'
/// side is index-only.
async fn is_one_set(inner: &Inner, of: Whose) -> Result<bool, Fault> {
    let set = |cells: &Cells<'_>| -> Result<(String, [i64; 3]), Fault> {
        Ok((cells.text("name")?, [cells.int("n")?, cells.int("plain")?, cells.int("weighed")?]))
    };
    let mut linked = BTreeMap::new();
    for row in inner.rows(sqlx::query::<Db>(LINKED_SETS).bind(of.connection.0).bind(of.client.0)).await? {
        let (name, sums) = set(&Cells::of("integration_object_links", &row))?;
        linked.insert(name, sums);
    }
    let text = for_each(business::TABLES, |table| {
        let name = table.name;
        format!(
            "select '{name}' as name, count(*) as n, {} from {name} where connection_id = ? and client_id = ?",
            checksum!("id")
        )
    });
    let mut query = sqlx::query::<Db>(text);
    for _ in business::TABLES {
        query = query.bind(of.connection.0).bind(of.client.0);
    }
    let mut stored = BTreeMap::new();
    for row in inner.rows(query).await? {
        let (name, sums) = set(&Cells::of("business tables", &row))?;
        if sums[0] > 0 {
            stored.insert(name, sums);
        }
    }
    Ok(linked == stored)
}

pub(super) async fn stray_links(inner: &Inner, of: Whose, depth: Depth) -> Result<i64, Fault> {
    if depth == Depth::Quick && is_one_set(inner, of).await? {
        return Ok(0);
    }
    let mut stray = 0;
    for (table, _) in linked(inner, of, LINKED_TABLES).await? {
        let Some(BusinessTable { name, .. }) = table else { continue };
        let text = format!(
            "select count(*) from integration_object_links l join {name} r on r.id = l.internal_id
             where l.connection_id = ? and l.client_id = ? and l.internal_table = '{name}'
               and (r.connection_id <> l.connection_id or r.client_id <> l.client_id)"
        );
        stray += number(inner, of, text).await?;
    }
    Ok(stray)
}

pub(super) async fn link_fit(inner: &Inner, of: Whose, depth: Depth) -> Result<LinkFit, Fault> {
    let mut fit = LinkFit::default();
    if depth == Depth::Quick && is_one_set(inner, of).await? {
        return Ok(fit);
    }
    for table in used(inner, of).await? {
        let name = table.name;
        let text = format!(
            "select count(case when l.id is null then 1 end) as unlinked,
                    count(case when l.internal_table <> '{name}' or l.internal_id <> r.id then 1 end) as doubled
             from {name} r
             left join integration_object_links l on l.connection_id = r.connection_id and l.object_type = r.object_type
              and l.external_id = r.external_id
             where r.connection_id = ? and r.client_id = ? and r.voided_at is null"
        );
        let query = sqlx::query::<Db>(text_of(text)).bind(of.connection.0).bind(of.client.0);
        for row in inner.rows(query).await? {
            let cells = Cells::of(name, &row);
            fit.rows_without_link += cells.int("unlinked")?;
            fit.doubled += cells.int("doubled")?;
        }
    }
    for (table, links) in linked(inner, of, LINKED_TABLES).await? {
        let Some(BusinessTable { name, .. }) = table else {
            fit.links_without_row += links;
            continue;
        };
        let text = format!(
            "select count(*) from integration_object_links l left join {name} r on r.id = l.internal_id
             where l.connection_id = ? and l.client_id = ? and l.internal_table = '{name}' and r.id is null"
        );
        fit.links_without_row += number(inner, of, text).await?;
    }
    Ok(fit)
}

/// Only marked records are followed to the other side: most connections have none, and then nothing is joined.
pub(super) async fn half_marked_tests(inner: &Inner, of: Whose) -> Result<i64, Fault> {
    let mut half = 0;
    for BusinessTable { name, .. } in used(inner, of).await? {
        let marked = format!("select count(*) from {name} where connection_id = ? and client_id = ? and is_test = 1");
        if number(inner, of, marked).await? > 0 {
            let rows = format!(
                "select count(*) from {name} r
                 join integration_object_links l on l.connection_id = r.connection_id and l.object_type = r.object_type
                  and l.external_id = r.external_id and l.internal_table = '{name}' and l.internal_id = r.id
                 where r.connection_id = ? and r.client_id = ? and r.is_test = 1 and l.is_test = 0"
            );
            half += number(inner, of, rows).await?;
        }
    }
    for (table, _) in linked(inner, of, MARKED_TABLES).await? {
        let Some(BusinessTable { name, .. }) = table else { continue };
        let links = format!(
            "select count(*) from integration_object_links l join {name} r on r.id = l.internal_id
             where l.connection_id = ? and l.client_id = ? and l.internal_table = '{name}' and l.is_test = 1 and r.is_test = 0"
        );
        half += number(inner, of, links).await?;
    }
    Ok(half)
}
