"""``reefline release``: freeze finished batches into a dataset release, and say what changed between two."""

from __future__ import annotations

import json
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from analytics.release.diff import describe, diff_releases
from assets.quality import report_key, unfit_batches
from labels.survey import parse_batch_key
from labels.survey_model import ReleaseFormat
from orchestration.cli.context import State, UsageProblem, state
from orchestration.cli.status import finished_batches
from resources.releases import ask_for_release, release_key, release_tables


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
    min_accuracy: Annotated[float | None, typer.Option(help="Only batches that changed no more (0 to 1).")] = None,
    splits: Annotated[Splits | None, typer.Option(help="By fixed quadrat, or by CVAT subset.")] = None,
    previous: Annotated[str | None, typer.Option(help="Release to tell the changes from; else the last one.")] = None,
) -> None:
    """Ask for a release of all finished batches (or those named); the running system makes it."""
    current = state(context)
    tables = current.tables
    finished = finished_batches(tables)
    if batch:
        missing = sorted(set(batch) - set(finished))
        if missing:
            raise UsageProblem(f"not finished: {', '.join(missing)}; see 'reefline status'")
    chosen = batch or [b for b in finished if not survey or parse_batch_key(b)[0] in survey]
    chosen = [key for key in chosen if _wanted(current, key, stage, subset, min_accuracy)]
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
    request = ask_for_release(tables.store, name, chosen, reason, override, **options)
    where = tables.store.uri(release_key(name, "release.json"))
    typer.echo(f"{name}: {len(request.batches)} batches; it will be in {where}")


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
