//! What must be safe before anything runs: the daemon proves that its own database user is narrow (P19).
//!
//! Owns when a user that is not refuses the start, and the words for it.

use super::{App, exit::Exit, failure::Failure, print::notices};
use crate::{
    domain::status::Environment,
    settings::NarrowUser,
    store::{SharedStore, rights::Rights},
};

/// What an administrator does about a user with the wrong rights.
pub const REMEDY: &str = "an administrator runs what `tidegate grants` prints, and database.url names the runtime user";

/// Whether a user that is not narrow stops the start: as set, or when a connection is `production`.
///
/// # Errors
/// The database cannot be read.
pub async fn narrow_user_required(app: &App, store: &SharedStore) -> Result<bool, Failure> {
    Ok(match app.settings.database.require_narrow_user {
        NarrowUser::Yes => true,
        NarrowUser::No => false,
        NarrowUser::Auto => {
            let connections = store.connections().await?;
            connections.iter().any(|connection| connection.spec.environment == Environment::Production)
        }
    })
}

/// Proves the database user's rights. One that could change the schema or other people's data is refused where that is
/// required, else warned of, once. On SQLite there is nothing to prove.
///
/// # Errors
/// Exit code 6 with what is too much, or the database cannot be asked.
pub async fn prove_narrow_user(app: &App, store: &SharedStore) -> Result<(), Failure> {
    let required = narrow_user_required(app, store).await?;
    let rights = match store.rights().await {
        Ok(Some(rights)) => rights,
        Ok(None) => return Ok(()),
        // What cannot be proven does not hold.
        Err(crate::store::StoreError::Schema(what)) if required => {
            return Err(Failure::new(Exit::Unsafe, what).remedy(REMEDY));
        }
        Err(error) => return Err(error.into()),
    };
    if !rights.excess.is_empty() {
        let what = too_much(&rights);
        if required {
            return Err(Failure::new(Exit::Unsafe, what).remedy(REMEDY));
        }
        notices::warn(&format!("{what}; {REMEDY} (refused once a connection is production)"));
    }
    if !rights.missing.is_empty() {
        notices::warn(&format!("{}; {REMEDY}", too_little(&rights)));
    }
    Ok(())
}

/// The sentence for rights beyond the need.
pub fn too_much(rights: &Rights) -> String {
    format!("the database user may do more than move rows: {}", rights.excess.join("; "))
}

/// The sentence for rights short of the need.
pub fn too_little(rights: &Rights) -> String {
    const SHOWN: usize = 6;
    let more = rights.missing.len().saturating_sub(SHOWN);
    let shown = rights.missing.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("the database user lacks {shown}{rest}")
}
