"""``reefline models``: what is registered, add, compare, promote, roll back."""

from __future__ import annotations

import getpass
import json
import re
import socket
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from assets.common.evaluation import evaluate as run_evaluation
from assets.common.evaluation import headline, promote_by_rule, read_report, report_table
from orchestration.cli.context import UsageProblem, state
from resources.models import Event, InstalledModels, read_entries
from resources.release_data import read_release

app = typer.Typer(help="Models: list, add, evaluate, promote, roll back.", no_args_is_help=True)

Versioned = Annotated[str, typer.Argument(help="name@version.")]


@app.command("list")
def list_models(
    context: typer.Context,
    history: Annotated[str, typer.Option(help="What happened to this name, oldest first.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """All models; an asterisk marks the version that a survey gets by the name alone. Hashes, licences: --json."""
    models = _models(context)
    if history:
        _show_history(models.history(history), history, as_json)
        return
    promoted = {card.name: models.promoted(card.name) for card in models.cards()}
    own = {card.versioned for card in models.own()}
    rows = [
        {
            **card.entry(),
            "reference": card.reference,
            "promoted": promoted[card.name] == card.version,
            "origin": "own" if card.versioned in own else "shipped",
        }
        for card in models.cards()
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    table = Table("", Column("model", no_wrap=True), Column("task", no_wrap=True), "labels", "held-out figures", "from")
    for row in sorted(rows, key=lambda row: (row["task"], row["name"], _natural(row["version"]))):
        metrics = row.get("metrics", {})
        shown = [name for name in metrics if "mAP" in name] or [*metrics][:2]
        figures = "\n".join(f"{name} {metrics[name]:.3g}" for name in shown)
        labels = str(len(row.get("labels", []))) if row.get("labels") else "–"
        versioned = f"{row['name']}@{row['version']}"
        table.add_row("*" * row["promoted"], versioned, row["task"], labels, figures or "–", row["origin"])
    Console().print(table)


@app.command("add")
def add(
    context: typer.Context,
    entry: Annotated[Path, typer.Argument(help="YAML file with one entry, or several under 'models:'.")],
    reason: Annotated[str, typer.Option(help="Kept in the history.")] = "",
) -> None:
    """Register models: their weights are fetched once, verified, tried, and kept in the object store by their hash."""
    models = _models(context)
    for card in read_entries(entry):
        kept = models.add(card, entry.parent, _who(), reason)
        note = "" if models.promoted(kept.name) == kept.version else f"; not promoted, use {kept.versioned}"
        typer.echo(f"{kept.reference}: {(kept.size or 0) / 2**20:.1f} MiB, {kept.task}{note}")


@app.command("evaluate")
def evaluate(
    context: typer.Context,
    model: Versioned,
    release: Annotated[str, typer.Option(help="The release whose validation pictures are used.")],
    against: Annotated[str, typer.Option(help="Model to beat; default: the promoted version of the name.")] = "",
    margin: Annotated[float, typer.Option(min=0, max=1, help="What the mAP50 difference must exceed.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Measure a model and the promoted one on the same pictures. The report is kept; 'promote' reads it."""
    models = _models(context)
    data = read_release(models.store, release)
    report = run_evaluation(
        models, data, model, against or None, margin=margin, threads=state(context).settings.worker_threads
    )
    if as_json:
        typer.echo(json.dumps(report, indent=1))
        return
    typer.echo(f"{report['candidate']} against {report['champion'] or 'none'}, {report['pictures']} pictures")
    typer.echo(report_table(report))
    typer.echo(f"{'better' if report['better'] else 'not better'}: {report['why']}")


@app.command("promote")
def promote(
    context: typer.Context,
    model: Versioned,
    force: Annotated[bool, typer.Option("--force", help="Whatever the rule says; needs --reason.")] = False,
    reason: Annotated[str, typer.Option(help="Why; kept in the history.")] = "",
) -> None:
    """Make a version the one its name means, when its evaluation says that it is better."""
    models = _models(context)
    if "@" not in model:
        raise UsageProblem(f"{model!r}: say which version, as {model}@VERSION; 'reefline models list' shows them")
    if force and not reason.strip():
        raise UsageProblem("--force needs --reason '...': it is kept in the history")
    if force:
        report = read_report(models.store, models.card(model))
        event = models.promote(model, _who(), reason.strip(), metrics=headline(report) if report else {}, forced=True)
    else:
        event = promote_by_rule(models, model, _who())
    typer.echo(f"{event.name} is now {event.version} (before: {event.previous or 'none'}): {event.why}")


@app.command("rollback")
def rollback(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the history.")] = "",
) -> None:
    """Undo the last promotion of a name."""
    event = _models(context).rollback(name, _who(), reason)
    typer.echo(f"{event.name} is now {event.version or 'without a promoted version'} (before: {event.previous})")


def _natural(version: str) -> list[tuple[int, str]]:
    """Sorts 9 before 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", version)]


def _models(context: typer.Context) -> InstalledModels:
    return state(context).models


def _who() -> str:
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        user = "somebody"
    return f"{user}@{socket.gethostname()}"


def _show_history(events: list[Event], name: str, as_json: bool) -> None:
    rows: list[dict[str, Any]] = [{key: getattr(event, key) for key in Event.__dataclass_fields__} for event in events]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    table = Table("when", "what", "version", "before", "by", "why")
    for event in events:
        what = event.action + (" (forced)" if event.forced else "")
        table.add_row(
            event.when[:16].replace("T", " "),
            what,
            event.version or "none",
            event.previous or "none",
            event.who,
            event.why,
        )
    Console().print(table if events else f"nothing has happened to {name}")
