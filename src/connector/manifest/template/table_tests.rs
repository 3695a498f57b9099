//! The recorded table: every row evaluated here must give what the reference gave.
//!
//! tests/reference/templates.json was made by tests/reference/record_templates.py. TIDEGATE_TEMPLATE_TABLE names another
//! table of the same form, to hold templates that the project does not own against the reference.

use serde_json::{Map, Value, json};

use super::*;
use crate::{connector::manifest::datetime::Format, domain::clock::Timestamp};

/// What came out, printed as Python would; or the class of the fault.
type Row = Result<String, &'static str>;

fn now() -> Timestamp {
    "2026-01-31T08:00:00.5Z".parse().unwrap()
}

fn within<T>(case: &Value, given: &Value, run: impl FnOnce(&Context<'_>) -> T) -> T {
    let empty = json!({});
    let part = |name: &str| given.get(name).unwrap_or(&empty);
    let slice = given.get("stream_slice").and_then(Value::as_object);
    let slice_part = |name: &str| slice.and_then(|slice| slice.get(name)).unwrap_or(&empty);
    let mut all = Map::new();
    for part in [slice_part("partition"), slice_part("cursor_slice")] {
        all.extend(part.as_object().cloned().unwrap_or_default());
    }
    let all = Value::Object(all);
    let slice = slice.map(|_| Slice {
        all: &all,
        partition: slice_part("partition"),
        cursor_slice: slice_part("cursor_slice"),
        extra_fields: slice_part("extra_fields"),
    });
    let _ = case;
    let mut context = Context::new(now(), part("config")).with(Variable::Parameters, part("parameters"));
    let mut extra = Map::new();
    for (name, value) in given.as_object().into_iter().flatten() {
        match (Variable::named(name), &slice) {
            (Some(Variable::StreamSlice), Some(_)) | (Some(Variable::Config | Variable::Parameters), _) => {}
            (Some(variable), _) => context = context.with(variable, value),
            (None, _) => drop(extra.insert(name.clone(), value.clone())),
        }
    }
    let extra = Value::Object(extra);
    let context = context.with_extra(&extra);
    match &slice {
        Some(slice) => run(&context.with_slice(slice)),
        None => run(&context),
    }
}

fn evaluated(case: &Value) -> Row {
    let kind = |fault: Fault| fault.kind.name();
    let text = |name: &str| case[name].as_str().unwrap_or_default();
    let empty = json!({});
    let given = case.get("context").filter(|given| given.is_object()).unwrap_or(&empty);
    let request = case["request"] == true;
    let shown = |pairs: Vec<(Outcome, Outcome)>| Outcome::Dict(pairs).repr();
    match text("kind") {
        "string" => {
            let template = match case["default"].as_str() {
                Some(default) => Template::compile_or(text("template"), default),
                None => Template::compile(text("template")),
            };
            let template = template.map_err(kind)?;
            let types = match text("value_type") {
                "string" => Types::TEXT,
                "number" => Types::FLOAT,
                "integer" => Types::INTEGER,
                "boolean" => Types::BOOLEAN,
                _ if request => Types::REQUEST,
                _ => Types::ANY,
            };
            let mut latch = Latch::default();
            let more = case["then"].as_array().into_iter().flatten();
            let mut last = Err("nothing");
            for given in [given].into_iter().chain(more) {
                last = within(case, given, |context| latch.evaluate(&template, context, types).map_err(kind));
                last.as_ref().map_err(|name| *name)?;
            }
            last.map(|outcome| outcome.repr())
        }
        "condition" => {
            let template = Template::compile_condition(text("template")).map_err(kind)?;
            let holds = within(case, given, |context| template.evaluate_bool(context).map_err(kind))?;
            Ok(Outcome::Json(Value::Bool(holds)).repr())
        }
        "mapping" => {
            let mapping = Mapping::compile(case["template"].as_object().unwrap()).map_err(|(_, fault)| kind(fault))?;
            let (keys, values) = if request { (Types::TEXT, Types::REQUEST) } else { (Types::TEXT, Types::ANY) };
            within(case, given, |context| mapping.evaluate(context, keys, values).map(shown).map_err(kind))
        }
        "nested" => {
            let nested = NestedMapping::compile(&case["template"]).map_err(|(_, fault)| kind(fault))?;
            within(case, given, |context| nested.evaluate(context).map(|outcome| outcome.repr()).map_err(kind))
        }
        "format" => {
            let format = Format::compile(text("template")).map_err(|_| "ValueError")?;
            let at = Timestamp::from_micros(case["at"].as_i64().unwrap()).unwrap();
            Ok(crate::connector::manifest::python::repr(&json!(format.format(at))))
        }
        "parse" => {
            let format = Format::compile(text("template")).map_err(|_| "ValueError")?;
            format.parse_value(&case["text"]).map(|at| at.micros().to_string()).ok_or("ValueError")
        }
        other => panic!("the kind '{other}' is not known"),
    }
}

/// Classes of the reference that are one here.
fn same_class(recorded: &str, own: &str) -> bool {
    let one = |name: &str| match name {
        // A kind of value error.
        "UnicodeDecodeError" | "UnicodeEncodeError" | "ISO8601Error" | "ParserError" | "Error" => {
            "ValueError".to_owned()
        }
        "UnknownTimeZoneError" => "KeyError".to_owned(),
        // Refused before anything runs.
        "AirbyteTracedException" => "unsupported".to_owned(),
        name => name.to_owned(),
    };
    one(recorded) == one(own)
}

fn replay(path: &std::path::Path) -> (usize, Vec<String>) {
    let rows: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut unlike = Vec::new();
    for row in &rows {
        let own = evaluated(row);
        let fits = match (&own, row["value"].as_str(), row["error"].as_str()) {
            (Ok(own), Some(recorded), _) => own == recorded,
            (Err(own), _, Some(recorded)) => same_class(recorded, own),
            _ => false,
        };
        if !fits {
            let recorded = row["value"].as_str().or_else(|| row["error"].as_str()).unwrap_or_default();
            unlike.push(format!("{} {}\n    recorded {recorded}\n    here     {own:?}", row["kind"], row["template"]));
        }
    }
    (rows.len(), unlike)
}

#[test]
fn templates_give_what_the_reference_gave() {
    let own = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/templates.json");
    let path = std::env::var_os("TIDEGATE_TEMPLATE_TABLE").map_or(own, std::path::PathBuf::from);
    let (rows, unlike) = replay(&path);
    assert!(unlike.is_empty(), "{} of {rows} rows differ:\n{}", unlike.len(), unlike.join("\n"));
    assert!(rows > 0);
}
