//! The numbered steps of the schema, in both dialects.
//!
//! Owns the one list of steps; naming a step here without its two files does not compile, so the engines cannot drift
//! apart. Each file makes or changes one table and can be run again, because MySQL cannot roll back a table: a migration that was
//! killed half-way goes on where it was.

/// One step: its number, its name, and its text for each engine.
pub(super) struct Step {
    pub version: i64,
    pub name: &'static str,
    pub mysql: &'static str,
    pub sqlite: &'static str,
}

macro_rules! steps {
    ($($number:literal $name:literal),* $(,)?) => {
        &[$(Step {
            version: {
                const DIGITS: &[u8] = $number.as_bytes();
                ((DIGITS[0] - b'0') as i64) * 1000
                    + ((DIGITS[1] - b'0') as i64) * 100
                    + ((DIGITS[2] - b'0') as i64) * 10
                    + ((DIGITS[3] - b'0') as i64)
            },
            name: $name,
            mysql: include_str!(concat!("../../migrations/mysql/", $number, "_", $name, ".sql")),
            sqlite: include_str!(concat!("../../migrations/sqlite/", $number, "_", $name, ".sql")),
        }),*]
    };
}

/// Every step, in order. Forward only: a released file is never edited.
pub(super) const STEPS: &[Step] = steps! {
    "0001" "core_clients",
    "0002" "integration_providers",
    "0003" "integration_connections",
    "0004" "integration_sync_jobs",
    "0005" "integration_sync_runs",
    "0006" "integration_sync_pages",
    "0007" "integration_raw_events",
    "0008" "integration_object_links",
    "0009" "integration_sync_errors",
    "0010" "integration_field_mappings",
    "0011" "event_admin_actions",
    "0012" "crm_leads",
    "0013" "crm_lead_events",
    "0014" "phone_calls",
    "0015" "message_deliveries",
    "0016" "field_jobs",
    "0017" "accounting_customers",
    "0018" "accounting_invoices",
    "0019" "accounting_payments",
    "0020" "campaign_spend",
    "0021" "search_traffic_daily",
    "0022" "reviews",
    "0023" "data_quality_checks",
    "0024" "metric_snapshots",
    "0025" "metric_baselines",
    "0026" "report_metrics",
    "0027" "portal_cards",
    "0028" "launch_controls",
    "0029" "integration_alerts",
    "0030" "integration_credentials",
    "0031" "integration_connections_identity",
    "0032" "integration_sync_runs_provider_total",
    "0033" "crm_leads_first_response",
    "0034" "integration_raw_events_indexes",
    "0035" "crm_leads_indexes",
    "0036" "crm_lead_events_indexes",
    "0037" "event_webhook_events",
    "0038" "integration_webhook_endpoints",
    "0039" "integration_sync_runs_repaired",
    "0040" "data_import_batches",
    "0041" "integration_sync_errors_retry",
    "0042" "core_clients_archived_at",
    "0043" "retention_indexes",
};

/// What the steps make: tables and the view, by name. A step that makes nothing changes what another has made.
pub(super) fn made() -> impl Iterator<Item = &'static str> {
    let makes =
        |step: &&Step| ["create table ", "create or replace view "].iter().any(|word| step.mysql.contains(word));
    STEPS.iter().filter(makes).map(|step| step.name)
}

/// The SQL of all steps of an engine, in order, for `tidegate migrate --print`.
pub fn text(sqlite: bool) -> String {
    let mut all = String::new();
    for step in STEPS {
        let sql = if sqlite { step.sqlite } else { step.mysql };
        all.push_str(&format!("-- step {:04} {}\n{}\n\n", step.version, step.name, sql.trim_end()));
    }
    all
}
