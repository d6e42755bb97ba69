"""Events as JSON: one object a line (Vector), or one array of objects (CVAT's own logger)."""

from __future__ import annotations

import time
from collections.abc import Iterator

import orjson

from analytics.events.columns import Event, NotAnEventError, Reject, event_of


def read_lines(body: bytes, now_ms: int | None = None) -> tuple[list[Event], list[Reject]]:
    """The events of a body, and what in it is none.

    Args:
        body: JSON lines, or one JSON array, or one object. A line that cannot be read costs only itself.
        now_ms: this machine's clock, milliseconds since 1970.
    """
    now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    events: list[Event] = []
    rejects: list[Reject] = []
    for place, raw, item in _items(body):
        try:
            events.append(event_of(_object(item), now))
        except NotAnEventError as error:
            rejects.append(Reject.of(place, str(error), raw))
    return events, rejects


def _object(item: object) -> dict[str, object]:
    if isinstance(item, orjson.JSONDecodeError):
        raise NotAnEventError(f"it is no JSON: {item.msg}")
    if not isinstance(item, dict):
        raise NotAnEventError(f"it is no object but {type(item).__name__}")
    return item


def _items(body: bytes) -> Iterator[tuple[int, bytes, object]]:
    """Number, raw text, and value or error of each item."""
    whole = body.strip()
    if whole.startswith(b"["):
        found = _parsed(whole)
        if isinstance(found, list):
            for place, item in enumerate(found, 1):
                yield place, orjson.dumps(item), item
            return
        yield 1, whole, found
        return
    for place, line in enumerate(body.split(b"\n"), 1):
        raw = line.strip()
        if raw:
            yield place, raw, _parsed(raw)


def _parsed(raw: bytes) -> object:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return error
