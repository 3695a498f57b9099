//! Where a run goes on that another one left unfinished, and when it must not.

use serde_json::Value;
use tidegate::simulator::{Fault, FaultKind};

use crate::support::{daemon::Finished, yard::Yard};

const RECORDS: u64 = 1000;

/// All contacts are stored, and a reading of everything again ended at its fourth page.
async fn left_unfinished(yard: &Yard<'_>) {
    yard.simulator.fault(Fault::on(4, FaultKind::Rejected).path("search"));
    let (done, run) = everything(yard).await;
    assert_ne!(done.code(), Some(0), "{done}");
    assert!(run["records_seen"].as_u64().is_some_and(|seen| 0 < seen && seen < RECORDS), "{run}");
    yard.simulator.clear_faults();
}

async fn everything(yard: &Yard<'_>) -> (Finished, Value) {
    let done =
        yard.home.run(&["run-once", "--connection", "acme-hubspot", "--stream", "contacts", "--full", "--json"]).await;
    (done, yard.newest_run().await)
}

on_both_engines!(p1_an_unfinished_listing_is_gone_on_with_only_where_the_same_is_asked_for, |db| {
    let yard = Yard::applied(db, RECORDS, 0).await;
    assert_eq!(yard.run_acme().await.code(), Some(0));
    let declared = yard.declaration("sandbox", "every 30d", false);
    for (change, begins_anew) in [("nothing", false), ("an option", true), ("the manifest", true)] {
        left_unfinished(&yard).await;
        match change {
            "an option" => yard.declare(&declared.replacen("2020-01-01", "2019-01-01", 1)).await,
            "the manifest" => yard.edit_manifest("type: DeclarativeSource", "type: DeclarativeSource\n# corrected"),
            _ => {}
        }
        let (done, run) = everything(&yard).await;
        assert_eq!(done.code(), Some(0), "{change}: {done}");
        assert_eq!(run["records_seen"] == RECORDS, begins_anew, "{change}: {run}");
    }
    yard.assert_settled().await;
    yard.end().await;
});

on_both_engines!(p8_a_place_that_the_provider_refuses_to_go_on_from_is_forgotten_at_once, |db| {
    let yard = Yard::applied(db, RECORDS, 0).await;
    assert_eq!(yard.run_acme().await.code(), Some(0));
    for (fault, forgotten) in [(FaultKind::Rejected, true), (FaultKind::Forbidden, true), (FaultKind::NotJson, false)] {
        left_unfinished(&yard).await;
        yard.simulator.fault(Fault::on(1, fault.clone()).path("search"));
        let (done, run) = everything(&yard).await;
        // A page that came and cannot be read says nothing about the place: the next run asks for it again.
        if forgotten {
            assert_eq!((done.code(), &run["records_seen"]), (Some(0), &RECORDS.into()), "{fault:?}: {done}");
        } else {
            assert_ne!(done.code(), Some(0), "{fault:?}: {done}");
            let (done, run) = everything(&yard).await;
            assert_eq!(done.code(), Some(0), "{done}");
            assert!(run["records_seen"].as_u64().is_some_and(|seen| seen < RECORDS), "{run}");
        }
    }
    yard.assert_settled().await;
    yard.end().await;
});
