"""``reefline doctor``: look at every part of the installation and say what to do next."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from orchestration.cli.context import state
from orchestration.doctor import Finding, Level
from resources.settings import SettingsError

COLORS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}
EXIT_FAIL, EXIT_WARN = 1, 3
"""2 is a wrong command line, here as in every command."""


def doctor(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False
) -> None:
    """Check the whole installation, disk to CVAT. Exit code 0: all is well; 1: something fails; 3: warnings only."""
    from orchestration.doctor.examine import examine

    try:
        found = examine(state(context).settings)
    except SettingsError as error:
        found = {"settings": [Finding("settings", Level.FAIL, str(error), "correct the variable")]}
    if as_json:
        rows = [{"area": area, **asdict(finding)} for area, several in found.items() for finding in several]
        typer.echo(json.dumps(rows, indent=1))
    else:
        _show(found)
    levels = {finding.level for several in found.values() for finding in several}
    if Level.FAIL in levels:
        raise typer.Exit(EXIT_FAIL)
    if Level.WARN in levels:
        raise typer.Exit(EXIT_WARN)


def _show(found: Mapping[str, Sequence[Finding]]) -> None:
    table = Table("", "what", "found", "next step")
    for several in found.values():
        for finding in several:
            table.add_row(f"[{COLORS[finding.level]}]{finding.level}[/]", finding.what, finding.text, finding.fix)
    console = Console()
    console.print(table)
    bad = sum(finding.level == Level.FAIL for several in found.values() for finding in several)
    console.print(f"{bad} thing{'s' * (bad != 1)} to mend." if bad else "All is well.")
