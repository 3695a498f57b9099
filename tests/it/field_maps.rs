//! The life of a field map's version: it waits, is compared, is activated, and can be taken back; with the real program.

use chrono::{Datelike, Days, NaiveDate};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tidegate::domain::clock::Clock;

use crate::support::{
    databases::{RealClock, TestDatabase},
    yard::Yard,
};

const FILE: &str = "provider_key: shop\nname: Job book\ncategory: manual\nstreams:\n  - { name: jobs, format: csv, primary_key: [id] }\n";
/// Version 9: amounts as they were booked.
const NINE: &str = r#"
version: "9"
stream: jobs
object_type: job
table: field_jobs
fields:
  - { to: job_number, label: Number, type: text, from: number }
  - { to: progress, label: Progress, type: enum, from: state, values: { open: booked, done: completed, off: canceled } }
  - { to: booked_amount, label: Booked, type: money, from: gross, currency_from: currency, currency_to: currency }
  - { to: booked_at, label: Booked at, type: timestamp, from: booked_at, formats: [date], zone: UTC }
  - { to: completed_at, label: Done at, type: timestamp, from: done_at, formats: [rfc3339] }
unmapped: ["*"]
"#;
/// Version 10: net amounts, another day, one state more, one rule more, and a number is required.
const TEN: &str = r#"
version: "10"
stream: jobs
object_type: job
table: field_jobs
fields:
  - { to: job_number, label: Number, type: text, from: number, required: true }
  - { to: progress, label: Progress, type: enum, from: state, values: { open: scheduled, done: completed, off: canceled, odd: unknown } }
  - { to: booked_amount, label: Booked, type: money, from: net, currency_from: currency, currency_to: currency }
  - { to: booked_at, label: Booked at, type: timestamp, from: planned_at, formats: [date], zone: UTC }
  - { to: completed_at, label: Done at, type: timestamp, from: done_at, formats: [rfc3339] }
ignore_when:
  - { field: kind, equals: internal, reason: our own work }
unmapped: ["*"]
"#;

fn metrics() -> String {
    let mut text = "metrics:\n".to_owned();
    for (key, unit, how) in [
        ("shop_jobs", "jobs", "aggregation: count\n    filter:\n      - { column: progress, is_not: canceled }"),
        ("shop_sum", "money", "currency: rows\n    aggregation: sum\n    column: booked_amount"),
        ("shop_average", "money", "currency: rows\n    aggregation: average\n    column: booked_amount"),
        ("shop_median", "money", "currency: rows\n    aggregation: median\n    column: booked_amount"),
        ("shop_minutes", "minutes", "aggregation: minutes_between\n    between: { from: booked_at, to: completed_at }"),
        (
            "shop_share",
            "percent",
            "aggregation: share\n    of:\n      - { column: progress, in: [completed, canceled, scheduled] }\n    filter:\n      - { column: progress, is: completed }",
        ),
    ] {
        text.push_str(&format!(
            "  - key: {key}\n    title: Jobs in the book\n    meaning: What the job book says of the period.\n    unit: {unit}\n    \
             direction: neutral\n    source: field_jobs\n    {how}\n    time_column: booked_at\n    period: month\n"
        ));
    }
    text
}

/// So many days before this month.
fn day(before: u64) -> NaiveDate {
    let today = RealClock.now().utc().date_naive();
    today.with_day(1).unwrap().checked_sub_days(Days::new(before)).unwrap()
}

fn rows(random: &mut StdRng, count: usize) -> String {
    let mut text = "id,number,state,gross,net,currency,booked_at,planned_at,done_at,kind\n".to_owned();
    for id in 0..count {
        let pick = |random: &mut StdRng, of: &[&str]| of[random.random_range(0..of.len())].to_owned();
        let booked = day(random.random_range(1..55));
        let planned = if random.random_bool(0.5) { booked } else { day(random.random_range(1..55)) };
        let done = if random.random_bool(0.3) {
            String::new()
        } else {
            format!("{booked}T{:02}:{:02}:00Z", random.random_range(0..24), random.random_range(0..60))
        };
        let gross = random.random_range(0..90_000);
        let amount = |cents: u32| format!("{}.{:02}", cents / 100, cents % 100);
        let net = if random.random_bool(0.4) { gross } else { gross * 100 / 119 };
        let number = if random.random_bool(0.05) { String::new() } else { format!("J-{id}") };
        let state = pick(random, &["open", "open", "done", "done", "done", "off", "odd"]);
        let kind = pick(random, &["job", "job", "job", "job", "internal"]);
        let (gross, net) = (amount(gross), amount(net));
        text.push_str(&format!("{id},{number},{state},{gross},{net},EUR,{booked},{planned},{done},{kind}\n"));
    }
    text
}

struct Book<'d> {
    yard: Yard<'d>,
}

impl<'d> Book<'d> {
    /// Version 9 alone, with rows that are not read yet.
    async fn new(db: &'d TestDatabase, csv: &str) -> Self {
        let mut yard = Yard::new(db, 0, 0).await;
        yard.home.setting("metrics.environments", "production,sandbox");
        // Half of what is read may fail.
        yard.home.setting("pipeline.error_budget_share", "1");
        for (name, text) in [
            ("connectors/shop/file.yaml", FILE),
            ("connectors/shop/mappings/jobs.yaml", NINE),
            ("connectors/shop/metrics.yaml", &metrics()),
        ] {
            yard.home.write(name, text);
        }
        let path = yard.home.write("jobs.csv", csv);
        let mut text = "clients: [{ key: acme, name: Acme Plumbing }]\nconnections:\n".to_owned();
        text.push_str(&format!(
            "  - key: acme-shop\n    client: acme\n    provider: shop\n    provider_account_id: book\n    environment: sandbox\n    \
             source_label: Book\n    config: {{ path: {} }}\n    jobs:\n      - {{ stream: jobs, schedule: manual }}\n",
            path.display()
        ));
        yard.declare(&text).await;
        Self { yard }
    }

    async fn json(&self, args: &[&str]) -> Value {
        let done = self.yard.home.run(&[args, &["--json"]].concat()).await;
        assert!([Some(0), Some(3)].contains(&done.code()), "{args:?}\n{done}");
        done.json()
    }

    async fn pull(&self) -> Value {
        self.json(&["run-once", "--connection", "acme-shop"]).await["runs"][0].clone()
    }

    async fn diff(&self) -> Value {
        self.json(&["normalize", "--diff", "--connection", "acme-shop"]).await["diffs"][0].clone()
    }

    async fn diff_of(&self, version: &str) -> Value {
        let args = ["normalize", "--diff", "--connection", "acme-shop", "--map-version", version];
        self.json(&args).await["diffs"][0].clone()
    }

    async fn activate(&self, version: &str) -> Value {
        let args = ["normalize", "--activate", "--provider", "shop", "--map-version", version, "--reason", "a test"];
        self.json(&args).await
    }

    /// Metric and value of the last month.
    async fn numbers(&self) -> Vec<(String, Value)> {
        let all = self.json(&["metrics", "snapshot", "--client", "acme"]).await;
        let of = |one: &Value| (one["metric"].as_str().unwrap().to_owned(), one["value"].clone());
        all.as_array().unwrap().iter().map(of).collect()
    }

    async fn map(&self) -> Value {
        self.json(&["connection", "show", "acme-shop"]).await["field_maps"][0].clone()
    }

    async fn everything(&self) -> Vec<Vec<Option<String>>> {
        let mut all = self.yard.database.sql.rows("select * from field_jobs order by id").await;
        for table in ["integration_raw_events", "integration_sync_errors", "integration_field_mappings"] {
            all.extend(self.yard.database.sql.rows(&format!("select * from {table} order by id")).await);
        }
        all
    }
}

async fn tells_what_comes(db: &TestDatabase) {
    for seed in [11, 12] {
        for table in ["integration_sync_errors", "field_jobs", "integration_object_links", "integration_field_mappings"]
        {
            db.sql.ok(&format!("delete from {table}")).await;
        }
        let book = Book::new(db, &rows(&mut StdRng::seed_from_u64(seed), 160)).await;
        let pulled = book.pull().await;
        assert!(pulled["records_failed"].as_i64() > Some(0), "{pulled}");
        let before = book.numbers().await;
        assert_eq!(before.len(), 6, "{before:?}");
        book.yard.home.write("connectors/shop/mappings/jobs.10.yaml", TEN);
        let shown = book.map().await;
        assert_eq!((&shown["in_force"], &shown["waiting"]), (&json!("9"), &json!(["10"])), "{shown}");
        let stood = book.everything().await;
        let diff = book.diff().await;
        assert_eq!(book.everything().await, stood, "a diff writes nothing");
        let told = &diff["streams"][0]["records"];
        assert_eq!(&diff["streams"][0]["version"], "10");
        let shifts = diff["metrics"].as_array().unwrap();
        assert_eq!(shifts.len(), 6, "{diff}");
        for (metric, value) in &before {
            let shift = shifts.iter().find(|shift| shift["metric"] == **metric).unwrap();
            assert_eq!(&shift["now"]["value"], value, "{shift}");
        }
        let answer = book.activate("10").await;
        let run = &answer["runs"][0];
        assert_eq!(answer["activated"][0]["before"], "9", "{answer}");
        // Stored records and dead letters are counted one after the other by the run; the diff tells them apart.
        let number = |name: &str| told[name].as_i64().unwrap();
        assert_eq!(run["records_updated"].as_i64().unwrap(), number("changed"), "{told} {run}");
        assert_eq!(run["records_created"].as_i64().unwrap(), number("created"), "{told} {run}");
        assert!(number("newly_ignored") > 0 && number("newly_failed") > 0 && number("created") > 0, "{told}");
        for (metric, value) in book.numbers().await {
            let shift = shifts.iter().find(|shift| shift["metric"] == *metric).unwrap();
            assert_eq!(shift["then"]["value"], value, "seed {seed}: {metric} was foretold otherwise\n{shift}");
        }
        assert!(shifts.iter().any(|shift| shift["moves"] == true), "{diff}");
        // Nothing is left of the older version but what the new one leaves out or fails.
        let shown = book.map().await;
        assert_eq!(shown["in_force"], "10");
        let old = shown["records_of_other_versions"].as_i64().unwrap();
        // What is left out was decided by this version, too.
        assert_eq!(old, number("newly_failed"), "{shown}");
        // What is left out by now is not told as if it were still to come.
        let once_more = book.diff_of("10").await["streams"][0]["records"].clone();
        assert_eq!((&once_more["newly_ignored"], &once_more["still_ignored"]), (&json!(0), &told["newly_ignored"]));
        // Again: nothing is done; and a second replay finds everything unchanged (P5).
        assert_eq!(book.activate("10").await["activated"], json!([]));
        let again = book.json(&["normalize", "--replay", "--connection", "acme-shop"]).await["runs"][0].clone();
        assert_eq!((&again["records_updated"], &again["records_created"]), (&json!(0), &json!(0)), "{again}");
        book.yard.end().await;
    }
}

on_both_engines!(p17_a_diff_tells_the_numbers_that_activating_comes_to, |db| {
    tells_what_comes(db).await;
});

on_both_engines!(p16_a_version_waits_until_it_is_activated_and_can_be_taken_back, |db| {
    let csv = "id,number,state,gross,net,currency,booked_at,planned_at,done_at,kind\n1,J-1,done,119.00,100.00,EUR,2026-01-05,2026-01-06,,job\n";
    let book = Book::new(db, csv).await;
    book.pull().await;
    let file = "connectors/shop/mappings/jobs.10.yaml";
    book.yard.home.write(file, TEN);
    let amount =
        async || db.sql.rows("select cast(booked_amount as char) from field_jobs").await[0][0].clone().unwrap();
    // New data goes through the version in force, however the files are named.
    book.yard.home.write("jobs.csv", &csv.replace("119.00", "238.00"));
    book.pull().await;
    assert!(amount().await.starts_with("238"), "{}", amount().await);
    let preview = book.yard.home.run_ok(&["connection", "preview", "acme-shop"]).await.stdout;
    assert!(preview.contains("238"), "{preview}");
    let provider = book.yard.home.run_ok(&["provider", "show", "shop"]).await.stdout;
    assert!(provider.contains("9 -> field_jobs (waiting: 10)"), "{provider}");

    let text = book.yard.home.run_ok(&["normalize", "--diff", "--connection", "acme-shop"]).await.stdout;
    for part in ["field map 10 instead of 9", "booked_amount", "999 -> 999", "nothing was written"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    book.activate("10").await;
    assert!(amount().await.starts_with("100"), "{}", amount().await);
    let act =
        db.sql.rows("select subject_key, reason from event_admin_actions where action = 'field_map.activate'").await;
    assert_eq!(act, [[Some("shop/jobs".to_owned()), Some("a test".to_owned())]]);
    // Back to the former one, and forth, and back: what is printed says what is done.
    let back = book.activate("9").await;
    assert_eq!(back["activated"][0]["before"], "10", "{back}");
    for version in ["10", "9"] {
        let args = ["normalize", "--activate", "--provider", "shop", "--map-version", version, "--reason", "x"];
        let told = book.yard.home.run_ok(&args).await.stdout;
        assert!(told.contains("this is put in force now") && !told.contains("nothing was written"), "{told}");
    }
    assert!(amount().await.starts_with("238"), "{}", amount().await);
    assert_eq!(book.map().await["in_force"], "9");
    // A text that was in force under its version cannot come back as another one.
    book.yard.home.write(file, &TEN.replace("from: net", "from: gross"));
    let args = ["normalize", "--activate", "--provider", "shop", "--map-version", "10", "--reason", "x"];
    let refused = book.yard.home.run(&args).await;
    assert_eq!(refused.code(), Some(2), "{refused}");
    assert!(refused.stderr.contains("give it a new version"), "{refused}");
    for (args, part) in [
        (&["normalize", "--activate", "--provider", "shop", "--map-version", "11", "--reason", "x"][..], "9, 10"),
        (&["normalize", "--activate", "--map-version", "10", "--reason", "x"], "--provider KEY"),
        (&["normalize", "--activate", "--provider", "shp", "--map-version", "10", "--reason", "x"], "'shop'"),
        (&["normalize", "--activate", "--provider", "shop", "--map-version", "10"], "--reason"),
        (&["normalize", "--diff", "--map-version", "11"], "9, 10"),
        (&["normalize", "--map-version", "10"], "--diff"),
    ] {
        let done = book.yard.home.run(args).await;
        assert!(done.code() == Some(2) && done.stderr.contains(part), "{args:?} {part}\n{done}");
    }
    // What stood is gone from the folder: the highest that is there is in force with the next run.
    std::fs::remove_file(book.yard.home.path().join("connectors/shop/mappings/jobs.yaml")).unwrap();
    book.yard.home.write(file, &TEN.replace("\"10\"", "\"12\""));
    book.pull().await;
    let shown = book.map().await;
    assert_eq!((&shown["in_force"], &shown["activated_by"]), (&json!("12"), &json!("tidegate")), "{shown}");
    book.yard.end().await;
});

on_both_engines!(p4_a_broken_version_beside_the_one_in_force_stops_nothing_and_alone_it_stops_the_stream, |db| {
    let csv = "id,number,state,gross,net,currency,booked_at,planned_at,done_at,kind\n1,J-1,done,119.00,100.00,EUR,2026-01-05,2026-01-06,,job\n";
    let book = Book::new(db, csv).await;
    book.pull().await;
    book.yard.home.write("connectors/shop/mappings/jobs.10.yaml", "version: [\n");
    assert_eq!(book.pull().await["status"], "succeeded");
    book.yard.home.write("connectors/shop/mappings/jobs.yaml", "version: [\n");
    book.yard.home.write("connectors/shop/mappings/jobs.10.yaml", TEN);
    let done = book.yard.home.run(&["run-once", "--connection", "acme-shop", "--json"]).await;
    assert_eq!(done.code(), Some(4), "{done}");
    assert_eq!(done.json()["runs"][0]["error_code"], "settings_invalid", "{done}");
    let versions = db.sql.rows("select version from integration_field_mappings").await;
    assert_eq!(versions, [[Some("9".to_owned())]], "nothing was activated by a slip");
    book.yard.end().await;
});
