//! The path language held against what the reference's own gave (`recorded/dpath.json`, dpath 2.2.0).

use serde_json::json;

use super::*;

fn recorded() -> Value {
    serde_json::from_str(include_str!("recorded/dpath.json")).unwrap()
}

fn path(value: &Value) -> Vec<Step> {
    value.as_array().unwrap().iter().map(Step::of).collect()
}

#[test]
fn paths_are_read_as_recorded() {
    let recorded = recorded();
    let body = &recorded["body"];
    for case in recorded["read"].as_array().unwrap() {
        let path = path(&case[0]);
        let found: Vec<_> = values(body, &path).into_iter().cloned().collect();
        assert_eq!(Value::Array(found), case[1], "{case}");
        let one = match get(body, &path) {
            Ok(found) => found.cloned().unwrap_or_else(|| json!("DEF")),
            Err(_) => json!("SEVERAL"),
        };
        assert_eq!(one, case[2], "{case}");
        assert_eq!(Value::Array(take(body.clone(), &path)), case[1], "{case}");
    }
    assert_eq!(get(body, &[]), Ok(Some(body)));
}

#[test]
fn paths_are_deleted_as_recorded() {
    let recorded = recorded();
    for case in recorded["delete"].as_array().unwrap() {
        let mut body = recorded["body"].clone();
        let above_four = |value: &Value| Ok(value.as_i64().is_some_and(|number| number > 4));
        let nothing = |value: &Value| Ok(value.is_null());
        type Held = Box<dyn FnMut(&Value) -> Result<bool, ()>>;
        let mut conditions: [Held; 2] = [Box::new(above_four), Box::new(nothing)];
        let [first, second] = &mut conditions;
        let condition: Option<Condition<'_, ()>> = match case[1].as_str() {
            Some("gt4") => Some(first.as_mut()),
            Some(_) => Some(second.as_mut()),
            None => None,
        };
        delete(&mut body, &path(&case[0]), condition).unwrap();
        assert_eq!(body, case[2], "{case}");
    }
}

#[test]
fn paths_are_written_as_recorded() {
    let recorded = recorded();
    for case in recorded["put"].as_array().unwrap() {
        let mut body = recorded["body"].clone();
        let path: Vec<String> = serde_json::from_value(case[0].clone()).unwrap();
        match put(&mut body, &path, json!("V")) {
            Ok(()) => assert_eq!(body, case[1], "{case}"),
            Err(_) => assert!(case[1].as_str().unwrap_or("").starts_with("ERR"), "{case}"),
        }
    }
}

#[test]
fn globs_fit_as_the_file_names_of_a_shell() {
    for (text, glob, expected) in [
        ("abc", "a*", true),
        ("abc", "*c", true),
        ("abc", "a?c", true),
        ("abc", "a?", false),
        ("", "*", true),
        ("a]", "a[]]", true),
        ("a-", "a[b-]", true),
        ("am", "a[l-n]", true),
        ("am", "a[!l-n]", false),
        ("data[]", "data[]", true),
        ("A", "a", false),
    ] {
        assert_eq!(fits(text, glob), expected, "{text} {glob}");
    }
}
