"""Routes for projects."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from deploy.local.sandbox.http import Caller, Sandbox, VndJson, body_of, named, paged, required
from deploy.local.sandbox.store import Document


def catalog_routes(sandbox: Sandbox) -> APIRouter:
    """The routes."""
    api = APIRouter(prefix="/api")
    store = sandbox.store

    @api.get("/projects")
    def projects(request: Request) -> VndJson:
        """Projects, by name or filter."""
        caller = sandbox.caller(request)
        found = caller.seen(caller.within(store.all("project")), caller.rights.sees_project)
        return paged(request, named(found, request), caller.views.project)

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
        return VndJson(caller.views.project(project_of(caller, number)))

    @api.patch("/projects/{number}")
    async def patch_project(number: int, request: Request) -> VndJson:
        """Rename a project; add, change or delete labels."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        found = project_of(caller, number)
        with store.transaction():
            caller.changes.patch_project(found, body)
        return VndJson(caller.views.project(found))

    @api.delete("/projects/{number}")
    def delete_project(number: int, request: Request) -> Response:
        """Delete a project with everything in it."""
        caller = sandbox.caller(request)
        found = caller.need("project", number)
        caller.allow(found["owner"] == caller.user["id"] or caller.rights.leads(found.get("organization")))
        with store.transaction():
            caller.changes.delete_project(found)
        return Response(status_code=204)

    return api


def project_of(caller: Caller, number: int) -> Document:
    """A project that the user may change."""
    found = caller.need("project", number)
    caller.allow(caller.rights.has_project(found))
    return found
