"""Working time in ClickHouse SQL: CVAT's algorithm, ours, and what lies between them.

Belongs here: the SQL files, the constants, and filling a source into the SQL. What runs them is
``resources.events.worktime``; the formula and a worked example are in ``docs/analytics.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from string import Template
from typing import Final

CAP_MS: Final = 100_000
"""CVAT's MAX_EVENT_DURATION (cvat/apps/events/const.py): a pause of this length or more is no work to CVAT. To us a
pause counts up to it, and so does each frame of a merged frame change."""

SESSION_MS: Final = 30 * 60_000
"""After a pause of this length or more somebody has left: it counts nothing and a new session begins."""

_PLACE: Final = "cityHash64({})".format(
    ", ".join(f"ifNull({name}, toUInt64(-1))" for name in ("project", "task", "job"))
)
"""A place as one number."""

PARAMETERS: Final = {"cap_ms": CAP_MS, "session_ms": SESSION_MS}


def sql(name: str, **parts: str) -> str:
    """A file of this folder, its ``$places`` filled with SQL.

    Args:
        name: without ``.sql``.
        parts: by the name of the place.
    """
    text = (resources.files("analytics.worktime") / f"{name}.sql").read_text(encoding="utf-8")
    return Template(text).substitute(parts)


def steps_sql(source: str, past: str) -> str:
    """What events add to working time, summed. Parameter ``middle``: the last person of the lower half.

    Args:
        source: a relation of events; ``series.sql`` says which columns it has.
        past: a relation of what was before them; ``steps.sql`` says which columns it has.
    """
    lower, upper = (sql("series", source=source, place=_PLACE, side=side) for side in ("<=", ">"))
    return sql("steps", lower=lower, upper=upper, past=past)


def both_sql(steps: str, past: str) -> str:
    """Both algorithms with their differences per day, person and place, of steps: a table, or SQL in brackets."""
    return sql("both", steps=steps, past=past, place=_PLACE)


def stored_sql() -> str:
    """:func:`steps_sql` over months of stored events. Parameters: ``first``, ``last`` (yyyymm), ``middle``."""
    return steps_sql(sql("stored"), sql("past"))


def middle_sql() -> str:
    """The ``middle`` of :func:`stored_sql`. Parameters: ``first``, ``last``."""
    return sql("middle")


def months_sql(steps: str) -> str:
    """:func:`both_sql` beside what CVAT has booked in the same months. Parameters: ``first``, ``last``."""
    return sql("months", both=both_sql(steps, sql("past")))


def cvat_sql() -> str:
    """CVAT's algorithm alone over months of stored events, by person and place. Parameters as of :func:`stored_sql`."""
    return cvat_sql_of(sql("stored"), sql("past"))


def cvat_sql_of(source: str, past: str) -> str:
    """CVAT's algorithm alone; for the arguments see :func:`steps_sql`."""
    lower, upper = (sql("frames", source=source, place=_PLACE, side=side) for side in ("<=", ">"))
    return sql("cvat", lower=lower, upper=upper, past=past, place=_PLACE)


def differences_sql() -> str:
    """Where the table ``worktime`` says otherwise than :func:`cvat_sql`. Parameters: its own, and ``most`` rows."""
    return sql("differences", cvat=cvat_sql())


def reach_sql(steps: str) -> str:
    """How far each person's work reached in the months of the steps."""
    return sql("reach", steps=steps)


DIMENSIONS: Final = {
    "user": "if({pseudonyms:UInt8} = 1, pseudonym, user_name)",
    "day": "day",
    "survey": "survey",
    "batch": "batch",
    "gate": "gate",
    "project": "project_id",
    "task": "task_id",
    "job": "job_id",
    "place": "place",
}
"""By what working time can be told, and the column of ``worktime_named`` that says it."""

READINGS: Final = ("ours", "cvat", "frames", "inside", "thinking", "moved", "reported", "repeated")
"""Columns of the table ``worktime``, without ``_ms``."""


class UnknownDimensionError(ValueError):
    """Working time cannot be told by this; the message says by what it can."""


def by_sql(dimensions: Sequence[str]) -> str:
    """Working time by dimensions, in milliseconds. Parameters: ``since``, ``until`` (dates), ``pseudonyms``.

    Raises:
        UnknownDimensionError: one of them is none.
    """
    for name in dimensions:
        if name not in DIMENSIONS:
            raise UnknownDimensionError(f"working time by {name!r}: use {', '.join(DIMENSIONS)}")
    chosen = [f"{DIMENSIONS[name]} AS by_{name}" for name in dimensions]
    sums = [f"sum(w.{name}_ms) AS {name}_ms" for name in READINGS]
    keys = ", ".join(f"by_{name}" for name in dimensions) or "tuple()"
    return (
        f"SELECT {', '.join([*chosen, *sums, 'sum(w.sessions) AS sessions'])} FROM worktime_named AS w "  # noqa: S608
        "WHERE day BETWEEN {since:Date} AND {until:Date} "
        f"GROUP BY {keys} ORDER BY {keys}"
    )
