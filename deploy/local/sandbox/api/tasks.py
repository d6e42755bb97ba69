"""Routes for tasks."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from deploy.local.sandbox.http import Caller, Problem, Sandbox, VndJson, body_of, named, paged, required
from deploy.local.sandbox.restores import move_labels
from deploy.local.sandbox.store import Document

MOST_REPLICAS = 10


def tasks_routes(sandbox: Sandbox) -> APIRouter:
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
        return VndJson(caller.views.task(own_task(caller, number)))

    @api.patch("/tasks/{number}")
    async def patch_task(number: int, request: Request) -> VndJson:
        """Change a task."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        found = own_task(caller, number)
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

    return api


def own_task(caller: Caller, number: int) -> Document:
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
