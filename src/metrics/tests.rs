//! Facts about definitions and feeds: what is refused, all at once, with line and remedy.

use super::*;
use crate::{
    domain::{metric::Definition, status::MetricUnit},
    store::field_maps::FieldMapState,
};

fn load(text: &str) -> Result<Definitions, Vec<String>> {
    Definitions::load(&[("mine.yaml".to_owned(), text.to_owned())])
        .map_err(|found| found.iter().map(ToString::to_string).collect())
}

/// A good definition with one line exchanged for others.
fn with(key: &str, lines: &str) -> Result<Definitions, Vec<String>> {
    let good = [
        ("key", "key: mine"),
        ("title", "title: Mine"),
        ("meaning", "meaning: How many people asked for work."),
        ("unit", "unit: leads"),
        ("direction", "direction: higher_is_better"),
        ("source", "source: crm_leads"),
        ("aggregation", "aggregation: count"),
        ("time_column", "time_column: received_at"),
        ("period", "period: month"),
        ("more", ""),
    ];
    let entry: String = good
        .iter()
        .map(|(name, line)| if *name == key { lines } else { line })
        .flat_map(str::lines)
        .enumerate()
        .map(|(index, line)| format!("{}{line}\n", if index == 0 { "  - " } else { "    " }))
        .collect();
    load(&format!("metrics:\n{entry}"))
}

#[test]
fn the_built_in_metrics_are_those_that_were_promised() {
    let all = Definitions::load(&[]).unwrap();
    let keys: Vec<&str> = all.keys().collect();
    assert_eq!(
        keys,
        [
            "booked_jobs",
            "booked_value",
            "campaign_spend",
            "client_safe_notes",
            "collected_revenue",
            "ignored_rows",
            "invoiced_revenue",
            "lead_volume",
            "missed_calls",
            "records_corrected",
            "records_reviewed",
            "response_time",
            "review_rating",
            "reviews",
            "search_visits",
        ]
    );
    let prints: std::collections::BTreeSet<String> = all.iter().map(|definition| definition.fingerprint()).collect();
    assert_eq!(prints.len(), keys.len(), "each is computed differently");
}

#[test]
fn a_later_file_replaces_an_entry_by_its_key_and_words_alone_do_not_change_what_is_computed() {
    let built_in = Definitions::load(&[]).unwrap();
    let text = "metrics:\n  - key: lead_volume\n    title: Requests\n    meaning: How many people wanted something.\n    unit: leads\n    \
                direction: higher_is_better\n    source: crm_leads\n    aggregation: count\n    time_column: received_at\n    period: month\n";
    let mine = load(text).unwrap();
    assert_eq!(mine.iter().count(), built_in.iter().count());
    let pair =
        |all: &Definitions| all.get("lead_volume").map(|found| (found.title.clone(), found.fingerprint())).unwrap();
    assert_eq!(pair(&mine).0, "Requests");
    assert_eq!(pair(&mine).1, pair(&built_in).1);
    let zoned = load(&format!("{text}    zone: Europe/Berlin\n")).unwrap();
    assert_ne!(pair(&zoned).1, pair(&built_in).1);
}

#[test]
fn a_definition_is_refused_unless_source_period_unit_and_meaning_are_clear() {
    assert!(with("more", "").is_ok());
    for (key, lines, expected) in [
        ("source", "", "source: is required"),
        ("source", "source: crm_lead", "did you mean `crm_leads`?"),
        ("period", "", "period: is required"),
        ("period", "period: monthly", "did you mean `month`?"),
        ("unit", "", "unit: is required"),
        ("unit", "unit: dollars", "is no unit"),
        ("unit", "unit: money\ncurrency: USD", "`money` is not what is computed"),
        ("meaning", "", "meaning: is required"),
        ("meaning", "meaning: Leads", "is not one sentence"),
        ("meaning", "meaning: One of two. And another one here.", "is not one sentence"),
        ("meaning", "meaning: How many people wrote to ada@example.test today.", "an e-mail address"),
        ("title", "title: Deals of crm_leads", "a piece of a payload"),
        ("more", "note: Call 202-555-0143 for more.", "a phone number"),
        ("more", "next_action: { improved: 'See run 4711471' }", "a raw id"),
        ("more", "next_action: { better: 'Go on.' }", "next_action.better: is not a known key"),
        ("direction", "direction: up", "is no direction"),
        ("time_column", "time_column: stage", "`stage` is no time"),
        ("time_column", "time_column: recieved_at", "did you mean `received_at`?"),
        ("aggregation", "aggregation: sum", "column: is required"),
        ("aggregation", "aggregation: sum\ncolumn: stage", "holds no numbers"),
        ("aggregation", "aggregation: minutes_between", "between: is required"),
        ("aggregation", "aggregation: share", "of: is required"),
        ("aggregation", "aggregation: mean", "is no aggregation"),
        ("more", "currency: USD", "is only for money"),
        ("more", "zone: Berlin", "is no time zone"),
        ("more", "approval: always", "is no approval"),
        ("more", "steady_within_percent: 101", "from 0 to 100"),
        ("more", "filter: [{ column: consent, is: maybe }]", "words: granted, denied, unknown"),
        ("more", "filter: [{ column: stage }]", "needs exactly one test"),
        ("more", "filter: [{ column: stage, is: a, in: [b] }]", "needs exactly one test"),
        ("more", "filter: [{ column: received_at, is: now }]", "cannot be held against a value"),
        ("more", "filter: [{ column: stage, in: [] }]", "from 1 to 50 values"),
        ("more", "filter: [{ colum: stage, is: a }]", "did you mean `column`?"),
        ("more", "filters: []", "did you mean `filter`?"),
        ("key", "key: Lead Volume", "is no key"),
    ] {
        let told = with(key, lines).expect_err(lines).join("\n");
        assert!(told.contains(expected), "{lines}: {told}");
        assert!(told.contains("mine.yaml:"), "{told}");
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let told =
        load("metrics:\n  - { key: a, unit: leads }\n  - { key: a, source: nowhere }\nmetric: []\n").unwrap_err();
    for part in [
        "title: is required",
        "meaning: is required",
        "declared twice",
        "no table `nowhere`",
        "did you mean `metrics`?",
    ] {
        assert!(told.iter().any(|line| line.contains(part)) || part == "declared twice", "{part}: {told:#?}");
    }
    assert!(told.len() > 10, "{told:#?}");
}

fn provider(metrics: ProviderMetrics, columns: &[&str]) -> ProviderFacts {
    ProviderFacts {
        maps_broken: false,
        provider_key: "sim".to_owned(),
        names: vec!["sim".to_owned()],
        file: "sim/metrics.yaml".to_owned(),
        metrics,
        maps: vec![MapFacts {
            stream: "contacts".to_owned(),
            version: "1".to_owned(),
            table: "crm_leads",
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
        }],
    }
}

#[test]
fn a_feed_is_refused_when_no_map_writes_what_the_metric_reads() {
    let metrics = ProviderMetrics::parse("feeds:\n  - lead_volum\n  - missed_calls\n  - response_time\n", &[]).unwrap();
    let mut definitions = Definitions::load(&[]).unwrap();
    let (feeds, told) = Feeds::assemble(&mut definitions, vec![provider(metrics, &["received_at"])]);
    let told: Vec<String> = told.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(told[0].contains("sim/metrics.yaml:2:") && told[0].contains("did you mean `lead_volume`?"), "{told:#?}");
    assert!(told[1].contains("reads phone_calls, which no field map of this provider writes"), "{told:#?}");
    assert!(told[2].contains("reads first_response_at of crm_leads"), "{told:#?}");
    assert_eq!(feeds.of("sim").unwrap().metrics, Vec::<String>::new());
}

#[test]
fn p17_a_metric_that_only_a_waiting_map_feeds_is_not_fed_until_that_map_is_in_force() {
    let state = |version: &str| FieldMapState {
        provider_key: "sim".to_owned(),
        stream: "contacts".to_owned(),
        version: version.to_owned(),
        checksum: String::new(),
        activated_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        activated_by: "ada".to_owned(),
    };
    let metrics = ProviderMetrics::parse("feeds: [lead_volume, response_time]\n", &[]).unwrap();
    let mut definitions = Definitions::load(&[]).unwrap();
    let mut facts = provider(metrics, &["received_at"]);
    let columns = ["received_at", "first_response_at"].map(str::to_owned).to_vec();
    facts.maps.push(MapFacts { version: "2".to_owned(), columns, ..facts.maps[0].clone() });
    let (feeds, told) = Feeds::assemble(&mut definitions, vec![facts]);
    assert_eq!(told, [], "some version feeds both");
    let fed = |states: &[FieldMapState]| {
        feeds.fed("sim", &definitions, states).map(|definition| definition.key.clone()).collect::<Vec<_>>()
    };
    assert_eq!(fed(&[state("1")]), ["lead_volume"]);
    assert_eq!(fed(&[state("2"), state("1")]), ["lead_volume", "response_time"]);
    assert_eq!(fed(&[]), ["lead_volume", "response_time"], "the highest is about to be in force");
    assert_eq!(feeds.of("sim").unwrap().streams, [("contacts".to_owned(), "crm_leads")]);
}

#[test]
fn a_provider_may_add_metrics_of_its_own_but_replace_none_and_not_name_itself() {
    let own = |key: &str, title: &str| {
        format!(
            "metrics:\n  - key: {key}\n    title: {title}\n    meaning: How many people asked for work.\n    unit: leads\n    \
             direction: neutral\n    source: crm_leads\n    aggregation: count\n    time_column: received_at\n    period: week\n"
        )
    };
    let parse = |text: &str| ProviderMetrics::parse(text, &["Simtec".to_owned()]);
    assert!(parse(&own("mine", "Leads in Simtec")).unwrap_err()[0].message.contains("a provider's name"));
    for (key, added) in [("mine", true), ("lead_volume", false)] {
        let mut definitions = Definitions::load(&[]).unwrap();
        let metrics = parse(&own(key, "Leads")).unwrap();
        let (feeds, told) = Feeds::assemble(&mut definitions, vec![provider(metrics, &["received_at"])]);
        assert_eq!(told.is_empty(), added, "{told:?}");
        let found: &Definition = definitions.get(key).unwrap();
        assert_eq!(found.title == "Leads", added);
        assert_eq!(found.unit, MetricUnit::Leads);
        assert_eq!(feeds.providers_of(key), ["sim"]);
    }
}
