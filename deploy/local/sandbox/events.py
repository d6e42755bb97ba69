"""CVAT's event log: what people did on its pages, what the server changed, and the time people worked.

CVAT keeps it in ClickHouse; here each row is a document. The rows and the rule for working time are CVAT's
(``cvat/apps/events``): a gap counts only if it is shorter than 100 s, and time is booked where the last event was.
"""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.local.sandbox.store import Document, Store

COLUMNS = (
    "scope obj_name obj_id obj_val source timestamp count duration project_id task_id job_id user_id user_name "
    "user_email org_id org_slug payload access_token_id"
).split()
LONGEST_GAP = timedelta(seconds=100)
PLACES = ("job_id", "task_id", "project_id")
UNTOLD = {"updated_date", "url"}
"""Fields whose change is no row."""

Place = tuple[int | None, ...]


def working_time(events: Sequence[Document], previous: Document | None) -> dict[Place, tuple[timedelta, datetime]]:
    """Time worked by place, each with the time of the first event booked there.

    Args:
        events: with ``timestamp`` as a date, in the order in which they came.
        previous: the last event of the batch before.
    """
    found: dict[Place, tuple[timedelta, datetime]] = {}
    if not events:
        return found
    end = _end(previous) if previous else events[0]["timestamp"]
    place = _place(previous or events[0])
    for event in events:
        worked = timedelta()
        if event["timestamp"] > end:
            gap = event["timestamp"] - end
            worked += gap if gap < LONGEST_GAP else timedelta()
            end = event["timestamp"]
        if _end(event) > end:
            worked += _end(event) - end
            end = _end(event)
        total, first = found.get(place, (timedelta(), event["timestamp"]))
        found[place] = (total + worked, first)
        place = _place(event)
    return found


def _end(event: Document) -> datetime:
    """When an event was over; only moving between frames takes time."""
    lasted = event.get("duration") or 0 if event["scope"] == "change:frame" else 0
    return event["timestamp"] + timedelta(milliseconds=lasted)


def _place(event: Document) -> Place:
    return tuple(event.get(name) for name in PLACES)


def keep_client_events(store: Store, body: Document, user: Document, organization: Document | None) -> Document:
    """Keep what a browser tells, with the working time that follows from it; the body as CVAT answers it.

    Raises:
        ValueError: it cannot be read.
    """
    received, sent = datetime.now(UTC), parse(body["timestamp"])
    # The client's clock may be wrong.
    shift = received - sent
    who = _who(user, organization)
    events = [_client_event(event, shift) for event in body.get("events") or []]
    previous = _client_event(body["previous_event"], shift) if body.get("previous_event") else None
    written = [{**event, "timestamp": _text(event["timestamp"]), **who} for event in events]
    with store.transaction():
        for event in written:
            if event["scope"] != "user:activity":
                keep(store, event)
        for place, (total, first) in working_time(events, previous).items():
            milliseconds = total // timedelta(milliseconds=1)
            if milliseconds:
                row = {"scope": "send:working_time", "source": "server", "timestamp": _text(first), "count": 1}
                payload = json.dumps({"working_time": milliseconds, "request": _request()})
                row |= {"duration": milliseconds, "payload": payload}
                keep(store, {**row, **dict(zip(PLACES, place, strict=True)), **who})
    before = {**previous, "timestamp": _text(previous["timestamp"])} if previous else None
    return {"events": written, "previous_event": before, "timestamp": _text(sent)}


def _client_event(given: Document, shift: timedelta) -> Document:
    event = {"scope": str(given["scope"]), "source": "client", "timestamp": parse(given["timestamp"]) + shift}
    for name in ("obj_name", "obj_id", "obj_val", "count"):
        if given.get(name) is not None:
            event[name] = given[name]
    event["duration"] = int(given.get("duration") or 0)
    event |= {name: given[name] for name in ("project_id", "task_id", "job_id") if given.get(name) is not None}
    event["payload"] = json.dumps(json.loads(given.get("payload") or "{}"))
    return event


def keep_change(store: Store, event: str, body: Document, before: Document | None, user: Document) -> None:
    """Keep what the server changed: one row a changed field, one for anything new or gone."""
    action, _, kind = event.partition(":")
    row: Document = {"scope": event, "source": "server", "timestamp": _text(datetime.now(UTC)), "duration": 0}
    row |= {name: body.get(name) for name in ("project_id", "task_id", "job_id")} | _who(user, None)
    row |= {"org_id": body.get("organization"), "job_id": body.get("job", row["job_id"])}
    if f"{kind}_id" in PLACES:
        row[f"{kind}_id"] = body["id"]
    if action == "update":
        for name in (before or {}).keys() & body.keys() - UNTOLD:
            old, new = _short((before or {})[name]), _short(body[name])
            if old != new:
                payload = json.dumps({"old_value": old, "request": _request()})
                keep(store, {**row, "obj_name": name, "obj_id": _id(new), "obj_val": _value(new), "payload": payload})
    else:
        keep(store, {**row, "obj_name": body.get("name"), "obj_id": body.get("id"), "payload": "{}"})


def keep_shapes(store: Store, action: str, job: Document, shapes: Sequence[Document], user: Document) -> None:
    """Keep that shapes of a job were created, updated or deleted: one row for each type of shape."""
    task = store.get("task", job["task_id"]) or {}
    for kind in sorted({shape["type"] for shape in shapes}):
        mine = [{"id": shape["id"]} for shape in shapes if shape["type"] == kind]
        row = {"scope": f"{action}:shapes", "obj_name": kind, "source": "server", "timestamp": _text(datetime.now(UTC))}
        row |= {"count": len(mine), "duration": 0, "job_id": job["id"], "task_id": job["task_id"]}
        payload = json.dumps({"shapes": mine, "request": _request()})
        keep(store, {**row, "project_id": task.get("project_id"), "payload": payload, **_who(user, None)})


def keep(store: Store, row: Mapping[str, Any]) -> None:
    """Keep a row of the log."""
    store.put("event", {"id": store.next_id("event"), **row})


def chosen(store: Store, query: Mapping[str, str]) -> Iterator[Document]:
    """Rows of the log, oldest first; ``query``: CVAT's filters of the export.

    Raises:
        ValueError: a filter cannot be read.
    """
    wanted = {name: int(query[name]) for name in (*PLACES, "org_id", "user_id") if query.get(name)}
    since = parse(query["from"]) if query.get("from") else None
    until = parse(query["to"]) if query.get("to") else None
    for row in sorted(store.all("event", **wanted), key=lambda r: (r["timestamp"], r["id"])):
        when = parse(row["timestamp"])
        if (since is None or when >= since) and (until is None or when <= until):
            yield row


def as_csv(rows: Iterator[Document]) -> bytes:
    """The log as CVAT exports it."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, restval="", extrasaction="ignore")
    writer.writeheader()
    for row in rows:
        shown = {name: "" if value is None else value for name, value in row.items()}
        when = parse(row["timestamp"])
        shown["timestamp"] = when.replace(microsecond=when.microsecond // 1000 * 1000).isoformat(
            " ", timespec="microseconds"
        )
        writer.writerow(shown)
    return text.getvalue().encode()


def parse(text: str) -> datetime:
    """A date of CVAT's API.

    Raises:
        ValueError: it is none.
    """
    when = datetime.fromisoformat(str(text))
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _text(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _who(user: Document, organization: Document | None) -> Document:
    place = organization or {}
    who = {"org_id": place.get("id"), "org_slug": place.get("slug")}
    return {**who, "user_id": user["id"], "user_name": user["username"], "user_email": user["email"]}


def _request() -> Document:
    return {"id": str(uuid.uuid4()), "user_agent": "sandbox"}


def _short(value: Any) -> Any:
    """Without addresses, as CVAT logs it."""
    return {k: v for k, v in value.items() if k != "url"} if isinstance(value, dict) else value


def _id(value: Any) -> int | None:
    return value.get("id") if isinstance(value, dict) else None


def _value(value: Any) -> str | None:
    return None if value is None else str(value)
