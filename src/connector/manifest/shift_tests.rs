//! Listings by offset and page number that lose records while they are read.

use serde_json::json;

use super::{
    streams_tests,
    tests::{connector, drain, ids, request},
};
use crate::{
    connector::http::testing::{RawServer, answer},
    domain::status::SyncMode,
};

/// Two records a page, by that strategy; the provider tells its count.
fn manifest(strategy: &str) -> String {
    let paginator = format!(
        "{{type: DefaultPaginator, page_token_option: {{type: RequestOption, inject_into: request_parameter, field_name: at}}, pagination_strategy: {{{strategy}, page_size: 2}}}}"
    );
    streams_tests::manifest(&format!(
        "streams:\n  - {{$ref: \"#/definitions/stream\", x-tidegate: {{total: [total]}}, retriever: {{$ref: \"#/definitions/reads\", paginator: {paginator}}}}}\n"
    ))
}

/// What is asked and what arrives of a listing whose pages come so, each with the count that stood when it was made.
async fn read(strategy: &str, pages: &[(&str, u32)]) -> (Vec<String>, Vec<String>) {
    let body = |(ids, total): &(&str, u32)| {
        let data: Vec<_> = ids.chars().map(|id| json!({"id": id.to_string()})).collect();
        answer(200, "", &json!({"data": data, "total": total}).to_string())
    };
    let server = RawServer::start(pages.iter().map(body).collect()).await;
    let connector = connector(&manifest(strategy), json!({"base_url": server.base}));
    let read = drain(&connector, request("things", SyncMode::FullRefresh, None)).await.unwrap();
    let asked = server.seen().iter().map(|text| text.split(' ').nth(1).unwrap().to_owned()).collect();
    (asked, ids(&read))
}

#[tokio::test]
async fn p4_a_count_that_falls_during_a_listing_leads_back_by_as_many_records() {
    // `a` goes after the first page: `c` has moved to where `b` was.
    let offset = "type: OffsetIncrement";
    let (asked, got) = read(offset, &[("ab", 5), ("de", 4), ("cd", 4), ("e", 4)]).await;
    assert_eq!(asked, ["/things", "/things?at=2", "/things?at=1", "/things?at=3"]);
    assert_eq!(got.concat(), "abdecde");
    // On the last page, too.
    let (asked, got) = read(offset, &[("ab", 5), ("cd", 5), ("", 3), ("de", 3), ("", 3)]).await;
    assert_eq!(asked[2..], ["/things?at=4", "/things?at=2", "/things?at=4"]);
    assert_eq!(got.concat(), "abcdde");

    let page = "type: PageIncrement, start_from_page: 1";
    let (asked, got) = read(page, &[("ab", 7), ("de", 6), ("bc", 6), ("de", 6), ("fg", 6), ("", 6)]).await;
    assert_eq!(asked, ["/things", "/things?at=2", "/things", "/things?at=2", "/things?at=3", "/things?at=4"]);
    assert_eq!(got.concat(), "abdebcdefg");
    // A count that grows or stays leads nowhere else.
    let (asked, _) = read(page, &[("ab", 3), ("cd", 4), ("", 4)]).await;
    assert_eq!(asked, ["/things", "/things?at=2", "/things?at=3"]);
}
