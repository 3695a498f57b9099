//! Reads the lines of `show grants`, as MySQL and MariaDB write them.
//!
//! Owns the grammar: words, three kinds of quotes, column lists, roles. Refuses to guess: a line that is not understood is
//! an error, never a line without rights. Nothing behind `TO` is kept but whether rights may be passed on: there stand the
//! user's name and the hash of its password.

/// What one line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    Rights(Rights),
    /// Roles are granted by this line, by their names; `admin`: they may be passed on.
    Roles {
        names: Vec<Role>,
        admin: bool,
    },
    /// Takes rights away, or names the default role.
    Nothing,
}

/// A role as the server names it; MySQL's have a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Role {
    pub name: String,
    pub host: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// Words in capitals, with whether they hold for some columns only.
    pub words: Vec<(String, bool)>,
    pub object: Object,
    /// `WITH GRANT OPTION`
    pub grantable: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// `*.*`
    Everything,
    /// A pattern, as it stands in the line: `_` and `%` match, a backslash takes that from them.
    Schema(String),
    Table(String, String),
    /// A procedure or function of that schema.
    Routine(String),
    /// Another user (`PROXY`).
    User,
}

/// The line is not one that this program knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line of show grants that this program cannot read")]
pub struct Unreadable;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// In capitals.
    Word(String),
    Quoted(String),
    Symbol(char),
}

fn tokens(line: &str) -> Result<Vec<Token>, Unreadable> {
    let mut tokens = Vec::new();
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            c if c.is_whitespace() => {}
            '`' | '\'' | '"' => {
                let mut text = String::new();
                loop {
                    match rest.next().ok_or(Unreadable)? {
                        // A doubled quote is one of the name's own.
                        q if q == c && rest.peek() == Some(&c) => text.extend(rest.next()),
                        q if q == c => break,
                        other => text.push(other),
                    }
                }
                tokens.push(Token::Quoted(text));
            }
            c if c.is_alphanumeric() || matches!(c, '_' | '$') => {
                let mut word = String::from(c);
                while let Some(more) = rest.next_if(|c| c.is_alphanumeric() || matches!(c, '_' | '$')) {
                    word.push(more);
                }
                tokens.push(Token::Word(word.to_uppercase()));
            }
            c => tokens.push(Token::Symbol(c)),
        }
    }
    Ok(tokens)
}

fn is(token: Option<&Token>, word: &str) -> bool {
    matches!(token, Some(Token::Word(found)) if found == word)
}

/// Reads one line.
///
/// # Errors
/// [`Unreadable`]; the line itself is not in it.
pub fn parse(line: &str) -> Result<Line, Unreadable> {
    let tokens = tokens(line)?;
    match tokens.first() {
        Some(Token::Word(word)) if word == "GRANT" => grant(&tokens[1..]),
        Some(Token::Word(word)) if word == "REVOKE" || word == "SET" => Ok(Line::Nothing),
        _ => Err(Unreadable),
    }
}

fn grant(tokens: &[Token]) -> Result<Line, Unreadable> {
    let at = |word: &str| tokens.iter().position(|token| is(Some(token), word));
    let to = at("TO").ok_or(Unreadable)?;
    let with = tokens.iter().rposition(|token| is(Some(token), "WITH"));
    let option = |word: &str| with.is_some_and(|with| tokens[with..].iter().any(|token| is(Some(token), word)));
    match at("ON").filter(|on| *on < to) {
        None => Ok(Line::Roles { names: roles(&tokens[..to])?, admin: option("ADMIN") }),
        Some(on) => {
            let words = words(&tokens[..on])?;
            let object = object(&tokens[on + 1..to])?;
            Ok(Line::Rights(Rights { words, object, grantable: option("GRANT") }))
        }
    }
}

fn roles(tokens: &[Token]) -> Result<Vec<Role>, Unreadable> {
    let role = |tokens: &[Token]| match tokens {
        [Token::Quoted(name)] => Ok(Role { name: name.clone(), host: None }),
        [Token::Quoted(name), Token::Symbol('@'), Token::Quoted(host)] => {
            Ok(Role { name: name.clone(), host: Some(host.clone()) })
        }
        _ => Err(Unreadable),
    };
    tokens.split(|token| *token == Token::Symbol(',')).map(role).collect()
}

/// `SELECT, UPDATE (a, b), CREATE TEMPORARY TABLES`
fn words(tokens: &[Token]) -> Result<Vec<(String, bool)>, Unreadable> {
    let (mut found, mut word, mut columns, mut depth) = (Vec::new(), Vec::new(), false, 0);
    for token in tokens.iter().chain([&Token::Symbol(',')]) {
        match token {
            Token::Symbol('(') => (depth, columns) = (depth + 1, true),
            Token::Symbol(')') => depth -= 1,
            _ if depth > 0 => {}
            Token::Word(part) => word.push(part.as_str()),
            Token::Symbol(',') if !word.is_empty() => {
                found.push((word.join(" "), columns));
                (word, columns) = (Vec::new(), false);
            }
            Token::Symbol(_) | Token::Quoted(_) => return Err(Unreadable),
        }
    }
    if depth == 0 { Ok(found) } else { Err(Unreadable) }
}

fn object(tokens: &[Token]) -> Result<Object, Unreadable> {
    if tokens.contains(&Token::Symbol('@')) {
        return Ok(Object::User);
    }
    let (kind, name) = match tokens.iter().position(|token| *token == Token::Symbol('.')) {
        Some(dot) if dot >= 1 => tokens.split_at(dot - 1),
        _ => return Err(Unreadable),
    };
    let text = |token: &Token| match token {
        Token::Quoted(name) => Ok(name.clone()),
        // A name without quotes: capitals do not matter to the comparisons that follow.
        Token::Word(name) => Ok(name.to_lowercase()),
        Token::Symbol(_) => Err(Unreadable),
    };
    let [schema, _, table] = name else { return Err(Unreadable) };
    match (kind.first(), schema, table) {
        (None, Token::Symbol('*'), Token::Symbol('*')) => Ok(Object::Everything),
        (None, schema, Token::Symbol('*')) => Ok(Object::Schema(text(schema)?)),
        (kind, schema, table) if kind.is_none() || is(kind, "TABLE") => Ok(Object::Table(text(schema)?, text(table)?)),
        (Some(Token::Word(_)), schema, _) => Ok(Object::Routine(text(schema)?)),
        _ => Err(Unreadable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(words: &[(&str, bool)], object: Object, grantable: bool) -> Line {
        let words = words.iter().map(|(word, columns)| ((*word).to_owned(), *columns)).collect();
        Line::Rights(Rights { words, object, grantable })
    }

    #[test]
    fn p19_lines_of_both_servers_are_read() {
        let schema = |name: &str| Object::Schema(name.to_owned());
        let table = |schema: &str, table: &str| Object::Table(schema.to_owned(), table.to_owned());
        let role = |name: &str, host: Option<&str>| Role { name: name.to_owned(), host: host.map(str::to_owned) };
        for (line, expected) in [
            // MariaDB 10.11
            (
                "GRANT USAGE ON *.* TO `r`@`%` IDENTIFIED BY PASSWORD '*6891F9D51EB5A38D1BB310DDBC6379A189A4F575'",
                rights(&[("USAGE", false)], Object::Everything, false),
            ),
            (
                r"GRANT SELECT, INSERT ON `tg\_a`.* TO `r`@`%`",
                rights(&[("SELECT", false), ("INSERT", false)], schema(r"tg\_a"), false),
            ),
            (
                "GRANT SELECT (`id`, `b`), UPDATE (`b`) ON `a`.`t` TO `r`@`%`",
                rights(&[("SELECT", true), ("UPDATE", true)], table("a", "t"), false),
            ),
            (
                "GRANT ALL PRIVILEGES ON *.* TO `r`@`localhost` IDENTIFIED VIA mysql_native_password USING 'x' OR unix_socket WITH GRANT OPTION",
                rights(&[("ALL PRIVILEGES", false)], Object::Everything, true),
            ),
            ("GRANT `role` TO `r`@`%` WITH ADMIN OPTION", Line::Roles { names: vec![role("role", None)], admin: true }),
            ("GRANT SELECT ON `test`.* TO PUBLIC", rights(&[("SELECT", false)], schema("test"), false)),
            ("SET DEFAULT ROLE `role` FOR `r`@`%`", Line::Nothing),
            (
                "GRANT EXECUTE ON PROCEDURE `a`.`p` TO `r`@`%`",
                rights(&[("EXECUTE", false)], Object::Routine("a".to_owned()), false),
            ),
            (
                "GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION",
                rights(&[("PROXY", false)], Object::User, true),
            ),
            // MySQL 5.7 and 8
            ("GRANT USAGE ON *.* TO 'r'@'10.%' REQUIRE SSL", rights(&[("USAGE", false)], Object::Everything, false)),
            (
                "GRANT BACKUP_ADMIN,SET_USER_ID ON *.* TO `r`@`%` WITH GRANT OPTION",
                rights(&[("BACKUP_ADMIN", false), ("SET_USER_ID", false)], Object::Everything, true),
            ),
            (
                "GRANT `a`@`%`,`b`@`localhost` TO `r`@`%`",
                Line::Roles { names: vec![role("a", Some("%")), role("b", Some("localhost"))], admin: false },
            ),
            ("REVOKE INSERT ON `mysql`.* FROM `r`@`%`", Line::Nothing),
            (
                "GRANT CREATE TEMPORARY TABLES ON \"a\".* TO \"r\"@\"%\"",
                rights(&[("CREATE TEMPORARY TABLES", false)], schema("a"), false),
            ),
            // Names that try to look like grammar.
            (
                "GRANT SELECT ON `a ON *.* TO x`.* TO `WITH GRANT OPTION`@`%`",
                rights(&[("SELECT", false)], schema("a ON *.* TO x"), false),
            ),
            ("GRANT SELECT ON `a``b`.`t` TO `r`@`%`", rights(&[("SELECT", false)], table("a`b", "t"), false)),
        ] {
            assert_eq!(parse(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn p19_what_is_not_understood_is_an_error_and_not_shown() {
        for line in [
            "",
            "ALLOW SELECT ON a.* TO r",
            "GRANT SELECT ON `a`.* `r`",
            "GRANT SELECT ON `a TO `r`@`%`",
            "GRANT SELECT ON a TO r",
            "GRANT SELECT (`x` ON a.* TO r",
            "GRANT SELECT ON *.`t` TO r",
            "GRANT `x` y TO r",
            "GRANT 'SELECT' ON `a`.* TO r",
        ] {
            assert_eq!(parse(line), Err(Unreadable), "{line}");
        }
    }
}
