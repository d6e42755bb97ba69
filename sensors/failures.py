"""The ``failures`` sensor: tells people about every run that failed for good, and keeps what it should have answered.

The inbox rows of a failed run become dead letters with the reason; ``reefline inbox replay`` starts it again.
"""

from collections.abc import Mapping

import dagster as dg

from assets.common.names import TAG_BATCH, TAG_GATE, TAG_INBOX_ID, TEAM_PLATFORM
from resources.inbox import Inbox
from resources.notifier import Notifier


def failures_sensor(interval_s: int, owners: Mapping[str, str] | None = None) -> dg.SensorDefinition:
    """The sensor; a run that Dagster will retry by itself is not worth a notice yet.

    Args:
        interval_s: seconds between two looks.
        owners: whose matter a failed step is, by its key; the platform's where it is not named.
    """

    @dg.run_failure_sensor(
        name="failures",
        minimum_interval_seconds=interval_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Sends a notice for every failed run, with its batch and the first line of the error.",
    )
    def failures(
        context: dg.RunFailureSensorContext, notifier: dg.ResourceParam[Notifier], inbox: dg.ResourceParam[Inbox]
    ) -> None:
        run = context.dagster_run
        if run.tags.get("dagster/will_retry") == "true":
            return
        batch, gate, answered = (run.tags.get(tag) for tag in (TAG_BATCH, TAG_GATE, TAG_INBOX_ID))
        if batch and gate and answered:
            reason = context.failure_event.message or "the run failed"
            inbox.mark_dead(batch, gate, int(answered), run.run_id, reason)
        facts = {
            "run": run.run_id,
            "job": run.job_name,
            "batch": run.tags.get(TAG_BATCH, ""),
            "error": context.failure_event.message or "",
        }
        steps = [str(event.step_key) for event in context.get_step_failure_events()]
        if steps:
            facts["step"] = ", ".join(steps)
        owner = next((owners[step] for step in steps if owners and step in owners), TEAM_PLATFORM)
        notifier.send(f"reefline: {run.job_name} failed", facts, owner)

    return failures
