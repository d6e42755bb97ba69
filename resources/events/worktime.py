"""Keeping the table ``worktime`` up to date: months with newer events are computed again, each replaced as a whole."""

from __future__ import annotations

import uuid

from analytics.worktime import PARAMETERS, months_sql, reach_sql
from resources.clickhouse import Session

_COLUMNS = (
    "day, user_id, project_id, task_id, job_id, events, sessions, reported_ms, repeated_ms, cvat_ms, frames_ms, "
    "inside_ms, thinking_ms, moved_ms, ours_ms, first_at, last_at, computed_at"
)
_REACH = "month, person, last_t, last_tie, project, task, job, past_cvat, past_cut, past_all, computed_at"
_AT_ONCE = 12
"""Months that one query computes: what is planned and begun once costs more than a month of a small installation."""
_IN_ORDER = "SETTINGS optimize_read_in_window_order = 1"
"""Stored events lie person by person in order of time: parts are merged as they are read, and nothing is sorted."""
_STALE = """
SELECT
    toYYYYMM(timestamp) AS month,
    count() AS events,
    -- Times of loading are whole seconds: what was loaded in the second of a computation may be missing from it.
    max(loaded_at) >= toDateTime(any(c.computed_at), 'UTC') AS changed
FROM events
LEFT JOIN (SELECT month AS known, computed_at FROM worktime_months FINAL) AS c ON c.known = toYYYYMM(timestamp)
GROUP BY month
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
        months = session.query(_STALE).to_pylist()
        stale = [m["month"] for m in months if everything or m["changed"]]
        due = [m for m in months if stale and m["month"] >= stale[0]]
        for start in range(0, len(due), _AT_ONCE):
            piece = due[start : start + _AT_ONCE]
            _compute(session, [m["month"] for m in piece])
            _keep_reach(session, [m["month"] for m in piece])
            for month in piece:
                session.command(
                    "INSERT INTO worktime_months SELECT {month:UInt32}, {events:UInt64}, now64(3, 'UTC')",
                    {"month": month["month"], "events": month["events"]},
                )
    return [month["month"] for month in due]


def _compute(session: Session, months: list[int]) -> None:
    staging = f"worktime_{months[0]}_{uuid.uuid4().hex[:8]}"
    session.command(f"CREATE TABLE {staging} AS worktime")
    try:
        session.command(
            f"INSERT INTO {staging} ({_COLUMNS}) SELECT {_COLUMNS} FROM ({months_sql()}) {_IN_ORDER}",  # noqa: S608 - ours
            _period(months),
        )
        found = session.query(f"SELECT DISTINCT toYYYYMM(day) AS month FROM {staging}")["month"].to_pylist()  # noqa: S608
        for month in months:
            if month in found:
                session.command(f"ALTER TABLE worktime REPLACE PARTITION {month} FROM {staging}")
            else:
                session.command(f"ALTER TABLE worktime DROP PARTITION {month}")
    finally:
        session.command(f"DROP TABLE IF EXISTS {staging}")


def _keep_reach(session: Session, months: list[int]) -> None:
    """For the months after these. Cut off in between, they are stale still, and all of it is done again."""
    for month in months:
        session.command(f"ALTER TABLE worktime_reach DROP PARTITION {month}")
    session.command(f"INSERT INTO worktime_reach ({_REACH}) {reach_sql()}", _period(months))


def _period(months: list[int]) -> dict[str, int]:
    return {**PARAMETERS, "first": months[0], "last": months[-1]}
