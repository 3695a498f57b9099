//! Scenarios about listings that are paged by counting, and move while they are read.

use std::{sync::Arc, time::Duration};

use super::{
    Outcome,
    connection::Connection,
    play::{Found, LATER, read_twice, walk},
    provider::{Event, Order, Quirks, Row, row},
    setup::{Setup, begin},
    walk::Walk,
};
use crate::connector::manifest::trial::Paging;

/// A record that a look-back does not reach is older than it by this.
const OLDER: Duration = Duration::from_secs(2 * 86_400);

fn counted(setup: &Setup<'_>) -> Result<(), Outcome> {
    if matches!(setup.profile.paging, Paging::Offset | Paging::Page) {
        return Ok(());
    }
    Err(Outcome::not_applicable("pages are not found by counting records"))
}

pub(super) async fn addition(setup: &Setup<'_>) -> Found {
    counted(setup)?;
    let (now, cursor) = (begin(), setup.cursor());
    let event: Event = Arc::new(move |world, sample| {
        world.add(sample, cursor.then_some(now));
    });
    let order = if setup.profile.ordered { Order::Oldest } else { Order::Newest };
    let quirks = Quirks { order, event: Some((1, event)), ..Quirks::default() };
    let walk = walk(setup, setup.rows(setup.three_pages()), quirks)?;
    read_twice(walk, "an addition while it was read").await
}

pub(super) async fn deletion(setup: &Setup<'_>) -> Found {
    counted(setup)?;
    let newest = setup.profile.data_feed;
    let event: Event = Arc::new(move |world, _| {
        // One of the listing's first page.
        let row = if newest { world.rows.last_mut() } else { world.rows.first_mut() };
        if let Some(row) = row {
            row.gone = true;
        }
    });
    let order = if setup.profile.ordered { Order::Oldest } else { Order::Made };
    let quirks = Quirks { order, event: Some((1, event)), ..Quirks::default() };
    let after = "a deletion while it was read";
    if !setup.cursor() {
        return read_twice(walk(setup, setup.rows(setup.three_pages()), quirks)?, after).await;
    }
    // Configured from before a look-back on, so that what is lost lies before all that a later run asks for.
    let now = begin();
    let back = now.since(setup.trial.looked_back(now));
    let told = Outcome::not_applicable;
    let connection = Connection::of(&setup.dir, &setup.manifest, &setup.profile, now.minus(back)).map_err(told)?;
    let rows = old_rows(setup, &connection);
    read_twice(Walk::by(setup, &connection, rows, quirks).map_err(Outcome::not_applicable)?, after).await
}

/// Three pages of records that no look-back reaches where the provider may still take them away, changed within an hour, and one
/// that was changed of late.
fn old_rows(setup: &Setup<'_>, connection: &Connection) -> Vec<Row> {
    let recent = setup.upto.minus(LATER);
    let whole = connection.whole(&setup.manifest);
    let trial = setup.manifest.trial(&setup.profile.spec.name, begin(), whole);
    let from = trial.and_then(|trial| trial.reach(begin()).ok().flatten()).map(|(from, _)| from);
    let old = setup.trial.looked_back(recent).minus(OLDER);
    // What the provider has settled does not go any more.
    let settled = setup.profile.settled_after.map(|age| age.before(begin()));
    let old = from.into_iter().chain(settled).fold(old, Ord::max).min(recent.minus(LATER));
    let count = setup.three_pages() as u64;
    let at =
        |number: u64| old.plus(LATER / u32::try_from(count).unwrap_or(u32::MAX) * u32::try_from(number).unwrap_or(0));
    let olds = (0..count).map(|number| row(&setup.sample, number, Some(at(number)), 0));
    olds.chain([row(&setup.sample, count, Some(recent), 0)]).collect()
}
