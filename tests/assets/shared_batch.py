"""A code location with one shared asset, for workers of their own process to load."""

import os
from pathlib import Path

import dagster as dg

from assets.common.names import POOL_GPU
from assets.common.partitions import BATCHES
from assets.common.sharded import Tools, sharded_asset
from assets.common.stage import Done, PictureError, StageResult, Work, one_by_one, run_stage_together
from labels.manifest import ManifestRow, Status
from labels.schema import Kind, Shape
from resources.object_store import LocalStore
from resources.settings import Settings
from resources.tables import BatchTables

STAGE = "corals/proposed"
COUNT = 11
FORKED = {"forkserver": {"preload_modules": ["tests.assets.shared_batch"]}}
"""Processes of their own, but the libraries are imported once."""


def run(tools: Tools, batch: str) -> StageResult:
    """Notes in every picture which process made it; the fourth picture cannot be made."""

    def do(work):
        with (tools.tables.store.root / "made.txt").open("a") as file:
            file.write(f"{work.image_id} {os.getpid()}\n")
        if work.image_id.endswith("3"):
            raise PictureError("all black")
        return Done(shapes=[Shape(work.image_id, f"{work.image_id}:0", Kind.POINT, "x", [1.0, 2.0])])

    rows = [ManifestRow(f"{n:016x}", "", Status.OK, "1", sha256=f"s{n}", uri=f"u{n}") for n in range(COUNT)]
    return run_stage_together(
        tools.tables,
        STAGE,
        batch,
        [Work(row) for row in rows],
        one_by_one(do),
        code_version="1",
        labels=True,
        share=tools.share,
        shared=tools.shared,
    )


def report(tools: Tools, batch: str, result: StageResult) -> dg.MaterializeResult:
    """How many the committing op had to make itself."""
    return dg.MaterializeResult(metadata={"made_by_commit": result.redone, "pictures": len(result.rows)})


@dg.asset(key=["images", "clean"], partitions_def=BATCHES)
def images_clean() -> None:
    """What it is made from."""


proposed = sharded_asset(
    STAGE,
    ["images/clean"],
    run,
    report,
    description="Shared.",
    code_version="1",
    pool=POOL_GPU,
    owners=["team:vision"],
    kinds={"onnx"},
)


def tables() -> BatchTables:
    """The store that all workers see."""
    return BatchTables(LocalStore(Path(os.environ["SHARED_BATCH_STORE"])))


def job() -> dg.JobDefinition:
    """The asset alone, with a process per share."""
    definitions = dg.Definitions(
        assets=[images_clean, proposed],
        jobs=[
            dg.define_asset_job(
                "shared",
                dg.AssetSelection.assets(["corals", "proposed"]),
                partitions_def=BATCHES,
                executor_def=dg.multiprocess_executor.configured({"max_concurrent": 2, "start_method": FORKED}),
            )
        ],
        resources={
            "tables": tables(),
            "surveys": None,
            "models": None,
            "inbox": None,
            "settings": Settings(shares=int(os.environ["SHARED_BATCH_SHARES"])),
        },
    )
    return definitions.resolve_job_def("shared")
