//! The demo's folder: settings, declaration, secrets, connector and rules, all written anew.
//!
//! Owns what stands in them. Refuses a folder that somebody else made.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    cli::{exit::Exit, failure::Failure},
    settings::Settings,
};

/// The first line of the demo's settings: what tells its folder from others.
const MADE_BY: &str = "# Made by tidegate demo.";
/// The connector that the demo uses, so that it works from any folder.
const HUBSPOT: &[(&str, &str)] = &[
    ("manifest.yaml", include_str!("../../../connectors/hubspot/manifest.yaml")),
    ("metrics.yaml", include_str!("../../../connectors/hubspot/metrics.yaml")),
    ("mappings/contacts.yaml", include_str!("../../../connectors/hubspot/mappings/contacts.yaml")),
    ("mappings/calls.yaml", include_str!("../../../connectors/hubspot/mappings/calls.yaml")),
    ("mappings/deals.yaml", include_str!("../../../connectors/hubspot/mappings/deals.yaml")),
];
/// The shipped example, as a person would have filled it in.
const CONTROLS: &str = include_str!("../../../config/examples/launch-controls.yaml");
const CONTROLS_FILE: &str = "launch-controls.yaml";
/// Laid over the built-in checks: a story of three bad records needs a small budget.
const STRICT: &str = "# Made by tidegate demo. Laid over the built-in config/quality.yaml: no dead letter may wait.\nconnections:\n  \
                      acme-hubspot:\n    dead_letter_budget: { thresholds: { max_open: 0 } }\n";

/// A simulated client: synthetic names, ids and tokens.
pub(super) struct Player {
    pub(super) client: &'static str,
    name: &'static str,
    pub(super) account: &'static str,
    pub(super) token: &'static str,
    environment: &'static str,
}

pub(super) const PLAYERS: [Player; 2] = [
    Player {
        client: "acme",
        name: "Acme Plumbing",
        account: "4711",
        token: "pat-sim-acme-0001",
        environment: "production",
    },
    Player {
        client: "bright",
        name: "Bright Roofing",
        account: "4712",
        token: "pat-sim-bright-0002",
        environment: "sandbox",
    },
];

/// The demo's own settings, and no others: neither files nor variables of the person who tries it.
pub(super) fn settings(dir: &Path) -> Result<Settings, Failure> {
    Settings::load(Some(Path::new("tidegate.toml")), std::iter::empty(), dir)
        .map_err(|e| Failure::new(Exit::Internal, e.to_string()))
}

/// Where the signatures stand.
pub(super) fn controls(dir: &Path) -> PathBuf {
    dir.join(CONTROLS_FILE)
}

/// The demo begins with an empty database. One that it did not make itself is somebody's.
pub(super) fn refuse_foreign(dir: &Path) -> Result<(), Failure> {
    let ours = fs::read_to_string(dir.join("tidegate.toml")).is_ok_and(|text| text.starts_with(MADE_BY));
    let taken = ["tidegate.db", "tidegate.toml", "declaration.yaml"].into_iter().find(|name| dir.join(name).exists());
    match taken {
        Some(name) if !ours => Err(Failure::usage(format!(
            "{} is there already and was not made by a demo; it is left as it is",
            dir.join(name).display()
        ))
        .remedy("name an empty folder with --dir")),
        Some(_) | None => Ok(()),
    }
}

/// Writes all files, and takes an earlier demo's database away.
pub(super) fn write_files(dir: &Path, base_url: &str) -> Result<(), Failure> {
    let at = |path: &Path, e: std::io::Error| {
        Failure::usage(format!("{} cannot be written: {e}", path.display())).remedy("name another folder with --dir")
    };
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text)).map_err(|e| at(&path, e))
    };
    for suffix in ["", "-wal", "-shm"] {
        let path = dir.join(format!("tidegate.db{suffix}"));
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(at(&path, error)),
            _ => {}
        }
    }
    for (name, text) in HUBSPOT {
        write(&format!("connectors/hubspot/{name}"), text)?;
    }
    write("quality.yaml", STRICT)?;
    write(CONTROLS_FILE, CONTROLS)?;
    write(
        "tidegate.toml",
        &format!(
            "{MADE_BY}\n[database]\nurl = \"sqlite://{}\"\n[connectors]\ndirs = [\"{}\"]\n[http]\n# The simulator listens on this machine.\n\
             allow_private = [\"127.0.0.0/8\"]\nrequests_per_second = 200\nburst = 50\n[quality]\nfile = \"{}\"\n",
            dir.join("tidegate.db").display(),
            dir.join("connectors").display(),
            dir.join("quality.yaml").display()
        ),
    )?;
    let mut declaration = "# Made by tidegate demo.\nclients:\n".to_owned();
    for Player { client, name, .. } in PLAYERS {
        declaration.push_str(&format!("  - {{ key: {client}, name: {name} }}\n"));
    }
    declaration.push_str("connections:\n");
    for Player { client, account, token, environment, .. } in PLAYERS {
        write(&format!("secrets/{client}"), token)?;
        declaration.push_str(&format!(
            "  - key: {client}-hubspot\n    client: {client}\n    provider: hubspot\n    provider_account_id: \"{account}\"\n    environment: {environment}\n    \
             owner: integration@example.test\n    reason: demo\n    source_label: CRM\n    credential: \"file:{}\"\n    \
             scopes: [crm.objects.contacts.read, crm.objects.deals.read]\n    refresh_policy: none\n    revocation_path: private app settings\n    failure_path: CSV import\n    rollback_path: restore the rows that first_run_id names\n    config: {{ base_url: \"{base_url}\", start_date: \"2020-01-01T00:00:00Z\" }}\n    jobs:\n      \
             - {{ stream: contacts, sync_mode: incremental, schedule: \"every 15m\", stale_after: 2h }}\n      \
             - {{ stream: deals, sync_mode: incremental, schedule: \"every 1h\", stale_after: 6h }}\n",
            dir.join("secrets").join(client).display()
        ));
    }
    write("declaration.yaml", &declaration)
}
