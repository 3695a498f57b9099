//! Stored credentials as a table: everything but the secret.

use super::{
    View,
    table::{Grid, narrow, number, text, word},
    words::{NONE, maybe_time},
};
use crate::{store::credentials::CredentialFacts, vault::Rewrapped};

/// One line for each credential.
pub fn credential_list(view: &View, facts: &[CredentialFacts]) -> String {
    let narrow = narrow(view);
    let mut columns =
        vec![word("credential"), word("connection"), number("version"), text("state"), text("token ends")];
    if !narrow {
        columns.extend([text("stored"), word("key"), text("last error")]);
    }
    let mut grid = Grid::new(view, &columns);
    for fact in facts {
        let state = if fact.revoked_at.is_some() { "revoked".to_owned() } else { fact.refresh_state.to_string() };
        let mut row = vec![
            fact.credential_key.clone(),
            fact.connection_key.clone(),
            fact.version.to_string(),
            state,
            maybe_time(fact.expires_at, view.now),
        ];
        if !narrow {
            row.extend([
                maybe_time(Some(fact.stored_at), view.now),
                fact.key_id.clone(),
                fact.last_error.clone().unwrap_or_else(|| NONE.to_owned()),
            ]);
        }
        grid.row(row);
    }
    grid.or("no credential is stored; tidegate credential set KEY --connection CONNECTION stores one")
}

/// What a rewrap came to, and which credentials it could not open.
pub fn rewrapped(done: &Rewrapped, dry_run: bool) -> String {
    let verb = if dry_run { "would be wrapped" } else { "wrapped" };
    let mut text = format!("{} {verb} with the current key, {} under it already\n", done.rewrapped.len(), done.current);
    for (key, why) in &done.failed {
        text.push_str(&format!("  {key}: {why}\n"));
    }
    text
}
