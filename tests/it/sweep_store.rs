//! P15 over the whole store: ids of one client given to another client's context tell nothing and change nothing.
//!
//! The methods are read from the ports' own text, so that a new one fails here until somebody says what becomes of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::{
    support::databases::TestDatabase,
    sweep_ground::{Entry, Ground, Line, OF_BOLT},
};

fn table() -> Vec<Line> {
    let mut table = crate::sweep_rows::lines();
    table.extend(crate::sweep_proof::lines());
    table.extend(crate::sweep_webhooks::lines());
    table
}

/// `Port::method` of every port in a folder's files.
fn methods_in(folder: &Path) -> BTreeSet<String> {
    let mut methods = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            methods.extend(methods_of(&std::fs::read_to_string(&path).unwrap()));
        }
    }
    methods
}

fn methods_of(text: &str) -> Vec<String> {
    let name =
        |rest: &str| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default().to_owned();
    let (mut port, mut methods) = (None, Vec::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("pub trait ") {
            port = Some(name(rest)).filter(|port| port.ends_with("Store"));
        } else if line == "}" {
            port = None;
        } else if let Some(port) = &port
            && let Some(rest) = line.strip_prefix("    async fn ").or_else(|| line.strip_prefix("    fn "))
        {
            methods.push(format!("{port}::{}", name(rest)));
        }
    }
    methods
}

#[test]
fn p15_every_method_of_the_store_is_in_the_sweep() {
    let ports = methods_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store"));
    let swept: Vec<&str> = table().iter().map(|(name, _)| *name).collect();
    let known: BTreeSet<String> = swept.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(known.len(), swept.len(), "a method stands twice in the table");
    let absent: Vec<_> = ports.difference(&known).collect();
    let gone: Vec<_> = known.difference(&ports).collect();
    assert!(
        absent.is_empty() && gone.is_empty(),
        "say in sweep_rows.rs or sweep_proof.rs what another client's ids give: {absent:?}; no longer methods: {gone:?}"
    );
    for (name, entry) in table() {
        assert!(!matches!(entry, Entry::Global(why) if why.len() < 10), "{name} says why it names no client");
    }
}

#[test]
fn a_new_method_of_a_port_is_seen() {
    let text = "#[async_trait]\npub trait NewStore: Send {\n    /// Text.\n    async fn one(&self) -> u8;\n    fn two(\n        &self,\n    );\n}\n\
                pub trait Other {\n    fn three();\n}\npub struct X;\nimpl X {\n    fn four() {}\n}\n";
    assert_eq!(methods_of(text), ["NewStore::one", "NewStore::two"]);
}

/// All rows of all tables as text; with an id, those that are that client's, and those that name no client.
pub async fn rows(db: &TestDatabase, client: Option<i64>) -> BTreeMap<String, Vec<String>> {
    let columns = if db.is_mysql() {
        "select c.table_name, c.column_name from information_schema.columns c join information_schema.tables t \
         on t.table_schema = c.table_schema and t.table_name = c.table_name \
         where c.table_schema = database() and t.table_type = 'BASE TABLE'"
    } else {
        "select m.name, c.name from sqlite_master m join pragma_table_info(m.name) c where m.type = 'table'"
    };
    let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in db.sql.rows(columns).await {
        // The schema's own ledger and SQLite's counters are no rows of ours.
        if matches!(row[0].as_deref(), Some("_sqlx_migrations" | "sqlite_sequence")) {
            continue;
        }
        tables.entry(row[0].clone().unwrap()).or_default().insert(row[1].clone().unwrap());
    }
    let mut all = BTreeMap::new();
    for (table, columns) in tables {
        let whose = match (client, table.as_str()) {
            (None, _) => String::new(),
            (Some(client), "core_clients") => format!("where id = {client}"),
            (Some(client), "integration_sync_pages") => {
                format!("where run_id in (select id from integration_sync_runs where client_id = {client})")
            }
            (Some(client), _) if columns.contains("connection_id") => format!(
                "where client_id = {client} or connection_id in (select id from integration_connections where client_id = {client})"
            ),
            (Some(client), _) if columns.contains("client_id") => format!("where client_id = {client}"),
            (Some(_), _) => String::new(),
        };
        let rows = db.sql.rows(&format!("select * from {table} {whose} order by 1")).await;
        all.insert(table, rows.iter().map(|row| format!("{row:?}")).collect());
    }
    all
}

/// What stands otherwise than before, by table.
pub fn differences(before: &BTreeMap<String, Vec<String>>, after: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let tables: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let of = |all: &BTreeMap<String, Vec<String>>, table: &String| -> BTreeSet<String> {
        all.get(table).into_iter().flatten().cloned().collect()
    };
    tables
        .into_iter()
        .flat_map(|table| {
            let (before, after) = (of(before, table), of(after, table));
            let gone: Vec<_> = before.difference(&after).map(|row| format!("{table} - {row}")).collect();
            gone.into_iter().chain(after.difference(&before).map(|row| format!("{table} + {row}"))).collect::<Vec<_>>()
        })
        .collect()
}

on_both_engines!(p15_another_clients_ids_tell_nothing_and_change_nothing, |db| {
    let ground = Ground::new(db).await;
    let bolt = ground.bolt.client.0;
    // The ground is worth the sweep: bolt has something in every table that a client has rows in.
    let before = rows(db, Some(bolt)).await;
    for table in [
        "crm_leads",
        "data_import_batches",
        "data_quality_checks",
        "event_webhook_events",
        "integration_alerts",
        "integration_credentials",
        "integration_object_links",
        "integration_raw_events",
        "integration_sync_errors",
        "integration_sync_pages",
        "integration_sync_runs",
        "integration_webhook_endpoints",
        "launch_controls",
        "metric_baselines",
        "metric_snapshots",
        "report_metrics",
    ] {
        assert!(!before[table].is_empty(), "bolt has no row in {table}");
    }
    let mut holes = Vec::new();
    let mut stood = rows(db, None).await;
    for (name, entry) in table() {
        let (act, own_may_move) = match entry {
            Entry::Foreign(act) => (act, false),
            Entry::Beside(act) => (act, true),
            Entry::Global(_) => continue,
        };
        let answer = match futures_util::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(act(&ground))).await {
            Ok(answer) => answer.to_lowercase(),
            Err(panic) => {
                let said = panic.downcast_ref::<String>().cloned();
                let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                holes.push(format!("{name}: {}", said.unwrap_or_default()));
                String::new()
            }
        };
        if OF_BOLT.iter().any(|piece| answer.contains(piece)) {
            holes.push(format!("{name} tells of bolt: {answer}"));
        }
        let stands = rows(db, None).await;
        let moved =
            if own_may_move { differences(&before, &rows(db, Some(bolt)).await) } else { differences(&stood, &stands) };
        if !moved.is_empty() {
            holes.push(format!("{name} moved rows:\n  {}", moved.join("\n  ")));
        }
        stood = stands;
    }
    assert!(holes.is_empty(), "{}", holes.join("\n"));
});
