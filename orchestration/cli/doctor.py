"""``reefline doctor``: look at every part of the installation and say what to do next."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from orchestration.cli.context import state
from orchestration.cli.cvat import declare
from orchestration.doctor import (
    Finding,
    Level,
    check_cvat,
    check_inbox,
    check_models,
    check_receiver,
    check_store,
    check_surveys,
)
from resources.bundle import make_cvat
from resources.inbox import Inbox

COLORS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


def doctor(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False
) -> None:
    """Check settings, surveys, store, models, inbox, receiver and CVAT. Exit code 1 when something does not work."""
    current = state(context)
    settings = current.settings
    surveys, _ = current.surveys.all()
    found = [
        *check_surveys(current.surveys),
        *check_store(current.tables.store),
        *check_models(current.models, surveys),
        *check_inbox(Inbox(settings.inbox)),
        *check_receiver(settings.receiver_url),
        *check_cvat(make_cvat(settings), lambda: declare(settings, surveys), surveys),
    ]
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in found], indent=1))
    else:
        _show(found)
    if any(finding.level == Level.FAIL for finding in found):
        raise typer.Exit(1)


def _show(found: list[Finding]) -> None:
    table = Table("", "what", "found", "next step")
    for finding in found:
        table.add_row(f"[{COLORS[finding.level]}]{finding.level}[/]", finding.what, finding.text, finding.fix)
    console = Console()
    console.print(table)
    bad = sum(finding.level == Level.FAIL for finding in found)
    console.print(f"{bad} thing{'s' * (bad != 1)} to mend." if bad else "All is well.")
