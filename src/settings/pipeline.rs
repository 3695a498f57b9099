//! `[pipeline]`: bounds of a run.

use std::time::Duration;

use super::{key::Key, values::Values};

const ERROR_BUDGET_COUNT: Key = Key::integer("pipeline.error_budget_count", 1_000);
const ERROR_BUDGET_SHARE: Key = Key::float("pipeline.error_budget_share", 0.10);
const ERROR_BUDGET_MIN_SEEN: Key = Key::integer("pipeline.error_budget_min_seen", 100);
const MAX_PAGES_PER_RUN: Key = Key::integer("pipeline.max_pages_per_run", 100_000);
const MAX_RUN_SECONDS: Key = Key::integer("pipeline.max_run_seconds", 21_600);
const TEST_BATCH_RECORDS: Key = Key::integer("pipeline.test_batch_records", 25);
pub(super) const KEYS: &[Key] = &[
    ERROR_BUDGET_COUNT,
    ERROR_BUDGET_SHARE,
    ERROR_BUDGET_MIN_SEEN,
    MAX_PAGES_PER_RUN,
    MAX_RUN_SECONDS,
    TEST_BATCH_RECORDS,
];

#[derive(Debug, Clone, PartialEq)]
pub struct PipelineSettings {
    /// Failed records after which a run stops.
    pub error_budget_count: u32,
    /// Share of failed records after which a run stops, 0 to 1.
    pub error_budget_share: f64,
    /// Records that must have been seen before the share counts.
    pub error_budget_min_seen: u32,
    pub max_pages_per_run: u32,
    pub max_run: Duration,
    /// Records of a test batch and of a preview.
    pub test_batch_records: u32,
}

impl PipelineSettings {
    pub(super) fn read(values: &mut Values) -> Self {
        Self {
            error_budget_count: values.count(&ERROR_BUDGET_COUNT, 0..=u32::MAX),
            error_budget_share: values.float(&ERROR_BUDGET_SHARE, 0.0..=1.0),
            error_budget_min_seen: values.count(&ERROR_BUDGET_MIN_SEEN, 0..=u32::MAX),
            max_pages_per_run: values.count(&MAX_PAGES_PER_RUN, 1..=u32::MAX),
            max_run: values.seconds(&MAX_RUN_SECONDS, 1..=604_800),
            test_batch_records: values.count(&TEST_BATCH_RECORDS, 1..=10_000),
        }
    }
}
