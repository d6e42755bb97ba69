"""Routes that carry pictures: uploads (bulk and TUS), frames, and the requests that tell when a task is ready."""

from __future__ import annotations

import base64
import io
import os
import secrets
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from PIL import Image, ImageOps

from deploy.local.sandbox.changes import CHUNK
from deploy.local.sandbox.http import Caller, Problem, Sandbox, VndJson, body_of
from deploy.local.sandbox.store import Document, now

TUS = {"Tus-Resumable": "1.0.0"}
PREVIEW_PX = 256


def media_routes(sandbox: Sandbox) -> APIRouter:  # noqa: C901, PLR0915 - a list of small routes
    """Routes that carry pictures."""
    api = APIRouter(prefix="/api")
    store = sandbox.store

    @api.post("/tasks/{number}/data")
    async def upload(number: int, request: Request) -> Response:
        """The steps of an upload, told apart by their header."""
        caller = sandbox.caller(request)
        task = caller.need("task", number)
        if task["size"]:
            raise Problem(400, "Adding more data is not allowed")
        folder = store.media(number)
        folder.mkdir(parents=True, exist_ok=True)
        headers = request.headers
        if "upload-start" in headers:
            with store.transaction():
                caller.changes.start_upload(task)
            return Response(status_code=202)
        if "upload-multiple" in headers:
            await _keep_files(request, folder)
            return Response(status_code=200)
        if "upload-length" in headers:
            return _begin_tus(request, number, folder)
        if "upload-finish" in headers:
            return await _finish(sandbox, caller, task, folder, request)
        raise Problem(400, {"detail": "expected Upload-Start, Upload-Multiple, Upload-Length or Upload-Finish"})

    @api.head("/tasks/{number}/data/{upload_id}")
    def offset(number: int, upload_id: str, request: Request) -> Response:
        """How much of a TUS upload has arrived."""
        sandbox.caller(request)
        part, _, length = _tus_file(store.media(number), upload_id)
        return Response(headers={**TUS, "Upload-Offset": str(part.stat().st_size), "Upload-Length": str(length)})

    @api.patch("/tasks/{number}/data/{upload_id}")
    async def chunk(number: int, upload_id: str, request: Request) -> Response:
        """The next bytes of a TUS upload."""
        sandbox.caller(request)
        part, name, length = _tus_file(store.media(number), upload_id)
        if int(request.headers.get("upload-offset", -1)) != part.stat().st_size:
            return Response(status_code=409)
        with part.open("ab") as file:
            async for piece in request.stream():
                file.write(piece)
        size = part.stat().st_size
        if size >= length:
            part.rename(part.parent / name)
            part.with_suffix(".name").unlink()
        return Response(status_code=204, headers={**TUS, "Upload-Offset": str(size), "Upload-Filename": name})

    @api.get("/requests/{number}")
    def request_status(number: str, request: Request) -> VndJson:
        """How a request goes; the sandbox's are finished when they are asked for."""
        caller = sandbox.caller(request)
        found = [r for r in store.all("request") if r["body"]["id"] == number]
        if not found:
            raise Problem(404, {"detail": "Not found."})
        owner = {"id": caller.user["id"], "username": caller.user["username"]}
        return VndJson({**found[-1]["body"], "owner": owner})

    @api.get("/{collection}/{number}/data/meta")
    def meta(collection: str, number: int, request: Request) -> VndJson:
        """Names and sizes of frames."""
        caller = sandbox.caller(request)
        return VndJson(_meta(caller, collection, number))

    @api.patch("/{collection}/{number}/data/meta")
    async def patch_meta(collection: str, number: int, request: Request) -> VndJson:
        """Mark frames as deleted."""
        caller = sandbox.caller(request)
        body = await body_of(request)
        task = _task_of(caller, collection, number)
        with store.transaction():
            caller.changes.patch_meta(task, body.get("deleted_frames") or [])
        return VndJson(_meta(caller, collection, number))

    @api.get("/{collection}/{number}/data")
    def frame(collection: str, number: int, request: Request) -> Response:
        """One picture: as uploaded, or (``quality=compressed``) as the JPEG that CVAT's pages show."""
        caller = sandbox.caller(request)
        task = _task_of(caller, collection, number)
        query = request.query_params
        if query.get("type") != "frame" or not query.get("number", "").isdigit():
            raise Problem(400, {"detail": "the sandbox serves type=frame&number=N only"})
        index = int(query["number"])
        if index >= len(task["frames"]):
            raise Problem(404, {"detail": f"the task has no frame {index}"})
        path = store.media(task["id"]) / task["frames"][index]["name"]
        if query.get("quality") == "compressed":
            return _jpeg(path, task["image_quality"])
        return FileResponse(path)

    @api.get("/{collection}/{number}/preview")
    def preview(collection: str, number: int, request: Request) -> Response:
        """A small picture of the first frame."""
        caller = sandbox.caller(request)
        task = _task_of(caller, collection, number)
        if not task["frames"]:
            raise Problem(404, {"detail": "the task has no pictures yet"})
        return _jpeg(store.media(task["id"]) / task["frames"][0]["name"], 75, PREVIEW_PX)

    return api


def _jpeg(path: Path, quality: int, side_px: int | None = None) -> Response:
    with Image.open(path) as image:
        shown = ImageOps.exif_transpose(image).convert("RGB")
    if side_px:
        shown.thumbnail((side_px, side_px))
    buffer = io.BytesIO()
    shown.save(buffer, "JPEG", quality=quality)
    return Response(buffer.getvalue(), media_type="image/jpeg")


async def _keep_files(request: Request, folder: Path) -> None:
    async with request.form(max_files=10_000, max_fields=20_000) as form:
        for name, value in form.multi_items():
            if name.startswith("client_files") and not isinstance(value, str):
                _write(folder / _base_name(value.filename or ""), await value.read())


def _begin_tus(request: Request, number: int, folder: Path) -> Response:
    pairs = (item.strip().partition(" ") for item in request.headers.get("upload-metadata", "").split(",") if item)
    metadata = {key: base64.b64decode(value).decode() for key, _, value in pairs}
    upload_id = secrets.token_hex(16)
    (folder / f".{upload_id}.part").touch()
    name = _base_name(metadata.get("filename", ""))
    (folder / f".{upload_id}.name").write_text(f"{request.headers['upload-length']} {name}", encoding="utf-8")
    location = f"{request.url.scheme}://{request.url.netloc}/api/tasks/{number}/data/{upload_id}"
    return Response(status_code=201, headers={**TUS, "Location": location, "Upload-Filename": name})


def _tus_file(folder: Path, upload_id: str) -> tuple[Path, str, int]:
    part = folder / f".{_base_name(upload_id)}.part"
    if not part.exists():
        raise Problem(404, {"detail": "no such upload"})
    length, _, name = part.with_suffix(".name").read_text(encoding="utf-8").partition(" ")
    return part, name, int(length)


async def _finish(sandbox: Sandbox, caller: Caller, task: Document, folder: Path, request: Request) -> VndJson:
    body = await body_of(request)
    names = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
    if body.get("sorting_method") == "predefined":
        order = [_base_name(name) for name in body.get("upload_file_order") or []]
        names = [name for name in order if name in names]
    number = f"action=create&target=task&target_id={task['id']}"
    store, started = sandbox.store, now()
    frames = [_frame(folder / name) for name in names]
    with store.transaction():
        if frames:
            caller.changes.finish_upload(task, frames, int(body.get("image_quality") or 70))
        operation = {"type": "create:task", "target": "task", "project_id": task["project_id"], "task_id": task["id"]}
        status = {
            "status": "finished" if frames else "failed",
            "message": "" if frames else "No media data found",
            "id": number,
            "operation": {**operation, "job_id": None, "format": None, "lightweight": None},
            "progress": 0.0,
            "created_date": started,
            "started_date": started,
            "finished_date": now(),
            "expiry_date": now(),
            "result_url": None,
            "result_id": None,
        }
        store.put("request", {"id": store.next_id("request"), "body": status})
    return VndJson({"rq_id": number}, 202)


def _frame(path: Path) -> Document:
    with Image.open(path) as image:
        width, height = image.size
        turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)  # CVAT applies the orientation tag
    return {"name": path.name, "width": height if turned else width, "height": width if turned else height}


def _task_of(caller: Caller, collection: str, number: int) -> Document:
    if collection == "jobs":
        return caller.need("task", caller.need("job", number)["task_id"])
    if collection != "tasks":
        raise Problem(404, {"detail": "Not found."})
    return caller.need("task", number)


def _meta(caller: Caller, collection: str, number: int) -> dict[str, Any]:
    task = _task_of(caller, collection, number)
    start, stop = 0, len(task["frames"]) - 1
    if collection == "jobs":
        job = caller.need("job", number)
        start, stop = job["start_frame"], job["stop_frame"]
    frames = [{**f, "related_files": 0, "has_related_context": False} for f in task["frames"][start : stop + 1]]
    return {
        "chapters": None,
        "chunks_updated_date": task["updated_date"],
        "chunk_size": task["data_chunk_size"] or CHUNK,
        "size": len(frames),
        "image_quality": task["image_quality"],
        "start_frame": start,
        "stop_frame": stop,
        "frame_filter": "",
        "frames": frames,
        "deleted_frames": [f for f in task["deleted_frames"] if start <= f <= stop],
        "included_frames": None,
        "storage": "local",
        "cloud_storage_id": None,
    }


def _base_name(name: str) -> str:
    base = Path(name.replace("\\", "/")).name
    if not base or base.startswith("."):
        raise Problem(400, {"detail": f"{name!r} cannot be the name of a picture"})
    return base


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
