//! What MySQL and MariaDB let this user do: asked, read, and tried.
//!
//! A session of its own: roles are switched in it, and it is thrown away afterwards.

use std::collections::VecDeque;

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use super::{
    Connection, dialect,
    fault::{Class, Fault, classify},
    store::{Lent, Store},
};
use crate::store::{
    StoreError,
    rights::{
        Rights, RightsStore,
        grant_lines::{self, Line, Role},
        judge::judge,
        users::known_tables,
    },
};

const DURING: &str = "prove the rights of the database user";
/// Roles that are looked into; more is a maze, and refused.
const MOST_ROLES: usize = 100;

const PROBE: &str = "create table tidegate_rights_probe (id int)";
const UNDO_PROBE: &str = "drop table tidegate_rights_probe";

#[async_trait]
impl RightsStore for Store {
    async fn rights(&self) -> Result<Option<Rights>, StoreError> {
        self.read(DURING, async {
            // Never given back: its roles are not those of the others.
            let mut lent = Lent::of(&self.inner.writer).await?;
            let session = lent.session();
            let schema: String = sqlx::query_scalar("select database()").fetch_one(&mut *session).await?;
            let lines = lines(session).await?;
            let mut rights = judge(&lines, &schema, &known_tables());
            if rights.excess.is_empty() && makes_a_table(session).await? {
                rights.excess.push("CREATE worked, although no grant was found that allows it".to_owned());
            }
            Ok(Some(rights))
        })
        .await
    }
}

fn unreadable() -> Fault {
    Fault::Refused(StoreError::Schema(
        "show grants has a line that this program cannot read, so the rights of the database user cannot be proven"
            .to_owned(),
    ))
}

/// The user's own lines, those of all its roles, active or not, and what everybody has.
async fn lines(session: &mut Connection) -> Result<Vec<Line>, Fault> {
    let mariadb: bool = sqlx::query_scalar("select version() like '%MariaDB%'").fetch_one(&mut *session).await?;
    let mut lines = show(session, "show grants").await?;
    let mut known: Vec<Role> = Vec::new();
    let mut waiting: VecDeque<Role> = roles(&lines);
    while let Some(role) = waiting.pop_front() {
        if known.contains(&role) {
            continue;
        }
        if known.len() >= MOST_ROLES {
            return Err(unreadable());
        }
        let name = quoted(&role.name);
        let more = if mariadb {
            match session.execute(AssertSqlSafe(format!("set role {name}"))).await {
                Ok(_) => show(session, "show grants").await?,
                // A role of a role cannot be switched to; what it allows stood among the lines of the outer one.
                Err(error) if dialect::is_no_role_of_ours(&error) => Vec::new(),
                Err(error) => return Err(error.into()),
            }
        } else {
            let host = quoted(role.host.as_deref().unwrap_or("%"));
            show(session, &format!("show grants for current_user() using {name}@{host}")).await?
        };
        known.push(role);
        waiting.extend(roles(&more));
        lines.extend(more);
    }
    if mariadb {
        session.execute("set role none").await?;
        // Servers before 10.11 know nobody called PUBLIC.
        lines.extend(show(session, "show grants for public").await.unwrap_or_default());
    }
    Ok(lines)
}

async fn show(session: &mut Connection, text: &str) -> Result<Vec<Line>, Fault> {
    let rows = session.fetch_all(AssertSqlSafe(text.to_owned())).await?;
    let line = |row: &super::Row| grant_lines::parse(&row.try_get_unchecked::<String, _>(0).ok()?).ok();
    rows.iter().map(|row| line(row).ok_or_else(unreadable)).collect()
}

fn roles(lines: &[Line]) -> VecDeque<Role> {
    let named = lines.iter().flat_map(|line| match line {
        Line::Roles { names, .. } => names.as_slice(),
        Line::Rights(_) | Line::Nothing => &[],
    });
    named.cloned().collect()
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Grants can be misread; what the server does cannot.
async fn makes_a_table(session: &mut Connection) -> Result<bool, Fault> {
    match session.execute(PROBE).await {
        Ok(_) => {
            session.execute(UNDO_PROBE).await?;
            Ok(true)
        }
        Err(error) if dialect::is_denied(&error) => Ok(false),
        Err(error) => match classify(DURING, &error) {
            // It is there already: the right was checked before that.
            Class::Final(StoreError::Database { .. }) => Ok(true),
            Class::Final(error) => Err(Fault::Refused(error)),
            Class::Busy(_) | Class::Lost(_) => Err(Fault::Sql(error)),
        },
    }
}
