"""Routes for jobs."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response

from deploy.local.sandbox.api.tasks import own_task
from deploy.local.sandbox.http import Caller, Problem, Sandbox, VndJson, body_of, paged, required
from deploy.local.sandbox.store import Document
from deploy.local.sandbox.validation import chosen_frames

STATES = ("new", "in progress", "rejected", "completed")
STAGES = ("annotation", "validation", "acceptance")


def jobs_routes(sandbox: Sandbox) -> APIRouter:
    """The routes."""
    api = APIRouter(prefix="/api")
    store = sandbox.store

    @api.get("/jobs")
    def jobs(request: Request) -> VndJson:
        """Jobs, by task, project, state or filter."""
        caller = sandbox.caller(request)
        return paged(request, _asked_for(caller, request.query_params), caller.views.job)

    @api.post("/jobs")
    async def create_job(request: Request) -> VndJson:
        """A ground-truth job; a task has one at most."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        required(body, "type", "task_id")
        if body["type"] != "ground_truth":
            raise Problem(400, {"type": ["the sandbox makes ground-truth jobs only"]})
        found = own_task(caller, body["task_id"])
        with store.transaction():
            job = caller.changes.create_ground_truth(found, _truth_frames(caller, found, body))
        return VndJson(caller.views.job(job), 201)

    @api.delete("/jobs/{number}")
    def delete_job(number: int, request: Request) -> Response:
        """Delete a ground-truth job; the others go with their task only."""
        caller = sandbox.caller(request)
        found = caller.need("job", number)
        caller.allow(caller.rights.leads_job(found))
        if found["type"] != "ground_truth":
            raise Problem(400, ["Only ground truth jobs can be removed"])
        if caller.need("task", found["task_id"]).get("validation_mode") == "gt_pool":
            raise Problem(400, ['GT jobs cannot be removed when task validation mode is "gt_pool"'])
        with store.transaction():
            caller.changes.delete_job(found)
        return Response(status_code=204)

    @api.get("/jobs/{number}")
    def job(number: int, request: Request) -> VndJson:
        """One job."""
        caller = sandbox.caller(request)
        found = caller.need("job", number)
        caller.allow(caller.rights.has_job(found))
        return VndJson(caller.views.job(found))

    @api.patch("/jobs/{number}")
    async def patch_job(number: int, request: Request) -> VndJson:
        """Change state, stage or assignee of a job."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        found = caller.need("job", number)
        _may_change(caller, found, body)
        with store.transaction():
            caller.changes.patch_job(found, body)
        return VndJson(caller.views.job(found))

    return api


def _asked_for(caller: Caller, query: Mapping[str, str]) -> list[Document]:
    """The jobs that the user may see and that a list's address names."""
    store = caller.store
    found = caller.seen(store.all("job"), caller.rights.has_job)
    if caller.scoped:
        mine = {t["id"] for t in caller.within(store.all("task"))}
        found = [j for j in found if j["task_id"] in mine]
    if "task_id" in query:
        found = [j for j in found if j["task_id"] == int(query["task_id"])]
    if "project_id" in query:
        mine = {t["id"] for t in store.all("task", project_id=int(query["project_id"]))}
        found = [j for j in found if j["task_id"] in mine]
    wanted = {name: query[name] for name in ("state", "stage", "type") if name in query}
    return [j for j in found if all(j[name] == value for name, value in wanted.items())]


def _truth_frames(caller: Caller, task: Document, body: Document) -> list[int]:
    """The frames of a new ground-truth job."""
    jobs = caller.store.all("job", task_id=task["id"])
    if any(j["type"] == "ground_truth" for j in jobs):
        raise Problem(400, ['A task with "gt" validation mode can have only 1 ground truth job'])
    try:
        return chosen_frames(body, task["size"], jobs)
    except ValueError as error:
        raise Problem(400, [str(error)]) from error


def _may_change(caller: Caller, job: Document, body: Document) -> None:
    """An assignee changes a job's state; its stage and assignee are for those who have the task."""
    for name, allowed in (("state", STATES), ("stage", STAGES)):
        if name in body and body[name] not in allowed:
            raise Problem(400, {name: [f'"{body[name]}" is not a valid choice.']})
    unknown = body.keys() - {"state", "stage", "assignee"}
    if unknown:
        raise Problem(403, {"detail": "Attempted to update an unknown field"})
    caller.allow(caller.rights.leads_job(job) if {"stage", "assignee"} & body.keys() else caller.rights.has_job(job))
