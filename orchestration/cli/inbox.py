"""``reefline inbox``: look at what CVAT has sent, and send a dead letter on its way again."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from orchestration.cli.context import UsageProblem, state
from resources.inbox import Inbox
from resources.inbox.letters import STATES, letter, letters, replay

app = typer.Typer(help="The inbox: every event of CVAT, and what became of it.", no_args_is_help=True)


@app.command("list")
def list_command(
    context: typer.Context,
    state_: Annotated[str, typer.Option("--state", help=f"{', '.join(STATES)}, or all.")] = "dead",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many rows.")] = 50,
) -> None:
    """The newest rows in a state, with their reasons; without an option the dead letters."""
    if state_ not in (*STATES, "all"):
        raise UsageProblem(f"no state {state_!r}: use one of {', '.join(STATES)}, all")
    inbox = Inbox(state(context).settings.inbox)
    found = letters(inbox, None if state_ == "all" else state_, limit)
    shown = Table("row", "received (UTC)", "from", "event", "task", "job", "state", "reason")
    for row in found:
        job = str(row.job_id or "")
        when = f"{row.received_at:%Y-%m-%d %H:%M:%S}"
        shown.add_row(
            str(row.id), when, row.source, row.event, str(row.task_id or ""), job, row.state, _short(row.reason)
        )
    console = Console()
    console.print(shown if found else f"No rows ({state_}).")
    counts = inbox.counts()
    totals = {name: sum(n for (_, s), n in counts.items() if s == name) for name in STATES}
    console.print(", ".join(f"{number} {name}" for name, number in totals.items()))


@app.command("show")
def show_command(context: typer.Context, number: Annotated[int, typer.Argument(help="Number of the row.")]) -> None:
    """One row, whole, with the body as it came."""
    row = letter(Inbox(state(context).settings.inbox), number)
    facts = {
        "row": row.id,
        "received": row.received_at.isoformat(),
        "source": row.source,
        "event": row.event,
        "address": row.path + (f" {row.query}" if row.query else ""),
        "task": row.task_id,
        "job": row.job_id,
        "state": row.state,
        "reason": row.reason,
        "run": row.run_id,
        "replays": row.replays,
    }
    for name, value in facts.items():
        typer.echo(f"{name:<9} {'-' if value is None else value}")
    typer.echo(json.dumps(json.loads(row.body), indent=2, ensure_ascii=False))


@app.command("replay")
def replay_command(
    context: typer.Context, numbers: Annotated[list[int], typer.Argument(help="Numbers of the rows.")]
) -> None:
    """Send dead (or ignored) rows on their way again: the sensor reads them anew and may start a run."""
    count = replay(Inbox(state(context).settings.inbox), numbers)
    typer.echo(f"{count} row{'s' * (count != 1)} will be read again at the sensor's next look.")


def _short(reason: str | None, length: int = 90) -> str:
    first = (reason or "").strip().splitlines()[:1]
    return first[0][:length] if first else ""
