//! What people and scripts build on: the gates, the life of a dead letter, one JSON document per command, the help.

use std::{path::Path, time::Duration};

use serde_json::Value;
use tidegate::simulator::{Bad, ObjectKind};

use crate::support::{
    daemon::{Home, PATIENCE},
    databases::TestDatabase,
    yard::Yard,
};

on_both_engines!(
    p20_a_production_connection_is_refused_with_all_that_is_missing_until_it_is_tested_and_activated,
    |db| {
        let yard = Yard::new(db, 20, 0).await;
        let full = yard.declaration("production", "every 15m", false);
        let poor: String = full
            .lines()
            .filter(|line| !["owner:", "failure_path:", "scopes:"].iter().any(|key| line.trim_start().starts_with(key)))
            .map(|line| format!("{line}\n"))
            .collect();
        yard.declare(&poor).await;
        let refused = yard.run_acme().await;
        assert_eq!(refused.code(), Some(5), "{refused}");
        for part in ["owner", "failure path", "scopes", "last-tested date", "tidegate connection activate acme-hubspot"]
        {
            assert!(refused.stderr.contains(part), "'{part}' is not told\n{refused}");
        }
        let activate = yard.home.run(&["connection", "activate", "acme-hubspot"]).await;
        assert_eq!(activate.code(), Some(5), "{activate}");
        assert!(activate.stderr.contains("owner") && activate.stderr.contains("test-batch"), "{activate}");
        assert_eq!(yard.simulator.oracle().count(), 0, "nobody was asked");
        assert_eq!(yard.number("select count(*) from integration_sync_runs").await, 0);
        // Due, and not let through: no run, no call, and said.
        let due = yard.home.run(&["run-once"]).await;
        assert_eq!((due.code(), yard.simulator.oracle().count()), (Some(5), 0), "{due}");
        for key in ["acme-hubspot", "bright-hubspot"] {
            let line = format!(
                "{key}: due, and refused by the launch gate (not activated); tidegate launch status --connection {key}"
            );
            assert!(due.stderr.contains(&line), "{due}");
        }

        yard.declare(&full).await;
        let batch =
            yard.home.run_ok(&["connection", "test-batch", "acme-hubspot", "--count", "5", "--json"]).await.json();
        assert_eq!(batch["runs"][0]["records_seen"], 5, "{batch}");
        assert_eq!(yard.number("select count(*) from integration_sync_jobs where cursor_state is not null").await, 0);
        assert_eq!(yard.run_acme().await.code(), Some(5), "tested is not activated");
        yard.go_live("acme-hubspot").await;
        let done = yard.run_acme().await;
        assert_eq!(done.code(), Some(0), "{done}");
        assert_eq!(yard.newest_run().await["records_seen"], 20);
        assert_eq!(
            yard.number("select count(*) from event_admin_actions where action = 'connection.activate'").await,
            1
        );
        yard.end().await;
    }
);

on_both_engines!(what_is_paused_is_refused_until_it_is_resumed_and_each_act_is_kept, |db| {
    let yard = Yard::applied(db, 3, 0).await;
    yard.home.run_ok(&["connection", "pause", "acme-hubspot", "--reason", "duplicates"]).await;
    let refused = yard.run_acme().await;
    assert_eq!(refused.code(), Some(5), "{refused}");
    assert!(refused.stderr.contains("tidegate connection resume acme-hubspot"), "{refused}");
    yard.home.run_ok(&["connection", "resume", "acme-hubspot"]).await;
    let job = ["--connection", "acme-hubspot", "--stream", "contacts", "--reason", "moving house"];
    let act = async |verb| yard.home.run(&[&["jobs", verb], &job[..]].concat()).await;
    assert_eq!(act("pause").await.code(), Some(0));
    let refused = yard.run_acme().await;
    assert_eq!(refused.code(), Some(5), "{refused}");
    assert!(refused.stderr.contains("jobs resume"), "{refused}");
    assert_eq!(yard.home.run(&["run-once", "--json"]).await.code(), Some(0));
    assert_eq!(yard.simulator.oracle().count_of("4711"), 0);
    assert_eq!(act("resume").await.code(), Some(0));
    assert_eq!(yard.run_acme().await.code(), Some(0));
    assert_eq!(act("reset-cursor").await.code(), Some(0));
    assert_eq!(yard.number("select count(*) from integration_sync_jobs j join integration_connections c on c.id = j.connection_id where c.connection_key = 'acme-hubspot' and j.cursor_state is not null").await, 0);
    for action in ["connection.pause", "connection.resume", "job.pause", "job.resume", "job.reset_cursor"] {
        let kept = format!("select count(*) from event_admin_actions where action = '{action}' and actor <> ''");
        assert_eq!(yard.number(&kept).await, 1, "{action}");
    }
    yard.home.run_ok(&["connection", "revoke", "acme-hubspot", "--reason", "left us"]).await;
    assert_eq!(yard.run_acme().await.code(), Some(5));
    assert_eq!(yard.home.run(&["connection", "resume", "acme-hubspot"]).await.code(), Some(5));
    yard.end().await;
});

on_both_engines!(a_dead_letter_is_shown_grouped_retried_mended_and_discarded_and_each_act_is_kept, |db| {
    let yard = Yard::applied(db, 30, 0).await;
    let account = yard.simulator.account("4711");
    for id in [3, 4] {
        account.make_bad(ObjectKind::Contacts, id, Bad::UnknownLifecycle);
    }
    account.make_bad(ObjectKind::Contacts, 5, Bad::PhoneGarbage);
    assert_eq!(yard.run_acme().await.code(), Some(3));
    let groups = yard.home.run_ok(&["errors", "list", "--group", "--json"]).await.json();
    assert_eq!(groups[0]["count"], 2, "{groups}");
    let fingerprint = groups[0]["fingerprint"].as_str().unwrap();
    // What the table shows is what can be typed.
    let table = yard.home.run_ok(&["errors", "list", "--group"]).await;
    assert!(table.stdout.contains(fingerprint), "{table}");
    let alike = yard.home.run_ok(&["errors", "list", "--fingerprint", fingerprint, "--json"]).await.json();
    assert_eq!(alike.as_array().map(Vec::len), Some(2), "{alike}");

    // Retried as it is: it fails again, and stays one dead letter with one more attempt.
    let id = alike[0]["id"].to_string();
    let again = yard.home.run(&["errors", "retry", &id, "--json"]).await;
    assert_eq!(again.code(), Some(3), "{again}");
    let shown = yard.home.run_ok(&["errors", "show", &id, "--json"]).await.json();
    assert_eq!((&shown["status"], &shown["attempts"]), (&"open".into(), &2.into()), "{shown}");

    // A map that knows the word, under a new version: the records come in.
    let map = yard.home.path().join("connectors/hubspot/mappings/contacts.yaml");
    let text = std::fs::read_to_string(&map).unwrap();
    let word = unknown_word(&yard, &id).await;
    let known = "      subscriber: subscriber\n";
    let mended = text.replacen("version: \"1\"", "version: \"2\"", 1).replacen(
        known,
        &format!("{known}      {word}: customer\n"),
        1,
    );
    assert_ne!(text, mended);
    std::fs::write(&map, mended).unwrap();
    let retried = yard.home.run(&["errors", "retry", "--fingerprint", fingerprint, "--json"]).await;
    assert_eq!(retried.code(), Some(0), "{retried}");
    assert_eq!(yard.number("select count(*) from crm_leads").await, 29);
    let shown = yard.home.run_ok(&["errors", "show", &id, "--json"]).await.json();
    assert_eq!(shown["status"], "resolved", "{shown}");
    // A second time there is nothing to do.
    yard.home.run_ok(&["errors", "retry", &id]).await;

    let rest = yard.home.run_ok(&["errors", "list", "--json"]).await.json();
    assert_eq!(rest.as_array().map(Vec::len), Some(1), "{rest}");
    let id = rest[0]["id"].to_string();
    let one = yard.home.run_ok(&["errors", "discard", &id, "--reason", "not a person", "--json"]).await.json();
    assert_eq!(one["discarded"], 1, "{one}");
    let again = yard.home.run(&["errors", "discard", &id, "--reason", "again", "--json"]).await;
    assert_eq!(again.code(), Some(2), "{again}");
    assert!(again.stderr.contains("discarded already"), "{again}");
    assert_eq!(yard.home.run_ok(&["errors", "show", &id, "--json"]).await.json()["status"], "discarded");
    assert_eq!(
        yard.number(
            "select count(*) from event_admin_actions where action = 'dead_letter.discard' and reason = 'not a person'"
        )
        .await,
        1
    );
    assert!(yard.number("select count(*) from event_admin_actions where action = 'dead_letter.retry'").await >= 2);
    yard.assert_settled().await;
    yard.end().await;
});

/// The unknown word of a dead letter's raw payload.
async fn unknown_word(yard: &Yard<'_>, letter: &str) -> String {
    let sql = format!(
        "select e.payload from integration_raw_events e join integration_sync_errors d on d.raw_event_id = e.id where d.id = {letter}"
    );
    let rows = yard.database.sql.rows(&sql).await;
    let payload: Value = serde_json::from_str(rows[0][0].as_deref().expect("a payload")).unwrap();
    payload["properties"]["lifecyclestage"].as_str().expect("a word").to_owned()
}

on_both_engines!(with_json_every_command_prints_exactly_one_document, |db| {
    let yard = Yard::applied(db, 12, 3).await;
    yard.simulator.account("4711").make_bad(ObjectKind::Contacts, 3, Bad::PhoneGarbage);
    let declaration = yard.home.path().join("declaration.yaml").display().to_string();
    let commands: &[(&[&str], i32)] = &[
        (&["migrate", "--check"], 0),
        (&["migrate", "--print"], 0),
        (&["migrate"], 0),
        (&["apply", "-f", &declaration], 0),
        (&["apply", "-f", &declaration, "--dry-run"], 0),
        (&["export"], 0),
        (&["provider", "list"], 0),
        (&["provider", "show", "hubspot"], 0),
        (&["connection", "list"], 0),
        (&["connection", "show", "acme-hubspot"], 0),
        (&["connection", "check", "acme-hubspot"], 0),
        (&["connection", "preview", "acme-hubspot", "--count", "2"], 0),
        (&["connection", "test-batch", "acme-hubspot", "--count", "2"], 0),
        (&["run-once", "--connection", "acme-hubspot"], 3),
        (&["run-once"], 3),
        (&["run-once", "--due"], 0),
        (&["runs", "list"], 0),
        (&["runs", "show", "1"], 0),
        (&["jobs", "list"], 0),
        (&["errors", "list"], 0),
        (&["errors", "list", "--group"], 0),
        (&["runs", "void", "1", "--reason", "x", "--dry-run"], 0),
        (&["errors", "show", "1"], 0),
        (&["errors", "retry", "--all"], 3),
        (&["normalize", "--connection", "acme-hubspot"], 3),
        (&["normalize", "--connection", "acme-hubspot", "--replay"], 3),
        (&["errors", "discard", "1", "--reason", "x"], 0),
        (&["errors", "retry", "--all"], 0),
        (&["jobs", "pause", "--connection", "acme-hubspot", "--stream", "deals", "--reason", "x"], 0),
        (&["jobs", "resume", "--connection", "acme-hubspot", "--stream", "deals", "--reason", "x"], 0),
        (&["jobs", "reset-cursor", "--connection", "acme-hubspot", "--stream", "deals", "--reason", "x"], 0),
        (&["connection", "pause", "acme-hubspot", "--reason", "x"], 0),
        (&["connection", "resume", "acme-hubspot"], 0),
        (&["connection", "activate", "acme-hubspot"], 0),
        (&["launch", "status"], 0),
        (&["launch", "status", "--connection", "acme-hubspot"], 0),
        (&["launch", "evidence", "rollback_owner", "--kind", "document", "--evidence", "in the handbook"], 0),
        (&["launch", "sign", "rollback_owner", "--owner", "Ada"], 0),
        (&["connection", "revoke", "bright-hubspot", "--reason", "x"], 0),
        (&["healthcheck"], 0),
        (&["validate"], 0),
        (&["validate", &declaration], 0),
    ];
    for (args, code) in commands {
        let done = yard.home.run(&[args, &["--json"][..]].concat()).await;
        assert_eq!(done.code(), Some(*code), "{}\n{done}", args.join(" "));
        let document = done.json();
        assert!(document.is_object() || document.is_array(), "{}\n{done}", args.join(" "));
        assert!(done.stdout.ends_with('\n'), "{}\n{done}", args.join(" "));
    }
    yard.end().await;
});

#[tokio::test]
async fn without_json_every_command_answers_on_standard_output_also_when_there_is_nothing() {
    let database = TestDatabase::sqlite().await;
    let yard = Yard::new(&database, 0, 0).await;
    for args in [
        &["runs", "list"][..],
        &["jobs", "list"],
        &["errors", "list"],
        &["errors", "list", "--group"],
        &["connection", "list"],
        &["run-once"],
        &["errors", "retry", "--all"],
    ] {
        let done = yard.home.run_ok(args).await;
        assert!(!done.stdout.trim().is_empty(), "{}\n{done}", args.join(" "));
    }
    yard.end().await;
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_error() {
    let home = Home::new();
    // The pipe's other end is closed before a line is written.
    for command in ["migrate --print", "--help", "help connection", "completions bash", "provider list", "validate"] {
        let script = format!("'{}' {command} 2>err | true; echo ${{PIPESTATUS[0]}}", env!("CARGO_BIN_EXE_tidegate"));
        let done = home.start_program(Path::new("bash"), &["-c", &script]).wait(PATIENCE).await;
        let err = std::fs::read_to_string(home.path().join("err")).unwrap();
        assert!(!err.contains("panicked") && !err.contains("Broken pipe"), "{command}: {err}\n{done}");
        assert_ne!(done.stdout.trim(), "101", "{command}: {err}");
    }
}

/// Each command with its long help, in one file: what people read when they read nothing else.
#[tokio::test]
async fn the_help_of_all_commands_reads_well() {
    let home = Home::new();
    let bare = home.run(&[]).await;
    assert_eq!(bare.code(), Some(2), "{bare}");
    assert!(bare.stderr.contains("Usage: tidegate") && bare.stderr.contains("run-once"), "{bare}");
    let mut text = String::new();
    let mut waiting: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(path) = waiting.pop() {
        let args: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let help = home.run_ok(&args).await.stdout;
        let under = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        let mut names: Vec<String> = under
            .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
            .filter_map(|line| line.split_whitespace().next())
            .filter(|name| *name != "help")
            .map(str::to_owned)
            .collect();
        for line in help.lines() {
            assert!(line.chars().count() <= 110, "too long: {line}");
        }
        let about = help.lines().next().unwrap_or_default();
        assert!(!about.is_empty() && !about.starts_with("Usage:"), "{path:?} does not say what it is for:\n{help}");
        names.reverse();
        waiting.extend(names.into_iter().map(|name| [path.clone(), vec![name]].concat()));
        text.push_str(&format!("$ tidegate {}\n{help}\n", args.join(" ")));
    }
    assert!(text.matches("$ tidegate").count() > 25);
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn the_demo_makes_its_own_database_anew_and_nobody_elses() {
    let home = Home::new();
    home.write("mine/tidegate.db", "somebody's");
    let refused = home.run(&["demo", "--dir", "mine"]).await;
    assert_eq!(refused.code(), Some(2), "{refused}");
    assert!(refused.stderr.contains("mine/tidegate.db") && refused.stderr.contains("--dir"), "{refused}");
    assert_eq!(std::fs::read_to_string(home.path().join("mine/tidegate.db")).unwrap(), "somebody's");
    assert!(!home.path().join("mine/declaration.yaml").exists());
}

#[tokio::test]
async fn the_demo_ends_well_in_a_folder_of_its_own_and_what_it_points_to_is_there() {
    let home = Home::new();
    let demo = home.start(&["demo"]).wait(Duration::from_secs(120)).await;
    assert_eq!(demo.code(), Some(0), "{demo}");
    assert!(!demo.stdout.contains("DISAGREES") && !demo.stdout.contains("DOES NOT ADD UP"), "{demo}");
    let pointed: Vec<&str> = demo.stdout.lines().filter_map(|line| line.trim().strip_prefix("tidegate ")).collect();
    assert!(pointed.len() >= 3, "{demo}");
    // Each gate refuses first, and the card comes at the end: with the client's label, without the provider's name.
    let at = |part: &str| demo.stdout.find(part).unwrap_or_else(|| panic!("'{part}' is not told\n{demo}"));
    let order = [
        "acme-hubspot may not go live; ",
        "still missing: 0",
        "acme-hubspot is live",
        "lead_volume is held: check dead_letter_budget",
        "cards in Acme's portal: 0",
        "open dead letters now: 0",
        "New leads ",
        "Cards of Bright, whose connection is a sandbox: 0",
    ];
    assert!(order.map(at).is_sorted(), "{demo}");
    let card = demo.stdout.lines().find(|line| line.contains("New leads ")).expect("a card");
    assert!(card.contains(" CRM ") && card.contains("improved"), "{card}");
    assert!(!card.to_lowercase().contains("hubspot"), "{card}");
    for command in pointed {
        let args: Vec<&str> = command.split_whitespace().collect();
        home.run_ok(&args).await;
    }
    let story = demo.stdout.lines().find_map(|line| line.split_once("tidegate runs show ")).expect("a run's story").1;
    let id = story.trim_end_matches(')');
    assert!(demo.stdout.contains(&format!("run {id}  ")), "run {id} is announced, another is shown\n{demo}");
}
