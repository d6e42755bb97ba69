"""Reconciliation: compare CVAT with the inbox, and heal what events did not tell. No Dagster.

CVAT before 2.68 sends an event once: a receiver that is down, a Redis that restarts or a bulk update loses it for
ever. Two things are read: what CVAT's webhooks say they have sent (a failed delivery is on record), and the jobs
themselves (an event that was never queued is on no record).

What happened a moment ago may still be on its way: it is left for the next comparison, so that a figure other than
zero means that an event was lost, not that it was late.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from resources.cvat import CvatClient, CvatRefused
from resources.inbox import Delivery, Inbox, JobState
from resources.inbox.interpret import parse_date

logger = logging.getLogger("reefline.reconcile")

OVERLAP = timedelta(minutes=10)
"""Jobs are read again from a little before the last look: CVAT commits dates out of order."""
GRACE = timedelta(seconds=60)
"""How long an event may take: CVAT's queue, its 10 s for an answer, and clocks that differ a little."""
JOBS_READ = "jobs.updated_date"


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a comparison found.

    Attributes:
        tasks: CVAT tasks looked at.
        deliveries: deliveries on CVAT's record since the last look.
        undelivered: of these, those that had not reached the inbox; they are in it now.
        healed: job states that no event had told; they are in the inbox now.
        problems: what could not be read, one readable line each.
    """

    tasks: int
    deliveries: int
    undelivered: int
    healed: int
    problems: tuple[str, ...]

    @property
    def lost(self) -> int:
        """Events that CVAT did not bring by itself."""
        return self.undelivered + self.healed


def reconcile(cvat: CvatClient, inbox: Inbox, receiver_url: str = "", grace: timedelta = GRACE) -> Reconciled:
    """Write into the inbox what CVAT knows and the inbox does not.

    Args:
        cvat: where to look.
        inbox: where to write.
        receiver_url: address of the receiver as CVAT's webhooks have it; empty: deliveries are not read.
        grace: what is younger, by CVAT's date and this machine's clock, is not judged yet.

    Raises:
        CvatUnavailable: CVAT cannot be reached; nothing is concluded from silence.
    """
    problems: list[str] = []
    until = datetime.now(UTC) - grace  # taken before anything is read: what is read later is younger still
    sent, undelivered = _read_deliveries(cvat, inbox, receiver_url, until, problems) if receiver_url else (0, 0)
    tasks = healed = 0
    for review in inbox.reviews("open"):
        if review.task_id is None:
            continue
        tasks += 1
        try:
            jobs = cvat.jobs(review.task_id)
        except CvatRefused as error:
            problems.append(f"{review.batch} {review.gate}: {error}")
            continue
        if not jobs:
            problems.append(
                f"{review.batch} {review.gate}: CVAT task {review.task_id} is gone: somebody has deleted it there; "
                f"materialize {review.gate}/review of this batch to ask people again"
            )
        healed += inbox.apply_job_states(_settled(jobs, until), source="reconcile")
    healed += _read_changed_jobs(cvat, inbox, until)
    found = Reconciled(tasks, sent, undelivered, healed, tuple(problems))
    if found.lost:
        logger.warning("%d deliveries had not arrived, %d job states had not been told", undelivered, healed)
    return found


def _read_deliveries(
    cvat: CvatClient, inbox: Inbox, receiver_url: str, until: datetime, problems: list[str]
) -> tuple[int, int]:
    """Insert what CVAT has on record as sent to us; duplicates are known by their content."""
    sent = new = 0
    try:
        webhooks = cvat.webhooks(receiver_url)
    except CvatRefused as error:
        problems.append(f"webhooks cannot be listed: {error}")
        return 0, 0
    for webhook in webhooks:
        mark = f"webhook.{webhook['id']}.deliveries"
        fresh = _before(cvat.deliveries(webhook["id"], int(inbox.watermark(mark) or 0)), until)
        for delivery in fresh:
            body = delivery["request"]
            if delivery["event"] == "ping" or not isinstance(body, dict):
                continue
            sent += 1
            new += inbox.insert(Delivery(delivery["event"], body, "reconcile"))
        if fresh:
            inbox.set_watermark(mark, str(fresh[-1]["id"]))
    return sent, new


def _before(deliveries: Sequence[dict[str, Any]], until: datetime) -> list[dict[str, Any]]:
    """The oldest ones, up to the first that is too young to be judged: the mark must not pass over it."""
    young = (n for n, delivery in enumerate(deliveries) if parse_date(delivery["created_date"]) > until)
    return list(deliveries[: next(young, len(deliveries))])


def _settled(jobs: Sequence[JobState], until: datetime) -> list[JobState]:
    """The jobs that have not been changed since."""
    return [job for job in jobs if job.updated_date <= until]


def _read_changed_jobs(cvat: CvatClient, inbox: Inbox, until: datetime) -> int:
    """Jobs of reviews that were collected long ago may have been reopened: read all that have changed."""
    known = inbox.watermark(JOBS_READ)
    since = datetime.fromisoformat(known) - OVERLAP if known else datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    changed = _settled(cvat.jobs_since(since), until)
    ours = inbox.known_tasks({job.task_id for job in changed})
    jobs = [job for job in changed if job.task_id in ours]
    healed = inbox.apply_job_states(jobs, source="reconcile")
    if changed:
        inbox.set_watermark(JOBS_READ, _newest(changed).isoformat())
    return healed


def _newest(jobs: list[JobState]) -> datetime:
    return max(job.updated_date for job in jobs)
