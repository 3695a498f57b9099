//! What was taken away, or would be.

use super::{
    View,
    table::{Grid, number, text, word},
};
use crate::{scheduler::retention::Taken, store::retention::Kind};

/// `tidegate retention`
pub fn retention_list(view: &View, taken: &[Taken], kept: &[Kind], dry: bool) -> String {
    let column = if dry { "rows that would go" } else { "rows that went" };
    let mut grid = Grid::new(view, &[word("table"), text("what"), number(column)]);
    for one in taken {
        grid.row([one.table.to_owned(), words(one.kind).to_owned(), one.rows.to_string()]);
    }
    let mut out = grid.or("everything is kept for ever; see [retention] of the settings");
    for kind in kept {
        out.push_str(&format!("kept for ever: {}\n", words(*kind)));
    }
    if taken.iter().any(|taken| !taken.whole) {
        out.push_str("stopped before the end; run it again to go on\n");
    }
    out
}

fn words(kind: Kind) -> &'static str {
    match kind {
        Kind::Raw => "raw events that nothing names",
        Kind::Deliveries => "webhook deliveries that are done with",
        Kind::DeadLetters => "resolved and discarded dead letters",
        Kind::Runs => "finished runs that nothing names, with their pages",
        Kind::Checks => "results of checks",
        Kind::ArchivedRaw => "raw events of archived clients",
        Kind::ArchivedDeliveries => "webhook deliveries of archived clients",
    }
}
