//! Port: what the database lets this program's own user do.
//!
//! Owns the question and its answer; `grant_lines` reads what a server says of grants, `judge` holds it against what the
//! runtime user needs, `users` prints the SQL that makes the four users. A line of `show grants` may hold the hash of a
//! password: none is ever logged, kept or shown, only names of rights and of tables.

pub mod grant_lines;
pub mod judge;
pub mod users;

use async_trait::async_trait;
use serde::Serialize;

use super::StoreError;

/// What the user may do beyond, and short of, what the runtime user needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Rights {
    /// Rights that could change the schema, grants or other data: `CREATE on tidegate.*`. Empty: the user is narrow.
    pub excess: Vec<String>,
    /// Rights that the program will miss: `INSERT on crm_leads`.
    pub missing: Vec<String>,
}

#[async_trait]
pub trait RightsStore: Send + Sync {
    /// Reads the user's grants (with its roles, and what everybody has); when they look narrow, also tries to make a table,
    /// which must be denied. `None`: the engine has no users.
    ///
    /// # Errors
    /// [`StoreError`]; also when the grants cannot be read, for what cannot be proven is not there.
    async fn rights(&self) -> Result<Option<Rights>, StoreError>;
}
