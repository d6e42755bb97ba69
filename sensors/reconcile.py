"""Reconciliation: compare CVAT with the inbox, and heal what events did not tell. No Dagster.

CVAT before 2.68 sends an event once: a receiver that is down, a Redis that restarts or a bulk update loses it for
ever. Two things are read: what CVAT's webhooks say they have sent (a failed delivery is on record), and the jobs
themselves (an event that was never queued is on no record).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from resources.cvat import CvatClient, CvatRefused
from resources.inbox import Delivery, Inbox, JobState

logger = logging.getLogger("reefline.reconcile")

OVERLAP = timedelta(minutes=10)
"""Jobs are read again from a little before the last look: CVAT commits dates out of order."""
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


def reconcile(cvat: CvatClient, inbox: Inbox, receiver_url: str = "") -> Reconciled:
    """Write into the inbox what CVAT knows and the inbox does not.

    Args:
        cvat: where to look.
        inbox: where to write.
        receiver_url: address of the receiver as CVAT's webhooks have it; empty: deliveries are not read.

    Raises:
        CvatUnavailable: CVAT cannot be reached; nothing is concluded from silence.
    """
    problems: list[str] = []
    sent, undelivered = _read_deliveries(cvat, inbox, receiver_url, problems) if receiver_url else (0, 0)
    tasks = healed = 0
    for review in inbox.reviews():
        if review.task_id is None or review.state != "open":
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
        healed += inbox.apply_job_states(jobs, source="reconcile")
    healed += _read_changed_jobs(cvat, inbox)
    found = Reconciled(tasks, sent, undelivered, healed, tuple(problems))
    if found.lost:
        logger.warning("%d deliveries had not arrived, %d job states had not been told", undelivered, healed)
    return found


def _read_deliveries(cvat: CvatClient, inbox: Inbox, receiver_url: str, problems: list[str]) -> tuple[int, int]:
    """Insert what CVAT has on record as sent to us; duplicates are known by their content."""
    sent = new = 0
    try:
        webhooks = cvat.webhooks(receiver_url)
    except CvatRefused as error:
        problems.append(f"webhooks cannot be listed: {error}")
        return 0, 0
    for webhook in webhooks:
        mark = f"webhook.{webhook['id']}.deliveries"
        fresh = cvat.deliveries(webhook["id"], int(inbox.watermark(mark) or 0))
        for delivery in fresh:
            body = delivery["request"]
            if delivery["event"] == "ping" or not isinstance(body, dict):
                continue
            sent += 1
            new += inbox.insert(Delivery(delivery["event"], body, "reconcile"))
        if fresh:
            inbox.set_watermark(mark, str(fresh[-1]["id"]))
    return sent, new


def _read_changed_jobs(cvat: CvatClient, inbox: Inbox) -> int:
    """Jobs of reviews that were collected long ago may have been reopened: read all that have changed."""
    ours = {review.task_id for review in inbox.reviews() if review.task_id is not None}
    known = inbox.watermark(JOBS_READ)
    if not ours:
        return 0
    since = datetime.fromisoformat(known) - OVERLAP if known else datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    jobs = [job for job in cvat.jobs_since(since) if job.task_id in ours]
    healed = inbox.apply_job_states(jobs, source="reconcile")
    if jobs:
        inbox.set_watermark(JOBS_READ, _newest(jobs).isoformat())
    return healed


def _newest(jobs: list[JobState]) -> datetime:
    return max(job.updated_date for job in jobs)
