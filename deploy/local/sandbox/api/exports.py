"""Routes for exports of annotations, and for the requests by which one learns how long things take."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from deploy.local.sandbox.exports import FORMATS, subject_of, write_export
from deploy.local.sandbox.http import Caller, Problem, Sandbox, VndJson
from deploy.local.sandbox.sources import NotThere
from deploy.local.sandbox.store import Document
from deploy.local.sandbox.uploads import request_body


def exports_routes(sandbox: Sandbox) -> APIRouter:
    """The routes."""
    api = APIRouter(prefix="/api")
    store = sandbox.store

    @api.get("/requests/{number}")
    def request_status(number: str, request: Request) -> VndJson:
        """How a request goes; the sandbox's are finished when they are asked for."""
        caller = sandbox.caller(request)
        found = [r for r in store.all("request") if r["body"]["id"] == number]
        if not found:
            raise Problem(404, {"detail": "Not found."})
        owner = {"id": caller.user["id"], "username": caller.user["username"]}
        return VndJson({"owner": owner, **found[-1]["body"]})

    @api.post("/{collection}/{number}/dataset/export")
    def export(collection: str, number: int, request: Request) -> VndJson:
        """Ask for the annotations of a task or a job as a file, with or without the pictures."""
        caller = sandbox.caller(request)
        task, jobs = subject(caller, collection, number)
        query = request.query_params
        kind, pictures = query.get("format", ""), query.get("save_images", "").lower() == "true"
        if kind not in FORMATS:
            raise Problem(400, {"detail": f"the sandbox exports {' and '.join(FORMATS)} only, not {kind!r}"})
        part = "dataset" if pictures else "annotations"
        target = {"target": collection[:-1], "target_id": number, "user_id": caller.user["id"]}
        words = {"action": "export", **target, "format": kind.replace(" ", "_").replace(".", "~"), "subresource": part}
        name = "&".join(f"{key}={value}" for key, value in words.items())
        problem = ""
        try:
            find = (lambda picture: sandbox.sources.path(task, picture)) if pictures else None
            write_export(sandbox.exports(name), subject_of(store, task, jobs), kind, caller.views, find)
        except (NotThere, OSError) as error:
            problem = str(error)
        job_id = number if collection == "jobs" else None
        operation = {"type": f"export:{part}", "target": collection[:-1], "project_id": task["project_id"]}
        operation |= {"task_id": task["id"], "job_id": job_id, "format": kind}
        body = request_body(name, operation, problem, owner=caller.user)
        address = f"{caller.views.base}/api/{collection}/{number}/dataset/download"
        body["result_url"] = None if problem else f"{address}?{urlencode({'rq_id': name})}"
        store.put("request", {"id": store.next_id("request"), "body": body})
        return VndJson({"rq_id": name}, 202)

    @api.get("/{collection}/{number}/dataset/download")
    def download(collection: str, number: int, request: Request) -> Response:
        """The file."""
        subject(sandbox.caller(request), collection, number)
        name = request.query_params.get("rq_id", "")
        path = sandbox.exports(name)
        if not path.is_file() or f"target={collection[:-1]}&target_id={number}&" not in name:
            raise Problem(404, {"detail": "no such export"})
        kind = "dataset" if name.endswith("dataset") else "annotations"
        shown = f"{collection[:-1]}_{number}_{kind}_{datetime.now(UTC):%Y_%m_%d_%H_%M_%S}.zip"
        return FileResponse(path, media_type="application/zip", filename=shown)

    return api


def subject(caller: Caller, collection: str, number: int) -> tuple[Document, list[Document]]:
    """A task with the jobs that are meant."""
    if collection == "jobs":
        job = caller.need("job", number)
        caller.allow(caller.rights.has_job(job))
        return caller.need("task", job["task_id"]), [job]
    if collection != "tasks":
        raise Problem(404, {"detail": "the sandbox exports tasks and jobs"})
    task = caller.need("task", number)
    caller.allow(caller.rights.has_task(task))
    return task, [j for j in caller.store.all("job", task_id=number) if j["type"] == "annotation"]
