"""Events from CVAT's own ClickHouse database, when both share a server: no row passes through Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from analytics.events import COLUMNS
from analytics.events.columns import AHEAD_MS, OLDEST_MS
from resources.clickhouse import ClickHouseRefused, Session
from resources.events.load import Loaded, LoadSettings, load_events

ROWS = 500_000
"""Rows of one load."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SINCE = """
SELECT toUnixTimestamp64Milli(max(last_event)) AS t FROM event_loads FINAL
WHERE way = 'database' AND last_event IS NOT NULL
"""


def read_cvat_database(
    session: Session,
    database: str,
    settings: LoadSettings | None = None,
    *,
    overlap: timedelta = timedelta(hours=1),
    run_id: str = "",
) -> Loaded:
    """Load what CVAT's table ``events`` has since the last load, and a little before.

    Rows whose clock is wrong (before 2015, or more than a day ahead) are kept aside as rejects, as on other ways.

    Raises:
        ClickHouseRefused: there is no such database, this user may not read it, or its table is of a version of CVAT
            that has other columns.
    """
    if not _NAME.fullmatch(database):
        raise ClickHouseRefused(f"{database!r} is no name of a database: correct REEFLINE_CVAT_EVENTS_DATABASE")
    with session.explained():
        chosen = _columns(session, database)
        known = session.value(_SINCE) or 0
        since = max(known - int(overlap.total_seconds() * 1000), 0)
        total = _reject_wrong_clocks(session, database, since, run_id)
        for start, end in _pieces(session, database, max(since, OLDEST_MS)):
            select = (
                f"SELECT {chosen} FROM {database}.events "  # noqa: S608 - the name was checked
                f"WHERE toUnixTimestamp64Milli(timestamp) >= {start} AND toUnixTimestamp64Milli(timestamp) < {end}"
            )
            source = f"{database}.events {_text(start)}..{_text(end)}"
            total += load_events(session, select, "database", source, settings, run_id=run_id)
    return total


def _columns(session: Session, database: str) -> str:
    there = set(
        session.query(
            "SELECT name FROM system.columns WHERE database = {database:String} AND table = 'events'",
            {"database": database},
        )["name"].to_pylist()
    )
    if not there:
        raise ClickHouseRefused(
            f"there is no table {database}.events, or this user may not read it: see analytics/access/users.sql"
        )
    missing = set(COLUMNS) - there - {"access_token_id"}
    if missing:
        raise ClickHouseRefused(
            f"{database}.events lacks {', '.join(sorted(missing))}: this is no table of a CVAT that reefline knows"
        )
    return ", ".join(name if name in there else f"NULL AS {name}" for name in COLUMNS)


def _pieces(session: Session, database: str, since: int) -> Iterator[tuple[int, int]]:
    """Periods (ms since 1970, the end not included) of about :data:`ROWS` rows each, whole hours."""
    hours = session.query(
        f"SELECT toUnixTimestamp(toStartOfHour(timestamp)) AS hour, count() AS n FROM {database}.events "  # noqa: S608
        "WHERE toUnixTimestamp64Milli(timestamp) BETWEEN {since:Int64} AND {until:Int64} GROUP BY hour ORDER BY hour",
        {"since": since, "until": _latest()},
    ).to_pylist()
    start, rows = None, 0
    for row in hours:
        begin = int(row["hour"]) * 1000
        if start is not None and rows + row["n"] > ROWS:
            yield start, begin
            start, rows = None, 0
        start = max(begin, since) if start is None else start
        rows += row["n"]
    if start is not None:
        yield start, _latest() + 1


def _reject_wrong_clocks(session: Session, database: str, since: int, run_id: str) -> Loaded:
    """Keep aside rows that no clock can have meant."""
    wrong = (
        f"toUnixTimestamp64Milli(timestamp) < {OLDEST_MS} AND {since} = 0 "
        f"OR toUnixTimestamp64Milli(timestamp) > {_latest()}"
    )
    number = session.value(f"SELECT count() FROM {database}.events WHERE {wrong}")  # noqa: S608
    if not number:
        return Loaded()
    session.command(
        "INSERT INTO event_rejects SELECT now64(3, 'UTC'), 'database', {source:String}, 0, "  # noqa: S608
        "'timestamp is before 2015 or more than a day ahead', toJSONString(tuple(*)) "
        f"FROM {database}.events WHERE {wrong}",
        {"source": f"{database}.events"},
    )
    session.command(
        "INSERT INTO event_loads (load_id, way, source, started_at, seconds, received, rejected, forgotten, "
        "duplicates, inserted, run_id) "
        "SELECT toString(generateUUIDv4()), 'database', {source:String}, now64(3, 'UTC'), 0, "
        "{n:UInt64}, {n:UInt64}, 0, 0, 0, {run_id:String}",
        {"source": f"{database}.events", "n": number, "run_id": run_id},
    )
    return Loaded(received=int(number), rejected=int(number))


def _latest() -> int:
    return int(datetime.now(UTC).timestamp() * 1000) + AHEAD_MS


def _text(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
