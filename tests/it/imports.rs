//! `tidegate import` with the real program: files in every shape, twice, broken off, and beside a pull of the same objects.

use std::{fmt::Write as _, io::Write as _, path::PathBuf};

use serde_json::Value;

use crate::{
    support::{daemon::Finished, databases::TestDatabase, yard::Yard},
    sweep_store::{differences, rows as rows_of},
};

const HEADER: &str = "lead_id,received_at,name,email,phone,stage\n";

/// Acme's files, and bright's, whose rows are to stay as they are.
struct Files<'d> {
    yard: Yard<'d>,
}

fn connection(key: &str, client: &str, label: &str, environment: &str) -> String {
    format!(
        "  - key: {key}\n    client: {client}\n    provider: csv\n    provider_account_id: {key}\n    environment: {environment}\n    \
         source_label: {label}\n    jobs:\n      - {{ stream: leads, schedule: manual }}\n"
    )
}

impl<'d> Files<'d> {
    async fn new(db: &'d TestDatabase) -> Self {
        let yard = Yard::new(db, 12, 0).await;
        let declared = yard.declaration("sandbox", "every 30d", false)
            + &connection("acme-csv", "acme", "Spreadsheet", "sandbox")
            + &connection("acme-fair", "acme", "Trade fair", "sandbox")
            + &connection("bright-csv", "bright", "Paper", "sandbox")
            + &connection("acme-live", "acme", "Books", "production");
        yard.declare(&declared).await;
        Self { yard }
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.yard.home.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Imports a file of leads into acme's spreadsheet.
    async fn import(&self, name: &str, more: &[&str]) -> (Finished, Value) {
        self.import_into("acme-csv", "leads", name, more).await
    }

    async fn import_into(&self, key: &str, stream: &str, name: &str, more: &[&str]) -> (Finished, Value) {
        let args = [&["import", name, "--connection", key, "--stream", stream, "--json"], more].concat();
        let done = self.yard.home.run(&args).await;
        let answer = serde_json::from_str(&done.stdout).unwrap_or(Value::Null);
        (done, answer)
    }

    async fn number(&self, sql: &str) -> i64 {
        self.yard.number(sql).await
    }

    async fn letters(&self) -> Vec<Value> {
        self.yard.home.run_ok(&["errors", "list", "--json"]).await.json().as_array().cloned().unwrap()
    }
}

/// seen, created, updated, unchanged, duplicate, ignored, failed
fn counts(run: &Value) -> [i64; 7] {
    ["seen", "created", "updated", "unchanged", "duplicate", "ignored", "failed"]
        .map(|name| run[format!("records_{name}")].as_i64().unwrap_or(-1))
}

fn rows(ids: std::ops::Range<u32>) -> String {
    let mut text = String::new();
    for id in ids {
        writeln!(text, "{id},2026-01-31,Lead {id},lead{id}@example.test,+1202555{:04},new", id % 10_000).unwrap();
    }
    text
}

on_both_engines!(p5_a_file_is_imported_once_and_the_same_file_again_changes_nothing, |db| {
    let files = Files::new(db).await;
    files.write("paper.csv", format!("{HEADER}{}", rows(1..4)));
    assert_eq!(files.import_into("bright-csv", "leads", "paper.csv", &[]).await.0.code(), Some(0));
    let bright = files.number("select id from core_clients where client_key = 'bright'").await;
    // Acts name no client; one sweep looks for alerts of all.
    let of_bright = async || {
        let mut all = rows_of(db, Some(bright)).await;
        all.retain(|table, _| !["event_admin_actions", "integration_alerts"].contains(&table.as_str()));
        all
    };
    let of_bright_before = of_bright().await;
    let before = rows_of(db, None).await;
    files.write("leads.csv", format!("{HEADER}{}", rows(1..3)));
    let (done, answer) = files.import("leads.csv", &["--dry-run"]).await;
    assert_eq!(done.code(), Some(0), "{done}");
    assert_eq!(counts(&answer), [2, 2, 0, 0, 0, 0, 0], "{answer}");
    assert_eq!(differences(&before, &rows_of(db, None).await), [""; 0], "a dry run wrote something");

    let (done, answer) = files.import("leads.csv", &[]).await;
    assert_eq!(done.code(), Some(0), "{done}");
    assert_eq!(counts(&answer["run"]), [2, 2, 0, 0, 0, 0, 0], "{answer}");
    let batch = &answer["import"];
    assert_eq!(
        (&batch["status"], &batch["file_name"], &batch["rows_read"], &batch["source_label"]),
        (&"completed".into(), &"leads.csv".into(), &2.into(), &"Spreadsheet (file)".into())
    );
    assert!(done.stderr.contains("] 100 %"), "{done}");
    for (what, sql, expected) in [
        (
            "runs",
            "select count(*) from integration_sync_runs where origin = 'import' and status = 'succeeded' and records_created = 2",
            1,
        ),
        (
            "raw events",
            "select count(*) from integration_raw_events where origin = 'import' and source_label = 'Spreadsheet'",
            2,
        ),
        ("records", "select count(*) from crm_leads where source_label = 'Spreadsheet'", 2),
        ("acts", "select count(*) from event_admin_actions where action = 'import' and subject_key = 'acme-csv'", 1),
        (
            "checks",
            "select count(*) from data_quality_checks q join integration_sync_runs r on r.id = q.run_id where r.origin = 'import' and q.check_key = 'source_label' and q.status = 'passed'",
            2,
        ),
        (
            "moved jobs",
            "select count(*) from integration_sync_jobs where stream = 'leads' and (cursor_state is not null or resume_position is not null or last_complete_at is not null)",
            0,
        ),
    ] {
        assert_eq!(files.number(sql).await, expected, "{what}");
    }

    // The very content again, under another name and compressed: said, and nothing written.
    let before = rows_of(db, None).await;
    let text = std::fs::read(files.yard.home.path().join("leads.csv")).unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&text).unwrap();
    files.write("again.csv.gz", packed.finish().unwrap());
    for name in ["leads.csv", "again.csv.gz"] {
        let (done, answer) = files.import(name, &[]).await;
        assert_eq!((done.code(), &answer["known"], &answer["run"]), (Some(0), &true.into(), &Value::Null), "{done}");
        assert_eq!(answer["import"]["id"], batch["id"]);
        let told = files.yard.home.run_ok(&["import", name, "--connection", "acme-csv", "--stream", "leads"]).await;
        assert!(told.stdout.contains("nothing was written") && told.stdout.contains("--again"), "{told}");
    }
    assert_eq!(differences(&before, &rows_of(db, None).await), [""; 0]);
    let (done, answer) = files.import("leads.csv", &["--again"]).await;
    assert_eq!((done.code(), counts(&answer["run"])), (Some(0), [2, 0, 0, 2, 0, 0, 0]), "{done}");
    // The same content for another connection is another import.
    assert_eq!(files.import_into("acme-fair", "leads", "leads.csv", &[]).await.1["known"], false);
    let listed = files.yard.home.run_ok(&["import", "list", "--connection", "acme-csv", "--json"]).await.json();
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
    let shown = files.yard.home.run_ok(&["connection", "show", "acme-csv"]).await;
    assert!(shown.stdout.contains("latest imports") && shown.stdout.contains("leads.csv"), "{shown}");
    assert_eq!(differences(&of_bright_before, &of_bright().await), [""; 0]);
    files.yard.assert_settled().await;
    files.yard.end().await;
});

on_both_engines!(p8_an_import_that_is_killed_half_way_and_repeated_leaves_each_row_once, |db| {
    let files = Files::new(db).await;
    files.write("leads.csv", format!("{HEADER}{}", rows(0..20_000)));
    let args = ["import", "leads.csv", "--connection", "acme-csv", "--stream", "leads", "--json"];
    let mut killed = files.yard.home.start(&args);
    killed.wait_for_line("page 1").await;
    killed.kill().await;
    let there = files.number("select count(*) from crm_leads").await;
    assert!((1_000..20_000).contains(&there), "{there}");
    assert_eq!(files.number("select count(*) from data_import_batches where status = 'running'").await, 1);
    let done = files.yard.home.start(&args).wait(std::time::Duration::from_secs(300)).await;
    assert_eq!(done.code(), Some(0), "{done}");
    let run = &done.json()["run"];
    let found = counts(run);
    assert_eq!((found[0], found[1] + found[3], found[6]), (20_000, 20_000, 0), "{run}");
    assert!(found[3] >= there, "what was there is unchanged: {run}");
    assert_eq!(files.number("select count(*) from crm_leads").await, 20_000);
    assert_eq!(files.number("select count(distinct external_id) from crm_leads").await, 20_000);
    let states = db.sql.rows("select status from data_import_batches order by id").await;
    let states: Vec<_> = states.into_iter().flatten().flatten().collect();
    assert_eq!(states, ["abandoned", "completed"]);
    assert_eq!(
        files
            .number("select count(*) from integration_sync_runs where status = 'abandoned' and origin = 'import'")
            .await,
        1
    );
    files.yard.assert_settled().await;
    files.yard.end().await;
});

on_both_engines!(p16_two_labels_are_two_sources_and_never_one_record, |db| {
    let files = Files::new(db).await;
    files.write("leads.csv", format!("{HEADER}{}", rows(1..4)));
    for key in ["acme-csv", "acme-fair"] {
        let (done, answer) = files.import_into(key, "leads", "leads.csv", &[]).await;
        assert_eq!((done.code(), counts(&answer["run"])[1]), (Some(0), 3), "{done}");
    }
    for label in ["Spreadsheet", "Trade fair"] {
        assert_eq!(files.number(&format!("select count(*) from crm_leads where source_label = '{label}'")).await, 3);
    }
    // A label of its own is the connection's with an addition; another one is another source.
    files.write("more.csv", format!("{HEADER}{}", rows(4..5)));
    let before = rows_of(db, None).await;
    for (label, part) in [("Trade fair", "import it into acme-fair"), ("Radio", "declare a connection of its own")] {
        let (done, _) = files.import("more.csv", &["--source-label", label]).await;
        assert_eq!(done.code(), Some(2), "{done}");
        assert!(done.stderr.contains("two sources are never merged") && done.stderr.contains(part), "{done}");
    }
    assert_eq!(differences(&before, &rows_of(db, None).await), [""; 0]);
    let (done, answer) = files.import("more.csv", &["--source-label", "Spreadsheet (of March)"]).await;
    assert_eq!((done.code(), &answer["import"]["source_label"]), (Some(0), &"Spreadsheet (of March)".into()), "{done}");
    assert_eq!(files.number("select count(*) from crm_leads where source_label = 'Spreadsheet'").await, 4);
    files.yard.end().await;
});

on_both_engines!(a_file_and_a_pull_of_the_same_objects_are_one_record_each, |db| {
    let files = Files::new(db).await;
    let home = &files.yard.home;
    let shown = home.run_ok(&["connection", "preview", "acme-hubspot", "--count", "12", "--json"]).await.json();
    let ids = external_ids(&shown);
    assert_eq!(ids.len(), 12, "{shown}");
    let mut text = "Record ID;E-Mail;createdAt;Colour\n".to_owned();
    for id in &ids {
        writeln!(text, "{id};by-hand-{id}@example.test;2026-01-31T08:00:00Z;red").unwrap();
    }
    files.write("contacts.csv", text);
    let (done, answer) =
        files.import_into("acme-hubspot", "contacts", "contacts.csv", &["--map", "Record ID=id"]).await;
    assert_eq!((done.code(), counts(&answer["run"])), (Some(0), [12, 12, 0, 0, 0, 0, 0]), "{done}");
    assert_eq!(answer["columns"]["unmatched"], serde_json::json!(["Colour"]), "{answer}");
    assert!(
        done.stderr.contains("no field takes \"Colour\"") && done.stderr.contains("no column brings \"Name\""),
        "{done}"
    );
    assert_eq!(files.number("select count(*) from crm_leads where email like 'by-hand-%'").await, 12);
    // The pull of the same objects: the same records, now as the provider has them.
    let pulled = files.yard.run_acme().await.json()["runs"][0].clone();
    assert_eq!(counts(&pulled)[..3], [12, 0, 12], "{pulled}");
    assert_eq!(files.number("select count(*) from crm_leads").await, 12);
    assert_eq!(files.number("select count(*) from crm_leads where email like 'by-hand-%'").await, 0);
    assert_eq!(files.number("select count(*) from crm_leads where source_label = 'CRM'").await, 12);
    // Where the pull stands is the pull's.
    let job = "select cursor_state, resume_position, last_complete_at, next_run_at, consecutive_failures from integration_sync_jobs \
               where id in (select job_id from integration_sync_runs where origin = 'manual')";
    let stood = db.sql.rows(job).await;
    let newer = "id,E-mail,createdAt\n990001,new@example.test,2026-01-31T08:00:00Z\n";
    files.write("newer.csv", newer);
    assert_eq!(files.import_into("acme-hubspot", "contacts", "newer.csv", &[]).await.0.code(), Some(0));
    assert_eq!(db.sql.rows(job).await, stood);
    // A file that says when its rows were changed never replaces what is newer.
    files.write(
        "old.csv",
        format!(
            "id,E-mail,createdAt,properties.lastmodifieddate\n{},old@example.test,2019-01-31T08:00:00Z,2019-02-01T08:00:00Z\n",
            ids[0]
        ),
    );
    let (_, answer) = files.import_into("acme-hubspot", "contacts", "old.csv", &[]).await;
    assert_eq!(counts(&answer["run"]), [1, 0, 0, 0, 0, 1, 0], "{answer}");
    files.yard.assert_settled().await;
    files.yard.end().await;
});

on_both_engines!(p12_a_bad_row_is_told_by_file_line_column_and_remedy_and_stops_nothing, |db| {
    let files = Files::new(db).await;
    let mut text =
        b"lead_id,received_at,Name,Phone,stage\n1,2026-01-31,Ann,+12025550101,new\n\n2,2026-01-31,Bob,12,new\n"
            .to_vec();
    text.extend(b",2026-01-31,Eve,,new\n4,yesterday,Dan,nonsense,new\n5,2026-01-31,Few\n6,2026-01-31,Zo\xeb,,new\n");
    text.extend(b"7,2026-01-31,\"Two\r\nlines\",+12025550107,new\r\n8,2026-01-31,\"Open,,new\n");
    files.write("leads.csv", &text);
    let expected = [
        "leads.csv line 4, column \"Phone\": a phone number is expected, with its country code unless the map has a default region",
        "leads.csv line 5, column \"lead_id\": the primary key is empty, or no plain text or number",
        "leads.csv line 6, column \"Phone\": a phone number is expected, with its country code unless the map has a default region; \
         column \"received_at\": a time in one of the field map's formats is expected",
        "leads.csv line 7: 3 fields where the header has 5",
        "leads.csv line 8, byte 178, column \"Name\": the row is not UTF-8",
        "leads.csv line 11: a quote is opened and not closed",
    ];
    let (done, answer) = files.import("leads.csv", &["--dry-run"]).await;
    assert_eq!((done.code(), counts(&answer)), (Some(3), [8, 2, 0, 0, 0, 0, 6]), "{done}");
    let told = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|error| error["message"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(told(&answer["errors"]), expected);
    let (done, answer) = files.import("leads.csv", &[]).await;
    assert_eq!((done.code(), counts(&answer["run"])), (Some(3), [8, 2, 0, 0, 0, 0, 6]), "{done}");
    assert_eq!(answer["import"]["status"], "completed");
    let mut letters = files.letters().await;
    letters.sort_by_key(|letter| letter["id"].as_i64());
    let messages: Vec<&str> = letters.iter().map(|letter| letter["message_internal"].as_str().unwrap()).collect();
    assert_eq!(messages, expected);
    for letter in &letters {
        assert_eq!(letter["origin"], "import", "{letter}");
        assert!(
            letter["remedy"].as_str().is_some_and(|remedy| remedy.contains("import") || remedy.contains("mend")),
            "{letter}"
        );
    }
    let all = Value::from(letters).to_string();
    for value in ["nonsense", "yesterday", "Eve", "Open"] {
        assert!(!all.contains(value), "{value} is told: {all}");
    }
    assert_eq!(files.number("select count(*) from crm_leads where contact_name like 'Two%lines'").await, 1);
    // Mended and imported again: the letters of rows that have an id are closed, for their rows are there.
    let mended = String::from_utf8_lossy(&text)
        .replace(",12,", ",+12025550102,")
        .replace("yesterday", "2026-01-30")
        .replace("nonsense", "");
    files.write("leads.csv", mended);
    let (_, answer) = files.import("leads.csv", &["--encoding", "utf-8"]).await;
    assert_eq!(counts(&answer["run"])[..4], [8, 3, 0, 2], "{answer}");
    assert_eq!(files.number("select count(*) from integration_sync_errors where status = 'resolved'").await, 2);
    files.yard.assert_settled().await;
    files.yard.end().await;
});

#[tokio::test]
async fn each_encoding_delimiter_and_form_of_a_file_is_read_alike() {
    let database = TestDatabase::sqlite().await;
    let files = Files::new(&database).await;
    let utf16 = |text: &str, mark: u16, big: bool| -> Vec<u8> {
        let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
        std::iter::once(mark).chain(text.encode_utf16()).flat_map(bytes).collect()
    };
    let text = |id: u32, delimiter: &str| {
        format!("lead_id;Received;NAME\r\n{id};2026-01-31;\"Zoë\nMüller\"\r\n\r\n").replace(';', delimiter)
    };
    let latin: Vec<u8> = text(6, ";").chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let shapes: Vec<(Vec<u8>, &[&str])> = vec![
        (text(1, ",").into(), &[]),
        (format!("\u{feff}{}", text(2, ";")).into(), &[]),
        (utf16(&text(3, "\t"), 0xfeff, false), &[]),
        (utf16(&text(4, "|"), 0xfeff, true), &[]),
        (text(5, "~").into(), &["--delimiter", "~"]),
        (latin.clone(), &["--encoding", "latin1"]),
        (format!("sep=;\n{}", text(7, ";")).into(), &[]),
        ("{\"lead_id\": 8, \"received\": \"2026-01-31\", \"Name\": \"Zoë\\nMüller\"}\n\n".into(), &[]),
    ];
    let total = i64::try_from(shapes.len()).unwrap();
    for (n, (content, more)) in shapes.into_iter().enumerate() {
        let name = format!("leads-{n}.csv");
        files.write(&name, content);
        let (done, answer) = files.import(&name, more).await;
        assert_eq!((done.code(), counts(&answer["run"])), (Some(0), [1, 1, 0, 0, 0, 0, 0]), "{n}: {done}");
    }
    let args = ["import", "-", "--connection", "acme-csv", "--stream", "leads", "--json"];
    let done = files.yard.home.run_with(&args, &text(9, ",")).await;
    assert_eq!((done.code(), &done.json()["import"]["file_name"]), (Some(0), &"stdin".into()), "{done}");
    assert_eq!(files.number("select count(*) from crm_leads where contact_name = 'Zoë\nMüller'").await, total + 1);

    // What is not what was said is refused with what to say instead; nothing is read on a guess.
    let before = rows_of(&database, None).await;
    let unmarked = utf16(&text(10, ","), 0x0a, false);
    let refused: Vec<(Vec<u8>, &[&str], &str)> = vec![
        (latin.iter().map(|b| if *b == b'R' { 0xeb } else { *b }).collect(), &[], "line 1: the header is not UTF-8"),
        (unmarked, &[], "--encoding utf-16le"),
        (utf16(&text(10, ","), 0xfeff, false), &["--encoding", "utf-8"], "begins with the mark of UTF-16 LE"),
        ("[{\"lead_id\": 1}]".into(), &[], "one JSON object a line"),
        ("".into(), &[], "is empty"),
        (b"\x1f\x8b\x08broken".to_vec(), &[], "cannot be read"),
    ];
    for (content, more, part) in refused {
        files.write("wrong.csv", content);
        let (done, _) = files.import("wrong.csv", more).await;
        assert_eq!(done.code(), Some(2), "{part}: {done}");
        assert!(done.stderr.contains(part) && done.stderr.contains("do: "), "{part}: {done}");
    }
    for (name, part) in [("gone.csv", "cannot be read"), (".", "is not a file")] {
        let (done, _) = files.import(name, &[]).await;
        assert!(done.code() == Some(2) && done.stderr.contains(part), "{done}");
    }
    assert_eq!(differences(&before, &rows_of(&database, None).await), [""; 0]);
    files.yard.end().await;
}

on_both_engines!(a_header_that_does_not_fit_is_refused_before_anything_is_written, |db| {
    let files = Files::new(db).await;
    let before = rows_of(db, None).await;
    files.write("leads.csv", "Lead id,recieved,E-mail,email,name\n1,2026-01-31,a,b,c\n");
    for more in [&[][..], &["--dry-run"], &["--map", "Lead=lead_id"]] {
        let (done, _) = files.import("leads.csv", more).await;
        assert_eq!(done.code(), Some(2), "{done}");
        for part in [
            "does not fit stream 'leads'; nothing was written",
            "no column \"lead_id\", which is the primary key; the nearest is \"Lead id\"",
            "no column for \"Received\" (received_at), which is required; the nearest is \"recieved\"",
            "columns \"E-mail\" and \"email\" both fit email",
            "found: \"Lead id\", \"recieved\", \"E-mail\", \"email\", \"name\"",
            "lead_id (primary key)",
            "--map",
        ] {
            assert!(done.stderr.contains(part), "{part}: {done}");
        }
    }
    let (done, _) = files.import("leads.csv", &["--map", "Lead id=led_id"]).await;
    assert!(done.code() == Some(2) && done.stderr.contains("did you mean \"lead_id\"?"), "{done}");
    let (done, _) = files.import_into("acme-hubspot", "deals", "leads.csv", &[]).await;
    assert!(done.code() == Some(2) && done.stderr.contains("{ stream: deals, schedule: manual }"), "{done}");
    let (done, _) = files.import("leads.csv", &["--stream", "x"]).await;
    assert_eq!(done.code(), Some(2), "{done}");
    assert_eq!(differences(&before, &rows_of(db, None).await), [""; 0]);
    let said = ["--map", "Lead ID=lead_id", "--map", "recieved=Received", "--map", "email=attribution_source"];
    files.write("leads.csv", "Lead id,recieved,E-mail,email,name\n1,2026-01-31,a@example.test,b,c\n");
    let (done, answer) = files.import("leads.csv", &said).await;
    assert_eq!((done.code(), counts(&answer["run"])[1]), (Some(0), 1), "{done}");
    assert_eq!(
        files
            .number("select count(*) from crm_leads where attribution_source = 'b' and email = 'a@example.test'")
            .await,
        1
    );
    files.yard.end().await;
});

on_both_engines!(p20_an_import_is_refused_where_a_run_is_and_waits_for_the_job, |db| {
    let files = Files::new(db).await;
    files.write("leads.csv", format!("{HEADER}{}", rows(1..3)));
    let before = rows_of(db, None).await;
    let (done, _) = files.import_into("acme-live", "leads", "leads.csv", &[]).await;
    assert!(done.code() == Some(5) && done.stderr.contains("acme-live may not run"), "{done}");
    let (done, answer) = files.import_into("acme-live", "leads", "leads.csv", &["--dry-run"]).await;
    assert_eq!((done.code(), counts(&answer)[1]), (Some(0), 2), "{done}");
    assert_eq!(differences(&before, &rows_of(db, None).await), [""; 0]);
    let home = &files.yard.home;
    home.run_ok(&["connection", "pause", "acme-csv", "--reason", "test"]).await;
    assert_eq!(files.import("leads.csv", &[]).await.0.code(), Some(5));
    home.run_ok(&["connection", "resume", "acme-csv", "--reason", "test"]).await;
    let job = ["--connection", "acme-csv", "--stream", "leads", "--reason", "test"];
    home.run_ok(&[&["jobs", "pause"][..], &job].concat()).await;
    let (done, _) = files.import("leads.csv", &[]).await;
    assert!(done.code() == Some(5) && done.stderr.contains("jobs resume"), "{done}");
    home.run_ok(&[&["jobs", "resume"][..], &job].concat()).await;
    let ours = "connection_id = (select id from integration_connections where connection_key = 'acme-csv')";
    let until = if db.is_mysql() { "'2099-01-01 00:00:00'" } else { "'2099-01-01T00:00:00.000000Z'" };
    db.sql
        .ok(&format!("update integration_sync_jobs set lease_owner = 'worker-elsewhere', term_id = 't', lease_until = {until} where {ours}"))
        .await;
    let (done, _) = files.import("leads.csv", &[]).await;
    assert!(done.code() == Some(75) && done.stderr.contains("held by worker-elsewhere"), "{done}");
    assert_eq!(files.number("select count(*) from data_import_batches").await, 0);
    db.sql
        .ok(&format!(
            "update integration_sync_jobs set lease_owner = null, term_id = null, lease_until = null where {ours}"
        ))
        .await;
    assert_eq!(files.import("leads.csv", &[]).await.0.code(), Some(0));
    files.yard.end().await;
});

on_both_engines!(p12_too_many_bad_rows_fail_the_import_and_the_mended_file_goes_in, |db| {
    let files = Files::new(db).await;
    let bad = rows(0..2_000).replace("2026-01-31", "some day");
    files.write("leads.csv", format!("{HEADER}{}{bad}", rows(5_000..5_010)));
    let (done, answer) = files.import("leads.csv", &[]).await;
    assert_eq!((done.code(), &answer["run"]["error_code"]), (Some(4), &"error_budget_exceeded".into()), "{done}");
    assert_eq!(answer["import"]["status"], "failed");
    assert!(answer["run"]["remedy"].as_str().is_some_and(|remedy| remedy.contains("import it again")), "{answer}");
    let (_, answer) = files.import("leads.csv", &["--dry-run", "--errors", "3"]).await;
    assert_eq!(
        (&answer["over_budget"], answer["errors"].as_array().map(Vec::len)),
        (&true.into(), Some(3)),
        "{answer}"
    );
    files.write("leads.csv", format!("{HEADER}{}{}", rows(5_000..5_010), rows(0..2_000)));
    let (done, answer) = files.import("leads.csv", &[]).await;
    assert_eq!((done.code(), counts(&answer["run"])[..4].to_vec()), (Some(0), vec![2_010, 2_000, 0, 10]), "{done}");
    files.yard.end().await;
});

/// A rehearsal reads as an import does, without waiting for a database: ten times the rows, no more memory.
#[tokio::test]
async fn p8_ten_times_the_rows_take_no_more_memory() {
    let database = TestDatabase::sqlite().await;
    let files = Files::new(&database).await;
    let mut peaks = Vec::new();
    for (name, count) in [("small.csv", 20_000), ("large.csv", 200_000)] {
        files.write(name, format!("{HEADER}{}", rows(0..count)));
        let args = ["import", name, "--connection", "acme-csv", "--stream", "leads", "--dry-run", "--json"];
        let (done, peak) = files.yard.home.start(&args).wait_measured(std::time::Duration::from_secs(400)).await;
        assert_eq!((done.code(), counts(&done.json())[1]), (Some(0), i64::from(count)), "{done}");
        peaks.push(peak);
    }
    assert!(peaks[1] < peaks[0] + 40 * 1024, "KiB at most for 20,000 and for 200,000 rows: {peaks:?}");
    files.yard.end().await;
}

/// All `external_id`s in an answer.
fn external_ids(answer: &Value) -> Vec<String> {
    match answer {
        Value::Array(items) => items.iter().flat_map(external_ids).collect(),
        Value::Object(fields) => {
            let own = fields.get("external_id").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(fields.values().flat_map(external_ids)).collect()
        }
        _ => Vec::new(),
    }
}
