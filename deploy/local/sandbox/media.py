"""Routes that carry pictures: uploads (bulk and TUS), frames, and the requests that tell when a task is ready."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from PIL import Image, ImageOps

from deploy.local.sandbox.changes import CHUNK
from deploy.local.sandbox.chunks import chunk_of
from deploy.local.sandbox.http import Caller, Problem, Sandbox, VndJson, body_of
from deploy.local.sandbox.sources import NotThere
from deploy.local.sandbox.store import Document
from deploy.local.sandbox.uploads import begin_tus, finish_upload, keep_files, point_to_files, take_tus, tus_offset

PREVIEW_PX = 256


def media_routes(sandbox: Sandbox) -> APIRouter:
    """All of them; "data/meta" stands before the uploads, which would take "meta" for the id of one."""
    api = APIRouter(prefix="/api")
    for part in (_meta_routes, _upload_routes, _picture_routes):
        api.include_router(part(sandbox))
    return api


def _upload_routes(sandbox: Sandbox) -> APIRouter:
    """Routes that bring pictures."""
    api = APIRouter()
    store = sandbox.store

    @api.post("/tasks/{number}/data")
    async def upload(number: int, request: Request) -> Response:
        """The steps of an upload, told apart by their header."""
        caller = sandbox.caller(request)
        task = _task_of(caller, "tasks", number)
        if task["size"]:
            raise Problem(400, "Adding more data is not allowed")
        headers = request.headers
        if not any(name.startswith("upload-") for name in headers):
            return await point_to_files(sandbox, caller, task, request)
        folder = store.media(number)
        folder.mkdir(parents=True, exist_ok=True)
        if "upload-start" in headers:
            with store.transaction():
                caller.changes.start_upload(task)
            return Response(status_code=202)
        if "upload-multiple" in headers:
            await keep_files(request, folder)
            return Response(status_code=200)
        if "upload-length" in headers:
            return begin_tus(request, f"tasks/{number}/data", folder)
        if "upload-finish" in headers:
            return await finish_upload(sandbox, caller, task, await body_of(request))
        raise Problem(400, {"detail": "expected Upload-Start, Upload-Multiple, Upload-Length or Upload-Finish"})

    @api.head("/tasks/{number}/data/{upload_id}")
    def offset(number: int, upload_id: str, request: Request) -> Response:
        """How much of a TUS upload has arrived."""
        sandbox.caller(request)
        return tus_offset(store.media(number), upload_id)

    @api.patch("/tasks/{number}/data/{upload_id}")
    async def chunk(number: int, upload_id: str, request: Request) -> Response:
        """The next bytes of a TUS upload."""
        sandbox.caller(request)
        return await take_tus(request, store.media(number), upload_id)

    return api


def _meta_routes(sandbox: Sandbox) -> APIRouter:
    """Routes that tell of pictures."""
    api = APIRouter()

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
        deleted = body.get("deleted_frames") or []
        with sandbox.store.transaction():
            if collection == "jobs" and caller.need("job", number)["type"] == "ground_truth":
                caller.changes.disable_frames(task, deleted)
            else:
                _may_delete(task, deleted)
                caller.changes.patch_meta(task, deleted)
        return VndJson(_meta(caller, collection, number))

    return api


def _picture_routes(sandbox: Sandbox) -> APIRouter:
    """Routes that give pictures."""
    api = APIRouter()

    @api.get("/{collection}/{number}/data")
    def frame(collection: str, number: int, request: Request) -> Response:
        """One picture, as uploaded or (``quality=compressed``) as the JPEG of CVAT's pages; or a zip of pictures."""
        caller = sandbox.caller(request)
        task = _task_of(caller, collection, number)
        query = request.query_params
        kind = query.get("type")
        if kind not in ("frame", "chunk") or not query.get("number", "").isdigit():
            raise Problem(400, {"detail": "the sandbox serves type=frame&number=N and type=chunk&number=N only"})
        index = int(query["number"])
        if kind == "chunk":
            return _chunk(sandbox, task, index, query.get("quality", ""), collection)
        if index >= len(task["frames"]):
            raise Problem(404, {"detail": f"the task has no frame {index}"})
        path = picture_path(sandbox, task, index)
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
        return _jpeg(picture_path(sandbox, task, 0), 75, PREVIEW_PX)

    return api


def _chunk(sandbox: Sandbox, task: Document, index: int, quality: str, collection: str) -> Response:
    if collection != "tasks" or quality == "compressed":
        raise Problem(400, {"detail": "the sandbox serves chunks of tasks in their original quality only"})
    inside = range(len(task["frames"]))[index * CHUNK : (index + 1) * CHUNK]
    if not inside:
        raise Problem(404, {"detail": f"the task has no chunk {index}"})
    return chunk_of([picture_path(sandbox, task, number) for number in inside])


def picture_path(sandbox: Sandbox, task: Document, index: int) -> Path:
    """The file of one of a task's pictures."""
    try:
        return sandbox.sources.path(task, task["frames"][index]["name"])
    except NotThere as error:
        raise Problem(404, {"detail": str(error)}) from error


def _jpeg(path: Path, quality: int, side_px: int | None = None) -> Response:
    with Image.open(path) as image:
        shown = ImageOps.exif_transpose(image).convert("RGB")
    if side_px:
        shown.thumbnail((side_px, side_px))
    buffer = io.BytesIO()
    shown.save(buffer, "JPEG", quality=quality)
    return Response(buffer.getvalue(), media_type="image/jpeg")


def _task_of(caller: Caller, collection: str, number: int) -> Document:
    if collection == "jobs":
        job = caller.need("job", number)
        caller.allow(caller.rights.has_job(job))
        return caller.need("task", job["task_id"])
    if collection != "tasks":
        raise Problem(404, {"detail": "Not found."})
    task = caller.need("task", number)
    caller.allow(caller.rights.has_task(task))
    return task


def _may_delete(task: Document, deleted: list[int]) -> None:
    """Pool frames of a task with honeypots are only deleted in its ground-truth job."""
    pool = set(task.get("pool_frames") or [])
    if pool & set(deleted) - set(task["deleted_frames"]):
        raise Problem(400, ["GT frames can only be deleted and restored via the GT job's data/meta endpoint"])


def _meta(caller: Caller, collection: str, number: int) -> dict[str, Any]:
    task = _task_of(caller, collection, number)
    start, stop, chosen = 0, len(task["frames"]) - 1, None
    deleted = set(task["deleted_frames"])
    if collection == "jobs":
        job = caller.need("job", number)
        start, stop, chosen = job["start_frame"], job["stop_frame"], job.get("frames")
        if job["type"] == "ground_truth":
            deleted |= set(task.get("disabled_frames") or [])
    frames = []
    for index, frame in enumerate(task["frames"][start : stop + 1], start):
        # CVAT does not tell the names of frames that are not in a ground-truth job.
        name = frame["name"] if chosen is None or index in chosen else "placeholder.jpg"
        frames.append({**frame, "name": name, "related_files": 0, "has_related_context": False})
    source = task.get("source") or {"storage": "local", "cloud_storage_id": None}
    return {
        "chapters": None,
        "chunks_updated_date": task["updated_date"],
        "chunk_size": task["data_chunk_size"] or CHUNK,
        "size": len(frames) if chosen is None else len(chosen),
        "image_quality": task["image_quality"],
        "start_frame": start,
        "stop_frame": stop,
        "frame_filter": "",
        "frames": frames,
        "deleted_frames": sorted(f for f in deleted if start <= f <= stop and (chosen is None or f in chosen)),
        "included_frames": chosen,
        **source,
    }
