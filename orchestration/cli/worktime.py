"""``reefline worktime``: who worked how long on what, by our reading and by CVAT's."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from analytics.worktime import READINGS, by_sql
from orchestration.cli.analytics import open_database
from orchestration.cli.context import UsageProblem, state
from resources.events import refresh_worktime

PARTS = ("frames", "inside", "thinking", "moved")


class Format(StrEnum):
    """How the answer is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def worktime(
    context: typer.Context,
    by: Annotated[str, typer.Option(help="user, day, survey, batch, gate, project, task, job, place; with commas.")] = (
        "user,job"
    ),
    since: Annotated[str, typer.Option("--from", help="First day, YYYY-MM-DD.")] = "2000-01-01",
    until: Annotated[str, typer.Option("--to", help="Last day, YYYY-MM-DD.")] = "2100-01-01",
    format: Annotated[Format, typer.Option(help="A table for people; milliseconds as CSV or JSON.")] = Format.TABLE,
    pseudonyms: Annotated[bool, typer.Option(help="People under pseudonyms.")] = False,
) -> None:
    """Working time of loaded events. 'ours' = cvat + frames + inside + thinking + moved, in every row."""
    dimensions = [name.strip() for name in by.split(",") if name.strip()]
    values = {"since": _day("--from", since), "until": _day("--to", until), "pseudonyms": int(pseudonyms)}
    sql = by_sql(dimensions)
    with open_database(state(context), "worktime") as session:
        refresh_worktime(session)
        with session.explained():
            rows = session.query(sql, values).to_pylist()
    rows = [{name.removeprefix("by_"): value for name, value in row.items()} for row in rows]
    if format is Format.JSON:
        typer.echo(json.dumps(rows, indent=1, default=str, ensure_ascii=False))
    elif format is Format.CSV:
        names = [*dimensions, *(f"{name}_ms" for name in READINGS), "sessions"]
        writer = csv.DictWriter(sys.stdout, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        _show(rows, dimensions)


def _show(rows: Sequence[dict[str, Any]], dimensions: Sequence[str]) -> None:
    console = Console()
    if not rows:
        console.print("No working time in this period: 'reefline analytics load' brings events in.")
        return
    shown = Table(*(Column(name, overflow="fold") for name in dimensions), "ours", "CVAT", "CVAT booked", "difference")
    for row in rows:
        parts = [f"{name} {_clock(row[f'{name}_ms'], sign=True)}" for name in PARTS if row[f"{name}_ms"]]
        twice = [f"booked twice {_clock(row['repeated_ms'])}"] if row["repeated_ms"] else []
        times = [_clock(row[f"{name}_ms"]) for name in ("ours", "cvat", "reported")]
        shown.add_row(*(_said(name, row[name]) for name in dimensions), *times, ", ".join(parts + twice))
    console.print(shown)


def _clock(milliseconds: int, *, sign: bool = False) -> str:
    """Hours, minutes and seconds."""
    minutes, seconds = divmod(round(abs(milliseconds) / 1000), 60)
    before = "-" if milliseconds < 0 else "+" if sign else ""
    return f"{before}{minutes // 60}:{minutes % 60:02}:{seconds:02}"


def _said(dimension: str, value: Any) -> str:
    if value is None and dimension in ("job", "task", "project"):
        return f"outside {dimension}s"
    return "-" if value in (None, "") else str(value)


def _day(option: str, text: str) -> Any:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise UsageProblem(f"{option} {text!r} is no day: write it like 2026-11-21") from error
