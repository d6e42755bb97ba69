"""Routes for tasks and jobs."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from deploy.local.sandbox.http import Caller, Problem, Sandbox, VndJson, body_of, named, paged, required
from deploy.local.sandbox.restores import move_labels
from deploy.local.sandbox.store import Document
from deploy.local.sandbox.validation import chosen_frames

STATES = ("new", "in progress", "rejected", "completed")
STAGES = ("annotation", "validation", "acceptance")
MOST_REPLICAS = 10


def work_routes(sandbox: Sandbox) -> APIRouter:  # noqa: C901, PLR0915 - a list of small routes
    """The routes."""
    api = APIRouter(prefix="/api")
    store = sandbox.store

    @api.get("/tasks")
    def tasks(request: Request) -> VndJson:
        """Tasks, by name, project or filter."""
        caller = sandbox.caller(request)
        found = named(caller.seen(caller.within(store.all("task")), caller.rights.sees_task), request)
        if "project_id" in request.query_params:
            found = [t for t in found if t["project_id"] == int(request.query_params["project_id"])]
        return paged(request, found, caller.views.task)

    @api.post("/tasks")
    async def create_task(request: Request) -> VndJson:
        """A new task without pictures."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        required(body, "name")
        if body.get("consensus_replicas") and not 2 <= int(body["consensus_replicas"]) <= MOST_REPLICAS:
            raise Problem(400, {"consensus_replicas": [f"Must be 0 or greater than 1, not more than {MOST_REPLICAS}"]})
        if body.get("project_id"):
            caller.allow(caller.rights.has_project(caller.need("project", body["project_id"])))
        with store.transaction():
            task = caller.changes.create_task(body)
        written = caller.views.task(task)
        return VndJson(written, 201, headers={"location": written["url"]})

    @api.get("/tasks/{number}")
    def task(number: int, request: Request) -> VndJson:
        """One task."""
        caller = sandbox.caller(request)
        return VndJson(caller.views.task(_task(caller, number)))

    @api.patch("/tasks/{number}")
    async def patch_task(number: int, request: Request) -> VndJson:
        """Change a task."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        found = _task(caller, number)
        if "status" in body:
            raise Problem(403, {"detail": "Attempted to update an unknown field"})
        with store.transaction():
            _move(caller, found, body.get("project_id"))
            caller.changes.patch_task(found, body)
        return VndJson(caller.views.task(found))

    @api.delete("/tasks/{number}")
    def delete_task(number: int, request: Request) -> Response:
        """Delete a task."""
        caller = sandbox.caller(request)
        found = caller.need("task", number)
        caller.allow(caller.rights.may_delete_task(found))
        with store.transaction():
            caller.changes.delete_task(found)
        return Response(status_code=204)

    @api.get("/jobs")
    def jobs(request: Request) -> VndJson:
        """Jobs, by task, project, state or filter."""
        caller = sandbox.caller(request)
        query = request.query_params
        found = caller.seen(store.all("job"), caller.rights.has_job)
        if caller.scoped:
            mine = {t["id"] for t in caller.within(store.all("task"))}
            found = [j for j in found if j["task_id"] in mine]
        if "task_id" in query:
            found = [j for j in found if j["task_id"] == int(query["task_id"])]
        for name in ("state", "stage", "type"):
            if name in query:
                found = [j for j in found if j[name] == query[name]]
        if "project_id" in query:
            mine = {t["id"] for t in store.all("task", project_id=int(query["project_id"]))}
            found = [j for j in found if j["task_id"] in mine]
        return paged(request, found, caller.views.job)

    @api.post("/jobs")
    async def create_job(request: Request) -> VndJson:
        """A ground-truth job; a task has one at most."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        required(body, "type", "task_id")
        if body["type"] != "ground_truth":
            raise Problem(400, {"type": ["the sandbox makes ground-truth jobs only"]})
        found = _task(caller, body["task_id"])
        with store.transaction():
            jobs = store.all("job", task_id=found["id"])
            if any(j["type"] == "ground_truth" for j in jobs):
                raise Problem(400, ['A task with "gt" validation mode can have only 1 ground truth job'])
            try:
                frames = chosen_frames(body, found["size"], jobs)
            except ValueError as error:
                raise Problem(400, [str(error)]) from error
            job = caller.changes.create_ground_truth(found, frames)
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
        for name, allowed in (("state", STATES), ("stage", STAGES)):
            if name in body and body[name] not in allowed:
                raise Problem(400, {name: [f'"{body[name]}" is not a valid choice.']})
        found = caller.need("job", number)
        _may_change(caller, found, body)
        with store.transaction():
            caller.changes.patch_job(found, body)
        return VndJson(caller.views.job(found))

    return api


def _task(caller: Caller, number: int) -> Document:
    """A task that the user may change."""
    found = caller.need("task", number)
    caller.allow(caller.rights.has_task(found))
    return found


def _move(caller: Caller, task: Document, project_id: int | None) -> None:
    """Into a project, where one is named."""
    if project_id in (None, task["project_id"]):
        return
    project = caller.need("project", int(project_id or 0))
    caller.allow(caller.rights.has_project(project))
    if task["project_id"] is not None:
        raise Problem(400, ["the sandbox moves tasks of no project only"])
    try:
        move_labels(caller.store, task, project["id"])
    except ValueError as error:
        raise Problem(400, [str(error)]) from error
    caller.changes.move_task(task, project)


def _may_change(caller: Caller, job: Document, body: Document) -> None:
    """An assignee changes a job's state; its stage and assignee are for those who have the task."""
    unknown = body.keys() - {"state", "stage", "assignee"}
    if unknown:
        raise Problem(403, {"detail": "Attempted to update an unknown field"})
    caller.allow(caller.rights.leads_job(job) if {"stage", "assignee"} & body.keys() else caller.rights.has_job(job))
