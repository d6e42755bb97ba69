"""Reconciliation: compare CVAT with the inbox, and heal what events did not tell. No Dagster."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from resources.cvat import CvatClient, CvatRefused
from resources.inbox import Inbox

logger = logging.getLogger("reefline.reconcile")


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a comparison found.

    Attributes:
        tasks: CVAT tasks looked at.
        healed: job states that no event had told.
        problems: tasks that could not be read, one readable line each.
    """

    tasks: int
    healed: int
    problems: tuple[str, ...]


REOPENING = timedelta(days=30)
"""How long after its collection a review is still watched: people reopen jobs."""


def _is_old(since: datetime) -> bool:
    return datetime.now(UTC) - since > REOPENING


def reconcile(cvat: CvatClient, inbox: Inbox) -> Reconciled:
    """Read the jobs of every open or recent review from CVAT and write what differs into the inbox.

    Raises:
        CvatUnavailable: CVAT cannot be reached; nothing is concluded from silence.
    """
    tasks = healed = 0
    problems: list[str] = []
    for review in inbox.reviews():
        if review.task_id is None or (review.state != "open" and _is_old(review.since)):
            continue
        tasks += 1
        try:
            jobs = cvat.jobs(review.task_id)
        except CvatRefused as error:
            problems.append(f"{review.batch} {review.gate}: {error}")
            continue
        healed += inbox.apply_job_states(jobs, source="reconcile")
    if healed:
        logger.warning("healed %d job states that no event had told", healed)
    return Reconciled(tasks, healed, tuple(problems))
