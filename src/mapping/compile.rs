//! From a field map's text to a checked plan.
//!
//! Owns the shape of the document and its rules as a whole: known table and columns, each column once, labels. What a
//! type needs besides is in `options`. Finds all problems, never only the first.

use std::path::Path as FilePath;

use super::{
    Field, FieldMap, FieldNote, MapProblem, Plan,
    coerce::Kind,
    coverage::Coverage,
    ignore::{Condition, IgnoreRule},
    options,
    path::Path,
};
use crate::{
    domain::{
        business::{self, BusinessTable, Column},
        record::{Cell, text_hash},
    },
    yaml::{self, Dialect, Node, NodeValue, Table, nearest},
};

/// Longest version and object type, as the database holds them.
const LONGEST_NAME: usize = 60;
/// Longest reason and label.
const LONGEST_TEXT: usize = 200;

pub(super) fn compile(provider_key: &str, file_name: &str, text: &str) -> Result<FieldMap, Vec<MapProblem>> {
    let root = yaml::parse(text, Dialect::Strict).map_err(|problem| vec![problem])?;
    let mut problems = Vec::new();
    let map = read(provider_key, file_name, text, &root, &mut problems);
    problems.sort_by_key(|problem| problem.line);
    match map {
        Some(map) if problems.is_empty() => Ok(map),
        Some(_) | None => Err(problems),
    }
}

/// Whether a file's stem is the stream, with or without a version behind it: `contacts`, `contacts.2`.
fn names(stem: &str, stream: &str) -> bool {
    stem.strip_prefix(stream).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn read(
    provider_key: &str,
    file_name: &str,
    text: &str,
    root: &Node,
    problems: &mut Vec<MapProblem>,
) -> Option<FieldMap> {
    let mut top = Table::open(root, "", problems)?;
    let version = name(&mut top, "version", "name the version, e.g. \"1\"; a changed map needs a new one", problems);
    let stream = name(&mut top, "stream", "name the stream as the manifest does", problems);
    let object_type = name(&mut top, "object_type", "name what a record is, e.g. contact", problems);
    if let Some(stream) = &stream
        && !FilePath::new(file_name).file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| names(stem, stream))
    {
        let message = format!("the stream is `{stream}`, the file's name says another (`{file_name}`)");
        let line = top.get("stream").and_then(|node| node.line);
        problems.push(MapProblem::new(
            line,
            "stream",
            message,
            format!("write the same in both: the file is called {stream}.yaml, or {stream}.VERSION.yaml beside it"),
        ));
    }
    let table = table(&mut top, problems);
    let mut compiler = Compiler {
        table,
        claimed: Vec::new(),
        coverage: Coverage::default(),
        notes: Vec::new(),
        blank: vec![Cell::Null; table.map_or(0, |table| table.columns.len())],
    };
    compiler.constants(&mut top, problems);
    let fields = compiler.fields(&mut top, problems);
    let account = compiler.account(&mut top, problems);
    let ignore = compiler.ignore(&mut top, problems);
    for (index, known) in top.texts("unmapped", problems).into_iter().enumerate() {
        match Path::parse(&known) {
            Some(path) => compiler.coverage.add(&path),
            None => problems.push(bad_path(root.line, &format!("unmapped[{index}]"))),
        }
    }
    top.finish(problems);
    let Compiler { coverage, notes, blank, .. } = compiler;
    Some(FieldMap {
        provider_key: provider_key.to_owned(),
        stream: stream?,
        version: version?,
        checksum: text_hash(text),
        document: text.to_owned(),
        object_type: object_type?,
        table: table?,
        notes,
        plan: Plan { account, fields, blank, ignore, coverage },
    })
}

fn name(
    top: &mut Table<'_>,
    key: &'static str,
    remedy: &'static str,
    problems: &mut Vec<MapProblem>,
) -> Option<String> {
    let text = top.required_text(key, remedy, problems)?;
    if text.chars().count() > LONGEST_NAME {
        problems.push(MapProblem::new(top.line, key, "is too long", format!("use at most {LONGEST_NAME} characters")));
    }
    Some(text)
}

fn table(top: &mut Table<'_>, problems: &mut Vec<MapProblem>) -> Option<&'static BusinessTable> {
    let name = top.required_text("table", "name one of our business tables, e.g. crm_leads", problems)?;
    let table = business::table(&name);
    if table.is_none() {
        let line = top.get("table").and_then(|node| node.line);
        let known: Vec<&str> = business::TABLES.iter().map(|table| table.name).collect();
        let remedy = nearest(&name, known.iter().copied())
            .map_or_else(|| format!("tables: {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
        problems.push(MapProblem::new(line, "table", format!("there is no table `{name}`"), remedy));
    }
    table
}

fn bad_path(line: Option<u64>, field: &str) -> MapProblem {
    MapProblem::new(line, field, "is no path", "write names with points between, e.g. properties.email")
}

/// What is gathered while the document is walked through.
struct Compiler {
    table: Option<&'static BusinessTable>,
    /// Columns that are already filled, by name.
    claimed: Vec<String>,
    coverage: Coverage,
    notes: Vec<FieldNote>,
    blank: Vec<Cell>,
}

impl Compiler {
    /// The column of that name; a problem when there is none, or when it is filled already.
    fn claim(
        &mut self,
        to: &str,
        line: Option<u64>,
        field: &str,
        problems: &mut Vec<MapProblem>,
    ) -> Option<(usize, &'static Column)> {
        if self.claimed.iter().any(|claimed| claimed == to) {
            let remedy = "keep one of the two; `from` takes several sources";
            problems.push(MapProblem::new(line, field, format!("column `{to}` is filled twice"), remedy));
        }
        self.claimed.push(to.to_owned());
        self.column(to, line, field, problems)
    }

    fn column(
        &self,
        to: &str,
        line: Option<u64>,
        field: &str,
        problems: &mut Vec<MapProblem>,
    ) -> Option<(usize, &'static Column)> {
        let table = self.table?;
        let found = table.position(to).map(|index| (index, &table.columns[index]));
        if found.is_none() {
            let names = table.columns.iter().map(|column| column.name);
            let remedy = nearest(to, names.clone()).map_or_else(
                || format!("columns: {}", names.collect::<Vec<_>>().join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            problems.push(MapProblem::new(line, field, format!("{} has no column `{to}`", table.name), remedy));
        }
        found
    }

    fn constants(&mut self, top: &mut Table<'_>, problems: &mut Vec<MapProblem>) {
        for (to, node) in top.pairs("constants", problems) {
            let field = format!("constants.{to}");
            if let Some((index, column)) = self.claim(to, node.line, &field, problems)
                && let Some(cell) = options::constant(node, column, &field, problems)
            {
                self.blank[index] = cell;
            }
            self.notes.push(FieldNote {
                label: to.replace('_', " "),
                from: Vec::new(),
                to: to.clone(),
                kind: "constant".to_owned(),
            });
        }
    }

    fn fields(&mut self, top: &mut Table<'_>, problems: &mut Vec<MapProblem>) -> Vec<Field> {
        let nodes = top.items("fields");
        if nodes.is_empty() {
            let remedy = "list what is mapped: to, from, type, label";
            problems.push(MapProblem::new(top.line, "fields", "is required and must not be empty", remedy));
        }
        let mut fields = Vec::new();
        for (index, node) in nodes.into_iter().enumerate() {
            if let Some(table) = Table::open(node, &format!("fields[{index}]"), problems) {
                fields.extend(self.field(table, problems));
            }
        }
        fields
    }

    fn field(&mut self, mut table: Table<'_>, problems: &mut Vec<MapProblem>) -> Option<Field> {
        let line = table.line;
        let to = table.required_text("to", "name the column that is filled", problems);
        let label = table.required_text("label", "say what a person reads for this field", problems);
        if label.as_ref().is_some_and(|label| label.chars().count() > LONGEST_TEXT) {
            let remedy = format!("use at most {LONGEST_TEXT} characters");
            problems.push(MapProblem::new(line, &table.path("label"), "is too long", remedy));
        }
        let from = self.sources(&mut table, problems);
        let join = table.text("join", problems);
        let claimed = to.as_ref().and_then(|to| self.claim(to, line, &table.path("to"), problems));
        let word = table.required_text("type", options::KNOWN_TYPES, problems);
        let kind = word.as_deref().and_then(|word| options::kind(word, &mut table, self.table, claimed, problems));
        if let Some(Kind::Money(rule)) = &kind {
            if let super::money::CurrencyRule::From(path) = &rule.currency {
                self.coverage.add(path);
            }
            if let (Some(index), Some(all)) = (rule.currency_to, self.table) {
                let name = all.columns[index].name;
                if self.claimed.iter().any(|claimed| claimed == name) && self.notes.iter().any(|note| note.to == name) {
                    let remedy = "leave the currency to the money field";
                    let message = format!("column `{name}` is filled twice");
                    problems.push(MapProblem::new(line, &table.path("currency_to"), message, remedy));
                }
                self.claimed.push(name.to_owned());
            }
        }
        if join.is_some() && !matches!(kind, Some(Kind::Text) | None) {
            let remedy = "leave `join` out, or use type text";
            problems.push(MapProblem::new(line, &table.path("join"), "joins texts only", remedy));
        }
        let column = claimed.map(|(_, column)| column);
        let (on_missing, on_null) = options::absent(&mut table, column, problems);
        table.finish(problems);
        self.notes.push(FieldNote {
            label: label.unwrap_or_default(),
            from: from.iter().map(|path| path.text.clone()).collect(),
            to: to.unwrap_or_default(),
            kind: word.unwrap_or_default(),
        });
        let (index, column) = claimed?;
        Some(Field { column: index, max_chars: column.max_chars, from, join, kind: kind?, on_missing, on_null })
    }

    fn sources(&mut self, table: &mut Table<'_>, problems: &mut Vec<MapProblem>) -> Vec<Path> {
        let before = problems.len();
        let mut paths = Vec::new();
        for text in table.texts("from", problems) {
            match Path::parse(&text) {
                Some(path) => {
                    self.coverage.add(&path);
                    paths.push(path);
                }
                None => problems.push(bad_path(table.line, &table.path("from"))),
            }
        }
        if paths.is_empty() && problems.len() == before {
            let remedy = "name the provider's field, e.g. properties.email; a fixed value belongs under `constants`";
            problems.push(MapProblem::new(table.line, &table.path("from"), "is required", remedy));
        }
        paths
    }

    fn account(&mut self, top: &mut Table<'_>, problems: &mut Vec<MapProblem>) -> Option<Path> {
        let mut table = Table::open(top.get("account")?, "account", problems)?;
        let remedy = "name the field in which a record tells the provider's account, e.g. portalId";
        let from = table.required_text("from", remedy, problems);
        let path = from.as_deref().and_then(Path::parse);
        if let Some(path) = &path {
            self.coverage.add(path);
        } else if from.is_some() {
            problems.push(bad_path(table.line, &table.path("from")));
        }
        table.finish(problems);
        path
    }

    fn ignore(&mut self, top: &mut Table<'_>, problems: &mut Vec<MapProblem>) -> Vec<IgnoreRule> {
        let mut rules = Vec::new();
        for (index, node) in top.items("ignore_when").into_iter().enumerate() {
            let Some(mut table) = Table::open(node, &format!("ignore_when[{index}]"), problems) else { continue };
            let field = table.required_text("field", "name the provider's field", problems);
            let path = field.as_deref().and_then(Path::parse);
            if path.is_none() && field.is_some() {
                problems.push(bad_path(table.line, &table.path("field")));
            }
            let reason = table.required_text("reason", "say why such records are left out", problems);
            let condition = condition(&mut table, problems);
            table.finish(problems);
            if let (Some(field), Some(reason), Some(condition)) = (path, reason, condition) {
                self.coverage.add(&field);
                rules.push(IgnoreRule { field, condition, reason: reason.chars().take(LONGEST_TEXT).collect() });
            }
        }
        rules
    }
}

fn condition(table: &mut Table<'_>, problems: &mut Vec<MapProblem>) -> Option<Condition> {
    const REMEDY: &str = "give exactly one of: equals, in, matches, is_empty";
    let mut found = Vec::new();
    for key in ["equals", "in"] {
        if table.get(key).is_some_and(|node| node.value != NodeValue::Null) {
            found.push(Condition::In(table.texts(key, problems)));
        }
    }
    if let Some(pattern) = table.text("matches", problems) {
        match regex::Regex::new(&pattern) {
            Ok(pattern) => found.push(Condition::Matches(pattern)),
            Err(_) => {
                let line = table.get("matches").and_then(|node| node.line);
                let remedy = "correct the pattern; look-around is not supported";
                problems.push(MapProblem::new(line, &table.path("matches"), "is no regular expression", remedy));
                return None;
            }
        }
    }
    if table.get("is_empty").is_some() {
        found.push(Condition::IsEmpty(table.bool("is_empty", problems)?));
    }
    if found.len() == 1 {
        return found.pop();
    }
    problems.push(MapProblem::new(table.line, &table.path("equals"), "one condition is expected", REMEDY));
    None
}
