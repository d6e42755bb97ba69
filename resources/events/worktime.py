"""Keeping the table ``worktime`` up to date: months with newer events are computed again, each replaced as a whole."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from analytics.worktime import PARAMETERS, cvat_sql, differences_sql, middle_sql, months_sql, reach_sql, stored_sql
from resources.clickhouse import Session

_COLUMNS = (
    "day, user_id, project_id, task_id, job_id, events, sessions, reported_ms, repeated_ms, cvat_ms, frames_ms, "
    "inside_ms, thinking_ms, moved_ms, ours_ms, first_at, last_at, computed_at"
)
_REACH = "month, person, last_t, last_tie, project, task, job, past_cvat, past_cut, past_all, computed_at"
_AT_ONCE = 12
"""Months that one query computes: what is planned and begun once costs more than a month of a small installation."""
_STEPS = "worktime_steps"
_IN_ORDER = "SETTINGS optimize_read_in_window_order = 1"
"""Stored events lie person by person in order of time: parts are merged as they are read, and nothing is sorted."""
_STALE = """
SELECT
    month, events, c.counted AS counted,
    -- Times of loading are whole seconds: what was loaded in the second of a computation may be missing from it.
    loaded >= toDateTime(c.computed_at, 'UTC') AS changed
FROM
(
    -- A partition is a month, and named after it.
    SELECT toUInt32(_partition_id) AS month, count() AS events, max(loaded_at) AS loaded FROM events GROUP BY month
) AS e
LEFT JOIN (SELECT month AS known, events AS counted, computed_at FROM worktime_months FINAL) AS c ON c.known = e.month
ORDER BY month
"""


def refresh_worktime(session: Session, *, everything: bool = False) -> list[int]:
    """Compute working time of the months that have changed, and of those after them (a session may reach over).

    Args:
        session: of a database whose schema is up to date.
        everything: all months, whether they have changed or not.

    Returns:
        The months (yyyymm) that were computed.
    """
    with session.explained():
        # Before anything is read: an event that is loaded meanwhile makes its month stale again.
        started = session.value("SELECT toString(now64(3, 'UTC'))")
        months = session.query(_STALE).to_pylist()
        stale = [m["month"] for m in months if everything or m["changed"]]
        due = [m for m in months if stale and m["month"] >= stale[0]]
        for start in range(0, len(due), _AT_ONCE):
            piece = due[start : start + _AT_ONCE]
            _replace(session, [m["month"] for m in piece])
            for month in piece:
                session.command(
                    "INSERT INTO worktime_months "
                    "SELECT {month:UInt32}, {events:UInt64}, toDateTime64({started:String}, 3, 'UTC')",
                    {"month": month["month"], "events": month["events"], "started": started},
                )
    return [month["month"] for month in due]


@dataclass(frozen=True, slots=True)
class Compared:
    """The table ``worktime`` beside CVAT's algorithm over all events at once.

    Attributes:
        months: that could be compared (yyyymm): the last ones whose events are those they were computed of.
        rows: where both differ, the worst first: ``user_id, project_id, task_id, job_id, stored_ms, fresh_ms``.
    """

    months: list[int]
    rows: list[dict[str, Any]]


def compare_worktime(session: Session, most: int = 20) -> Compared:
    """Whether the table, which is computed in pieces, holds what computing all of it at once would give.

    Months that have got events since, or lost some (they expired, a person was forgotten), cannot be compared, nor can
    those before them.
    """
    with session.explained():
        months: list[int] = []
        for month in session.query(_STALE).to_pylist():
            whole = not month["changed"] and month["events"] == month["counted"]
            months = [*months, month["month"]] if whole else []
        if not months:
            return Compared([], [])
        asked = {**_halves(session, months), "most": most}
        return Compared(months, session.query(f"{differences_sql()} {_IN_ORDER}", asked).to_pylist())


def cvat_time(session: Session, months: Sequence[int]) -> pa.Table:
    """CVAT's working time in months (yyyymm, one after the other), straight from the events.

    Returns:
        ``person, project, task, job, cvat_ms``; milliseconds.
    """
    with session.explained():
        return session.query(f"{cvat_sql()} {_IN_ORDER}", _halves(session, months))


def _halves(session: Session, months: Sequence[int]) -> dict[str, Any]:
    period = {**PARAMETERS, "first": months[0], "last": months[-1]}
    return {**period, "middle": session.value(middle_sql(), period)}


def _replace(session: Session, months: list[int]) -> None:
    """Cut off in between, the months are stale still, and all of it is done again."""
    period = _halves(session, months)
    session.command(f"DROP TEMPORARY TABLE IF EXISTS {_STEPS}")
    session.command(f"CREATE TEMPORARY TABLE {_STEPS} ENGINE = Memory AS {stored_sql()} {_IN_ORDER}", period)
    _keep_months(session, months, period)
    for month in months:
        session.command(f"ALTER TABLE worktime_reach DROP PARTITION {month}")
    session.command(f"INSERT INTO worktime_reach ({_REACH}) {reach_sql(_STEPS)}", period)
    session.command(f"DROP TEMPORARY TABLE {_STEPS}")


def _keep_months(session: Session, months: list[int], period: Mapping[str, Any]) -> None:
    staging = f"worktime_{months[0]}_{uuid.uuid4().hex[:8]}"
    session.command(f"CREATE TABLE {staging} AS worktime")
    try:
        session.command(
            f"INSERT INTO {staging} ({_COLUMNS}) SELECT {_COLUMNS} FROM ({months_sql(_STEPS)})",  # noqa: S608 - ours
            period,
        )
        found = session.query(f"SELECT DISTINCT toYYYYMM(day) AS month FROM {staging}")["month"].to_pylist()  # noqa: S608
        for month in months:
            if month in found:
                session.command(f"ALTER TABLE worktime REPLACE PARTITION {month} FROM {staging}")
            else:
                session.command(f"ALTER TABLE worktime DROP PARTITION {month}")
    finally:
        session.command(f"DROP TABLE IF EXISTS {staging}")
