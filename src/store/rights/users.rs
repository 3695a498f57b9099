//! The four database users and what each may do, and the SQL that makes them.
//!
//! Owns the one list of tables with their rights: what the runtime user is given is what the statements under `sql/` need,
//! and a test reads those statements. Refuses to make a password: the text has places to fill in, and a server refuses it
//! while they are not.

use crate::store::migrations;

/// What the runtime user does with a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    /// Rows are added and never changed.
    Append,
    Write,
    /// Rows are added and taken away, and never changed.
    Shed,
    /// Rows are also taken away.
    All,
}

impl Access {
    /// As the server spells them.
    pub const fn words(self) -> &'static [&'static str] {
        match self {
            Self::Read => &["SELECT"],
            Self::Append => &["SELECT", "INSERT"],
            Self::Write => &["SELECT", "INSERT", "UPDATE"],
            Self::Shed => &["SELECT", "INSERT", "DELETE"],
            Self::All => &["SELECT", "INSERT", "UPDATE", "DELETE"],
        }
    }
}

/// A table or view, with who may do what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    pub name: &'static str,
    pub runtime: Access,
    /// The report user may read it: nothing with a secret, a payload or a piece of one.
    pub report: bool,
}

const fn table(name: &'static str, runtime: Access, report: bool) -> Table {
    Table { name, runtime, report }
}

/// sqlx's list of applied migrations.
const MIGRATIONS: &str = "_sqlx_migrations";
/// All that the portal user may read.
const PORTAL: &str = "portal_cards";

/// Every table that there is or will be; the printed SQL names those that this version's migrations make.
pub const TABLES: &[Table] = &[
    table(MIGRATIONS, Access::Read, false),
    table("core_clients", Access::Write, true),
    table("integration_providers", Access::Write, true),
    table("integration_connections", Access::Write, true),
    table("integration_credentials", Access::Write, false),
    table("integration_sync_jobs", Access::Write, true),
    table("integration_sync_runs", Access::All, true),
    table("integration_sync_pages", Access::Shed, true),
    table("integration_raw_events", Access::All, false),
    table("integration_object_links", Access::Write, true),
    table("integration_sync_errors", Access::All, true),
    table("integration_field_mappings", Access::Write, true),
    table("integration_rate_limits", Access::Write, true),
    table("event_webhook_events", Access::All, false),
    table("integration_webhook_endpoints", Access::Write, false),
    table("data_import_batches", Access::Write, true),
    table("event_admin_actions", Access::Append, true),
    table("crm_leads", Access::Write, true),
    table("crm_lead_events", Access::Write, true),
    table("phone_calls", Access::Write, true),
    table("message_deliveries", Access::Write, true),
    table("field_jobs", Access::Write, true),
    table("accounting_customers", Access::Write, true),
    table("accounting_invoices", Access::Write, true),
    table("accounting_payments", Access::Write, true),
    table("campaign_spend", Access::Write, true),
    table("search_traffic_daily", Access::Write, true),
    table("reviews", Access::Write, true),
    table("data_quality_checks", Access::Shed, true),
    table("metric_snapshots", Access::Append, true),
    table("metric_baselines", Access::Append, true),
    table("report_metrics", Access::Write, true),
    table(PORTAL, Access::Read, true),
    table("launch_controls", Access::Write, true),
    table("integration_alerts", Access::Write, true),
];

/// What `migrate` needs: the schema, and the rows of its own list.
const MIGRATE: &str = "select, insert, update, delete, create, alter, drop, index, references, create view, show view";

/// The tables that this version's migrations make, with sqlx's own.
pub fn known_tables() -> Vec<&'static str> {
    let made = |name: &str| name == MIGRATIONS || migrations::made().any(|step| step == name);
    TABLES.iter().map(|table| table.name).filter(|name| made(name)).collect()
}

/// The names of the four users, in the order migrate, runtime, report, portal.
pub fn names(prefix: &str) -> [String; 4] {
    ["migrate", "runtime", "report", "portal"].map(|role| format!("{prefix}_{role}"))
}

/// What to run as administrator before the schema is made: the users, and what the migrate user needs.
pub fn users_sql(schema: &str, prefix: &str) -> String {
    let mut text = String::new();
    for name in names(prefix) {
        text.push_str(&format!("create user if not exists '{name}'@<host> identified by <password-of-{name}>;\n"));
    }
    let [migrate, ..] = names(prefix);
    // In a grant on a whole schema its name is a pattern.
    let pattern = schema.replace('_', "\\_");
    text.push_str(&format!("grant {MIGRATE} on `{pattern}`.* to '{migrate}'@<host>;\n"));
    text
}

/// What to run as administrator after each migration: the rights on tables.
pub fn tables_sql(schema: &str, prefix: &str) -> String {
    let known = known_tables();
    let [_, runtime, report, portal] = names(prefix);
    let mut text = String::new();
    let mut grant = |words: &[&str], table: &str, user: &str| {
        let words = words.join(", ").to_lowercase();
        text.push_str(&format!("grant {words} on `{schema}`.`{table}` to '{user}'@<host>;\n"));
    };
    let tables: Vec<&Table> = TABLES.iter().filter(|table| known.contains(&table.name)).collect();
    for table in &tables {
        grant(table.runtime.words(), table.name, &runtime);
    }
    for table in tables.iter().filter(|table| table.report) {
        grant(&["SELECT"], table.name, &report);
    }
    grant(&["SELECT"], PORTAL, &portal);
    text
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, path::Path};

    use super::*;

    /// The texts of all statements, tests left out.
    fn statements() -> String {
        let mut all = String::new();
        for folder in ["sql", "mysql"] {
            for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store").join(folder)).unwrap() {
                let text = fs::read_to_string(entry.unwrap().path()).unwrap();
                all.push_str(text.split("#[cfg(test)]").next().unwrap());
            }
        }
        all
    }

    #[test]
    fn p19_every_table_has_its_rights_settled() {
        for step in migrations::made() {
            assert_eq!(TABLES.iter().filter(|table| table.name == step).count(), 1, "{step} stands once in TABLES");
        }
    }

    #[test]
    fn p19_the_runtime_user_may_do_what_the_statements_do_and_takes_away_only_what_has_a_retention() {
        let text = statements();
        let pattern = regex::Regex::new(
            r#"(?i)\b(insert into|update|delete from)\s+([a-z_]+)\b(?:\s+set\b)?|table: "([a-z_]+)""#,
        )
        .unwrap();
        let mut needed: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for found in pattern.captures_iter(&text) {
            let (table, words): (_, &[&str]) =
                match (found.get(1).map(|m| m.as_str().to_lowercase()).as_deref(), found.get(3)) {
                    (Some("insert into"), _) => (&found[2], &["INSERT"]),
                    (Some("update"), _) if found[0].to_lowercase().ends_with("set") => (&found[2], &["UPDATE"]),
                    (Some("delete from"), _) => (&found[2], &["DELETE"]),
                    (None, Some(bulk)) => (bulk.as_str(), &["INSERT"]),
                    _ => continue,
                };
            // Migrations are the migrate user's.
            if table != MIGRATIONS {
                needed.entry(table.to_owned()).or_default().extend(words);
            }
        }
        assert!(needed.len() >= 12, "{needed:?}");
        for (name, words) in needed {
            let Some(table) = TABLES.iter().find(|table| table.name == name) else { continue };
            for word in words {
                assert!(
                    table.runtime.words().contains(&word),
                    "a statement does {word} on {name}: settle it in TABLES"
                );
            }
        }
        let deletes = |table: &&Table| table.runtime.words().contains(&"DELETE");
        let shed: Vec<&str> = TABLES.iter().filter(deletes).map(|table| table.name).collect();
        let expected = [
            "integration_sync_runs",
            "integration_sync_pages",
            "integration_raw_events",
            "integration_sync_errors",
            "event_webhook_events",
            "data_quality_checks",
        ];
        assert_eq!(shed, expected, "only what has a retention is taken away");
    }

    #[test]
    fn p18_the_report_user_reads_no_secret_and_no_payload_and_the_portal_user_one_view() {
        let text = tables_sql("tide_gate", "tg");
        for hidden in ["integration_raw_events", "integration_credentials", "event_webhook_events", MIGRATIONS] {
            assert!(!text.contains(&format!("`{hidden}` to 'tg_report'")), "{hidden}");
        }
        let portal: Vec<_> = text.lines().filter(|line| line.contains("tg_portal")).collect();
        assert_eq!(portal, ["grant select on `tide_gate`.`portal_cards` to 'tg_portal'@<host>;"]);
        for word in ["delete", "create", "all", "*.*", "grant option"] {
            assert!(!text.lines().any(|line| line.starts_with(&format!("grant {word}"))), "{word}");
        }
        let users = users_sql("tide_gate", "tg");
        assert!(users.contains(r"on `tide\_gate`.* to 'tg_migrate'@<host>;"), "{users}");
        assert_eq!(users.matches("identified by <password-of-tg_").count(), 4);
    }
}
