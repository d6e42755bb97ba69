"""What sections are made of: cards with one number, boxes with a chart or a table, and how numbers are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from html import escape
from typing import Any

from markupsafe import Markup

from analytics.questions import question

Rows = Sequence[Mapping[str, Any]]
SHORT = 28
"""Longer texts break into lines."""


@dataclass(frozen=True, slots=True)
class Card:
    """One number."""

    name: str
    value: str
    says: str = ""
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """A chart or a table under its title, with the query behind it."""

    title: str
    says: str
    body: Markup
    sql: str
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A chapter of the page."""

    name: str
    title: str
    cards: Sequence[Card]
    boxes: Sequence[Box]


def chart(name: str, svg: str, *, title: str = "", wide: bool = False, says: str = "") -> Box:
    """A box around a chart of the answer to a question."""
    asked = question(name)
    return Box(title or asked.title, says or asked.says, Markup(svg), asked.sql, wide)  # noqa: S704 - charts escape


def table(
    name: str,
    rows: Rows,
    columns: Mapping[str, str],
    *,
    title: str = "",
    wide: bool = False,
    forms: Mapping[str, str] | None = None,
    links: Mapping[str, str] | None = None,
    most: int = 40,
) -> Box:
    """A box around a table of the answer.

    Args:
        name: of the question.
        rows: its answer.
        columns: column -> heading, in the order shown.
        title: instead of the question's.
        wide: over the whole page.
        forms: how columns are written: ``percent``, ``bar`` (a share as a bar), or a unit behind the number.
        links: column -> column that holds its address.
        most: rows shown.
    """
    asked = question(name)
    form = forms or {}
    head = "".join(f"<th{_right(rows, c)}>{escape(text)}</th>" for c, text in columns.items())
    body = "".join(
        "<tr>" + "".join(_cell(rows, row, c, form.get(c, ""), (links or {}).get(c)) for c in columns) + "</tr>"
        for row in rows[:most]
    )
    more = f'<p class="key">and {len(rows) - most} more</p>' if len(rows) > most else ""
    html = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{more}'
    return Box(title or asked.title, asked.says, Markup(html), asked.sql, wide)  # noqa: S704 - cells are escaped


def written(value: Any, form: str = "") -> str:
    """A value as people read it."""
    if value is None or value == "":
        return "–"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, date):
        return f"{value:%d %b %Y}" if form == "long" else f"{value:%Y-%m-%d}"
    if isinstance(value, str | bool):
        return str(value)
    return _number(value, form)


def _number(value: float, form: str) -> str:
    if form in ("percent", "bar"):
        return f"{100 * value:.1f} %"
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{text} {form}".strip()


def _cell(rows: Rows, row: Mapping[str, Any], column: str, form: str, link: str | None) -> str:
    value = row[column]
    text = escape(written(value, form))
    if form == "bar" and value is not None:
        text = f'<span class="share"><i style="width:{100 * float(value):.0f}%"></i></span> {text}'
    if link and str(row[link]).startswith(("http://", "https://")):
        text = f'<a href="{escape(row[link])}">{text}</a>'
    short = "" if isinstance(value, str) and len(value) > SHORT else ' style="white-space:nowrap"'
    return f"<td{_right(rows, column)}{short}>{text}</td>"


def _right(rows: Rows, column: str) -> str:
    """Numbers stand to the right."""
    number = all(not isinstance(row[column], str | list | datetime | date) for row in rows)
    return ' class="n"' if number else ""
