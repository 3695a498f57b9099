//! P15: the database itself refuses a row whose client and connection disagree.

use crate::store_ground::{Given, commit, head, held};

/// Tables that name both and that a page fills.
const FILLED: [&str; 6] = [
    "integration_sync_jobs",
    "integration_sync_runs",
    "integration_raw_events",
    "integration_object_links",
    "integration_sync_errors",
    "crm_leads",
];

/// The other tables that name both, each with a row to try: columns besides client and connection, and their values.
const PLANTED: [(&str, &str, &str); 20] = [
    (
        "integration_credentials",
        "credential_key, algorithm, key_id, wrapped_key, nonce, ciphertext, created_at, stored_at",
        "'acme', 'a', 'k', 'w', 'n', 'c', '2026-01-01 00:00:00', '2026-01-01 00:00:00'",
    ),
    (
        "event_webhook_events",
        "provider_key, delivery_id, event_name, payload_summary, status, received_at",
        "'hubspot', 'd', 'contact.creation', 's', 'received', '2026-01-01 00:00:00'",
    ),
    ("integration_webhook_endpoints", "secrets, created_at", "'[]', '2026-01-01 00:00:00'"),
    (
        "data_import_batches",
        "stream, file_name, file_hash, file_bytes, source_label, run_id, status, imported_by, created_at",
        "'leads', 'leads.csv', 'h', 1, 'CRM (file)', (select min(id) from integration_sync_runs), 'running', 'ada', '2026-01-01 00:00:00'",
    ),
    ("crm_lead_events", BUSINESS, BUSINESS_ROW),
    ("phone_calls", BUSINESS, BUSINESS_ROW),
    ("message_deliveries", BUSINESS, BUSINESS_ROW),
    ("field_jobs", BUSINESS, BUSINESS_ROW),
    ("accounting_customers", BUSINESS, BUSINESS_ROW),
    ("accounting_invoices", BUSINESS, BUSINESS_ROW),
    ("accounting_payments", BUSINESS, BUSINESS_ROW),
    ("campaign_spend", BUSINESS, BUSINESS_ROW),
    ("search_traffic_daily", BUSINESS, BUSINESS_ROW),
    ("reviews", BUSINESS, BUSINESS_ROW),
    (
        "data_quality_checks",
        "check_key, severity, status, evaluation_id, checked_at",
        "'freshness', 'error', 'passed', 'e', '2026-01-01 00:00:00'",
    ),
    (
        "metric_snapshots",
        "id, metric_key, definition, source_label, period_kind, period_start, period_end, unit, rows_counted, complete, run_ids, origin, \
         computed_at",
        "1, 'lead_volume', 'd', 'CRM', 'month', '2026-01-01 00:00:00', '2026-02-01 00:00:00', 'leads', 1, 1, '[]', 'computed', \
         '2026-02-02 00:00:00'",
    ),
    (
        "metric_baselines",
        "metric_key, source_label, version, snapshot_id, set_by, reason, created_at",
        "'lead_volume', 'CRM', 1, 1, 'ada', 'a test', '2026-02-02 00:00:00'",
    ),
    (
        "report_metrics",
        "metric_key, source_label, title, meaning, unit, direction, status, approval_state, attempted_at",
        "'lead_volume', 'CRM', 'Leads', 'People who asked.', 'leads', 'higher_is_better', 'no_baseline', 'draft', '2026-02-02 00:00:00'",
    ),
    (
        "launch_controls",
        "scope, control_key, title, kind, status",
        "'connection', 'access', 'Access', 'launch_item', 'missing'",
    ),
    (
        "integration_alerts",
        "rule_key, severity, subject_type, subject_key, message_internal, message_client_safe, remedy, runbook, first_seen_at, last_seen_at",
        "'source_late', 'warn', 'job', 'x', 'late', 'late', 'look', 'source_late', '2026-01-01 00:00:00', '2026-01-01 00:00:00'",
    ),
];
const BUSINESS: &str = "provider_key, source_label, object_type, external_id, first_run_id, last_run_id";
const BUSINESS_ROW: &str = "'hubspot', 'CRM', 'thing', '1', 1, 1";

on_both_engines!(p15_a_row_cannot_name_another_clients_connection, |db| {
    let held = held(db.store()).await;
    let page = [Given::new("a", 1), Given::broken("b", 1)];
    commit(db.store(), &held, head(1, &page), &page).await;
    for (table, columns, values) in PLANTED {
        db.sql
            .ok(&format!(
                "insert into {table} (client_id, connection_id, {columns}) values ({}, {}, {values})",
                held.client_id, held.connection_id
            ))
            .await;
    }
    let other = db.sql.number(&format!("select id from core_clients where id <> {}", held.client_id)).await;
    for table in FILLED.into_iter().chain(PLANTED.map(|(table, ..)| table)) {
        assert!(db.sql.number(&format!("select count(*) from {table}")).await > 0, "{table} has no row to try");
        let refused =
            db.sql.run(&format!("update {table} set client_id = {other} where client_id = {}", held.client_id)).await;
        let refused = refused.expect_err(table);
        assert!(refused.as_database_error().is_some_and(|e| e.is_foreign_key_violation()), "{table}: {refused}");
    }
});

on_both_engines!(every_table_with_a_connection_and_a_client_is_among_those_tried, |db| {
    let query = if db.is_mysql() {
        "select table_name from information_schema.columns where table_schema = database() and column_name in ('client_id', 'connection_id')
         group by table_name having count(*) = 2 order by table_name"
    } else {
        "select m.name from sqlite_master m join pragma_table_info(m.name) c where m.type = 'table' and c.name in ('client_id', 'connection_id')
         group by m.name having count(*) = 2 order by m.name"
    };
    let mut tried: Vec<&str> = FILLED.into_iter().chain(PLANTED.map(|(table, ..)| table)).collect();
    tried.sort_unstable();
    let mut found: Vec<String> = db.sql.rows(query).await.into_iter().filter_map(|row| row[0].clone()).collect();
    found.sort_unstable();
    assert_eq!(found, tried);
});

on_both_engines!(one_account_in_one_environment_belongs_to_one_client, |db| {
    crate::store_ground::lay(db.store()).await;
    let mut stolen = crate::store_ground::connection("bolt-other", "bolt");
    stolen.provider_account_id = "account of acme-hubspot".to_owned();
    let declaration = tidegate::store::catalogue::Declaration { connections: vec![stolen], ..Default::default() };
    let answer = db.store().declare(&declaration).await;
    assert!(matches!(answer, Err(tidegate::store::StoreError::Constraint { .. })), "{answer:?}");
});
