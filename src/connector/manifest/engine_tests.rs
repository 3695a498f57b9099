//! Tests of templates as the engine uses them.

use serde_json::json;

use super::*;

fn render(source: &str) -> Result<Value, String> {
    let mut engine = Engine::new();
    let parameters = Arc::new(json!({"path": "v1/x"}));
    let template = engine.compile(source, "streams[0].x", &parameters)?;
    let config = Arc::new(
        json!({"key": "k", "n": 3, "flag": true, "f": 1.0, "list": [1, "a"], "start": "2026-01-01", "digits": "12345", "odd": "a'b\"c\\d\n<&{x}"}),
    );
    let scope = Scope::new("2026-01-31T08:00:00.5Z".parse().unwrap(), &config)
        .with("response", &Arc::new(json!({"paging": {"next": {"after": "200"}}, "next": null, "data": [{"id": 7}]})))
        .with("record", &Arc::new(json!({"id": 9007199254740993_i64, "z": 1, "a": {"b": null}})))
        .with("next_page_token", &Arc::new(json!({"next_page_token": 2})))
        .with("stream_interval", &Arc::new(json!({"start_time": "2026-01-01T00:00:00Z"})));
    engine.value(&template, &scope).map_err(|error| error.message)
}

#[test]
fn templates_come_out_as_the_format_has_them() {
    for (source, expected) in [
        ("plain", json!("plain")),
        ("12", json!(12)),
        ("{{ config['key'] }}", json!("k")),
        ("{{ config['n'] }}", json!(3)),
        ("{{ config.flag }}", json!(true)),
        ("{{ config.f }}", json!(1.0)),
        ("{{ config['list'] }}", json!([1, "a"])),
        ("{{ config.missing }}", json!("")),
        ("{{ config.get('missing', 'd') }}", json!("d")),
        ("{{ config.get('missing') }}", json!(null)),
        ("{{ parameters['path'] }}/{{ config['n'] }}", json!("v1/x/3")),
        ("{{ response.get('paging', {}).get('next', {}).get('after') }}", json!(200)),
        ("'{{ response.paging.next.after }}'", json!("200")),
        ("{{ response.get('gone', {}) }}", json!({})),
        ("{{ response.data | length }}", json!(1)),
        ("{{ response.data[0].id }}", json!(7)),
        ("{{ response['data'] | map(attribute='id') | list }}", json!([7])),
        ("{{ record }}", json!({"id": 9_007_199_254_740_993_i64, "z": 1, "a": {"b": null}})),
        ("{{ next_page_token['next_page_token'] + 1 }}", json!(3)),
        ("{{ 'x' if not config.missing else 'y' }}", json!("x")),
        ("{{ max(1, 5) }} {{ min([4, 2]) }}", json!("5 2")),
        ("{{ now_utc().strftime('%Y-%m-%d') }}", json!("2026-01-31")),
        ("{{ now_utc().isoformat() }}", json!("2026-01-31T08:00:00.500000+00:00")),
        ("{{ now_utc() }}", json!("2026-01-31 08:00:00.500000+00:00")),
        ("{{ today_utc() }}", json!("2026-01-31")),
        ("{{ day_delta(-1, format='%Y-%m-%d') }}", json!("2026-01-30")),
        ("{{ format_datetime(config['start'], '%Y-%m-%dT%H:%M:%SZ') }}", json!("2026-01-01T00:00:00Z")),
        ("{{ format_datetime(stream_interval['start_time'], '%ms') }}", json!(1_767_225_600_000_i64)),
        ("{{ format_datetime('31.01.26', '%Y', '%d.%m.%y') }}", json!(2026)),
        ("{{ timestamp('2026-01-01T00:00:00Z') | int }}", json!(1_767_225_600)),
        ("{{ 'a:b' | base64encode }}", json!("YTpi")),
        ("{{ 'a b&c' | urlencode }}", json!("a%20b%26c")),
        ("{{ 'a,b'.split(',')[1] }}", json!("b")),
        ("{{ config.list | tojson }}", json!([1, "a"])),
        ("{{ config.digits }}", json!(12345)),
        ("{{ config.digits | tojson }}", json!("12345")),
        ("{{ config.odd | tojson }}", json!("a'b\"c\\d\n<&{x}")),
        ("{% if config.flag %}yes{% endif %}", json!("yes")),
        ("{{ 'a | b' }}", json!("a | b")),
        ("{{ stream_partition }}", json!({"start_time": "2026-01-01T00:00:00Z"})),
        ("{{ none is none and config.missing is not defined }}", json!(true)),
    ] {
        assert_eq!(render(source), Ok(expected), "{source}");
    }
}

#[test]
fn what_cannot_be_evaluated_is_refused_at_load() {
    for (source, part) in [
        ("{{ conig['x'] }}", "'conig'"),
        ("{{ json_loads('x') }}", "'json_loads'"),
        ("{{ range(3) }}", "'range'"),
        ("{{ config['x'] | nope }}", "'nope'"),
        ("{% include 'x' %}", "'include'"),
        ("{{ config['x' }}", "cannot be read"),
    ] {
        let error = render(source).unwrap_err();
        assert!(error.contains(part), "{source}: {error}");
    }
}

#[test]
fn a_template_that_fails_names_its_place_and_no_value() {
    for source in [
        "{{ config.missing.deeper }}",
        "{% set l = [1] * 10000 %}{% for x in l %}{% for y in l %}{{ y }}{% endfor %}{% endfor %}",
        "{{ 1 / 0 }}",
    ] {
        let error = render(source).unwrap_err();
        assert!(error.contains("streams[0].x"), "{error}");
    }
}
