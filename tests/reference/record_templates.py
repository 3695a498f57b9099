"""Records what the reference implementation makes of templates and datetime formats.

Run by hand, never by `make test`, with a Python that has the reference (`pip install airbyte-cdk==7.39.1`, in a folder of its
own):

    python record_templates.py cases.json > templates.json

A case: {"kind", "template", ...}. Kinds: string, condition, mapping, nested, format, parse. The result is `value` (what
Python's repr prints), or `error` (the class). The clock stands still at NOW.
"""

import datetime
import json
import sys

NOW = datetime.datetime(2026, 1, 31, 8, 0, 0, 500000, tzinfo=datetime.timezone.utc)


class AnyTime(type):
    """All times are instances of the still clock, which has what `datetime` has."""

    def __instancecheck__(cls, instance):
        return isinstance(instance, datetime.datetime)

    def __getattr__(cls, name):
        return getattr(datetime.datetime, name)


class Clock(metaclass=AnyTime):
    @staticmethod
    def now(tz=None):
        return NOW.astimezone(tz) if tz else NOW.replace(tzinfo=None)


class Module:
    datetime = Clock

    def __getattr__(self, name):
        return getattr(datetime, name)


def still_clock():
    from airbyte_cdk.sources.declarative.interpolation import macros

    macros.datetime = Module()


TYPES = {"string": str, "number": float, "integer": int, "boolean": bool}


def variables(case):
    from airbyte_cdk.sources.types import StreamSlice

    given = dict(case.get("context") or {})
    config = given.pop("config", {})
    parameters = given.pop("parameters", {})
    if isinstance(given.get("stream_slice"), dict):
        parts = given["stream_slice"]
        given["stream_slice"] = StreamSlice(
            partition=parts.get("partition", {}),
            cursor_slice=parts.get("cursor_slice", {}),
            extra_fields=parts.get("extra_fields"),
        )
    return config, parameters, given


def evaluate(case):
    from airbyte_cdk.sources.declarative.datetime.datetime_parser import DatetimeParser
    from airbyte_cdk.sources.declarative.interpolation.interpolated_boolean import InterpolatedBoolean
    from airbyte_cdk.sources.declarative.interpolation.interpolated_mapping import InterpolatedMapping
    from airbyte_cdk.sources.declarative.interpolation.interpolated_nested_mapping import InterpolatedNestedMapping
    from airbyte_cdk.sources.declarative.interpolation.interpolated_string import InterpolatedString

    kind = case["kind"]
    if kind == "format":
        at = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(microseconds=case["at"])
        return DatetimeParser().format(at, case["template"])
    if kind == "parse":
        at = DatetimeParser().parse(case["text"], case["template"])
        since = at - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
        return (since.days * 86400 + since.seconds) * 1000000 + since.microseconds
    config, parameters, given = variables(case)
    if kind == "string":
        made = InterpolatedString(case["template"], default=case.get("default"), parameters=parameters)
        types = (TYPES[case["value_type"]],) if case.get("value_type") else None
        if case.get("request"):
            types = (str, list)
        value = made.eval(config, valid_types=types, **given)
        for more in case.get("then", []):
            config, _, given = variables({"context": more})
            value = made.eval(config, valid_types=types, **given)
        return value
    if kind == "condition":
        return InterpolatedBoolean(case["template"], parameters=parameters).eval(config, **given)
    if kind == "mapping":
        types = {"valid_key_types": (str,), "valid_value_types": (str, list)} if case.get("request") else {}
        return InterpolatedMapping(case["template"], parameters=parameters).eval(config, **types, **given)
    if kind == "nested":
        return InterpolatedNestedMapping(case["template"], parameters=parameters).eval(config, **given)
    raise SystemExit(f"unknown kind {kind}")


def record(case):
    case = {key: part for key, part in case.items() if key not in ("value", "error")}
    try:
        return {**case, "value": repr(evaluate(case))}
    except Exception as error:  # noqa: BLE001 - the class of any error is what is recorded
        return {**case, "error": type(error).__name__}


if __name__ == "__main__":
    still_clock()
    with open(sys.argv[1]) as file:
        cases = json.load(file)
    print("[")
    for index, case in enumerate(cases):
        print("  " + json.dumps(record(case), ensure_ascii=True) + ("," if index + 1 < len(cases) else ""))
    print("]")
