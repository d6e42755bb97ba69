"""CVAT's own quality report of a batch's task, beside which ours is shown. No Dagster."""

from __future__ import annotations

import logging
from typing import Any

from assets.corals import GATE as CORALS
from resources.cvat import CvatClient, CvatRefused, CvatUnavailable
from resources.tables import BatchTables

logger = logging.getLogger("reefline.quality")


def cvat_report(tables: BatchTables, batch: str, cvat: CvatClient | None) -> dict[str, Any] | None:
    """The figures of CVAT's newest report of the coral gate's task, or a ``problem`` that kept them away.

    ``None`` where no person was asked, no CVAT is given, or CVAT has no report. Quality is measured without CVAT: one
    that is down or too old costs its column, nothing else.
    """
    if cvat is None:
        return None
    rows = tables.previous(CORALS.review, batch)
    task = next((row.extra["cvat_task"] for row in rows if row.extra.get("cvat_task")), None)
    if task is None:
        return None
    try:
        return cvat.quality_report(int(task))
    except (CvatRefused, CvatUnavailable) as error:
        logger.warning("%s: CVAT's own quality report could not be had: %s", batch, error)
        return {"problem": str(error)}
