//! Which policy holds, and when a call has to wait.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::{
    connector::manifest::reader::Load,
    yaml::{self, Dialect},
};

fn load(text: &str) -> (Engine, Arc<BudgetPlan>) {
    let tree = yaml::parse(text, Dialect::Yaml11).unwrap();
    let load = Load::default();
    let plan = budget(&Component::root(&tree, &load));
    assert!(load.problems.borrow().is_empty(), "{text}: {:?}", load.problems.borrow());
    (load.engine.into_inner(), Arc::new(plan))
}

fn scope() -> Scope {
    Scope::new(at(0), &Arc::new(json!({"limit": 2})))
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_micros(1_769_846_400_000_000 + millis * 1_000).unwrap()
}

fn asked(url: &Url) -> Asked<'_> {
    Asked { method: "GET", url, headers: &[] }
}

#[test]
fn the_first_policy_that_fits_holds() {
    let text = r#"{policies: [
        {type: UnlimitedCallRatePolicy, matchers: [{type: HttpRequestRegexMatcher, params: {sandbox: true}}]},
        {type: UnlimitedCallRatePolicy, matchers: [{type: HttpRequestRegexMatcher, method: post, url_path_pattern: "^/v1/"}]},
        {type: UnlimitedCallRatePolicy, matchers: [{type: HttpRequestRegexMatcher, url_base: "https://other.example/"}, {type: HttpRequestRegexMatcher, headers: {X-Kind: a}}]},
        {type: UnlimitedCallRatePolicy, matchers: [{type: HttpRequestRegexMatcher, url_path_pattern: "things$", weight: "{{ config.limit }}"}]}]}"#;
    let (_, plan) = load(text);
    let headers = [("x-kind".to_owned(), "a".to_owned())];
    for (method, url, headers, expected) in [
        ("GET", "https://api.example/v1/a?sandbox=True", &[][..], Some(0)),
        ("GET", "https://api.example/v1/a?sandbox=true", &[], None),
        ("POST", "https://api.example/v1/a", &[], Some(1)),
        ("POST", "https://api.example/v2/v1/a", &[], None),
        ("GET", "https://other.example/a", &[], Some(2)),
        ("GET", "https://other.example:8443/a", &[], None),
        ("GET", "https://api.example/a", &headers, Some(2)),
        ("GET", "https://api.example/v2/things/", &[], Some(3)),
    ] {
        let url: Url = url.parse().unwrap();
        let found = plan.policy(Asked { method, url: &url, headers }).map(|(at, _)| at);
        assert_eq!(found, expected, "{method} {url}");
    }
}

#[test]
fn a_moving_window_lets_so_many_calls_through_and_tells_the_wait() {
    let text = r#"{policies: [{type: MovingWindowCallRatePolicy, matchers: [], rates: [{limit: "{{ config['limit'] }}", interval: PT1S}, {limit: 3, interval: PT10S}]}]}"#;
    let (engine, plan) = load(text);
    let mut budget = Budget::new(&plan, &engine, &scope()).unwrap();
    let url: Url = "https://api.example/a".parse().unwrap();
    let mut take = |millis| budget.take(asked(&url), at(millis)).unwrap().map(|wait| wait.as_millis());
    assert_eq!(take(0), None);
    assert_eq!(take(100), None);
    assert_eq!(take(200), Some(801));
    assert_eq!(take(1_001), None);
    assert_eq!(take(1_002), Some(8_999));
    assert_eq!(take(10_001), None);
}

#[test]
fn a_fixed_window_begins_with_its_first_call_and_hears_the_provider() {
    let text = r#"{policies: [{type: FixedWindowCallRatePolicy, period: PT1M, call_limit: 2, matchers: [{weight: 1}]}], ratelimit_reset_header: X-Reset}"#;
    let (engine, plan) = load(text);
    let mut budget = Budget::new(&plan, &engine, &scope()).unwrap();
    let url: Url = "https://api.example/a".parse().unwrap();
    let take = |budget: &mut Budget, millis| budget.take(asked(&url), at(millis)).unwrap();
    assert_eq!(take(&mut budget, 0), None);
    assert_eq!(take(&mut budget, 1_000), None);
    assert_eq!(take(&mut budget, 30_000).unwrap().as_millis(), 30_001);
    assert_eq!(take(&mut budget, 60_001), None);
    // The account is used elsewhere, too: nothing is left, and the window ends sooner.
    let header = |name: &str| match name {
        "x-reset" => Some("1769846465".to_owned()),
        _ => None,
    };
    budget.learn(asked(&url), 429, &header, at(60_002));
    assert_eq!(take(&mut budget, 60_003).unwrap().as_millis(), 4_998);
    assert_eq!(take(&mut budget, 65_001), None);
}

#[test]
fn what_no_window_can_hold_is_refused() {
    let text =
        r#"{policies: [{type: FixedWindowCallRatePolicy, period: PT1M, call_limit: 2, matchers: [{weight: 3}]}]}"#;
    let (engine, plan) = load(text);
    let url: Url = "https://api.example/a".parse().unwrap();
    let error = Budget::new(&plan, &engine, &scope()).unwrap().take(asked(&url), at(0)).unwrap_err();
    assert!(error.message.contains("counts as 3 calls"), "{}", error.message);
}
