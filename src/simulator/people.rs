//! What a synthetic record looks like: names, addresses, amounts, all from (seed, id, number of edits).
//!
//! Owns the content. Addresses end in `example.test`, phone numbers lie in +1-212-555-0100..0199.

use std::time::Duration;

use chrono::SecondsFormat;
use serde_json::{Map, Value, json};

use super::accounts::{Bad, Entry, ObjectKind};
use crate::domain::clock::Timestamp;

const FIRST_NAMES: [&str; 12] =
    ["Ada", "Grace", "Linus", "Margaret", "Alan", "Barbara", "Ken", "Radia", "José", "Zoë", "Łukasz", "美咲"];
const LAST_NAMES: [&str; 12] = [
    "Lovelace", "Hopper", "Hamilton", "Turing", "Liskov", "Thompson", "Perlman", "Ritchie", "García", "Müller",
    "Nowak", "O'Neil",
];
const COMPANIES: [&str; 6] =
    ["Harbor Dental", "Oak Street Bakery", "Pine Hill Homes", "Bright Vet", "Metro Gym", "Lakeside Inn"];
const CITIES: [&str; 6] = ["Austin", "Tulsa", "Dayton", "Mesa", "Fresno", "Salem"];
const SERVICES: [&str; 5] = ["drain cleaning", "water heater", "roof repair", "inspection", "remodel"];
const LIFECYCLES: [&str; 6] =
    ["subscriber", "lead", "marketingqualifiedlead", "salesqualifiedlead", "opportunity", "customer"];
const SOURCES: [&str; 6] =
    ["ORGANIC_SEARCH", "PAID_SEARCH", "DIRECT_TRAFFIC", "REFERRALS", "OFFLINE", "EMAIL_MARKETING"];
const LEAD_STATUSES: [&str; 4] = ["NEW", "OPEN", "IN_PROGRESS", "CONNECTED"];
const DEAL_STAGES: [&str; 7] = [
    "appointmentscheduled",
    "qualifiedtobuy",
    "presentationscheduled",
    "decisionmakerboughtin",
    "contractsent",
    "closedwon",
    "closedlost",
];

/// A well-spread number from two (the finisher of splitmix64).
pub(super) fn mix(a: u64, b: u64) -> u64 {
    let mut z = a.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(b).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn pick<'a>(words: &[&'a str], number: u64) -> &'a str {
    // The lists are short; the fallback cannot be reached on a machine whose usize has 32 bits or more.
    let index = usize::try_from(number % 0xFFFF).unwrap_or(0) % words.len();
    words.get(index).copied().unwrap_or("")
}

/// Created and last changed at times that follow from seed and id, within thirty days of `base`.
pub(super) fn first_entry(base: Timestamp, seed: u64, id: u64) -> Entry {
    const HALF_SPAN_MS: u64 = 15 * 24 * 3_600 * 1_000;
    let created = base.plus(Duration::from_millis(mix(seed, id) % HALF_SPAN_MS));
    let modified = created.plus(Duration::from_millis(mix(seed, !id) % HALF_SPAN_MS));
    Entry { created, modified, revision: 0, archived_at: None, bad: None }
}

/// The provider's text of a time: UTC, milliseconds.
pub(super) fn iso_millis(at: Timestamp) -> String {
    at.utc().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Which properties an answer shows.
pub(super) enum Fields {
    All,
    /// The provider's own choice when none are named.
    Default,
    Named(Vec<String>),
}

/// A record in the provider's envelope.
pub(super) fn record(kind: ObjectKind, seed: u64, id: u64, entry: &Entry, fields: &Fields) -> Value {
    if entry.bad == Some(Bad::NotAnObject) {
        return json!("record is being migrated");
    }
    let mut all = match kind {
        ObjectKind::Contacts => contact(seed, id, entry),
        ObjectKind::Deals => deal(seed, id, entry),
    };
    spoil(&mut all, kind, entry.bad);
    let shown = match fields {
        Fields::All => all,
        Fields::Default => all.into_iter().filter(|(name, _)| defaults(kind).contains(&name.as_str())).collect(),
        Fields::Named(names) => {
            let always = ["createdate", "hs_object_id", kind.modified_property()];
            let mut shown = Map::new();
            for (name, value) in &all {
                if always.contains(&name.as_str()) || names.contains(name) {
                    shown.insert(name.clone(), value.clone());
                }
            }
            for name in names {
                shown.entry(name.clone()).or_insert(Value::Null);
            }
            shown
        }
    };
    let mut envelope = Map::new();
    if entry.bad != Some(Bad::MissingId) {
        envelope.insert("id".to_owned(), json!(id.to_string()));
    }
    let updated = if entry.bad == Some(Bad::TimeGarbage) { "soon".to_owned() } else { iso_millis(entry.modified) };
    envelope.insert("properties".to_owned(), Value::Object(shown));
    envelope.insert("createdAt".to_owned(), json!(iso_millis(entry.created)));
    envelope.insert("updatedAt".to_owned(), json!(updated));
    envelope.insert("archived".to_owned(), json!(entry.archived_at.is_some()));
    if let Some(at) = entry.archived_at {
        envelope.insert("archivedAt".to_owned(), json!(iso_millis(at)));
    }
    Value::Object(envelope)
}

const fn defaults(kind: ObjectKind) -> &'static [&'static str] {
    match kind {
        ObjectKind::Contacts => &["createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname"],
        ObjectKind::Deals => &[
            "amount",
            "closedate",
            "createdate",
            "dealname",
            "dealstage",
            "hs_lastmodifieddate",
            "hs_object_id",
            "pipeline",
        ],
    }
}

/// Properties in the order of their names, as the provider gives them.
fn contact(seed: u64, id: u64, entry: &Entry) -> Map<String, Value> {
    let r = mix(seed, id);
    let e = mix(r, entry.revision);
    let (first, last) = (pick(&FIRST_NAMES, r), pick(&LAST_NAMES, r >> 8));
    object(json!({
        "city": pick(&CITIES, r >> 16),
        "company": pick(&COMPANIES, r >> 20),
        "createdate": iso_millis(entry.created),
        "email": format!("contact.{id}@client-{}.example.test", seed % 1_000),
        "firstname": first,
        "hs_analytics_source": pick(&SOURCES, r >> 24),
        "hs_lead_status": pick(&LEAD_STATUSES, e >> 8),
        "hs_object_id": id.to_string(),
        "hubspot_owner_id": (10_000 + r % 7).to_string(),
        "lastmodifieddate": iso_millis(entry.modified),
        "lastname": last,
        "lifecyclestage": pick(&LIFECYCLES, e),
        "num_notes": entry.revision.to_string(),
        "phone": format!("+1-212-555-01{:02}", e % 100),
        "preferred_contact_method": pick(&["phone", "email", "sms"], r >> 28),
        "service_type": pick(&SERVICES, r >> 32),
    }))
}

fn deal(seed: u64, id: u64, entry: &Entry) -> Map<String, Value> {
    let r = mix(seed, id);
    let e = mix(r, entry.revision);
    let stage = pick(&DEAL_STAGES, e);
    let closes = entry.created.plus(Duration::from_secs(86_400 * (5 + r % 40)));
    object(json!({
        "amount": format!("{}.{:02}", 150 + e % 20_000, r % 100),
        "closedate": iso_millis(closes),
        "createdate": iso_millis(entry.created),
        "deal_currency_code": "USD",
        "dealname": format!("{} #{id}", pick(&SERVICES, r >> 8)),
        "dealstage": stage,
        "hs_lastmodifieddate": iso_millis(entry.modified),
        "hs_object_id": id.to_string(),
        "hubspot_owner_id": (10_000 + r % 7).to_string(),
        "pipeline": "default",
    }))
}

fn spoil(properties: &mut Map<String, Value>, kind: ObjectKind, bad: Option<Bad>) {
    let mut set = |name: &str, value: &str| {
        properties.insert(name.to_owned(), json!(value));
    };
    match bad {
        Some(Bad::UnknownLifecycle) => set("lifecyclestage", "galactic_ambassador"),
        Some(Bad::NoEmailShape) => set("email", "call me instead"),
        Some(Bad::PhoneGarbage) => set("phone", "ask for Sam, ext. two"),
        Some(Bad::UnknownDealStage) => set("dealstage", "stage_of_grief"),
        Some(Bad::AmountGarbage) => set("amount", "twelve hundred"),
        Some(Bad::TimeGarbage) => set(kind.modified_property(), "soon"),
        Some(Bad::MissingId) => {
            properties.shift_remove("hs_object_id");
        }
        // Handled where the envelope is made.
        Some(Bad::NotAnObject) | None => {}
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}
