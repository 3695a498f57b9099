//! P15 over the whole command line: in one client's context, another client's keys and ids tell nothing and change nothing.
//!
//! The commands are read from clap's own tree, so that a new one fails here until somebody says what becomes of it.

use std::collections::{BTreeMap, BTreeSet};

use clap::CommandFactory as _;
use regex::Regex;
use tidegate::{
    cli::args::Cli,
    simulator::{Bad, ObjectKind},
};

use crate::{
    support::{
        databases::TestDatabase,
        yard::{BRIGHT_PORTAL, BRIGHT_TOKEN, Yard},
    },
    sweep_store::{differences, rows},
};

enum Leaf {
    /// Calls in acme's context, with how each ends. `{letter}`, `{fingerprint}`: bright's. Only bright has the stream `deals`, the
    /// source label `BrightCRM` and the credential `bright-secret`.
    Within(&'static [(&'static str, i32)]),
    /// Has no client's context; why.
    Global(&'static str),
}
use Leaf::{Global, Within};

/// In the order in which they are tried: what ends acme's connection comes last.
const LEAVES: &[(&str, Leaf)] = &[
    ("demo", Global("makes an installation of its own in a folder of its own")),
    ("run", Global("the daemon serves all clients")),
    (
        "run-once",
        Within(&[
            ("run-once --connection acme-hubspot", 0),
            ("run-once --connection acme-hubspot --full", 0),
            ("run-once --connection acme-hubspot --stream deals", 2),
        ]),
    ),
    ("migrate", Global("the schema is everybody's")),
    ("grants", Global("database users serve all clients")),
    ("apply", Within(&[("apply -f stolen-connection.yaml", 2), ("apply -f stolen-account.yaml", 2)])),
    ("export", Global("all that is declared, for operators")),
    ("provider list", Global("providers belong to no client")),
    ("connector new", Global("makes a folder; asks no database")),
    ("provider show", Global("providers belong to no client")),
    ("connection list", Global("the list of all connections, for operators")),
    ("connection show", Within(&[("connection show acme-hubspot", 0), ("connection show acme-hubspot --json", 0)])),
    ("connection check", Within(&[("connection check acme-hubspot --json", 0)])),
    ("connection authorize", Within(&[("connection authorize acme-hubspot", 2)])),
    (
        "connection preview",
        Within(&[("connection preview acme-hubspot", 0), ("connection preview acme-hubspot --stream deals", 2)]),
    ),
    (
        "connection test-batch",
        Within(&[("connection test-batch acme-hubspot", 0), ("connection test-batch acme-hubspot --stream deals", 2)]),
    ),
    ("connection pause", Within(&[("connection pause acme-hubspot --reason sweep", 0)])),
    ("connection resume", Within(&[("connection resume acme-hubspot --reason sweep", 0)])),
    (
        "connection webhook",
        Within(&[("connection webhook acme-hubspot", 0), ("connection webhook acme-hubspot --new-path", 5)]),
    ),
    ("connection activate", Within(&[("connection activate acme-hubspot", 0)])),
    ("credential set", Within(&[("credential set bright-secret --connection acme-hubspot", 2)])),
    ("credential list", Within(&[("credential list --connection acme-hubspot --json", 0)])),
    ("credential rotate", Global("a person names the credential; what it is sealed to stays")),
    ("credential revoke", Global("a person names the credential, with a reason that is kept")),
    ("credential rewrap", Global("the key that wraps all of them has changed")),
    ("credential key", Global("makes a file; nobody's secret is in it")),
    (
        "jobs list",
        Within(&[("jobs list --connection acme-hubspot", 0), ("jobs list --connection acme-hubspot --json", 0)]),
    ),
    (
        "jobs pause",
        Within(&[
            ("jobs pause --connection acme-hubspot --stream deals --reason sweep", 2),
            ("jobs pause --connection acme-hubspot --stream contacts --reason sweep", 0),
        ]),
    ),
    (
        "jobs resume",
        Within(&[
            ("jobs resume --connection acme-hubspot --stream deals --reason sweep", 2),
            ("jobs resume --connection acme-hubspot --stream contacts --reason sweep", 0),
        ]),
    ),
    (
        "jobs reset-cursor",
        Within(&[
            ("jobs reset-cursor --connection acme-hubspot --stream deals --reason sweep", 2),
            ("jobs reset-cursor --connection acme-hubspot --stream contacts --reason sweep", 0),
        ]),
    ),
    (
        "runs list",
        Within(&[
            ("runs list --connection acme-hubspot", 0),
            ("runs list --connection acme-hubspot --json", 0),
            ("runs list --connection acme-hubspot --stream deals", 2),
        ]),
    ),
    ("runs show", Global("an operator types the run's number; the answer says whose it is")),
    ("runs void", Global("an operator types the run's number, with a reason that is kept; a run is one connection's")),
    (
        "errors list",
        Within(&[
            ("errors list --connection acme-hubspot --all --json", 0),
            ("errors list --connection acme-hubspot --fingerprint {fingerprint}", 0),
            ("errors list --connection acme-hubspot --group --json", 0),
            ("errors list --connection acme-hubspot --stream deals", 2),
        ]),
    ),
    ("errors show", Global("an operator types the dead letter's number; the answer says whose it is")),
    // A number alone names its own context, as in `errors show`; next to a connection it must be that connection's.
    (
        "errors retry",
        Within(&[
            ("errors retry {letter} --connection acme-hubspot", 2),
            ("errors retry {letter} --stream contacts --connection acme-hubspot", 2),
            ("errors retry --fingerprint {fingerprint} --connection acme-hubspot", 0),
            ("errors retry --group {fingerprint} --connection acme-hubspot", 0),
            ("errors retry --all --connection acme-hubspot", 0),
        ]),
    ),
    (
        "errors discard",
        Within(&[
            ("errors discard {letter} --connection acme-hubspot --reason sweep", 2),
            ("errors discard --fingerprint {fingerprint} --connection acme-hubspot --reason sweep", 0),
            ("errors discard --connection acme-hubspot --reason sweep", 0),
        ]),
    ),
    (
        "launch status",
        Within(&[
            ("launch status --connection acme-hubspot --json", 0),
            ("launch status --connection acme-hubspot --export handed-on", 0),
        ]),
    ),
    (
        "launch evidence",
        Within(&[("launch evidence contract --connection acme-hubspot --kind document --evidence handbook", 0)]),
    ),
    (
        "launch sign",
        Within(&[
            ("launch sign contract --connection acme-hubspot --owner Ada", 0),
            ("launch sign contract --connection acme-hubspot --owner Ada --json", 0),
        ]),
    ),
    (
        "import",
        Within(&[
            ("import contacts.csv --connection acme-hubspot --stream contacts --dry-run --json", 0),
            ("import contacts.csv --connection acme-hubspot --stream contacts --json", 0),
            ("import contacts.csv --connection acme-hubspot --stream contacts", 0),
            ("import contacts.csv --connection acme-hubspot --stream deals", 2),
            ("import contacts.csv --connection acme-hubspot --stream contacts --source-label BrightCRM", 2),
        ]),
    ),
    (
        "import list",
        Within(&[
            ("import list --connection acme-hubspot --json", 0),
            ("import list --connection acme-hubspot", 0),
            ("import list --connection acme-hubspot --stream deals", 2),
        ]),
    ),
    (
        "normalize",
        Within(&[
            ("normalize --replay --connection acme-hubspot", 0),
            ("normalize --connection acme-hubspot", 0),
            ("normalize --diff --connection acme-hubspot --json", 0),
            ("normalize --diff --map-version 1 --connection acme-hubspot", 0),
            ("normalize --activate --connection acme-hubspot --stream contacts --map-version 1 --reason sweep", 0),
            ("normalize --diff --connection acme-hubspot --stream deals", 2),
            ("normalize --replay --connection acme-hubspot --stream deals", 2),
        ]),
    ),
    ("quality run", Within(&[("quality run --connection acme-hubspot --json", 0)])),
    (
        "quality list",
        Within(&[
            ("quality list --client acme --json", 0),
            ("quality list --connection acme-hubspot", 0),
            ("quality list --client acme --connection bright-hubspot", 0),
        ]),
    ),
    ("metrics list", Global("definitions belong to no client")),
    (
        "metrics snapshot",
        Within(&[
            ("metrics snapshot --client acme --json", 0),
            ("metrics snapshot --connection acme-hubspot", 0),
            ("metrics snapshot --client acme --connection bright-hubspot", 2),
        ]),
    ),
    (
        "metrics baseline",
        Within(&[
            ("metrics baseline --client acme --metric lead_volume --source BrightCRM --reason sweep", 2),
            ("metrics baseline --client acme --metric lead_volume --value 8 --evidence inbox --reason sweep", 0),
        ]),
    ),
    ("metrics publish", Within(&[("metrics publish --client acme --json", 0)])),
    (
        "metrics approve",
        Within(&[
            ("metrics approve --client acme --metric lead_volume --source BrightCRM", 2),
            ("metrics approve --client acme --metric lead_volume", 5),
        ]),
    ),
    ("metrics show", Within(&[("metrics show --client acme", 0), ("metrics show --client acme --json", 0)])),
    ("portal cards", Within(&[("portal cards --client acme", 0), ("portal cards --client acme --json", 0)])),
    (
        "alerts list",
        Within(&[
            ("alerts list --connection acme-hubspot --all --json", 0),
            ("alerts list --connection acme-hubspot", 0),
        ]),
    ),
    ("retention", Global("goes by age over the rows of all clients, and tells counts")),
    ("validate", Global("looks at files")),
    ("doctor", Global("looks at the whole installation")),
    ("healthcheck", Global("says whether the database answers")),
    ("completions", Global("prints names of commands")),
    ("man", Global("prints help texts")),
    ("simulator", Global("is a provider, not a part of an installation")),
    ("source spec", Global("reads a manifest and no database")),
    ("source check", Global("reads a manifest and no database")),
    ("source discover", Global("reads a manifest and no database")),
    ("source read", Global("reads a manifest and no database")),
    ("connection revoke", Within(&[("connection revoke acme-hubspot --reason sweep", 0)])),
];

/// A control of a connection that people sign.
const CONTRACT: &str = "  - { key: contract, scope: connection, title: Contract is signed, kind: sop_note, cadence_days: 90, proof: signed, required: true, \
                        command: 'tidegate launch sign {control} --connection {connection} --owner NAME', data_boundary: the contract, text: Keep the contract. }\n";

fn leaves_of(command: &clap::Command, path: &str, leaves: &mut BTreeSet<String>) {
    for inner in command.get_subcommands() {
        let path = format!("{path} {}", inner.get_name()).trim().to_owned();
        if inner.get_subcommands().next().is_some() {
            // Some do something by themselves too.
            if inner.get_positionals().next().is_some() {
                leaves.insert(path.clone());
            }
            leaves_of(inner, &path, leaves);
        } else {
            leaves.insert(path);
        }
    }
}

#[test]
fn p15_every_command_is_in_the_sweep() {
    let mut commands = BTreeSet::new();
    leaves_of(&Cli::command(), "", &mut commands);
    let swept: BTreeSet<String> = LEAVES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(swept.len(), LEAVES.len(), "a command stands twice in the table");
    let absent: Vec<_> = commands.difference(&swept).collect();
    let gone: Vec<_> = swept.difference(&commands).collect();
    assert!(
        absent.is_empty() && gone.is_empty(),
        "say in LEAVES what another client's keys and ids give: {absent:?}; no longer commands: {gone:?}"
    );
    for (name, leaf) in LEAVES {
        match leaf {
            Global(why) => assert!(why.len() > 10, "{name} says why it has no client's context"),
            Within(calls) => {
                assert!(calls.iter().all(|(call, _)| call.starts_with(name)) && !calls.is_empty(), "{name}")
            }
        }
    }
}

/// Bright's rows. Alerts are left out: one sweep looks at all clients after whatever was run. So are acts, which name no client.
async fn of_bright(db: &TestDatabase, bright: i64) -> BTreeMap<String, Vec<String>> {
    let mut all = rows(db, Some(bright)).await;
    all.retain(|table, _| !["integration_alerts", "event_admin_actions"].contains(&table.as_str()));
    all
}

/// Two clients; bright has what acme has not, and something of everything.
async fn ground(db: &TestDatabase) -> Yard<'_> {
    let mut yard = Yard::new(db, 8, 4).await;
    yard.home.setting("metrics.environments", "production,sandbox");
    let launch = std::fs::read_to_string(yard.home.path().join("launch.yaml")).unwrap_or_default();
    yard.launch_file(&format!("{}{CONTRACT}", launch.trim_start_matches("controls:\n")));
    let kek = yard.home.path().join("kek");
    yard.home.setting("vault.key_file", kek.display());
    yard.home.run_ok(&["credential", "key", "--out", "kek"]).await;
    let text = yard.declaration("sandbox", "every 30d", true);
    let deals = text.lines().find(|line| line.contains("stream: deals")).unwrap().to_owned() + "\n";
    let (acme, bright) = text.split_at(text.find("  - key: bright-hubspot").unwrap());
    let declared = acme.replace(&deals, "") + &bright.replace("source_label: CRM", "source_label: BrightCRM");
    yard.declare(&declared).await;
    let bad = &yard.simulator.account(BRIGHT_PORTAL);
    bad.make_bad(ObjectKind::Contacts, 3, Bad::UnknownLifecycle);
    assert_eq!(yard.home.run(&["run-once", "--connection", "bright-hubspot"]).await.code(), Some(3));
    assert_eq!(yard.run_acme().await.code(), Some(0));
    yard.home.run_ok(&["connection", "check", "bright-hubspot"]).await;
    yard.home.run(&["connection", "test-batch", "bright-hubspot"]).await;
    yard.home.run(&["quality", "run", "--connection", "bright-hubspot"]).await;
    let own = ["metrics", "baseline", "--client", "bright", "--metric", "lead_volume", "--value", "98765"];
    yard.home.run_ok(&[&own[..], &["--evidence", "bright books", "--reason", "the start of bright"]].concat()).await;
    yard.home.run(&["metrics", "publish", "--client", "bright"]).await;
    yard.home
        .run_ok(&["launch", "sign", "contract", "--connection", "bright-hubspot", "--owner", "Bea of bright"])
        .await;
    let set = ["credential", "set", "bright-secret", "--connection", "bright-hubspot"];
    let stored = yard.home.run_with(&set, BRIGHT_TOKEN).await;
    assert_eq!(stored.code(), Some(0), "{stored}");
    // A file of bright's; one that names a contact which bright has too.
    yard.home.write("bright.csv", "id,E-mail,createdAt\n70001,bea@bright.test,2026-01-31T08:00:00Z\n");
    yard.home.run_ok(&["import", "bright.csv", "--connection", "bright-hubspot", "--stream", "contacts"]).await;
    yard.home.write("contacts.csv", "id,E-mail,createdAt\n70001,ann@example.test,2026-01-31T08:00:00Z\n");
    // What somebody could try to declare of acme.
    yard.home.write("stolen-connection.yaml", &declared.replace("client: bright", "client: acme"));
    let second =
        acme.replace("key: acme-hubspot", "key: acme-other").replace("\"4711\"", &format!("\"{BRIGHT_PORTAL}\""));
    yard.home.write("stolen-account.yaml", &second);
    yard
}

on_both_engines!(p15_in_one_clients_context_no_command_tells_or_changes_anything_of_another, |db| {
    let yard = ground(db).await;
    let bright = yard.number("select id from core_clients where client_key = 'bright'").await;
    let letters = yard.home.run_ok(&["errors", "list", "--connection", "bright-hubspot", "--json"]).await.json();
    let (letter, fingerprint) = (letters[0]["id"].to_string(), letters[0]["fingerprint"].as_str().unwrap().to_owned());
    let before = of_bright(db, bright).await;
    for table in
        ["data_quality_checks", "integration_credentials", "launch_controls", "metric_baselines", "report_metrics"]
    {
        assert!(!before[table].is_empty(), "bright has no row in {table}");
    }
    let acts = "select count(*) from event_admin_actions where subject_key like '%bright%'";
    let acts_before = yard.number(acts).await;
    let telling = Regex::new(&format!(r"(?i)bright|\b{BRIGHT_PORTAL}\b|\b98765\b")).unwrap();
    // What was typed may be repeated where a person is told why nothing was done; nothing else of bright's.
    let leaking = Regex::new(&format!(r"(?i)roofing|bea of|bright books|{BRIGHT_TOKEN}|\b98765\b")).unwrap();
    let mut holes = Vec::new();
    for (_, leaf) in LEAVES {
        let Within(calls) = leaf else { continue };
        for (call, code) in *calls {
            let call = call.replace("{letter}", &letter).replace("{fingerprint}", &fingerprint);
            let args: Vec<&str> = call.split(' ').collect();
            let done = yard.home.run_with(&args, "hush").await;
            if done.code() != Some(*code) {
                holes.push(format!("{call}: ends with {:?}, not {code}\n{done}", done.code()));
            }
            if telling.is_match(&done.stdout) || leaking.is_match(&done.stderr) {
                holes.push(format!("{call}: tells of bright\n{done}"));
            }
            let moved = differences(&before, &of_bright(db, bright).await);
            if !moved.is_empty() {
                holes.push(format!("{call}: moved rows of bright\n  {}", moved.join("\n  ")));
            }
        }
    }
    for entry in std::fs::read_dir(yard.home.path().join("handed-on")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        if telling.is_match(&text) {
            holes.push(format!("what launch status hands on of acme tells of bright\n{text}"));
        }
    }
    assert_eq!(yard.number(acts).await, acts_before, "an act on bright was written");
    assert!(holes.is_empty(), "{}", holes.join("\n"));
    yard.end().await;
});
