//! What another version of a field map would change, as people and machines read it.

use serde_json::{Value, json};

use super::{
    View,
    table::{self, Grid, number, word},
    words::{NONE, plain},
};
use crate::{
    cli::normalize::diff::{ConnectionDiff, StreamDiff},
    metrics::{
        compute::{NoNumber, Number},
        shadow::{Role, Shift},
    },
};

/// Everything, for machines.
pub fn document(diffs: &[ConnectionDiff]) -> Value {
    let stream = |diff: &StreamDiff| json!({"stream": diff.stream, "in_force": diff.in_force, "version": diff.version, "records": diff.changes});
    let shift = |shift: &Shift| {
        json!({
            "metric": shift.metric_key, "source": shift.source_label, "period": shift.period, "windows": shift.roles,
            "told": shift.told.map(|value| value.normalize().to_string()), "now": value(&shift.now), "then": value(&shift.then),
            "moves": shift.moves(), "by": by(shift),
        })
    };
    let of = |diff: &ConnectionDiff| {
        json!({"connection": diff.connection_key, "client": diff.client_key,
            "streams": diff.streams.iter().map(stream).collect::<Vec<_>>(),
            "metrics": diff.shifts.iter().map(shift).collect::<Vec<_>>()})
    };
    json!({"written": false, "diffs": diffs.iter().map(of).collect::<Vec<_>>()})
}

fn value(number: &Result<Number, NoNumber>) -> Value {
    match number {
        Ok(number) => json!({"value": number.value.normalize().to_string(), "currency": number.currency}),
        Err(reason) => json!({"value": null, "reason": reason}),
    }
}

/// By how much a number moves, where both sides are numbers of one currency.
fn by(shift: &Shift) -> Option<String> {
    let (now, then) = (shift.now.as_ref().ok()?, shift.then.as_ref().ok()?);
    let difference = then.value.checked_sub(now.value).filter(|_| now.currency == then.currency)?;
    Some(format!("{}{}", if difference.is_sign_positive() { "+" } else { "" }, difference.normalize()))
}

/// Everything, for people; whether anything is written is for the caller to say.
pub fn text(view: &View, diffs: &[ConnectionDiff]) -> String {
    let mut out = String::new();
    for diff in diffs {
        for stream in &diff.streams {
            out.push_str(&of_stream(view, diff, stream));
        }
        out.push_str(&of_metrics(view, diff));
    }
    out
}

fn of_stream(view: &View, diff: &ConnectionDiff, stream: &StreamDiff) -> String {
    let c = &stream.changes;
    let mut out = format!(
        "{} {}: field map {} instead of {}\n",
        plain(&diff.connection_key),
        plain(&stream.stream),
        plain(&stream.version),
        plain(stream.in_force.as_deref().unwrap_or("none")),
    );
    let still = if c.still_ignored > 0 { format!(", {} are left out already", c.still_ignored) } else { String::new() };
    out.push_str(&format!(
        "  stored records: {} looked at, {} change, {} stay, {} would be left out (their rows count no more){still}, {} would fail (their rows stay as they are)\n",
        c.stored, c.changed, c.unchanged, c.newly_ignored, c.newly_failed
    ));
    if c.dead_letters > 0 {
        out.push_str(&format!(
            "  dead letters: {} looked at, {} go through ({} as new records), {} would be left out, {} still fail\n",
            c.dead_letters, c.dead_letters_through, c.created, c.dead_letters_ignored, c.dead_letters_failed
        ));
    }
    if c.raw_gone > 0 {
        out.push_str(&format!(
            "  {} records cannot be mapped again by any version: their raw events are gone\n",
            c.raw_gone
        ));
    }
    if c.stopped {
        out.push_str("  stopped before the end: the counts are those of a part\n");
    }
    if !c.fields.is_empty() {
        let mut grid =
            Grid::new(view, &[table::text("field"), word("column"), number("records"), table::text("example, masked")]);
        for (column, field) in &c.fields {
            let example =
                field.example.as_ref().map_or_else(|| NONE.to_owned(), |[from, to]| format!("{from} -> {to}"));
            grid.row([field.label.clone(), column.clone(), field.records.to_string(), example]);
        }
        out.push_str(&format!("\n{}\n", grid.text()));
    }
    for (reason, records) in &c.reasons {
        out.push_str(&format!("  {records} times: {}\n", plain(reason)));
    }
    out
}

fn of_metrics(view: &View, diff: &ConnectionDiff) -> String {
    let (moving, staying): (Vec<&Shift>, Vec<&Shift>) = diff.shifts.iter().partition(|shift| shift.moves());
    if diff.shifts.is_empty() {
        return format!("  no number of {} hangs on these records\n", plain(&diff.client_key));
    }
    let mut out = String::new();
    if !moving.is_empty() {
        let columns = [
            word("client"),
            word("metric"),
            table::text("period"),
            table::text("window"),
            number("from"),
            number("to"),
            number("by"),
        ];
        let mut grid = Grid::new(view, &columns);
        for shift in moving {
            let side = |number: &Result<Number, NoNumber>| match number {
                Ok(number) => {
                    format!("{} {}", number.value.normalize(), number.currency.as_deref().unwrap_or(&shift.unit))
                }
                Err(reason) => reason.clone(),
            };
            grid.row([
                diff.client_key.clone(),
                shift.metric_key.clone(),
                shift.period.clone(),
                shift.roles.iter().map(|role| words(*role)).collect::<Vec<_>>().join(", "),
                side(&shift.now),
                side(&shift.then),
                by(shift).unwrap_or_else(|| NONE.to_owned()),
            ]);
        }
        out.push_str(&format!("\n{}", grid.text()));
    }
    out.push_str(&format!("  {} of {}'s numbers do not move\n\n", staying.len(), plain(&diff.client_key)));
    out
}

fn words(role: Role) -> &'static str {
    match role {
        Role::Published => "the client sees it",
        Role::Last => "the last that ended",
        Role::Baseline => "baseline, counted anew",
    }
}
