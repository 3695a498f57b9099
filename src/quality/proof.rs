//! Rules about what is shown: periods that can be compared, and texts that a client may read.

use super::{judged::Judged, rules::Rule};
use crate::{
    domain::wording_guard,
    store::quality::{BaselinePair, ClientText, SnapshotShape, Tally},
};

/// Baseline and current must measure the same, and nothing has happened tomorrow.
pub fn period_alignment(future: &[Tally], pairs: &[BaselinePair], rule: &Rule) -> Judged {
    let mut what: Vec<String> =
        future.iter().map(|tally| format!("{} rows in {} lie in the future", tally.rows, tally.table)).collect();
    for BaselinePair { metric_key, baseline, newest } in pairs {
        let differing = differences(baseline, newest, rule.number("window_share"));
        if !differing.is_empty() {
            what.push(format!("{metric_key}: baseline and newest snapshot differ in {}", differing.join(", ")));
        }
    }
    Judged::found(
        &what,
        format!("{} baselines compare like with like", pairs.len()),
        "no row lies in the future; baseline and newest snapshot have one definition, label, unit, currency and window",
        "mend the time's zone in the field map, or set the baseline anew: tidegate metrics baseline",
    )
}

fn differences(baseline: &SnapshotShape, newest: &SnapshotShape, window_share: f64) -> Vec<&'static str> {
    let length = |shape: &SnapshotShape| shape.period_end.since(shape.period_start).as_secs_f64();
    let (one, other) = (length(baseline), length(newest));
    let windows = baseline.period_kind != newest.period_kind || (one - other).abs() > window_share * one.max(other);
    [
        ("definition", baseline.definition != newest.definition),
        ("source label", baseline.source_label != newest.source_label),
        ("unit", baseline.unit != newest.unit),
        ("currency", baseline.currency != newest.currency),
        ("window", windows),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

/// What a client may read holds nothing of a provider's and nothing of a person's (P18). The finding names the place, never the text.
pub fn payload_leak(texts: &[ClientText], provider_names: &[String]) -> Judged {
    let what: Vec<String> = texts
        .iter()
        .flat_map(|ClientText { metric_key, column, text }| {
            let leaks = wording_guard::leaks(text, provider_names);
            leaks.into_iter().map(move |leak| format!("{metric_key}, {column}: {leak}"))
        })
        .take(10)
        .collect();
    Judged::found(
        &what,
        format!("{} texts", texts.len()),
        "no provider's name, address, phone number, id or token in what a client reads",
        "mend the wording where it is declared (source_label, metric, note), apply it and publish again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::status::CheckStatus::{Failed, Passed},
        quality::{key::CheckKey, rules::Rules},
    };

    fn shape() -> SnapshotShape {
        SnapshotShape {
            definition: "d".to_owned(),
            source_label: "CRM".to_owned(),
            period_kind: "month".to_owned(),
            unit: "leads".to_owned(),
            currency: None,
            period_start: "2026-02-01T00:00:00Z".parse().unwrap(),
            period_end: "2026-03-01T00:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn like_is_compared_with_like_and_nothing_lies_in_the_future() {
        let rules = Rules::built_in().unwrap().of("any", "any");
        let rule = rules.iter().find(|rule| rule.key == CheckKey::PeriodAlignment).unwrap();
        let status = |newest: SnapshotShape| {
            let pair = BaselinePair { metric_key: "leads".to_owned(), baseline: shape(), newest };
            period_alignment(&[], &[pair], rule).status
        };
        let march = SnapshotShape {
            period_start: "2026-03-01T00:00:00Z".parse().unwrap(),
            period_end: "2026-04-01T00:00:00Z".parse().unwrap(),
            ..shape()
        };
        assert_eq!(status(march.clone()), Passed, "28 and 31 days are both a month");
        for newest in [
            SnapshotShape { definition: "e".to_owned(), ..march.clone() },
            SnapshotShape { source_label: "Ads".to_owned(), ..march.clone() },
            SnapshotShape { unit: "calls".to_owned(), ..march.clone() },
            SnapshotShape { currency: Some("USD".to_owned()), ..march.clone() },
            SnapshotShape { period_kind: "week".to_owned(), ..march.clone() },
            SnapshotShape { period_end: "2026-03-08T00:00:00Z".parse().unwrap(), ..march },
        ] {
            assert_eq!(status(newest.clone()), Failed, "{newest:?}");
        }
        let future = [Tally { table: "crm_leads", rows: 1 }];
        assert_eq!(period_alignment(&future, &[], rule).status, Failed);
    }

    #[test]
    fn p18_a_finding_in_a_clients_text_names_the_place_and_not_the_value() {
        let text =
            |text: &str| ClientText { metric_key: "leads".to_owned(), column: "client_note", text: text.to_owned() };
        assert_eq!(payload_leak(&[text("New leads")], &["HubSpot".to_owned()]).status, Passed);
        let found = payload_leak(&[text("ask ada@example.test")], &[]);
        assert_eq!(found.status, Failed);
        assert!(found.observed.contains("client_note") && !found.observed.contains("ada"), "{}", found.observed);
    }
}
