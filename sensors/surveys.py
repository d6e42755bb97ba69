"""The ``surveys`` sensor: cuts newly uploaded photos into batches and starts them.

Level-triggered: every batch that was cut but has no ``images/raw`` yet is asked for again at each tick; the run key
makes that one run. So a crash between cutting, adding the partition and asking for the run loses nothing.
"""

import time
from typing import Any

import dagster as dg

from assets.common.names import TAG_BATCH, TAG_SURVEY
from assets.common.partitions import BATCHES
from assets.raw import STAGE as RAW
from resources.offers import Offer, cut_new_batches, is_ready, offers_of
from resources.surveys import SurveyCatalog
from resources.tables import BatchTables

BUDGET_S = 20.0
"""Wall-clock seconds a tick may look at photo folders; Dagster drops everything of a tick that takes over 60 s."""
BATCHES_PER_TICK = 200


def surveys_sensor(job: Any, interval_s: int) -> dg.SensorDefinition:
    """The sensor, given the job that starts a batch."""

    @dg.sensor(
        name="surveys",
        job=job,
        minimum_interval_seconds=interval_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Cuts new photos of each survey into batches and starts them.",
    )
    def surveys(
        context: dg.SensorEvaluationContext,
        tables: dg.ResourceParam[BatchTables],
        surveys: dg.ResourceParam[SurveyCatalog],
    ) -> dg.SensorResult | dg.SkipReason:
        waiting, problems = waiting_batches(tables, surveys)
        for problem in problems:
            context.log.warning(problem)
        if not waiting:
            return dg.SkipReason("; ".join(["no new photos", *problems]))
        keys = [offer.batch for offer in waiting]
        return dg.SensorResult(
            run_requests=[start_request(offer) for offer in waiting],
            dynamic_partitions_requests=[BATCHES.build_add_request(keys)],
        )

    return surveys


def waiting_batches(tables: BatchTables, catalog: SurveyCatalog) -> tuple[list[Offer], list[str]]:
    """Batches that have not been started, after cutting new ones; and what is wrong with surveys or folders.

    Raises:
        RuntimeError: there are surveys, and none of them could be looked at.
    """
    started = time.monotonic()
    done = set(tables.batches(RAW))
    configs, problems = catalog.all()
    waiting: list[Offer] = []
    failed = 0
    for survey in configs:
        if time.monotonic() - started > BUDGET_S:
            problems.append("looked at photo folders for long enough; the rest follows at the next tick")
            break
        source = catalog.photos(survey)
        try:
            photos = source.list()
            if is_ready(survey, source, photos):
                cut_new_batches(tables.store, survey, photos)
        except OSError as error:
            failed += 1
            problems.append(f"{survey.name}: photos cannot be listed: {error}")
        waiting += [offer for offer in offers_of(tables.store, survey.name) if offer.batch not in done]
    if configs and failed == len(configs):
        raise RuntimeError("no survey's photos can be listed: " + "; ".join(problems))
    return waiting[:BATCHES_PER_TICK], problems


def start_request(offer: Offer) -> dg.RunRequest:
    """The run that starts a batch."""
    return dg.RunRequest(
        run_key=f"start:{offer.batch}",
        partition_key=offer.batch,
        tags={TAG_SURVEY: offer.survey, TAG_BATCH: offer.batch},
    )
