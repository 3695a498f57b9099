//! The facts of the quality checks: one read for each, within the time bound of any call. The statements are its siblings'.

use async_trait::async_trait;

use super::{
    quality_incident, quality_links as links, quality_proof, quality_rows as rows, quality_runs as runs, store::Store,
};
use crate::{
    domain::clock::Timestamp,
    store::{
        StoreError,
        quality::{
            BaselinePair, Books, ClientText, CurrencyUse, DayVolume, Depth, IsolationIncident, JobFreshness, LabelUse,
            LetterLoad, LinkFit, NewestEnd, PaidOrganic, QualityStore, RunTally, SharedContacts, StreamHistory, Tally,
            Undelivered, Whose,
        },
    },
};

#[async_trait]
impl QualityStore for Store {
    async fn foreign_rows(&self, of: Whose) -> Result<Vec<Tally>, StoreError> {
        self.read("count rows of another client", rows::foreign(&self.inner, of)).await
    }

    async fn stray_links(&self, of: Whose, depth: Depth) -> Result<i64, StoreError> {
        self.read("count links that lead to another connection", links::stray_links(&self.inner, of, depth)).await
    }

    async fn rival_claims(&self, of: Whose) -> Result<Vec<String>, StoreError> {
        self.read("look for a second claim on an account", rows::rival_claims(&self.inner, of)).await
    }

    async fn open_letters_of(&self, of: Whose, error_code: &str) -> Result<i64, StoreError> {
        self.read("count dead letters of a code", runs::open_letters_of(&self.inner, of, error_code)).await
    }

    async fn currencies(&self, of: Whose) -> Result<Vec<CurrencyUse>, StoreError> {
        self.read("count amounts by currency", rows::currencies(&self.inner, of)).await
    }

    async fn link_fit(&self, of: Whose, depth: Depth) -> Result<LinkFit, StoreError> {
        self.read("hold rows against links", links::link_fit(&self.inner, of, depth)).await
    }

    async fn shared_contacts(&self, of: Whose) -> Result<SharedContacts, StoreError> {
        self.read("count contacts under two labels", rows::shared_contacts(&self.inner, of)).await
    }

    async fn labels(&self, of: Whose, label: &str, runs: u32) -> Result<Vec<LabelUse>, StoreError> {
        self.read("count source labels", rows::labels(&self.inner, of, label, runs)).await
    }

    async fn paid_organic(&self, of: Whose) -> Result<PaidOrganic, StoreError> {
        self.read("count paid and organic rows", rows::paid_organic(&self.inner, of)).await
    }

    async fn ignored_without_reason(&self, of: Whose, runs: u32) -> Result<i64, StoreError> {
        self.read("count ignored rows without a reason", runs::ignored_without_reason(&self.inner, of, runs)).await
    }

    async fn half_marked_tests(&self, of: Whose) -> Result<i64, StoreError> {
        self.read("count half-marked tests", links::half_marked_tests(&self.inner, of)).await
    }

    async fn job_freshness(&self, of: Whose) -> Result<Vec<JobFreshness>, StoreError> {
        self.read("read how fresh the jobs are", runs::job_freshness(&self.inner, of)).await
    }

    async fn stream_history(&self, of: Whose, runs: u32) -> Result<Vec<StreamHistory>, StoreError> {
        self.read("read what the streams brought", runs::stream_history(&self.inner, of, runs)).await
    }

    async fn run_tallies(&self, of: Whose, runs: u32) -> Result<Vec<RunTally>, StoreError> {
        self.read("count runs anew", runs::run_tallies(&self.inner, of, runs)).await
    }

    async fn undelivered(&self, of: Whose, runs: u32) -> Result<Undelivered, StoreError> {
        self.read("count raw events without an end", runs::undelivered(&self.inner, of, runs)).await
    }

    async fn newest_ends(&self, of: Whose) -> Result<Vec<NewestEnd>, StoreError> {
        self.read("read how the newest runs ended", runs::newest_ends(&self.inner, of)).await
    }

    async fn letter_load(&self, of: Whose) -> Result<LetterLoad, StoreError> {
        self.read("count dead letters", runs::letter_load(&self.inner, of)).await
    }

    async fn daily_volume(&self, of: Whose, since: Timestamp) -> Result<Vec<DayVolume>, StoreError> {
        self.read("count records by day", runs::daily_volume(&self.inner, of, since)).await
    }

    async fn rows_after(&self, of: Whose, limit: Timestamp) -> Result<Vec<Tally>, StoreError> {
        self.read("count rows of the future", rows::rows_after(&self.inner, of, limit)).await
    }

    async fn baseline_pairs(&self, of: Whose) -> Result<Vec<BaselinePair>, StoreError> {
        self.read("hold baselines against snapshots", quality_proof::baseline_pairs(&self.inner, of)).await
    }

    async fn books(&self, of: Whose) -> Result<Option<Books>, StoreError> {
        self.read("match payments, invoices and customers", quality_proof::books(&self.inner, of)).await
    }

    async fn client_texts(&self, of: Whose) -> Result<Vec<ClientText>, StoreError> {
        self.read("read what a client may read", quality_proof::client_texts(&self.inner, of)).await
    }

    async fn record_identity(&self, of: Whose, account_id: &str) -> Result<(), StoreError> {
        quality_incident::record_identity(self, of, account_id).await
    }

    async fn raise_isolation_incident(&self, of: Whose, incident: &IsolationIncident) -> Result<(), StoreError> {
        quality_incident::raise(self, of, incident).await
    }
}
