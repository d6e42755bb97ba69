"""The ``overdue`` sensor: tells people about reviews that have waited for too long, each once a day."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from assets.common.names import TEAM_LABELLING
from resources.inbox import Inbox, ReviewStatus
from resources.notifier import Notifier


def overdue_sensor(patience_days: float) -> dg.SensorDefinition:
    """The sensor; a review may wait for so many days."""

    @dg.sensor(
        name="overdue",
        minimum_interval_seconds=1800,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Sends a notice for each review that has waited for people for too long, once a day.",
    )
    def overdue(
        context: dg.SensorEvaluationContext, inbox: dg.ResourceParam[Inbox], notifier: dg.ResourceParam[Notifier]
    ) -> dg.SkipReason:
        now = datetime.now(UTC)
        late = [review for review in inbox.reviews("open") if now - review.since > timedelta(days=patience_days)]
        told = [review for review in late if _tell(review, now, inbox, notifier)]
        return dg.SkipReason(f"{len(late)} reviews wait for more than {patience_days:g} days, told of {len(told)}")

    return overdue


def _tell(review: ReviewStatus, now: datetime, inbox: Inbox, notifier: Notifier) -> bool:
    """Send a notice, unless one was sent today; a notice that did not arrive is sent again at the next look."""
    mark, today = f"overdue/{review.batch}/{review.gate}", now.date().isoformat()
    if inbox.watermark(mark) == today:
        return False
    facts = {
        "batch": review.batch,
        "gate": review.gate,
        "days": f"{(now - review.since).total_seconds() / 86400:.1f}",
        "jobs": f"{review.jobs_done} of {review.jobs_total} done",
        "waiting for": ", ".join(review.waiting_for) or "nobody is assigned",
        "task": review.url or "",
    }
    if not notifier.send(f"reefline: {review.batch} waits at {review.gate}", facts, TEAM_LABELLING):
        return False
    inbox.set_watermark(mark, today)
    return True
