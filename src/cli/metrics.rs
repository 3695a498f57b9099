//! `tidegate metrics …`: list, take, set a baseline, publish, approve, show.

use serde_json::{Value, json};

use super::{
    App, Done,
    args::{ApproveArgs, BaselineArgs, MetricsCommand, PublishArgs, SnapshotArgs},
    connection,
    exit::Exit,
    failure::Failure,
    print::{
        self, Output,
        metrics::{outcome_line, published_document, snapshot_document, snapshot_line},
        notices::{self, nearest},
    },
};
use crate::{
    domain::status::ClientStatus,
    metrics::{BaselineOutcome, Desk, Entry, Outcome, Verdicts, Window, baseline::Declared},
    pipeline::gatekeeper::Gatekeeper,
    store::{
        SharedStore,
        catalogue::{AdminAction, Client},
    },
};

/// What the commands work with.
struct Bench<'b> {
    app: &'b App,
    store: SharedStore,
    gatekeeper: Gatekeeper,
}

/// Does a `metrics` command.
///
/// # Errors
/// See [`Failure`].
pub async fn run(app: &App, command: &MetricsCommand, out: Output) -> Done {
    if let MetricsCommand::List = command {
        let (definitions, feeds) = app.metrics()?;
        let document = print::metrics::list_document(&definitions, &feeds);
        return app.show(out, &document, |view| print::metrics::list(view, &definitions, &feeds));
    }
    let bench = Bench::open(app, app.store().await?)?;
    match command {
        MetricsCommand::List => Ok(Exit::Done),
        MetricsCommand::Snapshot(args) => bench.snapshot(args, out).await,
        MetricsCommand::Baseline(args) => bench.baseline(args, out).await,
        MetricsCommand::Publish(args) => bench.publish(args, out).await,
        MetricsCommand::Approve(args) => bench.approve(args, out).await,
        MetricsCommand::Show { client: key } => bench.show(key, out).await,
    }
}

/// The client of that key, or what to do about a wrong one.
pub async fn client(store: &SharedStore, key: &str) -> Result<Client, Failure> {
    let clients = store.clients().await?;
    if let Some(client) = clients.iter().find(|client| client.client_key == key) {
        return Ok(client.clone());
    }
    let near = nearest(key, clients.iter().map(|client| client.client_key.as_str()));
    let near = near.map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
    let all: Vec<&str> = clients.iter().map(|client| client.client_key.as_str()).collect();
    let remedy = match all.as_slice() {
        [] => "declare one: tidegate apply -f FILE".to_owned(),
        all => format!("clients: {}", all.join(", ")),
    };
    Err(Failure::usage(format!("there is no client '{key}'{near}")).remedy(remedy))
}

/// Sets a baseline; gives the answer for a machine and for a person.
///
/// # Errors
/// The refusal, with every reason; see [`Failure`].
pub async fn set_baseline(app: &App, store: SharedStore, args: &BaselineArgs) -> Result<(Value, String), Failure> {
    Bench::open(app, store)?.set_baseline(args).await
}

impl<'b> Bench<'b> {
    fn open(app: &'b App, store: SharedStore) -> Result<Self, Failure> {
        Ok(Self { app, gatekeeper: app.gatekeeper(SharedStore::clone(&store))?, store })
    }

    fn desk(&self) -> Desk<'_> {
        self.gatekeeper.desk()
    }

    /// A typed metric key, held against what there is.
    fn known(&self, key: Option<&str>) -> Result<(), Failure> {
        let Some(key) = key.filter(|key| self.gatekeeper.definitions.get(key).is_none()) else { return Ok(()) };
        let near = nearest(key, self.gatekeeper.definitions.keys());
        let near = near.map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
        Err(Failure::usage(format!("there is no metric '{key}'{near}")).remedy("tidegate metrics list shows all"))
    }

    /// The clients that are meant: the named one, or all active ones.
    async fn clients(&self, key: Option<&str>) -> Result<Vec<Client>, Failure> {
        match key {
            Some(key) => Ok(vec![client(&self.store, key).await?]),
            None => {
                let all = self.store.clients().await?;
                Ok(all.into_iter().filter(|client| client.status == ClientStatus::Active).collect())
            }
        }
    }

    /// What the checks say of a client's connections, made now.
    async fn verdicts(&self, client: &Client) -> Result<Verdicts, Failure> {
        Ok(self.gatekeeper.verdicts(client.id).await?)
    }

    /// Told where nothing feeds a metric, since somebody may look for the numbers of a trial.
    fn nobody(&self) -> String {
        let words: Vec<&str> = self.gatekeeper.environments.iter().map(|word| word.as_str()).collect();
        format!("no {} connection feeds a metric (metrics.environments)", words.join(" or "))
    }

    /// The one metric of a client that is meant.
    async fn entry(&self, client: &Client, metric: &str, label: Option<&str>) -> Result<Entry, Failure> {
        self.known(Some(metric))?;
        let mut entries = self.desk().entries(client.id, Some(metric)).await?;
        let labels: Vec<String> = entries.iter().map(|entry| entry.source_label.clone()).collect();
        entries.retain(|entry| label.is_none_or(|label| label == entry.source_label));
        match (entries.len(), labels.is_empty()) {
            (1, _) => entries.pop().ok_or_else(|| Failure::new(Exit::Internal, "the metric went away")),
            (_, true) => {
                let feeders = self.gatekeeper.feeds.providers_of(metric).join(", ");
                Err(Failure::usage(format!("no connection of '{}' feeds {metric}", client.client_key)).remedy(format!(
                    "it is fed by connections (of the environments in metrics.environments) of: {}",
                    if feeders.is_empty() { "nobody" } else { &feeders }
                )))
            }
            _ => Err(Failure::usage("which source is meant?".to_owned())
                .remedy(format!("add --source with one of: '{}'", labels.join("', '")))),
        }
    }

    fn act(&self, action: &str, client: &Client, entry: &Entry, reason: Option<&str>, after: Value) -> AdminAction {
        const LONGEST_KEY: usize = 190;
        let key = format!("{}/{}/{}", client.client_key, entry.definition.key, entry.source_label);
        AdminAction {
            actor: self.app.actor(),
            action: action.to_owned(),
            subject_type: "metric".to_owned(),
            subject_key: key.chars().take(LONGEST_KEY).collect(),
            reason: reason.map(str::to_owned),
            before: None,
            after: Some(after),
        }
    }

    async fn snapshot(&self, args: &SnapshotArgs, out: Output) -> Done {
        self.known(args.metric.as_deref())?;
        let mut clients = self.clients(args.client.as_deref()).await?;
        if let Some(key) = &args.connection {
            let connection = connection::find(&self.store, key).await?;
            clients.retain(|client| client.id == connection.client_id);
            if clients.is_empty() {
                let client = args.client.as_deref().unwrap_or("an active client");
                return Err(Failure::usage(format!("connection '{key}' is not one of {client}"))
                    .remedy("tidegate connection list shows whose it is"));
            }
        }
        let (mut documents, mut lines) = (Vec::new(), Vec::new());
        for client in &clients {
            for entry in self.desk().entries(client.id, args.metric.as_deref()).await? {
                let Some(window) = self.fitting_window(&args.period, &entry, args.metric.is_some())? else { continue };
                let wanted = |key: &str| args.connection.as_deref().is_none_or(|wanted| wanted == key);
                for connection in entry.connections.iter().filter(|c| wanted(&c.spec.connection_key)) {
                    let snapshot = self.desk().snapshot(&entry.definition, connection, &window).await?;
                    documents.push(snapshot_document(connection, &window, &snapshot));
                    lines.push(snapshot_line(connection, &window, &snapshot));
                }
            }
        }
        app_lines(self.app, out, &documents, &lines, &format!("{} of such a period", self.nobody()))
    }

    /// The window that was typed. Where several metrics are meant, those of another kind of period are left out.
    fn fitting_window(&self, text: &str, entry: &Entry, named: bool) -> Result<Option<Window>, Failure> {
        let definition = &entry.definition;
        match Window::parse(text, definition.period, definition.zone, self.app.now()) {
            Ok(window) => Ok(Some(window)),
            Err(_) if !named => Ok(None),
            Err(wrong) => Err(Failure::usage(wrong).remedy("see tidegate metrics list for the metric's period")),
        }
    }

    async fn baseline(&self, args: &BaselineArgs, out: Output) -> Done {
        let (document, line) = self.set_baseline(args).await?;
        self.app.show(out, &document, |_| line)
    }

    async fn set_baseline(&self, args: &BaselineArgs) -> Result<(Value, String), Failure> {
        let client = client(&self.store, &args.client).await?;
        let entry = self.entry(&client, &args.metric, args.source.as_deref()).await?;
        let Some(window) = self.fitting_window(&args.period, &entry, true)? else {
            return Err(Failure::new(Exit::Internal, "the period was not read"));
        };
        let after = json!({"period": window.text(), "declared": args.value.map(|value| value.to_string())});
        let act = self.act("metric.baseline", &client, &entry, Some(&args.reason), after);
        let outcome = match args.value {
            None => self.desk().set_baseline(&entry, &window, &self.verdicts(&client).await?, &act).await?,
            Some(value) => {
                let evidence = args.evidence.clone().unwrap_or_default();
                let declared = Declared { value, currency: args.currency.clone(), evidence };
                self.desk().declare_baseline(&entry, &window, &declared, &act).await?
            }
        };
        let (metric, label) = (&entry.definition.key, &entry.source_label);
        let (version, snapshot, word) = match outcome {
            BaselineOutcome::Refused(reasons) => {
                return Err(Failure::new(
                    Exit::Refused,
                    format!("this number cannot be the baseline of {metric}:\n  - {}", reasons.join("\n  - ")),
                )
                .remedy("mend what is named, or name another --period; what stands is unchanged"));
            }
            BaselineOutcome::Added { version, snapshot } => (version, snapshot, "set"),
            BaselineOutcome::Stands { version, snapshot } => (version, snapshot, "stands already"),
        };
        let value = print::metrics::value(&snapshot);
        let document = json!({
            "client": client.client_key, "metric": metric, "source": label, "version": version, "added": word == "set",
            "period": window.text(), "value": snapshot.number.value.map(|value| value.normalize().to_string()),
            "unit": snapshot.number.unit, "currency": snapshot.number.currency, "origin": snapshot.number.origin,
        });
        let line = format!("{metric} '{label}': baseline version {version} {word}: {value} of {}", window.text());
        Ok((document, line))
    }

    async fn publish(&self, args: &PublishArgs, out: Output) -> Done {
        self.known(args.metric.as_deref())?;
        let (mut documents, mut lines, mut exit) = (Vec::new(), Vec::new(), Exit::Done);
        for client in self.clients(args.client.as_deref()).await? {
            let verdicts = self.verdicts(&client).await?;
            for published in self.desk().publish(&client, args.metric.as_deref(), &verdicts).await? {
                if matches!(published.outcome, Outcome::Held(_)) {
                    exit = Exit::Refused;
                }
                documents.push(published_document(&client.client_key, &published));
                lines.push(outcome_line(&client.client_key, &published));
            }
        }
        app_lines(self.app, out, &documents, &lines, &self.nobody())?;
        Ok(exit)
    }

    async fn approve(&self, args: &ApproveArgs, out: Output) -> Done {
        let client = client(&self.store, &args.client).await?;
        let entry = self.entry(&client, &args.metric, args.source.as_deref()).await?;
        let act = self.act("metric.approve", &client, &entry, None, json!({"approval_state": "approved"}));
        let published = self.desk().approve(&entry, &self.verdicts(&client).await?, &act).await?;
        let document = published_document(&client.client_key, &published);
        self.app.show(out, &document, |_| outcome_line(&client.client_key, &published))?;
        Ok(if matches!(published.outcome, Outcome::Held(_)) { Exit::Refused } else { Exit::Done })
    }

    async fn show(&self, key: &str, out: Output) -> Done {
        let client = client(&self.store, key).await?;
        let reports = self.store.reports(client.id).await?;
        let baselines = self.store.baselines(client.id).await?;
        let document = print::metrics::show_document(&client.client_key, &reports, &baselines);
        self.app.show(out, &document, |view| print::metrics::show(view, &reports, &baselines))
    }
}

fn app_lines(app: &App, out: Output, documents: &[Value], lines: &[String], nothing: &str) -> Done {
    if documents.is_empty() && !out.json {
        notices::tell(nothing);
        return Ok(Exit::Done);
    }
    app.show(out, documents, |_| lines.join("\n"))
}
