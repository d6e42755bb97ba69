"""Routes for projects and labels."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from deploy.local.sandbox.http import Sandbox, VndJson, body_of, paged, required
from deploy.local.sandbox.store import Document, now


def catalog_routes(sandbox: Sandbox) -> APIRouter:
    """The routes."""
    api = APIRouter(prefix="/api")
    store = sandbox.store

    @api.get("/projects")
    def projects(request: Request) -> VndJson:
        """Projects, by name or filter."""
        caller = sandbox.caller(request)
        return paged(request, _named(store.all("project"), request), caller.views.project)

    @api.post("/projects")
    async def create_project(request: Request) -> VndJson:
        """A new project with its labels."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        required(body, "name")
        with store.transaction():
            project = caller.changes.create_project(body)
        written = caller.views.project(project)
        return VndJson(written, 201, headers={"location": written["url"]})

    @api.get("/projects/{number}")
    def project(number: int, request: Request) -> VndJson:
        """One project."""
        caller = sandbox.caller(request)
        return VndJson(caller.views.project(caller.need("project", number)))

    @api.patch("/projects/{number}")
    async def patch_project(number: int, request: Request) -> VndJson:
        """Rename a project, add or rename labels."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        found = caller.need("project", number)
        with store.transaction():
            before = caller.views.project(found)
            caller.changes.add_labels(number, body.get("labels") or [])
            found |= {k: body[k] for k in ("name", "bug_tracker") if k in body} | {"updated_date": now()}
            store.put("project", found)
            caller.changes.fire(number, "update:project", "project", caller.views.project(found), before)
        return VndJson(caller.views.project(found))

    @api.get("/labels")
    def labels(request: Request) -> VndJson:
        """Labels of a project, task or job."""
        caller = sandbox.caller(request)
        query = request.query_params
        found = store.all("label")
        project_id = _project_of(sandbox, query)
        if project_id is not None:
            found = [label for label in found if label["project_id"] == project_id]
        return paged(request, found, caller.views.label, oldest_first=True)

    return api


def _named(items: list[Document], request: Request) -> list[Document]:
    query = request.query_params
    if "name" in query:
        items = [item for item in items if item["name"] == query["name"]]
    if "search" in query:
        items = [item for item in items if query["search"].lower() in item["name"].lower()]
    return items


def _project_of(sandbox: Sandbox, query: Any) -> int | None:
    if "project_id" in query:
        return int(query["project_id"])
    task_id = int(query["task_id"]) if "task_id" in query else None
    if "job_id" in query:
        task_id = (sandbox.store.get("job", int(query["job_id"])) or {}).get("task_id")
    return (sandbox.store.get("task", task_id) or {}).get("project_id") if task_id else None
