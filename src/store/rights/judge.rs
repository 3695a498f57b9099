//! Holds a user's grants against what the runtime user needs.
//!
//! Owns which rights are harmless. Whatever is not on that short list is too much, also a word that nobody has heard of.

use super::{
    Rights,
    grant_lines::{Line, Object, Rights as Granted},
    users::TABLES,
};

/// The server's own schema: who reads it reads everybody's password hashes.
const SERVER_SCHEMA: &str = "mysql";
/// The longest unknown right that is shown.
const LONGEST_WORD: usize = 40;

/// What the lines give, beyond and short of the need. `schema` is the program's own; `tables` are those it has.
pub fn judge(lines: &[Line], schema: &str, tables: &[&str]) -> Rights {
    let mut rights = Rights::default();
    for line in lines {
        match line {
            Line::Nothing | Line::Roles { admin: false, .. } => {}
            Line::Roles { admin: true, .. } => push(&mut rights.excess, "a role that may be passed on".to_owned()),
            Line::Rights(granted) => {
                let place = place(&granted.object, schema);
                let Some(place) = place else { continue };
                let too_much: Vec<String> = granted
                    .words
                    .iter()
                    .filter(|(word, _)| !harmless(word, &granted.object, schema))
                    .map(|(word, _)| shown(word))
                    .chain(granted.grantable.then(|| "GRANT OPTION".to_owned()))
                    .collect();
                if !too_much.is_empty() {
                    push(&mut rights.excess, format!("{} on {place}", too_much.join(", ")));
                }
            }
        }
    }
    for table in TABLES.iter().filter(|table| tables.contains(&table.name)) {
        for word in table.runtime.words() {
            if !lines.iter().any(|line| gives(line, word, schema, table.name)) {
                push(&mut rights.missing, format!("{word} on {}", table.name));
            }
        }
    }
    rights
}

fn push(list: &mut Vec<String>, text: String) {
    if !list.contains(&text) {
        list.push(text);
    }
}

/// Where a grant reaches, if that concerns us.
fn place(object: &Object, schema: &str) -> Option<String> {
    let ours = |pattern: &str| like(pattern, schema) || like(pattern, SERVER_SCHEMA);
    match object {
        Object::Everything => Some("*.*".to_owned()),
        Object::User => Some("another user".to_owned()),
        Object::Schema(pattern) => ours(pattern).then(|| format!("{pattern}.*")),
        Object::Table(of, table) => {
            [schema, SERVER_SCHEMA].iter().any(|own| same(of, own)).then(|| format!("{of}.{table}"))
        }
        Object::Routine(of) => ours(of).then(|| format!("a routine of {of}")),
    }
}

fn harmless(word: &str, object: &Object, schema: &str) -> bool {
    match object {
        _ if word == "USAGE" => true,
        Object::Everything | Object::User | Object::Routine(_) => false,
        Object::Schema(pattern) => !like(pattern, SERVER_SCHEMA) && matches!(word, "SELECT" | "INSERT" | "UPDATE"),
        Object::Table(of, table) => {
            let deletes =
                || TABLES.iter().any(|known| same(known.name, table) && known.runtime.words().contains(&"DELETE"));
            same(of, schema) && (matches!(word, "SELECT" | "INSERT" | "UPDATE") || (word == "DELETE" && deletes()))
        }
    }
}

/// Whether a line gives this right on this table of ours, whole.
fn gives(line: &Line, word: &str, schema: &str, table: &str) -> bool {
    let Line::Rights(Granted { words, object, .. }) = line else { return false };
    let reaches = match object {
        Object::Everything => true,
        Object::Schema(pattern) => like(pattern, schema),
        Object::Table(of, name) => same(of, schema) && same(name, table),
        Object::Routine(_) | Object::User => false,
    };
    reaches && words.iter().any(|(have, columns)| !columns && (have == word || have == "ALL PRIVILEGES"))
}

/// Words are the server's, not a person's; still only what looks like one is repeated.
fn shown(word: &str) -> String {
    let plain = word.len() <= LONGEST_WORD && word.chars().all(|c| c.is_ascii_alphanumeric() || " _".contains(c));
    if plain { word.to_owned() } else { "a right without a readable name".to_owned() }
}

/// Capitals may or may not matter to the server: we take it that they do not, which finds more.
fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// The pattern of a grant on a schema: `_` is any character, `%` any number of them, a backslash takes that from them.
fn like(pattern: &str, schema: &str) -> bool {
    fn matches(pattern: &[char], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['%', rest @ ..] => (0..=text.len()).any(|skip| matches(rest, &text[skip..])),
            ['_', rest @ ..] => !text.is_empty() && matches(rest, &text[1..]),
            ['\\', c, rest @ ..] | [c, rest @ ..] => text.first() == Some(c) && matches(rest, &text[1..]),
        }
    }
    let chars = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
    matches(&chars(pattern), &chars(schema))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::rights::grant_lines::parse;

    fn excess(lines: &[&str], schema: &str) -> Vec<String> {
        let lines: Vec<Line> = lines.iter().map(|line| parse(line).unwrap()).collect();
        judge(&lines, schema, &[]).excess
    }

    #[test]
    fn p19_only_a_short_list_of_rights_is_harmless() {
        for (line, expected) in [
            ("GRANT USAGE ON *.* TO `r`@`%`", None),
            ("GRANT SELECT, INSERT, UPDATE ON `tg_a`.`crm_leads` TO `r`@`%`", None),
            (r"GRANT SELECT, INSERT, UPDATE ON `tg\_a`.* TO `r`@`%`", None),
            ("GRANT ALL PRIVILEGES ON `other`.* TO `r`@`%`", None),
            (r"GRANT ALL PRIVILEGES ON `tg\_b`.* TO `r`@`%`", None),
            ("GRANT SELECT ON *.* TO `r`@`%`", Some("SELECT on *.*")),
            ("GRANT FILE, PROCESS, SUPER ON *.* TO `r`@`%`", Some("FILE, PROCESS, SUPER on *.*")),
            ("GRANT USAGE ON *.* TO `r`@`%` WITH GRANT OPTION", Some("GRANT OPTION on *.*")),
            ("GRANT ALL PRIVILEGES ON `tg_a`.* TO `r`@`%`", Some("ALL PRIVILEGES on tg_a.*")),
            ("GRANT CREATE ON `TG_A`.* TO `r`@`%`", Some("CREATE on TG_A.*")),
            ("GRANT CREATE ON `tg%`.* TO `r`@`%`", Some("CREATE on tg%.*")),
            ("GRANT CREATE ON `__\\_a`.* TO `r`@`%`", Some("CREATE on __\\_a.*")),
            ("GRANT CREATE ON `%`.* TO PUBLIC", Some("CREATE on %.*")),
            ("GRANT CREATE TEMPORARY TABLES, SELECT ON `tg_a`.* TO `r`@`%`", Some("CREATE TEMPORARY TABLES on tg_a.*")),
            ("GRANT DELETE ON `tg_a`.* TO `r`@`%`", Some("DELETE on tg_a.*")),
            ("GRANT DELETE ON `tg_a`.`event_admin_actions` TO `r`@`%`", Some("DELETE on tg_a.event_admin_actions")),
            ("GRANT DELETE HISTORY ON `tg_a`.`crm_leads` TO `r`@`%`", Some("DELETE HISTORY on tg_a.crm_leads")),
            ("GRANT DROP (`x`) ON `tg_a`.`crm_leads` TO `r`@`%`", Some("DROP on tg_a.crm_leads")),
            ("GRANT TIME TRAVEL ON `tg_a`.* TO `r`@`%`", Some("TIME TRAVEL on tg_a.*")),
            ("GRANT EXECUTE ON FUNCTION `tg_a`.`f` TO `r`@`%`", Some("EXECUTE on a routine of tg_a")),
            ("GRANT SELECT ON `mysql`.`user` TO `r`@`%`", Some("SELECT on mysql.user")),
            ("GRANT SELECT ON `my%`.* TO `r`@`%`", Some("SELECT on my%.*")),
            ("GRANT SELECT ON `tg_a`.`crm_leads` TO `r`@`%` WITH GRANT OPTION", Some("GRANT OPTION on tg_a.crm_leads")),
            ("GRANT PROXY ON ''@'%' TO 'r'@'%'", Some("PROXY on another user")),
            ("GRANT `role` TO `r`@`%` WITH ADMIN OPTION", Some("a role that may be passed on")),
        ] {
            assert_eq!(excess(&[line], "tg_a"), expected.into_iter().collect::<Vec<_>>(), "{line}");
        }
    }

    #[test]
    fn p19_on_a_stock_mariadb_a_schema_named_test_is_open_to_everybody() {
        let public = [
            "GRANT USAGE ON *.* TO `r`@`%`",
            "GRANT SELECT, CREATE, DROP ON `test`.* TO PUBLIC",
            r"GRANT SELECT, CREATE, DROP ON `test\_%`.* TO PUBLIC",
        ];
        assert!(excess(&public, "tidegate").is_empty());
        assert_eq!(excess(&public, "test_tidegate"), [r"CREATE, DROP on test\_%.*"]);
        assert_eq!(excess(&public, "test"), ["CREATE, DROP on test.*"]);
    }

    #[test]
    fn p19_what_the_program_will_miss_is_named() {
        let judged = |line: &str| judge(&[parse(line).unwrap()], "a", &["crm_leads", "event_admin_actions"]).missing;
        let all = ["SELECT", "INSERT", "UPDATE"].map(|word| format!("{word} on crm_leads"));
        let acts = ["SELECT", "INSERT"].map(|word| format!("{word} on event_admin_actions"));
        assert_eq!(judged("GRANT USAGE ON *.* TO `r`@`%`"), [&acts[..], &all[..]].concat());
        assert_eq!(judged("GRANT SELECT, INSERT ON `a`.* TO `r`@`%`"), ["UPDATE on crm_leads"]);
        assert_eq!(judged("GRANT ALL PRIVILEGES ON *.* TO `r`@`%`"), [""; 0]);
        let part = judged("GRANT SELECT (`id`), INSERT, UPDATE ON `a`.`crm_leads` TO `r`@`%`");
        assert!(part.contains(&"SELECT on crm_leads".to_owned()), "{part:?}");
    }
}
