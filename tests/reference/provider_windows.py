"""More of the recording provider: windows and pages that it refuses, counters, children inside of their parents, fields by name.

Each rule is a way in which real APIs limit what one question may ask for.
"""
import datetime


def moment(text):
    """A time in the forms that cases ask with."""
    text = str(text)
    return datetime.datetime.fromisoformat((text[:19] + "+00:00") if "T" in text else text[:10] + "T00:00:00+00:00")


def answer(parts, asked, turn, people):
    kind = parts[0] if parts else ""
    if kind == "fields":  # records with the fields that are named, two a page; every field but `id` is a part of a whole
        number = int(asked.get("page", 1))
        names = [name for name in str(asked.get("fields", "")).split(",") if name]
        rows = [
            {"id": f"r{n}", "deep": {name: n for name in names}, **{name: f"{name}{n}" for name in names if name != "id"}}
            for n in range(1, 6)
        ]
        if len(parts) > 1:  # some have no key, some differ
            rows = [{key: value for key, value in row.items() if key != "id" or row["id"] != "r2"} for row in rows]
        return 200, {}, {"rows": rows[(number - 1) * 2 : number * 2]}
    if kind == "names":  # the names of fields, over two pages
        number = int(asked.get("page", 1))
        rows = [{"name": name, "about": {"name": f"x_{name}"}} for name in ("a", "bb", "ccc", "d", "id")]
        return 200, {}, {"fields": rows[(number - 1) * 3 : number * 3]}
    if kind == "counted":  # what has a greater number
        above = int(asked.get("above", 0) or 0)
        rows = [{**row, "number": row["id"] * 10} for row in people(9) if row["id"] * 10 >= above]
        number = int(asked.get("page", 1))
        return 200, {}, {"rows": rows[(number - 1) * 4 : number * 4]}
    if kind == "window":  # what changed in the window; wide windows are refused where the path names a number of days
        low, high = moment(asked["from"]), moment(asked["to"])
        if len(parts) > 1 and high - low > datetime.timedelta(days=int(parts[1])):
            return 422, {}, {"error": "the window is too wide"}
        rows = [row for row in people(9) if low <= moment(row["at"]) <= high]
        if len(parts) > 2:
            rows = [{**row, "id": f"{parts[2]}-{row['id']}", "of": parts[2]} for row in rows]
        return 200, {}, {"rows": rows}
    if kind == "deep":  # sorted by time; no more than so many records for one question
        low = moment(asked.get("from", "2026-01-01"))
        offset, cap = int(asked.get("offset", 0)), int(parts[1])
        if offset >= cap:
            return 400, {}, {"error": "too deep"}
        rows = sorted((row for row in people(9) if moment(row["at"]) >= low), key=lambda row: row["at"])
        if len(parts) > 2:
            rows = [{**row, "id": f"{parts[2]}-{row['id']}"} for row in rows]
        return 200, {}, {"rows": rows[offset : offset + 2]}
    if kind == "restless":  # the listing is lost once, or always
        offset = int(asked.get("offset", 0))
        if offset == 4 and (turn <= int(parts[1])):
            return 409, {}, {"error": "the listing changed"}
        return 200, {}, {"rows": people(7)[offset : offset + 2]}
    if kind == "heavy":  # big pages are refused
        size, offset = int(asked.get("limit", 8)), int(asked.get("offset", 0) or asked.get("after", 0) or 0)
        if size > int(parts[1]) and offset >= int(parts[2] if len(parts) > 2 else 0):
            return 413, {}, {"error": "too much"}
        rows = people(11)[offset : offset + size]
        return 200, {}, {"rows": rows, "next": offset + size if offset + size < 11 else None}
    if kind == "embedded":  # parents that hold the first page of their children
        rows = [
            {
                "id": n,
                "at": f"2026-01-{n + 9:02d}T00:00:00Z",
                "inside": {
                    "list": {
                        "rows": [{"id": n * 10 + m, "at": f"2026-01-{n + m + 9:02d}T00:00:00Z"} for m in range(2)],
                        "next": 2 if n == 2 else None,
                    }
                }
                if n != 3
                else {},
            }
            for n in range(1, 5)
        ]
        if len(parts) == 1:
            number = int(asked.get("page", 1))
            return 200, {}, {"rows": rows[(number - 1) * 3 : number * 3]}
        number = int(asked.get("page", 1))
        children = [{"id": int(parts[1]) * 10 + m, "at": f"2026-01-{int(parts[1]) + m + 9:02d}T00:00:00Z"} for m in range(5)]
        page = children[(number - 1) * 2 : number * 2]
        return 200, {}, {"rows": page, "next": number + 1 if number * 2 < len(children) else None}
    if kind == "waits":  # says in the body how long to wait
        if turn <= int(parts[1]):
            return 429, {}, {"retry": {"after": 4 * turn, "words": "soon"}}
        return 200, {}, {"rows": people(2)}
    if kind == "ids":  # parents by another name
        return 200, {}, {"rows": [{"key": key, "label": f"l{key}"} for key in ("b", "c", "c", None, "d")]}
    return None
