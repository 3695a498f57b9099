//! The schema: the same on both engines, complete by the specification, and safe to bring up to date.

use std::collections::{BTreeMap, BTreeSet};

use tidegate::{
    domain::{
        business::{ColumnType, TABLES},
        status::{
            ApprovalState, CheckStatus, ClientStatus, ConnectionStatus, ControlKind, ControlScope, ControlStatus,
            DeadLetterStatus, DeliveryStatus, Direction, Environment, ImportStatus, JobStatus, Origin, ProviderStatus,
            RawStatus, RefreshState, ReportStatus, RunOrigin, RunStatus, Severity, SnapshotOrigin, Stage, SyncMode,
        },
    },
    store::{StoreError, schema::SchemaState},
};

use crate::support::databases::TestDatabase;

/// What operations' SQL, the portal and the acceptance checks rely on, letter for letter.
const CONTRACT: &[(&str, &str)] = &[
    ("core_clients", "id client_key name status"),
    ("integration_providers", "id provider_key name category auth_type status owner reason"),
    (
        "integration_connections",
        "id connection_key client_id provider_key provider_account_id environment status owner reason source_label auth_type scopes \
         credential_ref refresh_policy revocation_path failure_path rollback_path last_tested_at config",
    ),
    (
        "integration_credentials",
        "id credential_key connection_id version algorithm key_id wrapped_key nonce ciphertext expires_at refresh_state fence",
    ),
    (
        "integration_sync_jobs",
        "id connection_id client_id stream sync_mode schedule status cursor_state next_run_at stale_after_seconds last_complete_at \
         consecutive_failures fence term_id lease_owner lease_until attempts",
    ),
    (
        "integration_sync_runs",
        "id job_id connection_id client_id provider_key stream origin status window_start window_end cursor_before cursor_after \
         started_at finished_at pages requests retries rate_limited_ms bytes_in records_seen records_created records_updated \
         records_unchanged records_duplicate records_ignored records_failed error_code error_internal error_client_safe remedy \
         worker fence mapping_version",
    ),
    (
        "integration_sync_errors",
        "id run_id job_id connection_id client_id origin stage stream external_id raw_event_id fingerprint error_code message_internal \
         message_client_safe remedy payload_hash attempts first_seen_at last_seen_at next_retry_at status resolved_at resolved_by",
    ),
    (
        "event_webhook_events",
        "id connection_id client_id provider_key delivery_id event_name payload_summary status attempts received_at run_id",
    ),
    (
        "integration_raw_events",
        "id connection_id client_id run_id origin stream external_id payload payload_hash source_label received_at status reason",
    ),
    (
        "integration_object_links",
        "id connection_id client_id object_type external_id internal_table internal_id payload_hash source_updated_at first_run_id last_run_id",
    ),
    ("integration_field_mappings", "id provider_key stream version checksum document activated_at activated_by"),
    ("event_admin_actions", "id actor action subject_type subject_key reason before after created_at"),
    (
        "crm_leads",
        "id client_id connection_id provider_key source_label external_id first_run_id last_run_id source_updated_at voided_at \
         contact_name email phone service_type contact_method consent market urgency owner attribution_source paid_or_organic stage received_at",
    ),
    (
        "crm_lead_events",
        "id client_id connection_id provider_key source_label external_id first_run_id last_run_id source_updated_at voided_at currency",
    ),
    (
        "data_quality_checks",
        "id run_id client_id connection_id check_key severity status observed expected detail_internal message_client_safe checked_at",
    ),
    (
        "metric_snapshots",
        "id client_id connection_id metric_key source_label period_start period_end unit currency value complete run_ids computed_at",
    ),
    (
        "report_metrics",
        "id client_id metric_key source_label unit currency direction baseline_period_start baseline_period_end baseline_value \
         baseline_snapshot_id current_period_start current_period_end current_value current_snapshot_id status held_reason confidence \
         next_action client_note approval_state published_at",
    ),
    ("portal_cards", "client_key title source period unit baseline current status next_action note updated_at"),
    (
        "launch_controls",
        "id scope connection_id control_key title kind owner source environment data_boundary rollback_path review_cadence_days \
         evidence_kind evidence evidence_at signed_by status",
    ),
];

/// Columns of a business table that the pipeline fills.
const OWNED: &[&str] = &[
    "id",
    "client_id",
    "connection_id",
    "provider_key",
    "source_label",
    "object_type",
    "external_id",
    "first_run_id",
    "last_run_id",
    "source_updated_at",
    "voided_at",
    "is_test",
];

/// Table, column, nullable, type as the engine calls it; without the migrations' own table.
async fn columns(db: &TestDatabase) -> Vec<(String, String, bool, String)> {
    let query = if db.is_mysql() {
        "select table_name, column_name, is_nullable = 'YES', column_type from information_schema.columns
         where table_schema = database() and table_name not like '\\_sqlx%'"
    } else {
        "select m.name, c.name, not c.\"notnull\", c.type from sqlite_master m join pragma_table_xinfo(m.name) c
         where m.type in ('table', 'view') and m.name not like 'sqlite_%' and m.name not like '_sqlx%'"
    };
    let text = |cell: &Option<String>| cell.clone().expect("a name");
    let mut columns: Vec<_> = db
        .sql
        .rows(query)
        .await
        .iter()
        // SQLite does not tell which columns of a view can be null.
        .map(|row| {
            let table = text(&row[0]);
            let nullable = text(&row[2]) == "1" || table == "portal_cards";
            (table, text(&row[1]), nullable, text(&row[3]))
        })
        .collect();
    columns.sort();
    columns
}

/// The words in quotes of a CHECK constraint.
async fn words_of(db: &TestDatabase, table: &str, constraint: &str) -> BTreeSet<String> {
    let text = if db.is_mysql() {
        let query = format!(
            "select check_clause from information_schema.check_constraints
             where constraint_schema = database() and constraint_name = '{constraint}'"
        );
        let rows = db.sql.rows(&query).await;
        assert_eq!(rows.len(), 1, "no constraint {constraint}");
        rows[0][0].clone().expect("a clause").replace('\\', "")
    } else {
        let rows =
            db.sql.rows(&format!("select sql from sqlite_master where type = 'table' and name = '{table}'")).await;
        let sql = rows[0][0].clone().expect("a text");
        let line = sql.lines().find(|line| line.contains(&format!("constraint {constraint} check")));
        line.unwrap_or_else(|| panic!("no constraint {constraint}")).to_owned()
    };
    text.split('\'').skip(1).step_by(2).map(str::to_owned).collect()
}

mod an_empty_database_is_migrated_once_and_the_second_time_nothing_happens {
    use super::*;

    async fn test(db: &TestDatabase) {
        let store = db.open().await;
        assert_eq!(store.schema_state().await.expect("a state"), SchemaState::Empty);
        assert!(store.migrations().await.expect("a list").iter().all(|step| !step.applied));
        let steps = store.migrate().await.expect("the migrations");
        assert_eq!(steps.len(), 43);
        assert_eq!(store.schema_state().await.expect("a state"), SchemaState::Current);
        assert_eq!(store.migrations().await.expect("a list"), steps);
        assert_eq!(store.migrate().await.expect("nothing to do"), []);
        store.close().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn sqlite() {
        TestDatabase::empty_sqlite().await.run(test).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn mysql() {
        TestDatabase::empty_mysql().await.run(test).await;
    }
}

mod processes_that_migrate_at_the_same_moment_queue_up {
    use super::*;

    async fn test(db: &TestDatabase) {
        let stores = [db.open().await, db.open().await, db.open().await];
        let done = futures_util::future::join_all(stores.iter().map(|store| store.migrate())).await;
        let steps: usize = done.into_iter().map(|steps| steps.expect("the migrations").len()).sum();
        assert_eq!(steps, 43, "each step was applied by one of them");
        for store in stores {
            assert_eq!(store.schema_state().await.expect("a state"), SchemaState::Current);
            store.close().await;
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn sqlite() {
        TestDatabase::empty_sqlite().await.run(test).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn mysql() {
        TestDatabase::empty_mysql().await.run(test).await;
    }
}

on_both_engines!(a_migration_that_was_killed_goes_on_where_it_was, |db| {
    // Killed with the table made or not, and with the step's mark set or not.
    for (table_made, marked) in [(true, true), (false, true), (true, false), (false, false)] {
        if !table_made {
            db.sql.ok("drop table integration_credentials").await;
        }
        if marked {
            db.sql.ok("update _sqlx_migrations set success = 0 where version = 30").await;
            let state = db.store().schema_state().await.expect("a state");
            assert!(matches!(state, SchemaState::Dirty { version: 30, .. }), "{state:?}");
        } else {
            db.sql.ok("delete from _sqlx_migrations where version = 30").await;
            assert_eq!(db.store().schema_state().await.expect("a state"), SchemaState::Behind { missing: vec![30] });
        }
        let steps = db.owner().await.migrate().await.expect("the migrations");
        assert_eq!(steps.iter().map(|step| step.version).collect::<Vec<_>>(), [30]);
        assert_eq!(db.store().schema_state().await.expect("a state"), SchemaState::Current);
        assert_eq!(db.sql.number("select count(*) from crm_lead_events").await, 0);
    }
});

/// MySQL only: SQLite rolls back what was killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_was_made_but_not_marked_is_not_made_twice() {
    TestDatabase::mysql().await.run(made_but_not_marked).await;
}

async fn made_but_not_marked(db: &TestDatabase) {
    let before = columns(db).await;
    db.sql.ok("delete from _sqlx_migrations where version > 30").await;
    let steps = db.owner().await.migrate().await.expect("the migrations");
    assert_eq!(steps.iter().map(|step| step.version).collect::<Vec<_>>(), (31..=43).collect::<Vec<_>>());
    assert_eq!(columns(db).await, before);
    let keys = "select count(distinct index_name) from information_schema.statistics
                where table_schema = database() and table_name in ('crm_leads', 'crm_lead_events') and index_name <> 'PRIMARY'";
    assert_eq!(db.sql.number(keys).await, 2, "one unique key each, which the foreign key uses");
}

on_both_engines!(a_newer_or_an_edited_schema_is_told_and_refused, |db| {
    db.sql.ok("insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (9999, 'x', 1, '', 0)").await;
    assert_eq!(db.store().schema_state().await.expect("a state"), SchemaState::Ahead { unknown: vec![9999] });
    let refused = db.owner().await.migrate().await;
    assert!(matches!(&refused, Err(StoreError::Schema(text)) if text.contains("9999")), "{refused:?}");
    db.sql.ok("delete from _sqlx_migrations where version = 9999").await;

    let edited = if db.is_mysql() { "'edited'" } else { "cast('edited' as blob)" };
    db.sql.ok(&format!("update _sqlx_migrations set checksum = {edited} where version = 3")).await;
    let state = db.store().schema_state().await.expect("a state");
    assert!(matches!(state, SchemaState::Dirty { version: 3, .. }), "{state:?}");
    let refused = db.owner().await.migrate().await;
    assert!(matches!(&refused, Err(StoreError::Schema(text)) if text.contains("migration 3")), "{refused:?}");
});

on_both_engines!(a_call_on_a_schema_that_is_not_there_says_so, |db| {
    db.sql.ok("drop table integration_field_mappings").await;
    let map = tidegate::store::catalogue::FieldMapVersion {
        provider_key: "p".to_owned(),
        stream: "s".to_owned(),
        version: "1".to_owned(),
        checksum: "c".to_owned(),
        document: "d".to_owned(),
        activated_by: "ada".to_owned(),
    };
    let answer = db.store().activate_field_map(&map, None).await;
    assert!(matches!(&answer, Err(StoreError::Schema(text)) if text.contains("tidegate migrate")), "{answer:?}");
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_columns_and_nullability_are_the_same_on_both_engines() {
    TestDatabase::sqlite()
        .await
        .run(async |sqlite| {
            TestDatabase::mysql()
                .await
                .run(async |mysql| {
                    let shape = |columns: Vec<(String, String, bool, String)>| -> Vec<(String, String, bool)> {
                        columns.into_iter().map(|(table, column, null, _)| (table, column, null)).collect()
                    };
                    let left = shape(columns(sqlite).await);
                    assert_eq!(left, shape(columns(mysql).await));
                    let tables: BTreeSet<_> = left.into_iter().map(|(table, ..)| table).collect();
                    assert_eq!(tables.len(), 33);
                })
                .await;
        })
        .await;
}

on_both_engines!(every_contract_column_is_there, |db| {
    let found: BTreeSet<(String, String)> =
        columns(db).await.into_iter().map(|(table, column, ..)| (table, column)).collect();
    for (table, names) in CONTRACT {
        for name in names.split_whitespace() {
            assert!(found.contains(&((*table).to_owned(), name.to_owned())), "{table}.{name} is missing");
        }
    }
});

on_both_engines!(every_foreign_key_has_an_index, |db| {
    // Foreign key columns in order, by constraint; then index columns in order.
    let (keys, indexes) = if db.is_mysql() {
        (
            "select table_name, constraint_name, column_name from information_schema.key_column_usage
             where table_schema = database() and referenced_table_name is not null order by table_name, constraint_name, ordinal_position",
            "select table_name, index_name, column_name from information_schema.statistics
             where table_schema = database() order by table_name, index_name, seq_in_index",
        )
    } else {
        (
            "select m.name, f.id, f.\"from\" from sqlite_master m join pragma_foreign_key_list(m.name) f where m.type = 'table' order by m.name, f.id, f.seq",
            "select m.name, i.name, c.name from sqlite_master m join pragma_index_list(m.name) i join pragma_index_info(i.name) c
             where m.type = 'table' order by m.name, i.name, c.seqno",
        )
    };
    let group = |rows: Vec<Vec<Option<String>>>| {
        let mut groups: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for row in rows {
            let [table, name, column] = [0, 1, 2].map(|n: usize| row[n].clone().expect("a name"));
            groups.entry((table, name)).or_default().push(column);
        }
        groups
    };
    let (keys, indexes) = (group(db.sql.rows(keys).await), group(db.sql.rows(indexes).await));
    assert_eq!(keys.len(), 37, "{keys:?}");
    for ((table, name), columns) in keys {
        let indexed = indexes.iter().any(|((of, _), list)| *of == table && list.starts_with(&columns));
        assert!(indexed, "{table}: foreign key {name} {columns:?} has no index");
    }
});

on_both_engines!(every_closed_vocabulary_is_a_check_with_the_same_words, |db| {
    macro_rules! words {
        ($enum:ty) => {
            <$enum>::ALL.iter().map(|word| word.as_str().to_owned()).collect::<BTreeSet<_>>()
        };
    }
    let vocabularies = [
        ("core_clients", "status", words!(ClientStatus)),
        ("integration_providers", "status", words!(ProviderStatus)),
        ("integration_connections", "status", words!(ConnectionStatus)),
        ("integration_connections", "environment", words!(Environment)),
        ("integration_credentials", "refresh_state", words!(RefreshState)),
        ("integration_sync_jobs", "status", words!(JobStatus)),
        ("integration_sync_jobs", "sync_mode", words!(SyncMode)),
        ("integration_sync_runs", "status", words!(RunStatus)),
        ("integration_sync_runs", "origin", words!(RunOrigin)),
        ("integration_raw_events", "status", words!(RawStatus)),
        ("integration_raw_events", "origin", words!(Origin)),
        ("event_webhook_events", "status", words!(DeliveryStatus)),
        ("integration_sync_errors", "status", words!(DeadLetterStatus)),
        ("integration_sync_errors", "origin", words!(Origin)),
        ("integration_sync_errors", "stage", words!(Stage)),
        ("data_quality_checks", "severity", words!(Severity)),
        ("data_quality_checks", "status", words!(CheckStatus)),
        ("metric_snapshots", "origin", words!(SnapshotOrigin)),
        ("report_metrics", "direction", words!(Direction)),
        ("report_metrics", "status", words!(ReportStatus)),
        ("report_metrics", "approval_state", words!(ApprovalState)),
        ("launch_controls", "scope", words!(ControlScope)),
        ("launch_controls", "kind", words!(ControlKind)),
        ("launch_controls", "status", words!(ControlStatus)),
        (
            "launch_controls",
            "environment",
            Environment::ALL.iter().map(|word| word.as_str().to_owned()).chain(["all".to_owned()]).collect(),
        ),
        ("integration_alerts", "severity", words!(Severity)),
        ("data_import_batches", "status", words!(ImportStatus)),
    ];
    for (table, column, words) in &vocabularies {
        assert_eq!(words_of(db, table, &format!("ck_{table}_{column}")).await, *words, "{table}.{column}");
    }
    for (table, column, ..) in columns(db).await {
        let closed = ["status", "origin", "environment", "sync_mode"].contains(&column.as_str());
        // A view shows what its tables hold.
        assert!(
            !closed || table == "portal_cards" || vocabularies.iter().any(|(t, c, _)| *t == table && *c == column),
            "{table}.{column} is not checked"
        );
    }
});

on_both_engines!(business_tables_are_what_the_catalogue_says, |db| {
    let found = columns(db).await;
    for table in TABLES {
        let stands: BTreeMap<&str, &str> = found
            .iter()
            .filter(|(of, column, ..)| of == table.name && !OWNED.contains(&column.as_str()))
            .map(|(_, column, _, kind)| (column.as_str(), kind.as_str()))
            .collect();
        let declared: BTreeSet<&str> = table.columns.iter().map(|column| column.name).collect();
        assert_eq!(stands.keys().copied().collect::<BTreeSet<_>>(), declared, "{}", table.name);
        for column in table.columns {
            let kind = stands[column.name];
            let expected = match (db.is_mysql(), column.kind) {
                (true, ColumnType::Text) => format!("varchar({})", column.max_chars),
                (true, ColumnType::Integer) => "bigint(20)".to_owned(),
                (true, ColumnType::Decimal) => "decimal(18,4)".to_owned(),
                (true, ColumnType::Bool) => "tinyint(1)".to_owned(),
                (true, ColumnType::Time) => "datetime(6)".to_owned(),
                (true, ColumnType::Json) => "longtext".to_owned(),
                (false, ColumnType::Integer | ColumnType::Bool) => "INTEGER".to_owned(),
                (false, ColumnType::Text | ColumnType::Decimal | ColumnType::Time | ColumnType::Json) => {
                    "TEXT".to_owned()
                }
            };
            assert_eq!(kind.to_lowercase(), expected.to_lowercase(), "{}.{}", table.name, column.name);
            if !column.words.is_empty() {
                let words = words_of(db, table.name, &format!("ck_{}_{}", table.name, column.name)).await;
                assert_eq!(words, column.words.iter().map(|word| (*word).to_owned()).collect(), "{}", column.name);
            }
        }
        let owned: BTreeSet<&str> =
            found.iter().filter(|(of, ..)| of == table.name).map(|(_, c, ..)| c.as_str()).collect();
        assert!(OWNED.iter().all(|column| owned.contains(column)), "{}", table.name);
    }
});
