"""Routes for labels and annotation guides."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from deploy.local.sandbox.api.catalog import project_of
from deploy.local.sandbox.http import Caller, Problem, Sandbox, VndJson, body_of, paged
from deploy.local.sandbox.labels import delete_label, patch_label
from deploy.local.sandbox.store import Document, now


def labels_routes(sandbox: Sandbox) -> APIRouter:
    """The routes."""
    api = APIRouter(prefix="/api")
    store = sandbox.store

    @api.get("/labels")
    def labels(request: Request) -> VndJson:
        """Labels of a project, task or job."""
        caller = sandbox.caller(request)
        query = request.query_params
        found = store.all("label")
        project_id = _asked_project(sandbox, query)
        alone = int(query.get("task_id", 0)) if project_id is None else 0
        if alone and caller.rights.sees_task(caller.need("task", alone)):
            return paged(request, store.all("label", task_id=alone), caller.views.label, oldest_first=True)
        if project_id is not None:
            found = [label for label in found if label["project_id"] == project_id]
        places = {p["id"] for p in caller.seen(caller.within(store.all("project")), caller.rights.sees_project)}
        found = [label for label in found if label["project_id"] in places]
        return paged(request, found, caller.views.label, oldest_first=True)

    @api.get("/labels/{number}")
    def label(number: int, request: Request) -> VndJson:
        """One label."""
        caller = sandbox.caller(request)
        found = caller.need("label", number)
        caller.allow(caller.rights.sees_project(caller.need("project", found["project_id"])))
        return VndJson(caller.views.label(found))

    @api.patch("/labels/{number}")
    async def patch_one_label(number: int, request: Request) -> VndJson:
        """Change a label: its name, its colour, its attributes, its sublabels."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        found = caller.need("label", number)
        project_of(caller, found["project_id"])
        with store.transaction():
            return VndJson(caller.views.label(patch_label(store, found, body)))

    @api.delete("/labels/{number}")
    def delete_one_label(number: int, request: Request) -> Response:
        """Delete a label and everything that was drawn with it."""
        caller = sandbox.caller(request)
        found = caller.need("label", number)
        project_of(caller, found["project_id"])
        with store.transaction():
            delete_label(store, found)
        return Response(status_code=204)

    return api


def guides_routes(sandbox: Sandbox) -> APIRouter:
    """The routes."""
    api = APIRouter(prefix="/api")
    store = sandbox.store

    @api.post("/guides")
    async def create_guide(request: Request) -> VndJson:
        """What annotators of a project or of a task should know."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        owner: Document = {name: body.get(name) for name in ("project_id", "task_id")}
        if sum(number is not None for number in owner.values()) != 1:
            raise Problem(400, {"non_field_errors": ["One of project_id or task_id must be specified"]})
        _may_guide(caller, owner)
        if any(store.all("guide", **{name: number}) for name, number in owner.items() if number is not None):
            raise Problem(400, {"non_field_errors": ["Annotation guide for this project or task already exists"]})
        when = now()
        guide: Document = {"id": store.next_id("guide"), **owner, "markdown": str(body.get("markdown") or "")}
        store.put("guide", {**guide, "created_date": when, "updated_date": when})
        return VndJson(caller.views.guide(caller.need("guide", guide["id"])), 201)

    @api.get("/guides/{number}")
    def guide(number: int, request: Request) -> VndJson:
        """One guide; everybody who works on something of the project may read it."""
        caller = sandbox.caller(request)
        found = caller.need("guide", number)
        if found["project_id"] is not None:
            caller.allow(caller.rights.sees_project(caller.need("project", found["project_id"])))
        else:
            caller.allow(caller.rights.sees_task(caller.need("task", found["task_id"])))
        return VndJson(caller.views.guide(found))

    @api.patch("/guides/{number}")
    async def patch_guide(number: int, request: Request) -> VndJson:
        """Write a guide anew."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        found = caller.need("guide", number)
        _may_guide(caller, found)
        found |= {"markdown": str(body.get("markdown", found["markdown"])), "updated_date": now()}
        return VndJson(caller.views.guide(store.put("guide", found)))

    @api.delete("/guides/{number}")
    def delete_guide(number: int, request: Request) -> Response:
        """Delete a guide."""
        caller = sandbox.caller(request)
        _may_guide(caller, caller.need("guide", number))
        store.delete("guide", number)
        return Response(status_code=204)

    return api


def _may_guide(caller: Caller, owner: Document) -> None:
    if owner["project_id"] is not None:
        project_of(caller, owner["project_id"])
    else:
        caller.allow(caller.rights.has_task(caller.need("task", owner["task_id"])))


def _asked_project(sandbox: Sandbox, query: Any) -> int | None:
    if "project_id" in query:
        return int(query["project_id"])
    task_id = int(query["task_id"]) if "task_id" in query else None
    if "job_id" in query:
        task_id = (sandbox.store.get("job", int(query["job_id"])) or {}).get("task_id")
    return (sandbox.store.get("task", task_id) or {}).get("project_id") if task_id else None
