"""Routes for the backups of tasks."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode
from uuid import uuid4

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse

from deploy.local.sandbox.api.exports import subject
from deploy.local.sandbox.backups import write_backup
from deploy.local.sandbox.http import Caller, Problem, Sandbox, VndJson
from deploy.local.sandbox.restores import read_backup
from deploy.local.sandbox.sources import NotThere
from deploy.local.sandbox.uploads import begin_tus, request_body, take_tus, tus_offset


def backups_routes(sandbox: Sandbox) -> APIRouter:
    """The routes."""
    api = APIRouter(prefix="/api")
    store = sandbox.store

    @api.post("/tasks/{number}/backup/export")
    def backup(number: int, request: Request) -> VndJson:
        """Ask for the backup of a task, pictures included."""
        caller = sandbox.caller(request)
        task, _ = subject(caller, "tasks", number)
        words = {"action": "export", "target": "task", "target_id": number, "user_id": caller.user["id"]}
        name = "&".join(f"{key}={value}" for key, value in {**words, "subresource": "backup"}.items())
        problem = ""
        try:
            status = str(caller.views.task(task)["status"])
            write_backup(sandbox.exports(name), store, task, status, lambda p: sandbox.sources.path(task, p))
        except (NotThere, OSError) as error:
            problem = str(error)
        operation = {"type": "export:backup", "target": "task", "project_id": task["project_id"], "task_id": number}
        body = request_body(name, operation, problem, owner=caller.user)
        address = f"{caller.views.base}/api/tasks/{number}/backup/download"
        body["result_url"] = None if problem else f"{address}?{urlencode({'rq_id': name})}"
        store.put("request", {"id": store.next_id("request"), "body": body})
        return VndJson({"rq_id": name}, 202)

    @api.get("/tasks/{number}/backup/download")
    def download_backup(number: int, request: Request) -> Response:
        """The file of a backup."""
        subject(sandbox.caller(request), "tasks", number)
        name = request.query_params.get("rq_id", "")
        path = sandbox.exports(name)
        if not path.is_file() or f"target_id={number}&" not in name or not name.endswith("backup"):
            raise Problem(404, {"detail": "no such backup"})
        return FileResponse(path, media_type="application/zip", filename=f"task_{number}_backup.zip")

    @api.post("/tasks/backup")
    async def bring_back(request: Request) -> Response:
        """The steps of sending a backup; the last makes a task of it."""
        caller = sandbox.caller(request)
        folder = store.folder / "uploads" / str(caller.user["id"])
        folder.mkdir(parents=True, exist_ok=True)
        if "upload-start" in request.headers:
            return Response(status_code=202)
        if "upload-length" in request.headers:
            return begin_tus(request, "tasks/backup", folder)
        path = folder / Path(request.query_params.get("filename", "")).name
        if "upload-finish" not in request.headers or not path.is_file():
            raise Problem(400, {"detail": "expected Upload-Start, Upload-Length, or Upload-Finish with a filename"})
        return await run_in_threadpool(_make, caller, path)

    @api.head("/tasks/backup/{upload_id}")
    def offset(upload_id: str, request: Request) -> Response:
        """How much of a backup has arrived."""
        return tus_offset(store.folder / "uploads" / str(sandbox.caller(request).user["id"]), upload_id)

    @api.patch("/tasks/backup/{upload_id}")
    async def chunk(upload_id: str, request: Request) -> Response:
        """The next bytes of a backup."""
        return await take_tus(request, store.folder / "uploads" / str(sandbox.caller(request).user["id"]), upload_id)

    return api


def _make(caller: Caller, path: Path) -> Response:
    """A task of a backup that has arrived, and the request by which the client learns of it."""
    number, problem = None, ""
    try:
        number = read_backup(caller.store, caller.changes, path)["id"]
    except (ValueError, OSError) as error:
        problem = str(error)
    finally:
        path.unlink()
    name = f"action=import&target=task&id={uuid4()}&subresource=backup"
    body = request_body(name, {"type": "import:backup", "target": "task", "task_id": number}, problem, caller.user)
    caller.store.put("request", {"id": caller.store.next_id("request"), "body": {**body, "result_id": number}})
    return VndJson({"rq_id": name}, 202)
