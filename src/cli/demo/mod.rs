//! `tidegate demo`: the whole way of a record in a minute, for somebody who has never seen Tidegate.
//!
//! Owns the story: what is set up, what goes wrong on purpose, what is shown. Everything in it is real: HTTP over loopback, a
//! database file, the same commands' code. Nothing is written outside of the demo's folder.

mod files;
mod gate;

use std::{path::PathBuf, sync::Arc};

use self::files::{PLAYERS, Player};
use super::{
    App, Done, apply,
    args::DemoArgs,
    exit::Exit,
    failure::Failure,
    print::{self, Output, View},
};
use crate::{
    domain::{
        clock::Clock,
        status::{DeadLetterStatus, RunOrigin},
    },
    pipeline::Progress,
    scheduler::{
        due,
        worker::{Assignment, Report, Task, Worker},
    },
    simulator::{AccountOptions, Bad, Fault, FaultKind, ObjectKind, Simulator, SimulatorHandle, SimulatorOptions},
    store::{SharedStore, catalogue::JobFilter, dead_letters::DeadLetterFilter, runs::RunFilter},
    system_clock::SystemClock,
    telemetry::recorder::Recorder,
};

/// Columns by which the story's tables are moved in.
const INDENT: u16 = 2;
const DEFAULT_DIR: &str = "var/demo";
const CONTACTS: u64 = 500;
const DEALS: u64 = 80;

/// Tells the story from an empty folder to a published card.
///
/// # Errors
/// The folder cannot be written, or the simulator cannot listen on loopback.
pub async fn run(args: &DemoArgs, out: Output) -> Done {
    let dir = args.dir.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_DIR));
    files::refuse_foreign(&dir)?;
    let simulator = provider().await?;
    files::write_files(&dir, &simulator.base_url())?;
    let app = App::new(files::settings(&dir)?);
    let story = Story { out, app: &app };

    story.say("Tidegate in two minutes: two clients, one CRM each, and everything that usually goes wrong.\n")?;
    story.say(&format!(
        "A provider simulator answers on {}. It will throttle us once (429,\nRetry-After: 1), fail once (500), and three of its \
         records are bad. Acme's connection is to go live;\nBright's is a sandbox. Everything is kept in {}.\n",
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

    let worker = app.worker(Arc::clone(&store))?;
    story.launch(&store, &worker, &files::controls(&dir)).await?;

    trouble(&simulator);
    story.chapter(3, "First run: pull over HTTP, stage raw, normalise, count (tidegate run-once)")?;
    pass(&app, &worker, &store).await?;
    story.runs(&store).await?;
    story.say(
        "\n  Each record ends in one bucket: seen = created + updated + unchanged + duplicate + ignored + failed. A CHECK in the\n  \
         database holds it. The throttled and the failed request were waited out and tried again; they cost time, not records.",
    )?;

    story.chapter(4, "What could not be mapped waits as a dead letter (tidegate errors list --group)")?;
    story.dead_letters(&store).await?;
    story.say("\n  The other records of the same pages went through: one bad record never stops a run.")?;

    story.held(&store).await?;

    story.chapter(6, "Meanwhile at the provider: 7 contacts are edited, 5 are new, the bad records are mended")?;
    let acme = simulator.account("4711");
    acme.edit_contacts([3, 50, 99, 150, 200, 333, 499]);
    acme.add_contacts(5);
    acme.mend(ObjectKind::Contacts, [42, 77]);
    acme.mend(ObjectKind::Deals, [7]);
    pass(&app, &worker, &store).await?;
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

    story.card(&store).await?;
    story.one_run(&store).await?;

    let runs = store.runs(&RunFilter { limit: 100, ..RunFilter::default() }).await?;
    simulator.stop().await;
    store.close().await;
    story.say(&format!(
        "\nWhere to look next\n  tidegate --config {0} metrics show --client acme\n  tidegate --config {0} portal cards --client acme\n  \
         tidegate --config {0} quality list --connection acme-hubspot\n  tidegate --config {0} launch status --connection acme-hubspot\n  \
         tidegate --config {0} alerts list --all\n  tidegate --config {0} runs list\n  tidegate --config {0} connection show acme-hubspot\n  \
         tidegate --config {0} errors list --all\n  tidegate --config {0} jobs list\n  sqlite3 {1} \
         'select * from integration_sync_runs'\n  {2}   the declaration that was applied\n  {3}   how a provider becomes a folder: its manifest and its field maps",
        dir.join("tidegate.toml").display(),
        dir.join("tidegate.db").display(),
        dir.join("declaration.yaml").display(),
        dir.join("connectors/hubspot").display(),
    ))?;
    if out.json {
        return app.show(out, &runs, |_| String::new());
    }
    Ok(Exit::Done)
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
        // The newest come first; the test batch is not what is told of.
        if let Some(run) = runs.into_iter().rfind(|run| run.origin == RunOrigin::Manual) {
            self.chapter(8, &format!("One run's story (tidegate runs show {})", run.id))?;
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
    let clock = Arc::new(SystemClock::new());
    let now = clock.now();
    let mut options = SimulatorOptions::new(clock);
    for Player { account, token, .. } in PLAYERS {
        let account = AccountOptions::new(account, token).contacts(CONTACTS).deals(DEALS);
        options = options.account(account.in_the_last_month(now));
    }
    Simulator::start(options).await.map_err(|e| Failure::new(Exit::Internal, e.to_string()))
}

/// What goes wrong in the first run.
fn trouble(simulator: &SimulatorHandle) {
    let acme = simulator.account("4711");
    acme.make_bad(ObjectKind::Contacts, 42, Bad::UnknownLifecycle);
    acme.make_bad(ObjectKind::Contacts, 77, Bad::PhoneGarbage);
    acme.make_bad(ObjectKind::Deals, 7, Bad::AmountGarbage);
    simulator.fault(Fault::on(2, FaultKind::TooManyRequests { retry_after: Some(1) }).path("contacts").account("4711"));
    simulator.fault(Fault::on(2, FaultKind::ServerError).path("contacts").account("4712"));
}

/// Every declared job once, whatever is due; then alerts are looked for, as `run-once` does.
async fn pass(app: &App, worker: &Arc<Worker>, store: &SharedStore) -> Result<(), Failure> {
    let assignments = store
        .jobs(&JobFilter::default())
        .await?
        .iter()
        .map(|job| Assignment { job: job.id, origin: RunOrigin::Manual, task: Task::Pull { full: false } })
        .collect();
    work(worker, assignments).await?;
    let recorder = Arc::new(Recorder::new(false));
    app.alarm(Arc::clone(store), Arc::clone(&worker.gate), recorder)?.once().await;
    Ok(())
}

async fn work(worker: &Arc<Worker>, assignments: Vec<Assignment>) -> Result<Vec<Report>, Failure> {
    let stop = tokio_util::sync::CancellationToken::new();
    let quiet = |_| -> crate::pipeline::OnProgress { Arc::new(|_: Progress| {}) };
    let reports = due::once(worker, assignments, 4, &stop, &quiet, &mut |_| {}).await;
    Ok(reports.into_iter().collect::<Result<_, _>>()?)
}
