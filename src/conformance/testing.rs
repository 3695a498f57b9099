//! Connector folders for the kit's own tests: one that is right in each family, and the ways to make it wrong.

use std::{fs, path::Path};

use tempfile::TempDir;

use super::{Outcome, Scenario, play, server::Server, setup::Setup};
use crate::connector::registry::{Catalogue, Kind};

/// A folder's texts; each may be changed before it is written.
#[derive(Clone)]
pub struct Folder {
    pub manifest: String,
    pub map: String,
    pub readme: String,
    /// Under `fixtures/`.
    pub files: Vec<(String, String)>,
}

const MANIFEST: &str = r#"
version: 6.0.0
type: DeclarativeSource
x-tidegate: { provider_key: acme, name: Acme, category: crm, limits: { requests_per_second: 50, burst: 50 } }
check: { type: CheckStream, stream_names: [things] }
streams:
  - type: DeclarativeStream
    name: things
    primary_key: [id]
    retriever:
      type: SimpleRetriever
      requester:
        type: HttpRequester
        url_base: https://api.acme.example/v1
        path: /things
        authenticator: AUTH
        request_parameters:
          since: "{{ stream_interval['start_time'] }}"
          until: "{{ stream_interval['end_time'] }}"
      record_selector:
        type: RecordSelector
        extractor: { type: DpathExtractor, field_path: [items] }
      paginator: PAGINATOR
    incremental_sync:
      type: DatetimeBasedCursor
      cursor_field: updated_at
      datetime_format: "%Y-%m-%dT%H:%M:%SZ"
      start_datetime: "{{ config['start_date'] }}"
      cursor_granularity: PT1S
spec:
  type: Spec
  connection_specification:
    type: object
    required: [start_date]
    properties:
      start_date: { type: string }
      token: { type: string, airbyte_secret: true }
"#;

const MAP: &str = r#"
version: "1"
stream: things
object_type: thing
table: phone_calls
fields:
  - { to: lead_external_id, label: Lead, type: text, from: lead }
  - { to: direction, label: Direction, type: enum, from: kind, values: { call: inbound } }
  - { to: occurred_at, label: When, type: timestamp, from: created_at, formats: [rfc3339] }
  - { to: duration_seconds, label: Seconds, type: integer, from: amount }
unmapped: [id, updated_at]
"#;

const README: &str = "# Acme\n| | |\n| --- | --- |\n| Account access | x |\n| Auth model | x |\n| Scopes | x |\n| Limits | x |\n\
| Revocation | x |\n| Manual fallback | x |\n\nTried against a simulator.\n\n## Pages of the documentation\nx\n";

/// A page's records, and what is beside them.
fn page(ids: &[u32], beside: &str) -> String {
    let record = |id: &u32| {
        format!(
            r#"{{"id": {id}, "lead": "l-{id}", "kind": "call", "amount": 12, "created_at": "2026-06-01T09:00:00Z", "updated_at": "2026-06-02T10:00:0{}Z"}}"#,
            id % 10
        )
    };
    let records: Vec<String> = ids.iter().map(record).collect();
    format!(r#"{{"items": [{}]{beside}}}"#, records.join(", "))
}

/// A paginator, and what stands beside the records of a first and of a last page.
pub fn family(name: &str) -> (&'static str, &'static str, &'static str) {
    match name {
        "token" => (
            r#"{ type: DefaultPaginator, page_size_option: { type: RequestOption, inject_into: request_parameter, field_name: limit }, page_token_option: { type: RequestOption, inject_into: request_parameter, field_name: after }, pagination_strategy: { type: CursorPagination, page_size: 3, cursor_value: "{{ response.next }}", stop_condition: "{{ not response.next }}" } }"#,
            r#", "next": "abcdef""#,
            r#", "next": null"#,
        ),
        "link" => (
            r#"{ type: DefaultPaginator, page_token_option: { type: RequestPath }, pagination_strategy: { type: CursorPagination, cursor_value: "{{ response.next }}", stop_condition: "{{ not response.next }}" } }"#,
            r#", "next": "https://api.acme.example/v1/things?page=2""#,
            r#", "next": null"#,
        ),
        "relative_link" => (
            r#"{ type: DefaultPaginator, page_token_option: { type: RequestPath }, pagination_strategy: { type: CursorPagination, cursor_value: "{{ response.next }}", stop_condition: "{{ not response.next }}" } }"#,
            r#", "next": "/v1/things?page=2""#,
            "",
        ),
        "header" => (
            r#"{ type: DefaultPaginator, page_token_option: { type: RequestPath }, pagination_strategy: { type: CursorPagination, cursor_value: "{{ headers['link']['next']['url'] }}", stop_condition: "{{ 'next' not in headers['link'] }}" } }"#,
            "",
            "",
        ),
        "header_of_its_own" => (
            r#"{ type: DefaultPaginator, page_token_option: { type: RequestPath }, pagination_strategy: { type: CursorPagination, cursor_value: "{{ headers['next-page'] }}" } }"#,
            "",
            "",
        ),
        "header_token" => (
            r#"{ type: DefaultPaginator, page_token_option: { type: RequestOption, inject_into: request_parameter, field_name: after }, pagination_strategy: { type: CursorPagination, cursor_value: "{{ headers['X-NextPage'] }}" } }"#,
            "",
            "",
        ),
        "header_in_an_address" => (
            r#"{ type: DefaultPaginator, page_token_option: { type: RequestPath }, pagination_strategy: { type: CursorPagination, cursor_value: "/v1/things?after={{ headers['NEXT-PAGE'] }}", stop_condition: "{{ 'NEXT-PAGE' not in headers }}" } }"#,
            "",
            "",
        ),
        "token_in_an_address" => (
            r#"{ type: DefaultPaginator, page_token_option: { type: RequestPath }, pagination_strategy: { type: CursorPagination, cursor_value: "/v1/things?after={{ response.next }}", stop_condition: "{{ not response.next }}" } }"#,
            r#", "next": "abcdef""#,
            r#", "next": null"#,
        ),
        "bare_link" => (
            r#"{ type: DefaultPaginator, page_token_option: { type: RequestPath }, pagination_strategy: { type: CursorPagination, cursor_value: "{{ response.next }}", stop_condition: "{{ not response.next }}" } }"#,
            r#", "next": "things?page=2""#,
            "",
        ),
        "last_record" => (
            r#"{ type: DefaultPaginator, page_token_option: { type: RequestOption, inject_into: request_parameter, field_name: starting_after }, pagination_strategy: { type: CursorPagination, page_size: 3, cursor_value: "{{ last_record['id'] }}", stop_condition: "{{ not response.has_more }}" } }"#,
            r#", "has_more": true"#,
            r#", "has_more": false"#,
        ),
        "last_record_by_another_field" => (
            r#"{ type: DefaultPaginator, page_size_option: { type: RequestOption, inject_into: request_parameter, field_name: limit }, page_token_option: { type: RequestOption, inject_into: request_parameter, field_name: "filter[lead][_gt]" }, pagination_strategy: { type: CursorPagination, page_size: 3, cursor_value: "{{ last_record['lead'] }}", stop_condition: "{{ last_page_size == 0 }}" } }"#,
            "",
            "",
        ),
        "last_record_until_a_short_page" => (
            r#"{ type: DefaultPaginator, page_token_option: { type: RequestOption, inject_into: request_parameter, field_name: after }, pagination_strategy: { type: CursorPagination, cursor_value: "{{ last_record['id'] }}", stop_condition: "{{ last_page_size < 20 }}" } }"#,
            "",
            "",
        ),
        "counter" => (
            r#"{ type: DefaultPaginator, page_token_option: { type: RequestOption, inject_into: request_parameter, field_name: page }, pagination_strategy: { type: CursorPagination, page_size: 3, cursor_value: "{{ response.page + 1 }}", stop_condition: "{{ response.page >= response.pages }}" } }"#,
            r#", "page": 1, "pages": 2"#,
            r#", "page": 2, "pages": 2"#,
        ),
        "page" => (
            r#"{ type: DefaultPaginator, page_size_option: { type: RequestOption, inject_into: request_parameter, field_name: limit }, page_token_option: { type: RequestOption, inject_into: request_parameter, field_name: page }, pagination_strategy: { type: PageIncrement, page_size: 3, start_from_page: 1 } }"#,
            "",
            "",
        ),
        "offset" => (
            r#"{ type: DefaultPaginator, page_size_option: { type: RequestOption, inject_into: request_parameter, field_name: limit }, page_token_option: { type: RequestOption, inject_into: request_parameter, field_name: offset }, pagination_strategy: { type: OffsetIncrement, page_size: 3 } }"#,
            "",
            "",
        ),
        "none" => ("{ type: NoPagination }", "", ""),
        other => panic!("no family {other}"),
    }
}

pub const BEARER: &str = r#"{ type: BearerAuthenticator, api_token: "{{ config['token'] }}" }"#;

impl Folder {
    /// A right one of a paging family and an authenticator.
    pub fn of(paging: &str, auth: &str) -> Self {
        let (paginator, first, last) = family(paging);
        Self {
            manifest: MANIFEST.replace("AUTH", auth).replace("PAGINATOR", paginator),
            map: MAP.to_owned(),
            readme: README.to_owned(),
            files: vec![
                ("things/page_1.json".to_owned(), page(&[1, 2, 3], first)),
                ("things/page_2.json".to_owned(), page(&[4], last)),
            ],
        }
    }

    /// With texts of the manifest exchanged; each must be there.
    pub fn with(mut self, edits: &[(&str, &str)]) -> Self {
        for (from, to) in edits {
            assert!(self.manifest.contains(from), "the manifest has no {from}");
            self.manifest = self.manifest.replace(from, to);
        }
        self
    }

    pub fn write(&self, dir: &Path) {
        let put = |name: &str, text: &str| {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("manifest.yaml", &self.manifest);
        put("mappings/things.yaml", &self.map);
        put("README.md", &self.readme);
        for (name, text) in &self.files {
            put(&format!("fixtures/{name}"), text);
        }
    }

    /// The folder on disk, and loaded.
    pub fn load(&self) -> (TempDir, Catalogue) {
        let dir = tempfile::tempdir().unwrap();
        self.write(dir.path());
        let (catalogue, problems) = Catalogue::read_path(dir.path());
        assert!(problems.is_empty(), "{problems:#?}");
        (dir, catalogue)
    }

    /// What becomes of some scenarios.
    pub async fn play(&self, scenarios: &[Scenario]) -> Vec<(Scenario, Outcome)> {
        let (_dir, catalogue) = self.load();
        let folder = catalogue.folder("acme").unwrap();
        let Kind::Manifest(manifest) = &folder.kind else { panic!("no manifest") };
        let server = Server::start().await.unwrap();
        let profile = manifest.profiles().remove(0);
        let map = folder.map("things").cloned();
        let setup = Setup::of(&folder.dir, "acme", manifest, profile, map, &server).await;
        let setup = setup.unwrap_or_else(|reason| panic!("not simulated: {reason}"));
        let mut told = Vec::new();
        for scenario in scenarios {
            told.push((*scenario, play::play(*scenario, &setup).await));
        }
        told
    }
}
