//! Dead letters: the list, the groups, one of them.

use super::{
    View,
    masked::Line,
    table::{Grid, facts, narrow, number, text, word},
    words::{NONE, age, cut, maybe_time, or_none, plain, time_and_age},
};
use crate::store::dead_letters::{DeadLetter, DeadLetterGroup};

/// `tidegate errors list`
pub fn dead_letter_list(view: &View, letters: &[DeadLetter]) -> String {
    const NOTHING: &str = "no dead letters";
    if narrow(view) {
        return narrow_list(view, letters).or(NOTHING);
    }
    let columns = [
        number("id"),
        word("connection"),
        word("stream"),
        text("external id"),
        text("stage"),
        word("error"),
        number("attempts"),
        text("last seen"),
        word("status"),
        text("what"),
    ];
    let mut grid = Grid::new(view, &columns);
    for letter in letters {
        grid.row([
            letter.id.to_string(),
            letter.connection_key.clone(),
            letter.stream.clone(),
            id_of(letter),
            letter.stage.to_string(),
            letter.error_code.clone(),
            letter.attempts.to_string(),
            age(letter.last_seen_at, view.now),
            letter.status.to_string(),
            cut(&letter.message_internal, 100),
        ]);
    }
    grid.or(NOTHING)
}

fn narrow_list(view: &View, letters: &[DeadLetter]) -> Grid {
    let columns = [
        number("id"),
        word("connection"),
        word("stream"),
        text("external id"),
        text("last seen"),
        word("status"),
        text("what"),
    ];
    let mut grid = Grid::new(view, &columns);
    for letter in letters {
        grid.row([
            letter.id.to_string(),
            letter.connection_key.clone(),
            letter.stream.clone(),
            id_of(letter),
            age(letter.last_seen_at, view.now),
            letter.status.to_string(),
            cut(&format!("{}: {}", letter.error_code, letter.message_internal), 120),
        ]);
    }
    grid
}

/// A group as a paragraph: its fingerprint stays in one piece, to be copied.
fn group_paragraphs(view: &View, groups: &[DeadLetterGroup]) -> String {
    let paragraph = |group: &DeadLetterGroup| {
        let seen = format!("first {}, last {}", age(group.first_seen_at, view.now), age(group.last_seen_at, view.now));
        let head = format!(
            "{} x {}  {} {}\n",
            group.count,
            group.error_code,
            plain(&group.connections.join(", ")),
            plain(&group.stream)
        );
        let rest = facts(
            view,
            [
                ("  seen", Some(seen)),
                ("  example", Some(cut(&group.example, 200))),
                ("  look", Some(format!("tidegate errors show {}", group.example_id))),
                ("  remedy", Some(cut(&group.remedy, 200))),
                ("  exhausted", (group.exhausted > 0).then(|| group.exhausted.to_string())),
                ("  retry", Some(retry_command(group))),
            ],
        );
        head + &rest
    };
    groups.iter().map(paragraph).collect::<Vec<_>>().join("\n")
}

/// `tidegate errors list --group`
pub fn dead_letter_groups(view: &View, groups: &[DeadLetterGroup]) -> String {
    if groups.is_empty() {
        return "no open dead letters".to_owned();
    }
    group_paragraphs(view, groups)
}

/// The command that retries a group, to be copied into a shell.
pub fn retry_command(group: &DeadLetterGroup) -> String {
    let plain_word = |c: char| c.is_ascii_alphanumeric() || "_-.:@/+".contains(c);
    let fingerprint = &group.fingerprint;
    if fingerprint.chars().all(plain_word) {
        format!("tidegate errors retry --group {fingerprint}")
    } else {
        format!("tidegate errors retry --group '{}'", fingerprint.replace('\'', "'\\''"))
    }
}

/// `tidegate errors show`: the payload is told by its shape alone; it stands in `integration_raw_events`, under its own rights.
pub fn dead_letter_show(view: &View, letter: &DeadLetter, shape: Option<&[Line]>) -> String {
    let resolved = letter
        .resolved_at
        .map(|at| format!("{} by {}", time_and_age(at, view.now), or_none(letter.resolved_by.as_deref())));
    let mut out = format!("dead letter {}  {}\n\n", letter.id, letter.status);
    out.push_str(&facts(
        view,
        [
            ("where", Some(format!("{} {} ({})", letter.connection_key, letter.stream, letter.client_key))),
            ("external id", Some(id_of(letter))),
            ("came by", Some(format!("{}, run {}, job {}", letter.origin, letter.run_id, letter.job_id))),
            ("raw event", Some(letter.raw_event_id.map_or_else(|| NONE.to_owned(), |id| id.to_string()))),
            ("failed at", Some(letter.stage.to_string())),
            ("error", Some(letter.error_code.clone())),
            ("what", Some(letter.message_internal.clone())),
            ("client reads", Some(letter.message_client_safe.clone())),
            ("remedy", Some(letter.remedy.clone())),
            ("attempts", Some(format!("{}, {} of them by themselves", letter.attempts, letter.retries))),
            ("first seen", Some(time_and_age(letter.first_seen_at, view.now))),
            ("last seen", Some(time_and_age(letter.last_seen_at, view.now))),
            ("next retry", Some(maybe_time(letter.next_retry_at, view.now))),
            ("resolved", resolved),
            ("fingerprint", Some(letter.fingerprint.clone())),
            ("payload hash", Some(letter.payload_hash.clone())),
        ],
    ));
    out.push('\n');
    let Some(shape) = shape else {
        out.push_str("\nno payload is kept\n");
        return out;
    };
    out.push_str("\npayload, values masked\n");
    for line in shape {
        let mark = if line.failing { "  <-- failed" } else { "" };
        out.push_str(&format!("  {}: {}{mark}\n", plain(&line.path), plain(&line.shape)));
    }
    out
}

fn id_of(letter: &DeadLetter) -> String {
    or_none(Some(&letter.external_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::print::{masked, samples};

    #[test]
    fn dead_letters_are_told_one_by_one_and_in_groups() {
        let mut page = samples::dead_letter();
        page.external_id = String::new();
        page.message_internal = "page 3 is not JSON\u{1b}[2J".to_owned();
        let group = DeadLetterGroup {
            fingerprint: "0123456789abcdef0123456789abcdef".to_owned(),
            error_code: "unknown_enum".to_owned(),
            stream: "contacts".to_owned(),
            stage: crate::domain::status::Stage::Map,
            provider_key: "hubspot".to_owned(),
            connections: vec!["acme-hubspot".to_owned(), "bright-hubspot".to_owned()],
            count: 17,
            exhausted: 2,
            example_id: crate::domain::ids::DeadLetterId(5),
            first_seen_at: page.first_seen_at,
            last_seen_at: page.last_seen_at,
            example: page.message_internal.clone(),
            remedy: page.remedy.clone(),
        };
        let view = samples::view();
        let list = dead_letter_list(&view, &[samples::dead_letter(), page]);
        let letter = samples::dead_letter();
        let payload = r#"{"id": 17, "properties": {"email": "ada.lovelace@example.test", "lifecyclestage": "other", "tags": [1, 2]}}"#;
        let shape = masked::shape(payload, &letter.message_internal);
        let text = [list, dead_letter_groups(&view, &[group]), dead_letter_show(&view, &letter, Some(&shape))];
        assert!(!text.concat().contains("lovelace"));
        assert!(!text.concat().contains('\u{1b}'));
        insta::assert_snapshot!(text.join("\n"));
    }
}
