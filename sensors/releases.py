"""The ``releases`` sensor: starts the run of a release that a person has asked for (``reefline release``)."""

from typing import Any

import dagster as dg

from assets.common.partitions import RELEASES
from resources.releases import waiting_releases
from resources.tables import BatchTables


def releases_sensor(job: Any, interval_s: int) -> dg.SensorDefinition:
    """The sensor, given the job that makes a release."""

    @dg.sensor(
        name="releases",
        job=job,
        minimum_interval_seconds=interval_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts the run of each release that was asked for and has not been made.",
    )
    def releases(
        context: dg.SensorEvaluationContext, tables: dg.ResourceParam[BatchTables]
    ) -> dg.SensorResult | dg.SkipReason:
        waiting = waiting_releases(tables.store)
        if not waiting:
            return dg.SkipReason("no release is asked for")
        # The time is part of the key: who asks again for a release that was refused gets a new run.
        runs = [dg.RunRequest(run_key=f"release:{r.name}:{r.asked_at}", partition_key=r.name) for r in waiting]
        return dg.SensorResult(
            run_requests=runs,
            dynamic_partitions_requests=[RELEASES.build_add_request([request.name for request in waiting])],
        )

    return releases
