//! Listings that move while they are read, tokens that the last record is, and what is told of a listing that cannot be played.

use super::{
    Outcome, Scenario,
    testing::{BEARER, Folder},
    tests::{failed, failures},
};

#[tokio::test]
async fn a_look_back_does_not_bring_an_old_record_that_moved_over_the_edge_and_a_count_that_falls_does() {
    use Scenario::ShiftedByDeletion;
    for family in ["page", "offset"] {
        let with = |extra: &str| {
            let cursor = format!("      cursor_granularity: PT1S\n{extra}");
            Folder::of(family, BEARER).with(&[("      cursor_granularity: PT1S\n", cursor.as_str())])
        };
        for extra in ["      lookback_window: PT1H\n", "      lookback_window: P10D\n", "      step: P1D\n"] {
            let found = failed(&with(extra).play(&[ShiftedByDeletion]).await);
            assert!(found.len() == 1 && found[0].1.contains("past the record"), "{family} {extra}: {found:?}");
        }
        // Nothing goes any more that no look-back reaches, or some that is older does.
        for (settled, lost) in [("P10D", false), ("P11D", true)] {
            let extra = format!("    primary_key: [id]\n    x-tidegate: {{ settled_after: {settled} }}");
            let folder = with("      lookback_window: P10D\n").with(&[("    primary_key: [id]", extra.as_str())]);
            assert_eq!(failed(&folder.play(&[ShiftedByDeletion]).await).len(), usize::from(lost), "{family} {settled}");
        }
        // Each window fits into a page.
        assert_eq!(failed(&with("      step: PT10M\n").play(&[ShiftedByDeletion]).await), [], "{family}");
        for extra in ["", "      lookback_window: PT1H\n", "      step: P1D\n"] {
            let mut told = with(extra)
                .with(&[("    primary_key: [id]", "    primary_key: [id]\n    x-tidegate: { total: total }")]);
            for (_, text) in &mut told.files {
                *text = text.replace("]}", "], \"total\": 4}");
            }
            assert_eq!(failed(&told.play(&[ShiftedByDeletion]).await), [], "{family} {extra}");
        }
    }
}

#[tokio::test]
async fn a_token_of_a_field_that_is_a_number_or_a_time_is_another_for_each_record() {
    let by = |value: &str| {
        let mut folder =
            Folder::of("last_record_by_another_field", BEARER).with(&[("{{ last_record['lead'] }}", value)]);
        for (_, text) in &mut folder.files {
            for id in 1..=4 {
                let other =
                    format!("\"job\": {{\"no\": 70{id}, \"at\": \"2026-05-0{id}T00:00:00Z\"}}, \"lead\": \"l-{id}\"");
                *text = text.replace(&format!("\"lead\": \"l-{id}\""), &other);
            }
        }
        folder
    };
    for value in
        ["{{ last_record['job']['no'] }}", "{{ last_record.job.at }}", "{{ response['items'][-1]['job']['no'] }}"]
    {
        let told = by(value).play(&[Scenario::PagingToTheEnd, Scenario::CursorTies, Scenario::EmptyListing]).await;
        let wrong: Vec<_> = failed(&told)
            .into_iter()
            .filter(|(of, _)| *of != Scenario::EmptyListing || !value.contains("[-1]"))
            .collect();
        assert_eq!(wrong, [], "{value}");
    }
}

#[tokio::test]
async fn a_stop_condition_that_no_fixture_can_fulfil_is_told_with_what_it_needs() {
    let folder = Folder::of("last_record_until_a_short_page", BEARER)
        .with(&[("last_page_size < 20", "last_page_size < config.get('most', 20)")]);
    let found = failures(&folder, true).await;
    assert!(
        found.iter().any(|(id, why)| id == "simulated" && why.contains("compare last_page_size with 0")),
        "{found:#?}"
    );
}

#[tokio::test]
async fn an_address_that_each_installation_has_for_itself_is_no_missing_one() {
    let own = Folder::of("token", BEARER).with(&[
        ("https://api.acme.example/v1", "\"{{ config['base_url'] }}/v1\""),
        ("required: [start_date]", "required: [start_date, base_url]"),
        ("      start_date: { type: string }", "      start_date: { type: string }\n      base_url: { type: string }"),
    ]);
    assert_eq!(failures(&own, true).await, []);
    let optional = own.with(&[("required: [start_date, base_url]", "required: [start_date]")]);
    assert!(failures(&optional, true).await.iter().any(|(id, _)| id == "hosts"));
}

#[tokio::test]
async fn a_stamp_that_is_null_until_the_first_edit_is_read_with_the_one_of_the_making_beside_it() {
    let coalesced = "    primary_key: [id]\n    transformations:\n      - type: AddFields\n        fields:\n          - { path: [changed_at], value: \"{{ record['updated_at'] or record['created_at'] }}\", value_type: string }";
    let folder = Folder::of("token", BEARER).with(&[
        ("    primary_key: [id]", coalesced),
        ("cursor_field: updated_at", "cursor_field: changed_at"),
        ("          since: ", "          \"filter[_or][0][updated_at][_gte]\": \"{{ stream_interval['start_time'] }}\"\n          \"filter[_or][1][created_at][_gte]\": "),
    ]);
    assert_eq!(failed(&folder.play(Scenario::ALL).await), []);
}

#[tokio::test]
async fn a_stamp_of_a_form_of_its_own_is_played_in_the_form_that_the_provider_has() {
    let made = "    primary_key: [id]\n    transformations:\n      - type: AddFields\n        fields:\n          - { path: [ms], value: \"{{ record['changed'] | regex_search('Date[(]([0-9]+)') }}\" }";
    let mails = "%a, %d %b %Y %H:%M:%S %z";
    let stamp = regex::Regex::new(r#""updated_at": "[^"]*""#).unwrap();
    for (written, key, field, format) in [
        ("/Date(1777593600000+0000)/", made, "cursor_field: ms", "%ms"),
        ("Fri, 01 May 2026 00:00:00 +0000", "    primary_key: [id]", "cursor_field: changed", mails),
    ] {
        let mut folder = Folder::of("token", BEARER).with(&[
            ("    primary_key: [id]", key),
            ("cursor_field: updated_at", field),
            ("%Y-%m-%dT%H:%M:%SZ", format),
        ]);
        for (_, text) in &mut folder.files {
            *text = stamp.replace_all(text, format!("\"changed\": \"{written}\"")).into_owned();
        }
        let told = folder.play(&[Scenario::PagingToTheEnd, Scenario::CursorTies, Scenario::LateEdit]).await;
        assert!(told.iter().all(|(_, outcome)| matches!(outcome, Outcome::Passed)), "{written}: {told:?}");
    }
}

#[tokio::test]
async fn a_report_for_each_day_without_the_day_in_it_is_not_played_and_its_fixtures_are() {
    let day = "    primary_key: [day]\n    transformations:\n      - { type: AddFields, fields: [{ path: [day], value: \"{{ stream_interval['start_time'] }}\", value_type: string }] }";
    let mut folder = Folder::of("token", BEARER).with(&[
        ("    primary_key: [id]", day),
        ("cursor_field: updated_at", "step: P1D\n      cursor_field: day"),
        ("field_path: [items]", "field_path: []"),
    ]);
    for (name, text) in &mut folder.files {
        if name.contains("page_") {
            *text = r#"{"lead": "l-1", "kind": "call", "amount": "12"}"#.to_owned();
        }
    }
    let found = failures(&folder, true).await;
    assert!(found.iter().all(|(id, _)| id != "simulated"), "{found:#?}");
}

#[test]
fn an_address_of_the_manifest_is_told_whole_and_that_of_the_simulated_provider_as_it_was_meant() {
    for (reason, told) in [
        ("'http://127.0.0.1:8055' is asked without TLS", "'http://127.0.0.1:8055' is asked without TLS"),
        ("http://127.0.0.1:4711/https/api.acme.example/v1: 500", "http://api.acme.example/v1: 500"),
    ] {
        let Outcome::Failed { reason, .. } = Outcome::failed(reason, "x") else { panic!() };
        assert_eq!(reason, told);
    }
}
