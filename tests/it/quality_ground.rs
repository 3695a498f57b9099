//! Common ground of the quality tests: two clients whose data are clean in every table that a check looks at.

use std::collections::BTreeMap;

use tidegate::{
    domain::{
        gate::Verdict,
        status::{CheckStatus, RunStatus},
    },
    quality::{self, CheckKey, Rules},
    store::{catalogue::Connection, lease::RunEnd},
};

use crate::{
    store_ground::{Given, commit, end, head, hold, job_id, lay},
    support::databases::{RealClock, TestDatabase},
};

/// Records of each stream.
const RECORDS: i64 = 6;

/// An instant as the engine keeps it.
pub fn time(db: &TestDatabase, iso: &str) -> String {
    if db.is_mysql() { iso.replace('T', " ").replace('Z', "") } else { iso.to_owned() }
}

/// Runs statements past the foreign keys, as somebody with too many rights could.
pub async fn unchecked(db: &TestDatabase, sql: &str) {
    let (off, on) = if db.is_mysql() {
        ("set foreign_key_checks = 0", "set foreign_key_checks = 1")
    } else {
        ("pragma foreign_keys = off", "pragma foreign_keys = on")
    };
    db.sql.ok(&format!("{off}; {sql}; {on}")).await;
}

pub async fn connection(db: &TestDatabase, key: &str) -> Connection {
    db.store().connection(key).await.expect("a read").expect("the connection")
}

/// A business row with its object link, as an earlier run left them.
pub async fn record(
    db: &TestDatabase,
    connection: &Connection,
    table: &str,
    external_id: &str,
    columns: &[(&str, &str)],
) {
    let (client, id) = (connection.client_id, connection.id);
    let names: String = columns.iter().map(|(name, _)| format!(", {name}")).collect();
    let values: String = columns.iter().map(|(_, value)| format!(", {value}")).collect();
    db.sql.ok(&format!(
        "insert into {table} (client_id, connection_id, provider_key, source_label, object_type, external_id, first_run_id, last_run_id{names})
         values ({client}, {id}, 'hubspot', '{}', '{table}', '{external_id}', 0, 0{values})",
        connection.spec.source_label
    )).await;
    db.sql.ok(&format!(
        "insert into integration_object_links (connection_id, client_id, object_type, external_id, internal_table, internal_id, payload_hash, record_hash, first_run_id, last_run_id)
         select connection_id, client_id, object_type, external_id, '{table}', id, '{hash}', '{hash}', 0, 0 from {table}
         where connection_id = {id} and object_type = '{table}' and external_id = '{external_id}'",
        hash = "0".repeat(64)
    )).await;
}

/// A snapshot; gives its id.
pub async fn snapshot(db: &TestDatabase, connection: &Connection, unit: &str, month: u32) -> i64 {
    let (start, last) =
        (format!("2026-0{month}-01T00:00:00.000000Z"), format!("2026-0{}-01T00:00:00.000000Z", month + 1));
    let (start, last) = (time(db, &start), time(db, &last));
    db.sql.ok(&format!(
        "insert into metric_snapshots (client_id, connection_id, metric_key, definition, source_label, period_kind, period_start, period_end, unit, value, rows_counted, complete, run_ids, origin, computed_at)
         values ({}, {}, 'lead_volume', '{}', 'CRM', 'month', '{start}', '{last}', '{unit}', '5', 5, 1, '[]', 'computed', '{last}')",
        connection.client_id, connection.id, "a".repeat(64)
    )).await;
    db.sql.number("select max(id) from metric_snapshots").await
}

/// A dead letter that waits.
pub async fn letter(db: &TestDatabase, connection: &Connection, code: &str, external_id: &str) {
    let job = job_id(db.store(), &connection.spec.connection_key, "contacts").await;
    let seen = time(db, "2026-03-01T08:00:00.000000Z");
    db.sql.ok(&format!(
        "insert into integration_sync_errors (run_id, job_id, connection_id, client_id, origin, stage, stream, external_id, fingerprint, error_code, message_internal, message_client_safe, remedy, payload_hash, first_seen_at, last_seen_at, status)
         select max(id), {job}, {}, {}, 'pull', 'map', 'contacts', '{external_id}', 'f', '{code}', 'm', 'm', 'r', '{}', '{seen}', '{seen}', 'open' from integration_sync_runs where job_id = {job}",
        connection.id, connection.client_id, "b".repeat(64)
    )).await;
}

/// Both clients with complete runs of both streams, amounts, books, a baseline and a report.
pub async fn clean(db: &TestDatabase) {
    lay(db.store()).await;
    for key in ["acme-hubspot", "bolt-hubspot"] {
        for stream in ["contacts", "deals"] {
            let held = hold(db.store(), job_id(db.store(), key, stream).await).await;
            let page: Vec<Given> = (0..RECORDS).map(|n| Given::new(format!("{stream}-{n}"), 1)).collect();
            commit(db.store(), &held, head(1, &page), &page).await;
            let ended = RunEnd { provider_total: Some(RECORDS), ..end(RunStatus::Succeeded) };
            db.store().finish_run(&held.lease, held.run, &ended).await.expect("an end").expect("ours");
        }
        let own = connection(db, key).await;
        let paid = format!("'{}'", time(db, "2026-02-20T08:00:00.000000Z"));
        for id in ["j1", "j2"] {
            record(
                db,
                &own,
                "field_jobs",
                id,
                &[("booked_amount", "'120.0000'"), ("currency", "'USD'"), ("booked_at", &paid)],
            )
            .await;
        }
        record(db, &own, "accounting_customers", "c1", &[("display_name", "'Customer'")]).await;
        for (id, number) in [("i1", "'2026-1'"), ("i2", "'2026-2'")] {
            let columns = [
                ("invoice_number", number),
                ("customer_external_id", "'c1'"),
                ("invoiced_amount", "'99.5000'"),
                ("currency", "'USD'"),
                ("issued_at", paid.as_str()),
            ];
            record(db, &own, "accounting_invoices", id, &columns).await;
        }
        let payment = [
            ("invoice_external_id", "'i1'"),
            ("customer_external_id", "'c1'"),
            ("paid_amount", "'99.5000'"),
            ("currency", "'USD'"),
            ("paid_at", paid.as_str()),
        ];
        record(db, &own, "accounting_payments", "p1", &payment).await;
        record(db, &own, "reviews", "r1", &[("rating", "'4.5000'"), ("reviewed_at", paid.as_str())]).await;
        let baseline = snapshot(db, &own, "leads", 2).await;
        snapshot(db, &own, "leads", 3).await;
        let now = time(db, "2026-04-02T08:00:00.000000Z");
        db.sql.ok(&format!(
            "insert into metric_baselines (client_id, connection_id, metric_key, source_label, version, snapshot_id, set_by, reason, created_at)
             values ({client}, {id}, 'lead_volume', 'CRM', 1, {baseline}, 'ada', 'start', '{now}');
             insert into report_metrics (client_id, connection_id, metric_key, source_label, title, meaning, unit, direction, status, client_note, approval_state, attempted_at)
             values ({client}, {id}, 'lead_volume', 'CRM', 'New leads', 'People who asked for work.', 'leads', 'higher_is_better', 'steady', 'From 2026-03-01 to 2026-03-31.', 'approved', '{now}')",
            client = own.client_id, id = own.id
        )).await;
    }
}

pub fn rules(text: &str) -> Rules {
    let file = (!text.is_empty()).then_some(("test.yaml", text));
    Rules::parse(file, &[]).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// Makes all checks of a connection, as they stand now.
pub async fn evaluate_by(db: &TestDatabase, key: &str, rules: &Rules) -> Verdict {
    let connection = connection(db, key).await;
    quality::evaluate(db.store().as_ref(), rules, &connection, None, &RealClock).await.expect("an evaluation")
}

pub async fn evaluate(db: &TestDatabase, key: &str) -> Verdict {
    evaluate_by(db, key, &rules("")).await
}

/// The newest evaluation: the status of each check.
pub async fn statuses(db: &TestDatabase, key: &str) -> BTreeMap<String, CheckStatus> {
    let connection = connection(db, key).await;
    let checks = db.store().latest_checks(connection.id).await.expect("checks");
    checks.into_iter().map(|check| (check.result.check_key, check.result.status)).collect()
}

/// Evaluates `acme-hubspot` and expects this check, and no other, to stand differently than on the clean ground.
pub async fn only(db: &TestDatabase, rules: &Rules, check: CheckKey, status: CheckStatus) -> Verdict {
    let verdict = evaluate_by(db, "acme-hubspot", rules).await;
    let differing: Vec<_> = statuses(db, "acme-hubspot")
        .await
        .into_iter()
        .filter(|(key, status)| *status != on_clean_ground(key))
        .collect();
    assert_eq!(differing, [(check.as_str().to_owned(), status)], "{verdict:#?}");
    verdict
}

/// There is no history to hold a day against; everything else is known and good.
pub fn on_clean_ground(key: &str) -> CheckStatus {
    if key == CheckKey::VolumeAnomaly.as_str() { CheckStatus::Unknown } else { CheckStatus::Passed }
}
