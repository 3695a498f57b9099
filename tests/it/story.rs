//! The story of one client, from nothing to a published card, with the real program: every gate refuses first, then lets through, and
//! what goes wrong later leaves the card as it was (P17, P20).

use chrono::{Months, Utc};
use serde_json::Value;
use tidegate::{
    domain::clock::Clock,
    simulator::{Bad, Fault, FaultKind, ObjectKind},
    system_clock::SystemClock,
};

use crate::support::{
    daemon::Finished,
    databases::TestDatabase,
    yard::{ACME_PORTAL, LAUNCH_CONTROLS, Yard, names_account},
};

const ACME: &str = "acme-hubspot";
const CONTACTS: u64 = 40;
/// No dead letter may wait: laid over the built-in rules.
const STRICT: &str = "connections:\n  acme-hubspot:\n    dead_letter_budget: { thresholds: { max_open: 0 } }\n";
/// What names acme in any way, beside its account.
const OF_ACME: [&str; 2] = ["acme", "Acme"];

/// Acme in production, the other client in a sandbox.
fn declaration(yard: &Yard<'_>) -> String {
    let text = yard.declaration("production", "every 30d", false);
    let (acme, bright) = text.split_at(text.find("  - key: bright-hubspot").unwrap());
    format!("{acme}{}", bright.replace("environment: production", "environment: sandbox"))
}

/// What is told to be missing, one entry for each.
fn missing(refused: &Finished) -> Vec<String> {
    assert_eq!(refused.code(), Some(5), "{refused}");
    refused.stderr.lines().filter_map(|line| line.strip_prefix("  - ")).map(str::to_owned).collect()
}

async fn activation(yard: &Yard<'_>) -> Vec<String> {
    missing(&yard.home.run(&["connection", "activate", ACME]).await)
}

/// Declares what acme began with; each call is a new version, so that publishing would change the card.
async fn baseline(yard: &Yard<'_>, value: &str) {
    let of = ["metrics", "baseline", "--client", "acme", "--metric", "lead_volume", "--value", value];
    let why = ["--evidence", "counted in the paper book", "--reason", "before the connection"];
    yard.home.run_ok(&[&of[..], &why[..]].concat()).await;
}

/// The cards as bytes.
async fn cards(yard: &Yard<'_>, client: &str) -> String {
    yard.home.run_ok(&["portal", "cards", "--client", client, "--json"]).await.stdout
}

/// The card of the leads.
async fn leads(yard: &Yard<'_>) -> Value {
    let all: Value = serde_json::from_str(&cards(yard, "acme").await).unwrap();
    let found = all.as_array().unwrap().iter().find(|card| card["title"] == "New leads");
    found.unwrap_or_else(|| panic!("no card of leads: {all}")).clone()
}

/// Why the leads are held, as one command tells it; empty when they are not.
async fn held(yard: &Yard<'_>) -> String {
    let shown = yard.home.run_ok(&["metrics", "show", "--client", "acme", "--json"]).await.json();
    let report = shown["metrics"].as_array().unwrap().iter().find(|report| report["metric"] == "lead_volume");
    report.unwrap_or_else(|| panic!("{shown}"))["held_reason"].as_str().unwrap_or_default().to_owned()
}

/// The checks that hold acme's numbers now.
async fn failing(yard: &Yard<'_>) -> Vec<String> {
    let all = yard.home.run_ok(&["quality", "list", "--connection", ACME, "--json"]).await.json();
    let bad = all.as_array().unwrap().iter().filter(|c| c["status"] != "passed" && c["severity"] == "error");
    bad.map(|check| check["check_key"].as_str().unwrap().to_owned()).collect()
}

/// The gate of going live: refuses the run and the activation, each supply shortens what it names, and then it opens.
async fn goes_live(yard: &Yard<'_>) {
    let refused = yard.run_acme().await;
    let all = missing(&refused);
    for part in ["identity:", "last-tested date:", "baseline:", "`rollback_owner`", "activation:"] {
        assert!(all.iter().any(|line| line.starts_with(part)), "'{part}' is not told\n{refused}");
    }
    assert_eq!(yard.number("select count(*) from integration_sync_runs").await, 0, "it was refused");
    let mut before = activation(yard).await;
    assert_eq!(before.len() + 1, all.len(), "the same, but for the activation itself");
    for (supply, part) in [("check", "identity:"), ("test-batch", "last-tested date:"), ("baseline", "baseline:")] {
        match supply {
            "test-batch" => drop(yard.home.run_ok(&["connection", supply, ACME, "--count", "5"]).await),
            "check" => drop(yard.home.run_ok(&["connection", supply, ACME]).await),
            _ => baseline(yard, "40").await,
        }
        let now = activation(yard).await;
        assert!(now.len() < before.len(), "{supply} shortens the list: {before:?} {now:?}");
        assert!(!now.iter().any(|line| line.starts_with(part)), "{supply} supplies {part}: {now:?}");
        before = now;
    }
    assert!(before.iter().all(|line| line.starts_with('`')), "only the installation's are left: {before:?}");
    let file = yard.home.write("controls.yaml", LAUNCH_CONTROLS);
    yard.home.run_ok(&["launch", "sign", "--file", &file.display().to_string()]).await;
    yard.home.run_ok(&["connection", "activate", ACME]).await;
}

/// Something is wrong with the source: a new baseline stands ready, and the card does not move.
async fn holds(yard: &Yard<'_>, card: &str, checks: &[&str]) {
    let refused = yard.home.run(&["metrics", "publish", "--client", "acme"]).await;
    assert_eq!(refused.code(), Some(5), "{refused}");
    assert_eq!(cards(yard, "acme").await, card, "{checks:?} leave the card as it was");
    assert_eq!(failing(yard).await, checks);
    let reason = held(yard).await;
    assert!(checks.iter().all(|check| reason.contains(&format!("check {check}: "))), "{reason}");
}

/// Mended: the run alone brings the card up to date.
async fn mends(yard: &Yard<'_>, baseline: &str) -> String {
    let ran = yard.run_acme().await;
    assert_eq!(ran.code(), Some(0), "{ran}");
    assert_eq!(failing(yard).await, [""; 0]);
    assert_eq!((held(yard).await.as_str(), &leads(yard).await["baseline"]), ("", &baseline.into()));
    cards(yard, "acme").await
}

async fn of_last_month(db: &TestDatabase) -> i64 {
    let this = SystemClock::new().now().utc();
    let first = |day: chrono::DateTime<Utc>| {
        let day = day.format("%Y-%m-01");
        if db.is_mysql() { format!("{day} 00:00:00") } else { format!("{day}T00:00:00.000000Z") }
    };
    let (from, to) = (first(this.checked_sub_months(Months::new(1)).unwrap()), first(this));
    db.sql
        .number(&format!(
            "select count(*) from crm_leads where received_at >= '{from}' and received_at < '{to}' and connection_id = \
             (select id from integration_connections where connection_key = '{ACME}')"
        ))
        .await
}

on_both_engines!(p17_p20_a_client_goes_from_nothing_to_a_card_and_each_gate_refuses_first, |db| {
    let now = SystemClock::new().now();
    let mut yard = Yard::with(db, |account| account.contacts(CONTACTS).in_the_last_month(now)).await;
    yard.edit_manifest("page_size: 200", "page_size: 10");
    let strict = yard.home.write("quality.yaml", STRICT);
    yard.home.setting("quality.file", strict.display());
    yard.declare(&declaration(&yard)).await;
    goes_live(&yard).await;
    yard.home.run_ok(&["run-once", "--connection", "bright-hubspot"]).await;

    // Live, and not read yet: no number, and a reason.
    let refused = yard.home.run(&["metrics", "publish", "--client", "acme"]).await;
    assert_eq!(refused.code(), Some(5), "{refused}");
    assert!(held(&yard).await.contains("contacts was never read completely"), "{refused}");

    // The first run brings two records that cannot be mapped: more than may wait.
    let account = yard.simulator.account(ACME_PORTAL);
    account.make_bad(ObjectKind::Contacts, 3, Bad::UnknownLifecycle);
    account.make_bad(ObjectKind::Contacts, 7, Bad::PhoneGarbage);
    let first = yard.run_acme().await;
    assert_eq!(first.code(), Some(3), "{first}");
    assert_eq!(failing(&yard).await, ["dead_letter_budget"]);
    assert!(held(&yard).await.contains("check dead_letter_budget: "), "{}", held(&yard).await);
    assert_eq!(cards(&yard, "acme").await.trim(), "[]");

    // Mended at the provider: the next run lets the card appear by itself.
    assert_eq!(account.mend(ObjectKind::Contacts, [3, 7]), 2);
    let mut card = mends(&yard, "40").await;
    let (told, counted) = (leads(&yard).await, of_last_month(db).await);
    assert!(counted > 0);
    let last_month = now.utc().checked_sub_months(Months::new(1)).unwrap();
    assert_eq!(told["current"], counted.to_string(), "{told}");
    assert_eq!((&told["source"], &told["unit"]), (&"CRM".into(), &"leads".into()), "{told}");
    assert_eq!(told["status"], if counted < 38 { "declined" } else { "steady" }, "{told}");
    let period = told["period"].as_str().unwrap();
    assert!(period.contains(&last_month.format("%Y").to_string()), "{told}");
    assert!(!card.to_lowercase().contains("hubspot"), "{card}");

    // A run that breaks off in the middle.
    baseline(&yard, "41").await;
    account.edit_contacts(1..=CONTACTS);
    yard.simulator.fault(Fault::on(3, FaultKind::Rejected).path("contacts").account(ACME_PORTAL));
    let broken = yard.run_acme().await;
    assert_eq!(broken.json()["runs"][0]["status"], "partial", "{broken}");
    // The page that was refused waits as a dead letter, too.
    holds(&yard, &card, &["dead_letter_budget", "run_complete"]).await;
    card = mends(&yard, "41").await;

    // A source that was not read in time. Nothing is new when it is read again, and the card comes up to date all the same.
    baseline(&yard, "42").await;
    let long_ago = if db.is_mysql() { "2026-01-01 00:00:00" } else { "2026-01-01T00:00:00.000000Z" };
    let stale = format!(
        "update integration_sync_jobs set last_complete_at = '{long_ago}' where connection_id = \
         (select id from integration_connections where connection_key = '{ACME}')"
    );
    db.sql.ok(&stale).await;
    holds(&yard, &card, &["freshness"]).await;
    card = mends(&yard, "42").await;

    // A dead letter more than may wait.
    baseline(&yard, "43").await;
    account.make_bad(ObjectKind::Contacts, 11, Bad::UnknownLifecycle);
    assert_eq!(yard.run_acme().await.code(), Some(3));
    holds(&yard, &card, &["dead_letter_budget"]).await;
    account.mend(ObjectKind::Contacts, [11]);
    mends(&yard, "43").await;

    // The other client has its records, no card, and nothing of acme.
    assert_eq!(cards(&yard, "bright").await.trim(), "[]");
    for args in [&["portal", "cards"][..], &["metrics", "show"], &["metrics", "publish"], &["quality", "list"]] {
        for json in [&[][..], &["--json"]] {
            let shown = yard.home.run_ok(&[args, &["--client", "bright"], json].concat()).await;
            let text = format!("{}{}", shown.stdout, shown.stderr);
            let named = OF_ACME.iter().any(|word| text.contains(word)) || names_account(&text, ACME_PORTAL);
            assert!(!named, "{shown}");
        }
    }
    yard.assert_settled().await;
    yard.end().await;
});
