"""Routes for the settings of CVAT's quality control. Its reports are in ``reports``."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from deploy.local.sandbox.http import Caller, Problem, Sandbox, VndJson, body_of, paged
from deploy.local.sandbox.store import Document, now

DEFAULTS: dict[str, Any] = {
    "job_filter": "",
    "inherit": True,
    "target_metric": "accuracy",
    "target_metric_threshold": 0.7,
    "max_validations_per_job": 0,
    "iou_threshold": 0.4,
    "oks_sigma": 0.09,
    "point_size_base": "group_bbox_size",
    "line_thickness": 0.01,
    "low_overlap_threshold": 0.8,
    "compare_line_orientation": True,
    "line_orientation_threshold": 0.1,
    "compare_groups": True,
    "group_match_threshold": 0.5,
    "check_covered_annotations": True,
    "object_visibility_threshold": 0.05,
    "panoptic_comparison": True,
    "compare_attributes": True,
    "empty_is_annotated": False,
}


def quality_routes(sandbox: Sandbox) -> APIRouter:
    """The routes."""
    api = APIRouter(prefix="/api/quality")
    store = sandbox.store

    @api.get("/settings")
    def settings(request: Request) -> VndJson:
        """Settings of tasks; a task has them from its beginning."""
        caller = sandbox.caller(request)
        query = request.query_params
        tasks = caller.seen(store.all("task"), caller.rights.has_task)
        if "task_id" in query:
            tasks = [task for task in tasks if task["id"] == int(query["task_id"])]
        return paged(request, [settings_of(caller, task) for task in tasks], lambda found: found)

    @api.patch("/settings/{number}")
    async def patch_settings(number: int, request: Request) -> VndJson:
        """Change settings; thresholds are shares."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        task = caller.need("task", number)
        caller.allow(caller.rights.has_task(task))
        given = {name: body[name] for name in DEFAULTS if name in body}
        wrong = [n for n in given if isinstance(DEFAULTS[n], float) and not _is_share(given[n])]
        if wrong:
            raise Problem(400, {name: ["must be in the range [0; 1]"] for name in wrong})
        with store.transaction():
            changed = {**settings_of(caller, task), **given, "updated_date": now()}
            store.put("quality_settings", changed)
            caller.changes.touch_task(task)
        return VndJson(changed)

    return api


def settings_of(caller: Caller, task: Document) -> Document:
    """A task's settings, under the id of the task."""
    dates = {"created_date": task["created_date"], "updated_date": task["created_date"]}
    kept = caller.store.get("quality_settings", task["id"])
    return kept or {"id": task["id"], "task_id": task["id"], "project_id": None, **DEFAULTS, **dates}


def settings_in_force(caller: Caller, task: Document) -> Document:
    """The settings that reports go by: those of the project, unless the task's say that it does not inherit them.

    The sandbox's projects have CVAT's defaults.
    """
    own = settings_of(caller, task)
    return {**own, **DEFAULTS} if own["inherit"] else own


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
