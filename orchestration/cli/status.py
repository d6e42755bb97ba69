"""``reefline status``: where every batch is, for whom it waits, since when."""

from __future__ import annotations

from datetime import UTC, datetime

import typer
from rich.console import Console
from rich.table import Column, Table

from labels.survey import parse_batch_key
from orchestration.cli.context import state
from resources.inbox import Inbox
from resources.offers import offers_of
from resources.tables import BatchTables

STAGES = (
    "images/raw",
    "corners/proposed",
    "corners/review",
    "corners/reviewed",
    "images/rectified",
    "lattice/proposed",
    "lattice/review",
    "lattice/reviewed",
    "images/clean",
    "corals/proposed",
    "corals/review",
    "corals/reviewed",
    "quality/report",
    "cover/quadrats",
)
"""The stages of a batch, in order."""


MEASURED = ("quality/report", "cover/quadrats")
"""What a batch ends with; the two do not wait for each other."""


def finished_batches(tables: BatchTables) -> list[str]:
    """Keys of the batches that have gone all the way, sorted."""
    return sorted(set.intersection(*(set(tables.batches(stage)) for stage in MEASURED)))


def last_stage(tables: BatchTables, batch: str) -> str | None:
    """The furthest stage that a batch has reached, ``None`` before the first."""
    return next((stage for stage in reversed(STAGES) if tables.has(stage, batch)), None)


def status(context: typer.Context) -> None:
    """Every batch: how far it is, what it waits for, and since when."""
    current = state(context)
    tables = current.tables
    surveys, problems = current.surveys.all()
    waiting = {r.batch: r for r in Inbox(current.settings.inbox).reviews("open")}
    shown = Table(Column("batch", overflow="fold"), "survey", "photos", "reached", "waits for", "since")
    for survey in surveys:
        for offer in offers_of(tables.store, survey.name):
            stage = last_stage(tables, offer.batch) or "-"
            review = waiting.get(offer.batch)
            who, since = "", ""
            if review is not None:
                people = ", ".join(review.waiting_for) or "anyone"
                where = "/".join(review.stages)
                who = f"{review.gate}: {review.jobs_done}/{review.jobs_total} jobs, {where}, {people}"
                since = _ago(review.since)
            elif stage == STAGES[-1]:
                who = "done"
            shown.add_row(offer.batch, parse_batch_key(offer.batch)[0], str(len(offer.files)), stage, who, since)
    console = Console()
    console.print(shown)
    for problem in problems:
        console.print(problem, style="red", markup=False)


def _ago(since: datetime | None) -> str:
    if since is None:
        return ""
    seconds = (datetime.now(UTC) - (since if since.tzinfo else since.replace(tzinfo=UTC))).total_seconds()
    days, hours = divmod(int(seconds) // 3600, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {int(seconds) % 3600 // 60} min"
