//! What MySQL's and MariaDB's `show grants` says about changing the schema.
//!
//! Owns the reading of grant lines. A line may hold a password's hash: it is never kept, shown or logged, only the names of rights.

use std::collections::BTreeSet;

use super::launch::SchemaRights;

/// Rights that change a schema, as grant lines spell them.
const CHANGING: &[&str] = &[
    "ALL",
    "ALL PRIVILEGES",
    "CREATE",
    "ALTER",
    "DROP",
    "INDEX",
    "REFERENCES",
    "TRIGGER",
    "EVENT",
    "CREATE VIEW",
    "CREATE ROUTINE",
    "ALTER ROUTINE",
    "SUPER",
];

/// What the lines allow on `schema`.
pub fn schema_rights(lines: &[String], schema: &str) -> SchemaRights {
    let mut held = BTreeSet::new();
    let mut roles = 0;
    for line in lines {
        let Some(rest) = strip_word(line.trim(), "GRANT ") else { continue };
        let Some((rights, target)) = split_at_word(rest, " ON ") else {
            // A role: what it allows stands in its own grants.
            roles += 1;
            continue;
        };
        if !covers(target, schema) {
            continue;
        }
        held.extend(rights_of(rights).into_iter().filter(|right| CHANGING.contains(&right.as_str())));
    }
    match (held.is_empty(), roles) {
        (false, _) => SchemaRights::Held(held.into_iter().collect()),
        (true, 0) => SchemaRights::None,
        (true, _) => SchemaRights::Unclear("the user has a role, whose rights are not listed".to_owned()),
    }
}

fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let head = text.get(..word.len())?;
    head.eq_ignore_ascii_case(word).then(|| &text[word.len()..])
}

/// Splits at the first `word` that stands outside of quotes.
fn split_at_word<'a>(text: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '`' | '\'' | '"') => quote = Some(c),
            None => {
                if let Some(rest) = text.get(at..).and_then(|tail| strip_word(tail, word)) {
                    return Some((&text[..at], rest));
                }
            }
        }
    }
    None
}

/// The rights of a list, without their columns: `SELECT (a, b), INSERT`.
fn rights_of(text: &str) -> Vec<String> {
    let mut rights = vec![String::new()];
    let mut depth = 0_u32;
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => rights.push(String::new()),
            c if depth == 0 => {
                if let Some(last) = rights.last_mut() {
                    last.push(c.to_ascii_uppercase());
                }
            }
            _ => {}
        }
    }
    rights.into_iter().map(|right| right.trim().to_owned()).filter(|right| !right.is_empty()).collect()
}

/// Whether a target such as `` `tide\_gate`.* `` or `*.*` reaches into the schema.
fn covers(target: &str, schema: &str) -> bool {
    let target = target.trim_start();
    let target =
        ["TABLE ", "FUNCTION ", "PROCEDURE "].iter().find_map(|word| strip_word(target, word)).unwrap_or(target);
    if target.starts_with("*.") {
        return true;
    }
    let pattern = match target.strip_prefix('`') {
        Some(quoted) => quoted.split('`').next().unwrap_or_default(),
        None => target.split(['.', ' ']).next().unwrap_or_default(),
    };
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = schema.chars().collect();
    like(&pattern, &name)
}

/// `%`, `_` and `\` as the server reads them in a grant's database name.
fn like(pattern: &[char], name: &[char]) -> bool {
    match pattern {
        [] => name.is_empty(),
        ['%', rest @ ..] => (0..=name.len()).any(|skipped| like(rest, &name[skipped..])),
        ['\\', c, rest @ ..] => name.first().is_some_and(|n| n.eq_ignore_ascii_case(c)) && like(rest, &name[1..]),
        ['_', rest @ ..] => !name.is_empty() && like(rest, &name[1..]),
        [c, rest @ ..] => name.first().is_some_and(|n| n.eq_ignore_ascii_case(c)) && like(rest, &name[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(lines: &[&str]) -> SchemaRights {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        schema_rights(&lines, "tide_gate")
    }

    #[test]
    fn p20_a_user_of_rows_is_told_from_one_that_can_change_the_schema() {
        let usage = "GRANT USAGE ON *.* TO `a`@`%` IDENTIFIED BY PASSWORD '*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19'";
        let held = |names: &[&str]| SchemaRights::Held(names.iter().map(|name| (*name).to_owned()).collect());
        let rows = "GRANT SELECT (`id`, `drop`), INSERT, UPDATE, DELETE ON `tide\\_gate`.* TO `a`@`%`";
        assert_eq!(rights(&[usage, rows]), SchemaRights::None);
        for (line, names) in [
            ("GRANT ALL PRIVILEGES ON *.* TO 'root'@'localhost' WITH GRANT OPTION", &["ALL PRIVILEGES"][..]),
            ("GRANT ALL PRIVILEGES ON `tide\\_gate`.* TO `a`@`%`", &["ALL PRIVILEGES"]),
            ("GRANT SELECT, CREATE, ALTER ON `tide%`.* TO `a`@`%`", &["ALTER", "CREATE"]),
            ("GRANT DROP ON `tide_gate`.`crm_leads` TO `a`@`%`", &["DROP"]),
            ("grant create on tide_gate.* to a", &["CREATE"]),
        ] {
            assert_eq!(rights(&[usage, rows, line]), held(names), "{line}");
        }
        for line in [
            "GRANT ALL PRIVILEGES ON `other`.* TO `a`@`%`",
            "GRANT ALL PRIVILEGES ON `tide\\_gate2`.* TO `a`@`%`",
            "GRANT CREATE TEMPORARY TABLES, LOCK TABLES ON `tide\\_gate`.* TO `a`@`%`",
        ] {
            assert_eq!(rights(&[usage, line]), SchemaRights::None, "{line}");
        }
        assert!(matches!(rights(&[usage, "GRANT `writer`@`%` TO `a`@`%`"]), SchemaRights::Unclear(_)));
    }

    #[test]
    fn no_password_hash_is_carried_on() {
        let line =
            "GRANT ALL PRIVILEGES ON *.* TO `a`@`%` IDENTIFIED BY PASSWORD '*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19'";
        assert!(!format!("{:?}", rights(&[line])).contains("2470"));
    }
}
