"""Records what the reference implementation makes of each case: requests, records, final states.

    python3 tests/reference/record.py [CASE...]

A case that says `discover: true` or `check: true` has these commands recorded, too: the catalogue, the status.

Installs the package into a folder of its own (TIDEGATE_REFERENCE, else a folder below the system's temporary one), never needed by the
tests. Cases are tests/reference/cases/*.yaml; recordings go to tests/reference/recorded/*.json.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import venv

PACKAGE = "airbyte-cdk==7.39.1"
HERE = pathlib.Path(__file__).parent
HOME = pathlib.Path(os.environ.get("TIDEGATE_REFERENCE") or pathlib.Path(tempfile.gettempdir()) / "tidegate-reference")
BASE = "http://provider"


def python():
    found = HOME / "bin" / "python"
    if not (HOME / "bin" / "source-declarative-manifest").exists():
        venv.create(HOME, with_pip=True)
        subprocess.run([found, "-m", "pip", "install", "--quiet", PACKAGE], check=True)
    return found


def run(case, verb, base, folder):
    """Runs one case by one of the commands; gives its messages."""
    put = lambda name, value: (folder / name).write_text(json.dumps(value)) and folder / name
    swap = lambda value: json.loads(json.dumps(value).replace(BASE, base))
    streams = [
        {
            "stream": {"name": name, "json_schema": case.get("schemas", {}).get(name, {}), "supported_sync_modes": ["full_refresh", "incremental"]},
            "sync_mode": mode,
            "destination_sync_mode": "append",
        }
        for name, mode in case["read"].items()
    ]
    command = [
        HOME / "bin" / "source-declarative-manifest",
        verb,
        "--manifest-path",
        put("manifest.json", swap(case["manifest"])),
        "--config",
        put("config.json", swap(case["config"])),
    ]
    if verb == "read":
        command += ["--catalog", put("catalog.json", {"streams": streams})]
    if verb == "read" and case.get("state"):
        states = [
            {"type": "STREAM", "stream": {"stream_descriptor": {"name": name}, "stream_state": state}}
            for name, state in case["state"].items()
        ]
        command += ["--state", put("state.json", states)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600)
    for line in ran.stdout.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            pass


def main():
    if pathlib.Path(sys.executable).parent != HOME / "bin":
        os.execv(python(), [str(python()), __file__, *sys.argv[1:]])
    import yaml

    sys.path.insert(0, str(HERE))
    import provider

    (HERE / "recorded").mkdir(exist_ok=True)
    for file in sorted((HERE / "cases").glob("*.yaml")):
        if sys.argv[1:] and file.stem not in sys.argv[1:]:
            continue
        case = yaml.safe_load(file.read_text())
        provider.Provider.exchanges, provider.Provider.seen = [], {}
        server = provider.serve()
        base = f"http://127.0.0.1:{server.server_address[1]}"
        records, states, failed, more = {}, {}, [], {}
        with tempfile.TemporaryDirectory() as folder:
            # Of a catalogue that fails there is none.
            for verb, kind, key in (("discover", "CATALOG", "catalog"), ("check", "CONNECTION_STATUS", "connectionStatus")):
                if case.get(verb):
                    messages = run(case, verb, base, pathlib.Path(folder))
                    told = [message[key] for message in messages if message["type"] == kind]
                    more[key] = told[0] if told else None
            for message in run(case, "read", base, pathlib.Path(folder)):
                if message["type"] == "RECORD":
                    records.setdefault(message["record"]["stream"], []).append(message["record"]["data"])
                elif message["type"] == "STATE":
                    stream = message["state"]["stream"]
                    states[stream["stream_descriptor"]["name"]] = stream["stream_state"]
                elif message["type"] == "TRACE" and message["trace"]["type"] == "STREAM_STATUS":
                    if message["trace"]["stream_status"]["status"] == "INCOMPLETE":
                        failed.append(message["trace"]["stream_status"]["stream_descriptor"]["name"])
        server.shutdown()
        recording = {
            **case,
            "records": records,
            "states": states,
            "failed": sorted(set(failed)),
            **more,
            "exchanges": provider.Provider.exchanges,
        }
        text = json.dumps(recording, indent=1, sort_keys=False).replace(base, BASE)
        (HERE / "recorded" / f"{file.stem}.json").write_text(text + "\n")
        told = ", ".join(f"{name} {len(rows)}" for name, rows in records.items())
        print(f"{file.stem}: {told or 'no records'}; failed: {failed or 'none'}; {len(recording['exchanges'])} requests")


if __name__ == "__main__":
    main()
