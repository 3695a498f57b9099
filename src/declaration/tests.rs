//! Facts about declarations: each refusal, applying twice, and the way back from what stands.

use serde_json::json;

use super::*;
use crate::{
    domain::{
        clock::Timestamp,
        ids::{ClientId, ConnectionId, JobId},
        status::{ConnectionStatus, JobStatus},
    },
    store::catalogue::{Client, Connection, Job},
};

const GOOD: &str = r#"
clients:
  - { key: acme, name: Acme Plumbing }
providers:
  - { key: hubspot, owner: me@example.test, reason: CRM }
connections:
  - key: acme-hubspot
    client: acme
    provider: hubspot
    provider_account_id: "0711"
    environment: production
    owner: me@example.test
    reason: weekly report
    source_label: CRM
    credential: env:TOKEN
    scopes: [a, b]
    refresh_policy: none
    revocation_path: "off"
    config: { base_url: "https://api.example.test", token_url: "https://x.test", n: 5, deep: [{ a: "yes" }] }
    jobs:
      - { stream: contacts, sync_mode: incremental, schedule: "every 15m", stale_after: 2h }
      - { stream: deals, schedule: cron 0 6 * * 1-5 Europe/Berlin }
  - key: acme-files
    client: birch
    provider: csv
    provider_account_id: files
    environment: sandbox
    source_label: Files
    jobs: [{ stream: leads, schedule: manual }]
"#;

fn known() -> Known {
    let stream =
        |name: &str, sync_modes: &[SyncMode]| KnownStream { name: name.into(), sync_modes: sync_modes.to_vec() };
    let provider = |key: &str, streams| KnownProvider {
        key: key.into(),
        name: key.to_uppercase(),
        category: "crm".into(),
        auth_type: "bearer".into(),
        streams,
    };
    let both = [SyncMode::FullRefresh, SyncMode::Incremental];
    Known {
        providers: vec![
            provider("hubspot", vec![stream("contacts", &both), stream("deals", &both)]),
            provider("csv", vec![stream("leads", &[SyncMode::FullRefresh])]),
        ],
        client_keys: vec!["birch".into()],
    }
}

fn read(text: &str) -> Result<DeclarationFile, Vec<DeclarationProblem>> {
    parse(&[("a.yaml".to_owned(), text.to_owned())], &known())
}

fn now() -> Timestamp {
    "2026-01-31T08:00:00Z".parse().unwrap()
}

/// What the store would hold after the plan was written.
fn applied(mut current: CurrentState, plan: Plan) -> CurrentState {
    for (key, name, status) in plan.declaration.clients {
        current.clients.retain(|known| known.client_key != key);
        current.clients.push(Client { id: ClientId(1), client_key: key, name, status });
    }
    for provider in plan.declaration.providers {
        current.providers.retain(|known| known.provider_key != provider.provider_key);
        current.providers.push(provider);
    }
    for spec in plan.declaration.connections {
        current.connections.retain(|known| known.spec.connection_key != spec.connection_key);
        current.connections.push(Connection {
            id: ConnectionId(1),
            client_id: ClientId(1),
            status: ConnectionStatus::Draft,
            status_reason: None,
            last_tested_at: None,
            activated_at: None,
            identity_account_id: None,
            identity_checked_at: None,
            spec,
        });
    }
    for (spec, next_run_at) in plan.declaration.jobs {
        current
            .jobs
            .retain(|known| (&known.spec.connection_key, &known.spec.stream) != (&spec.connection_key, &spec.stream));
        current.jobs.push(Job {
            id: JobId(1),
            connection_id: ConnectionId(1),
            client_id: ClientId(1),
            client_key: "acme".into(),
            provider_key: "hubspot".into(),
            spec,
            status: JobStatus::Active,
            cursor_state: None,
            next_run_at,
            last_complete_at: None,
            consecutive_failures: 0,
            fence: 0,
            lease_owner: None,
            lease_until: None,
            attempts: 0,
            connection_status: ConnectionStatus::Draft,
            environment: Environment::Production,
            last_run_id: None,
            open_dead_letters: 0,
        });
    }
    current
}

fn told(plan: &Plan) -> Vec<String> {
    plan.changes.iter().map(ToString::to_string).collect()
}

#[test]
fn a_declaration_is_created_once_and_applying_it_again_changes_nothing() {
    let wanted = read(GOOD).unwrap();
    let first = plan(&CurrentState::default(), &wanted, now()).unwrap();
    assert_eq!(
        told(&first),
        [
            "+ client acme",
            "+ provider hubspot",
            "+ provider csv",
            "+ connection acme-hubspot",
            "+ connection acme-files",
            "+ job acme-hubspot/contacts",
            "+ job acme-hubspot/deals",
            "+ job acme-files/leads",
        ]
    );
    assert_eq!(first.declaration.connections[0].provider_account_id, "0711");
    assert_eq!(first.declaration.connections[0].auth_type, "bearer");
    assert_eq!(first.declaration.connections[0].config["deep"], json!([{"a": "yes"}]));
    let due: Vec<_> = first.declaration.jobs.iter().map(|(spec, due)| (spec.schedule.as_deref(), *due)).collect();
    assert_eq!(due[0], (Some("every 15m"), Some(now())));
    assert_eq!(due[1].1, Some("2026-02-02T05:00:00Z".parse().unwrap()), "Monday, six o'clock in Berlin");
    assert_eq!(due[2], (None, None));
    assert_eq!(first.declaration.jobs[1].0.sync_mode, SyncMode::Incremental);
    assert_eq!(first.declaration.actions.len(), 8);
    assert!(first.clone().by("ada").declaration.actions.iter().all(|action| action.actor == "ada"));

    let current = applied(CurrentState::default(), first);
    let second = plan(&current, &wanted, now()).unwrap();
    assert!(second.is_empty(), "{:?}", told(&second));
    assert!(told(&second).iter().all(|line| line.starts_with("= ")));
    let nothing = &second.declaration;
    assert!(nothing.clients.is_empty() && nothing.providers.is_empty() && nothing.connections.is_empty());
    assert!(nothing.jobs.is_empty() && nothing.actions.is_empty());
}

#[test]
fn what_stands_exports_to_a_declaration_that_changes_nothing() {
    let wanted = read(GOOD).unwrap();
    let current = applied(CurrentState::default(), plan(&CurrentState::default(), &wanted, now()).unwrap());
    let text = to_yaml(&current).unwrap();
    let again = read(&text).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"));
    let back = plan(&current, &again, now()).unwrap();
    assert!(back.is_empty(), "{:?}\n{text}", told(&back));
}

#[test]
fn changes_are_told_field_by_field_and_only_they_are_written() {
    let wanted = read(GOOD).unwrap();
    let current = applied(CurrentState::default(), plan(&CurrentState::default(), &wanted, now()).unwrap());
    let text = GOOD
        .replace("every 15m", "every 1h")
        .replace("stale_after: 2h", "stale_after: 3h")
        .replace("Acme Plumbing", "Acme")
        .replace("scopes: [a, b]", "scopes: [a]");
    let change = plan(&current, &read(&text).unwrap(), now()).unwrap();
    let lines: Vec<_> = told(&change).into_iter().filter(|line| !line.starts_with('=')).collect();
    assert_eq!(
        lines,
        [
            "~ client acme name: \"Acme Plumbing\" -> \"Acme\"",
            "~ connection acme-hubspot scopes: [\"a\",\"b\"] -> [\"a\"]",
            "~ job acme-hubspot/contacts schedule: \"every 15m\" -> \"every 1h\"\n\
             ~ job acme-hubspot/contacts stale_after: \"2h\" -> \"3h\"",
        ]
    );
    assert_eq!(change.declaration.jobs.len(), 1);
    let due = change.declaration.jobs[0].1.unwrap();
    assert!(due > now() && due.since(now()).as_secs() <= 3_600);
    assert_eq!(change.declaration.actions[0].before.as_ref().unwrap()["name"], "Acme Plumbing");

    let only_stale = GOOD.replace("stale_after: 2h", "stale_after: 3h");
    let change = plan(&current, &read(&only_stale).unwrap(), now()).unwrap();
    assert_eq!(change.declaration.jobs[0].1, None, "the next run stays as it is");
}

#[test]
fn what_is_no_longer_declared_is_left_and_said() {
    let wanted = read(GOOD).unwrap();
    let current = applied(CurrentState::default(), plan(&CurrentState::default(), &wanted, now()).unwrap());
    let empty = plan(&current, &read("clients: []\n").unwrap(), now()).unwrap();
    assert!(empty.is_empty());
    assert!(told(&empty).contains(&"? connection acme-hubspot is not declared; it stays as it is".to_owned()));
    assert_eq!(told(&empty).len(), 1 + 2 + 3);
    // A provider without an entry keeps what a person said of it.
    let text = GOOD.replace("providers:\n  - { key: hubspot, owner: me@example.test, reason: CRM }\n", "");
    assert!(plan(&current, &read(&text).unwrap(), now()).unwrap().is_empty());
}

#[test]
fn a_connection_never_changes_its_client_nor_takes_anothers_account() {
    let wanted = read(GOOD).unwrap();
    let current = applied(CurrentState::default(), plan(&CurrentState::default(), &wanted, now()).unwrap());
    let text = GOOD.replace("client: acme", "client: birch");
    let problems = plan(&current, &read(&text).unwrap(), now()).unwrap_err();
    assert!(problems[0].to_string().contains("a connection never changes its client"), "{problems:?}");
    assert_eq!(problems[0].place.to_string(), "a.yaml:7");
    let text = GOOD.replace("key: acme-hubspot", "key: other");
    let problems = plan(&current, &read(&text).unwrap(), now()).unwrap_err();
    assert!(problems[0].message.contains("the account is connection `acme-hubspot` already"), "{problems:?}");
}

#[test]
fn everything_wrong_is_told_at_once_with_file_and_line() {
    for (from, to, expected) in [
        (
            "client: acme",
            "client: acne",
            "a.yaml:8: connections[0].client: there is no client `acne`; did you mean `acme`?",
        ),
        ("provider: hubspot", "provider: hubsport", "there is no connector folder `hubsport`; did you mean `hubspot`?"),
        (
            "stream: contacts",
            "stream: contract",
            "connections[0].jobs[0].stream: hubspot has no stream `contract`; did you mean `contacts`?",
        ),
        ("stream: deals", "stream: contacts", "stream `contacts` has two jobs"),
        (
            "environment: production",
            "environment: prod",
            "`prod` is no environment; use one of: production, staging, sandbox",
        ),
        ("    environment: sandbox\n", "", "connections[1].environment: is required"),
        ("every 15m", "every 15", "`15` is no duration"),
        ("stale_after: 2h", "stale_after: soon", "`soon` is no duration"),
        ("env:TOKEN", "pat-na1-planted", "connections[0].credential: is no reference to a secret"),
        ("env:TOKEN", "\"env:\"", "is no reference to a secret"),
        ("n: 5", "api_key: planted", "connections[0].config.api_key: looks like a secret"),
        ("a: \"yes\"", "clientSecret: planted", "config.deep[0].clientSecret: looks like a secret"),
        ("    source_label: Files\n", "", "connections[1].source_label: is required"),
        ("key: acme-files", "key: acme-hubspot", "connection `acme-hubspot` is declared twice"),
        ("key: acme-files", "key: \"acme files\"", "is no key"),
        ("sync_mode: incremental", "sync_mode: append", "`append` is no sync mode"),
        ("stream: leads", "stream: leads, sync_mode: incremental", "stream `leads` cannot be read as incremental"),
        ("refresh_policy: none", "refresh_policy: weekly", "is no refresh policy"),
        ("scopes: [a, b]", "scope: [a, b]", "connections[0].scope: is not a known key; did you mean `scopes`?"),
        ("clients:", "customers: []\nclients:", "customers: is not a known key"),
        ("config: {", "config: [{", "a.yaml"),
        ("reason: CRM }", "reason: CRM, status: off }", "`off` is no provider status"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let problems = read(&GOOD.replacen(from, to, 1)).unwrap_err();
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(lines.iter().any(|line| line.contains(expected)), "{expected}\nnot in {lines:#?}");
        assert!(!lines.iter().any(|line| line.contains("planted")), "{lines:#?}");
    }
    let many = GOOD.replace("client: acme", "client: x").replace("every 15m", "often").replace("env:TOKEN", "x");
    assert_eq!(read(&many).unwrap_err().len(), 3);
}

#[test]
fn several_files_count_as_one_declaration() {
    let (head, tail) = GOOD.split_at(GOOD.find("connections:").unwrap());
    let files =
        |first: &str, second: &str| [("1.yaml".to_owned(), first.to_owned()), ("2.yaml".to_owned(), second.to_owned())];
    assert_eq!(parse(&files(tail, head), &known()).unwrap().connections.len(), 2);
    let problems = parse(&files(GOOD, tail), &known()).unwrap_err();
    assert!(problems.iter().all(|problem| problem.place.file == "2.yaml"), "{problems:?}");
    let problems = parse(&files("clients: [", "clients: 5"), &known()).unwrap_err();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert_eq!(parse(&files("", "# nothing\n"), &known()).unwrap(), DeclarationFile::default());
}

#[test]
fn the_example_is_a_good_declaration() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples/declaration.yaml");
    let wanted = read(&std::fs::read_to_string(path).unwrap()).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let first = plan(&CurrentState::default(), &wanted, now()).unwrap();
    assert_eq!(first.declaration.jobs.len(), 3);
}
