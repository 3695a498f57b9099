//! P15: the database itself refuses a row whose client and connection disagree.

use crate::store_ground::{Given, commit, head, held};

/// Every table that names both.
const TABLES: [&str; 7] = [
    "integration_sync_jobs",
    "integration_sync_runs",
    "integration_raw_events",
    "integration_object_links",
    "integration_sync_errors",
    "crm_leads",
    "crm_lead_events",
];

on_both_engines!(a_row_cannot_name_another_clients_connection, |db| {
    let held = held(db.store()).await;
    let page = [Given::new("a", 1), Given::broken("b", 1)];
    commit(db.store(), &held, head(1, &page), &page).await;
    // A row for the one table that the page did not fill.
    db.sql.ok(&format!(
        "insert into crm_lead_events (client_id, connection_id, provider_key, source_label, object_type, external_id, first_run_id, last_run_id)
         values ({}, {}, 'hubspot', 'CRM', 'deal', '1', 1, 1)", held.client_id, held.connection_id
    )).await;
    let other = db.sql.number(&format!("select id from core_clients where id <> {}", held.client_id)).await;
    for table in TABLES {
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
    let mut tried = TABLES.to_vec();
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
