"""An asset whose batch can be shared by several workers, by whatever executor its job has.

The asset is one node of the graph as ever. Inside there are three ops: one that cuts the batch into shares
(``REEFLINE_SHARES``; none by default), one per share, and one that commits. Shares leave their pictures as parts in
the object store, so workers need nothing else in common: processes of one machine, containers or pods. The committing
op runs the stage as if nothing had been done, finds the parts, and makes what is missing; without shares it does all.

The share op stands in the stage's pool: at most as many shares run at once as the pool has slots
(``dagster instance concurrency set gpu 4`` for four cards).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from assets.common.partitions import BATCHES
from assets.common.stage import Share, StageResult
from inference.engines import EngineError
from inference.registry import ModelError, ModelRegistry
from resources.inbox import Inbox
from resources.settings import Settings
from resources.surveys import SurveyCatalog
from resources.tables import BatchTables

SAY_EVERY_S = 15.0


@dataclass(frozen=True)
class Tools:
    """What a stage works with, and the part of the batch it is asked for."""

    tables: BatchTables
    surveys: SurveyCatalog
    models: ModelRegistry
    settings: Settings
    inbox: Inbox
    share: Share | None = None
    shared: int = 0
    progress: Callable[[int, int], None] | None = None


def _made(run: Callable[[Tools, str], StageResult], tools: Tools, batch: str) -> StageResult:
    """Run the stage; a model that cannot be used is said in one line, and trying again would not help."""
    try:
        return run(tools, batch)
    except (EngineError, ModelError) as error:
        raise dg.Failure(str(error), allow_retries=False) from error


def _told(say: Callable[[str], None]) -> Callable[[int, int], None]:
    """Progress for the run's log, at most one line per ``SAY_EVERY_S``."""
    said = [time.monotonic()]

    def tell(done: int, total: int) -> None:
        if time.monotonic() - said[0] > SAY_EVERY_S:
            said[0] = time.monotonic()
            say(f"{done} of {total} pictures")

    return tell


def sharded_asset(
    stage: str,
    deps: Sequence[str],
    run: Callable[[Tools, str], StageResult],
    report: Callable[[Tools, str, StageResult], dg.MaterializeResult],
    *,
    description: str,
    code_version: str,
    pool: str,
    owners: Sequence[str],
    kinds: set[str],
) -> dg.AssetsDefinition:
    """The asset of a stage.

    Args:
        stage: the asset's key with ``/``.
        deps: keys of what it is made from, one or two.
        run: makes a batch, or the share that the tools name; the two must agree on what is to be done.
        report: metadata of the committed stage.
    """
    name = stage.replace("/", "_")
    names = ("before", "also")[: len(deps)]

    @dg.op(name=f"{name}_shares", ins={each: dg.In(dg.Nothing) for each in names}, out=dg.DynamicOut(dg.Nothing))
    def shares(settings: dg.ResourceParam[Settings]) -> Iterator[dg.DynamicOutput[None]]:
        """Cuts the batch into shares, when there are workers to share it."""
        if settings.shares > 1:
            for number in range(settings.shares):
                yield dg.DynamicOutput(None, mapping_key=f"{number}_of_{settings.shares}")

    @dg.op(name=f"{name}_share", pool=pool, ins={"cut": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing))
    def one_share(
        context: dg.OpExecutionContext,
        tables: dg.ResourceParam[BatchTables],
        surveys: dg.ResourceParam[SurveyCatalog],
        models: dg.ResourceParam[ModelRegistry],
        settings: dg.ResourceParam[Settings],
        inbox: dg.ResourceParam[Inbox],
    ) -> None:
        """Makes every n-th picture and leaves them as a part."""
        number, _, count = (context.get_mapping_key() or "0_of_1").partition("_of_")
        share = Share(int(number), int(count))
        tools = Tools(tables, surveys, models, settings, inbox, share, progress=_told(context.log.info))
        made = _made(run, tools, context.partition_key)
        context.log.info("share %s of %s: %d pictures made", int(number) + 1, count, made.redone)

    @dg.op(name=f"{name}_commit", pool=pool, ins={"done": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing))
    def commit(
        context: dg.OpExecutionContext,
        tables: dg.ResourceParam[BatchTables],
        surveys: dg.ResourceParam[SurveyCatalog],
        models: dg.ResourceParam[ModelRegistry],
        settings: dg.ResourceParam[Settings],
        inbox: dg.ResourceParam[Inbox],
    ) -> dg.Output[None]:
        """Makes what no share has made, and commits the stage."""
        shared = settings.shares if settings.shares > 1 else 0
        tools = Tools(tables, surveys, models, settings, inbox, shared=shared, progress=_told(context.log.info))
        result = _made(run, tools, context.partition_key)
        return dg.Output(None, metadata=dict(report(tools, context.partition_key, result).metadata or {}))

    def of_one(before: Any) -> Any:
        return commit(shares(before=before).map(one_share).collect())

    def of_two(before: Any, also: Any) -> Any:
        return commit(shares(before=before, also=also).map(one_share).collect())

    compose: Callable[..., Any] = of_one if len(deps) == 1 else of_two
    return dg.graph_asset(
        key=stage.split("/"),
        ins={
            name: dg.AssetIn(dg.AssetKey(key.split("/")), dagster_type=dg.Nothing)
            for name, key in zip(names, deps, strict=True)
        },
        partitions_def=BATCHES,
        group_name=stage.split("/", maxsplit=1)[0],
        owners=list(owners),
        kinds=kinds,
        code_version=code_version,
        description=description,
    )(compose)
