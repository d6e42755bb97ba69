"""CVAT's own quality reports of a task: fetched where they exist, asked for where they could."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from resources.cvat.errors import CvatRefused

if TYPE_CHECKING:
    from resources.cvat.client import CvatClient

WAIT_S = 60.0
"""How long a report that was asked for is waited for; CVAT may take hours for a large task, and keeps it then."""
SETTINGS = (
    "iou_threshold",
    "low_overlap_threshold",
    "oks_sigma",
    "compare_attributes",
    "panoptic_comparison",
    "check_covered_annotations",
    "empty_is_annotated",
    "job_filter",
)
"""Settings that decide the figures, and are told with them."""


def quality_report(cvat: CvatClient, task_id: int, wait_s: float = WAIT_S) -> dict[str, Any] | None:
    """The newest report of a task as figures; ``None`` where CVAT has none and makes none.

    A report is asked for where there is none, or where the task has changed since. CVAT makes one only when the
    ground-truth job is accepted and completed.

    Returns:
        ``report`` (its id), ``created``, ``stale`` (the task has changed since and no newer one could be had; ``why``
        says so), ``frames``, the counts ``valid, missing, extra, total, ds_count, gt_count``, the figures
        ``accuracy, precision, recall``, ``mean_iou`` (mean of the frames' own, since CVAT writes 0 for the task),
        ``errors``, ``warnings``, ``conflicts_by_type``, ``per_label`` and ``settings``.

    Raises:
        CvatRefused: this CVAT has no quality control, or the account may not see it.
        CvatUnavailable: CVAT does not answer.
    """
    task = cvat.session.request("GET", f"/api/tasks/{task_id}")
    newest, why = _newest(cvat, task_id), ""
    if newest is None or _older(newest, task):
        why = _ask(cvat, task_id, wait_s)
        newest = _newest(cvat, task_id)
    if newest is None:
        return None
    data = cvat.session.request("GET", f"/api/quality/reports/{newest['id']}/data")
    return {**_figures(data), "report": newest["id"], "stale": _older(newest, task), "why": why}


def _newest(cvat: CvatClient, task_id: int) -> dict[str, Any] | None:
    listed = cvat.session.listed("/api/quality/reports", task_id=task_id, target="task")
    return max((r for r in listed if r["target"] == "task"), key=lambda r: r["id"], default=None)


def _older(report: dict[str, Any], task: dict[str, Any]) -> bool:
    return str(report["created_date"]) < str(task["updated_date"])


def _ask(cvat: CvatClient, task_id: int, wait_s: float) -> str:
    """Ask for a report and wait for it; why there is none yet, empty when there is."""
    try:
        asked = cvat.session.request("POST", "/api/quality/reports", {"task_id": task_id})
    except CvatRefused as error:
        if error.status != 400:
            raise
        return "CVAT makes a report when the ground-truth job is completed in the stage acceptance"
    deadline = time.monotonic() + wait_s
    while True:
        status = cvat.session.request("GET", f"/api/requests/{quote(asked['rq_id'], safe='')}")
        if status["status"] == "finished":
            return ""
        if status["status"] == "failed":
            return f"CVAT could not make its report: {str(status['message'])[:200]}"
        if time.monotonic() > deadline:
            return "CVAT is still at work on its report: materialize quality/report again later"
        time.sleep(0.5)


def _figures(data: dict[str, Any]) -> dict[str, Any]:
    summary = data["comparison_summary"]
    shapes = summary["annotations"]
    frames = [result["annotation_components"]["shape"]["mean_iou"] for result in data["frame_results"].values()]
    counts = {name: shapes[f"{name}_count"] for name in ("valid", "missing", "extra", "total")}
    matrix = shapes["confusion_matrix"]
    named = {"precision": "precision", "recall": "recall", "accuracy": "accuracy", "jaccard": "jaccard_index"}
    per_label = {
        label: {ours: matrix[theirs][place] for ours, theirs in named.items() if theirs in matrix}
        for place, label in enumerate(matrix["labels"][:-1])
    }
    return {
        "created": data["created_date"],
        "frames": len(data["frame_results"]),
        **counts,
        **{name: shapes[name] for name in ("ds_count", "gt_count", "accuracy", "precision", "recall")},
        "mean_iou": float(np.mean(frames)) if frames else None,
        "errors": summary["error_count"],
        "warnings": summary["warning_count"],
        "conflicts_by_type": summary["conflicts_by_type"],
        "per_label": per_label,
        "settings": {name: data["parameters"].get(name) for name in SETTINGS},
    }
