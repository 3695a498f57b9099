//! Runs: the list that is read first, and the story of one.

use std::time::Duration;

use serde::Serialize;

use super::{
    View, catalogue,
    table::{Grid, facts, narrow, number, text, word},
    words::{NONE, age, bytes, count_of, cut, millis, or_none, plain, span, time, time_and_age},
};
use crate::{
    domain::counts::Counts,
    store::runs::{Recount, Run, RunPage},
};

/// `tidegate runs list`
pub fn run_list(view: &View, runs: &[Run]) -> String {
    const NOTHING: &str = "no runs yet; see: tidegate run-once";
    if narrow(view) {
        return narrow_list(view, runs).or(NOTHING);
    }
    let columns = [
        number("run"),
        word("connection"),
        word("stream"),
        text("origin"),
        word("status"),
        text("started"),
        number("took"),
        number("seen"),
        number("created"),
        number("updated"),
        number("unchanged"),
        number("duplicate"),
        number("ignored"),
        number("failed"),
        word("error"),
    ];
    let mut grid = Grid::new(view, &columns);
    for run in runs {
        let Counts { seen, created, updated, unchanged, duplicate, ignored, failed } = run.counts;
        let head = [
            run.id.to_string(),
            run.connection_key.clone(),
            run.stream.clone(),
            run.origin.to_string(),
            run.status.to_string(),
            time_and_age(run.started_at, view.now),
            took(view, run),
        ];
        let counts = [seen, created, updated, unchanged, duplicate, ignored, failed].map(|n| n.to_string());
        grid.row(head.into_iter().chain(counts).chain([or_none(run.error_code.as_deref())]));
    }
    grid.or(NOTHING)
}

fn narrow_list(view: &View, runs: &[Run]) -> Grid {
    let columns = [
        number("run"),
        word("connection"),
        word("stream"),
        word("status"),
        text("started"),
        number("seen"),
        number("created"),
        number("failed"),
        word("error"),
    ];
    let mut grid = Grid::new(view, &columns);
    for run in runs {
        grid.row([
            run.id.to_string(),
            run.connection_key.clone(),
            run.stream.clone(),
            run.status.to_string(),
            age(run.started_at, view.now),
            run.counts.seen.to_string(),
            run.counts.created.to_string(),
            run.counts.failed.to_string(),
            or_none(run.error_code.as_deref()),
        ]);
    }
    grid
}

/// All that `tidegate runs show` tells; its JSON form.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunStory {
    pub run: Run,
    /// The first and the last pages; a gap in the numbers is told as such.
    pub pages: Vec<RunPage>,
    /// The rows, counted anew.
    pub recount: Option<Recount>,
}

/// `tidegate runs show`: what was asked, what came, where it went, how far it got, and what to do if it went wrong.
pub fn run_show(view: &View, story: &RunStory) -> String {
    let run = &story.run;
    let mut out = format!(
        "run {}  {}  {} {}  (client {}, provider {})\n\n",
        run.id,
        run.status,
        plain(&run.connection_key),
        plain(&run.stream),
        plain(&run.client_key),
        plain(&run.provider_key)
    );
    let window = match (run.window_start, run.window_end) {
        (None, None) => NONE.to_owned(),
        (start, end) => {
            let side = |at: Option<_>| at.map_or_else(|| "...".to_owned(), time);
            format!("{} to {}", side(start), side(end))
        }
    };
    out.push_str(&facts(
        view,
        [
            ("origin", Some(run.origin.to_string())),
            ("started", Some(format!("{}, took {}", time_and_age(run.started_at, view.now), took(view, run)))),
            ("worker", Some(format!("{}, fence {}", or_none(run.worker.as_deref()), run.fence))),
            ("field map", Some(or_none(run.mapping_version.as_deref()))),
            ("window", Some(window)),
            ("cursor before", Some(json_or_none(run.cursor_before.as_ref()))),
            ("cursor after", Some(json_or_none(run.cursor_after.as_ref()))),
            ("counts", Some(sum_line(&run.counts))),
            ("repaired", repaired_line(run)),
            ("provider has", run.provider_total.map(|total| count_of(total, "record", "records"))),
            ("traffic", Some(traffic_line(run))),
            ("recount", story.recount.as_ref().map(|recount| recount_line(&run.counts, recount))),
        ],
    ));
    out.push('\n');
    out.push_str(&page_table(view, &story.pages));
    if let Some(code) = &run.error_code {
        out.push('\n');
        out.push_str(&facts(
            view,
            [
                ("error", Some(code.clone())),
                ("what", Some(or_none(run.error_internal.as_deref()))),
                ("client reads", run.error_client_safe.clone()),
                ("remedy", Some(or_none(run.remedy.as_deref()))),
            ],
        ));
    }
    let unmapped = catalogue::unmapped_fields(view, std::slice::from_ref(run));
    if !unmapped.is_empty() {
        out.push_str("\nfields that arrived and are mapped nowhere\n\n");
        out.push_str(&unmapped);
    }
    out
}

/// The law of the counts, spelt out (P3).
pub fn sum_line(counts: &Counts) -> String {
    let Counts { seen, created, updated, unchanged, duplicate, ignored, failed } = *counts;
    let sum = format!(
        "seen {seen} = created {created} + updated {updated} + unchanged {unchanged} + duplicate {duplicate} + ignored \
         {ignored} + failed {failed}"
    );
    if counts.add_up() { sum } else { format!("{sum}  DOES NOT ADD UP: the buckets hold {}", counts.sum_of_buckets()) }
}

fn repaired_line(run: &Run) -> Option<String> {
    let count = run.records_repaired;
    (count > 0).then(|| format!("{} that no delivery had brought", count_of(count, "record", "records")))
}

fn traffic_line(run: &Run) -> String {
    let mut line = format!(
        "{}, {} ({}), {} received",
        count_of(run.pages, "page", "pages"),
        count_of(run.traffic.requests, "request", "requests"),
        count_of(run.traffic.retries, "retry", "retries"),
        bytes(run.traffic.bytes_in)
    );
    if run.traffic.rate_limited_ms > 0 {
        line.push_str(&format!(", waited {} for limits", millis(run.traffic.rate_limited_ms)));
    }
    line
}

fn recount_line(counts: &Counts, recount: &Recount) -> String {
    let raw = format!(
        "raw events: {} normalized, {} ignored, {} failed; records first seen by this run: {}",
        recount.raw_normalized, recount.raw_ignored, recount.raw_failed, recount.links_created
    );
    if recount.ledger == *counts {
        format!("the page ledger agrees; {raw}")
    } else {
        format!("THE PAGE LEDGER DISAGREES: {}; {raw}", sum_line(&recount.ledger))
    }
}

/// What fits a small terminal; the cursors are for a larger one, and for `--json`.
fn narrow_pages(view: &View, pages: &[RunPage]) -> Grid {
    let columns = [
        number("page"),
        text("asked for"),
        number("took"),
        number("retries"),
        number("seen"),
        number("created"),
        number("updated"),
        number("unchanged"),
        number("failed"),
    ];
    let mut grid = Grid::new(view, &columns);
    let mut last = 0;
    for page in pages {
        grid_gap(&mut grid, last, page.page_no, columns.len());
        last = page.page_no;
        let Counts { seen, created, updated, unchanged, failed, .. } = page.counts;
        let head = [
            page.page_no.to_string(),
            page.story.clone(),
            span(page.committed_at.since(page.started_at)),
            page.traffic.retries.to_string(),
        ];
        grid.row(head.into_iter().chain([seen, created, updated, unchanged, failed].map(|n| n.to_string())));
    }
    grid
}

/// Pages between two that are shown are told as such.
fn grid_gap(grid: &mut Grid, last: i64, next: i64, columns: usize) {
    let left_out = next - last - 1;
    if left_out > 0 {
        let note = format!("({} not shown)", count_of(left_out, "page", "pages"));
        grid.row(
            ["…".to_owned(), note].into_iter().chain(std::iter::repeat_n(String::new(), columns.saturating_sub(2))),
        );
    }
}

fn page_table(view: &View, pages: &[RunPage]) -> String {
    const NOTHING: &str = "no page was committed";
    if narrow(view) {
        return narrow_pages(view, pages).or(NOTHING);
    }
    let columns = [
        number("page"),
        text("asked for"),
        number("took"),
        number("requests"),
        number("retries"),
        number("waited"),
        number("seen"),
        number("created"),
        number("updated"),
        number("unchanged"),
        number("duplicate"),
        number("ignored"),
        number("failed"),
        text("cursor after"),
    ];
    let mut grid = Grid::new(view, &columns);
    let mut last = 0;
    for page in pages {
        grid_gap(&mut grid, last, page.page_no, columns.len());
        last = page.page_no;
        let Counts { seen, created, updated, unchanged, duplicate, ignored, failed } = page.counts;
        let head = [
            page.page_no.to_string(),
            page.story.clone(),
            span(page.committed_at.since(page.started_at)),
            page.traffic.requests.to_string(),
            page.traffic.retries.to_string(),
            millis(page.traffic.rate_limited_ms),
        ];
        let counts = [seen, created, updated, unchanged, duplicate, ignored, failed].map(|n| n.to_string());
        grid.row(head.into_iter().chain(counts).chain([json_or_none(page.cursor_after.as_ref())]));
    }
    grid.or(NOTHING)
}

fn took(view: &View, run: &Run) -> String {
    match run.finished_at {
        Some(end) => span(end.since(run.started_at)),
        None => {
            let so_far: Duration = view.now.since(run.started_at);
            format!("{} so far", span(so_far))
        }
    }
}

fn json_or_none(value: Option<&serde_json::Value>) -> String {
    /// A cursor of thousands of partitions is for `--json`.
    const MOST: usize = 160;
    value.map_or_else(|| NONE.to_owned(), |value| cut(&value.to_string(), MOST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::print::samples, domain::status::RunStatus};

    #[test]
    fn a_run_list_shows_every_bucket() {
        let mut failed = samples::run();
        failed.status = RunStatus::Failed;
        failed.error_code = Some("auth_failed".to_owned());
        let mut running = samples::run();
        running.status = RunStatus::Running;
        running.finished_at = None;
        insta::assert_snapshot!(run_list(&samples::view(), &[samples::run(), failed, running]));
        let narrow = View { width: Some(100), ..samples::view() };
        insta::assert_snapshot!("a_narrow_run_list_keeps_what_matters", run_list(&narrow, &[samples::run()]));
    }

    #[test]
    fn the_story_of_a_run_shows_the_sum_the_pages_and_the_way_out() {
        let mut run = samples::run();
        run.status = RunStatus::Partial;
        run.error_code = Some("error_budget_exceeded".to_owned());
        run.error_internal = Some("30 of 100 records failed, more than the budget of 20".to_owned());
        run.remedy = Some("look at: tidegate errors list --group".to_owned());
        run.unmapped_fields = Some(serde_json::json!({ "properties.notes": 12, "properties.zip": 40 }));
        let recount =
            Recount { ledger: run.counts, raw_normalized: 1_180, raw_ignored: 0, raw_failed: 3, links_created: 1_180 };
        let story = RunStory { run, pages: samples::pages(), recount: Some(recount) };
        let text = run_show(&samples::view(), &story);
        assert!(text.contains("(9 pages not shown)"), "{text}");
        let narrow = run_show(&View { width: Some(100), ..samples::view() }, &story);
        assert!(narrow.contains("(9 pages not shown)"), "{narrow}");
        assert!(narrow.lines().all(|line| line.chars().count() <= 100), "{narrow}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn counts_that_do_not_add_up_are_shouted() {
        let mut counts = samples::run().counts;
        counts.seen += 1;
        assert!(sum_line(&counts).ends_with("DOES NOT ADD UP: the buckets hold 1200"), "{}", sum_line(&counts));
    }
}
