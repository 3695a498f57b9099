//! Launch controls: what is ready, until when, and what is missing.

use super::{
    View,
    table::{Grid, narrow, text, word},
    words::{NONE, age, or_none, time},
};
use crate::{
    domain::status::ControlStatus,
    launch::{self, Control, Standing},
    store::catalogue::Connection,
};

/// `tidegate launch status`
pub fn status(view: &View, standings: &[(Connection, Standing)], global: &[Control], require_global: bool) -> String {
    let mut out = String::new();
    let wanted = if require_global { "production waits for them" } else { "production does not wait for them" };
    out.push_str(&format!("installation ({wanted})\n\n{}\n", controls(view, global)));
    for (connection, standing) in standings {
        let spec = &connection.spec;
        let live = match connection.activated_at {
            Some(at) => format!("activated {}", time(at)),
            None if launch::gated(connection) => "not activated".to_owned(),
            None => "needs no activation".to_owned(),
        };
        out.push_str(&format!("{} ({}, {}, {live})\n\n", spec.connection_key, spec.environment, connection.status));
        out.push_str(&controls(view, &standing.connection));
        out.push_str(&verdict(view, connection, standing));
        out.push('\n');
    }
    out
}

fn controls(view: &View, controls: &[Control]) -> String {
    let columns = [
        word("control"),
        word("status"),
        text("good until"),
        text("proof"),
        text("owner"),
        text("becomes"),
        text("title"),
    ];
    let slim = [word("control"), word("status"), text("good until"), text("proof")];
    let mut grid = Grid::new(view, if narrow(view) { &slim } else { &columns });
    for control in controls {
        let optional = if control.required { "" } else { " (optional)" };
        let until = control.expires_at.map_or_else(
            || if control.row.status == ControlStatus::Ready { "seen now".to_owned() } else { NONE.to_owned() },
            |at| format!("{} ({})", at.utc().format("%Y-%m-%d"), age(at, view.now)),
        );
        let mut cells = vec![
            control.row.control_key.clone(),
            format!("{}{optional}", control.row.status),
            until,
            control.proof.clone(),
        ];
        if !narrow(view) {
            cells.push(or_none(control.row.facts.owner.as_deref()));
            cells.push(control.row.kind.to_string());
            cells.push(control.row.title.clone());
        }
        grid.row(cells);
    }
    grid.or("no control is defined")
}

/// Whether it is ready, what is missing, and until when it runs.
fn verdict(view: &View, connection: &Connection, standing: &Standing) -> String {
    let lacks = standing.lacks();
    let mut out = String::new();
    if standing.ready() {
        out.push_str("\nready: all required controls are\n");
    } else {
        out.push_str(&format!("\nnot ready; {} missing or due:\n", lacks.len()));
        out.extend(lacks.iter().map(|lack| format!("  - {lack}\n")));
    }
    if !launch::gated(connection) {
        return out;
    }
    match (connection.activated_at, standing.runs_until()) {
        (None, _) if standing.ready() => {
            out.push_str(&format!("next: tidegate connection activate {}\n", connection.spec.connection_key));
        }
        (None, _) => {}
        (Some(_), Some(until)) if until <= view.now => {
            out.push_str(&format!("runs are refused since {} ({})\n", time(until), age(until, view.now)));
        }
        (Some(_), Some(until)) => {
            out.push_str(&format!(
                "runs go on until {} ({}), if nothing is renewed\n",
                time(until),
                age(until, view.now)
            ));
        }
        (Some(_), None) => out.push_str("runs go on\n"),
    }
    out
}

/// `tidegate launch sign`, `tidegate launch evidence`
pub fn kept(controls: &[&Control], signing: bool) -> String {
    let what = if signing { "signed" } else { "evidence kept, not signed" };
    let mut out = String::new();
    for control in controls {
        out.push_str(&format!("{}: {what}; {}\n", control.row.control_key, control.row.status));
        out.extend(control.lacks.iter().map(|lack| format!("  - {lack}\n")));
    }
    out
}
