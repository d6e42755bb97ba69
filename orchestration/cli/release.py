"""``reefline release``: freeze finished batches into a dataset release, and say what changed between two."""

from __future__ import annotations

import json
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table
from typer.core import TyperGroup

from analytics.release.diff import describe, diff_releases
from assets.common.dataset import plan_release
from assets.quality import report_key, unfit_batches
from labels.survey import parse_batch_key
from labels.survey_model import ReleaseFormat
from orchestration.cli.context import State, UsageProblem, state
from orchestration.cli.status import finished_batches
from resources.object_store import ObjectStore
from resources.releases import (
    NAME,
    ReleaseRequest,
    ask_for_release,
    is_made,
    release_key,
    release_tables,
    requests,
)


class Stage(StrEnum):
    """Stages of a CVAT job, in their order."""

    ANNOTATION = "annotation"
    VALIDATION = "validation"
    ACCEPTANCE = "acceptance"


class Splits(StrEnum):
    """What puts pictures into train, val and test."""

    QUADRAT = "quadrat"
    SUBSET = "subset"


class SeenBy(StrEnum):
    """Who answers for a picture."""

    PERSON = "person"
    MODEL = "model"


class _Group(TyperGroup):
    """``reefline release NAME`` makes a release; other words are commands of the group."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        if args and args[0] not in {*self.commands, "--help"}:
            args = ["make", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_Group, no_args_is_help=True, help="Releases: 'reefline release NAME' asks for one.")


@app.command("make")
def make(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Version, e.g. moorea-2026.11.0.")],
    survey: Annotated[list[str] | None, typer.Option(help="Only batches of these surveys.")] = None,
    batch: Annotated[list[str] | None, typer.Option(help="Exactly these batches.")] = None,
    reason: Annotated[str, typer.Option(help="What the release is for; kept with it.")] = "",
    override: Annotated[
        str, typer.Option(help="Why batches below their survey's thresholds are released all the same; kept with it.")
    ] = "",
    format: Annotated[list[ReleaseFormat] | None, typer.Option(help="Formats; else as the survey files say.")] = None,
    taxon: Annotated[list[str] | None, typer.Option(help="Only these taxa.")] = None,
    seen_by: Annotated[SeenBy | None, typer.Option(help="Only pictures that this one answered for.")] = None,
    stage: Annotated[Stage | None, typer.Option(help="Only batches whose jobs count as done here or later.")] = None,
    subset: Annotated[str | None, typer.Option(help="Only batches of surveys with this CVAT subset.")] = None,
    min_accuracy: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Only batches whose proposals were right to this share."),
    ] = None,
    splits: Annotated[Splits | None, typer.Option(help="By fixed quadrat, or by CVAT subset.")] = None,
    previous: Annotated[str | None, typer.Option(help="Release to tell the changes from; else the last one.")] = None,
) -> None:
    """Ask for a release of all finished batches (or those named); the running system makes it."""
    current = state(context)
    tables = current.tables
    where = tables.store.uri(release_key(name, "release.json"))
    if NAME.fullmatch(name) and is_made(tables.store, name):
        raise UsageProblem(f"release {name!r} is finished and never changes ({where}): choose a new name")
    chosen = _batches(current, survey, batch)
    kept = [key for key in chosen if _wanted(current, key, stage, subset, min_accuracy)]
    if chosen and not kept:
        raise UsageProblem(f"of {len(chosen)} finished batches none passes --stage, --subset and --min-accuracy")
    chosen = kept
    unfit = unfit_batches(tables, chosen)
    if unfit and not override.strip():
        said = "; ".join(f"{key}: {reasons[0]}" for key, reasons in unfit.items())
        raise UsageProblem(f"below the thresholds of their survey: {said}. Mend them, or give --override 'the reason'")
    options: dict[str, object] = {
        "formats": [str(f) for f in format or []],
        "taxa": list(taxon or []),
        "by": str(seen_by or ""),
        "splits": str(splits or ""),
        "previous": previous,
    }
    if chosen:
        _refuse_early(current, name, chosen, override, options)
    request = ask_for_release(tables.store, name, chosen, reason, override, **options)
    typer.echo(f"{name}: {len(request.batches)} batches; it will be in {where}")


@app.command("list")
def list_releases(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Releases that were asked for, the oldest first: what is in them, or that they are not made yet."""
    store = state(context).tables.store
    rows = [_row(store, request) for request in sorted(requests(store), key=lambda r: (r.asked_at, r.name))]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    table = Table(Column("release", overflow="fold"), "made", "batches", "pictures", "colonies", "why")
    for row in rows:
        numbers = [str(row[key] or "–") for key in ("batches", "pictures", "colonies")]
        why = f"override: {row['override']}" if row["override"] else row["reason"]
        table.add_row(row["name"], "yes" if row["made"] else "not yet", *numbers, why)
    Console().print(table if rows else "no release has been asked for")


@app.command("diff")
def diff(
    context: typer.Context,
    before: Annotated[str, typer.Argument(help="The earlier release.")],
    after: Annotated[str, typer.Argument(help="The later release.")],
    as_json: Annotated[bool, typer.Option("--json", help="Every change, as JSON.")] = False,
) -> None:
    """Pictures and labels added, removed and changed between two releases, object by object."""
    store = state(context).tables.store
    with tempfile.TemporaryDirectory() as folder:
        old, new = Path(folder) / "before", Path(folder) / "after"
        old.mkdir()
        new.mkdir()
        found = diff_releases(before, release_tables(store, before, old), after, release_tables(store, after, new))
    typer.echo(json.dumps(found.to_json(), indent=1) if as_json else describe(found), nl=as_json)


def _batches(current: State, surveys: list[str] | None, batches: list[str] | None) -> list[str]:
    """The finished batches that were asked for: those named, or all of some surveys, or all."""
    finished = finished_batches(current.tables)
    missing = sorted(set(batches or ()) - set(finished))
    if missing:
        raise UsageProblem(f"not finished: {', '.join(missing)}; see 'reefline status'")
    for name in surveys or ():
        current.surveys.get(name)
    return batches or [b for b in finished if not surveys or parse_batch_key(b)[0] in surveys]


def _refuse_early(current: State, name: str, batches: list[str], override: str, options: dict[str, object]) -> None:
    """Say now what can never be made, so that it takes no name."""
    lists = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    request = ReleaseRequest(name, tuple(sorted(set(batches))), override=override.strip(), **lists)  # type: ignore[arg-type]
    plan_release(current.tables, current.surveys, request)


def _row(store: ObjectStore, request: ReleaseRequest) -> dict[str, Any]:
    made = is_made(store, request.name)
    record = json.loads(store.get(release_key(request.name, "release.json"))) if made else {}
    counts = record.get("counts", {})
    return {
        "name": request.name,
        "made": made,
        "asked_at": request.asked_at,
        "batches": len(request.batches),
        "pictures": counts.get("images"),
        "colonies": counts.get("colonies"),
        "content_sha256": record.get("content_sha256"),
        "reason": request.reason,
        "override": record.get("override", ""),
    }


def _wanted(current: State, batch: str, stage: Stage | None, subset: str | None, min_accuracy: float | None) -> bool:
    """Whether a batch passes the filters on whole batches."""
    if stage is not None or subset is not None:
        survey = current.surveys.of_batch(batch)
        order = list(Stage)
        if stage is not None and order.index(Stage(survey.cvat.done_at)) < order.index(stage):
            return False
        if subset is not None and (survey.cvat.subset or "").lower() != subset.lower():
            return False
    if min_accuracy is None:
        return True
    figures = json.loads(current.tables.store.get(report_key(batch)))
    accuracy = figures["corals"].get("accuracy")
    return accuracy is not None and accuracy >= min_accuracy
