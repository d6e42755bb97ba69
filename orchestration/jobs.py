"""Jobs: one from each gate to the next, the release, and the housekeeping jobs. One process each (``in_process``).

Where an installation shares batches between workers (``REEFLINE_SHARES``), jobs with models get an executor that
starts a worker per share.
"""

from datetime import timedelta
from typing import Any

import dagster as dg

from assets.common.names import Gate
from assets.common.partitions import BATCHES, RELEASES
from resources.cvat import CvatClient
from resources.inbox import Inbox
from resources.settings import Settings
from sensors.reconcile import reconcile


def _keys(*names: str) -> dg.AssetSelection:
    return dg.AssetSelection.assets(*[name.split("/") for name in names])


start_batch = dg.define_asset_job(
    "start_batch",
    _keys("images/raw", "corners/proposed", "corners/review"),
    partitions_def=BATCHES,
    executor_def=dg.in_process_executor,
    description="New photos -> accepted photos -> corners proposed -> first gate.",
)
after_corners = dg.define_asset_job(
    "after_corners",
    _keys("corners/reviewed", "images/rectified", "lattice/proposed", "lattice/review"),
    partitions_def=BATCHES,
    executor_def=dg.in_process_executor,
    description="Corners reviewed -> straightened pictures -> lattice proposed -> second gate.",
)


def _after_lattice(executor: dg.ExecutorDefinition) -> Any:
    return dg.define_asset_job(
        "after_lattice",
        _keys("lattice/reviewed", "images/clean", "corals/proposed", "corals/review"),
        partitions_def=BATCHES,
        executor_def=executor,
        description="Lattice reviewed -> clean pictures -> corals proposed -> third gate.",
    )


after_lattice = _after_lattice(dg.in_process_executor)
after_corals = dg.define_asset_job(
    "after_corals",
    _keys("corals/reviewed", "quality/report", "cover/quadrats"),
    partitions_def=BATCHES,
    executor_def=dg.in_process_executor,
    description="Corals reviewed -> quality -> cover.",
)
make_release = dg.define_asset_job(
    "make_release",
    _keys("datasets/release"),
    partitions_def=RELEASES,
    executor_def=dg.in_process_executor,
    description="A frozen list of batches -> a dataset release.",
)
retrain = dg.define_asset_job(
    "retrain",
    dg.AssetSelection.groups("models"),
    partitions_def=RELEASES,
    executor_def=dg.in_process_executor,
    description="A release -> a candidate model -> its evaluation -> promotion, if it is better by rule.",
)
refresh_analytics = dg.define_asset_job(
    "refresh_analytics",
    dg.AssetSelection.groups("analytics"),
    executor_def=dg.in_process_executor,
    description="Manifests, cover and reviews -> ClickHouse tables.",
)
look_after = dg.define_asset_job(
    "look_after",
    dg.AssetSelection.groups("platform"),
    executor_def=dg.in_process_executor,
    description="The whole installation looked at, as 'reefline doctor' does.",
)
follow_colonies = dg.define_asset_job(
    "follow_colonies",
    _keys("colonies/tracks"),
    executor_def=dg.in_process_executor,
    description="Reviewed corals of all years -> colonies through time.",
)

AFTER = {Gate.CORNERS: after_corners, Gate.LATTICE: after_lattice, Gate.CORALS: after_corals}
"""The job that follows each gate."""


@dg.op(description="Compares CVAT's jobs with the inbox and inserts what was lost.")
def compare_with_cvat(
    context: dg.OpExecutionContext,
    cvat: dg.ResourceParam[CvatClient],
    inbox: dg.ResourceParam[Inbox],
    settings: dg.ResourceParam[Settings],
) -> None:
    """One comparison; its figures are the op's metadata. ``lost_events`` came by no webhook, all of them are healed."""
    grace = timedelta(seconds=settings.reconcile_grace_s)
    found = reconcile(cvat, inbox, settings.receiver_url, grace)
    for problem in found.problems:
        context.log.warning(problem)
    context.add_output_metadata(
        {
            "tasks": found.tasks,
            "deliveries": found.deliveries,
            "lost_events": found.lost,
            "healed_events": found.lost,
            "problems": len(found.problems),
        }
    )


@dg.job(executor_def=dg.in_process_executor, description="Heals what webhooks did not tell.")
def reconcile_reviews() -> None:
    """Compare CVAT with the inbox."""
    compare_with_cvat()


ALL_JOBS: list[Any] = [
    start_batch,
    after_corners,
    after_lattice,
    after_corals,
    make_release,
    retrain,
    refresh_analytics,
    follow_colonies,
    reconcile_reviews,
    look_after,
]


def shared_jobs(shares: int, executor: dg.ExecutorDefinition | None = None) -> tuple[list[Any], dict[Gate, Any]]:
    """All jobs, and those after each gate, for an installation.

    Args:
        shares: workers that share a batch; 1 = one process does all.
        executor: starts the workers (Docker's, Kubernetes'); processes of this machine when not given.
    """
    if shares == 1:
        return ALL_JOBS, AFTER
    # The default would be one process per processor of the host, whatever the container may use.
    several = executor or dg.multiprocess_executor.configured({"max_concurrent": shares})
    shared = _after_lattice(several)
    jobs = [shared if job is after_lattice else job for job in ALL_JOBS]
    return jobs, {**AFTER, Gate.LATTICE: shared}
