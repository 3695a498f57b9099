//! P15 proved by the check: whoever wrote the rows, two clients that meet in one connection are seen, and the connection is paused.

use tidegate::{
    domain::status::{CheckStatus::Failed, ConnectionStatus},
    quality::CheckKey,
    store::quality::{Depth, IsolationIncident, LinkFit, Whose},
};

use crate::{
    quality_ground::{clean, connection, evaluate, letter, only, rules, snapshot, unchecked},
    support::databases::TestDatabase,
};

/// Plants a fault, expects isolation alone to fail and the connection to be paused, and takes both away.
async fn caught(db: &TestDatabase, plant: &str, undo: &str) {
    unchecked(db, plant).await;
    let verdict = only(db, &rules(""), CheckKey::AccountIsolation, Failed).await;
    assert!(!verdict.may_publish(), "{plant}");
    assert_eq!(connection(db, "acme-hubspot").await.status, ConnectionStatus::Paused, "{plant}");
    unchecked(db, undo).await;
    db.sql.ok("update integration_connections set status = 'connected'").await;
    assert!(evaluate(db, "acme-hubspot").await.may_publish(), "{undo}");
}

on_both_engines!(p15_a_row_link_snapshot_or_report_of_another_client_is_caught, |db| {
    clean(db).await;
    let (acme, bolt) = (connection(db, "acme-hubspot").await, connection(db, "bolt-hubspot").await);
    let (own, mine, theirs) = (acme.id, acme.client_id, bolt.client_id);
    for (table, which) in [
        ("integration_raw_events", "external_id = 'contacts-1'"),
        ("integration_object_links", "external_id = 'contacts-1'"),
        ("crm_leads", "external_id = 'contacts-1'"),
        ("reviews", "external_id = 'r1'"),
    ] {
        let set = |to| format!("update {table} set client_id = {to} where connection_id = {own} and {which}");
        caught(db, &set(theirs), &set(mine)).await;
    }
    let last = snapshot(db, &acme, "leads", 4).await;
    let set = |to| format!("update metric_snapshots set client_id = {to} where id = {last}");
    caught(db, &set(theirs), &set(mine)).await;
    let report = |from, to| {
        format!(
            "update report_metrics set metric_key = 'x', client_id = {to} where connection_id = {own} and client_id = {from}"
        )
    };
    caught(db, &report(mine, theirs), &report(theirs, mine)).await;
    assert!(evaluate(db, "bolt-hubspot").await.may_publish(), "the other connection has nothing to do with it");
});

on_both_engines!(p15_a_link_to_another_connections_row_is_caught, |db| {
    clean(db).await;
    let (acme, bolt) = (connection(db, "acme-hubspot").await, connection(db, "bolt-hubspot").await);
    let plant = format!(
        "insert into integration_object_links (connection_id, client_id, object_type, external_id, internal_table, internal_id, payload_hash, record_hash, first_run_id, last_run_id)
         select {}, {}, 'stray', 'x', 'reviews', id, '{hash}', '{hash}', 0, 0 from reviews where connection_id = {}",
        acme.id, acme.client_id, bolt.id, hash = "0".repeat(64)
    );
    caught(db, &plant, "delete from integration_object_links where object_type = 'stray'").await;
});

on_both_engines!(p15_a_second_claim_on_the_account_is_caught_however_it_is_spelt, |db| {
    clean(db).await;
    let mut rival = crate::store_ground::connection("bolt-rival", "bolt");
    rival.provider_account_id = " Account of ACME-hubspot".to_owned();
    let declaration = tidegate::store::catalogue::Declaration { connections: vec![rival], ..Default::default() };
    db.store().declare(&declaration).await.unwrap();
    let verdict = only(db, &rules(""), CheckKey::AccountIsolation, Failed).await;
    assert!(verdict.holds[0].internal.contains("bolt-rival"), "{verdict:?}");
});

on_both_engines!(p15_an_identity_or_a_record_of_another_account_is_caught, |db| {
    clean(db).await;
    let acme = connection(db, "acme-hubspot").await;
    let whose = Whose { connection: acme.id, client: acme.client_id };
    db.store().record_identity(whose, "account of acme-hubspot").await.unwrap();
    let known = connection(db, "acme-hubspot").await;
    assert!(known.identity_checked_at.is_some() && evaluate(db, "acme-hubspot").await.may_publish());
    let set =
        |to: &str| format!("update integration_connections set identity_account_id = '{to}' where id = {}", acme.id);
    caught(db, &set("4712"), &set("account of acme-hubspot")).await;
    letter(db, &acme, "account_mismatch", "foreign").await;
    caught(db, "select 1", "update integration_sync_errors set status = 'discarded'").await;
});

on_both_engines!(p15_a_hit_pauses_once_with_its_act_and_leaves_one_incident_step, |db| {
    clean(db).await;
    let acme = connection(db, "acme-hubspot").await;
    letter(db, &acme, "account_mismatch", "foreign").await;
    evaluate(db, "acme-hubspot").await;
    evaluate(db, "acme-hubspot").await;
    let paused = connection(db, "acme-hubspot").await;
    assert_eq!(paused.status, ConnectionStatus::Paused);
    assert!(paused.status_reason.is_some_and(|reason| reason.contains("account_isolation")));
    let acts = "select count(*) from event_admin_actions where actor = 'tidegate' and action = 'connection.pause' and subject_key = 'acme-hubspot'";
    assert_eq!(db.sql.number(acts).await, 1);
    let steps = db.sql.rows("select scope, control_key, kind, status, owner from launch_controls").await;
    let step = ["connection", "incident_account_isolation", "incident_step", "failed", "integration@example.test"];
    assert_eq!(steps, [step.map(|word| Some(word.to_owned())).to_vec()]);
    // Another client's context changes nothing.
    let bolt = connection(db, "bolt-hubspot").await;
    let crossed = Whose { connection: bolt.id, client: acme.client_id };
    let incident = IsolationIncident { connection_key: "bolt-hubspot".to_owned(), owner: None, reason: "x".to_owned() };
    db.store().raise_isolation_incident(crossed, &incident).await.unwrap();
    db.store().record_identity(crossed, "x").await.unwrap();
    assert_eq!(connection(db, "bolt-hubspot").await, bolt);
    assert_eq!(db.sql.number("select count(*) from launch_controls").await, 1);
    // A revoked connection stays revoked.
    db.sql.ok("update integration_connections set status = 'revoked' where connection_key = 'acme-hubspot'").await;
    evaluate(db, "acme-hubspot").await;
    assert_eq!(connection(db, "acme-hubspot").await.status, ConnectionStatus::Revoked);
});

on_both_engines!(p15_every_fact_asked_with_another_clients_id_gives_nothing, |db| {
    clean(db).await;
    let (acme, bolt) = (connection(db, "acme-hubspot").await, connection(db, "bolt-hubspot").await);
    let crossed = Whose { connection: acme.id, client: bolt.client_id };
    let store = db.store();
    assert_eq!(store.stray_links(crossed, Depth::Thorough).await.unwrap(), 0);
    assert!(store.rival_claims(crossed).await.unwrap().is_empty());
    assert_eq!(store.open_letters_of(crossed, "account_mismatch").await.unwrap(), 0);
    assert!(store.currencies(crossed).await.unwrap().is_empty());
    assert_eq!(store.link_fit(crossed, Depth::Thorough).await.unwrap(), Default::default());
    assert_eq!(store.shared_contacts(crossed).await.unwrap(), Default::default());
    assert!(store.labels(crossed, "x", 10).await.unwrap().is_empty());
    assert_eq!(store.paid_organic(crossed).await.unwrap(), Default::default());
    assert_eq!(store.ignored_without_reason(crossed, 10).await.unwrap(), 0);
    assert_eq!(store.half_marked_tests(crossed).await.unwrap(), 0);
    assert!(store.job_freshness(crossed).await.unwrap().is_empty());
    assert!(store.stream_history(crossed, 10).await.unwrap().is_empty());
    assert!(store.run_tallies(crossed, 10).await.unwrap().is_empty());
    assert_eq!(store.undelivered(crossed, 10).await.unwrap(), Default::default());
    assert!(store.newest_ends(crossed).await.unwrap().is_empty());
    assert_eq!(store.letter_load(crossed).await.unwrap(), Default::default());
    assert!(store.daily_volume(crossed, crate::store_ground::long_ago()).await.unwrap().is_empty());
    assert!(store.rows_after(crossed, crate::store_ground::long_ago()).await.unwrap().is_empty());
    assert!(store.baseline_pairs(crossed).await.unwrap().is_empty());
    assert!(store.books(crossed).await.unwrap().is_none());
    assert!(store.client_texts(crossed).await.unwrap().is_empty());
});

on_both_engines!(p15_the_quick_look_after_a_run_sees_what_the_thorough_one_sees, |db| {
    clean(db).await;
    let (acme, bolt) = (connection(db, "acme-hubspot").await, connection(db, "bolt-hubspot").await);
    let of = Whose { connection: acme.id, client: acme.client_id };
    let both = async || {
        let fit = [
            db.store().link_fit(of, Depth::Quick).await.unwrap(),
            db.store().link_fit(of, Depth::Thorough).await.unwrap(),
        ];
        let stray = [
            db.store().stray_links(of, Depth::Quick).await.unwrap(),
            db.store().stray_links(of, Depth::Thorough).await.unwrap(),
        ];
        assert_eq!((fit[0], stray[0]), (fit[1], stray[1]));
        (fit[0], stray[0])
    };
    assert_eq!(both().await, (LinkFit::default(), 0));
    let link = format!("where connection_id = {} and object_type = 'reviews'", acme.id);
    unchecked(db, &format!("update integration_object_links set internal_id = (select id from reviews where connection_id = {}) {link}", bolt.id)).await;
    assert_eq!(both().await, (LinkFit { doubled: 1, ..LinkFit::default() }, 1));
    unchecked(db, &format!("delete from integration_object_links {link}")).await;
    assert_eq!(both().await, (LinkFit { rows_without_link: 1, ..LinkFit::default() }, 0));
});
