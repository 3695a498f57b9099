//! P18: no secret and no payload in logs, errors or client-visible columns.
//!
//! A hostile provider repeats a token, an e-mail address and a phone number wherever a provider can: in bodies, headers, error
//! words, addresses, names of fields. Then everything that Tidegate tells or keeps is searched for the three. Raw events and
//! business records may hold the person's data; the token may stand nowhere.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::support::{
    daemon::{Finished, Home},
    databases::TestDatabase,
};

/// Of no known form: nothing but the program's own knowledge of it can find it. Synthetic, as the person is.
const TOKEN: &str = "Cnry7Kq2vXw9ZtB4mL8sPd1R";
const EMAIL: &str = "canary.person@leak.example";
const PHONE: &str = "+14155550137";

/// How the provider answers.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mood {
    Listing,
    Rejected,
    Unauthorized,
    Limited,
    SentAway,
    NotJson,
    OtherShape,
    NextElsewhere,
    Broken,
}

const MOODS: [Mood; 8] = [
    Mood::Rejected,
    Mood::Limited,
    Mood::SentAway,
    Mood::NotJson,
    Mood::OtherShape,
    Mood::NextElsewhere,
    Mood::Broken,
    Mood::Unauthorized,
];

fn answer(mood: Mood, request: &str) -> String {
    let error = format!(
        r#"{{"category":"{TOKEN}","code":"{TOKEN}","error":{{"type":"{TOKEN}","message":"{EMAIL} {PHONE}"}},"message":"no right for {EMAIL}, {PHONE}, {TOKEN}"}}"#
    );
    let record = |id: u32, more: &str| {
        format!(
            r#"{{"id":{id},"name":"Ada {TOKEN}","email":"{EMAIL}","phone":"{PHONE}","note":"{TOKEN}","{EMAIL}":1,"{PHONE}":{{"{TOKEN}":1}}{more}}}"#
        )
    };
    let second = request.contains("page=2");
    let listing = |next: &str| format!(r#"{{"data":[{}],"next":"{next}"}}"#, record(7, ""));
    let (status, extra, body) = match mood {
        Mood::Listing if second => ("200 OK", String::new(), r#"{"data":[]}"#.to_owned()),
        Mood::Listing => {
            let records = [
                record(1, ""),
                record(2, &format!(r#","stage":"{EMAIL}""#)),
                record(3, &format!(r#","stage":"{PHONE}""#)),
                record(4, &format!(r#","stage":"{TOKEN}""#)),
                record(5, &format!(r#","received":"{EMAIL}""#)),
                record(6, &format!(r#","received":"{PHONE}","stage":{{"x":"{EMAIL}"}}"#)),
                format!(r#"{{"id":8,"name":null,"email":"{PHONE}","phone":"{EMAIL}"}}"#),
                format!(r#"{{"name":"{EMAIL} {PHONE} {TOKEN}"}}"#),
                format!(r#""{EMAIL} {PHONE} {TOKEN}""#),
            ];
            // As some real providers do: the whole address of the next page, with the key in it.
            let next = format!("/v1/{TOKEN}/things?api_key={TOKEN}&page=2");
            (
                "200 OK",
                format!("X-Echo: {TOKEN} {EMAIL}\r\n"),
                format!(r#"{{"data":[{}],"next":"{next}"}}"#, records.join(",")),
            )
        }
        Mood::Rejected => ("400 Bad Request", format!("X-Request-Id: {TOKEN}\r\n"), error),
        Mood::Unauthorized => {
            ("401 Unauthorized", format!("WWW-Authenticate: Bearer realm=\"{TOKEN} {EMAIL}\"\r\n"), error)
        }
        Mood::Limited => ("429 Too Many", format!("Retry-After: 3600\r\nX-RateLimit-Reset: {TOKEN}\r\n"), error),
        Mood::SentAway => {
            ("302 Found", format!("Location: https://{TOKEN}.leak.example/{TOKEN}/?e={EMAIL}\r\n"), error)
        }
        Mood::NotJson => ("200 OK", String::new(), format!("<html>{TOKEN} {EMAIL} {PHONE}</html>")),
        Mood::OtherShape => ("200 OK", String::new(), format!(r#"{{"{TOKEN}":{{"{EMAIL}":"{PHONE}"}}}}"#)),
        Mood::NextElsewhere => {
            ("200 OK", String::new(), listing(&format!("https://{TOKEN}.leak.example/{EMAIL}?t={TOKEN}")))
        }
        Mood::Broken => ("500 Oops", format!("X-Trace: {TOKEN} {PHONE}\r\n"), error),
    };
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n{extra}\r\n{body}",
        body.len()
    )
}

/// The provider, on loopback; answers by its mood and says whether the credential came.
async fn provider(mood: &Arc<Mutex<Mood>>, seen: &Arc<Mutex<Vec<String>>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (mood, seen) = (Arc::clone(mood), Arc::clone(seen));
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = Vec::new();
            let mut chunk = [0; 4096];
            while !request.windows(4).any(|w| w == b"\r\n\r\n") {
                match socket.read(&mut chunk).await {
                    Ok(n) if n > 0 => request.extend_from_slice(&chunk[..n]),
                    _ => break,
                }
            }
            let head = String::from_utf8_lossy(&request).into_owned();
            let text = answer(*mood.lock().unwrap(), &head);
            seen.lock().unwrap().push(head);
            let _ = socket.write_all(text.as_bytes()).await;
            let _ = socket.shutdown().await;
        }
    });
    base
}

const MANIFEST: &str = r#"
version: 6.0.0
type: DeclarativeSource
x-tidegate: {provider_key: canary, credential: key, limits: {requests_per_second: 10000, burst: 10000}}
check: {type: CheckStream, stream_names: [things]}
streams:
  - name: things
    primary_key: id
    retriever:
      type: SimpleRetriever
      requester:
        type: HttpRequester
        url_base: "{{ config['base_url'] }}"
        path: "/v1/{{ config['key'] }}/things"
        authenticator: {type: ApiKeyAuthenticator, api_token: "{{ config['key'] }}", inject_into: {type: RequestOption, field_name: api_key, inject_into: request_parameter}}
        request_headers: {X-Key: "{{ config['key'] }}"}
        error_handler: {type: DefaultErrorHandler, max_retries: 0}
      record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: [data]}}
      paginator:
        type: DefaultPaginator
        page_token_option: {type: RequestPath}
        pagination_strategy: {type: CursorPagination, cursor_value: "{{ response['next'] }}", stop_condition: "{{ not response.get('next') }}"}
spec:
  type: Spec
  connection_specification: {properties: {base_url: {type: string}, key: {type: string, airbyte_secret: true}}}
"#;

const MAP: &str = r#"
version: "1"
stream: things
object_type: thing
table: crm_leads
fields:
  - { to: contact_name, label: Name, type: text, from: name, required: true }
  - { to: email, label: E-mail, type: email, from: email }
  - { to: phone, label: Phone, type: phone, from: phone, default_region: US }
  - { to: stage, label: Stage, type: enum, from: stage, values: { new: new } }
  - { to: received_at, label: Received, type: timestamp, from: received, zone: UTC }
"#;

/// Everything that was told, with where.
#[derive(Default)]
struct Told(Vec<(String, String)>);

impl Told {
    fn hear(&mut self, what: &str, done: &Finished) {
        self.0.push((format!("{what}, standard output"), done.stdout.clone()));
        self.0.push((format!("{what}, standard error"), done.stderr.clone()));
    }

    /// Where one of these stands, in any spelling of capitals.
    fn holding(&self, canaries: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for (place, text) in &self.0 {
            for line in text.lines() {
                let small = line.to_lowercase();
                found.extend(
                    canaries
                        .iter()
                        .filter(|c| small.contains(&c.to_lowercase()))
                        .map(|c| format!("{place}: {c} in {line}")),
                );
            }
        }
        found
    }
}

/// Every text of every row.
async fn tables(db: &TestDatabase) -> Vec<(String, String)> {
    let columns = if db.is_mysql() {
        format!(
            "select table_name, column_name from information_schema.columns where table_schema = '{}' and data_type not in ('blob', 'longblob', 'varbinary')",
            db.schema()
        )
    } else {
        "select m.name, c.name from sqlite_master m join pragma_table_info(m.name) c where m.type = 'table'".to_owned()
    };
    let (cast, texts) = if db.is_mysql() { ("char", "1 = 1") } else { ("text", "typeof(`{column}`) <> 'blob'") };
    let mut all = Vec::new();
    for row in db.sql.rows(&columns).await {
        let (table, column) = (row[0].clone().unwrap(), row[1].clone().unwrap());
        let texts = texts.replace("{column}", &column);
        for value in db.sql.rows(&format!("select cast(`{column}` as {cast}) from {table} where {texts}")).await {
            all.extend(value[0].clone().map(|text| (format!("{table}.{column}"), text)));
        }
    }
    all
}

on_both_engines!(p18_a_canary_in_everything_a_provider_sends_is_found_nowhere_it_must_not_be, |db| {
    let (mood, seen) = (Arc::new(Mutex::new(Mood::Listing)), Arc::default());
    let base = provider(&mood, &seen).await;
    let mut home = Home::new();
    home.write("connectors/canary/manifest.yaml", MANIFEST);
    home.write("connectors/canary/mappings/things.yaml", MAP);
    home.write(
        "declaration.yaml",
        &format!(
            "clients:\n  - {{ key: acme, name: Acme Plumbing }}\nconnections:\n  - key: acme-canary\n    client: acme\n    provider: canary\n    \
             provider_account_id: \"1\"\n    environment: sandbox\n    owner: integration@example.test\n    source_label: CRM\n    credential: env:CANARY_TOKEN\n    \
             config: {{ base_url: \"{base}\" }}\n    jobs:\n      - {{ stream: things, sync_mode: full_refresh, schedule: \"every 30d\" }}\n"
        ),
    );
    home.setting("database.url", db.runtime_url().await)
        .setting("http.allow_private", "127.0.0.0/8")
        .setting("log.level", "trace")
        .variable("CANARY_TOKEN", TOKEN);
    let (mut told, mut shown) = (Told::default(), Told::default());
    told.hear("apply", &home.run_ok(&["apply", "-f", "declaration.yaml"]).await);

    let run = ["run-once", "--connection", "acme-canary", "--json"];
    let done = home.setting("log.format", "json").run(&run).await;
    assert_eq!(done.code(), Some(3), "a listing with bad records\n{done}");
    let second: Vec<String> =
        seen.lock().unwrap().iter().filter(|head: &&String| head.contains("page=2")).cloned().collect();
    assert!(
        second.len() == 1 && second[0].contains(&format!("api_key={TOKEN}")),
        "the key was put in anew: {second:?}"
    );
    told.hear("the listing", &done);
    // What it asked for is told with both pages; the key stands in the path and in the query of the second.
    let preview = home.run(&["connection", "preview", "acme-canary", "--count", "20"]).await;
    assert!(preview.stdout.contains("\nasked\n") && preview.stdout.contains("page=2"), "{preview}");
    shown.0.push(("preview of the listing".to_owned(), preview.stdout));
    told.0.push(("preview of the listing".to_owned(), preview.stderr));
    assert!(db.sql.number("select count(*) from integration_sync_errors").await >= 6);
    told.hear("retry", &home.run(&["errors", "retry", "--all", "--json"]).await);
    told.hear("normalize", &home.run(&["normalize", "--replay"]).await);

    for (at, next) in MOODS.into_iter().enumerate() {
        *mood.lock().unwrap() = next;
        home.setting("log.format", if at % 2 == 0 { "text" } else { "json" });
        // A refused credential or a limit sets the account aside: the next mood shall be asked all the same.
        for (command, args) in [
            ("check", &["connection", "check", "acme-canary"][..]),
            ("run", &["run-once", "--connection", "acme-canary"]),
            ("preview", &["connection", "preview", "acme-canary", "--json"]),
        ] {
            let done = home.run(args).await;
            // What is asked of the first page alone may go well.
            assert!(done.code() != Some(0) || command != "run", "{next:?} {command}\n{done}");
            if command == "preview" {
                // It shows mapped records, that is its purpose: the person may be in it, the token not.
                shown.0.push((format!("{next:?}, {command}"), done.stdout.clone()));
                told.0.push((format!("{next:?}, {command}"), done.stderr));
            } else {
                told.hear(&format!("{next:?}, {command}"), &done);
            }
        }
    }
    told.hear("discard", &home.run_ok(&["errors", "discard", "1", "--reason", "a test"]).await);

    let runs = db.sql.number("select max(id) from integration_sync_runs").await;
    let letters = db.sql.number("select max(id) from integration_sync_errors").await;
    assert!(runs >= 8, "{runs} runs");
    let mut commands: Vec<Vec<String>> = [
        "connection list",
        "connection show acme-canary",
        "provider list",
        "provider show canary",
        "jobs list",
        "runs list",
        "errors list --all",
        "errors list --all --group",
        "export",
        "doctor",
        "healthcheck",
        "migrate --check",
        "validate",
        "grants",
    ]
    .iter()
    .map(|line| line.split(' ').map(str::to_owned).collect())
    .collect();
    commands.extend((1..=runs).map(|id| vec!["runs".into(), "show".into(), id.to_string()]));
    commands.extend((1..=letters).map(|id| vec!["errors".into(), "show".into(), id.to_string()]));
    for command in commands {
        let args: Vec<&str> = command.iter().map(String::as_str).collect();
        told.hear(&command.join(" "), &home.run(&args).await);
        told.hear(&format!("{} --json", command.join(" ")), &home.run(&[&args[..], &["--json"]].concat()).await);
    }
    assert!(told.0.iter().map(|(_, text)| text.len()).sum::<usize>() > 20_000, "much was told");
    let leaks = [told.holding(&[TOKEN, EMAIL, PHONE]), shown.holding(&[TOKEN])].concat();
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));

    let mut kept = Told(tables(db).await);
    assert!(
        kept.holding(&[EMAIL]).iter().any(|place| place.starts_with("integration_raw_events.payload")),
        "the person's data is kept"
    );
    assert_eq!(kept.holding(&[TOKEN]), [""; 0], "the token stands nowhere");
    // Where the provider goes on is its own text, kept as it came, less the credential: it may name anything, and is never told.
    let excepted = ["integration_raw_events.payload", "integration_sync_jobs.resume_position"];
    kept.0.retain(|(place, _)| !excepted.contains(&place.as_str()) && !place.starts_with("crm_leads."));
    assert_eq!(kept.holding(&[EMAIL, PHONE]), [""; 0], "the person stands in raw events and in records alone");
});
