//! The manual path end to end: a CSV file and a JSON lines file as connections of their own.

use serde_json::Value;

use crate::support::{daemon::Finished, databases::TestDatabase, yard::Yard};

const HEADER: &str = "lead_id,received_at,name,email,phone,stage,paid\n";
const CONNECTION: &str = "clients: [{ key: acme, name: Acme Plumbing }]\nconnections:\n  - key: acme-csv\n    client: acme\n    \
     provider: csv\n    provider_account_id: leads\n    environment: sandbox\n    source_label: Spreadsheet\n    \
     config: { CONFIG }\n    jobs:\n      - { stream: leads, schedule: manual }\n";

struct Files<'d> {
    yard: Yard<'d>,
}

impl<'d> Files<'d> {
    async fn new(db: &'d TestDatabase, config: &str) -> Self {
        let yard = Yard::new(db, 0, 0).await;
        let config = config.replace("HOME", &yard.home.path().display().to_string());
        yard.declare(&CONNECTION.replace("CONFIG", &config)).await;
        Self { yard }
    }

    async fn run(&self) -> (Finished, Value) {
        let done = self.yard.home.run(&["run-once", "--connection", "acme-csv", "--json"]).await;
        let run = done.json()["runs"][0].clone();
        (done, run)
    }

    /// Puts a version of the map in force that reads a word which the first one does not know.
    fn knows_perhaps(&self) {
        let map = "connectors/csv/mappings/leads.yaml";
        let text = std::fs::read_to_string(self.yard.home.path().join(map)).unwrap();
        let text = text.replace("version: \"1\"", "version: \"2\"");
        self.yard.home.write(map, &text.replace("values: { \"yes\": paid,", "values: { perhaps: paid, \"yes\": paid,"));
    }

    async fn letters(&self) -> Vec<Value> {
        self.yard.home.run_ok(&["errors", "list", "--json"]).await.json().as_array().cloned().unwrap()
    }
}

fn counts(run: &Value) -> [i64; 5] {
    ["seen", "created", "updated", "unchanged", "failed"].map(|name| run[format!("records_{name}")].as_i64().unwrap())
}

on_both_engines!(a_csv_file_is_read_its_broken_rows_are_named_by_line_and_an_edit_is_an_update, |db| {
    let files = Files::new(db, "path: HOME/leads.csv").await;
    let rows = "1,2026-01-31,Ann,ann@example.test,+12025550101,new,yes\n\
                2,2026-01-31,Bob,bob@example.test,+12025550102,new,no\n\
                3,2026-01-31,Too,few\n\
                4,yesterday,Dan,dan@example.test,+12025550104,new,no\n\
                ,2026-01-31,Eve,eve@example.test,+12025550105,new,no\n\
                6,2026-01-31,Spam,spam@example.test,+12025550106,spam,no\n";
    files.yard.home.write("leads.csv", &format!("{HEADER}{rows}"));
    let (done, run) = files.run().await;
    assert_eq!(done.code(), Some(3), "{done}");
    assert_eq!(counts(&run), [6, 2, 0, 0, 3], "{run}");
    assert_eq!(run["records_ignored"], 1, "{run}");
    let letters = files.letters().await;
    let all = Value::from(letters.clone()).to_string();
    assert!(all.contains("line 4"), "the row with too few fields stands on line 4: {all}");
    assert!(all.contains("received_at"), "the column is named: {all}");
    assert!(!all.contains("dan@example.test") && !all.contains("eve@example.test"), "a row is told: {all}");
    for letter in &letters {
        assert!(letter["remedy"].as_str().is_some_and(|text| !text.is_empty()), "{letter}");
    }
    files.yard.assert_settled().await;

    // The same file again: nothing is written, and the same broken rows are the same dead letters.
    let (_, again) = files.run().await;
    assert_eq!(counts(&again)[1..4], [0, 0, 2], "{again}");
    assert_eq!(files.letters().await.len(), letters.len());
    assert_eq!(files.yard.number("select count(*) from crm_leads").await, 2);

    // One row edited, the broken ones mended.
    let rows = rows
        .replace("Bob", "Robert")
        .replace("3,2026-01-31,Too,few\n", "3,2026-01-31,Cyd,cyd@example.test,+12025550103,new,no\n")
        .replace("yesterday", "2026-01-30")
        .replace("\n,2026", "\n5,2026");
    files.yard.home.write("leads.csv", &format!("{HEADER}{rows}"));
    let (done, edited) = files.run().await;
    assert_eq!(done.code(), Some(0), "{done}");
    assert_eq!(counts(&edited), [6, 3, 1, 1, 0], "{edited}");
    assert_eq!(files.yard.number("select count(*) from crm_leads where contact_name = 'Robert'").await, 1);
    assert_eq!(files.yard.number("select count(*) from crm_leads where source_label = 'Spreadsheet'").await, 5);
    files.yard.assert_settled().await;
    files.yard.end().await;
});

on_both_engines!(p3_a_record_that_a_rule_leaves_out_later_is_counted_no_more_until_it_comes_back, |db| {
    let files = Files::new(db, "path: HOME/leads.csv").await;
    let write = |stage: &str| {
        let rows = format!(
            "1,2026-01-31,Ann,ann@example.test,+12025550101,{stage},yes\n2,2026-01-31,Bob,bob@example.test,+12025550102,new,no\n"
        );
        files.yard.home.write("leads.csv", &format!("{HEADER}{rows}"));
    };
    let counted = "select count(*) from crm_leads where voided_at is null";
    write("new");
    files.run().await;
    assert_eq!(files.yard.number(counted).await, 2);
    // Somebody marks the lead as spam, where it was made.
    write("spam");
    for (ignored, unchanged) in [(1, 1), (0, 2)] {
        let (done, run) = files.run().await;
        let told = (done.code(), run["records_ignored"].as_i64(), run["records_unchanged"].as_i64());
        assert_eq!(told, (Some(0), Some(ignored), Some(unchanged)), "{run}");
        assert_eq!(files.yard.number(counted).await, 1);
        files.yard.assert_settled().await;
    }
    // What is stored is mapped again: the lead stays out.
    files.yard.home.run_ok(&["normalize", "--connection", "acme-csv"]).await;
    assert_eq!(files.yard.number(counted).await, 1);
    write("new");
    let (_, back) = files.run().await;
    assert_eq!(counts(&back), [2, 0, 1, 1, 0], "{back}");
    assert_eq!(files.yard.number(counted).await, 2);
    files.yard.assert_settled().await;
    files.yard.end().await;
});

on_both_engines!(p16_a_run_that_left_records_out_is_taken_back_like_any_other, |db| {
    let files = Files::new(db, "path: HOME/leads.csv").await;
    let counted = "select count(*) from crm_leads where voided_at is null";
    for (stage, left) in [("new", 2), ("spam", 0)] {
        let rows = [1, 2].map(|id| format!("{id},2026-01-31,Ann,ann@example.test,+12025550101,{stage},yes\n")).concat();
        files.yard.home.write("leads.csv", &format!("{HEADER}{rows}"));
        assert_eq!(files.run().await.0.code(), Some(0));
        assert_eq!(files.yard.number(counted).await, left);
    }
    let run = files.yard.number("select max(id) from integration_sync_runs").await.to_string();
    let void = ["runs", "void", &run, "--reason", "a wrong export", "--json"];
    let done = files.yard.home.run_ok(&void).await.json();
    assert_eq!((&done["runs"][0]["records_updated"], files.yard.number(counted).await), (&2.into(), 2), "{done}");
    assert!(files.yard.home.run_ok(&void[..5]).await.stdout.contains("nothing stands"));
    files.yard.assert_settled().await;
    files.yard.end().await;
});

on_both_engines!(p5_what_failed_before_a_rule_left_its_record_out_is_not_written_any_more, |db| {
    let files = Files::new(db, "path: HOME/leads.csv").await;
    let write = |first: &str, second: &str| {
        let rows = format!(
            "1,2026-01-31,Ann,ann@example.test,+12025550101,{first}\n2,2026-01-31,Bob,bob@example.test,+12025550102,{second}\n"
        );
        files.yard.home.write("leads.csv", &format!("{HEADER}{rows}"));
    };
    // One lead is stored before it fails, the other one never was.
    write("new,yes", "new,perhaps");
    assert_eq!(counts(&files.run().await.1), [2, 1, 0, 0, 1]);
    write("new,perhaps", "new,perhaps");
    assert_eq!(counts(&files.run().await.1), [2, 0, 0, 0, 2]);
    assert_eq!(files.letters().await.len(), 2);
    write("spam,perhaps", "spam,perhaps");
    let (_, run) = files.run().await;
    assert_eq!((&run["records_ignored"], files.letters().await.len()), (&2.into(), 0), "{run}");

    files.knows_perhaps();
    files.yard.home.run(&["errors", "retry", "--all"]).await;
    files.run().await;
    assert_eq!(files.yard.number("select count(*) from crm_leads where voided_at is null").await, 0);
    files.yard.assert_settled().await;
    files.yard.end().await;
});

on_both_engines!(p5_an_older_payload_is_not_replayed_over_a_newer_one, |db| {
    let files = Files::new(db, "path: HOME/leads.csv").await;
    for name in ["Ann", "Anne"] {
        let row = format!("1,2026-01-31,{name},ann@example.test,+12025550101,new,perhaps\n");
        files.yard.home.write("leads.csv", &format!("{HEADER}{row}"));
        assert_eq!(counts(&files.run().await.1), [1, 0, 0, 0, 1]);
    }
    let mut ids: Vec<i64> = files.letters().await.iter().map(|letter| letter["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids.len(), 2);
    files.knows_perhaps();
    for id in ids.iter().rev() {
        files.yard.home.run_ok(&["errors", "retry", &id.to_string()]).await;
        assert_eq!(files.yard.number("select count(*) from crm_leads where contact_name = 'Anne'").await, 1);
    }
    assert_eq!((files.yard.number("select count(*) from crm_leads").await, files.letters().await.len()), (1, 0));
    files.yard.assert_settled().await;
    files.yard.end().await;
});

#[tokio::test]
async fn a_quoted_line_break_a_byte_order_mark_and_crlf_are_read_as_people_mean_them() {
    let database = TestDatabase::sqlite().await;
    let files = Files::new(&database, "path: HOME/leads.csv").await;
    files.yard.home.write(
        "leads.csv",
        "\u{feff}lead_id,received_at,name\r\n1,2026-01-31,\"Ann, the\r\nfirst\"\r\n2,2026-01-31,Bob\r\n",
    );
    let (done, run) = files.run().await;
    assert_eq!(done.code(), Some(0), "{done}");
    assert_eq!(counts(&run), [2, 2, 0, 0, 0], "{run}");
    assert_eq!(files.yard.number("select count(*) from crm_leads where contact_name like 'Ann, the%first'").await, 1);
    files.yard.end().await;
}

on_both_engines!(json_lines_are_read_like_csv, |db| {
    let yard = Yard::new(db, 0, 0).await;
    let folder = yard.home.path().join("connectors/csv/file.yaml");
    let text = std::fs::read_to_string(&folder).unwrap();
    let jsonl = text.replace("format: csv", "format: jsonl").replace("    delimiter: \",\"\n", "");
    assert_ne!(text, jsonl);
    std::fs::write(&folder, jsonl).unwrap();
    let config = format!("path: {}/leads.jsonl", yard.home.path().display());
    yard.declare(&CONNECTION.replace("CONFIG", &config)).await;
    let files = Files { yard };
    files.yard.home.write(
        "leads.jsonl",
        "{\"lead_id\": 1, \"received_at\": \"2026-01-31\", \"name\": \"Ann\"}\n{\"lead_id\": 2,\n\n[1]\n{\"lead_id\": 5, \"received_at\": \"2026-01-31\", \"name\": \"Eve\"}\n",
    );
    let (done, run) = files.run().await;
    assert_eq!(done.code(), Some(3), "{done}");
    assert_eq!(counts(&run), [4, 2, 0, 0, 2], "{run}");
    let all = Value::from(files.letters().await).to_string();
    assert!(all.contains("line 2") && all.contains("line 4"), "{all}");
    files.yard.end().await;
});

#[tokio::test]
async fn a_file_that_is_not_there_or_has_the_wrong_columns_is_told_by_its_path() {
    let database = TestDatabase::sqlite().await;
    let files = Files::new(&database, "path: HOME/leads.csv").await;
    let wrong = [
        (None, "leads.csv cannot be read", 4),
        (Some("id,received_at\n1,2026-01-31\n"), "no column 'lead_id'", 4),
        (Some("lead_id,lead_id\n"), "column 2", 4),
        (Some(""), "a header with the names of the columns is expected", 4),
    ];
    for (text, part, code) in wrong {
        if let Some(text) = text {
            files.yard.home.write("leads.csv", text);
        }
        let (done, run) = files.run().await;
        assert_eq!(done.code(), Some(code), "{part}\n{done}");
        assert_eq!(run["status"], "failed", "{run}");
        assert!(
            run["error"].as_str().is_some_and(|error| error.contains(part) && error.contains("leads.csv")),
            "{part}: {run}"
        );
        assert!(
            run["remedy"].as_str().is_some_and(|remedy| remedy.contains("file") || remedy.contains("mend")),
            "{run}"
        );
        let check = files.yard.home.run(&["connection", "check", "acme-csv"]).await;
        assert!(check.code() != Some(0) && check.stderr.contains(part), "{check}");
    }
    assert_eq!(files.yard.number("select count(*) from integration_sync_runs where status = 'failed'").await, 4);
    files.yard.end().await;
}

#[tokio::test]
async fn a_connection_that_names_no_file_is_told_which_key_to_set() {
    let database = TestDatabase::sqlite().await;
    let files = Files::new(&database, "").await;
    let (done, run) = files.run().await;
    assert_eq!((done.code(), &run["error_code"]), (Some(4), &"settings_invalid".into()), "{done}");
    assert!(run["error"].as_str().is_some_and(|error| error.contains("'path'")), "{run}");
    files.yard.end().await;
}

#[tokio::test]
async fn a_file_that_lost_all_its_rows_is_not_green() {
    let database = TestDatabase::sqlite().await;
    let files = Files::new(&database, "path: HOME/leads.csv").await;
    files.yard.home.write("leads.csv", &format!("{HEADER}1,2026-01-31,Ann,ann@example.test,+12025550101,new,yes\n"));
    assert_eq!(files.run().await.0.code(), Some(0));
    files.yard.home.write("leads.csv", HEADER);
    let (done, run) = files.run().await;
    assert_eq!((done.code(), &run["error_code"]), (Some(3), &"no_rows_where_expected".into()), "{done}");
    assert_eq!(files.yard.number("select count(*) from crm_leads where voided_at is null").await, 1);
    files.yard.end().await;
}
