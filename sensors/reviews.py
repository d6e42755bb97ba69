"""The ``reviews`` sensor: turns finished reviews in the inbox into the run that collects them. SQL only, no CVAT.

The inbox row's state is the truth; the cursor is for people. The run key carries the last inbox row it answers, so a
review that is reopened and finished again gets a new run, and one delivery never gets two.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets.common.names import TAG_BATCH, TAG_GATE, TAG_INBOX_ID, TAG_SURVEY, Gate
from labels.survey import parse_batch_key
from resources.inbox import DueReview, Inbox

RUNS_PER_TICK = 50


def reviews_sensor(jobs: Mapping[Gate, Any], interval_s: int) -> dg.SensorDefinition:
    """The sensor, given the job that follows each gate."""

    @dg.sensor(
        name="reviews",
        jobs=list(jobs.values()),
        minimum_interval_seconds=interval_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts the run that collects a gate when all its CVAT jobs are completed.",
    )
    def reviews(context: dg.SensorEvaluationContext, inbox: dg.ResourceParam[Inbox]) -> dg.SensorResult | dg.SkipReason:
        seen = inbox.interpret_new()
        due = inbox.due()[:RUNS_PER_TICK]
        if not due:
            return dg.SkipReason(f"no review is finished ({seen.summary()})")
        requests = [collect_request(review, jobs[Gate(review.gate)].name) for review in due]
        return dg.SensorResult(run_requests=requests, cursor=str(max(review.last_id for review in due)))

    return reviews


def collect_request(review: DueReview, job_name: str) -> dg.RunRequest:
    """The run that collects a finished review."""
    return dg.RunRequest(
        run_key=f"collect:{review.key}",
        job_name=job_name,
        partition_key=review.batch,
        tags={
            TAG_SURVEY: parse_batch_key(review.batch)[0],
            TAG_BATCH: review.batch,
            TAG_GATE: review.gate,
            TAG_INBOX_ID: str(review.last_id),
        },
    )
