"""The columns of CVAT's event log, and what a value in them may be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import pyarrow as pa

COLUMNS: Final = (
    "scope", "obj_name", "obj_id", "obj_val", "source", "timestamp", "count", "duration", "project_id", "task_id",
    "job_id", "user_id", "user_name", "user_email", "org_id", "org_slug", "payload", "access_token_id",
)  # fmt: skip
"""In CVAT's order (components/analytics/clickhouse/init.py)."""

_IDS = ("obj_id", "project_id", "task_id", "job_id", "user_id", "org_id", "access_token_id")
_TEXTS = ("obj_name", "obj_val", "user_name", "user_email", "org_slug")

LANDING: Final = pa.schema(
    [
        pa.field(
            name,
            pa.uint64() if name in _IDS
            else pa.uint32() if name in ("count", "duration")
            else pa.timestamp("ms", "UTC") if name == "timestamp"
            else pa.string(),
            nullable=name not in ("scope", "source", "timestamp", "duration"),
        )
        for name in COLUMNS
    ]
)  # fmt: skip
"""Arrow schema of events on their way into ClickHouse. ``duration`` in milliseconds."""

Event = tuple[Any, ...]
"""One event: values in the order of :data:`COLUMNS`, ``timestamp`` in milliseconds since 1970."""

OLDEST_MS: Final = int(datetime(2015, 1, 1, tzinfo=UTC).timestamp() * 1000)
"""CVAT did not exist before; such a time is a clock that was never set."""
AHEAD_MS: Final = 24 * 3600 * 1000
"""How far a clock may be ahead of ours. CVAT corrects the browsers' clocks, so more is a server with a wrong one."""
MAX_PAYLOAD: Final = 1024 * 1024
"""Bytes of a payload; CVAT's largest, stack traces, are some tens of kilobytes."""
KEPT: Final = 64 * 1024
"""Characters kept of a rejected line."""
_UINT32, _UINT64 = 2**32 - 1, 2**64 - 1
_SECONDS = re.compile(r"(\d{1,12})(?:\.(\d+))?")


class NotAnEventError(ValueError):
    """What was given is no event; the message says why."""


@dataclass(frozen=True, slots=True)
class Reject:
    """What could not become an event. ``place``: number of the line or row in its source, from 1."""

    place: int
    reason: str
    line: str

    @classmethod
    def of(cls, place: int, reason: str, raw: bytes | str) -> Reject:
        """Keep ``raw`` as it came; bytes that are no UTF-8 are written as escapes, a long one is cut."""
        text = raw.decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else raw
        cut = "" if len(text) <= KEPT else f" … (cut, {len(text)} characters)"
        return cls(place, reason, text[:KEPT] + cut)


def event_of(given: Mapping[str, Any], now_ms: int) -> Event:
    """Check an event and bring its values into the types of the log. Fields that the log does not have are left out.

    Args:
        given: by column; what is missing is NULL.
        now_ms: this machine's clock, milliseconds since 1970.

    Raises:
        NotAnEventError: it is none, or a value does not fit its column.
    """
    scope, source = given.get("scope"), given.get("source")
    if not isinstance(scope, str) or not scope:
        raise NotAnEventError("it has no scope")
    if not isinstance(source, str) or not source:
        raise NotAnEventError("it has no source")
    values = dict.fromkeys(COLUMNS)
    values |= {"scope": scope, "source": source, "timestamp": _moment(given.get("timestamp"), now_ms)}
    for name in _IDS:
        values[name] = _number(name, given.get(name), _UINT64)
    for name in _TEXTS:
        values[name] = _text(name, given.get(name))
    values["count"] = _number("count", given.get("count"), _UINT32)
    values["duration"] = _number("duration", given.get("duration"), _UINT32) or 0
    values["payload"] = _payload(given.get("payload"))
    return tuple(values.values())


def table_of(events: Sequence[Event]) -> pa.Table:
    """Events as a table of :data:`LANDING`."""
    columns: Iterable[Sequence[Any]] = zip(*events, strict=True) if events else ((),) * len(COLUMNS)
    return pa.Table.from_arrays(
        [pa.array(values, field.type) for values, field in zip(columns, LANDING, strict=True)], schema=LANDING
    )


def _moment(value: Any, now_ms: int) -> int:
    """Milliseconds since 1970, cut off as ClickHouse does. CVAT sends seconds as text; its CSV has a date."""
    if value is None or value == "" or isinstance(value, bool):
        raise NotAnEventError("it has no timestamp")
    text = repr(value) if isinstance(value, int | float) else str(value)
    seconds = _SECONDS.fullmatch(text)
    if seconds:
        moment = int(seconds[1]) * 1000 + int((seconds[2] or "")[:3].ljust(3, "0"))
    else:
        try:
            when = datetime.fromisoformat(text)
        except ValueError as error:
            raise NotAnEventError(f"timestamp {text[:40]!r} is no date and no number of seconds") from error
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        moment = int(when.replace(microsecond=0).timestamp()) * 1000 + when.microsecond // 1000
    if moment < OLDEST_MS:
        raise NotAnEventError(f"timestamp {text[:40]!r} lies before 2015: a clock was not set")
    if moment > now_ms + AHEAD_MS:
        days = (moment - now_ms) / (24 * 3600 * 1000)
        raise NotAnEventError(f"timestamp {text[:40]!r} is {days:.1f} days ahead of this machine's clock")
    return moment


def _number(name: str, value: Any, largest: int) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.lstrip("-").isascii() and value.lstrip("-").isdigit():
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise NotAnEventError(f"{name} {str(value)[:40]!r} is no whole number")
    if value < 0:
        raise NotAnEventError(f"{name} {value} is negative")
    if value > largest:
        raise NotAnEventError(f"{name} {str(value)[:40]} is too large")
    return value


def _text(name: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return orjson.dumps(value).decode()
    raise NotAnEventError(f"{name} is neither text nor a number")


def _payload(value: Any) -> str | None:
    if value is None or value == "":
        return None
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    if len(text) > MAX_PAYLOAD:
        raise NotAnEventError(f"its payload has {len(text)} characters, at most {MAX_PAYLOAD} are taken")
    return text
