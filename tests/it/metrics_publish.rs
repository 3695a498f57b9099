//! The gate between numbers and clients: what it holds, what stays, and what the portal shows.

use rust_decimal::Decimal;
use tidegate::{
    domain::{
        gate::Verdict,
        status::{ConnectionStatus, ReportStatus},
    },
    metrics::{BaselineOutcome, Outcome},
};

use crate::{
    metrics_ground::{Scene, definitions, feeds, finding, passed},
    store_ground::{connection, job_spec},
};

const LEADS: &[&str] = &["lead_volume"];

/// `lead_volume` with other lines.
fn leads(more: &str) -> String {
    format!(
        "metrics:\n  - key: lead_volume\n    title: New leads\n    meaning: How many people asked for work.\n    unit: leads\n    \
         direction: higher_is_better\n    source: crm_leads\n    aggregation: count\n    time_column: received_at\n    {more}\n"
    )
}

/// October is complete, with so many leads, and September's one lead is the baseline.
async fn october(scene: &Scene<'_>, count: usize) {
    scene.complete().await;
    scene.lead("september", "2026-09-10T00:00:00Z").await;
    for index in 0..count {
        scene.lead(&format!("october {index}"), "2026-10-10T00:00:00Z").await;
    }
}

async fn baseline(scene: &Scene<'_>, period: &str) {
    let (entry, window) = (scene.entry("lead_volume").await, scene.window("lead_volume", period));
    let act = scene.act("metric.baseline");
    let outcome = scene.desk().set_baseline(&entry, &window, &scene.verdicts().await, &act).await.unwrap();
    assert!(matches!(outcome, BaselineOutcome::Added { .. }), "{outcome:?}");
}

on_both_engines!(a_checked_number_reaches_the_client_with_all_that_a_card_says, |db| {
    let scene = Scene::new(db, "", LEADS).await;
    october(&scene, 3).await;
    let first = scene.publish_one().await.unwrap();
    assert_eq!((first.outcome.clone(), first.report.status), (Outcome::Published, ReportStatus::NoBaseline));
    baseline(&scene, "2026-09").await;
    let second = scene.publish_one().await.unwrap();
    assert_eq!(second.report.status, ReportStatus::Improved);
    let cards = scene.store().portal_cards("acme").await.unwrap();
    assert_eq!(cards.len(), 1);
    let card = &cards[0];
    assert_eq!((card.title.as_str(), card.source.as_str(), card.unit.as_str()), ("New leads", "CRM", "leads"));
    assert_eq!(card.period.as_deref(), Some("2026-10-01 to 2026-10-31"));
    assert_eq!((card.baseline, card.current), (Some(Decimal::ONE), Some(Decimal::from(3))));
    assert_eq!(card.status.as_deref(), Some("improved"));
    assert!(card.next_action.as_deref().unwrap().starts_with("Keep the present channels"));
    assert_eq!((&card.note, card.updated_at), (&None, scene.clock_now()));
    assert_eq!(second.report.confidence, Some(100));
    assert_eq!(scene.store().portal_cards("bolt").await.unwrap(), []);
});

on_both_engines!(p5_publishing_unchanged_numbers_again_changes_nothing, |db| {
    let scene = Scene::new(db, "", LEADS).await;
    october(&scene, 3).await;
    baseline(&scene, "2026-09").await;
    scene.publish_one().await.unwrap();
    let before = db.sql.rows("select * from report_metrics").await;
    scene.clock.set("2026-11-09T00:00:00Z");
    assert_eq!(scene.publish_one().await.unwrap().outcome, Outcome::Unchanged);
    assert_eq!(db.sql.rows("select * from report_metrics").await, before);
    // Held and let through again: the card keeps the date of what it shows.
    let cards = scene.cards().await;
    scene.ran("partial", "2026-11-09T00:00:00Z").await;
    scene.publish_one().await.unwrap_err();
    scene.ran("succeeded", "2026-11-10T00:00:00Z").await;
    scene.publish_one().await.unwrap();
    assert_eq!(scene.cards().await, cards);
    assert_eq!(scene.held_reason("lead_volume").await, "");
});

on_both_engines!(p17_whatever_holds_a_number_leaves_yesterdays_card_byte_for_byte, |db| {
    let mut scene = Scene::new(db, "", LEADS).await;
    october(&scene, 3).await;
    baseline(&scene, "2026-09").await;
    scene.publish_one().await.unwrap();
    let cards = scene.cards().await;
    assert_eq!(cards.len(), 1);
    // What would have moved the card, had the gate let it through.
    scene.lead("late", "2026-10-12T00:00:00Z").await;
    let held = |verdict: Verdict| verdict;
    for (check, verdict) in [
        ("freshness", held(Verdict { holds: vec![finding("freshness", "")], ..passed() })),
        ("dead_letters", held(Verdict { holds: vec![finding("dead_letters", "")], ..passed() })),
        ("account_isolation", held(Verdict { holds: vec![finding("account_isolation", "")], ..passed() })),
        ("never checked", held(Verdict::default())),
    ] {
        scene.verdict = verdict;
        let reasons = scene.publish_one().await.unwrap_err();
        assert!(reasons.iter().any(|reason| reason.contains(check)), "{check}: {reasons:?}");
        assert_eq!(scene.cards().await, cards, "{check}");
        assert_eq!(scene.held_reason("lead_volume").await, reasons.join("; "));
    }
    scene.verdict = passed();
    for status in ["partial", "failed", "abandoned"] {
        scene.ran(status, "2026-11-04T00:00:00Z").await;
        let reasons = scene.publish_one().await.unwrap_err();
        assert!(reasons[0].contains(&format!("ended {status}")), "{reasons:?}");
        assert_eq!(scene.cards().await, cards, "{status}");
    }
    scene.ran("succeeded", "2026-11-04T12:00:00Z").await;
    // A month later nothing was read since: October's number stays.
    scene.clock.set("2026-12-02T00:00:00Z");
    let reasons = scene.publish_one().await.unwrap_err();
    assert!(reasons[0].contains("before the period ended"), "{reasons:?}");
    assert_eq!(scene.cards().await, cards);
    let report = scene.store().report(scene.acme.id, "lead_volume", "CRM").await.unwrap().unwrap();
    assert_eq!((report.status, report.published_status), (ReportStatus::Held, Some(ReportStatus::Improved)));
    // And moves when everything is well again.
    scene.clock.set("2026-11-05T00:00:00Z");
    assert_eq!(scene.publish_one().await.unwrap().outcome, Outcome::Published);
    assert_ne!(scene.cards().await, cards);
});

on_both_engines!(p17_a_baseline_of_another_kind_holds_the_number_and_says_what_differs, |db| {
    let mut scene = Scene::new(db, "", LEADS).await;
    october(&scene, 3).await;
    baseline(&scene, "2026-09").await;
    scene.publish_one().await.unwrap();
    let cards = scene.cards().await;
    for (more, differs) in [
        ("period: month\n    zone: America/New_York", "definition"),
        ("period: week", "period (week against month), definition"),
        ("period: month\n    filter: [{ column: stage, is_not: spam }]", "definition"),
    ] {
        scene.definitions = definitions(&leads(more));
        scene.feeds = feeds(&mut scene.definitions, LEADS);
        let reasons = scene.publish_one().await.unwrap_err();
        assert!(reasons[0].contains(&format!("differs in {differs};")), "{reasons:?}");
        assert_eq!(scene.cards().await, cards);
    }
    // Other words are no other number.
    scene.definitions = definitions(&leads("period: month"));
    scene.feeds = feeds(&mut scene.definitions, LEADS);
    assert_eq!(scene.publish_one().await.unwrap().outcome, Outcome::Published);
});

on_both_engines!(p18_no_text_with_a_providers_name_or_an_address_reaches_a_client, |db| {
    let mut scene = Scene::new(db, "", LEADS).await;
    october(&scene, 3).await;
    scene.verdict = Verdict { warnings: vec![finding("coverage", "Ask ada@example.test about it.")], ..passed() };
    let reasons = scene.publish_one().await.unwrap_err();
    assert!(reasons[0].starts_with("the caveat would show a client an e-mail address"), "{reasons:?}");
    scene.verdict = passed();
    for title in ["Leads of HubSpot", "Leads, hubspot's own"] {
        let text = leads("period: month").replace("title: New leads", &format!("title: \"{title}\""));
        scene.definitions = definitions(&text);
        scene.feeds = feeds(&mut scene.definitions, LEADS);
        let reasons = scene.publish_one().await.unwrap_err();
        assert!(reasons[0].starts_with("the title would show a client a provider's name"), "{reasons:?}");
    }
    db.sql
        .ok("update integration_connections set source_label = 'HubSpot' where connection_key = 'acme-hubspot'")
        .await;
    scene.definitions = definitions("");
    scene.feeds = feeds(&mut scene.definitions, LEADS);
    let all = scene.publish().await;
    assert!(all.iter().all(|one| matches!(one.outcome, Outcome::Held(_))), "{all:?}");
    assert_eq!(scene.cards().await, Vec::<Vec<Option<String>>>::new());
});

on_both_engines!(warnings_publish_with_less_confidence_and_a_written_caveat, |db| {
    let mut scene = Scene::new(db, "", LEADS).await;
    october(&scene, 3).await;
    let safe = "One source reported less than usual.";
    scene.verdict = Verdict { warnings: vec![finding("volume", safe), finding("coverage", safe)], ..passed() };
    let published = scene.publish_one().await.unwrap();
    assert_eq!(published.report.confidence, Some(70));
    let note = published.report.client_note.unwrap();
    assert!(note.contains("still being reviewed") && note.matches(safe).count() == 1, "{note}");
});

on_both_engines!(p16_two_connections_under_one_label_are_never_one_number, |db| {
    let scene = Scene::new(db, "", LEADS).await;
    october(&scene, 3).await;
    scene.publish_one().await.unwrap();
    let cards = scene.cards().await;
    let second = connection("acme-second", "acme");
    let jobs = vec![(job_spec("acme-second", "contacts"), None)];
    let declaration = tidegate::store::catalogue::Declaration { connections: vec![second], jobs, ..Default::default() };
    scene.store().declare(&declaration).await.unwrap();
    // Both are drafts; one that runs takes the label for itself.
    let status = async |key: &str, status| {
        let act = scene.act("connection.status");
        scene.store().set_connection_status(key, status, None, &act).await.unwrap();
    };
    status("acme-hubspot", ConnectionStatus::Connected).await;
    scene.publish_one().await.unwrap();
    status("acme-second", ConnectionStatus::Connected).await;
    let reasons = scene.publish_one().await.unwrap_err();
    assert!(reasons[0].contains("acme-hubspot and acme-second feed the same metric"), "{reasons:?}");
    assert_eq!(scene.cards().await, cards);
    let window = scene.window("lead_volume", "2026-10");
    let act = scene.act("metric.baseline");
    let refused = scene
        .desk()
        .set_baseline(&scene.entry("lead_volume").await, &window, &scene.verdicts().await, &act)
        .await
        .unwrap();
    assert!(matches!(refused, BaselineOutcome::Refused(_)), "{refused:?}");
    status("acme-second", ConnectionStatus::Revoked).await;
    scene.publish_one().await.unwrap();
    // A card whose connection is gone stays, and says why it is old.
    status("acme-hubspot", ConnectionStatus::Revoked).await;
    let reasons = scene.publish_one().await.unwrap_err();
    assert!(reasons[0].contains("no connection feeds lead_volume under 'CRM' any more"), "{reasons:?}");
    assert_eq!(scene.cards().await, cards);
});

on_both_engines!(a_number_waits_for_a_person_where_its_metric_asks_for_one, |db| {
    for (rule, again) in [("first", false), ("each", true)] {
        let scene = Scene::new(db, &leads(&format!("period: month\n    approval: {rule}")), LEADS).await;
        if rule == "first" {
            october(&scene, 3).await;
        } else {
            db.sql.ok("delete from report_metrics").await;
        }
        let approve = async || {
            let act = scene.act("metric.approve");
            scene.desk().approve(&scene.entry("lead_volume").await, &scene.verdicts().await, &act).await.unwrap()
        };
        let reasons = scene.publish_one().await.unwrap_err();
        assert!(reasons[0].starts_with("waits for approval: tidegate metrics approve --client acme"), "{reasons:?}");
        assert_eq!(scene.cards().await.len(), 0);
        // Another number than the one that was looked at is not approved with it.
        scene.lead(&format!("late {rule}"), "2026-10-12T00:00:00Z").await;
        let changed = approve().await;
        assert!(
            matches!(&changed.outcome, Outcome::Held(reasons) if reasons[0].contains("has changed")),
            "{changed:?}"
        );
        assert_eq!(scene.cards().await.len(), 0);
        let approved = approve().await;
        assert_eq!((approved.outcome, approved.report.approved_by.as_deref()), (Outcome::Published, Some("ada")));
        assert_eq!(scene.cards().await.len(), 1);
        assert_eq!(scene.publish_one().await.unwrap().outcome, Outcome::Unchanged);
        // The next number.
        let cards = scene.cards().await;
        scene.lead(&format!("later {rule}"), "2026-10-13T00:00:00Z").await;
        assert_eq!(scene.publish_one().await.is_err(), again);
        assert_eq!(scene.cards().await == cards, again);
        let nothing = approve().await;
        assert_eq!(matches!(nothing.outcome, Outcome::Published), again, "{nothing:?}");
    }
    assert_eq!(db.sql.number("select count(*) from event_admin_actions where action = 'metric.approve'").await, 3);
});

on_both_engines!(p17_an_approval_does_not_pass_a_gate_that_says_no, |db| {
    let mut scene = Scene::new(db, &leads("period: month\n    approval: each"), LEADS).await;
    october(&scene, 3).await;
    scene.publish_one().await.unwrap_err();
    scene.verdict = Verdict { holds: vec![finding("payload_leak", "")], ..passed() };
    let act = scene.act("metric.approve");
    let entry = scene.entry("lead_volume").await;
    let held = scene.desk().approve(&entry, &scene.verdicts().await, &act).await.unwrap();
    assert!(matches!(&held.outcome, Outcome::Held(reasons) if reasons[0].contains("payload_leak")), "{held:?}");
    assert_eq!(scene.cards().await.len(), 0);
    assert_eq!(db.sql.number("select count(*) from event_admin_actions where action = 'metric.approve'").await, 0);
    scene.verdict = passed();
    let passed = scene.desk().approve(&entry, &scene.verdicts().await, &act).await.unwrap();
    assert_eq!(passed.outcome, Outcome::Published);
});

on_both_engines!(the_view_shows_published_cards_of_active_clients_and_nothing_internal, |db| {
    let scene = Scene::new(db, "", LEADS).await;
    october(&scene, 3).await;
    scene.ran("partial", "2026-11-02T00:00:00Z").await;
    scene.publish_one().await.unwrap_err();
    assert_eq!(scene.cards().await.len(), 0, "what was only held is no card");
    scene.ran("succeeded", "2026-11-03T00:00:00Z").await;
    scene.publish_one().await.unwrap();
    let columns = if db.is_mysql() {
        "select column_name from information_schema.columns where table_schema = database() and table_name = 'portal_cards' \
         order by ordinal_position"
    } else {
        "select name from pragma_table_info('portal_cards')"
    };
    let columns: Vec<String> = db.sql.rows(columns).await.into_iter().filter_map(|row| row[0].clone()).collect();
    let promised = "client_key title source period unit baseline current status next_action note updated_at";
    assert_eq!(columns.join(" "), promised);
    db.sql.ok("update core_clients set status = 'archived'").await;
    assert_eq!(scene.cards().await.len(), 0);
});

on_both_engines!(p15_a_row_that_names_another_clients_connection_or_snapshot_is_refused, |db| {
    let scene = Scene::new(db, "", LEADS).await;
    october(&scene, 3).await;
    let report = scene.publish_one().await.unwrap().report;
    let bolt = scene.connection("bolt-hubspot").await;
    let crossed = tidegate::store::reports::Report { connection_id: bolt.id, ..report.clone() };
    assert!(scene.store().write_report(Some(&report), &crossed, None).await.is_err());
    let stolen =
        tidegate::store::reports::Report { client_id: bolt.client_id, connection_id: bolt.id, ..report.clone() };
    assert!(scene.store().write_report(None, &stolen, None).await.is_err(), "the snapshot is acme's");
    // Somebody else was faster: nothing is written over it.
    let mine = tidegate::store::reports::Report { title: "Mine".to_owned(), ..report.clone() };
    assert!(!scene.store().write_report(None, &mine, None).await.unwrap());
    assert!(!scene.store().write_report(Some(&mine), &report, None).await.unwrap());
    assert_eq!(scene.store().report(scene.acme.id, "lead_volume", "CRM").await.unwrap(), Some(report));
    assert_eq!(scene.store().reports(bolt.client_id).await.unwrap(), []);
});

/// A server on which this user may make no users: the fact is then shown elsewhere (the suite's own server lets it).
fn not_tried(error: &sqlx::Error) {
    assert!(error.to_string().to_lowercase().contains("denied"), "{error}");
    eprintln!("NOT TRIED, this server's user may not grant: {error}");
}

/// A portal's own account: it may read the view and nothing that the view stands on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p15_a_portal_account_of_mysql_reads_the_cards_and_nothing_else() {
    use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, mysql::MySqlConnectOptions};
    async fn test(db: &crate::support::databases::TestDatabase) {
        let scene = Scene::new(db, "", LEADS).await;
        october(&scene, 3).await;
        scene.publish_one().await.unwrap();
        let options: MySqlConnectOptions = db.url().parse().expect("a MySQL URL");
        let schema = options.get_database().expect("a schema").to_owned();
        let user = format!("p_{}", &uuid::Uuid::new_v4().simple().to_string()[..20]);
        let password = uuid::Uuid::new_v4().to_string();
        if let Err(error) = db.sql.run(&format!("create user '{user}'@'%' identified by '{password}'")).await {
            not_tried(&error);
            return;
        }
        let granted = db.sql.run(&format!("grant select on {schema}.portal_cards to '{user}'@'%'")).await;
        let seen = async {
            granted?;
            let mut portal = options.username(&user).password(&password).connect().await?;
            let cards = portal.fetch_all("select client_key from portal_cards").await?.len();
            let mut refused = Vec::new();
            for table in ["report_metrics", "metric_snapshots", "core_clients", "crm_leads", "integration_raw_events"] {
                refused.push(portal.execute(AssertSqlSafe(format!("select 1 from {table}"))).await.is_err());
            }
            refused.push(portal.execute("update portal_cards set title = 'x'").await.is_err());
            portal.close().await?;
            Ok::<_, sqlx::Error>((cards, refused))
        }
        .await;
        db.sql.ok(&format!("drop user '{user}'@'%'")).await;
        match seen {
            Ok(seen) => assert_eq!(seen, (1, vec![true; 6])),
            Err(error) => not_tried(&error),
        }
    }
    crate::support::databases::TestDatabase::mysql().await.run(test).await;
}
