//! The gates in the demo's story: going live, being checked, reaching the client. Each is seen to refuse first.
//!
//! Owns what is shown of them. Everything is done by what the commands of the same names do.

use std::{path::Path, sync::Arc};

use chrono::Months;
use rust_decimal::Decimal;

use super::{Story, indent, work};
use crate::{
    cli::{
        args::BaselineArgs,
        connection,
        failure::Failure,
        gate::Gate,
        launch, metrics,
        print::{self, words::count_of},
    },
    domain::status::CheckStatus,
    scheduler::worker::{Report, Worker},
    store::{SharedStore, checks::StoredCheck},
};

const ACME: &str = "acme-hubspot";
/// Lines of the refusal that are shown; the rest is counted.
const SHOWN: usize = 4;
const BATCH: usize = 5;
/// What Acme says it began with.
const BEFORE: i64 = 290;

impl Story<'_> {
    /// Production is refused, supplied with what is missing, and let live.
    pub(super) async fn launch(
        &self,
        store: &SharedStore,
        worker: &Arc<Worker>,
        controls: &Path,
    ) -> Result<(), Failure> {
        self.chapter(2, &format!("Production waits for evidence (tidegate connection activate {ACME})"))?;
        match launch::let_live(self.app, store, ACME).await {
            Ok((_, line)) => self.say(&format!("  {line}"))?,
            Err(refused) => self.refusal(&refused)?,
        }
        self.say("\n  Each of these commands supplies what the list names:\n")?;

        let (_, line) = connection::identify(self.app, store, ACME).await?;
        self.supplied(store, &format!("connection check {ACME}"), &line).await?;

        let batch = connection::test_assignments(self.app, store, ACME, None, Some(BATCH)).await?;
        let mut told = Vec::new();
        for report in work(worker, batch).await? {
            if let Report::Ran(report) = report {
                told.push(format!(
                    "{}: {} records, {} failed",
                    report.stream, report.counts.seen, report.counts.failed
                ));
            }
        }
        told.sort();
        self.supplied(store, &format!("connection test-batch {ACME} --count {BATCH}"), &told.join("; ")).await?;

        let (_, line) = metrics::set_baseline(self.app, Arc::clone(store), &self.baseline()).await?;
        let command = format!("metrics baseline --client acme --metric lead_volume --value {BEFORE} --evidence ...");
        self.supplied(store, &command, &line).await?;

        let signed = i64::try_from(launch::sign_file(self.app, store, controls).await?.len()).unwrap_or(i64::MAX);
        let line =
            format!("{} of the installation signed, with owner and evidence", count_of(signed, "control", "controls"));
        self.supplied(store, "launch sign --file launch-controls.yaml", &line).await?;

        let (_, line) = launch::let_live(self.app, store, ACME).await?;
        self.say(&format!("  $ tidegate connection activate {ACME}\n      {line}"))
    }

    fn refusal(&self, refused: &Failure) -> Result<(), Failure> {
        let lines: Vec<&str> = refused.message.lines().collect();
        for line in lines.iter().take(1 + SHOWN) {
            let (what, remedy) = line.split_once("; do: ").unwrap_or((line, ""));
            self.say(&format!("  {what}"))?;
            if !remedy.is_empty() {
                self.say(&folded(&format!("do: {remedy}"), 8))?;
            }
        }
        let more = lines.len().saturating_sub(1 + SHOWN);
        self.say(&format!("    ... and {more} more, each with the command that supplies it"))
    }

    async fn supplied(&self, store: &SharedStore, command: &str, answer: &str) -> Result<(), Failure> {
        let found = connection::find(store, ACME).await?;
        let left = Gate::open(self.app)?.review(self.app, store, &found).await?.lacks().len();
        self.say(&format!("  $ tidegate {command}\n      {answer}\n      still missing: {left}"))
    }

    /// Declared by a person, from before the connection: there is no run yet that could have counted it.
    fn baseline(&self) -> BaselineArgs {
        let month = self.app.now().utc().checked_sub_months(Months::new(2)).unwrap_or_default();
        BaselineArgs {
            client: "acme".to_owned(),
            metric: "lead_volume".to_owned(),
            source: None,
            period: month.format("%Y-%m").to_string(),
            value: Some(Decimal::from(BEFORE)),
            currency: None,
            evidence: Some("inbox of the month, counted by the office".to_owned()),
            reason: "before the connector".to_owned(),
        }
    }

    /// Three dead letters are more than this connection's budget, so the client sees nothing of it.
    pub(super) async fn held(&self, store: &SharedStore) -> Result<(), Failure> {
        self.chapter(5, "Checked after the run, and held back from the client (tidegate quality list, metrics show)")?;
        let checks = self.checks(store).await?;
        let (passed, others): (Vec<_>, Vec<_>) =
            checks.into_iter().partition(|check| check.result.status == CheckStatus::Passed);
        self.say(&indent(&print::quality::brief(&self.view(), &others)))?;
        self.say(&format!(
            "  and {} passed\n",
            count_of(i64::try_from(passed.len()).unwrap_or(i64::MAX), "check", "checks")
        ))?;
        let acme = metrics::client(store, "acme").await?;
        for report in store.reports(acme.id).await?.iter().filter(|report| report.metric_key == "lead_volume") {
            let reason = report.held_reason.as_deref().unwrap_or("nothing");
            self.say(&folded(&format!("{} is held: {}", report.metric_key, print::words::plain(reason)), 2))?;
        }
        let cards = store.portal_cards("acme").await?.len();
        self.say(&format!(
            "  cards in Acme's portal: {cards}\n\n  A number that was published before would stay as it was. In this demo no dead letter may wait (quality.yaml)."
        ))
    }

    /// The mended records let the number through, without anybody's doing.
    pub(super) async fn card(&self, store: &SharedStore) -> Result<(), Failure> {
        self.chapter(
            7,
            "Nothing holds it any more: the card has appeared by itself (tidegate portal cards --client acme)",
        )?;
        self.say(&indent(&print::quality::brief(&self.view(), &self.checks(store).await?)))?;
        let cards = store.portal_cards("acme").await?;
        self.say(&format!("\n{}", indent(&print::metrics::cards(&self.view(), &cards))))?;
        let others = store.portal_cards("bright").await?.len();
        self.say(&format!(
            "\n  This is what the portal reads: the client's label of the source, never the provider's name.\n  Four of \
             the cards count the work on the records; it began this month, so last month has none.\n  Cards of Bright, \
             whose connection is a sandbox: {others}"
        ))
    }

    async fn checks(&self, store: &SharedStore) -> Result<Vec<StoredCheck>, Failure> {
        let found = connection::find(store, ACME).await?;
        Ok(store.latest_checks(found.id).await?)
    }
}

/// A long sentence in lines, moved in by so many columns.
fn folded(text: &str, columns: usize) -> String {
    const WIDEST: usize = 110;
    let edge = " ".repeat(columns);
    let (mut lines, mut line) = (Vec::new(), edge.clone());
    for word in text.split_whitespace() {
        if line.chars().count() + word.chars().count() >= WIDEST && line.len() > columns {
            lines.push(std::mem::replace(&mut line, format!("{edge}  ")));
        }
        if !line.ends_with(' ') {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines.join("\n")
}
