//! Tests of the datetime formats.

use serde_json::json;

use super::*;

#[test]
fn formats_write_and_read_the_same_instant() {
    let at: Timestamp = "2026-01-31T08:05:09.123456Z".parse().unwrap();
    for (format, text, back) in [
        ("%Y-%m-%dT%H:%M:%SZ", "2026-01-31T08:05:09Z", "2026-01-31T08:05:09Z"),
        ("%Y-%m-%dT%H:%M:%S.%fZ", "2026-01-31T08:05:09.123456Z", "2026-01-31T08:05:09.123456Z"),
        ("%Y-%m-%dT%H:%M:%S.%_msZ", "2026-01-31T08:05:09.123Z", "2026-01-31T08:05:09.123Z"),
        ("%Y-%m-%dT%H:%M:%S.%f%z", "2026-01-31T08:05:09.123456+0000", "2026-01-31T08:05:09.123456Z"),
        ("%Y-%m-%d", "2026-01-31", "2026-01-31T00:00:00Z"),
        ("%s", "1769846709", "2026-01-31T08:05:09Z"),
        ("%ms", "1769846709123", "2026-01-31T08:05:09.123Z"),
        ("%epoch_microseconds", "1769846709123456", "2026-01-31T08:05:09.123456Z"),
        ("%s_as_float", "1769846709.123456", "2026-01-31T08:05:09.123456Z"),
        ("%d %b %Y %I:%M:%S %p", "31 Jan 2026 08:05:09 AM", "2026-01-31T08:05:09Z"),
        ("%A, %d %B %y", "Saturday, 31 January 26", "2026-01-31T00:00:00Z"),
        ("created_on:gte:%Y-%m-%dT%H:%M:%S+00:00", "created_on:gte:2026-01-31T08:05:09+00:00", "2026-01-31T08:05:09Z"),
        ("%Y%j", "2026031", "2026-01-31T00:00:00Z"),
        ("100%% %Y", "100% 2026", "2026-01-01T00:00:00Z"),
    ] {
        let format = Format::compile(format).unwrap();
        assert_eq!(format.format(at), text);
        assert_eq!(format.parse(text), Some(back.parse().unwrap()), "{text}");
    }
}

#[test]
fn other_spellings_are_read_and_nonsense_is_not() {
    let zoned = Format::compile("%Y-%m-%dT%H:%M:%S%z").unwrap();
    for text in ["2026-01-31T08:00:00Z", "2026-01-31T10:00:00+0200", "2026-01-31T02:00:00-06:00"] {
        assert_eq!(zoned.parse(text).unwrap().to_iso(), "2026-01-31T08:00:00.000000Z", "{text}");
    }
    for text in ["2026-02-30T08:00:00Z", "2026-01-31", "26-01-31T08:00:00Z", "2026-01-31T08:00:00Zx", "", "🦀"] {
        assert_eq!(zoned.parse(text), None, "{text}");
    }
    let seconds = Format::compile("%s").unwrap();
    assert_eq!(seconds.parse_value(&json!(1_769_846_400)).unwrap().to_iso(), "2026-01-31T08:00:00.000000Z");
    assert_eq!(seconds.parse_value(&json!(null)), None);
    assert_eq!(Format::compile("%Y-%q"), Err("%q".to_owned()));
}
