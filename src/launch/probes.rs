//! What a machine finds: pure functions from stored facts to a proof, or to everything that is missing.
//!
//! Owns what each probe asks for and the lines that name it. Refuses to read anything itself. A fact that several controls need
//! has one line, so that a list of what is missing names it once.

use serde::Serialize;

use super::definitions::Probe;
use crate::{
    domain::{clock::Timestamp, status::RunStatus},
    store::{
        catalogue::{Connection, Job},
        checks::{StoredCheck, verdict},
        launch::ConnectionProof,
        rights::Rights,
        schema::SchemaState,
    },
};

/// Something that is missing or wrong, and what supplies it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lack {
    pub what: String,
    pub command: String,
}

impl std::fmt::Display for Lack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; do: {}", self.what, self.command)
    }
}

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probed {
    /// `at`: of when the evidence is; `None`: it was seen just now and is seen again whenever somebody looks.
    Proved {
        evidence: String,
        at: Option<Timestamp>,
    },
    Missing(Vec<Lack>),
    Failed(Vec<Lack>),
}

/// Plain facts that stand in connector folders and metric declarations, not in the database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declared {
    /// Streams of the connection's provider whose field map loads.
    pub mapped_streams: Vec<String>,
    /// Keys of the declared metrics that this connection's records feed.
    pub fed_metrics: Vec<String>,
}

/// All that is known of a connection.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionFacts<'f> {
    pub connection: &'f Connection,
    pub jobs: &'f [Job],
    pub declared: &'f Declared,
    pub proof: &'f ConnectionProof,
    /// The newest evaluation.
    pub checks: &'f [StoredCheck],
}

/// All that is known of the installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallationFacts {
    pub schema: SchemaState,
    /// The database user's own; `None`: the engine has no users. An error says why they cannot be told.
    pub rights: Result<Option<Rights>, String>,
}

/// A fact of the declaration that is not there.
pub(super) fn undeclared(what: &str, key: &str) -> Lack {
    Lack { what: what.to_owned(), command: format!("set `{key}` in the declaration, tidegate apply -f FILE") }
}

pub(super) fn no_owner() -> Lack {
    undeclared("owner: who answers for the connection", "owner")
}

pub(super) fn no_source_label() -> Lack {
    undeclared("source label: what a client may call the source", "source_label")
}

pub(super) fn no_rollback_path() -> Lack {
    undeclared("rollback path: how a bad run is undone", "rollback_path")
}

fn filled(text: Option<&str>) -> bool {
    text.is_some_and(|text| !text.trim().is_empty())
}

/// Proved, or missing with everything that is not there.
fn all(needs: Vec<(bool, Lack)>, evidence: String) -> Probed {
    let missing: Vec<Lack> = needs.into_iter().filter(|(present, _)| !present).map(|(_, lack)| lack).collect();
    if missing.is_empty() { Probed::Proved { evidence, at: None } } else { Probed::Missing(missing) }
}

/// Looks at a connection; `None` for a probe of the installation.
pub fn of_connection(probe: Probe, facts: &ConnectionFacts<'_>) -> Option<Probed> {
    let spec = &facts.connection.spec;
    let open = spec.auth_type == "none";
    Some(match probe {
        Probe::Access => all(
            vec![
                (filled(Some(&spec.auth_type)), undeclared("auth type: how the provider is signed in to", "provider")),
                (
                    open || spec.scopes.iter().any(|scope| filled(Some(scope))),
                    undeclared("scopes: what the credential may do", "scopes"),
                ),
            ],
            match open {
                true => "no sign-in is needed".to_owned(),
                false => format!("auth type {}, scopes {}", spec.auth_type, spec.scopes.join(", ")),
            },
        ),
        Probe::Credential => all(
            vec![
                (
                    open || filled(spec.credential_ref.as_deref()),
                    undeclared("credential: where the secret is kept", "credential"),
                ),
                (
                    open || filled(spec.refresh_policy.as_deref()),
                    undeclared("refresh policy: how the credential is renewed", "refresh_policy"),
                ),
                (
                    open || filled(spec.revocation_path.as_deref()),
                    undeclared("revocation path: how access is taken back", "revocation_path"),
                ),
            ],
            match (open, spec.credential_ref.as_deref().and_then(|reference| reference.split_once(':'))) {
                (true, _) => "no credential is needed".to_owned(),
                (false, Some((place, _))) => format!("a reference to {place}; renewal and revocation are written down"),
                (false, None) => "renewal and revocation are written down".to_owned(),
            },
        ),
        Probe::Record => all(
            vec![
                (
                    filled(Some(&spec.provider_account_id)),
                    undeclared("account id: the client's account at the provider", "provider_account_id"),
                ),
                (filled(spec.owner.as_deref()), no_owner()),
                (filled(spec.reason.as_deref()), undeclared("reason: why the client is connected", "reason")),
                (filled(Some(&spec.source_label)), no_source_label()),
            ],
            format!("client {}, account {}, {}", spec.client_key, spec.provider_account_id, spec.environment),
        ),
        Probe::JobsDeclared => all(
            vec![(!facts.jobs.is_empty(), no_jobs())],
            facts
                .jobs
                .iter()
                .map(|job| format!("{} ({})", job.spec.stream, job.spec.sync_mode))
                .collect::<Vec<_>>()
                .join(", "),
        ),
        Probe::Mapping => mapping(facts),
        Probe::Identity => identity(facts),
        Probe::TestBatch => test_batch(facts),
        Probe::Baseline => baseline(facts),
        Probe::Fallback => all(
            vec![
                (
                    filled(spec.failure_path.as_deref()),
                    undeclared("failure path: what people do while it is down", "failure_path"),
                ),
                (filled(spec.rollback_path.as_deref()), no_rollback_path()),
            ],
            "failure path and rollback path are declared".to_owned(),
        ),
        Probe::Monitoring => monitoring(facts),
        Probe::DeadLetters => {
            let open: i64 = facts.jobs.iter().map(|job| job.open_dead_letters).sum();
            let command = format!("tidegate errors list --connection {} --group", spec.connection_key);
            match open {
                0 => Probed::Proved { evidence: "no dead letter is open".to_owned(), at: None },
                open => Probed::Failed(vec![Lack { what: format!("dead letters: {open} are open"), command }]),
            }
        }
        Probe::Quality => quality(facts),
        Probe::SchemaCurrent | Probe::Grants => return None,
    })
}

fn no_jobs() -> Lack {
    undeclared("jobs: at least one declared stream", "jobs")
}

fn mapping(facts: &ConnectionFacts<'_>) -> Probed {
    let provider = &facts.connection.spec.provider_key;
    let mut needs = vec![(!facts.jobs.is_empty(), no_jobs())];
    needs.extend(facts.jobs.iter().map(|job| {
        let stream = &job.spec.stream;
        let lack = Lack {
            what: format!("field map: stream `{stream}` has none that can be used"),
            command: format!("write it in the mappings of connector {provider}, tidegate validate"),
        };
        (facts.declared.mapped_streams.contains(stream), lack)
    }));
    let streams: Vec<&str> = facts.jobs.iter().map(|job| job.spec.stream.as_str()).collect();
    all(needs, format!("field maps of {} load", streams.join(", ")))
}

fn identity(facts: &ConnectionFacts<'_>) -> Probed {
    let spec = &facts.connection.spec;
    let check = format!("tidegate connection check {}", spec.connection_key);
    match (&facts.proof.identity_account_id, facts.proof.identity_checked_at) {
        (Some(theirs), Some(at)) if *theirs == spec.provider_account_id => {
            Probed::Proved { evidence: format!("the provider answered as account {theirs}"), at: Some(at) }
        }
        (Some(_), Some(_)) => Probed::Failed(vec![Lack {
            what: "identity: the credential belongs to another account than the declared one".to_owned(),
            command: format!("use the credential of the declared account, {check}"),
        }]),
        // A provider that tells no account id: reading a test batch is what there is.
        (None, Some(at)) if facts.connection.last_tested_at.is_some() => {
            let evidence = "the provider tells no account id; a test batch was read".to_owned();
            Probed::Proved { evidence, at: Some(facts.connection.last_tested_at.map_or(at, |tested| tested.max(at))) }
        }
        (None, Some(_)) => Probed::Missing(vec![not_tested(facts)]),
        (_, None) => Probed::Missing(vec![Lack {
            what: "identity: the provider was not asked whose account this is".to_owned(),
            command: check,
        }]),
    }
}

fn not_tested(facts: &ConnectionFacts<'_>) -> Lack {
    Lack {
        what: "last-tested date: no test batch has passed".to_owned(),
        command: format!("tidegate connection test-batch {}", facts.connection.spec.connection_key),
    }
}

fn test_batch(facts: &ConnectionFacts<'_>) -> Probed {
    let key = &facts.connection.spec.connection_key;
    let (mut missing, mut failed, mut seen) = (Vec::new(), Vec::new(), Vec::new());
    for job in facts.jobs {
        let stream = &job.spec.stream;
        match facts.proof.test_batches.iter().find(|batch| batch.stream == *stream) {
            None => missing.push(Lack {
                what: format!("test batch: stream `{stream}` has none"),
                command: format!("tidegate connection test-batch {key} --stream {stream}"),
            }),
            Some(batch) if batch.status != RunStatus::Succeeded || batch.failed > 0 => failed.push(Lack {
                what: format!(
                    "test batch: run {} of `{stream}` ended {} with {} of {} records failed",
                    batch.run, batch.status, batch.failed, batch.seen
                ),
                command: format!(
                    "tidegate runs show {}, then tidegate connection test-batch {key} --stream {stream}",
                    batch.run
                ),
            }),
            Some(batch) => seen.push(format!(
                "{stream}: run {}, {} seen, {} created, {} updated, {} failed",
                batch.run, batch.seen, batch.created, batch.updated, batch.failed
            )),
        }
    }
    if facts.jobs.is_empty() {
        return Probed::Missing(vec![no_jobs()]);
    }
    if !failed.is_empty() {
        return Probed::Failed(failed.into_iter().chain(missing).collect());
    }
    match facts.connection.last_tested_at {
        // Nothing at all was tested: one line for all streams.
        None => Probed::Missing(vec![not_tested(facts)]),
        Some(_) if !missing.is_empty() => Probed::Missing(missing),
        Some(at) => Probed::Proved { evidence: seen.join("; "), at: Some(at) },
    }
}

fn baseline(facts: &ConnectionFacts<'_>) -> Probed {
    let fed = &facts.declared.fed_metrics;
    match (facts.proof.baselines, fed.is_empty()) {
        (_, true) => Probed::Proved { evidence: "no declared metric is fed by it".to_owned(), at: None },
        (0, false) => Probed::Missing(vec![Lack {
            what: format!("baseline: none is saved of the metrics that it feeds ({})", fed.join(", ")),
            command: "tidegate metrics baseline".to_owned(),
        }]),
        (count, false) => {
            Probed::Proved { evidence: format!("baselines saved: {count}"), at: facts.proof.newest_baseline_at }
        }
    }
}

fn monitoring(facts: &ConnectionFacts<'_>) -> Probed {
    let mut needs =
        vec![(filled(facts.connection.spec.owner.as_deref()), no_owner()), (!facts.jobs.is_empty(), no_jobs())];
    needs.extend(facts.jobs.iter().map(|job| {
        let what = format!("staleness: stream `{}` does not say after which time it is stale", job.spec.stream);
        (job.spec.stale_after_seconds.is_some_and(|seconds| seconds > 0), undeclared(&what, "stale_after"))
    }));
    let letters: i64 = facts.jobs.iter().map(|job| job.open_dead_letters).sum();
    let verdict = verdict(facts.checks);
    let checks = match (&verdict.evaluation_id, verdict.holds.len()) {
        (None, _) => "no checks made yet".to_owned(),
        (Some(_), 0) => "the newest checks hold nothing".to_owned(),
        (Some(_), holds) => format!("{holds} of the newest checks hold"),
    };
    all(
        needs,
        format!(
            "jobs with a time after which they are stale: {}; open dead letters: {letters}; {checks}",
            facts.jobs.len()
        ),
    )
}

fn quality(facts: &ConnectionFacts<'_>) -> Probed {
    let verdict = verdict(facts.checks);
    let key = &facts.connection.spec.connection_key;
    match (&verdict.evaluation_id, verdict.checked_at) {
        (Some(_), Some(at)) if verdict.holds.is_empty() => {
            Probed::Proved { evidence: format!("{} checks, none holds", facts.checks.len()), at: Some(at) }
        }
        (Some(_), _) => Probed::Failed(
            verdict
                .holds
                .iter()
                .map(|finding| Lack {
                    what: format!("quality: check `{}` holds", finding.check_key),
                    command: format!("tidegate quality list --connection {key}"),
                })
                .collect(),
        ),
        (None, _) => Probed::Missing(vec![Lack {
            what: "quality: nothing was checked yet".to_owned(),
            command: format!("tidegate quality run --connection {key}"),
        }]),
    }
}

/// Looks at the installation; `None` for a probe of a connection.
pub fn of_installation(probe: Probe, facts: &InstallationFacts) -> Option<Probed> {
    match probe {
        Probe::SchemaCurrent => Some(match &facts.schema {
            SchemaState::Current => Probed::Proved { evidence: "the schema is this program's".to_owned(), at: None },
            SchemaState::Empty | SchemaState::Behind { .. } | SchemaState::Ahead { .. } | SchemaState::Dirty { .. } => {
                Probed::Failed(vec![Lack {
                    what: "schema: it is not this program's".to_owned(),
                    command: "tidegate migrate --check, tidegate migrate".to_owned(),
                }])
            }
        }),
        Probe::Grants => Some(match &facts.rights {
            Ok(None) => {
                let evidence =
                    "SQLite has no database users; the rights on the file are the operating system's".to_owned();
                Probed::Proved { evidence, at: None }
            }
            Ok(Some(rights)) if rights.excess.is_empty() => {
                let evidence = "the database user of this process can read and write rows, and not change the schema";
                Probed::Proved { evidence: evidence.to_owned(), at: None }
            }
            Ok(Some(rights)) => Probed::Failed(vec![Lack {
                what: format!(
                    "database rights: the user of this process may do more than move rows ({})",
                    rights.excess.join("; ")
                ),
                command: NARROW.to_owned(),
            }]),
            Err(why) => Probed::Failed(vec![Lack {
                what: format!("database rights: it cannot be told whether the schema is out of reach ({why})"),
                command: NARROW.to_owned(),
            }]),
        }),
        Probe::Access
        | Probe::Credential
        | Probe::Record
        | Probe::JobsDeclared
        | Probe::Mapping
        | Probe::Identity
        | Probe::TestBatch
        | Probe::Baseline
        | Probe::Fallback
        | Probe::Monitoring
        | Probe::DeadLetters
        | Probe::Quality => None,
    }
}

const NARROW: &str =
    "set database.url to a user that holds SELECT, INSERT, UPDATE and DELETE itself, tidegate launch status";
