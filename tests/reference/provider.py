"""A generic provider for recording: answers by rules that a case's requests spell out, and remembers every exchange.

Every path below is one way in which real APIs page, filter, authenticate and fail. Data is synthetic and depends on nothing but the
request, so that a recording can be made again.
"""
import http.server
import json
import threading
import urllib.parse

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
                    "answer": data.decode(),
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
