//! Scenarios about time: cursors, ties, edits, deletions.

use std::{sync::Arc, time::Duration};

use super::{
    Outcome,
    play::{Found, LATER, read_twice, recovers, walk, whole},
    provider::{Event, Order, Quirks, row},
    setup::Setup,
};
use crate::domain::clock::{Clock as _, Timestamp};

fn with_cursor(setup: &Setup<'_>) -> Result<(), Outcome> {
    if setup.cursor() {
        return Ok(());
    }
    Err(Outcome::not_applicable("the stream has no cursor: each run reads everything"))
}

/// A whole second that both runs read.
fn second(setup: &Setup<'_>) -> Timestamp {
    let at = setup.upto.minus(LATER);
    Timestamp::from_micros(at.micros() / 1_000_000 * 1_000_000).unwrap_or(at)
}

/// A run that is broken off after some pages, and one that goes on from the cursor.
async fn broken_off(setup: &Setup<'_>, rows: &[super::provider::Row], order: Order, after: u32) -> Found {
    let quirks = Quirks { order, ..Quirks::default() };
    let mut walk = walk(setup, rows.to_vec(), quirks)?;
    let ran = walk.run(Some(after)).await;
    if let Some(wrong) = ran.broken.or(ran.past) {
        return Ok(Some(format!("broken off after page {after}: {wrong}")));
    }
    walk.clock.advance(Duration::from_secs(60));
    let ran = walk.run(None).await;
    Ok(whole(&walk, &ran).map(|wrong| format!("broken off after page {after}, then continued: {wrong}")))
}

pub(super) async fn ties(setup: &Setup<'_>) -> Found {
    with_cursor(setup)?;
    let at = second(setup);
    let mut rows = setup.rows_at(setup.three_pages(), at);
    let next = rows.len() as u64;
    rows.push(row(&setup.sample, next, Some(at.plus(Duration::from_secs(30))), 0));
    for after in 1..=3 {
        if let Some(wrong) = broken_off(setup, &rows, Order::Oldest, after).await? {
            return Ok(Some(wrong));
        }
    }
    Ok(None)
}

pub(super) async fn whole_seconds(setup: &Setup<'_>) -> Found {
    with_cursor(setup)?;
    let at = second(setup);
    let mut walk = walk(setup, setup.rows_at(setup.page().max(2), at), Quirks::default())?;
    let ran = walk.run(None).await;
    if let Some(wrong) = whole(&walk, &ran) {
        return Ok(Some(wrong));
    }
    // Written in the same second, after it was read.
    let sample = Arc::clone(&setup.sample);
    walk.provider.world().add(&sample, Some(at));
    Ok(recovers(&mut walk, "another record of the second that was read last").await)
}

pub(super) async fn unstamped(setup: &Setup<'_>) -> Found {
    with_cursor(setup)?;
    let handed_on = |at| setup.trial.emitted(&setup.sample.record(0, at), &setup.partition).is_some();
    if handed_on(Some(setup.upto)) && !handed_on(None) {
        return Ok(Some("the manifest leaves out records that were never changed".to_owned()));
    }
    let mut rows = setup.rows(setup.three_pages());
    for row in rows.iter_mut().step_by(2) {
        *row = super::provider::row(&setup.sample, row.number, None, 0);
    }
    let mut walk = walk(setup, rows, Quirks::default())?;
    let ran = walk.run(None).await;
    if let Some(wrong) = whole(&walk, &ran) {
        return Ok(Some(format!("records that were never changed have no time: {wrong}")));
    }
    let edited = walk.clock.now().plus(LATER / 2);
    walk.provider.world().rows[0] = row(&setup.sample, 0, Some(edited), 0);
    Ok(recovers(&mut walk, "the first change of such a record").await)
}

pub(super) async fn deleted(setup: &Setup<'_>) -> Found {
    let mut walk = walk(setup, setup.rows(setup.three_pages()), Quirks::default())?;
    let ran = walk.run(None).await;
    if let Some(wrong) = whole(&walk, &ran) {
        return Ok(Some(wrong));
    }
    let at = setup.cursor().then(|| walk.clock.now().plus(LATER / 2));
    let sample = Arc::clone(&setup.sample);
    {
        let mut world = walk.provider.world();
        // The oldest, and the one that the cursor stands on.
        for place in [0, world.rows.len() - 1] {
            world.rows[place].gone = true;
        }
        world.add(&sample, at);
    }
    Ok(recovers(&mut walk, "two deletions and an addition").await)
}

pub(super) async fn late_edit(setup: &Setup<'_>) -> Found {
    if let Some(wrong) = of_creation(setup) {
        return Ok(Some(wrong));
    }
    // In the second in which the run began, told in whole seconds: it must not keep its place in what is being read.
    let clock = Arc::clone(&setup.clock);
    let at_once = move || Timestamp::from_micros(clock.now().micros().div_euclid(1_000_000) * 1_000_000);
    let within = (1, Duration::ZERO);
    if let Some(wrong) = edited(setup, within, at_once, "an edit in the second in which the run began").await? {
        return Ok(Some(wrong));
    }
    let later = super::setup::begin().plus(Duration::from_secs(5));
    let within = (setup.middle(), Duration::from_secs(10));
    edited(setup, within, move || Some(later), "an edit of a record that was read already").await
}

/// A record of the first page is edited after so many pages, each of which takes so long.
async fn edited(
    setup: &Setup<'_>,
    (pages, takes): (u32, Duration),
    at: impl Fn() -> Option<Timestamp> + Send + Sync + 'static,
    what: &str,
) -> Found {
    let cursor = setup.cursor();
    let event: Event = Arc::new(move |world, sample| {
        if let Some(place) = world.rows.first_mut() {
            *place = row(sample, 0, at().filter(|_| cursor), place.partition);
        }
    });
    let quirks = Quirks { event: Some((pages, event)), takes, ..Quirks::default() };
    // In the listing that is still being read the edited record may have moved; what counts is that nothing stays behind.
    read_twice(walk(setup, setup.rows(setup.three_pages()), quirks)?, what).await
}

/// Names of fields that keep the time of a record's making, and of those that tell its last change.
const MADE: [&str; 3] = ["creat", "insert", "added"];
const CHANGED: [&str; 4] = ["updat", "modif", "chang", "edit"];

/// Why the cursor cannot see an edit: it follows the making of records that also tell their last change, and looks back nowhere.
fn of_creation(setup: &Setup<'_>) -> Option<String> {
    let named = |name: &str, words: &[&str]| {
        let name = name.to_ascii_lowercase();
        words.iter().any(|word| name.contains(word))
    };
    let field = setup.profile.spec.cursor_field.as_deref()?;
    let now = super::setup::begin();
    if !named(field, &MADE) || named(field, &CHANGED) || setup.trial.looked_back(now) < now {
        return None;
    }
    let record = setup.sample.record(0, Some(now));
    let told = super::sample::leaves(&record).into_iter().find(|pointer| {
        let named = pointer.last().is_some_and(|name| named(name, &CHANGED));
        named && super::sample::get(&record, pointer).is_some_and(|value| setup.trial.may_be_a_time(value))
    })?;
    let changed = told.join(".");
    Some(format!(
        "the cursor follows '{field}', and the provider's records tell their last change in '{changed}': no edit would come"
    ))
}

pub(super) async fn newest_first(setup: &Setup<'_>) -> Found {
    with_cursor(setup)?;
    let rows = setup.rows(setup.three_pages());
    for after in 1..=2 {
        if let Some(wrong) = broken_off(setup, &rows, Order::Newest, after).await? {
            return Ok(Some(wrong));
        }
    }
    Ok(None)
}
