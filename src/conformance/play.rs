//! Playing a scenario: the listing itself, from its first page to its last.

use std::time::Duration;

use super::{
    Outcome, Scenario, play_faults, play_shape, play_shift, play_time,
    provider::{Quirks, Row},
    setup::Setup,
    walk::{Ran, Walk},
};
use crate::{
    connector::{ErrorKind, manifest::trial::Paging},
    domain::clock::Clock as _,
};

/// Time between two runs.
pub(super) const LATER: Duration = Duration::from_secs(3_600);
/// A stuck listing is noticed within so many pages.
const SOON: u32 = 60;

/// A scenario's end: nothing is wrong, or this is.
pub(super) type Found = Result<Option<String>, Outcome>;

/// Plays a scenario with a stream.
pub async fn play(scenario: Scenario, setup: &Setup<'_>) -> Outcome {
    let found = match scenario {
        Scenario::PagingToTheEnd => to_the_end(setup).await,
        Scenario::EmptyListing => empty(setup).await,
        Scenario::EmptyPageBetween => empty_between(setup).await,
        Scenario::RepeatedPage => repeated(setup).await,
        Scenario::NextPastTheEnd => past_the_end(setup).await,
        Scenario::SilentPageCap => capped(setup).await,
        Scenario::ShiftedByDeletion => play_shift::deletion(setup).await,
        Scenario::ShiftedByAddition => play_shift::addition(setup).await,
        Scenario::RelativeNextAddress => relative(setup).await,
        Scenario::UnknownParametersRefused => strict(setup).await,
        Scenario::CursorTies => play_time::ties(setup).await,
        Scenario::WholeSeconds => play_time::whole_seconds(setup).await,
        Scenario::UnstampedUntilEdited => play_time::unstamped(setup).await,
        Scenario::DeletedRecord => play_time::deleted(setup).await,
        Scenario::LateEdit => play_time::late_edit(setup).await,
        Scenario::NewestFirst => play_time::newest_first(setup).await,
        Scenario::UnauthorizedMidway => play_faults::unauthorized(setup).await,
        Scenario::RateLimited => play_faults::limited(setup).await,
        Scenario::RetryAfterZero => play_faults::retry_after_zero(setup).await,
        Scenario::ServerError => play_faults::server_error(setup).await,
        Scenario::NotJson => play_faults::not_json(setup).await,
        Scenario::ErrorWithStatus200 => play_faults::error_with_200(setup).await,
        Scenario::RightsLikeMissingRows => play_faults::rights(setup).await,
        Scenario::ShortLivedToken => play_faults::short_token(setup).await,
        Scenario::ObjectOrEmptyList => play_shape::object_or_list(setup).await,
        Scenario::NumbersAsText => play_shape::numbers(setup),
        Scenario::ForeignStamps => play_shape::stamps(setup),
    };
    match found {
        Ok(wrong) => Outcome::unless(wrong, scenario.remedy()),
        Err(outcome) => outcome,
    }
}

/// A fresh walk; a trial that cannot be made does not apply.
pub(super) fn walk<'s>(setup: &'s Setup<'s>, rows: Vec<Row>, quirks: Quirks) -> Result<Walk<'s>, Outcome> {
    Walk::new(setup, rows, quirks).map_err(Outcome::not_applicable)
}

/// What is wrong with a run that should have read everything.
pub(super) fn whole(walk: &Walk<'_>, ran: &Ran) -> Option<String> {
    let error = ran.error.as_ref().map(|error| format!("the run failed ({}): {error}", error.kind.code()));
    safe(ran).or(error).or_else(|| walk.lost())
}

/// What is wrong with any run, however it ended.
pub(super) fn safe(ran: &Ran) -> Option<String> {
    ran.broken.clone().or_else(|| ran.past.clone())
}

/// A further run, after the provider was mended, brings what is missing.
pub(super) async fn recovers(walk: &mut Walk<'_>, after: &str) -> Option<String> {
    walk.calm(LATER);
    let ran = walk.run(None).await;
    whole(walk, &ran).map(|wrong| format!("after {after}: {wrong}"))
}

/// One run, during which something happens, and one after it that must bring all.
pub(super) async fn read_twice(mut walk: Walk<'_>, after: &str) -> Found {
    let ran = walk.run(None).await;
    let wrong = ran.broken.or_else(|| ran.error.map(|error| format!("the run failed: {error}")));
    if wrong.is_some() {
        return Ok(wrong);
    }
    Ok(recovers(&mut walk, after).await)
}

async fn to_the_end(setup: &Setup<'_>) -> Found {
    let mut walk = walk(setup, setup.rows(setup.three_pages()), Quirks::default())?;
    let ran = walk.run(None).await;
    if let Some(wrong) = whole(&walk, &ran) {
        return Ok(Some(wrong));
    }
    let listed = walk.provider.world().listed;
    if setup.paged() && listed < 3 {
        return Ok(Some(format!("three pages were read with {listed} requests")));
    }
    if walk.kept.is_empty() {
        return Ok(Some("no record arrived".to_owned()));
    }
    let twice = ran.delivered.saturating_sub(walk.kept.len() + walk.broken);
    Ok((twice > 0).then(|| format!("{twice} records came twice, though the provider gave each once")))
}

async fn empty(setup: &Setup<'_>) -> Found {
    let mut walk = walk(setup, Vec::new(), Quirks::default())?;
    let ran = walk.run(None).await;
    if let Some(wrong) = whole(&walk, &ran) {
        return Ok(Some(wrong));
    }
    if !walk.kept.is_empty() || walk.broken > 0 {
        return Ok(Some("an empty listing gave records".to_owned()));
    }
    let now = walk.clock.now();
    let sample = std::sync::Arc::clone(&setup.sample);
    walk.provider.world().add(&sample, setup.cursor().then_some(now.plus(LATER / 2)));
    Ok(recovers(&mut walk, "an empty run, the first record").await)
}

async fn empty_between(setup: &Setup<'_>) -> Found {
    if !matches!(setup.profile.paging, Paging::Token | Paging::Link) {
        return Err(Outcome::not_applicable("an empty page is the end of a listing by number or offset"));
    }
    if setup.pages.by_last_record() {
        return Err(Outcome::not_applicable("the last record leads on: a page without records cannot"));
    }
    let quirks = Quirks { empty_at: Some(1), ..Quirks::default() };
    let mut walk = walk(setup, setup.rows(setup.three_pages()), quirks)?;
    let ran = walk.run(None).await;
    Ok(whole(&walk, &ran))
}

async fn repeated(setup: &Setup<'_>) -> Found {
    if !setup.paged() {
        return Err(Outcome::not_applicable("the listing has one page"));
    }
    if matches!(setup.profile.paging, Paging::Token | Paging::Link) && !setup.pages.by_last_record() {
        let quirks = Quirks { repeat_at: Some(1), ..Quirks::default() };
        let mut once = walk(setup, setup.rows(setup.three_pages()), quirks)?;
        let ran = once.run(None).await;
        if let Some(wrong) = whole(&once, &ran) {
            return Ok(Some(format!("a page that came once more: {wrong}")));
        }
    }
    let quirks = Quirks { repeats: true, ..Quirks::default() };
    let mut walk = walk(setup, setup.rows(setup.three_pages()), quirks)?;
    let ran = walk.run(None).await;
    let wrong = safe(&ran).filter(|_| ran.pages < SOON);
    Ok(match &ran.error {
        Some(error) if error.kind == ErrorKind::Stuck => wrong,
        Some(error) => {
            Some(format!("a listing that repeats one page ended as {}, not as pagination_stuck", error.kind.code()))
        }
        None => Some("a listing that repeats one page for ever was taken for a whole one".to_owned()),
    })
}

async fn past_the_end(setup: &Setup<'_>) -> Found {
    if !setup.paged() {
        return Err(Outcome::not_applicable("the listing has one page"));
    }
    let mut quirks = Quirks { past_end: true, ..Quirks::default() };
    if let Some(canned) = play_faults::own_error(setup, "past_the_end") {
        quirks.canned = Some((2, u32::MAX - 2, canned));
    }
    let mut walk = walk(setup, setup.rows(2 * setup.page()), quirks)?;
    let ran = walk.run(None).await;
    Ok(whole(&walk, &ran))
}

async fn capped(setup: &Setup<'_>) -> Found {
    let asked = setup.trial.page_size();
    let declared = setup.profile.max_page_size;
    if let (Some(asked), Some(most)) = (asked, declared)
        && asked > most
    {
        return Ok(Some(format!("pages of {asked} are asked for, and the provider gives at most {most}")));
    }
    let page = setup.page();
    let (cap, rows) = match (declared, setup.paged()) {
        // What is asked for is within what the provider gives: nothing is cut.
        (Some(_), true) => return Ok(None),
        (Some(most), false) => {
            (usize::try_from(most).unwrap_or(page).min(2_000), usize::try_from(most).unwrap_or(page).min(2_000) + 1)
        }
        (None, true) => (page.saturating_sub(1).max(1), 2 * page + 1),
        (None, false) => (3, page),
    };
    let mut walk = if setup.paged() {
        walk(setup, setup.rows(rows), Quirks { cap: Some(cap), ..Quirks::default() })?
    } else {
        // Without paging, the provider simply holds back what is over its maximum.
        let mut few = walk(setup, setup.rows(cap), Quirks::default())?;
        let ran = few.run(None).await;
        if ran.error.is_some() || ran.total.is_some() {
            return Ok(None);
        }
        return Ok(Some(
            "the listing is not paged, and nothing says how many records the provider gives at most".to_owned(),
        ));
    };
    let ran = walk.run(None).await;
    let noticed = ran.total.is_some_and(|total| usize::try_from(total).is_ok_and(|total| total > walk.kept.len()));
    Ok(match whole(&walk, &ran) {
        Some(_) if noticed && safe(&ran).is_none() => None,
        Some(wrong) => {
            Some(format!("{page} records a page were asked for and the provider gave {cap} at most: {wrong}"))
        }
        None => None,
    })
}

async fn relative(setup: &Setup<'_>) -> Found {
    if !setup.pages.has_address() {
        return Err(Outcome::not_applicable("the answer holds no address of a next page"));
    }
    let rows = setup.rows(setup.three_pages());
    let walk = Walk::with(setup, rows, Quirks::default(), |provider| provider.pages.relative = true);
    let mut walk = walk.map_err(Outcome::not_applicable)?;
    let ran = walk.run(None).await;
    Ok(whole(&walk, &ran))
}

async fn strict(setup: &Setup<'_>) -> Found {
    let quirks = Quirks { strict: true, ..Quirks::default() };
    let mut walk = walk(setup, setup.rows(setup.three_pages()), quirks)?;
    let ran = walk.run(None).await;
    Ok(whole(&walk, &ran))
}
