//! The guide of `docs/connectors.md`, carried out: its files are written, its commands run, and what they print is what stands there.
//!
//! A fenced block whose language is followed by a path is that file; a `console` block is commands and their output, in which `…` stands for
//! anything. The made-up provider of the guide answers on loopback in place of its address.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex},
};

use axum::{
    Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::Json,
    routing::get,
};
use serde_json::{Value, json};
use tidegate::domain::business;

use crate::support::{
    daemon::{Home, PATIENCE},
    databases::TestDatabase,
};

static GUIDE: LazyLock<String> = LazyLock::new(|| {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/connectors.md")).expect("the guide")
});
/// Where the made-up provider would be.
const ADDRESS: &str = "https://api.fieldbook.example";
const KEY: &str = "fb-key-0001";

/// A step of the guide.
#[derive(Debug)]
enum Step<'g> {
    File(&'g str, &'g str),
    /// A command, and what it prints.
    Command(&'g str, Vec<&'g str>),
}

/// The steps of the guide, in its order.
fn steps() -> Vec<Step<'static>> {
    let (_, guide) = GUIDE.split_once("\n# The guide: ").unwrap();
    let (guide, _) = guide.split_once("\n# When it goes wrong").unwrap();
    let mut steps = Vec::new();
    for block in guide.split("\n```").skip(1).step_by(2) {
        let (head, text) = block.split_once('\n').unwrap();
        match head.split_once(' ') {
            Some((_, file)) => steps.push(Step::File(file, text)),
            None if head == "console" => {
                for line in text.lines() {
                    match (line.strip_prefix("$ "), steps.last_mut()) {
                        (Some(command), _) => steps.push(Step::Command(command, Vec::new())),
                        (None, Some(Step::Command(_, printed))) => printed.push(line),
                        (None, _) => panic!("no command before: {line}"),
                    }
                }
            }
            None => panic!("a block without a meaning: {head}"),
        }
    }
    steps
}

/// Whether a printed line is the expected one; `…` stands for anything.
fn same(expected: &str, printed: &str) -> bool {
    let mut parts = expected.split('…');
    let Some(mut rest) = printed.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut open = false;
    for part in parts {
        open = part.is_empty();
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    open || rest.is_empty()
}

/// A line that is `…` alone stands for any number of lines.
fn fits(expected: &[&str], printed: &[&str]) -> bool {
    match expected.split_first() {
        None => printed.is_empty(),
        Some((&"…", rest)) => (0..=printed.len()).any(|from| fits(rest, &printed[from..])),
        Some((line, rest)) => printed.first().is_some_and(|have| same(line, have)) && fits(rest, &printed[1..]),
    }
}

/// The made-up provider, and the requests that it got.
struct Fieldbook {
    base: String,
    asked: Arc<Mutex<Vec<String>>>,
}

type Asked = State<Arc<Mutex<Vec<String>>>>;
type Parameters = Query<std::collections::BTreeMap<String, String>>;

impl Fieldbook {
    async fn start() -> Self {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let routes = Router::new()
            .route("/v2/account", get(account))
            .route("/v2/requests", get(requests))
            .route("/v2/jobs", get(jobs))
            .with_state(Arc::clone(&asked));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { base, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

type Answer = (StatusCode, Json<Value>);

fn answered(headers: &HeaderMap, body: Value) -> Answer {
    match headers.get("x-fieldbook-key") {
        Some(key) if key == KEY => (StatusCode::OK, Json(body)),
        _ => (StatusCode::UNAUTHORIZED, Json(json!({"error": "unknown key"}))),
    }
}

async fn account(headers: HeaderMap) -> Answer {
    answered(&headers, json!({"account": {"id": "fb-204", "name": "Acme Plumbing"}}))
}

async fn requests(State(asked): Asked, Query(query): Parameters, headers: HeaderMap) -> Answer {
    asked.lock().unwrap().push(format!("requests {query:?}"));
    let since = query.get("updated_after").cloned().unwrap_or_default();
    let rows: Vec<Value> =
        people().into_iter().filter(|row| row["changed_at"].as_str().is_some_and(|at| at >= since.as_str())).collect();
    let from: usize = query.get("cursor").map_or(0, |cursor| cursor[1..].parse().unwrap());
    // The provider gives no more than so many, whatever is asked for.
    let size = query.get("page_size").map_or(2, |size| size.parse::<usize>().unwrap()).min(3);
    let page: Vec<&Value> = rows.iter().skip(from).take(size).collect();
    let next = (from + size < rows.len()).then(|| format!("c{}", from + size));
    answered(&headers, json!({"result": {"requests": page}, "paging": {"next": next}}))
}

async fn jobs(State(asked): Asked, Query(query): Parameters, headers: HeaderMap) -> Answer {
    asked.lock().unwrap().push(format!("jobs {query:?}"));
    let all = [
        json!({"job_no": "J-31", "request_id": 9002, "kind": "drain", "progress": "DONE", "total": {"cents": 18500, "currency": "USD"},
            "booked_on": "2026-01-07", "done_on": "2026-01-08"}),
        json!({"job_no": "J-32", "request_id": 9001, "kind": "water_heater", "progress": "PLANNED", "total": {"cents": 125_000, "currency": "USD"},
            "booked_on": "2026-01-09", "done_on": null}),
    ];
    let page: usize = query.get("page").map_or(1, |page| page.parse().unwrap());
    let size: usize = query.get("per_page").map_or(50, |size| size.parse().unwrap());
    let page: Vec<&Value> = all.iter().skip((page - 1) * size).take(size).collect();
    answered(&headers, json!({"jobs": page}))
}

fn people() -> Vec<Value> {
    let person = |id: u64, name: (&str, &str), email: Option<&str>, mobile: Option<&str>| json!({"request_id": id, "customer": {"first": name.0, "last": name.1, "email": email, "mobile": mobile}});
    let work = |mut row: Value, kind: &str, state: &str, channel: &str, times: (&str, &str)| {
        let link = format!("/v2/requests/{}", row["request_id"]);
        let more = json!({"kind": kind, "state": state, "channel": channel, "received": times.0, "changed_at": times.1, "_links": {"self": link}});
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    vec![
        work(
            person(9001, ("Ada", "Castillo"), Some("Ada.Castillo@example.test"), Some("(205) 555-0142")),
            "water_heater",
            "OPEN",
            "google_ads",
            ("01/05/2026 09:12", "2026-01-05T14:12:00Z"),
        ),
        work(
            person(9002, ("Ben", "Okafor"), None, Some("205-555-0117")),
            "drain",
            "BOOKED",
            "website",
            ("01/06/2026 16:40", "2026-01-07T08:00:00Z"),
        ),
        work(
            person(9003, ("Test", "Robot"), Some("qa@fieldbook.example"), None),
            "drain",
            "OPEN",
            "website",
            ("01/07/2026 10:00", "2026-01-07T15:00:00Z"),
        ),
        work(
            person(9004, ("Carla", "Nguyen"), Some("carla@example.test"), Some("(205) 555-0188")),
            "leak",
            "ON_HOLD",
            "referral",
            ("01/08/2026 11:25", "2026-01-08T16:30:00Z"),
        ),
        work(
            person(9005, ("Dev", "Marsh"), Some("dev@example.test"), Some("+1 205 555 0163")),
            "leak",
            "LOST",
            "website",
            ("01/09/2026 08:05", "2026-01-09T09:45:00Z"),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guide_holds_from_the_empty_folder_to_the_second_sync() {
    TestDatabase::empty_sqlite().await.run(carried_out).await;
}

async fn carried_out(db: &TestDatabase) {
    let provider = Fieldbook::start().await;
    let mut home = Home::new();
    let program = Path::new(env!("CARGO_BIN_EXE_tidegate")).parent().unwrap();
    let usual = std::env::var_os("PATH").unwrap();
    let path = [program.to_owned()].into_iter().chain(std::env::split_paths(&usual));
    home.variable("PATH", std::env::join_paths(path).unwrap().to_string_lossy())
        .setting("database.url", db.url())
        .setting("http.allow_private", "127.0.0.0/8");
    let (mut files, mut commands) = (0, 0);
    for step in steps() {
        match step {
            Step::File(file, text) => {
                home.write(file, &text.replace(ADDRESS, &provider.base));
                files += 1;
            }
            Step::Command(command, expected) => {
                commands += 1;
                if let Some((name, value)) = command.strip_prefix("export ").and_then(|rest| rest.split_once('=')) {
                    home.variable(name, value);
                    continue;
                }
                let script = format!("{command} 2>&1");
                let done = home.start_program(Path::new("/bin/sh"), &["-c", &script]).wait(PATIENCE).await;
                let printed = done.stdout.replace(&provider.base, ADDRESS);
                let printed = printed.trim_end();
                let lines: Vec<&str> =
                    printed.lines().filter(|line| !line.starts_with("{\"timestamp\"")).map(str::trim_end).collect();
                let expected: Vec<&str> = expected.iter().map(|line| line.trim_end()).collect();
                assert!(
                    fits(&expected, &lines),
                    "$ {command}\nis to print\n{}\nand prints\n{printed}",
                    expected.join("\n")
                );
            }
        }
    }
    assert!(files >= 8 && commands >= 18, "{files} files, {commands} commands");
    assert_eq!(db.sql.number("select count(*) from crm_leads").await, 4);
    assert_eq!(db.sql.number("select count(*) from crm_leads where received_at is null or phone is null").await, 0);
    assert_eq!(
        db.sql.number("select count(*) from field_jobs where booked_amount is not null and currency = 'USD'").await,
        2
    );
    assert_eq!(db.sql.number("select count(*) from integration_sync_errors where status = 'open'").await, 0);
    let asked = provider.asked();
    let last = asked.iter().rfind(|asked| asked.starts_with("requests ")).unwrap();
    assert!(last.contains("2026-01-09T09:35:00Z"), "the last change less the look-back: {last}");
    assert!(asked.iter().any(|asked| asked.contains(r#""cursor": "c3""#)), "paged: {asked:?}");
}

#[test]
fn the_guide_knows_every_business_table_and_column() {
    for table in business::TABLES {
        let row = GUIDE.lines().find(|line| line.starts_with(&format!("| `{}` |", table.name)));
        let row = row.unwrap_or_else(|| panic!("{} is not in the guide", table.name));
        for column in table.columns.iter().filter(|column| column.name != "currency") {
            assert!(row.contains(&format!("`{}`", column.name)), "{}.{} is not in the guide", table.name, column.name);
            for word in column.words {
                assert!(row.contains(word), "{}.{}: {word} is not in the guide", table.name, column.name);
            }
        }
    }
}

#[test]
fn the_guides_wildcard_stands_for_anything_and_nothing_else() {
    assert!(same("a … c", "a b c") && same("a …", "a bc") && same("…c", "abc") && same("a", "a"));
    assert!(!same("a … c", "a b d") && !same("a", "ab") && !same("a …c", "a cb"));
    assert!(fits(&["…", "b"], &["x", "y", "b"]) && fits(&["…"], &[]) && !fits(&["b"], &["b", "c"]));
}

/// Each family that can be chosen starts a folder with nothing wrong in it.
#[tokio::test]
async fn a_started_connector_folder_validates_at_once_in_every_family() {
    let home = Home::new();
    for auth in ["none", "bearer", "api-key", "basic", "oauth", "session", "jwt"] {
        for paging in ["none", "page", "offset", "cursor", "next-url", "link-header"] {
            let name = format!("p-{auth}-{paging}");
            let mut args = vec!["connector", "new", &name, "--auth", auth, "--paging", paging];
            if paging != "none" {
                args.extend(["--cursor", "updated_at", "--stream", "leads", "--url", "https://api.acme.example/v1"]);
            }
            let made = home.run_ok(&args).await;
            assert!(made.stdout.contains(&format!("connectors/{name}/manifest.yaml")), "{made}");
        }
    }
    let all = home.run_ok(&["validate", "connectors"]).await;
    assert_eq!(all.stdout, "42 checked, 0 problems\n", "{all}");
}

/// What nobody wrote is not there.
#[tokio::test]
async fn the_readme_of_a_started_folder_passes_no_check_until_it_is_filled_in() {
    let home = Home::new();
    home.run_ok(&["connector", "new", "acme"]).await;
    let failed = async || {
        let told = home.run(&["validate", "--conformance", "connectors/acme", "--json"]).await.json();
        let checks = told["connectors"][0]["checks"].as_array().unwrap().clone();
        let readme = checks.into_iter().filter(|check| check["id"].as_str().unwrap().starts_with("readme_"));
        let (failed, passed): (Vec<Value>, Vec<Value>) = readme.partition(|check| check["result"] == "failed");
        assert!(failed.iter().all(|check| check["remedy"].as_str().unwrap().contains("README.md")), "{failed:#?}");
        (failed.len(), passed.len())
    };
    assert_eq!(failed().await, (8, 0));
    let readme = home.path().join("connectors/acme/README.md");
    let text = std::fs::read_to_string(&readme).unwrap();
    let kept = text.lines().filter(|line| !line.starts_with("What a launch"));
    std::fs::write(&readme, kept.map(|line| line.replace("CHANGE", "filled in") + "\n").collect::<String>()).unwrap();
    assert_eq!(failed().await, (0, 8));
}

#[tokio::test]
async fn a_connector_folder_that_is_there_is_left_as_it_is() {
    let home = Home::new();
    let file: PathBuf = home.write("connectors/acme/manifest.yaml", "mine");
    for (args, part) in [
        (&["connector", "new", "acme"][..], "connectors/acme is there already"),
        (&["connector", "new", "Acme CRM"], "'Acme CRM' is not a provider's key"),
        (&["connector", "new", "../acme"], "'../acme' is not a provider's key"),
        (&["connector", "new", "other", "--stream", "a/b"], "'a/b' is not a stream's name"),
    ] {
        let refused = home.run(args).await;
        assert_eq!(refused.code(), Some(2), "{refused}");
        assert!(refused.stderr.contains(part) && refused.stderr.contains("do: "), "{refused}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    assert!(!home.path().join("connectors/other").exists());
    let made = home.run_ok(&["connector", "new", "mine", "--dir", "elsewhere", "--json"]).await.json();
    assert_eq!(made["provider"], "mine", "{made}");
    assert!(home.path().join("elsewhere/mine/README.md").is_file());
}
