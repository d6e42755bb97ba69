"""``reefline release``: freeze finished batches into a dataset release."""

from __future__ import annotations

from typing import Annotated

import typer

from assets.quality import unfit_batches
from labels.survey import parse_batch_key
from orchestration.cli.context import UsageProblem, state
from orchestration.cli.status import finished_batches
from resources.releases import ask_for_release, release_key


def release(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Version, e.g. moorea-2026.11.0.")],
    survey: Annotated[list[str] | None, typer.Option(help="Only batches of these surveys.")] = None,
    batch: Annotated[list[str] | None, typer.Option(help="Exactly these batches.")] = None,
    reason: Annotated[str, typer.Option(help="What the release is for; kept with it.")] = "",
    override: Annotated[
        str, typer.Option(help="Why batches below their survey's thresholds are released all the same; kept with it.")
    ] = "",
) -> None:
    """Ask for a release of all finished batches (or those named); the running system makes it."""
    tables = state(context).tables
    finished = finished_batches(tables)
    if batch:
        missing = sorted(set(batch) - set(finished))
        if missing:
            raise UsageProblem(f"not finished: {', '.join(missing)}; see 'reefline status'")
    chosen = batch or [b for b in finished if not survey or parse_batch_key(b)[0] in survey]
    unfit = unfit_batches(tables, chosen)
    if unfit and not override.strip():
        said = "; ".join(f"{key}: {reasons[0]}" for key, reasons in unfit.items())
        raise UsageProblem(f"below the thresholds of their survey: {said}. Mend them, or give --override 'the reason'")
    request = ask_for_release(tables.store, name, chosen, reason, override)
    typer.echo(
        f"{name}: {len(request.batches)} batches; it will be in {tables.store.uri(release_key(name, 'release.json'))}"
    )
