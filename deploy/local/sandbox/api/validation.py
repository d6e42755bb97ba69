"""Routes for the validation of tasks and jobs: the ground-truth frames, the honeypots, and changing either."""

from __future__ import annotations

import random
from typing import Any

from fastapi import APIRouter, Request

from deploy.local.sandbox.http import Caller, Problem, Sandbox, VndJson, body_of
from deploy.local.sandbox.store import Document
from deploy.local.sandbox.validation import honeypots_of, job_layout, layout_of


def validation_routes(sandbox: Sandbox) -> APIRouter:
    """The routes."""
    api = APIRouter(prefix="/api")
    store = sandbox.store

    def job_and_task(caller: Caller, number: int) -> tuple[Document, Document]:
        job = caller.need("job", number)
        caller.allow(caller.rights.leads_job(job))
        return job, caller.need("task", job["task_id"])

    @api.get("/tasks/{number}/validation_layout")
    def task_validation(number: int, request: Request) -> VndJson:
        """Ground-truth frames and honeypots of a task."""
        caller = sandbox.caller(request)
        task = caller.need("task", number)
        caller.allow(caller.rights.has_task(task))
        return VndJson(layout_of(task, store.all("job", task_id=number)))

    @api.patch("/tasks/{number}/validation_layout")
    async def patch_task_validation(number: int, request: Request) -> VndJson:
        """Leave frames out of the validation, or exchange all honeypots."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        task = caller.need("task", number)
        caller.allow(caller.rights.has_task(task))
        known = layout_of(task, store.all("job", task_id=number))
        if known["mode"] is None:
            raise Problem(400, ["Validation is not configured in the task"])
        with store.transaction():
            if "disabled_frames" in body:
                unknown = set(body["disabled_frames"]) - set(known["validation_frames"])
                if unknown:
                    raise Problem(400, [f"Unknown frames requested for exclusion: {sorted(unknown)}"])
                caller.changes.disable_frames(task, body["disabled_frames"])
            if body.get("frame_selection_method"):
                jobs = store.all("job", task_id=number, type="annotation")
                real = _exchanged(task, honeypots_of(task), body)
                for job in sorted(jobs, key=lambda job: job["start_frame"]):
                    span = range(job["start_frame"], job["stop_frame"] + 1)
                    mine = {frame: shown for frame, shown in real.items() if frame in span}
                    caller.changes.exchange_honeypots(caller.need("task", number), job, mine)
        return VndJson(layout_of(caller.need("task", number), store.all("job", task_id=number)))

    @api.get("/jobs/{number}/validation_layout")
    def job_validation(number: int, request: Request) -> VndJson:
        """Honeypots of a job."""
        job, task = job_and_task(sandbox.caller(request), number)
        return VndJson(job_layout(task, _span(job)))

    @api.patch("/jobs/{number}/validation_layout")
    async def patch_job_validation(number: int, request: Request) -> VndJson:
        """Exchange the honeypots of a job."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        job, task = job_and_task(caller, number)
        if job["type"] == "ground_truth":
            raise Problem(400, ["Honeypots cannot exist in ground_truth jobs"])
        inside = {frame: real for frame, real in honeypots_of(task).items() if frame in _span(job)}
        with store.transaction():
            caller.changes.exchange_honeypots(task, job, _exchanged(task, inside, body))
        return VndJson(job_layout(caller.need("task", task["id"]), _span(job)))

    return api


def _span(job: Document) -> range:
    return range(job["start_frame"], job["stop_frame"] + 1)


def _exchanged(task: Document, honeypots: dict[int, int], body: dict[str, Any]) -> dict[int, int]:
    """What the placeholders are to show from now on."""
    if task.get("validation_mode") != "gt_pool":
        raise Problem(400, ["Honeypots can only be modified if the task validation mode is 'gt_pool'"])
    active = [frame for frame in task["pool_frames"] if frame not in task["disabled_frames"]]
    if body["frame_selection_method"] == "manual":
        asked = body.get("honeypot_real_frames") or []
        if len(asked) != len(honeypots) or set(asked) - set(active):
            raise Problem(400, [f"{len(honeypots)} active frames of the validation pool are needed"])
        return dict(zip(honeypots, asked, strict=True))
    if not active:
        raise Problem(400, ["Can't select validation frames. Try to restore some validation frames"])
    chance = random.Random()  # noqa: S311 - no secret
    chance.shuffle(active)
    return {frame: active[n % len(active)] for n, frame in enumerate(honeypots)}
