"""``reefline audit``: what was done to CVAT and with releases, by whom and why."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from orchestration.cli.context import state
from resources.audit import Audit
from resources.inbox import Inbox


def audit(
    context: typer.Context,
    batch: Annotated[str | None, typer.Option(help="Only acts for this batch.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this action, e.g. 'create task'.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="At most so many, the newest.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Every automatic act on CVAT and every release, with its cause; the newest first."""
    found = Audit(Inbox(state(context).settings.inbox)).acts(batch, action, limit)
    if as_json:
        typer.echo(json.dumps([asdict(act) for act in found], indent=1, default=str))
        return
    shown = Table("at (UTC)", "who", "what", "to", "because of", "details")
    for act in found:
        because = " ".join(f"{name}={value}" for name, value in act.about.items())
        details = " ".join(f"{name}={value}" for name, value in act.details.items())
        shown.add_row(f"{act.at:%Y-%m-%d %H:%M:%S}", act.actor, act.action, act.target, because, details)
    Console().print(shown if found else "Nothing has been done yet.")
