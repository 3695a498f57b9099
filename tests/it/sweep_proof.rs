//! The sweep over what is proved and told: checks, numbers, reports, quality facts, launch controls, alerts, credentials.

use tidegate::{
    domain::{
        business::CRM_LEADS,
        ids::{ClientId, ConnectionId},
        metric::Source,
        status::{CheckStatus, ControlKind, ControlStatus, Severity},
    },
    store::{
        alerts::AlertFilter,
        checks::{CheckFilter, CheckResult, Evaluation},
        credentials::NewVersion,
        launch::{ConnectionProof, ControlFacts, ControlRow, ProvedBy, Reviewed, Whose},
        metrics::{Baseline, BaselineSet, Measure, NewSnapshot, RowQuery, Snapshot},
        quality::{Depth, IsolationIncident},
        reports::{Report, Told},
    },
};

use crate::{
    store_ground::{act, long_ago},
    sweep_ground::{Entry::Global, Ground, Line, refused, signature, version},
};

/// A fact that every read of a quality check is bound to connection and client for. `told`: bolt has some of it.
macro_rules! quality {
    ($name:literal, $told:literal, |$store:ident, $of:ident| $read:expr) => {
        foreign!($name, |g| {
            let $store = &g.store;
            g.nothing($told, async |$of| $read.await).await
        })
    };
}

pub fn lines() -> Vec<Line> {
    let mut all = numbers();
    all.extend(facts());
    all.extend(controls_and_secrets());
    all
}

fn numbers() -> Vec<Line> {
    vec![
        foreign!("CheckStore::record_checks", |g| {
            let evaluation = |(connection_id, client_id), run_id| Evaluation {
                evaluation_id: "forged".to_owned(),
                connection_id,
                client_id,
                run_id,
                results: vec![forged_check()],
            };
            let mut refusals = Vec::new();
            for pair in g.crossed() {
                refusals.push(refused(g.store.record_checks(&evaluation(pair, None)).await).to_string());
            }
            let own = (g.acme.connection, g.acme.client);
            let run = refused(g.store.record_checks(&evaluation(own, Some(g.bolt.held.run))).await);
            refusals.push(run.to_string());
            refusals
        }),
        foreign!("CheckStore::latest_checks", |g| {
            let checks = g.store.latest_checks(g.acme.connection).await.unwrap();
            assert_eq!(checks.len(), 1);
            checks
        }),
        foreign!("CheckStore::checks", |g| {
            let filter = |client: Option<&str>, connection: Option<&str>| CheckFilter {
                client_key: client.map(str::to_owned),
                connection_key: connection.map(str::to_owned),
                limit: 100,
                ..CheckFilter::default()
            };
            let crossed = g.store.checks(&filter(Some("acme"), Some("bolt-hubspot"))).await.unwrap();
            assert!(crossed.is_empty(), "{crossed:?}");
            let of_client = g.store.checks(&filter(Some("acme"), None)).await.unwrap();
            let of_connection = g.store.checks(&filter(None, Some("acme-hubspot"))).await.unwrap();
            assert_eq!(of_client, of_connection);
            of_client
        }),
        foreign!("MetricStore::metric_groups", |g| {
            for (source, column) in sources() {
                for (connection, client) in g.crossed() {
                    let query = rows_of(source, column, connection, client);
                    let groups = g.store.metric_groups(&query, Measure::Rows).await.unwrap();
                    assert_eq!(groups.iter().map(|group| group.rows).sum::<i64>(), 0, "{source:?}");
                }
            }
            let own = rows_of(Source::Records(&CRM_LEADS), "received_at", g.bolt.connection, g.bolt.client);
            assert!(g.store.metric_groups(&own, Measure::Rows).await.unwrap()[0].rows > 0);
        }),
        foreign!("MetricStore::metric_runs", |g| {
            for (source, column) in sources() {
                for (connection, client) in g.crossed() {
                    let runs = g.store.metric_runs(&rows_of(source, column, connection, client), 100).await.unwrap();
                    assert!(runs.is_empty(), "{source:?}: {runs:?}");
                }
            }
        }),
        foreign!("MetricStore::job_facts", |g| {
            for (connection, client) in g.crossed() {
                let jobs = g.store.job_facts(client, connection).await.unwrap();
                assert!(jobs.is_empty(), "{jobs:?}");
            }
        }),
        foreign!("MetricStore::newest_snapshot", |g| {
            for like in crossed_numbers(g) {
                assert_eq!(g.store.newest_snapshot(&like).await.unwrap(), None);
            }
            let own = g.store.newest_snapshot(&g.acme.snapshot.number).await.unwrap();
            assert_eq!(own.as_ref(), Some(&g.acme.snapshot));
            own
        }),
        foreign!("MetricStore::take_snapshot", |g| {
            let mut refusals = Vec::new();
            for number in crossed_numbers(g) {
                refusals.push(refused(g.store.take_snapshot(&number).await).to_string());
            }
            refusals
        }),
        foreign!("MetricStore::baseline", |g| {
            let baseline = g.store.baseline(g.acme.client, "lead_volume", "CRM").await.unwrap();
            assert_eq!(baseline.iter().map(snapshot_of).collect::<Vec<_>>(), [&g.acme.snapshot]);
            baseline
        }),
        foreign!("MetricStore::baselines", |g| {
            let baselines = g.store.baselines(g.acme.client).await.unwrap();
            assert!(baselines.iter().all(|baseline| baseline.snapshot.number.client_id == g.acme.client));
            baselines
        }),
        foreign!("MetricStore::set_baseline", |g| {
            let number = g.acme.snapshot.number.clone();
            let stolen = Snapshot { id: g.bolt.snapshot.id, number };
            let set = g.store.set_baseline(&stolen, "forged", &act("metric.baseline")).await.unwrap();
            assert_eq!(set, BaselineSet::NotFit);
            for number in crossed_numbers(g) {
                let crossed = Snapshot { id: g.bolt.snapshot.id, number };
                refused(g.store.set_baseline(&crossed, "forged", &act("metric.baseline")).await);
            }
        }),
        foreign!("ReportStore::report", |g| {
            let report = g.store.report(g.acme.client, "lead_volume", "CRM").await.unwrap();
            assert_eq!(report.as_ref(), Some(&g.acme.report));
            report
        }),
        foreign!("ReportStore::reports", |g| {
            let reports = g.store.reports(g.acme.client).await.unwrap();
            assert_eq!(reports.as_slice(), std::slice::from_ref(&g.acme.report));
            reports
        }),
        foreign!("ReportStore::write_report", |g| {
            let (own, others) = (&g.acme.report, &g.bolt.report);
            let number = &g.bolt.snapshot.number;
            let told = Told {
                period_start: number.period_start,
                period_end: number.period_end,
                value: number.value.unwrap(),
                snapshot_id: g.bolt.snapshot.id,
            };
            let action = act("metric.publish");
            for next in [
                Report { connection_id: others.connection_id, ..own.clone() },
                Report { current: Some(told.clone()), ..own.clone() },
                Report { baseline: Some(told), ..own.clone() },
                Report { pending_snapshot_id: Some(g.bolt.snapshot.id), ..own.clone() },
            ] {
                refused(g.store.write_report(Some(own), &next, Some(&action)).await);
            }
            // What bolt's card shows is no proof of what acme's does.
            let next = Report { client_note: Some("forged".to_owned()), ..own.clone() };
            assert!(!g.store.write_report(Some(others), &next, Some(&action)).await.unwrap());
            assert!(!g.store.write_report(Some(own), others, Some(&action)).await.unwrap());
        }),
        foreign!("ReportStore::portal_cards", |g| {
            let cards = g.store.portal_cards("acme").await.unwrap();
            assert!(cards.iter().all(|card| card.client_key == "acme"));
            cards
        }),
    ]
}

fn facts() -> Vec<Line> {
    vec![
        quality!("QualityStore::foreign_rows", false, |s, of| s.foreign_rows(of)),
        quality!("QualityStore::stray_links", false, |s, of| s.stray_links(of, Depth::Thorough)),
        quality!("QualityStore::rival_claims", false, |s, of| s.rival_claims(of)),
        quality!("QualityStore::open_letters_of", true, |s, of| s.open_letters_of(of, "account_mismatch")),
        quality!("QualityStore::currencies", true, |s, of| s.currencies(of)),
        quality!("QualityStore::link_fit", false, |s, of| s.link_fit(of, Depth::Thorough)),
        quality!("QualityStore::shared_contacts", false, |s, of| s.shared_contacts(of)),
        quality!("QualityStore::labels", true, |s, of| s.labels(of, "another label", 10)),
        quality!("QualityStore::paid_organic", true, |s, of| s.paid_organic(of)),
        quality!("QualityStore::ignored_without_reason", false, |s, of| s.ignored_without_reason(of, 10)),
        quality!("QualityStore::half_marked_tests", true, |s, of| s.half_marked_tests(of)),
        quality!("QualityStore::job_freshness", true, |s, of| s.job_freshness(of)),
        quality!("QualityStore::stream_history", true, |s, of| s.stream_history(of, 10)),
        quality!("QualityStore::run_tallies", true, |s, of| s.run_tallies(of, 10)),
        quality!("QualityStore::undelivered", false, |s, of| s.undelivered(of, 10)),
        quality!("QualityStore::newest_ends", true, |s, of| s.newest_ends(of)),
        quality!("QualityStore::letter_load", true, |s, of| s.letter_load(of)),
        quality!("QualityStore::daily_volume", true, |s, of| s.daily_volume(of, long_ago())),
        quality!("QualityStore::rows_after", true, |s, of| s.rows_after(of, long_ago())),
        quality!("QualityStore::baseline_pairs", true, |s, of| s.baseline_pairs(of)),
        quality!("QualityStore::books", true, |s, of| s.books(of)),
        quality!("QualityStore::client_texts", true, |s, of| s.client_texts(of)),
        quality!("QualityStore::record_identity", false, |s, of| s.record_identity(of, "forged")),
        quality!("QualityStore::raise_isolation_incident", false, |s, of| {
            let connection_key = "bolt-hubspot".to_owned();
            let incident = IsolationIncident { connection_key, owner: None, reason: "forged".to_owned() };
            async move { s.raise_isolation_incident(of, &incident).await }
        }),
    ]
}

fn controls_and_secrets() -> Vec<Line> {
    vec![
        foreign!("LaunchStore::launch_controls", |g| {
            for (connection, client) in g.crossed() {
                let controls = g.store.launch_controls(Whose::Connection(connection, client)).await.unwrap();
                assert!(controls.is_empty(), "{controls:?}");
            }
            g.store.launch_controls(Whose::Installation).await.unwrap()
        }),
        foreign!("LaunchStore::connection_proof", |g| {
            for (connection, client) in g.crossed() {
                let proof = g.store.connection_proof(connection, client).await.unwrap();
                assert_eq!(proof, ConnectionProof::default());
            }
            let own = g.store.connection_proof(g.bolt.connection, g.bolt.client).await.unwrap();
            assert_eq!((own.test_batches.len(), own.baselines), (1, 2));
        }),
        foreign!("LaunchStore::record_review", |g| {
            let mut refusals = Vec::new();
            for (connection, client) in g.crossed() {
                for control_key in ["access", "one_that_bolt_does_not_have"] {
                    for proved_by in [ProvedBy::Person, ProvedBy::MachineForPerson, ProvedBy::Machine] {
                        let row = forged_control(control_key);
                        let whose = Whose::Connection(connection, client);
                        let answer = g.store.record_review(whose, &[Reviewed { row, proved_by }]).await;
                        refusals.push(refused(answer).to_string());
                    }
                }
            }
            refusals
        }),
        foreign!("LaunchStore::sign_controls", |g| {
            let mut refusals = Vec::new();
            for (connection, client) in g.crossed() {
                for control_key in ["access", "one_that_bolt_does_not_have"] {
                    let mut signature = signature(connection, client, "acme");
                    signature.control_key = control_key.to_owned();
                    let answer = g.store.sign_controls(&[signature], &[act("launch.sign")]).await;
                    refusals.push(refused(answer).to_string());
                }
            }
            refusals
        }),
        ("LaunchStore::refused_due", Global("what keeps the connections of all clients from running, for operators")),
        ("AlertStore::alert_facts", Global("one sweep looks at all clients")),
        ("AlertStore::late_jobs", Global("one sweep looks at all clients")),
        ("AlertStore::throttled", Global("one sweep looks at all clients")),
        ("AlertStore::write_alerts", Global("one sweep decides over the alerts of all clients")),
        foreign!("AlertStore::alerts", |g| {
            let connection_key = Some("acme-hubspot".to_owned());
            let filter = AlertFilter { all: true, connection_key, limit: 100, ..AlertFilter::default() };
            let alerts = g.store.alerts(&filter).await.unwrap();
            assert_eq!(alerts.len(), 1);
            alerts
        }),
        ("AlertStore::due_notices", Global("one webhook tells operators of all clients")),
        ("AlertStore::claim_notice", Global("an alert as due_notices gave it, with its own id")),
        ("AlertStore::notice_told", Global("an alert as due_notices gave it, with its own id")),
        ("AlertStore::notice_failed", Global("an alert as due_notices gave it, with its own id")),
        ("AlertStore::gauges", Global("numbers over all clients, none of which is named")),
        foreign!("RepairStore::delivers_since", |g| {
            for (connection, client) in g.crossed() {
                assert_eq!(g.store.delivers_since(connection, client).await.unwrap(), None);
            }
        }),
        foreign!("RepairStore::missed_of", |g| {
            for (connection, client) in g.crossed() {
                let missed = g.store.missed_of(connection, client, long_ago()).await.unwrap();
                assert_eq!(missed, Default::default());
            }
        }),
        ("RepairStore::missed", Global("one sweep looks at all clients")),
        (
            "CredentialStore::credential",
            Global("by key, for people at a terminal; it opens for its own connection only"),
        ),
        foreign!("CredentialStore::credential_of", |g| {
            let of = async |key, connection, client| g.store.credential_of(key, connection, client).await.unwrap();
            for (connection, client) in g.crossed() {
                assert!(of("bolt", connection, client).await.is_none());
                assert!(of("acme", connection, client).await.is_none());
            }
            assert!(of("bolt", g.acme.connection, g.acme.client).await.is_none());
            assert!(of("bolt", g.bolt.connection, g.bolt.client).await.is_some());
        }),
        foreign!("CredentialStore::credential_facts", |g| {
            let facts = g.store.credential_facts(Some("acme-hubspot")).await.unwrap();
            assert_eq!(facts.len(), 1);
            facts
        }),
        ("CredentialStore::sealed_credentials", Global("all rows are wrapped anew when the key changes")),
        foreign!("CredentialStore::put_credential", |g| {
            let stands = Some((g.bolt.credential.version, g.bolt.credential.fence));
            let own = (g.acme.connection, g.acme.client);
            for (connection, client) in g.crossed().into_iter().chain([own]) {
                for replaces in [None, stands] {
                    let new = NewVersion { version: 2, replaces, ..version(connection, client, "bolt") };
                    assert!(!g.store.put_credential(&new, &act("credential.set")).await.unwrap());
                }
            }
            for (connection, client) in g.crossed() {
                refused(g.store.put_credential(&version(connection, client, "new"), &act("credential.set")).await);
            }
        }),
        foreign!("CredentialStore::rewrap_credential", |g| {
            let mut seen = g.acme.credential.clone();
            seen.id = g.bolt.credential.id;
            let rewrapped = g.store.rewrap_credential(&seen, "forged", "k").await.unwrap();
            assert!(!rewrapped);
            rewrapped
        }),
        ("CredentialStore::revoke_credential", Global("a person names the credential; its key is the context")),
        foreign!("CredentialStore::claim_refresh", |g| {
            // A dead worker that renewed acme's credential says nothing about bolt's.
            let mut claim = crate::sweep_ground::refresh(&g.bolt.credential, "worker-of-acme");
            claim.dead_owner = Some("worker-of-acme".to_owned());
            let fence = g.store.claim_refresh(&claim).await.unwrap();
            assert_eq!(fence, None);
            fence
        }),
        (
            "CredentialStore::end_refresh",
            Global(
                "the row and the fence that claim_refresh gave; what is written is sealed to key, connection and client",
            ),
        ),
        ("RightsStore::rights", Global("of the database user, who serves all clients")),
        ("SchemaStore::engine", Global("of the database")),
        ("SchemaStore::server_version", Global("of the database")),
        ("SchemaStore::server_time", Global("of the database")),
        ("SchemaStore::schema_state", Global("of the database")),
        ("SchemaStore::migrations", Global("of the database")),
        ("SchemaStore::migrate", Global("of the database")),
        ("SchemaStore::ping", Global("of the database")),
        ("SchemaStore::close", Global("of the database")),
    ]
}

fn snapshot_of(baseline: &Baseline) -> &Snapshot {
    &baseline.snapshot
}

fn sources() -> [(Source, &'static str); 3] {
    [(Source::Records(&CRM_LEADS), "received_at"), (Source::Runs, "finished_at"), (Source::Notes, "published_at")]
}

fn rows_of(source: Source, time_column: &'static str, connection_id: ConnectionId, client_id: ClientId) -> RowQuery {
    RowQuery { client_id, connection_id, source, filter: Vec::new(), time_column, window: None }
}

/// Bolt's number said to be of crossed pairs.
fn crossed_numbers(g: &Ground) -> impl Iterator<Item = NewSnapshot> {
    let number = g.bolt.snapshot.number.clone();
    g.crossed().into_iter().map(move |(connection_id, client_id)| NewSnapshot {
        connection_id,
        client_id,
        ..number.clone()
    })
}

fn forged_check() -> CheckResult {
    CheckResult {
        check_key: "freshness".to_owned(),
        severity: Severity::Error,
        status: CheckStatus::Passed,
        observed: None,
        expected: None,
        detail_internal: None,
        message_client_safe: None,
    }
}

fn forged_control(control_key: &str) -> ControlRow {
    ControlRow {
        control_key: control_key.to_owned(),
        title: "forged".to_owned(),
        kind: ControlKind::LaunchItem,
        facts: ControlFacts::default(),
        evidence: None,
        signed_by: None,
        status: ControlStatus::Failed,
        status_reason: Some("forged".to_owned()),
        checked_at: None,
        blocks_from: None,
    }
}
