"""Asking the named questions of ``analytics.questions``: rows with times as times, ready for reports."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from analytics.questions import question
from resources.clickhouse import Session

Rows = list[dict[str, Any]]


def ask(session: Session, name: str, given: Mapping[str, Any] | None = None) -> Rows:
    """The answer to one question.

    Args:
        session: of a database whose schema is up to date.
        name: of the question.
        given: parameters of ``analytics.questions.PARAMETERS``; those it does not take are left out.

    Returns:
        Rows by column. Times are in UTC; what ClickHouse calls not a number (a mean of nothing) is None.

    Raises:
        UnknownQuestionError: no question has this name.
    """
    asked = question(name)
    result = session.client.query(asked.sql, parameters=asked.values(**(given or {})))
    return [dict(zip(result.column_names, map(_plain, row), strict=True)) for row in result.result_rows]


def ask_all(session: Session, names: Iterable[str], given: Mapping[str, Any] | None = None) -> dict[str, Rows]:
    """The answers to several questions, by name."""
    return {name: ask(session, name, given) for name in dict.fromkeys(names)}


def _plain(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, dict):
        return sorted(value.items())
    return value
