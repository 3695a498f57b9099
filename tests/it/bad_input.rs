//! Wrong inputs, as a person gives them: each ends in an error that names the place, says what was expected and what to do,
//! with the exit code of the contract. Nothing is lost on the way, and no secret is shown.

use tidegate::simulator::{Bad, Fault, FaultKind, ObjectKind};

use crate::support::{
    daemon::{Finished, Home},
    databases::TestDatabase,
    yard::{Yard, copy_connectors},
};

/// The exit code, and every part of the message on standard error.
fn told(done: &Finished, code: i32, parts: &[&str]) {
    assert_eq!(done.code(), Some(code), "{done}");
    for part in parts {
        assert!(done.stderr.contains(part), "'{part}' is not told\n{done}");
    }
    assert!(!done.stderr.contains("panicked"), "{done}");
}

/// A folder with the repository's connectors.
fn empty_home() -> Home {
    let home = Home::new();
    copy_connectors(&home.path().join("connectors"));
    home
}

/// The tables that a declaration writes, as text.
async fn declared(yard: &Yard<'_>) -> Vec<String> {
    let mut all = Vec::new();
    for table in [
        "core_clients",
        "integration_providers",
        "integration_connections",
        "integration_sync_jobs",
        "event_admin_actions",
    ] {
        all.push(format!("{table} {:?}", yard.database.sql.rows(&format!("select * from {table} order by id")).await));
    }
    all
}

// Connector folders -------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn everything_wrong_in_all_connector_folders_is_told_with_file_and_line() {
    let home = empty_home();
    let hubspot = home.path().join("connectors/hubspot");
    let manifest = std::fs::read_to_string(hubspot.join("manifest.yaml")).unwrap();
    for (folder, text) in [
        ("unsupported", manifest.replacen("type: DpathExtractor", "type: CustomRecordExtractor", 1)),
        ("template", manifest.replacen("{{ config", "{{ nonsense(config", 1)),
        ("yaml", "streams: [\n  - a: b: c\n".to_owned()),
    ] {
        assert_ne!(text, manifest, "{folder} is broken");
        home.write(&format!("connectors/{folder}/manifest.yaml"), &text);
    }
    let map = std::fs::read_to_string(hubspot.join("mappings/contacts.yaml")).unwrap();
    home.write("connectors/hubspot/mappings/contacts.yaml", &map.replacen("type: email", "type: emial", 1));
    home.write("connectors/csv/mappings/leads.yaml", "version: 1\nstream: leads\ntable: crm_people\nfields: []\n");

    let all = home.run(&["validate"]).await;
    assert_eq!(all.code(), Some(2), "{all}");
    for part in [
        "connectors/unsupported/manifest.yaml:",
        "CustomRecordExtractor",
        "connectors/template/manifest.yaml:",
        "the template cannot be read",
        "connectors/yaml/manifest.yaml:2",
        "connectors/hubspot/mappings/contacts.yaml:",
        "emial",
        "connectors/csv/mappings/leads.yaml:",
        "crm_people",
    ] {
        assert!(all.stdout.contains(part), "'{part}' is not told\n{all}");
    }
    let listed = all.stdout.lines().filter(|line| line.starts_with("connectors/")).collect::<Vec<_>>();
    for line in listed {
        let place = line.split_once(": ").expect("place and text").0;
        let number = place.rsplit_once(':').and_then(|(_, number)| number.parse::<u64>().ok());
        assert!(number.is_some_and(|number| number > 0), "no line number: {line}");
    }
    // The broken ones hide nothing: what is whole is listed, what is not is a warning.
    let list = home.run_ok(&["provider", "list", "--json"]).await;
    let listed = list.json();
    let keys: Vec<&str> = listed.as_array().unwrap().iter().filter_map(|p| p["provider_key"].as_str()).collect();
    assert!(keys.contains(&"csv") && keys.contains(&"hubspot") && !keys.contains(&"unsupported"), "{list}");
    assert!(list.stderr.contains("warning: connectors/unsupported/manifest.yaml:"), "{list}");
}

on_both_engines!(a_broken_manifest_fails_its_own_connections_with_a_row_and_no_other, |db| {
    let yard = Yard::applied(db, 5, 0).await;
    let file = yard.home.write("leads.csv", "lead_id,received_at,name\n1,2026-01-31,Ann\n");
    yard.declare(&csv_connection(&file.display().to_string())).await;
    let manifest = yard.home.path().join("connectors/hubspot/manifest.yaml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replacen("type: DpathExtractor", "type: CustomRecordExtractor", 1)).unwrap();

    let done = yard.run_acme().await;
    told(&done, 4, &["warning: ", "hubspot/manifest.yaml:", "CustomRecordExtractor", "settings_invalid"]);
    let run = yard.newest_run().await;
    assert_eq!((&run["status"], &run["error_code"]), (&"failed".into(), &"settings_invalid".into()), "{run}");
    assert!(run["remedy"].as_str().is_some_and(|text| !text.is_empty()), "{run}");
    assert!(run["error_internal"].as_str().is_some_and(|text| text.contains("tidegate validate")), "{run}");
    let csv = yard.home.run(&["run-once", "--connection", "acme-csv"]).await;
    assert_eq!(csv.code(), Some(0), "{csv}");
    assert_eq!(yard.number("select count(*) from crm_leads").await, 1);
    // What is due together: one fails, the other's data is in.
    let due = yard.home.run(&["run-once"]).await;
    told(&due, 4, &["settings_invalid"]);
    yard.assert_settled().await;
    yard.end().await;
});

on_both_engines!(p4_a_broken_field_map_stops_its_stream_and_the_cursor_stays, |db| {
    let yard = Yard::applied(db, 5, 2).await;
    let map = yard.home.path().join("connectors/hubspot/mappings/contacts.yaml");
    let text = std::fs::read_to_string(&map).unwrap();
    std::fs::write(&map, text.replacen("type: email", "type: emial", 1)).unwrap();
    let done = yard.run_acme().await;
    told(&done, 4, &["contacts.yaml:", "emial", "settings_invalid", "tidegate validate"]);
    told(&yard.home.run(&["connection", "preview", "acme-hubspot"]).await, 2, &["contacts.yaml"]);
    assert_eq!(yard.simulator.oracle().count(), 0, "something was read that could not be mapped");
    assert_eq!(yard.number("select count(*) from integration_sync_jobs where cursor_state is not null").await, 0);
    let deals = yard.home.run(&["run-once", "--connection", "acme-hubspot", "--stream", "deals"]).await;
    assert_eq!(deals.code(), Some(0), "the other stream's map is whole: {deals}");
    std::fs::write(&map, text).unwrap();
    assert_eq!(yard.run_acme().await.code(), Some(0));
    assert_eq!(yard.newest_run().await["records_created"], 5);
    yard.assert_settled().await;
    yard.end().await;
});

fn csv_connection(path: &str) -> String {
    format!(
        "connections:\n  - key: acme-csv\n    client: acme\n    provider: csv\n    provider_account_id: leads\n    environment: sandbox\n    \
         source_label: CSV\n    config: {{ path: {path} }}\n    jobs:\n      - {{ stream: leads, schedule: manual }}\n"
    )
}

#[tokio::test]
async fn validate_takes_a_manifest_a_map_a_folder_a_declaration_or_settings_and_never_checks_nothing() {
    let home = empty_home();
    for path in [
        "connectors",
        "connectors/hubspot",
        "connectors/hubspot/manifest.yaml",
        "connectors/hubspot/mappings/contacts.yaml",
    ] {
        let done = home.run(&["validate", path, "--json"]).await;
        assert_eq!(done.code(), Some(0), "{path}\n{done}");
        assert!(!done.json()["checked"].as_array().unwrap().is_empty(), "{path}\n{done}");
    }
    home.write("empty/README.md", "");
    let nothing = home.run(&["validate", "empty"]).await;
    assert_eq!(nothing.code(), Some(2), "{nothing}");
    assert!(nothing.stdout.contains("empty: "), "{nothing}");

    // A wrong settings file, a wrong folder and a wrong declaration: told together.
    home.write("config/tidegate.toml", "[scheduler]\nworker = 3\n");
    home.write("connectors/bad/manifest.yaml", "type: DeclarativeSource\n");
    let settings = home.run(&["validate"]).await;
    assert_eq!(settings.code(), Some(2), "{settings}");
    assert!(
        settings.stdout.contains("scheduler.workers") && settings.stdout.contains("bad/manifest.yaml"),
        "{settings}"
    );
    home.write("other.toml", "[scheduler]\nworkers = 0\n");
    home.write("declaration.yaml", "clients: [{ key: a b }]\n");
    let named = home.run(&["validate", "other.toml", "declaration.yaml", "gone.yaml", "--json"]).await;
    assert_eq!(named.code(), Some(2), "{named}");
    let problems = named.json()["problems"].to_string();
    for part in ["other.toml", "scheduler.workers", "declaration.yaml:1", "gone.yaml"] {
        assert!(problems.contains(part), "'{part}' is not told\n{named}");
    }
}

// Declarations ------------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn everything_wrong_in_all_declarations_is_told_at_once_and_nothing_is_written() {
    let database = TestDatabase::sqlite().await;
    let yard = Yard::new(&database, 0, 0).await;
    let before = declared(&yard).await;
    yard.home.write(
        "a.yaml",
        "clients:\n  - { key: acme, name: Acme, colour: red }\nconnections:\n  - key: acme-hubspot\n    client: acmee\n    \
         provider: hubspott\n    provider_account_id: 4711\n    environment: prod\n    source_label: CRM\n    \
         credential: pat-na1-not-a-reference\n    config: { api_key: \"sk-not-to-be-shown\" }\n    jobs:\n      \
         - { stream: contacts, sync_mode: hourly, schedule: every fortnight, stale_after: soon }\n",
    );
    yard.home.write("b.yaml", "clients: [\n  - a: b: c\n");
    yard.home.write(
        "c.yaml",
        "connections:\n  - { key: c, client: acme, provider: hubspot, provider_account_id: \"1\", environment: sandbox, source_label: X, \
         jobs: [{ stream: contact }] }\n",
    );
    let args = ["apply", "-f", "a.yaml", "-f", "b.yaml", "-f", "c.yaml"];
    let done = yard.home.run(&args).await;
    told(
        &done,
        2,
        &[
            "a.yaml:2: clients[0].colour",
            "a.yaml:5: connections[0].client: there is no client `acmee`; did you mean `acme`?",
            "a.yaml:6: connections[0].provider: there is no connector folder `hubspott`; did you mean `hubspot`?",
            "a.yaml:8: connections[0].environment: `prod` is no environment; use one of: production",
            "a.yaml:10: connections[0].credential",
            "a.yaml:11: connections[0].config.api_key",
            "a.yaml:13: connections[0].jobs[0].sync_mode",
            "a.yaml:13: connections[0].jobs[0].schedule",
            "a.yaml:13: connections[0].jobs[0].stale_after",
            "b.yaml:2: ",
            "c.yaml:2: connections[0].jobs[0].stream: hubspot has no stream `contact`; did you mean `contacts`?",
            "nothing was changed",
        ],
    );
    for secret in ["pat-na1-not-a-reference", "sk-not-to-be-shown"] {
        assert!(!done.to_string().contains(secret), "{done}");
    }
    // One file that cannot be read does not hide what is wrong in the others.
    let absent = yard.home.run(&["apply", "-f", "a.yaml", "-f", "gone.yaml"]).await;
    told(&absent, 2, &["gone.yaml: ", "a.yaml:5: "]);
    assert_eq!(declared(&yard).await, before);
    yard.end().await;
}

on_both_engines!(applying_twice_or_dry_or_what_was_exported_changes_no_row, |db| {
    let yard = Yard::new(db, 0, 0).await;
    let file = yard.home.write("declaration.yaml", &yard.declaration("sandbox", "every 30d", true));
    let file = file.display().to_string();
    let empty = declared(&yard).await;
    let dry = yard.home.run_ok(&["apply", "-f", &file, "--dry-run", "--json"]).await.json();
    assert_eq!(dry["applied"], false, "{dry}");
    assert!(dry["changes"].as_array().is_some_and(|changes| changes.len() >= 9), "{dry}");
    assert_eq!(declared(&yard).await, empty, "a dry run wrote something");

    yard.home.run_ok(&["apply", "-f", &file]).await;
    let applied = declared(&yard).await;
    assert_ne!(applied, empty);
    let again = yard.home.run_ok(&["apply", "-f", &file, "--json"]).await.json();
    assert_eq!((&again["applied"], &again["changes"]), (&false.into(), &serde_json::json!([])), "{again}");
    assert_eq!(declared(&yard).await, applied, "the second apply wrote something");

    let exported = yard.home.run_ok(&["export"]).await.stdout;
    let file = yard.home.write("exported.yaml", &exported).display().to_string();
    let back = yard.home.run_ok(&["apply", "-f", &file, "--json"]).await.json();
    assert_eq!(back["changes"], serde_json::json!([]), "{exported}");
    assert_eq!(declared(&yard).await, applied);
    assert_eq!(yard.home.run_ok(&["export"]).await.stdout, exported);
    yard.end().await;
});

// Settings, arguments, names ----------------------------------------------------------------------------------------------

#[tokio::test]
async fn wrong_settings_are_told_together_with_their_place_and_no_secret() {
    let mut home = empty_home();
    home.write("config/tidegate.toml", "[scheduler]\nworker = 3\nlease_seconds = \"soon\"\n[shceduler]\nworkers = 1\n");
    home.setting("http.alow_private", "127.0.0.0/8")
        .setting("log.level", "loud")
        .setting("http.allow_private", "nowhere");
    home.setting("database.url", "mysqll://me:not-to-be-shown@db/tidegate");
    let done = home.run(&["runs", "list"]).await;
    told(
        &done,
        2,
        &[
            "config/tidegate.toml: scheduler.worker: is not a known key; did you mean `scheduler.workers`?",
            "config/tidegate.toml: scheduler.lease_seconds: a whole number is expected",
            "config/tidegate.toml: shceduler.workers: is not a known key; did you mean `scheduler.workers`?",
            "variable TIDEGATE_HTTP__ALOW_PRIVATE: http.alow_private: is not a known key; did you mean TIDEGATE_HTTP__ALLOW_PRIVATE?",
            "variable TIDEGATE_HTTP__ALLOW_PRIVATE",
            "variable TIDEGATE_LOG__LEVEL: log.level: ",
            "variable TIDEGATE_DATABASE__URL: database.url: ",
        ],
    );
    assert!(!done.to_string().contains("not-to-be-shown"), "{done}");
    let absent = empty_home().run(&["--config", "gone.toml", "runs", "list"]).await;
    told(&absent, 2, &["gone.toml: cannot be read"]);
}

#[tokio::test]
async fn wrong_names_numbers_and_words_are_told_with_what_was_meant() {
    let database = TestDatabase::sqlite().await;
    let yard = Yard::applied(&database, 1, 0).await;
    let near = "did you mean 'acme-hubspot'?";
    let cases: &[(&[&str], &[&str])] = &[
        (&["run-once", "--shard", "5/4"], &["5/4", "1/4"]),
        (&["run-once", "--shard", "x"], &["'x'", "I/N"]),
        (&["run", "--shard", "0/0"], &["0/0"]),
        (&["run-once", "--connection", "acme-hubsopt"], &[near]),
        (&["run-once", "--connection", "acme-hubspot", "--stream", "contact"], &["'contact'", "contacts"]),
        (&["run-once", "--stream", "contact"], &["contact"]),
        (&["runs", "list", "--connection", "acme-hubsopt"], &[near]),
        (&["runs", "list", "--status", "sucess"], &["sucess", "succeeded", "do: "]),
        (&["runs", "list", "--stream", "contact"], &["'contact'", "contacts"]),
        (&["runs", "show", "99"], &["99", "runs list"]),
        (&["runs", "show", "first"], &["first"]),
        (&["errors", "list", "--connection", "acme-hubsopt"], &[near]),
        (&["errors", "list", "--group", "--connection", "acme-hubsopt"], &[near]),
        (&["errors", "list", "--status", "opn"], &["opn", "retry_scheduled", "do: "]),
        (&["errors", "list", "--stream", "contact"], &["'contact'", "contacts"]),
        (&["errors", "show", "99"], &["99", "errors list"]),
        (&["errors", "retry"], &["--connection", "--all"]),
        (&["errors", "retry", "99", "98"], &["99, 98"]),
        (&["errors", "retry", "--connection", "acme-hubsopt"], &[near]),
        (&["errors", "discard", "--reason", "x"], &["name ids"]),
        (&["errors", "discard", "99"], &["--reason"]),
        (&["errors", "discard", "--connection", "acme-hubsopt", "--reason", "x"], &[near]),
        (&["jobs", "list", "--connection", "acme-hubsopt"], &[near]),
        (
            &["jobs", "pause", "--connection", "acme-hubspot", "--stream", "contact", "--reason", "x"],
            &["'contact'", "contacts"],
        ),
        (&["jobs", "pause", "--connection", "acme-hubspot", "--stream", "contacts"], &["--reason"]),
        (&["jobs", "pause", "--connection", "acme-hubspot", "--stream", "contacts", "--reason", " "], &["reason"]),
        (&["connection", "pause", "acme-hubspot", "--reason", ""], &["reason"]),
        (&["connection", "show", "acme-hubsopt"], &[near]),
        (&["connection", "preview", "acme-hubspot", "--stream", "contact"], &["'contact'", "contacts"]),
        (&["connection", "test-batch", "acme-hubspot", "--count", "0"], &["0"]),
        (&["connection", "preview", "acme-hubspot", "--count", "0"], &["0"]),
        (
            &["connection", "preview", "acme-hubspot", "--count", "101"],
            &["at most 100", "101 are asked for", "test-batch acme-hubspot --count 101"],
        ),
        (&["normalize", "--connection", "acme-hubsopt"], &[near]),
        (&["normalize", "--stream", "contact"], &["contact"]),
        (&["provider", "show", "hubspt"], &["did you mean 'hubspot'?"]),
        (&["connections"], &["connection"]),
        (&["runs", "list", "--limit=-1"], &["limit"]),
    ];
    for (args, parts) in cases {
        let done = yard.home.run(args).await;
        assert_eq!(done.code(), Some(2), "{}\n{done}", args.join(" "));
        told(&done, 2, parts);
        assert!(done.stdout.is_empty(), "{}\n{done}", args.join(" "));
    }
    assert_eq!(yard.number("select count(*) from integration_sync_runs").await, 0);
    yard.end().await;
}

// The provider ------------------------------------------------------------------------------------------------------------

on_both_engines!(p13_a_provider_that_nobody_answers_for_fails_the_run_and_backs_off, |db| {
    let mut yard = Yard::new(db, 1, 0).await;
    yard.home.setting("http.max_retries", "0");
    let nobody =
        yard.declaration("sandbox", "every 30d", false).replace(&yard.simulator.base_url(), "http://127.0.0.1:1");
    yard.declare(&nobody).await;
    let done = yard.home.run(&["run-once", "--json"]).await;
    told(&done, 4, &["provider_unavailable", "do: "]);
    let run = yard.newest_run().await;
    assert_eq!((&run["status"], &run["error_code"]), (&"failed".into(), &"provider_unavailable".into()), "{run}");
    for job in yard.home.run_ok(&["jobs", "list", "--json"]).await.json().as_array().unwrap() {
        let next =
            job["next_run_at"].as_str().expect("a next run").parse::<tidegate::domain::clock::Timestamp>().unwrap();
        let last = run["finished_at"].as_str().expect("an end").parse::<tidegate::domain::clock::Timestamp>().unwrap();
        let wait = next.since(last).as_secs();
        // A minute and its spread, wherever the clock stands in the two hours; the worker and the database read two clocks.
        assert!((55..=75).contains(&wait), "backs off for {wait} s: {job}");
        assert_eq!(job["consecutive_failures"], 1, "{job}");
    }
    assert_eq!(yard.home.run(&["connection", "check", "acme-hubspot"]).await.code(), Some(75));
    yard.assert_settled().await;
    yard.end().await;
});

on_both_engines!(a_private_address_is_refused_for_safety_and_nothing_is_asked, |db| {
    let mut yard = Yard::applied(db, 1, 0).await;
    yard.home.setting("http.allow_private", "");
    let done = yard.run_acme().await;
    told(&done, 6, &["network_policy", "http.allow_private"]);
    let run = yard.newest_run().await;
    assert_eq!((&run["status"], &run["error_code"]), (&"failed".into(), &"network_policy".into()), "{run}");
    assert!(run["error_client_safe"].as_str().is_some_and(|text| !text.contains("127.0.0.1")), "{run}");
    told(&yard.home.run(&["connection", "check", "acme-hubspot"]).await, 6, &["http.allow_private"]);
    assert_eq!(yard.simulator.oracle().count(), 0);
    yard.end().await;
});

on_both_engines!(p4_a_first_page_that_is_not_json_leaves_a_failed_run_that_says_so, |db| {
    let yard = Yard::applied(db, 5, 0).await;
    yard.simulator.fault(Fault::always(FaultKind::NotJson).times(50));
    let done = yard.run_acme().await;
    told(&done, 4, &["page_unreadable", "do: "]);
    let run = yard.newest_run().await;
    assert_eq!((&run["status"], &run["records_seen"]), (&"failed".into(), &0.into()), "{run}");
    assert!(!run["error_internal"].to_string().contains("<html"), "a payload is told: {run}");
    yard.simulator.clear_faults();
    assert_eq!(yard.run_acme().await.code(), Some(0));
    assert_eq!(yard.number("select count(*) from crm_leads").await, 5);
    yard.assert_settled().await;
    yard.end().await;
});

on_both_engines!(p12_records_without_an_id_are_dead_letters_and_the_others_go_through, |db| {
    let yard = Yard::applied(db, 30, 0).await;
    let account = yard.simulator.account("4711");
    account.make_bad(ObjectKind::Contacts, 3, Bad::MissingId);
    account.make_bad(ObjectKind::Contacts, 4, Bad::NotAnObject);
    let done = yard.run_acme().await;
    told(&done, 3, &["errors list --group"]);
    assert_eq!(yard.number("select count(*) from crm_leads").await, 28);
    let letters = yard.home.run_ok(&["errors", "list", "--json"]).await.json();
    assert_eq!(letters.as_array().map(Vec::len), Some(2), "{letters}");
    for letter in letters.as_array().unwrap() {
        assert!(!letter["message_internal"].to_string().contains("example.test"), "a payload is told: {letter}");
        assert!(letter["remedy"].as_str().is_some_and(|text| !text.is_empty()), "{letter}");
    }
    yard.assert_settled().await;
    yard.end().await;
});

#[tokio::test]
async fn a_credential_that_is_not_there_is_named_and_never_shown() {
    let database = TestDatabase::sqlite().await;
    let mut yard = Yard::applied(&database, 1, 0).await;
    yard.home.variable("ACME_TOKEN", "");
    told(&yard.home.run(&["connection", "check", "acme-hubspot"]).await, 4, &["env:ACME_TOKEN", "do: "]);
    yard.home.variable("ACME_TOKEN", "pat-not-to-be-shown");
    let wrong = yard.home.run(&["connection", "check", "acme-hubspot"]).await;
    told(&wrong, 4, &["do: "]);
    assert!(!wrong.to_string().contains("pat-not-to-be-shown"), "{wrong}");
    yard.home.variable("ACME_TOKEN", crate::support::yard::BRIGHT_TOKEN);
    let other = yard.home.run(&["connection", "check", "acme-hubspot"]).await;
    told(&other, 5, &["account '4712'", "declared is '4711'", "do: "]);
    yard.end().await;
}

// The database ------------------------------------------------------------------------------------------------------------

/// Every command that needs the tables.
const NEEDS_TABLES: &[&[&str]] = &[
    &["run-once"],
    &["run"],
    &["runs", "list"],
    &["jobs", "list"],
    &["errors", "list"],
    &["connection", "list"],
    &["export"],
];

async fn schema(db: &TestDatabase) {
    let mut home = empty_home();
    home.setting("database.url", db.url());
    for args in NEEDS_TABLES {
        told(&home.run(args).await, 2, &["no schema", "do: tidegate migrate"]);
    }
    told(&home.run(&["migrate", "--check"]).await, 2, &[]);
    if db.is_mysql() {
        told(&home.run(&["run-once", "--migrate"]).await, 2, &["SQLite only", "migration user"]);
        home.run_ok(&["migrate"]).await;
    } else {
        home.run_ok(&["run-once", "--migrate"]).await;
    }
    home.run_ok(&["migrate", "--check"]).await;
    db.sql
        .ok("insert into _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
             select 9001, 'from tomorrow', installed_on, success, checksum, execution_time from _sqlx_migrations where version = 1")
        .await;
    for args in NEEDS_TABLES {
        told(&home.run(args).await, 2, &["ahead", "9001", "newer"]);
    }
    told(&home.run(&["migrate"]).await, 2, &["newer", "9001"]);
    db.sql.ok("delete from _sqlx_migrations where version >= 9001 or version = (select v from (select max(version) v from _sqlx_migrations where version < 9001) x)").await;
    told(&home.run(&["run-once"]).await, 2, &["behind", "do: tidegate migrate"]);
}

#[tokio::test]
async fn a_schema_that_is_missing_behind_or_ahead_is_told_with_the_way_out_sqlite() {
    TestDatabase::empty_sqlite().await.run(schema).await;
}

#[tokio::test]
async fn a_schema_that_is_missing_behind_or_ahead_is_told_with_the_way_out_mysql() {
    TestDatabase::empty_mysql().await.run(schema).await;
}

#[tokio::test]
async fn a_database_file_that_cannot_be_made_is_told_with_its_place() {
    let mut home = Home::new();
    // A file where a folder is needed: refused to everybody, also to root.
    let file = home.write("occupied", "");
    home.setting("database.url", format!("sqlite://{}/tidegate.db", file.display()));
    told(&home.run(&["migrate"]).await, 2, &["occupied", "do: "]);
    home.setting("database.url", format!("sqlite://{}", home.path().display()));
    told(&home.run(&["migrate"]).await, 2, &["database", "do: "]);
    home.write("not-a-database.db", &"this is no database. ".repeat(100));
    home.setting("database.url", "sqlite://not-a-database.db");
    let text = home.run(&["runs", "list"]).await;
    told(&text, 2, &["database", "do: "]);
    assert!(std::fs::read_to_string(home.path().join("not-a-database.db")).unwrap().starts_with("this is no database"));
}

on_both_engines!(what_validate_refuses_of_a_declaration_is_not_applied, |db| {
    let yard = Yard::applied(db, 1, 0).await;
    let wrong = yard.declaration("sandbox", "every 30d", false).replacen("\"2020-01-01T00:00:00Z\"", "17", 1);
    let file = yard.home.write("wrong.yaml", &wrong).display().to_string();
    for command in [&["validate", &file][..], &["apply", "-f", &file]] {
        let refused = yard.home.run(command).await;
        assert_eq!(refused.code(), Some(2), "{refused}");
        let told = format!("{}{}", refused.stdout, refused.stderr);
        assert!(told.contains("connection `acme-hubspot`") && told.contains("start_date"), "{refused}");
    }
    assert_eq!(yard.number("select count(*) from integration_connections where config like '%17%'").await, 0);
    yard.end().await;
});

on_both_engines!(p2_a_change_of_what_is_asked_for_tells_that_cursors_stay, |db| {
    let yard = Yard::applied(db, 5, 0).await;
    let declared = yard.declaration("sandbox", "every 30d", false);
    let apply = async |text: &str| {
        let file = yard.home.write("again.yaml", text).display().to_string();
        yard.home.run_ok(&["apply", "-f", &file]).await.stdout
    };
    let earlier = declared.replace("2020-01-01", "2019-01-01");
    assert!(!apply(&earlier).await.contains("note:"), "nothing was read yet");
    assert_eq!(yard.run_acme().await.code(), Some(0));
    let told = apply(&declared).await;
    assert!(
        told.contains("note: connection acme-hubspot") && told.contains("--connection acme-hubspot --full"),
        "{told}"
    );
    assert!(!told.contains("bright-hubspot asks"), "it was never read: {told}");
    assert!(!apply(&declared).await.contains("note:"));
    yard.end().await;
});
