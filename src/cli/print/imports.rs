//! Imported files: the list of them, what became of one, and what would become of one.

use super::{
    View,
    table::{Grid, number, text},
    words::{maybe_time, plain},
};
use crate::{pipeline::rehearsal::Rehearsal, store::imports::ImportBatch};

/// `tidegate import list`
pub fn batch_list(view: &View, batches: &[ImportBatch]) -> String {
    let columns = [
        number("import"),
        text("connection"),
        text("stream"),
        text("file"),
        text("status"),
        number("rows"),
        number("failed"),
        number("run"),
        text("by"),
        text("when"),
    ];
    let mut grid = Grid::new(view, &columns);
    for batch in batches {
        grid.row([
            batch.id.to_string(),
            batch.connection_key.clone(),
            batch.stream.clone(),
            batch.file_name.clone(),
            batch.status.to_string(),
            batch.rows_read.to_string(),
            batch.rows_failed.to_string(),
            batch.run_id.to_string(),
            batch.imported_by.clone(),
            maybe_time(Some(batch.created_at), view.now),
        ]);
    }
    grid.or("nothing was imported; see: tidegate import --help")
}

/// A file that was imported before.
pub fn known(view: &View, name: &str, batch: &ImportBatch) -> String {
    let mut out = format!(
        "{}: this very content was imported {} by {} as {} (import {}, run {}, {} rows); nothing was written\n",
        plain(name),
        maybe_time(Some(batch.created_at), view.now),
        plain(&batch.imported_by),
        plain(&batch.file_name),
        batch.id,
        batch.run_id,
        batch.rows_read,
    );
    if batch.rows_failed > 0 {
        out.push_str(&format!("{} of its rows failed: tidegate errors list\n", batch.rows_failed));
    }
    out.push_str("to read it once more all the same: --again\n");
    out
}

/// A file that was just imported.
pub fn imported(batch: &ImportBatch) -> String {
    format!(
        "{}: {}, {} rows read, {} failed (import {}, run {})",
        plain(&batch.file_name),
        batch.status,
        batch.rows_read,
        batch.rows_failed,
        batch.id,
        batch.run_id
    )
}

/// What a dry run found.
pub fn rehearsal(name: &str, rehearsal: &Rehearsal) -> String {
    let c = &rehearsal.counts;
    let mut out = format!(
        "{}: {} rows would be created {}, updated {}, unchanged {}, duplicate {}, ignored {}, failed {}; nothing was written\n",
        plain(name),
        c.seen,
        c.created,
        c.updated,
        c.unchanged,
        c.duplicate,
        c.ignored,
        c.failed
    );
    for error in &rehearsal.errors {
        out.push_str(&format!("  {}\n    do: {}\n", plain(&error.message), plain(&error.remedy)));
    }
    let told = i64::try_from(rehearsal.errors.len()).unwrap_or(i64::MAX);
    if c.failed > told {
        out.push_str(&format!("  and {} more; --errors N tells more\n", c.failed - told));
    }
    if rehearsal.over_budget {
        out.push_str("so many rows fail that the import would end before the file does (pipeline.error_budget_count, pipeline.error_budget_share)\n");
    }
    out
}
