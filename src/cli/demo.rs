//! `tidegate demo`: the whole way of a record in a minute, for somebody who has never seen Tidegate.
//!
//! Owns the story: what is set up, what goes wrong on purpose, what is shown. Everything in it is real: HTTP over loopback, a
//! database file, the same commands' code. Nothing is written outside of the demo's folder.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    App, Done, apply,
    args::DemoArgs,
    exit::Exit,
    failure::Failure,
    print::{self, Output, View},
};
use crate::{
    domain::status::{DeadLetterStatus, RunOrigin},
    pipeline::Progress,
    scheduler::{
        due,
        worker::{Assignment, Task, Worker},
    },
    settings::Settings,
    simulator::{AccountOptions, Bad, Fault, FaultKind, ObjectKind, Simulator, SimulatorHandle, SimulatorOptions},
    store::{SharedStore, catalogue::JobFilter, dead_letters::DeadLetterFilter, runs::RunFilter},
    system_clock::SystemClock,
};

/// Columns by which the story's tables are moved in.
const INDENT: u16 = 2;
const DEFAULT_DIR: &str = "var/demo";
/// The first line of the demo's settings: what tells its folder from others.
const MADE_BY: &str = "# Made by tidegate demo.";
/// The connector that the demo uses, so that it works from any folder.
const HUBSPOT: &[(&str, &str)] = &[
    ("manifest.yaml", include_str!("../../connectors/hubspot/manifest.yaml")),
    ("mappings/contacts.yaml", include_str!("../../connectors/hubspot/mappings/contacts.yaml")),
    ("mappings/deals.yaml", include_str!("../../connectors/hubspot/mappings/deals.yaml")),
];
/// Ids and tokens of the two simulated accounts; synthetic.
const ACCOUNTS: [(&str, &str, &str, &str); 2] = [
    ("acme", "Acme Plumbing", "4711", "pat-sim-acme-0001"),
    ("bright", "Bright Roofing", "4712", "pat-sim-bright-0002"),
];
const CONTACTS: u64 = 500;
const DEALS: u64 = 80;

/// Tells the story from an empty folder to a mended dead letter.
///
/// # Errors
/// The folder cannot be written, or the simulator cannot listen on loopback.
pub async fn run(args: &DemoArgs, out: Output) -> Done {
    let dir = args.dir.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_DIR));
    refuse_foreign(&dir)?;
    let simulator = provider().await?;
    write_files(&dir, &simulator.base_url())?;
    let app = App::new(settings(&dir)?);
    let story = Story { out, app: &app };

    story.say("Tidegate in a minute: two clients, one CRM each, and everything that usually goes wrong.\n")?;
    story.say(&format!(
        "A provider simulator answers on {}. It will throttle us once (429,\nRetry-After: 1), fail once (500), and three of its \
         records are bad. Everything is kept in\n{}.\n",
        simulator.base_url(),
        dir.display()
    ))?;

    story.chapter(1, "Declare clients, connections and jobs (tidegate apply)")?;
    let store = app.store_migrating(true).await?;
    let plan = apply::plan_files(&app, &store, &[dir.join("declaration.yaml")]).await?;
    store.declare(&plan.declaration).await?;
    for change in &plan.changes {
        story.say(&format!("  {change}"))?;
    }

    story.chapter(2, "First run: pull over HTTP, stage raw, normalise, count (tidegate run-once)")?;
    let worker = app.worker(Arc::clone(&store))?;
    pass(&worker, &store).await?;
    story.runs(&store).await?;
    story.say(
        "\n  Each record ends in one bucket: seen = created + updated + unchanged + duplicate + ignored + failed. A CHECK in the\n  \
         database holds it. The throttled and the failed request were waited out and tried again; they cost time, not records.",
    )?;

    story.chapter(3, "What could not be mapped waits as a dead letter (tidegate errors list --group)")?;
    story.dead_letters(&store).await?;
    story.say("\n  The other records of the same pages went through: one bad record never stops a run.")?;

    story.chapter(4, "Meanwhile at the provider: 7 contacts are edited, 5 are new, the bad records are mended")?;
    let acme = simulator.account("4711");
    acme.edit_contacts([3, 50, 99, 150, 200, 333, 499]);
    acme.add_contacts(5);
    acme.mend(ObjectKind::Contacts, [42, 77]);
    acme.mend(ObjectKind::Deals, [7]);
    pass(&worker, &store).await?;
    story.runs(&store).await?;
    story.say(
        "\n  The second run asked only for what changed since its cursor. Records it had seen already are unchanged and were not\n  \
         written; the mended ones closed their own dead letters:",
    )?;
    let open = store
        .dead_letters(&DeadLetterFilter {
            status: Some(DeadLetterStatus::Open),
            limit: 10,
            ..DeadLetterFilter::default()
        })
        .await?;
    story.say(&format!("  open dead letters now: {}", open.len()))?;

    story.one_run(&store).await?;

    simulator.stop().await;
    store.close().await;
    story.say(&format!(
        "\nWhere to look next\n  tidegate --config {0} runs list\n  tidegate --config {0} connection show acme-hubspot\n  \
         tidegate --config {0} errors list --all\n  tidegate --config {0} jobs list\n  sqlite3 {1} \
         'select * from integration_sync_runs'\n  {2}   the declaration that was applied\n  {3}   how a provider becomes a folder: its manifest and its field maps",
        dir.join("tidegate.toml").display(),
        dir.join("tidegate.db").display(),
        dir.join("declaration.yaml").display(),
        dir.join("connectors/hubspot").display(),
    ))?;
    if out.json {
        let runs = store_runs(&dir).await?;
        return app.show(out, &runs, |_| String::new());
    }
    Ok(Exit::Done)
}

async fn store_runs(dir: &Path) -> Result<Vec<crate::store::runs::Run>, Failure> {
    let store = App::new(settings(dir)?).store().await?;
    Ok(store.runs(&RunFilter { limit: 100, ..RunFilter::default() }).await?)
}

/// The demo's own settings, and no others: neither files nor variables of the person who tries it.
fn settings(dir: &Path) -> Result<Settings, Failure> {
    Settings::load(Some(Path::new("tidegate.toml")), std::iter::empty(), dir)
        .map_err(|e| Failure::new(Exit::Internal, e.to_string()))
}

struct Story<'a> {
    out: Output,
    app: &'a App,
}

impl Story<'_> {
    fn say(&self, text: &str) -> Result<(), Failure> {
        Ok(self.out.say(self.app.now(), text)?)
    }

    fn chapter(&self, number: u32, title: &str) -> Result<(), Failure> {
        self.say(&format!("\n{number}. {title}\n"))
    }

    fn view(&self) -> View {
        let view = View::of_stdout(self.app.now());
        View { width: view.width.map(|columns| columns.saturating_sub(INDENT)), ..view }
    }

    async fn runs(&self, store: &SharedStore) -> Result<(), Failure> {
        let runs = store.runs(&RunFilter { limit: 4, ..RunFilter::default() }).await?;
        self.say(&indent(&print::runs::run_list(&self.view(), &runs)))
    }

    async fn dead_letters(&self, store: &SharedStore) -> Result<(), Failure> {
        let filter =
            DeadLetterFilter { status: Some(DeadLetterStatus::Open), limit: 10, ..DeadLetterFilter::default() };
        let groups = store.dead_letter_groups(&filter).await?;
        self.say(&indent(&print::errors::dead_letter_groups(&self.view(), &groups)))
    }

    async fn one_run(&self, store: &SharedStore) -> Result<(), Failure> {
        let runs = store
            .runs(&RunFilter {
                stream: Some("contacts".to_owned()),
                connection_key: Some("acme-hubspot".to_owned()),
                limit: 10,
                ..RunFilter::default()
            })
            .await?;
        if let Some(run) = runs.into_iter().last() {
            self.chapter(5, &format!("One run's story (tidegate runs show {})", run.id))?;
            let pages = store.run_pages(run.id, 10, 10).await?;
            let recount = Some(store.recount(run.id).await?);
            let story = print::runs::RunStory { run, pages, recount };
            self.say(&indent(&print::runs::run_show(&self.view(), &story)))?;
        }
        Ok(())
    }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { String::from("\n") } else { format!("  {line}\n") }).collect()
}

async fn provider() -> Result<SimulatorHandle, Failure> {
    let mut options = SimulatorOptions::new(Arc::new(SystemClock::new()));
    for (_, _, portal, token) in ACCOUNTS {
        options = options.account(AccountOptions::new(portal, token).contacts(CONTACTS).deals(DEALS));
    }
    let simulator = Simulator::start(options).await.map_err(|e| Failure::new(Exit::Internal, e.to_string()))?;
    let acme = simulator.account("4711");
    acme.make_bad(ObjectKind::Contacts, 42, Bad::UnknownLifecycle);
    acme.make_bad(ObjectKind::Contacts, 77, Bad::PhoneGarbage);
    acme.make_bad(ObjectKind::Deals, 7, Bad::AmountGarbage);
    simulator.fault(Fault::on(2, FaultKind::TooManyRequests { retry_after: Some(1) }).path("contacts").account("4711"));
    simulator.fault(Fault::on(2, FaultKind::ServerError).path("contacts").account("4712"));
    Ok(simulator)
}

/// Every declared job once, whatever is due.
async fn pass(worker: &Arc<Worker>, store: &SharedStore) -> Result<(), Failure> {
    let assignments = store
        .jobs(&JobFilter::default())
        .await?
        .iter()
        .map(|job| Assignment { job: job.id, origin: RunOrigin::Manual, task: Task::Pull { full: false } })
        .collect();
    let stop = tokio_util::sync::CancellationToken::new();
    let quiet = |_| -> crate::pipeline::OnProgress { Arc::new(|_: Progress| {}) };
    for report in due::once(worker, assignments, 4, &stop, &quiet, &mut |_| {}).await {
        report?;
    }
    Ok(())
}

/// The demo begins with an empty database. One that it did not make itself is somebody's.
fn refuse_foreign(dir: &Path) -> Result<(), Failure> {
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

fn write_files(dir: &Path, base_url: &str) -> Result<(), Failure> {
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
    write(
        "tidegate.toml",
        &format!(
            "{MADE_BY}\n[database]\nurl = \"sqlite://{}\"\n[connectors]\ndirs = [\"{}\"]\n[http]\n# The simulator listens on this machine.\n\
             allow_private = [\"127.0.0.0/8\"]\nrequests_per_second = 200\nburst = 50\n",
            dir.join("tidegate.db").display(),
            dir.join("connectors").display()
        ),
    )?;
    let mut declaration = "# Made by tidegate demo.\nclients:\n".to_owned();
    for (client, name, _, _) in ACCOUNTS {
        declaration.push_str(&format!("  - {{ key: {client}, name: {name} }}\n"));
    }
    declaration.push_str("connections:\n");
    for (client, _, portal, token) in ACCOUNTS {
        write(&format!("secrets/{client}"), token)?;
        declaration.push_str(&format!(
            "  - key: {client}-hubspot\n    client: {client}\n    provider: hubspot\n    provider_account_id: \"{portal}\"\n    environment: sandbox\n    \
             owner: integration@example.test\n    reason: demo\n    source_label: CRM\n    credential: \"file:{}\"\n    \
             scopes: [crm.objects.contacts.read, crm.objects.deals.read]\n    config: {{ base_url: \"{base_url}\", start_date: \"2020-01-01T00:00:00Z\" }}\n    jobs:\n      \
             - {{ stream: contacts, sync_mode: incremental, schedule: \"every 15m\", stale_after: 2h }}\n      \
             - {{ stream: deals, sync_mode: incremental, schedule: \"every 1h\", stale_after: 6h }}\n",
            dir.join("secrets").join(client).display()
        ));
    }
    write("declaration.yaml", &declaration)
}
