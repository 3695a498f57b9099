//! P17 where states multiply: whatever happens in whatever order, a card shows a complete number that the checks let through.

use proptest::{
    prelude::{Just, Strategy, any, prop_oneof},
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use rust_decimal::Decimal;
use tidegate::{
    domain::gate::Verdict,
    metrics::{BaselineOutcome, Outcome},
};

use crate::metrics_ground::{Scene, finding, passed};

#[derive(Debug, Clone, Copy)]
enum Step {
    RunComplete,
    RunPartial,
    LeadArrives,
    CheckFails,
    CheckPasses,
    NeverChecked,
    Publish,
    Approve,
    Baseline,
}

fn steps() -> impl Strategy<Value = (bool, Vec<Step>)> {
    let step = prop_oneof![
        1 => Just(Step::RunComplete),
        1 => Just(Step::RunPartial),
        2 => Just(Step::LeadArrives),
        1 => Just(Step::CheckFails),
        2 => Just(Step::CheckPasses),
        1 => Just(Step::NeverChecked),
        4 => Just(Step::Publish),
        2 => Just(Step::Approve),
        1 => Just(Step::Baseline),
    ];
    (any::<bool>(), proptest::collection::vec(step, 25))
}

const APPROVED: &str = "
metrics:
  - key: lead_volume
    title: New leads
    meaning: How many people asked for work.
    unit: leads
    direction: higher_is_better
    source: crm_leads
    aggregation: count
    time_column: received_at
    period: month
    approval: each
";

async fn play(db: &crate::support::databases::TestDatabase, approved: bool, steps: &[Step]) {
    let mut scene = Scene::new(db, if approved { APPROVED } else { "" }, &["lead_volume"]).await;
    // What the model knows: leads, whether the newest run was complete, what may be on the card.
    let (mut leads, mut complete) = (0_i64, false);
    let mut waiting: Option<i64> = None;
    let mut card: Option<i64> = None;
    let mut baselines = 0_i64;
    for (number, step) in steps.iter().enumerate() {
        let before = scene.cards().await;
        let may = complete && scene.verdict.may_publish();
        match step {
            Step::RunComplete | Step::RunPartial => {
                complete = matches!(step, Step::RunComplete);
                scene.ran(if complete { "succeeded" } else { "partial" }, "2026-11-02T00:00:00Z").await;
            }
            Step::LeadArrives => {
                scene.lead(&number.to_string(), "2026-10-10T00:00:00Z").await;
                leads += 1;
            }
            Step::CheckFails => scene.verdict = Verdict { holds: vec![finding("freshness", "")], ..passed() },
            Step::CheckPasses => scene.verdict = passed(),
            Step::NeverChecked => scene.verdict = Verdict::default(),
            Step::Publish => {
                let published = scene.publish_one().await;
                let through = may && (!approved || card == Some(leads));
                assert_eq!(published.is_ok(), through, "{number}: {published:?}");
                if through {
                    card = Some(leads);
                    waiting = None;
                } else if may {
                    waiting = Some(leads);
                }
            }
            Step::Approve => {
                let (entry, act) = (scene.entry("lead_volume").await, scene.act("metric.approve"));
                let answer = scene.desk().approve(&entry, &scene.verdicts().await, &act).await.unwrap();
                if answer.outcome == Outcome::Published {
                    assert!(may && approved && waiting == Some(leads), "{number}: {answer:?}");
                    card = Some(leads);
                    waiting = None;
                } else if approved && may && card == Some(leads) {
                    waiting = None;
                } else if approved && may {
                    waiting = Some(leads);
                } else if may {
                    card = Some(leads);
                }
            }
            Step::Baseline => {
                let window = scene.window("lead_volume", "2026-10");
                let (entry, act) = (scene.entry("lead_volume").await, scene.act("metric.baseline"));
                let set = scene.desk().set_baseline(&entry, &window, &scene.verdicts().await, &act).await.unwrap();
                assert_eq!(matches!(set, BaselineOutcome::Refused(_)), !may, "{number}: {set:?}");
                baselines += i64::from(matches!(set, BaselineOutcome::Added { .. }));
            }
        }
        let after = scene.cards().await;
        if !may || !matches!(step, Step::Publish | Step::Approve) {
            assert_eq!(after, before, "step {number}, {step:?}, moved a card that nothing lets through");
        }
        let shown = scene.store().portal_cards("acme").await.unwrap();
        let shown = shown.first().and_then(|card| card.current);
        assert_eq!(shown, card.map(Decimal::from), "step {number}, {step:?} of {steps:?}");
    }
    let lies = "select count(*) from report_metrics m join metric_snapshots s on s.id = m.current_snapshot_id \
                where m.published_at is not null and (s.complete <> 1 or s.value <> m.current_value)";
    assert_eq!(db.sql.number(lies).await, 0);
    let partial =
        "select count(*) from metric_baselines b join metric_snapshots s on s.id = b.snapshot_id where s.complete <> 1";
    assert_eq!(db.sql.number(partial).await, 0);
    assert_eq!(db.sql.number("select count(*) from metric_baselines").await, baselines);
}

on_both_engines!(p17_in_any_order_of_events_a_card_shows_a_number_that_was_complete_and_let_through, |db| {
    let config = Config::default();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[17; 32]);
    let mut runner = TestRunner::new_with_rng(config, rng);
    for _ in 0..6 {
        let (approved, steps) = steps().new_tree(&mut runner).expect("a tree").current();
        play(db, approved, &steps).await;
        for table in ["report_metrics", "metric_baselines", "metric_snapshots", "crm_leads", "integration_sync_runs"] {
            db.sql.ok(&format!("delete from {table}")).await;
        }
        db.sql.ok("update integration_sync_jobs set last_complete_at = null").await;
    }
});
