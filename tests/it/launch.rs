//! P20 in the library: each required fact is missed by name, evidence expires, production stops after the grace.

use std::{sync::Mutex, time::Duration};

use serde_json::json;
use tidegate::{
    domain::{
        clock::{Clock, Sleep, Timestamp},
        status::{ControlStatus, Environment, RunOrigin, RunStatus},
    },
    launch::{self, Control, Declared, Definitions, Options, Standing},
    store::{
        SharedStore,
        catalogue::{Connection, ConnectionSpec, Declaration, JobSpec},
        launch::{ControlFacts, Evidence, Signature, Whose},
        lease::{Claim, Claimed, RunEnd},
    },
};

use crate::{
    store_ground::{Given, act, at, claim_of, commit, end, head, job_id, job_spec, long_ago, two_clients},
    support::databases::TestDatabase,
};

/// A clock that the test sets.
struct SetClock(Mutex<Timestamp>);

impl SetClock {
    fn at(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    fn pass(&self, days: u64) {
        let mut now = self.0.lock().unwrap();
        *now = now.plus(Duration::from_secs(days * 86_400));
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) -> Sleep {
        Box::pin(std::future::ready(()))
    }
}

/// A complete production connection of acme, as it would be declared.
fn complete() -> ConnectionSpec {
    let mut spec = two_clients().connections[0].clone();
    spec.environment = Environment::Production;
    spec.reason = Some("weekly report".to_owned());
    spec.refresh_policy = Some("none".to_owned());
    spec.revocation_path = Some("private app settings".to_owned());
    spec.failure_path = Some("CSV import".to_owned());
    spec.rollback_path = Some("runs void".to_owned());
    spec
}

struct Ground<'d> {
    db: &'d TestDatabase,
    definitions: Definitions,
    declared: Declared,
    options: Options,
    clock: SetClock,
}

impl<'d> Ground<'d> {
    /// Everything is supplied: declaration, identity, a passed test batch, a baseline is not needed, all signatures.
    async fn ready(db: &'d TestDatabase) -> Self {
        let store = db.store();
        let mut declaration = two_clients();
        declaration.connections[0] = complete();
        declaration.jobs.retain(|(job, _)| job.connection_key != "acme-hubspot" || job.stream == "contacts");
        store.declare(&declaration).await.unwrap();
        test_batch(store, "acme-hubspot", 3, 0).await;
        let ground = Self {
            db,
            definitions: Definitions::read(Some(("wide.yaml", WIDE))).unwrap(),
            declared: Declared {
                mapped_streams: vec!["contacts".to_owned(), "deals".to_owned()],
                fed_metrics: Vec::new(),
            },
            options: Options { grace: Duration::from_secs(14 * 86_400), require_global: true },
            // The database stamps what it does by its own clock.
            clock: SetClock::at(ground_now(db).await),
        };
        ground.told_identity("account of acme-hubspot").await;
        ground.sign_all().await;
        ground
    }

    async fn told_identity(&self, account: &str) {
        let now = sql_time(self.db, self.clock.now());
        let text = format!(
            "update integration_connections set identity_account_id = '{account}', identity_checked_at = '{now}' where connection_key = 'acme-hubspot'"
        );
        self.db.sql.ok(&text).await;
    }

    async fn sign_all(&self) {
        let file = include_str!("../../config/examples/launch-controls.yaml");
        let all = launch::read_file("example", file, &self.definitions, self.clock.now()).unwrap();
        let signatures: Vec<Signature> = all
            .iter()
            .map(|given| {
                let definition = self.definitions.find(&given.control).unwrap();
                Signature {
                    whose: Whose::Installation,
                    control_key: definition.key.clone(),
                    title: definition.title.clone(),
                    kind: definition.kind,
                    facts: given.facts.clone(),
                    evidence: launch::evidence_of(given, self.clock.now()),
                    signed_by: Some("ada".to_owned()),
                }
            })
            .collect();
        self.db.store().sign_controls(&signatures, &[act("launch.sign")]).await.unwrap();
    }

    async fn connection(&self) -> Connection {
        self.db.store().connection("acme-hubspot").await.unwrap().unwrap()
    }

    async fn review(&self) -> Standing {
        let connection = self.connection().await;
        let store = self.db.store().as_ref();
        launch::review(store, &self.definitions, &self.declared, self.options, &self.clock, &connection).await.unwrap()
    }

    async fn declare(&self, spec: ConnectionSpec) {
        let declaration = Declaration { connections: vec![spec], ..Declaration::default() };
        self.db.store().declare(&declaration).await.unwrap();
    }

    /// What the gate says is missing.
    async fn lacks(&self) -> Vec<String> {
        self.review().await.lacks().iter().map(ToString::to_string).collect()
    }

    async fn is_due(&self) -> bool {
        let due = self.db.store().due_jobs(10, None).await.unwrap();
        due.iter().any(|job| job.connection_key == "acme-hubspot")
    }
}

/// The tests' MySQL user makes schemas; the control of its rights has a test of its own.
const WIDE: &str = "controls:\n  - { key: import_user_narrowed, scope: global, title: Narrow user, kind: admin_task, cadence_days: 90, \
                    proof: machine:grants, required: false, command: narrow it, data_boundary: rights, text: Narrow it. }\n";

async fn ground_now(db: &TestDatabase) -> Timestamp {
    db.store().connection("acme-hubspot").await.unwrap().unwrap().last_tested_at.expect("a test batch stamped it")
}

fn sql_time(db: &TestDatabase, at: Timestamp) -> String {
    if db.is_mysql() { at.naive().format("%Y-%m-%d %H:%M:%S%.6f").to_string() } else { at.to_iso() }
}

/// A test batch of contacts that saw so many records, of which some failed.
async fn test_batch(store: &SharedStore, connection: &str, seen: usize, failed: usize) {
    let job = job_id(store, connection, "contacts").await;
    let fence = store.job(job).await.unwrap().unwrap().fence;
    let claim = Claim { origin: RunOrigin::TestBatch, ..claim_of(job, fence, "worker") };
    let Claimed::Held(held) = store.claim(&claim).await.unwrap() else { panic!("the job is free") };
    let page: Vec<Given> = (0..seen)
        .map(|n| if n < failed { Given::broken(format!("bad{n}"), 1) } else { Given::new(format!("r{n}"), 1) })
        .collect();
    commit(store, &held, head(1, &page), &page).await;
    let ended = RunEnd { tested: failed == 0, ..end(RunStatus::Succeeded) };
    store.finish_run(&held.lease, held.run, &ended).await.unwrap().expect("the lease is ours");
}

fn control<'s>(standing: &'s Standing, key: &str) -> &'s Control {
    standing.connection.iter().chain(&standing.global).find(|control| control.row.control_key == key).unwrap()
}

on_both_engines!(p20_what_is_complete_is_ready_and_a_second_review_says_the_same, |db| {
    let ground = Ground::ready(db).await;
    let first = ground.review().await;
    assert_eq!(first.lacks(), []);
    assert!(first.ready());
    let stored = async || {
        let connection = ground.connection().await;
        let of_connection = Whose::Connection(connection.id, connection.client_id);
        let mut rows = db.store().launch_controls(of_connection).await.unwrap();
        rows.extend(db.store().launch_controls(Whose::Installation).await.unwrap());
        rows
    };
    let once = stored().await;
    assert_eq!(once.len(), 34);
    let ready = once.iter().filter(|row| row.status == ControlStatus::Ready).count();
    let wide = db.is_mysql() && db.runtime_url().await == db.url();
    assert_eq!(ready, if wide { 33 } else { 34 }, "a user that may make schemas is too wide, and nothing else");
    assert_eq!(ground.review().await, first);
    assert_eq!(stored().await, once);
});

on_both_engines!(p20_each_fact_of_the_declaration_that_is_dropped_is_named_and_nothing_else, |db| {
    let ground = Ground::ready(db).await;
    type Drop = fn(&mut ConnectionSpec);
    let drops: &[(&str, Drop)] = &[
        ("owner", |spec| spec.owner = None),
        ("reason", |spec| spec.reason = Some("  ".to_owned())),
        ("source label", |spec| spec.source_label = " ".to_owned()),
        ("auth type", |spec| spec.auth_type = String::new()),
        ("scopes", |spec| spec.scopes = Vec::new()),
        ("credential", |spec| spec.credential_ref = None),
        ("refresh policy", |spec| spec.refresh_policy = None),
        ("revocation path", |spec| spec.revocation_path = None),
        ("failure path", |spec| spec.failure_path = None),
        ("rollback path", |spec| spec.rollback_path = None),
    ];
    for (name, drop) in drops {
        let mut spec = complete();
        drop(&mut spec);
        ground.declare(spec).await;
        // Who changes the credential or the account is asked anew who he is; here only the missing fact is looked at.
        ground.told_identity("account of acme-hubspot").await;
        let lacks = ground.lacks().await;
        assert_eq!(lacks.len(), 1, "{name}: {lacks:?}");
        assert!(lacks[0].starts_with(&format!("{name}: ")) && lacks[0].contains("tidegate apply -f FILE"), "{lacks:?}");
        let refusal = launch::refusal(&ground.connection().await, &ground.review().await).unwrap();
        assert_eq!(refusal.len(), 2, "{refusal:?}");
        assert_eq!(refusal[1], "activation: tidegate connection activate acme-hubspot");
        ground.declare(complete()).await;
        ground.told_identity("account of acme-hubspot").await;
        assert_eq!(ground.lacks().await, Vec::<String>::new(), "{name} is back");
    }
});

on_both_engines!(p20_a_step_without_its_proof_is_named_with_the_command_that_supplies_it, |db| {
    let mut ground = Ground::ready(db).await;
    // Mapping.
    ground.declared.mapped_streams.retain(|stream| stream != "contacts");
    let lacks = ground.lacks().await;
    assert!(lacks.len() == 1 && lacks[0].starts_with("field map: stream `contacts`"), "{lacks:?}");
    assert!(lacks[0].ends_with("tidegate validate"), "{lacks:?}");
    ground.declared.mapped_streams.push("contacts".to_owned());
    // Baseline: asked for as soon as a declared metric is fed.
    ground.declared.fed_metrics.push("lead_volume".to_owned());
    let lacks = ground.lacks().await;
    assert!(lacks.len() == 1 && lacks[0].starts_with("baseline: ") && lacks[0].contains("lead_volume"), "{lacks:?}");
    baseline(&ground).await;
    assert_eq!(ground.lacks().await, Vec::<String>::new());
    // Identity: never asked, then another account.
    db.sql.ok("update integration_connections set identity_account_id = null, identity_checked_at = null").await;
    let lacks = ground.lacks().await;
    assert!(lacks.len() == 1 && lacks[0].ends_with("do: tidegate connection check acme-hubspot"), "{lacks:?}");
    ground.told_identity("account of somebody").await;
    let standing = ground.review().await;
    assert_eq!(control(&standing, "identity").row.status, ControlStatus::Failed);
    assert!(!format!("{:?}", standing.lacks()).contains("somebody"), "another account is not repeated");
    // A provider that tells no account: the test batch is the proof.
    let now = sql_time(db, ground.clock.now());
    db.sql
        .ok(&format!("update integration_connections set identity_account_id = null, identity_checked_at = '{now}'"))
        .await;
    assert_eq!(ground.lacks().await, Vec::<String>::new());
    ground.told_identity("account of acme-hubspot").await;
    // Staleness.
    let spec = JobSpec { stale_after_seconds: None, ..job_spec("acme-hubspot", "contacts") };
    let declaration = Declaration { jobs: vec![(spec, Some(long_ago()))], ..Declaration::default() };
    db.store().declare(&declaration).await.unwrap();
    let lacks = ground.lacks().await;
    assert!(lacks.len() == 1 && lacks[0].starts_with("staleness: stream `contacts`"), "{lacks:?}");
    let declaration =
        Declaration { jobs: vec![(job_spec("acme-hubspot", "contacts"), Some(long_ago()))], ..Declaration::default() };
    db.store().declare(&declaration).await.unwrap();
    // Test batch: a later one with failures counts, not the one that had passed.
    test_batch(db.store(), "acme-hubspot", 4, 1).await;
    let standing = ground.review().await;
    assert_eq!(control(&standing, "test_batch").row.status, ControlStatus::Failed);
    let lacks = ground.lacks().await;
    assert!(lacks.len() == 1 && lacks[0].contains("1 of 4 records failed"), "{lacks:?}");
    assert!(lacks[0].ends_with("tidegate connection test-batch acme-hubspot --stream contacts"), "{lacks:?}");
});

on_both_engines!(p20_without_jobs_and_without_a_test_batch_nothing_is_live, |db| {
    let ground = Ground::ready(db).await;
    db.sql.ok("update integration_connections set last_tested_at = null").await;
    let lacks = ground.lacks().await;
    assert_eq!(lacks, ["last-tested date: no test batch has passed; do: tidegate connection test-batch acme-hubspot"]);
    let mut bare = complete();
    bare.connection_key = "acme-bare".to_owned();
    bare.provider_account_id = "bare".to_owned();
    ground.declare(bare).await;
    let connection = db.store().connection("acme-bare").await.unwrap().unwrap();
    let standing = launch::assess(
        db.store().as_ref(),
        &ground.definitions,
        &ground.declared,
        ground.options,
        &ground.clock,
        &connection,
    );
    let lacks: Vec<String> = standing.await.unwrap().lacks().iter().map(|lack| lack.what.clone()).collect();
    assert_eq!(
        lacks,
        ["jobs: at least one declared stream", "identity: the provider was not asked whose account this is"]
    );
});

on_both_engines!(p20_each_of_the_six_facts_and_the_evidence_of_a_signed_control_is_missed_by_name, |db| {
    let ground = Ground::ready(db).await;
    for (column, name) in [
        ("owner", "owner"),
        ("source", "source"),
        ("environment", "environment"),
        ("rollback_path", "rollback path"),
        ("evidence", "evidence"),
        ("signed_by", "signature"),
    ] {
        ground.review().await;
        db.sql
            .ok(&format!(
                "update launch_controls set status = 'missing', {column} = null where control_key = 'rollback_owner'"
            ))
            .await;
        let lacks = ground.lacks().await;
        assert_eq!(lacks.len(), 1, "{column}: {lacks:?}");
        let head = format!(
            "`rollback_owner` (Somebody owns the rollback): {name}; do: tidegate launch sign rollback_owner --owner NAME"
        );
        assert!(lacks[0].starts_with(&head), "{lacks:?}");
        ground.sign_all().await;
        assert_eq!(ground.lacks().await, Vec::<String>::new(), "{column} is back");
    }
    // The data boundary is the definition's, unless the signature says it more exactly; without both it is missing.
    let text = "controls:\n  - { key: rollback_owner, scope: global, title: R, kind: incident_step, cadence_days: 90, proof: signed, required: true, command: c, text: t }\n";
    let bare = Definitions::read(Some(("bare.yaml", text))).unwrap();
    db.sql
        .ok("update launch_controls set status = 'missing', data_boundary = null where control_key = 'rollback_owner'")
        .await;
    let global = launch::assess_installation(db.store().as_ref(), &bare, ground.options, &ground.clock).await.unwrap();
    let lacks: Vec<String> = global
        .iter()
        .filter(|c| c.row.control_key == "rollback_owner")
        .flat_map(|c| &c.lacks)
        .map(ToString::to_string)
        .collect();
    assert_eq!(lacks, ["`rollback_owner` (R): data boundary; do: c"]);
});

on_both_engines!(p20_evidence_expires_runs_go_on_during_the_grace_and_stop_after_it, |db| {
    let ground = Ground::ready(db).await;
    assert!(!ground.is_due().await, "not activated");
    let refused = db.store().refused_due().await.unwrap();
    assert_eq!((refused.len(), refused[0].connection_key.as_str(), refused[0].activated), (1, "acme-hubspot", false));
    ground.review().await;
    db.store().activate_connection("acme-hubspot", &act("connection.activate")).await.unwrap();
    assert!(ground.is_due().await, "ready and activated");
    assert_eq!(db.store().refused_due().await.unwrap(), []);
    assert_eq!(launch::refusal(&ground.connection().await, &ground.review().await), None);

    // 90 days are the cadence of the first controls to expire.
    let signed_at = ground.clock.now();
    ground.clock.pass(91);
    let standing = ground.review().await;
    let due = control(&standing, "rollback_owner");
    assert_eq!(due.row.status, ControlStatus::ReviewDue);
    let day = signed_at.utc().format("%Y-%m-%d");
    let reason = due.row.status_reason.clone().unwrap();
    assert!(
        reason.starts_with(&format!("`rollback_owner` (Somebody owns the rollback): its evidence is of {day} and counts for 90 days; do: tidegate launch sign")),
        "{reason}"
    );
    assert_eq!(control(&standing, "identity").row.status, ControlStatus::ReviewDue, "asked 91 days ago");
    assert_eq!(control(&standing, "record").row.status, ControlStatus::Ready, "seen anew each time");
    assert!(!standing.ready());
    let until = signed_at.plus(Duration::from_secs((90 + 14) * 86_400));
    assert_eq!(standing.runs_until(), Some(until), "the status says the date");
    let connection = ground.connection().await;
    assert_eq!(launch::refusal(&connection, &standing), None, "runs go on during the grace");
    assert!(ground.is_due().await);

    ground.clock.pass(14);
    let standing = ground.review().await;
    let refusal = launch::refusal(&connection, &standing).expect("the grace is over");
    assert!(refusal.iter().any(|line| line.starts_with("`rollback_owner`")), "{refusal:?}");
    assert!(refusal.iter().all(|line| line.contains("counts for")), "{refusal:?}");

    // Renewed, it runs again, without another activation.
    ground.sign_all().await;
    ground.told_identity("account of acme-hubspot").await;
    let standing = ground.review().await;
    assert!(standing.ready(), "{:?}", standing.lacks());
    assert_eq!(launch::refusal(&connection, &standing), None);
});

on_both_engines!(p20_the_scheduler_refuses_by_itself_when_the_grace_is_over_or_a_control_failed, |db| {
    let ground = Ground::ready(db).await;
    ground.review().await;
    db.store().activate_connection("acme-hubspot", &act("connection.activate")).await.unwrap();
    assert!(ground.is_due().await);
    // As it is when nobody reviewed since: only the date that the last review wrote has come.
    let past = sql_time(db, long_ago());
    db.sql.ok(&format!("update launch_controls set blocks_from = '{past}' where control_key = 'rollback_owner'")).await;
    assert!(!ground.is_due().await);
    let refused = db.store().refused_due().await.unwrap();
    assert_eq!((refused.len(), refused[0].jobs, refused[0].activated), (1, 1, true));
    let job = job_id(db.store(), "acme-hubspot", "contacts").await;
    let fence = db.store().job(job).await.unwrap().unwrap().fence;
    let claimed = db.store().claim(&claim_of(job, fence, "worker")).await.unwrap();
    assert_eq!(claimed, Claimed::Lost, "also one who had seen it as due");
    ground.review().await;
    assert!(ground.is_due().await, "a review finds it ready");

    ground.told_identity("account of somebody").await;
    let standing = ground.review().await;
    assert!(!ground.is_due().await, "failed is refused at once");
    let refusal = launch::refusal(&ground.connection().await, &standing).unwrap();
    assert!(refusal.len() == 1 && refusal[0].starts_with("identity: "), "{refusal:?}");
    // Bolt's sandbox is not asked.
    let due = db.store().due_jobs(10, None).await.unwrap();
    assert!(due.iter().all(|job| job.connection_key == "bolt-hubspot") && !due.is_empty(), "{due:?}");
});

on_both_engines!(p20_what_is_defined_no_longer_blocks_nothing_and_what_is_not_required_neither, |db| {
    let mut ground = Ground::ready(db).await;
    let text = |required| {
        format!(
            "{WIDE}  - {{ key: legal, scope: connection, title: Contract, kind: sop_note, cadence_days: 30, proof: signed, required: {required}, command: 'tidegate launch sign {{control}} --connection {{connection}}', text: t }}\n"
        )
    };
    ground.definitions = Definitions::read(Some(("a", &text(true)))).unwrap();
    ground.review().await;
    db.store().activate_connection("acme-hubspot", &act("connection.activate")).await.unwrap();
    let lacks = ground.lacks().await;
    assert_eq!(
        lacks,
        [
            "`legal` (Contract): owner, source, data boundary, rollback path, evidence, signature; do: tidegate launch sign legal --connection acme-hubspot"
        ]
    );
    assert!(!ground.is_due().await);
    ground.definitions = Definitions::read(Some(("a", &text(false)))).unwrap();
    assert!(ground.review().await.ready());
    assert!(ground.is_due().await, "not required");
    ground.definitions = Definitions::read(Some(("a", &text(true)))).unwrap();
    ground.review().await;
    assert!(!ground.is_due().await);
    ground.definitions = Definitions::read(Some(("a", WIDE))).unwrap();
    ground.review().await;
    assert!(ground.is_due().await, "defined no longer");

    // Without the installation's controls, production asks the connection's alone.
    db.sql
        .ok("update launch_controls set status = 'missing', signed_by = null where control_key = 'rollback_owner'")
        .await;
    ground.review().await;
    assert!(!ground.is_due().await);
    ground.options.require_global = false;
    assert!(ground.review().await.ready());
    assert!(ground.is_due().await);
});

on_both_engines!(p15_another_clients_connection_gives_nothing_and_takes_nothing, |db| {
    let ground = Ground::ready(db).await;
    ground.review().await;
    let acme = ground.connection().await;
    let bolt = db.store().connection("bolt-hubspot").await.unwrap().unwrap();
    let foreign = Whose::Connection(acme.id, bolt.client_id);
    assert_eq!(db.store().launch_controls(foreign).await.unwrap(), []);
    let proof = db.store().connection_proof(acme.id, bolt.client_id).await.unwrap();
    assert_eq!((proof.test_batches.len(), proof.identity_account_id), (0, None));
    let before = db.sql.rows("select * from launch_controls order by id").await;
    let signature = Signature {
        whose: foreign,
        control_key: "stolen".to_owned(),
        title: "t".to_owned(),
        kind: tidegate::domain::status::ControlKind::AdminTask,
        facts: ControlFacts::default(),
        evidence: Some(Evidence {
            evidence_kind: "document".to_owned(),
            evidence: "e".to_owned(),
            evidence_at: long_ago(),
        }),
        signed_by: Some("eve".to_owned()),
    };
    let refused = db.store().sign_controls(&[signature], &[act("launch.sign")]).await;
    assert!(matches!(refused, Err(tidegate::store::StoreError::Constraint { .. })), "{refused:?}");
    assert_eq!(db.sql.rows("select * from launch_controls order by id").await, before);
});

on_both_engines!(p20_a_review_overwrites_no_signature, |db| {
    let ground = Ground::ready(db).await;
    let standing = ground.review().await;
    // What an older review still has in its hands.
    let mut stale = standing.global.clone();
    for control in &mut stale {
        control.row.facts = ControlFacts::default();
        control.row.evidence = None;
        control.row.status = ControlStatus::Missing;
    }
    let reviewed: Vec<_> = stale
        .into_iter()
        .map(|control| tidegate::store::launch::Reviewed {
            row: control.row,
            proved_by: tidegate::store::launch::ProvedBy::Person,
        })
        .collect();
    db.store().record_review(Whose::Installation, &reviewed).await.unwrap();
    let again = ground.review().await;
    assert!(again.ready(), "{:?}", again.lacks());
});

on_both_engines!(p20_the_rights_of_the_database_user_are_seen, |db| {
    let wide = db.owner().await;
    match wide.rights().await.unwrap() {
        None => assert!(!db.is_mysql()),
        Some(rights) => {
            assert!(db.is_mysql(), "the tests' user makes schemas");
            let named =
                |right: &String| right.starts_with("ALL") || right.split([',', ' ']).any(|word| word == "CREATE");
            assert!(rights.excess.iter().any(named), "{rights:?}");
        }
    }
    let strict = Definitions::read(None).unwrap();
    let options = Options { grace: Duration::ZERO, require_global: true };
    let clock = SetClock::at(at("2026-01-01T00:00:00Z"));
    let global = launch::assess_installation(wide.as_ref(), &strict, options, &clock).await.unwrap();
    let control = global.iter().find(|control| control.row.control_key == "import_user_narrowed").unwrap();
    let expected = if db.is_mysql() { ControlStatus::Failed } else { ControlStatus::Missing };
    assert_eq!(control.row.status, expected, "{control:?}");
    let text = json!(control).to_string();
    // Names of rights, never a line of `show grants`.
    assert!(!text.contains("IDENTIFIED") && !text.contains(" TO "), "{text}");
});

/// A baseline of acme's connection, as a person would have set it.
async fn baseline(ground: &Ground<'_>) {
    let (db, connection) = (ground.db, ground.connection().await);
    let (began, at) = (sql_time(db, long_ago()), sql_time(db, ground.clock.now()));
    let ids = format!("{}, {}", connection.client_id, connection.id);
    db.sql
        .ok(&format!(
            "insert into metric_snapshots (client_id, connection_id, metric_key, definition, source_label, period_kind, period_start, period_end, unit, value, rows_counted, complete, run_ids, computed_at, origin) \
             values ({ids}, 'lead_volume', 'd', 'CRM', 'month', '{began}', '{at}', 'count', 1, 1, 1, '[]', '{at}', 'declared')"
        ))
        .await;
    let snapshot = db.sql.number("select max(id) from metric_snapshots").await;
    db.sql
        .ok(&format!(
            "insert into metric_baselines (client_id, connection_id, metric_key, source_label, version, snapshot_id, set_by, reason, created_at) \
             values ({ids}, 'lead_volume', 'CRM', 1, {snapshot}, 'ada', 'start', '{at}')"
        ))
        .await;
}
