//! The words that statuses may take, exactly as the database's CHECK constraints list them.
//!
//! Owns every closed vocabulary. An unknown word read from a database is an error, never a default.

/// A word that is not in its vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{word}' is not a {kind}; expected one of: {expected}")]
pub struct UnknownWord {
    pub kind: &'static str,
    pub word: String,
    pub expected: String,
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident, $kind:literal { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every word, in the order of the specification.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownWord;
            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    other => Err(UnknownWord {
                        kind: $kind,
                        word: other.to_owned(),
                        expected: Self::ALL.iter().map(|w| w.as_str()).collect::<Vec<_>>().join(", "),
                    }),
                }
            }
        }
    )*};
}

words! {
    ClientStatus, "client status" { Active = "active", Archived = "archived" }

    ProviderStatus, "provider status" { Active = "active", Disabled = "disabled" }

    Environment, "environment" { Production = "production", Staging = "staging", Sandbox = "sandbox" }

    ConnectionStatus, "connection status" {
        Draft = "draft", Testing = "testing", Connected = "connected", ManualImport = "manual_import",
        Paused = "paused", NeedsAuth = "needs_auth", Revoked = "revoked",
    }

    SyncMode, "sync mode" { FullRefresh = "full_refresh", Incremental = "incremental" }

    JobStatus, "job status" { Active = "active", Paused = "paused", Quarantined = "quarantined" }

    /// Why a run happened.
    RunOrigin, "run origin" {
        Schedule = "schedule", Manual = "manual", Backfill = "backfill", TestBatch = "test_batch",
        Webhook = "webhook", Import = "import", Replay = "replay",
    }

    RunStatus, "run status" {
        Running = "running",
        /// Everything asked for was covered.
        Succeeded = "succeeded",
        /// Something was covered, and what is missing is known.
        Partial = "partial",
        Failed = "failed",
        /// A person or a shutdown ended it.
        Cancelled = "cancelled",
        /// Its worker died or lost the lease; closed by whoever took over.
        Abandoned = "abandoned",
    }

    /// By which way an item came in.
    Origin, "origin" { Pull = "pull", Webhook = "webhook", Import = "import" }

    /// Where on its way an item failed.
    Stage, "stage" { Fetch = "fetch", Decode = "decode", Map = "map", Write = "write", Check = "check" }

    RawStatus, "raw event status" {
        Pending = "pending", Normalized = "normalized", Unchanged = "unchanged", Duplicate = "duplicate",
        Ignored = "ignored", Failed = "failed",
    }

    /// How far an imported file has got.
    ImportStatus, "import status" {
        Running = "running",
        /// Read to its end, whatever became of single rows.
        Completed = "completed",
        /// Ended before the file did; what was read until then stays.
        Partial = "partial",
        Failed = "failed",
        /// Its process died or was stopped before it wrote anything; importing the file again goes on from what is there.
        Abandoned = "abandoned",
    }

    /// How far a webhook delivery has come.
    DeliveryStatus, "delivery status" {
        /// Durable, and waiting for a run.
        Received = "received",
        /// What it carries was brought by another delivery of the same run.
        Duplicate = "duplicate",
        /// Nothing follows from it, and the row says why.
        Ignored = "ignored",
        Normalized = "normalized", Failed = "failed",
    }

    DeadLetterStatus, "dead letter status" {
        Open = "open", RetryScheduled = "retry_scheduled", Resolved = "resolved", Discarded = "discarded",
        Exhausted = "exhausted",
    }

    /// How far the renewal of a stored credential is.
    RefreshState, "refresh state" {
        Idle = "idle",
        /// Somebody asks the provider for a new token, or died doing so.
        Refreshing = "refreshing",
        /// It failed in a way that time may heal; nobody asks before `cooling_until`.
        CoolingDown = "cooling_down",
        /// The provider takes it no more: a person must authorise anew.
        NeedsAuth = "needs_auth",
    }

    /// What a check that is not passed does: an error holds publication, a warning lowers confidence and is told.
    Severity, "severity" { Error = "error", Warn = "warn" }

    CheckStatus, "check status" {
        Passed = "passed", Failed = "failed",
        /// The check itself broke; it counts as failed.
        Errored = "errored",
        /// There is nothing to judge by yet. Not green.
        Unknown = "unknown",
    }

    Direction, "direction" {
        HigherIsBetter = "higher_is_better", LowerIsBetter = "lower_is_better", Neutral = "neutral",
    }

    /// How the last attempt to publish a metric ended.
    ReportStatus, "report status" {
        Improved = "improved", Declined = "declined", Steady = "steady", NoBaseline = "no_baseline",
        /// The gate said no: the client keeps seeing the last good number.
        Held = "held",
    }

    ApprovalState, "approval state" { Draft = "draft", Approved = "approved" }

    /// Where a snapshot comes from.
    SnapshotOrigin, "snapshot origin" { Computed = "computed", Declared = "declared" }

    /// What a metric counts in. Words for what is counted, then the units that are no counts.
    MetricUnit, "unit" {
        Leads = "leads", Calls = "calls", Messages = "messages", Jobs = "jobs", Customers = "customers",
        Invoices = "invoices", Payments = "payments", Reviews = "reviews", Visits = "visits", Records = "records",
        Notes = "notes", Minutes = "minutes", Money = "money", Percent = "percent", Score = "score",
    }

    /// The window of a metric, in its zone. Weeks begin on Monday; the last ones end with yesterday.
    PeriodKind, "period" {
        Day = "day", Week = "week", Month = "month", Quarter = "quarter", Last7Days = "last_7_days",
        Last28Days = "last_28_days", Last90Days = "last_90_days",
    }

    /// Which publications of a metric wait for a person.
    ApprovalRule, "approval" {
        None = "none",
        /// The first one of a client under a source label.
        First = "first",
        /// Each new number.
        Each = "each",
    }

    ControlScope, "control scope" { Global = "global", Connection = "connection" }

    /// What a control becomes outside of Tidegate.
    ControlKind, "control kind" {
        AdminTask = "admin_task", SopNote = "sop_note", LaunchItem = "launch_item", IncidentStep = "incident_step",
        ReportNote = "report_note",
    }

    ControlStatus, "control status" {
        Missing = "missing", Failed = "failed", Ready = "ready",
        /// Its evidence is older than its cadence allows.
        ReviewDue = "review_due",
    }

    /// What is told of an alert.
    AlertNews, "alert news" {
        Opened = "opened",
        /// It still lasts, and the rule's silence is over.
        Reminded = "reminded",
        Resolved = "resolved",
    }
}

impl MetricUnit {
    /// Whether it says what is counted: a whole number of things.
    pub const fn is_count(self) -> bool {
        !matches!(self, Self::Minutes | Self::Money | Self::Percent | Self::Score)
    }
}

impl RunStatus {
    /// A final status never changes again (P6).
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Running)
    }
}

impl RunOrigin {
    /// By which way items of such a run come in. A replay keeps the way of the item it replays, so a pull's is the default.
    pub const fn way_in(self) -> Origin {
        match self {
            Self::Schedule | Self::Manual | Self::Backfill | Self::TestBatch | Self::Replay => Origin::Pull,
            Self::Webhook => Origin::Webhook,
            Self::Import => Origin::Import,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_as_itself_and_an_unknown_word_names_the_choices() {
        for word in RunStatus::ALL {
            assert_eq!(word.as_str().parse::<RunStatus>().as_ref(), Ok(word));
        }
        let error = "green".parse::<RunStatus>().unwrap_err();
        assert!(error.to_string().contains("succeeded, partial"), "{error}");
    }
}
