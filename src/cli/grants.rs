//! `tidegate grants`: the SQL that makes the four narrow database users. Asks no database and makes no password.

use secrecy::ExposeSecret;
use serde_json::json;

use super::{App, Done, args::GrantsArgs, failure::Failure, print::Output};
use crate::{settings::Engine, store::rights::users};

const BEFORE: &str = "\
-- The four database users of Tidegate, for MySQL and MariaDB. Nothing of this was executed.
--   migrate   makes and changes the schema; only for `tidegate migrate`
--   runtime   reads and writes rows of named tables; for everything else. No DDL, no DELETE, no grants
--   report    reads business and proof tables; no credentials, no payloads
--   portal    reads the view portal_cards, nothing else
-- Fill in, with quotes: <host> (from where they come, e.g. 'localhost' or '10.0.0.%') and each password.
-- The server refuses the text while they are not filled in. Over a network, add `require ssl` to each user.

-- 1. As administrator, once, before the first `tidegate migrate`:
";
const AFTER: &str = "\
-- 2. As administrator, after each `tidegate migrate` that changed something (a grant needs its table to be there).
--    The view portal_cards reads with the rights of who made it: keep the migrate user.
";

/// Does `grants`.
///
/// # Errors
/// [`Failure`]: the database's name cannot stand in SQL.
pub fn run(app: &App, args: &GrantsArgs, out: Output) -> Done {
    if app.settings.database.engine == Engine::Sqlite {
        let text = "SQLite has no users: who may write the file may do everything. Keep the file and its folder to the user that runs \
                    tidegate (chmod 700); for narrow users, set database.url to MySQL or MariaDB";
        return app.show(out, &json!({"applicable": false, "engine": "sqlite", "sql": null}), |_| text.to_owned());
    }
    let schema = schema(app)?;
    let (before, after) = (users::users_sql(&schema, &args.prefix), users::tables_sql(&schema, &args.prefix));
    let sql = if args.tables { after.clone() } else { format!("{before}{after}") };
    let document = json!({
        "applicable": true, "engine": "mysql", "schema": schema, "users": users::names(&args.prefix), "sql": sql,
    });
    app.show(out, &document, |_| {
        if args.tables { format!("{AFTER}{after}") } else { format!("{BEFORE}{before}\n{AFTER}{after}") }
    })
}

/// The database's name in `database.url`.
fn schema(app: &App) -> Result<String, Failure> {
    let url = url::Url::parse(app.settings.database.url.expose_secret()).ok();
    let name = url.map(|url| url.path().trim_start_matches('/').to_owned()).unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$');
    if name.is_empty() || !name.chars().all(plain) {
        return Err(Failure::usage("the database's name in database.url is not one of letters, digits, _, - and $")
            .remedy("name the schema that Tidegate has for itself: mysql://user@host/tidegate"));
    }
    Ok(name)
}

/// A prefix stands in names of users, inside of quotes; a MySQL user's name has at most 32 characters.
pub fn prefix(text: &str) -> Result<String, &'static str> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let fine = !text.is_empty() && text.len() <= 24 && text.chars().all(plain);
    if fine { Ok(text.to_owned()) } else { Err("one to 24 small letters, digits and _ are expected") }
}
