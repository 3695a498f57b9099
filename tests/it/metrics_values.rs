//! Numbers: each aggregation, exact and the same on both engines; what never counts; when a number is complete.

use crate::{metrics_ground::Scene, store_ground::at};

const EXTRA: &str = "
metrics:
  - key: answered_share
    title: Calls answered
    meaning: Which part of the incoming calls somebody answered.
    unit: percent
    direction: higher_is_better
    source: phone_calls
    aggregation: share
    of: [{ column: direction, is: inbound }]
    filter: [{ column: outcome, is: answered }]
    time_column: occurred_at
    period: month
  - key: median_invoice
    title: Usual invoice
    meaning: What an invoice in the middle of all came to.
    unit: money
    currency: USD
    direction: neutral
    source: accounting_invoices
    aggregation: median
    column: invoiced_amount
    time_column: issued_at
    period: month
  - key: unowned_leads
    title: Leads without an owner
    meaning: How many leads nobody looks after yet.
    unit: leads
    direction: lower_is_better
    source: crm_leads
    aggregation: count
    filter: [{ column: owner, absent: true }, { column: stage, not_in: [spam, closed] }]
    time_column: received_at
    period: month
  - key: daily_leads
    title: Leads of the day
    meaning: How many people asked for work on that day.
    unit: leads
    direction: higher_is_better
    source: crm_leads
    aggregation: count
    time_column: received_at
    period: day
    zone: America/New_York
";

const ALL: &[&str] = &[
    "lead_volume",
    "missed_calls",
    "response_time",
    "booked_jobs",
    "booked_value",
    "invoiced_revenue",
    "collected_revenue",
    "campaign_spend",
    "reviews",
    "review_rating",
    "search_visits",
    "records_reviewed",
    "records_corrected",
    "ignored_rows",
    "client_safe_notes",
    "answered_share",
    "median_invoice",
    "unowned_leads",
    "daily_leads",
];

fn text(value: &str) -> String {
    format!("'{value}'")
}

on_both_engines!(p21_each_metric_gives_the_same_exact_number_on_both_engines, |db| {
    let scene = Scene::new(db, EXTRA, ALL).await;
    scene.complete().await;
    let mid = |day: u32| scene.time(&format!("2026-10-{day:02}T12:00:00Z"));
    for (index, (direction, outcome)) in [
        ("inbound", "missed"),
        ("inbound", "answered"),
        ("inbound", "voicemail"),
        ("outbound", "missed"),
        ("inbound", "answered"),
    ]
    .into_iter()
    .enumerate()
    {
        let columns = [
            ("direction", text(direction)),
            ("outcome", text(outcome)),
            ("occurred_at", mid(u32::try_from(index).unwrap() + 1)),
        ];
        scene.row("phone_calls", &format!("c{index}"), &columns).await;
    }
    for (id, received, answered) in [
        ("a", "2026-10-01T00:00:00Z", Some("2026-10-01T00:10:00Z")),
        ("b", "2026-10-31T23:59:59.999999Z", Some("2026-11-01T00:04:59.999999Z")),
        ("c", "2026-10-20T00:00:00Z", None),
    ] {
        let mut columns = vec![("received_at", scene.time(received)), ("stage", text("open"))];
        columns.extend(answered.map(|answered| ("first_response_at", scene.time(answered))));
        scene.row("crm_leads", id, &columns).await;
    }
    scene.row("crm_leads", "d", &[("received_at", scene.time("2026-09-30T23:59:59.999999Z"))]).await;
    scene.row("crm_leads", "e", &[("received_at", scene.time("2026-11-01T00:00:00Z"))]).await;
    let closed = [("received_at", mid(3)), ("stage", text("closed")), ("voided_at", mid(4))];
    scene.row("crm_leads", "voided", &closed).await;
    scene.row("crm_leads", "test", &[("received_at", mid(3)), ("is_test", "1".to_owned())]).await;
    scene.row_of("bolt-hubspot", "crm_leads", "other", &[("received_at", mid(3))]).await;
    let amounts =
        |name: &'static str, amount: &str, currency: &str, time: &'static str, more: Option<(&'static str, &str)>| {
            let mut columns = vec![(name, text(amount)), ("currency", text(currency)), (time, mid(9))];
            columns.extend(more.map(|(name, word)| (name, text(word))));
            columns
        };
    for (index, (progress, amount)) in
        [("booked", "100.1000"), ("canceled", "999.0000"), ("completed", "0.2000"), ("", "0.0001")]
            .into_iter()
            .enumerate()
    {
        let more = (!progress.is_empty()).then_some(("progress", progress));
        let columns = amounts("booked_amount", amount, "USD", "booked_at", more);
        scene.row("field_jobs", &index.to_string(), &columns).await;
    }
    for (index, (status, amount)) in
        [("open", "10.0000"), ("paid", "30.5000"), ("draft", "7.0000"), ("void", "9.0000")].into_iter().enumerate()
    {
        let columns = amounts("invoiced_amount", amount, "USD", "issued_at", Some(("invoice_status", status)));
        scene.row("accounting_invoices", &index.to_string(), &columns).await;
    }
    for (index, (status, amount)) in
        [("succeeded", "50.0000"), ("refunded", "-20.0100"), ("failed", "80.0000"), ("pending", "1.0000")]
            .into_iter()
            .enumerate()
    {
        let columns = amounts("paid_amount", amount, "EUR", "paid_at", Some(("payment_status", status)));
        scene.row("accounting_payments", &index.to_string(), &columns).await;
    }
    for (index, amount) in ["0.1000", "0.1000", "0.1000"].into_iter().enumerate() {
        let columns = amounts("spend_amount", amount, "USD", "spent_at", None);
        scene.row("campaign_spend", &index.to_string(), &columns).await;
    }
    for (index, rating) in ["5.0000", "4.0000", "4.0000"].into_iter().enumerate() {
        scene.row("reviews", &index.to_string(), &[("rating", text(rating)), ("reviewed_at", mid(2))]).await;
    }
    for (index, clicks) in [7, 0, 5].into_iter().enumerate() {
        let columns = [("clicks", clicks.to_string()), ("measured_at", mid(2))];
        scene.row("search_traffic_daily", &index.to_string(), &columns).await;
    }
    scene.ran_as("acme-hubspot", "test_batch", "succeeded", "2026-10-02T00:00:00Z", [25, 5, 5]).await;
    scene.ran_as("acme-hubspot", "schedule", "partial", "2026-10-03T00:00:00Z", [40, 11, 2]).await;
    scene.ran_as("acme-hubspot", "replay", "succeeded", "2026-10-03T00:00:00Z", [2, 2, 0]).await;
    scene.ran_as("bolt-hubspot", "schedule", "succeeded", "2026-10-03T00:00:00Z", [70, 70, 0]).await;
    // The newest attempt decides whether the number is complete.
    scene.ran("succeeded", "2026-11-02T00:00:00Z").await;
    // What is counted about runs hangs on all jobs, and the deals never ran.
    assert!(!scene.snapshot("records_reviewed", "2026-10").await.is_complete());
    let later = scene.time("2026-11-02T00:00:00Z");
    db.sql.ok(&format!("update integration_sync_jobs set last_complete_at = {later} where stream = 'deals'")).await;
    for (metric, expected) in [
        ("lead_volume", "3"),
        ("missed_calls", "2"),
        ("response_time", "7.5"),
        ("booked_jobs", "3"),
        ("booked_value", "100.3001 USD"),
        ("invoiced_revenue", "40.5 USD"),
        ("collected_revenue", "29.99 EUR"),
        ("campaign_spend", "0.3 USD"),
        ("reviews", "3"),
        ("review_rating", "4.33"),
        ("search_visits", "12"),
        ("records_reviewed", "42"),
        ("records_corrected", "13"),
        ("ignored_rows", "2"),
        ("client_safe_notes", "0"),
        ("answered_share", "50"),
        ("median_invoice", "9.5 USD"),
        ("unowned_leads", "3"),
    ] {
        let snapshot = scene.snapshot(metric, "2026-10").await;
        assert!(snapshot.is_complete(), "{metric}: {:?}", snapshot.number.incomplete_reason);
        assert_eq!(scene.value(metric, "2026-10").await, expected, "{metric}");
    }
    let snapshot = scene.snapshot("lead_volume", "2026-10").await;
    assert_eq!((snapshot.number.rows_counted, snapshot.number.run_ids.len()), (3, 2));
    // Half past eight in the evening in New York is the next day in UTC.
    scene.row("crm_leads", "ny", &[("received_at", scene.time("2026-11-02T01:30:00Z"))]).await;
    assert_eq!(scene.value("daily_leads", "2026-11-01").await, "1");
    assert_eq!(scene.value("daily_leads", "2026-10-31").await, "2");
});

on_both_engines!(currencies_are_never_added_up_and_a_gap_is_no_zero, |db| {
    let scene = Scene::new(db, EXTRA, ALL).await;
    let paid = |currency: Option<&str>| {
        vec![
            ("spend_amount", text("5.0000")),
            ("currency", currency.map_or_else(|| "null".to_owned(), text)),
            ("spent_at", scene.time("2026-10-05T00:00:00Z")),
        ]
    };
    // Never read, no rows: nothing to tell.
    let silent = scene.snapshot("lead_volume", "2026-10").await;
    assert_eq!((silent.number.value, silent.is_complete()), (None, false));
    assert!(silent.number.incomplete_reason.unwrap().contains("contacts was never read completely"));
    scene.complete().await;
    // Read, no rows: a zero; of money only when the currency is known.
    assert_eq!(scene.value("lead_volume", "2026-10").await, "0");
    let unknown = scene.snapshot("campaign_spend", "2026-10").await;
    assert!(unknown.number.incomplete_reason.unwrap().contains("no row has named a currency"));
    scene.row("campaign_spend", "a", &paid(Some("USD"))).await;
    assert_eq!(scene.value("campaign_spend", "2026-10").await, "5 USD");
    assert_eq!(scene.value("campaign_spend", "2026-09").await, "0 USD");
    scene.row("campaign_spend", "b", &paid(Some("EUR"))).await;
    let mixed = scene.snapshot("campaign_spend", "2026-10").await;
    assert_eq!((mixed.number.value, mixed.is_complete()), (None, false));
    assert!(mixed.number.incomplete_reason.unwrap().contains("EUR and USD"));
    db.sql.ok("update campaign_spend set currency = null where external_id = 'b'").await;
    let nameless = scene.snapshot("campaign_spend", "2026-10").await;
    assert!(nameless.number.incomplete_reason.unwrap().contains("1 rows have an amount without a currency"));
});

on_both_engines!(p17_a_number_is_complete_only_when_every_feeding_job_has_covered_its_window, |db| {
    let scene = Scene::new(db, EXTRA, ALL).await;
    scene.lead("a", "2026-10-10T00:00:00Z").await;
    let reason = async || scene.snapshot("lead_volume", "2026-10").await.number.incomplete_reason.unwrap_or_default();
    scene.ran("succeeded", "2026-10-31T23:59:59Z").await;
    assert!(reason().await.contains("before the period ended"), "{}", reason().await);
    scene.complete().await;
    assert_eq!(reason().await, "");
    for status in ["partial", "failed", "abandoned", "cancelled"] {
        scene.ran(status, "2026-11-02T00:00:00Z").await;
        assert!(reason().await.contains(&format!("ended {status}")), "{}", reason().await);
        // Neither a test batch nor a replay says that the source is well.
        scene.ran_as("acme-hubspot", "test_batch", "succeeded", "2026-11-02T01:00:00Z", [0; 3]).await;
        scene.ran_as("acme-hubspot", "replay", "succeeded", "2026-11-02T01:00:00Z", [0; 3]).await;
        assert!(reason().await.contains(&format!("ended {status}")), "{}", reason().await);
        scene.ran("succeeded", "2026-11-03T00:00:00Z").await;
        assert_eq!(reason().await, "");
    }
    let november = scene.snapshot("lead_volume", "2026-11").await;
    assert!(november.number.incomplete_reason.unwrap().contains("has not ended"));
});

on_both_engines!(p5_taking_the_same_number_again_adds_nothing_and_none_ever_changes, |db| {
    let scene = Scene::new(db, EXTRA, ALL).await;
    scene.complete().await;
    scene.lead("a", "2026-10-10T00:00:00Z").await;
    let first = scene.snapshot("lead_volume", "2026-10").await;
    scene.clock.set("2026-11-06T00:00:00Z");
    assert_eq!(scene.snapshot("lead_volume", "2026-10").await, first);
    scene.lead("b", "2026-10-11T00:00:00Z").await;
    let second = scene.snapshot("lead_volume", "2026-10").await;
    assert_ne!(second.id, first.id);
    assert_eq!(second.number.computed_at, at("2026-11-06T00:00:00Z"));
    let kept = db.sql.rows("select value, complete, computed_at from metric_snapshots order by id").await;
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(kept[0][0].as_deref().unwrap().starts_with('1') && kept[1][0].as_deref().unwrap().starts_with('2'));
});

on_both_engines!(p15_a_number_is_never_taken_for_a_client_that_is_not_the_connections, |db| {
    let scene = Scene::new(db, EXTRA, ALL).await;
    scene.complete().await;
    scene.lead("a", "2026-10-10T00:00:00Z").await;
    let bolt = scene.connection("bolt-hubspot").await;
    let mut number = scene.snapshot("lead_volume", "2026-10").await.number;
    number.client_id = bolt.client_id;
    assert!(scene.store().take_snapshot(&number).await.is_err());
    // The connection of one client asked for in the other's name.
    let mut crossed = scene.connection("acme-hubspot").await;
    crossed.client_id = bolt.client_id;
    let query = tidegate::store::metrics::RowQuery {
        client_id: crossed.client_id,
        connection_id: crossed.id,
        source: scene.definitions.get("lead_volume").unwrap().source,
        filter: Vec::new(),
        time_column: "received_at",
        window: None,
    };
    let groups = scene.store().metric_groups(&query, tidegate::store::metrics::Measure::Rows).await.unwrap();
    assert_eq!(groups.iter().map(|group| group.rows).sum::<i64>(), 0);
    assert_eq!(scene.store().metric_runs(&query, 10).await.unwrap(), []);
    assert_eq!(scene.store().job_facts(crossed.client_id, crossed.id).await.unwrap(), []);
});
