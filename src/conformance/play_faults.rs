//! Scenarios about answers that are none: refusals, limits, errors, in the middle of a listing.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Outcome,
    play::{Found, recovers, safe, walk, whole},
    provider::{Canned, Quirks},
    setup::Setup,
    walk::Walk,
};
const FOR_EVER: u32 = 1_000_000;
/// What a limit asks for, in seconds.
const WAIT: i64 = 7;

/// The provider's own error of that name: `fixtures/errors/NAME.json`, its body alone, or `{status, headers, body}`.
pub(super) fn own_error(setup: &Setup<'_>, name: &str) -> Option<Canned> {
    let file = setup.dir.join("fixtures").join("errors").join(format!("{name}.json"));
    let given: Value = serde_json::from_str(&std::fs::read_to_string(file).ok()?).ok()?;
    let Some(body) = given.get("body") else { return Some(Canned::new(name.parse().ok()?, &given)) };
    let status = given.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
    let mut canned = Canned::new(status.or_else(|| name.parse().ok())?, body);
    for (name, value) in given.get("headers").and_then(Value::as_object).into_iter().flatten() {
        canned = canned.header(name, value.as_str().unwrap_or_default());
    }
    Some(canned)
}

/// An error of that status: the provider's own, or a usual one.
fn error(setup: &Setup<'_>, status: u16) -> Canned {
    let usual = || Canned::new(status, &json!({"code": status, "message": "the request was refused"}));
    own_error(setup, &status.to_string()).unwrap_or_else(usual)
}

fn struck<'s>(setup: &'s Setup<'s>, times: u32, canned: Canned) -> Result<Walk<'s>, Outcome> {
    let quirks = Quirks { canned: Some((setup.middle(), times, canned)), ..Quirks::default() };
    walk(setup, setup.rows(setup.three_pages()), quirks)
}

/// An error that stays: it must be told as one of these, keep the cursor, and lose nothing once it is over.
async fn told_and_recovered(setup: &Setup<'_>, canned: Canned, kinds: &[&str], what: &str) -> Found {
    let mut walk = struck(setup, FOR_EVER, canned)?;
    let ran = walk.run(None).await;
    if let Some(wrong) = safe(&ran) {
        return Ok(Some(wrong));
    }
    match &ran.error {
        None => return Ok(Some(format!("{what} was taken for the end of the listing"))),
        Some(error) if !kinds.is_empty() && !kinds.contains(&error.kind.code()) => {
            return Ok(Some(format!("{what} ended as {}, not as {}", error.kind.code(), kinds.join(" or "))));
        }
        Some(_) => {}
    }
    Ok(recovers(&mut walk, what).await)
}

pub(super) async fn unauthorized(setup: &Setup<'_>) -> Found {
    if setup.profile.auth == "none" {
        return Err(Outcome::not_applicable("the stream proves nobody"));
    }
    let mut walk = struck(setup, 1, error(setup, 401))?;
    let ran = walk.run(None).await;
    if let Some(wrong) = whole(&walk, &ran) {
        return Ok(Some(format!("one 401, and then a good credential: {wrong}")));
    }
    told_and_recovered(setup, error(setup, 401), &["auth_failed"], "a credential that is refused").await
}

pub(super) async fn limited(setup: &Setup<'_>) -> Found {
    let now = super::setup::begin();
    let mut canned = error(setup, 429);
    let (name, moment) = setup.profile.wait_headers.first().cloned().unwrap_or(("retry-after".to_owned(), false));
    let told = canned.headers.iter().any(|(have, _)| have.eq_ignore_ascii_case(&name));
    if !told {
        let value = if moment { now.micros() / 1_000_000 + WAIT } else { WAIT };
        canned = canned.header(&name, &value.to_string());
    }
    waited(setup, canned, if told { 1 } else { WAIT }).await
}

pub(super) async fn retry_after_zero(setup: &Setup<'_>) -> Found {
    let canned = Canned::new(429, &json!({"message": "too many requests"})).header("retry-after", "0");
    waited(setup, canned, 1).await
}

/// After a limit the provider is left alone for so many seconds, and then read to the end.
async fn waited(setup: &Setup<'_>, canned: Canned, seconds: i64) -> Found {
    let mut walk = struck(setup, 2, canned)?;
    let ran = walk.run(None).await;
    if let Some(wrong) = whole(&walk, &ran) {
        return Ok(Some(wrong));
    }
    let world = walk.provider.world();
    let own =
        |asked: &&super::asked::Asked| setup.own.is_match(asked.url.as_str().split('?').next().unwrap_or_default());
    let at: Vec<_> = world.asked.iter().filter(own).map(|asked| asked.at).collect();
    let from = usize::try_from(setup.middle()).unwrap_or(0);
    let gap = at.windows(2).skip(from).take(2).map(|pair| pair[1].since(pair[0])).min().unwrap_or_default();
    let wanted = Duration::from_secs(u64::try_from(seconds).unwrap_or(1));
    Ok((gap < wanted).then(|| {
        format!("the provider was asked again after {} ms, and must be left alone for {seconds} s", gap.as_millis())
    }))
}

pub(super) async fn server_error(setup: &Setup<'_>) -> Found {
    let mut walk = struck(setup, 1, error(setup, 500))?;
    let ran = walk.run(None).await;
    if let Some(wrong) = whole(&walk, &ran) {
        return Ok(Some(format!("one 500, and then a good answer: {wrong}")));
    }
    told_and_recovered(setup, error(setup, 500), &["provider_unavailable"], "a provider that is down").await
}

pub(super) async fn not_json(setup: &Setup<'_>) -> Found {
    let mut canned = Canned::new(200, &Value::Null);
    canned.headers = vec![("content-type".to_owned(), "text/html".to_owned())];
    canned.body = b"<html><body><h1>Down for maintenance</h1></body></html>".to_vec();
    told_and_recovered(setup, canned, &[], "a page of HTML with status 200").await
}

pub(super) async fn error_with_200(setup: &Setup<'_>) -> Found {
    let usual =
        || Canned::new(200, &json!({"error": {"code": "internal", "message": "the listing could not be made"}}));
    let canned = own_error(setup, "200").unwrap_or_else(usual);
    told_and_recovered(setup, canned, &[], "an error with status 200").await
}

pub(super) async fn rights(setup: &Setup<'_>) -> Found {
    let missing = "a right that is missing";
    let found = told_and_recovered(
        setup,
        error(setup, 403),
        &["permission_missing", "auth_failed", "request_rejected"],
        missing,
    )
    .await?;
    if found.is_some() {
        return Ok(found);
    }
    told_and_recovered(setup, error(setup, 404), &[], "a listing that is suddenly not found").await
}

pub(super) async fn short_token(setup: &Setup<'_>) -> Found {
    if !setup.profile.fetches_token && setup.profile.auth != "jwt" {
        return Err(Outcome::not_applicable(format!("the credential does not run out ({})", setup.profile.auth)));
    }
    let quirks = Quirks { token_life: Some(300), takes: Duration::from_secs(130), ..Quirks::default() };
    let rows = if setup.paged() { 4 * setup.page() + 1 } else { 5 };
    let mut walk = walk(setup, setup.rows(rows), quirks)?;
    let ran = walk.run(None).await;
    if let Some(wrong) = whole(&walk, &ran) {
        return Ok(Some(format!("a token that is good for five minutes, under a longer pull: {wrong}")));
    }
    Ok(None)
}
