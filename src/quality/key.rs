//! The checks by name, and which numbers each can be given.
//!
//! Owns the closed list: a key that is not here is refused, and each key here has an entry in `config/quality.yaml` and in the runbook.

/// A number that a check is given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    pub name: &'static str,
    pub least: f64,
    pub most: f64,
}

const fn count(name: &'static str) -> Threshold {
    Threshold { name, least: 0.0, most: 1_000_000_000.0 }
}

/// How many runs are looked at: the bound of a query.
const RUNS: Threshold = Threshold { name: "runs", least: 1.0, most: 1000.0 };

const fn share(name: &'static str) -> Threshold {
    Threshold { name, least: 0.0, most: 1.0 }
}

const fn factor(name: &'static str) -> Threshold {
    Threshold { name, least: 0.0, most: 1000.0 }
}

const fn hours(name: &'static str) -> Threshold {
    Threshold { name, least: 1.0, most: 87_600.0 }
}

const fn days(name: &'static str) -> Threshold {
    Threshold { name, least: 1.0, most: 366.0 }
}

macro_rules! checks {
    ($($(#[$doc:meta])* $variant:ident = $key:literal [$($threshold:expr),*]),+ $(,)?) => {
        /// One of the checks.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum CheckKey { $($(#[$doc])* $variant),+ }

        impl CheckKey {
            /// Every check, in the order in which they are made and shown.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The key as it stands in files and in `data_quality_checks`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $key),+ }
            }

            /// The numbers that it can be given.
            pub const fn thresholds(self) -> &'static [Threshold] {
                match self { $(Self::$variant => const { &[$($threshold),*] }),+ }
            }

            /// The check of that key.
            pub fn of(key: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|check| check.as_str() == key)
            }
        }
    };
}

checks! {
    /// No row, link, account, identity or record of another client.
    AccountIsolation = "account_isolation" [],
    /// Each amount has one readable currency, each column one for all.
    CurrencyUnit = "currency_unit" [],
    /// One live row for each object, one link for each row.
    DuplicateRecords = "duplicate_records" [],
    /// People whom another source label of the client has too: counted, never merged.
    PossibleDuplicates = "possible_duplicates" [count("max")],
    /// Each row has the connection's own label.
    SourceLabel = "source_label" [RUNS],
    /// Nothing of a marketplace or of ads is called organic.
    PaidOrganic = "paid_organic" [share("max_unknown_share"), count("min_rows")],
    /// What is left out has a reason; a test is marked everywhere.
    SpamTestInternal = "spam_test_internal" [RUNS],
    /// The last complete run of each job is young enough; never ran is stale.
    Freshness = "freshness" [hours("default_hours"), hours("by_hand_hours")],
    /// Each declared stream sends; silence is a gap, not a zero.
    Coverage = "coverage" [Threshold { name: "silent_runs", least: 1.0, most: 100.0 }, days("silent_days")],
    /// Counts of runs agree with rows and with the provider's total.
    CountReconciliation = "count_reconciliation" [RUNS, count("total_count"), share("total_share")],
    /// Everything that arrived became a record, a dead letter or was left out.
    DeliveryVsRecord = "delivery_vs_record" [RUNS],
    /// The newest finished run of each active job is complete.
    RunComplete = "run_complete" [],
    /// Not too many items wait for somebody.
    DeadLetterBudget = "dead_letter_budget" [count("max_open"), share("max_share"), count("share_from")],
    /// Yesterday brought about as much as the days before.
    VolumeAnomaly = "volume_anomaly" [days("history_days"), days("min_days"), count("min_median"), factor("low"), factor("high")],
    /// Nothing lies in the future; baseline and current measure the same.
    PeriodAlignment = "period_alignment" [hours("future_hours"), share("window_share")],
    /// Payments, invoices and customers belong together.
    AccountingMatch = "accounting_match" [count("max_unmatched")],
    /// No provider's name, address, number, id or token in what a client reads.
    PayloadLeak = "payload_leak" [],
}

impl CheckKey {
    /// Whether it may be left out or made a warning: what guards one client from another may not.
    pub const fn is_fixed(self) -> bool {
        matches!(self, Self::AccountIsolation | Self::PayloadLeak)
    }
}

impl std::fmt::Display for CheckKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
