//! A whole Tidegate in a test: a provider simulator, a database of its own, the real program in a folder of its own.
//!
//! Owns the set-up that most promises need: two clients at one provider, declared and applied.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;
use tidegate::{
    simulator::{AccountOptions, Simulator, SimulatorHandle, SimulatorOptions},
    system_clock::SystemClock,
};

use super::{
    daemon::{Daemon, Finished, Home},
    databases::TestDatabase,
};

/// Tokens of the two simulated accounts. Synthetic.
pub const ACME_TOKEN: &str = "pat-sim-acme-0001";
pub const BRIGHT_TOKEN: &str = "pat-sim-bright-0002";
/// The accounts' ids at the simulated provider.
pub const ACME_PORTAL: &str = "4711";

/// Whether a text names an account: the number as a word of its own, for ids and times are made of digits, too.
pub fn names_account(text: &str, portal: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric()).any(|word| word == portal)
}

pub const BRIGHT_PORTAL: &str = "4712";

/// The example of signatures that is shipped.
pub const LAUNCH_CONTROLS: &str = include_str!("../../../config/examples/launch-controls.yaml");
/// The control of the database user's rights, not waited for.
const WIDE_USER: &str = "  - { key: import_user_narrowed, scope: global, title: Narrow user, kind: admin_task, cadence_days: 90, proof: machine:grants, \
                         required: false, command: narrow it, data_boundary: rights, text: Narrow it. }\n";

/// The provider, the database and the program's folder.
pub struct Yard<'d> {
    pub simulator: SimulatorHandle,
    pub database: &'d TestDatabase,
    pub home: Home,
    /// What the programs know of the database: on MySQL a user that can neither change the schema nor delete.
    url: String,
}

impl<'d> Yard<'d> {
    /// Two accounts with so many contacts and deals each; schema made, nothing declared.
    pub async fn new(database: &'d TestDatabase, contacts: u64, deals: u64) -> Self {
        Self::with(database, |account| account.contacts(contacts).deals(deals)).await
    }

    /// As [`Yard::new`], with both accounts as `shape` wants them.
    pub async fn with(database: &'d TestDatabase, shape: impl Fn(AccountOptions) -> AccountOptions) -> Self {
        let options = SimulatorOptions::new(Arc::new(SystemClock::new()))
            .account(shape(AccountOptions::new(ACME_PORTAL, ACME_TOKEN)))
            .account(shape(AccountOptions::new(BRIGHT_PORTAL, BRIGHT_TOKEN)));
        let simulator = Simulator::start(options).await.expect("the simulator starts");
        let mut home = Home::new();
        // The repository's folders, less the pace that a real provider needs: a simulator may be asked as fast as one can.
        let own = home.path().join("connectors");
        copy_connectors(&own);
        edit(
            &own.join("hubspot/manifest.yaml"),
            "requests_per_second: 4, burst: 1",
            "requests_per_second: 10000, burst: 10000",
        );
        let url = database.runtime_url().await;
        home.setting("database.url", &url)
            .setting("http.allow_private", "127.0.0.0/8")
            .setting("http.requests_per_second", "100000")
            .setting("http.burst", "100000")
            .setting("connectors.dirs", own.display())
            .setting("scheduler.poll_ms", "50")
            .setting("log.format", "text")
            .variable("ACME_TOKEN", ACME_TOKEN)
            .variable("BRIGHT_TOKEN", BRIGHT_TOKEN);
        let wide = database.is_mysql() && url == database.url();
        let mut yard = Self { simulator, database, home, url };
        if wide {
            // A server whose user may not make users: what runs there is no narrow one.
            yard.launch_file(WIDE_USER);
        }
        yard
    }

    /// Adds or replaces launch controls.
    pub fn launch_file(&mut self, controls: &str) {
        let file = self.home.write("launch.yaml", &format!("controls:\n{controls}"));
        self.home.setting("launch.file", file.display());
    }

    /// Supplies everything that the launch gate asks of a connection and of the installation, but the activation.
    pub async fn supply_launch(&self, key: &str) {
        self.home.run_ok(&["connection", "check", key]).await;
        self.home.run_ok(&["connection", "test-batch", key, "--count", "5"]).await;
        // Known from before the connection, and declared with where it stands.
        let client = key.split('-').next().unwrap_or(key);
        self.home
            .run_ok(&[
                "metrics",
                "baseline",
                "--client",
                client,
                "--metric",
                "lead_volume",
                "--value",
                "40",
                "--evidence",
                "counted by hand in the paper book",
                "--reason",
                "before the connection",
            ])
            .await;
        self.sign_installation().await;
    }

    /// Signs the controls of the installation with the example file.
    pub async fn sign_installation(&self) {
        let file = self.home.write("launch-controls.yaml", LAUNCH_CONTROLS);
        self.home.run_ok(&["launch", "sign", "--file", &file.display().to_string()]).await;
    }

    /// Everything the gate asks for, and the activation.
    pub async fn go_live(&self, key: &str) {
        self.supply_launch(key).await;
        self.home.run_ok(&["connection", "activate", key]).await;
    }

    /// As [`Yard::new`], with the contacts of both clients (and their deals, if there are any) declared and applied.
    pub async fn applied(database: &'d TestDatabase, contacts: u64, deals: u64) -> Self {
        let yard = Self::new(database, contacts, deals).await;
        yard.declare(&yard.declaration("sandbox", "every 30d", deals > 0)).await;
        yard
    }

    /// How many pages were asked for, besides who we are.
    pub fn searches(&self) -> usize {
        self.simulator.oracle().calls().iter().filter(|call| call.path.contains("search")).count()
    }

    /// Changes the test's own copy of the provider's manifest.
    pub fn edit_manifest(&self, from: &str, to: &str) {
        edit(&self.home.path().join("connectors/hubspot/manifest.yaml"), from, to);
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The declaration of both clients.
    pub fn declaration(&self, environment: &str, schedule: &str, deals: bool) -> String {
        let mut text = "clients:\n  - { key: acme, name: Acme Plumbing }\n  - { key: bright, name: Bright Roofing }\nconnections:\n".to_owned();
        for (client, portal, token) in [("acme", ACME_PORTAL, "ACME_TOKEN"), ("bright", BRIGHT_PORTAL, "BRIGHT_TOKEN")]
        {
            text.push_str(&format!(
                "  - key: {client}-hubspot\n    client: {client}\n    provider: hubspot\n    provider_account_id: \"{portal}\"\n    \
                 environment: {environment}\n    owner: integration@example.test\n    reason: weekly report\n    source_label: CRM\n    \
                 credential: env:{token}\n    scopes: [crm.objects.contacts.read]\n    refresh_policy: none\n    \
                 revocation_path: private app settings\n    failure_path: CSV import\n    rollback_path: runs void\n    \
                 config: {{ base_url: \"{}\", start_date: \"2020-01-01T00:00:00Z\" }}\n    jobs:\n      \
                 - {{ stream: contacts, sync_mode: incremental, schedule: \"{schedule}\", stale_after: 2h }}\n",
                self.simulator.base_url()
            ));
            if deals {
                text.push_str(&format!(
                    "      - {{ stream: deals, sync_mode: incremental, schedule: \"{schedule}\" }}\n"
                ));
            }
        }
        text
    }

    /// Writes and applies a declaration.
    pub async fn declare(&self, text: &str) {
        let file = self.home.write("declaration.yaml", text);
        self.home.run_ok(&["apply", "-f", &file.display().to_string()]).await;
    }

    /// Runs acme's contacts now.
    pub async fn run_acme(&self) -> Finished {
        self.home.run(&["run-once", "--connection", "acme-hubspot", "--stream", "contacts", "--json"]).await
    }

    /// Begins to run acme's contacts.
    pub fn start_acme(&self) -> Daemon {
        self.home.start(&["run-once", "--connection", "acme-hubspot", "--stream", "contacts"])
    }

    /// The newest run of acme's contacts, as `runs list --json` tells it.
    pub async fn newest_run(&self) -> Value {
        let runs = self
            .home
            .run_ok(&["runs", "list", "--connection", "acme-hubspot", "--stream", "contacts", "--limit", "1", "--json"])
            .await
            .json();
        runs.get(0).cloned().unwrap_or_else(|| panic!("no run: {runs}"))
    }

    pub async fn number(&self, sql: &str) -> i64 {
        self.database.sql.number(sql).await
    }

    /// P1, P3, P6 read from the tables, as they must hold whenever nothing is running.
    pub async fn assert_settled(&self) {
        for (what, sql) in [
            ("runs that are still running", "select count(*) from integration_sync_runs where status = 'running'"),
            (
                "finished runs whose counts do not add up",
                "select count(*) from integration_sync_runs where status <> 'running' and records_seen <> records_created + records_updated \
                 + records_unchanged + records_duplicate + records_ignored + records_failed",
            ),
            (
                "runs whose page ledger says otherwise",
                "select count(*) from integration_sync_runs r where r.records_seen <> coalesce((select sum(p.records_seen) from integration_sync_pages p where p.run_id = r.id), 0)",
            ),
            (
                "runs whose raw events say otherwise",
                "select count(*) from integration_sync_runs r where not exists (select 1 from integration_sync_runs x where x.job_id = r.job_id and x.origin = 'replay') and r.records_created + r.records_updated <> \
                 (select count(*) from integration_raw_events e where e.run_id = r.id and e.status = 'normalized')",
            ),
            (
                "records that stand twice",
                "select count(*) from (select external_id from crm_leads group by connection_id, object_type, external_id having count(*) > 1) x",
            ),
            (
                "records without an object link",
                "select count(*) from crm_leads l where not exists (select 1 from integration_object_links o where o.connection_id = l.connection_id \
                 and o.object_type = l.object_type and o.external_id = l.external_id and o.internal_table = 'crm_leads' and o.internal_id = l.id)",
            ),
            (
                "rows whose client is not their connection's",
                "select count(*) from crm_leads l join integration_connections c on c.id = l.connection_id where c.client_id <> l.client_id",
            ),
        ] {
            assert_eq!(self.number(sql).await, 0, "{what}");
        }
    }

    /// Ends the simulator.
    pub async fn end(self) {
        self.simulator.stop().await;
    }
}

/// Copies a folder.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Copies the two folders that tests declare connections of: every start of the program reads all that are there, and the others
/// are the conformance kit's.
pub fn copy_connectors(to: &Path) {
    for folder in ["csv", "hubspot"] {
        copy(&connectors().join(folder), &to.join(folder));
    }
}

/// Replaces a piece of a file that must be there.
fn edit(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{} holds {from}", file.display());
    std::fs::write(file, text.replace(from, to)).unwrap();
}

/// The repository's connector folders.
pub fn connectors() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("connectors")
}
