"""Routes for tasks and jobs."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from deploy.local.sandbox.http import Problem, Sandbox, VndJson, body_of, paged, required
from deploy.local.sandbox.store import Document

STATES = ("new", "in progress", "rejected", "completed")
STAGES = ("annotation", "validation", "acceptance")


def work_routes(sandbox: Sandbox) -> APIRouter:  # noqa: C901, PLR0915 - a list of small routes
    """The routes."""
    api = APIRouter(prefix="/api")
    store = sandbox.store

    @api.get("/tasks")
    def tasks(request: Request) -> VndJson:
        """Tasks, by name, project or filter."""
        caller = sandbox.caller(request)
        found = _named(store.all("task"), request)
        if "project_id" in request.query_params:
            found = [t for t in found if t["project_id"] == int(request.query_params["project_id"])]
        return paged(request, found, caller.views.task)

    @api.post("/tasks")
    async def create_task(request: Request) -> VndJson:
        """A new task without pictures."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        required(body, "name")
        if body.get("project_id"):
            caller.need("project", body["project_id"])
        with store.transaction():
            task = caller.changes.create_task(body)
        written = caller.views.task(task)
        return VndJson(written, 201, headers={"location": written["url"]})

    @api.get("/tasks/{number}")
    def task(number: int, request: Request) -> VndJson:
        """One task."""
        caller = sandbox.caller(request)
        return VndJson(caller.views.task(caller.need("task", number)))

    @api.patch("/tasks/{number}")
    async def patch_task(number: int, request: Request) -> VndJson:
        """Change a task."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        found = caller.need("task", number)
        with store.transaction():
            caller.changes.patch_task(found, body)
        return VndJson(caller.views.task(found))

    @api.delete("/tasks/{number}")
    def delete_task(number: int, request: Request) -> Response:
        """Delete a task."""
        caller = sandbox.caller(request)
        found = caller.need("task", number)
        with store.transaction():
            caller.changes.delete_task(found)
        return Response(status_code=204)

    @api.get("/jobs")
    def jobs(request: Request) -> VndJson:
        """Jobs, by task, project, state or filter."""
        caller = sandbox.caller(request)
        query = request.query_params
        found = store.all("job")
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
        """A ground-truth job."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        required(body, "type", "task_id")
        if body["type"] != "ground_truth" or not body.get("frames"):
            raise Problem(400, {"detail": "the sandbox makes ground-truth jobs with given frames only"})
        with store.transaction():
            job = caller.changes.create_ground_truth(caller.need("task", body["task_id"]), body["frames"])
        return VndJson(caller.views.job(job), 201)

    @api.get("/jobs/{number}")
    def job(number: int, request: Request) -> VndJson:
        """One job."""
        caller = sandbox.caller(request)
        return VndJson(caller.views.job(caller.need("job", number)))

    @api.patch("/jobs/{number}")
    async def patch_job(number: int, request: Request) -> VndJson:
        """Change state, stage or assignee of a job."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        for name, allowed in (("state", STATES), ("stage", STAGES)):
            if name in body and body[name] not in allowed:
                raise Problem(400, {name: [f'"{body[name]}" is not a valid choice.']})
        found = caller.need("job", number)
        with store.transaction():
            caller.changes.patch_job(found, body)
        return VndJson(caller.views.job(found))

    return api


def _named(items: list[Document], request: Request) -> list[Document]:
    query = request.query_params
    if "name" in query:
        items = [item for item in items if item["name"] == query["name"]]
    if "search" in query:
        items = [item for item in items if query["search"].lower() in item["name"].lower()]
    return items
