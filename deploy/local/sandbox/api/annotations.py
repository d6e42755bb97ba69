"""Routes for the shapes and tags of tasks and jobs."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from deploy.local.sandbox.http import Problem, Sandbox, VndJson, body_of
from deploy.local.sandbox.shapes import has_frame, with_copies
from deploy.local.sandbox.store import Document
from deploy.local.sandbox.validation import honeypots_of

COLLECTION = {"projects": "project", "tasks": "task", "jobs": "job"}


def annotations_routes(sandbox: Sandbox) -> APIRouter:
    """The routes."""
    api = APIRouter(prefix="/api")
    store = sandbox.store

    @api.get("/{collection}/{number}/annotations")
    def annotations(collection: str, number: int, request: Request) -> VndJson:
        """Shapes and tags of a task or job."""
        caller = sandbox.caller(request)
        kept = [store.get("annotations", j["id"]) for j in _jobs_of(caller, collection, number)]
        found = [k for k in kept if k]
        shapes = [s for k in found for s in k["shapes"]]
        return VndJson({"version": 0, "tags": [t for k in found for t in k["tags"]], "shapes": shapes, "tracks": []})

    @api.put("/{collection}/{number}/annotations")
    async def replace_annotations(collection: str, number: int, request: Request) -> VndJson:
        """Replace all shapes."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        with store.transaction():
            jobs = _jobs_of(caller, collection, number)
            saved = caller.changes.save_annotations(jobs, _taken(caller, collection, jobs, body, "replace"), "replace")
        return VndJson(saved)

    @api.patch("/{collection}/{number}/annotations")
    async def change_annotations(collection: str, number: int, request: Request) -> VndJson:
        """Create, update or delete some shapes."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        action = request.query_params.get("action")
        if action not in ("create", "update", "delete"):
            raise Problem(400, {"detail": "action must be create, update or delete"})
        with store.transaction():
            mine = _jobs_of(caller, collection, number)
            body = _taken(caller, collection, mine, body, action)
            shapes, tags = body.get("shapes") or [], body.get("tags") or []
            jobs = [j for j in mine if _touches(j, [*shapes, *tags])]
            saved = caller.changes.save_annotations(jobs, body, action)
        return VndJson({k: saved[k] for k in ("version", "tags", "shapes", "tracks")})

    return api


def _jobs_of(caller: Any, collection: str, number: int) -> list[Document]:
    if collection not in ("tasks", "jobs"):
        raise Problem(404, {"detail": "Not found."})
    found = caller.need(COLLECTION[collection], number)
    if collection == "jobs":
        caller.allow(caller.rights.has_job(found))
        return [found]
    caller.allow(caller.rights.has_task(found))
    kinds = ["annotation", *(["ground_truth"] if found.get("validation_mode") == "gt_pool" else [])]
    return [j for j in caller.store.all("job", task_id=number) if j["type"] in kinds]


def _taken(caller: Any, collection: str, jobs: list[Document], body: Document, action: str) -> Document:
    """What CVAT makes of annotations before it keeps them: in a task with honeypots, more or fewer."""
    task = caller.need("task", jobs[0]["task_id"]) if jobs else {}
    if task.get("validation_mode") != "gt_pool":
        return body
    try:
        if collection == "jobs":
            return with_copies(body, {"frames": []}, {}, action)
        truth = next(job for job in jobs if job["type"] == "ground_truth")
        return with_copies(body, truth, honeypots_of(task), action)
    except ValueError as error:
        raise Problem(400, [str(error)]) from error


def _touches(job: Document, shapes: list[Document]) -> bool:
    return any(has_frame(job, s["frame"]) for s in shapes)
