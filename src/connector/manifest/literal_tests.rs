//! Tests of the literal rules.

use serde_json::json;

use super::{super::python::to_text, *};

#[test]
fn text_becomes_what_python_would_read() {
    for (text, expected) in [
        ("12", json!(12)),
        ("-12", json!(-12)),
        ("1_000", json!(1000)),
        ("1e3", json!(1000.0)),
        ("1.", json!(1.0)),
        (".5", json!(0.5)),
        ("1e-05", json!(0.00001)),
        ("0x10", json!(16)),
        ("0b11", json!(3)),
        ("00", json!(0)),
        (" 5", json!(5)),
        ("5 ", json!(5)),
        ("5 # a comment", json!(5)),
        ("True", json!(true)),
        ("False", json!(false)),
        ("None", json!(null)),
        ("[1, 2]", json!([1, 2])),
        ("[]", json!([])),
        ("{'a': 1, 'b': [None, 'x']}", json!({"a": 1, "b": [null, "x"]})),
        ("{\"a\": True}", json!({"a": true})),
        ("{1: 2}", json!({"1": 2})),
        ("--5", json!("--5")),
        ("b'a'", json!("b'a'")),
        ("{1, 1, 2}", json!([1, 2])),
        ("\n5", json!(5)),
        ("5\n", json!(5)),
        ("1,2", json!([1, 2])),
        ("(1, 2)", json!([1, 2])),
        ("(1)", json!(1)),
        ("(1,)", json!([1])),
        ("()", json!([])),
        ("'q'", json!("q")),
        ("\"q\" 'r'", json!("qr")),
        (r"'a\n\x41\u00e9\d'", json!("a\nA\u{e9}\\d")),
        ("'''a'b'''", json!("a'b")),
        ("''", json!("")),
        // What is no literal stays text.
        ("007", json!("007")),
        ("2020-01-01", json!("2020-01-01")),
        ("2026-01-31T08:00:00Z", json!("2026-01-31T08:00:00Z")),
        ("null", json!("null")),
        ("true", json!("true")),
        ("{\"a\": null}", json!("{\"a\": null}")),
        ("1e999", json!(null)),
        ("1__0", json!("1__0")),
        ("1_", json!("1_")),
        ("0x", json!("0x")),
        ("1j", json!("1j")),
        ("12abc", json!("12abc")),
        ("1.2.3", json!("1.2.3")),
        ("-", json!("-")),
        ("", json!("")),
        ("it's", json!("it's")),
        ("'open", json!("'open")),
        ("[1, 2", json!("[1, 2")),
        ("99999999999999999999", json!("99999999999999999999")),
        ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
        ("https://x.example/y?z=1", json!("https://x.example/y?z=1")),
    ] {
        assert_eq!(guess(text.to_owned()), expected, "{text}");
    }
    let deep = "[".repeat(10_000);
    assert_eq!(guess(deep.clone()), json!(deep));
}

#[test]
fn falsehood_is_judged_by_text_too() {
    for text in ["False", "false", "{}", "[]", "()", "", "0", "0.0", "-0.0", "None"] {
        assert!(!is_true(&guess(text.to_owned())), "{text:?}");
    }
    for text in ["True", "1", "no", "null", " ", "[0]", "{'a': 0}"] {
        assert!(is_true(&guess(text.to_owned())), "{text:?}");
    }
}

proptest::proptest! {
    #[test]
    fn what_is_printed_is_read_back(text in ".{0,40}", number in proptest::num::i64::ANY, float in proptest::num::f64::NORMAL) {
        for value in [json!({"k": [text.clone()]}), json!([number]), json!([float])] {
            proptest::prop_assert_eq!(guess(to_text(&value)), value);
        }
    }
}
