//! The steps of a history, and the model of one job: its lease, its runs, its records, as the invariants of guide/reliability.md have them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tidegate::domain::{counts::Counts, ids::RunId, status::RunStatus};

use tidegate::store::page::PageHead;

use crate::store_ground::Given;

/// A step of a history. `who` picks one of all holders so far, dead and alive.
#[derive(Debug, Clone)]
pub enum Step {
    Claim {
        stale: bool,
    },
    Expire,
    Renew {
        who: usize,
    },
    Page {
        who: usize,
        items: BTreeMap<u8, (i64, bool)>,
        twice: bool,
        cursor: Option<i64>,
        hold: bool,
    },
    /// The last page of that holder once more.
    Repeat {
        who: usize,
    },
    Finish {
        who: usize,
        status: RunStatus,
    },
    Recover,
    Reset,
    Resume,
}

pub fn step() -> impl Strategy<Value = Step> {
    // Mostly the newest holder, sometimes a zombie.
    let who = || prop_oneof![4 => Just(usize::MAX), 1 => 0..6_usize];
    let items = proptest::collection::btree_map(0..8_u8, (0..3_i64, proptest::bool::weighted(0.8)), 0..6);
    let status = proptest::sample::select(vec![
        RunStatus::Succeeded,
        RunStatus::Partial,
        RunStatus::Failed,
        RunStatus::Cancelled,
    ]);
    prop_oneof![
        4 => proptest::bool::weighted(0.15).prop_map(|stale| Step::Claim { stale }),
        1 => Just(Step::Expire),
        1 => who().prop_map(|who| Step::Renew { who }),
        8 => (who(), items, any::<bool>(), proptest::option::of(0..12_i64), proptest::bool::weighted(0.1))
            .prop_map(|(who, items, twice, cursor, hold)| Step::Page { who, items, twice, cursor, hold }),
        1 => who().prop_map(|who| Step::Repeat { who }),
        3 => (who(), status).prop_map(|(who, status)| Step::Finish { who, status }),
        1 => Just(Step::Recover),
        1 => Just(Step::Reset),
        1 => Just(Step::Resume),
    ]
}

/// A page as it was asked for.
#[derive(Clone)]
pub struct Asked {
    pub head: PageHead,
    pub given: Vec<Given>,
    pub hold: bool,
    /// What it came to.
    pub counts: Counts,
    pub moved: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ModelRun {
    pub id: RunId,
    pub status: RunStatus,
    pub counts: Counts,
    pub pages: i64,
}

/// All that is known of the job by rights.
#[derive(Default)]
pub struct Model {
    pub fence: i64,
    pub attempts: i64,
    pub quarantined: bool,
    /// Index into `holders`, and whether the lease has run out.
    pub lease: Option<(usize, bool)>,
    pub order: Option<i64>,
    pub runs: Vec<ModelRun>,
    /// Version, first run, last run by external id.
    pub records: BTreeMap<String, (i64, RunId, RunId)>,
    /// Attempts of open dead letters by (external id, payload hash).
    pub letters: BTreeMap<(String, String), i64>,
    pub raw: BTreeMap<&'static str, i64>,
}

impl Model {
    pub fn holds(&self, who: usize) -> bool {
        self.lease == Some((who, false))
    }

    pub fn run(&mut self, id: RunId) -> &mut ModelRun {
        self.runs.iter_mut().find(|run| run.id == id).expect("a run of the model")
    }

    /// What the page comes to; counted as the pipeline counts (N1).
    pub fn apply(&mut self, given: &[Given], run: RunId) -> Counts {
        let mut counts = Counts::default();
        let mut in_page: Vec<(&str, i64)> = Vec::new();
        let before = self.records.clone();
        for item in given {
            counts.seen += 1;
            if !item.ok {
                counts.failed += 1;
                *self.raw.entry("failed").or_default() += 1;
                *self.letters.entry((item.id.clone(), item.hash())).or_default() += 1;
                continue;
            }
            if in_page.contains(&(&item.id, item.version)) {
                counts.duplicate += 1;
                continue;
            }
            in_page.push((&item.id, item.version));
            match before.get(&item.id) {
                Some((version, _, last)) if *version == item.version && *last == run => counts.duplicate += 1,
                Some((version, ..)) if *version == item.version => counts.unchanged += 1,
                stored => {
                    let first = stored.map_or(run, |(_, first, _)| *first);
                    *(if stored.is_some() { &mut counts.updated } else { &mut counts.created }) += 1;
                    *self.raw.entry("normalized").or_default() += 1;
                    self.records.insert(item.id.clone(), (item.version, first, run));
                }
            }
        }
        counts
    }
}
