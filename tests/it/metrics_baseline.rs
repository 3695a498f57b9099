//! Baselines: versions that only a person's act adds, from numbers that are complete, checked and of the same kind.

use rust_decimal::Decimal;
use tidegate::{
    domain::{gate::Verdict, status::SnapshotOrigin},
    metrics::{
        BaselineOutcome,
        baseline::{Declared, refusals},
    },
    store::metrics::{BaselineSet, Snapshot},
};

use crate::metrics_ground::{Scene, finding, passed};

const METRICS: &[&str] = &["lead_volume", "campaign_spend"];

async fn set(scene: &Scene<'_>, metric: &str, period: &str) -> BaselineOutcome {
    let entry = scene.entry(metric).await;
    let window = scene.window(metric, period);
    let act = scene.act("metric.baseline");
    scene.desk().set_baseline(&entry, &window, &scene.verdicts().await, &act).await.unwrap()
}

async fn declare(scene: &Scene<'_>, metric: &str, period: &str, declared: &Declared) -> BaselineOutcome {
    let entry = scene.entry(metric).await;
    let window = scene.window(metric, period);
    scene.desk().declare_baseline(&entry, &window, declared, &scene.act("metric.baseline")).await.unwrap()
}

fn refused(outcome: BaselineOutcome) -> String {
    let BaselineOutcome::Refused(reasons) = outcome else { panic!("not refused: {outcome:?}") };
    reasons.join("\n")
}

on_both_engines!(p17_a_baseline_is_a_version_that_a_person_adds_from_a_complete_and_checked_number, |db| {
    let mut scene = Scene::new(db, "", METRICS).await;
    scene.lead("a", "2026-09-10T00:00:00Z").await;
    let told = refused(set(&scene, "lead_volume", "2026-09").await);
    assert!(told.contains("never read completely"), "{told}");
    scene.complete().await;
    scene.verdict = Verdict { holds: vec![finding("freshness", "")], ..passed() };
    scene.ran("partial", "2026-11-02T00:00:00Z").await;
    let told = refused(set(&scene, "lead_volume", "2026-11").await);
    for part in ["has not ended", "ended partial", "check freshness: freshness was seen"] {
        assert!(told.contains(part), "'{part}' is not told: {told}");
    }
    scene.verdict = Verdict::default();
    scene.ran("succeeded", "2026-11-03T00:00:00Z").await;
    assert_eq!(
        refused(set(&scene, "lead_volume", "2026-09").await),
        "the connection was never checked: tidegate quality run"
    );
    assert_eq!(db.sql.number("select count(*) from metric_baselines").await, 0);
    scene.verdict = passed();
    let BaselineOutcome::Added { version: 1, snapshot } = set(&scene, "lead_volume", "2026-09").await else { panic!() };
    assert_eq!(snapshot.number.value, Some(Decimal::ONE));
    let again = set(&scene, "lead_volume", "2026-09").await;
    assert_eq!(again, BaselineOutcome::Stands { version: 1, snapshot });
    let first = db.sql.rows("select * from metric_baselines").await;
    scene.lead("b", "2026-09-11T00:00:00Z").await;
    assert!(matches!(set(&scene, "lead_volume", "2026-09").await, BaselineOutcome::Added { version: 2, .. }));
    let all = db.sql.rows("select * from metric_baselines order by version").await;
    assert_eq!((all.len(), &all[0]), (2, &first[0]), "a newer version edits no older one");
    let newest = scene.store().baseline(scene.acme.id, "lead_volume", "CRM").await.unwrap().unwrap();
    assert_eq!((newest.version, newest.set_by.as_str(), newest.reason.as_str()), (2, "ada", "a test"));
    assert_eq!(db.sql.number("select count(*) from event_admin_actions where action = 'metric.baseline'").await, 2);
    assert_eq!(scene.store().baselines(scene.acme.id).await.unwrap().len(), 2);
});

on_both_engines!(p17_each_thing_that_makes_a_number_unfit_is_refused_by_itself, |db| {
    let scene = Scene::new(db, "", METRICS).await;
    scene.complete().await;
    scene.lead("a", "2026-10-10T00:00:00Z").await;
    let good = scene.snapshot("lead_volume", "2026-10").await;
    let definition = scene.definitions.get("lead_volume").unwrap();
    let connection = scene.connection("acme-hubspot").await;
    let now = crate::store_ground::at("2026-11-05T00:00:00Z");
    assert_eq!(refusals(definition, &connection, &good, &passed(), now), Vec::<String>::new());
    type Change = fn(&mut Snapshot);
    let changes: [(Change, &str); 9] = [
        (|s| s.number.origin = SnapshotOrigin::Declared, "declared"),
        (|s| s.number.metric_key = "reviews".to_owned(), "one of reviews"),
        (|s| s.number.source_label = "Old CRM".to_owned(), "source 'Old CRM'"),
        (|s| s.number.unit = "calls".to_owned(), "unit is calls"),
        (|s| s.number.currency = Some("USD".to_owned()), "currency is USD"),
        (|s| s.number.definition = "0".repeat(64), "another definition"),
        (|s| s.number.period_kind = "week".parse().unwrap(), "period is a week"),
        (|s| s.number.incomplete_reason = Some("half".to_owned()), "not complete: half"),
        (|s| s.number.value = None, "no value"),
    ];
    for (change, expected) in changes {
        let mut bad = good.clone();
        change(&mut bad);
        let told = refusals(definition, &connection, &bad, &passed(), now);
        assert!(told.len() == 1 && told[0].contains(expected), "{expected}: {told:?}");
    }
    let early = crate::store_ground::at("2026-10-31T00:00:00Z");
    assert_eq!(refusals(definition, &connection, &good, &passed(), early), ["the period has not ended"]);
    let bolt = scene.connection("bolt-hubspot").await;
    assert_eq!(refusals(definition, &bolt, &good, &passed(), now), ["the number is not one of bolt-hubspot"]);
    // The database asks again: what is another client's, or not complete, is no baseline whatever was decided before.
    let act = scene.act("metric.baseline");
    for change in [
        (|s: &mut Snapshot| s.number.metric_key = "reviews".to_owned()) as Change,
        |s| s.number.source_label = "Old".to_owned(),
        |s| s.id.0 += 1000,
    ] {
        let mut bad = good.clone();
        change(&mut bad);
        assert_eq!(scene.store().set_baseline(&bad, "why", &act).await.unwrap(), BaselineSet::NotFit);
    }
    let mut crossed = good.clone();
    (crossed.number.client_id, crossed.number.connection_id) = (bolt.client_id, bolt.id);
    assert_eq!(scene.store().set_baseline(&crossed, "why", &act).await.unwrap(), BaselineSet::NotFit);
    assert_eq!(db.sql.number("select count(*) from metric_baselines").await, 0);
    assert_eq!(db.sql.number("select count(*) from event_admin_actions where action = 'metric.baseline'").await, 0);
});

on_both_engines!(a_number_from_before_the_connection_is_declared_with_evidence, |db| {
    let scene = Scene::new(db, "", METRICS).await;
    let declared = |value: &str, currency: Option<&str>, evidence: &str| Declared {
        value: value.parse().unwrap(),
        currency: currency.map(str::to_owned),
        evidence: evidence.to_owned(),
    };
    let good = declared("41", None, "counted by hand in the September inbox");
    let outcome = declare(&scene, "lead_volume", "2026-09", &good).await;
    let BaselineOutcome::Added { version: 1, snapshot } = outcome else { panic!("{outcome:?}") };
    assert_eq!((snapshot.number.origin, snapshot.number.run_ids.len()), (SnapshotOrigin::Declared, 0));
    let again = declare(&scene, "lead_volume", "2026-09", &good).await;
    assert!(matches!(again, BaselineOutcome::Stands { version: 1, .. }), "{again:?}");
    for (metric, period, number, expected) in [
        ("lead_volume", "2026-11", declared("1", None, "e"), "has not ended"),
        ("lead_volume", "2026-09", declared("1", None, " "), "needs evidence"),
        ("lead_volume", "2026-09", declared("1", Some("USD"), "e"), "not money"),
        ("lead_volume", "2026-09", declared("1.5", None, "e"), "no number of leads"),
        ("lead_volume", "2026-09", declared("-1", None, "e"), "no number of leads"),
        ("campaign_spend", "2026-09", declared("1", None, "e"), "needs its currency"),
        ("campaign_spend", "2026-09", declared("1.00001", Some("USD"), "e"), "does not fit"),
    ] {
        let told = refused(declare(&scene, metric, period, &number).await);
        assert!(told.contains(expected) && !told.contains('\n'), "{expected}: {told}");
    }
    // Without a row or a run of its own it is compared with, once the connector is live.
    scene.complete().await;
    scene.lead("a", "2026-10-10T00:00:00Z").await;
    scene.publish().await;
    let report = scene.store().report(scene.acme.id, "lead_volume", "CRM").await.unwrap().unwrap();
    assert_eq!(report.baseline.map(|told| told.value), Some(Decimal::from(41)));
    assert_eq!(report.status.as_str(), "declined");
});
