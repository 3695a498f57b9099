//! The systemd units: what they promise is read from their text, and their score is asked of systemd itself.

use std::{collections::BTreeMap, path::PathBuf, process::Command, time::Duration};

use tidegate::settings::Settings;

use crate::support::daemon::Home;

/// What systemd calls an exposure of 1.5, in tenths.
const WORST: &str = "--threshold=15";

const UNITS: [&str; 3] = ["tidegate.service", "tidegate-once.service", "tidegate-migrate.service"];

/// Directives that each unit has, word for word.
const SANDBOX: &[&str] = &[
    "User=tidegate",
    "DynamicUser=yes",
    "StateDirectory=tidegate",
    "StateDirectoryMode=0700",
    "UMask=0077",
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "PrivateUsers=yes",
    "PrivateIPC=yes",
    "PrivateMounts=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectControlGroups=yes",
    "ProtectProc=invisible",
    "ProcSubset=pid",
    "DevicePolicy=closed",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "RemoveIPC=yes",
    "KeyringMode=private",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources",
    "SystemCallErrorNumber=EPERM",
    "IPAddressDeny=169.254.169.254/32 fd00:ec2::254/128",
    "LimitCORE=0",
    "MemoryMax=512M",
    "MemorySwapMax=0",
    "TasksMax=256",
    "OOMPolicy=stop",
];

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

fn lines(name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(file(name)).unwrap();
    text.lines().filter(|line| line.contains('=') && !line.starts_with('#')).map(str::to_owned).collect()
}

/// The last value of each directive.
fn directives(name: &str) -> BTreeMap<String, String> {
    lines(name).iter().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// The exposure of a unit, and whether systemd is content with it.
fn exposure(path: &std::path::Path) -> (f64, bool) {
    let done = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager", WORST])
        .arg(path)
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "systemd-analyze does not start: {error}. It tells how exposed the units are, and needs no running systemd. \
                 Install it (Debian: apt-get install systemd), or say TIDEGATE_TEST_SYSTEMD=absent to leave this unchecked"
            )
        });
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    let score = told
        .lines()
        .find_map(|line| line.split_once("exposure level for "))
        .and_then(|(_, rest)| rest.split(": ").nth(1)?.split(' ').next()?.parse().ok());
    let score = score.unwrap_or_else(|| panic!("no score: {told}\n{}", String::from_utf8_lossy(&done.stderr)));
    (score, done.status.success())
}

#[test]
fn each_unit_scores_1_5_or_better_of_systemd_itself() {
    if std::env::var("TIDEGATE_TEST_SYSTEMD").is_ok_and(|word| word == "absent") {
        println!("NOT CHECKED: TIDEGATE_TEST_SYSTEMD=absent, so nobody was asked how exposed the units are");
        return;
    }
    for unit in UNITS {
        let (score, fine) = exposure(&file(unit));
        assert!(fine && score <= 1.5, "{unit}: {score}");
    }
    // The bar can be missed: the same program without its sandbox.
    let home = Home::new();
    let bare = home.write("bare.service", "[Service]\nExecStart=/usr/bin/tidegate run\n");
    let (score, fine) = exposure(&bare);
    assert!(!fine && score > 1.5, "{score}");
}

#[test]
fn each_unit_has_the_sandbox_word_for_word() {
    let mut wrong = Vec::new();
    for unit in UNITS {
        let lines = lines(unit);
        wrong.extend(
            SANDBOX
                .iter()
                .filter(|one| !lines.iter().any(|line| line == *one))
                .map(|one| format!("{unit} lacks {one}")),
        );
        // What would hand rights back.
        for line in &lines {
            let (key, value) = line.split_once('=').unwrap();
            let opens = ["ReadWritePaths", "SupplementaryGroups", "PermissionsStartOnly", "BindPaths"].contains(&key)
                || key == "ExecStart" && value.starts_with(['+', '!', '-', '@'])
                || key == "AmbientCapabilities" && !value.is_empty();
            wrong.extend(opens.then(|| format!("{unit} opens {line}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_daemons_unit_waits_for_what_the_settings_may_take() {
    let home = Home::new();
    let settings = Settings::load(None, std::iter::empty(), home.path()).unwrap();
    let unit = directives("tidegate.service");
    let seconds = |key: &str| Duration::from_secs(unit[key].parse().unwrap_or_else(|_| panic!("{key}={}", unit[key])));
    assert_eq!((unit["Type"].as_str(), unit["NotifyAccess"].as_str()), ("notify", "main"));
    assert!(seconds("WatchdogSec") > settings.database.outage * 2, "an outage that is waited out is no hang");
    // Open pages, then a token that is just being renewed.
    assert!(seconds("TimeoutStopSec") > settings.scheduler.shutdown * 2, "a page is finished before it is killed");
    assert_eq!(unit["RestartPreventExitStatus"], "2 6", "starting again does not mend settings or rights");
    assert_eq!(unit["Restart"], "on-failure");
}

#[test]
fn the_vaults_key_comes_as_a_credential_and_other_secrets_are_no_text_of_a_unit() {
    for (unit, key) in
        [("tidegate.service", true), ("tidegate-once.service", true), ("tidegate-migrate.service", false)]
    {
        let found = directives(unit);
        assert_eq!(
            found.get("LoadCredentialEncrypted").map(String::as_str),
            key.then_some("tidegate-vault-key"),
            "{unit}"
        );
        assert!(!found.contains_key("Environment") && !found.contains_key("SetCredential"), "{unit}");
    }
    let settings = std::fs::read_to_string(file("tidegate.toml")).unwrap();
    assert!(settings.contains("systemd_credential = \"tidegate-vault-key\""), "{settings}");
    // Whoever may change the schema is somebody else.
    let env = |unit: &str| directives(unit)["EnvironmentFile"].clone();
    assert_eq!(env("tidegate-migrate.service"), "/etc/tidegate/migrate.env");
    assert_eq!(env("tidegate.service"), env("tidegate-once.service"));
    assert!(!env("tidegate.service").contains("migrate"));
}

#[test]
fn the_settings_beside_the_units_are_settings() {
    let home = Home::new();
    let settings = Settings::load(Some(&file("tidegate.toml")), std::iter::empty(), home.path());
    let settings = settings.unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(settings.connectors.dirs, [PathBuf::from("/usr/share/tidegate/connectors")]);
}
