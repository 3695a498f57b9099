//! Facts about layers, refusals, and the file that explains every key.

use std::{collections::BTreeMap, path::PathBuf};

use secrecy::ExposeSecret;

use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("config")).unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self(folder)
    }

    fn load(&self, cli: Option<&str>, variables: &[(&str, &str)]) -> Result<Settings, SettingsErrors> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::load(cli.map(PathBuf::from).as_deref(), variables, self.0.path())
    }

    fn problems(&self, cli: Option<&str>, variables: &[(&str, &str)]) -> String {
        let told = self.load(cli, variables).unwrap_err().to_string();
        assert!(!told.contains(&*self.0.path().to_string_lossy()), "{told}");
        told
    }
}

#[test]
fn without_any_file_the_built_in_defaults_hold() {
    let settings = Folder::new(&[]).load(None, &[]).unwrap();
    assert_eq!(settings.environment, "development");
    assert_eq!(settings.database.url.expose_secret(), "sqlite://var/tidegate.db");
    assert_eq!(settings.database.outage, std::time::Duration::from_secs(75));
    assert_eq!((settings.scheduler.workers, settings.scheduler.per_client), (4, 2));
    assert_eq!(settings.server.listen, None);
    assert!(settings.http.allow_private.is_empty());
    assert_eq!(settings.connectors.dirs, [PathBuf::from("connectors")]);
    assert_eq!(settings.vault.current, None);
    assert_eq!(settings.http.max_body_bytes, 64 * 1024 * 1024);
}

#[test]
fn a_higher_layer_wins_key_by_key() {
    let folder = Folder::new(&[
        ("config/tidegate.toml", "[scheduler]\nworkers = 1\nper_client = 1\npoll_ms = 11\nlease_seconds = 11\n[log]\n"),
        ("config/tidegate.staging.toml", "[scheduler]\nper_client = 2\npoll_ms = 22\nlease_seconds = 22\n"),
        ("mine.toml", "[scheduler]\npoll_ms = 33\nlease_seconds = 33\n[connectors]\ndirs = [\"a\"]\n"),
    ]);
    let variables = [
        ("TIDEGATE_ENVIRONMENT", "staging"),
        ("TIDEGATE_SCHEDULER__LEASE_SECONDS", "44"),
        ("TIDEGATE_CONNECTORS__DIRS", "b, c"),
        ("TIDEGATE_HTTP__ALLOW_PRIVATE", "127.0.0.0/8,::1"),
        ("TIDEGATE_HTTP__REQUESTS_PER_SECOND", "2.5"),
        ("TIDEGATE_TEST_MYSQL_URL", "mysql://x"),
        ("TIDEGATE_ACME_HUBSPOT_TOKEN", "x"),
        ("HOME", "/home/ada"),
    ];
    let settings = folder.load(Some("mine.toml"), &variables).unwrap();
    let scheduler = &settings.scheduler;
    assert_eq!((scheduler.workers, scheduler.per_client), (1, 2));
    assert_eq!((scheduler.poll.as_millis(), scheduler.lease.as_secs()), (33, 44));
    assert_eq!(settings.environment, "staging");
    assert_eq!(settings.connectors.dirs, [PathBuf::from("b"), PathBuf::from("c")]);
    assert_eq!(settings.http.allow_private.len(), 2);
    assert!((settings.http.requests_per_second - 2.5).abs() < f64::EPSILON);
}

#[test]
fn the_environment_can_stand_in_the_file() {
    let folder = Folder::new(&[
        ("config/tidegate.toml", "environment = \"staging\"\n"),
        ("config/tidegate.staging.toml", "[scheduler]\nworkers = 9\n"),
    ]);
    assert_eq!(folder.load(None, &[]).unwrap().scheduler.workers, 9);
    assert_eq!(folder.load(None, &[("TIDEGATE_ENVIRONMENT", "production")]).unwrap().scheduler.workers, 4);
    let told = folder.problems(None, &[("TIDEGATE_ENVIRONMENT", "../etc")]);
    assert!(told.contains("variable TIDEGATE_ENVIRONMENT: environment: "), "{told}");
}

#[test]
fn everything_wrong_is_told_at_once_with_key_place_and_remedy() {
    let folder = Folder::new(&[(
        "config/tidegate.toml",
        "[database]\nurl = \"postgres://u:hunter2@h/d\"\nmax_conections = 3\n[scheduler]\nworkers = 0\nlease_seconds = \"long\"\n\
         [http]\nallow_private = [\"10.0.0.0/99\"]\n[server]\nlisten = \"here\"\n[colours]\nblue = 1\n[log]\nformat = \"xml\"\n",
    )]);
    let variables = [
        ("TIDEGATE_SCHEDULER__WORKRES", "3"),
        ("TIDEGATE_DATABASE_URL", "mysql://u:hunter2@h/d"),
        ("TIDEGATE_PIPELINE__ERROR_BUDGET_SHARE", "2"),
        ("TIDEGATE_DATABASE__TRAFFIC__URL", "mysql://u:hunter2@h/d"),
        ("TIDEGATE_VAULT", "x"),
    ];
    let told = folder.problems(None, &variables);
    for line in [
        "variable TIDEGATE_DATABASE_URL: sets nothing; did you mean TIDEGATE_DATABASE__URL? section and key are joined by two underscores",
        "config/tidegate.toml: database.max_conections: is not a known key; did you mean `database.max_connections`?",
        "config/tidegate.toml: database.url: a URL such as sqlite://var/tidegate.db or mysql://user:password@host/database is expected; correct scheme, host and database name",
        "config/tidegate.toml: scheduler.workers: a number from 1 to 1000 is expected, this is 0; the default is 4",
        "config/tidegate.toml: scheduler.lease_seconds: a whole number is expected, this is 'long'; the default is 60",
        "config/tidegate.toml: http.allow_private: '10.0.0.0/99' is no network; use e.g. 127.0.0.0/8 or ::1/128",
        "config/tidegate.toml: server.listen: an address and a port are expected, this is 'here'; use e.g. 127.0.0.1:8080",
        "config/tidegate.toml: log.format: auto, text or json is expected, this is 'xml'; use one of the three",
        "config/tidegate.toml: colours.blue: is not a known key; every key stands in config/tidegate.toml",
        "variable TIDEGATE_SCHEDULER__WORKRES: scheduler.workres: is not a known key; did you mean TIDEGATE_SCHEDULER__WORKERS?",
        "variable TIDEGATE_PIPELINE__ERROR_BUDGET_SHARE: pipeline.error_budget_share: a number from 0 to 1 is expected, this is '2'; the default is 0.1",
        "variable TIDEGATE_DATABASE__TRAFFIC__URL: database.traffic.url: a second database for raw rows is not available yet; leave the key empty",
    ] {
        assert!(told.lines().any(|told| told == line), "{line}\nis not in\n{told}");
    }
    assert_eq!(told.lines().count(), 12, "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn files_that_cannot_be_read_are_named_without_their_lines() {
    let folder = Folder::new(&[("config/tidegate.toml", "[database]\nurl = \"mysql://u:hunter2@h/d\n")]);
    let told = folder.problems(Some("absent.toml"), &[]);
    assert!(told.contains("config/tidegate.toml: line 2 is not TOML"), "{told}");
    assert!(told.contains("absent.toml: cannot be read"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn one_key_of_the_vault_wraps_and_the_others_only_open() {
    let file = |text: &str| Folder::new(&[("config/tidegate.toml", &format!("[vault]\n{text}"))]);
    let transit = "transit_url = \"https://keys.example.test\"\ntransit_token = \"env:KEYS\"\n";
    let one = file("key_file = \"k\"\nprevious_key_files = [\"old\"]\n").load(None, &[]).unwrap().vault;
    assert_eq!((one.current, one.others), (Some(VaultKey::File("k".into())), vec![VaultKey::File("old".into())]));
    let two = format!("key_file = \"k\"\n{transit}wrap_with = \"transit\"\n");
    let two = file(&two).load(None, &[]).unwrap().vault;
    assert!(
        matches!(&two.current, Some(VaultKey::Transit { mount, key, .. }) if mount == "transit" && key == "tidegate")
    );
    assert_eq!(two.others, [VaultKey::File("k".into())]);
    for (text, expected) in [
        (format!("key_file = \"k\"\n{transit}"), "vault.wrap_with: several keys are named"),
        ("key_file = \"k\"\nwrap_with = \"systemd\"\n".to_owned(), "vault.wrap_with: a source that is set is expected"),
        ("wrap_with = \"paper\"\n".to_owned(), "vault.wrap_with: file, systemd, transit or nothing is expected"),
        (
            "systemd_credential = \"../x\"\n".to_owned(),
            "vault.systemd_credential: the name of a systemd credential is expected",
        ),
        (transit.replace("env:KEYS", "hunter2"), "vault.transit_token: a reference to the token is expected"),
    ] {
        let told = file(&text).problems(None, &[]);
        assert!(told.contains(expected) && !told.contains("hunter2"), "{expected}\nis not in\n{told}");
    }
}

#[test]
fn a_section_that_is_a_value_is_refused() {
    let told = Folder::new(&[("config/tidegate.toml", "scheduler = 3\n")]).problems(None, &[]);
    assert!(told.contains("config/tidegate.toml: scheduler: is a section, not a value"), "{told}");
    let told = Folder::new(&[]).problems(None, &[("TIDEGATE_DATABASE__URL__X", "1")]);
    assert!(told.contains("database.url"), "{told}");
}

#[test]
fn debug_never_prints_the_password() {
    let settings = Folder::new(&[])
        .load(None, &[("TIDEGATE_DATABASE__URL", "mysql://u:hunter2@h:3306/d?ssl-mode=REQUIRED")])
        .unwrap();
    assert_eq!(settings.database.engine, Engine::Mysql);
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn who_is_told_of_alerts_is_refused_without_a_signature_and_never_shown() {
    let load = |url: &str, secret: &str| {
        let variables = [("TIDEGATE_ALERTS__WEBHOOK_URL", url), ("TIDEGATE_ALERTS__WEBHOOK_SECRET", secret)];
        Folder::new(&[]).load(None, &variables)
    };
    let url = "https://chat.example.test/hooks/hunter2";
    let settings = load(url, "env:HOOK_SECRET").unwrap();
    assert_eq!(settings.alerts.webhook.as_ref().unwrap().secret, "env:HOOK_SECRET");
    assert!(!format!("{settings:?}").contains("hunter2"));
    for (url, secret, part) in [
        (url, "", "alerts.webhook_secret: is needed with alerts.webhook_url"),
        (url, "hunter2", "alerts.webhook_secret: a reference is expected"),
        ("hunter2", "env:X", "alerts.webhook_url: an https address"),
        ("https://u:hunter2@h.example.test/", "env:X", "alerts.webhook_url: an https address"),
    ] {
        let told = load(url, secret).unwrap_err().to_string();
        assert!(told.contains(part) && !told.contains("hunter2"), "{told}");
    }
    assert!(
        Folder::new(&[])
            .load(None, &[("TIDEGATE_SERVER__CONNECTION_LABELS", "true")])
            .unwrap()
            .server
            .connection_labels
    );
    assert!(
        Folder::new(&[]).problems(None, &[("TIDEGATE_SERVER__CONNECTION_LABELS", "yes")]).contains("true or false")
    );
}

#[test]
fn networks_hold_their_addresses() {
    for (network, address, expected) in [
        ("127.0.0.0/8", "127.9.9.9", true),
        ("127.0.0.0/8", "128.0.0.1", false),
        ("10.1.2.3", "10.1.2.3", true),
        ("10.1.2.3", "10.1.2.4", false),
        ("0.0.0.0/0", "8.8.8.8", true),
        ("::/0", "2001:db8::1", true),
        ("fd00::/8", "fd12::1", true),
        ("127.0.0.0/8", "::ffff:127.0.0.1", true),
        ("::1", "127.0.0.1", false),
    ] {
        let parsed: Network = network.parse().unwrap();
        assert_eq!(parsed.contains(address.parse().unwrap()), expected, "{address} in {network}");
    }
}

/// The shipped file with each `#key = value` line made live.
fn explained() -> BTreeMap<String, toml::Value> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/tidegate.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let live: Vec<&str> = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase()) => key,
            _ => line,
        })
        .collect();
    let mut keys = BTreeMap::new();
    collect("", toml::Value::Table(live.join("\n").parse().unwrap()), &mut keys);
    keys
}

fn collect(prefix: &str, value: toml::Value, keys: &mut BTreeMap<String, toml::Value>) {
    match value {
        toml::Value::Table(entries) => {
            for (name, value) in entries {
                collect(&if prefix.is_empty() { name } else { format!("{prefix}.{name}") }, value, keys);
            }
        }
        value => {
            keys.insert(prefix.to_owned(), value);
        }
    }
}

#[test]
fn the_explained_file_and_the_code_have_the_same_keys_and_defaults() {
    let code: BTreeMap<String, toml::Value> = keys()
        .map(|key| {
            let value = match key.default {
                Plain::Text(text) => toml::Value::from(text),
                Plain::Integer(number) => toml::Value::from(number),
                Plain::Float(number) => toml::Value::from(number),
                Plain::Truth(truth) => toml::Value::from(truth),
                Plain::List(items) => toml::Value::from(items.to_vec()),
            };
            (key.name.to_owned(), value)
        })
        .collect();
    assert!(code.len() > 30);
    assert_eq!(explained(), code);
}

#[test]
fn the_shipped_file_changes_no_default() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let shipped = Settings::load(None, [], here).unwrap();
    let built_in = Folder::new(&[]).load(None, &[]).unwrap();
    assert_eq!(format!("{shipped:?}"), format!("{built_in:?}"));
}
