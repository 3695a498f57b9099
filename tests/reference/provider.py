"""A generic provider for recording: answers by rules that a case's requests spell out, and remembers every exchange.

Every path below is one way in which real APIs page, filter, authenticate and fail. Data is synthetic and depends on nothing but the
request, so that a recording can be made again.
"""
import base64
import gzip
import http.server
import io
import json
import threading
import urllib.parse
import zipfile

import provider_windows

DAYS = [f"2026-01-{day:02d}" for day in range(1, 32)]


def people(count, first=1):
    return [
        {
            "id": n,
            "name": f"person {n}",
            "at": f"{DAYS[(n * 3) % 28]}T0{n % 10}:00:00Z",
            "epoch": 1767225600 + n * 86400,
            "score": n / 2,
            "note": None,
            "tags": [{"k": "a", "v": n}, {"k": "b", "v": None}],
            "deep": {"one": {"two": n}, "Camel Case": True},
        }
        for n in range(first, first + count)
    ]


def text_or_bytes(data):
    try:
        return {"answer": data.decode()}
    except UnicodeDecodeError:
        return {"answer_base64": base64.b64encode(data).decode()}


def table(first):
    rows = [f"{n},name {n},{'' if n % 2 else 'N/A'},2026-01-{n:02d}T00:00:00Z" for n in range(first, first + 3)]
    return "\n".join(["id,name,note,at", *rows, ""]).encode()


def archive(*files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as out:
        for number, data in enumerate(files):
            out.writestr(zipfile.ZipInfo(f"{number}.csv", (2026, 1, 1, 0, 0, 0)), data)
    return packed.getvalue()


class Provider(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    exchanges = []
    seen = {}
    lock = threading.Lock()

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.do_GET()

    def do_GET(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode() if length else ""
        url = urllib.parse.urlparse(self.path)
        query = urllib.parse.parse_qsl(url.query, keep_blank_values=True)
        with self.lock:
            key = f"{self.command} {self.path} {body}"
            turn = self.seen[key] = self.seen.get(key, 0) + 1
            status, headers, answer = self.answer(url.path, dict(query), body, turn)
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            wanted = {
                name: self.headers[name]
                for name in ("Authorization", "X-Key", "X-Page", "X-Trace", "Content-Type")
                if self.headers.get(name) and not (name == "Content-Type" and not body)
            }
            self.exchanges.append(
                {
                    "method": self.command,
                    "path": url.path,
                    "query": query,
                    "headers": wanted,
                    "body": body,
                    "status": status,
                    "answer_headers": headers,
                    **text_or_bytes(data),
                }
            )
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def answer(self, path, query, body, turn):
        host = f"http://{self.headers['Host']}"
        parts = [part for part in path.split("/") if part]
        sent = {}
        if body:
            try:
                sent = json.loads(body)
            except ValueError:
                sent = dict(urllib.parse.parse_qsl(body))
        asked = {**query, **{key: value for key, value in sent.items() if not isinstance(value, (dict, list))}}
        page = sent.get("paging", {}) if isinstance(sent.get("paging"), dict) else {}
        asked.update({key: str(value) for key, value in page.items()})
        kind = parts[0] if parts else ""

        if kind == "pages":  # ?page=&size=, from 1
            size, number = int(asked.get("size", 3)), int(asked.get("page", 1))
            rows = people(int(parts[1]))[(number - 1) * size : number * size]
            return 200, {}, {"data": {"items": rows, "total": int(parts[1])}}
        if kind == "offsets":
            size, offset = int(asked.get("limit", 3)), int(asked.get("offset", 0))
            return 200, {}, people(int(parts[1]))[offset : offset + size]
        if kind == "cursors":  # opaque tokens
            after = int(asked.get("after", 0))
            rows = people(int(parts[1]))[after : after + 3]
            more = after + 3 < int(parts[1])
            return 200, {"X-Next": str(after + 3) if more else ""}, {
                "result": rows,
                "paging": {"next": {"after": str(after + 3)}} if more else {},
                "has_more": more,
                "none": None,
            }
        if kind == "links":
            number = int(asked.get("page", 1))
            headers = {}
            if number < 3:
                headers["Link"] = f'<{host}/links?page={number + 1}&keep=1>; rel="next", <{host}/links?page=3>; rel="last"'
            return 200, headers, {"rows": people(2, number * 10), "next": f"{host}/links?page={number + 1}" if number < 3 else None}
        if kind == "last":  # the last record's id goes on
            after = int(asked.get("after", 0))
            return 200, {}, {"rows": people(7)[after : after + 2]}
        if kind == "since":  # only what changed in the range
            low, high = asked.get("from", ""), asked.get("to", "~")
            rows = [row for row in people(9) if low[:10] <= row["at"][:10] and (high == "~" or row["at"][:10] <= high[:10])]
            if parts[1:] == ["nobody"]:
                rows = []
            if len(parts) > 1:
                for row in rows:
                    row["parent"] = parts[1]
                    row["id"] = f"{parts[1]}-{row['id']}"
            return 200, {}, {"rows": rows}
        if kind == "epoch":
            low = float(asked.get("from", 0) or 0)
            return 200, {}, {"rows": [row for row in people(9) if row["epoch"] >= low or row["epoch"] * 1000 >= low > 1e11]}
        if kind == "feed":  # newest first, no filter
            number = int(asked.get("page", 1))
            rows = sorted(people(12), key=lambda row: row["at"], reverse=True)
            return 200, {}, {"rows": rows[(number - 1) * 4 : number * 4]}
        if kind == "echo":
            return 200, {}, {
                "rows": [
                    {
                        "id": 1,
                        "path": path,
                        "query": query,
                        "sent": body,
                        "authorization": self.headers.get("Authorization"),
                        "key": self.headers.get("X-Key"),
                        "trace": self.headers.get("X-Trace"),
                    }
                ]
            }
        if kind == "fails":  # fails with that status so many times
            status, times = int(parts[1]), int(parts[2])
            if turn <= times:
                return status, {"Retry-After": "3", "X-Reset": "1767225605"}, {"error": {"message": f"no {status} now", "code": "busy"}}
            return 200, {}, {"rows": people(2)}
        if kind == "odd":  # good status, bad answer
            what = parts[1]
            if what == "error200":
                return 200, {}, {"error": "quota", "rows": []} if turn <= 1 else {"rows": people(1)}
            if what == "nothing":
                return 204, {}, b""
            if what == "one":
                return 200, {}, {"row": people(1)[0]}
            if what == "map":
                return 200, {}, {"rows": {"x": people(1)[0], "y": people(1, 2)[0]}}
            if what == "null":
                return 200, {}, {"rows": None}
            if what == "missing":
                return 200, {}, {"other": 1}
        if kind == "parents":
            if len(parts) == 1:
                number = int(asked.get("page", 1))
                rows = [{"id": n, "at": f"{DAYS[n]}T00:00:00Z", "info": {"kind": "k%d" % (n % 2)}} for n in range(1, 6)]
                if asked.get("from"):
                    rows = [row for row in rows if row["at"] >= asked["from"]]
                return 200, {}, {"rows": rows[(number - 1) * 2 : number * 2]}
            if parts[1] == "3":
                return 404, {}, {"error": "not here"}
            if len(parts) == 3:
                return 200, {}, {"rows": [{"id": int(parts[1]) * 10 + n, "of": int(parts[1])} for n in range(2)]}
            return 200, {}, {"rows": [{"id": int(parts[3]) * 10 + n, "of": int(parts[3]), "q": query} for n in range(2)]}
        if kind == "fields":  # what an account calls its fields, in the words of an API
            fields = [
                {"name": "id", "kind": "int", "shown": True},
                {"name": "Score", "kind": "text", "shown": True},
                {"name": "epoch", "kind": "decimal", "shown": False},
                {"name": "tags", "kind": "list", "of": "text", "shown": True},
                {"name": "note", "kind": ["text", "int"], "shown": True},
                {"name": "at", "kind": "moment", "shown": True},
                {"name": "name"},
            ]
            what = parts[1] if len(parts) > 1 else ""
            if what == "none":
                return 200, {}, {"rows": []}
            if what == "late":  # nothing on the first page
                number = int(asked.get("page", 1))
                return 200, {}, {"rows": [{"fields": fields[:2]}] if number > 1 else [], "more": number < 3, "next": number + 1}
            if what == "named":
                return 200, {}, {"fields": {field["name"]: field for field in fields}}
            if what == "broken":
                return 200, {}, {"rows": [{"fields": [{"kind": "int"}]}]}
            return 200, {}, {"rows": [{"fields": fields}, {"fields": []}]}
        if kind == "tables":  # ?page=, two on a page; an account may be asked for
            number, account = int(asked.get("page", 1)), asked.get("account", "")
            rows = [
                {"key": f"{account}t{n}", "count": n + 1, "fast": n % 2 == 0, "path": f"/pages/{n + 1}", "columns": ["id", "name"][: n % 3]}
                for n in range(3)
            ]
            return 200, {}, {"tables": rows[(number - 1) * 2 : number * 2]}
        if kind == "jobs":  # reports that are prepared
            if len(parts) == 1:
                name = "-".join(str(asked[key])[:10] for key in ("kind", "from") if key in asked)
                return 201, {"X-Job": f"job-{name}"}, {"id": name}
            if len(parts) == 3:
                links = [{"link": f"{host}/files/a.csv"}, {"link": f"{host}/files/b.csv"}]
                return 200, {}, {"files": links} if parts[2] == "files" else {}
            first = {"flaky": "broken", "lost": "lost", "none": "no_data", "never": "broken"}.get(parts[1], "working")
            status = first if turn <= 1 or parts[1] in ("none", "never") else "ready"
            return 200, {}, {"id": parts[1], "job": {"status": status}, "urls": [f"{host}/files/a.csv.gz", f"{host}/files/b.csv.gz"]}
        if kind == "files":
            name, _, ending = parts[1].partition(".")
            first = {"a": 1, "b": 5}.get(name, 9)
            if ending == "jsonl":
                return 200, {}, "".join(json.dumps(row) + "\n" for row in people(4, first)).encode()
            if ending == "json":
                number = int(asked.get("page", 1))
                return 200, {}, {"rows": people(6)[(number - 1) * 2 : number * 2]}
            data = {"csv": table(first), "csv.gz": gzip.compress(table(first), mtime=0), "zip": archive(table(1), table(11))}[ending]
            return 200, {"Content-Type": "text/plain"}, data
        if kind == "token":
            return 200, {}, {"data": {"access_token": "token-1", "expires_in": 3600}}
        if kind == "login":
            return 200, {}, {"session": {"id": "session-1"}}
        found = provider_windows.answer(parts, asked, turn, people)
        if found:
            return found
        return 404, {}, {"message": f"there is no {path}"}


def serve():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
