//! Poll repairs webhook: what deliveries did not bring is brought by the poll, counted once, and makes polls denser.

use std::time::Duration;

use tidegate::domain::status::AlertNews::{Opened, Resolved};

use crate::{
    alerts_ground::{Ground, news},
    support::{databases::TestDatabase, yard::Yard},
};

/// An instant as a literal of the engine's.
fn literal(db: &TestDatabase, text: &str) -> String {
    if db.is_mysql() { format!("'{}'", text.replace('T', " ").trim_end_matches('Z')) } else { format!("'{text}'") }
}

/// Acme's endpoint has let deliveries in since 2020.
async fn endpoint(db: &TestDatabase) {
    let since = literal(db, "2020-01-01T00:00:00.000000Z");
    db.sql
        .ok(&format!(
            "insert into integration_webhook_endpoints (connection_id, client_id, secrets, first_verified_at, last_verified_at, created_at) \
             select id, client_id, '[]', {since}, {since}, {since} from integration_connections where connection_key = 'acme-hubspot'"
        ))
        .await;
}

/// A delivery of one of acme's contacts; `at` is when its event happened.
async fn delivery(db: &TestDatabase, object: &str, status: &str, at: &str) {
    let at = literal(db, at);
    db.sql
        .ok(&format!(
            "insert into event_webhook_events (connection_id, client_id, provider_key, delivery_id, event_name, payload_summary, status, \
             received_at, occurred_at, stream, external_id) select id, client_id, 'hubspot', '{object} {status}', 'contact.propertyChange', \
             'a summary', '{status}', {at}, {at}, 'contacts', '{object}' from integration_connections where connection_key = 'acme-hubspot'"
        ))
        .await;
}

const LATER: &str = "2100-01-01T00:00:00.000000Z";
const BEFORE: &str = "2021-01-01T00:00:00.000000Z";

/// A yard whose first listing is over, and that counts without grace.
async fn listed(db: &TestDatabase) -> Yard<'_> {
    let mut yard = Yard::new(db, 30, 0).await;
    yard.home.setting("webhooks.repair_grace_seconds", "0");
    yard.declare(&yard.declaration("sandbox", "every 1d", false)).await;
    endpoint(db).await;
    assert_eq!(yard.run_acme().await.code(), Some(0));
    let first = yard.newest_run().await;
    assert_eq!((&first["records_created"], &first["records_repaired"]), (&30.into(), &0.into()), "{first}");
    yard
}

/// Runs acme's contacts: how many were updated, and repaired.
async fn polled(yard: &Yard<'_>) -> (i64, i64) {
    assert_eq!(yard.run_acme().await.code(), Some(0));
    let run = yard.newest_run().await;
    (run["records_updated"].as_i64().unwrap(), run["records_repaired"].as_i64().unwrap())
}

on_both_engines!(p3_a_lost_delivery_is_repaired_once_and_counted_once, |db| {
    let yard = listed(db).await;
    let account = yard.simulator.account("4711");
    account.edit_contacts([5, 7, 9, 11]);
    // One waits, one is done; that of 9 is older than its change; 11 was never delivered.
    delivery(db, "5", "received", LATER).await;
    delivery(db, "7", "normalized", LATER).await;
    delivery(db, "9", "normalized", BEFORE).await;
    assert_eq!(polled(&yard).await, (4, 2));
    let run = yard.newest_run().await["id"].to_string();
    let story = yard.home.run_ok(&["runs", "show", &run]).await;
    assert!(story.to_string().contains("2 records that no delivery had brought"), "{story}");
    assert_eq!(polled(&yard).await, (0, 0));
    assert_eq!(yard.number("select sum(records_repaired) from integration_sync_runs").await, 2);
    yard.assert_settled().await;
    yard.end().await;
});

on_both_engines!(a_poll_that_finds_what_a_delivery_brought_repairs_nothing, |db| {
    let yard = listed(db).await;
    let account = yard.simulator.account("4711");
    account.edit_contacts([5]);
    assert_eq!(polled(&yard).await, (1, 1));
    // As if a delivery had brought it: the same row by another payload, which the poll rewrites.
    db.sql.ok("update integration_object_links set payload_hash = 'of a delivery' where external_id = '5'").await;
    let full = "update integration_sync_jobs set cursor_state = null, cursor_order = null";
    let cursor = db.sql.rows("select cursor_state from integration_sync_jobs where cursor_state is not null").await;
    assert!(!cursor.is_empty());
    account.edit_contacts([6]);
    delivery(db, "6", "received", LATER).await;
    assert_eq!(polled(&yard).await.1, 0);
    // A listing from the beginning, by a cursor that was taken back or by hand, finds what no delivery ever spoke of.
    db.sql.ok(full).await;
    account.edit_contacts([8]);
    assert_eq!(polled(&yard).await, (1, 0));
    account.edit_contacts([10]);
    yard.home.run_ok(&["run-once", "--connection", "acme-hubspot", "--stream", "contacts", "--full", "--json"]).await;
    let run = yard.newest_run().await;
    assert_eq!((&run["records_updated"], &run["records_repaired"]), (&1.into(), &0.into()), "{run}");
    // Without an endpoint that ever let anything in, nothing is expected.
    db.sql.ok("update integration_webhook_endpoints set first_verified_at = null").await;
    account.edit_contacts([12]);
    assert_eq!(polled(&yard).await, (1, 0));
    yard.end().await;
});

on_both_engines!(what_may_still_be_on_its_way_is_not_missed, |db| {
    let mut yard = listed(db).await;
    yard.home.setting("webhooks.repair_grace_seconds", "300");
    yard.simulator.account("4711").edit_contacts([5, 6]);
    assert_eq!(polled(&yard).await, (2, 0));
    yard.end().await;
});

on_both_engines!(a_connection_that_loses_deliveries_is_polled_sooner, |db| {
    let yard = listed(db).await;
    let account = yard.simulator.account("4711");
    let due = literal(db, BEFORE);
    let due = format!(
        "update integration_sync_jobs set next_run_at = {due} where connection_id = \
         (select id from integration_connections where connection_key = 'acme-hubspot')"
    );
    let next = async || {
        db.sql.ok(&due).await;
        yard.home.run_ok(&["run-once", "--due", "--json"]).await;
        let jobs = yard.home.run_ok(&["jobs", "list", "--connection", "acme-hubspot", "--json"]).await.json();
        let at: tidegate::domain::clock::Timestamp = jobs[0]["next_run_at"].as_str().unwrap().parse().unwrap();
        at.since(tidegate::domain::clock::Clock::now(&tidegate::system_clock::SystemClock::new()))
    };
    let slot = next().await;
    account.edit_contacts([5]);
    let sooner = next().await;
    assert_eq!(yard.newest_run().await["records_repaired"], 1);
    // Half of what is left of the same interval, by clocks that went on meanwhile; a slot within two minutes stays where it is.
    let half = slot / 2;
    assert!(
        slot < Duration::from_secs(150) || (sooner <= half && sooner + Duration::from_secs(30) >= half),
        "{slot:?} {sooner:?}"
    );
    // Where nearly all changes are delivered, one that was lost changes nothing.
    for object in 100..140 {
        delivery(db, &object.to_string(), "normalized", LATER).await;
    }
    assert!(next().await > sooner || slot < Duration::from_secs(150));
    yard.end().await;
});

on_both_engines!(missed_deliveries_are_an_alert_until_their_share_falls, |db| {
    let ground = Ground::new(db).await;
    ground.runs(1, 0).await;
    ground.sql("update integration_sync_runs set records_repaired = 2").await;
    assert_eq!(ground.sweep().await, [], "two say nothing yet");
    ground.sql("update integration_sync_runs set records_repaired = 3").await;
    assert_eq!(ground.sweep().await, [news("missed_webhooks", "acme-hubspot", Opened)]);
    for object in 0..60 {
        delivery(db, &object.to_string(), "normalized", LATER).await;
    }
    assert_eq!(ground.sweep().await, [news("missed_webhooks", "acme-hubspot", Resolved)]);
    db.sql.ok("delete from event_webhook_events").await;
    assert_eq!(ground.sweep().await, [news("missed_webhooks", "acme-hubspot", Opened)]);
    // What lies before the window is over.
    ground.clock.advance(Duration::from_secs(26 * 3600));
    ground.all_complete().await;
    assert_eq!(ground.sweep().await, [news("missed_webhooks", "acme-hubspot", Resolved)]);
});
