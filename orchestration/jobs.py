"""Jobs: one from each gate to the next, the release, and the housekeeping jobs. One process each (``in_process``)."""

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
after_lattice = dg.define_asset_job(
    "after_lattice",
    _keys("lattice/reviewed", "images/clean", "corals/proposed", "corals/review"),
    partitions_def=BATCHES,
    executor_def=dg.in_process_executor,
    description="Lattice reviewed -> clean pictures -> corals proposed -> third gate.",
)
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
refresh_analytics = dg.define_asset_job(
    "refresh_analytics",
    dg.AssetSelection.groups("analytics"),
    executor_def=dg.in_process_executor,
    description="Manifests, cover and reviews -> ClickHouse tables.",
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
    found = reconcile(cvat, inbox, settings.receiver_url)
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
    refresh_analytics,
    follow_colonies,
    reconcile_reviews,
]
