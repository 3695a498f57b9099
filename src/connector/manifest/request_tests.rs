//! What goes out on the wire, and what becomes of records: authenticators, bodies, filters, transformations.

use serde_json::json;

use super::{
    tests::{connector, drain, ids, request},
    *,
};
use crate::{
    connector::http::testing::{RawServer, answer},
    domain::record::Item,
};

fn manifest(requester: &str, rest: &str) -> String {
    format!(
        r##"type: DeclarativeSource
check: {{type: CheckStream, stream_names: [things]}}
definitions:
  base: {{type: HttpRequester, url_base: "{{{{ config['base_url'] }}}}/v1/", path: "{{{{ parameters['path'] }}}}"}}
streams:
  - name: things
    primary_key: [[owner, id], id]
    $parameters: {{path: /things}}
    retriever:
      requester:
        $ref: "#/definitions/base"
{requester}
      record_selector:
        extractor: {{field_path: [data, "*", items]}}
        record_filter: {{condition: "{{{{ record['keep'] }}}}"}}
{rest}
spec:
  connection_specification:
    properties:
      user: {{type: string}}
      key: {{type: string, airbyte_secret: true}}
"##
    )
}

async fn sent(requester: &str) -> Result<String, ConnectorError> {
    let server = RawServer::start(vec![answer(200, "", r#"{"data":{"x":{"items":[]}}}"#)]).await;
    let config = json!({"base_url": server.base, "user": "u", "list": ["a", 1], "flag": true});
    let page = connector(&manifest(requester, ""), config).pull(&request("things", SyncMode::FullRefresh, None)).await;
    page.map(|_| server.seen().remove(0))
}

#[tokio::test]
async fn requests_go_out_as_the_manifest_says() {
    for (requester, parts) in [
        (
            r#"
        authenticator: {type: ApiKeyAuthenticator, api_token: "{{ config['key'] }}", header: X-Key}
        request_parameters: {flag: "{{ config['flag'] }}", list: "{{ config['list'] }}", none: "{{ None }}", n: 5}
        request_headers: {X-Thing: "{{ parameters['path'] }}"}"#,
            vec!["GET /v1/things?flag=True&list=a&list=1&none=None&n=5 ", "x-key: tok-1", "x-thing: /things"],
        ),
        (
            r#"
        authenticator: {type: ApiKeyAuthenticator, api_token: "{{ config.key }}", inject_into: {field_name: k, inject_into: request_parameter}}"#,
            vec!["GET /v1/things?k=tok-1 "],
        ),
        (
            r#"
        http_method: POST
        authenticator: {type: BasicHttpAuthenticator, username: "{{ config['user'] }}", password: "{{ config['key'] }}"}
        request_body_data: {a: "x y", b: "{{ config['flag'] }}"}"#,
            vec![
                "POST /v1/things ",
                "authorization: Basic dTp0b2stMQ==",
                "x-www-form-urlencoded",
                "\r\n\r\na=x+y&b=True",
            ],
        ),
        (
            r#"
        http_method: POST
        request_body_json: {a: {b: "{{ config['list'] }}", c: "{{ None }}"}, d: "'7'", e: 7, f: null}"#,
            vec!["application/json", "\r\n\r\n{\"a\":{\"b\":[\"a\",1]},\"d\":\"7\",\"e\":7}"],
        ),
    ] {
        let seen = sent(requester).await.unwrap();
        for part in parts {
            assert!(seen.contains(part), "{part}\n{seen}");
        }
    }
    let twice = r#"
        authenticator: {type: ApiKeyAuthenticator, api_token: "{{ config.key }}", inject_into: {field_name: k, inject_into: request_parameter}}
        request_parameters: {k: v}"#;
    let error = sent(twice).await.unwrap_err();
    assert!(error.kind == ErrorKind::Settings && error.message.contains("'k' is given twice"), "{error}");
}

#[tokio::test]
async fn records_are_filtered_and_shaped_in_order() {
    let body = r#"{"data":{"x":{"items":[
        {"id":1,"owner":{"id":"o"},"keep":true,"secret":"s","nested":{"a":1,"b":2}},
        {"id":2,"owner":{"id":"o"},"keep":false},
        {"id":3,"owner":{},"keep":1}]},"y":{"items":{"id":4,"owner":{"id":"p"},"keep":"yes"}}}}"#;
    let server = RawServer::start(vec![answer(200, "", body)]).await;
    let rest = r#"
    transformations:
      - type: AddFields
        fields:
          - {path: [label], value: "{{ record['owner']['id'] }}-{{ record['id'] }}"}
          - {path: [deep, number], value: "{{ record['id'] + 1 }}"}
          - {path: [text], value: "{{ record['id'] }}", value_type: string}
      - {type: RemoveFields, field_pointers: [[secret], [nested, a]]}"#;
    let connector = connector(&manifest("", rest), json!({"base_url": server.base}));
    let pages = drain(&connector, request("things", SyncMode::FullRefresh, None)).await.unwrap();
    assert_eq!(ids(&pages), ["o:1", "", "p:4"]);
    assert!(pages[0].story.contains("1 left out by the manifest"), "{}", pages[0].story);
    let Item::Record(first) = &pages[0].items[0] else { panic!("a record") };
    let expected =
        json!({"id":1,"owner":{"id":"o"},"keep":true,"nested":{"b":2},"label":"o-1","deep":{"number":2},"text":"1"});
    assert_eq!(first.payload, expected);
}
