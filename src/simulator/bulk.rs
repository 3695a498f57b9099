//! A source of any size for measuring: `/bulk/{total}/crm/v3/objects/contacts?limit=1000&after=N&touch=0.1`.
//!
//! Flat records of about 630 bytes, the same bytes for the same number at any page size; `touch` changes phone and time of
//! that share of them. Needs no token. Rendered pages are kept up to a bound, so that the source is not what is measured.

use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Path, Query, State},
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use serde::Deserialize;

use super::{Shared, answers, gate::Records, locked, people::mix};

const MAX_LIMIT: u64 = 10_000;
const MAX_TOTAL: u64 = 100_000_000;
const CACHE_BYTES: usize = 256 << 20;
/// Bytes to set aside for one record.
const RECORD_BYTES: usize = 720;

const FIRST: [&str; 8] = ["Ada", "Grace", "Linus", "Margaret", "José", "Zoë", "Łukasz", "美咲"];
const LAST: [&str; 8] = ["Lovelace", "Hopper", "Hamilton", "Turing", "García", "Müller", "Nowak", "田中"];
const COMPANY: [&str; 8] = ["Acme", "Globex", "Initech", "Umbrella", "Wonka", "Hooli", "Vandelay", "Soylent"];
const STAGE: [&str; 8] = [
    "subscriber",
    "lead",
    "marketingqualifiedlead",
    "salesqualifiedlead",
    "opportunity",
    "customer",
    "evangelist",
    "other",
];
const INDUSTRY: [&str; 8] = [
    "COMPUTER_SOFTWARE",
    "HOSPITAL_HEALTH_CARE",
    "FINANCIAL_SERVICES",
    "RETAIL",
    "CONSTRUCTION",
    "EDUCATION_MANAGEMENT",
    "REAL_ESTATE",
    "UTILITIES",
];
const CITY: [&str; 8] = ["Berlin", "Lisbon", "Austin", "Osaka", "Toronto", "Nairobi", "Lyon", "Quito"];
const SOURCE: [&str; 8] = [
    "ORGANIC_SEARCH",
    "PAID_SOCIAL",
    "DIRECT_TRAFFIC",
    "REFERRALS",
    "OFFLINE",
    "EMAIL_MARKETING",
    "PAID_SEARCH",
    "OTHER_CAMPAIGNS",
];

/// Which page: limit, first record, total, and the share of touched records in millionths.
type Key = (u64, u64, u64, u64);

/// Rendered pages.
#[derive(Default)]
pub(super) struct Cache(Mutex<(HashMap<Key, Bytes>, usize)>);

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/bulk/{total}/crm/v3/objects/contacts", get(page))
}

/// Whether a path belongs here, and so needs no token.
pub(super) fn is_open(path: &str) -> bool {
    path.starts_with("/bulk/")
}

#[derive(Deserialize)]
struct PageQuery {
    #[serde(default = "default_limit")]
    limit: u64,
    #[serde(default)]
    after: u64,
    #[serde(default)]
    touch: f64,
}

const fn default_limit() -> u64 {
    100
}

async fn page(State(shared): State<Arc<Shared>>, Path(total): Path<u64>, Query(query): Query<PageQuery>) -> Response {
    if total > MAX_TOTAL || !(1..=MAX_LIMIT).contains(&query.limit) || !(0.0..=1.0).contains(&query.touch) {
        return answers::validation("total, limit or touch is out of range");
    }
    let from = query.after.min(total);
    let to = (from + query.limit).min(total);
    let millionths = (query.touch * 1e6).round() as u64;
    let key = (query.limit, from, total, millionths);
    let kept = locked(&shared.bulk.0).0.get(&key).cloned();
    let body = kept.unwrap_or_else(|| {
        let body = Bytes::from(render(from, to, total, millionths));
        let mut cache = locked(&shared.bulk.0);
        if cache.1 + body.len() <= CACHE_BYTES && cache.0.insert(key, body.clone()).is_none() {
            cache.1 += body.len();
        }
        body
    });
    let records = Records(usize::try_from(to - from).unwrap_or(usize::MAX));
    (records, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn render(from: u64, to: u64, total: u64, millionths: u64) -> String {
    let count = usize::try_from(to - from).unwrap_or(0);
    let mut page = String::with_capacity(count * RECORD_BYTES + 64);
    page.push_str("{\"results\":[");
    for number in from..to {
        if number > from {
            page.push(',');
        }
        // Writing to a String does not fail.
        let _ = record(&mut page, number, millionths);
    }
    page.push(']');
    if to < total {
        let _ = write!(page, ",\"paging\":{{\"next\":{{\"after\":\"{to}\"}}}}");
    }
    page.push('}');
    page
}

fn record(page: &mut String, number: u64, millionths: u64) -> std::fmt::Result {
    let r = mix(1, number);
    let s = mix(2, r);
    let touched = mix(3, number) % 1_000_000 < millionths;
    let word = |words: &[&'static str; 8], shift: u32| {
        words.get(usize::try_from((r >> shift) & 7).unwrap_or(0)).copied().unwrap_or("")
    };
    let company = word(&COMPANY, 6);
    let city = word(&CITY, 9);
    let domain_number = number % 977;
    let lower = company.to_ascii_lowercase();
    // The latest possible time lies in 2025: a record of the future would be held back by a cursor.
    let created = r % 80_000_000;
    let updated = created + s % 30_000_000 + if touched { 60_000_000 } else { 0 };
    let phone = ((s >> 8) + u64::from(touched)) % 100;
    write!(
        page,
        "{{\"id\":\"{}\",\"email\":\"contact.{number}@{lower}{domain_number}.example.test\",\"first_name\":\"{}\",\
         \"last_name\":\"{}\",\"phone\":\"+1-212-555-01{phone:02}\",\"company\":\"{company} {city} Ltd\",\
         \"lifecycle_stage\":\"{}\",\"created_at\":\"",
        100_000_000 + number,
        word(&FIRST, 0),
        word(&LAST, 3),
        word(&STAGE, 12),
    )?;
    time(page, created, r % 1_000)?;
    page.push_str("\",\"updated_at\":\"");
    time(page, updated, s % 1_000)?;
    write!(
        page,
        "\",\"archived\":false,\"properties\":{{\"industry\":\"{}\",\"city\":\"{city}\",\
         \"website\":\"https://www.{lower}{domain_number}.example.test/about\",\"num_employees\":{},\
         \"annual_revenue\":{}.{:02},\"lead_score\":{},\"owner_id\":\"{}\",\"analytics_source\":\"{}\",\"last_activity\":",
        word(&INDUSTRY, 15),
        1 + s % 50_000,
        r % 10_000_000,
        s % 100,
        r % 101,
        10_000 + s % 89_999,
        word(&SOURCE, 18),
    )?;
    if s.is_multiple_of(5) {
        page.push_str("null");
    } else {
        page.push('"');
        time(page, updated - updated.min(3_600), 0)?;
        page.push('"');
    }
    write!(
        page,
        ",\"email_opt_out\":{},\"notes\":\"Met at {city}; wants a \\\"quote\\\" for {} seats.\"}}}}",
        s.is_multiple_of(10),
        1 + r % 998,
    )
}

/// 2020-01-01 plus seconds, in a calendar of twelve months of 28 days: cheap, and always a valid date.
fn time(page: &mut String, seconds: u64, millis: u64) -> std::fmt::Result {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, day) = (2020 + days / 336, days % 336);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    write!(page, "{year:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z", day / 28 + 1, day % 28 + 1)
}
