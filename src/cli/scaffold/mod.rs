//! `tidegate connector new`: a folder to begin with, whole enough to validate, with comments that say what to fill in.
//!
//! Owns the text of its files. Refuses a folder that is there, asks nothing, and knows nobody's API: what it writes is an example until
//! somebody has held it against the provider's documentation.

mod pieces;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{
    App, Done,
    args::{ConnectorCommand, NewConnectorArgs},
    exit::Exit,
    failure::Failure,
    print::Output,
};

const MANIFEST: &str = include_str!("manifest.yaml.txt");

/// Does a `connector` command.
///
/// # Errors
/// See [`Failure`].
pub fn run(app: &App, command: &ConnectorCommand, out: Output) -> Done {
    let ConnectorCommand::New(args) = command;
    let name = &args.name;
    let fits = |text: &str| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
        text.starts_with(|c: char| c.is_ascii_lowercase()) && text.len() <= 60 && text.chars().all(plain)
    };
    for (what, text) in [("a provider's key", name), ("a stream's name", &args.stream)] {
        if !fits(text) {
            return Err(Failure::usage(format!("'{text}' is not {what}"))
                .remedy("begin with a small letter and use small letters, digits, - and _, at most 60"));
        }
    }
    let parent = args.dir.clone().or_else(|| app.settings.connectors.dirs.first().cloned());
    let folder = parent.unwrap_or_else(|| PathBuf::from("connectors")).join(name);
    if folder.exists() {
        return Err(Failure::usage(format!("{} is there already", folder.display()))
            .remedy("name another one, or take the folder away; nothing was written"));
    }
    let written = files(args, &folder.display().to_string());
    for (file, text) in &written {
        write(&folder.join(file), text)?;
    }
    let names: Vec<String> = written.iter().map(|(file, _)| folder.join(file).display().to_string()).collect();
    app.show(out, &json!({"provider": name, "folder": folder, "files": names}), |_| {
        let lines: String = names.iter().map(|file| format!("{file}\n")).collect();
        format!(
            "{lines}\nfill in what says CHANGE, then: tidegate validate {}\nthe guide: docs/connectors.md",
            folder.display()
        )
    })
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).and_then(|()| fs::write(file, text)).map_err(|error| {
        Failure::new(Exit::Usage, format!("{}: cannot be written: {error}", file.display()))
            .remedy("name a folder that this user may write to: --dir DIR")
    })
}

/// The files of the folder, by their places in it.
fn files(args: &NewConnectorArgs, folder: &str) -> Vec<(String, String)> {
    let stream = &args.stream;
    vec![
        ("manifest.yaml".to_owned(), manifest(args, folder)),
        (format!("mappings/{stream}.yaml"), map(stream, args.cursor.as_deref())),
        ("metrics.yaml".to_owned(), METRICS.to_owned()),
        (format!("fixtures/{stream}/page_1.json"), page(args.cursor.as_deref())),
        ("README.md".to_owned(), README.replace("NAME", &args.name).replace("STREAM", stream)),
    ]
}

fn manifest(args: &NewConnectorArgs, folder: &str) -> String {
    let (required, mut options) = pieces::options(args.auth);
    let (mut required, mut all) = (required.to_owned(), String::new());
    let incremental = match &args.cursor {
        Some(field) => {
            required = if required.is_empty() { "start_date".to_owned() } else { format!("{required}, start_date") };
            all.push_str("      start_date: { type: string } # e.g. 2026-01-01T00:00:00Z: nothing older is read\n");
            pieces::CURSOR.replace("CURSOR", field)
        }
        None => pieces::NO_CURSOR.to_owned(),
    };
    if options.is_empty() && all.is_empty() {
        options = " {}\n";
    } else {
        all.insert(0, '\n');
    }
    all.push_str(options);
    MANIFEST
        .replace("AUTHENTICATOR", pieces::authenticator(args.auth))
        .replace("PAGINATOR", pieces::paginator(args.paging))
        .replace("INCREMENTAL", &incremental)
        .replace("OPTIONS\n", &all)
        .replace("REQUIRED", &required)
        .replace("FOLDER", folder)
        .replace("STREAM", &args.stream)
        .replace("NAME", &args.name)
        .replace("URL #", &format!("{} #", args.url))
        .replace("url_base: URL\n", &format!("url_base: {}\n", args.url))
}

fn map(stream: &str, cursor: Option<&str>) -> String {
    let known = cursor.map(|field| format!(", {field}")).unwrap_or_default();
    format!(
        r#"# How a record of `{stream}` becomes a row of ours. The tables and their columns stand in docs/connectors.md, step 5.
version: "1" # a new one with every change that matters
stream: {stream}
object_type: contact # CHANGE: what a record is
table: crm_leads # CHANGE
fields:
  - {{ to: contact_name, label: Name, type: text, from: [first_name, last_name], join: " " }}
  - {{ to: email, label: E-mail, type: email, from: email }}
  # A number without a country code is read as one of this country.
  - {{ to: phone, label: Phone, type: phone, from: phone, default_region: US }}
  # Each of the provider's words with ours; a word that is not listed fails the record, and is never guessed.
  - to: stage
    label: Stage
    type: enum
    from: status
    values: {{ new: lead, won: customer, lost: ~ }} # CHANGE
  # A time without a zone needs `zone: America/New_York`, and another form `formats: ["%m/%d/%Y"]`.
  - {{ to: received_at, label: Received, type: timestamp, from: created_at, required: true }}
# Records that are no work: counted as ignored, with the reason.
ignore_when:
  - {{ field: email, matches: "@example\\.com$", reason: a test }}
# Known, and left out on purpose. Every other field that arrives and is mapped nowhere is counted and shown.
unmapped: [id{known}]
"#
    )
}

fn page(cursor: Option<&str>) -> String {
    let changed = cursor.map(|field| format!(",\n      \"{field}\": \"2026-01-05T10:00:00Z\"")).unwrap_or_default();
    format!(
        r#"{{
  "data": [
    {{
      "id": 1,
      "first_name": "Ada",
      "last_name": "Invented",
      "email": "ada@example.test",
      "phone": "(205) 555-0142",
      "status": "new",
      "created_at": "2026-01-05T09:12:04Z"{changed}
    }}
  ]
}}
"#
    )
}

const METRICS: &str =
    "# Which numbers this provider's records feed; tidegate metrics list tells all, docs/metrics.md how to define one.
feeds:
  - lead_volume # CHANGE
";

const README: &str = "# NAME

What a launch asks for. Name the page of the provider's documentation for each line. A line that still says CHANGE fails its check.

| | |
| --- | --- |
| Account access | CHANGE: who gives it, and where |
| Auth model | CHANGE |
| Scopes | CHANGE: what is asked for, and nothing that writes |
| `provider_account_id` | CHANGE: where the account's id is read |
| Limits | CHANGE |
| Revocation | CHANGE: where the access is taken back |
| Manual fallback | CHANGE: which export `tidegate import` takes when the API is away |
| Tried against | CHANGE: only fixtures, a simulator, a sandbox, a real account; and when |

## Streams
| stream | path | cursor |
| --- | --- | --- |
| STREAM | CHANGE | CHANGE |

## Pages of the documentation
CHANGE: their titles or addresses
";
