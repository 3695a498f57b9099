//! Dead letters as a work queue, end to end: the real program, a real provider over HTTP, real refusals of the database.

use serde_json::Value;
use tidegate::simulator::{Bad, Fault, FaultKind, ObjectKind};

use crate::support::{
    daemon::{PATIENCE, eventually},
    yard::Yard,
};

/// How many fail for each of three reasons; 37 in all.
const REASONS: [(Bad, u64); 3] = [(Bad::UnknownLifecycle, 20), (Bad::NoEmailShape, 10), (Bad::PhoneGarbage, 7)];

/// A thousand contacts, 37 of which the map cannot read, pulled once.
async fn thousand_with_37_bad<'d>(db: &'d crate::support::databases::TestDatabase) -> Yard<'d> {
    let yard = Yard::applied(db, 1000, 0).await;
    let account = yard.simulator.account("4711");
    let mut next = 100;
    for (bad, count) in REASONS {
        for id in next..next + count {
            assert!(account.make_bad(ObjectKind::Contacts, id, bad));
        }
        next += 100;
    }
    let done = yard.run_acme().await;
    assert_eq!(done.code(), Some(3), "{done}");
    let run = yard.newest_run().await;
    assert_eq!((&run["records_created"], &run["records_failed"]), (&963.into(), &37.into()), "{run}");
    yard
}

/// The map that can read all of them, under a new version.
fn mend(yard: &Yard<'_>) {
    let map = yard.home.path().join("connectors/hubspot/mappings/contacts.yaml");
    let mut text = std::fs::read_to_string(&map).unwrap();
    for (from, to) in [
        ("version: \"1\"", "version: \"2\""),
        ("      lead: lead\n", "      galactic_ambassador: lead\n      lead: lead\n"),
        ("type: email,", "type: text,"),
        (
            "type: phone, from: [properties.phone, properties.mobilephone], default_region: US",
            "type: text, from: properties.phone",
        ),
    ] {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    std::fs::write(&map, text).unwrap();
}

async fn with_status(yard: &Yard<'_>, status: &str) -> i64 {
    yard.number(&format!("select count(*) from integration_sync_errors where status = '{status}'")).await
}

on_both_engines!(p5_thirty_seven_of_a_thousand_fail_for_three_reasons_and_a_mended_map_resolves_them_once, |db| {
    let yard = thousand_with_37_bad(db).await;
    let groups = yard.home.run_ok(&["errors", "list", "--group", "--json"]).await.json();
    let groups = groups.as_array().unwrap();
    let told: Vec<(&Value, &Value)> = groups.iter().map(|group| (&group["count"], &group["connections"])).collect();
    let acme = Value::from(vec!["acme-hubspot"]);
    assert_eq!(told, [(&20.into(), &acme), (&10.into(), &acme), (&7.into(), &acme)], "{groups:?}");
    for group in groups {
        assert!(
            group["retry"].as_str().is_some_and(|text| text.starts_with("tidegate errors retry --group ")),
            "{group}"
        );
        assert!(
            !group["remedy"].as_str().unwrap().is_empty() && !group["example"].as_str().unwrap().is_empty(),
            "{group}"
        );
    }
    // Again by the same map: the same groups of the same letters, whichever run saw them.
    let fingerprint = groups[2]["fingerprint"].as_str().unwrap();
    let same = yard.home.run(&["errors", "retry", "--group", fingerprint, "--json"]).await;
    assert_eq!((same.code(), &same.json()["runs"][0]["records_failed"]), (Some(3), &7.into()), "{same}");
    let again = yard.home.run_ok(&["errors", "list", "--group", "--json"]).await.json();
    assert_eq!(
        again.as_array().unwrap().iter().map(|group| group["count"].as_i64()).collect::<Vec<_>>(),
        [Some(20), Some(10), Some(7)]
    );

    // Of a payload only the shape is told, with the field that failed.
    let example = groups[1]["example_id"].to_string();
    let shown = yard.home.run_ok(&["errors", "show", &example]).await;
    assert!(shown.stdout.lines().any(|line| line.contains("properties.email") && line.contains("failed")), "{shown}");
    let json = yard.home.run_ok(&["errors", "show", &example, "--json"]).await;
    let payload = json.json()["payload"].as_array().cloned().unwrap();
    assert!(payload.iter().any(|line| line["path"] == "properties.email" && line["failing"] == true), "{json}");
    assert!(!shown.stdout.contains("call me instead") && !json.stdout.contains("call me instead"), "{shown}");

    mend(&yard);
    let replayed = yard.home.run_ok(&["errors", "retry", "--all", "--json"]).await.json();
    assert_eq!(replayed["runs"][0]["records_created"], 37, "{replayed}");
    assert_eq!((with_status(&yard, "resolved").await, with_status(&yard, "open").await), (37, 0));
    assert_eq!(yard.number("select count(*) from crm_leads").await, 1000);
    let origin = yard.newest_run().await;
    assert_eq!((&origin["origin"], &origin["mapping_version"]), (&"replay".into(), &"2".into()), "{origin}");

    let runs = yard.number("select count(*) from integration_sync_runs").await;
    let nothing = yard.home.run_ok(&["errors", "retry", "--since", "30d"]).await;
    assert!(nothing.stdout.contains("nothing open to retry"), "{nothing}");
    let closed = yard.home.run(&["errors", "discard", &example, "--reason", "x"]).await;
    assert_eq!(closed.code(), Some(2), "{closed}");
    assert!(closed.stderr.contains(&format!("dead letter {example} is resolved already")), "{closed}");
    assert_eq!(yard.number("select count(*) from integration_sync_runs").await, runs);
    assert_eq!((yard.number("select count(*) from crm_leads").await, with_status(&yard, "resolved").await), (1000, 37));
    for act in ["dead_letter.retry", "dead_letter.release"] {
        let acts = yard.number(&format!("select count(*) from event_admin_actions where action = '{act}'")).await;
        assert!(acts > 0, "{act}");
    }
    yard.assert_settled().await;
    yard.end().await;
});

on_both_engines!(p5_a_mended_map_resolves_its_dead_letters_by_itself_with_run_once, |db| {
    let yard = thousand_with_37_bad(db).await;
    // Nothing is due, and the map is the one that made them: nothing is tried.
    yard.home.run(&["run-once"]).await;
    let runs = yard.number("select count(*) from integration_sync_runs where origin = 'replay'").await;
    assert_eq!((runs, with_status(&yard, "open").await), (0, 37));
    mend(&yard);
    // A paused connection waits.
    yard.home.run_ok(&["connection", "pause", "acme-hubspot", "--reason", "x"]).await;
    yard.home.run_ok(&["run-once"]).await;
    assert_eq!(with_status(&yard, "retry_scheduled").await, 37);
    yard.home.run_ok(&["connection", "resume", "acme-hubspot"]).await;
    yard.home.run_ok(&["run-once"]).await;
    assert_eq!(with_status(&yard, "resolved").await, 37);
    assert_eq!(
        yard.number(
            "select count(*) from crm_leads l join core_clients c on c.id = l.client_id where c.client_key = 'acme'"
        )
        .await,
        1000
    );
    assert_eq!(yard.number("select count(*) from integration_sync_runs where origin = 'replay'").await, 1);
    yard.home.run_ok(&["run-once"]).await;
    assert_eq!(yard.number("select count(*) from integration_sync_runs where origin = 'replay'").await, 1);
    yard.assert_settled().await;
    yard.end().await;
});

on_both_engines!(p5_a_mended_map_resolves_its_dead_letters_by_itself_in_the_daemon, |db| {
    let yard = thousand_with_37_bad(db).await;
    // What is due is done, so that no pull brings them again.
    yard.home.run(&["run-once"]).await;
    mend(&yard);
    let daemon = yard.home.start(&["run"]);
    eventually("the dead letters are resolved", async || (with_status(&yard, "resolved").await == 37).then_some(()))
        .await;
    let replays = yard.number("select count(*) from integration_sync_runs where origin = 'replay'").await;
    assert_eq!(replays, 1, "one replay of one job");
    daemon.terminate();
    daemon.wait(PATIENCE).await;
    assert_eq!(
        yard.number(
            "select count(*) from crm_leads l join core_clients c on c.id = l.client_id where c.client_key = 'acme'"
        )
        .await,
        1000
    );
    yard.assert_settled().await;
    yard.end().await;
});

on_both_engines!(p12_a_page_that_cannot_be_read_is_one_dead_letter_and_is_fetched_again, |db| {
    let yard = Yard::applied(db, 800, 0).await;
    yard.simulator.fault(Fault::on(3, FaultKind::NotJson).path("search").times(200));
    for _ in 0..2 {
        let done = yard.run_acme().await;
        assert!([Some(3), Some(4)].contains(&done.code()), "{done}");
        let run = yard.newest_run().await;
        assert_eq!((&run["error_code"], &run["records_failed"]), (&"page_unreadable".into(), &0.into()), "{run}");
    }
    let letters = yard.home.run_ok(&["errors", "list", "--json"]).await.json();
    assert_eq!(letters.as_array().map(Vec::len), Some(1), "one place, one letter: {letters}");
    let letter = &letters[0];
    assert_eq!(
        (&letter["stage"], &letter["raw_event_id"], &letter["attempts"]),
        (&"decode".into(), &Value::Null, &2.into())
    );
    assert!(letter["external_id"].as_str().is_some_and(|place| place.contains("page")), "{letter}");
    assert!(!letter["remedy"].as_str().unwrap().is_empty(), "{letter}");
    yard.home.run_ok(&["errors", "show", &letter["id"].to_string()]).await;
    yard.assert_settled().await;

    yard.simulator.clear_faults();
    let retried = yard.home.run_ok(&["errors", "retry", &letter["id"].to_string(), "--json"]).await.json();
    assert_eq!(retried["runs"][0]["status"], "succeeded", "{retried}");
    assert_eq!(yard.number("select count(*) from crm_leads").await, 800);
    assert_eq!((with_status(&yard, "resolved").await, with_status(&yard, "open").await), (1, 0));
    yard.assert_settled().await;
    yard.end().await;
});

on_both_engines!(p12_a_row_that_the_database_refuses_is_a_dead_letter_and_its_page_goes_through, |db| {
    let yard = Yard::applied(db, 300, 0).await;
    yard.home.run_ok(&["connection", "test-batch", "acme-hubspot", "--count", "1"]).await;
    let ids = "select external_id from crm_leads";
    let known = db.sql.rows(ids).await[0][0].clone().unwrap();
    // The database itself refuses the rows whose id ends so; SQLite, which cannot add a CHECK, all of them but one.
    let ending = known.chars().last().unwrap();
    let rule = if db.is_mysql() {
        format!(
            "alter table crm_leads add constraint ck_crm_leads_odd check (external_id not like '%{ending}' or is_test = 1)"
        )
    } else {
        format!(
            "create unique index ck_crm_leads_odd on crm_leads (substr(external_id, -1)) \
             where substr(external_id, -1) = '{ending}' and is_test = 0"
        )
    };
    db.sql.ok(&rule).await;
    let done = yard.run_acme().await;
    assert_eq!(done.code(), Some(3), "{done}");
    let run = yard.newest_run().await;
    let failed = run["records_failed"].as_i64().unwrap();
    assert!((10..=60).contains(&failed), "{run}");
    assert_eq!(run["records_seen"], 300, "{run}");
    assert_eq!(yard.number("select count(*) from crm_leads where is_test = 0").await, 300 - failed);
    let groups = yard.home.run_ok(&["errors", "list", "--group", "--json"]).await.json();
    assert_eq!((groups.as_array().map(Vec::len), &groups[0]["count"]), (Some(1), &failed.into()), "{groups}");
    assert_eq!((&groups[0]["stage"], &groups[0]["error_code"]), (&"write".into(), &"row_refused".into()), "{groups}");
    assert!(groups[0]["example"].as_str().unwrap().contains("ck_crm_leads_odd"), "{groups}");
    yard.assert_settled().await;

    // Refused again, and then not any more.
    let same = yard.home.run(&["errors", "retry", "--all", "--json"]).await;
    assert_eq!((same.code(), &same.json()["runs"][0]["records_failed"]), (Some(3), &failed.into()), "{same}");
    db.sql
        .ok(if db.is_mysql() {
            "alter table crm_leads drop constraint ck_crm_leads_odd"
        } else {
            "drop index ck_crm_leads_odd"
        })
        .await;
    yard.home.run_ok(&["errors", "retry", "--all"]).await;
    assert_eq!(yard.number("select count(*) from crm_leads where is_test = 0").await, 300);
    assert_eq!(with_status(&yard, "resolved").await, failed);
    yard.assert_settled().await;
    yard.end().await;
});

on_both_engines!(p16_a_run_is_taken_back_and_the_next_good_one_brings_its_records_back, |db| {
    let yard = Yard::applied(db, 20, 0).await;
    assert_eq!(yard.run_acme().await.code(), Some(0));
    let first = yard.newest_run().await["id"].to_string();
    let leads = "select external_id, contact_name, email, phone, market from crm_leads order by external_id";
    let before = db.sql.rows(leads).await;
    yard.simulator.account("4711").edit_contacts([3, 7, 11]);
    assert_eq!(yard.run_acme().await.code(), Some(0));
    let second = yard.newest_run().await["id"].to_string();
    assert_eq!(yard.newest_run().await["records_updated"], 3);
    let after = db.sql.rows(leads).await;

    let plan = yard.home.run_ok(&["runs", "void", &second, "--reason", "wrong", "--dry-run", "--json"]).await.json();
    assert_eq!((&plan["put_back"], &plan["voided"]), (&3.into(), &0.into()), "{plan}");
    // While a run goes on, nothing of it is taken back.
    db.sql.ok(&format!("update integration_sync_runs set status = 'running' where id = {second}")).await;
    assert_eq!(yard.home.run(&["runs", "void", &second, "--reason", "wrong"]).await.code(), Some(5));
    db.sql.ok(&format!("update integration_sync_runs set status = 'succeeded' where id = {second}")).await;

    let done = yard.home.run_ok(&["runs", "void", &second, "--reason", "wrong", "--json"]).await.json();
    assert_eq!(
        (&done["runs"][0]["records_updated"], &done["runs"][0]["status"]),
        (&3.into(), &"succeeded".into()),
        "{done}"
    );
    assert_eq!(db.sql.rows(leads).await, before);
    let again = yard.home.run_ok(&["runs", "void", &second, "--reason", "wrong"]).await;
    assert!(again.stdout.contains("nothing stands"), "{again}");
    let replay = yard.newest_run().await["id"].to_string();
    assert_eq!(yard.home.run(&["runs", "void", &replay, "--reason", "wrong"]).await.code(), Some(2));
    assert_eq!(yard.number("select count(*) from event_admin_actions where action = 'run.void'").await, 1);

    let full = ["run-once", "--connection", "acme-hubspot", "--full"];
    yard.home.run_ok(&full).await;
    assert_eq!(yard.newest_run().await["records_updated"], 3, "the same payload comes again");
    assert_eq!(db.sql.rows(leads).await, after);

    // What the first run created and nobody wrote since leaves the numbers, and a replay does not bring it back.
    yard.home.run_ok(&["runs", "void", &first, "--reason", "wrong"]).await;
    let voided = "select count(*) from crm_leads where voided_at is not null";
    assert_eq!(yard.number(voided).await, 17);
    yard.home.run_ok(&["normalize", "--replay", "--connection", "acme-hubspot"]).await;
    assert_eq!((yard.number(voided).await, yard.number("select count(*) from crm_leads").await), (17, 20));
    yard.home.run_ok(&full).await;
    assert_eq!((yard.newest_run().await["records_updated"].clone(), yard.number(voided).await), (17.into(), 0));
    assert_eq!(db.sql.rows(leads).await, after);
    yard.assert_settled().await;
    yard.end().await;
});
