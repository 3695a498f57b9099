//! `tidegate import` with the real program: files in every shape, twice, broken off, and beside a pull of the same objects.

use std::{fmt::Write as _, io::Write as _, path::PathBuf};

use serde_json::Value;

use crate::support::{
    daemon::Finished,
    databases::TestDatabase,
    yard::{ACME_PORTAL, Yard},
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
        self.into("acme-csv", "leads", name, more).await
    }

    async fn into(&self, key: &str, stream: &str, name: &str, more: &[&str]) -> (Finished, Value) {
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
    let before = crate::sweep_store::rows(db, None).await;
    files.write("leads.csv", format!("{HEADER}{}", rows(1..3)));
    let (done, answer) = files.import("leads.csv", &["--dry-run"]).await;
    assert_eq!(done.code(), Some(0), "{done}");
    assert_eq!(counts(&answer), [2, 2, 0, 0, 0, 0, 0], "{answer}");
    let after = crate::sweep_store::rows(db, None).await;
    assert_eq!(crate::sweep_store::differences(&before, &after), [""; 0], "a dry run wrote something");

    let (done, answer) = files.import("leads.csv", &[]).await;
    assert_eq!(done.code(), Some(0), "{done}");
    assert_eq!(counts(&answer["run"]), [2, 2, 0, 0, 0, 0, 0], "{answer}");
    let batch = &answer["import"];
    assert_eq!(
        (&batch["status"], &batch["file_name"], &batch["rows_read"]),
        (&"completed".into(), &"leads.csv".into(), &2.into())
    );
    files.yard.end().await;
});
