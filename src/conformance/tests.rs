//! A right connector of each family passes; a wrong one fails in the scenario that it is wrong in.

use super::{
    Outcome, Scenario, examine,
    score::{self, Known},
    testing::{BEARER, Folder},
};
use crate::connector::registry::Catalogue;

/// The scenarios that failed, with their reasons.
pub(super) fn failed(told: &[(Scenario, Outcome)]) -> Vec<(Scenario, String)> {
    let failed = told.iter().filter_map(|(scenario, outcome)| match outcome {
        Outcome::Failed { reason, .. } => Some((*scenario, reason.clone())),
        Outcome::Passed | Outcome::NotApplicable { .. } => None,
    });
    failed.collect()
}

#[tokio::test]
async fn a_right_connector_of_each_paging_family_passes_but_for_what_its_provider_cannot_keep() {
    use Scenario::{LateEdit, ShiftedByDeletion, SilentPageCap};
    let mut wrong = Vec::new();
    for (family, weak) in [
        ("token", vec![]),
        ("link", vec![]),
        ("relative_link", vec![]),
        ("bare_link", vec![]),
        ("token_in_an_address", vec![]),
        ("header", vec![]),
        ("header_of_its_own", vec![]),
        ("header_token", vec![]),
        ("header_in_an_address", vec![]),
        ("last_record", vec![]),
        ("last_record_by_another_field", vec![]),
        // A shorter page ends it, whoever made it shorter.
        ("last_record_until_a_short_page", vec![SilentPageCap]),
        ("counter", vec![]),
        // Counting records loses what moves (an edited record leaves the window), and a short page is the last one.
        ("page", vec![LateEdit, SilentPageCap, ShiftedByDeletion]),
        ("offset", vec![LateEdit, SilentPageCap, ShiftedByDeletion]),
        ("none", vec![SilentPageCap]),
    ] {
        let told = Folder::of(family, BEARER).play(Scenario::ALL).await;
        let found: Vec<_> = failed(&told).into_iter().collect();
        let names: Vec<_> = found.iter().map(|(scenario, _)| *scenario).collect();
        if names != weak {
            wrong.push(format!("{family}: {found:#?}"));
        }
        let applicable = told.iter().filter(|(_, outcome)| !matches!(outcome, Outcome::NotApplicable { .. })).count();
        assert!(applicable >= 20, "{family}: only {applicable} scenarios apply: {told:#?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_next_address_in_a_header_of_its_own_may_be_relative_and_is_not_guessed_to_be_whole() {
    let right = Folder::of("header_of_its_own", BEARER);
    let whole = right.clone().with(&[(
        r#"cursor_value: "{{ headers['next-page'] }}""#,
        r#"cursor_value: "{{ headers['next-page'] if headers.get('next-page', '')[:4] == 'http' }}""#,
    )]);
    for (folder, passes) in [(right, true), (whole, false)] {
        let told = folder.play(&[Scenario::PagingToTheEnd, Scenario::RelativeNextAddress]).await;
        assert_eq!(told[0].1, Outcome::Passed);
        assert_eq!(told[1].1 == Outcome::Passed, passes, "{told:?}");
    }
}

/// The authenticators that a provider may want.
fn authenticators() -> [(&'static str, &'static str); 9] {
    [
        ("api_key in a header", r#"{ type: ApiKeyAuthenticator, api_token: "{{ config['token'] }}", header: X-Key }"#),
        (
            "api_key in the query",
            r#"{ type: ApiKeyAuthenticator, api_token: "{{ config['token'] }}", inject_into: { type: RequestOption, inject_into: request_parameter, field_name: key } }"#,
        ),
        ("basic", r#"{ type: BasicHttpAuthenticator, username: api, password: "{{ config['token'] }}" }"#),
        (
            "oauth refresh",
            r#"{ type: OAuthAuthenticator, token_refresh_endpoint: https://api.acme.example/oauth/token, client_id: id, client_secret: "{{ config['token'] }}", refresh_token: "{{ config['token'] }}" }"#,
        ),
        (
            "client credentials",
            r#"{ type: OAuthAuthenticator, token_refresh_endpoint: https://login.acme.example/token, client_id: id, client_secret: "{{ config['token'] }}", grant_type: client_credentials }"#,
        ),
        (
            "session token",
            r#"{ type: SessionTokenAuthenticator, login_requester: { type: HttpRequester, url_base: https://api.acme.example, path: /login, http_method: POST, authenticator: { type: NoAuth }, request_body_json: { password: "{{ config['token'] }}" } }, session_token_path: [session, id], request_authentication: { type: ApiKey, inject_into: { type: RequestOption, inject_into: header, field_name: X-Session } } }"#,
        ),
        (
            "jwt",
            r#"{ type: JwtAuthenticator, secret_key: "{{ config['token'] }}", algorithm: HS256, token_duration: 300 }"#,
        ),
        (
            "jwt of a key in hexadecimal",
            r#"{ type: JwtAuthenticator, secret_key: "{{ config['token'].split(':')[1] }}", algorithm: HS256, token_duration: 240, x-tidegate: { secret_key_encoding: hex } }"#,
        ),
        ("bearer", BEARER),
    ]
}

#[tokio::test]
async fn a_right_connector_of_each_auth_family_passes_also_when_its_token_lives_five_minutes() {
    use Scenario::{PagingToTheEnd, ShortLivedToken, UnauthorizedMidway};
    for (name, auth) in authenticators() {
        let example = ("airbyte_secret: true", "airbyte_secret: true, examples: [\"64a1f0:00ff10aa\"]");
        let told = Folder::of("token", auth)
            .with(&[example])
            .play(&[PagingToTheEnd, UnauthorizedMidway, ShortLivedToken])
            .await;
        assert_eq!(failed(&told), [], "{name}");
        let lives = matches!(told[2].1, Outcome::Passed);
        let expected =
            ["oauth refresh", "client credentials", "session token"].contains(&name) || name.starts_with("jwt");
        assert_eq!(lives, expected, "{name}: {:?}", told[2].1);
    }
}

/// A response filter beside the path.
fn filter(rule: &str) -> (&'static str, String) {
    let handler = format!(
        "path: /things\n        error_handler: {{ type: DefaultErrorHandler, response_filters: [{{ type: HttpResponseFilter, {rule} }}] }}"
    );
    ("path: /things", handler)
}

/// Requests that ask from later than the cursor says.
fn later(by: &str) -> (&'static str, String) {
    let since = format!(
        r#""{{{{ (str_to_datetime(stream_interval['start_time']) + duration('{by}')).strftime('%Y-%m-%dT%H:%M:%SZ') }}}}""#
    );
    (r#""{{ stream_interval['start_time'] }}""#, since)
}

/// The scenario, the paging family, the authenticator, and what is exchanged in the manifest.
type Wrong<'w> = (Scenario, &'w str, &'w str, Vec<(&'w str, String)>);

#[tokio::test]
async fn every_scenario_fails_a_connector_that_is_wrong_in_it() {
    use Scenario as S;
    let text = |(from, to): (&'static str, &'static str)| (from, to.to_owned());
    let endless = text((
        r#"cursor_value: "{{ response.next }}", stop_condition: "{{ not response.next }}""#,
        r#"cursor_value: "{{ response.next or 'start' }}", stop_condition: "{{ response['items'] | length > 0 and not response.next }}""#,
    ));
    let first_id = text((
        r#"cursor_value: "{{ response.next }}", stop_condition: "{{ not response.next }}""#,
        r#"cursor_value: "{{ response.next or (response['items'][0]['id'] | string)[:0] }}", stop_condition: "{{ false }}""#,
    ));
    let stop =
        |condition: &str| (r#"stop_condition: "{{ not response.next }}""#, format!(r#"stop_condition: "{condition}""#));
    let ordered = text(("    primary_key: [id]", "    primary_key: [id]\n    x-tidegate: { ordered_by_cursor: true }"));
    let transformed = |template: &str, path: &str| {
        let steps = format!(
            "    primary_key: [id]\n    transformations:\n      - {{ type: AddFields, fields: [{{ type: AddedFieldDefinition, path: [{path}], value: \"{template}\" }}] }}"
        );
        ("    primary_key: [id]", steps)
    };
    let ignored = |rule: &str| vec![filter(&format!("{rule}, action: IGNORE"))];
    let session = authenticators()[5].1;
    let cases: Vec<Wrong<'_>> = vec![
        (
            S::PagingToTheEnd,
            "token",
            BEARER,
            vec![text((
                ", page_token_option: { type: RequestOption, inject_into: request_parameter, field_name: after }",
                "",
            ))],
        ),
        (S::EmptyListing, "token", BEARER, vec![endless.clone()]),
        (S::EmptyPageBetween, "token", BEARER, vec![stop("{{ response['items'] | length == 0 }}")]),
        (
            S::RepeatedPage,
            "token",
            BEARER,
            vec![stop("{{ not response.next or response.next == next_page_token['next_page_token'] }}")],
        ),
        (S::CursorTies, "token", BEARER, vec![ordered.clone(), later("PT1S")]),
        (S::WholeSeconds, "token", BEARER, vec![later("PT1S")]),
        (
            S::UnstampedUntilEdited,
            "token",
            BEARER,
            vec![text((
                "        type: RecordSelector",
                "        type: RecordSelector\n        record_filter: { type: RecordFilter, condition: \"{{ record.updated_at }}\" }",
            ))],
        ),
        (S::DeletedRecord, "token", BEARER, vec![later("PT3H")]),
        (S::LateEdit, "token", BEARER, vec![later("PT3H")]),
        (S::UnauthorizedMidway, "token", BEARER, ignored("http_codes: [401]")),
        (S::RateLimited, "token", BEARER, vec![filter("http_codes: [429], action: FAIL")]),
        (S::RetryAfterZero, "token", BEARER, ignored("http_codes: [429]")),
        (S::ServerError, "token", BEARER, ignored("http_codes: [500]")),
        (S::NotJson, "token", BEARER, ignored("error_message_contains: maintenance")),
        (
            S::ErrorWithStatus200,
            "token",
            BEARER,
            vec![filter("predicate: \"{{ 'error' in response }}\", action: IGNORE")],
        ),
        (S::RightsLikeMissingRows, "token", BEARER, ignored("http_codes: [403, 404]")),
        (S::SilentPageCap, "offset", BEARER, vec![]),
        (S::ObjectOrEmptyList, "token", BEARER, vec![first_id]),
        (S::NextPastTheEnd, "token", BEARER, vec![endless]),
        (S::ShortLivedToken, "token", session, ignored("http_codes: [401]")),
        (S::ShiftedByDeletion, "page", BEARER, vec![]),
        (S::ShiftedByAddition, "page", BEARER, vec![later("PT3H")]),
        (S::NewestFirst, "token", BEARER, vec![ordered, text(("page_size: 3", "page_size: 1"))]),
        (S::NumbersAsText, "token", BEARER, vec![transformed("{{ record['amount'] | int }}", "amount")]),
        (
            S::ForeignStamps,
            "token",
            BEARER,
            vec![transformed(
                "{{ record['created_at'] if record['created_at'][:2] == '20' else '2020-01-01T00:00:00Z' }}",
                "created_at",
            )],
        ),
        (
            S::RelativeNextAddress,
            "link",
            BEARER,
            vec![stop("{{ not response.next or not response.next.startswith('http') }}")],
        ),
        (
            S::UnknownParametersRefused,
            "token",
            BEARER,
            vec![text(("          since:", "          state: \"null\"\n          since:"))],
        ),
    ];
    for scenario in S::ALL {
        assert!(cases.iter().any(|(of, ..)| of == scenario), "nobody shows that {} can fail", scenario.id());
    }
    let mut wrong = Vec::new();
    for (scenario, family, auth, edits) in cases {
        let edits: Vec<(&str, &str)> = edits.iter().map(|(from, to)| (*from, to.as_str())).collect();
        let folder = Folder::of(family, auth).with(&edits);
        let told = folder.play(&[scenario]).await;
        match &told[0].1 {
            Outcome::Failed { reason, remedy } if !reason.is_empty() && !remedy.is_empty() => {}
            other => wrong.push(format!("{}: {other:?}", scenario.id())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Checks of a whole folder that failed.
pub(super) async fn failures(folder: &Folder, write: bool) -> Vec<(String, String)> {
    let (_dir, catalogue) = folder.load();
    let report = examine(catalogue.folder("acme").unwrap(), write).await.unwrap();
    report.failures().map(|(check, reason, _)| (check.id.clone(), reason.to_owned())).collect()
}

#[tokio::test]
async fn a_folder_passes_whole_and_each_static_check_can_fail() {
    assert_eq!(failures(&Folder::of("token", BEARER), true).await, []);
    let mut cases: Vec<(&str, Folder)> = Vec::new();
    let right = || Folder::of("token", BEARER);
    let readme = |cell: &str| Folder { readme: right().readme.replace(cell, "| Nothing "), ..right() };
    cases.push(("readme_account_access", readme("| Account access ")));
    cases.push(("readme_auth", readme("| Auth model ")));
    cases.push(("readme_scopes", readme("| Scopes ")));
    cases.push(("readme_limits", readme("| Limits ")));
    cases.push(("readme_revocation", readme("| Revocation ")));
    cases.push(("readme_manual_fallback", readme("| Manual fallback ")));
    cases.push(("readme_documentation", Folder { readme: right().readme.replace("## Pages", "Pages"), ..right() }));
    cases.push(("readme_tried", Folder { readme: right().readme.replace("Tried against", "Against"), ..right() }));
    let mut real = right();
    real.files[0].1 = real.files[0].1.replace("l-1", "ada@gmail.com");
    cases.push(("invented_fixtures", real));
    cases.push(("limits", right().with(&[(", limits: { requests_per_second: 50, burst: 50 }", "")])));
    cases.push(("hosts", right().with(&[("https://api.acme.example/v1", "\"{{ config['base'] }}\"")])));
    cases.push(("primary_key", right().with(&[("    primary_key: [id]\n", "")])));
    let cursorless = right().manifest;
    let (before, after) = cursorless.split_once("    incremental_sync:").unwrap();
    let after = after.split_once("spec:").unwrap().1;
    let plain = before.replace("          since: \"{{ stream_interval['start_time'] }}\"\n          until: \"{{ stream_interval['end_time'] }}\"\n", "          all: \"yes\"\n");
    cases.push(("cursor_or_reason", Folder { manifest: format!("{plain}spec:{after}"), ..right() }));
    let (from, to) = filter("http_codes: [429], action: FAIL");
    cases.push(("error_handling", right().with(&[(from, &to)])));
    let schema = "    primary_key: [id]\n    schema_loader: { type: InlineSchemaLoader, schema: { type: object, properties: { kind: { type: string, enum: [call, visit] } } } }";
    cases.push(("enums_mapped", right().with(&[("    primary_key: [id]", schema)])));
    cases.push(("fixtures", Folder { files: Vec::new(), ..right() }));
    for (id, folder) in cases {
        let found = failures(&folder, true).await;
        assert!(found.iter().any(|(failed, _)| failed == id), "{id} did not fail: {found:#?}");
    }
    let unseen = failures(&Folder::of("token", BEARER), false).await;
    assert_eq!(unseen.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["fixtures_replayed"], "{unseen:#?}");
}

/// The kit over what is shipped: nothing fails, and the score beside each folder is true.
#[tokio::test]
async fn every_shipped_connector_conforms_and_its_score_is_true() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("connectors");
    let (catalogue, problems) = Catalogue::read(&[dir]);
    assert!(problems.is_empty(), "{problems:#?}");
    let mut wrong = Vec::new();
    for folder in catalogue.folders() {
        let report = examine(folder, false).await.unwrap();
        wrong.extend(report.failures().map(|(check, reason, remedy)| {
            format!(
                "{} {}: {}: {reason} ({remedy})",
                folder.provider_key,
                check.stream.as_deref().unwrap_or("-"),
                check.id
            )
        }));
        match score::read(&folder.dir) {
            Known::Score(score) if score.report == report => {}
            other => wrong.push(format!(
                "{}: the score is {}: tidegate validate --conformance --write {}",
                folder.provider_key,
                if matches!(other, Known::Score(_)) { "another".to_owned() } else { other.word() },
                folder.dir.display()
            )),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn an_error_is_no_empty_listing_where_records_are_optional_or_the_whole_body_is_the_list() {
    let optional = Folder::of("token", BEARER)
        .with(&[("    primary_key: [id]", "    primary_key: [id]\n    x-tidegate: { records_optional: true }")]);
    let mut whole = Folder::of("page", BEARER).with(&[("field_path: [items]", "field_path: []")]);
    for (_, text) in &mut whole.files {
        *text = text.replace("{\"items\": ", "").replace("]}", "]");
    }
    for folder in [optional, whole] {
        let told = folder.play(&[Scenario::PagingToTheEnd, Scenario::ErrorWithStatus200]).await;
        assert_eq!(failed(&told), []);
    }
}

#[tokio::test]
async fn what_a_listing_by_pages_loses_is_noticed_where_it_is_sorted_and_counted() {
    let promise = "    primary_key: [id]\n    x-tidegate: { ordered_by_cursor: true, total: total }";
    let mut folder = Folder::of("page", BEARER).with(&[("    primary_key: [id]", promise)]);
    for (_, text) in &mut folder.files {
        *text = text.replace("]}", "], \"total\": 4}");
    }
    let told = folder.play(Scenario::ALL).await;
    assert_eq!(failed(&told), []);
}

#[tokio::test]
async fn a_listing_without_pages_is_whole_below_the_declared_maximum_only() {
    let declared = |most: u32| {
        let promise = format!("    primary_key: [id]\n    x-tidegate: {{ max_page_size: {most} }}");
        Folder::of("none", BEARER).with(&[("    primary_key: [id]", promise.as_str())])
    };
    let told = declared(100).play(&[Scenario::SilentPageCap, Scenario::PagingToTheEnd]).await;
    assert_eq!(failed(&told), []);
    let told = declared(4).play(&[Scenario::PagingToTheEnd]).await;
    assert!(failed(&told)[0].1.contains("max_page_size"), "{told:?}");
}

#[test]
fn every_scenario_has_a_section_in_the_documentation_and_a_remedy_of_its_own() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/conformance.md");
    let text = std::fs::read_to_string(path).unwrap();
    let missing: Vec<_> =
        Scenario::ALL.iter().filter(|scenario| !text.contains(&format!("### `{}`", scenario.id()))).collect();
    assert!(missing.is_empty(), "docs/conformance.md tells nothing of {missing:?}");
}
