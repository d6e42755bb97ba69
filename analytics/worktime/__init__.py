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

IN_ORDER: Final = "SETTINGS optimize_read_in_window_order = 1"
"""At the end of a query over stored events whose ``seq`` is their ``timestamp`` and whose ``tie`` is ``content_key``:
they lie in that order, person by person, so that parts are merged as they are read and nothing is sorted."""

PARAMETERS: Final = {"cap_ms": CAP_MS, "session_ms": SESSION_MS}


def sql(name: str, **parts: str) -> str:
    """A file of this folder, its ``$places`` filled with SQL.

    Args:
        name: without ``.sql``.
        parts: by the name of the place.
    """
    text = (resources.files("analytics.worktime") / f"{name}.sql").read_text(encoding="utf-8")
    return Template(text).substitute(parts)


def cvat_sql(source: str) -> str:
    """CVAT's working time per person and place, in ms, over a relation; ``cvat.sql`` says which columns it has."""
    return sql("cvat", source=source)


def both_sql(source: str) -> str:
    """Both algorithms with their differences per day, person and place, over a relation as in :func:`cvat_sql`."""
    return sql("both", source=source)


def month_sql() -> str:
    """:func:`both_sql` over one month of the stored events with what CVAT has booked. Parameter ``month`` (yyyymm)."""
    return sql("month", both=both_sql(sql("stored")))


def reach_sql() -> str:
    """How far each person's work reached in a month of the stored events. Parameter ``month`` (yyyymm)."""
    return sql("reach")


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
