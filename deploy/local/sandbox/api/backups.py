"""Routes for the backups of tasks."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from deploy.local.sandbox.api.exports import subject
from deploy.local.sandbox.backups import write_backup
from deploy.local.sandbox.http import Problem, Sandbox, VndJson
from deploy.local.sandbox.sources import NotThere
from deploy.local.sandbox.uploads import request_body


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

    return api
