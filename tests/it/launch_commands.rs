//! P20 from the command line: the gate lists all that is missing, signing supplies it, what it becomes is handed on.

use serde_json::Value;

use crate::support::{
    daemon::PATIENCE,
    databases::TestDatabase,
    yard::{ACME_PORTAL, Yard, names_account},
};

/// Days change, ids and paths too.
fn settled(text: &str, yard: &Yard<'_>) -> String {
    let days = regex::Regex::new(r"20\d\d-\d\d-\d\d(T[0-9:.]+Z)?").unwrap();
    let text = days.replace_all(text, "[DAY]").replace(&yard.home.path().display().to_string(), "[HOME]");
    regex::Regex::new(r"run \d+").unwrap().replace_all(&text, "run [N]").into_owned()
}

/// A control of a connection that is signed.
const CONTRACT: &str = "  - { key: contract, scope: connection, title: Contract is signed, kind: sop_note, cadence_days: 90, proof: signed, required: true, \
                        command: 'tidegate launch sign {control} --connection {connection} --owner NAME', data_boundary: the contract, text: Keep the contract. }\n  \
                        - { key: note, scope: connection, title: Note, kind: report_note, cadence_days: 90, proof: machine:record, required: false, \
                        command: apply, data_boundary: the record, text: Numbers come straight from HubSpot. }\n";

on_both_engines!(p20_the_gate_names_everything_missing_and_lets_through_when_it_is_supplied, |db| {
    let mut yard = Yard::new(db, 5, 0).await;
    let wide = std::fs::read_to_string(yard.home.path().join("launch.yaml")).unwrap_or_default();
    yard.launch_file(&format!("{}{CONTRACT}", wide.trim_start_matches("controls:\n")));
    yard.declare(&yard.declaration("production", "every 15m", false)).await;
    let refused = yard.home.run(&["connection", "activate", "acme-hubspot"]).await;
    assert_eq!(refused.code(), Some(5), "{refused}");
    for part in [
        "identity: the provider was not asked whose account this is; do: tidegate connection check acme-hubspot",
        "last-tested date: no test batch has passed; do: tidegate connection test-batch acme-hubspot",
        "`rollback_owner` (Somebody owns the rollback): owner, source, environment, rollback path, evidence, signature; do: tidegate launch sign rollback_owner --owner NAME",
        "`primary_database_reviewed` (Primary database is reviewed): owner, source, environment, rollback path; do: tidegate launch sign primary_database_reviewed --owner NAME",
        "`contract` (Contract is signed): owner, source, rollback path, evidence, signature; do: tidegate launch sign contract --connection acme-hubspot --owner NAME",
    ] {
        assert!(refused.stderr.contains(part), "'{part}' is not told\n{refused}");
    }
    assert!(
        !refused.stderr.contains("scopes") && !refused.stderr.contains("failure path"),
        "what is there is not missing\n{refused}"
    );

    yard.supply_launch("acme-hubspot").await;
    let refused = yard.home.run(&["connection", "activate", "acme-hubspot"]).await;
    assert_eq!(refused.code(), Some(5), "{refused}");
    assert_eq!(refused.stderr.matches("\n  - ").count(), 1, "only the contract is left\n{refused}");
    // Evidence alone does not count; signing does.
    let shown = [
        "--connection",
        "acme-hubspot",
        "--kind",
        "document",
        "--evidence",
        "in the handbook",
        "--rollback-path",
        "pause",
        "--source",
        "handbook",
    ];
    let kept = yard.home.run_ok(&[&["launch", "evidence", "contract"], &shown[..]].concat()).await;
    assert!(
        kept.stdout.contains("evidence kept, not signed; missing") && kept.stdout.contains("owner, signature"),
        "{kept}"
    );
    assert_eq!(yard.home.run(&["connection", "activate", "acme-hubspot"]).await.code(), Some(5));
    yard.home.run_ok(&["launch", "sign", "contract", "--connection", "acme-hubspot", "--owner", "Account owner"]).await;
    yard.home.run_ok(&["connection", "activate", "acme-hubspot"]).await;
    for (action, subject, count) in [
        ("launch.evidence", "acme-hubspot/contract", 1),
        ("launch.sign", "acme-hubspot/contract", 1),
        ("launch.sign", "rollback_owner", 1),
    ] {
        let kept = format!(
            "select count(*) from event_admin_actions where action = '{action}' and subject_key = '{subject}' and subject_type = 'launch_control' and actor <> ''"
        );
        assert_eq!(yard.number(&kept).await, count, "{action} {subject}");
    }

    // Live by the schedule; the other client's connection is told, and does not spoil the exit code.
    let due = yard.home.run(&["run-once", "--json"]).await;
    assert_eq!(due.code(), Some(0), "{due}");
    let told = due.json();
    assert_eq!(told["runs"].as_array().map(Vec::len), Some(1), "{told}");
    assert_eq!(told["refused"][0]["connection"], "bright-hubspot", "{told}");
    assert_eq!(told["refused"][0]["reason"], "not activated", "{told}");
    assert!(due.stderr.contains("tidegate launch status --connection bright-hubspot"), "{due}");
    // Nothing else is due: not green.
    let due = yard.home.run(&["run-once", "--due", "--json"]).await;
    assert_eq!((due.code(), due.json()["runs"].as_array().map(Vec::len)), (Some(5), Some(0)), "{due}");
    yard.end().await;
});

on_both_engines!(p20_expired_evidence_is_told_with_its_date_and_refused_after_the_grace, |db| {
    let yard = Yard::new(db, 5, 0).await;
    yard.declare(&yard.declaration("production", "every 15m", false)).await;
    yard.go_live("acme-hubspot").await;
    let sign = async |date: &str| {
        let base = ["launch", "sign", "rollback_owner", "--owner", "Ada", "--kind", "document", "--evidence", "seen"];
        yard.home.run_ok(&[&base[..], &["--date", date]].concat()).await
    };
    let status = async || {
        yard.home.run_ok(&["launch", "status", "--connection", "acme-hubspot", "--json"]).await.json()["connections"][0]
            .clone()
    };
    let days_ago = |days: i64| format!("{}", (today() - chrono::Duration::days(days)).format("%Y-%m-%d"));
    // Within the grace of 14 days after a cadence of 90.
    let signed = sign(&days_ago(95)).await;
    assert!(signed.stdout.contains("rollback_owner: signed; review_due"), "{signed}");
    let shown = status().await;
    assert_eq!(shown["ready"], false, "{shown}");
    assert_eq!(shown["keeps_from_running"].as_array().map(Vec::len), Some(0), "{shown}");
    let until = format!("{}T00:00:00.000000Z", (today() + chrono::Duration::days(9)).format("%Y-%m-%d"));
    assert_eq!(shown["runs_until"], until, "{shown}");
    assert_eq!(yard.home.run(&["run-once", "--due"]).await.code(), Some(0));
    assert_eq!(yard.newest_run().await["origin"], "schedule");
    // After it.
    sign(&days_ago(105)).await;
    let shown = status().await;
    assert_eq!(shown["keeps_from_running"].as_array().map(Vec::len), Some(1), "{shown}");
    let refused = yard.run_acme().await;
    assert_eq!(refused.code(), Some(5), "{refused}");
    assert!(refused.stderr.contains("`rollback_owner` (Somebody owns the rollback): its evidence is of"), "{refused}");
    let past = if db.is_mysql() { "2020-01-01 00:00:00" } else { "2020-01-01T00:00:00.000000Z" };
    db.sql.ok(&format!("update integration_sync_jobs set next_run_at = '{past}'")).await;
    let due = yard.home.run(&["run-once"]).await;
    assert_eq!(due.code(), Some(5), "{due}");
    assert!(
        due.stderr.contains("acme-hubspot: due, and refused by the launch gate (held by a launch control)"),
        "{due}"
    );
    // Renewed, and live again.
    yard.home
        .run_ok(&["launch", "sign", "rollback_owner", "--owner", "Ada", "--kind", "document", "--evidence", "seen"])
        .await;
    assert_eq!(yard.run_acme().await.code(), Some(0));
    yard.end().await;
});

#[expect(clippy::disallowed_methods, reason = "the program's own clock is asked")]
fn today() -> chrono::NaiveDate {
    chrono::Utc::now().date_naive()
}

on_both_engines!(p20_the_export_says_what_each_control_becomes, |db| {
    let mut yard = Yard::new(db, 5, 0).await;
    let wide = std::fs::read_to_string(yard.home.path().join("launch.yaml")).unwrap_or_default();
    yard.launch_file(&format!("{}{CONTRACT}", wide.trim_start_matches("controls:\n")));
    yard.declare(&yard.declaration("production", "every 15m", false)).await;
    yard.supply_launch("acme-hubspot").await;
    let done = yard.home.run_ok(&["launch", "status", "--export", "handover", "--json"]).await.json();
    assert_eq!(done["files"].as_array().map(Vec::len), Some(6), "{done}");
    let read = |name: &str| std::fs::read_to_string(yard.home.path().join("handover").join(name)).unwrap();
    insta::assert_snapshot!("launch_export_connection", settled(&read("connection-acme-hubspot.md"), &yard));
    let installation = read("installation.md");
    // What the tests' MySQL user may do is no part of what is shown here.
    let shown: Vec<&str> = installation
        .lines()
        .filter(|l| {
            !l.contains("Narrow")
                && !l.contains("database user")
                && !l.contains("database rights")
                && !l.contains("controls are ready")
        })
        .collect();
    insta::assert_snapshot!("launch_export_installation", settled(&shown.join("\n"), &yard));
    let json: Value = serde_json::from_str(&read("connection-acme-hubspot.json")).unwrap();
    for kind in ["admin_task", "sop_note", "launch_item", "incident_step", "report_note"] {
        assert!(json["sections"][kind].is_array(), "{kind}: {json}");
    }
    // A client reads the source's label, a sentence and a day; a sentence that names the provider is left out.
    let notes = json["sections"]["report_note"].to_string();
    assert!(notes.contains("CRM: ") && notes.contains("\"left_out\":true"), "{notes}");
    assert!(
        !notes.to_lowercase().contains("hubspot") && !names_account(&notes, ACME_PORTAL) && !notes.contains('@'),
        "{notes}"
    );
    yard.end().await;
});

#[tokio::test]
async fn p20_a_file_of_signatures_is_taken_whole_or_told_all_that_is_wrong() {
    let database = TestDatabase::sqlite().await;
    let yard = Yard::new(&database, 0, 0).await;
    yard.declare(&yard.declaration("production", "every 15m", false)).await;
    let file = yard.home.write(
        "wrong.yaml",
        "defaults: { owner: Ada, source: handbook, enviroment: all, rollback_path: undo }\ncontrols:\n  \
         - { control: rolback_owner, evidence_kind: document, evidence: seen }\n  \
         - { control: rollback_owner, connection: acme-hubspot, evidence_kind: documnt, evidence: seen }\n  \
         - { control: access, connection: acme-hubspot }\n  \
         - { control: import_user_narrowed, evidence_kind: document, evidence: seen }\n  \
         - { control: tokens_outside_code, evidence_kind: document, evidence: \"token pat-na1-0a1b2c3d-4e5f-6789 was moved\" }\n  \
         - { control: portal_noindex, evidence_kind: document, evidence: \"key Zk3PqLw9XyTtR7vB2nMd8QhJ5 found\" }\n  \
         - { control: admin_noindex, evidence: seen, evidence_date: 2999-01-01, cadence_days: 400 }\n  \
         - { control: backup_location_documented, evidence_kind: backup_manifest, evidence: seen, environment: moon, evidence_date: soon }\n  \
         - { control: restore_drill_done, evidence_kind: restore_result, evidence: seen }\n  \
         - { control: restore_drill_done, evidence_kind: restore_result, evidence: seen }\n",
    );
    let refused = yard.home.run(&["launch", "sign", "--file", &file.display().to_string()]).await;
    assert_eq!(refused.code(), Some(2), "{refused}");
    insta::assert_snapshot!("launch_sign_file_problems", settled(&refused.stderr, &yard));
    for secret in ["0a1b2c3d", "Zk3PqLw9"] {
        assert!(!refused.stderr.contains(secret), "{refused}");
    }
    assert_eq!(yard.number("select count(*) from launch_controls where signed_by is not null").await, 0);
    assert_eq!(yard.number("select count(*) from event_admin_actions where action = 'launch.sign'").await, 0);
    // From options the same is refused.
    for (args, part) in [
        (&["launch", "sign", "access", "--owner", "Ada", "--connection", "acme-hubspot"][..], "nobody signs it"),
        (
            &[
                "launch",
                "sign",
                "rollback_owner",
                "--owner",
                "Ada",
                "--kind",
                "document",
                "--evidence",
                "password: hunter2",
            ],
            "looks like a secret",
        ),
        (&["launch", "evidence", "rollback_owner"], "no evidence is given"),
        (&["launch", "sign", "rollback_owner"], "--owner"),
        (
            &["launch", "sign", "rollback_owner", "--owner", "Ada", "--connection", "acme-hubsopt"],
            "did you mean 'acme-hubspot'?",
        ),
    ] {
        let refused = yard.home.run(args).await;
        assert_eq!(refused.code(), Some(2), "{refused}");
        assert!(refused.stderr.contains(part), "'{part}' is not told\n{refused}");
        assert!(!refused.stderr.contains("hunter2"), "{refused}");
    }
    yard.end().await;
}

#[tokio::test]
async fn a_sandbox_needs_no_activation_and_gets_none_that_would_count_later() {
    let database = TestDatabase::sqlite().await;
    let yard = Yard::applied(&database, 3, 0).await;
    let told = yard.home.run_ok(&["connection", "activate", "acme-hubspot"]).await;
    assert!(told.stdout.contains("runs without activation"), "{told}");
    assert_eq!(yard.number("select count(*) from integration_connections where activated_at is not null").await, 0);
    yard.end().await;
}

#[tokio::test]
async fn wrong_launch_controls_are_told_by_validate_with_file_line_and_remedy() {
    let database = TestDatabase::sqlite().await;
    let mut yard = Yard::new(&database, 0, 0).await;
    yard.launch_file("  - { key: x, scope: global, title: T, kind: sop_note, cadence_days: 1, proof: machine:grant, required: true, command: c, text: t }\n");
    for args in [&["validate"][..], &["validate", "launch.yaml"], &["launch", "status"]] {
        let refused = yard.home.run(args).await;
        assert_eq!(refused.code(), Some(2), "{refused}");
        let told = format!("{}{}", refused.stdout, refused.stderr);
        assert!(
            told.contains(
                "launch.yaml: line 2: controls[0].proof: there is no probe `grant`; did you mean `machine:grants`?"
            ),
            "{refused}"
        );
    }
    yard.end().await;
}

on_both_engines!(p20_the_daemon_tells_what_expires_and_who_has_no_connector_folder_stops_nothing, |db| {
    let mut yard = Yard::new(db, 5, 0).await;
    yard.declare(&yard.declaration("production", "every 30d", false)).await;
    yard.go_live("acme-hubspot").await;
    // As it is when 95 days have passed and nobody has looked.
    let old = format!("{} 00:00:00", (today() - chrono::Duration::days(95)).format("%Y-%m-%d"));
    let old = if db.is_mysql() { old } else { format!("{}.000000Z", old.replace(' ', "T")) };
    db.sql.ok(&format!("update launch_controls set evidence_at = '{old}' where control_key = 'rollback_owner'")).await;
    let status = "select count(*) from launch_controls where control_key = 'rollback_owner' and status = 'review_due' and status_reason like '%rollback_owner%'";
    assert_eq!(yard.number(status).await, 0);
    let mut daemon = yard.home.start(&["run"]);
    let line = daemon.wait_for_line("its evidence is of").await;
    assert!(line.contains("acme-hubspot"), "{line}");
    daemon.terminate();
    let ended = daemon.wait(PATIENCE).await;
    assert_eq!(ended.code(), Some(0), "{ended}");
    assert_eq!(yard.number(status).await, 1);

    yard.home.setting("connectors.dirs", "nowhere");
    let told = yard.home.run_ok(&["launch", "status", "--connection", "acme-hubspot"]).await;
    assert!(
        told.stderr.contains("is shown, not kept") && told.stdout.contains("field map: stream `contacts`"),
        "{told}"
    );
    let held = "select count(*) from launch_controls where control_key = 'mapping' and status <> 'ready'";
    assert_eq!(
        yard.number(&format!(
            "{held} and connection_id = (select id from integration_connections where connection_key = 'acme-hubspot')"
        ))
        .await,
        0
    );
    yard.end().await;
});
